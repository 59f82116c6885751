//! Where the registers are and what they are made of.
//!
//! There is no public manual of GENET v5. Offsets and bits are facts gathered from the drivers that are known to work on the
//! board: Linux `drivers/net/ethernet/broadcom/genet/bcmgenet.h` and `bcmgenet.c` (its v3plus/v4 tables), `drivers/net/mdio/
//! mdio-bcm-unimac.c`, U-Boot `drivers/net/bcmgenet.c`, EDK2 `BcmGenetDxe`, NetBSD `sys/dev/ic/bcmgenet.c`. They agree on
//! every offset below. All offsets are in bytes from the controller's base (0xfd580000 on the BCM2711).

use tock_registers::register_bitfields;

/// Size in bytes of the controller's register window.
pub const WINDOW: usize = 0x1_0000;

/// System block: revision.
pub(super) const SYS_REV_CTRL: usize = 0x000;
/// System block: which PHY port is used.
pub(super) const SYS_PORT_CTRL: usize = 0x004;
/// System block: flush and reset of the receive buffer.
pub(super) const SYS_RBUF_FLUSH_CTRL: usize = 0x008;
/// External block: RGMII.
pub(super) const EXT_RGMII_OOB_CTRL: usize = 0x08c;

/// The two interrupt controllers.
pub(super) const INTRL2: [usize; 2] = [0x200, 0x240];
/// In an interrupt controller: write 1 to clear.
pub(super) const INTRL2_CPU_CLEAR: usize = 0x08;
/// In an interrupt controller: write 1 to mask.
pub(super) const INTRL2_CPU_MASK_SET: usize = 0x10;

/// Receive buffer control.
pub(super) const RBUF_CTRL: usize = 0x300;
/// Sizes of receive and transmit buffer; 1 on every version from 3 on.
pub(super) const RBUF_TBUF_SIZE_CTRL: usize = 0x3b4;
/// Transmit buffer control.
pub(super) const TBUF_CTRL: usize = 0x600;

/// UniMAC: command.
pub(super) const UMAC_CMD: usize = 0x808;
/// UniMAC: station address, first four octets, first one in bits 31:24. Used for pause frames, not for filtering.
pub(super) const UMAC_MAC0: usize = 0x80c;
/// UniMAC: station address, last two octets in bits 15:0.
pub(super) const UMAC_MAC1: usize = 0x810;
/// UniMAC: longest frame that is not flagged, frame check sequence included.
pub(super) const UMAC_MAX_FRAME_LEN: usize = 0x814;
/// UniMAC: bit 0 flushes the transmit FIFO while it is set.
pub(super) const UMAC_TX_FLUSH: usize = 0xb34;
/// UniMAC statistics: frames received, bad ones included.
pub(super) const UMAC_MIB_RX_FRAMES: usize = 0xc28;
/// UniMAC statistics: frames received with a wrong frame check sequence.
pub(super) const UMAC_MIB_RX_FCS: usize = 0xc38;
/// UniMAC statistics: frames sent.
pub(super) const UMAC_MIB_TX_FRAMES: usize = 0xca8;
/// UniMAC: bits 2:0 reset the statistics while they are set.
pub(super) const UMAC_MIB_CTRL: usize = 0xd80;
/// UniMAC: MDIO command and data.
pub(super) const UMAC_MDIO_CMD: usize = 0xe14;
/// UniMAC: MDIO clock.
pub(super) const UMAC_MDIO_CFG: usize = 0xe18;
/// UniMAC: frames lost because the receive buffer overflowed, before any ring saw them.
pub(super) const UMAC_RBUF_OVFL_CNT: usize = 0xe1c;
/// UniMAC: bit 16 - n lets address n of the filter through.
pub(super) const UMAC_MDF_CTRL: usize = 0xe50;
/// UniMAC: the filter's addresses, two words each: octets 0-1 in bits 15:0, then octets 2-5.
pub(super) const UMAC_MDF_ADDR: usize = 0xe54;

/// Hardware filter block: control. 0: every frame goes to the default queue.
pub(super) const HFB_CTRL: usize = 0xfc00;

/// Descriptors in each direction.
pub(super) const DESCRIPTORS: usize = 256;
/// Size of a descriptor in 32-bit words, the unit of the ring's start, end, read and write pointers.
pub(super) const DESCRIPTOR_WORDS: u32 = 3;
/// The default queue, which needs no filter.
pub(super) const DEFAULT_RING: usize = 16;

/// In a descriptor: length and status.
pub(super) const DESCRIPTOR_STATUS: usize = 0x0;
/// In a descriptor: device address of the buffer, bits 31:0.
pub(super) const DESCRIPTOR_ADDRESS_LOW: usize = 0x4;
/// In a descriptor: device address of the buffer, bits 63:32.
pub(super) const DESCRIPTOR_ADDRESS_HIGH: usize = 0x8;

/// One direction's DMA engine: where its descriptors and registers are. The two directions mirror each other: what the hardware
/// counts on in one (`hardware_*`), the driver counts on in the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Engine {
    /// First descriptor.
    pub descriptors: usize,
    /// Registers of the default ring.
    pub ring: usize,
    /// Registers of the engine.
    pub control: usize,
}

/// Receive DMA.
pub(super) const RDMA: Engine = Engine::at(0x2000);
/// Transmit DMA.
pub(super) const TDMA: Engine = Engine::at(0x4000);

impl Engine {
    const fn at(base: usize) -> Self {
        let rings = base + DESCRIPTORS * DESCRIPTOR_WORDS as usize * 4;
        Self { descriptors: base, ring: rings + DEFAULT_RING * 0x40, control: rings + (DEFAULT_RING + 1) * 0x40 }
    }
    /// The descriptor of slot `index % 256`.
    pub const fn descriptor(self, index: u16) -> usize {
        self.descriptors + (index as usize % DESCRIPTORS) * DESCRIPTOR_WORDS as usize * 4
    }
    /// The pointer that the hardware moves (RDMA_WRITE_PTR, TDMA_READ_PTR), low half; the high half follows.
    pub const fn hardware_pointer(self) -> usize {
        self.ring
    }
    /// The index that the hardware moves (RDMA_PROD_INDEX, TDMA_CONS_INDEX).
    pub const fn hardware_index(self) -> usize {
        self.ring + 0x08
    }
    /// The index that the driver moves (RDMA_CONS_INDEX, TDMA_PROD_INDEX).
    pub const fn driver_index(self) -> usize {
        self.ring + 0x0c
    }
    /// DMA_RING_BUF_SIZE: descriptors in bits 31:16, bytes of a buffer in 15:0.
    pub const fn buffer_size(self) -> usize {
        self.ring + 0x10
    }
    /// DMA_START_ADDR in words, low half; the high half follows.
    pub const fn start(self) -> usize {
        self.ring + 0x14
    }
    /// DMA_END_ADDR in words, low half; the high half follows.
    pub const fn end(self) -> usize {
        self.ring + 0x1c
    }
    /// DMA_MBUF_DONE_THRESH: frames per interrupt.
    pub const fn done_threshold(self) -> usize {
        self.ring + 0x24
    }
    /// RDMA_XON_XOFF_THRESH, TDMA_FLOW_PERIOD.
    pub const fn flow(self) -> usize {
        self.ring + 0x28
    }
    /// The pointer that belongs to the driver's index (RDMA_READ_PTR, TDMA_WRITE_PTR), low half; the high half follows.
    pub const fn driver_pointer(self) -> usize {
        self.ring + 0x2c
    }
    /// DMA_RING_CFG: bit n makes ring n a descriptor ring.
    pub const fn ring_config(self) -> usize {
        self.control
    }
    /// DMA_CTRL.
    pub const fn ctrl(self) -> usize {
        self.control + 0x04
    }
    /// DMA_STATUS.
    pub const fn status(self) -> usize {
        self.control + 0x08
    }
    /// DMA_SCB_BURST_SIZE. The BCM2711 bears 8 at most (Linux, compatible brcm,bcm2711-genet-v5).
    pub const fn burst_size(self) -> usize {
        self.control + 0x0c
    }
}

register_bitfields![u32,
    pub(super) REVISION [
        MAJOR OFFSET(24) NUMBITS(4) [ V5 = 6 ],
        MINOR OFFSET(16) NUMBITS(4) [],
    ],
    pub(super) PORT [
        MODE OFFSET(0) NUMBITS(5) [ ExternalGphy = 3 ],
    ],
    pub(super) RBUF_FLUSH [
        FLUSH OFFSET(0) NUMBITS(1) [],
        RESET OFFSET(1) NUMBITS(1) [],
    ],
    pub(super) RGMII [
        LINK OFFSET(4) NUMBITS(1) [],
        OOB_DISABLE OFFSET(5) NUMBITS(1) [],
        MODE_EN OFFSET(6) NUMBITS(1) [],
        ID_MODE_DIS OFFSET(16) NUMBITS(1) [],
    ],
    pub(super) RBUF [
        STATUS_64B_EN OFFSET(0) NUMBITS(1) [],
        ALIGN_2B OFFSET(1) NUMBITS(1) [],
    ],
    pub(super) TBUF [
        STATUS_64B_EN OFFSET(0) NUMBITS(1) [],
    ],
    pub(super) CMD [
        TX_EN OFFSET(0) NUMBITS(1) [],
        RX_EN OFFSET(1) NUMBITS(1) [],
        SPEED OFFSET(2) NUMBITS(2) [ Mb10 = 0, Mb100 = 1, Mb1000 = 2 ],
        PROMISC OFFSET(4) NUMBITS(1) [],
        CRC_FWD OFFSET(6) NUMBITS(1) [],
        RX_PAUSE_IGNORE OFFSET(8) NUMBITS(1) [],
        HD_EN OFFSET(10) NUMBITS(1) [],
        SW_RESET OFFSET(13) NUMBITS(1) [],
        LCL_LOOP_EN OFFSET(15) NUMBITS(1) [],
        TX_PAUSE_IGNORE OFFSET(28) NUMBITS(1) [],
    ],
    pub(super) MIB [
        RESET OFFSET(0) NUMBITS(3) [],
    ],
    pub(super) MDIO [
        DATA OFFSET(0) NUMBITS(16) [],
        REGISTER OFFSET(16) NUMBITS(5) [],
        PHY OFFSET(21) NUMBITS(5) [],
        OPERATION OFFSET(26) NUMBITS(2) [ Write = 1, Read = 2 ],
        READ_FAIL OFFSET(28) NUMBITS(1) [],
        START_BUSY OFFSET(29) NUMBITS(1) [],
    ],
    pub(super) MDIO_CFG [
        CLOCK_DIVIDER OFFSET(4) NUMBITS(6) [],
    ],
    pub(super) DMA_CTRL [
        EN OFFSET(0) NUMBITS(1) [],
        RINGS OFFSET(1) NUMBITS(17) [ Default = 0x1_0000 ],
    ],
    pub(super) DMA_STATUS [
        DISABLED OFFSET(0) NUMBITS(1) [],
    ],
    pub(super) HARDWARE_INDEX [
        INDEX OFFSET(0) NUMBITS(16) [],
        DISCARDS OFFSET(16) NUMBITS(16) [],
    ],
    pub(super) DESCRIPTOR [
        OVERRUN OFFSET(0) NUMBITS(1) [],
        CRC_ERROR OFFSET(1) NUMBITS(1) [],
        RECEIVE_ERROR OFFSET(2) NUMBITS(1) [],
        NOT_OCTETS OFFSET(3) NUMBITS(1) [],
        TOO_LONG OFFSET(4) NUMBITS(1) [],
        APPEND_CRC OFFSET(6) NUMBITS(1) [],
        QTAG OFFSET(7) NUMBITS(6) [],
        SOP OFFSET(13) NUMBITS(1) [],
        EOP OFFSET(14) NUMBITS(1) [],
        LENGTH OFFSET(16) NUMBITS(12) [],
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_lie_where_u_boot_and_barebox_have_them() {
        assert_eq!((RDMA.descriptor(0), RDMA.ring, RDMA.control), (0x2000, 0x3000, 0x3040));
        assert_eq!((TDMA.descriptor(0), TDMA.ring, TDMA.control), (0x4000, 0x5000, 0x5040));
        assert_eq!(RDMA.hardware_index(), 0x3008);
        assert_eq!(RDMA.driver_index(), 0x300c);
        assert_eq!(TDMA.driver_pointer(), 0x502c);
        assert_eq!(TDMA.ctrl(), 0x5044);
        assert_eq!(RDMA.status(), 0x3048);
        assert_eq!(RDMA.burst_size(), 0x304c);
    }

    #[test]
    fn a_descriptors_place_follows_from_the_index_modulo_the_ring() {
        assert_eq!(RDMA.descriptor(255), 0x2000 + 255 * 12);
        assert_eq!(RDMA.descriptor(256), 0x2000);
        assert_eq!(TDMA.descriptor(u16::MAX), 0x4000 + 255 * 12);
    }
}
