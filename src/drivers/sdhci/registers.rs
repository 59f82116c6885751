//! Registers of a standard SD host controller, as the 32-bit words in which the BCM2711 must be asked for them.
//!
//! Source: SD Host Controller Simplified Specification 3.00, chapter 2. Where the standard has registers of 8 and 16 bits, several of
//! them share a word here: block size with block count, transfer mode with command, clock with time-out and software reset.

use tock_registers::register_bitfields;

/// Offsets from the controller's base address.
pub(crate) mod offset {
    pub const BLOCK: usize = 0x04;
    pub const ARGUMENT: usize = 0x08;
    pub const COMMAND: usize = 0x0c;
    /// Four words.
    pub const RESPONSE: usize = 0x10;
    pub const BUFFER: usize = 0x20;
    pub const PRESENT: usize = 0x24;
    pub const CONTROL: usize = 0x28;
    pub const CLOCK: usize = 0x2c;
    pub const STATUS: usize = 0x30;
    pub const STATUS_ENABLE: usize = 0x34;
    pub const SIGNAL_ENABLE: usize = 0x38;
    pub const CAPABILITIES: usize = 0x40;
    pub const VERSION: usize = 0xfc;
}

register_bitfields! { u32,
    /// Block size (0x04) and block count (0x06).
    pub BLOCK [
        SIZE OFFSET(0) NUMBITS(12) [],
        COUNT OFFSET(16) NUMBITS(16) [],
    ],
    /// Transfer mode (0x0c) and command (0x0e). Writing it sends the command.
    pub COMMAND [
        COUNT_ENABLE OFFSET(1) NUMBITS(1) [],
        AUTO OFFSET(2) NUMBITS(2) [ None = 0, Stop = 1 ],
        READ OFFSET(4) NUMBITS(1) [],
        MULTIPLE OFFSET(5) NUMBITS(1) [],
        RESPONSE OFFSET(16) NUMBITS(2) [ None = 0, Long = 1, Short = 2, ShortBusy = 3 ],
        CHECK_CRC OFFSET(19) NUMBITS(1) [],
        CHECK_INDEX OFFSET(20) NUMBITS(1) [],
        DATA OFFSET(21) NUMBITS(1) [],
        KIND OFFSET(22) NUMBITS(2) [ Normal = 0, Abort = 3 ],
        INDEX OFFSET(24) NUMBITS(6) [],
    ],
    /// Present state (0x24).
    pub PRESENT [
        COMMAND_INHIBIT OFFSET(0) NUMBITS(1) [],
        DATA_INHIBIT OFFSET(1) NUMBITS(1) [],
    ],
    /// Host control 1 (0x28) and power control (0x29).
    pub CONTROL [
        FOUR_BITS OFFSET(1) NUMBITS(1) [],
        HIGH_SPEED OFFSET(2) NUMBITS(1) [],
        POWER OFFSET(8) NUMBITS(1) [],
        VOLTAGE OFFSET(9) NUMBITS(3) [ V3_3 = 7 ],
    ],
    /// Clock control (0x2c), time-out control (0x2e) and software reset (0x2f).
    pub CLOCK [
        INTERNAL_ENABLE OFFSET(0) NUMBITS(1) [],
        STABLE OFFSET(1) NUMBITS(1) [],
        CARD_ENABLE OFFSET(2) NUMBITS(1) [],
        DIVISOR_HIGH OFFSET(6) NUMBITS(2) [],
        DIVISOR_LOW OFFSET(8) NUMBITS(8) [],
        TIMEOUT OFFSET(16) NUMBITS(4) [ Longest = 0xe ],
        RESET_ALL OFFSET(24) NUMBITS(1) [],
        RESET_COMMAND OFFSET(25) NUMBITS(1) [],
        RESET_DATA OFFSET(26) NUMBITS(1) [],
    ],
    /// Normal (0x30) and error (0x32) interrupt status; the same bits enable them at 0x34. Cleared by writing ones.
    pub STATUS [
        COMMAND_COMPLETE OFFSET(0) NUMBITS(1) [],
        TRANSFER_COMPLETE OFFSET(1) NUMBITS(1) [],
        READ_READY OFFSET(5) NUMBITS(1) [],
        ERROR OFFSET(15) NUMBITS(1) [],
        COMMAND_TIMEOUT OFFSET(16) NUMBITS(1) [],
        COMMAND_CRC OFFSET(17) NUMBITS(1) [],
        COMMAND_END_BIT OFFSET(18) NUMBITS(1) [],
        COMMAND_INDEX OFFSET(19) NUMBITS(1) [],
        DATA_TIMEOUT OFFSET(20) NUMBITS(1) [],
        DATA_CRC OFFSET(21) NUMBITS(1) [],
        DATA_END_BIT OFFSET(22) NUMBITS(1) [],
        CURRENT_LIMIT OFFSET(23) NUMBITS(1) [],
        AUTO_COMMAND OFFSET(24) NUMBITS(1) [],
    ],
    /// Capabilities, low word (0x40).
    pub CAPABILITIES [
        BASE_CLOCK_MHZ OFFSET(8) NUMBITS(8) [],
        HIGH_SPEED OFFSET(21) NUMBITS(1) [],
    ],
    /// Slot interrupt status (0xfc) and host controller version (0xfe).
    pub VERSION [
        SPECIFICATION OFFSET(16) NUMBITS(8) [],
    ],
}
