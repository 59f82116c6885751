//! FIT images that are started: the kernel, the ramdisk, the device tree with its overlays, and whatever else a configuration names.
//!
//! As U-Boot has it (`boot/image-fit.c`, `boot/image-board.c`): `bootm ADDRESS` takes the default configuration, `ADDRESS#NAME` another one, and
//! `ADDRESS:FILE` a kernel alone. What the command names itself stands in the place of the configuration's. Every file is compared with its
//! digests, unless the variable `verify` says no.
//!
//! A program goes where it can run and a tree where it can grow, as every other, so their `load` counts for nothing. A ramdisk and the
//! `loadables` lie where theirs says, because a tree that names Xen's modules names those addresses.

use super::boot::{program_in, unpack};
use super::fdt::change;
use crate::boot::fit::{self, Fit};
use crate::boot::gzip;
use crate::boot::layout::Request;
use crate::boot::legacy_image::Compression;
use crate::range::PhysicalRange;
use crate::shell::image::{File, Image, Part, image_at};
use crate::shell::platform::Platform;
use crate::shell::{Failure, Loaded, Shell, number};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Room for what overlays add to a tree.
const ROOM: u64 = 1 << 20;

/// A file of an image.
struct Piece {
    name: String,
    file: File,
    /// Where the image wants it.
    load: Option<u64>,
    /// All of the image.
    image: PhysicalRange,
}

/// What is to be started of an image.
pub(super) struct Pieces {
    kernel: Piece,
    ramdisk: Option<Piece>,
    /// The tree, and overlays.
    trees: Vec<Piece>,
    loadables: Vec<Piece>,
}

/// What is in memory of it.
pub(super) struct Placed {
    /// The program.
    pub program: PhysicalRange,
    /// The ramdisk, if the configuration has one.
    pub ramdisk: Option<PhysicalRange>,
    /// The address of the device tree, if it has one.
    pub tree: Option<u64>,
}

impl Piece {
    fn new(address: u64, fit: &Fit<'_>, image: &fit::Image<'_>) -> Result<Self, fit::Error> {
        let whole = PhysicalRange { start: address, end: address.saturating_add(fit.bytes().len() as u64) };
        let file = File::of_fit(address, fit, image)?;
        Ok(Self { name: image.name().to_string(), file, load: image.load(), image: whole })
    }
}

impl Pieces {
    /// What `part` of the image at `address` names.
    ///
    /// # Errors
    /// Why there is no such kernel, or that something else it names is not there.
    pub fn find(address: u64, fit: &Fit<'_>, part: Part<'_>) -> Result<Self, fit::Error> {
        let configuration = match part {
            Part::File(name) => {
                let kernel = Piece::new(address, fit, &fit.image(name)?)?;
                return Ok(Self { kernel, ramdisk: None, trees: Vec::new(), loadables: Vec::new() });
            }
            Part::Default | Part::Configuration("") => None,
            Part::Configuration(name) => Some(name),
        };
        let all = |role| -> Result<Vec<Piece>, fit::Error> {
            let images = fit.images_of(configuration, role)?;
            images.iter().map(|image| Piece::new(address, fit, image)).collect()
        };
        Ok(Self {
            kernel: Piece::new(address, fit, &fit.image_of(configuration, "kernel")?)?,
            ramdisk: all("ramdisk")?.into_iter().next(),
            trees: all("fdt")?,
            loadables: all("loadables")?,
        })
    }

    /// Verifies it, and puts it where it is to lie; of ramdisk and tree only what the command does not name itself.
    ///
    /// # Errors
    /// Something is damaged, has no place, or is packed in a way that is not unpacked here; [`Failure::Interrupted`].
    pub fn place(self, shell: &mut Shell<'_>, ramdisk: bool, tree: bool) -> Result<Placed, Failure> {
        let program = program_in(shell, &self.kernel.name, &self.kernel.file)?;
        for piece in &self.loadables {
            land(shell, piece, piece.file.compression)?;
        }
        // A packed ramdisk is its kernel's to unpack.
        let ramdisk = self.ramdisk.filter(|_| ramdisk);
        let ramdisk = ramdisk.map(|piece| land(shell, &piece, Compression::None)).transpose()?;
        let tree = match self.trees.split_first().filter(|_| tree) {
            Some((base, overlays)) => Some(assembled(shell, base, overlays)?),
            None => None,
        };
        Ok(Placed { program, ramdisk, tree })
    }
}

/// Verifies a piece and puts it where it wants to be; without a wish, or with address 0, it stays where it is. Packed files are unpacked.
fn land(shell: &mut Shell<'_>, piece: &Piece, compression: Compression) -> Result<PhysicalRange, Failure> {
    verify(shell, piece)?;
    let range = match (piece.load.filter(|load| *load != 0), compression) {
        (Some(load), compression) => {
            check_place(shell, piece, compression, load)?;
            let range =
                shell.unpack(piece.file.range, compression, load).map_err(|failure| in_piece(piece, failure))?;
            shell.say(format_args!("{} of the FIT image is at {range} now\n", piece.name))?;
            shell.landed(&piece.name, range)?;
            return Ok(range);
        }
        (None, Compression::None) => piece.file.range,
        (None, Compression::Gzip) => {
            return unpack(shell, &Loaded { name: piece.name.clone(), range: piece.file.range, spent: false });
        }
        (None, other) => return Err(packed(piece, other)),
    };
    shell.remember(&piece.name, range);
    Ok(range)
}

/// Refuses a place that a file could not be loaded to, and one over the image itself, of which there is more to come.
fn check_place(shell: &Shell<'_>, piece: &Piece, compression: Compression, load: u64) -> Result<(), Failure> {
    let packed = piece.file.range;
    let size = match compression {
        Compression::Gzip => gzip::unpacked_size(shell.platform.memory(packed)?).map_or(0, u64::from),
        _ => packed.size(),
    };
    let target = shell.room_at(load, &piece.name, size).map_err(|error| in_piece(piece, error))?;
    if target.overlaps(&piece.image) {
        return Err(Failure::because(format!(
            "{} of the FIT image is to lie at {target}, over the image itself at {}: load the image elsewhere",
            piece.name, piece.image
        )));
    }
    Ok(())
}

/// The tree `base` with `overlays` in it; its address.
fn assembled(shell: &mut Shell<'_>, base: &Piece, overlays: &[Piece]) -> Result<u64, Failure> {
    let plain =
        |piece: &Piece| Piece { name: piece.name.clone(), file: piece.file.clone(), load: None, image: piece.image };
    let range = land(shell, &plain(base), base.file.compression)?;
    if overlays.is_empty() {
        return Ok(range.start);
    }
    let place = shell.free_place(&base.name, Request::new(range.size().saturating_add(ROOM)), range)?;
    let tree = shell.copy(range, place.start)?;
    shell.remember(&base.name, tree);
    shell.working_tree = Some(tree.start);
    for overlay in overlays {
        let range = land(shell, &plain(overlay), overlay.file.compression)?;
        change::apply(shell, &[format!("{:x}", range.start)]).map_err(|failure| in_piece(overlay, failure))?;
    }
    Ok(tree.start)
}

fn verify(shell: &mut Shell<'_>, piece: &Piece) -> Result<(), Failure> {
    match shell.verify_if_wanted(&piece.file)? {
        Some(note) => shell.say(format_args!("note: {note}\n")),
        None => Ok(()),
    }
}

fn in_piece(piece: &Piece, failure: Failure) -> Failure {
    match failure {
        Failure::Reason(reason) => Failure::because(format!("{} of the FIT image: {reason}", piece.name)),
        other => other,
    }
}

fn packed(piece: &Piece, compression: Compression) -> Failure {
    Failure::because(format!("{} of the FIT image is packed: {compression}; gzip or nothing is expected", piece.name))
}

/// What `text` names, `ADDRESS[:FILE|#CONFIGURATION]`, if it lies in a FIT image: a file, or what the configuration has for `role`.
///
/// # Errors
/// It has no such file, it is damaged, or the address is none.
pub(super) fn named(shell: &mut Shell<'_>, text: &str, role: &str) -> Result<Option<PhysicalRange>, Failure> {
    let (address, part) = Part::split(text);
    let Ok(address) = number::hexadecimal(address) else { return Ok(None) };
    let Some(piece) = piece(shell.platform, address, part, role)? else { return Ok(None) };
    let compression = if role == RAMDISK { Compression::None } else { piece.file.compression };
    land(shell, &Piece { load: piece.load.filter(|_| role == RAMDISK), ..piece }, compression).map(Some)
}

/// What configurations call a ramdisk and a device tree.
pub(super) const RAMDISK: &str = "ramdisk";
pub(super) const TREE: &str = "fdt";

fn piece(platform: &dyn Platform, address: u64, part: Part<'_>, role: &str) -> Result<Option<Piece>, Failure> {
    // A device tree that is no image is what is looked for, as a rule.
    let Ok(Some(Image::Fit(fit))) = image_at(platform, address) else { return Ok(None) };
    let image = match part {
        Part::File(name) => fit.image(name),
        Part::Default | Part::Configuration("") => fit.image_of(None, role),
        Part::Configuration(name) => fit.image_of(Some(name), role),
    };
    let piece = image.and_then(|image| Piece::new(address, &fit, &image)).map_err(Failure::because)?;
    Ok(Some(piece))
}
