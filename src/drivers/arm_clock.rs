//! The processor's clock, raised to its rated speed where the firmware left it low.
//!
//! Firmwares start a Raspberry Pi 4 at its least rate (`arm_freq_min`, 600 MHz of 1500 or 1800) and leave it to Linux's cpufreq to raise it.
//! Neither the loader nor Xen has that, so it is asked for here, once, by the mailbox, and stays: the firmware goes on watching temperature and
//! supply. Along with it the firmware may raise the core clock, by which the mini UART counts its bits.

use super::mailbox::Mailbox;
use super::mailbox::property::{ClockId, ClockRate, MaximumClockRate, SetClockRate};
use crate::dma::DmaMemory;
use crate::mmio::Bus;
use crate::time::Clock;

/// What became of the clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// The ARM's rate now, in Hz.
    pub arm: u32,
    /// The core clock's rates in Hz before and afterwards, if it changed along.
    pub core: Option<(u32, u32)>,
}

/// Raises the ARM's clock to the highest rate that the firmware has for it, if it is lower. `None` if the firmware says nothing of it, or does not
/// do it.
pub fn raise<B: Bus, M: DmaMemory, C: Clock>(mailbox: &mut Mailbox<B, M, C>) -> Option<Clocks> {
    let found = mailbox.ask(ClockRate(ClockId::Arm)).ok()?;
    let rated = mailbox.ask(MaximumClockRate(ClockId::Arm)).ok()?;
    if found >= rated {
        return None;
    }
    let before = mailbox.ask(ClockRate(ClockId::Core)).ok();
    let set = mailbox.ask(SetClockRate { clock: ClockId::Arm, hertz: rated });
    // Whatever it answers, it may have done something.
    let after = mailbox.ask(ClockRate(ClockId::Core)).ok();
    match set {
        Ok(arm) => log::info!("ARM clock: {found} Hz, now {arm} Hz of {rated}"),
        Err(error) => log::warn!("the ARM's clock stays at {found} Hz of {rated}: {error}"),
    }
    let core = before.zip(after).filter(|(before, after)| before != after);
    Some(Clocks { arm: set.unwrap_or(found), core })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::mailbox::message::BYTES;
    use crate::drivers::models::VirtualClock;
    use crate::drivers::models::mailbox::{Behaviour, Firmware, TwoViews};

    fn firmware() -> (Mailbox<Firmware, TwoViews, VirtualClock>, Firmware) {
        let clock = VirtualClock::default();
        let memory = TwoViews::new(0x0020_0040, BYTES);
        let firmware = Firmware::new(&clock, &memory, Behaviour::Answers);
        (Mailbox::new(firmware.clone(), memory, clock).unwrap(), firmware)
    }

    #[test]
    fn a_clock_that_was_left_low_is_raised_once() {
        let (mut mailbox, firmware) = firmware();
        assert_eq!(raise(&mut mailbox), Some(Clocks { arm: 1_800_000_000, core: None }));
        assert_eq!(mailbox.ask(ClockRate(ClockId::Arm)), Ok(1_800_000_000));
        let asked = firmware.messages();
        assert_eq!(raise(&mut mailbox), None);
        assert_eq!(firmware.messages(), asked + 2);
    }

    #[test]
    fn a_core_clock_that_rises_along_is_told() {
        let (mut mailbox, firmware) = firmware();
        firmware.raise_core_with_arm(550_000_000);
        assert_eq!(raise(&mut mailbox), Some(Clocks { arm: 1_800_000_000, core: Some((500_000_000, 550_000_000)) }));
    }

    #[test]
    fn a_firmware_that_does_not_know_its_rates_is_not_asked_to_set_any() {
        let (mut mailbox, firmware) = firmware();
        firmware.forget(0x0003_0004);
        assert_eq!(raise(&mut mailbox), None);
        assert_eq!(mailbox.ask(ClockRate(ClockId::Arm)), Ok(600_000_000));
    }
}
