//! Arithmetic on frames: the frame check sequence and the Internet checksum, as the MAC computes them.

/// The shortest frame without its frame check sequence (IEEE 802.3, 3.2.8).
pub(crate) const SHORTEST: usize = 60;
/// Bytes of the frame check sequence.
pub(crate) const FCS: usize = 4;
/// Bytes of an Ethernet header.
pub(crate) const HEADER: usize = 14;

/// The polynomial of the frame check sequence, its lowest power in the highest bit.
const POLYNOMIAL: u32 = 0xedb8_8320;
/// How many bytes go through the tables at once. Every received frame is summed, and bit by bit that took longer than all else in the model.
const STRIDE: usize = 16;
/// `TABLES[n][byte]` is what `byte` does to the sum when `n` more bytes have gone by.
static TABLES: [[u32; 256]; STRIDE] = tables();

const fn tables() -> [[u32; 256]; STRIDE] {
    let mut tables = [[0; 256]; STRIDE];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 != 0 { sum >> 1 ^ POLYNOMIAL } else { sum >> 1 };
            bit += 1;
        }
        tables[0][byte] = sum;
        byte += 1;
    }
    let mut later = 1;
    while later < STRIDE {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[later - 1][byte];
            tables[later][byte] = before >> 8 ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        later += 1;
    }
    tables
}

/// The frame check sequence of `frame`, in the order of the wire (IEEE 802.3, 3.2.9).
pub(crate) fn check_sequence(frame: &[u8]) -> [u8; FCS] {
    let (strides, rest) = frame.as_chunks::<STRIDE>();
    let sum = strides.iter().fold(u32::MAX, |sum, stride| {
        let mut bytes = *stride;
        for (byte, old) in bytes.iter_mut().zip(sum.to_le_bytes()) {
            *byte ^= old;
        }
        let parts = bytes.iter().zip(TABLES.iter().rev());
        parts.fold(0, |sum, (&byte, table)| sum ^ table[usize::from(byte)])
    });
    let sum = rest.iter().fold(sum, |sum, &byte| sum >> 8 ^ TABLES[0][usize::from(sum as u8 ^ byte)]);
    (!sum).to_le_bytes()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_sequence_is_the_catalogues_crc_32_at_every_length() {
        assert_eq!(check_sequence(b"123456789"), 0xcbf4_3926_u32.to_le_bytes());
        let bytes: Vec<u8> = (0..100_u8).map(|byte| byte.wrapping_mul(37)).collect();
        for length in 0..bytes.len() {
            let slowly = bytes[..length].iter().fold(u32::MAX, |sum, &byte| {
                (0..8).fold(sum ^ u32::from(byte), |sum, _| if sum & 1 != 0 { sum >> 1 ^ POLYNOMIAL } else { sum >> 1 })
            });
            assert_eq!(check_sequence(&bytes[..length]), (!slowly).to_le_bytes(), "{length}");
        }
    }
}
