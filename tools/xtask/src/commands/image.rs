//! `cargo xtask image`: what goes onto the board's card.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::cache::Cache;
use crate::loader::{self, workspace};
use crate::process::announce;
use crate::toolchain::Toolchain;

/// What the Pi 4's own boot ROM and EEPROM look for on the card (raspberrypi/documentation, boot folder contents).
const FIRMWARE: [&str; 2] = ["start4.elf", "fixup4.dat"];
/// What the user edits, from the board's directory.
const SETTINGS: [&str; 2] = ["config.txt", "loader.toml"];

/// Makes `target/sdcard/`, and with `onto` copies it to a card's mounted boot partition.
pub fn run(cache: &Cache, onto: Option<&Path>) -> Result<()> {
    let made = make(cache)?;
    announce(&format!("for the card: {}", made.display()));
    match onto {
        Some(card) => copy_onto(&made, card),
        None => Ok(()),
    }
}

fn make(cache: &Cache) -> Result<PathBuf> {
    let loader = loader::build(&Toolchain::find(cache)?)?;
    loader::announce_product(&loader);
    let directory = workspace().join("target/sdcard");
    fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    copy(&loader.bin, &directory.join("loader.bin"))?;
    for name in SETTINGS {
        copy(&workspace().join("boards/rpi4").join(name), &directory.join(name))?;
    }
    Ok(directory)
}

/// Copies onto a card that has the firmware's files. A config.txt of other content is kept beside the new one; a loader.toml that is
/// there already is the user's, and stays.
fn copy_onto(made: &Path, card: &Path) -> Result<()> {
    let missing: Vec<&str> = FIRMWARE.into_iter().filter(|name| !card.join(name).is_file()).collect();
    if !missing.is_empty() {
        bail!(
            "{} is not the boot partition of a Raspberry Pi 4's card: it lacks {}. Write Raspberry Pi OS to the card first, or copy \
             these files from the firmware's repository",
            card.display(),
            missing.join(" and ")
        );
    }
    copy(&made.join("loader.bin"), &card.join("loader.bin"))?;
    let (new, old, kept) = (made.join("config.txt"), card.join("config.txt"), card.join("config.txt.before-xenlift"));
    if old.is_file() && !kept.exists() && read(&old)? != read(&new)? {
        copy(&old, &kept)?;
        announce(&format!("the card's own config.txt is kept as {}", kept.display()));
    }
    copy(&new, &old)?;
    let settings = card.join("loader.toml");
    if settings.exists() {
        announce(&format!("{} is there already and stays as it is", settings.display()));
    } else {
        copy(&made.join("loader.toml"), &settings)?;
    }
    announce(&format!("copied onto {}; unmount it before taking the card out", card.display()));
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(|_| ()).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> tempfile::TempDir {
        let made = tempfile::tempdir().unwrap();
        for name in ["loader.bin", "config.txt", "loader.toml"] {
            fs::write(made.path().join(name), format!("new {name}")).unwrap();
        }
        made
    }

    #[test]
    fn a_directory_without_the_firmwares_files_is_refused_and_stays_untouched() {
        let card = tempfile::tempdir().unwrap();
        fs::write(card.path().join("start4.elf"), "").unwrap();
        let error = copy_onto(made().path(), card.path()).unwrap_err().to_string();
        assert!(error.contains("it lacks fixup4.dat"), "{error}");
        assert!(!card.path().join("loader.bin").exists());
    }

    #[test]
    fn what_the_user_had_is_kept() {
        let (made, card) = (made(), tempfile::tempdir().unwrap());
        let text = |name: &str| fs::read_to_string(card.path().join(name)).unwrap();
        for (name, content) in [("start4.elf", ""), ("fixup4.dat", ""), ("config.txt", "mine"), ("loader.toml", "mine")]
        {
            fs::write(card.path().join(name), content).unwrap();
        }
        // Twice: the second time, the config.txt on the card is ours and must not replace the user's.
        for _ in 0..2 {
            copy_onto(made.path(), card.path()).unwrap();
            assert_eq!(text("loader.bin"), "new loader.bin");
            assert_eq!(text("config.txt"), "new config.txt");
            assert_eq!(text("config.txt.before-xenlift"), "mine");
            assert_eq!(text("loader.toml"), "mine");
        }
    }
}
