//! One attempt to boot one entry: files into memory, the tree, the last words, the jump.
//!
//! Everything that can fail is done before anything is taken down. So an attempt that fails leaves the machine as it was, and
//! another entry can be tried.

use crate::board::Board;
use crate::boot::bring_up::Machine;
use crate::boot::card::Catalogue;
use crate::boot::departure::{self, Departure, File};
use crate::boot::digest::Following;
use crate::boot::dom0_memory::{self, Asked, Shortage};
use crate::boot::layout::{self, Layout};
use crate::boot::network::{Foreground, Watch};
use crate::boot::outline::{self, Seen};
use crate::boot::plan::{self, Facts, Item, Place, Plan, Role};
use crate::boot::script::{self, Ended, Script};
use crate::boot::store::{self, Arrived, Need, Parked, Receiver, Step, Store, Stored, Unpacking};
use crate::boot::supply::{self, Supply};
use crate::boot::warnings;
use crate::boot::xen;
use crate::config::{DeviceTree, Entry, Payload, Xen, command_line};
use crate::console;
use crate::device_tree::firmware::{Known, Report, carry_over};
use crate::device_tree::{Editor, Tree, edit, overlay, read};
use crate::net::fetch::Job;
use crate::net::settings::Bounded;
use crate::net::{fetch, tftp};
use crate::ram::{Claim, Ram};
use crate::range::PhysicalRange;
use crate::time::Clock;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;

/// Bytes that are unpacked between two looks at the console: some 0.4 ms.
const UNPACKED_AT_ONCE: usize = 64 * 1024;

/// Bytes that all overlays of an entry may have together: ten times what a lavish set of the Raspberry Pi's has.
const MOST_OVERLAYS: usize = 512 * 1024;

/// Why an entry was not booted.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// It cannot work as the settings have it, or a file is not what it should be.
    Plan(plan::Error),
    /// A file could not be had.
    Supply {
        /// Its name.
        file: String,
        /// Why.
        error: supply::Error,
    },
    /// A file found no place.
    Store {
        /// Its name.
        file: String,
        /// Why.
        error: store::Error,
    },
    /// Dom0 and the domains ask for more memory than is free.
    Shortage(Shortage),
    /// A device tree is none.
    Tree {
        /// Its name.
        file: String,
        /// Why.
        error: read::Error,
    },
    /// An overlay could not be applied.
    Overlay {
        /// Its name.
        file: String,
        /// Why.
        error: overlay::Error,
    },
    /// The tree could not be changed as needed.
    Edit(edit::Error),
    /// The device tree is too large for Xen.
    TreeSize(xen::TooLarge),
    /// Memory could not be laid out.
    Layout(layout::Error),
    /// A script ended without starting anything.
    Script(Ended),
    /// Everything was there, and could not be started.
    Departure(departure::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan(error) => error.fmt(f),
            Self::Shortage(shortage) => shortage.fmt(f),
            Self::Supply { file, error } => write!(f, "{file}: {error}"),
            Self::Store { file, error } => write!(f, "{file}: {error}"),
            Self::Tree { file, error } => write!(f, "{file}: {error}"),
            Self::Overlay { file, error } => write!(f, "{file}: {error}"),
            Self::Edit(error) => write!(f, "the device tree: {error}"),
            Self::TreeSize(error) => error.fmt(f),
            Self::Layout(error) => error.fmt(f),
            Self::Script(ended) => ended.fmt(f),
            Self::Departure(error) => error.fmt(f),
        }
    }
}

impl From<departure::Error> for Error {
    fn from(error: departure::Error) -> Self {
        Self::Departure(error)
    }
}

impl From<plan::Error> for Error {
    fn from(error: plan::Error) -> Self {
        Self::Plan(error)
    }
}

impl From<edit::Error> for Error {
    fn from(error: edit::Error) -> Self {
        Self::Edit(error)
    }
}

impl From<layout::Error> for Error {
    fn from(error: layout::Error) -> Self {
        Self::Layout(error)
    }
}

/// The files of an entry, in memory before anybody has chosen it.
#[derive(Debug)]
pub struct Prefetched {
    parked: Parked,
    files: Vec<InMemory>,
}

impl Prefetched {
    /// Gives their memory back.
    pub fn give_up(self, ram: &mut Ram) {
        self.parked.resume(ram).give_up();
    }
}

/// Boots `entry`, of which `files` may be here already. Comes back only if that failed. `from_card` says that its settings came from the card.
pub fn boot<B: Board>(machine: &mut Machine<B>, entry: &Entry, from_card: bool, files: Option<Prefetched>) -> Error {
    match attempt(machine, entry, from_card, files) {
        Ok(error) | Err(error) => error,
    }
}

/// Brings the files of `entry`, while `foreground` has the console and decides whether they are wanted. `None` for a script, which says itself what
/// it needs.
///
/// # Errors
/// As in [`boot`], and all memory is free again.
pub fn prefetch<B: Board>(
    machine: &mut Machine<B>,
    entry: &Entry,
    from_card: bool,
    foreground: &mut dyn Foreground<B>,
) -> Result<Option<Prefetched>, Error> {
    let layout = machine.free_memory()?;
    let Planned::Xen(plan) = plan(machine, &layout, entry, from_card)? else { return Ok(None) };
    let Machine { board, ram, initramfs, network, card, keeper, kept, .. } = machine;
    let mut supply: Supply<'_, '_, B> = Supply::new(initramfs.as_ref().map(Claim::bytes), network.as_mut().ok());
    supply = supply.with_card(card);
    kept.forget_memory();
    let mut store = Store::new(ram, layout);
    let mut load = Load { store: &mut store, files: Vec::new(), notes: Vec::new(), tree: None };
    let mut watch = Watch::hidden(keeper, board.clock().now(), Some(foreground));
    match load.bring_all(&plan, &mut supply, &mut watch) {
        Ok(()) => {
            let files = load.files;
            Ok(Some(Prefetched { parked: store.park(), files }))
        }
        Err(error) => {
            store.give_up();
            // They will come anew, and be told then.
            drop(watch);
            keeper.untold_files.clear();
            Err(error)
        }
    }
}

/// Writes what booting `entry` would take, and does nothing of it. What is on a server is asked of it, file by file, until it does not answer.
///
/// # Errors
/// What keeps the entry from being booted, as far as it can be known.
pub fn outline<B: Board>(
    machine: &mut Machine<B>,
    entry: &Entry,
    from_card: bool,
    out: &mut dyn fmt::Write,
) -> Result<(), Error> {
    let layout = machine.free_memory()?;
    let planned = plan(machine, &layout, entry, from_card)?;
    let Machine { board, initramfs, network, card, keeper, tree, uart, identity, .. } = machine;
    let tree = tree.as_deref().ok().and_then(|bytes| Tree::new(bytes).ok());
    let mut supply: Supply<'_, '_, B> = Supply::new(initramfs.as_ref().map(Claim::bytes), network.as_mut().ok());
    supply = supply.with_card(card);
    let mut watch = Watch::new(keeper, board.clock().now());
    let mut silent = false;
    let mut look = |item: &Item| {
        if silent && item.place == Place::Network {
            return Seen { trouble: Some("not asked for".into()), ..Seen::default() };
        }
        match supply.look(item, &mut watch) {
            Ok(supply::Look { size, beginning }) => Seen { size, beginning, trouble: None },
            Err(error) => {
                // The next file would be waited for just as long.
                silent |= matches!(&error, supply::Error::Fetch(error) if !is_answer(error));
                Seen { trouble: Some(error.to_string()), ..Seen::default() }
            }
        }
    };
    // Whoever reads it cuts it where it likes.
    let _ = match &planned {
        Planned::Xen(plan) => {
            let seen: Vec<Seen> = plan.items.iter().map(look).collect();
            let firmware = tree.filter(|_| entry.device_tree == DeviceTree::Firmware);
            let console = firmware.map(|tree| departure::foresee_console(&tree, &plan.xen.args, uart.uart));
            let known = warnings::Known {
                tree: tree.as_ref(),
                board_tree: identity.revision.and_then(|revision| revision.device_tree()),
                console: console.as_deref().unwrap_or_default(),
            };
            outline::write(out, entry, plan, &seen, layout, &known)
        }
        Planned::Script(item) => outline::write_script(out, entry, item, &look(item)),
    };
    Ok(())
}

/// Whether it was said by somebody who answers.
fn is_answer(error: &fetch::Error) -> bool {
    match error {
        fetch::Error::Http(error) => !error.may_pass(),
        error => matches!(error, fetch::Error::Tftp(tftp::Error::Server { .. }) | fetch::Error::Unsupported(_)),
    }
}

/// What booting `entry` takes on this machine.
fn plan<'e, B: Board>(
    machine: &mut Machine<B>,
    layout: &Layout,
    entry: &'e Entry,
    from_card: bool,
) -> Result<Planned<'e>, Error> {
    let board_tree = machine.identity.revision.and_then(|revision| revision.device_tree());
    let Machine { board, tree, initramfs, network, card, keeper, .. } = machine;
    let supply: Supply<'_, '_, B> = Supply::new(initramfs.as_ref().map(Claim::bytes), None);
    let bundle = supply.bundle().map_err(|error| Error::Supply { file: "the firmware's initramfs".into(), error })?;
    let has_card = card.is_open();
    let mut watch = Watch::new(keeper, board.clock().now());
    let catalogue = Catalogue::new(card, &mut watch);
    let facts = Facts {
        memory: layout.banks().iter().map(PhysicalRange::size).sum(),
        firmware_tree: tree.is_ok(),
        board_tree,
        bundle: bundle.as_ref(),
        initramfs: initramfs.as_ref().map(|claim| claim.range().size()),
        network: network.is_ok(),
        card: has_card.then_some(&catalogue),
        card_first: from_card,
    };
    Ok(match &entry.payload {
        Payload::Script(file) => Planned::Script(plan::script(file, &facts)?),
        _ => Planned::Xen(Plan::new(entry, &facts)?),
    })
}

fn attempt<B: Board>(
    machine: &mut Machine<B>,
    entry: &Entry,
    from_card: bool,
    files: Option<Prefetched>,
) -> Result<Error, Error> {
    let layout = machine.free_memory()?;
    let planned = match plan(machine, &layout, entry, from_card) {
        Ok(planned) => planned,
        Err(error) => {
            if let Some(files) = files {
                files.give_up(&mut machine.ram);
            }
            return Err(error);
        }
    };
    let known = Known { mac_address: machine.identity.mac, serial_number: machine.identity.serial };
    let Machine { board, ram, uart, tree, initramfs, network, card, keeper, kept, .. } = machine;
    let mut supply: Supply<'_, '_, B> = Supply::new(initramfs.as_ref().map(Claim::bytes), network.as_mut().ok());
    supply = supply.with_card(card);
    let plan = match planned {
        Planned::Xen(plan) => plan,
        Planned::Script(item) => {
            let mut sink = Bounded::default();
            let mut watch = Watch::new(keeper, board.clock().now());
            let brought = supply.bring(&item, &mut sink, &mut watch);
            brought.map_err(|error| Error::Supply { file: item.name(), error })?;
            let bytes = sink.into_bytes();
            if item.file.sha256.is_some() {
                item.check_digest(&sha256(&item, &bytes, Following::default(), &mut watch)?)?;
            }
            drop(watch);
            let script = Script::named(item.file.source.name(), &bytes);
            return Ok(Error::Script(script::run(machine, &script)));
        }
    };

    kept.forget_memory();
    let (mut store, files) = match files {
        Some(Prefetched { parked, files }) => (parked.resume(ram), files),
        None => (Store::new(ram, layout), Vec::new()),
    };
    let mut load = Load { store: &mut store, files, notes: Vec::new(), tree: None };
    let mut watch = Watch::new(keeper, board.clock().now());
    watch.catch_up();
    let brought = load.bring_all(&plan, &mut supply, &mut watch);
    drop(watch);
    let ready = brought
        .and_then(|()| load.write_tree(&plan, tree.as_deref().ok(), &known))
        .and_then(|tree| load.check_memory(&plan, tree).and_then(|()| load.departure(tree)));
    let tree = load.tree;
    let result = ready.map(|departure| departure.start(board, keeper, &mut supply, &mut store, *uart).into());
    // It stays where it is until something else is loaded there.
    kept.keep_tree(tree.map(|tree| store.range(tree).start));
    store.give_up();
    result
}

/// The way of `item`'s file into `store`.
fn receiver<'s, 'm>(store: &'s RefCell<&'s mut Store<'m>>, item: &'s Item) -> Receiver<'s, 'm> {
    let receiver = Receiver::new(store, &item.label, Need::of(item.role));
    let receiver = if item.role.is_program() { receiver.unpacked() } else { receiver };
    // Who brings a bundle's file has compared its digest already.
    if item.file.sha256.is_some() && item.place != Place::Bundle { receiver.digested() } else { receiver }
}

/// The SHA-256 of the file of `item`, of which `begun` has the beginning.
fn sha256<B: Board>(item: &Item, bytes: &[u8], begun: Following, watch: &mut Watch<'_, B>) -> Result<[u8; 32], Error> {
    watch.sha256(item.file.source.name(), bytes, begun).ok_or_else(|| given_up(item))
}

/// Somebody gave it up while `item`'s file was worked on.
fn given_up(item: &Item) -> Error {
    Error::Supply { file: item.name(), error: supply::Error::Fetch(fetch::Error::Aborted) }
}

/// What an entry turns out to need.
enum Planned<'e> {
    Xen(Plan<'e>),
    /// A script, which says itself what it needs.
    Script(Item),
}

/// A plan always has a Xen.
fn lost() -> Error {
    Error::Store { file: "Xen".into(), error: store::Error::Empty }
}

/// A file of the plan that is in memory.
#[derive(Debug)]
struct InMemory {
    role: Role,
    label: String,
    source: String,
    stored: Stored,
    sha256: Option<[u8; 32]>,
}

/// The files of an attempt, as they come.
struct Load<'s, 'm> {
    store: &'s mut Store<'m>,
    files: Vec<InMemory>,
    notes: Vec<String>,
    /// The tree that Xen is given, as far as it is made.
    tree: Option<Stored>,
}

impl Load<'_, '_> {
    fn find(&self, role: Role) -> Option<Stored> {
        self.files.iter().find(|file| file.role == role).map(|file| file.stored)
    }

    fn range(&self, role: Role) -> Option<PhysicalRange> {
        self.find(role).map(|stored| self.store.range(stored))
    }

    /// Brings all files of the plan into memory, each checked as soon as it is there: the device tree first, because what it reserves decides
    /// where the others may lie; then those that are here already; then those of servers, side by side.
    fn bring_all<B: Board>(
        &mut self,
        plan: &Plan<'_>,
        supply: &mut Supply<'_, '_, B>,
        watch: &mut Watch<'_, B>,
    ) -> Result<(), Error> {
        let missing = plan.items.iter().filter(|item| self.find(item.role).is_none());
        let (trees, others): (Vec<&Item>, Vec<&Item>) = missing.partition(|item| item.role == Role::DeviceTree);
        let (fetched, here): (Vec<&Item>, Vec<&Item>) =
            others.into_iter().partition(|item| item.place == Place::Network);
        for item in trees.into_iter().chain(here) {
            self.bring(item, plan, supply, watch)?;
        }
        self.fetch(&fetched, plan, supply, watch)?;
        // Whatever came first, they are told in the order of the settings.
        self.files.sort_by_key(|file| plan.items.iter().position(|item| item.role == file.role));
        Ok(())
    }

    /// Brings one file, wherever it is.
    fn bring<B: Board>(
        &mut self,
        item: &Item,
        plan: &Plan<'_>,
        supply: &mut Supply<'_, '_, B>,
        watch: &mut Watch<'_, B>,
    ) -> Result<(), Error> {
        if item.place == Place::Network {
            return self.fetch(&[item], plan, supply, watch);
        }
        let store = self.store.share();
        let mut receiver = receiver(&store, item);
        let brought = supply.bring(item, &mut receiver, watch);
        let arrived = receiver.finish().map_err(|error| Error::Store { file: item.name(), error })?;
        let sha256 = brought.map_err(|error| Error::Supply { file: item.name(), error })?;
        let empty = || Error::Store { file: item.name(), error: store::Error::Empty };
        self.take_in(item, arrived.ok_or_else(empty)?, sha256, plan, watch)
    }

    /// Brings files from servers side by side. What finds no place so, because a server does not tell a size, comes alone afterwards.
    fn fetch<B: Board>(
        &mut self,
        items: &[&Item],
        plan: &Plan<'_>,
        supply: &mut Supply<'_, '_, B>,
        watch: &mut Watch<'_, B>,
    ) -> Result<(), Error> {
        if items.is_empty() {
            return Ok(());
        }
        let store = self.store.share();
        let mut receivers: Vec<Receiver<'_, '_>> = items.iter().map(|item| receiver(&store, item)).collect();
        let mut jobs: Vec<Job<'_>> =
            (items.iter().zip(&mut receivers)).map(|(item, sink)| Job { source: &item.file.source, sink }).collect();
        let fetched = supply.fetch(&mut jobs, watch);
        let crowded = items.len() > 1 && receivers.iter().any(Receiver::wants_to_be_alone);
        let (mut arrived, mut rest, mut refused) = (Vec::new(), Vec::new(), None);
        for (item, receiver) in items.iter().zip(receivers) {
            match receiver.finish() {
                Ok(Some(file)) => arrived.push((item, file)),
                _ if crowded => rest.push(item),
                Ok(None) if fetched.is_err() => {}
                Ok(None) => _ = refused.get_or_insert(Error::Store { file: item.name(), error: store::Error::Empty }),
                Err(error) => _ = refused.get_or_insert(Error::Store { file: item.name(), error }),
            }
        }
        if let Some(error) = refused {
            return Err(error);
        }
        if let (Err((job, error)), false) = (fetched, crowded) {
            let file = items.get(job).map(|item| item.name()).unwrap_or_default();
            return Err(Error::Supply { file, error });
        }
        for (item, file) in arrived {
            self.take_in(item, file, None, plan, watch)?;
        }
        for item in rest {
            self.fetch(&[item], plan, supply, watch)?;
        }
        Ok(())
    }

    /// Checks a file that has come. `checked` is its SHA-256 where somebody has computed that already.
    fn take_in<B: Board>(
        &mut self,
        item: &Item,
        arrived: Arrived,
        checked: Option<[u8; 32]>,
        plan: &Plan<'_>,
        watch: &mut Watch<'_, B>,
    ) -> Result<(), Error> {
        let Arrived { mut stored, digest, unpacking } = arrived;
        let bytes = self.store.bytes(stored);
        let mut source = item.file.source.name().to_string();
        let sha256 = match (checked, digest) {
            (None, Some(begun)) => Some(sha256(item, bytes, begun, watch)?),
            (checked, _) => checked,
        };
        if let Some(sha256) = &sha256 {
            item.check_digest(sha256)?;
        }
        if let Some(mut unpacking) = unpacking {
            let packed = bytes.len();
            stored = self.unpack(item, stored, &mut unpacking, watch)?;
            if unpacking.target().is_some() {
                source = format!("{source} (gzip, {packed} bytes)");
            }
        }
        let bytes = self.store.bytes(stored);
        item.check(bytes)?;
        plan.check_room(item, bytes)?;
        let label = item.label.clone();
        if item.role == Role::DeviceTree {
            Tree::new(bytes).map_err(|error| Error::Tree { file: item.name(), error })?;
            self.store.reserve_for_tree(stored).map_err(|error| Error::Store { file: label.clone(), error })?;
        }
        self.files.push(InMemory { role: item.role, label, source, stored, sha256 });
        Ok(())
    }

    /// Unpacks what is left to unpack of a file that has come packed.
    fn unpack<B: Board>(
        &mut self,
        item: &Item,
        packed: Stored,
        unpacking: &mut Unpacking,
        watch: &mut Watch<'_, B>,
    ) -> Result<Stored, Error> {
        let (started, name) = (watch.now(), format!("{}, gunzip", item.file.source.name()));
        let (size, mut unpacked) = (self.store.range(packed).size(), Ok(packed));
        let worked = watch.work(&name, size, &mut || {
            match self.store.unpack(packed, unpacking, &item.label, UNPACKED_AT_ONCE) {
                Ok(Step::Done(stored)) => unpacked = Ok(stored),
                Ok(_) => return Some(unpacking.read()),
                Err(error) => unpacked = Err(error),
            }
            None
        });
        worked.ok_or_else(|| given_up(item))?;
        // Else it was not unpacked.
        if unpacking.target().is_some() {
            watch.worked(started, &name);
        }
        unpacked.map_err(|error| Error::Store { file: item.name(), error })
    }

    /// Makes the tree that Xen is given, in a block of its own with room to grow.
    fn write_tree(&mut self, plan: &Plan<'_>, firmware: Option<&[u8]>, known: &Known) -> Result<Stored, Error> {
        let fetched = self.find(Role::DeviceTree);
        let (start, name) = match fetched {
            Some(stored) => (self.store.bytes(stored), "the fetched device tree"),
            None => (firmware.unwrap_or_default(), "the firmware's device tree"),
        };
        // Checked where it lies: what is no tree may be far too large for the heap.
        console::poll();
        let start = Tree::new(start).map_err(|error| Error::Tree { file: name.into(), error })?.bytes();
        xen::check_size(start.len()).map_err(Error::TreeSize)?;
        console::poll();
        let start = start.to_vec();
        // Work on a tree takes milliseconds, each step of it one or a few: the console is looked at between them.
        console::poll();
        // What the firmware knows is in its own tree already.
        let firmware = fetched.and(firmware).and_then(|bytes| Tree::new(bytes).ok());

        let store_error = |error| Error::Store { file: "device tree".into(), error };
        let chosen = self.chosen(plan.xen);
        let overlays = self.overlays()?;
        console::poll();
        let carried_over = firmware.map_or(0, |tree| tree.bytes().len());
        // An overlay's names and paths can take more room in the tree than in the overlay, but hardly twice as much.
        let added: usize = overlays.iter().map(|(_, bytes)| bytes.len() * 2).sum();
        let size = start.len() + carried_over + added + xen::room(plan.xen);
        let block = self.store.block("device tree", size as u64).map_err(store_error)?;
        console::poll();
        let mut editor = Editor::copy(&start, self.store.bytes_mut(block))?;
        self.tree = Some(block);
        console::poll();
        self.notes.extend(carried(&carry_over(firmware.as_ref(), known, &mut editor, &mut console::poll)?));
        console::poll();
        for (file, bytes) in &overlays {
            let tree = Tree::new(bytes).map_err(|error| Error::Tree { file: file.clone(), error })?;
            overlay::apply(&tree, &mut editor).map_err(|error| Error::Overlay { file: file.clone(), error })?;
            console::poll();
        }
        xen::write(&mut editor, &chosen)?;
        console::poll();
        Ok(block)
    }

    /// Refuses what Xen would stop over whatever it did: more memory for Dom0 than is free.
    fn check_memory(&self, plan: &Plan<'_>, tree: Stored) -> Result<(), Error> {
        let dom0 = plan.xen.dom0.as_ref().and_then(|_| command_line::dom0_memory(&plan.xen.args).ok().flatten());
        let Some(dom0) = dom0 else { return Ok(()) };
        let tree = Tree::new(self.store.bytes(tree)).ok();
        let asked = Asked { dom0, domains: plan.xen.domains_memory() };
        match dom0_memory::check(self.store.layout(), tree.as_ref(), asked) {
            Err(shortage) if shortage.is_certain() => Err(Error::Shortage(shortage)),
            _ => Ok(()),
        }
    }

    /// Everything that is now in memory, ready to be started.
    fn departure(&mut self, tree: Stored) -> Result<Departure, Error> {
        let source = self.files.iter().find(|file| file.role == Role::DeviceTree);
        let tree_source = source.map_or("from the firmware", |file| &file.source).to_string();
        let notes = core::mem::take(&mut self.notes);
        let files = (self.files.iter().filter(|file| file.role != Role::DeviceTree))
            .map(|file| File {
                label: file.label.clone(),
                source: file.source.clone(),
                range: self.store.range(file.stored),
                sha256: file.sha256,
            })
            .collect();
        Ok(Departure { program: self.find(Role::Xen).ok_or_else(lost)?, entry: 0, tree, tree_source, files, notes })
    }

    /// The overlays with their names, in the order of the settings; all that can be, on the heap.
    fn overlays(&self) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut overlays = Vec::new();
        let mut size = 0;
        for file in self.files.iter().filter(|file| matches!(file.role, Role::Overlay(_))) {
            let name = || file.source.clone();
            let tree = Tree::new(self.store.bytes(file.stored)).map_err(|error| Error::Tree { file: name(), error })?;
            size += tree.bytes().len();
            if size > MOST_OVERLAYS {
                return Err(Error::Overlay { file: name(), error: overlay::Error::TooLarge { size } });
            }
            overlays.push((name(), tree.bytes().to_vec()));
        }
        Ok(overlays)
    }

    /// What `/chosen` says of the modules. The roles of a plan are those of its settings, so each range is there.
    fn chosen<'c>(&self, config: &'c Xen) -> xen::Chosen<'c> {
        let nowhere = PhysicalRange { start: 0, end: 0 };
        let range = |role| self.range(role).unwrap_or(nowhere);
        xen::Chosen {
            args: &config.args,
            dom0: config.dom0.as_ref().map(|dom0| xen::Dom0 {
                kernel: range(Role::Dom0Kernel),
                ramdisk: self.range(Role::Dom0Ramdisk),
                args: &dom0.args,
            }),
            domains: (config.domains.iter().enumerate())
                .map(|(index, config)| xen::Domain {
                    config,
                    kernel: range(Role::DomainKernel(index)),
                    ramdisk: self.range(Role::DomainRamdisk(index)),
                    device_tree: self.range(Role::DomainDeviceTree(index)),
                })
                .collect(),
        }
    }
}

/// What is worth a line of what was carried into the tree: only a tree for another board.
fn carried(report: &Report) -> Option<String> {
    report.warning.map(|warning| warning.to_string())
}
