//! Files on their way into memory: where each one goes is decided when its size, or its first bytes, are known.
//!
//! A [`Store`] is one attempt to boot one entry. Whoever brings a file, the network or a bundle, brings it through the same
//! [`Sink`], so a file is placed, claimed and counted in one way. When the attempt fails, everything that
//! it took is given back by [`Store::give_up`], and the next attempt starts from the same memory.
//!
//! Files may come side by side: each has a [`Receiver`] of its own, and what they share, the layout, is asked once a file. A file
//! whose size is told goes to where it stays. One whose size nobody tells gets the largest free block; if others wait for their places
//! too, only its share of that, from the top, so that there is room for theirs below, and moves down when it is whole.

use crate::arch::bytes::copy;
use crate::boot::digest::Following;
use crate::boot::image::{self, Header};
use crate::boot::layout::{self, LOW_MEMORY_END, Layout, Request};
use crate::boot::plan::Role;
use crate::boot::xen;
use crate::console;
use crate::device_tree::Tree;
use crate::net::tftp::{Refusal, Sink};
use crate::ram::{Claim, Ram, RamError};
use crate::range::PhysicalRange;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;

/// Bytes that are moved between two looks at the console: 0.1 ms.
const MOVED_AT_ONCE: usize = 128 * 1024;

/// Bytes of which a digest is computed at a time while files come: some 30 µs, in which two or three blocks come at line rate, and the ring
/// has room for a hundred times as many.
const DIGESTED_AT_ONCE: usize = 4 * 1024;

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
        let bytes = self.claims.get(stored.index).map_or(&[][..], Claim::bytes);
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
        let claim = self.claims.iter().find(|claim| claim.range().contains(&range))?;
        let start = usize::try_from(range.start - claim.range().start).ok()?;
        claim.bytes().get(start..start.checked_add(usize::try_from(range.size()).ok()?)?)
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
        let nowhere = PhysicalRange { start: 0, end: 0 };
        self.layout.shrink(self.claim(stored).map_or(nowhere, Claim::range), length)?;
        if let Some(claim) = self.claims.get_mut(stored.index) {
            self.ram.shorten(claim, length);
        }
        Ok(Stored { length, ..stored })
    }

    /// Gives everything back.
    pub fn give_up(self) {
        for claim in self.claims {
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
        // It was placed when its first bytes came.
        let _ = self.layout.release(claim.range());
        self.ram.release(claim);
        Ok(self.keep(target, length))
    }

    fn keep(&mut self, claim: Claim, length: u64) -> Stored {
        self.claims.push(claim);
        Stored { index: self.claims.len() - 1, length }
    }
}

/// What a [`Store`] held, while nobody works on it.
#[derive(Debug)]
pub struct Parked {
    layout: Layout,
    claims: Vec<Claim>,
}

impl Parked {
    /// The store again. What was [`Stored`] in it still is.
    pub fn resume(self, ram: &mut Ram) -> Store<'_> {
        Store { ram, layout: self.layout, claims: self.claims, unplaced: 0, provisional: 0 }
    }
}

/// How much of the largest free block a file got whose size is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    All,
    /// The top of it, because other files wait for their places.
    Part,
}

/// A file that has come whole.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// It.
    pub stored: Stored,
    /// Its SHA-256, as far as there was time for it, where it is wanted.
    pub digest: Option<Following>,
}

/// The way of one file into a [`Store`].
pub struct Receiver<'s, 'm> {
    store: &'s RefCell<&'s mut Store<'m>>,
    name: &'s str,
    need: Need,
    announced: Option<u64>,
    claim: Option<Claim>,
    /// What it has is its share of a block, until its size is known; all of it where no other file waits for a place.
    share: Option<Share>,
    /// There was no room for it beside another file whose size nobody knows.
    crowded: bool,
    finished: Option<u64>,
    /// The SHA-256 of what has come, where one is wanted.
    digest: Option<Following>,
    /// The reason of a refusal, in more detail than [`Refusal`] can carry.
    error: Option<Error>,
}

impl<'s, 'm> Receiver<'s, 'm> {
    /// A sink for the file called `name`.
    pub fn new(store: &'s RefCell<&'s mut Store<'m>>, name: &'s str, need: Need) -> Self {
        store.borrow_mut().unplaced += 1;
        Self {
            store,
            name,
            need,
            announced: None,
            claim: None,
            share: None,
            crowded: false,
            finished: None,
            digest: None,
            error: None,
        }
    }

    /// The same, where the file's SHA-256 is wanted: as much of it as there is time for is computed while the file comes.
    pub fn digested(self) -> Self {
        Self { digest: Some(Following::default()), ..self }
    }

    /// Whether there was no room for the file side by side with others, and may be if it is brought alone: somebody's size is not known.
    pub fn wants_to_be_alone(&self) -> bool {
        self.crowded
    }

    /// The file, if it came whole.
    ///
    /// # Errors
    /// Why this end refused it, or [`Error::Empty`]. `Ok(None)` if nothing was refused here and it did not come: whoever sent it
    /// knows why.
    pub fn finish(mut self) -> Result<Option<Arrived>, Error> {
        let length = match (self.error.take(), self.finished) {
            (None, Some(length)) if length > 0 => length,
            (error, finished) => {
                self.forget();
                self.store.borrow_mut().unplaced -= 1;
                let empty = finished.map(|_| Error::Empty);
                return error.or(empty).map_or(Ok(None), Err);
            }
        };
        // Bytes have come, so there is one.
        let Some(claim) = self.claim.take() else { return Ok(None) };
        let mut store = self.store.borrow_mut();
        store.provisional -= u64::from(self.share.is_some());
        match (self.share, self.need) {
            (Some(Share::Part), Need::Module | Need::Reading) => store.keep_moved(claim, self.name, self.need, length),
            (Some(Share::All), Need::Module | Need::Reading) => {
                let stored = store.keep(claim, length);
                store.shorten(stored, length)
            }
            _ => Ok(store.keep(claim, length)),
        }
        .map(|stored| Some(Arrived { stored, digest: self.digest }))
    }

    /// Gives back what was taken so far.
    fn forget(&mut self) {
        let share = self.share.take();
        if let Some(claim) = self.claim.take() {
            let mut store = self.store.borrow_mut();
            store.unplaced += 1;
            store.provisional -= u64::from(share.is_some());
            // It was placed by `place`, so the layout knows it.
            let _ = store.layout.release(claim.range());
            store.ram.release(claim);
        }
    }

    /// Finds the place, now that the file's first bytes are here.
    fn place(&mut self, first: &[u8]) -> Result<Claim, Error> {
        let mut store = self.store.borrow_mut();
        let known = match (self.need, self.announced) {
            (Need::Program, announced) => {
                let header = Header::of_beginning(first, announced.unwrap_or(u64::MAX))?;
                // None of a header from before Linux 3.17 from a server that does not tell sizes.
                Some(header.memory_size(announced.unwrap_or(0))).filter(|size| *size > 0)
            }
            (_, announced) => announced,
        };
        let (range, share) = match known {
            Some(size) => (store.layout.allocate(self.name, self.need.request(size))?, None),
            None => store.share_of_memory(self.name, self.need).map(|(range, share)| (range, Some(share)))?,
        };
        match store.ram.claim(range) {
            Ok(claim) => {
                store.unplaced -= 1;
                store.provisional += u64::from(share.is_some());
                self.share = share;
                Ok(claim)
            }
            Err(error) => {
                // It was placed in the lines above.
                let _ = store.layout.release(range);
                Err(error.into())
            }
        }
    }

    fn refuse(&mut self, error: Error) -> Refusal {
        self.crowded =
            matches!(error, Error::Layout(layout::Error::NoRoom { .. })) && self.store.borrow().provisional > 0;
        self.error = Some(error);
        Refusal::Other("there is no place for it")
    }
}

impl Sink for Receiver<'_, '_> {
    fn begin(&mut self, size: Option<u64>) -> Result<(), Refusal> {
        self.forget();
        self.error = None;
        self.crowded = false;
        self.finished = None;
        self.digest = self.digest.take().map(|_| Following::default());
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
                copy(target, bytes);
                Ok(())
            }
            None if self.share == Some(Share::Part) => {
                let name = self.name.into();
                let alignment = layout::PAGE;
                Err(self.refuse(layout::Error::NoRoom { name, size: end, alignment, largest: room }.into()))
            }
            None => Err(Refusal::TooLarge { size: end, room }),
        }
    }

    fn end(&mut self, size: u64) {
        self.finished = Some(size);
    }

    fn idle(&mut self, complete: u64) -> bool {
        let (Some(digest), Some(claim)) = (&mut self.digest, &self.claim) else { return false };
        let complete = usize::try_from(complete).ok().and_then(|complete| claim.bytes().get(..complete));
        let beginning = complete.unwrap_or_default();
        let whole = self.finished.is_some() || beginning.len().saturating_sub(digest.done()) >= DIGESTED_AT_ONCE;
        whole && digest.follow(beginning, DIGESTED_AT_ONCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    const MIB: u64 = 1 << 20;

    fn ram() -> Ram {
        Ram::simulated(4 * MIB, 32 * MIB as usize)
    }

    fn layout(ram: &Ram) -> Layout {
        Layout::new(ram.banks().iter().copied()).unwrap()
    }

    /// An arm64 Image of `length` bytes that asks for `image_size`.
    fn image(length: usize, image_size: u64) -> Vec<u8> {
        let mut bytes = vec![0; length];
        bytes[16..24].copy_from_slice(&image_size.to_le_bytes());
        bytes[24] = 8;
        bytes[56..60].copy_from_slice(b"ARM\x64");
        bytes
    }

    fn send(receiver: &mut Receiver<'_, '_>, size: Option<u64>, bytes: &[u8]) -> Result<(), Refusal> {
        receiver.begin(size)?;
        for (index, block) in bytes.chunks(1468).enumerate() {
            receiver.write(index as u64 * 1468, block)?;
        }
        receiver.end(bytes.len() as u64);
        Ok(())
    }

    fn bring(store: &mut Store<'_>, need: Need, size: Option<u64>, bytes: &[u8]) -> Result<Option<Stored>, Error> {
        let store = store.share();
        let mut receiver = Receiver::new(&store, "file", need);
        let _ = send(&mut receiver, size, bytes);
        receiver.finish().map(|arrived| arrived.map(|arrived| arrived.stored))
    }

    #[test]
    fn a_program_gets_the_memory_of_its_header_on_two_mebibytes() {
        let mut ram = ram();
        let layout = layout(&ram);
        let mut store = Store::new(&mut ram, layout);
        let bytes = image(5000, 3 * MIB);
        for size in [Some(5000), None] {
            let stored = bring(&mut store, Need::Program, size, &bytes).unwrap().unwrap();
            let claim = store.claim(stored).unwrap().range();
            assert_eq!((claim.start % (2 * MIB), claim.size()), (0, 3 * MIB));
            assert_eq!(store.range(stored).size(), 5000);
            assert_eq!(store.bytes(stored), bytes);
        }
    }

    #[test]
    fn what_is_no_program_is_refused_with_its_first_block() {
        let mut ram = ram();
        let layout = layout(&ram);
        let mut store = Store::new(&mut ram, layout);
        let shared = store.share();
        let mut receiver = Receiver::new(&shared, "Xen", Need::Program);
        receiver.begin(Some(3000)).unwrap();
        assert!(receiver.write(0, &[b'x'; 1468]).is_err());
        let error = receiver.finish().unwrap_err().to_string();
        assert!(error.contains("text"), "{error}");
        assert!(store.layout().occupants().iter().all(|occupant| occupant.name != "Xen"));
    }

    #[test]
    fn a_module_without_announced_size_takes_all_and_keeps_what_it_needs() {
        let mut ram = ram();
        let layout = layout(&ram);
        let mut store = Store::new(&mut ram, layout);
        let stored = bring(&mut store, Need::Module, None, &[7; 10_000]).unwrap().unwrap();
        assert_eq!(store.range(stored).size(), 10_000);
        assert_eq!(store.bytes(stored), [7; 10_000]);
        let placed: Vec<_> = store.layout().occupants().iter().filter(|occupant| occupant.name == "file").collect();
        assert_eq!((placed.len(), placed[0].block.size()), (1, 12_288));
    }

    /// What lies in memory as `file`, by address.
    fn placed(store: &Store<'_>) -> Vec<PhysicalRange> {
        store.layout().occupants().iter().filter(|one| !one.reserved).map(|one| one.block).collect()
    }

    #[test]
    fn files_side_by_side_keep_out_of_each_others_way_whether_their_sizes_are_told_or_not() {
        let contents = [image(5000, 3 * MIB), vec![1; 3 * MIB as usize], vec![2; 10_000], vec![3; 2 * MIB as usize]];
        for told in 0..16_u32 {
            let mut ram = ram();
            let layout = layout(&ram);
            let mut store = Store::new(&mut ram, layout);
            let shared = store.share();
            let mut receivers = [Need::Program, Need::Module, Need::Reading, Need::Module]
                .map(|need| Receiver::new(&shared, "file", need));
            for (index, (receiver, bytes)) in receivers.iter_mut().zip(&contents).enumerate() {
                receiver.begin((told >> index & 1 != 0).then_some(bytes.len() as u64)).unwrap();
            }
            for block in 0..3 * MIB as usize / 1468 + 1 {
                for (receiver, bytes) in receivers.iter_mut().zip(&contents) {
                    let Some(piece) = bytes.chunks(1468).nth(block) else { continue };
                    receiver.write(block as u64 * 1468, piece).unwrap();
                }
            }
            let stored: Vec<_> = (receivers.into_iter().zip(&contents))
                .map(|(mut receiver, bytes)| {
                    receiver.end(bytes.len() as u64);
                    receiver.finish().unwrap().unwrap().stored
                })
                .collect();
            for (stored, bytes) in stored.iter().zip(&contents) {
                assert!(store.bytes(*stored) == bytes, "{told:04b}");
            }
            // Nobody has kept more than it needs, and modules are packed at the bottom.
            let sizes = placed(&store).iter().map(PhysicalRange::size).sum::<u64>();
            assert_eq!(sizes, (4 + 3 + 2) * MIB + 12_288, "{told:04b}: {:?}", placed(&store));
            assert!(store.range(stored[1]).end.max(store.range(stored[3]).end) <= 18 * MIB, "{told:04b}");
            assert_eq!((store.unplaced, store.provisional), (0, 0));
            store.give_up();
        }
    }

    #[test]
    fn a_digest_follows_what_has_come_without_gaps_and_starts_over_with_the_file() {
        let mut ram = ram();
        let layout = layout(&ram);
        let mut store = Store::new(&mut ram, layout);
        let bytes: Vec<u8> = (0..100_000_u32).map(|index| (index >> 3) as u8).collect();
        let shared = store.share();
        let mut receiver = Receiver::new(&shared, "file", Need::Module).digested();
        receiver.begin(Some(100_000)).unwrap();
        assert!(!receiver.idle(0));
        receiver.write(0, &[9; 20_000]).unwrap();
        assert!(receiver.idle(20_000));
        receiver.begin(Some(100_000)).unwrap();
        assert!(!receiver.idle(0));
        // The second half first.
        receiver.write(50_000, &bytes[50_000..]).unwrap();
        assert!(!receiver.idle(0));
        receiver.write(0, &bytes[..50_000]).unwrap();
        while receiver.idle(50_000) {}
        assert_eq!(receiver.digest.as_ref().unwrap().done(), 49_152);
        receiver.end(100_000);
        while receiver.idle(100_000) {}
        // More than there is does nothing.
        assert!(!receiver.idle(u64::MAX));
        let Arrived { stored, digest } = receiver.finish().unwrap().unwrap();
        let mut expected = Following::default();
        expected.follow(&bytes, bytes.len());
        assert_eq!(digest.unwrap().finish(), expected.finish());
        assert!(store.bytes(stored) == bytes);
    }

    #[test]
    fn a_file_that_needs_more_than_its_share_wants_to_be_alone() {
        let mut ram = ram();
        let layout = layout(&ram);
        let mut store = Store::new(&mut ram, layout);
        let shared = store.share();
        let mut large = Receiver::new(&shared, "large", Need::Module);
        let mut small = Receiver::new(&shared, "small", Need::Module);
        assert!(send(&mut large, None, &vec![1; 24 * MIB as usize]).is_err());
        assert!(large.wants_to_be_alone());
        assert!(matches!(large.finish(), Err(Error::Layout(layout::Error::NoRoom { .. }))));
        send(&mut small, None, &[2; 100]).unwrap();
        assert!(!small.wants_to_be_alone());
        small.finish().unwrap().unwrap();
        // Nor is there room for what says its size, as long as somebody holds a share.
        let mut large = Receiver::new(&shared, "large", Need::Module);
        let mut small = Receiver::new(&shared, "small", Need::Module);
        small.begin(None).unwrap();
        small.write(0, &[3; 100]).unwrap();
        assert!(send(&mut large, Some(24 * MIB), &[1; 1468]).is_err());
        assert!(large.wants_to_be_alone());
        assert!(large.finish().is_err());
        small.end(100);
        small.finish().unwrap().unwrap();
        // Alone there is.
        assert!(bring(&mut store, Need::Module, None, &vec![1; 24 * MIB as usize]).unwrap().is_some());
    }

    #[test]
    fn what_a_file_without_announced_size_left_is_there_for_the_next() {
        let mut ram = ram();
        let layout = layout(&ram);
        let mut store = Store::new(&mut ram, layout);
        for size in [10_000, 20_000, 12 * MIB as usize] {
            assert!(bring(&mut store, Need::Module, None, &vec![1; size]).unwrap().is_some());
        }
    }

    #[test]
    fn modules_are_packed_low_and_what_is_only_read_lies_high() {
        let mut ram = ram();
        let layout = layout(&ram);
        let mut store = Store::new(&mut ram, layout);
        let tree = bring(&mut store, Need::Reading, Some(100), &[1; 100]).unwrap().unwrap();
        let first = bring(&mut store, Need::Module, Some(5000), &[2; 5000]).unwrap().unwrap();
        let second = bring(&mut store, Need::Module, Some(1), &[3]).unwrap().unwrap();
        assert_eq!(store.range(tree).start, 36 * MIB - 4096);
        assert_eq!(store.range(first), PhysicalRange { start: 4 * MIB, end: 4 * MIB + 5000 });
        assert_eq!(store.range(second).start, 4 * MIB + 8192);
    }

    #[test]
    fn more_bytes_than_announced_are_written_nowhere() {
        let mut ram = ram();
        let layout = layout(&ram);
        let mut store = Store::new(&mut ram, layout);
        let shared = store.share();
        let mut receiver = Receiver::new(&shared, "file", Need::Module);
        receiver.begin(Some(1000)).unwrap();
        receiver.write(0, &[1; 1000]).unwrap();
        assert_eq!(receiver.write(1000, &[2]), Err(Refusal::TooLarge { size: 1001, room: 1000 }));
        assert_eq!(receiver.write(u64::MAX, &[2]), Err(Refusal::TooLarge { size: u64::MAX, room: 1000 }));
    }

    #[test]
    fn a_file_larger_than_memory_is_refused_in_words_whatever_its_size() {
        let mut ram = ram();
        let layout = layout(&ram);
        let mut store = Store::new(&mut ram, layout);
        for size in [32 * MIB + 1, 4 << 30, (4 << 30) + 1, u64::MAX - 4095, u64::MAX] {
            for need in [Need::Module, Need::Reading, Need::Program] {
                let program = image(5000, size);
                let bytes = if need == Need::Program { &program[..] } else { &[1; 5000] };
                let error = bring(&mut store, need, Some(size), bytes).unwrap_err();
                assert!(matches!(error, Error::Layout(_) | Error::Image(_)), "{size}: {error}");
                assert!(store.layout().occupants().iter().all(|occupant| occupant.reserved), "{size}");
            }
        }
    }

    #[test]
    fn a_transfer_that_starts_over_takes_its_place_once() {
        let mut ram = ram();
        let layout = layout(&ram);
        let mut store = Store::new(&mut ram, layout);
        let shared = store.share();
        let mut receiver = Receiver::new(&shared, "file", Need::Module);
        receiver.begin(Some(20 * MIB)).unwrap();
        receiver.write(0, &[1; 100]).unwrap();
        send(&mut receiver, Some(20 * MIB), &vec![2; 20 * MIB as usize]).unwrap();
        let stored = receiver.finish().unwrap().unwrap().stored;
        assert_eq!(store.bytes(stored)[..200], [2; 200]);
    }

    #[test]
    fn an_empty_file_is_an_error_and_one_that_broke_off_is_its_senders() {
        let mut ram = ram();
        let layout = layout(&ram);
        let mut store = Store::new(&mut ram, layout);
        assert_eq!(bring(&mut store, Need::Module, Some(0), &[]), Err(Error::Empty));
        let shared = store.share();
        let mut receiver = Receiver::new(&shared, "file", Need::Module);
        receiver.begin(Some(1000)).unwrap();
        receiver.write(0, &[1; 500]).unwrap();
        assert!(matches!(receiver.finish(), Ok(None)));
        assert!(store.layout().occupants().iter().all(|occupant| occupant.reserved));
    }

    #[test]
    fn what_an_attempt_took_is_there_for_the_next() {
        let mut ram = ram();
        let before = layout(&ram);
        for _ in 0..3 {
            let mut store = Store::new(&mut ram, before.clone());
            bring(&mut store, Need::Module, Some(20 * MIB), &vec![1; 20 * MIB as usize]).unwrap().unwrap();
            let block = store.block("device tree", 8 * MIB).unwrap();
            store.bytes_mut(block)[..3].copy_from_slice(b"abc");
            let parked = store.park();
            // What is parked is nobody else's.
            assert!(ram.claim(PhysicalRange { start: 4 * MIB, end: 36 * MIB }).is_err());
            let store = parked.resume(&mut ram);
            assert_eq!(store.bytes(block)[..3], *b"abc");
            store.give_up();
        }
    }

    #[test]
    fn a_block_that_was_shortened_shows_only_what_is_in_it() {
        let mut ram = ram();
        let layout = layout(&ram);
        let mut store = Store::new(&mut ram, layout);
        let block = store.block("device tree", 10_000).unwrap();
        store.bytes_mut(block)[..3].copy_from_slice(b"abc");
        let block = store.shorten(block, 3).unwrap();
        assert_eq!(store.bytes(block), b"abc");
        assert!(store.shorten(block, 20_000).is_err());
    }
}
