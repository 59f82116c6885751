//! Bringing files: side by side, each with its own attempts.

use super::{Error, Event, FetchReport, Observer, Progress, Session, Transfer, endpoint, servers};
use crate::config::source::Source;
use crate::net::device::EthernetController;
use crate::net::http;
use crate::net::tftp::packet::code::NOT_DEFINED;
use crate::net::tftp::{self, LARGEST_WINDOW, Sink};
use crate::time::{Clock, Duration, Instant};
use alloc::vec::Vec;
use core::net::SocketAddrV4;

/// Attempts at one file.
const ATTEMPTS: u32 = 3;

/// Connections for one file by HTTP, one after another, that bring nothing new. From the second on each has a second more to wait, so
/// that a server can be started anew.
const CONNECTIONS: u32 = 5;

/// Time between two reports of progress of a file.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// A file to bring, and where to.
pub struct Job<'a> {
    /// The file: a plain path is on the session's server, a URL says its own.
    pub source: &'a Source,
    /// Where its bytes go.
    pub sink: &'a mut dyn Sink,
}

/// How a file is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Tftp,
    Http,
}

/// How far a job is.
struct Course<'a> {
    protocol: Protocol,
    server: SocketAddrV4,
    path: &'a str,
    /// What messages call it.
    name: &'a str,
    window: u16,
    attempt: u32,
    /// Bytes that all attempts together have brought.
    furthest: u64,
    /// The start of the first attempt.
    since: Instant,
    /// When the observer is told next.
    due: Instant,
    report: Option<FetchReport>,
}

impl<C: EthernetController, K: Clock> Session<C, K> {
    /// Brings the file that `source` names into `sink`.
    ///
    /// # Errors
    /// All of [`Error`]; the sink then holds a part of the file, or nothing.
    pub fn fetch(
        &mut self,
        source: &Source,
        sink: &mut dyn Sink,
        observer: &mut dyn Observer,
    ) -> Result<FetchReport, Error> {
        let reports = self.fetch_all(&mut [Job { source, sink }], observer).map_err(|(_, error)| error)?;
        // As many reports as jobs.
        reports.into_iter().next().ok_or(Error::Aborted)
    }

    /// Brings the files of all `jobs`, side by side, and reports in their order. The servers may differ. Where one file cannot be
    /// had, none is waited for any longer, and every server is told.
    ///
    /// # Errors
    /// All of [`Error`], with the number of the job that it ended; the first one's for what concerns none in particular (no link, no
    /// lease, given up by the observer). Every sink then holds a part of its file, or nothing, or all of it.
    pub fn fetch_all(
        &mut self,
        jobs: &mut [Job<'_>],
        observer: &mut dyn Observer,
    ) -> Result<Vec<FetchReport>, (usize, Error)> {
        for (job, wanted) in jobs.iter().enumerate() {
            path(wanted.source).map_err(|error| (job, error))?;
        }
        self.connect(observer).map_err(|error| (0, error))?;
        let mut transfers = Vec::with_capacity(jobs.len());
        let mut courses = Vec::with_capacity(jobs.len());
        let result = self.run(jobs, &mut transfers, &mut courses, observer);
        for transfer in transfers {
            self.finish(transfer);
        }
        for course in courses.iter().filter(|course| course.report.is_none()) {
            observer.event(Event::Ended { file: course.name, came: false });
        }
        result.map(|()| courses.iter().filter_map(|course| course.report).collect())
    }

    /// Serves transfers until each job has its file. The jobs are begun in their order, as many at once as have room: all that
    /// servers may have under way together fits the receive ring.
    fn run<'j>(
        &mut self,
        jobs: &'j mut [Job<'_>],
        transfers: &mut Vec<Transfer<'j>>,
        courses: &mut Vec<Course<'j>>,
        observer: &mut dyn Observer,
    ) -> Result<(), (usize, Error)> {
        let mut waiting = jobs.iter_mut().peekable();
        loop {
            let under_way = courses.iter().filter(|course| course.report.is_none()).count();
            // Those that are begun now are counted as well: what one leaves of the ring is for the others.
            let files = under_way + waiting.len();
            if files == 0 {
                return Ok(());
            }
            while let Some(job) = waiting.peek() {
                let number = courses.len();
                let (protocol, server, path) = self.find(job.source).map_err(|error| (number, error))?;
                let window = match protocol {
                    Protocol::Tftp => self.servers.window(server, files),
                    // The other end finds out by itself how much the way bears, and starts with little.
                    Protocol::Http => servers::share(files),
                };
                let in_flight: u16 = transfers.iter().map(|transfer| transfer.in_flight()).sum();
                if in_flight + window > LARGEST_WINDOW {
                    break;
                }
                let Some(Job { source, sink }) = waiting.next() else { break };
                if !courses.iter().any(|course| course.server.ip() == server.ip()) {
                    let answer = self.wait_for_neighbor(*server.ip(), self.limits.neighbor, transfers, observer);
                    answer.map_err(|error| (number, error))?;
                }
                let transfer = self.start_from(source, window, &mut **sink);
                transfers.push(transfer.map_err(|error| (number, error))?);
                courses.push(Course::new(protocol, server, path, source.name(), window, self.clock.now()));
            }
            match self.turn(transfers, observer) {
                // The outage was too long for all of them.
                Err(error @ Error::LinkLost { .. }) if self.link_up => {
                    for job in 0..courses.len() {
                        self.try_again(job, error, transfers, courses, observer)?;
                    }
                }
                result => result.map_err(|error| (0, error))?,
            }
            self.find_strangers(self.limits.neighbor, transfers, observer)?;
            self.look_at_all(transfers, courses, observer)?;
        }
    }

    /// A redirect may lead to another server than the one that was asked: finds the way there. An error has the number of the transfer.
    pub(in crate::net) fn find_strangers(
        &mut self,
        limit: Duration,
        transfers: &mut [Transfer<'_>],
        observer: &mut dyn Observer,
    ) -> Result<(), (usize, Error)> {
        for job in 0..transfers.len() {
            if let Some(server) = transfers.get(job).and_then(|transfer| self.stranger(transfer)) {
                let answer = self.wait_for_neighbor(server, limit, transfers, observer);
                answer.map_err(|error| (job, error))?;
            }
        }
        Ok(())
    }

    /// The server that has the file that `source` names.
    ///
    /// # Errors
    /// [`Error::NoServer`], [`Error::Unsupported`].
    pub(in crate::net) fn server_of(&self, source: &Source) -> Result<SocketAddrV4, Error> {
        self.find(source).map(|(_, server, _)| server)
    }

    /// Opens a transfer of the file that `source` names, with at most `window` blocks or segments in flight. Every one must be given to
    /// [`finish`](Self::finish).
    ///
    /// # Errors
    /// Those of [`server_of`](Self::server_of), and of a path that no request can hold.
    pub(in crate::net) fn start_from<'s>(
        &mut self,
        source: &Source,
        window: u16,
        sink: &'s mut dyn Sink,
    ) -> Result<Transfer<'s>, Error> {
        let (protocol, server, path) = self.find(source)?;
        self.start(protocol, (server, path), window, sink)
    }

    /// The server that has the file that `source` names, how it is asked, and the path there.
    fn find<'s>(&self, source: &'s Source) -> Result<(Protocol, SocketAddrV4, &'s str), Error> {
        let (protocol, server) = match source {
            Source::Tftp(server, _) => (Protocol::Tftp, endpoint(*server)),
            Source::Http(server, _) => (Protocol::Http, endpoint(*server)),
            _ => (Protocol::Tftp, self.server().ok_or(Error::NoServer)?),
        };
        Ok((protocol, server, path(source)?))
    }

    /// Reports what has come, and does something about what has not.
    fn look_at_all(
        &mut self,
        transfers: &mut [Transfer<'_>],
        courses: &mut [Course<'_>],
        observer: &mut dyn Observer,
    ) -> Result<(), (usize, Error)> {
        let now = self.clock.now();
        for job in 0..courses.len() {
            let (Some(transfer), Some(course)) = (transfers.get(job), courses.get_mut(job)) else { continue };
            match transfer.outcome() {
                _ if course.report.is_some() => {}
                None => course.tell(transfer, now, observer),
                Some(Ok(bytes)) => {
                    let report = course.end(transfer, bytes, now, observer);
                    if let Some(asked) = transfer.asked_block_size() {
                        self.servers.learn(&report, course.window);
                        if asked < self.servers.block_size(course.server) {
                            self.servers.passes(course.server, asked);
                        }
                    }
                }
                Some(Err(error)) => self.try_again(job, error, transfers, courses, observer)?,
            }
        }
        Ok(())
    }

    /// After `error`, asks for a job's file once more, if there is hope and it has not come already.
    fn try_again(
        &mut self,
        job: usize,
        error: Error,
        transfers: &mut [Transfer<'_>],
        courses: &mut [Course<'_>],
        observer: &mut dyn Observer,
    ) -> Result<(), (usize, Error)> {
        let serves = |server| {
            let begun = transfers.iter().zip(&*courses).filter(|(transfer, _)| transfer.has_begun());
            begun.into_iter().any(|(_, course)| course.server == server)
        };
        let server_is_there = courses.get(job).is_some_and(|course| serves(course.server));
        let (Some(transfer), Some(course)) = (transfers.get(job), courses.get_mut(job)) else { return Ok(()) };
        if course.report.is_some() {
            return Ok(());
        }
        if transfer.furthest() > course.furthest {
            (course.furthest, course.attempt) = (transfer.furthest(), 1);
        }
        let stalled = matches!(error, Error::Tftp(tftp::Error::Stalled { .. }));
        let bewildered = is_bewilderment(error, transfer);
        if stalled || bewildered {
            // It may have granted less than was asked for.
            course.window = course.window.min(transfer.window().0);
        }
        let hope = match error {
            _ if stalled || bewildered => self.link_up,
            // The first time, nobody has ever answered there, unless the server is busy with other files.
            Error::Tftp(tftp::Error::NoAnswer { .. }) => course.attempt > 1 || server_is_there,
            Error::Http(http::Error::NoServer { .. } | http::Error::NoAnswer { .. }) => course.attempt > 1,
            Error::Http(error) => error.may_pass() && self.link_up,
            Error::LinkLost { .. } => true,
            _ => false,
        };
        let attempts = if course.protocol == Protocol::Http { CONNECTIONS } else { ATTEMPTS };
        if !hope || course.attempt >= attempts {
            return Err((job, error));
        }
        observer.event(Event::Again { file: course.name, reason: error });
        let pause = Duration::from_secs(u64::from(course.attempt) - 1);
        course.attempt += 1;
        course.window = (course.window / 4).max(1);
        let (server, path, window) = (course.server, course.path, course.window);
        if stalled {
            self.servers.bears_no_more_than(server, window);
        }
        if bewildered {
            self.servers.was_bewildered(server);
        }
        let again = self.wait_for_neighbor(*server.ip(), self.limits.neighbor, transfers, observer);
        let again = again.and_then(|()| match transfers.get_mut(job) {
            Some(transfer) => self.start_again(transfer, server, path, window, pause),
            None => Ok(()),
        });
        again.map_err(|error| (job, error))
    }
}

impl<'a> Course<'a> {
    fn new(protocol: Protocol, server: SocketAddrV4, path: &'a str, name: &'a str, window: u16, now: Instant) -> Self {
        let due = now.after(PROGRESS_INTERVAL);
        Self { protocol, server, path, name, window, attempt: 1, furthest: 0, since: now, due, report: None }
    }

    /// Tells the observer how far it is, not too often.
    fn tell(&mut self, transfer: &Transfer<'_>, now: Instant, observer: &mut dyn Observer) {
        if now < self.due {
            return;
        }
        self.due = now.after(PROGRESS_INTERVAL);
        let progress = transfer.progress(now.since(self.since));
        observer.event(Event::Progress { file: self.name, progress });
    }

    /// All `bytes` of it have come.
    fn end(&mut self, transfer: &Transfer<'_>, bytes: u64, now: Instant, observer: &mut dyn Observer) -> FetchReport {
        let Progress { elapsed, losses, retransmissions, .. } = transfer.progress(now.since(self.since));
        let (window, block_size) = transfer.window();
        let report = FetchReport { bytes, elapsed, losses, retransmissions, window, block_size, server: self.server };
        self.report = Some(report);
        observer.event(Event::Ended { file: self.name, came: true });
        report
    }
}

/// Whether the server has lost its way in `transfer` since it was told something twice, as the `tftp` package for Node.js does: it was only slow to answer,
/// and sends its windows over and over then, or ends the transfer with an error of its own.
fn is_bewilderment(error: Error, transfer: &Transfer<'_>) -> bool {
    let Progress { received, retransmissions, .. } = transfer.progress(Duration::ZERO);
    match error {
        Error::Tftp(tftp::Error::Repeats { .. }) => true,
        Error::Tftp(tftp::Error::Server { code, .. }) => code == NOT_DEFINED && received > 0 && retransmissions > 0,
        _ => false,
    }
}

/// The path on the server of the file that `source` names.
fn path(source: &Source) -> Result<&str, Error> {
    match source {
        Source::Path(path) | Source::Tftp(_, path) | Source::Http(_, path) => Ok(path),
        Source::Card(..) => Err(Error::Unsupported("a file of the card is not on a server")),
        Source::Initramfs => Err(Error::Unsupported("the firmware's initramfs is not a file on a server")),
    }
}
