//! What Xen finds in its device tree: `/chosen` with the modules and command lines of Dom0 and of the domains that Xen starts itself.
//!
//! Xen's documents: `docs/misc/arm/device-tree/booting.txt` and `docs/features/dom0less.pandoc`; its code:
//! `xen/common/device-tree/bootinfo-fdt.c`, `dom0less-build.c`. Choices that these leave open:
//!
//! * Both `xen,xen-bootargs` and `xen,dom0-bootargs` are always written: with only one of them, `bootargs` changes its meaning.
//! * What is left of another boot goes: `bootargs`, `linux,initrd-start` and `-end` (Xen takes them for Dom0's ramdisk), nodes of modules
//!   and domains.
//! * Modules carry the present and the legacy names in `compatible`, so that every Xen since 4.4 finds them.
//! * Addresses and sizes are two cells each, and say so.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::layout::{self, Layout};
use crate::config;
use crate::console;
use crate::device_tree::edit::Error;
use crate::device_tree::{Editor, Node, Tree};
use crate::range::PhysicalRange;

/// The largest tree that Xen maps, in bytes.
pub const LARGEST_TREE: usize = 2 << 20;
/// Room for what is added to a tree beside command lines and domains, in bytes.
pub const ROOM: usize = 32 * 1024;
/// Room for a domain's nodes without its command line, in bytes.
const ROOM_OF_DOMAIN: usize = 1024;

const KERNEL: &[&str] = &["multiboot,kernel", "multiboot,module", "xen,linux-zimage", "xen,multiboot-module"];
const RAMDISK: &[&str] = &["multiboot,ramdisk", "multiboot,module", "xen,linux-initrd", "xen,multiboot-module"];
const DEVICE_TREE: &[&str] = &["multiboot,device-tree", "multiboot,module"];

/// Everything that `/chosen` is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen<'a> {
    /// Xen's command line.
    pub args: &'a str,
    /// The control domain, if there is one.
    pub dom0: Option<Dom0<'a>>,
    /// Domains that Xen starts by itself.
    pub domains: Vec<Domain<'a>>,
}

/// The control domain's modules, their sizes exact to the byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dom0<'a> {
    /// Its kernel.
    pub kernel: PhysicalRange,
    /// Its ramdisk.
    pub ramdisk: Option<PhysicalRange>,
    /// Its command line.
    pub args: &'a str,
}

/// A domain's modules, their sizes exact to the byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain<'a> {
    /// What the settings say about it.
    pub config: &'a config::Domain,
    /// Its kernel.
    pub kernel: PhysicalRange,
    /// Its ramdisk.
    pub ramdisk: Option<PhysicalRange>,
    /// Its partial device tree.
    pub device_tree: Option<PhysicalRange>,
}

/// How many bytes a tree must be able to grow by to take what an entry adds to it.
pub fn room(xen: &config::Xen) -> usize {
    let dom0 = xen.dom0.as_ref().map_or(0, |dom0| dom0.args.len());
    let domains = xen.domains.iter().map(|domain| domain.args.len() + ROOM_OF_DOMAIN);
    ROOM + xen.args.len() + dom0 + domains.sum::<usize>()
}

/// Writes `/chosen`.
///
/// # Errors
/// [`Error::NoRoom`] where the buffer is too small ([`room`] says how large it must be), [`Error::Exists`] and [`Error::BadName`] for a
/// domain whose name `/chosen` cannot take.
pub fn write(editor: &mut Editor<'_>, chosen: &Chosen<'_>) -> Result<(), Error> {
    clear(editor)?;
    console::poll();
    editor.set_cells("/chosen", "#address-cells", &[2])?;
    console::poll();
    editor.set_cells("/chosen", "#size-cells", &[2])?;
    console::poll();
    editor.set_string("/chosen", "xen,xen-bootargs", chosen.args)?;
    console::poll();
    editor.set_string("/chosen", "xen,dom0-bootargs", chosen.dom0.map_or("", |dom0| dom0.args))?;
    if let Some(dom0) = &chosen.dom0 {
        add_module(editor, "/chosen", KERNEL, dom0.kernel)?;
        if let Some(ramdisk) = dom0.ramdisk {
            add_module(editor, "/chosen", RAMDISK, ramdisk)?;
        }
    }
    for domain in &chosen.domains {
        add_domain(editor, domain)?;
    }
    Ok(())
}

/// Makes `/chosen` empty of what belongs to another boot.
fn clear(editor: &mut Editor<'_>) -> Result<(), Error> {
    const OURS: [&str; 3] = ["bootargs", "linux,initrd-start", "linux,initrd-end"];
    let tree = editor.tree()?;
    let Some(chosen) = tree.root().children().find(|node| node.name() == "chosen") else {
        return editor.add_node("/", "chosen");
    };
    let properties: Vec<&str> = OURS.into_iter().filter(|name| chosen.property(name).is_some()).collect();
    let nodes: Vec<String> = chosen.children().filter(is_of_another_boot).map(|node| node.path().to_string()).collect();
    for name in properties {
        editor.delete_property("/chosen", name)?;
    }
    for path in nodes {
        console::poll();
        editor.delete_node(&path)?;
    }
    Ok(())
}

fn is_of_another_boot(node: &Node<'_>) -> bool {
    ["multiboot,module", "xen,multiboot-module", "xen,domain"].iter().any(|name| node.is_compatible(name))
}

/// Adds a module's node to `parent`; gives the node's path.
fn add_module(
    editor: &mut Editor<'_>,
    parent: &str,
    compatible: &[&str],
    range: PhysicalRange,
) -> Result<String, Error> {
    let name = format!("module@{:x}", range.start);
    console::poll();
    editor.add_node(parent, &name)?;
    console::poll();
    let path = format!("{parent}/{name}");
    editor.set_strings(&path, "compatible", compatible)?;
    let mut register = Vec::new();
    register.extend_from_slice(&range.start.to_be_bytes());
    register.extend_from_slice(&range.size().to_be_bytes());
    console::poll();
    editor.set_property(&path, "reg", &register)?;
    Ok(path)
}

fn add_domain(editor: &mut Editor<'_>, domain: &Domain<'_>) -> Result<(), Error> {
    let config = domain.config;
    editor.add_node("/chosen", &config.name)?;
    let path = format!("/chosen/{}", config.name);
    editor.set_string(&path, "compatible", "xen,domain")?;
    console::poll();
    editor.set_cells(&path, "#address-cells", &[2])?;
    editor.set_cells(&path, "#size-cells", &[2])?;
    editor.set_property(&path, "memory", &(config.memory / 1024).to_be_bytes())?;
    console::poll();
    editor.set_cells(&path, "cpus", &[config.cpus])?;
    if config.vpl011 {
        editor.set_property(&path, "vpl011", &[])?;
    }
    let kernel = add_module(editor, &path, KERNEL, domain.kernel)?;
    editor.set_string(&kernel, "bootargs", &config.args)?;
    if let Some(ramdisk) = domain.ramdisk {
        add_module(editor, &path, RAMDISK, ramdisk)?;
    }
    if let Some(device_tree) = domain.device_tree {
        add_module(editor, &path, DEVICE_TREE, device_tree)?;
    }
    Ok(())
}

/// Lets Xen find the watchdog, by which it resets the board: Xen looks for `brcm,bcm2835-pm` (`platforms/brcm-raspberry-pi.c`), which
/// Linux's tree for the Pi 4 no longer says.
///
/// # Errors
/// [`Error::NoRoom`].
pub fn offer_reset(editor: &mut Editor<'_>) -> Result<(), Error> {
    const WANTED: &str = "brcm,bcm2835-pm";
    let tree = editor.tree()?;
    let is_it = |node: &Node<'_>| node.is_compatible("brcm,bcm2835-pm-wdt") && !node.is_compatible(WANTED);
    let watchdogs = console::attentively(tree.nodes()).filter(is_it);
    let paths: Vec<String> = watchdogs.map(|node| node.path().to_string()).collect();
    for path in paths {
        console::poll();
        editor.append_property(&path, "compatible", format!("{WANTED}\0").as_bytes())?;
    }
    Ok(())
}

/// Checks that Xen can map a finished tree of `size` bytes.
pub fn check_size(size: usize) -> Result<(), TooLarge> {
    if size > LARGEST_TREE { Err(TooLarge { size }) } else { Ok(()) }
}

/// Checks that nothing was placed in memory that a finished tree reserves: a tree or overlay that was fetched may reserve other memory
/// than the firmware's, and Xen dies without a word over a module that lies there.
///
/// # Errors
/// [`layout::Error::Overlap`] with both ranges.
pub fn check_reservations(tree: &Tree<'_>, layout: &Layout) -> Result<(), layout::Error> {
    reserve(tree, &mut layout.clone())
}

/// Keeps free what `tree` reserves.
///
/// # Errors
/// [`layout::Error::Overlap`] with both ranges, where something lies there already.
pub fn reserve(tree: &Tree<'_>, layout: &mut Layout) -> Result<(), layout::Error> {
    for range in tree.reservations() {
        layout.reserve("a /memreserve/ of the device tree", range)?;
    }
    // Where its cells make no sense, Xen reads nothing either.
    for region in tree.reserved_memory().into_iter().flatten() {
        layout.reserve(&region.node.path().to_string(), region.range)?;
    }
    Ok(())
}

/// The tree is larger than [`LARGEST_TREE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// Its size in bytes.
    pub size: usize,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.size;
        write!(f, "the device tree has {size} bytes, Xen takes at most {LARGEST_TREE}; use fewer overlays")
    }
}

impl core::error::Error for TooLarge {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::test_tree::TestTree;
    use crate::config::source::{File, Source};
    use alloc::vec;

    fn range(start: u64, size: u64) -> PhysicalRange {
        PhysicalRange::sized(start, size).unwrap()
    }

    fn domain(name: &str) -> config::Domain {
        config::Domain {
            name: name.into(),
            memory: 256 << 20,
            cpus: 2,
            vpl011: true,
            kernel: File { source: Source::Path("k".into()), sha256: None },
            ramdisk: None,
            device_tree: None,
            args: "console=ttyAMA0".into(),
        }
    }

    const DOM0: Dom0<'static> = Dom0 {
        kernel: PhysicalRange { start: 0x40_0000, end: 0x236_de01 },
        ramdisk: Some(PhysicalRange { start: 0x1_0236_e000, end: 0x1_0236_e067 }),
        args: "console=hvc0",
    };

    /// What a node says, as lines of text.
    fn lines(node: &Node<'_>) -> Vec<String> {
        node.properties().map(|property| format!("{} {:02x?}", property.name(), property.value())).collect()
    }

    fn text<'a>(node: &Node<'a>, name: &str) -> &'a str {
        node.property(name).unwrap().string().unwrap()
    }

    fn strings<'a>(node: &Node<'a>, name: &str) -> Vec<&'a str> {
        node.property(name).unwrap().strings().collect()
    }

    #[test]
    fn dom0_has_both_command_lines_and_modules_exact_to_the_byte() {
        let mut tree = TestTree::board();
        let mut editor = tree.editor();
        write(&mut editor, &Chosen { args: "dom0_mem=768M", dom0: Some(DOM0), domains: vec![] }).unwrap();
        let tree = editor.tree().unwrap();
        let chosen = tree.find("/chosen").unwrap();
        assert_eq!(text(&chosen, "xen,xen-bootargs"), "dom0_mem=768M");
        assert_eq!(text(&chosen, "xen,dom0-bootargs"), "console=hvc0");
        assert_eq!(text(&chosen, "stdout-path"), "serial1:115200n8", "what is not another boot's stays");
        let cells = ["#address-cells", "#size-cells"].map(|name| chosen.property(name).unwrap().u32());
        assert_eq!(cells, [Some(2), Some(2)]);
        let modules: Vec<Node<'_>> = chosen.children().collect();
        assert_eq!(modules.len(), 2);
        assert_eq!(modules[0].name(), "module@400000");
        assert_eq!(
            strings(&modules[0], "compatible"),
            ["multiboot,kernel", "multiboot,module", "xen,linux-zimage", "xen,multiboot-module"]
        );
        let register: Vec<u32> = modules[0].property("reg").unwrap().cells().collect();
        assert_eq!(register, [0, 0x40_0000, 0, 0x1f6_de01]);
        assert_eq!(modules[1].name(), "module@10236e000");
        assert_eq!(
            strings(&modules[1], "compatible"),
            ["multiboot,ramdisk", "multiboot,module", "xen,linux-initrd", "xen,multiboot-module"]
        );
        let register: Vec<u32> = modules[1].property("reg").unwrap().cells().collect();
        assert_eq!(register, [1, 0x236_e000, 0, 0x67]);
    }

    #[test]
    fn what_another_boot_left_is_gone() {
        let mut tree = TestTree::board();
        let mut editor = tree.editor();
        for (name, compatible) in [
            ("dom0", "xen,linux-zimage\0xen,multiboot-module\0"),
            ("old", "xen,domain\0"),
            ("framebuffer@0", "simple-framebuffer\0"),
        ] {
            editor.add_node("/chosen", name).unwrap();
            editor.set_property(&format!("/chosen/{name}"), "compatible", compatible.as_bytes()).unwrap();
        }
        write(&mut editor, &Chosen { args: "", dom0: None, domains: vec![] }).unwrap();
        let tree = editor.tree().unwrap();
        let chosen = tree.find("/chosen").unwrap();
        let names: Vec<&str> = chosen.children().map(|node| node.name()).collect();
        assert_eq!(names, ["framebuffer@0"]);
        for name in ["bootargs", "linux,initrd-start", "linux,initrd-end"] {
            assert!(chosen.property(name).is_none(), "{name}");
        }
        assert_eq!((text(&chosen, "xen,xen-bootargs"), text(&chosen, "xen,dom0-bootargs")), ("", ""));
    }

    #[test]
    fn writing_twice_says_the_same_as_writing_once() {
        let config = domain("guest");
        let guest = Domain { config: &config, kernel: range(0x300_0000, 5), ramdisk: None, device_tree: None };
        let chosen = Chosen { args: "a", dom0: Some(DOM0), domains: vec![guest] };
        let (mut once, mut twice) = (TestTree::board(), TestTree::board());
        write(&mut once.editor(), &chosen).unwrap();
        write(&mut twice.editor(), &Chosen { args: "other", dom0: Some(DOM0), domains: vec![guest] }).unwrap();
        write(&mut twice.editor(), &chosen).unwrap();
        let (once, twice) = (once.editor(), twice.editor());
        let (once, twice) = (once.tree().unwrap(), twice.tree().unwrap());
        let all = |tree: Tree<'_>| -> Vec<(String, Vec<String>)> {
            tree.nodes().map(|node| (node.path().to_string(), lines(&node))).collect()
        };
        assert_eq!(all(once), all(twice));
    }

    #[test]
    fn a_domain_is_what_dom0less_wants() {
        let mut tree = TestTree::board();
        let mut editor = tree.editor();
        let (first, mut second) = (domain("guest"), domain("other"));
        second.vpl011 = false;
        second.memory = (8 << 40) + 1024;
        let domains = vec![
            Domain {
                config: &first,
                kernel: range(0x400_0000, 0x1001),
                ramdisk: Some(range(0x500_0000, 7)),
                device_tree: Some(range(0x600_0000, 9)),
            },
            Domain { config: &second, kernel: range(0x400_0000, 0x1001), ramdisk: None, device_tree: None },
        ];
        write(&mut editor, &Chosen { args: "", dom0: None, domains }).unwrap();
        let tree = editor.tree().unwrap();
        let guest = tree.find("/chosen/guest").unwrap();
        assert_eq!(text(&guest, "compatible"), "xen,domain");
        assert_eq!(guest.property("memory").unwrap().u64(), Some(256 * 1024), "in KiB");
        assert_eq!(guest.property("cpus").unwrap().u32(), Some(2));
        assert_eq!(guest.property("vpl011").unwrap().value(), b"");
        let cells = ["#address-cells", "#size-cells"].map(|name| guest.property(name).unwrap().u32());
        assert_eq!(cells, [Some(2), Some(2)]);
        let modules: Vec<Node<'_>> = guest.children().collect();
        assert_eq!(
            modules.iter().map(|node| node.name()).collect::<Vec<_>>(),
            ["module@4000000", "module@5000000", "module@6000000"]
        );
        assert_eq!(text(&modules[0], "bootargs"), "console=ttyAMA0");
        assert!(modules[1].property("bootargs").is_none());
        assert_eq!(strings(&modules[2], "compatible"), ["multiboot,device-tree", "multiboot,module"]);
        let other = tree.find("/chosen/other").unwrap();
        assert_eq!(other.property("memory").unwrap().u64(), Some((8 << 30) + 1));
        assert!(other.property("vpl011").is_none());
    }

    #[test]
    fn xen_is_offered_the_watchdog_once() {
        let mut tree = TestTree::board();
        let mut editor = tree.editor();
        for _ in 0..2 {
            offer_reset(&mut editor).unwrap();
            let tree = editor.tree().unwrap();
            let watchdog = tree.find("/soc/watchdog@7e100000").unwrap();
            assert_eq!(strings(&watchdog, "compatible"), ["brcm,bcm2711-pm", "brcm,bcm2835-pm-wdt", "brcm,bcm2835-pm"]);
        }
    }

    #[test]
    fn a_tree_without_chosen_gets_one_and_one_without_room_an_error() {
        let mut tree = TestTree::empty();
        write(&mut tree.editor(), &Chosen { args: "a", dom0: Some(DOM0), domains: vec![] }).unwrap();
        assert!(tree.editor().tree().unwrap().find("/chosen/module@400000").is_some());
        let long = "x".repeat(20_000);
        let chosen = Chosen { args: &long, dom0: None, domains: vec![] };
        assert!(matches!(write(&mut tree.editor(), &chosen), Err(Error::NoRoom { .. })));
    }

    #[test]
    fn a_tree_may_have_2_mib() {
        assert_eq!(check_size(LARGEST_TREE), Ok(()));
        let error = check_size(LARGEST_TREE + 1).unwrap_err().to_string();
        assert_eq!(error, "the device tree has 2097153 bytes, Xen takes at most 2097152; use fewer overlays");
    }

    #[test]
    fn modules_in_memory_that_the_tree_reserves_are_refused() {
        let mut tree = TestTree::board();
        let mut editor = tree.editor();
        editor.add_reservation(range(0, 0x1000)).unwrap();
        editor.add_node("/", "reserved-memory").unwrap();
        editor.set_cells("/reserved-memory", "#address-cells", &[2]).unwrap();
        editor.set_cells("/reserved-memory", "#size-cells", &[1]).unwrap();
        editor.set_property("/reserved-memory", "ranges", &[]).unwrap();
        editor.add_node("/reserved-memory", "nvram@2000").unwrap();
        editor.set_cells("/reserved-memory/nvram@2000", "reg", &[0, 0x2000, 0x10]).unwrap();
        let mut layout = Layout::new(editor.tree().unwrap().memory().unwrap()).unwrap();
        layout.place("Dom0 kernel", range(0x3000, 0x1000)).unwrap();
        assert_eq!(check_reservations(&editor.tree().unwrap(), &layout), Ok(()));
        layout.place("Dom0 ramdisk", range(0x2800, 0x10)).unwrap();
        let error = check_reservations(&editor.tree().unwrap(), &layout).unwrap_err().to_string();
        assert_eq!(
            error,
            "/reserved-memory/nvram@2000 at 0x00002000-0x0000200f would overlap Dom0 ramdisk at 0x00002800-0x0000280f"
        );
        editor.delete_node("/reserved-memory").unwrap();
        editor.add_reservation(range(0x3fff, 1)).unwrap();
        let error = check_reservations(&editor.tree().unwrap(), &layout).unwrap_err().to_string();
        assert!(
            error.starts_with("a /memreserve/ of the device tree at 0x00003fff-0x00003fff would overlap Dom0 kernel")
        );
    }

    #[test]
    fn two_domains_of_one_name_are_refused() {
        let mut tree = TestTree::board();
        let config = domain("guest");
        let guest = Domain { config: &config, kernel: range(0x300_0000, 5), ramdisk: None, device_tree: None };
        let chosen = Chosen { args: "", dom0: None, domains: vec![guest, guest] };
        assert!(matches!(write(&mut tree.editor(), &chosen), Err(Error::Exists { .. })));
    }

    #[test]
    fn room_grows_with_what_is_to_be_written() {
        let file = File { source: Source::Path("x".into()), sha256: None };
        let mut xen = config::Xen { image: file.clone(), args: "x".repeat(100), dom0: None, domains: vec![] };
        let least = room(&xen);
        xen.dom0 = Some(config::Dom0 { kernel: file, ramdisk: None, args: "y".repeat(50) });
        xen.domains = vec![domain("a"), domain("b")];
        assert_eq!(room(&xen), least + 50 + 2 * (ROOM_OF_DOMAIN + 15));
    }
}
