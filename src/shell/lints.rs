//! What is wrong with a script's boot that no command could see: a tree that says one thing of memory where another is.
//!
//! These are the mistakes that scripts with hand-written addresses and sizes have, and that show up as a Xen that panics or stays silent. Nothing here stops a
//! boot: what Xen certainly stops over is refused elsewhere. [`look`] is asked by `booti` on the board and by `cargo xtask script`.

use super::Loaded;
use super::platform::Boot;
use crate::boot::image::Header;
use crate::boot::layout::Layout;
use crate::boot::xen_modules::{Module, TooManyModules, modules};
use crate::device_tree::{Node, Tree};
use crate::range::PhysicalRange;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// Mistakes that are told; the rest of a long list has the same reason mostly.
const MOST: usize = 16;

/// A mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lint {
    /// More modules are declared than Xen takes.
    TooMany(TooManyModules),
    /// A module is declared, and no file was loaded to where it should be.
    NotLoaded {
        /// Its path.
        module: String,
        /// Where it should be.
        range: PhysicalRange,
    },
    /// Of a module only a part was loaded, or it was overwritten.
    Partly {
        /// Its path.
        module: String,
        /// Where it should be.
        range: PhysicalRange,
        /// What lies there.
        file: Loaded,
    },
    /// A module's size is not the file's.
    Size {
        /// Its path.
        module: String,
        /// Bytes that its `reg` says.
        declared: u64,
        /// The file.
        file: Loaded,
    },
    /// A module is not all in memory.
    NotMemory {
        /// Its path.
        module: String,
        /// Where it should be.
        range: PhysicalRange,
    },
    /// Two things lie in the same place.
    Overlap {
        /// One of them.
        first: String,
        /// Where it lies.
        range: PhysicalRange,
        /// The other.
        second: String,
        /// Where that lies.
        other: PhysicalRange,
    },
    /// A module's `reg` does not have as many cells as its parent says.
    Cells {
        /// Its path.
        module: String,
        /// Bytes of `reg`.
        bytes: usize,
        /// The parent's `#address-cells` and `#size-cells`.
        cells: (u32, u32),
    },
    /// The domains that the tree declares want more memory than there is.
    Memory {
        /// The domain's path; empty for all of them together.
        domain: String,
        /// KiB that it wants.
        wanted: u64,
        /// KiB that there are.
        there: u64,
    },
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany(error) => error.fmt(f),
            Self::NotLoaded { module, range } => {
                write!(
                    f,
                    "{module} says that it lies at {range}, and nothing was loaded there: load it, or take the node out"
                )
            }
            Self::Partly { module, range, file: Loaded { name, range: loaded, .. } } => {
                write!(f, "{module} says that it lies at {range}; there is only {name} at {loaded}")
            }
            Self::Size { module, declared, file: Loaded { name, range, .. } } => write!(
                f,
                "{module} says {declared:#x} bytes, and {name} has {:#x}: Xen wants the exact size",
                range.size()
            ),
            Self::NotMemory { module, range } => {
                write!(f, "{module} says that it lies at {range}, which is not memory")
            }
            Self::Overlap { first, range, second, other } => {
                write!(f, "{first} at {range} and {second} at {other} overlap")
            }
            Self::Cells { module, bytes, cells: (address, size) } => write!(
                f,
                "{module} has a reg of {bytes} bytes, and its parent's #address-cells <{address}> and #size-cells <{size}> make it {}",
                4 * (u64::from(*address) + u64::from(*size))
            ),
            Self::Memory { domain, wanted, there } if domain.is_empty() => {
                write!(f, "the domains want {wanted} KiB of memory together, and the board has {there}")
            }
            Self::Memory { domain, wanted, there } => {
                write!(f, "{domain} wants {wanted} KiB of memory, and the board has {there}")
            }
        }
    }
}

/// Something that lies in memory at the jump.
struct Thing {
    name: String,
    range: PhysicalRange,
}

/// The mistakes that were found, the first [`MOST`].
#[derive(Default)]
struct Found(Vec<Lint>);

impl Found {
    /// Adds a mistake. What is beyond [`MOST`] is not even put in words: a node's path takes a walk through the tree, and there can be as many
    /// mistakes as a tree has room for.
    fn add(&mut self, lint: impl FnOnce() -> Lint) {
        if !self.is_full() {
            self.0.push(lint());
        }
    }

    fn is_full(&self) -> bool {
        self.0.len() >= MOST
    }
}

/// What is wrong with `boot`, whose tree is `tree`, in the memory of `layout`. `header` is the program's, if it has one. The first sixteen mistakes are
/// looked for.
pub fn look(boot: &Boot<'_>, tree: &Tree<'_>, header: Option<&Header>, layout: &Layout) -> Vec<Lint> {
    let mut lints = Found::default();
    let modules = modules(tree).unwrap_or_else(|error| {
        lints.add(|| Lint::TooMany(error));
        Vec::new()
    });
    for module in &modules {
        cells(tree, module).into_iter().for_each(|lint| lints.add(|| lint));
        let loaded = module.range.and_then(|range| loaded(module, range, boot.loaded, layout));
        loaded.into_iter().for_each(|lint| lints.add(|| lint));
    }
    overlaps(boot, tree, header, &modules, &mut lints);
    memory(tree, layout, &mut lints);
    lints.0
}

/// Whether a module was loaded to where it says.
fn loaded(module: &Module<'_>, range: PhysicalRange, files: &[Loaded], layout: &Layout) -> Option<Lint> {
    let path = module.path.clone();
    if !layout.banks().iter().any(|bank| bank.contains(&range)) {
        return Some(Lint::NotMemory { module: path, range });
    }
    // The one that begins there, or else whichever lies there. A script that has run lies nowhere.
    let mut there = files.iter().filter(|file| !file.spent && file.range.overlaps(&range));
    let file = there.clone().find(|file| file.range.start == range.start).or(there.next_back());
    match file.cloned() {
        None => Some(Lint::NotLoaded { module: path, range }),
        Some(file) if file.range.start == range.start && file.range.end != range.end => {
            Some(Lint::Size { module: path, declared: range.size(), file })
        }
        Some(file) if !file.range.contains(&range) => Some(Lint::Partly { module: path, range, file }),
        Some(_) => None,
    }
}

/// Whether a module's `reg` has as many cells as its parent says.
fn cells(tree: &Tree<'_>, module: &Module<'_>) -> Option<Lint> {
    let node = tree.find(&module.path)?;
    let parent = node.parent()?;
    let count = |name, usual| parent.property(name).and_then(|cells| cells.u32()).unwrap_or(usual);
    let cells = (count("#address-cells", 2), count("#size-cells", 1));
    let bytes = node.property("reg").map_or(0, |register| register.value().len());
    let right = (bytes as u64) == 4 * (u64::from(cells.0) + u64::from(cells.1));
    (!right).then(|| Lint::Cells { module: module.path.clone(), bytes, cells })
}

fn overlaps(boot: &Boot<'_>, tree: &Tree<'_>, header: Option<&Header>, modules: &[Module<'_>], lints: &mut Found) {
    let file = boot.program;
    // What is started takes all the memory that its header asks for; Dom0's kernel does not, since Xen copies it.
    let size = header.map_or(file.size(), |header| header.memory_size(file.size()));
    let program = PhysicalRange::sized(file.start, size).unwrap_or(file);
    let name_of = |range: &PhysicalRange| {
        let file = boot.loaded.iter().find(|file| file.range.start == range.start);
        file.map_or_else(|| "the program".to_string(), |file| file.name.clone())
    };
    let mut things = alloc::vec![
        Thing { name: format!("{} with its memory", name_of(&program)), range: program },
        Thing { name: "the device tree".to_string(), range: boot.tree },
    ];
    things.extend(boot.ramdisk.map(|range| Thing { name: "the ramdisk".to_string(), range }));
    let kept = things.len();
    things.extend(modules.iter().filter_map(|module| Some(Thing { name: module.path.clone(), range: module.range? })));
    for (index, first) in things.iter().enumerate() {
        let mut overlap = |second: &dyn Fn() -> String, other: PhysicalRange| {
            if other.overlaps(&first.range) {
                let (first, range) = (&first.name, first.range);
                lints.add(|| Lint::Overlap { first: first.clone(), range, second: second(), other });
            }
        };
        things.iter().skip(index + 1).for_each(|second| overlap(&|| second.name.clone(), second.range));
        // Reservations may overlap each other; and a tree may reserve the place that it lies in.
        if index == 0 || index >= kept {
            tree.reservations().for_each(|range| overlap(&|| "a /memreserve/ entry".to_string(), range));
            for region in tree.reserved_memory().into_iter().flatten() {
                overlap(&|| region.node.path().to_string(), region.range);
            }
        }
    }
}

/// Whether the domains that the tree declares fit the memory.
fn memory(tree: &Tree<'_>, layout: &Layout, lints: &mut Found) {
    let there = layout.banks().iter().map(PhysicalRange::size).sum::<u64>() >> 10;
    let Some(chosen) = tree.find("/chosen") else { return };
    let domains = chosen.children().filter(|node| node.is_compatible("xen,domain"));
    let wants = |node: &Node<'_>| node.property("memory").and_then(|memory| memory.number()).unwrap_or(0);
    let mut all = 0u64;
    let mut one = false;
    for node in domains {
        let wanted = wants(&node);
        all = all.saturating_add(wanted);
        if wanted > there {
            one = true;
            lints.add(|| Lint::Memory { domain: node.path().to_string(), wanted, there });
        }
    }
    if all > there && !one {
        lints.add(|| Lint::Memory { domain: String::new(), wanted: all, there });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::test_tree::TestTree;

    const XEN: PhysicalRange = PhysicalRange { start: 0xe0_0000, end: 0xf0_0000 };
    const TREE: PhysicalRange = PhysicalRange { start: 0x840_0000, end: 0x841_0000 };

    fn sized(start: u64, size: u64) -> PhysicalRange {
        PhysicalRange { start, end: start + size }
    }

    fn file(name: &str, start: u64, size: u64) -> Loaded {
        Loaded { name: name.to_string(), range: sized(start, size), spent: false }
    }

    fn layout() -> Layout {
        Layout::new([sized(0, 0x3b40_0000)]).unwrap()
    }

    /// A board's tree with the modules at the addresses and sizes given.
    fn tree_with(modules: &[(&str, &[u32])]) -> TestTree {
        let mut tree = TestTree::board();
        let mut editor = tree.editor();
        editor.set_cells("/chosen", "#address-cells", &[1]).unwrap();
        editor.set_cells("/chosen", "#size-cells", &[1]).unwrap();
        for (name, register) in modules {
            editor.add_node("/chosen", name).unwrap();
            let path = format!("/chosen/{name}");
            editor.set_strings(&path, "compatible", &["multiboot,module"]).unwrap();
            editor.set_cells(&path, "reg", register).unwrap();
        }
        tree
    }

    fn lints(tree: &mut TestTree, loaded: &[Loaded], header: Option<&Header>) -> Vec<String> {
        let boot = Boot { program: XEN, ramdisk: None, tree: TREE, arguments: None, mac_address: None, loaded };
        let editor = tree.editor();
        look(&boot, &editor.tree().unwrap(), header, &layout()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_lies_where_it_says_is_no_mistake() {
        let mut tree = tree_with(&[("dom0", &[0x100_0000, 0x80_0000]), ("dom0-ramdisk", &[0x220_0000, 0x1234])]);
        let files = [
            file("xen", XEN.start, XEN.size()),
            file("Image", 0x100_0000, 0x80_0000),
            file("rootfs", 0x220_0000, 0x1234),
        ];
        assert_eq!(lints(&mut tree, &files, None), [""; 0]);
        // A part of a larger file, such as one that imxtract found.
        let files = [file("all.itb", 0xff_0000, 0x200_0000)];
        assert_eq!(lints(&mut tree, &files, None), [""; 0]);
    }

    #[test]
    fn a_module_that_was_never_loaded_is_told() {
        let mut tree = tree_with(&[("dom0-ramdisk", &[0x220_0000, 0x601_3e86])]);
        assert_eq!(
            lints(&mut tree, &[], None),
            [
                "/chosen/dom0-ramdisk says that it lies at 0x02200000-0x08213e85, and nothing was loaded there: load it, or take the node out"
            ]
        );
    }

    #[test]
    fn a_size_that_is_not_the_files_is_told() {
        let mut tree = tree_with(&[("dom0", &[0x100_0000, 0x178_0000])]);
        assert_eq!(
            lints(&mut tree, &[file("Image", 0x100_0000, 0x177_ff00)], None),
            ["/chosen/dom0 says 0x1780000 bytes, and Image has 0x177ff00: Xen wants the exact size"]
        );
        assert_eq!(
            lints(&mut tree, &[file("rootfs", 0x220_0000, 0x1000)], None),
            ["/chosen/dom0 says that it lies at 0x01000000-0x0277ffff; there is only rootfs at 0x02200000-0x02200fff"]
        );
    }

    #[test]
    fn everything_that_overlaps_is_told_with_both_ranges() {
        let mut tree = tree_with(&[("dom0", &[0x100_0000, 0x740_0001])]);
        let files = [file("xen", XEN.start, XEN.size()), file("Image", 0x100_0000, 0x740_0001)];
        assert_eq!(
            lints(&mut tree, &files, None),
            ["the device tree at 0x08400000-0x0840ffff and /chosen/dom0 at 0x01000000-0x08400000 overlap"]
        );
        let mut tree = tree_with(&[("dom0", &[0x100_0000, 0x1000])]);
        let files = [file("xen", XEN.start, XEN.size()), file("Image", 0x100_0000, 0x1000)];
        let header = Header { text_offset: 0, image_size: 0x20_0001, anywhere: true };
        assert_eq!(
            lints(&mut tree, &files, Some(&header)),
            ["xen with its memory at 0x00e00000-0x01000000 and /chosen/dom0 at 0x01000000-0x01000fff overlap"]
        );
        tree.editor().add_reservation(sized(0x100_0800, 0x1000)).unwrap();
        assert_eq!(
            lints(&mut tree, &files, None),
            ["/chosen/dom0 at 0x01000000-0x01000fff and a /memreserve/ entry at 0x01000800-0x010017ff overlap"]
        );
    }

    #[test]
    fn cells_that_do_not_match_are_told() {
        let mut tree = tree_with(&[("dom0", &[0, 0xe0_0000, 0, 0x1000])]);
        let found = lints(&mut tree, &[file("Image", 0xe0_0000, 0x1000)], None);
        assert_eq!(
            found[0],
            "/chosen/dom0 has a reg of 16 bytes, and its parent's #address-cells <1> and #size-cells <1> make it 8"
        );
        let mut tree = tree_with(&[("dom0", &[0x100_0000, 0x1000])]);
        tree.editor().delete_property("/chosen", "#address-cells").unwrap();
        let found = lints(&mut tree, &[], None);
        assert_eq!(
            found,
            ["/chosen/dom0 has a reg of 8 bytes, and its parent's #address-cells <2> and #size-cells <1> make it 12"]
        );
    }

    #[test]
    fn modules_beyond_memory_and_domains_larger_than_it_are_told() {
        let mut tree = tree_with(&[("dom0", &[0x3b3f_f000, 0x2000])]);
        assert_eq!(
            lints(&mut tree, &[], None),
            ["/chosen/dom0 says that it lies at 0x3b3ff000-0x3b400fff, which is not memory"]
        );
        let mut tree = TestTree::board();
        let mut editor = tree.editor();
        for (name, memory) in [("domU0", 900 << 10), ("domU1", 100 << 10)] {
            editor.add_node("/chosen", name).unwrap();
            editor.set_string(&format!("/chosen/{name}"), "compatible", "xen,domain").unwrap();
            editor.set_cells(&format!("/chosen/{name}"), "memory", &[0, memory]).unwrap();
        }
        assert_eq!(
            lints(&mut tree, &[], None),
            ["the domains want 1024000 KiB of memory together, and the board has 970752"]
        );
        tree.editor().set_cells("/chosen/domU0", "memory", &[1, 0]).unwrap();
        assert_eq!(
            lints(&mut tree, &[], None),
            ["/chosen/domU0 wants 4294967296 KiB of memory, and the board has 970752"]
        );
    }

    #[test]
    fn what_is_not_told_is_not_put_in_words() {
        let (mut found, mut made) = (Found::default(), 0);
        for _ in 0..100 {
            found.add(|| {
                made += 1;
                Lint::Memory { domain: String::new(), wanted: 1, there: 0 }
            });
        }
        assert_eq!((made, found.0.len()), (MOST, MOST));
    }
}
