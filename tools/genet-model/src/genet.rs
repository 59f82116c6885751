//! The controller as a whole: its entries, and what time brings.

use crate::filter::RingFilter;
use crate::interrupt::{Intrl2, MDIO_DONE, MDIO_ERROR};
use crate::mdio::Mdio;
use crate::phy::{Phy, PhyRefusal};
use crate::rbuf::Rbuf;
use crate::refusal::{Access, Direction, Log, Reason, Refusal};
use crate::registers::*;
use crate::rings::Dma;
use crate::seed::Junk;
use crate::tbuf::Tbuf;
use crate::umac::Umac;
use crate::{Abilities, Damage, Effect, GuestMemory, Mode, Moment, PhyStart, Settings};

/// The controller with its PHY.
#[derive(Debug)]
pub struct Genet {
    pub(crate) settings: Settings,
    pub(crate) now: Moment,
    pub(crate) junk: Junk,
    pub(crate) umac: Umac,
    pub(crate) phy: Phy,
    pub(crate) rdma: Dma,
    pub(crate) tdma: Dma,
    pub(crate) ring_filter: RingFilter,
    pub(crate) rbuf: Rbuf,
    pub(crate) intrl2: [Intrl2; 2],
    pub(crate) tbuf: Tbuf,
    /// When the frame being fetched will have been.
    pub(crate) transmitting: Option<Moment>,
    /// When the wire is free for the next frame.
    pub(crate) wire_free: Moment,
    pub(crate) effects: Vec<Effect>,
    pub(crate) mdio: Mdio,
    /// Registers that only keep what is written, SYS to the end of UMAC.
    plain: Vec<u32>,
    log: Log,
    lines: [bool; 2],
    timer: Option<Moment>,
}

impl Genet {
    /// The controller at power-on, with start values from `settings.seed`.
    pub fn new(settings: Settings) -> Self {
        let mut junk = Junk::new(settings.seed);
        let mut genet = Self {
            settings,
            now: Moment::default(),
            umac: Umac::new(&mut junk),
            phy: Phy::new(&settings, &mut junk),
            rdma: Dma::new(Direction::Receive, &mut junk),
            tdma: Dma::new(Direction::Transmit, &mut junk),
            ring_filter: RingFilter::new(),
            rbuf: Rbuf::default(),
            intrl2: [Intrl2::new(), Intrl2::new()],
            tbuf: Tbuf::default(),
            transmitting: None,
            wire_free: Moment::default(),
            effects: Vec::new(),
            mdio: Mdio::default(),
            plain: vec![0; 0x1000 / 4],
            log: Log::default(),
            lines: [false; 2],
            timer: None,
            junk,
        };
        genet.leave_as_firmware();
        genet
    }

    /// What the firmware may have left in the registers that have no state of their own.
    fn leave_as_firmware(&mut self) {
        let oob = if self.junk.flag() { ID_MODE_DIS } else { 0 } | if self.junk.flag() { OOB_DISABLE } else { 0 };
        self.set_plain(EXT_RGMII_OOB_CTRL, oob);
        self.set_plain(RBUF_TBUF_SIZE_CTRL, 0);
        if self.settings.phy_start == PhyStart::Negotiated {
            // It has booted over the network, and stopped the DMA before the receiver (raspberrypi/firmware#1882).
            let left: Vec<u8> = [0xff; 6].into_iter().chain((6..60).map(|_| self.junk.word() as u8)).collect();
            let buffered = self.lay_out(&left, RX_BROADCAST);
            self.rbuf.push(buffered);
            self.rbuf.note_use();
        }
    }

    /// A reset of the board: the controller starts again (with other start values), the PHY, which has a supply of its own, goes on.
    pub fn warm_reset(&mut self, now: Moment) -> Vec<Effect> {
        let seed = self.junk.word();
        let mut fresh = Self::new(Settings { seed, ..self.settings });
        core::mem::swap(&mut fresh.phy, &mut self.phy);
        core::mem::swap(&mut fresh.log, &mut self.log);
        fresh.now = now.max(self.now);
        fresh.lines = self.lines;
        fresh.timer = self.timer;
        *self = fresh;
        self.leave()
    }

    /// Reads the 32-bit register at `offset`.
    pub fn read(&mut self, now: Moment, offset: u32, memory: &mut dyn GuestMemory) -> (u32, Vec<Effect>) {
        self.catch_up(now, memory);
        let value = self.read_register(offset);
        (value, self.leave())
    }

    /// Writes the 32-bit register at `offset`.
    pub fn write(&mut self, now: Moment, offset: u32, value: u32, memory: &mut dyn GuestMemory) -> Vec<Effect> {
        self.catch_up(now, memory);
        self.write_register(offset, value);
        self.drain_rbuf(memory);
        self.doorbell();
        self.leave()
    }

    /// Lets time pass up to `now`: to be called at the moment that [`Effect::Timer`] asked for, or later.
    pub fn advance(&mut self, now: Moment, memory: &mut dyn GuestMemory) -> Vec<Effect> {
        self.catch_up(now, memory);
        self.leave()
    }

    /// A frame arrives, without its frame check sequence. It is taken, filtered or lost; it never waits outside.
    pub fn receive(&mut self, now: Moment, frame: &[u8], memory: &mut dyn GuestMemory) -> Vec<Effect> {
        self.receive_damaged(now, frame, Damage::None, memory)
    }

    /// A damaged frame arrives.
    pub fn receive_damaged(
        &mut self,
        now: Moment,
        frame: &[u8],
        damage: Damage,
        memory: &mut dyn GuestMemory,
    ) -> Vec<Effect> {
        self.catch_up(now, memory);
        self.arrive(frame, damage, memory);
        self.leave()
    }

    /// The cable goes in (negotiation starts) or out.
    pub fn set_link(&mut self, now: Moment, present: bool, memory: &mut dyn GuestMemory) -> Vec<Effect> {
        self.catch_up(now, memory);
        self.phy.set_cable(self.now, present);
        self.leave()
    }

    /// Another link partner; negotiation starts again.
    pub fn set_partner(&mut self, now: Moment, partner: Abilities, memory: &mut dyn GuestMemory) -> Vec<Effect> {
        self.catch_up(now, memory);
        self.phy.set_partner(self.now, partner);
        self.leave()
    }

    /// What the link runs at, as the PHY sees it.
    pub fn link(&self) -> Option<Mode> {
        self.phy.mode()
    }

    /// Whatever was refused so far.
    pub fn refusals(&self) -> &[Refusal] {
        self.log.entries()
    }

    /// Forgets the refusals so far.
    pub fn clear_refusals(&mut self) {
        self.log.clear();
    }

    /// Adds a refusal that the caller found (the bench's memory does).
    pub fn refuse(&mut self, access: Access, reason: Reason) {
        self.log.refuse(self.now, access, reason);
    }

    /// What is still going on that a driver's `stop` should have ended before another kernel takes over; empty if nothing is.
    pub fn left_running(&self) -> Vec<&'static str> {
        let mut left = Vec::new();
        let mut note = |running: bool, what: &'static str| {
            if running {
                left.push(what);
            }
        };
        note(self.umac.set(CMD_RX_EN), "RX_EN is set in UMAC_CMD");
        note(self.umac.set(CMD_TX_EN), "TX_EN is set in UMAC_CMD");
        note(self.rdma.enabled(), "DMA_EN is set in RDMA_CTRL");
        note(self.tdma.enabled(), "DMA_EN is set in TDMA_CTRL");
        note(self.rdma.any_ring_enabled(), "a ring is enabled in RDMA_CTRL");
        note(self.tdma.any_ring_enabled(), "a ring is enabled in TDMA_CTRL");
        note(!self.rbuf.is_empty(), "frames are left in RBUF");
        note(self.rbuf.unflushed(), "RBUF was not flushed after the receiver was last on");
        note(!self.tbuf.is_empty(), "frames are left in TBUF");
        note(self.umac.tx_flush & 1 != 0, "UMAC_TX_FLUSH is set");
        note(self.plain(SYS_RBUF_FLUSH_CTRL) != 0, "SYS_RBUF_FLUSH_CTRL is not 0");
        note(self.plain(EXT_RGMII_OOB_CTRL) & ID_MODE_DIS != 0, "ID_MODE_DIS is set in EXT_RGMII_OOB_CTRL");
        note(self.lines.iter().any(|&line| line), "an interrupt line is raised");
        left
    }

    /// When something happens next without anybody's doing.
    fn next_event(&self) -> Option<Moment> {
        let sources = [self.mdio.due(), self.phy.due(), self.transmitting, self.wire_due(), self.rdma.due()];
        sources.into_iter().flatten().min()
    }

    fn catch_up(&mut self, now: Moment, memory: &mut dyn GuestMemory) {
        let now = now.max(self.now);
        while let Some(due) = self.next_event().filter(|&due| due <= now) {
            self.now = self.now.max(due);
            self.event(memory);
        }
        self.now = now;
        self.umac.note_clock(self.phy.mode().is_some());
    }

    fn event(&mut self, memory: &mut dyn GuestMemory) {
        let now = self.now;
        if self.phy.due().is_some_and(|due| due <= now) {
            self.phy.advance(now);
            self.umac.note_clock(self.phy.mode().is_some());
        }
        if self.mdio.due().is_some_and(|due| due <= now) {
            self.finish_mdio();
        }
        if self.transmitting.is_some_and(|due| due <= now) {
            self.fetch_one(memory);
        }
        if self.wire_due().is_some_and(|due| due <= now) {
            self.feed_wire();
            self.doorbell();
        }
        while let Some(ring) = self.rdma.timed_out(now) {
            self.raise_ring(ring, Direction::Receive);
        }
    }

    fn finish_mdio(&mut self) {
        let transaction = self.mdio.transaction();
        let here = transaction.address == self.settings.phy_address && !self.settings.faults.phy_absent;
        let mut read = None;
        if here {
            match transaction.write {
                None => read = Some(self.phy.read(transaction.register)),
                Some(value) => {
                    let outcome = self.phy.write(self.now, transaction.register, value, &self.settings);
                    let reason = match outcome {
                        Ok(()) => None,
                        Err(PhyRefusal::InReset(register)) => Some(Reason::PhyInReset { register }),
                        Err(PhyRefusal::ForcedGigabit) => Some(Reason::ForcedGigabit),
                    };
                    if let Some(reason) = reason {
                        self.refuse(Access::Write(MDIO_CMD, u32::from(value)), reason);
                    }
                }
            }
        }
        self.mdio.finish(transaction, read);
        let failed = transaction.write.is_none() && read.is_none();
        self.intrl2[0].raise(if failed { MDIO_DONE | MDIO_ERROR } else { MDIO_DONE });
    }

    /// Collects what the caller is to do.
    fn leave(&mut self) -> Vec<Effect> {
        for (line, (was, controller)) in self.lines.iter_mut().zip(&self.intrl2).enumerate() {
            let raised = controller.line();
            if core::mem::replace(was, raised) != raised {
                self.effects.push(Effect::Interrupt { line: line as u8, raised });
            }
        }
        let next = self.next_event();
        if core::mem::replace(&mut self.timer, next) != next {
            self.effects.push(Effect::Timer(next));
        }
        core::mem::take(&mut self.effects)
    }

    pub(crate) fn plain(&self, offset: u32) -> u32 {
        self.plain.get(offset as usize / 4).copied().unwrap_or(0)
    }
    pub(crate) fn set_plain(&mut self, offset: u32, value: u32) {
        if let Some(word) = self.plain.get_mut(offset as usize / 4) {
            *word = value;
        }
    }
}
