//! Files on their way into memory: where each one goes is decided when its size, or its first bytes, are known.
//!
//! A [`Store`] is one attempt to boot one entry. Whoever brings a file, the network or a bundle, brings it through the same
//! [`Sink`](crate::net::tftp::Sink), so a file is placed, claimed and counted in one way. When the attempt fails, everything that
//! it took is given back by [`Store::give_up`], and the next attempt starts from the same memory.

use crate::boot::image::{self, Header};
use crate::boot::layout::{self, LOW_MEMORY_END, Layout, Request};
use crate::net::tftp::{Refusal, Sink};
use crate::ram::{Claim, Ram, RamError};
use crate::range::PhysicalRange;
use alloc::vec::Vec;
use core::fmt;

/// What a file is for, which decides where it may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The hypervisor, or whatever else is jumped to: 2 MiB aligned, with the memory that its header asks for.
    Program,
    /// Anything that Xen is told the address of, or that is only read.
    Module,
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
    /// It has no bytes.
    Empty,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout(error) => error.fmt(f),
            Self::Ram(error) => error.fmt(f),
            Self::Image(error) => error.fmt(f),
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
    claims: Vec<Claim>,
}

impl<'m> Store<'m> {
    /// An attempt in `ram`, with `layout` as it is before anything is loaded.
    pub fn new(ram: &'m mut Ram, layout: Layout) -> Self {
        Self { ram, layout, claims: Vec::new() }
    }

    /// Who lies where.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The memory, for the hand-off.
    pub fn ram(&self) -> &Ram {
        self.ram
    }

    /// A sink for the file called `name`.
    pub fn receive<'s>(&'s mut self, name: &'s str, need: Need) -> Receiver<'s, 'm> {
        Receiver { store: self, name, need, announced: None, claim: None, finished: None, error: None }
    }

    /// A block of `size` bytes for something that is made here.
    ///
    /// # Errors
    /// [`Error::Layout`], [`Error::Ram`].
    pub fn block(&mut self, name: &str, size: u64) -> Result<Stored, Error> {
        let range = self.layout.allocate(name, Request::new(size))?;
        let claim = self.ram.claim(range)?;
        Ok(self.keep(claim, size))
    }

    /// All memory that is `stored`'s own; `None` for what another store keeps.
    pub fn claim(&self, stored: Stored) -> Option<&Claim> {
        self.claims.get(stored.index)
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
        self.claims.get_mut(stored.index).map_or(&mut [], Claim::bytes_mut)
    }

    /// Gives back what is behind the first `length` bytes of a block.
    ///
    /// # Errors
    /// [`Error::Layout`] for no bytes, or more than it has.
    pub fn shorten(&mut self, stored: Stored, length: u64) -> Result<Stored, Error> {
        self.layout.shrink(self.claim(stored).map_or(PhysicalRange { start: 0, end: 0 }, Claim::range), length)?;
        Ok(Stored { length, ..stored })
    }

    /// Gives everything back.
    pub fn give_up(self) {
        for claim in self.claims {
            self.ram.release(claim);
        }
    }

    fn keep(&mut self, claim: Claim, length: u64) -> Stored {
        self.claims.push(claim);
        Stored { index: self.claims.len() - 1, length }
    }
}

/// The way of one file into a [`Store`].
pub struct Receiver<'s, 'm> {
    store: &'s mut Store<'m>,
    name: &'s str,
    need: Need,
    announced: Option<u64>,
    claim: Option<Claim>,
    finished: Option<u64>,
    /// The reason of a refusal, in more detail than [`Refusal`] can carry.
    error: Option<Error>,
}

impl Receiver<'_, '_> {
    /// The file, if it came whole.
    ///
    /// # Errors
    /// Why this end refused it, or [`Error::Empty`]. `Ok(None)` if nothing was refused here and it did not come: whoever sent it
    /// knows why.
    pub fn finish(mut self) -> Result<Option<Stored>, Error> {
        let whole = match (self.error.take(), self.finished) {
            (Some(error), _) => Err(error),
            (None, None) => Ok(None),
            (None, Some(0)) => Err(Error::Empty),
            (None, Some(length)) => Ok(Some(length)),
        };
        let (Ok(Some(length)), Some(claim)) = (&whole, self.claim.take()) else {
            self.forget();
            return whole.map(|_| None);
        };
        let (length, unknown) = (*length, self.announced.is_none() && self.need == Need::Module);
        let stored = self.store.keep(claim, length);
        if unknown { self.store.shorten(stored, length).map(Some) } else { Ok(Some(stored)) }
    }

    /// Gives back what was taken so far.
    fn forget(&mut self) {
        if let Some(claim) = self.claim.take() {
            // It was placed by `place`, so the layout knows it.
            let _ = self.store.layout.release(claim.range());
            self.store.ram.release(claim);
        }
    }

    /// Finds the place, now that the file's first bytes are here.
    fn place(&mut self, first: &[u8]) -> Result<Claim, Error> {
        let layout = &mut self.store.layout;
        let range = match (self.need, self.announced) {
            (Need::Program, announced) => {
                let header = Header::of_beginning(first, announced.unwrap_or(u64::MAX))?;
                layout.allocate(self.name, Request::xen(header.memory_size(announced.unwrap_or(0))))?
            }
            (Need::Module, Some(size)) => layout.allocate(self.name, Request::new(size))?,
            (Need::Module, None) => {
                let low = PhysicalRange { start: 0, end: LOW_MEMORY_END };
                layout.allocate_largest(self.name, layout::PAGE, low)?
            }
        };
        Ok(self.store.ram.claim(range)?)
    }

    fn refuse(&mut self, error: Error) -> Refusal {
        self.error = Some(error);
        Refusal::Other("there is no place for it")
    }
}

impl Sink for Receiver<'_, '_> {
    fn begin(&mut self, size: Option<u64>) -> Result<(), Refusal> {
        self.forget();
        self.error = None;
        self.finished = None;
        self.announced = size;
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        if self.claim.is_none() && !bytes.is_empty() {
            match self.place(bytes) {
                Ok(claim) => self.claim = Some(claim),
                Err(error) => return Err(self.refuse(error)),
            }
        }
        let Some(claim) = self.claim.as_mut() else { return Ok(()) };
        let room = claim.range().size();
        let end = offset.saturating_add(bytes.len() as u64);
        let target = usize::try_from(offset).ok().zip(usize::try_from(end).ok());
        match target.and_then(|(start, end)| claim.bytes_mut().get_mut(start..end)) {
            Some(target) => {
                target.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(Refusal::TooLarge { size: end, room }),
        }
    }

    fn end(&mut self, size: u64) {
        self.finished = Some(size);
    }
}
