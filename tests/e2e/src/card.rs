//! SD cards for the emulated board: a partition table and a FAT file system, made by fatfs.

use std::fs::File;
use std::io::{Cursor, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow};
use tempfile::TempDir;

const BLOCK: usize = 512;
/// Bytes of the card. QEMU wants a power of two, and more than 2 GB where it is to be addressed by blocks; the file has holes.
const SMALL: u64 = 64 << 20;
const LARGE: u64 = 4 << 30;
/// Where the partition begins, as partitioning programs put it, and how long it is.
const START: usize = 1 << 20;
const PARTITION: usize = 48 << 20;

/// The controller that a card is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// EMMC2, at 0xfe340000: where a Raspberry Pi 4 has its slot. QEMU's `-drive if=sd` never reaches it.
    Emmc2,
    /// The older one, at 0xfe300000, where QEMU puts `-drive if=sd`.
    Emmc,
}

/// What a card is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SD of up to 2 GB with FAT16.
    Small,
    /// SDHC with FAT32.
    Large,
}

/// A card's image.
pub struct Card {
    directory: TempDir,
}

impl Card {
    /// A card with these files on its first partition; their directories are made.
    pub fn with(kind: Kind, files: &[(&str, &[u8])]) -> Result<Self> {
        let (fat, id, size) = match kind {
            Kind::Small => (fatfs::FatType::Fat16, 0x0e, SMALL),
            Kind::Large => (fatfs::FatType::Fat32, 0x0c, LARGE),
        };
        let mut partition = Cursor::new(vec![0; PARTITION]);
        let options = fatfs::FormatVolumeOptions::new().fat_type(fat).bytes_per_cluster(match kind {
            Kind::Small => 4096,
            Kind::Large => 512,
        });
        fatfs::format_volume(&mut partition, options).context("cannot make a FAT file system")?;
        {
            let volume = fatfs::FileSystem::new(&mut partition, fatfs::FsOptions::new()).context("cannot open it")?;
            for (path, bytes) in files {
                add(&volume, path, bytes).with_context(|| format!("cannot write {path}"))?;
            }
        }
        Self::raw(size, &[(0, &partition_table(id)), (START as u64, &partition.into_inner())])
    }

    /// A card of `size` bytes with these bytes at these places, and zeroes between.
    pub fn raw(size: u64, parts: &[(u64, &[u8])]) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("xenlift-card-").tempdir().context("no temporary directory")?;
        let card = Self { directory };
        let mut file = File::create(card.path()).context("cannot create a card's image")?;
        file.set_len(size).context("cannot make a card's image long enough")?;
        for (offset, bytes) in parts {
            file.seek(SeekFrom::Start(*offset))?;
            file.write_all(bytes).context("cannot write a card's image")?;
        }
        Ok(card)
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

fn add<T: fatfs::ReadWriteSeek>(volume: &fatfs::FileSystem<T>, path: &str, bytes: &[u8]) -> Result<()> {
    let mut at = 0;
    while let Some(slash) = path.get(at..).and_then(|rest| rest.find('/')) {
        at += slash;
        let directory = path.get(..at).unwrap_or_default();
        volume.root_dir().create_dir(directory).map_err(|error| anyhow!("{directory}: {error}"))?;
        at += 1;
    }
    let mut file = volume.root_dir().create_file(path)?;
    file.write_all(bytes)?;
    Ok(file.flush()?)
}

/// A master boot record with one bootable partition of that kind.
fn partition_table(kind: u8) -> Vec<u8> {
    let mut record = vec![0; 446];
    record.extend_from_slice(&[0x80, 0, 0, 0, kind, 0, 0, 0]);
    for number in [START / BLOCK, PARTITION / BLOCK] {
        record.extend_from_slice(&(number as u32).to_le_bytes());
    }
    record.resize(510, 0);
    record.extend_from_slice(&[0x55, 0xaa]);
    record
}
