//! Files on their way into memory: where each one goes is decided when its size, or its first bytes, are known.
//!
//! A [`Store`] is one attempt to boot one entry. Whoever brings a file, the network or a bundle, brings it through the same
//! [`Sink`](crate::net::tftp::Sink), so a file is placed, claimed and counted in one way. When the attempt fails, everything that
//! it took is given back by [`Store::give_up`], and the next attempt starts from the same memory.
//!
//! Files may come side by side: each has a [`Receiver`] of its own, and what they share, the layout, is asked once a file. A file
//! whose size is told goes to where it stays. One whose size nobody tells gets the largest free block; if others wait for their places
//! too, only its share of that, from the top, so that there is room for theirs below, and moves down when it is whole.

mod receiver;
mod unpacking;

pub use receiver::{Arrived, Receiver};
pub use unpacking::{Step, Unpacking};

use crate::arch::bytes::copy;
use crate::boot::layout::{self, LOW_MEMORY_END, Layout, Request};
use crate::boot::plan::Role;
use crate::boot::{gzip, image, xen};
use crate::console;
use crate::device_tree::Tree;
use crate::ram::{Claim, Ram, RamError};
use crate::range::PhysicalRange;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;
use receiver::Share;

/// Bytes that are moved between two looks at the console: 0.1 ms.
const MOVED_AT_ONCE: usize = 128 * 1024;

/// What a file is for, which decides where it may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The hypervisor, or whatever else is jumped to: 2 MiB aligned, with the memory that its header asks for.
    Program,
    /// Anything that Xen is told the address of.
    Module,
    /// What only the loader reads: out of the way, at the top, because a tree can reserve memory at the bottom.
    Reading,
}

impl Need {
    /// Of a file of a plan.
    pub fn of(role: Role) -> Self {
        match role {
            Role::Xen => Self::Program,
            Role::DeviceTree | Role::Overlay(_) => Self::Reading,
            _ => Self::Module,
        }
    }

    /// The place that it asks for with `size` bytes of memory.
    pub fn request(self, size: u64) -> Request {
        match self {
            Self::Program => Request::xen(size),
            Self::Module => Request::new(size),
            Self::Reading => Request::new(size).below(LOW_MEMORY_END).high(),
        }
    }
}

/// Why a file has no place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The allocator has none.
    Layout(layout::Error),
    /// The memory cannot be had.
    Ram(RamError),
    /// It is not what it should be.
    Image(image::Error),
    /// It is packed, and damaged or larger than it says.
    Gzip(gzip::Error),
    /// It is packed, and does not say how much memory it takes.
    NoMemorySize,
    /// It has no bytes.
    Empty,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout(error) => error.fmt(f),
            Self::Ram(error) => error.fmt(f),
            Self::Image(error) => error.fmt(f),
            Self::Gzip(error) => error.fmt(f),
            Self::NoMemorySize => f.write_str(
                "a gzip file of an image from before Linux 3.17, which does not say how much memory it takes; unpack it \
                 on the server",
            ),
            Self::Empty => f.write_str("the file is empty"),
        }
    }
}

impl From<layout::Error> for Error {
    fn from(error: layout::Error) -> Self {
        Self::Layout(error)
    }
}

impl From<RamError> for Error {
    fn from(error: RamError) -> Self {
        Self::Ram(error)
    }
}

impl From<image::Error> for Error {
    fn from(error: image::Error) -> Self {
        Self::Image(error)
    }
}

impl From<gzip::Error> for Error {
    fn from(error: gzip::Error) -> Self {
        Self::Gzip(error)
    }
}

/// A thing in a [`Store`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    index: usize,
    /// Length of the file in bytes. A program's memory is longer: its .bss follows.
    length: u64,
}

/// The memory of one attempt.
pub struct Store<'m> {
    ram: &'m mut Ram,
    layout: Layout,
    /// What was given back leaves its number to nobody else.
    claims: Vec<Option<Claim>>,
    /// Receivers of files that have no place yet.
    unplaced: u64,
    /// Receivers of files whose place is larger than they are, as far as is known.
    provisional: u64,
}

impl<'m> Store<'m> {
    /// An attempt in `ram`, with `layout` as it is before anything is loaded.
    pub fn new(ram: &'m mut Ram, layout: Layout) -> Self {
        Self { ram, layout, claims: Vec::new(), unplaced: 0, provisional: 0 }
    }

    /// Who lies where.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Keeps free, from here on, what the tree in `stored` reserves. What is no tree reserves nothing.
    ///
    /// # Errors
    /// [`Error::Layout`] where something lies there already.
    pub fn reserve_for_tree(&mut self, stored: Stored) -> Result<(), Error> {
        let bytes = self.claims.get(stored.index).and_then(Option::as_ref).map_or(&[][..], Claim::bytes);
        match Tree::new(bytes) {
            Ok(tree) => Ok(xen::reserve(&tree, &mut self.layout)?),
            Err(_) => Ok(()),
        }
    }

    /// The memory, for the hand-off.
    pub fn ram(&self) -> &Ram {
        self.ram
    }

    /// The store, for the receivers of files that come side by side.
    pub fn share(&mut self) -> RefCell<&mut Self> {
        RefCell::new(self)
    }

    /// A block of `size` bytes for something that is made here.
    ///
    /// # Errors
    /// [`Error::Layout`], [`Error::Ram`].
    pub fn block(&mut self, name: &str, size: u64) -> Result<Stored, Error> {
        self.block_clear_of(name, Request::new(size), &[])
    }

    /// A block of `size` bytes for something that is made here, clear of `others`, which are not this store's but may still be wanted if
    /// the attempt fails. Where there is no such place, anywhere.
    ///
    /// # Errors
    /// [`Error::Layout`], [`Error::Ram`].
    pub fn block_clear_of(&mut self, name: &str, request: Request, others: &[PhysicalRange]) -> Result<Stored, Error> {
        let mut crowded = self.layout.clone();
        for other in others {
            // What lies there already is kept clear of anyway.
            let _ = crowded.reserve(name, *other);
        }
        let range = match crowded.allocate(name, request) {
            Ok(range) => {
                self.layout.place(name, range)?;
                range
            }
            Err(_) => self.layout.allocate(name, request)?,
        };
        let claim = self.ram.claim(range)?;
        Ok(self.keep(claim, range.size()))
    }

    /// Takes what lies in `range` already, with `memory` bytes from its beginning on for it alone, if that is more.
    ///
    /// # Errors
    /// [`Error::Layout`] where something else lies there, [`Error::Ram`].
    pub fn adopt(&mut self, name: &str, range: PhysicalRange, memory: u64) -> Result<Stored, Error> {
        let size = memory.max(range.size());
        let all = PhysicalRange { start: range.start, end: range.start.saturating_add(size) };
        self.layout.place(name, all)?;
        match self.ram.claim(all) {
            Ok(claim) => Ok(self.keep(claim, range.size())),
            Err(error) => {
                // It was placed in the line above.
                let _ = self.layout.release(all);
                Err(error.into())
            }
        }
    }

    /// A copy of the first bytes, `length` of them at most, of what lies in `range` and is not in this store yet.
    ///
    /// # Errors
    /// [`Error::Ram`].
    pub fn copy_of(&mut self, range: PhysicalRange, length: usize) -> Result<Vec<u8>, Error> {
        let end = range.start.saturating_add(length as u64).min(range.end);
        Ok(self.ram.copy(PhysicalRange { end, ..range })?)
    }

    /// Copies what lies in `range` to `offset` bytes behind the beginning of `block`.
    ///
    /// # Errors
    /// [`Error::Layout`] or [`Error::Ram`] where something of this store's lies there; nothing is copied then.
    pub fn copy_into(&mut self, block: Stored, offset: u64, name: &str, range: PhysicalRange) -> Result<(), Error> {
        let source = self.ram.claim(range)?;
        let place =
            usize::try_from(offset).ok().and_then(|start| Some(start..start.checked_add(source.bytes().len())?));
        let target = place.and_then(|place| self.bytes_mut(block).get_mut(place));
        let copied = match target {
            Some(target) => {
                target.copy_from_slice(source.bytes());
                Ok(())
            }
            None => {
                Err(layout::Error::Larger { name: name.into(), range: self.range(block), size: range.size() }.into())
            }
        };
        self.ram.release(source);
        copied
    }

    /// The bytes in `range`, if all of that belongs to one thing in this store.
    pub fn bytes_at(&self, range: PhysicalRange) -> Option<&[u8]> {
        let claim = self.claims.iter().flatten().find(|claim| claim.range().contains(&range))?;
        let start = usize::try_from(range.start - claim.range().start).ok()?;
        claim.bytes().get(start..start.checked_add(usize::try_from(range.size()).ok()?)?)
    }

    /// All memory that is `stored`'s own; `None` for what another store keeps.
    pub fn claim(&self, stored: Stored) -> Option<&Claim> {
        self.claims.get(stored.index)?.as_ref()
    }

    /// Where the bytes of `stored` lie, exactly.
    pub fn range(&self, stored: Stored) -> PhysicalRange {
        let nowhere = PhysicalRange { start: 0, end: 0 };
        let range = self.claim(stored).map_or(nowhere, Claim::range);
        PhysicalRange { start: range.start, end: range.start.saturating_add(stored.length).min(range.end) }
    }

    /// The bytes of `stored`.
    pub fn bytes(&self, stored: Stored) -> &[u8] {
        let bytes = self.claim(stored).map_or(&[][..], Claim::bytes);
        bytes.get(..stored.length as usize).unwrap_or(bytes)
    }

    /// The bytes of `stored`, to write.
    pub fn bytes_mut(&mut self, stored: Stored) -> &mut [u8] {
        self.claims.get_mut(stored.index).and_then(Option::as_mut).map_or(&mut [], Claim::bytes_mut)
    }

    /// Gives back what is behind the first `length` bytes of a block.
    ///
    /// # Errors
    /// [`Error::Layout`] for no bytes, or more than it has.
    pub fn shorten(&mut self, stored: Stored, length: u64) -> Result<Stored, Error> {
        let nowhere = PhysicalRange { start: 0, end: 0 };
        self.layout.shrink(self.claim(stored).map_or(nowhere, Claim::range), length)?;
        if let Some(Some(claim)) = self.claims.get_mut(stored.index) {
            self.ram.shorten(claim, length);
        }
        Ok(Stored { length, ..stored })
    }

    /// Goes on with unpacking `packed`, a file of which all has come: at most `most` bytes of it. Never says [`Step::Left`]: what is left
    /// packed is done, and at the place that it would have got as it is.
    ///
    /// # Errors
    /// What is wrong with the file, or why there is no place for what is in it.
    pub fn unpack(
        &mut self,
        packed: Stored,
        unpacking: &mut Unpacking,
        name: &str,
        most: usize,
    ) -> Result<Step, Error> {
        let Some(claim) = self.take(packed) else { return Ok(Step::Done(packed)) };
        let bytes = claim.bytes();
        let step = unpacking.step(self, name, bytes.get(..packed.length as usize).unwrap_or(bytes), false, most);
        match step {
            Ok(Step::Done(_)) => self.give_back(claim),
            Ok(Step::Left) => return self.keep_moved(claim, name, unpacking.need(), packed.length).map(Step::Done),
            _ => {
                if let Some(place) = self.claims.get_mut(packed.index) {
                    *place = Some(claim);
                }
            }
        }
        step
    }

    fn take(&mut self, stored: Stored) -> Option<Claim> {
        self.claims.get_mut(stored.index)?.take()
    }

    /// Gives `stored` back.
    fn release(&mut self, stored: Stored) {
        if let Some(claim) = self.take(stored) {
            self.give_back(claim);
        }
    }

    fn give_back(&mut self, claim: Claim) {
        // It was placed before it was claimed.
        let _ = self.layout.release(claim.range());
        self.ram.release(claim);
    }

    /// Gives everything back.
    pub fn give_up(self) {
        for claim in self.claims.into_iter().flatten() {
            self.ram.release(claim);
        }
    }

    /// Keeps everything where it is, for an attempt that begins later. No receiver may be at work.
    pub fn park(self) -> Parked {
        Parked { layout: self.layout, claims: self.claims }
    }

    /// The place of a file whose size is not known: the largest free block. Side by side with others the top of it, so that there is as much for
    /// each that waits for a place, and at the bottom for those that move there.
    fn share_of_memory(&mut self, name: &str, need: Need) -> Result<(PhysicalRange, Share), Error> {
        let alignment = if need == Need::Program { layout::XEN_ALIGNMENT } else { layout::PAGE };
        let low = PhysicalRange { start: 0, end: LOW_MEMORY_END };
        let all = self.layout.allocate_largest(name, alignment, low)?;
        if self.unplaced <= 1 && self.provisional == 0 {
            return Ok((all, Share::All));
        }
        self.layout.release(all)?;
        let share = (all.size() / (self.unplaced + 1) / alignment).max(1) * alignment;
        let request = Request::new(share).aligned(alignment).below(LOW_MEMORY_END).high();
        Ok((self.layout.allocate(name, request)?, Share::Part))
    }

    /// Keeps the first `length` bytes of `claim`, at the place that they would have got had their number been known. Where there is none, here.
    fn keep_moved(&mut self, claim: Claim, name: &str, need: Need, length: u64) -> Result<Stored, Error> {
        let place = self.layout.allocate(name, need.request(length)).ok();
        let target = place.and_then(|place| self.ram.claim(place).inspect_err(|_| _ = self.layout.release(place)).ok());
        let Some(mut target) = target else {
            let stored = self.keep(claim, length);
            return self.shorten(stored, length);
        };
        for (to, from) in target.bytes_mut().chunks_mut(MOVED_AT_ONCE).zip(claim.bytes().chunks(MOVED_AT_ONCE)) {
            console::poll();
            copy(to, from);
        }
        self.give_back(claim);
        Ok(self.keep(target, length))
    }

    fn keep(&mut self, claim: Claim, length: u64) -> Stored {
        self.claims.push(Some(claim));
        Stored { index: self.claims.len() - 1, length }
    }
}

/// What a [`Store`] held, while nobody works on it.
#[derive(Debug)]
pub struct Parked {
    layout: Layout,
    claims: Vec<Option<Claim>>,
}

impl Parked {
    /// The store again. What was [`Stored`] in it still is.
    pub fn resume(self, ram: &mut Ram) -> Store<'_> {
        Store { ram, layout: self.layout, claims: self.claims, unplaced: 0, provisional: 0 }
    }
}

#[cfg(test)]
#[path = "store/tests.rs"]
mod tests;
