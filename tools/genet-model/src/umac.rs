//! The UMAC: command register with its sticky reset, station address.
//!
//! The reset is only complete if a receive clock ran while SW_RESET was set: from the PHY with a link, or looped back by LCL_LOOP_EN (Linux
//! commits 28c2d1a7a0bf, 3a55402c9387, 88f6c8bf1aae).

use crate::filter::AddressFilter;
use crate::link::Mode;
use crate::refusal::Reason;
use crate::registers::*;
use crate::seed::Junk;
use crate::statistics::Mib;

/// How far the last reset got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reset {
    /// Never since power-on.
    Never,
    /// Released without a clock. No harm if it is done again, properly, before the MAC is used: the drivers do.
    Unclocked,
    /// Asserted, no clock seen yet.
    Asserted,
    /// Asserted, and a clock ran.
    Clocked,
    /// Released after a clock ran.
    Done,
}

#[derive(Debug)]
pub(crate) struct Umac {
    command: u32,
    reset: Reset,
    /// SYS_RBUF_FLUSH_CTRL bit 1 holds the MAC in reset as well.
    held: bool,
    mac: [u32; 2],
    pub(crate) max_frame: u32,
    pub(crate) tx_flush: u32,
    pub(crate) filter: AddressFilter,
    pub(crate) mib: Mib,
    pub(crate) counters: Counters,
}

/// What is counted outside the MIB.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) filtered: u32,
    pub(crate) overflows: u32,
    pub(crate) errors: u32,
}

impl Umac {
    pub(crate) fn new(junk: &mut Junk) -> Self {
        // The firmware may or may not have used the MAC.
        let (command, reset) =
            if junk.flag() { (CMD_SW_RESET, Reset::Asserted) } else { (2 << CMD_SPEED_SHIFT, Reset::Never) };
        Self {
            command,
            reset,
            held: false,
            mac: [junk.word32(), junk.word32() & 0xffff],
            max_frame: 1518,
            tx_flush: 0,
            filter: AddressFilter::new(),
            mib: Mib::new(junk),
            counters: Counters::default(),
        }
    }
    pub(crate) fn command(&self) -> u32 {
        self.command
    }
    pub(crate) fn set(&self, bits: u32) -> bool {
        self.command & bits == bits
    }
    pub(crate) fn in_reset(&self) -> bool {
        self.held || self.set(CMD_SW_RESET)
    }
    /// The receiver is on.
    pub(crate) fn receives(&self) -> bool {
        self.set(CMD_RX_EN) && !self.in_reset()
    }
    /// The transmitter is on.
    pub(crate) fn transmits(&self) -> bool {
        self.set(CMD_TX_EN) && !self.in_reset()
    }
    /// SPEED, in Mb/s.
    pub(crate) fn megabits(&self) -> u16 {
        match self.command >> CMD_SPEED_SHIFT & 3 {
            0 => 10,
            1 => 100,
            2 => 1000,
            _ => 2500,
        }
    }
    pub(crate) fn address(&self) -> [u8; 6] {
        let [a, b, c, d] = self.mac[0].to_be_bytes();
        let [.., e, f] = self.mac[1].to_be_bytes();
        [a, b, c, d, e, f]
    }
    pub(crate) fn mac_word(&self, second: bool) -> u32 {
        self.mac[usize::from(second)]
    }
    pub(crate) fn set_mac_word(&mut self, second: bool, value: u32) -> Option<Reason> {
        if self.command & (CMD_TX_EN | CMD_RX_EN) != 0 && !self.in_reset() {
            return Some(Reason::AddressWhileEnabled);
        }
        self.mac[usize::from(second)] = if second { value & 0xffff } else { value };
        None
    }

    pub(crate) fn write_command(&mut self, value: u32, clocked: bool) -> Option<Reason> {
        // The clock may have started since the last write.
        self.note_clock(clocked);
        let (before, enables) = (self.command, CMD_TX_EN | CMD_RX_EN);
        self.command = value;
        if self.set(CMD_SW_RESET) {
            if before & CMD_SW_RESET == 0 {
                self.reset = Reset::Asserted;
            }
            self.note_clock(clocked);
            return None;
        }
        self.reset = match self.reset {
            Reset::Asserted => Reset::Unclocked,
            Reset::Clocked => Reset::Done,
            other => other,
        };
        let starts = value & enables & !before != 0;
        (starts && self.reset == Reset::Unclocked).then_some(Reason::ResetWithoutClock)
    }
    /// Tells the MAC whether its receive clock comes from the PHY at this moment.
    pub(crate) fn note_clock(&mut self, from_phy: bool) {
        if self.reset == Reset::Asserted && (from_phy || self.set(CMD_LCL_LOOP_EN)) {
            self.reset = Reset::Clocked;
        }
    }
    /// SYS_RBUF_FLUSH_CTRL bit 1.
    pub(crate) fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// What a frame in `direction` meets in the MAC itself, apart from the RGMII. `link` is what the PHY negotiated.
    pub(crate) fn obstacle(&self, direction: crate::Direction, link: Mode) -> Option<Reason> {
        if self.in_reset() {
            return Some(Reason::StillInReset { direction });
        }
        if self.reset != Reset::Done {
            return Some(Reason::NeverReset { direction });
        }
        if self.set(CMD_LCL_LOOP_EN) {
            return Some(Reason::Loopback { direction });
        }
        (self.megabits() != link.megabits).then_some(Reason::WrongSpeed {
            direction,
            programmed: self.megabits(),
            link: link.megabits,
        })
    }
    /// Whether the duplex is the link's.
    pub(crate) fn duplex_complaint(&self, link: Mode) -> Option<Reason> {
        let half = self.set(CMD_HD_EN);
        (half == link.full_duplex).then_some(Reason::WrongDuplex { programmed_half: half })
    }
    pub(crate) fn passes(&self, destination: [u8; 6]) -> bool {
        self.filter.passes(destination, self.address(), self.set(CMD_PROMISC))
    }
}
