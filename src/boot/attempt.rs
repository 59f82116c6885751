//! One attempt to boot one entry: files into memory, the tree, the last words, the jump.
//!
//! Everything that can fail is done before anything is taken down. So an attempt that fails leaves the machine as it was, and
//! another entry can be tried.

use crate::arch::handoff::{self, HandOffError};
use crate::board::Board;
use crate::boot::bring_up::Machine;
use crate::boot::digest::Digest;
use crate::boot::dom0_memory;
use crate::boot::layout::{self, Layout};
use crate::boot::network::Watch;
use crate::boot::plan::{self, Facts, Item, Plan, Role};
use crate::boot::store::{self, Need, Store, Stored};
use crate::boot::summary::{CommandLine, Loaded, Summary};
use crate::boot::supply::{self, Supply};
use crate::boot::xen;
use crate::boot::xen_console::{self, Ours, XenConsole};
use crate::config::{Entry, Xen, command_line};
use crate::console;
use crate::device_tree::firmware::{Known, Report, carry_over};
use crate::device_tree::{Editor, Tree, edit, overlay, read};
use crate::drivers::uart::UartKind;
use crate::drivers::uart_choice::stdout_uart;
use crate::println;
use crate::ram::Claim;
use crate::range::PhysicalRange;
use crate::time::Clock;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt;

/// Pins of the header's UART, as `brcm,pins` counts them.
const HEADER_PINS: [u32; 2] = [14, 15];

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
    /// The finished device tree is too large for Xen.
    TreeSize(xen::TooLarge),
    /// Memory could not be laid out.
    Layout(layout::Error),
    /// The jump was not possible.
    HandOff(HandOffError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan(error) => error.fmt(f),
            Self::Supply { file, error } => write!(f, "{file}: {error}"),
            Self::Store { file, error } => write!(f, "{file}: {error}"),
            Self::Tree { file, error } => write!(f, "{file}: {error}"),
            Self::Overlay { file, error } => write!(f, "{file}: {error}"),
            Self::Edit(error) => write!(f, "the device tree: {error}"),
            Self::TreeSize(error) => error.fmt(f),
            Self::Layout(error) => error.fmt(f),
            Self::HandOff(error) => error.fmt(f),
        }
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

/// Boots `entry`. Comes back only if that failed.
pub fn boot<B: Board>(machine: &mut Machine<B>, entry: &Entry) -> Error {
    match attempt(machine, entry) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn attempt<B: Board>(machine: &mut Machine<B>, entry: &Entry) -> Result<Infallible, Error> {
    let layout = free_memory(machine)?;
    let known = Known { mac_address: machine.identity.mac, serial_number: machine.identity.serial };
    let board_tree = machine.identity.revision.and_then(|revision| revision.device_tree());
    let Machine { board, ram, uart, tree, initramfs, network, keeper, .. } = machine;
    let has_network = network.is_ok();
    let mut supply: Supply<'_, '_, B> = Supply::new(initramfs.as_ref().map(Claim::bytes), network.as_mut().ok());
    let bundle = supply.bundle().map_err(|error| Error::Supply { file: "the firmware's initramfs".into(), error })?;
    let facts = Facts {
        memory: layout.banks().iter().map(PhysicalRange::size).sum(),
        firmware_tree: tree.is_ok(),
        board_tree,
        bundle: bundle.as_ref(),
        initramfs: initramfs.as_ref().map(|claim| claim.range().size()),
        network: has_network,
    };
    let plan = Plan::new(entry, &facts)?;

    let mut store = Store::new(ram, layout);
    let mut load = Load { store: &mut store, files: Vec::new(), notes: Vec::new() };
    let ready = load
        .bring_all(&plan, &mut supply, &mut Watch::new(keeper, board.clock().now()))
        .and_then(|()| load.write_tree(&plan, tree.as_deref().ok(), &known, uart.uart))
        .map(|(tree, console)| {
            load.say(&plan, tree, &console);
            (load.find(Role::Xen), tree)
        });
    let result = ready.and_then(|(image, tree)| {
        let claims = image.and_then(|image| store.claim(image)).zip(store.claim(tree));
        let (image, tree) = claims.ok_or_else(lost)?;
        if let Err(error) = supply.silence() {
            // The engines are told to stop whatever their status says, and some controllers' says nothing.
            println!("{error}. Going on.");
        }
        keeper.settle();
        let Err(error) = handoff::leave(board.start(), store.ram(), image, 0, tree);
        supply.resume();
        Err(Error::HandOff(error))
    });
    store.give_up();
    result
}

/// A plan always has a Xen, and a store has what it gave out.
fn lost() -> Error {
    Error::Store { file: "Xen".into(), error: store::Error::Empty }
}

/// What is free before anything is loaded.
fn free_memory<B: Board>(machine: &Machine<B>) -> Result<Layout, Error> {
    let mut layout = Layout::new(machine.ram.banks().iter().copied())?;
    for range in machine.ram.reserved() {
        layout.reserve("memory that the firmware or the loader keeps", *range)?;
    }
    if let Some(claim) = &machine.initramfs {
        layout.reserve("the firmware's initramfs", claim.range())?;
    }
    Ok(layout)
}

/// A file of the plan that is in memory.
struct InMemory {
    role: Role,
    label: String,
    source: String,
    stored: Stored,
    digest: Digest,
}

/// The files of an attempt, as they come.
struct Load<'s, 'm> {
    store: &'s mut Store<'m>,
    files: Vec<InMemory>,
    notes: Vec<String>,
}

impl Load<'_, '_> {
    fn find(&self, role: Role) -> Option<Stored> {
        self.files.iter().find(|file| file.role == role).map(|file| file.stored)
    }

    fn range(&self, role: Role) -> Option<PhysicalRange> {
        self.find(role).map(|stored| self.store.range(stored))
    }

    /// Brings all files of the plan into memory, each checked as soon as it is there.
    fn bring_all<B: Board>(
        &mut self,
        plan: &Plan<'_>,
        supply: &mut Supply<'_, '_, B>,
        watch: &mut Watch<'_, B>,
    ) -> Result<(), Error> {
        for item in &plan.items {
            let (stored, checked_already) = self.bring(item, supply, watch)?;
            let bytes = self.store.bytes(stored);
            let digest = match checked_already {
                Some(sha256) => Digest::Sha256(sha256),
                None if item.file.sha256.is_some() => Digest::sha256(bytes),
                None => Digest::crc32(bytes),
            };
            if let Digest::Sha256(sha256) = &digest {
                item.check_digest(sha256)?;
            }
            let checked = item.check(bytes)?;
            plan.check_room(item, bytes)?;
            if item.role == Role::DeviceTree {
                Tree::new(bytes).map_err(|error| Error::Tree { file: item.name(), error })?;
            }
            self.notes.extend(checked.notes.iter().map(ToString::to_string));
            let (label, source) = (item.label.clone(), item.file.source.name().to_string());
            if item.role == Role::DeviceTree {
                // It comes first, so that everything after it keeps clear of what it reserves.
                self.store.reserve_for_tree(stored).map_err(|error| Error::Store { file: label.clone(), error })?;
            }
            self.files.push(InMemory { role: item.role, label, source, stored, digest });
        }
        Ok(())
    }

    fn bring<B: Board>(
        &mut self,
        item: &Item,
        supply: &mut Supply<'_, '_, B>,
        watch: &mut Watch<'_, B>,
    ) -> Result<(Stored, Option<[u8; 32]>), Error> {
        let need = match item.role {
            Role::Xen => Need::Program,
            Role::DeviceTree | Role::Overlay(_) => Need::Reading,
            _ => Need::Module,
        };
        let mut receiver = self.store.receive(&item.label, need);
        let brought = supply.bring(item, &mut receiver, watch);
        let stored = receiver.finish().map_err(|error| Error::Store { file: item.name(), error })?;
        match (brought, stored) {
            (Ok(sha256), Some(stored)) => Ok((stored, sha256)),
            (Err(error), _) => Err(Error::Supply { file: item.name(), error }),
            (Ok(_), None) => Err(Error::Store { file: item.name(), error: store::Error::Empty }),
        }
    }

    /// Makes the tree that Xen is given, in a block of its own.
    fn write_tree(
        &mut self,
        plan: &Plan<'_>,
        firmware: Option<&[u8]>,
        known: &Known,
        uart: UartKind,
    ) -> Result<(Stored, XenConsole), Error> {
        let fetched = self.find(Role::DeviceTree);
        let (start, name) = match fetched {
            Some(stored) => (self.store.bytes(stored), "the fetched device tree"),
            None => (firmware.unwrap_or_default(), "the firmware's device tree"),
        };
        // Checked where it lies: what is no tree may be far too large for the heap.
        let start = Tree::new(start).map_err(|error| Error::Tree { file: name.into(), error })?.bytes();
        xen::check_size(start.len()).map_err(Error::TreeSize)?;
        let start = start.to_vec();
        // What the firmware knows is in its own tree already.
        let firmware = fetched.and(firmware).and_then(|bytes| Tree::new(bytes).ok());

        let store_error = |error| Error::Store { file: "device tree".into(), error };
        let chosen = self.chosen(plan.xen);
        let overlays = self.overlays()?;
        let carried_over = firmware.map_or(0, |tree| tree.bytes().len());
        // An overlay's names and paths can take more room in the tree than in the overlay, but hardly twice as much.
        let added: usize = overlays.iter().map(|(_, bytes)| bytes.len() * 2).sum();
        let size = start.len() + carried_over + added + xen::room(plan.xen);
        let block = self.store.block("device tree", size as u64).map_err(store_error)?;
        let mut editor = Editor::copy(&start, self.store.bytes_mut(block))?;
        self.notes.extend(carried(&carry_over(firmware.as_ref(), known, &mut editor)?));
        for (file, bytes) in &overlays {
            let tree = Tree::new(bytes).map_err(|error| Error::Tree { file: file.clone(), error })?;
            overlay::apply(&tree, &mut editor).map_err(|error| Error::Overlay { file: file.clone(), error })?;
        }
        let path = uart_path(&editor.tree()?, uart);
        let ours = Ours { path: &path, pins: &HEADER_PINS };
        let console = xen_console::resolve(&editor.tree()?, &plan.xen.args, ours);
        xen_console::prepare(&mut editor, &console, ours)?;
        xen::write(&mut editor, &xen::Chosen { args: &console.args, ..chosen })?;
        let length = editor.finish().len();
        let tree = self.store.shorten(block, length as u64).map_err(store_error)?;
        // What leaves here is what an independent look finds in order.
        let finished = Tree::new(self.store.bytes(tree))
            .map_err(|error| Error::Tree { file: "the finished tree".into(), error })?;
        xen::check_size(length).map_err(Error::TreeSize)?;
        xen::check_reservations(&finished, self.store.layout())?;
        if let (Some(_), Ok(Some(asked))) = (&plan.xen.dom0, command_line::dom0_memory(&console.args)) {
            self.notes
                .extend(dom0_memory::check(self.store.layout(), &finished, asked).err().map(|short| short.to_string()));
        }
        Ok((tree, console))
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

    /// The last words.
    fn say(&self, plan: &Plan<'_>, tree: Stored, xen_console: &XenConsole) {
        let mut files: Vec<Loaded<'_>> = (self.files.iter().filter(|file| file.role != Role::DeviceTree))
            .map(|file| Loaded {
                label: &file.label,
                source: &file.source,
                range: self.store.range(file.stored),
                digest: file.digest,
            })
            .collect();
        let source = self.files.iter().find(|file| file.role == Role::DeviceTree);
        let source = source.map_or("from the firmware", |file| &file.source);
        let digest = Digest::crc32(self.store.bytes(tree));
        files.push(Loaded { label: "device tree", source, range: self.store.range(tree), digest });
        let mut lines = Vec::from([CommandLine { label: "Xen", args: &xen_console.args }]);
        lines.extend(plan.xen.dom0.iter().map(|dom0| CommandLine { label: "Dom0", args: &dom0.args }));
        lines.extend(plan.xen.domains.iter().map(|domain| CommandLine { label: &domain.name, args: &domain.args }));
        let mut notes: Vec<&dyn fmt::Display> = Vec::new();
        notes.extend(plan.notes.iter().map(|note| note as &dyn fmt::Display));
        notes.extend(self.notes.iter().map(|note| note as &dyn fmt::Display));
        notes.extend(xen_console.notes.iter().map(|note| note as &dyn fmt::Display));
        let summary = Summary {
            files: &files,
            command_lines: &lines,
            console: xen_console.path.as_deref(),
            notes: &notes,
            memory: self.store.layout().occupants(),
        };
        // The console's writer never fails.
        console::with(|console| summary.short(console).ok());
    }
}

/// What is worth a line of what was carried into the tree: only a tree for another board.
fn carried(report: &Report) -> Option<String> {
    report.warning.map(|warning| warning.to_string())
}

/// The path of our UART's node in `tree`; empty if it has none.
fn uart_path(tree: &Tree<'_>, uart: UartKind) -> String {
    let ours = tree.nodes().find(|node| {
        let compatible = node.property("compatible").map_or(&[][..], |property| property.value());
        !compatible.is_empty() && stdout_uart(&node.path().to_string(), compatible) == Some(uart)
    });
    ours.map(|node| node.path().to_string()).unwrap_or_default()
}
