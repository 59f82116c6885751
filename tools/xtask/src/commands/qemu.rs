//! `cargo xtask qemu`: the loader on the emulated board, with the user's files, the mini UART on this terminal.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::demo::user_network;
use crate::cache::Cache;
use crate::emulator::Emulator;
use crate::loader;
use crate::packages::{self, Release};
use crate::terminal;
use crate::toolchain::Toolchain;

/// What the board is given.
#[derive(Args)]
pub struct Arguments {
    /// A loader.toml, handed over as the firmware's `initramfs` line in config.txt does
    #[arg(long, value_name = "FILE", conflicts_with = "initrd")]
    config: Option<PathBuf>,
    /// A bundle (see `cargo xtask bundle`) or a ramdisk, handed over the same way
    #[arg(long, value_name = "FILE")]
    initrd: Option<PathBuf>,
    /// A directory for the TFTP server of the board's network (settings in it: xenlift/default.toml)
    #[arg(long, value_name = "DIR")]
    tftp: Option<PathBuf>,
    /// An image of an SD card
    #[arg(long, value_name = "IMG")]
    sd: Option<PathBuf>,
    /// The device tree that the firmware would pass [default: Debian's bcm2711-rpi-4-b.dtb]
    #[arg(long, value_name = "FILE")]
    dtb: Option<PathBuf>,
    /// The command line that the firmware would pass, cmdline.txt included
    #[arg(long, value_name = "WORDS")]
    cmdline: Option<String>,
    /// Further arguments for QEMU
    #[arg(last = true, value_name = "QEMU ARGS")]
    further: Vec<OsString>,
}

/// Runs until QEMU ends; Ctrl-A X ends it.
pub fn run(cache: &Cache, arguments: &Arguments) -> Result<()> {
    let emulator = Emulator::with_ethernet(cache)?;
    let loader = loader::build(&Toolchain::find(cache)?)?;
    let tree = match &arguments.dtb {
        Some(tree) => tree.clone(),
        None => packages::linux(cache, Release::Bookworm)?.device_trees.join("bcm2711-rpi-4-b.dtb"),
    };
    let mut command = emulator.board();
    command.arg("-kernel").arg(&loader.bin).arg("-dtb").arg(tree);
    if let Some(file) = arguments.config.as_ref().or(arguments.initrd.as_ref()) {
        command.arg("-initrd").arg(file);
    }
    if let Some(directory) = &arguments.tftp {
        command.arg("-netdev").arg(user_network(directory)).args(["-net", "nic,netdev=n"]);
    }
    if let Some(image) = &arguments.sd {
        // A comma in a -drive option is written twice.
        let file = image.to_string_lossy().replace(',', ",,");
        command.arg("-drive").arg(format!("if=sd,format=raw,file={file}"));
    }
    if let Some(words) = &arguments.cmdline {
        command.arg("-append").arg(words);
    }
    terminal::run(&mut command, &arguments.further)
}
