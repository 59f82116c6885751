//! The files that a script finds: a directory, which stands for both the card's first partition and what the TFTP server has.

use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use xenlift::shell::Failure;
use xenlift::shell::platform::{DirectoryEntry, Partition};
use xenlift::shell::simulation::{Files, Shelf};

/// The directory.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The directory `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where the file `path` of a shelf is: whatever a script says, nothing outside. As on a FAT, capitals do not count on a card; and `..` takes a name
    /// of the path back, as the board has it (menus name files by `../`).
    fn find(&self, on_card: bool, path: &str) -> Result<PathBuf, Failure> {
        let mut names = Vec::new();
        for component in Path::new(path.trim_start_matches('/')).components() {
            let inside = match component {
                Component::Normal(name) => {
                    names.push(name);
                    true
                }
                Component::CurDir => true,
                Component::ParentDir => names.pop().is_some(),
                _ => false,
            };
            if !inside {
                return Err(Failure::because(format!("{path} leads out of {}", self.path.display())));
            }
        }
        Ok(names.into_iter().fold(self.path.clone(), |found, name| {
            let exact = found.join(name);
            let other = on_card && !exact.exists();
            if other { self.alike(&found, &name.to_string_lossy()).unwrap_or(exact) } else { exact }
        }))
    }

    /// What is called `name` but for capitals.
    fn alike(&self, directory: &Path, name: &str) -> Option<PathBuf> {
        let mut entries = fs::read_dir(directory).ok()?.flatten();
        entries.find(|entry| entry.file_name().to_string_lossy().eq_ignore_ascii_case(name)).map(|entry| entry.path())
    }
}

/// Why the file `path` of a shelf was not read at `looked`.
fn not_read(shelf: &str, path: &str, looked: &Path, error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            Failure::because(format!("{path} is not on the {shelf}: there is no {}", looked.display()))
        }
        _ => Failure::because(format!("{}: {error}", looked.display())),
    }
}

/// Only the first partition of the first card is there, as on most boards.
fn check(partition: &Partition) -> Result<(), Failure> {
    match (partition.interface.as_str(), partition.device, partition.partition) {
        ("mmc", 0, None | Some(1)) => Ok(()),
        ("mmc", 0, Some(number)) => Err(Failure::because(format!(
            "partition {number:x} of the card cannot be tried: the directory stands for the first, mmc 0:1"
        ))),
        _ => Err(Failure::because(format!("there is no {partition}; the card in the board's slot is mmc 0"))),
    }
}

impl Files for Directory {
    fn read(&mut self, shelf: Shelf<'_>, path: &str) -> Result<Vec<u8>, Failure> {
        let (on_card, shelf) = match shelf {
            Shelf::Server(_) => (false, "TFTP server"),
            Shelf::Card(partition) => {
                check(partition)?;
                (true, "card")
            }
        };
        let looked = self.find(on_card, path)?;
        fs::read(&looked).map_err(|error| not_read(shelf, path, &looked, &error))
    }

    fn list(&mut self, partition: &Partition, path: &str) -> Result<Vec<DirectoryEntry>, Failure> {
        check(partition)?;
        let looked = self.find(true, path)?;
        let wrong = |error: std::io::Error| not_read("card", path, &looked, &error);
        let mut entries = Vec::new();
        for entry in fs::read_dir(&looked).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            let metadata = entry.metadata().map_err(wrong)?;
            let size = metadata.is_file().then_some(metadata.len());
            entries.push(DirectoryEntry { name: entry.file_name().to_string_lossy().into_owned(), size });
        }
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }
}
