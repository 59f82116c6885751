//! Building `loader.bin` from the sources, checked.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process::{announce, run};
use crate::product::{self, Product};
use crate::toolchain::{TARGET, Toolchain};

/// The package of the firmware binary.
pub const PACKAGE: &str = "xenlift-rpi4";

/// A built loader.
#[derive(Clone, Debug)]
pub struct Loader {
    /// The flat image that the firmware loads.
    pub bin: PathBuf,
    /// The same with symbols, for a debugger.
    pub elf: PathBuf,
    /// What the checks found.
    pub product: Product,
}

/// The root of the checkout that this program was built from.
pub fn workspace() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().and_then(Path::parent).unwrap_or(own)
}

/// The directory of build output of `toolchain`. One compiler's libraries are of no use to another, and a build below it does not wait
/// for the cargo that runs this.
pub fn target_directory(toolchain: &Toolchain) -> PathBuf {
    workspace().join("target").join(toolchain.name())
}

/// Compiles and checks the loader. `loader.bin` lies beside the ELF.
pub fn build(toolchain: &Toolchain) -> Result<Loader> {
    let elf = build_package(toolchain, PACKAGE, "loader")?;
    let bytes = fs::read(&elf).with_context(|| format!("cannot read {}", elf.display()))?;
    let product =
        product::check(&bytes).with_context(|| format!("{} is not what start-up relies on", elf.display()))?;
    let bin = elf.with_extension("bin");
    // By rename: tests build it at the same time.
    let staging = elf.with_extension(format!("bin.{}", std::process::id()));
    fs::write(&staging, &product.image).with_context(|| format!("cannot write {}", staging.display()))?;
    fs::rename(&staging, &bin).with_context(|| format!("cannot rename {} into place", staging.display()))?;
    Ok(Loader { bin, elf, product })
}

/// Compiles one of the board's packages and returns its executable, an ELF file.
pub fn build_package(toolchain: &Toolchain, package: &str, binary: &str) -> Result<PathBuf> {
    let directory = target_directory(toolchain);
    let mut command = toolchain.cargo("build")?;
    command.args(["--quiet", "--release", "--package", package, "--bin", binary]);
    run(command.current_dir(workspace()).env("CARGO_TARGET_DIR", &directory))
        .with_context(|| format!("cannot build {package}"))?;
    Ok(directory.join(TARGET).join("release").join(binary))
}

/// One line for a person: sizes and relocations.
pub fn announce_product(loader: &Loader) {
    let Product { image, memory, relocations } = &loader.product;
    announce(&format!(
        "loader.bin: {} bytes, {} KiB of memory, {relocations} relocations, all relative ({})",
        image.len(),
        memory / 1024,
        loader.bin.display()
    ));
}
