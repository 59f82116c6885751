//! The board's network, as the boot uses it: found in the tree, opened once, watched while it works, silent at the jump.

use crate::board::{Block, Board};
use crate::boot::bring_up::{Identity, Keeper};
use crate::boot::digest::{Following, crc32_continued};
use crate::config::Network;
use crate::console::{self, Attentive, attentively};
use crate::device_tree::{Node, Tree};
use crate::drivers::genet::{self, Genet, RECEIVE_MEMORY, SEND_MEMORY, Settings};
use crate::net::device::Link;
use crate::net::fetch::{Event, Observer, Progress, Session};
use crate::println;
use crate::terminal::progress::{Display, Manner};
use crate::time::{Clock, Duration, Instant};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::fmt;

/// The name by which the tree knows the controller.
const COMPATIBLE: &str = "brcm,bcm2711-genet-v5";

/// What the timing calls the controller's start.
pub(super) const STARTED: &str = "Ethernet started";

/// Time between two looks at the console: half of what the mini UART's FIFO takes to overflow.
pub(super) const LOOK_AT_CONSOLE: Duration = Duration::from_micros(300);

/// Time between two reports of a digest's progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// Bytes that are kept of what was not shown.
const MOST_UNTOLD: usize = 4096;

/// Bytes of which a digest is computed between two looks at the console: 0.2 ms at the 33 instructions a byte that were counted.
const DIGESTED_AT_ONCE: usize = 8 * 1024;

/// Bytes of which a CRC-32 is computed at a time: 0.1 ms, less than an instruction a byte.
const CHECKED_AT_ONCE: usize = 128 * 1024;

/// The controller of a board.
pub type Controller<B> = Genet<&'static <B as Board>::Registers, <B as Board>::Memory, Attentive<<B as Board>::Clock>>;

/// A session on it.
pub type BoardSession<B> = Session<Controller<B>, <B as Board>::Clock>;

/// Why there is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is no tree to say whether there is a controller. Reading one that is absent would hang the bus.
    NoTree,
    /// No enabled node names it.
    NotInTree,
    /// Neither the tree nor the mailbox has a MAC address.
    NoAddress,
    /// Its registers or memory are not to be had.
    Taken,
    /// The driver could not bring it up.
    Controller(genet::Error),
    /// The session could not be made.
    Session(crate::net::fetch::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTree => f.write_str("there is no device tree to name an Ethernet controller"),
            Self::NotInTree => write!(f, "the firmware's device tree has no enabled {COMPATIBLE} node"),
            Self::NoAddress => f.write_str("neither the device tree nor the firmware's mailbox has a MAC address"),
            Self::Taken => f.write_str("the Ethernet controller's registers or memory are in use"),
            Self::Controller(error) => error.fmt(f),
            Self::Session(error) => error.fmt(f),
        }
    }
}

impl From<genet::Error> for Error {
    fn from(error: genet::Error) -> Self {
        Self::Controller(error)
    }
}

/// Opens the network: the controller is reset and autonegotiation runs from here on, while the rest of the boot goes on.
///
/// # Errors
/// Why there is none. A board without network can still boot from a bundle.
pub fn open<B: Board>(board: &mut B, tree: Option<Tree<'_>>, identity: &Identity) -> Result<BoardSession<B>, Error> {
    let tree = tree.ok_or(Error::NoTree)?;
    let mut nodes = attentively(tree.nodes());
    let node = nodes.find(|node| node.is_compatible(COMPATIBLE) && node.is_enabled()).ok_or(Error::NotInTree)?;
    console::poll();
    let address = station(&node).or(identity.mac).ok_or(Error::NoAddress)?;
    let settings = Settings { address, phy_address: phy_address(&tree, &node) };
    let bus = board.registers(Block::Ethernet).ok_or(Error::Taken)?;
    let receive = board.dma_memory(RECEIVE_MEMORY).ok_or(Error::Taken)?;
    let send = board.dma_memory(SEND_MEMORY).ok_or(Error::Taken)?;
    let clock = board.clock();
    // Driver and bus live as long as the loader, so nothing is lost by never freeing this one.
    let mut controller = Genet::new(&*Box::leak(Box::new(bus)), Attentive(clock), receive, send, settings)?;
    console::poll();
    let found = controller.start()?;
    log::info!("{found}");
    if !found.phy_known {
        println!("Ethernet: PHY {:08x} is unknown; its delays stay as they are.", found.phy_id);
    }
    // Ports and transaction numbers should differ from boot to boot and from board to board.
    let mac = address.iter().fold(0, |value: u64, byte| value << 8 | u64::from(*byte));
    let seed = clock.now().micros() ^ mac.rotate_left(16) ^ identity.serial.unwrap_or(0);
    Session::new(controller, clock, Network::default(), seed).map_err(Error::Session)
}

/// The station address that the firmware wrote into the tree.
fn station(node: &Node<'_>) -> Option<[u8; 6]> {
    let address: [u8; 6] = node.property("local-mac-address")?.value().try_into().ok()?;
    (address[0] & 1 == 0 && address != [0; 6]).then_some(address)
}

/// `reg` of the node that `phy-handle` names.
fn phy_address(tree: &Tree<'_>, node: &Node<'_>) -> Option<u8> {
    let handle = node.property("phy-handle")?.u32()?;
    let phy = attentively(tree.nodes()).find(|node| node.phandle() == Some(handle))?;
    u8::try_from(phy.property("reg")?.u32()?).ok().filter(|address| *address < 32)
}

/// Who has the console while files come that nobody has asked for yet: the menu.
pub trait Foreground<B: Board> {
    /// Looks after the console and everything that has to be looked after, and says what becomes of the files.
    fn look(&mut self, keeper: &mut Keeper<B>, now: Instant) -> Verdict;
}

/// What becomes of files that nobody has asked for yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody knows yet.
    Open,
    /// They are wanted now, and so is the console.
    Wanted,
    /// They are not.
    Unwanted,
}

/// Looks after the rest of the machine while something is waited for, and shows how it goes.
pub struct Watch<'k, B: Board> {
    keeper: &'k mut Keeper<B>,
    looked: Instant,
    display: Display,
    foreground: Option<&'k mut dyn Foreground<B>>,
    /// Nothing is shown. What there would be to read of it afterwards goes to the keeper.
    hidden: bool,
}

impl<'k, B: Board> Watch<'k, B> {
    /// Watches for `keeper`, from `now` on.
    pub fn new(keeper: &'k mut Keeper<B>, now: Instant) -> Self {
        let display = Display::new(keeper.manner());
        Self { keeper, looked: now, display, foreground: None, hidden: false }
    }

    /// Watches for `keeper` and shows nothing. `foreground` is asked instead of the console, if there is one.
    pub fn hidden(keeper: &'k mut Keeper<B>, now: Instant, foreground: Option<&'k mut dyn Foreground<B>>) -> Self {
        Self { keeper, looked: now, display: Display::new(Manner::Unattended), foreground, hidden: true }
    }

    /// Prints what was not shown when it happened.
    pub fn catch_up(&mut self) {
        self.hidden = false;
        for untold in [core::mem::take(&mut self.keeper.untold), core::mem::take(&mut self.keeper.untold_files)] {
            if !untold.is_empty() {
                self.show(|_, _, out| out.write_str(&untold));
            }
        }
    }

    /// Prints a line, such as what there is to say of a file that has come.
    pub fn line(&mut self, text: fmt::Arguments<'_>) {
        if self.hidden {
            // It fails where that is full.
            let _ = self.display.line(text, &mut Untold(&mut self.keeper.untold_files));
            return;
        }
        self.show(|display, _, out| display.line(text, out));
    }

    /// So long the file that has come last by that name was on its way, and so long it is.
    pub fn measured(&mut self, file: &str, took: Duration, bytes: u64) {
        self.keeper.timing.measured(file, took, bytes);
    }

    /// The SHA-256 of `bytes`, which are called `name`, of which `begun` has the beginning; `None` if it was given up at the console.
    pub fn sha256(&mut self, name: &str, bytes: &[u8], begun: Following) -> Option<[u8; 32]> {
        let (mut digest, started) = (begun, self.keeper.now());
        let (name, size) = (format!("{name}, SHA-256"), bytes.len() as u64);
        self.work(&name, size, &mut || digest.follow(bytes, DIGESTED_AT_ONCE).then(|| digest.done() as u64))?;
        self.worked(started, &name);
        Some(digest.finish())
    }

    /// The CRC-32 of `bytes`, which are called `name`; `None` if it was given up at the console.
    pub fn crc32(&mut self, name: &str, bytes: &[u8]) -> Option<u32> {
        let (mut crc, mut done) = (0, 0);
        let mut pieces = bytes.chunks(CHECKED_AT_ONCE);
        self.work(&format!("{name}, CRC-32"), bytes.len() as u64, &mut || {
            let piece = pieces.next()?;
            crc = crc32_continued(crc, piece);
            done += piece.len() as u64;
            Some(done)
        })?;
        Some(crc)
    }

    /// The job `name`, which began at `started`, is done.
    pub fn worked(&mut self, started: Instant, name: &str) {
        let now = self.keeper.now();
        self.keeper.timing.beside(started, now, format_args!("{name}"));
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.keeper.now()
    }

    /// Does `step` until nothing is left of a job of `size` bytes; it says how much is done. `None` if the job was given up at the console.
    pub fn work(&mut self, name: &str, size: u64, step: &mut dyn FnMut() -> Option<u64>) -> Option<()> {
        let started = self.keeper.now();
        let mut reported = started;
        while let Some(received) = step() {
            let now = self.keeper.now();
            if !self.poll(now) {
                self.event(Event::Ended { file: name, came: false });
                return None;
            }
            if now.since(reported) >= PROGRESS_INTERVAL {
                reported = now;
                let elapsed = now.since(started);
                let progress = Progress { received, size: Some(size), elapsed, ..Progress::default() };
                self.event(Event::Progress { file: name, progress });
            }
        }
        self.show(|display, now, out| display.event(now, &Event::Ended { file: name, came: true }, out));
        Some(())
    }

    /// Lets the display write to the console.
    fn show(&mut self, what: impl FnOnce(&mut Display, Instant, &mut dyn fmt::Write) -> fmt::Result) {
        let (manner, now) = (self.keeper.manner(), self.keeper.now());
        if self.hidden {
            // It fails where that is full.
            let _ = what(&mut self.display, now, &mut Untold(&mut self.keeper.untold));
            return;
        }
        // The console's writer never fails.
        console::with(|console| {
            self.display.set_manner(manner, console).and_then(|()| what(&mut self.display, now, console)).ok()
        });
    }
}

impl<B: Board> Observer for Watch<'_, B> {
    fn poll(&mut self, now: Instant) -> bool {
        if now.since(self.looked) < LOOK_AT_CONSOLE {
            return true;
        }
        self.looked = now;
        if let Some(foreground) = &mut self.foreground {
            match foreground.look(self.keeper, now) {
                Verdict::Open => return true,
                Verdict::Unwanted => return false,
                Verdict::Wanted => {
                    self.foreground = None;
                    self.catch_up();
                }
            }
        }
        self.keeper.breathe();
        // A slow line is not given more to draw before it has brought out the last of it.
        if !console::with(|console| console.is_printing()).unwrap_or(true) {
            self.show(|display, now, out| display.tick(now, out));
        }
        !self.keeper.take_interrupt_key()
    }

    fn event(&mut self, event: Event<'_>) {
        let (now, timing) = (self.keeper.now(), &mut self.keeper.timing);
        match event {
            Event::Link(Link::Up { .. }) => timing.mark_since(STARTED, now, format_args!("link")),
            Event::Lease(_) => timing.mark_since("link", now, format_args!("lease")),
            Event::Ended { file, came: true } => timing.mark_since("", now, format_args!("{file}")),
            _ => {}
        }
        if self.hidden && matches!(event, Event::Progress { .. }) {
            return;
        }
        if !self.hidden {
            self.catch_up();
        }
        self.show(|display, now, out| display.event(now, &event, out));
    }
}

/// What is told later: so much of it that a few files, link and lease have room.
struct Untold<'a>(&'a mut String);

impl fmt::Write for Untold<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MOST_UNTOLD {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

impl<B: Board> Drop for Watch<'_, B> {
    fn drop(&mut self) {
        self.show(|display, _, out| display.end(out));
    }
}
