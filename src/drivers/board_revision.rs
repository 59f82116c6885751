//! The revision code that the firmware knows its board by.
//!
//! Source: Raspberry Pi documentation, "Revision codes". New-style codes are bit fields, `NOQuuuWu FMMMCCCC PPPPTTTT TTTTRRRR`;
//! old-style ones (bit 23 clear) never were on a Raspberry Pi 4.

use core::fmt;

/// A revision code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoardRevision(pub u32);

/// A board by its type field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoardType {
    /// Raspberry Pi 4 Model B.
    Pi4B,
    /// Raspberry Pi 400.
    Pi400,
    /// Compute Module 4.
    Cm4,
    /// Compute Module 4S.
    Cm4S,
    /// Another board; the loader knows its type's number only.
    Other(u8),
}

impl fmt::Display for BoardType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pi4B => f.write_str("Raspberry Pi 4 Model B"),
            Self::Pi400 => f.write_str("Raspberry Pi 400"),
            Self::Cm4 => f.write_str("Compute Module 4"),
            Self::Cm4S => f.write_str("Compute Module 4S"),
            Self::Other(number) => write!(f, "board of type {number:#04x}"),
        }
    }
}

impl BoardRevision {
    /// Whether the other fields mean anything.
    pub const fn is_new_style(self) -> bool {
        self.0 >> 23 & 1 != 0
    }

    /// The type of board; `None` for an old-style code.
    pub const fn board_type(self) -> Option<BoardType> {
        if !self.is_new_style() {
            return None;
        }
        Some(match (self.0 >> 4 & 0xff) as u8 {
            0x11 => BoardType::Pi4B,
            0x13 => BoardType::Pi400,
            0x14 => BoardType::Cm4,
            0x15 => BoardType::Cm4S,
            other => BoardType::Other(other),
        })
    }

    /// Memory in bytes; `None` for an old-style code or a size that is not defined.
    pub const fn memory(self) -> Option<u64> {
        let size = self.0 >> 20 & 0x7;
        if self.is_new_style() && size <= 6 { Some((256 << 20) << size) } else { None }
    }

    /// The revision within the type, the N of "1.N"; `None` for an old-style code.
    pub const fn minor(self) -> Option<u8> {
        if self.is_new_style() { Some((self.0 & 0xf) as u8) } else { None }
    }

    /// The name of its device tree's file, as the firmware looks for it; `None` for a board that is not of this family.
    pub const fn device_tree(self) -> Option<&'static str> {
        match self.board_type() {
            Some(BoardType::Pi4B) => Some("bcm2711-rpi-4-b.dtb"),
            Some(BoardType::Pi400) => Some("bcm2711-rpi-400.dtb"),
            Some(BoardType::Cm4) => Some("bcm2711-rpi-cm4.dtb"),
            Some(BoardType::Cm4S) => Some("bcm2711-rpi-cm4s.dtb"),
            Some(BoardType::Other(_)) | None => None,
        }
    }

    /// Whether the processor is a BCM2711.
    pub const fn is_bcm2711(self) -> bool {
        self.is_new_style() && self.0 >> 12 & 0xf == 3
    }

    /// Who made it; `None` for an old-style code or a maker that is not defined.
    pub const fn manufacturer(self) -> Option<&'static str> {
        if !self.is_new_style() {
            return None;
        }
        match self.0 >> 16 & 0xf {
            0 => Some("Sony UK"),
            1 => Some("Egoman"),
            2 | 4 => Some("Embest"),
            3 => Some("Sony Japan"),
            5 => Some("Stadium"),
            _ => None,
        }
    }
}

/// `Raspberry Pi 4 Model B 1.4, 4 GiB`; the bare code if it is old-style.
impl fmt::Display for BoardRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(board), Some(minor)) = (self.board_type(), self.minor()) else {
            return write!(f, "board of revision {:#x}", self.0);
        };
        write!(f, "{board} 1.{minor}")?;
        match self.memory() {
            Some(bytes) if bytes >= 1 << 30 => write!(f, ", {} GiB", bytes >> 30),
            Some(bytes) => write!(f, ", {} MiB", bytes >> 20),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_in_the_documentation_decode_to_their_boards() {
        for (code, board, minor, gibibytes, maker, text) in [
            (0xa03111, BoardType::Pi4B, 1, 1, "Sony UK", "Raspberry Pi 4 Model B 1.1, 1 GiB"),
            (0xb03112, BoardType::Pi4B, 2, 2, "Sony UK", "Raspberry Pi 4 Model B 1.2, 2 GiB"),
            (0xb03115, BoardType::Pi4B, 5, 2, "Sony UK", "Raspberry Pi 4 Model B 1.5, 2 GiB"),
            (0xc03114, BoardType::Pi4B, 4, 4, "Sony UK", "Raspberry Pi 4 Model B 1.4, 4 GiB"),
            (0xd03114, BoardType::Pi4B, 4, 8, "Sony UK", "Raspberry Pi 4 Model B 1.4, 8 GiB"),
            (0xc03130, BoardType::Pi400, 0, 4, "Sony UK", "Raspberry Pi 400 1.0, 4 GiB"),
            (0xa03140, BoardType::Cm4, 0, 1, "Sony UK", "Compute Module 4 1.0, 1 GiB"),
            (0xd03141, BoardType::Cm4, 1, 8, "Sony UK", "Compute Module 4 1.1, 8 GiB"),
        ] {
            // The top byte holds flags (over-voltage, one-time programming) that do not belong to the board.
            for revision in [BoardRevision(code), BoardRevision(code | 0x8300_0000)] {
                assert_eq!(revision.board_type(), Some(board));
                assert_eq!(revision.minor(), Some(minor));
                assert_eq!(revision.memory(), Some(gibibytes << 30));
                assert_eq!(revision.manufacturer(), Some(maker));
                assert!(revision.is_bcm2711());
                assert_eq!(revision.to_string(), text);
            }
        }
    }

    #[test]
    fn boards_that_it_does_not_know_still_have_a_name() {
        assert_eq!(BoardRevision(0xa02082).to_string(), "board of type 0x08 1.2, 1 GiB");
        assert!(!BoardRevision(0xa02082).is_bcm2711());
        assert_eq!(BoardRevision(0x9000c1).to_string(), "board of type 0x0c 1.1, 512 MiB");
        assert_eq!(BoardRevision(0xf03111).memory(), None);
        assert_eq!(BoardRevision(0xf03111).to_string(), "Raspberry Pi 4 Model B 1.1");
    }

    #[test]
    fn an_old_style_code_means_nothing_here() {
        let revision = BoardRevision(0x0010);
        assert_eq!((revision.board_type(), revision.memory(), revision.minor()), (None, None, None));
        assert_eq!(revision.manufacturer(), None);
        assert_eq!(revision.to_string(), "board of revision 0x10");
    }
}
