//! Mistakes with domains that Xen starts by itself: over some Xen stops, after others a domain runs and nobody hears of it.
//!
//! Only what is certain is told. What a domain is comes from the settings, before anything is fetched, or from the finished tree, whoever wrote
//! that: both become a [`Guest`]. What Xen asks of a domain's node: `docs/misc/arm/device-tree/booting.txt` and `create_domUs` in its
//! `dom0less-build.c`.

use super::plan::MOST_MODULES;
use super::xen_modules::{Kind, Module};
use crate::config;
use crate::config::command_line::words;
use crate::device_tree::{Node, Tree};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// A domain, as far as mistakes with it can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guest<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its kernel's command line.
    pub args: &'a str,
    /// Whether it has an emulated PL011.
    pub vpl011: bool,
    /// Whether Xen offers it its own drivers' devices, the console among them (`xen,enhanced`).
    pub enhanced: bool,
    /// Whether it gets devices of the board, of which one may be a UART.
    pub has_devices: bool,
    /// Whether it has a kernel.
    pub has_kernel: bool,
    /// Whether it has a ramdisk.
    pub has_ramdisk: bool,
    /// Bytes of memory that it gets; `None` where it does not say, as Xen reads it.
    pub memory: Option<u64>,
    /// Whether it says how many CPUs it gets.
    pub has_cpus: bool,
}

/// What is wrong with a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It has no kernel.
    NoKernel,
    /// It does not say how much memory it gets.
    NoMemory,
    /// It does not say how many CPUs it gets.
    NoCpus,
    /// Its kernel is told of a console that it does not have.
    Console(String),
    /// Its root file system is a ramdisk that it does not have.
    NoRamdisk(String),
    /// It has neither a ramdisk nor a word about a root file system.
    NoRoot,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKernel => f.write_str("it has no kernel, and Xen will stop over it"),
            Self::NoMemory => f.write_str(
                "Xen will stop over it: it needs memory, two cells of KiB (memory = <0 131072> for 128 MiB)",
            ),
            Self::NoCpus => f.write_str("Xen will stop over it: it needs cpus (cpus = <1>)"),
            Self::Console(word) if word.starts_with(PV) => {
                write!(
                    f,
                    "{word} is not there without xen,enhanced: use vpl011 and console=ttyAMA0, or it will be silent"
                )
            }
            Self::Console(word) => write!(f, "{word} is not there without vpl011: it will be silent"),
            Self::NoRamdisk(word) => write!(f, "{word}, but it has no ramdisk"),
            Self::NoRoot => {
                f.write_str("no ramdisk and no root=: Linux finds no files, unless its kernel has some built in")
            }
        }
    }
}

/// The console of Xen's own drivers.
const PV: &str = "console=hvc";
/// The emulated PL011.
const AMBA: &str = "console=ttyAMA";

impl<'a> Guest<'a> {
    /// The domain that settings describe. They cannot be without memory, CPUs and kernel.
    pub fn of_settings(domain: &'a config::Domain) -> Self {
        Self {
            name: &domain.name,
            args: &domain.args,
            vpl011: domain.vpl011,
            enhanced: false,
            has_devices: domain.device_tree.is_some(),
            has_kernel: true,
            has_ramdisk: domain.ramdisk.is_some(),
            memory: Some(domain.memory),
            has_cpus: true,
        }
    }

    /// The domains of a finished tree with these modules: as many as can have one.
    pub fn all_of(tree: &Tree<'a>, modules: &[Module<'a>]) -> Vec<Self> {
        let Some(chosen) = tree.find("/chosen") else { return Vec::new() };
        let domains = chosen.children().filter(|node| node.is_compatible("xen,domain")).take(MOST_MODULES);
        domains.map(|node| Self::of_node(&node, modules)).collect()
    }

    fn of_node(node: &Node<'a>, modules: &[Module<'a>]) -> Self {
        let name = node.name();
        let module = |kind| modules.iter().find(|module| module.domain == Some(name) && module.kind == kind);
        let has = |property: &str| node.property(property).is_some();
        let memory = || node.property("memory")?.value().first_chunk().map(|kib| u64::from_be_bytes(*kib));
        Self {
            name,
            args: module(Kind::Kernel).and_then(|kernel| kernel.args).unwrap_or_default(),
            vpl011: has("vpl011"),
            enhanced: has("xen,enhanced"),
            has_devices: module(Kind::DeviceTree).is_some(),
            has_kernel: module(Kind::Kernel).is_some(),
            has_ramdisk: module(Kind::Ramdisk).is_some(),
            memory: memory().map(|kib| kib.saturating_mul(1024)).or(has("xen,static-mem").then_some(0)),
            has_cpus: node.property("cpus").is_some_and(|cpus| cpus.value().len() >= 4),
        }
    }

    /// What is wrong with it.
    pub fn troubles(&self) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        if !self.has_kernel {
            troubles.push(Trouble::NoKernel);
        }
        if self.memory.is_none() {
            troubles.push(Trouble::NoMemory);
        }
        if !self.has_cpus {
            troubles.push(Trouble::NoCpus);
        }
        if !self.has_kernel {
            // The rest is about what that is told.
            return troubles;
        }
        let is_missing = |word: &str| {
            word.starts_with(PV) && !self.enhanced || word.starts_with(AMBA) && !self.vpl011 && !self.has_devices
        };
        let mut consoles = words(self.args).filter(|word| word.starts_with("console="));
        let last = consoles.clone().last();
        // One of several that is there is enough.
        if let Some(last) = last.filter(|_| consoles.all(is_missing)) {
            troubles.push(Trouble::Console(last.to_string()));
        }
        if !self.has_ramdisk {
            let mut roots =
                words(self.args).filter(|word| ["root=", "nfsroot="].iter().any(|root| word.starts_with(root)));
            match roots.clone().find(|word| word.starts_with("root=/dev/ram")) {
                Some(word) => troubles.push(Trouble::NoRamdisk(word.to_string())),
                None if roots.next().is_none() => troubles.push(Trouble::NoRoot),
                None => {}
            }
        }
        troubles
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::test_tree::TestTree;
    use crate::boot::xen_modules::modules;

    const GOOD: Guest<'static> = Guest {
        name: "guest",
        args: "console=ttyAMA0",
        vpl011: true,
        enhanced: false,
        has_devices: false,
        has_kernel: true,
        has_ramdisk: true,
        memory: Some(128 << 20),
        has_cpus: true,
    };

    fn told(guest: Guest<'_>) -> Vec<String> {
        guest.troubles().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_console_that_is_not_there_is_told_and_one_that_may_be_is_not() {
        assert_eq!(told(GOOD), [""; 0]);
        assert_eq!(
            told(Guest { vpl011: false, ..GOOD }),
            ["console=ttyAMA0 is not there without vpl011: it will be silent"]
        );
        assert_eq!(told(Guest { vpl011: false, has_devices: true, ..GOOD }), [""; 0], "a UART may be among them");
        let hvc = Guest { args: "console=hvc0 quiet", ..GOOD };
        assert_eq!(
            told(hvc),
            ["console=hvc0 is not there without xen,enhanced: use vpl011 and console=ttyAMA0, or it will be silent"]
        );
        assert_eq!(told(Guest { enhanced: true, ..hvc }), [""; 0]);
        for args in ["console=hvc0 console=ttyAMA0", "console=tty0", "", "earlycon"] {
            assert_eq!(told(Guest { args, ..GOOD }), [""; 0], "{args}");
        }
    }

    #[test]
    fn a_root_file_system_that_cannot_be_there_is_told() {
        let without = |args| told(Guest { args, has_ramdisk: false, ..GOOD });
        assert_eq!(without("root=/dev/ram0"), ["root=/dev/ram0, but it has no ramdisk"]);
        assert_eq!(without("root=/dev/vda1"), [""; 0]);
        assert_eq!(without("root=/dev/nfs nfsroot=10.0.0.1:/root"), [""; 0]);
        assert!(without("quiet")[0].starts_with("no ramdisk and no root=: "));
    }

    #[test]
    fn what_xen_stops_over_in_a_scripts_domain_is_told() {
        let mut tree = TestTree::board();
        let mut editor = tree.editor();
        editor.add_node("/chosen", "domU1").unwrap();
        editor.set_string("/chosen/domU1", "compatible", "xen,domain").unwrap();
        editor.set_cells("/chosen/domU1", "memory", &[0x2_0000]).unwrap();
        let found = |editor: &mut crate::device_tree::Editor<'_>| {
            let tree = editor.tree().unwrap();
            let modules = modules(&tree).unwrap();
            Guest::all_of(&tree, &modules).iter().flat_map(Guest::troubles).collect::<Vec<_>>()
        };
        assert_eq!(found(&mut editor), [Trouble::NoKernel, Trouble::NoMemory, Trouble::NoCpus]);
        editor.set_cells("/chosen/domU1", "memory", &[0, 0x2_0000]).unwrap();
        editor.set_cells("/chosen/domU1", "cpus", &[1]).unwrap();
        editor.add_node("/chosen/domU1", "module@1").unwrap();
        let names = ["multiboot,kernel", "multiboot,module"];
        editor.set_strings("/chosen/domU1/module@1", "compatible", &names).unwrap();
        editor.set_string("/chosen/domU1/module@1", "bootargs", "console=ttyAMA0 root=/dev/vda").unwrap();
        assert_eq!(found(&mut editor), [Trouble::Console("console=ttyAMA0".into())]);
        editor.set_property("/chosen/domU1", "vpl011", &[]).unwrap();
        assert_eq!(found(&mut editor), []);
    }
}
