//! Which kernel modules a driver needs, and in which order: read from the modules themselves, as depmod does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection};

use crate::process::capture;

/// Every module below one directory, by name (`-` and `_` are the same in module names).
pub struct Modules {
    files: BTreeMap<String, PathBuf>,
}

/// A module ready to be inserted.
pub struct Module {
    /// With underscores.
    pub name: String,
    /// The ELF, not compressed.
    pub bytes: Vec<u8>,
}

impl Modules {
    /// Finds `*.ko` and `*.ko.xz` below `directory`.
    pub fn below(directory: &Path) -> Result<Self> {
        let mut modules = Self { files: BTreeMap::new() };
        modules.collect(directory)?;
        Ok(modules)
    }

    fn collect(&mut self, directory: &Path) -> Result<()> {
        let entries = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() && !path.is_symlink() {
                self.collect(&path)?;
            } else if let Some(name) = module_name(&path) {
                self.files.insert(name, path);
            }
        }
        Ok(())
    }

    /// `names` and all that they depend on, each after what it needs.
    pub fn in_order(&self, names: &[&str]) -> Result<Vec<Module>> {
        let mut ordered = Vec::new();
        for name in names {
            self.visit(&name.replace('-', "_"), &mut ordered, &mut Vec::new())?;
        }
        Ok(ordered)
    }

    fn visit(&self, name: &str, ordered: &mut Vec<Module>, above: &mut Vec<String>) -> Result<()> {
        if ordered.iter().any(|module| module.name == name) {
            return Ok(());
        }
        if above.iter().any(|other| other == name) {
            bail!("modules depend on each other in a circle: {} {name}", above.join(" "));
        }
        let path = self.files.get(name).with_context(|| format!("the kernel package has no module {name}"))?;
        let bytes = read_module(path)?;
        above.push(name.to_owned());
        for dependency in dependencies(&bytes).with_context(|| format!("in {}", path.display()))? {
            self.visit(&dependency, ordered, above)?;
        }
        above.pop();
        ordered.push(Module { name: name.to_owned(), bytes });
        Ok(())
    }
}

fn module_name(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let name = file.strip_suffix(".ko").or_else(|| file.strip_suffix(".ko.xz"))?;
    Some(name.replace('-', "_"))
}

fn read_module(path: &Path) -> Result<Vec<u8>> {
    if path.extension().is_some_and(|extension| extension == "xz") {
        capture(Command::new("xz").args(["--decompress", "--stdout"]).arg(path))
    } else {
        fs::read(path).with_context(|| format!("cannot read {}", path.display()))
    }
}

/// What the module's `.modinfo` says it needs: `depends=`, and `softdep=pre:`.
fn dependencies(elf: &[u8]) -> Result<Vec<String>> {
    let file = object::File::parse(elf).context("not an ELF file")?;
    let section = file.section_by_name(".modinfo").context("no .modinfo: not a kernel module")?;
    Ok(parse_modinfo(section.data().context("cannot read .modinfo")?))
}

/// `key=value` strings, each ended by NUL.
fn parse_modinfo(bytes: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    for entry in String::from_utf8_lossy(bytes).split('\0') {
        if let Some(depends) = entry.strip_prefix("depends=") {
            names.extend(depends.split(',').map(str::to_owned));
        } else if let Some(soft) = entry.strip_prefix("softdep=") {
            let words = soft.split_whitespace().skip_while(|word| *word != "pre:").skip(1);
            names.extend(words.take_while(|word| *word != "post:").map(str::to_owned));
        }
    }
    names.into_iter().filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_and_soft_dependencies_are_read() {
        let info = b"license=GPL\0softdep=pre: mdio-bcm-unimac post: other\0depends=libphy,of_mdio\0name=genet\0";
        assert_eq!(parse_modinfo(info), ["mdio_bcm_unimac", "libphy", "of_mdio"]);
        assert!(parse_modinfo(b"depends=\0").is_empty());
    }

    #[test]
    fn names_have_underscores_and_both_suffixes_count() {
        assert_eq!(module_name(Path::new("a/bcm-phy-lib.ko")).as_deref(), Some("bcm_phy_lib"));
        assert_eq!(module_name(Path::new("a/genet.ko.xz")).as_deref(), Some("genet"));
        assert_eq!(module_name(Path::new("a/modules.order")), None);
    }
}
