//! U-Boot's scripts and saved variables, made by the real mkimage and mkenvimage.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// What mkimage makes of a script.
pub fn make(text: &str) -> Result<Vec<u8>> {
    let directory = tempfile::tempdir().context("no temporary directory")?;
    let (source, image) = (directory.path().join("source"), directory.path().join("image"));
    fs::write(&source, text).context("cannot write the script")?;
    let mut command = Command::new("mkimage");
    command.args(["-T", "script", "-A", "arm64", "-C", "none", "-a", "0x2400000", "-e", "0x2400000", "-d"]);
    let output = command.arg(&source).arg(&image).output().context("mkimage does not start: install u-boot-tools")?;
    ensure!(output.status.success(), "mkimage: {}", String::from_utf8_lossy(&output.stderr));
    fs::read(&image).context("mkimage made nothing")
}

/// The `uboot.env` that mkenvimage makes of `text`, lines of `name=value`, as long as U-Boot's for this board.
pub fn saved_variables(text: &str) -> Result<Vec<u8>> {
    let directory = tempfile::tempdir().context("no temporary directory")?;
    let (source, image) = (directory.path().join("source"), directory.path().join("uboot.env"));
    fs::write(&source, text).context("cannot write the variables")?;
    let mut command = Command::new("mkenvimage");
    command.args(["-s", "0x4000", "-o"]).arg(&image).arg(&source);
    let output = command.output().context("mkenvimage does not start: install u-boot-tools")?;
    ensure!(output.status.success(), "mkenvimage: {}", String::from_utf8_lossy(&output.stderr));
    fs::read(&image).context("mkenvimage made nothing")
}
