//! U-Boot's scripts, made by the real mkimage.

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
