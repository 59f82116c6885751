//! Links the payload as a flat image that relocates itself, as the loader is.

use std::env;

fn main() {
    let script = format!("{}/fake-xen.ld", env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    println!("cargo:rerun-if-changed={script}");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        println!("cargo:rustc-link-arg-bins=-T{script}");
        for argument in ["-pie", "--no-dynamic-linker", "-znotext", "-zmax-page-size=4096", "--pack-dyn-relocs=relr"] {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
    }
}
