//! Images in the machine's memory, and the script in one: what `source`, `iminfo` and `imxtract` begin with.

use super::platform::Platform;
use super::{Failure, Shell, number};
use crate::boot::fit::{self, Digest, Fit};
use crate::boot::gzip;
use crate::boot::legacy_image::{self, Compression, LegacyImage};
use crate::config::LARGEST_FILE;
use crate::device_tree::{Label, Tree};
use crate::range::PhysicalRange;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What unpacking is called where it is shown how far it is.
const UNPACKING: &str = "unpacking";

const TREE_MAGIC: [u8; 4] = [0xd0, 0x0d, 0xfe, 0xed];

/// An image, of whichever of mkimage's formats.
#[derive(Clone, Copy, Debug)]
pub enum Image<'a> {
    /// A header and data.
    Legacy(LegacyImage<'a>),
    /// A device tree of files.
    Fit(Fit<'a>),
}

/// A file in an image: where it lies in memory, and what shows that it is whole.
#[derive(Clone, Debug)]
pub struct File {
    /// Its bytes, as they are packed.
    pub range: PhysicalRange,
    /// How they are packed.
    pub compression: Compression,
    proof: Proof,
}

/// What shows that a file is whole.
#[derive(Clone, Debug)]
enum Proof {
    /// Nothing: it is a file as it was loaded.
    None,
    /// The CRC-32 in an image's header, of all its data.
    Header(legacy_image::Header, PhysicalRange),
    /// What a FIT image says of its file of that name.
    Digests(Label, Vec<Digest>),
}

impl File {
    /// `bytes` of the data of the legacy image at `address`.
    pub fn of_legacy(address: u64, image: &LegacyImage<'_>, bytes: &[u8]) -> Self {
        let data = address.saturating_add(legacy_image::HEADER_SIZE as u64);
        let all = PhysicalRange { start: data, end: data.saturating_add(image.data.len() as u64) };
        let proof = Proof::Header(image.header, all);
        Self { range: place(data, image.data, bytes), compression: image.header.compression, proof }
    }

    /// The file `image` of the FIT image at `address`.
    ///
    /// # Errors
    /// As [`fit::Image::digests`].
    pub fn of_fit(address: u64, fit: &Fit<'_>, image: &fit::Image<'_>) -> Result<Self, fit::Error> {
        let proof = Proof::Digests(image.name().into(), image.digests()?);
        Ok(Self { range: place(address, fit.bytes(), image.data), compression: image.compression(), proof })
    }
}

/// Where `part` of `whole` lies, which begins at `address`.
fn place(address: u64, whole: &[u8], part: &[u8]) -> PhysicalRange {
    let offset = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
    // Nothing may be anywhere.
    let offset = if part.is_empty() { 0 } else { offset as u64 };
    let start = address.saturating_add(offset);
    PhysicalRange { start, end: start.saturating_add(part.len() as u64) }
}

/// The image at `address`; `None` where there is something else. A legacy image's data and a FIT image's files are not verified yet.
///
/// # Errors
/// It is damaged, or not all in memory.
pub fn image_at(platform: &dyn Platform, address: u64) -> Result<Option<Image<'_>>, Failure> {
    let sized = |size| {
        PhysicalRange::sized(address, size).ok_or_else(|| Failure::because(format!("{address:#x} is no address")))
    };
    let start = platform.memory(sized(8)?)?;
    if legacy_image::Header::is_at(start) {
        let header = platform.memory(sized(legacy_image::HEADER_SIZE as u64)?)?;
        let size = legacy_image::Header::parse(header).map_err(Failure::because)?.total_size();
        let image = LegacyImage::parse(platform.memory(sized(size)?)?).map_err(Failure::because)?;
        return Ok(Some(Image::Legacy(image)));
    }
    let [magic, size] = start.as_chunks::<4>().0 else { return Ok(None) };
    if *magic != TREE_MAGIC {
        return Ok(None);
    }
    let bytes = platform.memory(sized(u64::from(u32::from_be_bytes(*size)))?)?;
    let tree = Tree::new(bytes).map_err(Failure::because)?;
    let extent = fit::extent(&tree).map_err(Failure::because)?;
    let fit = Fit::parse(platform.memory(sized(extent)?)?).map_err(Failure::because)?;
    Ok(Some(Image::Fit(fit)))
}

/// What `source` or `bootm` is asked for behind the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Nothing.
    Default,
    /// `:NAME`, a file of a FIT image.
    File(&'a str),
    /// `#NAME`, a configuration of one; the default one without a name.
    Configuration(&'a str),
}

impl<'a> Part<'a> {
    /// `[ADDRESS][:FILE|#CONFIGURATION]` as the address and what is behind it.
    pub fn split(text: &'a str) -> (&'a str, Self) {
        match text.find([':', '#']).and_then(|at| text.split_at_checked(at)) {
            None => (text, Self::Default),
            Some((address, part)) => match part.split_at_checked(1) {
                Some((":", "")) | None => (address, Self::Default),
                Some((":", name)) => (address, Self::File(name)),
                Some((_, name)) => (address, Self::Configuration(name)),
            },
        }
    }
}

impl Shell<'_> {
    /// Whether images are to be verified: unless the variable `verify` says no.
    pub fn verifies(&self) -> bool {
        self.environment.says_yes("verify") != Some(false)
    }

    /// The address that `text` says, or the one that images lie at where nothing says so ([`Shell::image_place`]).
    ///
    /// # Errors
    /// It is no number.
    pub fn image_address(&self, text: Option<&str>) -> Result<u64, Failure> {
        text.filter(|text| !text.is_empty()).map_or(Ok(self.image_place), number::hexadecimal)
    }

    /// Compares a file with what its image says of it, unless the variable `verify` says no; gives what was not looked at, in words.
    ///
    /// # Errors
    /// As [`Shell::verify`].
    pub fn verify_if_wanted(&mut self, file: &File) -> Result<Option<String>, Failure> {
        if self.verifies() { self.verify(file) } else { Ok(None) }
    }

    /// Compares a file with what its image says of it; gives what was not looked at, in words.
    ///
    /// # Errors
    /// It is damaged; [`Failure::Interrupted`].
    pub fn verify(&mut self, file: &File) -> Result<Option<String>, Failure> {
        let (name, digests) = match &file.proof {
            Proof::None => return Ok(None),
            Proof::Header(header, data) => {
                let found = self.crc32(*data)?;
                return header.check_data(found).map(|()| None).map_err(Failure::because);
            }
            Proof::Digests(name, digests) => (*name, digests),
        };
        let mut left = String::new();
        for digest in digests {
            match digest {
                Digest::Known(algorithm, expected) => {
                    let found = self.digest(*algorithm, file.range)?;
                    fit::check(name, *algorithm, expected, &found).map_err(Failure::because)?;
                }
                Digest::Other(algorithm) => left += &format!(" {algorithm}"),
            }
        }
        Ok(match (digests.is_empty(), left.is_empty()) {
            (true, _) => Some(format!("{name} has no digest: nothing was verified")),
            (false, true) => None,
            (false, false) => Some(format!("{name}: not verified, because this loader does not compute it:{left}")),
        })
    }

    /// The text of the script that `source WHERE` runs, `WHERE` being `[ADDRESS][:FILE|#CONFIGURATION]`: a legacy image's, a FIT image's, or, which U-Boot
    /// does not take, a plain text file as it was loaded. Gives what a person should be told as well.
    ///
    /// # Errors
    /// There is no script, or it is damaged and the variable `verify` does not say that this is no matter.
    pub fn script_text(&mut self, place: Option<&str>) -> Result<(String, Option<String>), Failure> {
        let (address, part) = Part::split(place.unwrap_or_default());
        let address = self.image_address(Some(address))?;
        let file = match image_at(self.platform, address)? {
            Some(Image::Legacy(image)) => File::of_legacy(address, &image, image.script().map_err(Failure::because)?),
            Some(Image::Fit(fit)) => {
                let image = fit_script(&fit, part).map_err(Failure::because)?;
                File::of_fit(address, &fit, &image).map_err(Failure::because)?
            }
            None => self.plain_text(address)?,
        };
        let length = file.range.size();
        if length > LARGEST_FILE as u64 {
            return Err(Failure::because(format!("the script has {length} bytes, expected at most {LARGEST_FILE}")));
        }
        let note = self.verify_if_wanted(&file)?;
        let text = self.platform.memory(file.range)?;
        Ok((String::from_utf8_lossy(text).into_owned(), note))
    }

    /// The file that was loaded to `address`, if it begins as text.
    fn plain_text(&self, address: u64) -> Result<File, Failure> {
        let no_script = || {
            Failure::because(format!("no script at {address:#x}: neither an image (mkimage -T script) nor a text file"))
        };
        let loaded = self.loaded.iter().rev().find(|loaded| loaded.range.start == address).ok_or_else(no_script)?;
        let bytes = self.platform.memory(loaded.range)?;
        let bytes = bytes.get(..LARGEST_FILE).unwrap_or(bytes);
        let is_text = |byte: &u8| *byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r');
        if bytes.is_empty() || !bytes.iter().all(is_text) {
            return Err(no_script());
        }
        Ok(File { range: loaded.range, compression: Compression::None, proof: Proof::None })
    }

    /// Copies `source`, packed with `compression`, to `to`; gives where the result lies.
    ///
    /// # Errors
    /// One of both is not memory; it is damaged; it cannot be unpacked; both overlap; [`Failure::Interrupted`].
    pub fn unpack(
        &mut self,
        source: PhysicalRange,
        compression: Compression,
        to: u64,
    ) -> Result<PhysicalRange, Failure> {
        match compression {
            Compression::None => return self.copy(source, to),
            Compression::Gzip => {}
            other => return Err(Failure::because(legacy_image::Error::Compression(other))),
        }
        let cut = || Failure::because(gzip::Error::Cut { length: source.size() });
        let size = gzip::unpacked_size(self.platform.memory(source)?).ok_or_else(cut)?;
        let target = PhysicalRange::sized(to, u64::from(size))
            .ok_or_else(|| Failure::because(format!("{size} bytes from {to:#x} pass the end of memory")))?;
        if target.overlaps(&source) {
            return Err(Failure::because(format!("unpacking {source} to {target} would write over itself")));
        }
        self.platform.memory_mut(target)?;
        let platform = core::cell::RefCell::new(&mut *self.platform);
        let mut at = to;
        let mut interrupted = false;
        let written = gzip::gunzip_in_pieces(
            source.size(),
            &mut |offset, buffer| {
                let piece = PhysicalRange::sized(source.start.saturating_add(offset), buffer.len() as u64);
                let platform = platform.borrow();
                if let Some(bytes) = piece.and_then(|piece| platform.memory(piece).ok()) {
                    buffer.copy_from_slice(bytes);
                }
            },
            &mut |bytes| {
                let piece = PhysicalRange { start: at, end: at.saturating_add(bytes.len() as u64) };
                at = piece.end;
                let mut platform = platform.borrow_mut();
                interrupted = platform.interrupted();
                if interrupted {
                    return false;
                }
                platform.progress(UNPACKING, at - to, u64::from(size));
                let there = if target.contains(&piece) { platform.memory_mut(piece).ok() } else { None };
                there.map(|there| there.copy_from_slice(bytes)).is_some()
            },
        );
        self.platform.worked(UNPACKING, written.is_ok());
        if interrupted {
            return Err(Failure::Interrupted);
        }
        let written = written.map_err(Failure::because)?;
        Ok(PhysicalRange { start: to, end: to + written })
    }
}

/// The script of a FIT image.
fn fit_script<'a>(fit: &Fit<'a>, part: Part<'_>) -> Result<fit::Image<'a>, fit::Error> {
    match part {
        Part::Default => fit.default_script(),
        Part::File(name) => fit.image(name),
        Part::Configuration("") => fit.image_of(None, "script"),
        Part::Configuration(name) => fit.image_of(Some(name), "script"),
    }
}
