//! What the BCM54210E family, the board's BCM54213PE among it, has beyond the standard's registers: RGMII delays, the IDDQ power state,
//! the result of the negotiation in one register. Facts from Linux `include/linux/brcmphy.h`, `drivers/net/phy/broadcom.c` and
//! `bcm-phy-lib.c`, U-Boot `drivers/net/phy/broadcom.c`.

use super::error::Error;
use super::phy::Phy;
use crate::mmio::Bus;
use crate::net::device::Link;
use crate::time::Clock;

/// Data and address of the expansion registers.
const EXPANSION_DATA: u8 = 0x15;
pub(super) const EXPANSION_SELECT: u8 = 0x17;
pub(super) const EXPANSION_IDDQ: u16 = 0x0d06;
const IDDQ_LOW_POWER: u16 = 1 << 0;
const IDDQ_SOFT_RECOVERY: u16 = 1 << 3;
/// Auxiliary control, a window on shadow registers; 7 is "miscellaneous".
const AUXILIARY_CONTROL: u8 = 0x18;
const AUXILIARY_READ_MISC: u16 = 7 << 12 | 7;
const AUXILIARY_WRITE_MISC: u16 = 1 << 15 | 7;
const MISC_DATA: u16 = 0x7ff8;
const MISC_RXC_SKEW: u16 = 1 << 8;
/// Auxiliary status; bits 10:8 are the result of the negotiation.
pub(super) const AUXILIARY_STATUS: u8 = 0x19;
/// Shadow registers; 3 is clock control.
const SHADOW: u8 = 0x1c;
const SHADOW_WRITE: u16 = 1 << 15;
const SHADOW_CLOCK_CONTROL: u16 = 3 << 10;
const SHADOW_DATA: u16 = 0x3ff;
const CLOCK_GTXCLK_DELAY: u16 = 1 << 9;

/// The identifier of the BCM54210E family, whose revision 2 is the BCM54213PE.
const FAMILY: u32 = 0x600d_84a0;
/// The lowest four bits of an identifier are a revision.
const FAMILY_MASK: u32 = 0xffff_fff0;

/// Who delays the transmit clock by a quarter of a period. RGMII wants exactly one side to. The receive clock is always
/// delayed by the PHY: the controller cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransmitDelay {
    /// The controller: ID_MODE_DIS clear, the PHY's GTXCLK delay off. Device trees call it `rgmii-rxid`; Linux, EDK2 and the
    /// EEPROM's network boot since 2021 do it.
    Controller,
    /// The PHY: ID_MODE_DIS set, the PHY's GTXCLK delay on (`rgmii-id`). What U-Boot and barebox amount to with the PHY as strapped.
    Phy,
}

impl<B: Bus + Copy, C: Clock + Copy> Phy<B, C> {
    /// Whether this is the PHY of the board or a near relative, with Broadcom's registers.
    pub const fn is_known(&self) -> bool {
        self.id & FAMILY_MASK == FAMILY
    }

    /// Leaves IDDQ; says whether the PHY was in it.
    pub(super) fn leave_iddq(&mut self) -> Result<bool, Error> {
        if !self.is_known() {
            return Ok(false);
        }
        self.write(EXPANSION_SELECT, EXPANSION_IDDQ)?;
        let iddq = self.read(EXPANSION_DATA)?;
        // Ones everywhere: there is no such register.
        let asleep = iddq != u16::MAX && iddq & (IDDQ_LOW_POWER | IDDQ_SOFT_RECOVERY) != 0;
        if asleep {
            self.write(EXPANSION_DATA, iddq & !(IDDQ_LOW_POWER | IDDQ_SOFT_RECOVERY))?;
        }
        self.write(EXPANSION_SELECT, 0)?;
        Ok(asleep)
    }

    /// Programs the PHY's side of the RGMII delays. A PHY of another family keeps those that its straps gave it.
    pub fn set_delays(&mut self, delay: TransmitDelay) -> Result<(), Error> {
        if !self.is_known() {
            return Ok(());
        }
        self.write(AUXILIARY_CONTROL, AUXILIARY_READ_MISC)?;
        let misc = self.read(AUXILIARY_CONTROL)? & MISC_DATA;
        self.write(AUXILIARY_CONTROL, AUXILIARY_WRITE_MISC | misc | MISC_RXC_SKEW)?;

        self.write(SHADOW, SHADOW_CLOCK_CONTROL)?;
        let clock = self.read(SHADOW)? & SHADOW_DATA & !CLOCK_GTXCLK_DELAY;
        let gtxclk = match delay {
            TransmitDelay::Controller => 0,
            TransmitDelay::Phy => CLOCK_GTXCLK_DELAY,
        };
        self.write(SHADOW, SHADOW_WRITE | SHADOW_CLOCK_CONTROL | clock | gtxclk)
    }

    /// The result of the negotiation, if the PHY has a register for it that says one.
    pub(super) fn auxiliary_result(&mut self) -> Result<Option<Link>, Error> {
        if !self.is_known() {
            return Ok(None);
        }
        Ok(from_auxiliary_status(self.read(AUXILIARY_STATUS)?))
    }
}

/// The result of the negotiation as the auxiliary status register (0x19) shows it in bits 10:8; `None` where it is not complete, or
/// is a technology that the board cannot have.
const fn from_auxiliary_status(status: u16) -> Option<Link> {
    let (megabits, full_duplex) = match status >> 8 & 7 {
        1 => (10, false),
        2 => (10, true),
        3 => (100, false),
        5 => (100, true),
        6 => (1000, false),
        7 => (1000, true),
        _ => return None,
    };
    Some(Link::Up { megabits, full_duplex })
}

#[cfg(test)]
mod tests {
    use super::super::phy::Negotiation;
    use super::super::rig::{BCM54213PE, Management};
    use super::*;
    use crate::drivers::models::VirtualClock;

    const fn up(megabits: u16, full_duplex: bool) -> Link {
        Link::Up { megabits, full_duplex }
    }

    fn found<'a>(bus: &'a Management, clock: &'a VirtualClock) -> Phy<&'a Management, &'a VirtualClock> {
        Phy::find(bus, clock, None).unwrap()
    }

    #[test]
    fn the_auxiliary_status_names_each_technology() {
        let expected = [
            None,
            Some(up(10, false)),
            Some(up(10, true)),
            Some(up(100, false)),
            None,
            Some(up(100, true)),
            Some(up(1000, false)),
            Some(up(1000, true)),
        ];
        for (code, link) in expected.into_iter().enumerate() {
            assert_eq!(from_auxiliary_status((code as u16) << 8), link, "code {code}");
            assert_eq!(from_auxiliary_status((code as u16) << 8 | 0xf8ff), link, "other bits do not count");
        }
        // Registers of a Pi 4 with a 1000BASE-T link (raspberrypi/linux#3108).
        assert_eq!(from_auxiliary_status(0xff1f), Some(up(1000, true)));
    }

    #[test]
    fn both_delays_are_programmed_whatever_they_were_and_the_rest_stays() {
        for (misc, clock_control) in [(0, 0), (0x7ff8, 0x3ff), (0x0100, 0x200), (0x2a10, 0x155)] {
            let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
            bus.auxiliary.borrow_mut()[7] = misc;
            bus.shadow.borrow_mut()[3] = clock_control;
            let mut phy = found(&bus, &clock);
            phy.set_delays(TransmitDelay::Controller).unwrap();
            assert_eq!(bus.auxiliary.borrow()[7], misc | 0x100);
            assert_eq!(bus.shadow.borrow()[3], clock_control & !0x200);
            phy.set_delays(TransmitDelay::Phy).unwrap();
            assert_eq!(bus.auxiliary.borrow()[7], misc | 0x100);
            assert_eq!(bus.shadow.borrow()[3], clock_control | 0x200);
        }
    }

    #[test]
    fn a_stranger_is_used_without_broadcoms_registers() {
        let (bus, clock) = (Management::new(1, 0x0022_1622), VirtualClock::default());
        let mut phy = found(&bus, &clock);
        assert!(!phy.is_known());
        phy.start(TransmitDelay::Phy).unwrap();
        bus.set(10, 0x0800);
        bus.set(AUXILIARY_STATUS, 0x0100);
        assert_eq!(phy.resolve(), Ok(up(1000, true)), "register 0x19 is somebody else's");
        assert!(bus.accesses.borrow().iter().all(|(register, _)| *register < 0x10));
    }

    #[test]
    fn revisions_of_the_family_are_known() {
        let clock = VirtualClock::default();
        for (id, known) in [(0x600d_84a0, true), (0x600d_84af, true), (0x600d_84b0, false), (0x600c_84a2, false)] {
            assert_eq!(found(&Management::new(1, id), &clock).is_known(), known, "{id:#x}");
        }
    }

    #[test]
    fn an_iddq_register_that_is_not_there_wakes_nobody() {
        let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
        bus.expansion.borrow_mut().insert(EXPANSION_IDDQ, 0xffff);
        assert_eq!(found(&bus, &clock).start(TransmitDelay::Controller), Ok(Negotiation::Running));
        assert_eq!(bus.expansion.borrow()[&EXPANSION_IDDQ], 0xffff);
    }
}
