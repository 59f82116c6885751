//! One attempt to boot one entry: files into memory, the tree, the last words, the jump.
//!
//! Everything that can fail is done before anything is taken down. So an attempt that fails leaves the machine as it was, and
//! another entry can be tried.

mod error;
mod load;
mod tree;

pub use error::Error;

use crate::board::Board;
use crate::boot::bring_up::Machine;
use crate::boot::card::Catalogue;
use crate::boot::departure;
use crate::boot::digest::Following;
use crate::boot::layout::Layout;
use crate::boot::network::{Foreground, Watch};
use crate::boot::outline::{self, Seen};
use crate::boot::plan::{self, Facts, Item, Place, Plan};
use crate::boot::script::{self, Script};
use crate::boot::store::{Parked, Store};
use crate::boot::supply::{self, Supply};
use crate::boot::warnings;
use crate::config::{DeviceTree, Entry, Payload};
use crate::device_tree::Tree;
use crate::device_tree::firmware::Known;
use crate::net::settings::Bounded;
use crate::net::{fetch, tftp};
use crate::ram::{Claim, Ram};
use crate::range::PhysicalRange;
use crate::time::Clock;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use load::{InMemory, Load, sha256};

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

/// What an entry turns out to need.
enum Planned<'e> {
    Xen(Plan<'e>),
    /// A script, which says itself what it needs.
    Script(Item),
}
