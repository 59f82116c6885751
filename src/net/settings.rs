//! Finding the board's settings on the server.
//!
//! Without settings of its own the board looks, in this order, for
//!
//! 1. DHCP's boot file, if its name ends in `.toml`, `.scr` or `.uimg`: settings, or a script for U-Boot. Any other boot file
//!    (`pxelinux.0`, `u-boot.bin` …) is meant for another loader and is not asked for. It may be a URL, `http://` or `tftp://`;
//! 2. `xenlift/<serial>.toml`, the 16 hexadecimal digits of the board's serial number as Linux shows them;
//! 3. `xenlift/<mac>.toml`, the station address as `dc-a6-32-01-02-03` (a colon is not allowed in file names everywhere);
//! 4. `xenlift/default.toml`;
//! 5. `boot.scr.uimg`, the script that U-Boot asks for on its own.
//!
//! All are asked for at once. The first in this order that the server has is taken; whatever has not begun to come after one
//! second in total counts as not there, so a silent server costs no more than that.

use super::device::EthernetController;
use super::fetch::{self, Event, Observer, Session, Transfer, Waiting};
use super::http;
use super::tftp::{self, Refusal, Sink};
use crate::config::LARGEST_FILE;
use crate::config::source::Source;
use crate::time::{Clock, Duration, Instant};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// How long may be looked for settings, once the board has an address.
const PROBE_LIMIT: Duration = Duration::from_secs(1);

/// Blocks in flight: the files are small, and several come at once.
const PROBE_WINDOW: u16 = 8;

/// What is said of a boot file that is another kind of URL.
const BAD_URL: &str = "DHCP's boot file is no URL that can be fetched: http://ADDRESS/PATH or tftp://ADDRESS/PATH, with a numeric address";

/// How boot files end that are meant for us.
const ENDINGS: [&str; 3] = [".toml", ".scr", ".uimg"];

/// What U-Boot's distribution boot asks a server for.
const SCRIPT: &str = "boot.scr.uimg";

/// Settings that were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The path on the server.
    pub path: String,
    /// The file's bytes, not looked at yet.
    pub bytes: Vec<u8>,
}

/// The paths to look for, in order. `serial` is the board's serial number in hexadecimal digits, where it is known.
pub fn candidates(boot_file: Option<&str>, serial: Option<&str>, station: [u8; 6]) -> Vec<String> {
    let mut paths = Vec::new();
    if let Some(file) = boot_file.filter(|file| ENDINGS.iter().any(|ending| file.ends_with(ending))) {
        paths.push(String::from(file));
    }
    // Into a path goes only what cannot lead out of the directory.
    if let Some(serial) = serial.filter(|serial| !serial.is_empty() && serial.bytes().all(|b| b.is_ascii_hexdigit())) {
        paths.push(format!("xenlift/{}.toml", serial.to_ascii_lowercase()));
    }
    let [a, b, c, d, e, f] = station;
    paths.push(format!("xenlift/{a:02x}-{b:02x}-{c:02x}-{d:02x}-{e:02x}-{f:02x}.toml"));
    paths.push(String::from("xenlift/default.toml"));
    paths.push(String::from(SCRIPT));
    paths
}

/// Looks for settings on the server that DHCP or `[network]` names. `Ok(None)` if it has none, or does not answer in time.
///
/// # Errors
/// Those of [`Session::connect`], [`fetch::Error::NoServer`], and those of a file that is there but does not come whole.
pub fn probe<C: EthernetController, K: Clock>(
    session: &mut Session<C, K>,
    serial: Option<&str>,
    observer: &mut dyn Observer,
) -> Result<Option<Found>, Error> {
    session.connect(observer)?;
    let boot_file = session.lease().and_then(|lease| lease.boot_file.as_deref());
    let paths = candidates(boot_file, serial, session.interface().station());

    let end = session.now().after(PROBE_LIMIT);
    let mut sinks: Vec<_> = paths.iter().map(|_| Bounded::default()).collect();
    let mut started = Vec::new();
    let mut transfers = Vec::new();
    // The one that answered to ARP last, and one that did not.
    let (mut there, mut silent, mut unknown, mut failed) = (None, None, true, None);
    for ((index, path), sink) in paths.iter().enumerate().zip(&mut sinks) {
        // A path that no request can hold is as good as not there; a URL that nobody can go to was meant for us all the same.
        let source = match Source::parse(path) {
            Ok(source) => source,
            Err(_) if path.contains("://") => {
                return Err(Error { path: Some(path.clone()), error: fetch::Error::Unsupported(BAD_URL) });
            }
            Err(_) => continue,
        };
        let Ok(server) = session.server_of(&source) else { continue };
        unknown = false;
        let host = *server.ip();
        if there != Some(host) && silent != Some(host) {
            // A URL's server leaves some time for the usual one.
            let limit = if path.contains("://") { PROBE_LIMIT / 2 } else { end.since(session.now()) };
            match session.wait_for_neighbor(host, limit, &mut transfers, observer) {
                Ok(()) => there = Some(host),
                Err(fetch::Error::NoNeighbor { .. } | fetch::Error::Unreachable { .. }) => silent = Some(host),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        if silent == Some(host) {
            continue;
        }
        if let Ok(transfer) = session.start_from(&source, PROBE_WINDOW, sink) {
            started.push(index);
            transfers.push(transfer);
        }
    }
    if unknown {
        return Err(fetch::Error::NoServer.into());
    }
    let result = match (failed, there) {
        (Some(error), _) => Err((None, error)),
        (None, None) => Ok(None),
        (None, Some(server)) => {
            observer.event(Event::Waiting { what: Waiting::Settings(server), limit: PROBE_LIMIT });
            let result = race(session, &mut transfers, end, observer);
            observer.event(Event::Waited { came: matches!(result, Ok(Some(_))) });
            result
        }
    };
    for transfer in transfers {
        session.finish(transfer);
    }
    let chosen = |place: usize| started.get(place).copied();
    match result {
        Ok(None) => Ok(None),
        Ok(Some(place)) => Ok(chosen(place).and_then(|index| {
            let (path, sink) = paths.into_iter().zip(sinks).nth(index)?;
            Some(Found { path, bytes: sink.bytes })
        })),
        Err((place, error)) => {
            let path = place.and_then(chosen).and_then(|index| paths.into_iter().nth(index));
            Err(Error { path, error })
        }
    }
}

/// Fetches settings from a place that is known.
///
/// # Errors
/// Those of [`Session::fetch`].
pub fn fetch<C: EthernetController, K: Clock>(
    session: &mut Session<C, K>,
    source: &Source,
    observer: &mut dyn Observer,
) -> Result<Found, fetch::Error> {
    let mut sink = Bounded::default();
    session.fetch(source, &mut sink, observer)?;
    Ok(Found { path: source.to_string(), bytes: sink.bytes })
}

/// Runs the transfers until the first of them, in their order, that is not missing has come whole. Says which one it is, or
/// which one failed and why.
fn race<C: EthernetController, K: Clock>(
    session: &mut Session<C, K>,
    transfers: &mut [Transfer<'_>],
    end: Instant,
    observer: &mut dyn Observer,
) -> Result<Option<usize>, (Option<usize>, fetch::Error)> {
    loop {
        session.turn(transfers, observer).map_err(|error| (None, error))?;
        let rest = end.since(session.now());
        match session.find_strangers(rest, transfers, observer) {
            // It counts as not there.
            Err((_, fetch::Error::NoNeighbor { .. } | fetch::Error::Unreachable { .. })) | Ok(()) => {}
            Err((place, error)) => return Err((Some(place), error)),
        }
        let in_time = session.now() < end;
        let first = transfers.iter().position(|transfer| !is_missing(transfer, in_time));
        let Some(first) = first else { return Ok(None) };
        match transfers.get(first).and_then(Transfer::outcome) {
            Some(Ok(_)) => return Ok(Some(first)),
            Some(Err(error)) => return Err((Some(first), error)),
            None => {}
        }
    }
}

/// Whether the server has said that it has no such file, or has not begun to send it in time.
fn is_missing(transfer: &Transfer<'_>, in_time: bool) -> bool {
    match transfer.outcome() {
        Some(Err(fetch::Error::Tftp(tftp::Error::Server { .. } | tftp::Error::NoAnswer { .. }))) => {
            !transfer.has_begun()
        }
        Some(Err(fetch::Error::Http(http::Error::Status { .. } | http::Error::NoServer { .. }))) => {
            !transfer.has_begun()
        }
        Some(_) => false,
        None => !in_time && !transfer.has_begun(),
    }
}

/// Memory for one settings file.
#[derive(Default)]
pub(crate) struct Bounded {
    bytes: Vec<u8>,
}

impl Bounded {
    /// What has come.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn check(size: u64) -> Result<(), Refusal> {
        match size > LARGEST_FILE as u64 {
            true => Err(Refusal::TooLarge { size, room: LARGEST_FILE as u64 }),
            false => Ok(()),
        }
    }
}

impl Sink for Bounded {
    fn begin(&mut self, size: Option<u64>) -> Result<(), Refusal> {
        self.bytes.clear();
        Self::check(size.unwrap_or(0))
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        let end = offset.saturating_add(bytes.len() as u64);
        Self::check(end)?;
        let (start, end) = (offset as usize, end as usize);
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        if let Some(place) = self.bytes.get_mut(start..end) {
            place.copy_from_slice(bytes);
        }
        Ok(())
    }
}

/// Why no settings could be had where there may be some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The settings file that is there, but did not come whole.
    pub path: Option<String>,
    /// Why.
    pub error: fetch::Error,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{path}: {}", self.error),
            None => self.error.fmt(f),
        }
    }
}

impl core::error::Error for Error {}

impl From<fetch::Error> for Error {
    fn from(error: fetch::Error) -> Self {
        Self { path: None, error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATION: [u8; 6] = [0xdc, 0xa6, 0x32, 0x01, 0x02, 0x0f];

    #[test]
    fn the_boot_file_comes_first_then_serial_station_and_default() {
        let paths = candidates(Some("pi/loader.toml"), Some("10000000ABCDEF01"), STATION);
        assert_eq!(
            paths,
            [
                "pi/loader.toml",
                "xenlift/10000000abcdef01.toml",
                "xenlift/dc-a6-32-01-02-0f.toml",
                "xenlift/default.toml",
                "boot.scr.uimg"
            ]
        );
    }

    #[test]
    fn boot_files_of_other_loaders_and_strange_serial_numbers_are_left_alone() {
        for boot_file in ["pxelinux.0", "u-boot.bin", "grubaa64.efi"] {
            let paths = candidates(Some(boot_file), Some("../../etc/passwd"), STATION);
            assert_eq!(paths, ["xenlift/dc-a6-32-01-02-0f.toml", "xenlift/default.toml", "boot.scr.uimg"]);
        }
        for boot_file in ["boot2.scr", "pi/boot.scr.uimg"] {
            assert_eq!(candidates(Some(boot_file), None, STATION)[0], boot_file);
        }
    }
}
