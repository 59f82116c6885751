//! What booting an entry takes, checked before a byte is fetched wherever it can be.
//!
//! A [`Plan`] is made of an entry of the settings and what is known about the machine ([`Facts`]): which files are needed, where each
//! comes from, in which order, and what is already known to go wrong. Small files come first, so that a wrong device tree is told before
//! a large kernel has been fetched. What only a file itself can tell is asked of [`Item::check`] as soon as it is there.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::dom0_memory::{Asked, Instead};
use super::image::{self, Header, Kernel, System};
use super::layout::Request;
use crate::config::bundle::Bundle;
use crate::config::command_line::{self, ArgumentError};
use crate::config::nearest;
use crate::config::source::{File, Source};
use crate::config::{DeviceTree, Entry, Payload, Xen};

/// The most modules that Xen takes (`MAX_MODULES`), less Xen itself and its device tree, which it counts too.
pub const MOST_MODULES: usize = 30;
/// The oldest Xen that knows the Raspberry Pi 4.
const OLDEST_XEN: (u16, u16) = (4, 14);
/// What Dom0 gets where nobody says (`xen/arch/arm/domain_build.c`), in MiB.
const USUAL_DOM0_MEMORY: u64 = 512;

/// What is known about the machine before anything is fetched.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Bytes of memory in all banks.
    pub memory: u64,
    /// Whether the firmware passed a tree.
    pub firmware_tree: bool,
    /// The file name of this board's tree, such as `bcm2711-rpi-4-b.dtb`, where the board is a known one.
    pub board_tree: Option<&'a str>,
    /// The bundle that the settings came from.
    pub bundle: Option<&'a Bundle<'a>>,
    /// Bytes that the firmware loaded through `initramfs`.
    pub initramfs: Option<u64>,
    /// Whether files can be fetched from a server.
    pub network: bool,
    /// The card, if there is one.
    pub card: Option<&'a dyn CardFiles>,
    /// Whether the settings came from the card, so that plain paths are looked for there before the network.
    pub card_first: bool,
}

/// What a plan asks of a card.
pub trait CardFiles: fmt::Debug {
    /// Whether there is a file at `path` of the partition with that number, or of the one to boot from.
    fn has(&self, partition: Option<u32>, path: &str) -> bool;
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A U-Boot script, which says by itself what it needs.
    Script,
    /// The device tree to start from.
    DeviceTree,
    /// An overlay; its number from 0.
    Overlay(usize),
    /// The hypervisor.
    Xen,
    /// The kernel of Dom0.
    Dom0Kernel,
    /// The ramdisk of Dom0.
    Dom0Ramdisk,
    /// The kernel of a domain; its number from 0.
    DomainKernel(usize),
    /// The ramdisk of a domain.
    DomainRamdisk(usize),
    /// The partial device tree of a domain.
    DomainDeviceTree(usize),
}

impl Role {
    /// Whether it is handed to Xen as a module, as it is.
    pub fn is_module(self) -> bool {
        !matches!(self, Self::Script | Self::DeviceTree | Self::Overlay(_) | Self::Xen)
    }

    /// Whether it is a program, which may come packed with gzip.
    pub fn is_program(self) -> bool {
        matches!(self, Self::Xen | Self::Dom0Kernel | Self::DomainKernel(_))
    }
}

/// Where a file comes from, now that it is known what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is a member of the bundle.
    Bundle,
    /// It is fetched: from the server of the settings, or the one that its URL names.
    Network,
    /// It is what the firmware loaded through `initramfs`.
    Initramfs,
    /// It is a file of the card.
    Card,
}

/// A file that is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What for.
    pub role: Role,
    /// What messages call it, such as `Dom0 kernel`.
    pub label: String,
    /// Which one.
    pub file: File,
    /// Where it comes from.
    pub place: Place,
}

/// What booting an entry takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<'e> {
    /// Xen and its domains, as the settings say.
    pub xen: &'e Xen,
    /// The files, in the order in which they are to be fetched. Without one for [`Role::DeviceTree`], the firmware's tree is meant.
    pub items: Vec<Item>,
}

impl<'e> Plan<'e> {
    /// Plans the boot of `entry`.
    ///
    /// # Errors
    /// The first thing that is known to go wrong.
    pub fn new(entry: &'e Entry, facts: &Facts<'_>) -> Result<Self, Error> {
        let xen = match &entry.payload {
            Payload::Xen(xen) => xen,
            Payload::Linux(_) => return Err(Error::NotBuilt("boot Linux without Xen")),
            Payload::Script(_) => return Err(Error::NotBuilt("boot a script as Xen")),
            Payload::ImageBuilder(_) => return Err(Error::NotBuilt("read ImageBuilder files")),
        };
        check_arguments(xen, facts.memory)?;
        let mut items = Vec::new();
        let mut add = |role, label: String, file: &File| -> Result<(), Error> {
            let place = place(&label, &file.source, facts)?;
            items.push(Item { role, label, file: file.clone(), place });
            Ok(())
        };
        if let Some(tree) = device_tree(entry, facts)? {
            add(Role::DeviceTree, "device tree".to_string(), &tree)?;
        }
        for (index, overlay) in entry.overlays.iter().enumerate() {
            add(Role::Overlay(index), format!("overlay {}", index + 1), overlay)?;
        }
        add(Role::Xen, "Xen".to_string(), &xen.image)?;
        if let Some(dom0) = &xen.dom0 {
            add(Role::Dom0Kernel, "Dom0 kernel".to_string(), &dom0.kernel)?;
            if let Some(ramdisk) = &dom0.ramdisk {
                add(Role::Dom0Ramdisk, "Dom0 ramdisk".to_string(), ramdisk)?;
            }
        }
        for (index, domain) in xen.domains.iter().enumerate() {
            add(Role::DomainKernel(index), format!("{} kernel", domain.name), &domain.kernel)?;
            if let Some(ramdisk) = &domain.ramdisk {
                add(Role::DomainRamdisk(index), format!("{} ramdisk", domain.name), ramdisk)?;
            }
            if let Some(tree) = &domain.device_tree {
                add(Role::DomainDeviceTree(index), format!("{} device tree", domain.name), tree)?;
            }
        }
        let modules = items.iter().filter(|item| item.role.is_module()).count();
        if modules > MOST_MODULES {
            return Err(Error::TooManyModules(modules));
        }
        Ok(Self { xen, items })
    }

    /// Checks that the memory of its domain has room for the kernel in `bytes`, if `item` is one: Xen stops where it has not.
    ///
    /// # Errors
    /// [`Error::KernelMemory`].
    pub fn check_room(&self, item: &Item, bytes: &[u8]) -> Result<(), Error> {
        let memory = match item.role {
            Role::Dom0Kernel => command_line::dom0_memory(&self.xen.args).ok().flatten(),
            Role::DomainKernel(index) => self.xen.domains.get(index).map(|domain| domain.memory),
            _ => return Ok(()),
        };
        let memory = memory.unwrap_or(USUAL_DOM0_MEMORY << 20);
        match Kernel::identify(bytes) {
            Ok(Kernel::Image(header)) if header.memory_size(bytes.len() as u64) >= memory => {
                let size = header.memory_size(bytes.len() as u64);
                Err(Error::KernelMemory { name: item.name(), size, memory })
            }
            _ => Ok(()),
        }
    }

    /// The item for `role`.
    pub fn item(&self, role: Role) -> Option<&Item> {
        self.items.iter().find(|item| item.role == role)
    }
}

/// The file of an entry that is a script.
///
/// # Errors
/// It can come from nowhere.
pub fn script(file: &File, facts: &Facts<'_>) -> Result<Item, Error> {
    let label = "script".to_string();
    let place = place(&label, &file.source, facts)?;
    Ok(Item { role: Role::Script, label, file: file.clone(), place })
}

/// Checks command lines and the memory that they share out.
fn check_arguments(xen: &Xen, memory: u64) -> Result<(), Error> {
    let wrong = |label: &str| {
        let label = label.to_string();
        move |error| Error::Arguments { label, error }
    };
    command_line::check_xen(&xen.args).map_err(wrong("Xen"))?;
    let mut asked = Asked { dom0: 0, domains: xen.domains_memory() };
    if let Some(dom0) = &xen.dom0 {
        command_line::check(&dom0.args).map_err(wrong("Dom0"))?;
        asked.dom0 = command_line::dom0_memory(&xen.args).map_err(wrong("Xen"))?.unwrap_or(USUAL_DOM0_MEMORY << 20);
    }
    for domain in &xen.domains {
        command_line::check(&domain.args).map_err(wrong(&domain.name))?;
    }
    match asked.dom0.saturating_add(asked.domains) >= memory {
        true => Err(Error::Memory { asked, memory }),
        false => Ok(()),
    }
}

/// The tree to fetch; `None` for the firmware's.
fn device_tree(entry: &Entry, facts: &Facts<'_>) -> Result<Option<File>, Error> {
    match &entry.device_tree {
        DeviceTree::Firmware if facts.firmware_tree => Ok(None),
        DeviceTree::Firmware => Err(Error::NoFirmwareTree),
        DeviceTree::Auto => {
            let name = facts.board_tree.ok_or(Error::UnknownBoard)?;
            Ok(Some(File { source: Source::Path(name.to_string()), sha256: None }))
        }
        DeviceTree::File(file) => Ok(Some(file.clone())),
    }
}

fn place(label: &str, source: &Source, facts: &Facts<'_>) -> Result<Place, Error> {
    let label = || label.to_string();
    match source {
        Source::Initramfs if facts.initramfs.is_some_and(|size| size > 0) => Ok(Place::Initramfs),
        Source::Initramfs => Err(Error::NoInitramfs { label: label() }),
        Source::Path(path) if facts.bundle.is_some_and(|bundle| bundle.find(path).is_some()) => Ok(Place::Bundle),
        Source::Card(partition, path) => match facts.card {
            Some(card) if card.has(*partition, path) => Ok(Place::Card),
            Some(_) => Err(Error::NotOnCard { label: label(), source: source.to_string() }),
            None => Err(Error::NoCard { label: label(), source: source.to_string() }),
        },
        Source::Path(path) if facts.card_first && is_on_card(path, facts) => Ok(Place::Card),
        _ if facts.network => Ok(Place::Network),
        // Not where it was meant to be, perhaps, but there.
        Source::Path(path) if is_on_card(path, facts) => Ok(Place::Card),
        Source::Path(_) if facts.card_first => Err(Error::NotOnCard { label: label(), source: source.to_string() }),
        Source::Path(path) => {
            let paths = facts.bundle.iter().flat_map(|bundle| bundle.members()).map(|member| member.path);
            let nearest = nearest::nearest(path, paths).map(String::from);
            Err(Error::NotThere { label: label(), path: path.clone(), nearest })
        }
        Source::Tftp(..) | Source::Http(..) => Err(Error::NoNetwork { label: label(), source: source.to_string() }),
    }
}

fn is_on_card(path: &str, facts: &Facts<'_>) -> bool {
    facts.card.is_some_and(|card| card.has(None, path))
}

/// What a file told when it was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The place in memory that it needs when Xen starts.
    pub request: Request,
    /// What a person should know about it.
    pub notes: Vec<Note>,
}

impl Item {
    /// What messages call the file: what it is for, and which one.
    pub fn name(&self) -> String {
        format!("{} ({})", self.label, self.file.source)
    }

    /// Checks the file's contents, unpacked where it is Xen, and says what place in memory it needs.
    ///
    /// A device tree and overlays are only checked to be there: the device-tree module knows more about them.
    ///
    /// # Errors
    /// [`Error::Image`] where it is not what it should be, [`Error::NotXen`] where Xen is something else, [`Error::EmptyFile`].
    pub fn check(&self, bytes: &[u8]) -> Result<Checked, Error> {
        let length = bytes.len() as u64;
        let wrong = |error| Error::Image { label: self.label.clone(), source: self.file.source.to_string(), error };
        if bytes.is_empty() {
            return Err(Error::EmptyFile { label: self.label.clone(), source: self.file.source.to_string() });
        }
        let mut checked = Checked { request: Request::new(length), notes: Vec::new() };
        match self.role {
            Role::Xen => {
                let header = Header::parse(bytes).map_err(wrong)?;
                checked.request = Request::xen(header.memory_size(length));
                let system = System::identify(bytes);
                if system == System::Linux {
                    return Err(Error::NotXen { source: self.file.source.to_string() });
                }
                checked.notes = about(system).collect();
            }
            Role::Dom0Kernel | Role::DomainKernel(_) => {
                Kernel::identify(bytes).map_err(wrong)?;
            }
            _ => {}
        }
        Ok(checked)
    }

    /// Compares the file's digest with the one that the settings want, if they want one.
    ///
    /// # Errors
    /// [`Error::Digest`].
    pub fn check_digest(&self, found: &[u8; 32]) -> Result<(), Error> {
        match &self.file.sha256 {
            Some(wanted) if wanted != found => Err(Error::Digest {
                label: self.label.clone(),
                source: self.file.source.to_string(),
                wanted: beginning(wanted),
                found: beginning(found),
            }),
            _ => Ok(()),
        }
    }
}

/// What a person should know about `system` in Xen's place.
pub fn about(system: System) -> impl Iterator<Item = Note> {
    let note = match system {
        System::Unknown => Some(Note::UnknownHypervisor),
        System::Xen { version: Some((major, minor)), .. } if (major, minor) < OLDEST_XEN => {
            Some(Note::OldXen { major, minor })
        }
        System::Xen { raspberry_pi_4: false, .. } => Some(Note::NotForThisBoard),
        System::Xen { .. } | System::Linux => None,
    };
    note.into_iter()
}

/// The first eight bytes of a digest: as much as messages show.
fn beginning(digest: &[u8; 32]) -> u64 {
    digest.iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// Something that a person should know, though it does not keep the entry from being tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// There is no `dom0_mem=`.
    NoDom0Memory,
    /// A Xen from before `OLDEST_XEN`.
    OldXen {
        /// Its version's first number.
        major: u16,
        /// Its version's second number.
        minor: u16,
    },
    /// A Xen that was built without this board.
    NotForThisBoard,
    /// An arm64 Image in which nothing says that it is Xen.
    UnknownHypervisor,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = OLDEST_XEN;
        match self {
            Self::NoDom0Memory => write!(f, "no dom0_mem= in Xen's args: Dom0 gets {USUAL_DOM0_MEMORY} MiB"),
            Self::OldXen { major: old_major, minor: old_minor } => {
                write!(f, "Xen {old_major}.{old_minor} does not know the Raspberry Pi 4; {major}.{minor} and newer do")
            }
            Self::NotForThisBoard => write!(f, "this Xen does not know the Raspberry Pi 4 (brcm,bcm2711 is not in it)"),
            Self::UnknownHypervisor => f.write_str("nothing in the image says that it is Xen"),
        }
    }
}

/// Why an entry cannot be booted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Something that this version does not do, in words that go on after "this version does not".
    NotBuilt(&'static str),
    /// `device-tree = "firmware"` where the firmware passed none.
    NoFirmwareTree,
    /// `device-tree = "auto"` on a board whose revision is not known.
    UnknownBoard,
    /// `ramdisk = "initramfs"` where the firmware loaded nothing.
    NoInitramfs {
        /// What the file is for.
        label: String,
    },
    /// A URL where there is no network.
    NoNetwork {
        /// What the file is for.
        label: String,
        /// The URL.
        source: String,
    },
    /// A path that is not in the bundle, or without a bundle nowhere at all, and there is no network.
    NotThere {
        /// What the file is for.
        label: String,
        /// The path.
        path: String,
        /// The path in the bundle that was perhaps meant.
        nearest: Option<String>,
    },
    /// A file that is not on the card, and cannot come from elsewhere.
    NotOnCard {
        /// What the file is for.
        label: String,
        /// Its path.
        source: String,
    },
    /// A file of a card where there is no card.
    NoCard {
        /// What the file is for.
        label: String,
        /// Its path.
        source: String,
    },
    /// So many modules, more than [`MOST_MODULES`].
    TooManyModules(usize),
    /// A command line that cannot be right.
    Arguments {
        /// Whose.
        label: String,
        /// What was expected.
        error: ArgumentError,
    },
    /// The domains want as much memory as there is, or more.
    Memory {
        /// What they want.
        asked: Asked,
        /// Bytes that there are.
        memory: u64,
    },
    /// A kernel for which its domain has no room.
    KernelMemory {
        /// What it is for and where it is from.
        name: String,
        /// Bytes that it takes (`image_size` of its header).
        size: u64,
        /// Bytes that its domain gets.
        memory: u64,
    },
    /// A file with nothing in it.
    EmptyFile {
        /// What it is for.
        label: String,
        /// Where it is from.
        source: String,
    },
    /// A kernel or hypervisor that is none.
    Image {
        /// What it is for.
        label: String,
        /// Where it is from.
        source: String,
        /// What is wrong with it.
        error: image::Error,
    },
    /// The image for Xen is Linux.
    NotXen {
        /// Where it is from.
        source: String,
    },
    /// A file that is not the one that the settings want.
    Digest {
        /// What it is for.
        label: String,
        /// Where it is from.
        source: String,
        /// The first eight bytes of the SHA-256 that it should have.
        wanted: u64,
        /// The first eight bytes of the SHA-256 that it has.
        found: u64,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBuilt(what) => write!(f, "this version does not {what}"),
            Self::NoFirmwareTree => {
                f.write_str("device-tree = \"firmware\", but the firmware passed no device tree; name a file instead")
            }
            Self::UnknownBoard => {
                f.write_str("device-tree = \"auto\", but this board's revision is unknown; name a file instead")
            }
            Self::NoInitramfs { label } => {
                write!(
                    f,
                    "{label}: \"initramfs\", but the firmware loaded none (initramfs FILE followkernel in config.txt)"
                )
            }
            Self::NoNetwork { label, source } => write!(f, "{label}: {source}, but there is no network"),
            Self::NotThere { label, path, nearest: Some(nearest) } => {
                write!(f, "{label}: \"{path}\" is not in the bundle; nearest: {nearest}")
            }
            Self::NotThere { label, path, nearest: None } => {
                write!(f, "{label}: \"{path}\" is not in the bundle, and there is no network to fetch it from")
            }
            Self::NotOnCard { label, source } => write!(f, "{label}: {source} is not on the card"),
            Self::NoCard { label, source } => write!(f, "{label}: {source}, but there is no card that can be read"),
            Self::TooManyModules(count) => {
                write!(f, "{count} kernels, ramdisks and device trees of domains; Xen takes at most {MOST_MODULES}")
            }
            Self::Arguments { label, error } => write!(f, "{label} args: expected {error}"),
            Self::Memory { asked, memory } => write!(
                f,
                "{asked}: the firmware left {} MiB, and Xen and its modules need some of them; {}",
                memory >> 20,
                Instead::guess(*memory, asked.domains)
            ),
            Self::KernelMemory { name, size, memory } => write!(
                f,
                "{name}: it takes {} MiB of memory (image_size in its header), its domain gets {} MiB",
                size.div_ceil(1 << 20),
                memory >> 20
            ),
            Self::EmptyFile { label, source } => write!(f, "{label} ({source}): the file is empty"),
            Self::Image { label, source, error } => write!(f, "{label} ({source}): {error}"),
            Self::NotXen { source } => write!(f, "Xen ({source}): the file is a Linux kernel"),
            Self::Digest { label, source, wanted, found } => {
                write!(f, "{label} ({source}): SHA-256 is {found:016x}..., the settings say {wanted:016x}...")
            }
        }
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
