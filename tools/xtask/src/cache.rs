//! What is built or fetched once and kept: outside the checkout, under a name that contains a hash of everything that went into it.
//!
//! An entry appears by one rename, so it is whole or absent; a lock file per entry lets two runs at once share the work. Removing the
//! whole directory is always safe.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::process::announce;

/// The directory of what is kept between runs, and whether anything may be fetched from outside.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
    offline: bool,
}

impl Cache {
    /// `$XENLIFT_CACHE`, else `$XDG_CACHE_HOME/xenlift`, else `~/.cache/xenlift`. With `offline` an entry that needs the network is an
    /// error that says what is missing.
    pub fn open(offline: bool) -> Result<Self> {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let root = set("XENLIFT_CACHE")
            .or_else(|| set("XDG_CACHE_HOME").map(|directory| directory.join("xenlift")))
            .or_else(|| set("HOME").map(|directory| directory.join(".cache/xenlift")))
            .context("no place for the cache: set XENLIFT_CACHE to a directory")?;
        Self::at(&root, offline)
    }

    /// A cache in `root`, which is created if it is not there.
    pub fn at(root: &Path, offline: bool) -> Result<Self> {
        fs::create_dir_all(root).with_context(|| format!("cannot create the cache directory {}", root.display()))?;
        let root = root.canonicalize().with_context(|| format!("cannot resolve {}", root.display()))?;
        Ok(Self { root, offline })
    }

    /// Whether nothing may be fetched from outside.
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// Where the cache lies.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of `entry`, built now by `build` if it is not there. `build` fills an empty directory, which is then renamed into
    /// place; it must not write that directory's name anywhere.
    pub fn entry(&self, entry: &Entry, build: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let place = self.place(entry);
        if place.is_dir() {
            return Ok(place);
        }
        if self.offline && entry.needs_network {
            bail!("missing, and --offline forbids fetching it: {} (it would be {})", entry.describes, place.display());
        }
        let _lock = self.lock(&format!("{}-{}", entry.kind, entry.hash()))?;
        if place.is_dir() {
            return Ok(place);
        }
        announce(&format!("{}: once, kept in {}", entry.describes, place.display()));
        let staging = place.with_extension("building");
        remove_tree(&staging)?;
        fs::create_dir_all(&staging).with_context(|| format!("cannot create {}", staging.display()))?;
        if let Err(error) = build(&staging) {
            remove_tree(&staging)?;
            return Err(error.context(format!("could not set up: {}", entry.describes)));
        }
        fs::rename(&staging, &place).with_context(|| format!("cannot rename {} into place", staging.display()))?;
        Ok(place)
    }

    /// Where `entry` is, or will be.
    pub fn place(&self, entry: &Entry) -> PathBuf {
        self.root.join(entry.kind).join(format!("{}-{}", entry.name, entry.hash()))
    }

    /// A directory that outlives entries, such as apt's lists. Guard its use with [`lock`](Self::lock).
    pub fn state(&self, name: &str) -> Result<PathBuf> {
        let directory = self.root.join("state").join(name);
        fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
        Ok(directory)
    }

    /// Waits until this run alone holds the lock `name`, and holds it until the value is dropped.
    pub fn lock(&self, name: &str) -> Result<File> {
        let directory = self.root.join("locks");
        fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
        let path = directory.join(name);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        if file.try_lock().is_err() {
            announce(&format!("waiting for another run that holds {}", path.display()));
            file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        }
        Ok(file)
    }
}

/// The identity of something cached: what it is, and a hash over everything that determines its content.
#[derive(Clone, Debug)]
pub struct Entry {
    kind: &'static str,
    name: String,
    describes: String,
    hasher: Sha256,
    needs_network: bool,
}

impl Entry {
    /// `kind` is the directory of its like, `name` what a person recognises, `describes` what is said before it is built.
    pub fn new(kind: &'static str, name: &str, describes: &str) -> Self {
        let entry = Self {
            kind,
            name: name.to_owned(),
            describes: describes.to_owned(),
            hasher: Sha256::new(),
            needs_network: false,
        };
        entry.input(kind).input(name)
    }

    /// Adds one input that determines the content.
    #[must_use]
    pub fn input(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        // With its length, so that "ab" + "c" and "a" + "bc" differ.
        self.hasher.update((bytes.len() as u64).to_le_bytes());
        self.hasher.update(bytes);
        self
    }

    /// Building it reaches out, so `--offline` refuses to.
    #[must_use]
    pub fn needs_network(mut self) -> Self {
        self.needs_network = true;
        self
    }

    fn hash(&self) -> String {
        hex(&self.hasher.clone().finalize()).chars().take(16).collect()
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of a file, in hexadecimal digits.
pub fn file_sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut buffer).with_context(|| format!("cannot read {}", path.display()))?;
        if count == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
    }
}

fn remove_tree(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_built_once() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path(), false).unwrap();
        let entry = Entry::new("things", "thing", "a thing").input("1");
        let mut built = 0;
        for _ in 0..2 {
            let place = cache
                .entry(&entry, |staging| {
                    built += 1;
                    fs::write(staging.join("file"), "content").map_err(Into::into)
                })
                .unwrap();
            assert_eq!(fs::read_to_string(place.join("file")).unwrap(), "content");
        }
        assert_eq!(built, 1);
    }

    #[test]
    fn a_failed_build_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path(), false).unwrap();
        let entry = Entry::new("things", "thing", "a thing");
        let error = cache.entry(&entry, |_| bail!("no luck")).unwrap_err();
        assert_eq!(format!("{error:#}"), "could not set up: a thing: no luck");
        assert_eq!(fs::read_dir(directory.path().join("things")).unwrap().count(), 0);
    }

    #[test]
    fn offline_says_what_is_missing_and_still_builds_what_needs_no_network() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path(), true).unwrap();
        let fetched = Entry::new("things", "thing", "Debian's Xen").needs_network();
        let error = cache.entry(&fetched, |_| Ok(())).unwrap_err().to_string();
        assert!(error.starts_with("missing, and --offline forbids fetching it: Debian's Xen"), "{error}");
        assert!(cache.entry(&Entry::new("things", "local", "a local thing"), |_| Ok(())).is_ok());
    }

    #[test]
    fn different_inputs_have_different_places() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path(), false).unwrap();
        let entry = || Entry::new("things", "thing", "a thing");
        assert_ne!(cache.place(&entry().input("ab").input("c")), cache.place(&entry().input("a").input("bc")));
    }
}
