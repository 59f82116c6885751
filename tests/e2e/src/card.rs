//! SD cards in the emulated board's slot.

use std::path::PathBuf;
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};
use tempfile::TempDir;
use xtask::card;
pub use xtask::card::Kind;

/// The controller that a card is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// EMMC2, at 0xfe340000: where a Raspberry Pi 4 has its slot. QEMU's `-drive if=sd` never reaches it.
    Emmc2,
    /// The older one, at 0xfe300000, where QEMU puts `-drive if=sd`.
    Emmc,
}

/// A card's image.
pub struct Card {
    directory: TempDir,
}

impl Card {
    /// A card with these files on its first partition; their directories are made.
    pub fn with(kind: Kind, files: &[(&str, &[u8])]) -> Result<Self> {
        let card = Self::new()?;
        card::write(&card.path(), kind, files)?;
        Ok(card)
    }

    /// A card of `size` bytes with these bytes at these places, and zeroes between.
    pub fn raw(size: u64, parts: &[(u64, &[u8])]) -> Result<Self> {
        let card = Self::new()?;
        card::write_raw(&card.path(), size, parts)?;
        Ok(card)
    }

    fn new() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("xenlift-card-").tempdir().context("no temporary directory")?;
        Ok(Self { directory })
    }

    /// When the image was last written to. QEMU takes no card that is read-only, but writes through to the image.
    pub fn written(&self) -> Result<SystemTime> {
        std::fs::metadata(self.path()).and_then(|data| data.modified()).context("cannot look at a card's image")
    }

    /// The image.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("card")
    }

    /// Puts the card into the board's slot.
    pub fn attach(&self, board: &mut Command, controller: Controller) {
        let drive = format!("format=raw,file={}", self.path().display());
        match controller {
            Controller::Emmc => _ = board.arg("-drive").arg(format!("if=sd,{drive}")),
            Controller::Emmc2 => {
                // The first of that name in QEMU's list of devices is the one that was made last, EMMC2.
                board.arg("-drive").arg(format!("if=none,id=card,{drive}"));
                board.args(["-device", "sd-card,drive=card,bus=/generic-sdhci/sd-bus"]);
            }
        }
    }
}
