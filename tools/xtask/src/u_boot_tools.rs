//! What people make with the tools around U-Boot (Debian: u-boot-tools, device-tree-compiler) and its scripts are full of.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{capture, find_program};

/// What `program` makes of `files`, each with its name, as the file `out`; it runs in a directory with nothing else.
pub fn made(program: &str, arguments: &[&str], files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let directory = tempfile::tempdir().context("no temporary directory")?;
    for (name, bytes) in files {
        fs::write(directory.path().join(name), bytes).with_context(|| format!("cannot write {name}"))?;
    }
    let path = find_program(program);
    let path = path.with_context(|| format!("{program} is missing: install u-boot-tools and device-tree-compiler"))?;
    capture(Command::new(path).args(arguments).current_dir(directory.path()))?;
    fs::read(directory.path().join("out")).with_context(|| format!("{program} made nothing"))
}

/// A script as `source` and the boot of U-Boot's distributions take it, made by the real mkimage.
pub fn make_script(text: &str) -> Result<Vec<u8>> {
    let address = "0x2400000";
    let arguments = ["-T", "script", "-A", "arm64", "-C", "none", "-a", address, "-e", address, "-d", "in", "out"];
    made("mkimage", &arguments, &[("in", text.as_bytes())])
}

/// An overlay, made by the real dtc.
pub fn make_overlay(source: &str) -> Result<Vec<u8>> {
    made("dtc", &["-q", "-@", "-O", "dtb", "-o", "out", "in"], &[("in", source.as_bytes())])
}

/// The `uboot.env` that mkenvimage makes of `text`, lines of `name=value`, as long as U-Boot's for this board.
pub fn saved_variables(text: &str) -> Result<Vec<u8>> {
    made("mkenvimage", &["-s", "0x4000", "-o", "out", "in"], &[("in", text.as_bytes())])
}
