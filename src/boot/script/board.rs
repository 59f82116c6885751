//! The board as a script's commands see it.

use super::network::{configuration, configured, lease, not_fetched, not_heard};
use super::program::{self, Error, take};
use super::report;
use super::touchdown::Touchdown;
use super::work::Work;
use crate::board::Board;
use crate::boot::attempt;
use crate::boot::bring_up::Machine;
use crate::boot::card::{self as boot_card, Part, Slot};
use crate::boot::departure::{Jump, jump};
use crate::boot::layout::{self, Layout};
use crate::boot::network::{BoardSession, LOOK_AT_CONSOLE, Watch};
use crate::boot::store::Store;
use crate::boot::supply::Supply;
use crate::card;
use crate::config::source::Source;
use crate::config::{self, Entry};
use crate::console::{self, Console};
use crate::device_tree::firmware::Known;
use crate::net::fetch;
use crate::net::tftp::{self, Refusal};
use crate::ram::{Claim, RamError, Workspace};
use crate::range::PhysicalRange;
use crate::shell::Failure;
use crate::shell::landing::Landing;
use crate::shell::platform::{
    Boot, Directory, DirectoryEntry, Facts, Lease, MOST_LISTED, Network, NetworkFailure, NotMemory, Partition,
    PartitionEntry, Platform, Report,
};
use crate::terminal::Kind;
use crate::time::{Clock, Instant};
use crate::{print, println};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::Ipv4Addr;

/// Bytes in an instruction.
const INSTRUCTION: u64 = 4;

/// What messages call the firmware's tree where it lies.
const FIRMWARE_TREE: &str = "the firmware's device tree";

/// Why a script cannot be run at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPlatform {
    /// Memory could not be laid out.
    Layout(layout::Error),
    /// Memory could not be had.
    Ram(RamError),
}

impl fmt::Display for NoPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout(error) => error.fmt(f),
            Self::Ram(error) => error.fmt(f),
        }
    }
}

/// The board, lent to one script.
pub struct BoardPlatform<'m, B: Board> {
    machine: &'m mut Machine<B>,
    workspace: Workspace,
    layout: Layout,
    facts: Facts,
    /// The network as the settings have it, for what the script's variables leave open, and for afterwards.
    network: config::Network,
    /// What a person can boot by name, and whether the settings that say so came from the card.
    entries: &'m [Entry],
    from_card: bool,
    looked: Instant,
    /// What takes long and is under way.
    work: Option<Work>,
}

impl<'m, B: Board> BoardPlatform<'m, B> {
    /// Takes all memory that is free.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub fn new(machine: &'m mut Machine<B>) -> Result<Self, NoPlatform> {
        Self::with_entries(machine, &[], false)
    }

    /// The same for a person, who can boot `entries` by name.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_entries(
        machine: &'m mut Machine<B>,
        entries: &'m [Entry],
        from_card: bool,
    ) -> Result<Self, NoPlatform> {
        let mut layout = machine.free_memory().map_err(NoPlatform::Layout)?;
        if let Some(tree) = machine.firmware_tree {
            layout.reserve(FIRMWARE_TREE, tree).map_err(NoPlatform::Layout)?;
        }
        let workspace = machine.ram.lend_free().map_err(NoPlatform::Ram)?;
        let network = machine.network.as_ref().map(|session| *session.network()).unwrap_or_default();
        let facts = facts(machine);
        let looked = machine.board.clock().now();
        Ok(Self { machine, workspace, layout, facts, network, entries, from_card, looked, work: None })
    }

    /// Gives everything back. What the script brought into memory stays there until somebody else takes the place.
    pub fn give_back(self) {
        self.machine.ram.take_back(self.workspace);
        if let Ok(session) = &mut self.machine.network {
            session.set_network(self.network);
            session.set_window(None);
            session.set_block_size(tftp::ETHERNET_BLOCK_SIZE);
            session.set_limits(fetch::Limits::default());
        }
    }

    /// Why `range` is not free memory.
    fn not_free(&self, range: PhysicalRange) -> NotMemory {
        match self.layout.occupants().iter().find(|occupant| occupant.range.overlaps(&range)) {
            Some(taken) => NotMemory::Taken { range, name: taken.name.clone(), taken: taken.range },
            None => NotMemory::Outside(range),
        }
    }

    /// Whether `range` begins in the firmware's own tree. Commands may edit that where it lies, as U-Boot's do: the loader has a copy.
    fn is_in_firmware_tree(&self, range: PhysicalRange) -> bool {
        self.machine.firmware_tree.is_some_and(|tree| tree.start <= range.start && range.start < tree.end)
    }

    /// The session, with the addresses that the script's variables say.
    fn session(&mut self, network: &Network) -> Result<(&mut BoardSession<B>, Watch<'_, B>), Failure> {
        let configured = configuration(&self.network, network)?;
        let Machine { network: session, keeper, board, .. } = &mut *self.machine;
        let session = session.as_mut().map_err(|error| Failure::because(*error))?;
        let leased = session.lease().map(|lease| lease.address);
        let configured = match configured.address {
            // The variables say what the lease said: it is the same network, and goes on.
            Some(own) if session.network().address.is_none() && leased == Some(own.address) => {
                config::Network { address: None, gateway: None, ..configured }
            }
            _ => configured,
        };
        if configured != *session.network() {
            session.set_network(configured);
        }
        session.set_window(network.window);
        session.set_block_size(network.block_size.unwrap_or(tftp::ETHERNET_BLOCK_SIZE));
        let limits = fetch::Limits::default();
        session.set_limits(fetch::Limits { transfer: network.patience.unwrap_or(limits.transfer), ..limits });
        Ok((session, Watch::new(keeper, board.clock().now())))
    }

    /// The card, looked for anew if there was none before.
    fn card(&mut self, partition: &Partition) -> Result<(&mut Slot<B>, Watch<'_, B>), Failure> {
        if partition.interface != "mmc" || partition.device != 0 {
            return Err(no_card(partition));
        }
        let Machine { card, board, keeper, .. } = &mut *self.machine;
        if !card.is_open() {
            card.open(board, keeper).map_err(not_opened)?;
        }
        Ok((card, Watch::new(keeper, board.clock().now())))
    }

    /// What a lease of before says, as U-Boot's `dhcp` would have set it.
    pub fn leased(&self) -> Option<Lease> {
        self.machine.network.as_ref().ok()?.lease().map(|leased| lease(leased, &self.network))
    }

    /// What the settings say of the network.
    pub fn configured(&self) -> Lease {
        configured(&self.network)
    }

    /// Starts what `boot` names.
    fn depart(&mut self, boot: &Boot<'_>) -> Error {
        let tree = match self.memory(boot.tree) {
            Ok(bytes) => bytes.to_vec(),
            Err(error) => return Error::Memory(error),
        };
        let layout = match self.machine.free_memory() {
            Ok(layout) => layout,
            Err(error) => return Error::Layout(error),
        };
        // From here on memory is taken as by any other boot, piece by piece.
        self.machine.ram.take_back(core::mem::take(&mut self.workspace));
        let Machine { board, ram, identity, uart, tree: firmware, firmware_tree, initramfs, network, keeper, .. } =
            &mut *self.machine;
        let known = program::Board {
            firmware: firmware.as_deref().ok(),
            firmware_tree: *firmware_tree,
            initramfs: initramfs.as_ref().map(Claim::range),
            known: Known { mac_address: identity.mac, serial_number: identity.serial },
        };
        let mut store = Store::new(ram, layout);
        let mut supply: Supply<'_, '_, B> = Supply::new(None, network.as_mut().ok());
        let error = match take(&mut store, boot, &tree, &known) {
            Ok(departure) => {
                let tree = departure.tree;
                let error = departure.start(board, keeper, &mut supply, &mut store, *uart);
                if keeper.watched {
                    let address = store.range(tree).start;
                    println!("The tree that would have been passed, as far as it was made: `tree diff {address:#x}`.");
                }
                Error::Departure(error)
            }
            Err(error) => error,
        };
        store.give_up();
        self.borrow_again();
        error
    }

    /// Jumps to `entry` with the firmware's tree.
    fn jump(&mut self, entry: u64) -> Error {
        let Some(tree) = self.machine.firmware_tree else { return Error::NoFirmwareTree };
        let Some(first) = PhysicalRange::sized(entry, INSTRUCTION) else {
            return Error::Memory(NotMemory::Outside(PhysicalRange { start: entry, end: u64::MAX }));
        };
        if let Err(error) = self.memory(first) {
            return Error::Memory(error);
        }
        self.machine.ram.take_back(core::mem::take(&mut self.workspace));
        let Machine { board, ram, network, keeper, .. } = &mut *self.machine;
        let mut supply: Supply<'_, '_, B> = Supply::new(None, network.as_mut().ok());
        let claims = ram.claim(first).and_then(|image| match ram.claim(tree) {
            Ok(tree) => Ok((image, tree)),
            Err(error) => {
                ram.release(image);
                Err(error)
            }
        });
        let error = match claims {
            Ok((image, tree)) => {
                println!("Jumping to {entry:#x} with the firmware's device tree.");
                let error = jump(board, keeper, &mut supply, ram, Jump { image: &image, entry: 0, tree: &tree });
                ram.release(image);
                ram.release(tree);
                Error::HandOff(error)
            }
            Err(error) => Error::Ram(error),
        };
        self.borrow_again();
        error
    }

    /// Takes the free memory again after a start that failed. Where that is not possible, there is none any more, and the script is told so.
    fn borrow_again(&mut self) {
        match self.machine.ram.lend_free() {
            Ok(workspace) => self.workspace = workspace,
            Err(error) => println!("{error}."),
        }
    }
}

/// What commands want to know of the board.
fn facts<B: Board>(machine: &Machine<B>) -> Facts {
    let identity = &machine.identity;
    let tree = machine.tree.as_deref().ok().and_then(|bytes| crate::device_tree::Tree::new(bytes).ok());
    Facts {
        revision: identity.revision.map(|revision| revision.0),
        model: identity.revision.and_then(|revision| revision.board_type()).map(|board| board.to_string()),
        serial: identity.serial,
        mac: identity.mac,
        device_tree: identity.revision.and_then(|revision| revision.device_tree()).map(String::from),
        firmware_tree: machine.firmware_tree,
        bootargs: tree.and_then(|tree| tree.bootargs()).unwrap_or_default().to_string(),
    }
}

impl<B: Board> Platform for BoardPlatform<'_, B> {
    fn print(&mut self, text: fmt::Arguments<'_>) {
        print!("{text}");
    }

    fn interrupted(&mut self) -> bool {
        let now = self.machine.board.clock().now();
        if now.since(self.looked) < LOOK_AT_CONSOLE {
            return false;
        }
        self.looked = now;
        self.machine.keeper.breathe();
        self.machine.keeper.take_interrupt()
    }

    fn progress(&mut self, what: &str, done: u64, size: u64) {
        let keeper = &self.machine.keeper;
        self.work.get_or_insert_with(|| Work::new(keeper)).progress(keeper, what, done, size);
    }

    fn worked(&mut self, what: &str, whole: bool) {
        if let Some(work) = self.work.take() {
            work.end(&self.machine.keeper, what, whole);
        }
    }

    fn set_terminal(&mut self, kind: Kind) {
        self.machine.keeper.set_terminal(kind);
    }

    fn idle(&mut self) {
        let Machine { board, network, keeper, .. } = &mut *self.machine;
        if let Ok(session) = network {
            let now = board.clock().now();
            // What keeps link and lease away is told when they are wanted.
            let _ = session.advance(now, &mut Watch::hidden(keeper, now, None));
        }
    }

    fn typed(&mut self) -> Option<u8> {
        console::with(Console::read).flatten()
    }

    fn take_input_lost(&mut self) -> bool {
        console::with(Console::take_input_lost).unwrap_or(false)
    }

    fn take_line_errors(&mut self) -> bool {
        console::with(Console::take_line_errors).unwrap_or(false)
    }

    fn entries(&self) -> &[Entry] {
        self.entries
    }

    fn firmware_tree(&self) -> Option<&[u8]> {
        self.machine.tree.as_deref().ok()
    }

    fn report(&mut self, topic: Report, out: &mut dyn fmt::Write) -> Result<(), Failure> {
        match topic {
            Report::Plan(index) => {
                let entry = self.entries.get(index).ok_or_else(|| Failure::because("there is no such entry"))?;
                attempt::outline(self.machine, entry, self.from_card, out).map_err(Failure::because)
            }
            topic => report::write(self.machine, topic, out),
        }
    }

    fn now(&self) -> Instant {
        self.machine.board.clock().now()
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn memory(&self, range: PhysicalRange) -> Result<&[u8], NotMemory> {
        if range.is_empty() {
            return Ok(&[]);
        }
        let initramfs = || {
            let claim = self.machine.initramfs.as_ref().filter(|claim| claim.range().contains(&range))?;
            let start = usize::try_from(range.start - claim.range().start).ok()?;
            claim.bytes().get(start..start.checked_add(usize::try_from(range.size()).ok()?)?)
        };
        self.workspace.bytes(range).or_else(initramfs).ok_or_else(|| self.not_free(range))
    }

    fn memory_mut(&mut self, range: PhysicalRange) -> Result<&mut [u8], NotMemory> {
        if range.is_empty() {
            return Ok(&mut []);
        }
        let taken = self.not_free(range);
        let allowed = match &taken {
            NotMemory::Outside(_) => true,
            NotMemory::Taken { .. } => self.is_in_firmware_tree(range),
        };
        if !allowed {
            return Err(taken);
        }
        self.workspace.bytes_mut(range).ok_or(taken)
    }

    fn fetch(&mut self, network: &Network, path: &str, room: &Landing) -> Result<u64, NetworkFailure> {
        let mut workspace = core::mem::take(&mut self.workspace);
        let fetched = self.session(network).map_err(NetworkFailure::from).and_then(|(session, mut watch)| {
            let mut sink = Touchdown { workspace: &mut workspace, place: room.place };
            let source = Source::Path(path.to_string());
            let report = session.fetch(&source, &mut sink, &mut watch);
            let report = report.map_err(|error| not_fetched(path, room, error))?;
            watch.line(format_args!("{path}: {report}."));
            Ok(report.bytes)
        });
        self.workspace = workspace;
        fetched
    }

    fn lease(&mut self) -> Result<Lease, NetworkFailure> {
        let settings = self.network;
        let asked = config::Network { address: None, gateway: None, server: settings.server };
        let (session, mut watch) = self.session(&Network::default())?;
        session.set_network(asked);
        session.connect(&mut watch).map_err(not_heard)?;
        drop(watch);
        session.lease().map(|leased| lease(leased, &settings)).ok_or_else(|| not_heard(fetch::Error::NoServer))
    }

    fn ping(&mut self, network: &Network, address: Ipv4Addr) -> Result<bool, Failure> {
        let (session, mut watch) = self.session(network)?;
        session.ping(address, &mut watch).map_err(|error| not_heard(error).failure)
    }

    fn load(
        &mut self,
        partition: &Partition,
        path: &str,
        offset: u64,
        length: Option<u64>,
        room: &Landing,
    ) -> Result<u64, Failure> {
        let mut workspace = core::mem::take(&mut self.workspace);
        let loaded = self.card(partition).and_then(|(slot, mut watch)| {
            let mut sink = Touchdown { workspace: &mut workspace, place: room.place };
            let part = Part { offset, length };
            let sent = slot.send(partition.partition, path, part, &mut sink, &mut watch);
            let sent = sent.map_err(|error| not_read(path, Some(room), error))?;
            watch.line(format_args!("{path}: {sent}."));
            Ok(sent.bytes())
        });
        self.workspace = workspace;
        loaded
    }

    fn rescan(&mut self) -> Result<(), Failure> {
        let Machine { card, board, keeper, .. } = &mut *self.machine;
        card.open(board, keeper).map(|_| ()).map_err(not_opened)
    }

    fn partitions(&mut self, interface: &str, device: u32) -> Result<Vec<PartitionEntry>, Failure> {
        let whole = Partition { interface: interface.to_string(), device, partition: None };
        let (slot, mut watch) = self.card(&whole)?;
        let (found, number) = slot.partitions(&mut watch).map_err(|error| not_read("", None, error))?;
        let entry = |partition: &card::partition::Partition| PartitionEntry {
            // A card without a table is its own only partition.
            number: partition.number.max(1),
            first: partition.first.into(),
            blocks: partition.blocks.into(),
            kind: partition.kind,
            bootable: partition.bootable,
            table: (partition.number != 0).then_some(number),
        };
        Ok(found.iter().map(entry).collect())
    }

    fn find(&mut self, partition: &Partition, path: &str) -> Result<Option<u64>, Failure> {
        let (slot, mut watch) = self.card(partition)?;
        match slot.find(partition.partition, path, &mut watch) {
            Ok(entry) if entry.is_directory => Ok(Some(0)),
            Ok(entry) => Ok(Some(entry.size.into())),
            // The root, which has no entry.
            Err(boot_card::Error::Files(card::Error::IsADirectory)) => Ok(Some(0)),
            Err(boot_card::Error::Files(card::Error::NotFound | card::Error::NotADirectory)) => Ok(None),
            Err(error) => Err(not_read(path, None, error)),
        }
    }

    fn list(&mut self, partition: &Partition, path: &str) -> Result<Directory, Failure> {
        let (slot, mut watch) = self.card(partition)?;
        let found = slot.list(partition.partition, path, MOST_LISTED, &mut watch);
        let (entries, whole) = found.map_err(|error| not_read(path, None, error))?;
        let entry = |entry: card::directory::Entry| {
            let size = (!entry.is_directory).then_some(entry.size.into());
            DirectoryEntry { name: entry.name, size }
        };
        Ok(Directory { entries: entries.into_iter().map(entry).collect(), whole })
    }

    fn boot(&mut self, boot: &Boot<'_>) -> Failure {
        Failure::because(self.depart(boot))
    }

    fn go(&mut self, entry: u64) -> Failure {
        Failure::because(self.jump(entry))
    }

    fn reset(&mut self) -> Failure {
        self.machine.keeper.reset()
    }
}

fn no_card(partition: &Partition) -> Failure {
    Failure::because(format!("there is no {partition}; the card in the board's slot is mmc 0"))
}

/// Why there is no card.
fn not_opened(error: boot_card::Error) -> Failure {
    match error {
        boot_card::Error::Interrupted => Failure::Interrupted,
        error => Failure::because(error),
    }
}

/// Why nothing of `path` was read from the card.
fn not_read(path: &str, room: Option<&Landing>, error: boot_card::Error) -> Failure {
    match (error, room) {
        (boot_card::Error::Interrupted, _) => Failure::Interrupted,
        (boot_card::Error::Files(card::Error::Refused(Refusal::TooLarge { size, .. })), Some(room)) => {
            room.too_small(path, size)
        }
        (error, _) if path.is_empty() => Failure::because(error),
        (error, _) => Failure::because(format!("{path}: {error}")),
    }
}
