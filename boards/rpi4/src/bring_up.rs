//! From start-up to the banner: the console, and what the firmware says about the board.

use crate::devices::Devices;
use alloc::string::{String, ToString};
use xenlift::arch::timer::SystemClock;
use xenlift::arch::{Entry, barrier};
use xenlift::banner::Facts;
use xenlift::console::{self, Console};
use xenlift::device_tree::{Node, Tree};
use xenlift::dma::DmaBlock;
use xenlift::drivers::board_revision::BoardRevision;
use xenlift::drivers::gpio::Gpio;
use xenlift::drivers::mailbox::message::{BYTES, Request};
use xenlift::drivers::mailbox::property::{BoardRevisionCode, ClockRate, MacAddress, NotifyReboot, SerialNumber};
use xenlift::drivers::mailbox::{self, Mailbox, property::ClockId};
use xenlift::drivers::uart::UartKind;
use xenlift::drivers::uart_choice::{self, HeaderPins, stdout_uart};
use xenlift::drivers::watchdog::{AtEntry, Partition, ResetStatus, Watchdog};
use xenlift::logger;
use xenlift::mmio::Mmio;
use xenlift::range::PhysicalRange;
use xenlift::time::{Clock, Duration};

/// How long the console may take for its last words: a full buffer at 115,200 baud.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The mailbox of this board.
pub type BoardMailbox = Mailbox<Mmio, DmaBlock, SystemClock>;

/// What there is once the banner is out.
pub struct Board {
    /// The mailbox, or why there is none.
    pub mailbox: Result<BoardMailbox, String>,
    /// The watchdog; whatever makes progress feeds it.
    pub watchdog: Watchdog<Mmio>,
    /// What the firmware says about itself and the board.
    pub firmware: Firmware,
}

impl Board {
    /// Leaves the loader by a reset: the last words leave the UART, the firmware is told, and the board starts again.
    pub fn reset(mut self) -> ! {
        console::with(|console| console.drain(LAST_WORDS));
        if let Ok(mailbox) = &mut self.mailbox {
            // Only politeness: the reset comes whatever it answers.
            let _ = mailbox.ask(NotifyReboot);
        }
        self.watchdog.reset(Partition::DEFAULT);
        barrier::park()
    }
}

/// What the firmware says about the board; `None` where it did not answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Firmware {
    /// The board's revision code.
    pub revision: Option<BoardRevision>,
    /// Its serial number.
    pub serial: Option<u64>,
    /// The Ethernet controller's MAC address.
    pub mac: Option<[u8; 6]>,
    /// The ARM's clock in Hz.
    pub arm_clock: Option<u32>,
}

impl Firmware {
    /// Asks for everything in one message.
    fn ask(mailbox: &mut BoardMailbox) -> Result<Self, mailbox::Error> {
        let mut request = Request::new();
        let revision = request.add(BoardRevisionCode)?;
        let serial = request.add(SerialNumber)?;
        let mac = request.add(MacAddress)?;
        let arm_clock = request.add(ClockRate(ClockId::Arm))?;
        let answers = mailbox.call(request)?;
        Ok(Self {
            revision: answers.get(revision).ok(),
            serial: answers.get(serial).ok(),
            mac: answers.get(mac).ok(),
            arm_clock: answers.get(arm_clock).ok(),
        })
    }
}

/// Brings the console up and prints the banner. `tree` is the firmware's device tree, or why there is none.
pub fn bring_up(entry: &Entry, devices: Devices, clock: SystemClock, tree: Result<&Tree<'_>, &str>) -> Board {
    let started = clock.now();
    let at_entry = AtEntry::decode(entry.watchdog.control, entry.watchdog.remaining);
    let mut watchdog = Watchdog::new(devices.power_management, at_entry);
    watchdog.feed();

    let mut gpio = Gpio::new(devices.gpio);
    let stdout = tree.ok().and_then(Tree::stdout).filter(|(node, _)| node.is_enabled());
    let choice = uart_choice::choose(HeaderPins::read(&gpio), stdout.and_then(|(node, _)| uart_of(&node)));
    choice.connect(&mut gpio);

    let mut mailbox = DmaBlock::take(BYTES)
        .map_err(|error| error.to_string())
        .and_then(|memory| Mailbox::new(devices.mailbox, memory, clock).map_err(|error| error.to_string()));
    let answers = match &mut mailbox {
        Ok(mailbox) => Firmware::ask(mailbox).map_err(|error| error.to_string()),
        Err(error) => Err(error.clone()),
    };
    let firmware = answers.as_ref().copied().unwrap_or_default();

    let uart = choice.attach(devices.pl011, devices.auxiliary, &clock, |id| {
        mailbox.as_mut().ok().and_then(|mailbox| mailbox.ask(ClockRate(id)).ok())
    });
    let baud = uart.baud();
    // Nothing can hold the console yet, and a loader without one goes on all the same.
    let _ = console::install(Console::new(uart, clock, started));
    let _ = logger::init(logger::DEFAULT_LEVEL);

    let status = tree.ok().and_then(status_from_tree).unwrap_or(ResetStatus(entry.watchdog.reset_status));
    let facts = Facts {
        version: env!("CARGO_PKG_VERSION"),
        board: firmware.revision,
        serial: firmware.serial,
        exception_level: 2,
        memory: entry.ram.banks().iter().map(PhysicalRange::size).sum(),
        arm_clock: firmware.arm_clock,
        loaded_at: entry.found.loaded_at,
        moved_to: entry.image.start,
        tree: tree.and_then(|_| entry.memory.as_ref().map(|memory| memory.tree).map_err(|_| "damaged")),
        reset: Some(status),
        watchdog: at_entry.left(),
        uart: choice,
        baud,
    };
    xenlift::print!("{facts}");
    if let Err(error) = answers {
        log::warn!("{error}");
    }
    Board { mailbox, watchdog, firmware }
}

/// Which of the two UARTs `node` is.
fn uart_of(node: &Node<'_>) -> Option<UartKind> {
    let compatible = node.property("compatible").map_or(&[][..], |property| property.value());
    stdout_uart(node.name(), compatible)
}

/// The reset status that the firmware read, and cleared by reading, before it wrote the tree.
fn status_from_tree(tree: &Tree<'_>) -> Option<ResetStatus> {
    tree.find("/chosen/bootloader")?.property("rsts")?.u32().map(ResetStatus)
}
