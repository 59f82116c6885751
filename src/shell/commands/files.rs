//! Commands for files on a card: `load`, `ls`, `size`, and their variants that name a file system.

use crate::range::PhysicalRange;
use crate::shell::platform::{Directory, MOST_LISTED, Partition};
use crate::shell::{Command, Failure, Outcome, Shell, number};
use alloc::format;
use alloc::string::{String, ToString};

const LOAD: &str = "INTERFACE DEVICE[:PARTITION] [ADDRESS [FILE [BYTES [POSITION]]]]";
const LIST: &str = "INTERFACE DEVICE[:PARTITION] [DIRECTORY]";
const SIZE: &str = "INTERFACE DEVICE[:PARTITION] FILE";

/// The commands.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "load",
        usage: LOAD,
        help: "load a file from a card",
        example: "load mmc 0:1 0x1000000 xen",
        run: load,
    },
    Command {
        name: "fatload",
        usage: LOAD,
        help: "load a file from a FAT file system",
        example: "fatload mmc 0:1 0x1000000 xen",
        run: load,
    },
    Command { name: "ls", usage: LIST, help: "list a directory of a card", example: "ls mmc 0:1 /overlays", run: ls },
    Command {
        name: "fatls",
        usage: LIST,
        help: "list a directory of a FAT file system",
        example: "fatls mmc 0:1",
        run: ls,
    },
    Command {
        name: "size",
        usage: SIZE,
        help: "set filesize to the size of a file on a card",
        example: "size mmc 0:1 xen; echo $filesize",
        run: size,
    },
    Command {
        name: "fatsize",
        usage: SIZE,
        help: "set filesize to the size of a file on a FAT file system",
        example: "fatsize mmc 0:1 xen",
        run: size,
    },
];

/// Commands of U-Boot's that are not here, and say what to use.
pub const NOT_HERE: &[Command] = &[
    Command {
        name: "ext4load",
        usage: LOAD,
        help: "not here: only FAT is read",
        example: "load mmc 0:1 0x1000000 xen",
        run: not_fat,
    },
    Command { name: "ext4ls", usage: LIST, help: "not here: only FAT is read", example: "ls mmc 0:1", run: not_fat },
    Command {
        name: "ext4size",
        usage: SIZE,
        help: "not here: only FAT is read",
        example: "size mmc 0:1 xen",
        run: not_fat,
    },
    Command {
        name: "ext2load",
        usage: LOAD,
        help: "not here: only FAT is read",
        example: "load mmc 0:1 0x1000000 xen",
        run: not_fat,
    },
    Command { name: "ext2ls", usage: LIST, help: "not here: only FAT is read", example: "ls mmc 0:1", run: not_fat },
];

/// What to say of the partitions that the hardware of an eMMC has beside its blocks.
pub(super) const NO_HARDWARE_PARTITION: &str =
    "boot partitions of an eMMC are not read here: copy the file to a FAT partition, and say `mmc 0:1`";

/// `mmc 0:1` as two arguments. `0` alone is partition 1, `0:auto` the first that can be booted from; nothing before the `:` is device 0.
/// Numbers are hexadecimal (U-Boot's `disk/part.c`, `blk_get_device_part_str`).
///
/// # Errors
/// They are no numbers, or a hardware partition is named.
pub fn partition(interface: &str, device: &str) -> Result<Partition, Failure> {
    let small = |text: &str| -> Result<u32, Failure> {
        let number = number::hexadecimal(text)?;
        u32::try_from(number).map_err(|_| Failure::because(format!("there is no device or partition {text:?}")))
    };
    let (device, part) = match device.split_once(':') {
        None | Some((_, "")) => (device.trim_end_matches(':'), Some(1)),
        Some((device, "auto")) => (device, None),
        Some((device, part)) => (device, Some(small(part)?)),
    };
    let (device, hardware) = device.split_once('.').unwrap_or((device, "0"));
    if small(hardware)? != 0 {
        return Err(Failure::because(NO_HARDWARE_PARTITION));
    }
    let device = if device.is_empty() { 0 } else { small(device)? };
    Ok(Partition { interface: interface.to_string(), device, partition: part })
}

pub(super) fn load(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let [_, interface, device, rest @ ..] = arguments else { return Err(Failure::Usage) };
    if rest.len() > 4 {
        return Err(Failure::Usage);
    }
    let partition = partition(interface, device)?;
    let address = match rest.first() {
        Some(text) => number::hexadecimal(text)?,
        None => shell.load_address()?,
    };
    let path = rest.get(1).map(String::as_str).or(shell.environment.get("bootfile")).map(ToString::to_string);
    let path = path.ok_or_else(|| Failure::because("no file named, and bootfile is not set"))?;
    // As far as they are numbers, and 0 is all of it: what scripts leave empty or misspell is no reason not to boot.
    let length = rest.get(2).map(|text| number::leading(text, 16)).filter(|length| *length > 0);
    let offset = rest.get(3).map_or(0, |text| number::leading(text, 16));
    let landing = match shell.landing(address) {
        Ok(landing) => landing,
        Err(error) => {
            let size = shell.platform.size(&partition, &path).ok().map(|size| size.saturating_sub(offset));
            return Err(error.of_size(size.map(|size| length.map_or(size, |length| length.min(size)))).into());
        }
    };
    let size = shell.platform.load(&partition, &path, offset, length, &landing)?;
    shell.landed(&path, PhysicalRange { start: address, end: address.saturating_add(size) })?;
    Ok(true)
}

fn ls(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let (interface, device, path) = match arguments {
        [_, interface, device] => (interface, device, "/"),
        [_, interface, device, path] => (interface, device, path.as_str()),
        _ => return Err(Failure::Usage),
    };
    let Directory { entries, whole } = shell.platform.list(&partition(interface, device)?, path)?;
    for entry in &entries {
        match entry.size {
            Some(size) => shell.say(format_args!("{size:>10}   {}\n", entry.name))?,
            None => shell.say(format_args!("             {}/\n", entry.name))?,
        }
        if shell.platform.interrupted() {
            return Err(Failure::Interrupted);
        }
    }
    if !whole {
        shell.say(format_args!("and more: the first {MOST_LISTED} are shown\n"))?;
    }
    Ok(true)
}

fn size(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let [_, interface, device, path] = arguments else { return Err(Failure::Usage) };
    let size = shell.platform.size(&partition(interface, device)?, path)?;
    shell.environment.set("filesize", &format!("{size:x}"));
    Ok(true)
}

fn not_fat(_: &mut Shell<'_>, _: &[String]) -> Outcome {
    Err(Failure::because(
        "ext4 is not read here. Put the file on the FAT partition and say `load mmc 0:1 ADDRESS FILE`, or use tftpboot",
    ))
}
