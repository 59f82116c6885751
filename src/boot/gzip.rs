//! gzip files (RFC 1952), unpacked straight to where their contents will lie.

use alloc::boxed::Box;
use alloc::vec;
use core::fmt;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF};
use miniz_oxide::inflate::core::{DecompressorOxide, TINFL_LZ_DICT_SIZE, decompress};

use super::digest;
use super::image::{u16_at, u32_at};

const GZIP: &[u8] = b"\x1f\x8b";

/// Whether `bytes` begin as a gzip file.
pub fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(GZIP)
}

/// The length in bytes that a gzip file says it unpacks to (RFC 1952, ISIZE: modulo 4 GiB, and not to be trusted before it is unpacked).
pub fn unpacked_size(gzip: &[u8]) -> Option<u32> {
    // The shortest gzip file: header, an empty deflate block, trailer.
    const SHORTEST: usize = 10 + 2 + 8;
    if !is_gzip(gzip) || gzip.len() < SHORTEST {
        return None;
    }
    u32_at(gzip, gzip.len() - 4)
}

/// Unpacks the first member of a gzip file (RFC 1952) into `output`; says how many bytes it has.
///
/// # Errors
/// Damage is found by the format's own CRC-32 and length. Nothing outside `output` is written; what is in it after an error means nothing.
pub fn gunzip(gzip: &[u8], output: &mut [u8]) -> Result<usize, Error> {
    let body = deflate_body(gzip)?;
    // Eleven kilobytes, too many for the stack of a loader.
    let mut state = Box::<DecompressorOxide>::default();
    let (status, consumed, written) = decompress(&mut state, body, output, 0, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF);
    match status {
        TINFLStatus::Done => {}
        TINFLStatus::HasMoreOutput => return Err(Error::TooLarge { room: output.len() as u64 }),
        TINFLStatus::FailedCannotMakeProgress | TINFLStatus::NeedsMoreInput => {
            return Err(Error::Cut { length: gzip.len() as u64 });
        }
        _ => return Err(Error::Damaged { after: written as u64 }),
    }
    let trailer = body.get(consumed..).unwrap_or_default();
    let cut = Error::Cut { length: gzip.len() as u64 };
    let (expected, length) = (u32_at(trailer, 0).ok_or(cut)?, u32_at(trailer, 4).ok_or(cut)?);
    let unpacked = output.get(..written).unwrap_or_default();
    let found = digest::crc32(unpacked);
    if found != expected || length != written as u32 {
        return Err(Error::Checksum { expected, found });
    }
    Ok(written)
}

/// As [`gunzip`], where the file and its contents lie in memory of which only one place at a time can be looked at: `read` fills a buffer with the file's
/// bytes from an offset on, `write` takes unpacked bytes, in order, at most 32 KiB of them and perhaps none, and says whether to go on. The file has `length` bytes.
///
/// # Errors
/// As [`gunzip`]; [`Error::TooLarge`] where `write` says no.
pub fn gunzip_in_pieces(
    length: u64,
    read: &mut dyn FnMut(u64, &mut [u8]),
    write: &mut dyn FnMut(&[u8]) -> bool,
) -> Result<u64, Error> {
    const PIECE: u64 = 16 << 10;
    let mut input = vec![0; PIECE as usize];
    // What the format refers back to: the last 32 KiB, round and round.
    let mut window = vec![0; TINFL_LZ_DICT_SIZE];
    let mut state = Box::<DecompressorOxide>::default();
    let mut found = 0;
    let mut next = PIECE.min(length);
    let first = input.get_mut(..next as usize).unwrap_or_default();
    read(0, first);
    // A header that does not end within the first piece has a name of kilobytes: it is taken for one that is cut.
    let mut start = first.len() - deflate_body(first)?.len();
    let mut end = first.len();
    let mut total = 0u64;
    loop {
        let more = next < length;
        let flags = if more { TINFL_FLAG_HAS_MORE_INPUT } else { 0 };
        let at = (total % TINFL_LZ_DICT_SIZE as u64) as usize;
        let piece = input.get(start..end).unwrap_or_default();
        let (status, consumed, written) = decompress(&mut state, piece, &mut window, at, flags);
        start += consumed;
        let unpacked = window.get(at..at + written).unwrap_or_default();
        found = digest::crc32_continued(found, unpacked);
        if !write(unpacked) {
            return Err(Error::TooLarge { room: total });
        }
        total += written as u64;
        match status {
            TINFLStatus::Done => break,
            TINFLStatus::HasMoreOutput => {}
            TINFLStatus::NeedsMoreInput if more => {
                let size = PIECE.min(length - next);
                (start, end) = (0, size as usize);
                read(next, input.get_mut(..end).unwrap_or_default());
                next += size;
            }
            TINFLStatus::FailedCannotMakeProgress | TINFLStatus::NeedsMoreInput => return Err(Error::Cut { length }),
            _ => return Err(Error::Damaged { after: total }),
        }
    }
    // The decompressor may hold some bytes of the piece before, which it cannot give back: the trailer begins up to a word of it earlier.
    let expected_at = next - (end - start) as u64;
    let mut trailer = [0; 8];
    let mut expected = None;
    for back in 0..8 {
        let Some(at) = expected_at.checked_sub(back).filter(|at| at + 8 <= length) else { continue };
        read(at, &mut trailer);
        let (crc, size) = (u32_at(&trailer, 0), u32_at(&trailer, 4));
        if crc == Some(found) && size == Some(total as u32) {
            return Ok(total);
        }
        expected = expected.or(crc);
    }
    match expected {
        Some(expected) => Err(Error::Checksum { expected, found }),
        None => Err(Error::Cut { length }),
    }
}

/// What follows the header of a gzip file.
fn deflate_body(gzip: &[u8]) -> Result<&[u8], Error> {
    const HEADER_CRC: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    let cut = Error::Cut { length: gzip.len() as u64 };
    if !is_gzip(gzip) {
        return Err(Error::NotGzip);
    }
    let (method, flags) = (*gzip.get(2).ok_or(cut)?, *gzip.get(3).ok_or(cut)?);
    if method != 8 || flags & 0xe0 != 0 {
        return Err(Error::Method { method, flags });
    }
    let mut rest = gzip.get(10..).ok_or(cut)?;
    if flags & EXTRA != 0 {
        let length = usize::from(u16_at(rest, 0).ok_or(cut)?);
        rest = rest.get(2 + length..).ok_or(cut)?;
    }
    for _ in 0..(flags & NAME != 0) as u8 + (flags & COMMENT != 0) as u8 {
        let end = rest.iter().position(|byte| *byte == 0).ok_or(cut)?;
        rest = rest.get(end + 1..).ok_or(cut)?;
    }
    if flags & HEADER_CRC != 0 { rest.get(2..).ok_or(cut) } else { Ok(rest) }
}

/// Why a gzip file was not unpacked. The texts go on after the file's name and a colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It does not begin as one.
    NotGzip,
    /// A compression method or flag that does not exist.
    Method {
        /// 8 is deflate.
        method: u8,
        /// The flags.
        flags: u8,
    },
    /// It ends before its data does.
    Cut {
        /// Its length in bytes.
        length: u64,
    },
    /// Its data is no deflate stream after so many bytes of output.
    Damaged {
        /// Bytes that were unpacked before.
        after: u64,
    },
    /// It unpacks to more than there is room for.
    TooLarge {
        /// The room in bytes.
        room: u64,
    },
    /// It unpacks to something else than was packed.
    Checksum {
        /// CRC-32 in the file.
        expected: u32,
        /// CRC-32 of what was unpacked.
        found: u32,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGzip => f.write_str("not a gzip file"),
            Self::Method { method, flags } => write!(f, "gzip method {method} with flags {flags:#04x} does not exist"),
            Self::Cut { length } => write!(f, "the gzip file is cut off after {length} bytes; copy it again"),
            Self::Damaged { after } => {
                write!(f, "the gzip file is damaged: nothing sensible after {after} unpacked bytes")
            }
            Self::TooLarge { room } => write!(f, "it unpacks to more than the {room} bytes there is room for"),
            Self::Checksum { expected, found } => {
                write!(f, "the gzip file is damaged: CRC-32 {found:08x}, it says {expected:08x}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// `printf 'Xen on a Pi. Xen on a Pi.\n' | gzip -n9`
    const PLAIN: &[u8] = &[
        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x8b, 0x48, 0xcd, 0x53, 0xc8, 0xcf, 0x53, 0x48,
        0x54, 0x08, 0xc8, 0xd4, 0x53, 0x88, 0x40, 0xe2, 0x70, 0x01, 0x00, 0x93, 0xb0, 0x10, 0xe8, 0x1a, 0x00, 0x00,
        0x00,
    ];
    const TEXT: &[u8] = b"Xen on a Pi. Xen on a Pi.\n";

    /// The same with every optional part of the header.
    fn with_flags(flags: u8) -> Vec<u8> {
        let mut file = PLAIN[..10].to_vec();
        file[3] = flags;
        if flags & 4 != 0 {
            file.extend_from_slice(&[3, 0, 1, 2, 3]);
        }
        for (flag, text) in [(8, &b"xen\0"[..]), (16, &b"a comment\0"[..]), (2, &[0xaa, 0xbb][..])] {
            if flags & flag != 0 {
                file.extend_from_slice(text);
            }
        }
        file.extend_from_slice(&PLAIN[10..]);
        file
    }

    #[test]
    fn every_form_of_header_is_passed_over() {
        for flags in 0..32 {
            let mut output = [0x55; 64];
            assert_eq!(gunzip(&with_flags(flags), &mut output), Ok(TEXT.len()), "flags {flags}");
            assert_eq!(&output[..TEXT.len()], TEXT);
            assert!(output[TEXT.len()..].iter().all(|byte| *byte == 0x55), "nothing behind the end is written");
        }
        assert_eq!(gunzip(&with_flags(32), &mut [0; 64]), Err(Error::Method { method: 8, flags: 32 }));
    }

    fn in_pieces(gzip: &[u8], room: usize) -> Result<Vec<u8>, Error> {
        let mut output = Vec::new();
        let mut read = |at: u64, buffer: &mut [u8]| {
            let at = at as usize;
            buffer.copy_from_slice(&gzip[at..at + buffer.len()]);
        };
        let mut write = |bytes: &[u8]| {
            output.extend_from_slice(bytes);
            output.len() <= room
        };
        let length = gunzip_in_pieces(gzip.len() as u64, &mut read, &mut write)?;
        assert_eq!(length, output.len() as u64);
        Ok(output)
    }

    /// Stored blocks, wherever the pieces end in them.
    fn stored(contents: &[u8]) -> Vec<u8> {
        let mut file = PLAIN[..10].to_vec();
        let chunks = contents.chunks(0xffff);
        let last = chunks.len() - 1;
        for (index, chunk) in chunks.enumerate() {
            file.push(u8::from(index == last));
            file.extend_from_slice(&(chunk.len() as u16).to_le_bytes());
            file.extend_from_slice(&(!(chunk.len() as u16)).to_le_bytes());
            file.extend_from_slice(chunk);
        }
        file.extend_from_slice(&crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(contents).to_le_bytes());
        file.extend_from_slice(&(contents.len() as u32).to_le_bytes());
        file
    }

    #[test]
    fn a_file_in_pieces_is_unpacked_wherever_the_pieces_end() {
        assert_eq!(in_pieces(PLAIN, 100).unwrap(), TEXT);
        assert_eq!(in_pieces(&[PLAIN, &[0; 40]].concat(), 100).unwrap(), TEXT);
        assert_eq!(in_pieces(PLAIN, 10), Err(Error::TooLarge { room: 0 }));
        let contents: Vec<u8> = (0..200_000u32).map(|index| ((index * 7) >> 3) as u8).collect();
        for length in (16_340..16_400).chain([40_000, 65_535, 65_536, 200_000]) {
            assert_eq!(in_pieces(&stored(&contents[..length]), length).unwrap(), &contents[..length], "{length}");
        }
    }

    #[test]
    fn damage_and_cuts_are_found_in_pieces_too() {
        for length in 0..PLAIN.len() {
            assert!(in_pieces(&PLAIN[..length], 100).is_err(), "{length}");
        }
        for at in 10..PLAIN.len() {
            let mut file = PLAIN.to_vec();
            file[at] ^= 0x10;
            // A bit between the last block and the trailer means nothing.
            assert!(in_pieces(&file, 1000).ok().is_none_or(|output| output == TEXT), "{at}");
        }
    }

    #[test]
    fn the_room_is_kept_to() {
        assert_eq!(unpacked_size(PLAIN), Some(TEXT.len() as u32));
        assert_eq!(gunzip(PLAIN, &mut vec![0; TEXT.len()]), Ok(TEXT.len()));
        assert_eq!(gunzip(PLAIN, &mut vec![0; TEXT.len() - 1]), Err(Error::TooLarge { room: TEXT.len() as u64 - 1 }));
        assert_eq!(gunzip(PLAIN, &mut []), Err(Error::TooLarge { room: 0 }));
    }

    #[test]
    fn every_cut_is_refused() {
        for length in 0..PLAIN.len() {
            let error = gunzip(&PLAIN[..length], &mut [0; 64]).unwrap_err();
            assert!(
                error == Error::Cut { length: length as u64 } || (length < 2 && error == Error::NotGzip),
                "{error:?}"
            );
        }
        assert_eq!(unpacked_size(&PLAIN[..12]), None);
        // Data of others behind the end is none of ours.
        assert_eq!(gunzip(&[PLAIN, &[0; 40]].concat(), &mut [0; 64]), Ok(TEXT.len()));
    }

    #[test]
    fn damage_is_found_by_checksum_and_length() {
        let mut file = PLAIN.to_vec();
        let crc = file.len() - 8;
        file[crc] ^= 1;
        assert!(matches!(gunzip(&file, &mut [0; 64]), Err(Error::Checksum { .. })));
        file[crc] ^= 1;
        file[crc + 4] ^= 1;
        assert!(matches!(gunzip(&file, &mut [0; 64]), Err(Error::Checksum { .. })));
        file[crc + 4] ^= 1;
        file[10] |= 6;
        let error = gunzip(&file, &mut [0; 64]).unwrap_err();
        assert_eq!(error.to_string(), "the gzip file is damaged: nothing sensible after 0 unpacked bytes");
    }

    proptest! {
        #[test]
        fn damaged_files_are_answered(at in 0..PLAIN.len(), value in any::<u8>()) {
            let mut file = PLAIN.to_vec();
            file[at] = value;
            let mut output = [0; 64];
            if let Ok(length) = gunzip(&file, &mut output) {
                prop_assert_eq!(&output[..length], TEXT);
            }
        }
    }
}
