//! A program that comes packed with gzip, unpacked while it comes: to the place that it asks for in its own header, which is the first that is unpacked.
//!
//! The packed bytes are received as any file is and lie at the top of memory until the last of them is unpacked. How many they unpack to is told by
//! the last four, too late to find a place for them, and not to be believed; the header of an arm64 Image says how much memory the program needs,
//! .bss included, and that is the bound. The format's CRC-32 and length are compared at the end.
//!
//! Xen unpacks the kernels of its domains itself, in silence and after the transfer. So a kernel that is no arm64 Image inside stays as it is.

use super::{Error, Need, Store, Stored};
use crate::boot::gzip::{self, Gunzip, Stopped};
use crate::boot::image::{HEADER_SIZE, Header};
use alloc::vec;
use alloc::vec::Vec;

/// A longer header of a gzip file holds no name that anybody has given it.
const LONGEST_HEADER: usize = 4096;

/// How far it is.
#[derive(Debug)]
enum Stage {
    /// The gzip header has not come whole.
    Packed,
    /// The program's header is being unpacked.
    Beginning(Gunzip),
    /// It goes to its place.
    Body(Gunzip, Stored),
    /// All is unpacked, and only the trailer is to be compared.
    End(Gunzip, Stored),
    /// It is left packed.
    Left,
}

/// What came of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There was something to do, and there may be more.
    Went,
    /// More of the file is wanted.
    Waits,
    /// All of it is here.
    Done(Stored),
    /// It is to stay as it is.
    Left,
}

/// A program on its way out of its gzip file.
#[derive(Debug)]
pub struct Unpacking {
    stage: Stage,
    need: Need,
    /// The first unpacked bytes, until there is a place for them.
    beginning: Vec<u8>,
    /// The store counts it among those that will want a place.
    is_counted: bool,
}

impl Unpacking {
    /// Of a file that is needed as `need` when it is unpacked, into `store`.
    pub(super) fn new(need: Need, store: &mut Store<'_>) -> Self {
        store.unplaced += 1;
        Self { stage: Stage::Packed, need, beginning: vec![0; HEADER_SIZE], is_counted: true }
    }

    /// What the unpacked file is for.
    pub(super) fn need(&self) -> Need {
        self.need
    }

    /// Gives back what it took.
    pub(super) fn give_up(mut self, store: &mut Store<'_>) {
        self.is_placed(store);
        if let Some(target) = self.target() {
            store.release(target);
        }
    }

    /// Bytes of the packed file that are used up.
    pub fn read(&self) -> u64 {
        match &self.stage {
            Stage::Beginning(gunzip) | Stage::Body(gunzip, _) | Stage::End(gunzip, _) => gunzip.read(),
            Stage::Packed | Stage::Left => 0,
        }
    }

    fn is_placed(&mut self, store: &mut Store<'_>) {
        store.unplaced -= u64::from(core::mem::take(&mut self.is_counted));
    }

    /// Where it is unpacked to, once there is a place.
    pub fn target(&self) -> Option<Stored> {
        match self.stage {
            Stage::Body(_, target) | Stage::End(_, target) => Some(target),
            Stage::Packed | Stage::Beginning(_) | Stage::Left => None,
        }
    }

    /// Unpacks at most `most` bytes of the file called `name`, of which `packed` is there, and more to come if `more` says so, to a place in `store`.
    ///
    /// # Errors
    /// What is wrong with the file, or why there is no place for it.
    pub(super) fn step(
        &mut self,
        store: &mut Store<'_>,
        name: &str,
        packed: &[u8],
        more: bool,
        most: usize,
    ) -> Result<Step, Error> {
        let rest = |gunzip: &Gunzip| {
            usize::try_from(gunzip.read()).ok().and_then(|read| packed.get(read..)).unwrap_or_default()
        };
        self.stage = match core::mem::replace(&mut self.stage, Stage::Left) {
            Stage::Packed => match Gunzip::new(packed) {
                Ok(gunzip) => Stage::Beginning(gunzip),
                Err(gzip::Error::Cut { .. }) if more && packed.len() < LONGEST_HEADER => {
                    self.stage = Stage::Packed;
                    return Ok(Step::Waits);
                }
                Err(error) => return Err(error.into()),
            },
            Stage::Beginning(mut gunzip) => match gunzip.go_on(rest(&gunzip), more, &mut self.beginning)? {
                Stopped::Input => {
                    self.stage = Stage::Beginning(gunzip);
                    return Ok(Step::Waits);
                }
                stopped => {
                    let Some(target) = self.place(store, name, gunzip.written() as usize)? else {
                        return Ok(Step::Left);
                    };
                    if stopped == Stopped::End { Stage::End(gunzip, target) } else { Stage::Body(gunzip, target) }
                }
            },
            Stage::Body(mut gunzip, target) => {
                let room = store.bytes_mut(target);
                let limit = (gunzip.written() as usize).saturating_add(most).min(room.len());
                let full = limit == room.len();
                // Kept in any case, because it has a place.
                let stopped = gunzip.go_on(rest(&gunzip), more, room.get_mut(..limit).unwrap_or_default());
                let (room, read) = (room.len() as u64, gunzip.read());
                self.stage =
                    if stopped == Ok(Stopped::End) { Stage::End(gunzip, target) } else { Stage::Body(gunzip, target) };
                return match stopped? {
                    Stopped::Input if read >= packed.len() as u64 => Ok(Step::Waits),
                    Stopped::Room if full => Err(gzip::Error::TooLarge { room }.into()),
                    _ => Ok(Step::Went),
                };
            }
            Stage::End(gunzip, target) => {
                let mut read = |at: u64, buffer: &mut [u8]| {
                    let rest = usize::try_from(at).ok().and_then(|at| packed.get(at..)).unwrap_or_default();
                    buffer.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                };
                let checked = if more { Ok(0) } else { gunzip.check(packed.len() as u64, &mut read) };
                self.stage = Stage::End(gunzip, target);
                let length = checked?;
                if more {
                    return Ok(Step::Waits);
                }
                let whole = match self.need {
                    Need::Program => Ok(Stored { length, ..target }),
                    Need::Module | Need::Reading => store.shorten(target, length),
                };
                return whole.map(Step::Done);
            }
            Stage::Left => return Ok(Step::Left),
        };
        Ok(Step::Went)
    }

    /// Finds a place for the program of which the first `length` bytes are unpacked; none for what Xen has to make out by itself.
    fn place(&mut self, store: &mut Store<'_>, name: &str, length: usize) -> Result<Option<Stored>, Error> {
        let beginning = core::mem::take(&mut self.beginning);
        let beginning = beginning.get(..length).unwrap_or_default();
        let header = Header::of_beginning(beginning, if length < HEADER_SIZE { length as u64 } else { u64::MAX });
        let memory = match header.map(|header| header.image_size) {
            Ok(memory) if memory >= HEADER_SIZE as u64 => memory,
            _ if self.need == Need::Module => {
                self.is_placed(store);
                return Ok(None);
            }
            Ok(_) => return Err(Error::NoMemorySize),
            Err(error) => return Err(error.into()),
        };
        let range = store.layout.allocate(name, self.need.request(memory))?;
        let claim = match store.ram.claim(range) {
            Ok(claim) => claim,
            Err(error) => {
                // It was placed in the lines above.
                let _ = store.layout.release(range);
                return Err(error.into());
            }
        };
        let target = store.keep(claim, 0);
        self.is_placed(store);
        if let Some(place) = store.bytes_mut(target).get_mut(..length) {
            place.copy_from_slice(beginning);
        }
        Ok(Some(target))
    }
}
