//! `sysboot`: booting by an extlinux.conf, as distributions write them.

use super::{boot, files};
use crate::config::extlinux::{self, Label};
use crate::shell::{Command, Failure, Outcome, Shell};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

/// The command.
pub const COMMANDS: &[Command] = &[Command {
    name: "sysboot",
    usage: "[-p] INTERFACE DEVICE[:PARTITION] fat|any [ADDRESS] [FILE]",
    help: "boot the default label of an extlinux.conf",
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
    let label = extlinux::default_label(shell.platform.memory(range)?);
    let label = label.map_err(|error| Failure::because(format!("{file}: {error}")))?;
    boot_label(shell, from, &file, &label)
}

fn load(shell: &mut Shell<'_>, from: [&str; 2], address: &str, file: &str) -> Result<(), Failure> {
    let [interface, device] = from.map(ToString::to_string);
    files::load(shell, &[String::from("load"), interface, device, address.to_string(), file.to_string()]).map(|_| ())
}

/// Loads what `label` names to U-Boot's places for it, and starts it.
fn boot_label(shell: &mut Shell<'_>, from: [&str; 2], menu: &str, label: &Label) -> Outcome {
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
    load(shell, from, &kernel, &whole(label.kernel.as_deref().unwrap_or_default()))?;
    let mut start = vec![String::from("booti"), kernel];
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
        load(shell, from, &tree, &whole(&path))?;
        start.push(tree);
    }
    if label.overlays {
        shell.say(format_args!("Note: overlays of {menu} are not applied\n"))?;
    }
    shell.environment.set("bootargs", label.args.as_deref().unwrap_or_default());
    boot::booti(shell, &start)
}
