//! `loader.toml`, read into [`Settings`].
//!
//! The grammar is the one table of keys below; whatever is not in it is an error. Reading is strict because a board has nobody to ask: a
//! mistyped key that is silently ignored shows up as a boot that goes wrong somewhere else. TOML itself is parsed by the `toml` crate
//! (without serde, for its size).

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use super::pieces::LARGEST_PIECE;
use super::pieces::{Piece, pieces};
use super::reader::{At, StringOrTable, Table, Text, shown};
pub use super::reader::{Error, Problem};
use super::source::{File, ServerAddress, Source, TFTP_PORT, parse_sha256};
use super::{DeviceTree, Dom0, Domain, Entry, InterfaceAddress, Linux, Network, Payload, Settings, Timeout, Xen};
use super::{command_line, nearest};

/// The largest `loader.toml` in bytes. What is kept of the worst of texts, and what the parser takes for the largest piece of it, fit into
/// the loader's heap (`tests/settings_memory.rs` measures it).
pub const LARGEST: usize = 128 * 1024;
/// The longest name of an entry, in characters.
pub const LONGEST_NAME: usize = 32;
/// The longest title of an entry, in characters: one line of the menu.
pub const LONGEST_TITLE: usize = 64;
/// The most entries.
pub const MOST_ENTRIES: usize = 256;
/// The most overlays of an entry.
pub const MOST_OVERLAYS: usize = 32;
/// The longest wait for a choice, in seconds.
pub const LONGEST_TIMEOUT: u32 = 3600;

const ROOT_KEYS: &[&str] = &["default", "timeout", "network", "entry"];
const NETWORK_KEYS: &[&str] = &["address", "gateway", "server"];
const ENTRY_KEYS: &[&str] =
    &["name", "title", "device-tree", "overlays", "fallback", "xen", "dom0", "domu", "linux", "script", "imagebuilder"];
const XEN_KEYS: &[&str] = &["image", "args"];
const DOM0_KEYS: &[&str] = &["kernel", "ramdisk", "args"];
const DOMU_KEYS: &[&str] = &["name", "memory", "cpus", "vpl011", "kernel", "ramdisk", "device-tree", "args"];
const LINUX_KEYS: &[&str] = &["image", "ramdisk", "args"];
const FILE_KEYS: &[&str] = &["path", "sha256"];

/// Reads `loader.toml`.
///
/// # Errors
/// The first thing that is wrong, with line and column. A file of more than [`LARGEST`] bytes is refused unread.
pub fn parse(bytes: &[u8]) -> Result<Settings, Error> {
    parse_in_pieces(bytes, &mut || {})
}

/// Reads `loader.toml` as [`parse`] does; `between` is called after each entry, for whatever else must not wait.
///
/// # Errors
/// As [`parse`].
pub fn parse_in_pieces(bytes: &[u8], between: &mut dyn FnMut()) -> Result<Settings, Error> {
    let whole = |problem| Error { line: 0, column: 0, problem };
    if bytes.len() > LARGEST {
        return Err(whole(Problem::TooLong { bytes: bytes.len(), limit: LARGEST }));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(whole(Problem::Utf16));
    }
    let text = core::str::from_utf8(bytes).map_err(|error| {
        let (good, bad) = bytes.split_at(error.valid_up_to().min(bytes.len()));
        let good = Text { whole: core::str::from_utf8(good).unwrap_or_default(), start: 0 };
        good.error(good.whole.len(), Problem::NotUtf8(bad.first().copied().unwrap_or_default()))
    })?;
    let mut reading =
        Reading { text, settings: Settings::default(), default: None, fallbacks: Vec::new(), seen: Seen::default() };
    for piece in pieces(text) {
        reading.piece(&piece)?;
        between();
    }
    reading.finish()
}

/// Settings of which some pieces have been read.
struct Reading<'t> {
    text: &'t str,
    settings: Settings,
    /// Where in the text `default` names an entry.
    default: Option<usize>,
    /// Where in the text each entry names its fallback.
    fallbacks: Vec<Option<usize>>,
    seen: Seen,
}

/// What a later piece must not have again.
#[derive(Default)]
struct Seen {
    network: bool,
    /// Entries that are not written as `[[entry]]`.
    other_entries: bool,
}

impl Reading<'_> {
    fn piece(&mut self, piece: &Piece<'_>) -> Result<(), Error> {
        let text = Text { whole: self.text, start: piece.start };
        let bytes = piece.text.len();
        if bytes > LARGEST_PIECE {
            return Err(text.error(0, Problem::LongPiece { bytes, limit: LARGEST_PIECE }));
        }
        if piece.entry && self.seen.other_entries {
            let problem = "an entry was written in another way before; write [[entry]] without quotes everywhere";
            return Err(text.error(0, Problem::Syntax(String::from(problem))));
        }
        let document = DeTable::parse(piece.text).map_err(|error| {
            let start = error.span().map_or(bytes, |span| span.start);
            text.error(start, Problem::Syntax(error.message().to_string()))
        })?;
        let root = Table::new(text, document.get_ref(), 0..bytes, "the top level", ROOT_KEYS)?;
        match root.integer_or_word("timeout", LONGEST_TIMEOUT, "seconds", "never")? {
            None => {}
            Some(None) => self.settings.timeout = Timeout::Never,
            Some(Some(seconds)) => {
                self.settings.timeout = Timeout::Seconds(u16::try_from(seconds).unwrap_or(u16::MAX));
            }
        }
        if let Some(table) = root.table("network", "[network]", NETWORK_KEYS)? {
            if self.seen.network {
                let problem = Problem::Duplicate { what: "a table", name: String::from("network") };
                return Err(table.error(table.start, problem));
            }
            self.settings.network = network(&table)?;
            self.seen.network = true;
        }
        if let Some((name, offset)) = root.string("default")? {
            self.settings.default = Some(String::from(name));
            self.default = Some(piece.start.saturating_add(offset));
        }
        let tables = root.tables("entry", "[[entry]]", ENTRY_KEYS)?;
        self.seen.other_entries = !piece.entry && !tables.is_empty();
        tables.iter().try_for_each(|table| self.entry(piece, &root, table))
    }

    fn entry(&mut self, piece: &Piece<'_>, root: &Table<'_, '_>, table: &Table<'_, '_>) -> Result<(), Error> {
        let entries = &mut self.settings.entries;
        if entries.len() >= MOST_ENTRIES {
            let expected = alloc::format!("at most {MOST_ENTRIES} entries");
            return Err(root.bad("entry", entries.len().saturating_add(1), table.start, expected));
        }
        let entry = entry(table)?;
        if entries.iter().any(|other| other.name == entry.name) {
            let problem = Problem::Duplicate { what: "an entry", name: entry.name };
            return Err(table.error(name_offset(table)?, problem));
        }
        entries.push(entry);
        self.fallbacks.push(table.string("fallback")?.map(|(_, offset)| piece.start.saturating_add(offset)));
        Ok(())
    }

    /// Looks at what names other entries, now that all are known.
    fn finish(self) -> Result<Settings, Error> {
        let Self { text, settings, default, fallbacks, .. } = self;
        let text = Text { whole: text, start: 0 };
        let entries = &settings.entries;
        let mut next = Vec::with_capacity(entries.len());
        for (entry, offset) in entries.iter().zip(&fallbacks) {
            next.push(match (entry.fallback.as_deref(), offset) {
                (Some(name), Some(offset)) => Some(number_of(text, "fallback", name, *offset, entries)?),
                _ => None,
            });
        }
        for (number, (entry, offset)) in entries.iter().zip(&fallbacks).enumerate() {
            if is_in_a_circle(&next, number) {
                return Err(text.error(offset.unwrap_or_default(), Problem::FallbackCircle(entry.name.clone())));
            }
        }
        if let (Some(name), Some(offset)) = (settings.default.as_deref(), default) {
            number_of(text, "default", name, offset, entries)?;
        }
        Ok(settings)
    }
}

fn name_offset(table: &Table<'_, '_>) -> Result<usize, Error> {
    Ok(table.string("name")?.map_or(table.start, |(_, offset)| offset))
}

/// The index of the entry that `key` at `offset` names.
fn number_of(text: Text<'_>, key: &'static str, name: &str, offset: usize, entries: &[Entry]) -> Result<usize, Error> {
    entries.iter().position(|entry| entry.name == name).ok_or_else(|| {
        let nearest = nearest::nearest(name, entries.iter().map(|entry| entry.name.as_str())).map(String::from);
        text.error(offset, Problem::NoSuchEntry { key, name: shown(name), nearest })
    })
}

/// Whether following the fallbacks from the entry with that index comes back to it: a failed boot follows them until something works, and
/// that must come to an end. A circle further on is told at the entries that are in it.
fn is_in_a_circle(next: &[Option<usize>], start: usize) -> bool {
    let follow = |index: &usize| next.get(*index).copied().flatten();
    core::iter::successors(follow(&start), follow).take(next.len()).any(|index| index == start)
}

fn network(table: &Table<'_, '_>) -> Result<Network, Error> {
    let mut network = Network::default();
    if let Some((text, offset)) = table.string("address")? {
        let address = parse_interface_address(text)
            .ok_or_else(|| table.bad("address", text, offset, "ADDRESS/PREFIX as in \"192.168.0.2/24\""))?;
        network.address = Some(address);
    }
    if let Some((text, offset)) = table.string("gateway")? {
        let gateway = parse_gateway(text)
            .ok_or_else(|| table.bad("gateway", text, offset, "an IPv4 address as in \"192.168.0.1\""))?;
        if network.address.is_none() {
            return Err(table.bad("gateway", text, offset, "address beside it (without one, DHCP gives both)"));
        }
        network.gateway = Some(gateway);
    }
    if let Some((text, offset)) = table.string("server")? {
        let server = ServerAddress::parse(text, TFTP_PORT).map_err(|error| table.bad("server", text, offset, error))?;
        network.server = Some(server);
    }
    Ok(network)
}

/// Reads `192.168.0.2/24`; the address must be one that an interface can have.
pub fn parse_interface_address(text: &str) -> Option<InterfaceAddress> {
    let (address, prefix) = text.split_once('/')?;
    let address = parse_gateway(address)?;
    if prefix.starts_with('+') {
        return None;
    }
    let prefix = prefix.parse().ok().filter(|bits| (1..=32).contains(bits))?;
    Some(InterfaceAddress { address, prefix })
}

/// Reads an IPv4 address that one machine can have.
pub fn parse_gateway(text: &str) -> Option<Ipv4Addr> {
    let address: Ipv4Addr = text.parse().ok()?;
    let usable =
        !address.is_unspecified() && !address.is_multicast() && !address.is_broadcast() && !address.is_loopback();
    usable.then_some(address)
}

/// A title is there to be shown: what is no character of it is shown as one, and what is too long is cut. Nothing boots less for it.
fn shown_title(title: &str) -> String {
    let mut characters = title.chars().map(|c| if c.is_control() { '?' } else { c });
    let mut shown: String = characters.by_ref().take(LONGEST_TITLE).collect();
    if characters.next().is_some() {
        shown.push_str("...");
    }
    shown
}

fn entry(table: &Table<'_, '_>) -> Result<Entry, Error> {
    let (name, offset) = table.required("name", table.string("name")?)?;
    if !is_entry_name(name) {
        let expected = alloc::format!("1 to {LONGEST_NAME} characters without spaces");
        return Err(table.bad("name", name, offset, expected));
    }
    let title = table.string("title")?.map(|(title, _)| shown_title(title));
    Ok(Entry {
        name: String::from(name),
        title,
        device_tree: table.any("device-tree", device_tree)?.unwrap_or_default(),
        overlays: table.array("overlays", MOST_OVERLAYS, file)?,
        fallback: table.string("fallback")?.map(|(name, _)| String::from(name)),
        payload: payload(table, name)?,
    })
}

/// Whether `name` can be an entry's: it is a word on the firmware's command line (`xenlift.default=`).
fn is_entry_name(name: &str) -> bool {
    let characters = name.chars().count();
    (1..=LONGEST_NAME).contains(&characters) && !name.chars().any(|c| c.is_control() || c.is_whitespace())
}

fn payload(table: &Table<'_, '_>, name: &str) -> Result<Payload, Error> {
    let xen = table.table("xen", "[entry.xen]", XEN_KEYS)?;
    let dom0 = table.table("dom0", "[entry.dom0]", DOM0_KEYS)?;
    let domains = table.tables("domu", "[[entry.domu]]", DOMU_KEYS)?;
    let linux = table.table("linux", "[entry.linux]", LINUX_KEYS)?;
    let script = table.any("script", file)?;
    let imagebuilder = table.any("imagebuilder", file)?;
    let wrong = |reason| Err(table.error(table.start, Problem::Payload { entry: String::from(name), reason }));
    if xen.is_none() && (dom0.is_some() || !domains.is_empty()) {
        return wrong("[entry.dom0] and [[entry.domu]] need [entry.xen] beside them");
    }
    match (xen, linux, script, imagebuilder) {
        (Some(xen), None, None, None) => {
            if dom0.is_none() && domains.is_empty() {
                return wrong("[entry.xen] needs [entry.dom0] or at least one [[entry.domu]] beside it");
            }
            Ok(Payload::Xen(Xen {
                image: xen.required("image", xen.any("image", file)?)?,
                args: args(&xen, command_line::check_xen)?,
                dom0: dom0.as_ref().map(self::dom0).transpose()?,
                domains: self::domains(&domains)?,
            }))
        }
        (None, Some(linux), None, None) => Ok(Payload::Linux(Linux {
            image: linux.required("image", linux.any("image", file)?)?,
            ramdisk: linux.any("ramdisk", ramdisk)?,
            args: args(&linux, command_line::check)?,
        })),
        (None, None, Some(script), None) => Ok(Payload::Script(script)),
        (None, None, None, Some(config)) => Ok(Payload::ImageBuilder(config)),
        (None, None, None, None) => {
            wrong("nothing to boot; it needs [entry.xen], [entry.linux], script or imagebuilder")
        }
        _ => wrong("more than one thing to boot; give one of [entry.xen], [entry.linux], script, imagebuilder"),
    }
}

fn dom0(table: &Table<'_, '_>) -> Result<Dom0, Error> {
    Ok(Dom0 {
        kernel: table.required("kernel", table.any("kernel", file)?)?,
        ramdisk: table.any("ramdisk", ramdisk)?,
        args: args(table, command_line::check)?,
    })
}

fn domains(tables: &[Table<'_, '_>]) -> Result<Vec<Domain>, Error> {
    let mut domains: Vec<Domain> = Vec::new();
    for table in tables {
        let (name, offset) = table.required("name", table.string("name")?)?;
        if !is_node_name(name) {
            return Err(table.bad(
                "name",
                name,
                offset,
                "1 to 31 letters, digits, '-', '_', '.' or '+', a letter first",
            ));
        }
        if domains.iter().any(|other| other.name == name) {
            return Err(table.error(offset, Problem::Duplicate { what: "a domain", name: String::from(name) }));
        }
        let (memory, offset) = table.required("memory", table.string("memory")?)?;
        let bytes = command_line::parse_size(memory).filter(|bytes| *bytes > 0 && *bytes % 1024 == 0);
        domains.push(Domain {
            name: String::from(name),
            memory: bytes.ok_or_else(|| table.bad("memory", memory, offset, "a size such as \"256M\" or \"1G\""))?,
            cpus: table.integer("cpus", 1, 128, "virtual CPUs")?.unwrap_or(1),
            vpl011: table.boolean("vpl011")?.unwrap_or(false),
            kernel: table.required("kernel", table.any("kernel", file)?)?,
            ramdisk: table.any("ramdisk", ramdisk)?,
            device_tree: table.any("device-tree", file)?,
            args: args(table, command_line::check)?,
        });
    }
    Ok(domains)
}

/// Whether `name` can name a device-tree node (Devicetree Specification 0.4, 2.2.1: 1 to 31 characters, a letter first; no comma here,
/// because commas separate names in Xen's own options).
fn is_node_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
    name.len() <= 31 && name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(allowed)
}

fn args(table: &Table<'_, '_>, check: fn(&str) -> Result<(), command_line::ArgumentError>) -> Result<String, Error> {
    let Some((args, offset)) = table.string("args")? else { return Ok(String::new()) };
    check(args).map_err(|error| table.bad("args", args, offset, error))?;
    Ok(String::from(args))
}

fn source(table: &Table<'_, '_>, key: &'static str, (text, offset): At<&str>) -> Result<Source, Error> {
    Source::parse(text).map_err(|error| table.bad(key, text, offset, error))
}

fn file(table: &Table<'_, '_>, key: &'static str, value: &Spanned<DeValue<'_>>) -> Result<File, Error> {
    match table.string_or_table(key, value, FILE_KEYS)? {
        StringOrTable::String(text) => Ok(File { source: source(table, key, text)?, sha256: None }),
        StringOrTable::Table(inner) => {
            let path = inner.required("path", inner.string("path")?)?;
            let sha256 = match inner.string("sha256")? {
                Some((text, offset)) => {
                    Some(parse_sha256(text).ok_or_else(|| inner.bad("sha256", text, offset, "64 hexadecimal digits"))?)
                }
                None => None,
            };
            Ok(File { source: source(&inner, "path", path)?, sha256 })
        }
    }
}

/// A file, where the word `initramfs` is what the firmware loaded.
fn ramdisk(table: &Table<'_, '_>, key: &'static str, value: &Spanned<DeValue<'_>>) -> Result<File, Error> {
    let mut file = file(table, key, value)?;
    if file.source == Source::Path(String::from("initramfs")) {
        file.source = Source::Initramfs;
    }
    Ok(file)
}

fn device_tree(table: &Table<'_, '_>, key: &'static str, value: &Spanned<DeValue<'_>>) -> Result<DeviceTree, Error> {
    let file = file(table, key, value)?;
    match (&file.source, &file.sha256) {
        (Source::Path(path), None) if path == "firmware" => Ok(DeviceTree::Firmware),
        (Source::Path(path), None) if path == "auto" => Ok(DeviceTree::Auto),
        _ => Ok(DeviceTree::File(file)),
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
