//! gzip files (RFC 1952), unpacked piece by piece: straight to where their contents will lie while they come ([`Gunzip`]), or from one place of a
//! script's memory to another ([`gunzip_in_pieces`]).

use alloc::boxed::Box;
use alloc::vec;
use core::fmt;
use core::ops::Range;

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

/// Where unpacked bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    /// To their place: all that was unpacked before lies in front of it.
    Whole,
    /// Round and round in a window of the last 32 KiB, which is as far as the format refers back.
    Window,
}

/// What unpacking stopped at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// There is no more room for what comes next.
    Room,
    /// More of the file is wanted.
    Input,
    /// Everything is unpacked; what follows in the file is the trailer.
    End,
}

/// The first member of a gzip file (RFC 1952) that is being unpacked, piece by piece.
pub struct Gunzip {
    /// Eleven kilobytes, too many for the stack of a loader.
    state: Box<DecompressorOxide>,
    read: u64,
    written: u64,
    /// CRC-32 of what was unpacked.
    crc: u32,
}

impl fmt::Debug for Gunzip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gunzip").field("read", &self.read).field("written", &self.written).finish_non_exhaustive()
    }
}

impl Gunzip {
    /// Of a file that begins so: all of its header must be there.
    ///
    /// # Errors
    /// [`Error::Cut`] where that is not, [`Error::NotGzip`], [`Error::Method`].
    pub fn new(beginning: &[u8]) -> Result<Self, Error> {
        let header = beginning.len() - deflate_body(beginning)?.len();
        Ok(Self { state: Box::default(), read: header as u64, written: 0, crc: 0 })
    }

    /// Bytes of the file that are used up: the next input begins there.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Bytes that were unpacked.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Goes on with `input`, the file from [`read`](Self::read) on, and says what ended that. `more` says that the file goes on behind it. What is unpacked
    /// goes to `output` behind what is in it already, that is to [`written`](Self::written); no byte behind `output` is touched, which may be longer the next time.
    ///
    /// # Errors
    /// [`Error::Damaged`]; [`Error::Cut`] where the file ends first.
    pub fn go_on(&mut self, input: &[u8], more: bool, output: &mut [u8]) -> Result<Stopped, Error> {
        self.step(input, more, output, Output::Whole).map(|(stopped, _)| stopped)
    }

    /// The same for both kinds of output; gives the place in it of what was unpacked, too.
    fn step(
        &mut self,
        input: &[u8],
        more: bool,
        output: &mut [u8],
        kind: Output,
    ) -> Result<(Stopped, Range<usize>), Error> {
        let length = self.read.saturating_add(input.len() as u64);
        let (at, wrapping) = match kind {
            Output::Whole => (self.written, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF),
            Output::Window => (self.written % TINFL_LZ_DICT_SIZE as u64, 0),
        };
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(output.len());
        let flags = wrapping | if more { TINFL_FLAG_HAS_MORE_INPUT } else { 0 };
        let (status, consumed, written) = decompress(&mut self.state, input, output, at, flags);
        let unpacked = at..at.saturating_add(written);
        self.crc = digest::crc32_continued(self.crc, output.get(unpacked.clone()).unwrap_or_default());
        self.read = self.read.saturating_add(consumed as u64);
        self.written = self.written.saturating_add(written as u64);
        match status {
            TINFLStatus::Done => Ok((Stopped::End, unpacked)),
            TINFLStatus::HasMoreOutput => Ok((Stopped::Room, unpacked)),
            TINFLStatus::NeedsMoreInput if more => Ok((Stopped::Input, unpacked)),
            TINFLStatus::FailedCannotMakeProgress | TINFLStatus::NeedsMoreInput => Err(Error::Cut { length }),
            _ => Err(Error::Damaged { after: self.written }),
        }
    }

    /// After [`Stopped::End`]: compares what was unpacked with the trailer. `read` fills a buffer with the bytes from an offset on of the file, which has
    /// `length` bytes. Says how many bytes were unpacked.
    ///
    /// # Errors
    /// [`Error::Checksum`], [`Error::Cut`].
    pub fn check(&self, length: u64, read: &mut dyn FnMut(u64, &mut [u8])) -> Result<u64, Error> {
        let (mut trailer, mut expected) = ([0; 8], None);
        // The decompressor may hold some bytes of the pieces before the last one, which it cannot give back: the trailer begins up to a word
        // of it earlier.
        for back in 0..8 {
            let Some(at) = self.read.checked_sub(back).filter(|at| at.saturating_add(8) <= length) else { continue };
            read(at, &mut trailer);
            let (crc, size) = (u32_at(&trailer, 0), u32_at(&trailer, 4));
            if crc == Some(self.crc) && size == Some(self.written as u32) {
                return Ok(self.written);
            }
            expected = expected.or(crc.filter(|_| back == 0));
        }
        match expected {
            Some(expected) => Err(Error::Checksum { expected, found: self.crc }),
            None => Err(Error::Cut { length }),
        }
    }
}

/// Unpacks a gzip file where it and its contents lie in memory of which only one place at a time can be looked at: `read` fills a buffer with the file's
/// bytes from an offset on, `write` takes unpacked bytes, in order, at most 32 KiB of them and perhaps none, and says whether to go on. The file has `length` bytes.
/// Says how many bytes were unpacked.
///
/// # Errors
/// Damage is found by the format's own CRC-32 and length; [`Error::TooLarge`] where `write` says no.
pub fn gunzip_in_pieces(
    length: u64,
    read: &mut dyn FnMut(u64, &mut [u8]),
    write: &mut dyn FnMut(&[u8]) -> bool,
) -> Result<u64, Error> {
    const PIECE: u64 = 16 << 10;
    let mut input = vec![0; PIECE as usize];
    let mut window = vec![0; TINFL_LZ_DICT_SIZE];
    let mut end = PIECE.min(length);
    let mut piece = input.get_mut(..end as usize).unwrap_or_default();
    read(0, piece);
    // A header that does not end within the first piece has a name of kilobytes: it is taken for one that is cut.
    let mut gunzip = Gunzip::new(piece)?;
    loop {
        let rest = piece.len() - ((end - gunzip.read) as usize).min(piece.len());
        let room = gunzip.written;
        let input_left = piece.get(rest..).unwrap_or_default();
        let (stopped, unpacked) = gunzip.step(input_left, end < length, &mut window, Output::Window)?;
        if !write(window.get(unpacked).unwrap_or_default()) {
            return Err(Error::TooLarge { room });
        }
        match stopped {
            Stopped::End => return gunzip.check(length, read),
            Stopped::Room => {}
            Stopped::Input => {
                let size = PIECE.min(length - end);
                piece = input.get_mut(..size as usize).unwrap_or_default();
                read(end, piece);
                end += size;
            }
        }
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

    /// All of a file at once.
    fn gunzip(gzip: &[u8], output: &mut [u8]) -> Result<usize, Error> {
        unpack(gzip, output, &mut core::iter::once(usize::MAX), usize::MAX)
    }

    /// A file of which so many bytes come at a time, unpacked by at most so many.
    fn unpack(
        gzip: &[u8],
        output: &mut [u8],
        pieces: &mut dyn Iterator<Item = usize>,
        most: usize,
    ) -> Result<usize, Error> {
        let mut gunzip: Option<Gunzip> = None;
        let (mut come, length) = (0, gzip.len());
        loop {
            let more = come < length;
            if let Some(gunzip) = &mut gunzip {
                let limit = output.len().min((gunzip.written() as usize).saturating_add(most));
                let input = &gzip[gunzip.read() as usize..come];
                match gunzip.go_on(input, more, &mut output[..limit])? {
                    Stopped::End => break,
                    Stopped::Room if limit < output.len() => continue,
                    Stopped::Room => return Err(Error::TooLarge { room: output.len() as u64 }),
                    Stopped::Input => {}
                }
            }
            come = come.saturating_add(pieces.next().unwrap_or(usize::MAX)).min(length);
            if gunzip.is_none() {
                match Gunzip::new(&gzip[..come]) {
                    Ok(begun) => gunzip = Some(begun),
                    Err(Error::Cut { .. } | Error::NotGzip) if come < length => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let mut read = |at: u64, buffer: &mut [u8]| buffer.copy_from_slice(&gzip[at as usize..][..buffer.len()]);
        gunzip.unwrap().check(length as u64, &mut read).map(|length| length as usize)
    }

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

    /// As a packer does it.
    fn miniz(contents: &[u8]) -> Vec<u8> {
        let mut file = PLAIN[..10].to_vec();
        file.extend(miniz_oxide::deflate::compress_to_vec(contents, 9));
        file.extend_from_slice(&crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(contents).to_le_bytes());
        file.extend_from_slice(&(contents.len() as u32).to_le_bytes());
        file
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
        let chunks = contents.chunks(0xffff).chain(contents.is_empty().then_some(contents));
        let last = contents.len().div_ceil(0xffff).max(1) - 1;
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
        fn the_same_comes_whatever_comes_at_a_time(
            pieces in proptest::collection::vec(1_usize..40, 1..20), most in 1_usize..40, length in 0_usize..3000,
        ) {
            let contents: Vec<u8> = (0..length).map(|index| (index >> 2) as u8).collect();
            for file in [with_flags(31), stored(&contents), miniz(&contents)] {
                let mut output = vec![0x55; 4000];
                let unpacked = unpack(&file, &mut output, &mut pieces.iter().copied().cycle(), most).unwrap();
                let expected = if file.starts_with(&PLAIN[..3]) && file[3] == 31 { TEXT } else { &contents[..] };
                prop_assert_eq!(&output[..unpacked], expected);
                prop_assert!(output[unpacked..].iter().all(|byte| *byte == 0x55));
            }
        }

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
