//! The controller's and the PHY's registers in words: `net registers`, and a part of every bug report.
//!
//! A register is a line of less than 80 columns: its name as the drivers have it (`bcmgenet.h`, IEEE 802.3 clause 22), its value, and what its
//! fields say. What the fields say comes from tables of bits, so that a register more is a row more.

use super::Genet;
use super::phy;
use super::registers::*;
use crate::dma::DmaMemory;
use crate::mmio::{Bus, Reg};
use crate::time::Clock;
use core::fmt;
use tock_registers::interfaces::Readable;

/// What some bits of a register say where they have this value.
type Bits = (u32, u32, &'static str);

/// A bit that says something where it is set.
const fn set(bit: u32, meaning: &'static str) -> Bits {
    (1 << bit, 1 << bit, meaning)
}

/// A bit that says something where it is clear.
const fn clear(bit: u32, meaning: &'static str) -> Bits {
    (1 << bit, 0, meaning)
}

const COMMAND: &[Bits] = &[
    (3 << 2, 0 << 2, "10 Mb/s"),
    (3 << 2, 1 << 2, "100 Mb/s"),
    (3 << 2, 2 << 2, "1000 Mb/s"),
    (3 << 2, 3 << 2, "2500 Mb/s"),
    clear(10, "full duplex"),
    set(10, "half duplex"),
    set(0, "TX on"),
    clear(0, "TX off"),
    set(1, "RX on"),
    clear(1, "RX off"),
    set(4, "promiscuous"),
    set(6, "FCS kept"),
    set(8, "pause ignored"),
    set(13, "in reset"),
    set(15, "looped"),
];

const RGMII_CONTROL: &[Bits] = &[
    set(6, "on"),
    clear(6, "off"),
    set(4, "link"),
    clear(4, "no link"),
    set(5, "out-of-band status disabled"),
    clear(16, "TXC delayed by the controller"),
    set(16, "TXC not delayed by the controller"),
];

/// The speeds as the two registers of offers have them.
const OFFERS: &[Bits] = &[
    set(8, "100 full"),
    set(7, "100 half"),
    set(6, "10 full"),
    set(5, "10 half"),
    set(10, "pause"),
    set(11, "asymmetric pause"),
    set(13, "remote fault"),
    set(14, "ack"),
];

/// The PHY's registers: number, name, what comes before the fields, and the fields.
const PHY_REGISTERS: [(u8, &str, &str, &[Bits]); 6] = [
    (
        phy::BMCR,
        "BMCR",
        "",
        &[
            set(12, "negotiates"),
            clear(12, "does not negotiate: speed and duplex are forced"),
            set(9, "starts anew"),
            set(15, "in reset"),
            set(14, "looped"),
            set(11, "powered down"),
            set(10, "isolated"),
        ],
    ),
    (
        phy::BMSR,
        "BMSR",
        "",
        &[
            set(2, "link"),
            clear(2, "no link, or lost since the last look"),
            set(5, "negotiated"),
            clear(5, "not negotiated"),
            set(4, "remote fault"),
            set(1, "jabber"),
        ],
    ),
    (phy::ANAR, "ANAR", "we offer", OFFERS),
    (phy::ANLPAR, "ANLPAR", "partner offers", OFFERS),
    (
        phy::GBCR,
        "GBCR",
        "we offer",
        &[
            set(9, "1000 full"),
            set(8, "1000 half"),
            (3 << 11, 3 << 11, "to be master"),
            (3 << 11, 2 << 11, "to be slave"),
        ],
    ),
    (
        phy::GBSR,
        "GBSR",
        "",
        &[
            set(11, "partner offers 1000 full"),
            set(10, "partner offers 1000 half"),
            set(14, "we are master"),
            clear(13, "our receiver is not ready"),
            clear(12, "partner's receiver is not ready"),
            set(15, "master and slave not settled"),
        ],
    ),
];

/// The result of the negotiation, in Broadcom's auxiliary status.
const RESULT: &[Bits] = &[
    (7 << 8, 7 << 8, "1000 full"),
    (7 << 8, 6 << 8, "1000 half"),
    (7 << 8, 5 << 8, "100 full"),
    (7 << 8, 4 << 8, "100BASE-T4"),
    (7 << 8, 3 << 8, "100 half"),
    (7 << 8, 2 << 8, "10 full"),
    (7 << 8, 1 << 8, "10 half"),
    (7 << 8, 0 << 8, "nothing yet"),
];

impl<B: Bus + Copy, D: DmaMemory, C: Clock + Copy> Genet<B, D, C> {
    /// Writes some twenty lines that say how controller, rings and PHY stand. Reading is free of side effects but for
    /// the PHY's status register, which forgets that the link was lost meanwhile.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn dump(&mut self, out: &mut dyn fmt::Write) -> fmt::Result {
        self.dump_mac(out)?;
        dump_engine(self.bus, "RDMA", RDMA, out)?;
        dump_engine(self.bus, "TDMA", TDMA, out)?;
        match &mut self.phy {
            None => writeln!(out, "PHY        not started")?,
            Some(phy) => {
                let name = if phy.is_known() { "BCM54213PE or near kin" } else { "not known here" };
                writeln!(out, "PHY        {:#010x} ({name}) at address {}", phy.id, phy.address)?;
                for (register, name, before, bits) in PHY_REGISTERS {
                    match phy.read(register) {
                        Ok(value) => line(out, name, value.into(), before, bits)?,
                        Err(error) => writeln!(out, "{name:<10} {error}")?,
                    }
                }
                if phy.is_known()
                    && let Ok(value) = phy.read(super::broadcom::AUXILIARY_STATUS)
                {
                    line(out, "AUXSTAT", value.into(), "negotiated", RESULT)?;
                }
            }
        }
        self.dump_counts(out)
    }

    fn dump_mac(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let bus = &self.bus;
        let revision = Reg::<_, REVISION::Register>::new(bus, SYS_REV_CTRL).extract();
        let port = Reg::<_, PORT::Register>::new(bus, SYS_PORT_CTRL).extract();
        // Version 5 counts itself as 6.
        let (major, minor) = (revision.read(REVISION::MAJOR).saturating_sub(1), revision.read(REVISION::MINOR));
        let kind = if port.matches_all(PORT::MODE::ExternalGphy) { "external PHY" } else { "no external PHY" };
        writeln!(out, "SYS_REV    {:#010x}: GENET v{major}.{minor}, {kind}", revision.get())?;
        line(out, "UMAC_CMD", bus.read32(UMAC_CMD), "", COMMAND)?;
        line(out, "RGMII_OOB", bus.read32(EXT_RGMII_OOB_CTRL), "", RGMII_CONTROL)?;
        let filter = bus.read32(UMAC_MDF_CTRL);
        writeln!(out, "UMAC_MDF   {filter:#010x}: {} addresses let through", (filter & 0x1_ffff).count_ones())?;
        line(
            out,
            "RBUF_CTRL",
            bus.read32(RBUF_CTRL),
            "",
            &[set(0, "status before frames"), set(1, "two bytes before frames")],
        )?;
        line(out, "TBUF_CTRL", bus.read32(TBUF_CTRL), "", &[set(0, "status before frames")])?;
        writeln!(
            out,
            "MIB        {} received, {} with wrong FCS, {} lost in RBUF; {} sent",
            bus.read32(UMAC_MIB_RX_FRAMES),
            bus.read32(UMAC_MIB_RX_FCS),
            bus.read32(UMAC_RBUF_OVFL_CNT),
            bus.read32(UMAC_MIB_TX_FRAMES)
        )
    }

    /// What the driver has counted, as far as it is trouble.
    fn dump_counts(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let counted = self.statistics();
        let errors = counted.receive_errors;
        let counts = [
            (errors.crc, "wrong FCS"),
            (errors.overrun, "overrun"),
            (errors.too_long, "too long"),
            (errors.not_octets, "not whole octets"),
            (errors.symbol, "PHY error"),
            (errors.fragmented, "in pieces"),
            (errors.length, "impossible length"),
            (errors.out_of_step, "ring out of step"),
            (counted.transmit_lost, "lost unsent"),
            (counted.transmit_stalls, "stalls of the queue"),
            (counted.link_losses, "losses of the link"),
            (counted.failed_looks, "failed looks at the link"),
        ];
        out.write_str("trouble    ")?;
        let mut separator = "";
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            write!(out, "{}{count} {what}", core::mem::replace(&mut separator, ", "))?;
        }
        out.write_str(if separator.is_empty() { "none counted\n" } else { "\n" })
    }
}

/// `NAME  value: before field, field`.
fn line(out: &mut dyn fmt::Write, name: &str, value: u32, before: &str, fields: &[Bits]) -> fmt::Result {
    let digits = if value > 0xffff { 10 } else { 6 };
    write!(out, "{name:<10} {value:#0digits$x}")?;
    let mut separator = ":";
    if !before.is_empty() {
        write!(out, ": {before}")?;
        separator = "";
    }
    let mut holding = fields.iter().filter(|(mask, wanted, _)| value & mask == *wanted).peekable();
    if holding.peek().is_none() && !before.is_empty() {
        out.write_str(" nothing")?;
    }
    for (_, _, meaning) in holding {
        write!(out, "{} {meaning}", core::mem::replace(&mut separator, ","))?;
    }
    writeln!(out)
}

fn dump_engine<B: Bus>(bus: B, name: &str, engine: Engine, out: &mut dyn fmt::Write) -> fmt::Result {
    let ctrl = Reg::<_, DMA_CTRL::Register>::new(&bus, engine.ctrl()).extract();
    let status = Reg::<_, DMA_STATUS::Register>::new(&bus, engine.status()).extract();
    let index = Reg::<_, HARDWARE_INDEX::Register>::new(&bus, engine.hardware_index()).extract();
    writeln!(
        out,
        "{name:<10} {:#010x}: {}, {}; index {}, driver's {}, discarded {}",
        ctrl.get(),
        if ctrl.is_set(DMA_CTRL::EN) { "on" } else { "off" },
        if status.is_set(DMA_STATUS::DISABLED) { "stopped" } else { "runs" },
        index.read(HARDWARE_INDEX::INDEX),
        bus.read32(engine.driver_index()) & 0xffff,
        index.read(HARDWARE_INDEX::DISCARDS),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(register: u8, value: u32) -> String {
        let (_, name, before, bits) = PHY_REGISTERS.into_iter().find(|(number, ..)| *number == register).unwrap();
        let mut text = String::new();
        line(&mut text, name, value, before, bits).unwrap();
        text
    }

    #[test]
    fn the_phys_registers_are_what_ieee_802_3_says_of_their_bits() {
        assert_eq!(shown(phy::BMCR, 0x1140), "BMCR       0x1140: negotiates\n");
        assert_eq!(
            shown(phy::BMCR, 0x2d00),
            "BMCR       0x2d00: does not negotiate: speed and duplex are forced, powered down, isolated\n"
        );
        assert_eq!(shown(phy::BMSR, 0x796d), "BMSR       0x796d: link, negotiated\n");
        assert_eq!(
            shown(phy::BMSR, 0x7949),
            "BMSR       0x7949: no link, or lost since the last look, not negotiated\n"
        );
        assert_eq!(
            shown(phy::ANLPAR, 0x41e1),
            "ANLPAR     0x41e1: partner offers 100 full, 100 half, 10 full, 10 half, ack\n"
        );
        assert_eq!(shown(phy::ANLPAR, 0), "ANLPAR     0x0000: partner offers nothing\n");
        assert_eq!(shown(phy::GBCR, 0x0300), "GBCR       0x0300: we offer 1000 full, 1000 half\n");
        assert_eq!(shown(phy::GBSR, 0x7800), "GBSR       0x7800: partner offers 1000 full, we are master\n");
        assert_eq!(
            shown(phy::GBSR, 0x8000),
            "GBSR       0x8000: our receiver is not ready, partner's receiver is not ready, master and slave not settled\n"
        );
    }

    #[test]
    fn no_speed_is_named_twice_and_every_result_has_a_name() {
        for (bits, field) in [(COMMAND, 3 << 2), (RESULT, 7 << 8)] {
            for value in (0..1 << 12).map(|value| value & field) {
                let named = bits.iter().filter(|(mask, wanted, _)| *mask == field && value & mask == *wanted).count();
                assert_eq!(named, 1, "{value:#x}");
            }
        }
    }
}
