//! What a finished tree tells Xen: its modules and command lines, read back as Xen reads them.
//!
//! The tree may have been written by us ([`super::xen`]) or by a script's `fdt` commands; the checks and the summary before the jump look at
//! the tree alone, so they hold for both. Xen's code: `process_multiboot_node` and `boot_fdt_cmdline` in `xen/common/device-tree/bootinfo-fdt.c`,
//! `docs/misc/arm/device-tree/booting.txt`.

use super::plan::MOST_MODULES;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::device_tree::{Node, Tree};
use crate::range::PhysicalRange;

/// What a module is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A domain's kernel.
    Kernel,
    /// A domain's ramdisk.
    Ramdisk,
    /// A domain's partial device tree.
    DeviceTree,
    /// The policy of Xen's security module.
    Policy,
    /// Something that Xen ignores, or does not know.
    Other,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Ramdisk => "ramdisk",
            Self::DeviceTree => "device tree",
            Self::Policy => "policy",
            Self::Other => "module",
        }
    }
}

/// A module that `/chosen` lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module<'a> {
    /// What it is for.
    pub kind: Kind,
    /// The name of the domain's node; `None` for Dom0, and for Xen itself.
    pub domain: Option<&'a str>,
    /// Path of its node.
    pub path: String,
    /// Where its bytes are, exactly; `None` where `reg` makes no sense, over which Xen panics.
    pub range: Option<PhysicalRange>,
    /// Its own command line.
    pub args: Option<&'a str>,
}

impl Module<'_> {
    /// What the summary calls it, such as `Dom0 kernel`.
    pub fn label(&self) -> String {
        match (self.kind, self.domain) {
            (Kind::Policy, _) => "XSM policy".to_string(),
            (kind, Some(domain)) => format!("{domain} {}", kind.name()),
            (kind, None) => format!("Dom0 {}", kind.name()),
        }
    }
}

/// `/chosen` lists so many modules, more than [`MOST_MODULES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyModules(pub usize);

impl fmt::Display for TooManyModules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/chosen lists {} modules, and Xen takes at most {MOST_MODULES}: take some of the nodes out", self.0)
    }
}

impl core::error::Error for TooManyModules {}

/// The modules in the order of the tree: those of Xen and Dom0, and those of the domains below them.
///
/// # Errors
/// [`TooManyModules`]: what a tree lists is not put on the heap without a bound.
pub fn modules<'a>(tree: &Tree<'a>) -> Result<Vec<Module<'a>>, TooManyModules> {
    let mut modules: Vec<Module<'a>> = Vec::new();
    let Some(chosen) = tree.find("/chosen") else { return Ok(modules) };
    let (mut all, mut of_dom0) = (0, 0);
    let mut add = |all: usize, module: &dyn Fn() -> Module<'a>| {
        if all <= MOST_MODULES {
            modules.push(module());
        }
    };
    for node in chosen.children() {
        if is_module(&node) {
            // Without a name of its kind the first is the kernel, the second the ramdisk.
            let unnamed = match of_dom0 {
                0 => Kind::Kernel,
                1 => Kind::Ramdisk,
                _ => Kind::Other,
            };
            of_dom0 += 1;
            all += 1;
            add(all, &|| module(&node, &chosen, None, unnamed));
        } else if node.is_compatible("xen,domain") {
            for child in node.children().filter(is_module) {
                all += 1;
                add(all, &|| module(&child, &node, Some(node.name()), Kind::Other));
            }
        }
    }
    if all > MOST_MODULES { Err(TooManyModules(all)) } else { Ok(modules) }
}

/// Whether anything in `/chosen` is meant for Xen.
pub fn is_for_xen(tree: &Tree<'_>) -> bool {
    let Some(chosen) = tree.find("/chosen") else { return false };
    ["xen,xen-bootargs", "xen,dom0-bootargs"].iter().any(|name| chosen.property(name).is_some())
        || chosen.children().any(|node| is_module(&node) || node.is_compatible("xen,domain"))
}

/// The path of the first node below `/chosen` that was meant as a module, by `reg` and `compatible`, and that is nothing to Xen.
pub fn passed_over(tree: &Tree<'_>) -> Option<String> {
    let chosen = tree.find("/chosen")?;
    let is_meant = |node: &Node<'_>| {
        // Others may have nodes there as well, such as a framebuffer's.
        let ours = |name: &str| ["xen,", "multiboot,"].iter().any(|vendor| name.contains(vendor));
        node.property("reg").is_some()
            && node.property("compatible").is_none_or(|compatible| compatible.strings().any(ours))
    };
    let node =
        chosen.children().find(|node| is_meant(node) && !is_module(node) && !node.is_compatible("xen,domain"))?;
    Some(node.path().to_string())
}

fn is_module(node: &Node<'_>) -> bool {
    ["multiboot,module", "xen,multiboot-module"].iter().any(|name| node.is_compatible(name))
}

fn module<'a>(node: &Node<'a>, parent: &Node<'_>, domain: Option<&'a str>, unnamed: Kind) -> Module<'a> {
    let is = |names: &[&str]| names.iter().any(|name| node.is_compatible(name));
    let kind = if is(&["multiboot,kernel", "xen,linux-zimage"]) {
        Kind::Kernel
    } else if is(&["multiboot,ramdisk", "xen,linux-initrd"]) {
        Kind::Ramdisk
    } else if is(&["multiboot,device-tree"]) {
        Kind::DeviceTree
    } else if is(&["xen,xsm-policy"]) {
        Kind::Policy
    } else {
        unnamed
    };
    Module {
        kind,
        domain,
        path: node.path().to_string(),
        range: register(node, parent),
        args: node.property("bootargs").and_then(|args| args.string()),
    }
}

/// The first entry of `reg`, with the cells that the parent says: module addresses are the CPU's, whatever `ranges` say.
fn register(node: &Node<'_>, parent: &Node<'_>) -> Option<PhysicalRange> {
    let cells = |name, usual| parent.property(name).map_or(Some(usual), |cells| cells.u32());
    let mut words = node.property("reg")?.cells();
    let mut number = |cells: Option<u32>| -> Option<u64> {
        (0..cells.filter(|cells| *cells <= 2)?)
            .try_fold(0, |value: u64, _| Some(value << 32 | u64::from(words.next()?)))
    };
    let start = number(cells("#address-cells", 2))?;
    let size = number(cells("#size-cells", 1))?;
    PhysicalRange::sized(start, size).filter(|range| !range.is_empty())
}

/// The command lines as Xen takes them from the tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLines<'a> {
    /// Xen's own; empty where there is none.
    pub xen: &'a str,
    /// Dom0's.
    pub dom0: Option<&'a str>,
}

/// Which property is whose, by what is there (Xen's `boot_fdt_cmdline` and `write_properties`): Dom0's is `xen,dom0-bootargs`, or else its kernel's own,
/// if that says anything. `bootargs` is Xen's where only Dom0 has one of these, and Dom0's otherwise.
pub fn command_lines<'a>(tree: &Tree<'a>) -> CommandLines<'a> {
    let Some(chosen) = tree.find("/chosen") else { return CommandLines::default() };
    let text = |name| chosen.property(name).and_then(|property| property.string());
    let mut modules = chosen.children().filter(is_module);
    let kernel = modules.find_map(|node| node.property("bootargs")?.string()).filter(|args| !args.is_empty());
    let (xen, dom0, shared) = (text("xen,xen-bootargs"), text("xen,dom0-bootargs").or(kernel), text("bootargs"));
    match (xen, dom0) {
        (None, Some(_)) => CommandLines { xen: shared.unwrap_or_default(), dom0 },
        (xen, dom0) => CommandLines { xen: xen.unwrap_or_default(), dom0: dom0.or(shared) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::test_tree::TestTree;
    use crate::device_tree::Editor;
    use alloc::vec;

    fn add(editor: &mut Editor<'_>, parent: &str, name: &str, compatible: &[&str], cells: &[u32]) {
        editor.add_node(parent, name).unwrap();
        let path = format!("{parent}/{name}");
        editor.set_strings(&path, "compatible", compatible).unwrap();
        editor.set_cells(&path, "reg", cells).unwrap();
    }

    fn range(start: u64, size: u64) -> Option<PhysicalRange> {
        PhysicalRange::sized(start, size)
    }

    #[test]
    fn a_script_may_use_one_cell_or_two() {
        let mut tree = TestTree::board();
        let mut editor = tree.editor();
        editor.set_cells("/chosen", "#address-cells", &[1]).unwrap();
        editor.set_cells("/chosen", "#size-cells", &[1]).unwrap();
        let names = ["xen,linux-zimage", "xen,multiboot-module"];
        add(&mut editor, "/chosen", "dom0", &names, &[0x100_0000, 0x108_aa00]);
        editor.add_node("/chosen", "domU0").unwrap();
        editor.set_string("/chosen/domU0", "compatible", "xen,domain").unwrap();
        editor.set_cells("/chosen/domU0", "#address-cells", &[2]).unwrap();
        editor.set_cells("/chosen/domU0", "#size-cells", &[2]).unwrap();
        let names = ["multiboot,ramdisk", "multiboot,module"];
        add(&mut editor, "/chosen/domU0", "module@1", &names, &[1, 0x1800_0000, 0, 0x67]);
        let tree = editor.tree().unwrap();
        let modules = modules(&tree).unwrap();
        let found: Vec<_> = modules.iter().map(|module| (module.label(), module.range)).collect();
        let expected = vec![
            ("Dom0 kernel".to_string(), range(0x100_0000, 0x108_aa00)),
            ("domU0 ramdisk".into(), range(0x1_1800_0000, 0x67)),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn modules_without_a_kind_are_kernel_and_ramdisk_by_their_order() {
        let mut tree = TestTree::board();
        let mut editor = tree.editor();
        for (name, at) in [("module@1", 0x10_0000), ("module@2", 0x20_0000), ("module@3", 0x30_0000)] {
            add(&mut editor, "/chosen", name, &["multiboot,module"], &[0, at, 0x1000]);
        }
        let kinds: Vec<Kind> = modules(&editor.tree().unwrap()).unwrap().iter().map(|module| module.kind).collect();
        assert_eq!(kinds, [Kind::Kernel, Kind::Ramdisk, Kind::Other]);
    }

    #[test]
    fn more_modules_than_xen_takes_are_refused_with_their_number() {
        let mut tree = TestTree::board();
        let mut editor = tree.editor();
        editor.add_node("/chosen", "domU0").unwrap();
        editor.set_string("/chosen/domU0", "compatible", "xen,domain").unwrap();
        for index in 0..MOST_MODULES {
            let parent = if index % 2 == 0 { "/chosen" } else { "/chosen/domU0" };
            add(&mut editor, parent, &format!("module@{index}"), &["multiboot,module"], &[0, 0x10_0000, 0x1000]);
        }
        assert_eq!(modules(&editor.tree().unwrap()).unwrap().len(), MOST_MODULES);
        add(&mut editor, "/chosen/domU0", "one-more", &["multiboot,module"], &[0, 0x10_0000, 0x1000]);
        assert_eq!(modules(&editor.tree().unwrap()), Err(TooManyModules(MOST_MODULES + 1)));
    }

    #[test]
    fn a_register_that_makes_no_sense_is_no_range() {
        for cells in [&[][..], &[1], &[0, 1], &[0, 1, 0], &[u32::MAX, u32::MAX, 2]] {
            let mut tree = TestTree::board();
            let mut editor = tree.editor();
            add(&mut editor, "/chosen", "dom0", &["multiboot,module"], cells);
            assert_eq!(modules(&editor.tree().unwrap()).unwrap()[0].range, None, "{cells:?}");
        }
    }

    #[test]
    fn bootargs_are_xens_only_where_dom0_has_its_own() {
        let lines = |set: &[(&str, &str)]| {
            let mut tree = TestTree::board();
            let mut editor = tree.editor();
            for (name, value) in set {
                editor.set_string("/chosen", name, value).unwrap();
            }
            let tree = editor.tree().unwrap();
            let lines = command_lines(&tree);
            (lines.xen.to_string(), lines.dom0.map(String::from))
        };
        let (xen, dom0) = (("xen,xen-bootargs", "x"), ("xen,dom0-bootargs", "d"));
        assert_eq!(lines(&[xen, dom0]), ("x".into(), Some("d".into())));
        assert_eq!(lines(&[dom0]), ("coherent_pool=1M".into(), Some("d".into())));
        assert_eq!(lines(&[xen]), ("x".into(), Some("coherent_pool=1M".into())));
        assert_eq!(lines(&[]), (String::new(), Some("coherent_pool=1M".into())));
    }

    #[test]
    fn a_kernels_own_line_counts_where_chosen_has_none_for_dom0() {
        for (own, said, xen, dom0) in [
            ("k", Some("d"), "coherent_pool=1M", "d"),
            ("", Some("d"), "coherent_pool=1M", "d"),
            ("k", None, "coherent_pool=1M", "k"),
            ("", None, "", "coherent_pool=1M"),
        ] {
            let mut tree = TestTree::board();
            let mut editor = tree.editor();
            let names = ["xen,linux-zimage", "xen,multiboot-module"];
            add(&mut editor, "/chosen", "dom0", &names, &[0, 0x100_0000, 0x108_aa00]);
            editor.set_string("/chosen/dom0", "bootargs", own).unwrap();
            if let Some(said) = said {
                editor.set_string("/chosen", "xen,dom0-bootargs", said).unwrap();
            }
            let tree = editor.tree().unwrap();
            assert_eq!(command_lines(&tree), CommandLines { xen, dom0: Some(dom0) }, "{own:?} {said:?}");
        }
    }

    #[test]
    fn a_tree_for_linux_is_not_for_xen() {
        let mut tree = TestTree::board();
        assert!(!is_for_xen(&tree.editor().tree().unwrap()));
        let mut editor = tree.editor();
        editor.set_string("/chosen", "xen,xen-bootargs", "").unwrap();
        assert!(is_for_xen(&editor.tree().unwrap()));
    }
}
