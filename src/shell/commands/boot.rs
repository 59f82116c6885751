//! Commands that start something: `booti`, `bootm`, `go`, `reset`.

use super::fit::{self, Pieces, Placed};
use crate::boot::gzip;
use crate::boot::image::{HEADER_SIZE, Header};
use crate::boot::layout::Request;
use crate::boot::legacy_image::{Compression, Kind};
use crate::range::PhysicalRange;
use crate::shell::image::{File, Image, Part, image_at};
use crate::shell::lints;
use crate::shell::platform::Boot;
use crate::shell::working_tree::tree_at;
use crate::shell::{Command, Failure, Loaded, Outcome, Shell, number};
use alloc::format;
use alloc::string::{String, ToString};

/// Bytes in an instruction.
const INSTRUCTION: u64 = 4;

const START: &str = "[ADDRESS [RAMDISK[:SIZE]|- [TREE]]]";

const START_IMAGE: &str = "[ADDRESS[#CONFIGURATION|:FILE] [RAMDISK[:SIZE]|- [TREE]]]";

/// The commands.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "booti",
        usage: START,
        help: "start Xen or Linux, an arm64 Image, plain or gzip",
        example: "booti 0x1000000 - $fdt_addr",
        run: booti,
    },
    Command {
        name: "bootm",
        usage: START_IMAGE,
        help: "start Xen or Linux in a U-Boot image (mkimage): a uImage, or a configuration of a FIT image",
        example: "bootm 0x1000000 - $fdt_addr",
        run: bootm,
    },
    Command {
        name: "go",
        usage: "ADDRESS",
        help: "jump to a program, as the firmware would have",
        example: "go 0x80000",
        run: go,
    },
    Command { name: "reset", usage: "", help: "reset the board", example: "reset", run: reset },
];

/// Commands of U-Boot's that are not here, and say what to use.
pub const NOT_HERE: &[Command] = &[
    Command {
        name: "bootefi",
        usage: "...",
        help: "EFI is not here",
        example: "booti 0x1000000 - $fdt_addr",
        run: bootefi,
    },
    Command {
        name: "bootelf",
        usage: "...",
        help: "ELF files are not started here",
        example: "booti 0x1000000 - $fdt_addr",
        run: bootelf,
    },
];

pub(super) fn booti(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let address = program_address(shell, arguments)?;
    let file = loaded_at(shell, address);
    let start = PhysicalRange::sized(address, HEADER_SIZE as u64).ok_or_else(|| no_address(address))?;
    let beginning = shell.platform.memory(start)?;
    let program = if gzip::is_gzip(beginning) {
        let file = file.ok_or_else(|| {
            Failure::because(format!(
                "the gzip file at {address:#x} was not loaded by this script: its length is not known"
            ))
        })?;
        unpack(shell, &file)?
    } else {
        match file {
            Some(file) => file.range,
            None => {
                // Whatever made it, its header says how much memory it takes.
                let header = Header::of_beginning(beginning, u64::MAX);
                let header = header.map_err(|_| {
                    Failure::because(format!(
                        "there is no arm64 Image at {address:#x}, and this script loaded nothing to it"
                    ))
                })?;
                let size = header.image_size.max(HEADER_SIZE as u64);
                PhysicalRange::sized(address, size).ok_or_else(|| no_address(address))?
            }
        }
    };
    start_program(shell, &Placed { program, ramdisk: None, tree: None }, arguments)
}

pub(super) fn bootm(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let (address, part) = Part::split(arguments.get(1).map_or("", String::as_str));
    let address = shell.image_address(Some(address))?;
    let file = match image_at(shell.platform, address)? {
        Some(Image::Legacy(image)) => {
            if image.header.kind != Kind::Kernel {
                return Err(Failure::because(format!("the image at {address:#x} is no kernel: {}", image.header.kind)));
            }
            File::of_legacy(address, &image, image.data)
        }
        Some(Image::Fit(fit)) => {
            let pieces = Pieces::find(address, &fit, part).map_err(Failure::because)?;
            let placed = pieces.place(shell, arguments.get(2).is_none(), arguments.get(3).is_none())?;
            return start_program(shell, &placed, arguments);
        }
        None => {
            return Err(Failure::because(format!(
                "no U-Boot image at {address:#x}; an arm64 Image is started by `booti`"
            )));
        }
    };
    let name = loaded_at(shell, address).map_or_else(|| "image".to_string(), |loaded| loaded.name);
    let program = program_in(shell, &name, &file)?;
    start_program(shell, &Placed { program, ramdisk: None, tree: None }, arguments)
}

/// The program in an image's file: verified, and unpacked where it is packed.
///
/// # Errors
/// It is damaged, or packed in a way that is not unpacked here; [`Failure::Interrupted`].
pub(super) fn program_in(shell: &mut Shell<'_>, name: &str, file: &File) -> Result<PhysicalRange, Failure> {
    if let Some(note) = shell.verify_if_wanted(file)? {
        shell.say(format_args!("note: {note}\n"))?;
    }
    match file.compression {
        Compression::None => {
            shell.remember(name, file.range);
            Ok(file.range)
        }
        Compression::Gzip => unpack(shell, &Loaded { name: name.to_string(), range: file.range, spent: false }),
        other => Err(Failure::because(format!("the image is compressed with {other}; expected gzip or nothing"))),
    }
}

/// Starts what is `placed` with the ramdisk and the tree that a command names, or with its own.
fn start_program(shell: &mut Shell<'_>, placed: &Placed, arguments: &[String]) -> Outcome {
    if arguments.len() > 4 {
        return Err(Failure::Usage);
    }
    let program = placed.program;
    let ramdisk = match arguments.get(2).map(String::as_str) {
        None => placed.ramdisk,
        Some("-") => None,
        Some(text) => Some(ramdisk(shell, text)?),
    };
    let firmware = shell.platform.facts().firmware_tree.map(|tree| tree.start);
    let tree = match (arguments.get(3), placed.tree) {
        (Some(text), _) => match fit::named(shell, text, fit::TREE)? {
            Some(range) => range.start,
            None => number::hexadecimal(text)?,
        },
        (None, Some(tree)) => tree,
        (None, None) => match shell.environment.get("fdt_addr") {
            Some(text) => number::hexadecimal(text)?,
            None => firmware.ok_or_else(|| Failure::because("no device tree named, and the firmware passed none"))?,
        },
    };
    let size = tree_at(shell.platform, tree)?.bytes().len() as u64;
    let tree = PhysicalRange { start: tree, end: tree.saturating_add(size) };
    let mac_address = own_address(shell);
    let arguments = shell.environment.get("bootargs");
    let boot = Boot { program, ramdisk, tree, arguments, mac_address, loaded: &shell.loaded };
    let header = Header::parse(shell.platform.memory(program)?).ok();
    let found = tree_at(shell.platform, tree.start)?;
    for lint in lints::look(&boot, &found, header.as_ref(), shell.platform.layout()) {
        shell.say(format_args!("warning: {lint}\n"))?;
    }
    let arguments = shell.environment.get("bootargs");
    Err(shell.platform.boot(&Boot { program, ramdisk, tree, arguments, mac_address, loaded: &shell.loaded }))
}

/// The Ethernet address in the variable `ethaddr`, where it is another than the board's own.
fn own_address(shell: &Shell<'_>) -> Option<[u8; 6]> {
    let text = shell.environment.get("ethaddr")?;
    let mut bytes = text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok());
    let mut address = [0; 6];
    for byte in &mut address {
        *byte = bytes.next()??;
    }
    let is_one = bytes.next().is_none() && address[0] & 1 == 0 && address != [0; 6];
    Some(address).filter(|address| is_one && shell.platform.facts().mac != Some(*address))
}

/// The ramdisk `ADDRESS[:SIZE]`: raw, or in a U-Boot image; in a FIT image as `ADDRESS[:FILE|#CONFIGURATION]`.
fn ramdisk(shell: &mut Shell<'_>, text: &str) -> Result<PhysicalRange, Failure> {
    if let Some(range) = fit::named(shell, text, fit::RAMDISK)? {
        return Ok(range);
    }
    let (address, size) = match text.split_once(':') {
        Some((address, size)) => (number::hexadecimal(address)?, Some(number::hexadecimal(size)?)),
        None => (number::hexadecimal(text)?, None),
    };
    if let Some(Image::Legacy(image)) = image_at(shell.platform, address)?
        && image.header.kind == Kind::Ramdisk
    {
        let file = File::of_legacy(address, &image, image.data);
        shell.verify_if_wanted(&file)?;
        if let Some(loaded) = loaded_at(shell, address) {
            // What is started has a name, then, and is known to be all there.
            shell.remember(&loaded.name, file.range);
        }
        return Ok(file.range);
    }
    let size = size.or_else(|| loaded_at(shell, address).map(|loaded| loaded.range.size()));
    let size = size.ok_or_else(|| {
        Failure::because(format!("the ramdisk at {address:#x} was not loaded by this script: say {address:#x}:SIZE"))
    })?;
    PhysicalRange::sized(address, size).ok_or_else(|| no_address(address))
}

/// Unpacks a gzip file to where nothing of the script's lies.
pub(super) fn unpack(shell: &mut Shell<'_>, file: &Loaded) -> Result<PhysicalRange, Failure> {
    let size = gzip::unpacked_size(shell.platform.memory(file.range)?);
    let size = size.ok_or_else(|| Failure::because(format!("{}: the gzip file is cut off", file.name)))?;
    let place = shell.free_place(&file.name, Request::xen(u64::from(size)), file.range)?;
    let program = shell.unpack(file.range, Compression::Gzip, place.start)?;
    shell.remember(&file.name, program);
    Ok(program)
}

fn program_address(shell: &Shell<'_>, arguments: &[String]) -> Result<u64, Failure> {
    arguments.get(1).map_or(Ok(shell.image_place), |text| number::hexadecimal(text))
}

/// What the script loaded to `address`.
fn loaded_at(shell: &Shell<'_>, address: u64) -> Option<Loaded> {
    shell.loaded.iter().rev().find(|loaded| loaded.range.start == address).cloned()
}

fn no_address(address: u64) -> Failure {
    Failure::because(format!("{address:#x} is beyond the end of memory"))
}

fn go(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let [_, address, ..] = arguments else { return Err(Failure::Usage) };
    let entry = number::hexadecimal(address)?;
    let first = PhysicalRange::sized(entry, INSTRUCTION).ok_or_else(|| no_address(entry))?;
    shell.platform.memory(first)?;
    Err(shell.platform.go(entry))
}

fn reset(shell: &mut Shell<'_>, _: &[String]) -> Outcome {
    Err(shell.platform.reset())
}

fn bootefi(_: &mut Shell<'_>, _: &[String]) -> Outcome {
    Err(Failure::because("there is no EFI here: start an arm64 Image with `booti ADDRESS - TREE`"))
}

fn bootelf(_: &mut Shell<'_>, _: &[String]) -> Outcome {
    Err(Failure::because(
        "ELF files are not started here: make an Image of it with objcopy -O binary, and say `booti` or `go`",
    ))
}
