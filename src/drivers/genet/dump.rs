//! The controller's and the PHY's registers in words, for a bug report.

use super::Genet;
use super::registers::*;
use crate::dma::DmaMemory;
use crate::mmio::{Bus, Reg};
use crate::time::Clock;
use core::fmt;
use tock_registers::interfaces::Readable;

/// Registers of the PHY that a report shows, with the names that the standard and Broadcom give them.
const PHY_REGISTERS: [(&str, u8); 9] = [
    ("BMCR", 0),
    ("BMSR", 1),
    ("ANAR", 4),
    ("ANLPAR", 5),
    ("GBCR", 9),
    ("GBSR", 10),
    ("ESR", 15),
    ("ECR", 16),
    ("AUXSTAT", 25),
];

impl<B: Bus + Copy, D: DmaMemory, C: Clock + Copy> Genet<B, D, C> {
    /// Writes about twelve lines that say how controller, rings and PHY stand. Reading is free of side effects but for
    /// the PHY's status register, which forgets that the link was lost meanwhile.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn dump(&mut self, out: &mut dyn fmt::Write) -> fmt::Result {
        self.dump_mac(out)?;
        dump_engine(self.bus, "RDMA", RDMA, out)?;
        dump_engine(self.bus, "TDMA", TDMA, out)?;
        let Some(phy) = &mut self.phy else {
            return writeln!(out, "PHY      not started");
        };
        write!(out, "PHY {:<4} id {:#010x}", phy.address, phy.id)?;
        for (name, register) in PHY_REGISTERS {
            match phy.read(register) {
                Ok(value) => write!(out, " {name} {value:04x}")?,
                Err(_) => write!(out, " {name} ?")?,
            }
        }
        writeln!(out)?;
        let counted = self.statistics();
        writeln!(out, "counted  {:?}", crate::net::device::EthernetController::counters(self))?;
        writeln!(out, "         {counted:?}")
    }

    fn dump_mac(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let bus = &self.bus;
        let revision = Reg::<_, REVISION::Register>::new(bus, SYS_REV_CTRL).extract();
        let port = Reg::<_, PORT::Register>::new(bus, SYS_PORT_CTRL).extract();
        writeln!(
            out,
            "GENET    revision {:#010x} (major {}, minor {}), port mode {}",
            revision.get(),
            revision.read(REVISION::MAJOR),
            revision.read(REVISION::MINOR),
            port.read(PORT::MODE),
        )?;
        let command = Reg::<_, CMD::Register>::new(bus, UMAC_CMD).extract();
        write!(out, "UMAC_CMD {:#010x}: ", command.get())?;
        out.write_str(match command.read(CMD::SPEED) {
            0 => "10 Mb/s",
            1 => "100 Mb/s",
            2 => "1000 Mb/s",
            _ => "2500 Mb/s",
        })?;
        flag(out, command.is_set(CMD::HD_EN), "half duplex")?;
        flag(out, command.is_set(CMD::TX_EN), "TX on")?;
        flag(out, command.is_set(CMD::RX_EN), "RX on")?;
        flag(out, command.is_set(CMD::PROMISC), "promiscuous")?;
        flag(out, command.is_set(CMD::CRC_FWD), "FCS kept")?;
        flag(out, command.is_set(CMD::LCL_LOOP_EN), "looped")?;
        flag(out, command.is_set(CMD::SW_RESET), "in reset")?;
        let rgmii = Reg::<_, RGMII::Register>::new(bus, EXT_RGMII_OOB_CTRL).extract();
        write!(out, "\nRGMII    {:#010x}:", rgmii.get())?;
        out.write_str(if rgmii.is_set(RGMII::MODE_EN) { " on" } else { " off" })?;
        flag(out, rgmii.is_set(RGMII::LINK), "link")?;
        flag(out, rgmii.is_set(RGMII::OOB_DISABLE), "out-of-band status disabled")?;
        flag(out, !rgmii.is_set(RGMII::ID_MODE_DIS), "TXC delayed by the controller")?;
        writeln!(
            out,
            "\nFILTER   control {:#07x}, RBUF_CTRL {:#x}, TBUF_CTRL {:#x}",
            bus.read32(UMAC_MDF_CTRL),
            bus.read32(RBUF_CTRL),
            bus.read32(TBUF_CTRL)
        )?;
        writeln!(
            out,
            "MIB      {} frames received, {} with wrong FCS, {} lost in RBUF, {} sent",
            bus.read32(UMAC_MIB_RX_FRAMES),
            bus.read32(UMAC_MIB_RX_FCS),
            bus.read32(UMAC_RBUF_OVFL_CNT),
            bus.read32(UMAC_MIB_TX_FRAMES)
        )
    }
}

fn flag(out: &mut dyn fmt::Write, set: bool, meaning: &str) -> fmt::Result {
    if set { write!(out, ", {meaning}") } else { Ok(()) }
}

fn dump_engine<B: Bus>(bus: B, name: &str, engine: Engine, out: &mut dyn fmt::Write) -> fmt::Result {
    let ctrl = Reg::<_, DMA_CTRL::Register>::new(&bus, engine.ctrl()).extract();
    let status = Reg::<_, DMA_STATUS::Register>::new(&bus, engine.status()).extract();
    let index = Reg::<_, HARDWARE_INDEX::Register>::new(&bus, engine.hardware_index()).extract();
    writeln!(
        out,
        "{name}     ctrl {:#07x} ({}, rings {:#07x}), status {:#x} ({}), hardware at {}, driver at {}, discarded {}",
        ctrl.get(),
        if ctrl.is_set(DMA_CTRL::EN) { "on" } else { "off" },
        ctrl.read(DMA_CTRL::RINGS),
        status.get(),
        if status.is_set(DMA_STATUS::DISABLED) { "stopped" } else { "runs" },
        index.read(HARDWARE_INDEX::INDEX),
        bus.read32(engine.driver_index()) & 0xffff,
        index.read(HARDWARE_INDEX::DISCARDS),
    )
}
