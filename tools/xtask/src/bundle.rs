//! Making a bundle: settings and images in one cpio archive, for a boot without network (`xenlift::config::bundle` reads it).
//!
//! The archive is read back with the loader's own code before it counts as made, so a mistake in loader.toml or a missing file shows here
//! and not on the board.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use xenlift::config::bundle::{Bundle, MANIFEST, SETTINGS};
use xenlift::config::source::{File, Source};
use xenlift::config::{DeviceTree, Entry, Payload, Settings, settings};

use crate::cache::hex;
use crate::cpio::{Kind, Writer};

/// One file of a bundle.
struct Member {
    path: String,
    data: Vec<u8>,
}

/// Makes a bundle of every file below `directory`, which has a `loader.toml`.
pub fn of_directory(directory: &Path) -> Result<Vec<u8>> {
    let mut paths = Vec::new();
    collect(directory, Path::new(""), &mut paths)?;
    paths.sort_by_key(|path| (path != Path::new(SETTINGS), path.clone()));
    let mut members = Vec::new();
    for path in paths {
        let file = directory.join(&path);
        let data = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let path = path.to_str().with_context(|| format!("{} has a name that is not UTF-8", file.display()))?;
        members.push(Member { path: path.to_owned(), data });
    }
    let bytes = write(&members)?;
    check(&bytes).with_context(|| format!("{} does not make a bundle", directory.display()))?;
    Ok(bytes)
}

/// Relative paths of the regular files below `directory`; links are followed, hidden files and an old manifest left out.
fn collect(directory: &Path, below: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let here = directory.join(below);
    for entry in fs::read_dir(&here).with_context(|| format!("cannot list {}", here.display()))? {
        let name = entry?.file_name();
        let path = below.join(&name);
        if name.to_string_lossy().starts_with('.') || path == Path::new(MANIFEST) {
            continue;
        }
        if directory.join(&path).is_dir() {
            collect(directory, &path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

fn write(members: &[Member]) -> Result<Vec<u8>> {
    let line =
        |member: &Member| format!("{} {} {}\n", hex(&Sha256::digest(&member.data)), member.data.len(), member.path);
    let manifest: String = members.iter().map(line).collect();
    let mut archive = Writer::new(Vec::new());
    archive.add(MANIFEST, Kind::File(0o644), manifest.as_bytes())?;
    for member in members {
        archive.add(&member.path, Kind::File(0o644), &member.data)?;
    }
    archive.finish()
}

/// Reads the bundle as the loader will: structure, digests, settings, and whether every file that the settings name is there.
fn check(bytes: &[u8]) -> Result<()> {
    let bundle = Bundle::parse(bytes).map_err(|error| anyhow::anyhow!("{error}"))?;
    for member in bundle.members() {
        member.verify().map_err(|error| anyhow::anyhow!("{error}"))?;
    }
    let text = bundle.settings().with_context(|| format!("no {SETTINGS}"))?;
    let settings = settings::parse(text.data).map_err(|error| anyhow::anyhow!("{SETTINGS}: {error}"))?;
    let missing: Vec<&str> = paths(&settings).into_iter().filter(|path| bundle.find(path).is_none()).collect();
    if !missing.is_empty() {
        bail!("{SETTINGS} names files that are not there: {}", missing.join(", "));
    }
    Ok(())
}

/// The files that the settings expect beside them.
fn paths(settings: &Settings) -> Vec<&str> {
    let mut paths = Vec::new();
    for file in settings.entries.iter().flat_map(files) {
        if let Source::Path(path) = &file.source {
            paths.push(path.as_str());
        }
    }
    paths
}

fn files(entry: &Entry) -> Vec<&File> {
    let mut files: Vec<&File> = entry.overlays.iter().collect();
    if let DeviceTree::File(tree) = &entry.device_tree {
        files.push(tree);
    }
    match &entry.payload {
        Payload::Xen(xen) => {
            files.push(&xen.image);
            if let Some(dom0) = &xen.dom0 {
                files.push(&dom0.kernel);
                files.extend(&dom0.ramdisk);
            }
            for domain in &xen.domains {
                files.push(&domain.kernel);
                files.extend(&domain.ramdisk);
                files.extend(&domain.device_tree);
            }
        }
        Payload::Linux(linux) => {
            files.push(&linux.image);
            files.extend(&linux.ramdisk);
        }
        Payload::Script(file) | Payload::ImageBuilder(file) => files.push(file),
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS_TEXT: &str = "[[entry]]\nname = \"x\"\ndevice-tree = \"trees/board.dtb\"\n[entry.xen]\nimage = \"xen\"\n\
                                 [entry.dom0]\nkernel = \"Image\"\n";

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        directory
    }

    #[test]
    fn the_loader_reads_what_is_made_and_settings_come_first() {
        let files = [
            ("Image", "kernel"),
            ("loader.toml", SETTINGS_TEXT),
            ("trees/board.dtb", "tree"),
            ("xen", "xen"),
            (".git", "no"),
        ];
        let bytes = of_directory(directory(&files).path()).unwrap();
        let bundle = Bundle::parse(&bytes).unwrap();
        let names: Vec<&str> = bundle.members().iter().map(|member| member.path).collect();
        assert_eq!(names, ["loader.toml", "Image", "trees/board.dtb", "xen"]);
        assert_eq!(bundle.find("trees/board.dtb").unwrap().data, b"tree");
    }

    #[test]
    fn the_same_directory_gives_the_same_bytes() {
        let files = [("loader.toml", SETTINGS_TEXT), ("Image", "kernel"), ("trees/board.dtb", "tree"), ("xen", "xen")];
        assert_eq!(of_directory(directory(&files).path()).unwrap(), of_directory(directory(&files).path()).unwrap());
    }

    #[test]
    fn files_that_the_settings_name_and_are_not_there_are_listed() {
        let error = of_directory(directory(&[("loader.toml", SETTINGS_TEXT), ("xen", "xen")]).path()).unwrap_err();
        assert!(format!("{error:#}").ends_with("names files that are not there: trees/board.dtb, Image"), "{error:#}");
    }

    #[test]
    fn settings_with_a_mistake_and_a_directory_without_settings_are_refused() {
        let error = of_directory(directory(&[("loader.toml", "timeuot = 3\n")]).path()).unwrap_err();
        assert!(format!("{error:#}").contains("timeuot"), "{error:#}");
        assert!(of_directory(directory(&[("xen", "xen")]).path()).is_err());
    }
}
