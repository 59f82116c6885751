//! A Rust that compiles for the board, `aarch64-unknown-none`.
//!
//! Three ways, the first that is there:
//! 1. the toolchain in use has the target (or rustup adds it);
//! 2. rustup cannot download (a closed network, `RUSTUP_AUTO_INSTALL=0`, no rustup at all): Debian's rustc, clippy and library sources are
//!    unpacked into the cache and `core` and `alloc` are compiled once. Formatting and everything for the host stay with the toolchain in
//!    use.
//!
//! The second way's clippy is that of the same packages: a clippy of another version than the compiled `core` cannot read it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::apt::{Apt, unpack};
use crate::cache::{Cache, Entry};
use crate::packages::{find_one, host_apt, library_directories};
use crate::process::{announce, capture, capture_text, clean_command, find_program};

/// The board's target.
pub const TARGET: &str = "aarch64-unknown-none";

/// Bump when what the second way makes changes.
const RECIPE: &str = "3";

/// How to call cargo for the board.
#[derive(Clone, Debug)]
pub enum Toolchain {
    /// The toolchain in use has the target.
    InUse,
    /// Debian's, unpacked into this directory.
    Debian(PathBuf),
}

impl Toolchain {
    /// Finds or makes one. `XENLIFT_TOOLCHAIN=debian` asks for the second way even where the first is open.
    pub fn find(cache: &Cache) -> Result<Self> {
        match std::env::var("XENLIFT_TOOLCHAIN").as_deref() {
            Ok("debian") => return debian(cache),
            Ok(other) if !other.is_empty() => bail!("XENLIFT_TOOLCHAIN={other}: the only value is `debian`"),
            _ => {}
        }
        if has_target()? {
            return Ok(Self::InUse);
        }
        let made = cache.place(&entry());
        if made.is_dir() {
            // rustup could not before; asking it again would cost every run.
            return Ok(Self::Debian(made));
        }
        if find_program("rustup").is_some() && !cache.is_offline() {
            announce(&format!("adding the target {TARGET} to the toolchain in use: rustup target add {TARGET}"));
            match capture(clean_command("rustup").args(["target", "add", TARGET])) {
                Ok(_) if has_target()? => return Ok(Self::InUse),
                Ok(_) => announce("rustup reports success, but the toolchain in use still has no such target"),
                Err(error) => announce(&format!("rustup cannot: {error:#}")),
            }
        }
        debian(cache).context(format!("no Rust for {TARGET}; with rustup: rustup target add {TARGET}"))
    }

    /// `cargo SUBCOMMAND` for the board.
    pub fn cargo(&self, subcommand: &str) -> Result<Command> {
        let mut command = clean_command("cargo");
        command.arg(subcommand).args(["--target", TARGET]);
        self.set_environment(&mut command)?;
        Ok(command)
    }

    /// `cargo clippy` for the board.
    pub fn clippy(&self) -> Result<Command> {
        let mut command = clean_command(match self {
            Self::InUse => PathBuf::from("cargo"),
            // As an external subcommand, cargo would find the toolchain in use's.
            Self::Debian(root) => root.join("usr/bin/cargo-clippy"),
        });
        command.arg("clippy").args(["--target", TARGET]);
        self.set_environment(&mut command)?;
        Ok(command)
    }

    /// A word for directories of build output, which must not be shared between compilers.
    pub fn name(&self) -> &'static str {
        match self {
            Self::InUse => "loader",
            Self::Debian(_) => "loader-debian",
        }
    }

    fn set_environment(&self, command: &mut Command) -> Result<()> {
        if let Self::Debian(root) = self {
            command.env("RUSTC", root.join("usr/bin/rustc"));
            command.env("RUSTDOC", root.join("usr/bin/rustdoc"));
            command.env("LD_LIBRARY_PATH", join(&library_directories(root)?)?);
            command.env("CARGO_TARGET_AARCH64_UNKNOWN_NONE_LINKER", linker(root)?);
        }
        Ok(())
    }
}

/// Whether the toolchain in use can compile for the board. The directory is named whether or not it exists.
fn has_target() -> Result<bool> {
    let text = capture_text(clean_command("rustc").args(["--print", "target-libdir", "--target", TARGET]))?;
    Ok(Path::new(text.trim()).is_dir())
}

/// The packages, in order of preference: Debian's newer Rust for stable releases, then a release's own.
const PACKAGES: [[&str; 4]; 2] = [
    ["rustc-web", "libstd-rust-web-dev", "rust-web-src", "rust-web-clippy"],
    ["rustc", "libstd-rust-dev", "rust-src", "rust-clippy"],
];

/// What the second way makes, in the cache.
fn entry() -> Entry {
    let describes = format!("Debian's Rust with core and alloc compiled for {TARGET}");
    let entry = Entry::new("toolchains", "debian", &describes).needs_network();
    entry.input(RECIPE).input(PACKAGES.as_flattened().join(" "))
}

fn debian(cache: &Cache) -> Result<Toolchain> {
    let root = cache.entry(&entry(), |staging| {
        let apt = host_apt(cache, None)?;
        let [newer, own] = PACKAGES;
        let files = download(&apt, &newer)
            .or_else(|first| download(&apt, &own).with_context(|| format!("and before that: {first:#}")));
        files?.iter().try_for_each(|file| unpack(file, staging, wanted))?;
        compile_core(staging)
    })?;
    Ok(Toolchain::Debian(root))
}

/// The compiler proper comes too even where it is installed: rustc takes the place of its own shared library for where the standard
/// libraries are.
fn download(apt: &Apt, packages: &[&str]) -> Result<Vec<PathBuf>> {
    let mut all: Vec<String> = packages.iter().map(|&name| name.to_owned()).collect();
    for package in packages {
        all.extend(
            apt.depends(package)?
                .into_iter()
                .filter(|name| name.starts_with("libstd-rust") || name.starts_with("librustc")),
        );
    }
    // The release's default linker may be years older than its newest.
    all.extend(newest_linker(&apt.names("lld-")?));
    all.sort();
    all.dedup();
    apt.download_with_dependencies(&all.iter().map(String::as_str).collect::<Vec<_>>(), None)
}

/// Of the sources, the library only: the compiler's are ten times as large.
fn wanted(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let sources = path.starts_with("usr/src") && !text.contains("/library/");
    !sources && !path.starts_with("usr/share/doc") && !path.starts_with("usr/share/man")
}

/// Compiles `core` and `alloc` from the unpacked sources into the unpacked sysroot.
fn compile_core(root: &Path) -> Result<()> {
    let library = find_one(&root.join("usr/src"), "rustc-", "")?.join("library");
    let seed = root.join("seed");
    let write = |path: PathBuf, text: String| {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    write(seed.join("Cargo.toml"), "[package]\nname = \"seed\"\nedition = \"2024\"\n[workspace]\n".to_owned())?;
    write(seed.join("src/lib.rs"), "#![no_std]\nextern crate alloc;\n".to_owned())?;
    let vendor = library.join("vendor");
    let replacement = format!(
        "[source.crates-io]\nreplace-with = \"vendored\"\n[source.vendored]\ndirectory = \"{}\"\n",
        vendor.display()
    );
    write(seed.join(".cargo/config.toml"), replacement)?;

    let toolchain = Toolchain::Debian(root.to_owned());
    let mut build = toolchain.cargo("build")?;
    build.args(["--offline", "--release", "-Zbuild-std=core,alloc"]).current_dir(&seed);
    // Unstable options with a stable compiler, and bitcode in the libraries, without which the loader's link-time optimisation fails.
    build
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Cembed-bitcode=yes")
        .env("CARGO_TARGET_DIR", seed.join("target"));
    capture(&mut build)?;

    let compiled = seed.join("target").join(TARGET).join("release/deps");
    let installed = root.join("usr/lib/rustlib").join(TARGET).join("lib");
    fs::create_dir_all(&installed).with_context(|| format!("cannot create {}", installed.display()))?;
    for name in ["core", "alloc", "compiler_builtins"] {
        let built = find_one(&compiled, &format!("lib{name}-"), ".rlib")?;
        let file = built.file_name().context("a library without a name")?;
        fs::rename(&built, installed.join(file)).with_context(|| format!("cannot move {}", built.display()))?;
    }
    for spent in [seed, root.join("usr/src")] {
        fs::remove_dir_all(&spent).with_context(|| format!("cannot remove {}", spent.display()))?;
    }
    Ok(())
}

/// Of packages named `lld-NUMBER`, the one with the highest.
fn newest_linker(names: &[String]) -> Option<String> {
    let version = |name: &String| Some((name.strip_prefix("lld-")?.parse::<u32>().ok()?, name.clone()));
    names.iter().filter_map(version).max().map(|(_, name)| name)
}

/// The linker that belongs to the toolchain in use, else the unpacked one. The linker of the compiler's own age matters: lld 14 evaluates
/// linker.ld's assertion on relocations before it has made them.
fn linker(root: &Path) -> Result<PathBuf> {
    let of_host = capture_text(clean_command("rustc").args(["--print", "target-libdir"]))?;
    let own = Path::new(of_host.trim()).parent().map(|directory| directory.join("bin/rust-lld"));
    match own.filter(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => find_one(&root.join("usr/bin"), "ld.lld-", ""),
    }
}

fn join(directories: &[PathBuf]) -> Result<std::ffi::OsString> {
    std::env::join_paths(directories).context("a directory with a colon in its name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_linker_is_taken_by_number() {
        let names = ["lld-9", "lld-14", "lld-19", "lld-14-dev"].map(str::to_owned);
        assert_eq!(newest_linker(&names).as_deref(), Some("lld-19"));
        assert_eq!(newest_linker(&[]), None);
    }
}
