//! What a person should know before the jump: mistakes that do not keep Xen from being started, and that Xen would tell nobody of.
//!
//! There is one list for every boot, an entry's and a script's: it is made from the finished tree, when all files are in memory, so nothing
//! is told twice and nothing is forgotten in one of the two ([`look`]). As much of it as can be known before anything is loaded comes from the same
//! functions ([`foresee`]), for `plan` and the menu's details. What concerns a script's own addresses and sizes, `booti` has said before
//! (`shell::lints`); that a tree is for another board, whoever completes it with what the firmware knows says.

use super::dom0_memory::{self, Asked, Shortage};
use super::guests::{Guest, Trouble};
use super::image::System;
use super::layout::Layout;
use super::plan::{self, Plan, Role};
use super::xen_console::{self, XenConsole};
use super::xen_modules::{self, Kind, Module};
use crate::config::command_line::{self, ArgumentError};
use crate::config::xen_options::misspelt;
use crate::console;
use crate::device_tree::Tree;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// Misspelt words that are told; a line with more of them is none for Xen at all.
const MOST_MISSPELT: usize = 4;

/// Mistakes with domains that are told: whoever mends these sees the next.
const MOST_TROUBLES: usize = 6;

/// What is about to be started.
pub struct Ready<'a> {
    /// The finished tree.
    pub tree: &'a Tree<'a>,
    /// Its modules.
    pub modules: &'a [Module<'a>],
    /// Who lies where.
    pub layout: &'a Layout,
    /// What the program says that it is.
    pub system: System,
    /// Xen's console and command line.
    pub console: &'a XenConsole,
}

/// Something that a person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// What is in Xen's place is no Xen for this board.
    Hypervisor(plan::Note),
    /// A command line that Xen cuts, or a `dom0_mem=` that it does not understand.
    Arguments(ArgumentError),
    /// A word that Xen does not know and that resembles one that it knows.
    Misspelt {
        /// The word.
        word: String,
        /// What was probably meant.
        nearest: &'static str,
    },
    /// The tree lists no kernel, neither Dom0's nor a domain's.
    NothingToStart {
        /// The path of a node below `/chosen` that names a file, and which Xen passes over because of its `compatible`.
        passed_over: Option<String>,
    },
    /// Dom0 gets what Xen gives it without a word.
    NoDom0Memory,
    /// Dom0 asks for more memory than Xen will find.
    Shortage(Shortage),
    /// Something about a domain that Xen starts by itself.
    Guest {
        /// Its name.
        name: String,
        /// What.
        trouble: Trouble,
    },
    /// The tree's file has the name of another board's.
    OtherBoard {
        /// Its name.
        file: String,
        /// That of this board's.
        board: String,
    },
    /// Something about Xen's console.
    Console(xen_console::Note),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hypervisor(note) => note.fmt(f),
            Self::Arguments(error) => write!(f, "Xen args: expected {error}"),
            Self::Misspelt { word, nearest } => {
                write!(f, "Xen does not know {word:?} of its args, and will go on without it: is {nearest} meant?")
            }
            Self::NothingToStart { passed_over } => {
                f.write_str(
                    "the tree lists no kernel for Xen to start: it will stop with \"Missing kernel boot module?\"",
                )?;
                match passed_over {
                    Some(path) => {
                        write!(f, "; {path} is no module for it without \"multiboot,module\" in its compatible")
                    }
                    None => Ok(()),
                }
            }
            Self::NoDom0Memory => plan::Note::NoDom0Memory.fmt(f),
            Self::Shortage(shortage) => shortage.fmt(f),
            Self::Guest { name, trouble } => write!(f, "{name}: {trouble}"),
            Self::OtherBoard { file, board } => {
                write!(f, "the device tree {file} is another board's by its name; this board's is {board}")
            }
            Self::Console(note) => note.fmt(f),
        }
    }
}

/// What there is to know about a start of Xen.
pub fn look(ready: &Ready<'_>) -> Vec<Warning> {
    let Ready { tree, modules, layout, system, console: of_xen } = ready;
    let args = of_xen.args.as_str();
    let mut warnings: Vec<Warning> = plan::about(*system).map(Warning::Hypervisor).collect();
    let has_dom0 = modules.iter().any(|module| module.kind == Kind::Kernel && module.domain.is_none());
    console::poll();
    let guests = Guest::all_of(tree, modules);
    if !has_dom0 && guests.is_empty() {
        let passed_over = xen_modules::passed_over(tree);
        warnings.push(Warning::NothingToStart { passed_over });
    }
    console::poll();
    warnings.extend(of_domains(args, has_dom0, &guests, layout, Some(tree)));
    warnings.extend(of_xen.notes.iter().cloned().map(Warning::Console));
    warnings
}

/// What there is to know of a program whose tree has nothing for Xen: that it is Xen, as where `booti` names another tree than was edited.
pub fn without_xens_part(tree: &Tree<'_>, system: System) -> Option<Warning> {
    let is_xen = matches!(system, System::Xen { .. });
    is_xen.then(|| Warning::NothingToStart { passed_over: xen_modules::passed_over(tree) })
}

/// What is known before anything is loaded.
#[derive(Clone, Copy, Default)]
pub struct Known<'a> {
    /// The firmware's tree, of which memory and reservations are carried into every other.
    pub tree: Option<&'a Tree<'a>>,
    /// The name of this board's tree.
    pub board_tree: Option<&'a str>,
    /// What there is to say of Xen's console, where the tree will be the firmware's.
    pub console: &'a [xen_console::Note],
}

/// What there is to know of a start of Xen by `plan`, its files placed in `layout` as far as their sizes are known.
pub fn foresee(plan: &Plan<'_>, layout: &Layout, known: &Known<'_>) -> Vec<Warning> {
    let xen = plan.xen;
    let guests: Vec<Guest<'_>> = xen.domains.iter().map(Guest::of_settings).collect();
    let mut warnings = of_domains(&xen.args, xen.dom0.is_some(), &guests, layout, known.tree);
    if let (Some(item), Some(board)) = (plan.item(Role::DeviceTree), known.board_tree) {
        let file = item.file.source.name();
        if is_another_boards(file, board) {
            warnings.push(Warning::OtherBoard { file: file.to_string(), board: board.to_string() });
        }
    }
    warnings.extend(known.console.iter().cloned().map(Warning::Console));
    warnings
}

/// Whether `file` is called as trees of Raspberry Pis are, and not as this `board`'s or a variant's of it.
fn is_another_boards(file: &str, board: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    let own = board.strip_suffix(".dtb").unwrap_or(board);
    name.starts_with("bcm2") && name.contains("-rpi-") && !name.starts_with(own)
}

/// What Xen's command line and the domains say of themselves.
fn of_domains(
    args: &str,
    has_dom0: bool,
    guests: &[Guest<'_>],
    layout: &Layout,
    tree: Option<&Tree<'_>>,
) -> Vec<Warning> {
    let mut warnings: Vec<Warning> = command_line::check_xen(args).err().map(Warning::Arguments).into_iter().collect();
    console::poll();
    let misspelt = misspelt(args).take(MOST_MISSPELT);
    warnings.extend(misspelt.map(|(word, nearest)| Warning::Misspelt { word: word.to_string(), nearest }));
    console::poll();
    if has_dom0 {
        let domains = guests.iter().filter_map(|guest| guest.memory).fold(0, u64::saturating_add);
        warnings.extend(match command_line::dom0_memory(args) {
            Ok(Some(dom0)) => dom0_memory::check(layout, tree, Asked { dom0, domains }).err().map(Warning::Shortage),
            Ok(None) => Some(Warning::NoDom0Memory),
            Err(_) => None,
        });
    }
    let troubles = guests.iter().flat_map(|guest| {
        let name = guest.name;
        guest.troubles().into_iter().map(move |trouble| Warning::Guest { name: name.to_string(), trouble })
    });
    warnings.extend(troubles.take(MOST_TROUBLES));
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::test_tree::TestTree;
    use crate::boot::xen_console::{Ours, resolve};
    use crate::boot::xen_modules::modules;
    use crate::range::PhysicalRange;
    use alloc::format;

    const MINI: &str = "/soc/serial@7e215040";
    const XEN: System = System::Xen { version: Some((4, 17)), raspberry_pi_4: true };

    /// What is told of Xen's `args` on a board of 1 GB, whose console is the mini UART. `prepare` changes its tree.
    fn told_of(args: &str, system: System, prepare: impl FnOnce(&mut crate::device_tree::Editor<'_>)) -> Vec<String> {
        let mut tree = TestTree::board();
        let mut editor = tree.editor();
        editor.add_node("/chosen", "dom0").unwrap();
        editor.set_strings("/chosen/dom0", "compatible", &["multiboot,kernel", "multiboot,module"]).unwrap();
        editor.set_cells("/chosen/dom0", "reg", &[0, 0x100_0000, 0x20_0000]).unwrap();
        prepare(&mut editor);
        let tree = editor.tree().unwrap();
        let mut layout = Layout::new([PhysicalRange { start: 0, end: 0x3b40_0000 }]).unwrap();
        layout.place("Dom0 kernel", PhysicalRange { start: 0x100_0000, end: 0x120_0000 }).unwrap();
        let console = resolve(&tree, args, Ours { path: MINI, pins: &[14, 15] }).unwrap();
        let modules = modules(&tree).unwrap();
        let ready = Ready { tree: &tree, modules: &modules, layout: &layout, system, console: &console };
        look(&ready).iter().map(ToString::to_string).collect()
    }

    fn told(args: &str) -> Vec<String> {
        told_of(args, XEN, |_| {})
    }

    #[test]
    fn the_tutorials_and_our_own_example_raise_no_alarm() {
        for args in [
            "console=dtuart dtuart=serial1 sync_console dom0_mem=512M",
            "console=dtuart dtuart=/soc/serial@7e215040 dom0_mem=512M dom0_max_vcpus=1 bootscrub=0",
            "console=dtuart dtuart=/soc/serial@7e215040 dom0_mem=768M dom0_max_vcpus=1 bootscrub=0 vwfi=native",
            "console=dtuart dtuart=serial1 dom0_mem=256M dom0_max_vcpus=1 bootscrub=0 vwfi=native sched=null   ",
        ] {
            assert_eq!(told(args), [""; 0], "{args}");
        }
        // The Raspberry Pi's own tree, which the other tutorial uses, counts its UARTs the other way round. Its 1G wants a board with more than 1 GB.
        let args = "console=dtuart dtuart=serial0 dom0_mem=512M dom0_max_vcpus=1 bootscrub=0 vwfi=native sched=null";
        let found = told_of(args, XEN, |editor| editor.set_string("/aliases", "serial0", MINI).unwrap());
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn a_tree_is_another_boards_by_its_name_only_where_that_says_so() {
        let board = "bcm2711-rpi-cm4.dtb";
        for file in ["bcm2711-rpi-4-b.dtb", "dtbs/bcm2711-rpi-400.dtb", "bcm2837-rpi-3-b.dtb"] {
            assert!(is_another_boards(file, board), "{file}");
        }
        for file in ["bcm2711-rpi-cm4.dtb", "dtbs/bcm2711-rpi-cm4-io.dtb", "mine.dtb", "tree", "rpi-4-b/mine.dtb"] {
            assert!(!is_another_boards(file, board), "{file}");
        }
    }

    #[test]
    fn a_domain_that_nobody_will_hear_is_told_with_its_name() {
        let found = told_of("dtuart=serial1 dom0_mem=512M", XEN, |editor| {
            editor.add_node("/chosen", "guest").unwrap();
            editor.set_string("/chosen/guest", "compatible", "xen,domain").unwrap();
            editor.set_cells("/chosen/guest", "memory", &[0, 0x2_0000]).unwrap();
            editor.set_cells("/chosen/guest", "cpus", &[1]).unwrap();
            editor.add_node("/chosen/guest", "kernel").unwrap();
            editor
                .set_strings("/chosen/guest/kernel", "compatible", &["multiboot,kernel", "multiboot,module"])
                .unwrap();
            editor.set_string("/chosen/guest/kernel", "bootargs", "console=ttyAMA0 root=/dev/vda").unwrap();
        });
        assert_eq!(found, ["guest: console=ttyAMA0 is not there without vpl011: it will be silent"]);
    }

    #[test]
    fn a_uart_that_is_not_on_the_header_is_told_with_what_hangs_on_it() {
        let args = "console=dtuart dtuart=serial0 dom0_mem=512M";
        let found = told_of(args, XEN, |editor| editor.add_node("/soc/serial@7e201000", "bluetooth").unwrap());
        assert_eq!(
            found,
            [
                "Xen's console will be on /soc/serial@7e201000 (PL011, wired to the Bluetooth chip), not here; for here say dtuart=/soc/serial@7e215040"
            ]
        );
    }

    #[test]
    fn a_uart_that_is_disabled_is_told() {
        let found = told("console=dtuart dtuart=/soc/serial@7e201400 dom0_mem=512M");
        assert_eq!(found.last().unwrap(), "Xen will be silent: /soc/serial@7e201400 is disabled in the tree");
    }

    #[test]
    fn more_memory_than_xen_finds_is_told_and_as_much_as_it_finds_is_not() {
        let with = |memory| told(&format!("dtuart=serial1 dom0_mem={memory}"));
        assert_eq!(with("800M"), [""; 0]);
        let found = with("2G");
        assert!(found.len() == 1 && found[0].starts_with("dom0_mem=2048M: Xen will panic, it finds "), "{found:?}");
        assert_eq!(told("dtuart=serial1"), ["no dom0_mem= in Xen's args: Dom0 gets 512 MiB"]);
        let without_dom0 = told_of("dtuart=serial1", XEN, |editor| editor.delete_node("/chosen/dom0").unwrap());
        assert!(!without_dom0.iter().any(|warning| warning.contains("dom0_mem")), "{without_dom0:?}");
        let wrong = with("1024M,max:1024M");
        assert!(wrong.len() == 1 && wrong[0].starts_with("Xen args: expected dom0_mem=SIZE"), "{wrong:?}");
    }

    #[test]
    fn a_tree_in_which_xen_finds_no_kernel_is_told_with_the_node_that_was_meant() {
        let told = |prepare: &dyn Fn(&mut crate::device_tree::Editor<'_>)| {
            told_of("dtuart=serial1 dom0_mem=512M", XEN, prepare)
        };
        let stops = "the tree lists no kernel for Xen to start: it will stop with \"Missing kernel boot module?\"";
        assert_eq!(told(&|editor| editor.delete_node("/chosen/dom0").unwrap()), [stops]);
        let misnamed = told(&|editor| editor.set_string("/chosen/dom0", "compatible", "xen,linux-zimage").unwrap());
        let reason = "; /chosen/dom0 is no module for it without \"multiboot,module\" in its compatible";
        assert_eq!(misnamed, [format!("{stops}{reason}")]);
        // What somebody else has there is not to blame.
        let framebuffer =
            told(&|editor| editor.set_string("/chosen/dom0", "compatible", "simple-framebuffer").unwrap());
        assert_eq!(framebuffer, [stops]);
        let mut tree = TestTree::board();
        let tree = tree.editor();
        let of = |system| without_xens_part(&tree.tree().unwrap(), system).map(|warning| warning.to_string());
        assert_eq!((of(XEN).as_deref(), of(System::Linux)), (Some(stops), None));
        // Without Dom0, but with a domain, of which the missing kernel is told as its own.
        let guest = told(&|editor| {
            editor.delete_node("/chosen/dom0").unwrap();
            editor.add_node("/chosen", "guest").unwrap();
            editor.set_string("/chosen/guest", "compatible", "xen,domain").unwrap();
        });
        assert!(!guest.is_empty() && guest.iter().all(|warning| warning.starts_with("guest: ")), "{guest:?}");
    }

    #[test]
    fn a_slip_of_the_keyboard_is_told_with_what_was_meant() {
        assert_eq!(
            told("dtuart=serial1 dom0_men=512M dom0_mem=512M"),
            ["Xen does not know \"dom0_men\" of its args, and will go on without it: is dom0_mem meant?"]
        );
        assert_eq!(told("dtuart=serial1 dom0_mem=512M some-option-of-xen-5"), [""; 0]);
        let line = "dom0_men=1 ".repeat(20) + "dtuart=serial1 dom0_mem=512M";
        assert_eq!(told(&line).len(), MOST_MISSPELT);
    }

    #[test]
    fn a_xen_that_does_not_know_the_board_is_told_and_one_whose_version_cannot_be_read_is_not() {
        let with = |version, raspberry_pi_4| {
            told_of("dtuart=serial1 dom0_mem=512M", System::Xen { version, raspberry_pi_4 }, |_| {})
        };
        assert_eq!(with(Some((4, 13)), false), ["Xen 4.13 does not know the Raspberry Pi 4; 4.14 and newer do"]);
        assert_eq!(with(None, false), ["this Xen does not know the Raspberry Pi 4 (brcm,bcm2711 is not in it)"]);
        assert_eq!(with(Some((4, 14)), true), [""; 0]);
        assert_eq!(with(None, true), [""; 0], "it knows the board, so it is new enough");
    }
}
