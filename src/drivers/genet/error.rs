//! What can go wrong between the driver and the controller or its PHY.

use core::fmt;

/// A direction's DMA engine, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// RDMA.
    Receive,
    /// TDMA.
    Transmit,
}

/// Why the controller could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// SYS_REV_CTRL does not name a GENET v5.
    Revision {
        /// The register's value.
        found: u32,
    },
    /// A block of DMA memory is smaller than the driver's constant for it.
    Memory {
        /// Whose buffers it was for.
        direction: Direction,
        /// Bytes needed.
        needed: usize,
        /// Bytes given.
        given: usize,
    },
    /// The station address is a group address or all zeroes.
    Address {
        /// The address given, in transmission order.
        given: [u8; 6],
    },
    /// The MDIO controller stayed busy.
    MdioBusy {
        /// PHY address of the access.
        phy: u8,
        /// Register of the access.
        register: u8,
        /// How long was waited.
        milliseconds: u32,
    },
    /// The PHY did not drive the line in the turn-around of a read.
    NoReply {
        /// PHY address of the access.
        phy: u8,
        /// Register of the access.
        register: u8,
    },
    /// No PHY answers at any address.
    NoPhy {
        /// The address that was tried first.
        wanted: u8,
    },
    /// The PHY's reset bit did not clear by itself.
    PhyReset {
        /// PHY address.
        phy: u8,
        /// How long was waited.
        milliseconds: u32,
    },
    /// A DMA engine did not report that it stopped.
    DmaRuns {
        /// Which one.
        direction: Direction,
        /// DMA_STATUS as last read.
        status: u32,
        /// How long was waited.
        milliseconds: u32,
    },
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Receive => "receive",
            Self::Transmit => "transmit",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Revision { found } => write!(
                f,
                "Ethernet: revision register reads {found:#010x}, expected 0x06...... (GENET v5): not a BCM2711, or its clock is off"
            ),
            Self::Memory { direction, needed, given } => {
                write!(f, "Ethernet: {direction} buffers need {needed} bytes of DMA memory, {given} were reserved")
            }
            Self::Address { given: [a, b, c, d, e, g] } => write!(
                f,
                "Ethernet: {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x} is no station address: check local-mac-address in the device tree"
            ),
            Self::MdioBusy { phy, register, milliseconds } => write!(
                f,
                "Ethernet: MDIO still busy {milliseconds} ms after an access to PHY {phy} register {register:#04x}: power-cycle the board"
            ),
            Self::NoReply { phy, register } => {
                write!(f, "Ethernet: PHY {phy} does not answer a read of register {register:#04x}")
            }
            Self::NoPhy { wanted } => write!(
                f,
                "Ethernet: no PHY answers, neither at {wanted} nor at any other address: power-cycle the board (a PHY in power-down or in reset stays silent)"
            ),
            Self::PhyReset { phy, milliseconds } => {
                write!(f, "Ethernet: PHY {phy} still in reset after {milliseconds} ms: power-cycle the board")
            }
            Self::DmaRuns { direction, status, milliseconds } => write!(
                f,
                "Ethernet: {direction} DMA does not stop: DMA_STATUS {status:#x} after {milliseconds} ms, expected bit 0 set"
            ),
        }
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn messages_carry_the_numbers_that_help() {
        assert_eq!(
            Error::Memory { direction: Direction::Receive, needed: 524_288, given: 4096 }.to_string(),
            "Ethernet: receive buffers need 524288 bytes of DMA memory, 4096 were reserved"
        );
        assert!(Error::Revision { found: 0x0500_0000 }.to_string().contains("0x05000000"));
        assert!(Error::Address { given: [1, 2, 3, 4, 5, 0xff] }.to_string().contains("01:02:03:04:05:ff"));
        assert!(
            Error::MdioBusy { phy: 1, register: 0x18, milliseconds: 10 }.to_string().contains("PHY 1 register 0x18")
        );
        assert!(Error::NoReply { phy: 3, register: 2 }.to_string().contains("PHY 3"));
        assert!(Error::NoPhy { wanted: 5 }.to_string().contains("at 5"));
        assert!(Error::PhyReset { phy: 1, milliseconds: 500 }.to_string().contains("500 ms"));
        let stuck = Error::DmaRuns { direction: Direction::Transmit, status: 2, milliseconds: 5 };
        assert!(stuck.to_string().contains("transmit DMA does not stop: DMA_STATUS 0x2 after 5 ms"));
    }
}
