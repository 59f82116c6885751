//! What can go wrong between the loader and a card.

use crate::time::Duration;
use core::fmt;

/// What was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The end of a software reset.
    Reset,
    /// A stable internal clock.
    Clock,
    /// A free command line.
    CommandLine,
    /// Free data lines.
    DataLines,
    /// The end of the command of this number.
    Command(u8),
    /// A card that is no longer busy after the command of this number.
    Busy(u8),
    /// A card that has powered up.
    PowerUp,
    /// A card that is back in its transfer state, after an error.
    Transfer,
    /// A block of data.
    Data,
    /// The end of a transfer.
    TransferEnd,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reset => f.write_str("the end of the controller's reset"),
            Self::Clock => f.write_str("a stable clock"),
            Self::CommandLine => f.write_str("a free command line"),
            Self::DataLines => f.write_str("free data lines"),
            Self::Command(index) => write!(f, "the end of CMD{index}"),
            Self::Busy(index) => write!(f, "the card to finish CMD{index}"),
            Self::PowerUp => f.write_str("the card to power up"),
            Self::Transfer => f.write_str("the card to recover from an error"),
            Self::Data => f.write_str("a block of data"),
            Self::TransferEnd => f.write_str("the end of a transfer"),
        }
    }
}

/// What the controller found wrong on the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The card did not respond within 64 clocks.
    NoResponse,
    /// The card sent no data, or a busy card did not come back, within the controller's longest time.
    DataTimeout,
    /// A checksum is wrong: noise, a worn contact, a clock that is too fast.
    Crc,
    /// A response or block has no proper end, or belongs to another command.
    Frame,
    /// Anything else; the error half of the interrupt status.
    Other(u16),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoResponse => f.write_str("no response"),
            Self::DataTimeout => f.write_str("no data"),
            Self::Crc => f.write_str("wrong checksum"),
            Self::Frame => f.write_str("garbled response"),
            Self::Other(bits) => write!(f, "error status {bits:#06x}"),
        }
    }
}

/// Why a card cannot be used, or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// No card answers.
    NoCard,
    /// A card that was there no longer answers.
    Removed,
    /// Something did not happen in time.
    Timeout {
        /// What was waited for.
        wait: Wait,
        /// How long.
        limit: Duration,
    },
    /// A command failed on the lines.
    Command {
        /// Its number.
        index: u8,
        /// How.
        fault: Fault,
    },
    /// The card did not accept a command.
    Refused {
        /// Its number.
        index: u8,
        /// The card's status (Physical Layer Specification, 4.10.1).
        status: u32,
    },
    /// A card that does not work with 3.3 V.
    Voltage {
        /// What it answered to the question: 0x1aa is expected.
        answer: u32,
    },
    /// The card's own description makes no sense.
    Description,
    /// Neither the firmware nor the controller says how fast the base clock is, or it is too slow or fast to make 200 to 400 kHz of it.
    BaseClock {
        /// The rate in Hz; 0 if unknown.
        hertz: u32,
    },
    /// It was given up while the card powered up.
    GivenUp,
    /// The card has no such blocks.
    OutOfRange {
        /// The first block asked for.
        first: u32,
        /// How many.
        count: usize,
        /// Blocks that the card has.
        blocks: u32,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCard => f.write_str("no card"),
            Self::Removed => f.write_str("the card no longer answers; was it taken out?"),
            Self::Timeout { wait, limit } => write!(f, "waited {} ms for {wait}", limit.as_millis()),
            Self::Command { index, fault } => write!(f, "CMD{index}: {fault}"),
            Self::Refused { index, status } => write!(f, "the card refused CMD{index}, its status is {status:#010x}"),
            Self::Voltage { answer } => {
                write!(f, "the card does not take 3.3 V (it answered {answer:#x}, expected 0x1aa)")
            }
            Self::Description => f.write_str("the card's description (CSD) makes no sense; try another card"),
            Self::BaseClock { hertz } => {
                write!(f, "no card clock of 200 to 400 kHz can be made of a base clock of {hertz} Hz")
            }
            Self::GivenUp => f.write_str("given up at the console"),
            Self::OutOfRange { first, count, blocks } => {
                write!(f, "block {first} and {} more asked for, the card has {blocks}", count.saturating_sub(1))
            }
        }
    }
}

impl core::error::Error for Error {}
