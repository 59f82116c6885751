//! What the user asks for: `loader.toml` and everything else that says which entry to boot and how.
//!
//! * [`settings`] reads `loader.toml` into [`Settings`]; an error names line, column, what was expected and the nearest known key.
//! * [`initramfs`] says what the firmware's `initramfs` blob is: settings, a bundle ([`bundle`]), or none of our business.
//! * [`overrides`] reads the `xenlift.*` words of the firmware's command line, which change single keys of whichever settings won.
//! * [`extlinux`] reads the menu that distributions write for U-Boot.
//! * [`source`] is where a file comes from; [`command_line`] knows the words of Xen's command line that a loader can check.
//!
//! All of it is pure: bytes in, values or errors out, nothing fetched, nothing printed.

pub mod bundle;
pub mod command_line;
pub mod extlinux;
pub mod initramfs;
pub mod nearest;
pub mod overrides;
mod pieces;
mod reader;
pub mod settings;
pub mod source;
pub mod xen_options;

use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use source::{File, ServerAddress};

/// Bytes that a file of settings or a script may have, and all scripts under way together: they are kept on the heap, which has 8 MiB.
pub const LARGEST_FILE: usize = 256 << 10;

/// Everything that `loader.toml` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The name of the entry to boot when nobody chooses; an entry of that name exists. Without it, the first entry.
    pub default: Option<String>,
    /// How long the menu waits.
    pub timeout: Timeout,
    /// Network settings; what is missing comes from DHCP.
    pub network: Network,
    /// What can be booted, in the file's order. May be empty: settings can be for the network alone.
    pub entries: Vec<Entry>,
}

impl Settings {
    /// The entry of that name.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// The entry to boot when nobody chooses; `None` only where there are no entries at all.
    pub fn default_entry(&self) -> Option<&Entry> {
        match &self.default {
            Some(name) => self.entry(name),
            None => self.entries.first(),
        }
    }
}

/// How long the menu waits for a key before the default entry is booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// So many seconds; 0 boots at once.
    Seconds(u16),
    /// Until somebody chooses.
    Never,
}

impl Default for Timeout {
    /// Three seconds: long enough to reach for a key, short enough for a board without a keyboard.
    fn default() -> Self {
        Self::Seconds(3)
    }
}

/// The table `[network]`. Every key that is missing is asked of DHCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// The board's own address with the length of its network prefix; with it, no DHCP.
    pub address: Option<InterfaceAddress>,
    /// The router. Only with `address`.
    pub gateway: Option<Ipv4Addr>,
    /// The TFTP server; wins over what DHCP says.
    pub server: Option<ServerAddress>,
}

/// An IPv4 address with its network prefix, as in `192.168.0.2/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The address of the interface itself.
    pub address: Ipv4Addr,
    /// Length of the network prefix in bits, 1 to 32.
    pub prefix: u8,
}

/// One thing that can be booted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What other settings and the command line call it: no spaces, unique.
    pub name: String,
    /// What the menu shows; the name where it is missing.
    pub title: Option<String>,
    /// The device tree to start from.
    pub device_tree: DeviceTree,
    /// Overlays to apply, in this order.
    pub overlays: Vec<File>,
    /// The entry to try when this one fails before the jump. Exists, and following fallbacks never leads round in a circle.
    pub fallback: Option<String>,
    /// What is booted.
    pub payload: Payload,
}

impl Entry {
    /// What the menu shows.
    pub fn title(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.name)
    }
}

/// Which device tree an entry starts from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DeviceTree {
    /// `"firmware"`: the tree that the firmware passed, with all that it patched in.
    #[default]
    Firmware,
    /// `"auto"`: the file that belongs to the board's revision, such as `bcm2711-rpi-4-b.dtb`.
    Auto,
    /// This file.
    File(File),
}

/// What an entry boots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Xen with a Dom0, with dom0less domains, or both.
    Xen(Xen),
    /// Linux without Xen.
    Linux(Linux),
    /// A U-Boot script, unchanged.
    Script(File),
    /// An ImageBuilder configuration file, unchanged.
    ImageBuilder(File),
}

/// `[entry.xen]` with what it starts. There is a Dom0 or at least one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xen {
    /// The hypervisor.
    pub image: File,
    /// Its command line.
    pub args: String,
    /// The control domain.
    pub dom0: Option<Dom0>,
    /// Domains that Xen starts by itself.
    pub domains: Vec<Domain>,
}

impl Xen {
    /// Bytes of memory that the domains get that Xen starts by itself.
    pub fn domains_memory(&self) -> u64 {
        self.domains.iter().fold(0, |all, domain| all.saturating_add(domain.memory))
    }
}

/// `[entry.dom0]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dom0 {
    /// The kernel.
    pub kernel: File,
    /// Its initial ramdisk.
    pub ramdisk: Option<File>,
    /// Its command line.
    pub args: String,
}

/// `[[entry.domu]]`: a dom0less domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Name of its node under `/chosen`.
    pub name: String,
    /// Memory in bytes, a multiple of 1 KiB.
    pub memory: u64,
    /// Number of virtual CPUs, at least 1.
    pub cpus: u32,
    /// Whether it gets an emulated PL011 as console.
    pub vpl011: bool,
    /// The kernel.
    pub kernel: File,
    /// Its initial ramdisk.
    pub ramdisk: Option<File>,
    /// A partial device tree with the devices it is given.
    pub device_tree: Option<File>,
    /// Its command line.
    pub args: String,
}

/// `[entry.linux]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linux {
    /// The kernel.
    pub image: File,
    /// Its initial ramdisk.
    pub ramdisk: Option<File>,
    /// Its command line.
    pub args: String,
}
