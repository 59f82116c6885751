//! `cargo xtask bundle`: settings and images in one file.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::bundle;
use crate::process::announce;

/// Writes the bundle of `directory` to `output`.
pub fn run(directory: &Path, output: &Path) -> Result<()> {
    let bytes = bundle::of_directory(directory)?;
    if let Some(parent) = output.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    }
    fs::write(output, &bytes).with_context(|| format!("cannot write {}", output.display()))?;
    announce(&format!(
        "{}: {} bytes; on the card, with `initramfs NAME followkernel` in config.txt",
        output.display(),
        bytes.len()
    ));
    Ok(())
}
