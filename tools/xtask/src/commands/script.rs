//! `cargo xtask script`: what a boot script would do, tried without a board.
//!
//! The script runs on the loader's own interpreter and commands, and begins as it would on the board (`shell::boot_script`); the machine under them is the
//! simulated one, whose server and card both have the files of a directory.

mod departure;
mod directory;
mod report;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use xenlift::device_tree::check;
use xenlift::range::PhysicalRange;
use xenlift::shell::boot_script::{Script, environment};
use xenlift::shell::platform::Lease;
use xenlift::shell::simulation::Simulation;
use xenlift::shell::{Shell, saved};

use directory::Directory;

/// Where the firmware puts its tree on a board with 2 GiB.
const FIRMWARE_TREE: u64 = 0x2eff_6200;

/// What a DHCP server says, where one is asked.
const LEASE: [[u8; 4]; 3] = [[192, 168, 0, 2], [255, 255, 255, 0], [192, 168, 0, 1]];

/// Arguments of `cargo xtask script`.
#[derive(clap::Args)]
#[command(after_help = "\
Example, with the files of a card and of a TFTP server in one directory:

    cargo xtask script boot.scr --dir /srv/tftp

runs boot.scr as if it had been found on the card, with /srv/tftp for both card and server, and prints what the script
prints, what it loads where, the final device tree as a source, what it changed in the tree, what it boots, and what is
wrong with that. The exit status is 0 if the script starts something, and else 1.")]
pub struct Arguments {
    /// The script: text, boot.scr, or a FIT image with a script; uboot.env for the bootcmd that is saved in it; an extlinux.conf
    file: PathBuf,
    /// The device tree that the firmware passes; without it, the directory's bcm2711-rpi-4-b.dtb, if it is there
    #[arg(long, value_name = "DTB")]
    tree: Option<PathBuf>,
    /// The files of both TFTP server and card; where the script is, without it
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The script came by the network (devtype=dhcp) and not from the card
    #[arg(long)]
    network: bool,
    /// Write the final device tree, as a source, to FILE instead of among the rest
    #[arg(long, value_name = "FILE")]
    dts: Option<PathBuf>,
}

/// Runs the script and prints what it would do.
///
/// # Errors
/// Files that cannot be read, and a script that does not start anything.
pub fn run(arguments: &Arguments) -> Result<()> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let bytes = read(&arguments.file)?;
    let parent = arguments.file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = arguments.dir.as_deref().unwrap_or(parent);
    if !directory.is_dir() {
        bail!("{} is no directory", directory.display());
    }
    let path = path_in(directory, &arguments.file)?;
    let script = script(&path, &bytes, arguments.network, directory)?;
    let files = Directory::new(directory);
    let mut machine = Simulation::raspberry_pi_4(files).map_err(|error| anyhow!("{error}"))?;
    let usual = machine.facts.device_tree.as_ref().map(|name| directory.join(name)).filter(|tree| tree.is_file());
    let firmware = arguments.tree.clone().or(usual);
    let mut heading = format!("Card (mmc 0:1) and TFTP server: {}\n", directory.display());
    match &firmware {
        Some(tree) => {
            let bytes = read(tree)?;
            check(&bytes).map_err(|error| anyhow!("{}: {error}", tree.display()))?;
            machine.put_firmware_tree(FIRMWARE_TREE, &bytes).map_err(|error| anyhow!("{error}"))?;
            heading += &format!("The firmware's device tree: {}, at {FIRMWARE_TREE:#x}\n", tree.display());
        }
        None => heading += "The firmware's device tree: none (--tree DTB names one)\n",
    }
    let tried = try_script(&script, arguments.network, machine)?;
    let mut report = tried.report;
    match &arguments.dts {
        Some(file) => {
            fs::write(file, &tried.source).with_context(|| format!("cannot write {}", file.display()))?;
            report.tree = format!("== final device tree: written to {}\n\n", file.display());
        }
        None if !tried.source.is_empty() => report.tree = format!("== final device tree\n{}\n", tried.source),
        None => {}
    }
    // Who reads no further (`| head`) has seen what they wanted.
    let printed = std::io::stdout().write_all((heading + &report.whole()).as_bytes());
    printed.or_else(|error| if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })?;
    match tried.started {
        true => Ok(()),
        false => bail!("{path}: {}", tried.why),
    }
}

/// The path of `file` on the card that `directory` stands for; its name where it is somewhere else.
fn path_in(directory: &Path, file: &Path) -> Result<String> {
    let (directory, file) = (directory.canonicalize()?, file.canonicalize()?);
    let inside = file.strip_prefix(&directory).ok();
    let path = inside.or(file.file_name().map(Path::new)).unwrap_or(&file);
    Ok(path.to_string_lossy().into_owned())
}

/// The script as the board would take it.
fn script<'a>(path: &'a str, bytes: &'a [u8], network: bool, directory: &Path) -> Result<Script<'a>> {
    let from_card = || match directory.join(path).is_file() {
        true => Ok(()),
        false => bail!("{path} is read from the card: put it into {}", directory.display()),
    };
    if path.ends_with(".toml") {
        bail!("{path} is settings and no script; `cargo xtask qemu --config {path}` tries it");
    }
    if path == saved::FILE {
        from_card()?;
        if !saved::has_own_command(bytes) {
            bail!("{path} has no bootcmd that somebody set, or its CRC is wrong: the board looks for a boot.scr next");
        }
        return Ok(Script::saved_command("bootcmd of uboot.env"));
    }
    if network {
        return Ok(Script::from_network(path, bytes));
    }
    if path.ends_with(".conf") {
        from_card()?;
    }
    Ok(Script::on_card(path, 1, bytes))
}

/// What came of a script.
pub struct Tried {
    /// What it printed, did, and would boot, in words.
    pub report: report::Report,
    /// Whether it started something.
    pub started: bool,
    /// How it ended, in words.
    pub why: String,
    /// The source of the tree that it would boot with, or worked on last; empty without one.
    pub source: String,
    /// What was loaded where, in order: paths and ranges.
    pub loads: Vec<(String, PhysicalRange)>,
    /// What is wrong with the boot, in words.
    pub warnings: Vec<String>,
}

/// Runs `script` on `machine`, which a DHCP server had told of it where it came by the `network`.
///
/// # Errors
/// None that a script can make.
pub fn try_script(script: &Script<'_>, network: bool, mut machine: Simulation) -> Result<Tried> {
    let [address, netmask, server] = LEASE.map(|bytes| Some(bytes.into()));
    let lease = Lease { address, netmask, gateway: None, server, likely_server: None, boot_file: None };
    machine.lease = Some(lease.clone());
    let leased = network.then(|| Lease { boot_file: Some(script.name.to_string()), ..lease });
    let configured = Lease::default();
    let environment = environment(&machine.facts, leased.as_ref(), &configured);
    let mut shell = Shell::new(&mut machine, environment);
    let ended = shell.run_boot_script(script, &configured);
    let working_tree = shell.working_tree;
    drop(shell);
    report::tried(&machine, &ended, working_tree)
}
