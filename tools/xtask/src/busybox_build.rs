//! BusyBox with its TFTP server and what starts that, from Debian's source: Debian's own BusyBox has neither.
//!
//! For tests of this machine, so it is compiled for it. The source is kept as downloaded, the program by its content.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::apt::debian::debian_source;
use crate::apt::install::ensure_installed;
use crate::cache::{Cache, Entry};
use crate::packages::find_one;
use crate::process::{announce, capture, clean_command};

const RELEASE: &str = "bookworm";
const PACKAGE: &str = "busybox";
/// What is in it besides what is always there: the server with all that BusyBox's default configuration has of it, and who listens and starts one for
/// each client.
const OPTIONS: [&str; 5] = ["TFTPD", "FEATURE_TFTP_GET", "FEATURE_TFTP_PUT", "FEATURE_TFTP_BLOCKSIZE", "UDPSVD"];

/// The program, built now if it is not in the cache.
pub fn busybox(cache: &Cache) -> Result<PathBuf> {
    let source = debian_source(cache, RELEASE, PACKAGE)?;
    let description = find_one(&source, "busybox_", ".dsc")?;
    let contents = fs::read(&description).context("cannot read the source's description")?;
    let entry = Entry::new("programs", "busybox-tftpd", "BusyBox's TFTP server, built from Debian's source (a minute)");
    let place = cache.entry(&entry.input(contents).input(OPTIONS.join(" ")), |staging| {
        ensure_installed(cache, &["build-essential", "dpkg-dev"], "building BusyBox's TFTP server")?;
        announce("compiling BusyBox's TFTP server");
        let tree = staging.join("source");
        // apt has checked the signatures on the way to these files.
        capture(Command::new("dpkg-source").args(["--no-check", "-x"]).arg(description).arg(&tree))?;
        compile(&tree)?;
        let program = staging.join(PACKAGE);
        fs::rename(tree.join(PACKAGE), &program).context("no busybox was built")?;
        fs::remove_dir_all(&tree).with_context(|| format!("cannot remove {}", tree.display()))
    })?;
    Ok(place.join(PACKAGE))
}

fn compile(tree: &Path) -> Result<()> {
    let make = |target: &str| {
        let mut make = clean_command("make");
        make.arg("-j2").arg(target).current_dir(tree);
        make
    };
    capture(&mut make("allnoconfig"))?;
    let config = tree.join(".config");
    let text = fs::read_to_string(&config).context("BusyBox has no configuration")?;
    let wanted = |line: &str| OPTIONS.iter().any(|option| line == format!("# CONFIG_{option} is not set"));
    let kept = text.lines().filter(|line| !wanted(line)).map(|line| format!("{line}\n"));
    let added = OPTIONS.iter().map(|option| format!("CONFIG_{option}=y\n"));
    fs::write(&config, kept.chain(added).collect::<String>()).context("cannot write BusyBox's configuration")?;
    // What these options bring along keeps its default.
    capture(make("silentoldconfig").env("KCONFIG_NOTIMESTAMP", "1"))?;
    capture(&mut make(PACKAGE))?;
    Ok(())
}
