//! What a person should know before the jump: mistakes that do not keep Xen from being started, and that Xen would tell nobody of.
//!
//! There is one list for every boot, an entry's and a script's: it is made from the finished tree, when all files are in memory, so nothing
//! is told twice and nothing is forgotten in one of the two. What concerns a script's own addresses and sizes, `booti` has said before
//! (`shell::lints`); that a tree is for another board, whoever completes it with what the firmware knows says.

use super::dom0_memory::{self, Shortage};
use super::image::System;
use super::layout::Layout;
use super::plan;
use super::xen_console::{self, XenConsole};
use super::xen_modules::{Kind, Module};
use crate::config::command_line::{self, ArgumentError};
use crate::config::xen_options::misspelt;
use crate::console;
use crate::device_tree::Tree;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// Misspelt words that are told; a line with more of them is none for Xen at all.
const MOST_MISSPELT: usize = 4;

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
    /// Dom0 gets what Xen gives it without a word.
    NoDom0Memory,
    /// Dom0 asks for more memory than Xen will find.
    Shortage(Shortage),
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
            Self::NoDom0Memory => plan::Note::NoDom0Memory.fmt(f),
            Self::Shortage(shortage) => shortage.fmt(f),
            Self::Console(note) => note.fmt(f),
        }
    }
}

/// What there is to know about a start of Xen.
pub fn look(ready: &Ready<'_>) -> Vec<Warning> {
    let Ready { tree, modules, layout, system, console: of_xen } = ready;
    let args = of_xen.args.as_str();
    let mut warnings: Vec<Warning> = plan::about(*system).map(Warning::Hypervisor).collect();
    warnings.extend(command_line::check_xen(args).err().map(Warning::Arguments));
    console::poll();
    let misspelt = misspelt(args).take(MOST_MISSPELT);
    warnings.extend(misspelt.map(|(word, nearest)| Warning::Misspelt { word: word.to_string(), nearest }));
    console::poll();
    if modules.iter().any(|module| module.kind == Kind::Kernel && module.domain.is_none()) {
        warnings.extend(match command_line::dom0_memory(args) {
            Ok(Some(asked)) => dom0_memory::check(layout, tree, asked).err().map(Warning::Shortage),
            Ok(None) => Some(Warning::NoDom0Memory),
            Err(_) => None,
        });
    }
    warnings.extend(of_xen.notes.iter().cloned().map(Warning::Console));
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::test_tree::TestTree;
    use crate::boot::xen_console::{Ours, resolve};
    use crate::boot::xen_modules::modules;
    use crate::range::PhysicalRange;

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
        assert!(found.len() == 1 && found[0].starts_with("dom0_mem=2048M: Xen will find "), "{found:?}");
        assert_eq!(told("dtuart=serial1"), ["no dom0_mem= in Xen's args: Dom0 gets 512 MiB"]);
        let without_dom0 = told_of("dtuart=serial1", XEN, |editor| editor.delete_node("/chosen/dom0").unwrap());
        assert_eq!(without_dom0, [""; 0]);
        let wrong = with("1024M,max:1024M");
        assert!(wrong.len() == 1 && wrong[0].starts_with("Xen args: expected dom0_mem=SIZE"), "{wrong:?}");
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
