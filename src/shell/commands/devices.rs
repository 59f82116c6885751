//! Devices: `mmc`, `part`, and what U-Boot can and this loader cannot. Commands that only make a device ready succeed with a note, because scripts
//! say them by habit; those that would load something say what to use.

use super::files::{NO_HARDWARE_PARTITION, partition};
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
        usage: "list INTERFACE DEVICE [-bootable] [VARIABLE] | number|start|size INTERFACE DEVICE PARTITION [VARIABLE] | uuid INTERFACE DEVICE:PARTITION [VARIABLE]",
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
        name: "mmcinfo",
        usage: "",
        help: "the same as mmc info",
        example: "if mmcinfo; then echo card; fi",
        run: |shell, _| show_card(shell),
    },
];

/// Commands that only make a device ready, and change nothing here.
pub const IDLE: &[Command] = &[
    Command {
        name: "usb",
        usage: "start | reset | stop | ...",
        help: "USB is not driven here",
        example: "usb start",
        run: usb,
    },
    Command { name: "pci", usage: "[enum]", help: "PCI Express is not driven here", example: "pci enum", run: pci },
    idle("dcache", "dcache off"),
    idle("icache", "icache on"),
    idle("kaslrseed", "kaslrseed"),
    idle("cls", "cls"),
    idle("lcdputs", "lcdputs loading"),
    idle("setcurs", "setcurs 1 1"),
];

/// Commands of U-Boot's that are not here, and say what to use.
pub const NOT_HERE: &[Command] = &[
    refused("scsi", "load mmc 0:1 0x1000000 xen"),
    refused("nvme", "load mmc 0:1 0x1000000 xen"),
    refused("virtio", "load mmc 0:1 0x1000000 xen"),
    refused("fpga", "load mmc 0:1 0x1000000 xen"),
    refused("fatwrite", "load mmc 0:1 0x1000000 xen"),
    refused("fatmkdir", "ls mmc 0:1"),
    refused("fatrm", "ls mmc 0:1"),
    refused("save", "load mmc 0:1 0x1000000 xen"),
    refused("ext4write", "load mmc 0:1 0x1000000 xen"),
    refused("fsuuid", "part uuid mmc 0:1"),
    refused("bootp", "dhcp"),
    refused("pxe", "sysboot mmc 0:1 any 0x5500000 /extlinux/extlinux.conf"),
    refused("askenv", "setenv name value"),
    refused("gpio", "help"),
    refused("bootz", "booti 0x1000000 - 0x5600000"),
    refused("nfs", "tftpboot 0x1000000 xen"),
    refused("wget", "tftpboot 0x1000000 xen"),
    refused("lzmadec", "unzip 0x1000000 0x2000000"),
];

/// A command of U-Boot's that changes nothing here, and that a script can go on after.
const fn idle(name: &'static str, example: &'static str) -> Command {
    Command { name, usage: "...", help: "changes nothing here", example, run: changes_nothing }
}

/// A command of U-Boot's that is not here, and says what to use; `example` is that.
const fn refused(name: &'static str, example: &'static str) -> Command {
    Command { name, usage: "...", help: "not here: says what to use", example, run: refuse }
}

/// What to say where one of [`refused`] is used.
const REFUSALS: &[(&[&str], &str)] = &[
    (&["scsi", "nvme", "virtio"], "not driven here: put files on the card (`load mmc 0:1`) or on a server (tftpboot)"),
    (&["fpga"], "there is no FPGA on this board: take the command out"),
    (
        &["fatwrite", "fatmkdir", "fatrm", "save", "ext4write"],
        "nothing is ever written to a card here: take the command out, or change the card on a computer",
    ),
    (&["fsuuid"], "not read here; for root=PARTUUID= `part uuid mmc 0:1 VARIABLE` has the partition's"),
    (&["bootp"], "BOOTP is not spoken here: use `dhcp`"),
    (&["pxe"], "PXE is not spoken here: use `dhcp` with a boot.scr, or `sysboot` for a menu on the card"),
    (&["askenv"], "nobody is asked here: use `setenv`"),
    (&["bootz"], "zImages are 32-bit kernels: an arm64 Image is started by `booti`"),
    (&["nfs", "wget"], "not spoken by scripts here: use `tftpboot`"),
    (&["lzmadec"], "only gzip is unpacked here, by `unzip`"),
    (&["gpio"], "pins are not driven here: a line gpio= in config.txt sets them"),
];

/// The device that is the card.
const CARD: u32 = 0;

/// What `mmc` knows; it may be shortened, as there.
const MMC: &[&str] = &["list", "dev", "rescan", "info", "part", "read", "write", "erase"];

fn mmc(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let [_, what, rest @ ..] = arguments else { return Err(Failure::Usage) };
    let mut found = MMC.iter().filter(|whole| whole.starts_with(what.as_str()));
    match found.next().filter(|_| found.next().is_none()).copied() {
        Some("list") => shell.say(format_args!("mmc 0: SD card or eMMC\n"))?,
        Some("dev") => {
            let device = rest.first().map_or(Ok(u64::from(CARD)), |text| number::hexadecimal(text))?;
            let device = u32::try_from(device).unwrap_or(u32::MAX);
            if rest.get(1).is_some_and(|part| number::leading(part, 16) != 0) {
                return Err(Failure::because(NO_HARDWARE_PARTITION));
            }
            shell.platform.partitions("mmc", device)?;
            shell.say(format_args!("mmc {device} is the current device.\n"))?;
        }
        // Scripts say it by habit, and load from the network afterwards.
        Some("rescan") => match shell.platform.rescan() {
            Ok(()) => {}
            Err(Failure::Reason(reason)) => shell.say(format_args!("Note: {reason}\n"))?,
            Err(failure) => return Err(failure),
        },
        Some("info" | "part") => return show_card(shell),
        Some("read" | "write" | "erase") => {
            return Err(Failure::because(
                "blocks are not read or written here; `load mmc 0:1 ADDRESS FILE` reads files",
            ));
        }
        _ => return Err(Failure::Usage),
    }
    Ok(true)
}

/// What is on the card; a failure where there is none.
fn show_card(shell: &mut Shell<'_>) -> Outcome {
    let entries = shell.platform.partitions("mmc", CARD)?;
    print_table(shell, &entries).map(|()| true)
}

fn print_table(shell: &mut Shell<'_>, entries: &[PartitionEntry]) -> Result<(), Failure> {
    shell.say(format_args!("Part  Start sector  Sectors     Type\n"))?;
    for entry in entries {
        let PartitionEntry { number, first, blocks, kind, bootable, .. } = entry;
        let boot = if *bootable { " boot" } else { "" };
        shell.say(format_args!("{number:>4}  {first:<12}  {blocks:<10}  {kind:02x}{boot}\n"))?;
    }
    Ok(())
}

fn part(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let [_, what, interface, device, rest @ ..] = arguments else { return Err(Failure::Usage) };
    let named = partition(interface, device)?;
    let entries = shell.platform.partitions(interface, named.device)?;
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
        ("number" | "start" | "size", [wanted, variable @ ..]) => {
            let number = number::hexadecimal(wanted).map_err(|_| {
                Failure::because(format!("partition \"{wanted}\": partitions of this card have numbers and no names"))
            })?;
            let entry = entries.iter().find(|entry| u64::from(entry.number) == number);
            let entry = entry.ok_or_else(|| Failure::because(format!("there is no partition {wanted}")))?;
            // U-Boot writes the number with 0x, and the other two without.
            let value = match what.as_str() {
                "number" => format!("{:#x}", entry.number),
                "start" => format!("{:x}", entry.first),
                _ => format!("{:x}", entry.blocks),
            };
            match variable {
                [variable] => (variable, value),
                [] => return shell.say(format_args!("{value}\n")).map(|()| true),
                _ => return Err(Failure::Usage),
            }
        }
        ("uuid", rest) => {
            let wanted = named.partition;
            let is_wanted = |entry: &&PartitionEntry| wanted.map_or(entry.bootable, |number| entry.number == number);
            let entry = entries.iter().find(is_wanted).or(entries.first().filter(|_| wanted.is_none()));
            let entry = entry.ok_or_else(|| Failure::because(format!("there is no {named}")))?;
            let table = entry
                .table
                .ok_or_else(|| Failure::because("the card has no table of partitions, and so no number of its own"))?;
            let uuid = format!("{table:08x}-{:02x}", entry.number);
            match rest {
                [variable] => (variable, uuid),
                [] => return shell.say(format_args!("{uuid}\n")).map(|()| true),
                _ => return Err(Failure::Usage),
            }
        }
        ("name" | "type" | "set", _) => {
            return Err(Failure::because(format!(
                "part {what}: partitions of an MBR have no names or types to be read here"
            )));
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

fn changes_nothing(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let name = arguments.first().map_or("", String::as_str);
    shell.say(format_args!("Note: {name} changes nothing here; whatever is started finds what it expects.\n"))?;
    Ok(true)
}

fn refuse(_: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let name = arguments.first().map_or("", String::as_str);
    // It may have been shortened, so far as it was the only one that begins so.
    let found = REFUSALS.iter().find(|(names, _)| names.iter().any(|whole| whole.starts_with(name)));
    Err(Failure::because(found.map_or("not here", |(_, reason)| reason)))
}
