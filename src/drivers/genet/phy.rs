//! The PHY: finding it, waking it, seeing to it that it negotiates, and what came of that.
//!
//! Facts from IEEE 802.3 clause 22 and annex 28B (registers 0-10) and Linux `drivers/net/phy/broadcom.c`. The board has a BCM54213PE
//! (identifier 600d:84a2), whose own registers are in `broadcom`; a PHY with another identifier is used with the standard's alone.
//!
//! What the sources do not agree on, and what was chosen:
//! * **Address.** Device trees say 1 (4B, 400) or 0 (CM4). raspberrypi/linux#5497 reports CM4s whose PHY answers at 2 after a warm
//!   reboot (the address strap shares a pin with an LED), which no fixed list finds. So: the tree's, 1, 0, then every other.
//! * **Reset.** U-Boot and EDK2 reset the PHY and wait for a new negotiation, about 3 s. Linux leaves it alone. So does this driver:
//!   one that has negotiated, or is negotiating all speeds, is not touched; it is reset only when it was powered down, or
//!   when 5 s have not brought a link and one plain restart has not helped.
//! * **Power.** raspberrypi/rpi-eeprom#417: Linux 5.16 and later may leave the PHY in IDDQ with soft recovery, where MDIO still works.
//!   Linux's resume clears IDDQ, then power-down, waits 40 µs and resets; its comment says that writes other than to the control register
//!   are ignored in power-down. Here IDDQ is looked at once more after power-down has been left.

use super::broadcom::TransmitDelay;
use super::error::Error;
use super::mdio::Mdio;
use crate::mmio::Bus;
use crate::net::device::Link;
use crate::time::{Clock, Duration, Instant};

/// Basic mode control.
pub(super) const BMCR: u8 = 0;
const BMCR_RESET: u16 = 1 << 15;
const BMCR_LOOPBACK: u16 = 1 << 14;
const BMCR_AUTONEGOTIATE: u16 = 1 << 12;
const BMCR_POWER_DOWN: u16 = 1 << 11;
const BMCR_ISOLATE: u16 = 1 << 10;
const BMCR_RESTART: u16 = 1 << 9;
/// Basic mode status.
pub(super) const BMSR: u8 = 1;
const BMSR_COMPLETE: u16 = 1 << 5;
/// Latches low: a link that was lost reads 0 once, even if it is back.
const BMSR_LINK: u16 = 1 << 2;
/// Identifier, high and low.
const ID: [u8; 2] = [2, 3];
/// What we offer up to 100 Mb/s, and what the partner does.
pub(super) const ANAR: u8 = 4;
pub(super) const ANLPAR: u8 = 5;
const ANAR_SELECTOR_802_3: u16 = 1;
const ANAR_10_HALF: u16 = 1 << 5;
const ANAR_10_FULL: u16 = 1 << 6;
const ANAR_100_HALF: u16 = 1 << 7;
const ANAR_100_FULL: u16 = 1 << 8;
const ANAR_ALL: u16 = ANAR_10_HALF | ANAR_10_FULL | ANAR_100_HALF | ANAR_100_FULL;
/// What we offer at 1000 Mb/s; the partner's offer is in GBSR, two bits higher.
pub(super) const GBCR: u8 = 9;
pub(super) const GBSR: u8 = 10;
const GBCR_HALF: u16 = 1 << 8;
const GBCR_FULL: u16 = 1 << 9;
const GBCR_ALL: u16 = GBCR_HALF | GBCR_FULL;

/// A PHY in reset answers and shows the bit; Linux and EDK2 give it 500 ms.
const RESET_LIMIT: Duration = Duration::from_millis(500);
/// After power-down the PHY stays in internal reset for 40 µs (Linux, bcm54xx_resume).
const WAKE_TIME: Duration = Duration::from_micros(40);

/// What bring-up found the PHY doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Negotiation {
    /// It had negotiated: left alone.
    Complete,
    /// It was negotiating all speeds: left alone.
    Running,
    /// It was doing neither: told to.
    Started,
}

/// The PHY at the address where it was found.
#[derive(Debug)]
pub(super) struct Phy<B: Bus + Copy, C: Clock + Copy> {
    mdio: Mdio<B, C>,
    clock: C,
    /// Address on the management bus.
    pub address: u8,
    /// Identifier: register 2 in bits 31:16, register 3 in bits 15:0.
    pub id: u32,
}

impl<B: Bus + Copy, C: Clock + Copy> Phy<B, C> {
    /// Looks for the PHY at the address that the device tree names, then at 1, 0, and all others.
    pub fn find(bus: B, clock: C, wanted: Option<u8>) -> Result<Self, Error> {
        let mut phy = Self { mdio: Mdio::new(bus, clock), clock, address: 0, id: 0 };
        phy.mdio.start()?;
        let first = wanted.filter(|address| *address < 32);
        for address in first.into_iter().chain([1, 0]).chain(2..32) {
            phy.address = address;
            match phy.read_id() {
                // An idle bus reads as ones; 0 is no identifier either.
                Ok(0 | u32::MAX) | Err(Error::NoReply { .. }) => {}
                Ok(id) => {
                    phy.id = id;
                    return Ok(phy);
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::NoPhy { wanted: first.unwrap_or(1) })
    }

    fn read_id(&mut self) -> Result<u32, Error> {
        Ok(u32::from(self.read(ID[0])?) << 16 | u32::from(self.read(ID[1])?))
    }

    /// Reads a register. For diagnosis; the link is looked at with [`begin_status`](Self::begin_status).
    pub fn read(&mut self, register: u8) -> Result<u16, Error> {
        self.mdio.read(self.address, register)
    }

    /// Writes a register.
    pub(super) fn write(&mut self, register: u8, value: u16) -> Result<(), Error> {
        self.mdio.write(self.address, register, value)
    }

    /// Brings the PHY to life with the delays of `delay`, and sees to it that it negotiates. Does not wait for a link.
    pub fn start(&mut self, delay: TransmitDelay) -> Result<Negotiation, Error> {
        let woken = self.wake()?;
        self.set_delays(delay)?;
        let control = self.read(BMCR)?;
        let negotiates = control & BMCR_AUTONEGOTIATE != 0 && control & BMCR_LOOPBACK == 0;
        if !woken && negotiates {
            if self.read(BMSR)? & BMSR_COMPLETE != 0 {
                return Ok(Negotiation::Complete);
            }
            // As strapped, the PHY offers no half duplex at 1000 Mb/s, which nobody has.
            if self.read(ANAR)? & ANAR_ALL == ANAR_ALL && self.read(GBCR)? & GBCR_FULL != 0 {
                return Ok(Negotiation::Running);
            }
        }
        self.negotiate()?;
        Ok(Negotiation::Started)
    }

    /// Resets the PHY and starts over. The bit clears by itself, at once on a healthy PHY, but for 500 ms is waited.
    pub fn start_over(&mut self, delay: TransmitDelay) -> Result<(), Error> {
        self.wake()?;
        self.reset()?;
        self.set_delays(delay)?;
        self.negotiate()
    }

    /// Offers all speeds, no pause, and starts a negotiation.
    pub fn negotiate(&mut self) -> Result<(), Error> {
        self.write(ANAR, ANAR_SELECTOR_802_3 | ANAR_ALL)?;
        let gigabit = self.read(GBCR)?;
        self.write(GBCR, gigabit | GBCR_ALL)?;
        self.write(BMCR, BMCR_AUTONEGOTIATE | BMCR_RESTART)
    }

    /// Leaves IDDQ, power-down and isolation; says whether the PHY was in one of them.
    fn wake(&mut self) -> Result<bool, Error> {
        let mut asleep = self.leave_iddq()?;
        if self.read(BMCR)? & (BMCR_POWER_DOWN | BMCR_ISOLATE) != 0 {
            self.write(BMCR, BMCR_AUTONEGOTIATE)?;
            self.clock.delay(WAKE_TIME);
            self.leave_iddq()?;
            asleep = true;
        }
        if asleep {
            self.reset()?;
        }
        Ok(asleep)
    }

    fn reset(&mut self) -> Result<(), Error> {
        self.write(BMCR, BMCR_RESET | BMCR_AUTONEGOTIATE)?;
        let end = self.clock.now().after(RESET_LIMIT);
        loop {
            let late = self.clock.now() >= end;
            if self.read(BMCR)? & BMCR_RESET == 0 {
                return Ok(());
            }
            if late {
                return Err(Error::PhyReset { phy: self.address, milliseconds: RESET_LIMIT.as_millis() as u32 });
            }
        }
    }

    /// Starts a look at the link.
    pub fn begin_status(&mut self, now: Instant) -> Result<(), Error> {
        self.mdio.begin_read(self.address, BMSR, now)
    }

    /// Whether a look has been started and its answer is still to be fetched. Any other access to the PHY throws the answer away.
    pub fn is_asked(&self) -> bool {
        self.mdio.is_pending()
    }

    /// Whether there is a link and its negotiation is complete; `None` while the answer is on its way.
    pub fn finish_status(&mut self, now: Instant) -> Option<Result<bool, Error>> {
        let answer = self.mdio.finish_read(now)?;
        Some(answer.map(|status| status & (BMSR_LINK | BMSR_COMPLETE) == BMSR_LINK | BMSR_COMPLETE))
    }

    /// What was negotiated. Meaningful once [`finish_status`](Self::finish_status) has said that there is a link.
    pub fn resolve(&mut self) -> Result<Link, Error> {
        if let Some(link) = self.auxiliary_result()? {
            return Ok(link);
        }
        let gigabit = self.read(GBCR)? & (self.read(GBSR)? >> 2);
        let fast = self.read(ANAR)? & self.read(ANLPAR)?;
        Ok(from_common_offers(gigabit, fast))
    }
}

/// The best of what both sides offer: `gigabit` in the layout of GBCR, `fast` in that of ANAR (IEEE 802.3 annex 28B.3).
const fn from_common_offers(gigabit: u16, fast: u16) -> Link {
    let (megabits, full_duplex) = if gigabit & GBCR_FULL != 0 {
        (1000, true)
    } else if gigabit & GBCR_HALF != 0 {
        (1000, false)
    } else if fast & ANAR_100_FULL != 0 {
        (100, true)
    } else if fast & ANAR_100_HALF != 0 {
        (100, false)
    } else {
        (10, fast & ANAR_10_FULL != 0)
    };
    Link::Up { megabits, full_duplex }
}

#[cfg(test)]
mod tests {
    use super::super::broadcom::{AUXILIARY_STATUS, EXPANSION_IDDQ, EXPANSION_SELECT};
    use super::super::rig::{BCM54213PE, Management};
    use super::*;
    use crate::drivers::models::VirtualClock;

    const fn up(megabits: u16, full_duplex: bool) -> Link {
        Link::Up { megabits, full_duplex }
    }

    #[test]
    fn the_best_common_offer_wins() {
        assert_eq!(from_common_offers(0x300, 0x1e0), up(1000, true));
        assert_eq!(from_common_offers(0x100, 0x1e0), up(1000, false));
        assert_eq!(from_common_offers(0, 0x1e0), up(100, true));
        assert_eq!(from_common_offers(0, 0x0e0), up(100, false));
        assert_eq!(from_common_offers(0, 0x060), up(10, true));
        assert_eq!(from_common_offers(0, 0x020), up(10, false));
        assert_eq!(from_common_offers(0, 0), up(10, false));
    }

    type Rigged<'a> = Phy<&'a Management, &'a VirtualClock>;

    fn found<'a>(bus: &'a Management, clock: &'a VirtualClock) -> Rigged<'a> {
        Phy::find(bus, clock, None).unwrap()
    }

    #[test]
    fn the_trees_address_is_tried_first_then_one_zero_and_all_others() {
        let clock = VirtualClock::default();
        for (phy, wanted, before) in [
            (5, Some(5), vec![]),
            (1, None, vec![]),
            (0, None, vec![1]),
            (1, Some(3), vec![3]),
            (0, Some(1), vec![1, 1]),
            (2, Some(0), vec![0, 1, 0]),
            (4, Some(99), vec![1, 0, 2, 3]),
        ] {
            let bus = Management::new(phy, BCM54213PE);
            let found = Phy::find(&bus, &clock, wanted).unwrap();
            assert_eq!((found.address, found.id), (phy, BCM54213PE));
            assert_eq!(*bus.asked.borrow(), before, "PHY at {phy}, tree says {wanted:?}");
        }
    }

    #[test]
    fn a_board_without_a_phy_is_told_from_one_with_a_dead_bus() {
        let (bus, clock) = (Management::new(40, BCM54213PE), VirtualClock::default());
        assert_eq!(Phy::find(&bus, &clock, Some(2)).err(), Some(Error::NoPhy { wanted: 2 }));
        assert!((0..32).all(|address| bus.asked.borrow().contains(&address)));
        for nobody in [0, u32::MAX] {
            let bus = Management::new(1, nobody);
            assert_eq!(Phy::find(&bus, &clock, None).err(), Some(Error::NoPhy { wanted: 1 }));
        }
        bus.busy_reads.set(usize::MAX);
        let busy = Error::MdioBusy { phy: 1, register: 2, milliseconds: 10 };
        assert_eq!(Phy::find(&bus, &clock, None).err(), Some(busy));
    }

    #[test]
    fn a_phy_that_negotiates_or_has_is_left_alone() {
        let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
        assert_eq!(found(&bus, &clock).start(TransmitDelay::Controller), Ok(Negotiation::Running));
        bus.set(BMSR, 0x796d);
        bus.set(ANAR, 0x0081);
        assert_eq!(found(&bus, &clock).start(TransmitDelay::Controller), Ok(Negotiation::Complete));
        for register in [BMCR, ANAR, GBCR] {
            assert_eq!(bus.written(register), [], "register {register}");
        }
    }

    #[test]
    fn a_phy_that_does_not_negotiate_or_offers_too_little_is_told_to() {
        for (register, value) in
            [(BMCR, 0x0100), (BMCR, 0x5000), (ANAR, 0x01c1), (ANAR, 0x0061), (GBCR, 0x0100), (GBCR, 0)]
        {
            let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
            bus.set(register, value);
            assert_eq!(found(&bus, &clock).start(TransmitDelay::Controller), Ok(Negotiation::Started));
            assert_eq!(bus.written(ANAR), [0x01e1], "all speeds, no pause");
            assert_eq!(bus.get(GBCR), 0x0300);
            assert_eq!(bus.written(BMCR), [0x1200]);
        }
        // Forced to a speed, with a link: what has not negotiated is not complete, whatever the bit says.
        let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
        bus.set(BMCR, 0x2100);
        bus.set(BMSR, 0x796d);
        assert_eq!(found(&bus, &clock).start(TransmitDelay::Controller), Ok(Negotiation::Started));
    }

    #[test]
    fn who_is_master_stays_as_it_was() {
        let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
        bus.set(GBCR, 0x1c00);
        found(&bus, &clock).negotiate().unwrap();
        assert_eq!(bus.get(GBCR), 0x1f00);
    }

    #[test]
    fn a_phy_in_power_down_isolation_or_iddq_is_woken_reset_and_told_to_negotiate() {
        for (control, iddq, deaf) in [
            (0x0800, 0, false),
            (0x1400, 0, false),
            (0x1000, 1, false),
            (0x1000, 8, false),
            (0x1800, 9, false),
            (0x1800, 9, true),
        ] {
            let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
            bus.set(BMCR, control);
            bus.set(BMSR, 0x796d);
            bus.deaf_in_power_down.set(deaf);
            bus.reset_reads.set(3);
            bus.expansion.borrow_mut().insert(EXPANSION_IDDQ, 0x30 | iddq);
            let mut phy = found(&bus, &clock);
            let said = phy.start(TransmitDelay::Controller);
            assert_eq!(said, Ok(Negotiation::Started), "control {control:#x}, IDDQ {iddq:#x}");
            assert_eq!(bus.expansion.borrow()[&EXPANSION_IDDQ], 0x30);
            assert!(bus.written(BMCR).contains(&0x9000), "reset");
            assert_eq!(bus.get(BMCR), 0x1200);
            assert_eq!(bus.get(EXPANSION_SELECT), 0);
            assert_eq!(bus.get(ANAR), 0x01e1);
            assert_eq!(bus.shadow.borrow()[3], 0);
            assert_eq!(bus.auxiliary.borrow()[7], 0x100);
        }
    }

    #[test]
    fn a_reset_that_does_not_end_is_reported_after_half_a_second() {
        let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
        let mut phy = found(&bus, &clock);
        bus.reset_stays.set(true);
        let before = clock.now();
        let said = phy.start_over(TransmitDelay::Controller);
        assert_eq!(said, Err(Error::PhyReset { phy: 1, milliseconds: 500 }));
        let took = clock.now().since(before).as_millis();
        assert!((500..502).contains(&took), "{took} ms");
    }

    #[test]
    fn starting_over_resets_and_programs_everything_again() {
        let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
        let mut phy = found(&bus, &clock);
        phy.start_over(TransmitDelay::Phy).unwrap();
        assert_eq!(bus.written(BMCR), [0x9000, 0x1200]);
        assert_eq!(bus.shadow.borrow()[3], 0x200);
        assert_eq!(bus.written(ANAR), [0x01e1]);
    }

    #[test]
    fn a_link_counts_when_its_negotiation_is_complete() {
        let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
        bus.busy_reads.set(0);
        let mut phy = found(&bus, &clock);
        for (status, up) in [(0x7949, false), (0x794d, false), (0x7969, false), (0x796d, true)] {
            bus.set(BMSR, status);
            phy.begin_status(clock.now()).unwrap();
            assert!(phy.is_asked());
            assert_eq!(phy.finish_status(clock.now()), Some(Ok(up)), "{status:#x}");
        }
    }

    #[test]
    fn the_result_comes_from_broadcoms_register_or_else_from_both_offers() {
        let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
        let mut phy = found(&bus, &clock);
        bus.set(AUXILIARY_STATUS, 0x0300);
        bus.set(GBSR, 0x0800);
        assert_eq!(phy.resolve(), Ok(up(100, false)));
        bus.set(AUXILIARY_STATUS, 0);
        assert_eq!(phy.resolve(), Ok(up(1000, true)));
        bus.set(GBSR, 0x0400);
        assert_eq!(phy.resolve(), Ok(up(1000, false)));
        bus.set(GBCR, 0x0200);
        bus.set(ANLPAR, 0x4081);
        assert_eq!(phy.resolve(), Ok(up(100, false)), "offered by the partner alone does not count");
        bus.set(ANLPAR, 0x41e1);
        bus.set(ANAR, 0x0061);
        assert_eq!(phy.resolve(), Ok(up(10, true)), "nor does it up to 100 Mb/s");
    }
}
