//! `sysboot`: booting by an extlinux.conf, as distributions write them.

use super::fdt::change;
use super::{boot, files};
use crate::config::extlinux::{self, Label};
use crate::shell::image::{Image, image_at};
use crate::shell::language::limits::COMMAND;
use crate::shell::{Command, Failure, Outcome, Shell, number};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

/// The command.
pub const COMMANDS: &[Command] = &[Command {
    name: "sysboot",
    usage: "[-p] INTERFACE DEVICE[:PARTITION] fat|any [ADDRESS] [FILE]",
    help: "boot the default label of an extlinux.conf, or the next one that starts",
    example: "sysboot mmc 0:1 any 0x5500000 /extlinux/extlinux.conf",
    run: sysboot,
}];

fn sysboot(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let arguments = arguments.get(1..).unwrap_or_default();
    let arguments = arguments.strip_prefix(&["-p".to_string()]).unwrap_or(arguments);
    let [interface, device, kind, rest @ ..] = arguments else { return Err(Failure::Usage) };
    if !matches!(kind.as_str(), "fat" | "any") {
        return Err(Failure::because(format!("file system {kind}: only FAT is read here")));
    }
    let address = rest.first().map(String::as_str).or(shell.environment.get("pxefile_addr_r")).map(ToString::to_string);
    let file = rest.get(1).map(String::as_str).or(shell.environment.get("bootfile")).map(ToString::to_string);
    let (Some(address), Some(file)) = (address, file) else { return Err(Failure::Usage) };
    let from = [interface.as_str(), device.as_str()];
    load(shell, from, &address, &file)?;
    let range = shell.loaded.last().map(|loaded| loaded.range);
    let range = range.ok_or_else(|| Failure::because(format!("{file} is empty")))?;
    let labels = extlinux::labels(shell.platform.memory(range)?);
    let mut failed = None;
    for label in labels.map_err(|error| Failure::because(format!("{file}: {error}")))? {
        if let Some(failure) = failed.take() {
            shell.say(format_args!("{failure}; the next label is tried\n"))?;
        }
        // As with U-Boot: what cannot be started gives way to the next.
        match boot_label(shell, from, &file, &address, &label) {
            Err(Failure::Reason(reason)) => failed = Some(format!("{file}: {}: {reason}", label.name)),
            other => return other,
        }
    }
    Err(Failure::because(failed.unwrap_or_default()))
}

fn load(shell: &mut Shell<'_>, from: [&str; 2], address: &str, file: &str) -> Result<(), Failure> {
    let [interface, device] = from.map(ToString::to_string);
    files::load(shell, &[String::from("load"), interface, device, address.to_string(), file.to_string()]).map(|_| ())
}

/// Loads what `label` names to U-Boot's places for it, and starts it.
fn boot_label(shell: &mut Shell<'_>, from: [&str; 2], menu: &str, menu_address: &str, label: &Label) -> Outcome {
    shell.say(format_args!("{menu}: {}\n", label.name))?;
    let directory = menu.rsplit_once('/').map_or("", |(directory, _)| directory);
    // Paths are from the menu's own directory, unless they begin at the root.
    let whole = |path: &str| match path.starts_with('/') {
        true => path.to_string(),
        false => format!("{directory}/{path}"),
    };
    let address = |shell: &Shell<'_>, name: &str| {
        let value = shell.environment.get(name).map(ToString::to_string);
        value.ok_or_else(|| Failure::because(format!("the variable {name} is not set")))
    };
    let kernel = address(shell, "kernel_addr_r")?;
    let file = label.kernel.as_deref().unwrap_or_default();
    // `FILE#CONFIGURATION` of a FIT image.
    let (file, configuration) = file.split_at_checked(file.find('#').unwrap_or(file.len())).unwrap_or((file, ""));
    load(shell, from, &kernel, &whole(file))?;
    let mut start = vec![String::from("booti"), kernel.clone()];
    match &label.ramdisk {
        Some(path) => {
            let ramdisk = address(shell, "ramdisk_addr_r")?;
            load(shell, from, &ramdisk, &whole(path))?;
            start.push(ramdisk);
        }
        None => start.push(String::from("-")),
    }
    let tree = match (&label.device_tree, &label.device_trees, shell.environment.get("fdtfile")) {
        (Some(path), _, _) => Some(path.clone()),
        (None, Some(directory), Some(file)) => Some(format!("{}/{file}", directory.trim_end_matches('/'))),
        _ => None,
    };
    if let Some(path) = tree {
        let tree = address(shell, "fdt_addr_r")?;
        match load(shell, from, &tree, &whole(&path)) {
            Ok(()) => {
                shell.working_tree = Some(number::hexadecimal(&tree)?);
                // The menu has been read: its place is free.
                let place = shell.environment.get("fdtoverlay_addr_r").unwrap_or(menu_address).to_string();
                for path in label.overlays.iter().flat_map(|paths| paths.split_whitespace()) {
                    apply(shell, from, &place, &whole(path))?;
                }
                start.push(tree);
            }
            // A directory is a suggestion, and the firmware's tree is there, too.
            Err(Failure::Reason(reason)) if label.device_tree.is_none() => {
                shell.say(format_args!("{reason}; the firmware's device tree is taken\n"))?;
            }
            Err(failure) => return Err(failure),
        }
    }
    // Without an `append` it stays what it is.
    if let Some(args) = &label.args {
        let args = expanded(shell, args);
        shell.store("bootargs", &args)?;
    }
    match image_at(shell.platform, number::hexadecimal(&kernel)?) {
        Ok(None) => return boot::booti(shell, &start),
        Ok(Some(Image::Fit(_))) => {
            // As with U-Boot: the image's own ramdisk and tree count where neither the label nor the firmware brings a tree.
            if let [_, _, ramdisk] = &start[..] {
                match shell.environment.get("fdt_addr").map(ToString::to_string) {
                    Some(tree) => start.push(tree),
                    None if ramdisk == "-" => start.truncate(2),
                    None => {}
                }
            }
            if let Some(address) = start.get_mut(1) {
                address.push_str(configuration);
            }
        }
        _ => {}
    }
    boot::bootm(shell, &start)
}

/// `text` with the variables that it names as `${name}` put in.
fn expanded(shell: &Shell<'_>, text: &str) -> String {
    let mut whole = String::new();
    let mut rest = text;
    // One that is too long is refused where it is set.
    while whole.len() <= COMMAND
        && let Some((before, after)) = rest.split_once("${")
        && let Some((name, after)) = after.split_once('}')
    {
        whole.push_str(before);
        whole.push_str(shell.environment.get(name).unwrap_or_default());
        rest = after;
    }
    whole.push_str(rest);
    whole
}

/// Applies the overlay at `path`; one that cannot be is told and left out, as there.
fn apply(shell: &mut Shell<'_>, from: [&str; 2], place: &str, path: &str) -> Result<(), Failure> {
    let applied = load(shell, from, place, path).and_then(|()| change::apply(shell, &[place.to_string()]));
    match applied {
        Err(Failure::Reason(reason)) => shell.say(format_args!("overlay {path} is left out: {reason}\n")),
        other => other.map(|_| ()),
    }
}
