//! Devices: `mmc`, `part`, and what U-Boot can and this loader cannot. Commands that only make a device ready succeed with a note, because scripts
//! say them by habit; those that would load something say what to use.

use super::files::partition;
use crate::shell::platform::PartitionEntry;
use crate::shell::{Command, Failure, Outcome, Shell, number};
use alloc::format;
use alloc::string::String;

/// The commands.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "mmc",
        usage: "list | dev [DEVICE [PARTITION]] | rescan | info | part",
        help: "SD card and eMMC",
        example: "mmc part",
        run: mmc,
    },
    Command {
        name: "part",
        usage: "list INTERFACE DEVICE [-bootable] [VARIABLE] | number|start|size INTERFACE DEVICE PARTITION VARIABLE",
        help: "partitions of a card",
        example: "part list mmc 0",
        run: part,
    },
    Command {
        name: "fstype",
        usage: "INTERFACE DEVICE[:PARTITION] [VARIABLE]",
        help: "say which file system a partition has",
        example: "fstype mmc 0:1",
        run: file_system,
    },
    Command {
        name: "usb",
        usage: "start | reset | stop | ...",
        help: "USB is not driven here",
        example: "usb start",
        run: usb,
    },
    Command { name: "pci", usage: "[enum]", help: "PCI Express is not driven here", example: "pci enum", run: pci },
    Command {
        name: "scsi",
        usage: "...",
        help: "not on this board",
        example: "load mmc 0:1 0x1000000 xen",
        run: absent,
    },
    Command { name: "nvme", usage: "...", help: "not driven here", example: "load mmc 0:1 0x1000000 xen", run: absent },
    Command {
        name: "virtio",
        usage: "...",
        help: "not on this board",
        example: "load mmc 0:1 0x1000000 xen",
        run: absent,
    },
    Command {
        name: "fpga",
        usage: "load ...",
        help: "not on this board",
        example: "load mmc 0:1 0x1000000 xen",
        run: absent,
    },
];

/// The device that is the card.
const CARD: u32 = 0;

fn mmc(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    match arguments.get(1).map(String::as_str) {
        Some("list") => shell.say(format_args!("mmc 0: SD card or eMMC\n"))?,
        Some("dev") => {
            let device = arguments.get(2).map_or(Ok(u64::from(CARD)), |text| number::hexadecimal(text))?;
            let device = u32::try_from(device).unwrap_or(u32::MAX);
            shell.platform.partitions("mmc", device)?;
            shell.say(format_args!("mmc {device} is the current device.\n"))?;
        }
        // Scripts say it by habit, and load from the network afterwards.
        Some("rescan") => match shell.platform.rescan() {
            Ok(()) => {}
            Err(Failure::Reason(reason)) => shell.say(format_args!("Note: {reason}\n"))?,
            Err(failure) => return Err(failure),
        },
        Some("info" | "part") => {
            let entries = shell.platform.partitions("mmc", CARD)?;
            print_table(shell, &entries)?;
        }
        Some("read" | "write" | "erase") => {
            return Err(Failure::because(
                "blocks are not read or written here; `load mmc 0:1 ADDRESS FILE` reads files",
            ));
        }
        _ => return Err(Failure::Usage),
    }
    Ok(true)
}

fn print_table(shell: &mut Shell<'_>, entries: &[PartitionEntry]) -> Result<(), Failure> {
    shell.say(format_args!("Part  Start sector  Sectors     Type\n"))?;
    for entry in entries {
        let PartitionEntry { number, first, blocks, kind, bootable } = entry;
        let boot = if *bootable { " boot" } else { "" };
        shell.say(format_args!("{number:>4}  {first:<12}  {blocks:<10}  {kind:02x}{boot}\n"))?;
    }
    Ok(())
}

fn part(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let [_, what, interface, device, rest @ ..] = arguments else { return Err(Failure::Usage) };
    let device = partition(interface, device)?.device;
    let entries = shell.platform.partitions(interface, device)?;
    let value = match (what.as_str(), rest) {
        ("list", []) => {
            print_table(shell, &entries)?;
            return Ok(true);
        }
        ("list", [flags @ .., variable]) => {
            let only = flags.iter().any(|flag| flag == "-bootable");
            let numbers =
                entries.iter().filter(|entry| !only || entry.bootable).map(|entry| format!("{:x}", entry.number));
            let list = numbers.reduce(|list, number| format!("{list} {number}")).unwrap_or_default();
            (variable, list)
        }
        ("number" | "start" | "size", [wanted, variable]) => {
            let number = number::hexadecimal(wanted).map_err(|_| {
                Failure::because(format!("partition \"{wanted}\": partitions of this card have numbers and no names"))
            })?;
            let entry = entries.iter().find(|entry| u64::from(entry.number) == number);
            let entry = entry.ok_or_else(|| Failure::because(format!("there is no partition {wanted}")))?;
            let value = match what.as_str() {
                "number" => u64::from(entry.number),
                "start" => entry.first,
                _ => entry.blocks,
            };
            (variable, format!("{value:x}"))
        }
        ("uuid" | "name" | "type" | "set", _) => {
            return Err(Failure::because(format!("part {what}: partitions are known by their numbers only")));
        }
        _ => return Err(Failure::Usage),
    };
    shell.store(value.0, &value.1)
}

fn file_system(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let (interface, device, variable) = match arguments {
        [_, interface, device] => (interface, device, None),
        [_, interface, device, variable] => (interface, device, Some(variable)),
        _ => return Err(Failure::Usage),
    };
    // Nothing else can be listed.
    shell.platform.list(&partition(interface, device)?, "/")?;
    match variable {
        Some(variable) => shell.store(variable, "fat"),
        None => shell.say(format_args!("fat\n")).map(|()| true),
    }
}

fn usb(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    match arguments.get(1).map(String::as_str) {
        Some("start" | "reset" | "stop") => {
            shell.say(format_args!("Note: USB is not driven here; the console is the serial line.\n"))?;
            Ok(true)
        }
        _ => Err(Failure::because(
            "USB is not driven here: put files on the card (`load mmc 0:1`) or on a server (tftpboot)",
        )),
    }
}

fn pci(shell: &mut Shell<'_>, _: &[String]) -> Outcome {
    shell.say(format_args!("Note: PCI Express is not driven here.\n"))?;
    Ok(true)
}

fn absent(_: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let name = arguments.first().map_or("", String::as_str);
    Err(Failure::because(format!(
        "there is no {name} here: put files on the card (`load mmc 0:1`) or on a server (tftpboot)"
    )))
}
