//! What a run can choose: start state, link partner, times, planted faults.

use core::time::Duration;

/// What the link partner can do. Combine with `|`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities(u8);

impl Abilities {
    /// 10BASE-T, half duplex.
    pub const HALF_10: Self = Self(1);
    /// 10BASE-T, full duplex.
    pub const FULL_10: Self = Self(2);
    /// 100BASE-TX, half duplex.
    pub const HALF_100: Self = Self(4);
    /// 100BASE-TX, full duplex.
    pub const FULL_100: Self = Self(8);
    /// 1000BASE-T, half duplex.
    pub const HALF_1000: Self = Self(16);
    /// 1000BASE-T, full duplex.
    pub const FULL_1000: Self = Self(32);
    /// A gigabit switch: all but 1000BASE-T half duplex.
    pub const GIGABIT: Self = Self(1 | 2 | 4 | 8 | 32);
    /// A 100 Mb/s switch.
    pub const FAST: Self = Self(1 | 2 | 4 | 8);

    /// Whether everything in `other` is in this set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
    /// What both can do.
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
    /// The set with these bits: 1 10 half, 2 10 full, 4 100 half, 8 100 full, 16 1000 half, 32 1000 full.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 0x3f)
    }
    /// The bits of [`from_bits`](Self::from_bits).
    pub const fn bits(self) -> u8 {
        self.0
    }
}

impl core::ops::BitOr for Abilities {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// How the PHY is found at power-on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PhyStart {
    /// Fresh from power-on: negotiation has just begun by itself.
    #[default]
    Negotiating,
    /// The firmware has used the network: the link is up already.
    Negotiated,
    /// In power-down (BMCR.PDOWN), as after some reboots (rpi-eeprom#417).
    PoweredDown,
}

/// What becomes of a frame of less than 60 bytes with APPEND_CRC.
///
/// Silicon pads it (Linux 5.8, "use hardware padding of runt frames"; U-Boot relies on it too). The bench refuses it all the same, because
/// what the padding then contains is not written down anywhere: our driver pads for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShortFrames {
    /// Drop the frame and log it.
    #[default]
    Refuse,
    /// Pad it as silicon does, with bytes that are not zero.
    Pad,
}

/// Faults to plant: hardware that does not answer. A driver's waits must all end, each with its own error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// MDIO stays busy for ever.
    pub mdio_never_done: bool,
    /// No PHY answers at any address.
    pub phy_absent: bool,
    /// BMCR.RESET never clears.
    pub phy_reset_never_ends: bool,
    /// TX descriptors are never consumed.
    pub transmit_stuck: bool,
    /// DMA_STATUS never says disabled.
    pub dma_never_stops: bool,
    /// TX works on the wire only with ID_MODE_DIS set (recipe A), as if this board's trace lengths wanted it.
    pub only_recipe_a: bool,
}

/// Everything that a run can choose. `Settings::default()` is a realistic board; tests shorten the times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Seed of every start value: DMA indices, descriptor RAM, PHY delays, registers left by the firmware.
    pub seed: u64,
    /// How long ago power came: the PHY, which nothing holds back, has been negotiating since. A real board's firmware takes seconds to start a loader.
    pub powered: Duration,
    /// Time from the start of autonegotiation to link (3 s on a real link, rpi-eeprom#687).
    pub autonegotiation: Duration,
    /// Time that the PHY needs for BMCR.RESET.
    pub phy_reset: Duration,
    /// Time of one MDIO transaction (64 bits at 2.5 MHz).
    pub mdio: Duration,
    /// How many bytes of frames TBUF takes from the ring ahead of the wire. With 0 a frame leaves the ring when the wire is free for it, so that an
    /// empty ring is as good as an empty transmitter; how much silicon takes is not written down (Linux lets 10 ms pass).
    pub transmit_ahead: usize,
    /// The PHY's MDIO address.
    pub phy_address: u8,
    /// How the PHY is found.
    pub phy_start: PhyStart,
    /// What the link partner can do.
    pub partner: Abilities,
    /// Whether the cable is in at the start.
    pub cable: bool,
    /// What becomes of frames of less than 60 bytes.
    pub short_frames: ShortFrames,
    /// Planted faults.
    pub faults: Faults,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            powered: Duration::ZERO,
            autonegotiation: Duration::from_secs(3),
            phy_reset: Duration::from_millis(5),
            mdio: Duration::from_micros(26),
            transmit_ahead: 0,
            phy_address: 1,
            phy_start: PhyStart::default(),
            partner: Abilities::GIGABIT,
            cable: true,
            short_frames: ShortFrames::default(),
            faults: Faults::default(),
        }
    }
}
