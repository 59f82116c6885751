//! The BCM54213PE's registers (IEEE 802.3 clause 22, and Broadcom's shadow and expansion registers behind 0x15-0x1c).
//!
//! Sources: Linux `include/linux/brcmphy.h`, `drivers/net/phy/broadcom.c`, `bcm-phy-lib.c`; U-Boot `drivers/net/phy/broadcom.c`.
//! The two RGMII delays live in shadow registers, keep their value over a reset of the board, and fall back to their straps (both on) only
//! with the PHY's own soft reset: that U-Boot works after the firmware's network boot, which programs them otherwise, shows the last point.

use crate::link::{Line, Mode};
use crate::moment::Moment;
use crate::seed::Junk;
use crate::settings::{PhyStart, Settings};
use std::collections::BTreeMap;

const BMCR_RESET: u16 = 1 << 15;
const BMCR_SPEED_LOW: u16 = 1 << 13;
const BMCR_ANENABLE: u16 = 1 << 12;
const BMCR_PDOWN: u16 = 1 << 11;
const BMCR_ISOLATE: u16 = 1 << 10;
const BMCR_ANRESTART: u16 = 1 << 9;
const BMCR_FULL: u16 = 1 << 8;
const BMCR_SPEED_HIGH: u16 = 1 << 6;

/// 100 and 10 Mb/s in both duplexes, extended status, preamble suppression, negotiation ability, extended registers.
const BMSR: u16 = 0x7949;
const BMSR_NEGOTIATED: u16 = 1 << 5;
const BMSR_LINK: u16 = 1 << 2;

const MISC_WRITE: u16 = 1 << 15;
const MISC_RXC_SKEW: u16 = 1 << 8;
const MISC_SHADOW: usize = 7;
const CLOCK_SHADOW: usize = 3;
const CLOCK_GTXCLK_DELAY: u16 = 1 << 9;

/// What a write to the PHY came to, where it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PhyRefusal {
    InReset(u8),
    ForcedGigabit,
}

#[derive(Debug)]
pub(crate) struct Phy {
    control: u16,
    advertisement: u16,
    gigabit_control: u16,
    /// Registers without a meaning of their own here.
    plain: [u16; 32],
    /// Register 0x18's shadows, and the one that a read shows.
    auxiliary: [u16; 8],
    auxiliary_read: usize,
    /// Register 0x1c's shadows, and the one that a read shows.
    shadow: [u16; 32],
    shadow_read: usize,
    expansion: BTreeMap<u16, u16>,
    managed: BTreeMap<(u16, u16), u16>,
    line: Line,
    reset_until: Option<Moment>,
}

impl Phy {
    pub(crate) fn new(settings: &Settings, junk: &mut Junk) -> Self {
        let mut phy = Self {
            control: 0,
            advertisement: 0,
            gigabit_control: 0,
            plain: [0; 32],
            auxiliary: [0; 8],
            auxiliary_read: 0,
            shadow: [0; 32],
            shadow_read: 0,
            expansion: BTreeMap::new(),
            managed: BTreeMap::new(),
            line: Line::new(settings),
            reset_until: None,
        };
        phy.defaults();
        if junk.flag() {
            phy.auxiliary[MISC_SHADOW] &= !MISC_RXC_SKEW;
        }
        if junk.flag() {
            phy.shadow[CLOCK_SHADOW] &= !CLOCK_GTXCLK_DELAY;
        }
        match settings.phy_start {
            PhyStart::Negotiating => {
                phy.start(Moment::default());
                phy.line.skip(settings.powered);
            }
            PhyStart::Negotiated => phy.line.negotiated(phy.advertised()),
            PhyStart::PoweredDown => phy.control |= BMCR_PDOWN,
        }
        phy
    }

    fn defaults(&mut self) {
        self.control = BMCR_ANENABLE | BMCR_FULL | BMCR_SPEED_HIGH;
        self.advertisement = 0x01e1;
        self.gigabit_control = 0x0200;
        self.plain = [0; 32];
        self.plain[0x10] = 0x1000;
        self.plain[0x1b] = 0xffff;
        self.auxiliary = [0x0400, 0, 0, 0, 0, 0, 0, 0x0070 | MISC_RXC_SKEW];
        self.auxiliary_read = 0;
        self.shadow = [0; 32];
        self.shadow[CLOCK_SHADOW] = CLOCK_GTXCLK_DELAY;
        self.shadow_read = 0;
        self.expansion.clear();
        self.managed.clear();
    }

    /// Whether the PHY delays the receive clock.
    pub(crate) fn delays_receive(&self) -> bool {
        self.auxiliary[MISC_SHADOW] & MISC_RXC_SKEW != 0
    }
    /// Whether the PHY delays the transmit clock.
    pub(crate) fn delays_transmit(&self) -> bool {
        self.shadow[CLOCK_SHADOW] & CLOCK_GTXCLK_DELAY != 0
    }
    pub(crate) fn line(&self) -> &Line {
        &self.line
    }
    /// The link, unless the PHY is isolated from the RGMII.
    pub(crate) fn mode(&self) -> Option<Mode> {
        if self.control & BMCR_ISOLATE != 0 { None } else { self.line.mode() }
    }

    pub(crate) fn due(&self) -> Option<Moment> {
        self.reset_until.into_iter().chain(self.line.due()).min()
    }
    pub(crate) fn advance(&mut self, now: Moment) {
        if self.reset_until.is_some_and(|until| until <= now) {
            self.reset_until = None;
            self.defaults();
            self.start(now);
        }
        self.line.advance(now);
    }
    pub(crate) fn set_cable(&mut self, now: Moment, present: bool) {
        self.line.set_cable(present);
        self.start(now);
    }
    pub(crate) fn set_partner(&mut self, now: Moment, partner: crate::Abilities) {
        self.line.set_partner(partner);
        self.start(now);
    }

    /// Starts negotiation, or the forced mode, or neither, as the registers stand.
    fn start(&mut self, now: Moment) {
        if self.reset_until.is_some() || self.control & BMCR_PDOWN != 0 {
            self.line.down();
        } else if self.control & BMCR_ANENABLE != 0 {
            self.line.negotiate(now, self.advertised());
        } else {
            let full_duplex = self.control & BMCR_FULL != 0;
            match (self.control & BMCR_SPEED_HIGH != 0, self.control & BMCR_SPEED_LOW != 0) {
                (false, fast) => self.line.force(now, Mode { megabits: if fast { 100 } else { 10 }, full_duplex }),
                (true, _) => self.line.down(),
            }
        }
    }

    fn advertised(&self) -> crate::Abilities {
        let slow = (self.advertisement >> 5 & 0xf) as u8;
        let gigabit = (self.gigabit_control >> 8 & 3) as u8;
        crate::Abilities::from_bits(slow | gigabit << 4)
    }

    pub(crate) fn read(&mut self, register: u8) -> u16 {
        if self.reset_until.is_some() {
            return if register == 0 { self.control | BMCR_RESET } else { 0xffff };
        }
        let mode = self.line.mode();
        let partner = u16::from(self.line.partner_seen().bits());
        match register {
            0x00 => self.control,
            0x01 => {
                let link = if self.line.link_since_last_look() { BMSR_LINK } else { 0 };
                BMSR | link | if self.negotiated() { BMSR_NEGOTIATED } else { 0 }
            }
            0x02 => 0x600d,
            0x03 => 0x84a2,
            0x04 => self.advertisement,
            0x05 if partner != 0 => 0x4001 | (partner & 0xf) << 5,
            0x06 => u16::from(self.negotiated()),
            0x09 => self.gigabit_control,
            0x0a if partner & 0x30 != 0 => {
                let receivers = if mode.is_some() { 0x3000 } else { 0 };
                receivers | (partner >> 5 & 1) << 11 | (partner >> 4 & 1) << 10
            }
            0x05 | 0x0a => 0,
            0x0e if self.plain[0x0d] >> 14 == 0 => self.plain[0x0e],
            0x0e => self.managed.get(&(self.plain[0x0d] & 0x1f, self.plain[0x0e])).copied().unwrap_or(0),
            0x0f => 0x3000,
            0x11 => {
                if mode.is_some() {
                    0x0100
                } else {
                    0
                }
            }
            0x15 => self.expansion.get(&self.plain[0x17]).copied().unwrap_or(0),
            0x18 => self.auxiliary[self.auxiliary_read] & 0xfff8 | self.auxiliary_read as u16,
            0x19 => self.auxiliary_status(mode),
            0x1c => (self.shadow_read as u16) << 10 | self.shadow[self.shadow_read],
            other => self.plain.get(usize::from(other)).copied().unwrap_or(0),
        }
    }

    fn negotiated(&self) -> bool {
        self.control & BMCR_ANENABLE != 0 && self.line.mode().is_some()
    }

    /// Register 0x19: bits 10:8 say what negotiation found, bit 2 the link.
    fn auxiliary_status(&self, mode: Option<Mode>) -> u16 {
        let Some(mode) = mode else { return 0 };
        let code = match (mode.megabits, mode.full_duplex) {
            (10, false) => 1,
            (10, true) => 2,
            (100, false) => 3,
            (100, true) => 5,
            (_, false) => 6,
            (_, true) => 7,
        };
        let complete = if self.negotiated() { 0xc000 } else { 0 };
        complete | code << 8 | 1 << 2
    }

    pub(crate) fn write(
        &mut self,
        now: Moment,
        register: u8,
        value: u16,
        settings: &Settings,
    ) -> Result<(), PhyRefusal> {
        if self.reset_until.is_some() {
            return Err(PhyRefusal::InReset(register));
        }
        match register {
            0x00 => return self.write_control(now, value, settings),
            0x04 => self.advertisement = value,
            0x09 => self.gigabit_control = value,
            0x0e if self.plain[0x0d] >> 14 == 0 => self.plain[0x0e] = value,
            0x0e => {
                self.managed.insert((self.plain[0x0d] & 0x1f, self.plain[0x0e]), value);
            }
            0x15 => {
                self.expansion.insert(self.plain[0x17], value);
            }
            0x18 => {
                let select = usize::from(value & 7);
                if select == MISC_SHADOW && value & MISC_WRITE == 0 {
                    self.auxiliary_read = usize::from(value >> 12 & 7);
                } else {
                    self.auxiliary[select] = value & 0x7ff8;
                    self.auxiliary_read = select;
                }
            }
            0x1c => {
                let select = usize::from(value >> 10 & 0x1f);
                self.shadow_read = select;
                if value & 1 << 15 != 0 {
                    self.shadow[select] = value & 0x3ff;
                }
            }
            0x01..=0x03 | 0x05 | 0x06 | 0x0a | 0x0f | 0x11 | 0x19 => {}
            other => {
                if let Some(plain) = self.plain.get_mut(usize::from(other)) {
                    *plain = value;
                }
            }
        }
        Ok(())
    }

    fn write_control(&mut self, now: Moment, value: u16, settings: &Settings) -> Result<(), PhyRefusal> {
        if value & BMCR_RESET != 0 {
            let until = now.after(settings.phy_reset);
            self.reset_until =
                Some(if settings.faults.phy_reset_never_ends { Moment::from_nanos(u64::MAX) } else { until });
            self.line.down();
            return Ok(());
        }
        let mode_bits = BMCR_ANENABLE | BMCR_PDOWN | BMCR_FULL | BMCR_SPEED_HIGH | BMCR_SPEED_LOW;
        let changed = (self.control ^ value) & mode_bits;
        self.control = value & !BMCR_ANRESTART;
        let negotiates = value & BMCR_ANENABLE != 0;
        // Speed and duplex bits mean nothing while negotiation is on.
        let restart = changed & (BMCR_ANENABLE | BMCR_PDOWN) != 0
            || !negotiates && changed != 0
            || negotiates && value & BMCR_ANRESTART != 0;
        if restart {
            self.start(now);
        }
        if !negotiates && value & BMCR_SPEED_HIGH != 0 { Err(PhyRefusal::ForcedGigabit) } else { Ok(()) }
    }
}
