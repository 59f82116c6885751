//! Where the files of an entry come from: the bundle that the firmware loaded, the firmware's initramfs itself, the card, or the
//! network.
//!
//! A supplier brings a file to a [`Sink`] and knows nothing of where it goes.

use crate::board::Board;
use crate::boot::card::{self, Part, Slot};
use crate::boot::network::{BoardSession, Watch};
use crate::boot::plan::{Item, Place};
use crate::config::bundle::{self, Bundle};
use crate::config::initramfs::{self, Initramfs};
use crate::config::source::Source;
use crate::drivers::genet;
use crate::net::fetch;
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
    /// The card did not bring it.
    Card(card::Error),
    /// The network did not bring it.
    Fetch(fetch::Error),
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
            Self::NoWay => f.write_str("there is no network to fetch it from"),
            Self::Card(error) => error.fmt(f),
            Self::Fetch(error) => error.fmt(f),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl From<bundle::Error> for Error {
    fn from(error: bundle::Error) -> Self {
        Self::Bundle(error)
    }
}

/// Everything that can supply a file.
pub struct Supply<'a, 'n, B: Board> {
    initramfs: Option<&'a [u8]>,
    network: Option<&'n mut BoardSession<B>>,
    card: Option<&'n mut Slot<B>>,
}

impl<'a, 'n, B: Board> Supply<'a, 'n, B> {
    /// Files from `initramfs`, the blob that the firmware loaded, and from the network.
    pub fn new(initramfs: Option<&'a [u8]>, network: Option<&'n mut BoardSession<B>>) -> Self {
        Self { initramfs, network, card: None }
    }

    /// Files from the card in `slot` too.
    pub fn with_card(self, slot: &'n mut Slot<B>) -> Self {
        Self { card: Some(slot), ..self }
    }

    /// The bundle, if that is what the initramfs is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn bundle(&self) -> Result<Option<Bundle<'a>>, Error> {
        match self.initramfs.map(initramfs::identify) {
            Some(Ok(Initramfs::Bundle(bundle))) => Ok(Some(bundle)),
            Some(Err(error)) => Err(error.into()),
            _ => Ok(None),
        }
    }

    /// Brings `item`'s file into `sink`, while `watch` looks after the rest. Gives its SHA-256 where it was checked on the way.
    ///
    /// # Errors
    /// Why it could not be had.
    pub fn bring(
        &mut self,
        item: &Item,
        sink: &mut dyn Sink,
        watch: &mut Watch<'_, B>,
    ) -> Result<Option<[u8; 32]>, Error> {
        match (item.place, &item.file.source) {
            (Place::Initramfs, _) => hand_over(self.initramfs.ok_or(Error::NoInitramfs)?, sink).map(|()| None),
            (Place::Bundle, Source::Path(path)) => {
                let bundle = self.bundle()?.ok_or(Error::NotInBundle)?;
                let member = bundle.find(path).ok_or(Error::NotInBundle)?;
                let found = watch.sha256(member.path, member.data).ok_or(Error::Fetch(fetch::Error::Aborted))?;
                member.check(&found)?;
                hand_over(member.data, sink).map(|()| Some(member.sha256))
            }
            (Place::Network, source) => {
                let session = self.network.as_mut().ok_or(Error::NoWay)?;
                let report = session.fetch(source, sink, watch).map_err(Error::Fetch)?;
                watch.line(format_args!("{source}: {report}."));
                Ok(None)
            }
            (Place::Card, source) => {
                let slot = self.card.as_mut().ok_or(Error::NoWay)?;
                let (partition, path) = match source {
                    Source::Card(partition, path) => (*partition, path),
                    Source::Path(path) => (None, path),
                    _ => return Err(Error::NoWay),
                };
                let sent = slot.send(partition, path, Part::default(), sink, watch).map_err(Error::Card)?;
                watch.line(format_args!("{source}: {sent}."));
                Ok(None)
            }
            (Place::Bundle, _) => Err(Error::NotInBundle),
        }
    }

    /// Makes the network silent, so that nothing writes to memory any more.
    ///
    /// # Errors
    /// What of it did not stop.
    pub fn silence(&mut self) -> Result<(), genet::Error> {
        self.network.as_mut().map_or(Ok(()), |session| session.controller().stop())
    }

    /// Makes the network work again after [`silence`](Self::silence).
    pub fn resume(&mut self) {
        if let Some(Err(error)) = self.network.as_mut().map(|session| session.controller().start()) {
            log::error!("{error}");
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
