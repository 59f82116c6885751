//! Debian packages fetched through the machine's own apt, verified by it (signed Release files), without touching `/etc/apt` or `/var/lib/apt`.
//!
//! [`Apt`] is a private state of apt in the cache: its own sources, lists and archives. Its sources are derived from those the machine
//! has (see [`sources`]), so a mirror or proxy that works for the machine works here, and no address is written in this program.

pub mod debian;
pub mod install;
pub mod machine;
pub mod sources;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result, bail};

use crate::apt::sources::Source;
use crate::cache::Cache;
use crate::process::{announce, capture, capture_text, shown};

/// Which private states had their lists brought up to date in this run.
static UPDATED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// What apt believes is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    /// Nothing: for packages of another architecture, which are only unpacked.
    Nothing,
    /// What the machine has: for closures that lack only what the machine lacks.
    AsOnThisMachine,
}

/// A private state of apt.
#[derive(Debug)]
pub struct Apt {
    directory: PathBuf,
    configuration: PathBuf,
    _lock: fs::File,
}

impl Apt {
    /// Opens the state `name` with these sources, for packages of `architecture`. One run at a time uses it; another waits.
    pub fn open(
        cache: &Cache,
        name: &str,
        sources: &[Source],
        architecture: &str,
        installed: Installed,
    ) -> Result<Self> {
        let lock = cache.lock(&format!("apt-{name}"))?;
        let directory = cache.state(&format!("apt-{name}"))?;
        for part in ["sources", "preferences", "lists/partial", "archives/partial", "log"] {
            let path = directory.join(part);
            fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        }
        let paragraphs: Vec<String> = sources.iter().map(Source::to_deb822).collect();
        write(&directory.join("sources/derived.sources"), &paragraphs.join("\n"))?;
        let status = match installed {
            Installed::Nothing => {
                write(&directory.join("status"), "")?;
                directory.join("status")
            }
            Installed::AsOnThisMachine => PathBuf::from("/var/lib/dpkg/status"),
        };
        let configuration = directory.join("apt.conf");
        write(&configuration, &configuration_text(&directory, &status, architecture))?;
        Ok(Self { directory, configuration, _lock: lock })
    }

    /// Brings the lists up to date, once a run.
    fn update(&self) -> Result<()> {
        let done = UPDATED.lock().is_ok_and(|updated| updated.contains(&self.directory));
        if done {
            return Ok(());
        }
        capture(self.command("apt-get").arg("update")).context("could not fetch the archive's lists of packages")?;
        if let Ok(mut updated) = UPDATED.lock() {
            updated.insert(self.directory.clone());
        }
        Ok(())
    }

    /// The names of the packages that `package` depends on, first alternatives only.
    pub fn depends(&self, package: &str) -> Result<Vec<String>> {
        self.update()?;
        let text = capture_text(self.command("apt-cache").args(["--no-all-versions", "show", package]))?;
        let paragraphs = sources::paragraphs(&text);
        let depends = paragraphs.first().and_then(|paragraph| paragraph.value("depends")).unwrap_or_default();
        Ok(dependency_names(depends))
    }

    /// The names of packages that begin so.
    pub fn names(&self, beginning: &str) -> Result<Vec<String>> {
        self.update()?;
        let text = capture_text(self.command("apt-cache").args(["pkgnames", beginning]))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Downloads exactly these packages, and returns the files.
    pub fn download(&self, packages: &[String]) -> Result<Vec<PathBuf>> {
        self.update()?;
        let archives = self.fresh_archives()?;
        capture(self.command("apt-get").arg("download").args(packages).current_dir(&archives))?;
        debian_files(&archives)
    }

    /// Downloads `packages`, from `release` if one is named, and whatever they need and this state's list of installed packages lacks.
    pub fn download_with_dependencies(&self, packages: &[&str], release: Option<&str>) -> Result<Vec<PathBuf>> {
        self.update()?;
        let archives = self.fresh_archives()?;
        let mut command = self.command("apt-get");
        command.args(["install", "--download-only", "--reinstall", "--yes", "--no-install-recommends"]);
        if let Some(release) = release {
            command.args(["--target-release", release]);
        }
        capture(command.args(packages))?;
        debian_files(&archives)
    }

    /// Downloads the source of `package` into `directory`: the `.dsc` and the archives that it names, verified, not unpacked.
    pub fn download_source(&self, package: &str, directory: &Path) -> Result<()> {
        self.update()?;
        capture(self.command("apt-get").args(["source", "--download-only", package]).current_dir(directory))?;
        Ok(())
    }

    /// A command of apt's that uses this state.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-c").arg(&self.configuration).env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    fn fresh_archives(&self) -> Result<PathBuf> {
        let archives = self.directory.join("archives");
        fs::remove_dir_all(&archives).with_context(|| format!("cannot empty {}", archives.display()))?;
        fs::create_dir_all(archives.join("partial"))
            .with_context(|| format!("cannot create {}", archives.display()))?;
        Ok(archives)
    }
}

/// `-c` is read after the machine's configuration, so this has the last word, while proxies and the like stay in force.
fn configuration_text(directory: &Path, status: &Path, architecture: &str) -> String {
    let at = |name: &str| directory.join(name).display().to_string();
    let mut text = String::new();
    for (key, value) in [
        ("Dir::Etc::SourceList", "/dev/null".to_owned()),
        ("Dir::Etc::SourceParts", at("sources")),
        ("Dir::Etc::Preferences", "/dev/null".to_owned()),
        ("Dir::Etc::PreferencesParts", at("preferences")),
        ("Dir::State::Lists", at("lists")),
        ("Dir::State::Status", status.display().to_string()),
        ("Dir::State::Extended_States", at("extended_states")),
        ("Dir::Cache", directory.display().to_string()),
        ("Dir::Cache::Archives", at("archives")),
        ("Dir::Log", at("log")),
        ("APT::Architecture", architecture.to_owned()),
        ("Acquire::Languages", "none".to_owned()),
        ("Acquire::Retries", "3".to_owned()),
        // A list that could not be fetched is an error, not a warning.
        ("APT::Update::Error-Mode", "any".to_owned()),
        // The cache is in a home directory, where apt's own user cannot read.
        ("APT::Sandbox::User", "root".to_owned()),
        // Nothing is installed, so dpkg's lock, which only root can take, is not needed.
        ("Debug::NoLocking", "true".to_owned()),
    ] {
        text.push_str(&format!("{key} \"{value}\";\n"));
    }
    text.push_str(&format!("#clear APT::Architectures;\nAPT::Architectures {{ \"{architecture}\"; }};\n"));
    for hook in ["APT::Update::Pre-Invoke", "APT::Update::Post-Invoke", "APT::Update::Post-Invoke-Success"] {
        text.push_str(&format!("#clear {hook};\n"));
    }
    text
}

/// The names in a Depends field; of alternatives, the first.
fn dependency_names(depends: &str) -> Vec<String> {
    let first = |term: &str| term.split('|').next().unwrap_or_default().trim().to_owned();
    let bare = |term: String| term.split([' ', '(', ':']).next().unwrap_or_default().to_owned();
    depends.split(',').map(first).map(bare).filter(|name| !name.is_empty()).collect()
}

/// Unpacks the files of a package for which `wanted` says so into `directory`, and removes the package. Nothing of it is run.
pub fn unpack(package: &Path, directory: &Path, wanted: fn(&Path) -> bool) -> Result<()> {
    let mut command = Command::new("dpkg-deb");
    command.arg("--fsys-tarfile").arg(package).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot start dpkg-deb (is this Debian or Ubuntu?)")?;
    let stdout = child.stdout.take().context("dpkg-deb has no output")?;
    let unpacked = unpack_tar(stdout, directory, wanted);
    let status = child.wait().context("cannot wait for dpkg-deb")?;
    unpacked.with_context(|| format!("cannot unpack {}", package.display()))?;
    if !status.success() {
        bail!("`{}` failed: {status}", shown(&command));
    }
    fs::remove_file(package).with_context(|| format!("cannot remove {}", package.display()))
}

fn unpack_tar(mut stream: impl io::Read, directory: &Path, wanted: fn(&Path) -> bool) -> Result<()> {
    let mut archive = tar::Archive::new(&mut stream);
    archive.set_preserve_mtime(false);
    for member in archive.entries()? {
        let mut member = member?;
        let path = member.path()?.into_owned();
        let path = path.strip_prefix(".").unwrap_or(&path);
        if path.as_os_str().is_empty() || member.header().entry_type().is_dir() || !wanted(path) {
            continue;
        }
        // unpack_in refuses to leave the directory.
        member.unpack_in(directory).with_context(|| format!("member {}", path.display()))?;
    }
    // To the end, so that dpkg-deb does not see its pipe closed.
    io::copy(&mut stream, &mut io::sink())?;
    Ok(())
}

fn debian_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        bail!("apt reported success but downloaded nothing into {}", directory.display());
    }
    announce(&format!("downloaded {} package(s)", files.len()));
    Ok(files)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_from_a_depends_field() {
        let depends = "linux-image-6.1.0-41-arm64 (= 6.1.158-1), debconf (>= 0.5) | debconf-2.0, libc6:any";
        assert_eq!(dependency_names(depends), ["linux-image-6.1.0-41-arm64", "debconf", "libc6"]);
        assert!(dependency_names("").is_empty());
    }

    #[test]
    fn only_wanted_members_are_unpacked_and_none_outside_the_directory() {
        let mut builder = tar::Builder::new(Vec::new());
        for path in ["./usr/bin/wanted", "./usr/share/doc/unwanted"] {
            let mut header = tar::Header::new_gnu();
            header.set_size(4);
            header.set_mode(0o644);
            builder.append_data(&mut header, path, &b"data"[..]).unwrap();
        }
        let archive = builder.into_inner().unwrap();
        let directory = tempfile::tempdir().unwrap();
        unpack_tar(&archive[..], directory.path(), |path| path.starts_with("usr/bin")).unwrap();
        assert_eq!(fs::read(directory.path().join("usr/bin/wanted")).unwrap(), b"data");
        assert!(!directory.path().join("usr/share").exists());
    }
}
