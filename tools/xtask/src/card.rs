//! SD cards' images, for the emulated board: a partition table and one FAT partition with files, made by fatfs.

use std::fs::File;
use std::io::{Cursor, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result, anyhow};

const BLOCK: usize = 512;
/// Where the partition begins, in bytes, as partitioning programs put it, and how long it is.
const START: usize = 1 << 20;
const PARTITION: usize = 63 << 20;

/// What a card is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SD of up to 2 GB with FAT16.
    Small,
    /// SDHC with FAT32.
    Large,
}

impl Kind {
    /// Bytes of the card. QEMU wants a power of two, and more than 2 GB where it is to be addressed by blocks; the file has holes.
    fn size(self) -> u64 {
        match self {
            Self::Small => 64 << 20,
            Self::Large => 4 << 30,
        }
    }
}

/// Writes the image of a card whose first partition has `files`, each with its path and content; their directories are made.
pub fn write(image: &Path, kind: Kind, files: &[(&str, &[u8])]) -> Result<()> {
    let (fat, id, cluster) = match kind {
        Kind::Small => (fatfs::FatType::Fat16, 0x0e, 4096),
        Kind::Large => (fatfs::FatType::Fat32, 0x0c, 512),
    };
    let mut partition = Cursor::new(vec![0; PARTITION]);
    let options = fatfs::FormatVolumeOptions::new().fat_type(fat).bytes_per_cluster(cluster);
    fatfs::format_volume(&mut partition, options).context("cannot make a FAT file system")?;
    {
        let volume = fatfs::FileSystem::new(&mut partition, fatfs::FsOptions::new()).context("cannot open it again")?;
        for (path, bytes) in files {
            add(&volume, path, bytes).with_context(|| format!("cannot write {path}"))?;
        }
    }
    write_raw(image, kind.size(), &[(0, &partition_table(id)), (START as u64, &partition.into_inner())])
}

/// Writes the image of a card of `size` bytes with these bytes at these places, and zeroes between.
pub fn write_raw(image: &Path, size: u64, parts: &[(u64, &[u8])]) -> Result<()> {
    let mut file = File::create(image).with_context(|| format!("cannot create {}", image.display()))?;
    file.set_len(size).context("cannot make a card's image long enough")?;
    for (offset, bytes) in parts {
        file.seek(SeekFrom::Start(*offset))?;
        file.write_all(bytes).with_context(|| format!("cannot write {}", image.display()))?;
    }
    Ok(())
}

fn add<T: fatfs::ReadWriteSeek>(volume: &fatfs::FileSystem<T>, path: &str, bytes: &[u8]) -> Result<()> {
    for (slash, _) in path.match_indices('/') {
        let directory = path.get(..slash).unwrap_or_default();
        volume.root_dir().create_dir(directory).map_err(|error| anyhow!("{directory}: {error}"))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `name` back.
    fn read(image: &[u8], name: &str) -> Vec<u8> {
        use std::io::Read as _;
        let partition = Cursor::new(image[START..START + PARTITION].to_vec());
        let volume = fatfs::FileSystem::new(partition, fatfs::FsOptions::new()).unwrap();
        let mut content = Vec::new();
        volume.root_dir().open_file(name).unwrap().read_to_end(&mut content).unwrap();
        content
    }

    #[test]
    fn what_is_written_is_on_a_card_of_a_size_that_the_emulator_takes() {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("card");
        write(&image, Kind::Small, &[("boot/boot.scr", b"script"), ("uboot.env", b"a=b")]).unwrap();
        let bytes = std::fs::read(&image).unwrap();
        assert_eq!(read(&bytes, "boot/boot.scr"), b"script");
        assert_eq!(read(&bytes, "uboot.env"), b"a=b");
        assert!(bytes.len().is_power_of_two());
        assert_eq!(bytes[510..512], [0x55, 0xaa]);
        assert_eq!(u32::from_le_bytes(bytes[454..458].try_into().unwrap()) as usize * BLOCK, START);
    }
}
