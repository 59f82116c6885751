//! `iminfo` and `imxtract`: what mkimage's images hold, and files out of them.

use super::super::{Command, Failure, Loaded, Outcome, Shell, number};
use crate::boot::fit::{self, Fit};
use crate::boot::gzip;
use crate::boot::legacy_image::{Compression, Kind, LegacyImage};
use crate::shell::image::{File, Image, image_at};
use crate::shell::landing::shortened;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write as _;

/// The commands of this module.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "iminfo",
        usage: "[ADDRESS...]",
        help: "show and verify the image at ADDRESS (mkimage's formats: legacy and FIT)",
        example: "iminfo 0x1000000",
        run: show,
    },
    Command {
        name: "imxtract",
        usage: "ADDRESS [PART [DESTINATION]]",
        help: "find part PART (a number in a legacy image, 0 where none is said, a name in a FIT image), and copy or unpack it to DESTINATION; sets fileaddr and filesize",
        example: "imxtract 0x1000000 kernel 0x2000000",
        run: extract,
    },
    Command {
        name: "unzip",
        usage: "SOURCE DESTINATION [SIZE]",
        help: "unpack the gzip file that was loaded to SOURCE, to at most SIZE bytes; sets filesize",
        example: "unzip 0x1000000 0x2000000",
        run: unzip,
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
    let shown = match image_at(shell.platform, address)?.ok_or_else(|| no_image(address))? {
        Image::Legacy(image) => {
            let file = File::of_legacy(address, &image, image.data);
            Shown { head: legacy_text(&image), files: vec![(String::new(), Ok(file))], tail: String::new() }
        }
        Image::Fit(fit) => fit_shown(address, &fit)?,
    };
    shell.say(format_args!("\n## Checking Image at {address:08x} ...\n{}", shown.head))?;
    let mut failed = None;
    for (text, file) in shown.files {
        let state = match file {
            Ok(file) => shell.verify(&file),
            Err(error) => Err(Failure::because(error)),
        };
        match state {
            Ok(_) if text.is_empty() => {}
            Ok(note) => shell.say(format_args!("{text}; {}\n", note.as_deref().unwrap_or("verified")))?,
            Err(Failure::Reason(reason)) => {
                if !text.is_empty() {
                    shell.say(format_args!("   {reason}\n"))?;
                }
                failed.get_or_insert(Failure::Reason(reason));
            }
            Err(failure) => return Err(failure),
        }
    }
    shell.say(format_args!("{}", shown.tail))?;
    failed.map_or(Ok(true), Err)
}

/// What is shown of an image.
struct Shown {
    head: String,
    /// The files that are verified, each with its line; without one where the head has said all.
    files: Vec<(String, Result<File, fit::Error>)>,
    tail: String,
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

/// What is in a FIT image.
fn fit_shown(address: u64, fit: &Fit<'_>) -> Result<Shown, Failure> {
    let head = format!("   FIT image found: {}\n", shortened(fit.description()));
    let mut files = Vec::new();
    for image in fit.images().map_err(Failure::because)?.take(MOST_SHOWN) {
        files.push(match image {
            Ok(image) => {
                let (name, size, compression) = (image.name(), image.data.len(), image.compression());
                let (description, kind) = (shortened(image.description()), shortened(image.kind()));
                let text = format!("   Image {name} ({description}): {kind}, {size} Bytes, {compression}");
                (text, File::of_fit(address, fit, &image))
            }
            Err(error) => (String::from("   Image"), Err(error)),
        });
    }
    let mut tail = String::new();
    for configuration in fit.configurations().take(MOST_SHOWN) {
        let default = if fit.default_configuration() == Some(configuration.name()) { ", the default" } else { "" };
        let _ = write!(tail, "   Configuration {}{default}:", configuration.name());
        for role in ["kernel", "fdt", "ramdisk", "script", "loadables"] {
            if let Some(property) = configuration.property(role) {
                let files: String =
                    property.strings().take(MOST_SHOWN).map(|file| format!(" {}", shortened(file))).collect();
                let _ = write!(tail, " {role}{};", shortened(&files));
            }
        }
        tail += "\n";
    }
    Ok(Shown { head, files, tail })
}

/// `imxtract ADDRESS [PART [DESTINATION]]`.
fn extract(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let (address, part, destination) = match arguments.get(1..) {
        Some([address]) => (address, "0", None),
        Some([address, part]) => (address, part.as_str(), None),
        Some([address, part, destination]) => (address, part.as_str(), Some(number::hexadecimal(destination)?)),
        _ => return Err(Failure::Usage),
    };
    let address = number::hexadecimal(address)?;
    let file = match image_at(shell.platform, address)?.ok_or_else(|| no_image(address))? {
        Image::Legacy(image) => {
            let index = number::hexadecimal(part)? as usize;
            File::of_legacy(address, &image, image.part(index).map_err(Failure::because)?)
        }
        Image::Fit(fit) => {
            let image = fit.image(part).map_err(Failure::because)?;
            File::of_fit(address, &fit, &image).map_err(Failure::because)?
        }
    };
    let note = shell.verify_if_wanted(&file)?;
    let File { range: source, compression, .. } = file;
    if compression != Compression::None && destination.is_none() {
        return Err(Failure::because(format!("{part} is packed ({compression}): say where to unpack it")));
    }
    if let Some(note) = note {
        shell.say(format_args!("note: {note}\n"))?;
    }
    let mut size = source.size();
    if let Some(destination) = destination {
        let unpacked = match compression {
            Compression::Gzip => gzip::unpacked_size(shell.platform.memory(source)?).map_or(0, u64::from),
            _ => source.size(),
        };
        shell.room_at(destination, part, unpacked)?;
        let placed = shell.unpack(source, compression, destination)?;
        shell.say(format_args!("{part} of the image at {address:08x} is at {placed} now\n"))?;
        size = placed.size();
        shell.put_at(part, placed)?;
    }
    // U-Boot's variable is where the part lies in the image, wherever it was copied to.
    shell.environment.set("fileaddr", &format!("{:x}", source.start));
    shell.environment.set("filesize", &format!("{size:x}"));
    Ok(true)
}

/// `unzip SOURCE DESTINATION [SIZE]`.
fn unzip(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let [_, source, destination, rest @ ..] = arguments else { return Err(Failure::Usage) };
    let (source, destination) = (number::hexadecimal(source)?, number::hexadecimal(destination)?);
    let most = match rest {
        [] => u64::MAX,
        [size] => number::hexadecimal(size)?,
        _ => return Err(Failure::Usage),
    };
    let file = shell.loaded.iter().rev().find(|loaded| loaded.range.start == source).cloned();
    let Some(Loaded { name, range, .. }) = file else {
        return Err(Failure::because(format!(
            "nothing was loaded to {source:#x}: the length of what lies there is not known"
        )));
    };
    let size = gzip::unpacked_size(shell.platform.memory(range)?).map_or(0, u64::from);
    if size > most {
        return Err(Failure::because(format!("{name} unpacks to {size:#x} bytes, more than {most:#x}")));
    }
    shell.room_at(destination, &name, size)?;
    let placed = shell.unpack(range, Compression::Gzip, destination)?;
    shell.say(format_args!("Uncompressed size: {0} = 0x{0:X}\n", placed.size()))?;
    shell.put_at(&name, placed)?;
    shell.environment.set("filesize", &format!("{:x}", placed.size()));
    Ok(true)
}
