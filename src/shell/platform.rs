//! What commands ask of the machine that they run on.
//!
//! There are two: the board (`boot::script`), and a directory of files on a host (`cargo xtask script`). Addresses are physical. What a
//! command brings into memory goes where its script says and nowhere else: the shell works out how far that is
//! allowed to reach ([`Platform::layout`], the working tree) and the platform writes inside the range that it is given.

use super::landing::Landing;
use super::{Failure, Loaded};
use crate::boot::layout::Layout;
use crate::config::Entry;
use crate::device_tree::{Editor, edit};
use crate::range::PhysicalRange;
use crate::terminal::Kind;
use crate::time::{Duration, Instant};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::Ipv4Addr;
use log::LevelFilter;

/// The machine, as commands see it.
pub trait Platform {
    /// Prints on the console, uncounted. Commands print by [`Shell::say`](super::Shell::say).
    fn print(&mut self, text: fmt::Arguments<'_>);

    /// Looks after console and watchdog, and says whether Ctrl-C was pressed. Whatever loops asks at least every 0.5 ms.
    fn interrupted(&mut self) -> bool;

    /// Notes that `done` of the `size` bytes are done of something that may take long and is called `what`. Who reads the console is shown how far it is.
    fn progress(&mut self, _what: &str, _done: u64, _size: u64) {}

    /// Notes that what is called `what` has ended, `whole` or given up.
    fn worked(&mut self, _what: &str, _whole: bool) {}

    /// Notes what the terminal has answered that it is.
    fn set_terminal(&mut self, _kind: Kind) {}

    /// Called over and over while nobody types: for what can be done meanwhile, such as finding a network.
    fn idle(&mut self) {}

    /// The oldest byte that was typed and not yet read. Ctrl-C is not among them.
    fn typed(&mut self) -> Option<u8>;

    /// Whether typed characters were lost since this was last asked.
    fn take_input_lost(&mut self) -> bool;

    /// Whether the line garbled characters since this was last asked, as far as it can tell: framing, parity, breaks.
    fn take_line_errors(&mut self) -> bool;

    /// The present moment.
    fn now(&self) -> Instant;

    /// What is known of the board.
    fn facts(&self) -> &Facts;

    /// What can be booted by name, where a person sits at the prompt; a script is no menu, and finds none.
    fn entries(&self) -> &[Entry];

    /// The firmware's device tree as it was passed, whatever became of it since.
    fn firmware_tree(&self) -> Option<&[u8]>;

    /// Writes what there is to say of `topic`, in whole lines.
    ///
    /// # Errors
    /// This machine has no such thing; [`Failure::Interrupted`] where it had to ask somebody.
    fn report(&mut self, topic: Report, out: &mut dyn fmt::Write) -> Result<(), Failure>;

    /// Memory, and what lies in it that no script may overwrite: page 0, the loader, reservations.
    fn layout(&self) -> &Layout;

    /// The bytes in `range`.
    ///
    /// # Errors
    /// [`NotMemory`] where it is not all in one bank of memory that can be read.
    fn memory(&self, range: PhysicalRange) -> Result<&[u8], NotMemory>;

    /// The bytes in `range`, to write.
    ///
    /// # Errors
    /// [`NotMemory`], also where something lies there that must not be overwritten.
    fn memory_mut(&mut self, range: PhysicalRange) -> Result<&mut [u8], NotMemory>;

    /// Brings the file `path` by TFTP to the beginning of `landing`. Gives its length in bytes.
    ///
    /// # Errors
    /// Why it did not come. One that is longer than there is room for is refused before the first byte beyond it is written.
    fn fetch(&mut self, network: &Network, path: &str, landing: &Landing) -> Result<u64, NetworkFailure>;

    /// Asks a DHCP server for an address.
    ///
    /// # Errors
    /// Why there is none.
    fn lease(&mut self) -> Result<Lease, NetworkFailure>;

    /// Whether the host at `address` answers an ICMP echo request.
    ///
    /// # Errors
    /// Why it could not be asked.
    fn ping(&mut self, network: &Network, address: Ipv4Addr) -> Result<bool, Failure>;

    /// Brings `length` bytes (all that there are, without one) from `offset` on of a file on a card's partition to the
    /// beginning of `landing`. Gives how many bytes that were.
    ///
    /// # Errors
    /// Why it could not be read.
    fn load(
        &mut self,
        partition: &Partition,
        path: &str,
        offset: u64,
        length: Option<u64>,
        landing: &Landing,
    ) -> Result<u64, Failure>;

    /// Looks for the card anew: where there was one before, it may be another now.
    ///
    /// # Errors
    /// Why there is none that can be used.
    fn rescan(&mut self) -> Result<(), Failure>;

    /// The partitions of a device, `mmc 0`.
    ///
    /// # Errors
    /// There is no such device, or no table of partitions on it.
    fn partitions(&mut self, interface: &str, device: u32) -> Result<Vec<PartitionEntry>, Failure>;

    /// The length in bytes of a file on a card's partition, 0 for a directory; `None` where there is neither.
    ///
    /// # Errors
    /// There is no such partition, or it cannot be read.
    fn find(&mut self, partition: &Partition, path: &str) -> Result<Option<u64>, Failure>;

    /// The same of a file that must be there.
    ///
    /// # Errors
    /// Those of [`Platform::find`]; there is no such file.
    fn size(&mut self, partition: &Partition, path: &str) -> Result<u64, Failure> {
        let found = self.find(partition, path)?;
        found.ok_or_else(|| Failure::because(format!("{path}: not on the card")))
    }

    /// What is in a directory of a card's partition, up to [`MOST_LISTED`] entries.
    ///
    /// # Errors
    /// There is no such directory, or no such partition.
    fn list(&mut self, partition: &Partition, path: &str) -> Result<Directory, Failure>;

    /// Jumps to the program in `boot`, Xen or Linux or whatever else has an arm64 header. Comes back only where that failed; on a
    /// host it says what would be done, and ends the script.
    fn boot(&mut self, boot: &Boot<'_>) -> Failure;

    /// Jumps to whatever lies at `entry`, as the firmware would have: at EL2, MMU and caches off, x0 the firmware's tree. Nothing of it is
    /// checked but that it is memory. Comes back only where that failed; on a host it ends the script.
    fn go(&mut self, entry: u64) -> Failure;

    /// Resets the board; on a host it ends the script.
    fn reset(&mut self) -> Failure;
}

/// What a machine can tell of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Link, address, server, and what was counted.
    Network,
    /// The Ethernet controller's and the PHY's registers, decoded.
    NetworkRegisters,
    /// The diagnosis that is kept, up to this level.
    Log(LevelFilter),
    /// When each step of the boot was taken.
    Timing,
    /// The watchdog: whether it runs, who armed it, what it has left.
    Watchdog,
    /// What this machine is and has, to be pasted into a bug report.
    SelfTest,
    /// What booting the entry with this index would take: files, sizes, addresses, arguments. Nothing of it is done.
    Plan(usize),
}

/// What is known of the board, for the variables that scripts expect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The revision code.
    pub revision: Option<u32>,
    /// The board's name.
    pub model: Option<String>,
    /// The serial number.
    pub serial: Option<u64>,
    /// The Ethernet controller's address.
    pub mac: Option<[u8; 6]>,
    /// The file name of this board's tree, such as `bcm2711-rpi-4-b.dtb`.
    pub device_tree: Option<String>,
    /// Where the firmware's tree lies.
    pub firmware_tree: Option<PhysicalRange>,
    /// The firmware's command line (`/chosen/bootargs`).
    pub bootargs: String,
}

/// Where files are fetched from, as the variables say; what is `None` is as the board's session has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// The board's own address.
    pub address: Option<Ipv4Addr>,
    /// Its network's mask; without one everything is on the link.
    pub netmask: Option<Ipv4Addr>,
    /// The router.
    pub gateway: Option<Ipv4Addr>,
    /// The TFTP server.
    pub server: Option<Ipv4Addr>,
    /// Bytes in a block.
    pub block_size: Option<u16>,
    /// Blocks in a window.
    pub window: Option<u16>,
    /// How long a server may be silent in the middle of a file.
    pub patience: Option<Duration>,
}

/// Why something did not come over the network, and whether it may come if it is asked for again.
#[derive(Debug)]
pub struct NetworkFailure {
    /// Why.
    pub failure: Failure,
    /// Whether the reason lies out there (a silent server, a cable) and may be gone in a moment. A file that is not there is an answer, and what
    /// the script itself got wrong stays wrong.
    pub may_pass: bool,
}

impl From<Failure> for NetworkFailure {
    fn from(failure: Failure) -> Self {
        Self { failure, may_pass: false }
    }
}

/// What a DHCP server said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// The board's address.
    pub address: Option<Ipv4Addr>,
    /// Its network's mask.
    pub netmask: Option<Ipv4Addr>,
    /// The router.
    pub gateway: Option<Ipv4Addr>,
    /// The server to boot from, where one was named.
    pub server: Option<Ipv4Addr>,
    /// The server that may have the files where none was named and nothing else says one, such as the DHCP server itself.
    pub likely_server: Option<Ipv4Addr>,
    /// The file to boot.
    pub boot_file: Option<String>,
}

/// A partition, as scripts name it: `mmc 0:1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The kind of device: `mmc`, `usb`, `scsi`, `virtio`.
    pub interface: String,
    /// Which of them.
    pub device: u32,
    /// The number of the partition from 1; 0 is the whole device, `None` (`auto`) the first that can be booted from.
    pub partition: Option<u32>,
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:x}", self.interface, self.device)?;
        self.partition.map_or(Ok(()), |partition| write!(f, ":{partition:x}"))
    }
}

/// A partition as the device's table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionEntry {
    /// Its number, from 1.
    pub number: u32,
    /// Its first block of 512 bytes.
    pub first: u64,
    /// How many blocks it has.
    pub blocks: u64,
    /// What the table says is in it, such as 0x0c for FAT32.
    pub kind: u8,
    /// Whether it is marked as the one to boot from.
    pub bootable: bool,
    /// The number of the table that has it (an MBR's four bytes at 440), by which Linux names partitions; `None` without a table.
    pub table: Option<u32>,
}

/// Entries of a directory that are listed: three times as many as the Raspberry Pi's largest has, and a card that lies can have 65,536.
pub const MOST_LISTED: usize = 1024;

/// What is in a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// The entries, at most [`MOST_LISTED`].
    pub entries: Vec<DirectoryEntry>,
    /// Whether they are all that there are.
    pub whole: bool,
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// Its long name.
    pub name: String,
    /// Bytes; `None` for a directory.
    pub size: Option<u64>,
}

/// What is to be booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot<'a> {
    /// The program's file, with its arm64 header.
    pub program: PhysicalRange,
    /// The ramdisk of a Linux that runs without Xen; Xen's modules are in the tree.
    pub ramdisk: Option<PhysicalRange>,
    /// The device tree.
    pub tree: PhysicalRange,
    /// The variable `bootargs`, where it is set: it becomes the `bootargs` of `/chosen`.
    pub arguments: Option<&'a str>,
    /// The variable `ethaddr`, where it is not the board's own address: it becomes the Ethernet controller's `local-mac-address`.
    pub mac_address: Option<[u8; 6]>,
    /// What was loaded, to give names to what lies in memory.
    pub loaded: &'a [Loaded],
}

impl Boot<'_> {
    /// Writes into the tree what is said beside it: arguments, ramdisk, and the Ethernet address, where the alias `ethernet0` names a controller.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn write_into(&self, editor: &mut Editor<'_>) -> Result<(), edit::Error> {
        if editor.tree()?.find("/chosen").is_none() {
            editor.add_node("/", "chosen")?;
        }
        if let Some(arguments) = self.arguments {
            editor.set_string("/chosen", "bootargs", arguments)?;
        }
        if let Some(PhysicalRange { start, end }) = self.ramdisk {
            editor.set_property("/chosen", "linux,initrd-start", &start.to_be_bytes())?;
            editor.set_property("/chosen", "linux,initrd-end", &end.to_be_bytes())?;
        }
        if let Some(address) = self.mac_address {
            let controller = editor.tree()?.find("ethernet0").map(|node| node.path().to_string());
            if let Some(path) = controller {
                editor.set_property(&path, "local-mac-address", &address)?;
            }
        }
        Ok(())
    }
}

/// Why a range of addresses cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotMemory {
    /// It is not all in one bank of memory.
    Outside(PhysicalRange),
    /// Something lies there that must stay.
    Taken {
        /// What was asked for.
        range: PhysicalRange,
        /// What lies there.
        name: String,
        /// Where.
        taken: PhysicalRange,
    },
}

impl NotMemory {
    /// The same, said of all the bytes that were wanted, if that is known: not of where they were to begin alone.
    pub fn of_size(mut self, size: Option<u64>) -> Self {
        let (Self::Outside(range) | Self::Taken { range, .. }) = &mut self;
        let wanted = size.and_then(|size| PhysicalRange::sized(range.start, size));
        *range = wanted.filter(|wanted| !wanted.is_empty()).unwrap_or(*range);
        self
    }
}

impl fmt::Display for NotMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside(range) => write!(f, "{} is not memory (`bdinfo` shows what is)", Wanted(range)),
            Self::Taken { range, name, taken } => write!(f, "{} is not free: {name} is at {taken}", Wanted(range)),
        }
    }
}

/// What was asked for: where a file begins whose length is not known, or all of it.
struct Wanted<'a>(&'a PhysicalRange);

impl fmt::Display for Wanted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.size() {
            1 => write!(f, "{:#010x}", self.0.start),
            _ => self.0.fmt(f),
        }
    }
}

impl From<NotMemory> for Failure {
    fn from(error: NotMemory) -> Self {
        Self::because(error)
    }
}
