//! What cards say of themselves.
//!
//! Sources: SD Physical Layer Simplified Specification 6.00, sections 5.3 (CSD) and 5.6 (SCR); JEDEC JESD84-B51, sections 7.3 (CSD) and
//! 7.4 (EXT_CSD).

use core::fmt;

/// The kind of a card, as far as it matters for reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SD up to 2 GB, addressed by bytes.
    Standard,
    /// SDHC or SDXC, addressed by blocks.
    High,
    /// eMMC or MMC.
    Mmc,
}

/// A card that is ready to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Card {
    /// What it is.
    pub kind: Kind,
    /// Its address on the bus, in the upper half as commands want it.
    pub(super) address: u32,
    /// Whether a read's argument counts blocks and not bytes.
    pub(super) by_blocks: bool,
    /// How many blocks of 512 bytes it has. A card beyond 2 TiB is used as far as that.
    pub blocks: u32,
    /// Data lines in use, 1 or 4.
    pub lines: u8,
    /// Its clock in Hz.
    pub hertz: u32,
    /// Its identification (CID), bits 127 to 8: maker, name, serial number, date. For a bug report.
    pub identification: u128,
}

/// As in `SDHC, 29.7 GiB, 4 lines at 50 MHz`.
impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Standard => "SD",
            Kind::High if self.blocks > 32 << 21 => "SDXC",
            Kind::High => "SDHC",
            Kind::Mmc => "eMMC",
        };
        // In tenths of a GiB, rounded down.
        let tenths = (u64::from(self.blocks) * 10) >> 21;
        write!(f, "{kind}, ")?;
        match tenths {
            0..10 => write!(f, "{} MiB", self.blocks >> 11)?,
            _ => write!(f, "{}.{} GiB", tenths / 10, tenths % 10)?,
        }
        let lines = if self.lines == 1 { "line" } else { "lines" };
        write!(f, ", {} {lines} at {} MHz", self.lines, self.hertz / 1_000_000)
    }
}

/// The 128 bits of a long response as the controller has them: bit 8 of the register is bit 0 of the first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Description(pub [u32; 4]);

impl Description {
    /// Bits `high` to `low` as the specifications number them, 8 at the least.
    fn bits(self, high: u32, low: u32) -> u32 {
        (self.bits_from(low) & ((1u128 << (high - low + 1)) - 1)) as u32
    }

    /// All of them but the lowest eight, which are a checksum.
    pub fn whole(self) -> u128 {
        self.bits_from(8)
    }

    fn bits_from(self, low: u32) -> u128 {
        let [a, b, c, d] = self.0.map(u128::from);
        (d << 96 | c << 64 | b << 32 | a) >> low.saturating_sub(8)
    }

    /// Blocks of 512 bytes by the formula of the first SD cards and of MMC; `None` if they are not whole or none.
    fn by_multiplier(self) -> Option<u64> {
        let exponent = self.bits(49, 47) + 2 + self.bits(83, 80);
        let bytes = u64::from(self.bits(73, 62) + 1) << exponent;
        (bytes >= 512).then_some(bytes / 512)
    }

    /// Blocks of an SD card.
    pub fn sd_blocks(self) -> Option<u64> {
        match self.bits(127, 126) {
            0 => self.by_multiplier(),
            1 => Some((u64::from(self.bits(69, 48)) + 1) * 1024),
            _ => None,
        }
    }

    /// Blocks of an MMC; `None` also where the extended description has to be asked.
    pub fn mmc_blocks(self) -> Option<u64> {
        if self.bits(73, 62) == 0xfff { None } else { self.by_multiplier() }
    }

    /// Whether an SD card has the switch function (command class 10).
    pub fn has_switch(self) -> bool {
        self.bits(95, 84) >> 10 & 1 != 0
    }
}

/// Whether a configuration register (SCR, as it comes) has a bus of four lines.
pub(super) fn has_four_lines(configuration: &[u8; 8]) -> bool {
    configuration[1] & 0b0100 != 0
}

/// Whether the answer to a switch to high speed (64 bytes) says that it was made.
pub(super) fn is_high_speed(answer: &[u8; 64]) -> bool {
    answer[16] & 0xf == 1
}

/// Blocks of an eMMC by its extended description; `None` if there are none.
pub(super) fn extended_blocks(description: &[u8; 512]) -> Option<u64> {
    let blocks = u32::from_le_bytes([description[212], description[213], description[214], description[215]]);
    (blocks != 0).then_some(u64::from(blocks))
}

/// Whether an eMMC can do 52 MHz at single data rate.
pub(super) fn extended_high_speed(description: &[u8; 512]) -> bool {
    description[196] & 0b10 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A description from its 128 bits, as cards' data sheets print them.
    fn description(register: u128) -> Description {
        let value = register >> 8;
        Description([value as u32, (value >> 32) as u32, (value >> 64) as u32, (value >> 96) as u32])
    }

    #[test]
    fn an_sdhc_cards_size_is_in_units_of_512_kibibytes() {
        // A 4 GB card's register: C_SIZE 0x1dc3.
        let register = 0x400e_0032_5b59_0000_1dc3_7f80_0a40_0000_u128 | 1;
        assert_eq!(description(register).sd_blocks(), Some((0x1dc3 + 1) * 1024));
        assert!(description(register).has_switch());
    }

    #[test]
    fn a_standard_cards_size_is_a_product_of_three_fields() {
        // READ_BL_LEN 10, C_SIZE 3751, C_SIZE_MULT 7: 2 GB.
        let register = 10u128 << 80 | 3751u128 << 62 | 7u128 << 47;
        assert_eq!(description(register).sd_blocks(), Some(3752 * 512 * 1024 / 512));
        assert!(!description(register).has_switch());
    }

    #[test]
    fn a_description_from_the_future_is_not_guessed_at() {
        assert_eq!(description(2u128 << 126).sd_blocks(), None);
    }

    #[test]
    fn a_large_emmc_is_asked_for_its_extended_description() {
        let register = 9u128 << 80 | 0xfffu128 << 62 | 7u128 << 47;
        assert_eq!(description(register).mmc_blocks(), None);
        let mut extended = [0; 512];
        assert_eq!(extended_blocks(&extended), None);
        extended[212..216].copy_from_slice(&0x00e9_0000_u32.to_le_bytes());
        assert_eq!(extended_blocks(&extended), Some(0x00e9_0000));
    }

    #[test]
    fn a_card_is_described_in_words() {
        let card = Card {
            kind: Kind::High,
            address: 0,
            by_blocks: true,
            blocks: 62_333_952,
            lines: 4,
            hertz: 50_000_000,
            identification: 0,
        };
        assert_eq!(card.to_string(), "SDHC, 29.7 GiB, 4 lines at 50 MHz");
        let card = Card { kind: Kind::Standard, blocks: 131_072, lines: 1, hertz: 25_000_000, ..card };
        assert_eq!(card.to_string(), "SD, 64 MiB, 1 line at 25 MHz");
        assert!(Card { kind: Kind::High, blocks: 128 << 21, ..card }.to_string().starts_with("SDXC, 128.0 GiB"));
    }
}
