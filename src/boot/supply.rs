//! Where the files of an entry come from: the bundle that the firmware loaded, or the firmware's initramfs itself.
//!
//! A supplier brings a file to a [`Sink`] and knows nothing of where it goes.

use crate::boot::plan::{Item, Place};
use crate::config::bundle::{self, Bundle};
use crate::config::initramfs::{self, Initramfs};
use crate::config::source::Source;
use crate::net::tftp::{Refusal, Sink};
use core::fmt;

/// Why a file could not be brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The bundle has no such file.
    NotInBundle,
    /// The bundle is damaged, or the file in it is.
    Bundle(bundle::Error),
    /// There is no initramfs.
    NoInitramfs,
    /// Nothing can bring a file from there.
    NoWay,
    /// The receiving end did not take it.
    Refused(Refusal),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInBundle => f.write_str("not in the bundle (`cpio -t < bundle` lists what is)"),
            Self::Bundle(error) => error.fmt(f),
            Self::NoInitramfs => {
                f.write_str("the firmware loaded no initramfs (config.txt: `initramfs FILE followkernel`)")
            }
            Self::NoWay => f.write_str("there is no network here, and no bundle that could have it"),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl From<bundle::Error> for Error {
    fn from(error: bundle::Error) -> Self {
        Self::Bundle(error)
    }
}

/// What the firmware's initramfs supplies.
#[derive(Clone, Copy, Debug)]
pub struct Supply<'a> {
    initramfs: Option<&'a [u8]>,
}

impl<'a> Supply<'a> {
    /// Files from `initramfs`, the blob that the firmware loaded.
    pub fn new(initramfs: Option<&'a [u8]>) -> Self {
        Self { initramfs }
    }

    /// The bundle, if that is what the initramfs is.
    pub fn bundle(&self) -> Result<Option<Bundle<'a>>, Error> {
        match self.initramfs.map(initramfs::identify) {
            Some(Ok(Initramfs::Bundle(bundle))) => Ok(Some(bundle)),
            Some(Err(error)) => Err(error.into()),
            _ => Ok(None),
        }
    }

    /// Brings `item`'s file into `sink`.
    ///
    /// # Errors
    /// Why it could not be had.
    pub fn bring(&self, item: &Item, sink: &mut dyn Sink) -> Result<(), Error> {
        match (item.place, &item.file.source) {
            (Place::Initramfs, _) => hand_over(self.initramfs.ok_or(Error::NoInitramfs)?, sink),
            (Place::Bundle, Source::Path(path)) => {
                let bundle = self.bundle()?.ok_or(Error::NotInBundle)?;
                let member = bundle.find(path).ok_or(Error::NotInBundle)?;
                member.verify()?;
                hand_over(member.data, sink)
            }
            _ => Err(Error::NoWay),
        }
    }
}

fn hand_over(bytes: &[u8], sink: &mut dyn Sink) -> Result<(), Error> {
    let size = bytes.len() as u64;
    sink.begin(Some(size)).map_err(Error::Refused)?;
    sink.write(0, bytes).map_err(Error::Refused)?;
    sink.end(size);
    Ok(())
}
