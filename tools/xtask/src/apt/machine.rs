//! What this machine is, and which of its sources lead to Debian's archive.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::apt::sources::{self, Source};

/// The distribution, from os-release(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// `debian`, `ubuntu`, ...
    pub id: String,
    /// `bookworm`, `noble`, ...; empty where there is none (Debian sid).
    pub codename: String,
}

impl Distribution {
    /// This machine's.
    pub fn of_this_machine() -> Result<Self> {
        let text = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
        let distribution = Self::parse(&text);
        if !matches!(distribution.id.as_str(), "debian" | "ubuntu") {
            bail!(
                "set-up knows how to get packages on Debian and Ubuntu; this is `{}` (/etc/os-release)",
                distribution.id
            );
        }
        Ok(distribution)
    }

    fn parse(text: &str) -> Self {
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_default().trim().trim_matches(['"', '\'']).to_owned()
        };
        Self { id: value("ID"), codename: value("VERSION_CODENAME") }
    }
}

/// The machine's architecture in dpkg's words.
pub fn architecture() -> Result<String> {
    let text = crate::process::capture_text(std::process::Command::new("dpkg").arg("--print-architecture"))?;
    Ok(text.trim().to_owned())
}

/// The machine's sources of its own distribution: third-party archives are left out, so that a broken one cannot get in the way.
pub fn own_sources(distribution: &Distribution) -> Result<Vec<Source>> {
    let all = sources::read_all(Path::new("/etc/apt"))?;
    let own = of_distribution(&all, distribution);
    if own.is_empty() {
        bail!("no source for {} {} in /etc/apt: cannot fetch packages", distribution.id, distribution.codename);
    }
    Ok(own)
}

fn of_distribution(all: &[Source], distribution: &Distribution) -> Vec<Source> {
    let own_suite = |suite: &String| {
        let release = suite.split(['-', '/']).next().unwrap_or_default();
        release == distribution.codename || matches!(release, "stable" | "oldstable" | "testing" | "unstable" | "sid")
    };
    let binary = |source: &&Source| source.types.iter().any(|kind| kind == "deb");
    let main = |source: &&Source| source.components.iter().any(|component| component == "main");
    all.iter().filter(|source| source.suites.iter().any(own_suite)).filter(binary).filter(main).cloned().collect()
}

/// The source of the base release (not of updates or security), from which another suite of the same archive can be derived.
pub fn base_source(own: &[Source], distribution: &Distribution) -> Result<Source> {
    let names = [distribution.codename.as_str(), "stable", "oldstable", "testing", "unstable", "sid"];
    let base = own.iter().find(|source| names.iter().any(|name| source.offers(name)));
    base.cloned().with_context(|| format!("no source in /etc/apt offers the release {} itself", distribution.codename))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_with_and_without_quotes() {
        let text = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n";
        assert_eq!(
            Distribution::parse(text),
            Distribution { id: "debian".to_owned(), codename: "bookworm".to_owned() }
        );
        assert_eq!(Distribution::parse("ID=\"ubuntu\"\n").codename, "");
    }

    #[test]
    fn third_party_and_source_entries_are_left_out() {
        let text = "deb http://a.test/debian bookworm main\ndeb http://a.test/security bookworm-security main\n\
                    deb-src http://a.test/debian bookworm main\ndeb http://third.test/node nodistro main\n";
        let distribution = Distribution { id: "debian".to_owned(), codename: "bookworm".to_owned() };
        let own = of_distribution(&sources::parse_one_line(text).unwrap(), &distribution);
        let suites: Vec<&str> = own.iter().flat_map(|source| &source.suites).map(String::as_str).collect();
        assert_eq!(suites, ["bookworm", "bookworm-security"]);
        assert_eq!(base_source(&own, &distribution).unwrap().suites, ["bookworm"]);
    }

    #[test]
    fn a_machine_without_its_base_release_is_told() {
        let distribution = Distribution { id: "debian".to_owned(), codename: "trixie".to_owned() };
        let own = sources::parse_one_line("deb http://a.test/security trixie-security main").unwrap();
        assert!(base_source(&own, &distribution).unwrap_err().to_string().contains("trixie itself"));
    }
}
