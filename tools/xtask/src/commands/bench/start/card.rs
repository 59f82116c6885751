//! An SD card's image: one FAT partition with a few files, as U-Boot looks for its script.

use std::fs::File;
use std::io::{Cursor, Write};
use std::path::Path;

use anyhow::{Context, Result, anyhow};

const SECTOR: usize = 512;
/// The card's size in bytes: QEMU wants a power of two.
const CARD: usize = 64 << 20;
/// Where the partition begins, as partitioning programs put it.
const START: usize = 1 << 20;
/// FAT with addresses of sectors, up to 32 MiB and more.
const FAT16: u8 = 0x0e;

/// Writes the image of a card whose first partition has `files`, each with its name and content.
pub fn write(image: &Path, files: &[(&str, &[u8])]) -> Result<()> {
    let mut partition = Cursor::new(vec![0; CARD - START]);
    let format = fatfs::FormatVolumeOptions::new().fat_type(fatfs::FatType::Fat16);
    fatfs::format_volume(&mut partition, format).context("cannot make a FAT file system")?;
    {
        let volume = fatfs::FileSystem::new(&mut partition, fatfs::FsOptions::new()).context("cannot open it again")?;
        for (name, content) in files {
            let mut file =
                volume.root_dir().create_file(name).map_err(|error| anyhow!("cannot create {name}: {error}"))?;
            file.write_all(content).with_context(|| format!("cannot write {name}"))?;
            file.flush().with_context(|| format!("cannot write {name}"))?;
        }
    }
    let mut file = File::create(image).with_context(|| format!("cannot create {}", image.display()))?;
    let mut front = partition_table();
    front.resize(START, 0);
    front.extend_from_slice(&partition.into_inner());
    file.write_all(&front).with_context(|| format!("cannot write {}", image.display()))
}

/// A master boot record with one bootable partition.
fn partition_table() -> Vec<u8> {
    let mut record = vec![0; 446];
    record.extend_from_slice(&[0x80, 0, 0, 0, FAT16, 0, 0, 0]);
    for number in [START / SECTOR, (CARD - START) / SECTOR] {
        record.extend_from_slice(&(number as u32).to_le_bytes());
    }
    record.resize(510, 0);
    record.extend_from_slice(&[0x55, 0xaa]);
    record
}

/// Reads `name` back from a card made by [`write`].
#[cfg(test)]
fn read(image: &Path, name: &str) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let bytes = std::fs::read(image)?;
    let partition = bytes.get(START..).context("the card is too short")?.to_vec();
    let volume = fatfs::FileSystem::new(Cursor::new(partition), fatfs::FsOptions::new())?;
    let mut content = Vec::new();
    volume.root_dir().open_file(name)?.read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_on_a_card_of_a_size_that_the_emulator_takes() {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("card");
        write(&image, &[("boot.scr", b"script"), ("uboot.env", b"a=b")]).unwrap();
        assert_eq!(read(&image, "boot.scr").unwrap(), b"script");
        assert_eq!(read(&image, "uboot.env").unwrap(), b"a=b");
        let bytes = std::fs::read(&image).unwrap();
        assert!(bytes.len().is_power_of_two());
        assert_eq!(bytes[510..512], [0x55, 0xaa]);
        assert_eq!(u32::from_le_bytes(bytes[454..458].try_into().unwrap()) as usize * SECTOR, START);
    }
}
