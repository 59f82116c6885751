//! A board on a simulated network, with a session over its controller and a clock that moves while it works.

use super::lan::{Controller, Lan, SimulatedClock, Watcher, plug};
use super::memory::Memory;
use super::network::Random;
use std::cell::RefCell;
use std::rc::Rc;
use xenlift::config::Network;
use xenlift::config::source::Source;
use xenlift::net::fetch::{Error, FetchReport, Job, Observer, Session};
use xenlift::net::tftp::Sink;
use xenlift::time::Instant;

/// Reports of all files, or the number of the one that could not be had, and why.
pub type AllFetched = Result<Vec<FetchReport>, (usize, Error)>;

/// Bytes of a file, the same ones for the same length.
pub fn file(length: usize) -> Vec<u8> {
    let mut random = Random::new(length as u64);
    let words = std::iter::repeat_with(|| random.below(u64::MAX).to_le_bytes());
    words.take(length.div_ceil(8)).flatten().take(length).collect()
}

/// A moment in seconds since the session began.
pub fn at(seconds: f64) -> Instant {
    Instant::from_micros(((seconds + 1.0) * 1e6) as u64)
}

pub struct Board {
    pub lan: Rc<RefCell<Lan>>,
    pub session: Session<Controller, SimulatedClock>,
    pub watcher: Watcher,
}

impl Board {
    pub fn new(lan: Lan) -> Self {
        Self::with(lan, Network::default())
    }

    pub fn with(lan: Lan, network: Network) -> Self {
        let (lan, controller, clock, watcher) = plug(lan);
        let session = Session::new(controller, clock, network, 42).unwrap();
        Self { lan, session, watcher }
    }

    pub fn fetch(&mut self, source: &str) -> (Result<FetchReport, Error>, Memory) {
        let mut memory = Memory::new(1 << 24);
        let source = Source::parse(source).unwrap();
        (self.session.fetch(&source, &mut memory, &mut self.watcher), memory)
    }

    /// Fetches a file that is to come whole, as it is on the TFTP server.
    pub fn whole(&mut self, path: &str) -> FetchReport {
        self.is_whole(path, |lan| &lan.server.files[path])
    }

    /// The same from the first web server.
    pub fn whole_by_http(&mut self, path: &str) -> FetchReport {
        self.is_whole(&format!("http://10.0.2.2{path}"), |lan| &lan.webs[0].files[path])
    }

    fn is_whole(&mut self, source: &str, original: impl Fn(&Lan) -> &Vec<u8>) -> FetchReport {
        let (report, memory) = self.fetch(source);
        let report = report.unwrap_or_else(|error| panic!("{source}: {error}"));
        assert!(memory.bytes == *original(&self.lan.borrow()), "{source} differs");
        assert_eq!((report.bytes, memory.ended), (memory.bytes.len() as u64, Some(memory.bytes.len() as u64)));
        report
    }

    /// Fetches a file that is not to come, and gives the reason in words.
    pub fn error(&mut self, source: &str) -> String {
        let (result, memory) = self.fetch(source);
        assert_eq!(memory.ended, None);
        result.unwrap_err().to_string()
    }

    /// Fetches files side by side, into as many places.
    pub fn fetch_all(&mut self, sources: &[&str]) -> (AllFetched, Vec<Memory>) {
        let mut places: Vec<_> = sources.iter().map(|_| Memory::new(1 << 24)).collect();
        let sources: Vec<_> = sources.iter().map(|source| Source::parse(source).unwrap()).collect();
        let jobs = sources.iter().zip(&mut places).map(|(source, sink)| Job { source, sink: sink as &mut dyn Sink });
        let result = self.session.fetch_all(&mut jobs.collect::<Vec<_>>(), &mut self.watcher);
        (result, places)
    }

    /// Fetches files that are all to come whole.
    pub fn all_whole(&mut self, paths: &[&str]) -> Vec<FetchReport> {
        let (reports, places) = self.fetch_all(paths);
        let reports = reports.unwrap_or_else(|(job, error)| panic!("{}: {error}", paths[job]));
        for ((path, place), report) in paths.iter().zip(&places).zip(&reports) {
            assert!(place.bytes == self.lan.borrow().server.files[*path], "{path} differs");
            assert_eq!(report.bytes, place.bytes.len() as u64);
        }
        assert_eq!(reports.len(), paths.len());
        reports
    }

    /// Lets time pass, with nothing done but what goes on without waiting.
    pub fn advance_until(&mut self, seconds: f64) {
        while self.seconds() < seconds {
            let now = self.session.now();
            self.session.advance(now, &mut self.watcher).unwrap();
            self.watcher.poll(now);
        }
    }

    /// Lets time pass without the session.
    pub fn idle_until(&mut self, seconds: f64) {
        while self.seconds() < seconds {
            self.watcher.poll(self.session.now());
        }
    }

    pub fn seconds(&self) -> f64 {
        self.watcher.now().micros() as f64 / 1e6 - 1.0
    }
}
