//! Building `loader.bin` from the sources, checked.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xenlift::boot::digest::crc32;

use crate::process::{announce, run_reported};
use crate::product::{self, Product};
use crate::toolchain::{TARGET, Toolchain};

/// The package of the firmware binary.
pub const PACKAGE: &str = "xenlift-rpi4";

/// A built loader.
#[derive(Clone, Debug)]
pub struct Loader {
    /// The flat image that the firmware loads.
    pub bin: PathBuf,
    /// The loader that is packed in it, with symbols, for a debugger.
    pub elf: PathBuf,
    /// Bytes of the loader, unpacked.
    pub unpacked: usize,
    /// The program that unpacks it, with symbols.
    pub unpacker: PathBuf,
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

/// Compiles and checks the loader, and packs it: the firmware gets a small program that unpacks it. `loader.bin` lies beside the ELF.
pub fn build(toolchain: &Toolchain) -> Result<Loader> {
    let elf = build_package(toolchain, PACKAGE, "loader")?;
    let loader = checked(&elf)?;
    let packed = elf.with_extension("packed");
    if !is_packed(&packed, &loader.image) {
        announce("packing the loader");
        replace(&packed, &packing::pack(&loader.image, crc32)?)?;
    }
    let unpacker = build_with(toolchain, PACKAGE, "packed", |command| {
        command.args(["--features", "packed"]).env("XENLIFT_PACKED", &packed);
    })?;
    let product = checked(&unpacker)?;
    let bin = elf.with_extension("bin");
    replace(&bin, &product.image)?;
    Ok(Loader { bin, elf, unpacked: loader.image.len(), unpacker, product })
}

/// Whether the file at `path` is `image`, packed. Packing takes seconds, and every command that starts a board would wait for it.
fn is_packed(path: &Path, image: &[u8]) -> bool {
    let Ok(packed) = fs::read(path) else { return false };
    let mut unpacked = vec![0; image.len()];
    packing::unpack(&packed, &mut unpacked, crc32).is_ok() && unpacked == image
}

/// Puts `bytes` into the file at `path`, if they are not there already: what is built of it stays. By rename: tests build it at the
/// same time.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let staging = path.with_extension(format!("{}", std::process::id()));
    fs::write(&staging, bytes).with_context(|| format!("cannot write {}", staging.display()))?;
    fs::rename(&staging, path).with_context(|| format!("cannot rename {} into place", staging.display()))
}

fn checked(elf: &Path) -> Result<Product> {
    let bytes = fs::read(elf).with_context(|| format!("cannot read {}", elf.display()))?;
    product::check(&bytes).with_context(|| format!("{} is not what start-up relies on", elf.display()))
}

/// Compiles one of the board's packages and returns its executable, an ELF file.
pub fn build_package(toolchain: &Toolchain, package: &str, binary: &str) -> Result<PathBuf> {
    build_with(toolchain, package, binary, |_| {})
}

fn build_with(
    toolchain: &Toolchain,
    package: &str,
    binary: &str,
    more: impl FnOnce(&mut std::process::Command),
) -> Result<PathBuf> {
    let directory = target_directory(toolchain);
    let mut command = toolchain.cargo("build")?;
    command.args(["--release", "--package", package, "--bin", binary]);
    more(&mut command);
    // Said as soon as something is compiled, and not where all is as it was.
    let mut said = false;
    let mut report = |line: &str| {
        let first = line.split_whitespace().next();
        match first {
            Some("Compiling") if !core::mem::replace(&mut said, true) => {
                announce(&format!("compiling {binary} of {package}; the first time takes a minute"));
            }
            Some("Compiling" | "Finished") => {}
            _ => eprintln!("{line}"),
        }
    };
    run_reported(command.current_dir(workspace()).env("CARGO_TARGET_DIR", &directory), &mut report)
        .with_context(|| format!("cannot build {package}"))?;
    Ok(directory.join(TARGET).join("release").join(binary))
}

/// One line for a person: sizes and relocations.
pub fn announce_product(loader: &Loader) {
    let Product { image, memory, relocations } = &loader.product;
    announce(&format!(
        "loader.bin: {} bytes ({} unpacked), {} KiB of memory, {relocations} relocations, all relative ({})",
        image.len(),
        loader.unpacked,
        memory / 1024,
        loader.bin.display()
    ));
}
