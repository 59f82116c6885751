//! Paths and files of a FAT file system.

use super::directory::{Assembler, ENTRY, Entry, MOST_ENTRIES, Step};
use super::partition::Partition;
use super::volume::{Chain, Root, Table, Volume};
use super::{BLOCK, BlockDevice, Error, Unreadable};
use crate::net::tftp::Sink;
use alloc::vec;
use alloc::vec::Vec;

/// Blocks of a file that are read at once: as many as one command brings on the board.
const FILE_BLOCKS: usize = 128;
/// Blocks of a directory that are read at once: 64 entries, most of the Raspberry Pi's boot partition.
const DIRECTORY_BLOCKS: usize = 8;

/// A FAT file system on a device.
pub struct FileSystem<'d> {
    device: &'d mut dyn BlockDevice,
    volume: Volume,
    table: Table,
}

/// A directory: the root, or a chain of clusters.
#[derive(Clone, Copy)]
struct Directory(Root);

impl<'d> FileSystem<'d> {
    /// The file system of `partition`.
    ///
    /// # Errors
    /// Those of [`Volume::open`].
    pub fn open(device: &'d mut dyn BlockDevice, partition: &Partition) -> Result<Self, Error> {
        let volume = Volume::open(device, partition)?;
        Ok(Self { device, volume, table: Table::new() })
    }

    /// What is in the directory `path`, in the order of the disk, up to `most` entries; and whether that is all. The empty path and `/` are the root.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotADirectory`], and whatever keeps a directory from being read.
    pub fn list(&mut self, path: &str, most: usize) -> Result<(Vec<Entry>, bool), Error> {
        let directory = match self.resolve(path)? {
            None => Directory(self.volume.root),
            Some(entry) => self.directory(&entry)?,
        };
        let (mut entries, mut all) = (Vec::new(), true);
        self.walk(directory, &mut |entry| {
            all = entries.len() < most;
            if all {
                entries.push(entry);
            }
            all
        })?;
        Ok((entries, all))
    }

    /// The file or directory at `path`. Upper and lower case are the same; `.` and `..` lead where they should.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotADirectory`], [`Error::IsADirectory`] for the root, which has no entry.
    pub fn find(&mut self, path: &str) -> Result<Entry, Error> {
        self.resolve(path)?.ok_or(Error::IsADirectory)
    }

    /// Which of `paths` there are, as files or directories. A directory is read once, however many of them lead through it.
    ///
    /// # Errors
    /// What keeps one of the directories from being read.
    pub fn which(&mut self, paths: &[&str]) -> Result<Vec<bool>, Error> {
        let mut there = vec![false; paths.len()];
        let mut left: Vec<(Directory, Vec<(usize, &str)>)> = Vec::new();
        left.push((Directory(self.volume.root), paths.iter().copied().enumerate().collect()));
        while let Some((directory, mut wanted)) = left.pop() {
            self.walk(directory, &mut |entry| {
                let mut below = Vec::new();
                // The first of a name counts, as everywhere.
                wanted.retain(|&(index, path)| {
                    let (name, rest) = path.split_once('/').map_or((path, None), |(name, rest)| (name, Some(rest)));
                    let found = entry.is_called(name);
                    match (found, rest) {
                        (true, None) => there.iter_mut().skip(index).take(1).for_each(|there| *there = true),
                        (true, Some(rest)) if entry.is_directory => below.push((index, rest)),
                        _ => {}
                    }
                    !found
                });
                if !below.is_empty() {
                    left.push((Directory(Root::Chain(entry.cluster)), below));
                }
                !wanted.is_empty()
            })?;
        }
        Ok(there)
    }

    /// Sends `length` bytes of a file from `offset` on (all that there are, without a length) to `sink`. Gives how many there were.
    ///
    /// # Errors
    /// [`Error::IsADirectory`], [`Error::Refused`], and what is wrong with the file system or the device.
    pub fn read(&mut self, entry: &Entry, offset: u64, length: Option<u64>, sink: &mut dyn Sink) -> Result<u64, Error> {
        if entry.is_directory {
            return Err(Error::IsADirectory);
        }
        let end = offset.saturating_add(length.unwrap_or(u64::MAX)).min(entry.size.into());
        let start = offset.min(end);
        let found = u64::from(self.volume.clusters) * self.volume.cluster_bytes();
        if u64::from(entry.size) > found {
            return Err(Error::Short { size: entry.size, found });
        }
        sink.begin(Some(end - start)).map_err(Error::Refused)?;
        if start < end {
            self.send(entry, start, end, sink)?;
        }
        sink.end(end - start);
        Ok(end - start)
    }

    /// Sends the bytes from `start` to `end`, of which there is at least one, run by run of clusters that lie one behind the other.
    fn send(&mut self, entry: &Entry, start: u64, end: u64, sink: &mut dyn Sink) -> Result<(), Error> {
        let cluster_bytes = self.volume.cluster_bytes();
        let most = FILE_BLOCKS.min((end - start).div_ceil(BLOCK as u64) as usize + 1);
        let mut buffer = vec![0; most * BLOCK];
        let mut chain = Chain::new(entry.cluster);
        // The file's offset of the chain's present cluster.
        let mut at = 0;
        let mut position = start;
        while position < end {
            while at + cluster_bytes <= position {
                self.advance(&mut chain, entry, &mut at)?;
            }
            let first = chain.cluster();
            let run_start = at;
            let mut run_end = at + cluster_bytes;
            while run_end < end {
                let before = chain.cluster();
                self.advance(&mut chain, entry, &mut at)?;
                if chain.cluster() != before + 1 {
                    break;
                }
                run_end += cluster_bytes;
            }
            let first = self.volume.block_of(first)?;
            let run_end = run_end.min(end);
            while position < run_end {
                let within = position - run_start;
                let skip = (within % BLOCK as u64) as usize;
                let block = first.saturating_add((within / BLOCK as u64) as u32);
                let wanted = (run_end - position) as usize + skip;
                let whole = (wanted.div_ceil(BLOCK) * BLOCK).min(buffer.len());
                let part = buffer.get_mut(..whole).unwrap_or_default();
                self.device.read(block, part).map_err(|Unreadable| Error::Unreadable { block })?;
                let bytes = part.get(skip..wanted.min(whole)).unwrap_or_default();
                sink.write(position - start, bytes).map_err(Error::Refused)?;
                position += bytes.len() as u64;
            }
        }
        Ok(())
    }

    /// The next cluster of a file, which must have one.
    fn advance(&mut self, chain: &mut Chain, entry: &Entry, at: &mut u64) -> Result<(), Error> {
        *at += self.volume.cluster_bytes();
        match chain.advance(self.device, &self.volume, &mut self.table)? {
            true => Ok(()),
            false => Err(Error::Short { size: entry.size, found: *at }),
        }
    }

    /// Follows `path` from the root; `None` is the root itself.
    fn resolve(&mut self, path: &str) -> Result<Option<Entry>, Error> {
        let mut names: Vec<&str> = Vec::new();
        // A backslash is in no name of a FAT file system; U-Boot takes it for a slash.
        for name in path.split(['/', '\\']) {
            match name {
                "" | "." => {}
                // By the path and not by the entry of that name on the disk.
                ".." => drop(names.pop()),
                _ => names.push(name),
            }
        }
        let mut found: Option<Entry> = None;
        for name in names {
            let directory = match &found {
                None => Directory(self.volume.root),
                Some(entry) => self.directory(entry)?,
            };
            found = Some(self.find_in(directory, name)?);
        }
        Ok(found)
    }

    fn find_in(&mut self, directory: Directory, name: &str) -> Result<Entry, Error> {
        let mut found = None;
        self.walk(directory, &mut |entry| {
            if entry.is_called(name) {
                found = Some(entry);
            }
            found.is_none()
        })?;
        found.ok_or(Error::NotFound)
    }

    fn directory(&self, entry: &Entry) -> Result<Directory, Error> {
        if !entry.is_directory {
            return Err(Error::NotADirectory);
        }
        // Cluster 0 is how `..` names the root; no other directory begins there.
        Ok(Directory(Root::Chain(entry.cluster)))
    }

    /// Calls `visit` with each entry until it says `false`.
    fn walk(&mut self, directory: Directory, visit: &mut dyn FnMut(Entry) -> bool) -> Result<(), Error> {
        let mut assembler = Assembler::new();
        let mut left = MOST_ENTRIES;
        let mut chain = match directory.0 {
            Root::Blocks(first, count) => {
                return self.walk_blocks(first, count, &mut assembler, &mut left, visit).map(drop);
            }
            Root::Chain(cluster) => Chain::new(cluster),
        };
        loop {
            let first = self.volume.block_of(chain.cluster())?;
            if self.walk_blocks(first, self.volume.cluster_blocks, &mut assembler, &mut left, visit)?
                || !chain.advance(self.device, &self.volume, &mut self.table)?
            {
                return Ok(());
            }
        }
    }

    /// Visits the entries of `count` blocks. Says whether that was the end, or enough.
    fn walk_blocks(
        &mut self,
        first: u32,
        count: u32,
        assembler: &mut Assembler,
        left: &mut usize,
        visit: &mut dyn FnMut(Entry) -> bool,
    ) -> Result<bool, Error> {
        let is_fat32 = matches!(self.volume.root, Root::Chain(_));
        let mut buffer = [0; DIRECTORY_BLOCKS * BLOCK];
        for at in (0..count).step_by(DIRECTORY_BLOCKS) {
            let block = first.saturating_add(at);
            let blocks = DIRECTORY_BLOCKS.min((count - at) as usize);
            let part = buffer.get_mut(..blocks * BLOCK).unwrap_or_default();
            self.device.read(block, part).map_err(|Unreadable| Error::Unreadable { block })?;
            let (entries, _) = part.as_chunks::<ENTRY>();
            for bytes in entries {
                *left = left.checked_sub(1).ok_or(Error::Endless)?;
                match assembler.take(bytes, is_fat32) {
                    Step::Entry(entry) => {
                        if !visit(entry) {
                            return Ok(true);
                        }
                    }
                    Step::Nothing => {}
                    Step::End => return Ok(true),
                }
            }
        }
        Ok(false)
    }
}

impl core::fmt::Debug for FileSystem<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.volume.fmt(f)
    }
}
