//! Where the files of an entry come from: the bundle that the firmware loaded, the firmware's initramfs itself, the card, or the
//! network.
//!
//! A supplier brings a file to a [`Sink`] and knows nothing of where it goes.

use crate::board::Board;
use crate::boot::card::{self, Part, Slot};
use crate::boot::digest::Following;
use crate::boot::image::HEADER_SIZE;
use crate::boot::network::{BoardSession, Watch};
use crate::boot::plan::{Item, Place};
use crate::config::bundle::{self, Bundle};
use crate::config::initramfs::{self, Initramfs};
use crate::config::source::Source;
use crate::drivers::genet;
use crate::net::fetch::{self, Job};
use crate::net::tftp::{Refusal, Sink};
use alloc::vec::Vec;
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

    /// Brings files from servers, side by side.
    ///
    /// # Errors
    /// The number of a job whose file could not be had, and why. None is waited for any longer then.
    pub fn fetch(&mut self, jobs: &mut [Job<'_>], watch: &mut Watch<'_, B>) -> Result<(), (usize, Error)> {
        let session = self.network.as_mut().ok_or((0, Error::NoWay))?;
        let reports = session.fetch_all(jobs, watch).map_err(|(job, error)| (job, Error::Fetch(error)))?;
        for (Job { source, .. }, report) in jobs.iter().zip(reports) {
            watch.measured(source.name(), report.elapsed, report.bytes);
            watch.line(format_args!("{source}: {report}."));
        }
        Ok(())
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
                let found = watch
                    .sha256(member.path, member.data, Following::default())
                    .ok_or(Error::Fetch(fetch::Error::Aborted))?;
                member.check(&found)?;
                hand_over(member.data, sink).map(|()| Some(member.sha256))
            }
            (Place::Network, source) => {
                self.fetch(&mut [Job { source, sink }], watch).map_err(|(_, error)| error)?;
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

    /// How large `item`'s file is, and its beginning where it is a program, without bringing it: a server is asked and told at once that no more
    /// is wanted.
    ///
    /// # Errors
    /// Why it could not be asked, or could not be had.
    pub fn look(&mut self, item: &Item, watch: &mut Watch<'_, B>) -> Result<Look, Error> {
        let wanted = if item.role.is_program() { HEADER_SIZE } else { 0 };
        let whole = |bytes: &[u8]| Look {
            size: Some(bytes.len() as u64),
            beginning: bytes.get(..wanted).unwrap_or(bytes).to_vec(),
        };
        let (partition, path) = match (item.place, &item.file.source) {
            (Place::Initramfs, _) => return self.initramfs.map(whole).ok_or(Error::NoInitramfs),
            (Place::Bundle, Source::Path(path)) => {
                let bundle = self.bundle()?.ok_or(Error::NotInBundle)?;
                return bundle.find(path).map(|member| whole(member.data)).ok_or(Error::NotInBundle);
            }
            (Place::Card, Source::Card(partition, path)) => (*partition, path),
            (Place::Card, Source::Path(path)) => (None, path),
            (Place::Network, source) => {
                let session = self.network.as_mut().ok_or(Error::NoWay)?;
                let mut glance = Glance { wanted, look: None };
                let fetched = session.fetch(source, &mut glance, watch);
                return match (glance.look, fetched) {
                    (Some(look), _) => Ok(look),
                    (None, Err(error)) => Err(Error::Fetch(error)),
                    (None, Ok(_)) => Ok(Look::default()),
                };
            }
            _ => return Err(Error::NoWay),
        };
        let slot = self.card.as_mut().ok_or(Error::NoWay)?;
        let entry = slot.find(partition, path, watch).map_err(Error::Card)?;
        let mut glance = Glance { wanted, look: None };
        if wanted > 0 {
            let part = Part { offset: 0, length: Some(wanted as u64) };
            // It ends the reading as soon as it has seen enough, which is an error to who reads.
            let _ = slot.send(partition, path, part, &mut glance, watch);
        }
        let beginning = glance.look.map(|look| look.beginning).unwrap_or_default();
        Ok(Look { size: Some(entry.size.into()), beginning })
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

/// What can be told of a file without bringing it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Its bytes; `None` where the server does not say.
    pub size: Option<u64>,
    /// Its first bytes, where it is a program.
    pub beginning: Vec<u8>,
}

/// A sink that wants no more than a [`Look`].
struct Glance {
    /// Bytes of the beginning that are wanted.
    wanted: usize,
    look: Option<Look>,
}

impl Sink for Glance {
    fn begin(&mut self, size: Option<u64>) -> Result<(), Refusal> {
        self.look = Some(Look { size, beginning: Vec::new() });
        if self.wanted == 0 { Err(ENOUGH) } else { Ok(()) }
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        if let Some(look) = self.look.as_mut().filter(|_| offset == 0) {
            look.beginning = bytes.get(..self.wanted).unwrap_or(bytes).to_vec();
        }
        Err(ENOUGH)
    }

    fn end(&mut self, _: u64) {}
}

/// What the server is told.
const ENOUGH: Refusal = Refusal::Other("only its size was wanted");

fn hand_over(bytes: &[u8], sink: &mut dyn Sink) -> Result<(), Error> {
    let size = bytes.len() as u64;
    sink.begin(Some(size)).map_err(Error::Refused)?;
    sink.write(0, bytes).map_err(Error::Refused)?;
    sink.end(size);
    Ok(())
}
