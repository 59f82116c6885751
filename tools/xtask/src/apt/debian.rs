//! Debian's archive, as this machine reaches it. A Debian machine names it in its own sources. On Ubuntu its address is taken from
//! Ubuntu's own package debootstrap, and the keys from its debian-archive-keyring, so that trust begins at what the machine trusts.
//! `XENLIFT_DEBIAN_MIRROR` names another address; signatures are checked all the same.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::install::ensure_installed;
use super::machine::{Distribution, architecture, base_source, own_sources};
use super::sources::Source;
use super::{Apt, Installed, unpack};
use crate::cache::{Cache, Entry};
use crate::packages::host_apt;

/// The keys, as debian-archive-keyring installs them.
const KEYRING: &str = "usr/share/keyrings/debian-archive-keyring.gpg";
const DEBOOTSTRAP: &str = "usr/sbin/debootstrap";

/// The source packages of `package` as the archive of `release` has them, not unpacked: the `.dsc` and what it names.
pub fn debian_source(cache: &Cache, release: &str, package: &str) -> Result<PathBuf> {
    let describes = format!("Debian {release}'s source of {package}");
    let entry = Entry::new("sources", &format!("{package}-{release}"), &describes).needs_network();
    cache.entry(&entry, |staging| {
        ensure_installed(cache, &["dpkg-dev"], &format!("fetching the source of {package}"))?;
        let mut archive = debian_archive(cache)?.for_suite(release, "");
        archive.types = vec!["deb-src".to_owned()];
        archive.architectures = Vec::new();
        let state = format!("{release}-source");
        let apt = Apt::open(cache, &state, &[archive], &architecture()?, Installed::Nothing)?;
        apt.download_source(package, staging)
    })
}

/// A source from which [`Source::for_suite`] derives Debian's releases.
pub fn debian_archive(cache: &Cache) -> Result<Source> {
    let distribution = Distribution::of_this_machine()?;
    let mut source = if distribution.id == "debian" {
        base_source(&own_sources(&distribution)?, &distribution)?
    } else {
        through_debootstrap(cache)?
    };
    if let Ok(mirror) = std::env::var("XENLIFT_DEBIAN_MIRROR")
        && !mirror.is_empty()
    {
        source.uris = vec![mirror];
    }
    if source.uris.is_empty() {
        bail!(
            "where Debian's archive is, is not known on {}: set XENLIFT_DEBIAN_MIRROR to a mirror's address",
            distribution.id
        );
    }
    Ok(source)
}

/// What the distribution's own packages say about Debian. Without an address if debootstrap names none of Debian's.
fn through_debootstrap(cache: &Cache) -> Result<Source> {
    let describes = "the address and the keys of Debian's archive";
    let root = cache.entry(&Entry::new("archives", "debian", describes).needs_network(), |staging| {
        let packages = ["debootstrap", "debian-archive-keyring"].map(str::to_owned);
        let wanted = |path: &Path| path == Path::new(DEBOOTSTRAP) || path.starts_with("usr/share/keyrings");
        host_apt(cache, None)?.download(&packages)?.iter().try_for_each(|file| unpack(file, staging, wanted))
    })?;
    let script = root.join(DEBOOTSTRAP);
    let script = fs::read_to_string(&script).with_context(|| format!("cannot read {}", script.display()))?;
    Ok(Source {
        types: vec!["deb".to_owned()],
        uris: default_mirror(&script).into_iter().collect(),
        suites: Vec::new(),
        components: vec!["main".to_owned()],
        architectures: Vec::new(),
        signed_by: Some(root.join(KEYRING).display().to_string()),
    })
}

/// `DEF_MIRROR` of the script, if it is Debian's: its path ends in `/debian`.
fn default_mirror(script: &str) -> Option<String> {
    let value = script.lines().find_map(|line| line.trim().strip_prefix("DEF_MIRROR="))?;
    let mirror = value.trim_matches(['"', '\'']).trim_end_matches('/');
    mirror.ends_with("/debian").then(|| mirror.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debootstraps_default_mirror_counts_if_it_is_debians() {
        let script =
            "#!/bin/sh\nDEF_MIRROR=\"http://mirror.test/debian\"\nDEF_HTTPS_MIRROR=\"https://mirror.test/debian\"\n";
        assert_eq!(default_mirror(script).as_deref(), Some("http://mirror.test/debian"));
        assert_eq!(default_mirror("DEF_MIRROR='http://mirror.test/ubuntu'\n"), None);
        assert_eq!(default_mirror("#!/bin/sh\n"), None);
    }
}
