//! loader.bin takes the place of U-Boot's image, and is smaller.

use anyhow::{Result, ensure};
use xenlift_e2e::{cache, packages};
use xtask::loader;
use xtask::toolchain::Toolchain;

#[test]
fn loader_bin_is_smaller_than_debians_u_boot_bin() -> Result<()> {
    let cache = cache()?;
    let ours = loader::build(&Toolchain::find(&cache)?)?.bin.metadata()?.len();
    let u_boot = packages::u_boot(&cache)?.metadata()?.len();
    ensure!(ours < u_boot, "loader.bin has {ours} bytes, Debian's u-boot.bin {u_boot}");
    Ok(())
}
