//! Hands the linker what makes `loader` a position-independent flat image (docs/architecture.md, start-up).
//!
//! Here and not in `.cargo/config.toml`, because the flags are this binary's: the payloads of the tests have other layouts,
//! and a user's RUSTFLAGS would silently replace flags that stand there.

use std::env;
use std::path::PathBuf;

fn main() {
    let root: PathBuf = [env::var("CARGO_MANIFEST_DIR").unwrap_or_default().as_str(), "..", ".."].iter().collect();
    let script = root.join("linker.ld");
    println!("cargo:rerun-if-changed={}", script.display());
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        let script = format!("-T{}", script.display());
        for argument in [
            script.as_str(),
            "-pie",
            "--no-dynamic-linker",
            "-znotext",
            "-zmax-page-size=4096",
            "--pack-dyn-relocs=relr",
        ] {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
    }
}
