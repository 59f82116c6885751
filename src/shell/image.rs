//! Images in the machine's memory, and the script in one: what `source`, `iminfo` and `imxtract` begin with.

use super::platform::Platform;
use super::{Failure, Shell, number};
use crate::boot::fit::{self, Fit};
use crate::boot::legacy_image::{self, Compression, LegacyImage};
use crate::config::LARGEST_FILE;
use crate::device_tree::Tree;
use crate::range::PhysicalRange;
use alloc::format;
use alloc::string::String;

const TREE_MAGIC: [u8; 4] = [0xd0, 0x0d, 0xfe, 0xed];

/// An image, of whichever of mkimage's formats.
#[derive(Clone, Copy, Debug)]
pub enum Image<'a> {
    /// A header and data.
    Legacy(LegacyImage<'a>),
    /// A device tree of files.
    Fit(Fit<'a>),
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

/// What `source` is asked for behind the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'a> {
    /// Nothing.
    Default,
    /// `:NAME`, a file of a FIT image.
    File(&'a str),
    /// `#NAME`, a configuration of one; the default one without a name.
    Configuration(&'a str),
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

    /// The text of the script that `source WHERE` runs, `WHERE` being `[ADDRESS][:FILE|#CONFIGURATION]`: a legacy image's, a FIT image's, or, which U-Boot
    /// does not take, a plain text file as it was loaded. Gives what a person should be told as well.
    ///
    /// # Errors
    /// There is no script, or it is damaged and the variable `verify` does not say that this is no matter.
    pub fn script_text(&self, place: Option<&str>) -> Result<(String, Option<String>), Failure> {
        let place = place.unwrap_or_default();
        let (address, part) = match place.find([':', '#']).and_then(|at| place.split_at_checked(at)) {
            None => (place, Part::Default),
            Some((address, part)) => match part.split_at_checked(1) {
                Some((":", "")) => (address, Part::Default),
                Some((":", name)) => (address, Part::File(name)),
                Some((_, name)) => (address, Part::Configuration(name)),
                None => (address, Part::Default),
            },
        };
        let address = self.image_address(Some(address))?;
        let mut note = None;
        let text = match image_at(self.platform, address)? {
            Some(Image::Legacy(image)) => {
                if self.verifies() {
                    image.verify().map_err(Failure::because)?;
                }
                image.script().map_err(Failure::because)?
            }
            Some(Image::Fit(fit)) => {
                let (bytes, unverified) = self.fit_script(&fit, part).map_err(Failure::because)?;
                note = unverified;
                bytes
            }
            None => self.plain_text(address)?,
        };
        if text.len() > LARGEST_FILE {
            let length = text.len();
            return Err(Failure::because(format!("the script has {length} bytes, expected at most {LARGEST_FILE}")));
        }
        Ok((String::from_utf8_lossy(text).into_owned(), note))
    }

    /// The script of a FIT image; and which of its digests were not looked at, in words.
    fn fit_script<'a>(&self, fit: &Fit<'a>, part: Part<'_>) -> Result<(&'a [u8], Option<String>), fit::Error> {
        let image = match part {
            Part::Default => fit.default_script()?,
            Part::File(name) => fit.image(name)?,
            Part::Configuration("") => fit.image_of(None, "script")?,
            Part::Configuration(name) => fit.image_of(Some(name), "script")?,
        };
        let note = if self.verifies() { unverified(&image)? } else { None };
        Ok((image.data, note))
    }

    /// The file that was loaded to `address`, if it is text.
    fn plain_text(&self, address: u64) -> Result<&[u8], Failure> {
        let no_script = || {
            Failure::because(format!("no script at {address:#x}: neither an image (mkimage -T script) nor a text file"))
        };
        let loaded = self.loaded.iter().rev().find(|loaded| loaded.range.start == address).ok_or_else(no_script)?;
        let bytes = self.platform.memory(loaded.range)?;
        let is_text = |byte: &u8| *byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r');
        if bytes.is_empty() || !bytes.iter().all(is_text) { Err(no_script()) } else { Ok(bytes) }
    }

    /// Copies `source`, packed with `compression`, to `to`; gives where the result lies.
    ///
    /// # Errors
    /// One of both is not memory; it is damaged; it cannot be unpacked; both overlap.
    pub fn unpack(
        &mut self,
        source: PhysicalRange,
        compression: Compression,
        to: u64,
    ) -> Result<PhysicalRange, Failure> {
        use crate::boot::gzip;
        match compression {
            Compression::None => return Ok(self.copy(source, to)?),
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
        let written = gzip::gunzip_in_pieces(
            source.size(),
            &mut |offset, buffer| {
                let piece = PhysicalRange::sized(source.start.saturating_add(offset), buffer.len() as u64);
                if let Some(bytes) = piece.and_then(|piece| platform.borrow().memory(piece).ok().map(<[u8]>::to_vec)) {
                    buffer.copy_from_slice(&bytes);
                }
            },
            &mut |bytes| {
                let piece = PhysicalRange { start: at, end: at.saturating_add(bytes.len() as u64) };
                at = piece.end;
                let mut platform = platform.borrow_mut();
                let there = if target.contains(&piece) { platform.memory_mut(piece).ok() } else { None };
                there.map(|there| there.copy_from_slice(bytes)).is_some()
            },
        );
        let written = written.map_err(Failure::because)?;
        Ok(PhysicalRange { start: to, end: to + written })
    }
}

/// Compares a FIT image's file with its digests; says which were not looked at, in words.
///
/// # Errors
/// [`fit::Error::Digest`], [`fit::Error::BadDigest`].
pub fn unverified(image: &fit::Image<'_>) -> Result<Option<String>, fit::Error> {
    let verified = image.verify()?;
    let left: String = verified.iter().filter(|one| !one.compared).map(|one| format!(" {}", one.algorithm)).collect();
    let nothing = verified.iter().all(|one| !one.compared);
    Ok(match (left.is_empty(), nothing) {
        (true, true) => Some(format!("{} has no digest: nothing was verified", image.name())),
        (true, false) => None,
        (false, _) => Some(format!("{}: not verified, because this loader does not compute it:{left}", image.name())),
    })
}
