//! QEMU's Raspberry Pi 4 with Ethernet: Debian's source of QEMU, our device and patch (`tools/qemu`), the model (`tools/genet-model`).
//!
//! Three stages, each kept: the source packages as downloaded (once), a build tree per source, patch and configuration (minutes, once), and
//! the program per content of everything (when only the model or the C device changed, seconds: the tree links again). A fresh clone with the same
//! content builds nothing. The tree is outside the checkout and can be removed at any time.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::apt::debian::debian_source;
use crate::apt::install::ensure_installed;
use crate::apt::machine::Distribution;
use crate::cache::{Cache, Entry};
use crate::loader::workspace;
use crate::packages::{find_one, host_program};
use crate::process::{announce, capture, capture_text, clean_command, find_program};

/// The release whose QEMU is built. Bookworm's own has no raspi4b, and the archive no longer has its backports' source.
const RELEASE: &str = "trixie";
const PACKAGE: &str = "qemu";
const PROGRAM: &str = "qemu-system-aarch64";
/// The plugin of QEMU's own tests that counts instructions; it lies beside the program.
const COUNTER: &str = "tests/tcg/plugins/libinsn.so";
/// Our plugin, which counts what a received block costs, and its source in `tools/qemu`; it lies there, too.
pub const BLOCKS: &str = "blocks.so";
const BLOCKS_SOURCE: &str = "plugin/blocks.c";
/// The oldest meson that this QEMU takes (its pythondeps.toml).
const MESON: [u32; 2] = [1, 5];

/// What a machine that compiles Rust may lack.
const BUILD_PACKAGES: [&str; 11] = [
    "build-essential",
    "dpkg-dev",
    "libfdt-dev",
    "libglib2.0-dev",
    "libslirp-dev",
    "ninja-build",
    "patch",
    "pkg-config",
    "python3",
    "python3-venv",
    "xz-utils",
];

/// Only the board: a quarter of the time that all machines take.
const DEVICES: &str = "CONFIG_RASPI=y\nCONFIG_OR_IRQ=y\nCONFIG_ARM_GIC=y\nCONFIG_UNIMP=y\nCONFIG_SPLIT_IRQ=y\n";
const CONFIGURE: [&str; 17] = [
    "--python=/usr/bin/python3",
    "--target-list=aarch64-softmmu",
    "--without-default-features",
    "--without-default-devices",
    "--with-devices-aarch64=xenlift",
    "--enable-tcg",
    "--enable-system",
    "--enable-slirp",
    "--enable-fdt=system",
    "--enable-plugins",
    "--disable-debug-info",
    "--disable-docs",
    "--disable-tools",
    "--disable-werror",
    "--disable-install-blobs",
    "--enable-trace-backends=log",
    "--disable-download",
];

/// Where each file of `tools/qemu/device` belongs in QEMU's tree.
const DEVICE_FILES: [(&str, &str); 3] = [
    ("bcm2838_genet.c", "hw/net/bcm2838_genet.c"),
    ("genet_model.h", "hw/net/genet_model.h"),
    ("bcm2838_genet.h", "include/hw/net/bcm2838_genet.h"),
];

/// The emulator, built now if its content is not in the cache.
pub fn emulator(cache: &Cache) -> Result<PathBuf> {
    let source = debian_source(cache, RELEASE, PACKAGE)?;
    let patch = fs::read(tools().join("raspi4b-genet.patch")).context("cannot read the patch for QEMU")?;
    let description = fs::read(find_one(&source, "qemu_", ".dsc")?).context("cannot read the source's description")?;
    let tree = Entry::new("trees", PACKAGE, "QEMU's build tree")
        .input(&description)
        .input(&patch)
        .input(DEVICES)
        .input(CONFIGURE.join(" "));
    let mut entry =
        Entry::new("emulators", PROGRAM, "QEMU with the board's Ethernet, built from Debian's source (3 minutes, or seconds where only the model changed)")
            .input(description)
            .input(patch);
    for path in own_sources()? {
        entry = entry.input(fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    let place = cache.entry(&entry, |staging| {
        ensure_installed(cache, &BUILD_PACKAGES, "building the emulator")?;
        let _lock = cache.lock("qemu-tree")?;
        let tree = Tree { root: only_tree(cache, &cache.place(&tree))?, meson: meson(cache)? };
        let build = tree.build(&source)?;
        for file in [PROGRAM, COUNTER] {
            let name = Path::new(file).file_name().context("a built file has a name")?;
            capture(Command::new("strip").arg("-o").arg(staging.join(name)).arg(build.join(file)))?;
        }
        tree.compile_plugin(&tools().join(BLOCKS_SOURCE), &staging.join(BLOCKS))?;
        Ok(())
    })?;
    Ok(place.join(PROGRAM))
}

fn tools() -> PathBuf {
    workspace().join("tools/qemu")
}

/// Every file of ours that ends up in the program or beside it, in a fixed order.
fn own_sources() -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = DEVICE_FILES.iter().map(|(name, _)| tools().join("device").join(name)).collect();
    let model = workspace().join("tools/genet-model");
    for directory in [model.join("src"), tools().join("genet-model-c/src")] {
        let mut found = Vec::new();
        // Modules lie flat, but for the test bench, which the emulator does without.
        for entry in fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))? {
            let path = entry?.path();
            if path.extension() == Some(OsStr::new("rs")) {
                found.push(path);
            }
        }
        found.sort();
        files.extend(found);
    }
    files.extend([model.join("Cargo.toml"), tools().join("genet-model-c/Cargo.toml"), tools().join(BLOCKS_SOURCE)]);
    Ok(files)
}

/// The directory of the build tree, those of earlier sources or patches being removed: each takes half a gigabyte.
fn only_tree(cache: &Cache, place: &Path) -> Result<PathBuf> {
    let trees = cache.root().join("trees");
    fs::create_dir_all(place).with_context(|| format!("cannot create {}", place.display()))?;
    for entry in fs::read_dir(&trees).with_context(|| format!("cannot list {}", trees.display()))? {
        let path = entry?.path();
        if path != place {
            fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(place.to_owned())
}

/// Where Python finds a meson that is new enough, if that is not the machine's own.
fn meson(cache: &Cache) -> Result<Option<PathBuf>> {
    let enough = |version: &str| {
        let numbers: Vec<u32> = version.trim().split('.').map_while(|part| part.parse().ok()).collect();
        numbers.get(..2).is_some_and(|found| found >= MESON.as_slice())
    };
    if let Some(own) = find_program("meson")
        && enough(&capture_text(Command::new(own).arg("--version"))?)
    {
        return Ok(None);
    }
    let suite = format!("{}-backports", Distribution::of_this_machine()?.codename);
    let program = host_program(cache, &["meson"], "meson", Some(&suite))?;
    let root = program.path.parent().and_then(Path::parent).context("meson lies nowhere")?;
    Ok(Some(root.join("lib/python3/dist-packages")))
}

/// A build tree: `source`, unpacked and patched; `library` with the model; `build`.
struct Tree {
    root: PathBuf,
    meson: Option<PathBuf>,
}

impl Tree {
    fn build(&self, packages: &Path) -> Result<PathBuf> {
        let [source, library, build] = ["source", "library", "build"].map(|name| self.root.join(name));
        if !source.is_dir() {
            self.unpack(packages, &source)?;
        }
        for (name, place) in DEVICE_FILES {
            copy_if_changed(&tools().join("device").join(name), &source.join(place))?;
        }
        fs::create_dir_all(&library).with_context(|| format!("cannot create {}", library.display()))?;
        copy_if_changed(&model_library()?, &library.join("libgenet_model_c.a"))?;
        if !build.join("build.ninja").is_file() {
            announce("configuring QEMU");
            fs::create_dir_all(&build).with_context(|| format!("cannot create {}", build.display()))?;
            let mut configure = self.command(source.join("configure"), &build);
            configure.args(CONFIGURE).arg(format!("-Dgenet_model_dir={}", library.display()));
            capture(&mut configure)?;
        }
        announce("compiling QEMU");
        capture(self.command("ninja", &build).args([PROGRAM, COUNTER]))?;
        Ok(build)
    }

    fn compile_plugin(&self, source: &Path, plugin: &Path) -> Result<()> {
        let flags = capture_text(Command::new("pkg-config").args(["--cflags", "glib-2.0"]))?;
        let mut compile = self.command("gcc", &self.root);
        compile.args(["-O2", "-Wall", "-shared", "-fPIC", "-I", "source/include/qemu"]).args(flags.split_whitespace());
        capture(compile.arg("-o").arg(plugin).arg(source))?;
        Ok(())
    }

    fn unpack(&self, packages: &Path, source: &Path) -> Result<()> {
        announce("unpacking QEMU's source");
        let staging = self.root.join("unpacking");
        if staging.exists() {
            fs::remove_dir_all(&staging).with_context(|| format!("cannot remove {}", staging.display()))?;
        }
        let description = find_one(packages, "qemu_", ".dsc")?;
        // apt has checked the signatures on the way to these files.
        capture(Command::new("dpkg-source").args(["--no-check", "-x"]).arg(description).arg(&staging))?;
        let patch = tools().join("raspi4b-genet.patch");
        capture(Command::new("patch").args(["-p1", "--forward", "-i"]).arg(patch).current_dir(&staging))?;
        let devices = staging.join("configs/devices/aarch64-softmmu/xenlift.mak");
        fs::write(&devices, DEVICES).with_context(|| format!("cannot write {}", devices.display()))?;
        fs::rename(&staging, source).with_context(|| format!("cannot rename {} into place", staging.display()))
    }

    fn command(&self, program: impl AsRef<OsStr>, directory: &Path) -> Command {
        let mut command = clean_command(program);
        command.current_dir(directory);
        if let Some(meson) = &self.meson {
            command.env("PYTHONPATH", meson);
        }
        command
    }
}

/// The model as a static library, compiled if need be.
fn model_library() -> Result<PathBuf> {
    let target = workspace().join("target/emulator");
    let mut build = clean_command("cargo");
    build.args(["build", "--quiet", "--release", "--package", "genet-model-c"]);
    capture(build.current_dir(workspace()).env("CARGO_TARGET_DIR", &target))?;
    Ok(target.join("release/libgenet_model_c.a"))
}

/// Copies only where the content differs: a new date alone would make ninja compile or link again.
fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let new = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    fs::write(to, new).with_context(|| format!("cannot write {}", to.display()))
}
