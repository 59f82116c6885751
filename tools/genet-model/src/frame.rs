//! Arithmetic on frames: the frame check sequence and the Internet checksum, as the MAC computes them.

/// The shortest frame without its frame check sequence (IEEE 802.3, 3.2.8).
pub(crate) const SHORTEST: usize = 60;
/// Bytes of the frame check sequence.
pub(crate) const FCS: usize = 4;
/// Bytes of an Ethernet header.
pub(crate) const HEADER: usize = 14;

/// The frame check sequence of `frame`, in the order of the wire (IEEE 802.3, 3.2.9).
pub(crate) fn check_sequence(frame: &[u8]) -> [u8; FCS] {
    let crc = frame.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 != 0 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    });
    (!crc).to_le_bytes()
}

/// The ones' complement sum of `bytes` as big-endian half-words (RFC 1071), not inverted.
pub(crate) fn sum(bytes: &[u8]) -> u16 {
    let total: u64 =
        bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u64::from(low))).sum();
    let mut folded = total;
    while folded > 0xffff {
        folded = (folded & 0xffff) + (folded >> 16);
    }
    folded as u16
}

/// The destination address.
pub(crate) fn destination(frame: &[u8]) -> [u8; 6] {
    frame.first_chunk().copied().unwrap_or([0; 6])
}

/// Whether the frame carries an 802.1Q tag.
pub(crate) fn tagged(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&[0x81, 0x00])
}
