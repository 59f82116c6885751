//! The refusal log: whatever a driver asked for that silicon would not do, why, and which register access it was.

use crate::moment::Moment;
use crate::registers;
use std::fmt;

/// Receive or transmit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// RDMA: from the wire to memory.
    Receive,
    /// TDMA: from memory to the wire.
    Transmit,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Receive => "RX",
            Self::Transmit => "TX",
        })
    }
}

/// The access that led to a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A register read at this offset.
    Read(u32),
    /// A register write of this value at this offset.
    Write(u32, u32),
    /// No access: something that the controller did on its own (a descriptor taken up, a frame from the wire).
    Controller,
    /// The driver's CPU touched DMA memory (host bench only).
    Memory,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Read(offset) => write!(f, "read of {} ({offset:#06x})", registers::name(offset)),
            Self::Write(offset, value) => {
                write!(f, "write of {value:#010x} to {} ({offset:#06x})", registers::name(offset))
            }
            Self::Controller => f.write_str("in the controller"),
            Self::Memory => f.write_str("in DMA memory"),
        }
    }
}

/// Why something was refused. The text of each is its `Display`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each variant's line says what its fields are")]
pub enum Reason {
    /// An offset where no register is known, or that is not a multiple of 4.
    NoRegister,
    /// A register that only the hardware writes.
    ReadOnly,
    /// RDMA_PROD_INDEX or TDMA_CONS_INDEX written while the ring's enable bit in DMA_CTRL is set: the index stays.
    IndexWhileEnabled { ring: u8, kept: u16 },
    /// Ring geometry (START, END, BUF_SIZE, RING_CFG, burst) written while the ring runs.
    GeometryWhileRunning { ring: u8 },
    /// START/END and the size in DMA_RING_BUF_SIZE do not agree, or leave descriptor RAM.
    RingGeometry { ring: u8, descriptors: u32, size: u32 },
    /// DMA_CTRL enables a ring that RING_CFG does not have.
    RingNotConfigured { ring: u8 },
    /// RX buffers of length 0.
    NoBufferLength { ring: u8 },
    /// PROD - CONS is more than the ring has descriptors.
    IndexOverrun { direction: Direction, ring: u8, ahead: u16, size: u16 },
    /// The driver consumed more than was produced.
    ConsumedTooMuch { ring: u8, consumed: u16, produced: u16 },
    /// DMA enabled with a burst length other than 8 (BCM2711's limit).
    Burst { direction: Direction, burst: u32 },
    /// RBUF_TBUF_SIZE_CTRL is not 1.
    BufferSizeControl { value: u32 },
    /// A write while the MDIO bus is busy.
    MdioBusy,
    /// An MDIO transaction that is neither a clause 22 read nor a write.
    MdioOperation { operation: u32 },
    /// A PHY register written while the PHY is in reset.
    PhyInReset { register: u8 },
    /// 1000 Mb/s forced without autonegotiation, which 1000BASE-T does not have.
    ForcedGigabit,
    /// TX_EN or RX_EN set after SW_RESET was released although no receive clock had run (no LCL_LOOP_EN, no link): the MAC is half reset.
    ResetWithoutClock,
    /// A frame while SW_RESET is still set.
    StillInReset { direction: Direction },
    /// A frame through a MAC that was never reset, or only half.
    NeverReset { direction: Direction },
    /// The MAC address written while TX_EN or RX_EN is set.
    AddressWhileEnabled,
    /// SPEED in UMAC_CMD is not the link's.
    WrongSpeed { direction: Direction, programmed: u16, link: u16 },
    /// HD_EN in UMAC_CMD is not the link's duplex.
    WrongDuplex { programmed_half: bool },
    /// SYS_PORT_CTRL does not select the external gigabit PHY.
    WrongPort { direction: Direction, value: u32 },
    /// EXT_RGMII_OOB_CTRL: RGMII_MODE_EN or RGMII_LINK clear, or OOB_DISABLE set.
    RgmiiOff { direction: Direction, value: u32 },
    /// Both ends, or none, delay the transmit clock.
    TransmitDelay { mac: bool, phy: bool },
    /// The PHY does not delay the receive clock, and the MAC cannot.
    ReceiveDelay,
    /// LCL_LOOP_EN left set: frames turn round inside the MAC.
    Loopback { direction: Direction },
    /// UMAC_TX_FLUSH or a flush bit of SYS_RBUF_FLUSH_CTRL left set.
    FlushLeftSet { direction: Direction },
    /// The RBUF flush taken back before it can have happened.
    FlushTooShort { nanoseconds: u32 },
    /// The transmitter or its buffer switched off while frames were on their way through them.
    TransmitterCut { frames: usize },
    /// A TX descriptor chain that does not start with SOP.
    NoStartOfPacket { slot: u16 },
    /// A TX descriptor chain without EOP before PROD.
    NoEndOfPacket { slot: u16 },
    /// TX_APPEND_CRC missing: the frame goes out without a frame check sequence and every receiver drops it.
    NoCrc { slot: u16 },
    /// A frame shorter than 60 bytes under [`ShortFrames::Refuse`](crate::ShortFrames::Refuse).
    Unpadded { slot: u16, length: usize },
    /// A frame shorter than an Ethernet header, or longer than UMAC_MAX_FRAME_LEN.
    FrameLength { slot: u16, length: usize },
    /// DO_CSUM without a transmit status block, or one that points outside the frame.
    Checksum { slot: u16 },
    /// The controller was sent to an address where there is no memory.
    NoMemory { direction: Direction, slot: u16, address: u64 },
    /// A broadcast frame lost because the address filter is on without the broadcast address.
    BroadcastFiltered,
    /// (Bench) The CPU read bytes that the device owns.
    CpuReadOfDeviceLine { address: u64 },
    /// (Bench) The CPU wrote bytes that the device owns.
    CpuWriteOfDeviceLine { address: u64 },
    /// (Bench) The controller read memory that the CPU had not handed over (a missing clean).
    DeviceReadOfCpuLine { address: u64 },
    /// (Bench) The controller wrote memory that the CPU had not handed over (a dirty line may overwrite it).
    DeviceWriteOfCpuLine { address: u64 },
    /// (Bench) `give` or `take` of a range that is not whole cache lines, or not inside the block.
    UnalignedMaintenance { start: usize, end: usize },
    /// (Bench) `take` of lines that the CPU has written since it owns them: the invalidation throws its writes away.
    TakeOfDirtyLine { address: u64 },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoRegister => f.write_str("there is no register"),
            Self::ReadOnly => f.write_str("only the hardware writes this register"),
            Self::IndexWhileEnabled { ring, kept } => {
                write!(f, "ring {ring} is enabled in DMA_CTRL, so its hardware index takes no write and stays {kept}")
            }
            Self::GeometryWhileRunning { ring } => write!(f, "ring {ring} is running, so its geometry takes no write"),
            Self::RingGeometry { ring, descriptors, size } => {
                write!(f, "ring {ring}: START..END holds {descriptors} descriptors but DMA_RING_BUF_SIZE says {size}")
            }
            Self::RingNotConfigured { ring } => write!(f, "ring {ring} is enabled in DMA_CTRL but not in RING_CFG"),
            Self::NoBufferLength { ring } => write!(f, "RX ring {ring} has buffers of 0 bytes"),
            Self::IndexOverrun { direction, ring, ahead, size } => {
                write!(f, "{direction} ring {ring}: PROD is {ahead} ahead of CONS, but the ring has {size} descriptors")
            }
            Self::ConsumedTooMuch { ring, consumed, produced } => {
                write!(f, "RX ring {ring}: CONS {consumed} is ahead of PROD {produced}")
            }
            Self::Burst { direction, burst } => {
                write!(f, "{direction} DMA enabled with a burst of {burst}; BCM2711 wants 8 in SCB_BURST_SIZE")
            }
            Self::BufferSizeControl { value } => write!(f, "DMA enabled with RBUF_TBUF_SIZE_CTRL = {value}, not 1"),
            Self::MdioBusy => f.write_str("the MDIO bus is busy, the write is lost"),
            Self::MdioOperation { operation } => {
                write!(f, "MDIO operation {operation} is neither read (2) nor write (1)")
            }
            Self::PhyInReset { register } => {
                write!(f, "the PHY is in reset, the write to its register {register} is lost")
            }
            Self::ForcedGigabit => f.write_str("1000BASE-T has no forced mode, the link stays down"),
            Self::ResetWithoutClock => f.write_str(
                "SW_RESET released before any receive clock ran (no LCL_LOOP_EN, no link): the MAC is half reset",
            ),
            Self::StillInReset { direction } => {
                write!(f, "{direction} frame lost: SW_RESET is still set, it does not clear itself")
            }
            Self::NeverReset { direction } => write!(f, "{direction} frame lost: the MAC was never (fully) reset"),
            Self::AddressWhileEnabled => f.write_str("the MAC address takes no write while TX_EN or RX_EN is set"),
            Self::WrongSpeed { direction, programmed, link } => {
                write!(f, "{direction} frame lost: UMAC_CMD says {programmed} Mb/s, the link runs at {link}")
            }
            Self::WrongDuplex { programmed_half } => {
                let (mac, link) = if programmed_half { ("half", "full") } else { ("full", "half") };
                write!(f, "UMAC_CMD says {mac} duplex, the link is {link}: late collisions")
            }
            Self::WrongPort { direction, value } => {
                write!(f, "{direction} frame lost: SYS_PORT_CTRL is {value:#x}, the external gigabit PHY is 3")
            }
            Self::RgmiiOff { direction, value } => write!(
                f,
                "{direction} frame lost: EXT_RGMII_OOB_CTRL is {value:#x}; it wants RGMII_MODE_EN and RGMII_LINK set, OOB_DISABLE clear"
            ),
            Self::TransmitDelay { mac: true, phy: true } => f.write_str(
                "TX frame lost: both MAC (ID_MODE_DIS clear) and PHY (GTXCLK delay on) delay the transmit clock",
            ),
            Self::TransmitDelay { .. } => f.write_str(
                "TX frame lost: neither MAC (ID_MODE_DIS set) nor PHY (GTXCLK delay off) delays the transmit clock",
            ),
            Self::ReceiveDelay => {
                f.write_str("RX frame lost: the PHY's RXC skew is off, nobody delays the receive clock")
            }
            Self::Loopback { direction } => write!(f, "{direction} frame lost: LCL_LOOP_EN is still set"),
            Self::FlushLeftSet { direction } => {
                write!(f, "{direction} frame lost: the {direction} flush bit is still set")
            }
            Self::FlushTooShort { nanoseconds } => {
                write!(f, "RBUF flush held for {nanoseconds} ns: nothing is flushed, it takes 10 us")
            }
            Self::TransmitterCut { frames } => write!(
                f,
                "switched off with TX frames not yet on the wire: {frames}; let the ring, then TBUF, run empty first"
            ),
            Self::NoStartOfPacket { slot } => write!(f, "TX descriptor {slot} starts a frame without SOP"),
            Self::NoEndOfPacket { slot } => write!(f, "the frame at TX descriptor {slot} has no EOP before PROD"),
            Self::NoCrc { slot } => {
                write!(
                    f,
                    "TX descriptor {slot} lacks APPEND_CRC: the frame has no frame check sequence, every receiver drops it"
                )
            }
            Self::Unpadded { slot, length } => write!(f, "TX descriptor {slot}: {length} bytes, not padded to 60"),
            Self::FrameLength { slot, length } => write!(f, "TX descriptor {slot}: no frame has {length} bytes"),
            Self::Checksum { slot } => {
                write!(f, "TX descriptor {slot}: DO_CSUM without a valid transmit status block (TBUF_64B_EN)")
            }
            Self::NoMemory { direction, slot, address } => {
                write!(f, "{direction} descriptor {slot} points to {address:#x}, where there is no memory for it")
            }
            Self::BroadcastFiltered => f.write_str("broadcast frame lost: MDF is on without the broadcast address"),
            Self::CpuReadOfDeviceLine { address } => {
                write!(f, "the CPU read {address:#x}, which the device owns (no take: stale or poisoned bytes)")
            }
            Self::CpuWriteOfDeviceLine { address } => {
                write!(f, "the CPU wrote {address:#x}, which the device owns (no take)")
            }
            Self::DeviceReadOfCpuLine { address } => {
                write!(f, "the device read {address:#x}, which the CPU has not given: it may see stale bytes")
            }
            Self::DeviceWriteOfCpuLine { address } => {
                write!(f, "the device wrote {address:#x}, which the CPU has not given: a dirty line may overwrite it")
            }
            Self::UnalignedMaintenance { start, end } => {
                write!(f, "cache maintenance of {start:#x}..{end:#x}, which is not whole lines inside the block")
            }
            Self::TakeOfDirtyLine { address } => {
                write!(f, "take of {address:#x}, which the CPU owns and has written: its writes are thrown away")
            }
        }
    }
}

/// One entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// When it happened first.
    pub at: Moment,
    /// The access that caused it.
    pub access: Access,
    /// Why.
    pub reason: Reason,
    /// How often in a row.
    pub times: u32,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.at.nanos() / 1000;
        write!(f, "{}.{:06} s, {}: {}", micros / 1_000_000, micros % 1_000_000, self.access, self.reason)?;
        if self.times > 1 { write!(f, " ({} times)", self.times) } else { Ok(()) }
    }
}

/// The log; the same refusal by the same access again only counts.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: Vec<Refusal>,
}

impl Log {
    /// So that a driver stuck in a loop of refusals cannot fill memory.
    const MOST: usize = 10_000;

    pub(crate) fn refuse(&mut self, at: Moment, access: Access, reason: Reason) {
        if let Some(last) = self.entries.iter_mut().rev().take(4).find(|e| e.access == access && e.reason == reason) {
            last.times = last.times.saturating_add(1);
        } else if self.entries.len() < Self::MOST {
            self.entries.push(Refusal { at, access, reason, times: 1 });
        }
    }
    pub(crate) fn entries(&self) -> &[Refusal] {
        &self.entries
    }
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}
