//! A FAT file system's own description: where it has what, and the chains of clusters that its table makes.

use super::partition::Partition;
use super::{BLOCK, BlockDevice, Content, Error, Unreadable, read_block, u16_at, u32_at};

/// Fewer clusters than these are FAT12, and more than those no FAT16 can number (fatgen103, "FAT type determination"). That a file system is
/// FAT32 shows by its having no 16-bit length of the table, whatever its number of clusters: so Linux and U-Boot take it, and
/// `mkfs.vfat -F 32` makes small ones.
const LEAST_OF_FAT16: u64 = 4085;
const MOST_OF_FAT16: u64 = 65_524;

/// Blocks of the table that are read at once.
const WINDOW: u32 = 8;

/// Where the root directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// FAT16: blocks of its own, the first on the card and how many.
    Blocks(u32, u32),
    /// FAT32: a chain of clusters, from this one on.
    Chain(u32),
}

/// Where a FAT16 or FAT32 file system has what. Every block that is computed from it lies on the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The first block of the table on the card.
    table: u32,
    /// The block on the card of cluster 2, the first.
    data: u32,
    /// Blocks of a cluster, 1 to 128.
    pub(super) cluster_blocks: u32,
    /// Clusters have the numbers 2 to `clusters + 1`.
    pub(super) clusters: u32,
    pub(super) root: Root,
}

impl Volume {
    /// The file system of `partition`.
    ///
    /// # Errors
    /// [`Error::Unreadable`], [`Error::NotFat`], [`Error::Damaged`].
    pub fn open(device: &mut dyn BlockDevice, partition: &Partition) -> Result<Self, Error> {
        let first = read_block(device, partition.first)?;
        match Self::parse(&first, partition) {
            Err(Error::NotFat { number, content: Content::Unknown }) if partition.blocks > 2 => {
                // The superblock of ext2 and its successors lies 1024 bytes in, its magic number 56 bytes further.
                let superblock = read_block(device, partition.first.saturating_add(2))?;
                let content = if u16_at(&superblock, 56) == 0xef53 { Content::Ext } else { Content::Unknown };
                Err(Error::NotFat { number, content })
            }
            other => other,
        }
    }

    /// From a partition's first block.
    pub(super) fn parse(block: &[u8; BLOCK], partition: &Partition) -> Result<Self, Error> {
        let number = partition.number;
        let not_fat = |content| Error::NotFat { number, content };
        match block.get(3..11) {
            Some(b"EXFAT   ") => return Err(not_fat(Content::ExFat)),
            Some(b"NTFS    ") => return Err(not_fat(Content::Ntfs)),
            _ => {}
        }
        let [jump, _, nop, ..] = *block;
        let fats = u64::from(block[16]);
        if u16_at(block, 510) != 0xaa55 || !(jump == 0xeb && nop == 0x90 || jump == 0xe9) || !(1..=4).contains(&fats) {
            return Err(not_fat(Content::Unknown));
        }
        let sector = u16_at(block, 11);
        if usize::from(sector) != BLOCK {
            return Err(not_fat(Content::Sectors(sector)));
        }
        let either = |short: u16, long: u32| if short != 0 { u64::from(short) } else { u64::from(long) };
        let cluster_blocks = u32::from(block[13]);
        let reserved = u64::from(u16_at(block, 14));
        let root_entries = u64::from(u16_at(block, 17));
        let total = either(u16_at(block, 19), u32_at(block, 32));
        let table_blocks = either(u16_at(block, 22), u32_at(block, 36));
        let root_blocks = (root_entries * 32).div_ceil(BLOCK as u64);
        let root = reserved + fats * table_blocks;
        let data = root + root_blocks;
        if !cluster_blocks.is_power_of_two() || reserved == 0 || table_blocks == 0 || total <= data {
            return Err(Error::Damaged { number });
        }
        let clusters = (total - data) / u64::from(cluster_blocks);
        let is_fat32 = u16_at(block, 22) == 0;
        if clusters < LEAST_OF_FAT16 && !is_fat32 {
            return Err(not_fat(Content::Fat12));
        }
        // What the volume claims beyond the partition, or its table, is not there.
        let there = u64::from(partition.blocks).saturating_sub(data) / u64::from(cluster_blocks);
        let described = table_blocks * BLOCK as u64 / if is_fat32 { 4 } else { 2 };
        let clusters = clusters.min(there).min(described.saturating_sub(2));
        if clusters == 0 || is_fat32 != (root_entries == 0) || !is_fat32 && clusters > MOST_OF_FAT16 {
            return Err(Error::Damaged { number });
        }
        // FAT32 can say that only one of its tables counts.
        let flags = u16_at(block, 40);
        let active = if is_fat32 && flags & 0x80 != 0 { u64::from(flags & 0xf) % fats } else { 0 };
        let on_card = |block: u64| {
            let block = u64::from(partition.first) + block;
            u32::try_from(block).map_err(|_| Error::Damaged { number })
        };
        Ok(Self {
            table: on_card(reserved + active * table_blocks)?,
            data: on_card(data)?,
            cluster_blocks,
            clusters: u32::try_from(clusters).map_err(|_| Error::Damaged { number })?,
            root: match is_fat32 {
                true => Root::Chain(u32_at(block, 44)),
                false => Root::Blocks(on_card(root)?, root_blocks as u32),
            },
        })
    }

    fn has(&self, cluster: u32) -> bool {
        cluster >= 2 && cluster - 2 < self.clusters
    }

    /// The first block of `cluster` on the card.
    pub(super) fn block_of(&self, cluster: u32) -> Result<u32, Error> {
        let block = u64::from(self.data) + u64::from(cluster.saturating_sub(2)) * u64::from(self.cluster_blocks);
        match u32::try_from(block) {
            Ok(block) if self.has(cluster) => Ok(block),
            _ => Err(Error::Chain { cluster }),
        }
    }

    /// Bytes of a cluster.
    pub(super) fn cluster_bytes(&self) -> u64 {
        u64::from(self.cluster_blocks) * BLOCK as u64
    }
}

/// The part of the table that was looked at last.
pub(super) struct Table {
    bytes: [u8; WINDOW as usize * BLOCK],
    /// Its first block on the card.
    first: Option<u32>,
}

impl Table {
    pub fn new() -> Self {
        Self { bytes: [0; WINDOW as usize * BLOCK], first: None }
    }

    /// The cluster after `cluster`; `None` at the end of a chain.
    fn next(&mut self, device: &mut dyn BlockDevice, volume: &Volume, cluster: u32) -> Result<Option<u32>, Error> {
        if !volume.has(cluster) {
            return Err(Error::Chain { cluster });
        }
        let width = if matches!(volume.root, Root::Chain(_)) { 4 } else { 2 };
        let offset = u64::from(cluster) * width;
        let block = volume.table.saturating_add((offset / BLOCK as u64) as u32);
        let within = self.show(device, block)? + (offset % BLOCK as u64) as usize;
        let next = match width {
            4 => u32_at(&self.bytes, within) & 0x0fff_ffff,
            // So that ends and bad clusters have the same numbers in both.
            _ => match u32::from(u16_at(&self.bytes, within)) {
                mark @ 0xfff0.. => mark | 0x0fff_0000,
                next => next,
            },
        };
        match next {
            0x0fff_fff8.. => Ok(None),
            _ if volume.has(next) => Ok(Some(next)),
            _ => Err(Error::Chain { cluster }),
        }
    }

    /// Makes `block` readable; where in `bytes` it then begins.
    fn show(&mut self, device: &mut dyn BlockDevice, block: u32) -> Result<usize, Error> {
        let shown = self.first.filter(|first| (*first..first.saturating_add(WINDOW)).contains(&block));
        let first = match shown {
            Some(first) => first,
            None => {
                self.first = None;
                // The table may end, with the device, in the middle of a window.
                let there = device.blocks().saturating_sub(block).min(WINDOW) as usize * BLOCK;
                let part = self.bytes.get_mut(..there).filter(|part| !part.is_empty());
                let part = part.ok_or(Error::Unreadable { block })?;
                device.read(block, part).map_err(|Unreadable| Error::Unreadable { block })?;
                *self.first.insert(block)
            }
        };
        Ok((block - first) as usize * BLOCK)
    }
}

/// A walk along a chain of clusters, which notices when it goes round in a circle.
pub(super) struct Chain {
    cluster: u32,
    /// A cluster that was passed. It is moved up after 1, 2, 4, 8 … steps, so that a circle leads over it sooner or later (R. P.
    /// Brent, 1980).
    mark: u32,
    steps_to_mark: u32,
    steps: u32,
}

impl Chain {
    /// From `cluster` on.
    pub fn new(cluster: u32) -> Self {
        Self { cluster, mark: cluster, steps_to_mark: 1, steps: 0 }
    }

    /// Where the walk is.
    pub fn cluster(&self) -> u32 {
        self.cluster
    }

    /// Goes on; `false` at the end.
    pub fn advance(&mut self, device: &mut dyn BlockDevice, volume: &Volume, table: &mut Table) -> Result<bool, Error> {
        let Some(next) = table.next(device, volume, self.cluster)? else { return Ok(false) };
        if next == self.mark {
            return Err(Error::Chain { cluster: self.cluster });
        }
        self.cluster = next;
        self.steps += 1;
        if self.steps == self.steps_to_mark {
            self.mark = next;
            self.steps = 0;
            self.steps_to_mark = self.steps_to_mark.saturating_mul(2);
        }
        Ok(true)
    }
}
