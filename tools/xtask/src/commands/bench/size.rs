//! How large `loader.bin` is beside its peer, and which crate has what share of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use object::{Object, ObjectSymbol, SymbolKind};

use super::figure::{Bar, Figure};
use crate::cache::Cache;
use crate::loader;
use crate::packages;
use crate::toolchain::Toolchain;

/// What loader.bin is wished to stay below, in bytes, since it runs scripts. The bar is the peer's size.
const WISH: u64 = 400 * 1024;

/// Compiles the loader and weighs it beside Debian's U-Boot.
pub fn measure(cache: &Cache) -> Result<Figure> {
    let loader = loader::build(&Toolchain::find(cache)?)?;
    let u_boot = size(&packages::u_boot(cache)?)?;
    let ours = size(&loader.bin)?;
    let wish = if ours <= WISH { "met" } else { "not met" };
    let mut notes = vec![
        format!("wanted: at most {WISH} bytes: {wish}"),
        format!("packed; unpacked it has {} bytes, with functions of these crates:", loader.unpacked),
    ];
    let elf = fs::read(&loader.elf).with_context(|| format!("cannot read {}", loader.elf.display()))?;
    notes.extend(shares(&elf)?.into_iter().map(|(name, bytes)| format!("{bytes:9} {name}")));
    Ok(Figure {
        name: "loader.bin".to_owned(),
        unit: "bytes",
        ours: ours as f64,
        peer: Some((u_boot as f64, "Debian's u-boot.bin")),
        bar: Bar::AtMost(u_boot as f64),
        notes,
    })
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
}
