//! The commands that are sent to a card. None of them writes to its memory: there is no way to say it.
//!
//! Sources: SD Physical Layer Simplified Specification 6.00, section 4.7.4; for eMMC, JEDEC JESD84-B51, section 6.10.4.

/// The form of a card's response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// None.
    None,
    /// 48 bits with the card's status (R1, R6), or an echo (R7): number and checksum are right, or it is an error.
    Short,
    /// As [`Self::Short`] with a card's status in it, errors of which count.
    Status,
    /// As [`Self::Status`], and then the card is busy for a while.
    StatusBusy,
    /// 48 bits without number and checksum (R3).
    Conditions,
    /// 136 bits (R2).
    Long,
}

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Command {
    pub index: u8,
    pub reply: Reply,
}

const fn command(index: u8, reply: Reply) -> Command {
    Command { index, reply }
}

/// Everything back to the idle state.
pub(super) const GO_IDLE: Command = command(0, Reply::None);
/// eMMC: power up; what voltages, and whether blocks are addressed.
pub(super) const MMC_CONDITIONS: Command = command(1, Reply::Conditions);
/// Every card's identification.
pub(super) const ALL_IDENTIFICATIONS: Command = command(2, Reply::Long);
/// SD: the card chooses an address. eMMC: it is given one.
pub(super) const RELATIVE_ADDRESS: Command = command(3, Reply::Short);
/// Changes how the card's lines work: SD, function switch (with 64 bytes of data).
pub(super) const SD_SWITCH: Command = command(6, Reply::Status);
/// The same for eMMC: a byte of the registers that hold speed and width until power-off.
pub(super) const MMC_SWITCH: Command = command(6, Reply::StatusBusy);
/// From standby to transfer state.
pub(super) const SELECT: Command = command(7, Reply::Status);
/// SD: is this voltage all right?
pub(super) const INTERFACE: Command = command(8, Reply::Short);
/// eMMC: 512 bytes of description.
pub(super) const EXTENDED_DESCRIPTION: Command = command(8, Reply::Status);
/// 128 bits of description (CSD).
pub(super) const DESCRIPTION: Command = command(9, Reply::Long);
/// Ends a transfer of many blocks.
pub(super) const STOP: Command = command(12, Reply::StatusBusy);
/// The card's status.
pub(super) const SEND_STATUS: Command = command(13, Reply::Short);
/// 512 bytes a block, for cards that could have others.
pub(super) const BLOCK_LENGTH: Command = command(16, Reply::Status);
/// One block.
pub(super) const READ_ONE: Command = command(17, Reply::Status);
/// Many blocks, ended by [`STOP`].
pub(super) const READ_MANY: Command = command(18, Reply::Status);
/// What follows is an application command. Its status tells of the command before, which may have been one that an old card does not
/// know, so it is not looked at.
pub(super) const APPLICATION: Command = command(55, Reply::Short);

/// Application command: width of the bus.
pub(super) const SD_WIDTH: Command = command(6, Reply::Status);
/// Application command: power up; what voltages, and whether blocks are addressed.
pub(super) const SD_CONDITIONS: Command = command(41, Reply::Conditions);
/// Application command: 8 bytes of configuration (SCR).
pub(super) const SD_CONFIGURATION: Command = command(51, Reply::Status);

/// Bits of a card's status that are errors (out of range to CID/CSD overwrite, and the SD's AKE_SEQ_ERROR). ERASE_RESET and
/// WP_ERASE_SKIP are not about reading.
pub(super) const STATUS_ERRORS: u32 = 0xfdf9_0008;
/// eMMC: the last switch was not made.
pub(super) const SWITCH_ERROR: u32 = 1 << 7;

/// The state in a card's status, and its value for "transfer".
pub(super) const fn state(status: u32) -> u32 {
    status >> 9 & 0xf
}
pub(super) const TRANSFER: u32 = 4;
