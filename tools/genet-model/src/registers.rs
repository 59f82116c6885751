//! Where the registers are and what their bits mean (GENET v5), and their names for the log.
//!
//! Offsets and bits: Linux `drivers/net/ethernet/broadcom/genet/bcmgenet.h` and `unimac.h`, U-Boot `drivers/net/bcmgenet.c`.

/// Bytes in the register window.
pub const WINDOW: u32 = 0x1_0000;

pub(crate) const SYS_REV_CTRL: u32 = 0x000;
pub(crate) const SYS_PORT_CTRL: u32 = 0x004;
pub(crate) const SYS_RBUF_FLUSH_CTRL: u32 = 0x008;
pub(crate) const SYS_TBUF_FLUSH_CTRL: u32 = 0x00c;
pub(crate) const EXT: u32 = 0x080;
pub(crate) const EXT_RGMII_OOB_CTRL: u32 = 0x08c;
pub(crate) const INTRL2_0: u32 = 0x200;
pub(crate) const INTRL2_1: u32 = 0x240;
pub(crate) const RBUF: u32 = 0x300;
pub(crate) const RBUF_CTRL: u32 = 0x300;
pub(crate) const RBUF_CHK_CTRL: u32 = 0x314;
pub(crate) const RBUF_TBUF_SIZE_CTRL: u32 = 0x3b4;
pub(crate) const TBUF_CTRL: u32 = 0x600;
pub(crate) const UMAC: u32 = 0x800;
pub(crate) const UMAC_CMD: u32 = 0x808;
pub(crate) const UMAC_MAC0: u32 = 0x80c;
pub(crate) const UMAC_MAC1: u32 = 0x810;
pub(crate) const UMAC_MAX_FRAME_LEN: u32 = 0x814;
pub(crate) const UMAC_TX_FLUSH: u32 = 0xb34;
pub(crate) const UMAC_MIB: u32 = 0xc00;
pub(crate) const UMAC_MIB_CTRL: u32 = 0xd80;
pub(crate) const MDIO_CMD: u32 = 0xe14;
pub(crate) const UMAC_RBUF_OVFL_CNT: u32 = 0xe1c;
pub(crate) const UMAC_RBUF_ERR_CNT: u32 = 0xe34;
pub(crate) const UMAC_MDF_ERR_CNT: u32 = 0xe38;
pub(crate) const UMAC_MDF_CTRL: u32 = 0xe50;
pub(crate) const UMAC_MDF_ADDR: u32 = 0xe54;
/// One past the last word of the 17 filter addresses.
pub(crate) const UMAC_MDF_END: u32 = UMAC_MDF_ADDR + 17 * 8;
pub(crate) const RDMA: u32 = 0x2000;
pub(crate) const TDMA: u32 = 0x4000;
/// Bytes of one direction's block: descriptors, 17 rings, common registers.
pub(crate) const DMA_BLOCK: u32 = 0x1100;
pub(crate) const HFB: u32 = 0x8000;
pub(crate) const HFB_END: u32 = 0xe000;
pub(crate) const HFB_REG: u32 = 0xfc00;

pub(crate) const PORT_MODE_MASK: u32 = 0x1f;
pub(crate) const PORT_MODE_EXT_GPHY: u32 = 3;

pub(crate) const FLUSH_RX: u32 = 1 << 0;
pub(crate) const FLUSH_UMAC_RESET: u32 = 1 << 1;

pub(crate) const RGMII_LINK: u32 = 1 << 4;
pub(crate) const OOB_DISABLE: u32 = 1 << 5;
pub(crate) const RGMII_MODE_EN: u32 = 1 << 6;
pub(crate) const ID_MODE_DIS: u32 = 1 << 16;

pub(crate) const RBUF_64B_EN: u32 = 1 << 0;
pub(crate) const RBUF_ALIGN_2B: u32 = 1 << 1;
pub(crate) const RBUF_BAD_DIS: u32 = 1 << 2;
pub(crate) const RBUF_RXCHK_EN: u32 = 1 << 0;
pub(crate) const TBUF_64B_EN: u32 = 1 << 0;

pub(crate) const CMD_TX_EN: u32 = 1 << 0;
pub(crate) const CMD_RX_EN: u32 = 1 << 1;
pub(crate) const CMD_SPEED_SHIFT: u32 = 2;
pub(crate) const CMD_PROMISC: u32 = 1 << 4;
pub(crate) const CMD_CRC_FWD: u32 = 1 << 6;
pub(crate) const CMD_HD_EN: u32 = 1 << 10;
pub(crate) const CMD_SW_RESET: u32 = 1 << 13;
pub(crate) const CMD_LCL_LOOP_EN: u32 = 1 << 15;
pub(crate) const CMD_RUNT_FILTER_DIS: u32 = 1 << 30;

pub(crate) const MDIO_START_BUSY: u32 = 1 << 29;
pub(crate) const MDIO_READ_FAIL: u32 = 1 << 28;

pub(crate) const DMA_EN: u32 = 1 << 0;
pub(crate) const DMA_RING_EN_SHIFT: u32 = 1;
pub(crate) const DMA_DISABLED: u32 = 1 << 0;

pub(crate) const DESC_EOP: u32 = 0x4000;
pub(crate) const DESC_SOP: u32 = 0x2000;
pub(crate) const TX_APPEND_CRC: u32 = 0x0040;
pub(crate) const TX_DO_CSUM: u32 = 0x0010;
pub(crate) const RX_BROADCAST: u32 = 0x0040;
pub(crate) const RX_MULTICAST: u32 = 0x0020;
pub(crate) const RX_LONG: u32 = 0x0010;
pub(crate) const RX_ERROR: u32 = 0x0004;
pub(crate) const RX_CRC_ERROR: u32 = 0x0002;

/// What a register is called in the Linux driver; its block's name where it has none here; "no register" where the model knows of none.
pub fn name(offset: u32) -> &'static str {
    match offset {
        SYS_REV_CTRL => "SYS_REV_CTRL",
        SYS_PORT_CTRL => "SYS_PORT_CTRL",
        SYS_RBUF_FLUSH_CTRL => "SYS_RBUF_FLUSH_CTRL",
        SYS_TBUF_FLUSH_CTRL => "SYS_TBUF_FLUSH_CTRL",
        EXT_RGMII_OOB_CTRL => "EXT_RGMII_OOB_CTRL",
        RBUF_CTRL => "RBUF_CTRL",
        RBUF_CHK_CTRL => "RBUF_CHK_CTRL",
        RBUF_TBUF_SIZE_CTRL => "RBUF_TBUF_SIZE_CTRL",
        TBUF_CTRL => "TBUF_CTRL",
        UMAC_CMD => "UMAC_CMD",
        UMAC_MAC0 => "UMAC_MAC0",
        UMAC_MAC1 => "UMAC_MAC1",
        UMAC_MAX_FRAME_LEN => "UMAC_MAX_FRAME_LEN",
        UMAC_TX_FLUSH => "UMAC_TX_FLUSH",
        UMAC_MIB_CTRL => "UMAC_MIB_CTRL",
        MDIO_CMD => "UMAC_MDIO_CMD",
        UMAC_MDF_CTRL => "UMAC_MDF_CTRL",
        RDMA..TDMA => dma_name(offset - RDMA, true),
        TDMA..0x6000 => dma_name(offset - TDMA, false),
        _ => block_name(offset),
    }
}

fn block_name(offset: u32) -> &'static str {
    match offset {
        UMAC_MDF_ADDR..UMAC_MDF_END => "UMAC_MDF_ADDR",
        _ if offset < 0x40 => "SYS",
        _ if (EXT..0x100).contains(&offset) => "EXT",
        _ if (INTRL2_0..INTRL2_1).contains(&offset) => "INTRL2_0",
        _ if (INTRL2_1..0x280).contains(&offset) => "INTRL2_1",
        _ if (RBUF..0x400).contains(&offset) => "RBUF",
        _ if (TBUF_CTRL..0x700).contains(&offset) => "TBUF",
        _ if (UMAC..0x1000).contains(&offset) => "UMAC",
        _ if (HFB..HFB_END).contains(&offset) => "HFB filter",
        _ if (HFB_REG..0xfd00).contains(&offset) => "HFB_REG",
        _ => "no register",
    }
}

fn dma_name(offset: u32, receive: bool) -> &'static str {
    let (rx, tx) = match offset {
        0..0xc00 => ("RX descriptor", "TX descriptor"),
        0xc00..0x1040 => match offset & 0x3f {
            0x00 => ("RDMA_WRITE_PTR", "TDMA_READ_PTR"),
            0x08 => ("RDMA_PROD_INDEX", "TDMA_CONS_INDEX"),
            0x0c => ("RDMA_CONS_INDEX", "TDMA_PROD_INDEX"),
            0x10 => ("RDMA DMA_RING_BUF_SIZE", "TDMA DMA_RING_BUF_SIZE"),
            0x14 | 0x18 => ("RDMA DMA_START_ADDR", "TDMA DMA_START_ADDR"),
            0x1c | 0x20 => ("RDMA DMA_END_ADDR", "TDMA DMA_END_ADDR"),
            0x24 => ("RDMA DMA_MBUF_DONE_THRESH", "TDMA DMA_MBUF_DONE_THRESH"),
            0x28 => ("RDMA_XON_XOFF_THRESH", "TDMA_FLOW_PERIOD"),
            0x2c => ("RDMA_READ_PTR", "TDMA_WRITE_PTR"),
            _ => ("RDMA ring", "TDMA ring"),
        },
        0x1040 => ("RDMA_RING_CFG", "TDMA_RING_CFG"),
        0x1044 => ("RDMA_CTRL", "TDMA_CTRL"),
        0x1048 => ("RDMA_STATUS", "TDMA_STATUS"),
        0x104c => ("RDMA_SCB_BURST_SIZE", "TDMA_SCB_BURST_SIZE"),
        _ => ("RDMA", "TDMA"),
    };
    if receive { rx } else { tx }
}
