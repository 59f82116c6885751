//! The controller as a whole: where an access goes, and what time brings.

use crate::filter::RingFilter;
use crate::interrupt::{Intrl2, MDIO_DONE, MDIO_ERROR};
use crate::mdio::{Command, Mdio};
use crate::phy::{Phy, PhyRefusal};
use crate::rbuf::Rbuf;
use crate::refusal::{Access, Direction, Log, Reason, Refusal};
use crate::registers::*;
use crate::rings::Dma;
use crate::seed::Junk;
use crate::tbuf::Tbuf;
use crate::umac::Umac;
use crate::{Abilities, Damage, Effect, GuestMemory, Mode, Moment, PhyStart, Settings};

/// GENET v5 (major revision 6 in the register means 5).
const REVISION: u32 = 0x0600_0000;
/// Offset of the copies of the statistics that RBUF keeps: overflows and errors (Linux, RBUF_OVFL_CNT_V3PLUS).
const RBUF_OVERFLOWS: u32 = RBUF + 0x94;
const RBUF_ERRORS: u32 = RBUF + 0x98;

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
    mdio: Mdio,
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
    fn set_plain(&mut self, offset: u32, value: u32) {
        if let Some(word) = self.plain.get_mut(offset as usize / 4) {
            *word = value;
        }
    }

    fn read_register(&mut self, offset: u32) -> u32 {
        let never_stops = self.settings.faults.dma_never_stops;
        if !known(offset) {
            self.refuse(Access::Read(offset), Reason::NoRegister);
            return 0;
        }
        match offset {
            SYS_REV_CTRL => REVISION,
            INTRL2_0..INTRL2_1 => self.intrl2[0].read(offset - INTRL2_0),
            INTRL2_1..0x280 => self.intrl2[1].read(offset - INTRL2_1),
            UMAC_CMD => self.umac.command(),
            UMAC_MAC0 | UMAC_MAC1 => self.umac.mac_word(offset == UMAC_MAC1),
            UMAC_MAX_FRAME_LEN => self.umac.max_frame,
            UMAC_TX_FLUSH => self.umac.tx_flush,
            UMAC_MIB..UMAC_MIB_CTRL => self.umac.mib.read(offset - UMAC_MIB),
            UMAC_MIB_CTRL => self.umac.mib.control(),
            MDIO_CMD => self.mdio.read(),
            UMAC_RBUF_OVFL_CNT | RBUF_OVERFLOWS => self.umac.counters.overflows,
            UMAC_RBUF_ERR_CNT | RBUF_ERRORS => self.umac.counters.errors,
            UMAC_MDF_ERR_CNT => self.umac.counters.filtered,
            UMAC_MDF_CTRL => self.umac.filter.control,
            UMAC_MDF_ADDR..UMAC_MDF_END => self.umac.filter.word(offset),
            RDMA..TDMA => self.rdma.read(self.now, offset - RDMA, never_stops),
            TDMA..0x6000 => self.tdma.read(self.now, offset - TDMA, never_stops),
            HFB..WINDOW => self.ring_filter.read(offset),
            _ => self.plain(offset),
        }
    }

    fn write_register(&mut self, offset: u32, value: u32) {
        let access = Access::Write(offset, value);
        if !known(offset) {
            return self.refuse(access, Reason::NoRegister);
        }
        let mut refusals = Vec::new();
        match offset {
            SYS_REV_CTRL => refusals.push(Reason::ReadOnly),
            SYS_RBUF_FLUSH_CTRL => {
                self.set_plain(offset, value);
                let waiting = self.frames_to_send();
                self.umac.hold(value & FLUSH_UMAC_RESET != 0);
                refusals.extend(self.transmitter_cut(waiting));
                refusals.extend(self.rbuf.write_control(self.now, value, self.umac.receives()));
            }
            INTRL2_0..INTRL2_1 => {
                refusals.extend((!self.intrl2[0].write(offset - INTRL2_0, value)).then_some(Reason::ReadOnly))
            }
            INTRL2_1..0x280 => {
                refusals.extend((!self.intrl2[1].write(offset - INTRL2_1, value)).then_some(Reason::ReadOnly))
            }
            UMAC_CMD => {
                let waiting = self.frames_to_send();
                refusals.extend(self.umac.write_command(value, self.phy.mode().is_some()));
                refusals.extend(self.transmitter_cut(waiting));
                if self.umac.receives() {
                    self.rbuf.note_use();
                }
            }
            UMAC_MAC0 | UMAC_MAC1 => refusals.extend(self.umac.set_mac_word(offset == UMAC_MAC1, value)),
            UMAC_MAX_FRAME_LEN => self.umac.max_frame = value & 0x3fff,
            UMAC_TX_FLUSH => {
                self.umac.tx_flush = value;
                if value & 1 != 0 {
                    let frames = self.tbuf.len();
                    refusals.extend((frames != 0).then_some(Reason::TransmitterCut { frames }));
                    self.tbuf.clear();
                }
            }
            UMAC_MIB_CTRL => self.umac.mib.set_control(value),
            UMAC_RBUF_OVFL_CNT | RBUF_OVERFLOWS => self.umac.counters.overflows = value,
            UMAC_RBUF_ERR_CNT | RBUF_ERRORS => self.umac.counters.errors = value,
            UMAC_MDF_ERR_CNT => self.umac.counters.filtered = value,
            MDIO_CMD => match self.mdio.command(self.now, value, self.settings.mdio) {
                Command::Stored => {}
                Command::Started if self.settings.faults.mdio_never_done => self.mdio.hang(),
                Command::Started => {}
                Command::Busy => refusals.push(Reason::MdioBusy),
                Command::BadOperation(operation) => refusals.push(Reason::MdioOperation { operation }),
            },
            UMAC_MDF_CTRL => self.umac.filter.control = value & 0x1_ffff,
            UMAC_MDF_ADDR..UMAC_MDF_END => self.umac.filter.set_word(offset, value),
            RDMA..TDMA => self.write_dma(Direction::Receive, offset - RDMA, value, &mut refusals),
            TDMA..0x6000 => {
                self.write_dma(Direction::Transmit, offset - TDMA, value, &mut refusals);
                refusals.extend(self.doorbell_in_reset(offset - TDMA));
            }
            HFB..WINDOW => self.ring_filter.write(offset, value),
            _ => self.set_plain(offset, value),
        }
        for reason in refusals {
            self.refuse(access, reason);
        }
    }

    fn write_dma(&mut self, direction: Direction, offset: u32, value: u32, refusals: &mut Vec<Reason>) {
        let size_control = self.plain(RBUF_TBUF_SIZE_CTRL);
        let dma = match direction {
            Direction::Receive => &mut self.rdma,
            Direction::Transmit => &mut self.tdma,
        };
        let ran = dma.enabled();
        dma.write(self.now, offset, value, refusals);
        if !ran && dma.enabled() && size_control != 1 {
            refusals.push(Reason::BufferSizeControl { value: size_control });
        }
    }

    /// What a write has done to the `frames` that the transmitter still had to send before it. A reset empties TBUF; with TX_EN clear it keeps what it has.
    fn transmitter_cut(&mut self, frames: usize) -> Option<Reason> {
        if self.umac.in_reset() {
            self.tbuf.clear();
        }
        (frames != 0 && !self.umac.transmits()).then_some(Reason::TransmitterCut { frames })
    }
}

/// Whether there is a register at `offset`.
fn known(offset: u32) -> bool {
    let block = match offset {
        RDMA..TDMA => offset - RDMA < DMA_BLOCK,
        TDMA..0x6000 => offset - TDMA < DMA_BLOCK,
        0..0x100 | INTRL2_0..0x280 | RBUF..0x400 | TBUF_CTRL..0x700 | UMAC..0x1000 | HFB..HFB_END | HFB_REG..0xfd00 => {
            true
        }
        _ => false,
    };
    block && offset.is_multiple_of(4)
}
