//! A machine that is not there: memory, files, a clock and a console, for tests and for trying scripts on a host.
//!
//! It is a [`Platform`] like the board, so what runs on it is the same interpreter and the same commands. Nothing happens by chance: the clock
//! moves only when somebody looks at the keyboard ([`TICK`]) or calls [`Simulation::advance`], Ctrl-C comes at a chosen moment, and what
//! was asked of the machine is kept in order ([`Simulation::asked`]).
//!
//! A bank of memory costs what is written to it: its zeroes come from the host's lazily allocated pages.

use super::landing::Landing;
use super::platform::{
    Boot, Directory, DirectoryEntry, Facts, Lease, MOST_LISTED, Network, NetworkFailure, NotMemory, Partition,
    PartitionEntry, Platform, Report,
};
use super::{Failure, Loaded};
use crate::boot::layout::{self, Layout};
use crate::config::Entry;
use crate::device_tree::check::claimed_size;
use crate::range::PhysicalRange;
use crate::time::{Duration, Instant};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;
use core::fmt::Write as _;
use core::net::Ipv4Addr;

/// How far the clock moves at each look at the keyboard.
pub const TICK: Duration = Duration::from_micros(100);

/// Where a file is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shelf<'a> {
    /// The TFTP server that these settings name.
    Server(&'a Network),
    /// A partition of a card.
    Card(&'a Partition),
}

/// The files that the machine can reach. Paths of a card come without the leading `/`, and without the trailing one for a directory.
pub trait Files {
    /// The bytes of the file `path`.
    ///
    /// # Errors
    /// Why there are none.
    fn read(&mut self, shelf: Shelf<'_>, path: &str) -> Result<Vec<u8>, Failure>;

    /// What is in the directory `path`; the root is the empty path.
    ///
    /// # Errors
    /// There is no such directory.
    fn list(&mut self, partition: &Partition, path: &str) -> Result<Vec<DirectoryEntry>, Failure>;
}

/// Files by path, on a server and on a card with one partition (`mmc 0:1`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileMap {
    /// What the TFTP server has.
    pub server: BTreeMap<String, Vec<u8>>,
    /// What the card has, by path from its root, without the leading `/`.
    pub card: BTreeMap<String, Vec<u8>>,
}

impl FileMap {
    fn check(partition: &Partition) -> Result<(), Failure> {
        let there =
            partition.interface == "mmc" && partition.device == 0 && matches!(partition.partition, None | Some(1));
        if there { Ok(()) } else { Err(Failure::because(format!("there is no {partition}"))) }
    }
}

impl Files for FileMap {
    fn read(&mut self, shelf: Shelf<'_>, path: &str) -> Result<Vec<u8>, Failure> {
        let found = match shelf {
            Shelf::Server(_) => self.server.get(path),
            Shelf::Card(partition) => {
                Self::check(partition)?;
                self.card.get(path)
            }
        };
        found.cloned().ok_or_else(|| Failure::because(format!("{path}: no such file")))
    }

    fn list(&mut self, partition: &Partition, path: &str) -> Result<Vec<DirectoryEntry>, Failure> {
        Self::check(partition)?;
        let mut entries: Vec<DirectoryEntry> = Vec::new();
        for (name, bytes) in &self.card {
            let below = if path.is_empty() {
                Some(name.as_str())
            } else {
                name.strip_prefix(path).and_then(|rest| rest.strip_prefix('/'))
            };
            let Some(below) = below else { continue };
            let entry = match below.split_once('/') {
                Some((directory, _)) => DirectoryEntry { name: directory.to_string(), size: None },
                None => DirectoryEntry { name: below.to_string(), size: Some(bytes.len() as u64) },
            };
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
        if entries.is_empty() && !path.is_empty() {
            return Err(Failure::because(format!("{path}: no such directory")));
        }
        Ok(entries)
    }
}

/// Something that was asked of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A file came by TFTP.
    Fetched {
        /// Its path, as it was asked for.
        path: String,
        /// From where.
        network: Network,
        /// Where its bytes are.
        range: PhysicalRange,
    },
    /// A file, or a piece of it, came from a card.
    Loaded {
        /// Its path, as it was asked for.
        path: String,
        /// From where.
        partition: Partition,
        /// Where its bytes are.
        range: PhysicalRange,
    },
    /// The card was looked for anew.
    Rescan,
    /// A file did not come, neither by TFTP nor from a card.
    Missed {
        /// Its path, as it was asked for.
        path: String,
        /// Why, in words.
        reason: String,
    },
    /// A DHCP server was asked for an address.
    Lease,
    /// A host was asked for an answer.
    Ping(Ipv4Addr),
    /// A program was started.
    Booted {
        /// Its file.
        program: PhysicalRange,
        /// Its ramdisk.
        ramdisk: Option<PhysicalRange>,
        /// Its device tree.
        tree: PhysicalRange,
        /// The variable `bootargs`.
        arguments: Option<String>,
        /// The variable `ethaddr`, where it is another than the board's own.
        mac_address: Option<[u8; 6]>,
        /// What the script had loaded.
        loaded: Vec<Loaded>,
    },
    /// A program without a header was jumped to, at this address.
    Gone(u64),
    /// The board was reset.
    Reset,
}

/// A file, or a piece of one, that came into memory, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landed {
    /// Its path, as it was asked for.
    pub path: String,
    /// Where its bytes are.
    pub range: PhysicalRange,
    /// What came, where that is a device tree: what lies there may be edited later.
    pub tree: Option<Vec<u8>>,
    /// Whether any of it was looked at afterwards.
    pub read: Cell<bool>,
}

/// The machine.
pub struct Simulation {
    /// What was printed.
    pub output: String,
    /// What was asked of the machine so far, in order.
    pub asked: Vec<Asked>,
    /// The files that came so far, in order.
    pub landed: Vec<Landed>,
    /// When Ctrl-C is pressed, once.
    pub interrupt_at: Option<Instant>,
    /// Whether typed characters were lost and nobody was told.
    pub input_lost: bool,
    /// What the DHCP server says; without it, there is none.
    pub lease: Option<Lease>,
    /// The hosts that answer an ICMP echo request.
    pub hosts: Vec<Ipv4Addr>,
    /// How many more requests to the network nobody answers, whoever is there.
    pub silence: u32,
    /// What is known of the board.
    pub facts: Facts,
    /// The firmware's device tree as it was put there.
    pub firmware_tree: Option<Vec<u8>>,
    /// What can be booted by name.
    pub entries: Vec<Entry>,
    keyboard: Keyboard,
    files: Box<dyn Files>,
    layout: Layout,
    /// In the order of the layout's banks.
    memory: Vec<Vec<u8>>,
    now: Instant,
}

impl Simulation {
    /// A machine with `files` and zeroed memory in `banks`.
    ///
    /// # Errors
    /// [`layout::Error::NoMemory`] where no bank has a whole page.
    pub fn new(
        banks: impl IntoIterator<Item = PhysicalRange>,
        files: impl Files + 'static,
    ) -> Result<Self, layout::Error> {
        let layout = Layout::new(banks)?;
        let memory = layout.banks().iter().map(|bank| vec![0; bank.size() as usize]).collect();
        Ok(Self {
            output: String::new(),
            asked: Vec::new(),
            landed: Vec::new(),
            interrupt_at: None,
            input_lost: false,
            lease: None,
            hosts: Vec::new(),
            silence: 0,
            facts: Facts::default(),
            firmware_tree: None,
            entries: Vec::new(),
            keyboard: Keyboard::default(),
            files: Box::new(files),
            layout,
            memory,
            now: Instant::default(),
        })
    }

    /// A Raspberry Pi 4 with 2 GiB, as its firmware describes it: 948 MiB below the GPU's memory, 1 GiB above.
    ///
    /// # Errors
    /// None that can come true.
    pub fn raspberry_pi_4(files: impl Files + 'static) -> Result<Self, layout::Error> {
        let low = PhysicalRange { start: 0, end: 0x3b40_0000 };
        let high = PhysicalRange { start: 0x4000_0000, end: 0x8000_0000 };
        let mut machine = Self::new([low, high], files)?;
        machine.facts = Facts {
            revision: Some(0xb0_3115),
            model: Some("Raspberry Pi 4 Model B".to_string()),
            serial: Some(0x1000_0000_dead_beef),
            mac: Some([0xdc, 0xa6, 0x32, 1, 2, 3]),
            device_tree: Some("bcm2711-rpi-4-b.dtb".to_string()),
            firmware_tree: None,
            bootargs: String::new(),
        };
        Ok(machine)
    }

    /// Puts the firmware's device tree at `address`, where no script may overwrite it.
    ///
    /// # Errors
    /// [`layout::Error`] where it does not fit there.
    pub fn put_firmware_tree(&mut self, address: u64, tree: &[u8]) -> Result<(), layout::Error> {
        let name = "the firmware's device tree";
        let range = PhysicalRange { start: address, end: address.saturating_add(tree.len() as u64) };
        let outside = || layout::Error::NotMemory { name: name.to_string(), range };
        self.memory_mut(range).map_err(|_| outside())?.copy_from_slice(tree);
        self.reserve(name, range)?;
        self.facts.firmware_tree = Some(range);
        self.firmware_tree = Some(tree.to_vec());
        Ok(())
    }

    /// Keeps `range` from being overwritten by scripts.
    ///
    /// # Errors
    /// [`layout::Error::Overlap`] where something has been placed there already.
    pub fn reserve(&mut self, name: &str, range: PhysicalRange) -> Result<(), layout::Error> {
        self.layout.reserve(name, range)
    }

    /// Has `bytes` typed at the moment `at`, which is not before those that were typed last. Ctrl-C does what it does on the board: what was
    /// typed before it and not yet read is forgotten.
    pub fn type_at(&mut self, at: Instant, bytes: &[u8]) {
        self.keyboard.coming.extend(bytes.iter().map(|byte| (at, *byte)));
    }

    /// Has `bytes` typed at once.
    pub fn type_now(&mut self, bytes: &[u8]) {
        self.type_at(self.now, bytes);
    }

    /// Lets time pass.
    pub fn advance(&mut self, duration: Duration) {
        self.now = self.now.after(duration);
    }

    fn bank(&self, range: PhysicalRange) -> Result<(usize, core::ops::Range<usize>), NotMemory> {
        let found = self
            .layout
            .banks()
            .iter()
            .position(|bank| bank.start <= range.start && range.end <= bank.end && range.start <= range.end);
        let bank = found.ok_or(NotMemory::Outside(range))?;
        let start = self.layout.banks().get(bank).map_or(0, |bank| bank.start);
        Ok((bank, (range.start - start) as usize..(range.end - start) as usize))
    }

    /// Puts `bytes` at the beginning of `landing`.
    fn put(&mut self, path: &str, bytes: &[u8], landing: &Landing) -> Result<PhysicalRange, Failure> {
        let length = bytes.len() as u64;
        if length > landing.place.size() {
            return Err(landing.too_small(path, length));
        }
        let start = landing.place.start;
        let range = PhysicalRange { start, end: start + length };
        self.memory_mut(range).map_err(Failure::because)?.copy_from_slice(bytes);
        let tree = claimed_size(bytes).is_ok().then(|| bytes.to_vec());
        self.landed.push(Landed { path: path.to_string(), range, tree, read: Cell::new(false) });
        Ok(range)
    }

    /// Whether the network lets anything through. Nothing else of this machine's network changes by waiting.
    fn hear(&mut self) -> Result<(), NetworkFailure> {
        let Some(left) = self.silence.checked_sub(1) else { return Ok(()) };
        self.silence = left;
        Err(NetworkFailure { failure: Failure::because("no answer"), may_pass: true })
    }

    /// Notes that `path` did not come.
    fn missed(&mut self, path: &str, failure: Failure) -> Failure {
        if let Failure::Reason(reason) = &failure {
            self.asked.push(Asked::Missed { path: path.to_string(), reason: reason.to_string() });
        }
        failure
    }

    /// Notes that `range` was looked at: whatever lies there was wanted.
    fn mark_read(&self, range: PhysicalRange) {
        for landed in self.landed.iter().rev().filter(|landed| landed.range.overlaps(&range)) {
            landed.read.set(true);
            if landed.range.contains(&range) {
                // What came there before is no more.
                break;
            }
        }
    }
}

/// Control-C.
const INTERRUPT: u8 = 0x03;

/// Somebody who types.
#[derive(Default)]
struct Keyboard {
    coming: VecDeque<(Instant, u8)>,
    typed: VecDeque<u8>,
    interrupted: bool,
}

impl Keyboard {
    /// Receives what has been typed up to `now`.
    fn receive(&mut self, now: Instant) {
        while let Some((_, byte)) = self.coming.pop_front_if(|(at, _)| *at <= now) {
            match byte {
                INTERRUPT => {
                    self.typed.clear();
                    self.interrupted = true;
                }
                byte => self.typed.push_back(byte),
            }
        }
    }
}

fn plain(path: &str) -> &str {
    path.trim_matches('/')
}

impl Platform for Simulation {
    fn print(&mut self, text: fmt::Arguments<'_>) {
        // Into a String: cannot fail.
        let _ = self.output.write_fmt(text);
    }

    fn interrupted(&mut self) -> bool {
        self.advance(TICK);
        self.keyboard.receive(self.now);
        let pressed = self.interrupt_at.is_some_and(|at| at <= self.now);
        if pressed {
            self.interrupt_at = None;
        }
        core::mem::take(&mut self.keyboard.interrupted) || pressed
    }

    fn typed(&mut self) -> Option<u8> {
        self.keyboard.typed.pop_front()
    }

    fn take_input_lost(&mut self) -> bool {
        core::mem::take(&mut self.input_lost)
    }

    fn take_line_errors(&mut self) -> bool {
        false
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn firmware_tree(&self) -> Option<&[u8]> {
        self.firmware_tree.as_deref()
    }

    fn report(&mut self, topic: Report, out: &mut dyn fmt::Write) -> Result<(), Failure> {
        // Into a text: cannot fail.
        let _ = match topic {
            Report::Network => match &self.lease {
                Some(Lease { address: Some(address), .. }) => writeln!(out, "simulated, address {address}"),
                _ => writeln!(out, "simulated, no address"),
            },
            Report::Timing => {
                writeln!(out, "[{:>3}.{:03}] now", self.now.micros() / 1_000_000, self.now.micros() / 1000 % 1000)
            }
            Report::SelfTest => {
                let model = self.facts.model.as_deref().unwrap_or("unknown board");
                let memory: u64 = self.layout.banks().iter().map(PhysicalRange::size).sum();
                writeln!(out, "Xenlift {}, simulated {model}\n{} MiB", env!("CARGO_PKG_VERSION"), memory >> 20)
            }
            Report::Plan(index) => match self.entries.get(index) {
                Some(entry) => writeln!(out, "{}: planned on a board alone", entry.title()),
                None => return Err(Failure::because(format!("there is no entry {index}"))),
            },
            Report::NetworkRegisters | Report::Log(_) | Report::Watchdog => {
                return Err(Failure::because("the simulated machine has none: only a board does"));
            }
        };
        Ok(())
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn memory(&self, range: PhysicalRange) -> Result<&[u8], NotMemory> {
        let (bank, bytes) = self.bank(range)?;
        self.mark_read(range);
        self.memory.get(bank).and_then(|bank| bank.get(bytes)).ok_or(NotMemory::Outside(range))
    }

    fn memory_mut(&mut self, range: PhysicalRange) -> Result<&mut [u8], NotMemory> {
        // The firmware's tree may be edited where it lies, as on the board: the loader has a copy.
        let tree = self.facts.firmware_tree.filter(|tree| tree.start <= range.start && range.start < tree.end);
        let mut others = self.layout.occupants().iter().filter(|other| Some(other.range) != tree);
        if let Some(other) = others.find(|other| other.range.overlaps(&range)) {
            return Err(NotMemory::Taken { range, name: other.name.clone(), taken: other.range });
        }
        let (bank, bytes) = self.bank(range)?;
        self.memory.get_mut(bank).and_then(|bank| bank.get_mut(bytes)).ok_or(NotMemory::Outside(range))
    }

    fn fetch(&mut self, network: &Network, path: &str, landing: &Landing) -> Result<u64, NetworkFailure> {
        self.hear()?;
        let bytes = self.files.read(Shelf::Server(network), path).map_err(|failure| self.missed(path, failure))?;
        let range = self.put(path, &bytes, landing)?;
        self.asked.push(Asked::Fetched { path: path.to_string(), network: *network, range });
        Ok(range.size())
    }

    fn lease(&mut self) -> Result<Lease, NetworkFailure> {
        self.asked.push(Asked::Lease);
        self.hear()?;
        self.lease.clone().ok_or_else(|| Failure::because("no DHCP server answers").into())
    }

    fn ping(&mut self, _: &Network, address: Ipv4Addr) -> Result<bool, Failure> {
        self.asked.push(Asked::Ping(address));
        Ok(self.hosts.contains(&address) && self.hear().is_ok())
    }

    fn load(
        &mut self,
        partition: &Partition,
        path: &str,
        offset: u64,
        length: Option<u64>,
        landing: &Landing,
    ) -> Result<u64, Failure> {
        let bytes = self.files.read(Shelf::Card(partition), plain(path));
        let bytes = bytes.map_err(|failure| self.missed(path, failure))?;
        let size = bytes.len() as u64;
        let start = offset.min(size);
        let end = length.map_or(size, |length| start.saturating_add(length).min(size));
        let range = self.put(path, bytes.get(start as usize..end as usize).unwrap_or_default(), landing)?;
        self.asked.push(Asked::Loaded { path: path.to_string(), partition: partition.clone(), range });
        Ok(range.size())
    }

    fn rescan(&mut self) -> Result<(), Failure> {
        self.asked.push(Asked::Rescan);
        self.partitions("mmc", 0).map(|_| ())
    }

    fn partitions(&mut self, interface: &str, device: u32) -> Result<Vec<PartitionEntry>, Failure> {
        let partition = Partition { interface: interface.to_string(), device, partition: None };
        self.files.list(&partition, "")?;
        // One that begins where most cards' do, and has room for what a boot takes.
        let table = Some(0x0123_4567);
        Ok(Vec::from([PartitionEntry { number: 1, first: 8192, blocks: 1 << 20, kind: 0x0c, bootable: true, table }]))
    }

    fn find(&mut self, partition: &Partition, path: &str) -> Result<Option<u64>, Failure> {
        if let Ok(bytes) = self.files.read(Shelf::Card(partition), plain(path)) {
            return Ok(Some(bytes.len() as u64));
        }
        // Why there is none: no such partition, or no such file.
        self.files.list(partition, "")?;
        Ok(self.files.list(partition, plain(path)).is_ok().then_some(0))
    }

    fn list(&mut self, partition: &Partition, path: &str) -> Result<Directory, Failure> {
        let mut entries = self.files.list(partition, plain(path))?;
        let whole = entries.len() <= MOST_LISTED;
        entries.truncate(MOST_LISTED);
        Ok(Directory { entries, whole })
    }

    fn boot(&mut self, boot: &Boot<'_>) -> Failure {
        let Boot { program, ramdisk, tree, arguments, mac_address, loaded } = *boot;
        let (arguments, loaded) = (arguments.map(ToString::to_string), loaded.to_vec());
        self.asked.push(Asked::Booted { program, ramdisk, tree, arguments, mac_address, loaded });
        Failure::Ended
    }

    fn go(&mut self, entry: u64) -> Failure {
        self.asked.push(Asked::Gone(entry));
        Failure::Ended
    }

    fn reset(&mut self) -> Failure {
        self.asked.push(Asked::Reset);
        Failure::Ended
    }
}

#[cfg(test)]
#[path = "simulation_tests.rs"]
mod tests;
