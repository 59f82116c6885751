//! The management bus to the PHY (IEEE 802.3 clause 22), through UniMAC's MDIO command register.
//!
//! An access takes 64 bit times, about 41 µs at the clock chosen here. Bring-up waits for each ([`Mdio::read`],
//! [`Mdio::write`]); the steady look at the link does not: [`Mdio::begin_read`] starts an access and [`Mdio::finish_read`] fetches
//! its result one poll later, so that the receive path never waits for the PHY; only where an access seems stuck it looks
//! a hundred times.

use super::error::Error;
use super::registers::*;
use crate::mmio::{Bus, Reg};
use crate::time::{Clock, Duration, Instant};
use tock_registers::interfaces::{ReadWriteable, Readable, Writeable};

/// How long an access may take. A healthy one takes 41 µs; EDK2 and NetBSD give it 10 ms.
const LIMIT: Duration = Duration::from_millis(10);

/// Reads in a row that find the bus busy before an access that nobody waited for counts as stuck, besides [`LIMIT`]: some 100 µs. Whoever
/// fetches its result may have been away for all that time, so the time alone says nothing about the bus.
const LAST_READS: usize = 100;

/// MDC divider: MDC = 200 MHz / (2 * (63 + 1)) = 1.56 MHz. The Pi 400's tree asks for 1.95 MHz at most, which Linux, taking the
/// reference for 250 MHz, turns into this same divider; a slower MDC harms no other board.
const CLOCK_DIVIDER: u32 = 63;

/// An access that has been started and not fetched.
#[derive(Clone, Copy, Debug)]
struct Pending {
    phy: u8,
    register: u8,
    since: Instant,
}

/// The management bus.
#[derive(Debug)]
pub(super) struct Mdio<B: Bus + Copy, C: Clock + Copy> {
    bus: B,
    clock: C,
    pending: Option<Pending>,
}

impl<B: Bus + Copy, C: Clock + Copy> Mdio<B, C> {
    pub const fn new(bus: B, clock: C) -> Self {
        Self { bus, clock, pending: None }
    }

    fn command(&self) -> Reg<'_, B, MDIO::Register> {
        Reg::new(&self.bus, UMAC_MDIO_CMD)
    }

    /// Sets the clock and waits for an access that somebody (the firmware) left running.
    pub fn start(&mut self) -> Result<(), Error> {
        self.settle(0, 0)?;
        Reg::<_, MDIO_CFG::Register>::new(&self.bus, UMAC_MDIO_CFG).modify(MDIO_CFG::CLOCK_DIVIDER.val(CLOCK_DIVIDER));
        Ok(())
    }

    /// Reads a PHY's register and waits for the answer.
    pub fn read(&mut self, phy: u8, register: u8) -> Result<u16, Error> {
        self.settle(phy, register)?;
        self.begin_read(phy, register, self.clock.now())?;
        self.pending = None;
        self.wait(phy, register)?;
        self.result(phy, register)
    }

    /// Writes a PHY's register and waits until it is written.
    pub fn write(&mut self, phy: u8, register: u8, value: u16) -> Result<(), Error> {
        self.settle(phy, register)?;
        self.command().write(
            MDIO::OPERATION::Write
                + MDIO::PHY.val(phy.into())
                + MDIO::REGISTER.val(register.into())
                + MDIO::DATA.val(value.into())
                + MDIO::START_BUSY::SET,
        );
        self.wait(phy, register)
    }

    /// Starts reading a PHY's register. Does not wait for a bus that is busy: that is an error.
    pub fn begin_read(&mut self, phy: u8, register: u8, now: Instant) -> Result<(), Error> {
        if self.command().is_set(MDIO::START_BUSY) {
            return Err(busy(phy, register));
        }
        self.command().write(
            MDIO::OPERATION::Read
                + MDIO::PHY.val(phy.into())
                + MDIO::REGISTER.val(register.into())
                + MDIO::START_BUSY::SET,
        );
        self.pending = Some(Pending { phy, register, since: now });
        Ok(())
    }

    /// Whether there is an answer to fetch, now or later.
    pub const fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// The answer to [`begin_read`](Self::begin_read): `None` while it is on its way, or when nothing was asked.
    pub fn finish_read(&mut self, now: Instant) -> Option<Result<u16, Error>> {
        let Pending { phy, register, since } = self.pending?;
        if self.command().is_set(MDIO::START_BUSY) {
            if now.since(since) < LIMIT {
                return None;
            }
            if (0..LAST_READS).all(|_| self.command().is_set(MDIO::START_BUSY)) {
                self.pending = None;
                return Some(Err(busy(phy, register)));
            }
        }
        self.pending = None;
        Some(self.result(phy, register))
    }

    /// Lets an access that was started and not fetched come to its end; its answer is lost.
    fn settle(&mut self, phy: u8, register: u8) -> Result<(), Error> {
        self.pending = None;
        self.wait(phy, register)
    }

    fn wait(&self, phy: u8, register: u8) -> Result<(), Error> {
        if self.clock.wait_until(LIMIT, || !self.command().is_set(MDIO::START_BUSY)) {
            Ok(())
        } else {
            Err(busy(phy, register))
        }
    }

    fn result(&self, phy: u8, register: u8) -> Result<u16, Error> {
        let answer = self.command().extract();
        if answer.is_set(MDIO::READ_FAIL) {
            return Err(Error::NoReply { phy, register });
        }
        Ok(answer.read(MDIO::DATA) as u16)
    }
}

const fn busy(phy: u8, register: u8) -> Error {
    Error::MdioBusy { phy, register, milliseconds: LIMIT.as_millis() as u32 }
}

#[cfg(test)]
mod tests {
    use super::super::rig::{BCM54213PE, Management};
    use super::*;
    use crate::drivers::models::VirtualClock;

    const BUSY: Error = Error::MdioBusy { phy: 1, register: 4, milliseconds: 10 };

    #[test]
    fn the_clock_is_slowed_down_and_other_settings_stay() {
        let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
        Mdio::new(&bus, &clock).start().unwrap();
        assert_eq!(bus.divider.get(), 0x3f1);
    }

    #[test]
    fn reads_and_writes_wait_for_their_end() {
        let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
        let mut mdio = Mdio::new(&bus, &clock);
        mdio.write(1, 4, 0x1234).unwrap();
        assert_eq!(bus.get(4), 0x1234);
        assert_eq!(mdio.read(1, 4), Ok(0x1234));
        assert_eq!(mdio.read(1, 3), Ok(0x84a2));
    }

    #[test]
    fn an_address_where_nobody_is_is_told_from_a_bus_that_is_stuck() {
        let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
        let mut mdio = Mdio::new(&bus, &clock);
        assert_eq!(mdio.read(7, 2), Err(Error::NoReply { phy: 7, register: 2 }));
        bus.busy_reads.set(usize::MAX);
        let before = clock.now();
        assert_eq!(mdio.read(1, 4), Err(BUSY));
        let took = clock.now().since(before).as_millis();
        assert!((10..12).contains(&took), "{took} ms");
        assert_eq!(mdio.write(1, 4, 0), Err(BUSY), "and nothing is started on it");
        assert_eq!(mdio.start(), Err(Error::MdioBusy { phy: 0, register: 0, milliseconds: 10 }));
    }

    #[test]
    fn a_read_in_two_steps_never_waits() {
        let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
        let mut mdio = Mdio::new(&bus, &clock);
        assert!(mdio.finish_read(clock.now()).is_none(), "nothing was asked");
        mdio.begin_read(1, 4, clock.now()).unwrap();
        assert!(mdio.is_pending());
        assert_eq!(mdio.begin_read(1, 4, clock.now()), Err(BUSY));
        assert!(mdio.finish_read(clock.now()).is_none());
        assert_eq!(mdio.finish_read(clock.now()), Some(Ok(0x0de1)));
        assert!(!mdio.is_pending());
        assert!(mdio.finish_read(clock.now()).is_none(), "an answer is fetched once");
    }

    #[test]
    fn a_read_in_two_steps_that_gets_no_answer_ends_too() {
        let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
        let mut mdio = Mdio::new(&bus, &clock);
        bus.busy_reads.set(usize::MAX);
        let start = clock.now();
        mdio.begin_read(1, 4, start).unwrap();
        assert!(mdio.finish_read(start).is_none());
        assert_eq!(mdio.finish_read(start.after(LIMIT)), Some(Err(BUSY)));
        assert!(!mdio.is_pending());
    }

    #[test]
    fn a_read_in_two_steps_that_is_fetched_late_is_no_failure() {
        let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
        let mut mdio = Mdio::new(&bus, &clock);
        for busy_reads in [LAST_READS - 1, 40, 1] {
            bus.busy_reads.set(busy_reads);
            let start = clock.now();
            mdio.begin_read(1, 4, start).unwrap();
            assert_eq!(mdio.finish_read(start.after(LIMIT)), Some(Ok(0x0de1)), "{busy_reads}");
            assert!(!mdio.is_pending());
        }
    }

    #[test]
    fn an_access_in_between_throws_the_answer_away_and_leaves_the_bus_in_order() {
        let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
        let mut mdio = Mdio::new(&bus, &clock);
        mdio.begin_read(1, 4, clock.now()).unwrap();
        mdio.write(1, 4, 1).unwrap();
        assert!(!mdio.is_pending());
        mdio.begin_read(1, 2, clock.now()).unwrap();
        assert_eq!(mdio.read(1, 3), Ok(0x84a2));
        assert!(!mdio.is_pending());
    }
}
