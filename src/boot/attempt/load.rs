//! The files of an entry, from wherever they are into the memory of its attempt.

use super::Error;
use crate::board::Board;
use crate::boot::departure::{Departure, File};
use crate::boot::digest::Following;
use crate::boot::network::Watch;
use crate::boot::plan::{Item, Place, Plan, Role};
use crate::boot::store::{self, Arrived, Need, Receiver, Step, Store, Stored, Unpacking};
use crate::boot::supply::{self, Supply};
use crate::device_tree::Tree;
use crate::net::fetch::{self, Job};
use crate::range::PhysicalRange;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;

/// Bytes that are unpacked between two looks at the console: some 0.4 ms.
const UNPACKED_AT_ONCE: usize = 64 * 1024;

/// A file of the plan that is in memory.
#[derive(Debug)]
pub(super) struct InMemory {
    pub role: Role,
    pub label: String,
    pub source: String,
    pub stored: Stored,
    pub sha256: Option<[u8; 32]>,
}

/// The files of an attempt, as they come.
pub(super) struct Load<'s, 'm> {
    pub store: &'s mut Store<'m>,
    pub files: Vec<InMemory>,
    pub notes: Vec<String>,
    /// The tree that Xen is given, as far as it is made.
    pub tree: Option<Stored>,
}

impl Load<'_, '_> {
    pub fn find(&self, role: Role) -> Option<Stored> {
        self.files.iter().find(|file| file.role == role).map(|file| file.stored)
    }

    pub fn range(&self, role: Role) -> Option<PhysicalRange> {
        self.find(role).map(|stored| self.store.range(stored))
    }

    /// Brings all files of the plan into memory, each checked as soon as it is there: the device tree first, because what it reserves decides
    /// where the others may lie; then those that are here already; then those of servers, side by side.
    pub fn bring_all<B: Board>(
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

    /// Everything that is now in memory, ready to be started.
    pub fn departure(&mut self, tree: Stored) -> Result<Departure, Error> {
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
}

/// The way of `item`'s file into `store`.
fn receiver<'s, 'm>(store: &'s RefCell<&'s mut Store<'m>>, item: &'s Item) -> Receiver<'s, 'm> {
    let receiver = Receiver::new(store, &item.label, Need::of(item.role));
    let receiver = if item.role.is_program() { receiver.unpacked() } else { receiver };
    // Who brings a bundle's file has compared its digest already.
    if item.file.sha256.is_some() && item.place != Place::Bundle { receiver.digested() } else { receiver }
}

/// The SHA-256 of the file of `item`, of which `begun` has the beginning.
pub(super) fn sha256<B: Board>(
    item: &Item,
    bytes: &[u8],
    begun: Following,
    watch: &mut Watch<'_, B>,
) -> Result<[u8; 32], Error> {
    watch.sha256(item.file.source.name(), bytes, begun).ok_or_else(|| given_up(item))
}

/// Somebody gave it up while `item`'s file was worked on.
fn given_up(item: &Item) -> Error {
    Error::Supply { file: item.name(), error: supply::Error::Fetch(fetch::Error::Aborted) }
}

/// A plan always has a Xen.
fn lost() -> Error {
    Error::Store { file: "Xen".into(), error: store::Error::Empty }
}
