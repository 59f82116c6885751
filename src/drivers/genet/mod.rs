//! GENET v5, the BCM2711's gigabit Ethernet controller, with its BCM54213PE PHY.
//!
//! [`Genet`] implements [`EthernetController`]. It is polled, owns two blocks of DMA memory, and never waits for a link: `start`
//! takes a few milliseconds, and negotiation goes on while the loader does other things.
//!
//! * `registers` – where things are; `error` – what goes wrong, in words.
//! * `mdio`, `phy`, `broadcom`, `link` – the management bus, the PHY on it, what this family of PHYs has of its own, the look at the link.
//! * `mac` – reset, address filter, speed, RGMII. `ring` – a DMA engine; `receive` and `transmit` – the two halves over it.
//! * `dump` – all registers in words, for a bug report.
//!
//! # What was decided, and why
//! There is no public manual; facts come from drivers known to work on the board (named in `registers`). Where they disagree the
//! module that deals with it says so: PHY address and reset in `phy`, indices in `ring`, UniMAC reset, filter and receive alignment in `mac`.
//!
//! **Delays.** RGMII wants the transmit clock delayed by exactly one side. What the PHY starts with depends on who used it before
//! (the EEPROM's network boot, an earlier kernel), so both ends are programmed: the controller delays ([`TransmitDelay::Controller`]).
//! When a link is up and nobody answers, [`no_answer`](EthernetController::no_answer) goes over to [`TransmitDelay::Phy`], and back.
//!
//! **Ordering.** Registers are Device-nGnRE memory, so accesses to them arrive in program order; memory that the controller shares is
//! ordered against them by [`DmaMemory::give`] (before a doorbell) and [`DmaMemory::take`] (after a descriptor). No other barrier
//! is needed.
//!
//! **Bursts.** 8 words in both engines: the BCM2711 cannot do GENET v5's 16.
//!
//! **Leaving.** [`Genet::stop`] lets the last frames out, stops both engines and their rings, empties the FIFOs (data left in RBUF
//! can be fatal to kernels without Linux 0a6380cb4c6b), resets UniMAC, puts the delays back to what device trees expect
//! (`rgmii-rxid`) at both ends, and clears what a driver would assume to be in its reset state. The PHY keeps its link.

mod broadcom;
mod dump;
mod error;
mod link;
mod mac;
mod mdio;
mod phy;
mod receive;
mod registers;
#[cfg(test)]
mod rig;
mod ring;
mod transmit;

pub use broadcom::TransmitDelay;
pub use error::{Direction, Error};
pub use phy::Negotiation;
pub use receive::{RECEIVE_MEMORY, ReceiveErrors, Receiver};
pub use registers::WINDOW;
pub use transmit::{SEND_MEMORY, Sender};

use crate::dma::DmaMemory;
use crate::mmio::Bus;
use crate::net::device::{Counters, EthernetController, Link};
use crate::time::{Clock, Instant};
use core::fmt;
use link::{Change, Monitor};
use mac::Mac;
use phy::Phy;

/// What the device tree and the firmware say about this controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The station address in transmission order (`local-mac-address`, or the mailbox's).
    pub address: [u8; 6],
    /// The PHY's address (`reg` of the node that `phy-handle` names), if the tree has one.
    pub phy_address: Option<u8>,
}

/// What bring-up found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// SYS_REV_CTRL.
    pub revision: u32,
    /// Where the PHY answers.
    pub phy_address: u8,
    /// Its identifier, 0x600d84a2 on every known board.
    pub phy_id: u32,
    /// Whether the identifier is of the family whose delays the driver can set. If not, the PHY keeps its own: say so.
    pub phy_known: bool,
    /// What the PHY was doing.
    pub negotiation: Negotiation,
}

/// For the log: what is there, and what it is doing.
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revision, phy_address, phy_id, negotiation, .. } = self;
        let doing = match negotiation {
            Negotiation::Complete => "has negotiated",
            Negotiation::Running => "is negotiating",
            Negotiation::Started => "was told to negotiate",
        };
        write!(f, "GENET revision {revision:#010x}; PHY {phy_id:#010x} at address {phy_address} {doing}")
    }
}

/// What happened since [`Genet::new`], beyond the interface's [`Counters`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Received frames dropped, by reason.
    pub receive_errors: ReceiveErrors,
    /// Frames lost in a transmit queue that was stuck or was stopped.
    pub transmit_lost: u64,
    /// How often the transmit queue was stuck and was restarted.
    pub transmit_stalls: u64,
    /// How often the link was lost.
    pub link_losses: u64,
    /// Looks at the link that failed.
    pub failed_looks: u64,
}

/// The controller.
///
/// `B` is handed to several owners: pass a reference to the bus, likewise to the clock.
#[derive(Debug)]
pub struct Genet<B: Bus + Copy, D: DmaMemory, C: Clock + Copy> {
    bus: B,
    clock: C,
    settings: Settings,
    mac: Mac<B, C>,
    /// Present between `start` and `stop`.
    phy: Option<Phy<B, C>>,
    monitor: Monitor,
    delay: TransmitDelay,
    /// Delays tried since the link came up.
    tried: u8,
    /// Registers may differ from their reset state.
    touched: bool,
    receiver: Receiver<B, D>,
    sender: Sender<B, D>,
    earlier_losses: u64,
    earlier_failed_looks: u64,
    transmit_stalls: u64,
}

impl<B: Bus + Copy, D: DmaMemory, C: Clock + Copy> Genet<B, D, C> {
    /// A controller that has not been touched yet.
    ///
    /// `receive_memory` has at least [`RECEIVE_MEMORY`] bytes and `send_memory` [`SEND_MEMORY`].
    ///
    /// # Errors
    /// [`Error::Memory`], [`Error::Address`].
    pub fn new(bus: B, clock: C, receive_memory: D, send_memory: D, settings: Settings) -> Result<Self, Error> {
        enough(Direction::Receive, &receive_memory, RECEIVE_MEMORY)?;
        enough(Direction::Transmit, &send_memory, SEND_MEMORY)?;
        if settings.address[0] & 1 != 0 || settings.address == [0; 6] {
            return Err(Error::Address { given: settings.address });
        }
        Ok(Self {
            bus,
            clock,
            settings,
            mac: Mac::new(bus, clock),
            phy: None,
            monitor: Monitor::new(clock.now()),
            delay: TransmitDelay::Controller,
            tried: 0,
            touched: false,
            receiver: Receiver::new(bus, receive_memory),
            sender: Sender::new(bus, send_memory),
            earlier_losses: 0,
            earlier_failed_looks: 0,
            transmit_stalls: 0,
        })
    }

    /// Brings the controller up, whatever state the firmware or an earlier `start` left it in. Does not wait for a link:
    /// [`poll_link`](EthernetController::poll_link) says when there is one.
    ///
    /// # Errors
    /// Any [`Error`] but the two of [`new`](Self::new). The controller is stopped then.
    pub fn start(&mut self) -> Result<Found, Error> {
        let result = self.bring_up();
        if result.is_err()
            && let Err(error) = self.stop()
        {
            log::warn!("{error}");
        }
        result
    }

    fn bring_up(&mut self) -> Result<Found, Error> {
        let revision = self.mac.identify()?;
        self.sender.open = false;
        self.receiver.close();
        self.delay = TransmitDelay::Controller;
        self.tried = 0;
        self.touched = true;
        if let Err(error) = self.quiesce() {
            // No reason to give up: all other drivers set the rings up without asking.
            log::warn!("{error}");
        }
        self.mac.connect(self.delay);
        self.mac.reset();
        self.mac.configure(self.settings.address);

        let mut phy = Phy::find(self.bus, self.clock, self.settings.phy_address)?;
        let negotiation = phy.start(self.delay)?;

        let now = self.clock.now();
        self.receiver.set_up();
        self.sender.set_up(now);
        self.receiver.ring().start();
        self.sender.ring().start();
        self.restart_monitor(now);

        let found =
            Found { revision, phy_address: phy.address, phy_id: phy.id, phy_known: phy.is_known(), negotiation };
        self.phy = Some(phy);
        Ok(found)
    }

    fn restart_monitor(&mut self, now: Instant) {
        self.earlier_losses += self.monitor.losses;
        self.earlier_failed_looks += self.monitor.failed_looks;
        self.monitor = Monitor::new(now);
    }

    /// Takes the controller out of use and leaves it, and the PHY, as an operating system's driver expects them. Does nothing if it
    /// is not in use.
    ///
    /// # Errors
    /// The first thing that went wrong; everything after it was done all the same. After [`Error::DmaRuns`], too, nothing
    /// more can arrive, because UMAC has been reset: say it and go on, as Linux does.
    pub fn stop(&mut self) -> Result<(), Error> {
        if !self.touched {
            return Ok(());
        }
        if self.sender.open {
            self.sender.open = false;
            self.sender.drain(self.clock);
        }
        self.receiver.close();
        let mut result = self.quiesce();
        self.mac.set_delay(TransmitDelay::Controller);
        if self.delay != TransmitDelay::Controller {
            self.delay = TransmitDelay::Controller;
            if let Some(phy) = &mut self.phy {
                result = result.and(phy.set_delays(TransmitDelay::Controller));
            }
        }
        self.mac.reset();
        self.mac.leave();
        self.phy = None;
        self.restart_monitor(self.clock.now());
        self.touched = false;
        result
    }

    /// Takes a controller that the firmware's network boot may have left with a receiver that runs out of use, where the network is
    /// not wanted: what waits in RBUF harms the next kernel no matter who let it in (raspberrypi/firmware#1882). The PHY is
    /// not touched.
    ///
    /// # Errors
    /// [`Error::Revision`], and those of [`stop`](Self::stop).
    pub fn silence(&mut self) -> Result<(), Error> {
        self.mac.identify()?;
        self.touched = true;
        self.stop()
    }

    /// Stops receiver, both engines and transmitter, and empties the FIFOs.
    fn quiesce(&self) -> Result<(), Error> {
        self.mac.mask_interrupts();
        self.mac.stop_receiver();
        let receive = self.receiver.ring().stop(self.clock);
        let transmit = self.sender.ring().stop(self.clock);
        self.mac.stop_transmitter();
        self.mac.flush_receiver();
        receive.and(transmit)
    }

    /// What happened since [`new`](Self::new).
    pub fn statistics(&self) -> Statistics {
        Statistics {
            receive_errors: self.receiver.errors,
            transmit_lost: self.sender.lost,
            transmit_stalls: self.transmit_stalls,
            link_losses: self.earlier_losses + self.monitor.losses,
            failed_looks: self.earlier_failed_looks + self.monitor.failed_looks,
        }
    }

    /// Who delays the transmit clock at present.
    pub const fn transmit_delay(&self) -> TransmitDelay {
        self.delay
    }

    /// Programs both ends of RGMII.
    fn set_delays(&mut self, delay: TransmitDelay) -> Result<(), Error> {
        self.delay = delay;
        self.mac.set_delay(delay);
        match &mut self.phy {
            Some(phy) => phy.set_delays(delay),
            None => Ok(()),
        }
    }

    /// A transmit queue that does not move is thrown away and set up anew: the protocols repeat what was in it.
    fn unstick_transmitter(&mut self, now: Instant) {
        self.transmit_stalls += 1;
        log::warn!("Ethernet: no frame left for a second with the link up: transmit queue restarted");
        if let Err(error) = self.sender.ring().stop(self.clock) {
            log::warn!("{error}");
        }
        self.mac.stop_transmitter();
        self.sender.set_up(now);
        self.sender.distrust();
        self.sender.ring().start();
        self.mac.resume_transmitter();
    }
}

fn enough(direction: Direction, memory: &impl DmaMemory, needed: usize) -> Result<(), Error> {
    let given = memory.size();
    if given < needed { Err(Error::Memory { direction, needed, given }) } else { Ok(()) }
}

impl<B: Bus + Copy, D: DmaMemory, C: Clock + Copy> EthernetController for Genet<B, D, C> {
    type Receiver = Receiver<B, D>;
    type Sender = Sender<B, D>;

    fn address(&self) -> [u8; 6] {
        self.settings.address
    }

    fn poll_link(&mut self, now: Instant) -> Link {
        let Some(phy) = &mut self.phy else {
            return Link::Down;
        };
        let change = self.monitor.poll(phy, self.delay, now);
        match change {
            Some(Change::Up(Link::Up { megabits, full_duplex })) => {
                self.mac.link_up(megabits, full_duplex);
                self.tried = 0;
                self.sender.excuse(now);
                self.sender.open = true;
            }
            Some(Change::Down | Change::Up(Link::Down)) => {
                self.sender.open = false;
                self.mac.link_down();
            }
            None => {}
        }
        if self.sender.open && self.sender.is_stuck(now) {
            self.unstick_transmitter(now);
        }
        self.monitor.link()
    }

    fn no_answer(&mut self, _now: Instant) -> Option<&'static str> {
        // Both ways once for each time that the link comes up.
        if !self.sender.open || self.tried >= 2 {
            return None;
        }
        self.tried += 1;
        let (delay, said) = match self.delay {
            TransmitDelay::Controller => {
                (TransmitDelay::Phy, "RGMII: the PHY delays the transmit clock now (recipe A, rgmii-id)")
            }
            TransmitDelay::Phy => (
                TransmitDelay::Controller,
                "RGMII: the controller delays the transmit clock again (recipe B, rgmii-rxid)",
            ),
        };
        if let Err(error) = self.set_delays(delay) {
            log::warn!("{error}");
        }
        Some(said)
    }

    fn halves(&mut self) -> (&mut Self::Receiver, &mut Self::Sender) {
        (&mut self.receiver, &mut self.sender)
    }

    fn counters(&self) -> Counters {
        Counters {
            received: self.receiver.received,
            sent: self.sender.sent,
            discarded: self.receiver.discarded,
            errors: self.receiver.errors.total(),
        }
    }
}

/// A controller that is dropped on some error's way out must not go on writing to memory that somebody else gets.
impl<B: Bus + Copy, D: DmaMemory, C: Clock + Copy> Drop for Genet<B, D, C> {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            log::error!("{error}");
        }
    }
}
