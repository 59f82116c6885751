//! `cargo xtask bench`: the figures, each beside its peer's and with the bar it has to clear.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSymbol, SymbolKind};
use serde_json::json;

use crate::cache::Cache;
use crate::loader;
use crate::packages;
use crate::toolchain::Toolchain;

/// loader.bin is to stay below this, in bytes.
const WANTED_SIZE: u64 = 300 * 1024;

/// One measured figure.
struct Figure {
    name: &'static str,
    unit: &'static str,
    ours: f64,
    /// What the same is for the peer, and who that is.
    peer: Option<(f64, &'static str)>,
    /// The most that ours may be.
    bar: f64,
}

impl Figure {
    fn ok(&self) -> bool {
        self.ours <= self.bar
    }

    fn ratio(&self) -> Option<f64> {
        self.peer.map(|(peer, _)| self.ours / peer)
    }

    fn as_json(&self) -> serde_json::Value {
        let peer = self.peer.map(|(peer, _)| peer);
        json!({ "figure": self.name, "ours": self.ours, "peer": peer, "ratio": self.ratio(), "bar": self.bar, "ok": self.ok() })
    }

    fn as_text(&self) -> String {
        let peer = self.peer.map(|(peer, who)| format!(", {who} {peer}")).unwrap_or_default();
        let ratio = self.ratio().map(|ratio| format!(" ({:.0} %)", ratio * 100.0)).unwrap_or_default();
        let verdict = if self.ok() { "ok" } else { "MISSED" };
        format!("{}: {} {}{peer}{ratio}, bar {}: {verdict}", self.name, self.ours, self.unit, self.bar)
    }
}

/// Measures, prints a line a figure (`json`: an object a line), and fails if a bar is missed.
pub fn run(cache: &Cache, json: bool) -> Result<()> {
    let loader = loader::build(&Toolchain::find(cache)?)?;
    let u_boot = size(&packages::u_boot(cache)?)?;
    let ours = size(&loader.bin)?;
    let bar = u_boot.min(WANTED_SIZE) as f64;
    let figures = [Figure {
        name: "loader.bin",
        unit: "bytes",
        ours: ours as f64,
        peer: Some((u_boot as f64, "Debian's u-boot.bin")),
        bar,
    }];
    for figure in &figures {
        println!("{}", if json { figure.as_json().to_string() } else { figure.as_text() });
    }
    if !json {
        let elf = fs::read(&loader.elf).with_context(|| format!("cannot read {}", loader.elf.display()))?;
        println!("its code, by crate:");
        for (name, bytes) in shares(&elf)? {
            println!("{bytes:9} {name}");
        }
    }
    let missed: Vec<&str> = figures.iter().filter(|figure| !figure.ok()).map(|figure| figure.name).collect();
    if !missed.is_empty() {
        bail!("missed: {}", missed.join(", "));
    }
    Ok(())
}

fn size(path: &Path) -> Result<u64> {
    Ok(path.metadata().with_context(|| format!("cannot find {}", path.display()))?.len())
}

/// Bytes of functions by the crate they are of, the largest first. Generic code counts for the crate that wrote it.
fn shares(elf: &[u8]) -> Result<Vec<(String, u64)>> {
    let file = object::File::parse(elf).context("not an ELF file")?;
    let mut shares: BTreeMap<String, u64> = BTreeMap::new();
    for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text) {
        let name = crate_of(symbol.name().unwrap_or_default());
        *shares.entry(name).or_default() += symbol.size();
    }
    let mut shares: Vec<_> = shares.into_iter().filter(|(_, bytes)| *bytes > 0).collect();
    shares.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    Ok(shares)
}

/// The first crate named in a mangled symbol; what has no mangled name is assembly or the compiler's own.
fn crate_of(symbol: &str) -> String {
    let Ok(name) = rustc_demangle::try_demangle(symbol) else { return "(assembly and built-in functions)".to_owned() };
    let name = format!("{name:#}");
    let root = name.split("::").next().unwrap_or_default();
    let start = root.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(0, |at| at + 1);
    root.get(start..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbols_crate_is_found_in_both_manglings() {
        assert_eq!(crate_of("_ZN7smoltcp4wire3udp5parse17h0123456789abcdefE"), "smoltcp");
        assert_eq!(crate_of("_RNvCs1234_7mycrate3foo"), "mycrate");
        assert_eq!(
            crate_of("_ZN58_$LT$alloc..string..String$u20$as$u20$core..fmt..Write$GT$9write_str17h0123456789abcdefE"),
            "alloc"
        );
        assert_eq!(crate_of("memcpy"), "(assembly and built-in functions)");
    }

    #[test]
    fn a_figure_over_its_bar_is_missed() {
        let figure = Figure { name: "x", unit: "bytes", ours: 3.0, peer: Some((4.0, "theirs")), bar: 2.0 };
        assert_eq!(figure.as_text(), "x: 3 bytes, theirs 4 (75 %), bar 2: MISSED");
        assert_eq!(figure.as_json()["ok"], false);
    }
}
