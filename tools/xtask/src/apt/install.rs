//! Installing what must be installed: ordinary build and test tools, through the machine's own apt.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cache::Cache;
use crate::process::{announce, find_program, run, shown};

/// Installs those of `packages` that are missing, after saying so. Not root: through sudo; without sudo, an error with the line to type.
pub fn ensure_installed(cache: &Cache, packages: &[&str], purpose: &str) -> Result<()> {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut install = Command::new("apt-get");
    install.args(["install", "--yes", "--no-install-recommends"]).args(&missing);
    if cache.is_offline() {
        bail!(
            "missing for {purpose}, and --offline forbids fetching: {}\nTo install by hand: sudo {}",
            missing.join(" "),
            shown(&install)
        );
    }
    announce(&format!("installing for {purpose}: {}", missing.join(" ")));
    let _lock = cache.lock("apt-install")?;
    let mut update = Command::new("apt-get");
    update.arg("update");
    as_root(update)?;
    as_root(install)
}

fn is_installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat", "${db:Status-Status}", package]);
    crate::process::capture_text(&mut query).is_ok_and(|status| status == "installed")
}

fn as_root(command: Command) -> Result<()> {
    let root = crate::process::capture_text(Command::new("id").arg("-u"))?.trim() == "0";
    let mut privileged = if root {
        Command::new("env")
    } else if find_program("sudo").is_some() {
        let mut sudo = Command::new("sudo");
        sudo.arg("env");
        sudo
    } else {
        bail!("this needs root and there is no sudo; type as root: {}", shown(&command));
    };
    privileged.arg("DEBIAN_FRONTEND=noninteractive").arg(command.get_program()).args(command.get_args());
    run(&mut privileged).with_context(|| format!("try by hand: sudo {}", shown(&command)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offline_names_the_missing_packages_and_the_line_to_type() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path(), true).unwrap();
        let error = ensure_installed(&cache, &["no-such-package-xyz"], "the tests").unwrap_err().to_string();
        assert!(error.contains("sudo apt-get install --yes --no-install-recommends no-such-package-xyz"), "{error}");
        assert!(ensure_installed(&cache, &["dpkg"], "the tests").is_ok());
    }
}
