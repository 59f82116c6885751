//! The way of one file into a [`Store`]: a [`Sink`] that finds the place when the file's size or its first bytes are known.

use super::unpacking::{Step, Unpacking};
use super::{Error, Need, Store, Stored};
use crate::arch::bytes::copy;
use crate::boot::digest::Following;
use crate::boot::gzip::is_gzip;
use crate::boot::image::{HEADER_SIZE, Header};
use crate::boot::layout;
use crate::net::tftp::{BEGINNING, Refusal, Sink};
use crate::ram::Claim;
use alloc::vec::Vec;
use core::cell::RefCell;

/// Bytes of which a digest is computed at a time while files come: some 30 µs, in which two or three blocks come at line rate, and the ring
/// has room for a hundred times as many.
const DIGESTED_AT_ONCE: usize = 4 * 1024;

/// Bytes that are unpacked at a time while files come: some 50 µs.
const UNPACKED_AT_ONCE: usize = 8 * 1024;

// A header is there before anything comes that does not follow it.
const _: () = assert!(HEADER_SIZE as u64 <= BEGINNING);

/// What the sender is told of a file for which there is no place.
const NO_PLACE: Refusal = Refusal::Other("there is no place for it");

/// How much of the largest free block a file got whose size is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    All,
    /// The top of it, because other files wait for their places.
    Part,
}

/// A file that has come whole.
#[derive(Debug)]
pub struct Arrived {
    /// It.
    pub stored: Stored,
    /// Its SHA-256, as far as there was time for it, where it is wanted.
    pub digest: Option<Following>,
    /// What has been unpacked of it, where it came packed: [`Store::unpack`] does the rest.
    pub unpacking: Option<Unpacking>,
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
    pub(super) digest: Option<Following>,
    /// Whether it may come packed, and then is wanted unpacked.
    unpacks: bool,
    unpacking: Option<Unpacking>,
    /// What has come of a header that is not there whole.
    beginning: Vec<u8>,
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
            unpacks: false,
            unpacking: None,
            beginning: Vec::new(),
            error: None,
        }
    }

    /// The same, where the file's SHA-256 is wanted: as much of it as there is time for is computed while the file comes.
    pub fn digested(self) -> Self {
        Self { digest: Some(Following::default()), ..self }
    }

    /// The same, where it is unpacked while it comes if it is a gzip file.
    pub fn unpacked(self) -> Self {
        Self { unpacks: true, ..self }
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
            _ if self.unpacking.is_some() => Ok(store.keep(claim, length)),
            (Some(Share::Part), Need::Module | Need::Reading) => store.keep_moved(claim, self.name, self.need, length),
            (Some(Share::All), Need::Module | Need::Reading) => {
                let stored = store.keep(claim, length);
                store.shorten(stored, length)
            }
            _ => Ok(store.keep(claim, length)),
        }
        .map(|stored| Some(Arrived { stored, digest: self.digest, unpacking: self.unpacking }))
    }

    /// Gives back what was taken so far.
    fn forget(&mut self) {
        let share = self.share.take();
        let mut store = self.store.borrow_mut();
        if let Some(unpacking) = self.unpacking.take() {
            unpacking.give_up(&mut store);
        }
        if let Some(claim) = self.claim.take() {
            store.unplaced += 1;
            store.provisional -= u64::from(share.is_some());
            store.give_back(claim);
        }
    }

    /// Finds the place, now that the file's first bytes are here.
    fn place(&mut self, first: &[u8]) -> Result<Claim, Error> {
        let mut store = self.store.borrow_mut();
        let mut need = self.need;
        if self.unpacks && is_gzip(first) {
            self.unpacking = Some(Unpacking::new(need, &mut store));
            // Nobody but the loader reads what is packed.
            need = Need::Reading;
        }
        let known = match (need, self.announced) {
            (Need::Program, announced) => {
                let header = Header::of_beginning(first, announced.unwrap_or(u64::MAX))?;
                // None of a header from before Linux 3.17 from a server that does not tell sizes.
                Some(header.memory_size(announced.unwrap_or(0))).filter(|size| *size > 0)
            }
            (_, announced) => announced,
        };
        let (range, share) = match known {
            Some(size) => (store.layout.allocate(self.name, need.request(size))?, None),
            None => store.share_of_memory(self.name, need).map(|(range, share)| (range, Some(share)))?,
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
        NO_PLACE
    }

    /// Finds the place by the first bytes.
    fn settle(&mut self, first: &[u8]) -> Result<(), Refusal> {
        let claim = self.place(first).map_err(|error| self.refuse(error))?;
        self.claim = Some(claim);
        Ok(())
    }

    /// The same by the bytes that came in crumbs, and writes them there.
    fn settle_gathered(&mut self) -> Result<(), Refusal> {
        let beginning = core::mem::take(&mut self.beginning);
        self.settle(&beginning)?;
        if let Some(target) = self.claim.as_mut().and_then(|claim| claim.bytes_mut().get_mut(..beginning.len())) {
            copy(target, &beginning);
        }
        Ok(())
    }

    /// Looks for the place with the bytes that come at `offset`, unless a header is wanted and not there whole.
    fn begin_with(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        let wants_header = self.unpacks || self.need == Need::Program;
        if !wants_header || (offset == 0 && bytes.len() >= HEADER_SIZE) {
            return self.settle(bytes);
        }
        if offset != self.beginning.len() as u64 {
            return Err(NO_PLACE);
        }
        let missing = HEADER_SIZE.saturating_sub(self.beginning.len());
        self.beginning.extend_from_slice(bytes.get(..missing).unwrap_or(bytes));
        if self.beginning.len() < HEADER_SIZE {
            return Ok(());
        }
        self.settle_gathered()
    }
}

impl Sink for Receiver<'_, '_> {
    fn begin(&mut self, size: Option<u64>) -> Result<(), Refusal> {
        self.forget();
        self.error = None;
        self.crowded = false;
        self.finished = None;
        self.beginning.clear();
        self.digest = self.digest.take().map(|_| Following::default());
        self.announced = size;
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        if self.error.is_some() {
            return Err(NO_PLACE);
        }
        if self.claim.is_none() && !bytes.is_empty() {
            self.begin_with(offset, bytes)?;
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
        if !self.beginning.is_empty() {
            // The reason is kept for `finish`.
            let _ = self.settle_gathered();
        }
    }

    fn idle(&mut self, complete: u64) -> bool {
        let Some(claim) = &self.claim else { return false };
        let complete = usize::try_from(complete).ok().and_then(|complete| claim.bytes().get(..complete));
        let beginning = complete.unwrap_or_default();
        if let Some(digest) = &mut self.digest {
            let whole = self.finished.is_some() || beginning.len().saturating_sub(digest.done()) >= DIGESTED_AT_ONCE;
            if whole && digest.follow(beginning, DIGESTED_AT_ONCE) {
                return true;
            }
        }
        let Some(unpacking) = self.unpacking.as_mut().filter(|_| self.error.is_none()) else { return false };
        // Whether that is all of it is asked when it has come.
        let step = unpacking.step(&mut self.store.borrow_mut(), self.name, beginning, true, UNPACKED_AT_ONCE);
        match step {
            Ok(step) => step == Step::Went,
            Err(error) => {
                // Told with what comes next, or at the end.
                self.refuse(error);
                false
            }
        }
    }
}
