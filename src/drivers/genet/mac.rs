//! The UniMAC and what sits around it: reset, filter, speed, the controller's side of RGMII.

use super::broadcom::TransmitDelay;
use super::error::Error;
use super::registers::*;
use crate::mmio::{Bus, Reg};
use crate::time::{Clock, Duration};
use tock_registers::interfaces::{ReadWriteable, Readable, Writeable};

/// How long reset and flush bits are held; all drivers take 2 to 10 µs.
const SETTLE: Duration = Duration::from_micros(10);
/// UniMAC stops between two frames, and its FIFO has to run empty: a full frame at 10 Mb/s takes 1.2 ms.
const FRAME_BOUNDARY: Duration = Duration::from_millis(2);
/// How much the transmit FIFO is taken to hold, generously: 4 KiB and the gaps between frames. (Linux waits 10 ms, which is 12 KiB
/// at 10 Mb/s and a waste at gigabit.)
const TRANSMIT_FIFO_BITS: u64 = 4096 * 8 * 5 / 4;
/// The longest frame that is not flagged, frame check sequence included: 1518, a VLAN tag, Broadcom's tag, rounded up as Linux does.
const MAX_FRAME: u32 = 1536;
/// Filter addresses 0 and 1 (the bits count down from 16).
const FILTER_TWO: u32 = 0x1_8000;
/// The address that every station listens to.
const BROADCAST: [u8; 6] = [0xff; 6];

/// UniMAC, buffers and RGMII block of a controller.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mac<B: Bus + Copy, C: Clock + Copy> {
    bus: B,
    clock: C,
}

impl<B: Bus + Copy, C: Clock + Copy> Mac<B, C> {
    pub const fn new(bus: B, clock: C) -> Self {
        Self { bus, clock }
    }

    fn command(&self) -> Reg<'_, B, CMD::Register> {
        Reg::new(&self.bus, UMAC_CMD)
    }

    fn rgmii(&self) -> Reg<'_, B, RGMII::Register> {
        Reg::new(&self.bus, EXT_RGMII_OOB_CTRL)
    }

    /// Checks that this is a GENET v5; returns the revision register.
    pub fn identify(&self) -> Result<u32, Error> {
        let revision = Reg::<_, REVISION::Register>::new(&self.bus, SYS_REV_CTRL).extract();
        if revision.matches_all(REVISION::MAJOR::V5) {
            Ok(revision.get())
        } else {
            Err(Error::Revision { found: revision.get() })
        }
    }

    /// Masks and clears all interrupts: everything is polled, and nothing pending may reach what runs after the loader.
    pub fn mask_interrupts(&self) {
        for controller in INTRL2 {
            self.bus.write32(controller + INTRL2_CPU_MASK_SET, u32::MAX);
            self.bus.write32(controller + INTRL2_CPU_CLEAR, u32::MAX);
        }
    }

    /// Stops the receiver at a frame boundary. Leaves time for the transmit FIFO to run empty, too.
    pub fn stop_receiver(&self) {
        let command = self.command().extract();
        if command.any_matching_bits_set(CMD::RX_EN::SET + CMD::TX_EN::SET) {
            self.command().modify(CMD::RX_EN::CLEAR);
            self.clock.delay(FRAME_BOUNDARY);
        }
    }

    /// Stops the transmitter once what it has taken is on the wire, and empties its FIFO. Wanted after transmit DMA has stopped.
    pub fn stop_transmitter(&self) {
        let command = self.command().extract();
        if command.is_set(CMD::TX_EN) {
            // An empty ring says that the FIFO has the last frame, not that the wire has; nothing tells how full it is.
            let megabits = match command.read_as_enum(CMD::SPEED) {
                Some(CMD::SPEED::Value::Mb1000) => 1000,
                Some(CMD::SPEED::Value::Mb100) => 100,
                _ => 10,
            };
            self.clock.delay(Duration::from_micros(TRANSMIT_FIFO_BITS / megabits));
        }
        self.command().modify(CMD::TX_EN::CLEAR);
        self.bus.write32(UMAC_TX_FLUSH, 1);
        self.clock.delay(SETTLE);
        self.bus.write32(UMAC_TX_FLUSH, 0);
    }

    /// The transmitter goes on after [`stop_transmitter`](Self::stop_transmitter), at the speed that it had.
    pub fn resume_transmitter(&self) {
        self.command().modify(CMD::TX_EN::SET);
    }

    /// Empties the receive FIFO. Wanted after receive DMA has stopped.
    pub fn flush_receiver(&self) {
        let flush = Reg::<_, RBUF_FLUSH::Register>::new(&self.bus, SYS_RBUF_FLUSH_CTRL);
        flush.modify(RBUF_FLUSH::FLUSH::SET);
        self.clock.delay(SETTLE);
        flush.modify(RBUF_FLUSH::FLUSH::CLEAR);
        self.clock.delay(SETTLE);
    }

    /// Selects the external gigabit PHY and starts the RGMII block with the given delays. Before [`reset`](Self::reset), which
    /// needs a running transmit clock.
    pub fn connect(&self, delay: TransmitDelay) {
        Reg::<_, PORT::Register>::new(&self.bus, SYS_PORT_CTRL).write(PORT::MODE::ExternalGphy);
        self.rgmii().modify(RGMII::OOB_DISABLE::CLEAR + RGMII::LINK::CLEAR + RGMII::MODE_EN::SET);
        self.set_delay(delay);
    }

    /// Programs the controller's side of the RGMII delays.
    pub fn set_delay(&self, delay: TransmitDelay) {
        self.rgmii().modify(match delay {
            TransmitDelay::Controller => RGMII::ID_MODE_DIS::CLEAR,
            TransmitDelay::Phy => RGMII::ID_MODE_DIS::SET,
        });
    }

    /// Resets UniMAC. The reset bit does not clear by itself, and the reset needs running clocks: the local loop makes the
    /// receive side run on the transmit clock, which over RGMII is the controller's own. (Linux 88f6c8bf1aae keeps the
    /// reset until the PHY is up because over MII the transmit clock, too, comes from the PHY; a Pi 4 has no MII.)
    pub fn reset(&self) {
        let flush = Reg::<_, RBUF_FLUSH::Register>::new(&self.bus, SYS_RBUF_FLUSH_CTRL);
        flush.write(RBUF_FLUSH::RESET::SET);
        self.clock.delay(SETTLE);
        flush.write(RBUF_FLUSH::RESET::CLEAR);
        self.clock.delay(SETTLE);

        self.command().set(0);
        self.command().write(CMD::SW_RESET::SET + CMD::LCL_LOOP_EN::SET);
        self.clock.delay(SETTLE);
        self.command().set(0);
    }

    /// Programs what does not depend on the link. Receiver and transmitter stay off.
    ///
    /// Two bytes before each received frame (RBUF_ALIGN_2B), as every known driver has it: they put the IP header on a multiple of 4
    /// and TFTP's data on a multiple of 16. No 64-byte status blocks, neither way: nothing here uses their checksums.
    pub fn configure(&self, address: [u8; 6]) {
        let mib = Reg::<_, MIB::Register>::new(&self.bus, UMAC_MIB_CTRL);
        mib.write(MIB::RESET.val(7));
        mib.write(MIB::RESET::CLEAR);
        self.bus.write32(UMAC_MAX_FRAME_LEN, MAX_FRAME);
        let (high, low) = split_four_two(address);
        self.bus.write32(UMAC_MAC0, high);
        self.bus.write32(UMAC_MAC1, low);
        Reg::<_, RBUF::Register>::new(&self.bus, RBUF_CTRL).modify(RBUF::STATUS_64B_EN::CLEAR + RBUF::ALIGN_2B::SET);
        Reg::<_, TBUF::Register>::new(&self.bus, TBUF_CTRL).modify(TBUF::STATUS_64B_EN::CLEAR);
        self.bus.write32(RBUF_TBUF_SIZE_CTRL, 1);
        self.bus.write32(HFB_CTRL, 0);
        self.filter([BROADCAST, address]);
    }

    /// Lets frames to the two addresses through and no others.
    ///
    /// The filter rather than promiscuous mode: Linux, EDK2 and NetBSD use it on every boot, and on a busy switch port it keeps strangers'
    /// multicast out of the 256 slots.
    fn filter(&self, addresses: [[u8; 6]; 2]) {
        self.bus.write32(UMAC_MDF_CTRL, 0);
        for (number, address) in addresses.into_iter().enumerate() {
            let (high, low) = split_two_four(address);
            self.bus.write32(UMAC_MDF_ADDR + number * 8, high);
            self.bus.write32(UMAC_MDF_ADDR + number * 8 + 4, low);
        }
        self.bus.write32(UMAC_MDF_CTRL, FILTER_TWO);
    }

    /// Speed, duplex and no pause, then receiver and transmitter on.
    pub fn link_up(&self, megabits: u16, full_duplex: bool) {
        let speed = match megabits {
            1000 => CMD::SPEED::Mb1000,
            100 => CMD::SPEED::Mb100,
            _ => CMD::SPEED::Mb10,
        };
        let duplex = if full_duplex { CMD::HD_EN::CLEAR } else { CMD::HD_EN::SET };
        self.rgmii().modify(RGMII::LINK::SET);
        // UniMAC changes its speed while it is off.
        self.command().modify(CMD::RX_EN::CLEAR + CMD::TX_EN::CLEAR);
        self.command().write(speed + duplex + CMD::RX_PAUSE_IGNORE::SET + CMD::TX_PAUSE_IGNORE::SET);
        self.command().modify(CMD::RX_EN::SET + CMD::TX_EN::SET);
    }

    /// Tells the RGMII block that there is no link.
    pub fn link_down(&self) {
        self.rgmii().modify(RGMII::LINK::CLEAR);
    }

    /// What a driver that assumes registers in their reset state must not find: addresses in the filter, an alignment of received
    /// frames, a link, an interrupt of what the last frames brought.
    pub fn leave(&self) {
        self.mask_interrupts();
        self.link_down();
        self.bus.write32(UMAC_MDF_CTRL, 0);
        Reg::<_, RBUF::Register>::new(&self.bus, RBUF_CTRL).modify(RBUF::ALIGN_2B::CLEAR);
    }
}

/// An address as UMAC_MAC0 and UMAC_MAC1 want it.
const fn split_four_two([a, b, c, d, e, f]: [u8; 6]) -> (u32, u32) {
    (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([0, 0, e, f]))
}

/// An address as the filter wants it.
const fn split_two_four([a, b, c, d, e, f]: [u8; 6]) -> (u32, u32) {
    (u32::from_be_bytes([0, 0, a, b]), u32::from_be_bytes([c, d, e, f]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_registers_for_an_address_split_it_differently() {
        let address = [0xdc, 0xa6, 0x32, 0x01, 0x02, 0x03];
        assert_eq!(split_four_two(address), (0xdca6_3201, 0x0203));
        assert_eq!(split_two_four(address), (0xdca6, 0x3201_0203));
    }
}
