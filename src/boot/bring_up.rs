//! From a machine with memory and caches to one with a console, and with all that the firmware can tell about itself.
//!
//! The order is that of usefulness to somebody who looks at a dark screen: first a copy of the firmware's tree (it lies in memory
//! that will be wanted), then the console, then everything that can be missing without stopping a boot.

use crate::arch::firmware_memory::FirmwareMemoryError;
use crate::arch::selftest::SelfTest;
use crate::arch::{Entry, StartBoard, unpacked};
use crate::banner;
use crate::board::{Block, Board};
use crate::boot::card::Slot;
use crate::boot::layout::{self, Layout};
use crate::boot::network::{self, BoardSession};
use crate::boot::prompt::Kept;
use crate::boot::timing::Timing;
use crate::config::overrides::Overrides;
use crate::console::{self, Console};
use crate::device_tree::Tree;
use crate::drivers::arm_clock;
use crate::drivers::board_revision::BoardRevision;
use crate::drivers::gpio::Gpio;
use crate::drivers::mailbox::message::{BYTES, Property, Request};
use crate::drivers::mailbox::property::{
    ArmMemory, BoardRevisionCode, ClockId, ClockRate, MacAddress, MaximumClockRate, NotifyReboot, PowerUpCard,
    SerialNumber,
};
use crate::drivers::mailbox::{self, Mailbox};
use crate::drivers::mini_uart::MiniUart;
use crate::drivers::uart::UartKind;
use crate::drivers::uart_choice::{self, Choice, HeaderPins};
use crate::drivers::watchdog::{AtEntry, Partition, ResetStatus, Watchdog};
use crate::logger;
use crate::println;
use crate::ram::{Claim, Ram};
use crate::range::PhysicalRange;
use crate::terminal::Kind;
use crate::terminal::progress::Manner;
use crate::time::{Clock, Duration, Instant};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// How long the console may take for its last words: a full buffer at 115,200 baud.
const LAST_WORDS: Duration = Duration::from_millis(1500);

/// What the firmware says of the board. `None` is a question without an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Type, memory size and maker.
    pub revision: Option<BoardRevision>,
    /// The serial number.
    pub serial: Option<u64>,
    /// The Ethernet controller's address.
    pub mac: Option<[u8; 6]>,
    /// The ARM's clock in Hz.
    pub arm_clock: Option<u32>,
}

/// A mailbox on a board's own registers and memory.
type BoardMailbox<B> = Mailbox<<B as Board>::Registers, <B as Board>::Memory, <B as Board>::Clock>;

/// The machine once it has a console.
pub struct Machine<B: Board> {
    /// The board, with the blocks that nobody has taken yet.
    pub board: B,
    /// Physical memory.
    pub ram: Ram,
    /// Who it is.
    pub identity: Identity,
    /// The UART of the console.
    pub uart: Choice,
    /// A copy of the firmware's tree, checked; or in words why there is none.
    pub tree: Result<Vec<u8>, String>,
    /// Where the firmware's tree itself lies, if it is one.
    pub firmware_tree: Option<PhysicalRange>,
    /// What the firmware loaded as `initramfs`.
    pub initramfs: Option<Claim>,
    /// The network, or why there is none.
    pub network: Result<BoardSession<B>, network::Error>,
    /// The card slot, opened when settings are looked for.
    pub card: Slot<B>,
    /// The `xenlift.*` words of the firmware's command line.
    pub overrides: Overrides,
    /// What the firmware and the board said at the start, as the console showed it.
    pub hello: String,
    /// Where the settings came from, in words; empty as long as none were found.
    pub settings: String,
    /// What scripts and visits to the prompt leave.
    pub kept: Kept,
    /// What has to be looked after as long as the loader runs.
    pub keeper: Keeper<B>,
}

/// What has to be looked after as long as the loader runs.
pub struct Keeper<B: Board> {
    /// Somebody has pressed a key, and is there to choose.
    pub watched: bool,
    /// What the terminal is; `None` as long as it was not asked.
    pub terminal: Option<Kind>,
    clock: B::Clock,
    /// The steps of the boot so far.
    pub timing: Timing,
    /// Lines of what went on behind the menu, for when somebody wants to know.
    pub untold: String,
    /// The same of files that may turn out not to be wanted.
    pub untold_files: String,
    start: &'static dyn StartBoard,
    watchdog: Option<Watchdog<B::Registers>>,
    mailbox: Option<BoardMailbox<B>>,
}

impl<B: Board> Machine<B> {
    /// Brings the console up and says hello.
    pub fn bring_up(mut board: B, entry: Entry) -> Self {
        let Entry { found, image, memory, mut ram } = entry;
        let at_entry = board.start().watchdog_at_entry();
        let clock = board.clock();
        let mut timing = Timing::default();
        timing.mark(clock.now(), format_args!("start"));
        let tree = match &memory {
            Ok(memory) => copy_tree(&mut ram, memory.tree),
            Err(error) => Err(no_tree(found.x[0], error)),
        };
        let parsed = tree.as_ref().ok().and_then(|bytes| Tree::new(bytes).ok());
        let firmware_tree = parsed.and(memory.as_ref().ok()).map(|memory| memory.tree);

        let left_armed = AtEntry::decode(at_entry.control, at_entry.remaining);
        let mut watchdog = board.registers(Block::PowerManagement).map(|bus| Watchdog::new(bus, left_armed));
        if let Some(watchdog) = &mut watchdog {
            watchdog.feed();
        }
        let mut mailbox = open_mailbox(&mut board);
        let clocks = mailbox.as_mut().and_then(arm_clock::raise);
        let (identity, silence) = ask_identity(mailbox.as_mut());
        let uart = open_console(&mut board, parsed, mailbox.as_mut(), clocks.and_then(|clocks| clocks.core));
        if memory.is_err()
            && let Some(mailbox) = mailbox.as_mut()
            && let Ok(bank) = mailbox.ask(ArmMemory)
            && let Err(error) = ram.add_bank(bank)
        {
            log::warn!("memory as the firmware's mailbox tells it: {error}");
        }
        console::poll();
        let reset = parsed.and_then(reset_status).or(Some(ResetStatus(at_entry.reset_status)));
        timing.mark(clock.now(), format_args!("console"));
        let hello = say_hello(&banner::Facts {
            version: env!("CARGO_PKG_VERSION"),
            board: identity.revision,
            serial: identity.serial,
            exception_level: 2,
            memory: ram.banks().iter().map(PhysicalRange::size).sum(),
            arm_clock: identity.arm_clock,
            loaded_at: unpacked::from().unwrap_or(found.loaded_at),
            moved_to: image.start,
            tree: match (&tree, &memory) {
                (Ok(_), Ok(memory)) => Ok(memory.tree),
                (Err(words), _) => Err(words),
                (Ok(_), Err(_)) => Err("none"),
            },
            reset,
            watchdog: left_armed.left(),
            uart,
            baud: console::with(|console| console.uart().1).unwrap_or(crate::drivers::uart::Baud::AsFound),
        });
        if let Some(error) = silence {
            println!(
                "The firmware's mailbox: {error}. Going on without board revision, serial number and MAC address."
            );
        }

        if let Some(error) = ram.incomplete() {
            println!("{error}.");
        }

        let bootargs = parsed.and_then(|tree| tree.bootargs()).unwrap_or_default();
        if let Some(test) = SelfTest::asked_for(bootargs) {
            println!("Self-test: {test}");
            console::with(|console| console.drain(LAST_WORDS));
            test.run();
        }
        console::poll();
        let overrides = overrides(bootargs);
        if let Some(level) = overrides.log {
            logger::set_level(level);
        }
        console::poll();
        let network = network::open(&mut board, parsed, &identity);
        console::poll();
        timing.mark(clock.now(), format_args!("{}", network::STARTED));
        let card = Slot::new(parsed, board.clock());
        let initramfs = claim_initramfs(&mut ram, memory.ok().and_then(|memory| memory.initrd));
        let start = board.start();
        let keeper = Keeper {
            watched: false,
            terminal: None,
            timing,
            untold: String::new(),
            untold_files: String::new(),
            clock,
            start,
            watchdog,
            mailbox,
        };
        let kept = Kept::default();
        Self {
            board,
            ram,
            identity,
            uart,
            tree,
            firmware_tree,
            initramfs,
            network,
            card,
            overrides,
            hello,
            settings: String::new(),
            kept,
            keeper,
        }
    }
}

impl<B: Board> Machine<B> {
    /// Memory as it is before anything is loaded.
    ///
    /// # Errors
    /// There is none.
    pub fn free_memory(&self) -> Result<Layout, layout::Error> {
        let mut layout = Layout::new(self.ram.banks().iter().copied())?;
        for range in self.ram.reserved() {
            // A page can be reserved for several reasons.
            if layout.occupants().iter().any(|occupant| occupant.range == *range) {
                continue;
            }
            let name = match Some(*range) == self.ram.loader() {
                true => "the loader",
                false => "memory that the firmware reserves",
            };
            layout.reserve(name, *range)?;
        }
        if let Some(claim) = &self.initramfs {
            layout.reserve("the firmware's initramfs", claim.range())?;
        }
        Ok(layout)
    }
}

impl<B: Board> Keeper<B> {
    /// What everything that loops calls, at least every 0.5 ms: the console's bytes move, and an armed watchdog sees progress.
    pub fn breathe(&mut self) {
        console::poll();
        self.watched |= console::with(Console::take_typed).unwrap_or(false);
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.feed();
        }
    }

    /// Takes what the terminal is.
    pub fn set_terminal(&mut self, kind: Kind) {
        console::with(|console| self.set_terminal_of(console, kind));
    }

    /// The same for who has the console in hand.
    pub fn set_terminal_of(&mut self, console: &mut Console, kind: Kind) {
        self.terminal = Some(kind);
        console.set_columns(match kind {
            Kind::Ansi { columns, .. } => Some(columns),
            Kind::Plain => None,
        });
    }

    /// Whether somebody has pressed Ctrl-C since this was last asked. What was typed ahead stays where it is, what was printed and not sent is dropped.
    ///
    /// As long as nobody is known to be there it was none: noise has such bytes, too, and must not keep a board from booting. A person's Ctrl-C is a key
    /// like others, so that it is known a few milliseconds later that somebody is there.
    pub fn take_interrupt(&mut self) -> bool {
        self.watched && console::with(Console::take_interrupt).unwrap_or(false)
    }

    /// The same where something is drawn in place: all of it is sent.
    pub fn take_interrupt_key(&mut self) -> bool {
        self.watched && console::with(Console::take_interrupt_key).unwrap_or(false)
    }

    /// The present moment.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// For whom things are shown. A terminal that has answered is somebody's who reads, whether he presses keys or not.
    pub fn manner(&self) -> Manner {
        match (self.terminal, self.watched) {
            (Some(Kind::Ansi { columns, .. }), _) => Manner::Ansi { columns },
            (Some(Kind::Plain) | None, true) => Manner::Plain,
            (Some(Kind::Plain) | None, false) => Manner::Unattended,
        }
    }

    /// The watchdog, where the board has one.
    pub fn watchdog(&self) -> Option<&Watchdog<B::Registers>> {
        self.watchdog.as_ref()
    }

    /// Has the firmware give the card power, and asks for the rate in Hz of the clock that its controller makes the card's of. A firmware
    /// that says nothing has it on already, as a rule: it booted from a card.
    pub fn power_card(&mut self, clock: ClockId) -> Option<u32> {
        let mailbox = self.mailbox.as_mut()?;
        match mailbox.ask(PowerUpCard) {
            Ok(true) => {}
            Ok(false) => log::info!("the firmware gives the card no power"),
            Err(error) => log::info!("card power: {error}"),
        }
        mailbox.ask(ClockRate(clock)).or_else(|_| mailbox.ask(MaximumClockRate(clock))).ok()
    }

    /// What the firmware answers to a question of its mailbox; `None` where it does not.
    pub fn ask_firmware<P: Property>(&mut self, property: P) -> Option<P::Answer> {
        let answer = self.mailbox.as_mut()?.ask(property).ok();
        self.breathe();
        answer
    }

    /// Puts everything that must not go on by itself back as the firmware left it, and lets the console finish.
    pub fn settle(&mut self) {
        console::with(|console| console.drain(LAST_WORDS));
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.restore();
        }
    }

    /// Resets the board, as a user asks for it.
    pub fn reset(&mut self) -> ! {
        println!("Resetting.");
        console::with(|console| console.drain(LAST_WORDS));
        if let Some(mailbox) = &mut self.mailbox {
            // The firmware puts the card to rest. It is a courtesy: a reset follows whatever it answers.
            let _ = mailbox.ask(NotifyReboot);
        }
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.reset(Partition::DEFAULT);
        }
        self.start.reset()
    }
}

/// Copies the firmware's tree, which lies where something else may have to go, and checks the copy.
fn copy_tree(ram: &mut Ram, range: PhysicalRange) -> Result<Vec<u8>, String> {
    let bytes = ram.copy(range).map_err(|error| format!("the firmware's tree at {range}: {error}"))?;
    match Tree::new(&bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(format!("the firmware's tree at {range}: {error}")),
    }
}

fn no_tree(x0: u64, error: &FirmwareMemoryError) -> String {
    match error {
        FirmwareMemoryError::Address { .. } => error.to_string(),
        _ => format!("x0 = {x0:#x}: {error}"),
    }
}

fn open_mailbox<B: Board>(board: &mut B) -> Option<BoardMailbox<B>> {
    let bus = board.registers(Block::Mailbox)?;
    let memory = board.dma_memory(BYTES)?;
    Mailbox::new(bus, memory, board.clock()).ok()
}

/// One call for everything; the second value says why there is no answer.
fn ask_identity<R, M, C>(mailbox: Option<&mut Mailbox<R, M, C>>) -> (Identity, Option<mailbox::Error>)
where
    R: crate::mmio::Bus,
    M: crate::dma::DmaMemory,
    C: Clock,
{
    let Some(mailbox) = mailbox else { return (Identity::default(), None) };
    let mut ask = || {
        let mut request = Request::new();
        let revision = request.add(BoardRevisionCode)?;
        let serial = request.add(SerialNumber)?;
        let mac = request.add(MacAddress)?;
        let arm_clock = request.add(ClockRate(ClockId::Arm))?;
        let answers = mailbox.call(request)?;
        Ok(Identity {
            revision: answers.get(revision).ok(),
            serial: answers.get(serial).ok(),
            mac: answers.get(mac).ok(),
            arm_clock: answers.get(arm_clock).ok(),
        })
    };
    match ask() {
        Ok(identity) => (identity, None),
        Err(error) => (Identity::default(), Some(error)),
    }
}

/// Chooses the UART that is on the header and puts the console on it.
///
/// `core_clock` has the rates in Hz that the core clock had when the firmware set the UART up, and has now, if they are not the same.
fn open_console<B: Board>(
    board: &mut B,
    tree: Option<Tree<'_>>,
    mailbox: Option<&mut BoardMailbox<B>>,
    core_clock: Option<(u32, u32)>,
) -> Choice {
    let clock = board.clock();
    let stdout = tree.and_then(|tree| tree.stdout()).filter(|(node, _)| node.is_enabled()).and_then(|(node, _)| {
        let compatible = node.property("compatible").map_or(&[][..], |property| property.value());
        uart_choice::stdout_uart(&node.path().to_string(), compatible)
    });
    let choice = match board.registers(Block::Gpio).map(Gpio::new) {
        Some(mut gpio) => {
            let choice = uart_choice::choose(HeaderPins::read(&gpio), stdout);
            choice.connect(&mut gpio);
            choice
        }
        None => Choice { uart: UartKind::Pl011, reason: uart_choice::Reason::NothingSaid },
    };
    let started = clock.now();
    if let (Some(pl011), Some(auxiliary)) = (board.registers(Block::Pl011), board.registers(Block::Auxiliary)) {
        if let (UartKind::MiniUart, Some((before, after))) = (choice.uart, core_clock) {
            MiniUart::adopt(&auxiliary).follow_core_clock(before, after);
        }
        let uart =
            choice.attach(pl011, auxiliary, &clock, |id| mailbox.and_then(|mailbox| mailbox.ask(ClockRate(id)).ok()));
        // Nothing can hold the console yet.
        console::install(Console::new(uart, clock, started));
    }
    // The only way to fail is a logger that is there already.
    let _ = logger::init(logger::DEFAULT_LEVEL);
    choice
}

/// The reset status that the firmware read before us (reading clears it), from its tree.
fn reset_status(tree: Tree<'_>) -> Option<ResetStatus> {
    tree.find("/chosen/bootloader")?.property("rsts")?.u32().map(ResetStatus)
}

fn say_hello(facts: &banner::Facts<'_>) -> String {
    let hello = facts.to_string();
    crate::print!("{hello}");
    hello
}

fn overrides(bootargs: &str) -> Overrides {
    let (overrides, errors) = Overrides::parse(bootargs);
    for error in errors {
        println!("On the firmware's command line (cmdline.txt): {error}");
    }
    overrides
}

fn claim_initramfs(ram: &mut Ram, range: Option<PhysicalRange>) -> Option<Claim> {
    let range = range?;
    match ram.claim(range) {
        Ok(claim) => Some(claim),
        Err(error) => {
            println!("The firmware's initramfs at {range} is not used: {error}.");
            None
        }
    }
}
