//! The wire format: what the five packets of RFC 1350 and the option acknowledgement of RFC 2347 look like in bytes.
//!
//! All numbers are big-endian. [`Packet::parse`] checks and borrows; [`Packet::emit`] writes. Both directions are here, because
//! the tests' server speaks the same format.

use core::fmt;

/// The most bytes a request may have (RFC 2347, "Packet Formats").
pub const LARGEST_REQUEST: usize = 512;

/// The operation codes, the first two bytes of each packet (RFC 1350, section 5; RFC 2347).
mod opcode {
    pub const READ_REQUEST: u16 = 1;
    pub const DATA: u16 = 3;
    pub const ACKNOWLEDGEMENT: u16 = 4;
    pub const ERROR: u16 = 5;
    pub const OPTION_ACKNOWLEDGEMENT: u16 = 6;
}

/// The codes of an ERROR packet (RFC 1350, appendix; RFC 2347).
pub mod code {
    /// Not defined: the message says it.
    pub const NOT_DEFINED: u16 = 0;
    /// File not found.
    pub const NOT_FOUND: u16 = 1;
    /// Access violation.
    pub const ACCESS: u16 = 2;
    /// Disk full or allocation exceeded.
    pub const NO_ROOM: u16 = 3;
    /// Illegal TFTP operation.
    pub const ILLEGAL: u16 = 4;
    /// Unknown transfer identifier: the packet came from a port that is not this transfer's.
    pub const UNKNOWN_TRANSFER: u16 = 5;
    /// The options were not acceptable.
    pub const OPTIONS: u16 = 8;
}

/// The options that this client knows, as numbers; in a request what is asked for, in an OACK what was granted.
///
/// The values are as they stand on the wire: whether they make sense together is the client's affair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `blksize`: bytes of a full DATA packet (RFC 2348: 8 to 65464).
    pub block_size: Option<u64>,
    /// `tsize`: bytes of the file; zero in a request (RFC 2349).
    pub transfer_size: Option<u64>,
    /// `timeout`: seconds until the server sends again (RFC 2349: 1 to 255).
    pub timeout: Option<u64>,
    /// `windowsize`: DATA packets between acknowledgements (RFC 7440: 1 to 65535).
    pub window: Option<u64>,
}

impl Options {
    /// No option at all, as RFC 1350 had it.
    pub const NONE: Self = Self { block_size: None, transfer_size: None, timeout: None, window: None };

    /// Each option's name on the wire, in the order in which they are sent, and its value.
    fn named(&self) -> [(&'static str, Option<u64>); 4] {
        [
            ("tsize", self.transfer_size),
            ("blksize", self.block_size),
            ("timeout", self.timeout),
            ("windowsize", self.window),
        ]
    }

    /// Reads pairs of NUL-terminated name and value. Names are compared without case (RFC 2347); unknown ones are ignored, and so is a time-out
    /// that is no number: it is the server's own affair, and py3tftp confirms one of 1 as `1.0`.
    fn parse(mut bytes: &[u8]) -> Result<Self, PacketError> {
        let mut options = Self::NONE;
        while !bytes.is_empty() {
            let (name, rest) = text(bytes)?;
            let (value, rest) = text(rest)?;
            bytes = rest;
            let slot = if name.eq_ignore_ascii_case(b"blksize") {
                &mut options.block_size
            } else if name.eq_ignore_ascii_case(b"tsize") {
                &mut options.transfer_size
            } else if name.eq_ignore_ascii_case(b"timeout") {
                options.timeout = number(value).ok();
                continue;
            } else if name.eq_ignore_ascii_case(b"windowsize") {
                &mut options.window
            } else {
                continue;
            };
            if slot.is_some() {
                return Err(PacketError::OptionTwice);
            }
            *slot = Some(number(value)?);
        }
        Ok(options)
    }
}

/// One packet. Text is bytes here: what a server sends need not be UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// RRQ, always in octet mode when emitted.
    ReadRequest {
        /// The file's name on the server, without NUL.
        path: &'a [u8],
        /// What is asked for.
        options: Options,
    },
    /// DATA. Fewer bytes than the block size, none included, end the transfer.
    Data {
        /// The block's number; the first is 1.
        block: u16,
        /// The file's bytes.
        bytes: &'a [u8],
    },
    /// ACK.
    Acknowledgement {
        /// The last block received; 0 acknowledges an OACK.
        block: u16,
    },
    /// ERROR. Never answered.
    Error {
        /// One of [`code`], or anything else.
        code: u16,
        /// What a person should read, without NUL.
        message: &'a [u8],
    },
    /// OACK.
    OptionAcknowledgement(Options),
}

impl<'a> Packet<'a> {
    /// Reads a packet from the payload of a UDP datagram.
    ///
    /// # Errors
    /// A packet that is cut short, has no known operation code or holds an option whose value is no number.
    #[inline]
    pub fn parse(datagram: &'a [u8]) -> Result<Self, PacketError> {
        let (operation, body) = split_u16(datagram)?;
        match operation {
            opcode::READ_REQUEST => {
                let (path, rest) = text(body)?;
                let (_mode, rest) = text(rest)?;
                Ok(Self::ReadRequest { path, options: Options::parse(rest)? })
            }
            opcode::DATA => {
                let (block, bytes) = split_u16(body)?;
                Ok(Self::Data { block, bytes })
            }
            opcode::ACKNOWLEDGEMENT => Ok(Self::Acknowledgement { block: split_u16(body)?.0 }),
            opcode::ERROR => {
                let (code, message) = split_u16(body)?;
                // Servers exist that forget the terminator; the message is for a person, so that does no harm.
                let message = message.split(|&byte| byte == 0).next().unwrap_or(message);
                Ok(Self::Error { code, message })
            }
            opcode::OPTION_ACKNOWLEDGEMENT => Ok(Self::OptionAcknowledgement(Options::parse(body)?)),
            other => Err(PacketError::Operation(other)),
        }
    }

    /// The number and the bytes of a block, where `datagram` holds one. Nearly all packets of a transfer do, and what any packet may be takes
    /// more to hand over than a block to look at.
    pub fn block(datagram: &'a [u8]) -> Option<(u16, &'a [u8])> {
        let (operation, body) = split_u16(datagram).ok()?;
        if operation == opcode::DATA { split_u16(body).ok() } else { None }
    }

    /// Whether `datagram` is meant to be an OACK, well-formed or not.
    pub fn is_option_acknowledgement(datagram: &[u8]) -> bool {
        datagram.starts_with(&opcode::OPTION_ACKNOWLEDGEMENT.to_be_bytes())
    }

    /// Writes the packet to the start of `buffer` and says how many bytes it has; `None` if the buffer is too small.
    #[inline]
    pub fn emit(&self, buffer: &mut [u8]) -> Option<usize> {
        let mut writer = Writer { buffer, length: 0 };
        match *self {
            Self::ReadRequest { path, ref options } => {
                writer.u16(opcode::READ_REQUEST)?;
                writer.text(path)?;
                writer.text(b"octet")?;
                writer.options(options)?;
            }
            Self::Data { block, bytes } => {
                writer.u16(opcode::DATA)?;
                writer.u16(block)?;
                writer.bytes(bytes)?;
            }
            Self::Acknowledgement { block } => {
                writer.u16(opcode::ACKNOWLEDGEMENT)?;
                writer.u16(block)?;
            }
            Self::Error { code, message } => {
                writer.u16(opcode::ERROR)?;
                writer.u16(code)?;
                writer.text(message)?;
            }
            Self::OptionAcknowledgement(ref options) => {
                writer.u16(opcode::OPTION_ACKNOWLEDGEMENT)?;
                writer.options(options)?;
            }
        }
        Some(writer.length)
    }
}

/// Why bytes are no TFTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketError {
    /// It ends inside a field, or before a terminating NUL.
    CutShort,
    /// The operation code is none of those that a server sends.
    Operation(u16),
    /// An option's value is no decimal number of at most 64 bits.
    Value,
    /// An option is there twice (RFC 2347 forbids it).
    OptionTwice,
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutShort => f.write_str("the packet is cut short"),
            Self::Operation(code) => write!(f, "{code} is not an operation of TFTP"),
            Self::Value => f.write_str("an option's value is not a decimal number"),
            Self::OptionTwice => f.write_str("an option is there twice"),
        }
    }
}

/// The first two bytes as a number, and what follows.
#[inline]
fn split_u16(bytes: &[u8]) -> Result<(u16, &[u8]), PacketError> {
    let (first, rest) = bytes.split_first_chunk::<2>().ok_or(PacketError::CutShort)?;
    Ok((u16::from_be_bytes(*first), rest))
}

/// The bytes before the first NUL, and what follows it.
fn text(bytes: &[u8]) -> Result<(&[u8], &[u8]), PacketError> {
    let end = bytes.iter().position(|&byte| byte == 0).ok_or(PacketError::CutShort)?;
    let (text, rest) = bytes.split_at(end);
    Ok((text, rest.get(1..).unwrap_or_default()))
}

/// A decimal number without sign.
fn number(digits: &[u8]) -> Result<u64, PacketError> {
    if digits.is_empty() {
        return Err(PacketError::Value);
    }
    digits.iter().try_fold(0_u64, |value, &digit| {
        let digit = char::from(digit).to_digit(10).ok_or(PacketError::Value)?;
        value.checked_mul(10).and_then(|tens| tens.checked_add(u64::from(digit))).ok_or(PacketError::Value)
    })
}

/// Appends to a buffer as long as there is room.
struct Writer<'a> {
    buffer: &'a mut [u8],
    length: usize,
}

impl Writer<'_> {
    #[inline]
    fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.length.checked_add(bytes.len())?;
        self.buffer.get_mut(self.length..end)?.copy_from_slice(bytes);
        self.length = end;
        Some(())
    }

    #[inline]
    fn u16(&mut self, value: u16) -> Option<()> {
        self.bytes(&value.to_be_bytes())
    }

    fn text(&mut self, text: &[u8]) -> Option<()> {
        self.bytes(text)?;
        self.bytes(&[0])
    }

    fn options(&mut self, options: &Options) -> Option<()> {
        for (name, value) in options.named() {
            let Some(value) = value else { continue };
            self.text(name.as_bytes())?;
            self.decimal(value)?;
            self.bytes(&[0])?;
        }
        Some(())
    }

    fn decimal(&mut self, value: u64) -> Option<()> {
        if value >= 10 {
            self.decimal(value / 10)?;
        }
        self.bytes(&[b'0' + (value % 10) as u8])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn emitted(packet: &Packet<'_>) -> Vec<u8> {
        let mut buffer = [0; LARGEST_REQUEST];
        let length = packet.emit(&mut buffer).unwrap();
        buffer[..length].to_vec()
    }

    #[test]
    fn a_request_is_the_bytes_of_rfc_2347() {
        let options = Options { block_size: Some(1468), transfer_size: Some(0), timeout: Some(1), window: Some(64) };
        let bytes = emitted(&Packet::ReadRequest { path: b"xen/xen.img", options });
        assert_eq!(
            bytes,
            b"\x00\x01xen/xen.img\x00octet\x00tsize\x000\x00blksize\x001468\x00timeout\x001\x00windowsize\x0064\x00"
        );
    }

    #[test]
    fn the_other_packets_are_the_bytes_of_rfc_1350() {
        assert_eq!(emitted(&Packet::Acknowledgement { block: 0x0102 }), b"\x00\x04\x01\x02");
        assert_eq!(emitted(&Packet::Data { block: 0xffff, bytes: b"abc" }), b"\x00\x03\xff\xffabc");
        assert_eq!(emitted(&Packet::Error { code: 5, message: b"who?" }), b"\x00\x05\x00\x05who?\x00");
    }

    #[test]
    fn option_names_have_no_case_and_unknown_ones_are_ignored() {
        let packet = Packet::parse(b"\x00\x06BlkSize\x00512\x00multicast\x00yes, please\x00TSIZE\x007\x00").unwrap();
        let expected = Options { block_size: Some(512), transfer_size: Some(7), ..Options::NONE };
        assert_eq!(packet, Packet::OptionAcknowledgement(expected));
    }

    #[test]
    fn an_option_without_its_value_or_with_a_wrong_one_is_refused() {
        assert_eq!(Packet::parse(b"\x00\x06blksize\x00"), Err(PacketError::CutShort));
        assert_eq!(Packet::parse(b"\x00\x06blksize\x00512"), Err(PacketError::CutShort));
        assert_eq!(Packet::parse(b"\x00\x06blksize\x00\x00"), Err(PacketError::Value));
        assert_eq!(Packet::parse(b"\x00\x06tsize\x00-1\x00"), Err(PacketError::Value));
        assert_eq!(Packet::parse(b"\x00\x06tsize\x0018446744073709551616\x00"), Err(PacketError::Value));
        assert_eq!(Packet::parse(b"\x00\x06tsize\x001\x00tsize\x001\x00"), Err(PacketError::OptionTwice));
    }

    #[test]
    fn a_timeout_that_is_no_number_does_not_spoil_the_rest() {
        let packet = Packet::parse(b"\x00\x06blksize\x001468\x00timeout\x001.0\x00windowsize\x0064\x00").unwrap();
        let expected = Options { block_size: Some(1468), window: Some(64), ..Options::NONE };
        assert_eq!(packet, Packet::OptionAcknowledgement(expected));
    }

    #[test]
    fn an_error_without_terminator_still_has_its_message() {
        assert_eq!(Packet::parse(b"\x00\x05\x00\x01gone"), Ok(Packet::Error { code: 1, message: b"gone" }));
        assert_eq!(Packet::parse(b"\x00\x05\x00\x01"), Ok(Packet::Error { code: 1, message: b"" }));
    }

    #[test]
    fn a_packet_that_does_not_fit_is_not_written() {
        assert_eq!(Packet::Data { block: 1, bytes: &[0; 100] }.emit(&mut [0; 103]), None);
        assert_eq!(Packet::Data { block: 1, bytes: &[0; 100] }.emit(&mut [0; 104]), Some(104));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = Packet::parse(&bytes);
        }

        #[test]
        fn any_body_is_parsed_or_refused(operation in 0_u8..8, body in "[a-zA-Z0-9\\x00]{0,80}") {
            let mut bytes = vec![0, operation];
            bytes.extend(body.as_bytes());
            let block = match Packet::parse(&bytes) {
                Ok(Packet::Data { block, bytes }) => Some((block, bytes)),
                _ => None,
            };
            prop_assert_eq!(Packet::block(&bytes), block);
        }

        #[test]
        fn what_is_emitted_is_parsed_again(
            path in "[a-z/.]{0,40}",
            block_size in proptest::option::of(any::<u64>()),
            transfer_size in proptest::option::of(any::<u64>()),
            timeout in proptest::option::of(any::<u64>()),
            window in proptest::option::of(any::<u64>()),
        ) {
            let options = Options { block_size, transfer_size, timeout, window };
            let request = Packet::ReadRequest { path: path.as_bytes(), options };
            let bytes = emitted(&request);
            prop_assert_eq!(Packet::parse(&bytes), Ok(request));
            let granted = Packet::OptionAcknowledgement(options);
            let bytes = emitted(&granted);
            prop_assert_eq!(Packet::parse(&bytes), Ok(granted));
        }
    }
}
