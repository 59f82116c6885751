//! Where a register access goes.

use crate::genet::Genet;
use crate::mdio::Command;
use crate::refusal::{Access, Direction, Reason};
use crate::registers::*;

/// GENET v5 (major revision 6 in the register means 5).
const REVISION: u32 = 0x0600_0000;
/// Offset of the copies of the statistics that RBUF keeps: overflows and errors (Linux, RBUF_OVFL_CNT_V3PLUS).
const RBUF_OVERFLOWS: u32 = RBUF + 0x94;
const RBUF_ERRORS: u32 = RBUF + 0x98;

impl Genet {
    pub(crate) fn read_register(&mut self, offset: u32) -> u32 {
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

    pub(crate) fn write_register(&mut self, offset: u32, value: u32) {
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
