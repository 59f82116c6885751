//! The card slot, as the boot uses it: found in the tree, opened when something is wanted of it, watched while it works.
//!
//! Which controller the card is on is tried in the order in which the tree's roles make it likely: EMMC2, where the Raspberry Pi 4 has its
//! slot and the Compute Module its eMMC; then the older controller, on which a 4B has its WiFi (that answers nothing a card would) and
//! QEMU's raspi4b the card of `-drive if=sd`. U-Boot probes the same two. An empty slot costs some milliseconds.

use crate::board::{Block, Board};
use crate::boot::bring_up::Keeper;
use crate::boot::network::Watch;
use crate::boot::plan::CardFiles;
use crate::card::directory::Entry;
use crate::card::partition::{Partition, partitions, table_number};
use crate::card::{self, BlockDevice, FileSystem, Unreadable};
use crate::console::{Attentive, attentively};
use crate::device_tree::{Node, Tree};
use crate::drivers::mailbox::property::ClockId;
use crate::drivers::sdhci::{self, Card, Limits, Sdhci};
use crate::net::fetch::{Event, Observer, Progress, Waiting};
use crate::net::tftp::Sink;
use crate::time::{Clock, Duration, Instant};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;

/// Time between two lines of progress that the observer is offered.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// A controller that a card may be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    compatible: &'static [&'static str],
    block: Block,
    clock: ClockId,
    /// Whether 50 MHz are known to work with it.
    high_speed: bool,
}

const KINDS: [Kind; 2] = [
    Kind { compatible: &["brcm,bcm2711-emmc2"], block: Block::Emmc2, clock: ClockId::Emmc2, high_speed: true },
    Kind {
        // Linux' name, and that of the Raspberry Pi's own kernel (the second with WiFi on it).
        compatible: &["brcm,bcm2835-sdhci", "brcm,bcm2835-mmc"],
        block: Block::Emmc,
        clock: ClockId::Emmc,
        high_speed: false,
    },
];

/// Why there is no file from a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is no tree to say whether there is a controller. Reading one that is absent would hang the bus.
    NoTree,
    /// No enabled node names one.
    NotInTree,
    /// The card, or its controller.
    Card(sdhci::Error),
    /// What is on the card.
    Files(card::Error),
    /// Somebody pressed Control-C.
    Interrupted,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTree => f.write_str("there is no device tree to name a card slot"),
            Self::NotInTree => f.write_str("the firmware's device tree has no enabled card slot"),
            Self::Card(error) => error.fmt(f),
            Self::Files(error) => error.fmt(f),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl From<card::Error> for Error {
    fn from(error: card::Error) -> Self {
        Self::Files(error)
    }
}

/// The driver on a board's own registers.
type Driver<B> = Sdhci<<B as Board>::Registers, Attentive<<B as Board>::Clock>>;

/// A controller that the tree names, with its driver once it was wanted.
struct Controller<B: Board> {
    kind: Kind,
    driver: Option<Driver<B>>,
}

/// The slot.
pub struct Slot<B: Board> {
    controllers: Vec<Controller<B>>,
    /// Why there are none.
    none: Error,
    /// Which of them has a card.
    present: Option<usize>,
    clock: B::Clock,
}

impl<B: Board> Slot<B> {
    /// The slot of a board with that tree. Nothing is touched.
    pub fn new(tree: Option<Tree<'_>>, clock: B::Clock) -> Self {
        let is_there = |kind: &Kind| {
            let is_it =
                |node: Node<'_>| kind.compatible.iter().any(|name| node.is_compatible(name)) && node.is_enabled();
            tree.is_some_and(|tree| attentively(tree.nodes()).any(is_it))
        };
        let controllers = KINDS.into_iter().filter(is_there).map(|kind| Controller { kind, driver: None }).collect();
        let none = if tree.is_some() { Error::NotInTree } else { Error::NoTree };
        Self { controllers, none, present: None, clock }
    }

    /// Looks for a card, also where there was one before: it may be another.
    ///
    /// # Errors
    /// Why there is none that can be used; of several controllers, what the first says.
    pub fn open(&mut self, board: &mut B, keeper: &mut Keeper<B>) -> Result<Card, Error> {
        self.present = None;
        let mut reason = None;
        for (index, Controller { kind, driver }) in self.controllers.iter_mut().enumerate() {
            let driver = match driver {
                Some(driver) => driver,
                None => {
                    let Some(bus) = board.registers(kind.block) else { continue };
                    let limits = Limits { base_hertz: keeper.power_card(kind.clock), high_speed: kind.high_speed };
                    driver.insert(Sdhci::new(bus, Attentive(board.clock()), limits))
                }
            };
            let mut watch = Watch::new(keeper, self.clock.now());
            watch.event(Event::Waiting { what: Waiting::Card, limit: sdhci::POWER_UP_LIMIT });
            let opened = driver.open_while(&mut || watch.poll(self.clock.now()));
            watch.event(Event::Waited { came: opened.is_ok() });
            match opened {
                Ok(card) => {
                    self.present = Some(index);
                    return Ok(card);
                }
                Err(sdhci::Error::GivenUp) => return Err(Error::Interrupted),
                Err(error) => _ = reason.get_or_insert(Error::Card(error)),
            }
        }
        Err(reason.unwrap_or(self.none))
    }

    /// Whether there was a card when it was last looked for.
    pub fn is_open(&self) -> bool {
        self.present.is_some()
    }

    /// The card, if there was one when it was last looked for.
    pub fn card(&self) -> Option<Card> {
        self.controllers.get(self.present?)?.driver.as_ref()?.card()
    }

    /// Lends the card's blocks to `job`, while `observer` looks after the rest. `file` is what it is offered as progress, with its size.
    fn with_blocks<T>(
        &mut self,
        file: Option<(&str, u64)>,
        observer: &mut dyn Observer,
        job: impl FnOnce(&mut dyn BlockDevice) -> Result<T, card::Error>,
    ) -> Result<T, Error> {
        let controller = self.present.and_then(|index| self.controllers.get_mut(index));
        let driver = controller.and_then(|controller| controller.driver.as_mut());
        let driver = driver.ok_or(Error::Card(sdhci::Error::NoCard))?;
        let started = self.clock.now();
        let mut blocks: Blocks<'_, B> =
            Blocks { driver, clock: self.clock, observer, file, started, reported: started, received: 0, error: None };
        let result = job(&mut blocks);
        match (result, blocks.error) {
            (Err(card::Error::Unreadable { .. }), Some(error)) => Err(error),
            (result, _) => result.map_err(Error::Files),
        }
    }

    /// The number of the partition to boot from, as scripts have it: 1 for a card without a table.
    ///
    /// # Errors
    /// Why the table could not be read, or that it has none.
    pub fn boot_partition(&mut self, observer: &mut dyn Observer) -> Result<u32, Error> {
        self.with_blocks(None, observer, |blocks| Ok(choose(&partitions(blocks)?, None)?.number.max(1)))
    }

    /// The card's partitions, and the number of the table that has them.
    ///
    /// # Errors
    /// Why they could not be read.
    pub fn partitions(&mut self, observer: &mut dyn Observer) -> Result<(Vec<Partition>, u32), Error> {
        self.with_blocks(None, observer, |blocks| Ok((partitions(blocks)?, table_number(blocks)?)))
    }

    /// Lends the files of a partition to `job`: of the one with the number `wanted`, or of the one that the board boots from.
    ///
    /// # Errors
    /// Why they could not be read, or `job`'s.
    pub fn with_files<T>(
        &mut self,
        wanted: Option<u32>,
        observer: &mut dyn Observer,
        job: impl FnOnce(&mut FileSystem<'_>) -> Result<T, card::Error>,
    ) -> Result<T, Error> {
        self.with_blocks(None, observer, |blocks| {
            let partition = choose(&partitions(blocks)?, wanted)?;
            job(&mut FileSystem::open(blocks, &partition)?)
        })
    }

    /// The file or directory at `path`.
    ///
    /// # Errors
    /// Why there is none.
    pub fn find(&mut self, wanted: Option<u32>, path: &str, observer: &mut dyn Observer) -> Result<Entry, Error> {
        self.with_files(wanted, observer, |files| files.find(path))
    }

    /// Which of `paths` there are, on the partition that the board boots from.
    ///
    /// # Errors
    /// Why that cannot be said of one of them.
    pub fn which(&mut self, paths: &[&str], observer: &mut dyn Observer) -> Result<Vec<bool>, Error> {
        self.with_files(None, observer, |files| files.which(paths))
    }

    /// What is in the directory at `path`, up to `most` entries; and whether that is all.
    ///
    /// # Errors
    /// Why it could not be read.
    pub fn list(
        &mut self,
        wanted: Option<u32>,
        path: &str,
        most: usize,
        observer: &mut dyn Observer,
    ) -> Result<(Vec<Entry>, bool), Error> {
        self.with_files(wanted, observer, |files| files.list(path, most))
    }

    /// Sends `length` bytes (all that there are, without one) of the file at `path`, from `offset` on, to `sink`.
    ///
    /// # Errors
    /// Why they could not be read, or why `sink` did not take them.
    pub fn send(
        &mut self,
        wanted: Option<u32>,
        path: &str,
        part: Part,
        sink: &mut dyn Sink,
        observer: &mut dyn Observer,
    ) -> Result<Sent, Error> {
        let started = self.clock.now();
        let entry = self.find(wanted, path, observer)?;
        let size = u64::from(entry.size).saturating_sub(part.offset).min(part.length.unwrap_or(u64::MAX));
        let bytes = self.with_blocks(Some((path, size)), observer, |blocks| {
            let partition = choose(&partitions(blocks)?, wanted)?;
            FileSystem::open(blocks, &partition)?.read(&entry, part.offset, part.length, sink)
        });
        observer.event(Event::Ended { file: path, came: bytes.is_ok() });
        let bytes = bytes?;
        Ok(Sent(Progress { received: bytes, elapsed: self.clock.now().since(started), ..Progress::default() }))
    }
}

/// Which part of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// From this byte on.
    pub offset: u64,
    /// So many bytes; all that there are, without a number.
    pub length: Option<u64>,
}

/// A file that has come from the card. Shown as the console shows it, after the file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent(Progress);

impl Sent {
    /// How many bytes that were.
    pub fn bytes(&self) -> u64 {
        self.0.received
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.elapsed.as_millis() / 100;
        write!(f, "{} bytes from the card in {}.{} s", self.0.received, tenths / 10, tenths % 10)
    }
}

/// The partition with that number; without one the one that is marked to boot from, else the first that says it is FAT, else the first, of
/// which it will be told what it is. A card without a table is partition 0, and its own partition 1, as with U-Boot.
fn choose(partitions: &[Partition], wanted: Option<u32>) -> Result<Partition, card::Error> {
    let found = match wanted {
        Some(number) => {
            let is_wanted = |partition: &&Partition| partition.number == number || number == 1 && partition.number == 0;
            partitions.iter().find(is_wanted)
        }
        None => partitions
            .iter()
            .find(|partition| partition.bootable && partition.is_fat())
            .or_else(|| partitions.iter().find(|partition| partition.is_fat()))
            .or(partitions.first()),
    };
    found.copied().ok_or(card::Error::NoPartition { number: wanted })
}

/// The card's blocks, with somebody who looks after the rest between two reads.
struct Blocks<'a, B: Board> {
    driver: &'a mut Driver<B>,
    clock: B::Clock,
    observer: &'a mut dyn Observer,
    file: Option<(&'a str, u64)>,
    started: Instant,
    reported: Instant,
    received: u64,
    /// Why blocks could not be read, in more detail than [`Unreadable`] has.
    error: Option<Error>,
}

impl<B: Board> BlockDevice for Blocks<'_, B> {
    fn blocks(&self) -> u32 {
        self.driver.card().map_or(0, |card| card.blocks)
    }

    fn read(&mut self, first: u32, into: &mut [u8]) -> Result<(), Unreadable> {
        let now = self.clock.now();
        let result = match self.observer.poll(now) {
            true => self.driver.read(first, into).map_err(Error::Card),
            false => Err(Error::Interrupted),
        };
        if let Err(error) = result {
            self.error = Some(error);
            return Err(Unreadable);
        }
        self.received = self.received.saturating_add(into.len() as u64);
        if let Some((file, size)) = self.file
            && now.since(self.reported) >= PROGRESS_INTERVAL
        {
            self.reported = now;
            let elapsed = now.since(self.started);
            let progress = Progress { received: self.received, size: Some(size), elapsed, ..Progress::default() };
            self.observer.event(Event::Progress { file, progress });
        }
        Ok(())
    }
}

/// The card for a plan, which only asks what is there.
pub struct Catalogue<'a, B: Board>(RefCell<(&'a mut Slot<B>, &'a mut dyn Observer)>);

impl<'a, B: Board> Catalogue<'a, B> {
    /// Of the card in `slot`.
    pub fn new(slot: &'a mut Slot<B>, observer: &'a mut dyn Observer) -> Self {
        Self(RefCell::new((slot, observer)))
    }
}

impl<B: Board> CardFiles for Catalogue<'_, B> {
    fn has(&self, partition: Option<u32>, path: &str) -> bool {
        let Ok(mut inside) = self.0.try_borrow_mut() else { return false };
        let (slot, observer) = &mut *inside;
        slot.find(partition, path, *observer).is_ok_and(|entry| !entry.is_directory)
    }
}

impl<B: Board> fmt::Debug for Catalogue<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Catalogue")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: u32, kind: u8, bootable: bool) -> Partition {
        Partition { number, kind, bootable, first: 1000, blocks: 1000 }
    }

    #[test]
    fn the_partition_to_boot_from_is_marked_or_the_first_of_fat() {
        let number = |partitions: &[Partition], wanted| choose(partitions, wanted).map(|partition| partition.number);
        let two = [partition(1, 0x83, true), partition(2, 0x0c, false), partition(3, 0x0c, true)];
        assert_eq!(number(&two, None), Ok(3));
        assert_eq!(number(&two[..2], None), Ok(2));
        assert_eq!(number(&two[..1], None), Ok(1));
        assert_eq!(number(&two, Some(2)), Ok(2));
        assert_eq!(number(&two, Some(4)), Err(card::Error::NoPartition { number: Some(4) }));
        assert_eq!(number(&[], None), Err(card::Error::NoPartition { number: None }));
        assert_eq!(number(&[partition(0, 0x0c, true)], Some(1)), Ok(0));
    }
}
