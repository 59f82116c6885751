//! `iminfo` and `imxtract`: what mkimage's images hold, and files out of them.

use super::super::{Command, Failure, Outcome, Shell, number};
use crate::boot::fit::Fit;
use crate::boot::legacy_image::{Compression, Kind, LegacyImage};
use crate::range::PhysicalRange;
use crate::shell::image::{Image, image_at, unverified};
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write as _;

/// The commands of this module.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "iminfo",
        usage: "[ADDRESS...]",
        help: "show and verify the image at ADDRESS (mkimage's formats: legacy and FIT)",
        run: show,
    },
    Command {
        name: "imxtract",
        usage: "ADDRESS PART [DESTINATION]",
        help: "find part PART (a number in a legacy image, a name in a FIT image), and copy or unpack it to DESTINATION; sets fileaddr and filesize",
        run: extract,
    },
];

/// Files of an image that are shown. Real ones have ten.
const MOST_SHOWN: usize = 64;

fn no_image(address: u64) -> Failure {
    Failure::because(format!("no image at {address:#x}: neither mkimage's header nor a FIT image's device tree"))
}

/// `iminfo [ADDRESS...]`.
fn show(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let addresses = arguments.get(1..).unwrap_or_default();
    if addresses.is_empty() {
        let address = shell.image_address(None)?;
        return show_one(shell, address);
    }
    let mut all = true;
    for address in addresses {
        let address = number::hexadecimal(address)?;
        all &= show_one(shell, address)?;
    }
    Ok(all)
}

fn show_one(shell: &mut Shell<'_>, address: u64) -> Outcome {
    let (text, failure) = match image_at(shell.platform, address)?.ok_or_else(|| no_image(address))? {
        Image::Legacy(image) => (legacy_text(&image), image.verify().err().map(|error| error.to_string())),
        Image::Fit(fit) => fit_text(&fit)?,
    };
    shell.platform.print(format_args!("\n## Checking Image at {address:08x} ...\n{text}"));
    match failure {
        None => Ok(true),
        Some(failure) => Err(Failure::because(failure)),
    }
}

fn legacy_text(image: &LegacyImage<'_>) -> String {
    const ARM64: u8 = 22;
    const LINUX: u8 = 5;
    let header = &image.header;
    let architecture = if header.architecture == ARM64 { "AArch64" } else { "other processor" };
    let system = if header.system == LINUX { "Linux" } else { "other system" };
    let mut text = format!(
        "   Legacy image found\n   Image Name:   {}\n   Image Type:   {architecture} {system}, {}, {}\n   Data Size:    {} Bytes\n   Load Address: {:08x}\n   Entry Point:  {:08x}\n",
        header.name(),
        header.kind,
        header.compression,
        header.size,
        header.load,
        header.entry,
    );
    if matches!(header.kind, Kind::Multi | Kind::Script) {
        text += "   Contents:\n";
        for (index, part) in image.parts().enumerate().take(MOST_SHOWN) {
            text += &match part {
                Ok(part) => format!("      Image {index}: {} Bytes\n", part.len()),
                Err(error) => format!("      Image {index}: {error}\n"),
            };
        }
    }
    text
}

/// What is in a FIT image; and the first of its files that is damaged, in words.
fn fit_text(fit: &Fit<'_>) -> Result<(String, Option<String>), Failure> {
    let mut text = format!("   FIT image found: {}\n", fit.description());
    let mut failure = None;
    for image in fit.images().map_err(Failure::because)?.take(MOST_SHOWN) {
        let line = image.and_then(|image| {
            let state = unverified(&image)?.unwrap_or_else(|| "verified".to_string());
            let (name, description, kind) = (image.name(), image.description(), image.kind());
            let (size, compression) = (image.data.len(), image.compression());
            Ok(format!("   Image {name} ({description}): {kind}, {size} Bytes, {compression}; {state}\n"))
        });
        text += &line.unwrap_or_else(|error| {
            let line = format!("   {error}\n");
            failure.get_or_insert(error.to_string());
            line
        });
    }
    for configuration in fit.configurations().take(MOST_SHOWN) {
        let default = if fit.default_configuration() == Some(configuration.name()) { ", the default" } else { "" };
        let _ = write!(text, "   Configuration {}{default}:", configuration.name());
        for role in ["kernel", "fdt", "ramdisk", "script", "loadables"] {
            if let Some(property) = configuration.property(role) {
                let files: String = property.strings().map(|file| format!(" {file}")).collect();
                let _ = write!(text, " {role}{files};");
            }
        }
        text += "\n";
    }
    Ok((text, failure))
}

/// `imxtract ADDRESS PART [DESTINATION]`.
fn extract(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let (address, part, destination) = match arguments.get(1..) {
        Some([address, part]) => (address, part, None),
        Some([address, part, destination]) => (address, part, Some(number::hexadecimal(destination)?)),
        _ => return Err(Failure::Usage),
    };
    let address = number::hexadecimal(address)?;
    let verifies = shell.verifies();
    let start =
        shell.platform.memory(PhysicalRange { start: address, end: address.saturating_add(8) })?.as_ptr().addr();
    let (data, compression, note) = match image_at(shell.platform, address)?.ok_or_else(|| no_image(address))? {
        Image::Legacy(image) => {
            let index = number::hexadecimal(part)? as usize;
            if verifies {
                image.verify().map_err(Failure::because)?;
            }
            (image.part(index).map_err(Failure::because)?, image.header.compression, None)
        }
        Image::Fit(fit) => {
            let image = fit.image(part).map_err(Failure::because)?;
            let note = if verifies { unverified(&image).map_err(Failure::because)? } else { None };
            (image.data, image.compression(), note)
        }
    };
    let offset = data.as_ptr().addr().saturating_sub(start) as u64;
    let source = PhysicalRange { start: address.saturating_add(offset), end: address.saturating_add(offset) };
    let source = PhysicalRange { end: source.start.saturating_add(data.len() as u64), ..source };
    if compression != Compression::None && destination.is_none() {
        return Err(Failure::because(format!("{part} is packed ({compression}): say where to unpack it")));
    }
    if let Some(note) = note {
        shell.platform.print(format_args!("note: {note}\n"));
    }
    let mut size = source.size();
    if let Some(destination) = destination {
        let placed = shell.unpack(source, compression, destination)?;
        shell.platform.print(format_args!("{part} of the image at {address:08x} is at {placed} now\n"));
        size = placed.size();
        shell.loaded.retain(|loaded| !loaded.range.overlaps(&placed));
        shell.remember(part, placed);
    }
    // U-Boot's variable is where the part lies in the image, wherever it was copied to.
    shell.environment.set("fileaddr", &format!("{:x}", source.start));
    shell.environment.set("filesize", &format!("{size:x}"));
    Ok(true)
}
