//! `md`, `mw`, `cp`, `cmp`, `crc32`, `hash`, `bdinfo`: looking at memory and filling it, by U-Boot's rules and in its spelling.
//!
//! Addresses, counts and values are hexadecimal; a count is one of objects, whose size the command's suffix says (`.b` `.w` `.l` `.q`: 1, 2, 4, 8 bytes; 4 without
//! one), except for digests, which count bytes. Only memory can be reached: reading a device's register can hang the board or change the
//! device, and what the loader and the firmware keep is not overwritten.

use super::super::platform::NotMemory;
use super::super::{Command, Failure, Outcome, Shell, number};
use crate::boot::digest::crc32_continued;
use crate::range::PhysicalRange;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write as _;
use sha2::{Digest as _, Sha256};

/// The commands of this module.
pub const COMMANDS: &[Command] = &[
    Command { name: "md", usage: "ADDRESS [COUNT]", help: "show memory (md.b, md.w, md.l, md.q)", run: show },
    Command { name: "mw", usage: "ADDRESS VALUE [COUNT]", help: "fill memory (mw.b, mw.w, mw.l, mw.q)", run: fill },
    Command { name: "cp", usage: "FROM TO COUNT", help: "copy memory (cp.b, cp.w, cp.l, cp.q)", run: copy },
    Command {
        name: "cmp",
        usage: "FIRST SECOND COUNT",
        help: "compare memory (cmp.b, cmp.w, cmp.l, cmp.q)",
        run: compare,
    },
    Command {
        name: "crc32",
        usage: "ADDRESS SIZE [DESTINATION]\n-v ADDRESS SIZE CRC",
        help: "compute the CRC-32 of SIZE bytes and write it to DESTINATION, or compare it",
        run: crc,
    },
    Command {
        name: "hash",
        usage: "crc32|sha256 ADDRESS SIZE [VARIABLE|*DESTINATION]\n-v crc32|sha256 ADDRESS SIZE DIGEST|VARIABLE|*ADDRESS",
        help: "compute a digest of SIZE bytes and keep it, or compare it",
        run: hash,
    },
    Command {
        name: "sha256sum",
        usage: "ADDRESS SIZE [VARIABLE|*DESTINATION]\n-v ADDRESS SIZE DIGEST|VARIABLE|*ADDRESS",
        help: "compute the SHA-256 of SIZE bytes and keep it, or compare it",
        run: sha256,
    },
    Command { name: "base", usage: "[0]", help: "show the offset of addresses, which is always 0", run: base },
    Command { name: "bdinfo", usage: "", help: "show the board's memory, and who lies where", run: board_info },
    Command { name: "mm", usage: "ADDRESS", help: "not here: use md and mw", run: not_by_hand },
    Command { name: "nm", usage: "ADDRESS", help: "not here: use md and mw", run: not_by_hand },
];

/// Bytes between two looks at the keyboard.
const PIECE: u64 = 64 << 10;
/// Bytes in a line of `md`.
const LINE: usize = 16;

/// The size of a command's objects, by the suffix of its name.
fn width(name: &str) -> Result<usize, Failure> {
    match name.split_once('.').map(|(_, suffix)| suffix) {
        None | Some("l") => Ok(4),
        Some("b") => Ok(1),
        Some("w") => Ok(2),
        Some("q") => Ok(8),
        Some(other) => Err(Failure::because(format!("there is no size .{other}: .b .w .l .q are 1, 2, 4 and 8 bytes"))),
    }
}

/// `count` objects of `width` bytes from `address` on.
fn objects(address: u64, count: u64, width: usize) -> Result<PhysicalRange, Failure> {
    let range = count.checked_mul(width as u64).and_then(|size| PhysicalRange::sized(address, size));
    range.ok_or_else(|| Failure::because(format!("{count:#x} objects from {address:#x} on pass the end of memory")))
}

/// What cannot be reached, in words.
fn unreachable(error: NotMemory) -> Failure {
    match error {
        NotMemory::Outside(range) => Failure::because(format!(
            "{range} is not memory, and devices' registers are left alone here; `bdinfo` shows what is memory"
        )),
        taken => taken.into(),
    }
}

/// `range` in pieces, each with a look at the keyboard before it.
fn pieces(
    shell: &mut Shell<'_>,
    range: PhysicalRange,
    each: &mut dyn FnMut(&mut Shell<'_>, PhysicalRange) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut start = range.start;
    while start < range.end {
        if shell.platform.interrupted() {
            return Err(Failure::Interrupted);
        }
        let end = start.saturating_add(PIECE).min(range.end);
        each(shell, PhysicalRange { start, end })?;
        start = end;
    }
    Ok(())
}

/// An object as a number; memory is little-endian.
fn value(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// `md ADDRESS [COUNT]`.
fn show(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    const COUNT: u64 = 0x40;
    let (name, address, count) = match arguments {
        [name, address] => (name, address, COUNT),
        [name, address, count] => (name, address, number::hexadecimal(count)?),
        _ => return Err(Failure::Usage),
    };
    let width = width(name)?;
    let range = objects(number::hexadecimal(address)?, count, width)?;
    shell.platform.memory(range).map_err(unreachable)?;
    let mut start = range.start;
    while start < range.end {
        let end = start.saturating_add(LINE as u64).min(range.end);
        let bytes = shell.platform.memory(PhysicalRange { start, end }).map_err(unreachable)?;
        let mut line = format!("{start:08x}:");
        for object in bytes.chunks(width) {
            let _ = write!(line, " {:0digits$x}", value(object), digits = 2 * width);
        }
        let missing = (LINE - bytes.len()) / width * (2 * width + 1);
        let _ = write!(line, "{:missing$}  ", "");
        line.extend(bytes.iter().map(|byte| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' }));
        shell.platform.print(format_args!("{line}\n"));
        if shell.platform.interrupted() {
            return Err(Failure::Interrupted);
        }
        start = end;
    }
    Ok(true)
}

/// `mw ADDRESS VALUE [COUNT]`.
fn fill(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let (name, address, value, count) = match arguments {
        [name, address, value] => (name, address, value, 1),
        [name, address, value, count] => (name, address, value, number::hexadecimal(count)?),
        _ => return Err(Failure::Usage),
    };
    let width = width(name)?;
    let range = objects(number::hexadecimal(address)?, count, width)?;
    let value = number::hexadecimal(value)?.to_le_bytes();
    let object = value.get(..width).unwrap_or(&value);
    shell.platform.memory_mut(range).map_err(unreachable)?;
    pieces(shell, range, &mut |shell, piece| {
        let bytes = shell.platform.memory_mut(piece).map_err(unreachable)?;
        bytes.chunks_exact_mut(width).for_each(|target| target.copy_from_slice(object));
        Ok(())
    })?;
    Ok(true)
}

/// `cp FROM TO COUNT`.
fn copy(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let [name, from, to, count] = arguments else { return Err(Failure::Usage) };
    let source = objects(number::hexadecimal(from)?, number::hexadecimal(count)?, width(name)?)?;
    shell.copy(source, number::hexadecimal(to)?).map_err(unreachable)?;
    Ok(true)
}

/// `cmp FIRST SECOND COUNT`.
fn compare(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let [name, first, second, count] = arguments else { return Err(Failure::Usage) };
    let (width, count) = (width(name)?, number::hexadecimal(count)?);
    let kind = match width {
        8 => "double word",
        4 => "word",
        2 => "halfword",
        _ => "byte",
    };
    let first = objects(number::hexadecimal(first)?, count, width)?;
    let second = objects(number::hexadecimal(second)?, count, width)?;
    shell.platform.memory(second).map_err(unreachable)?;
    let mut same = 0u64;
    let mut differs = None;
    let mut left = vec![0; PIECE as usize];
    pieces(shell, first, &mut |shell, piece| {
        if differs.is_some() {
            return Ok(());
        }
        let offset = piece.start - first.start;
        let other = PhysicalRange { start: second.start + offset, end: second.start + offset + piece.size() };
        let left = left.get_mut(..piece.size() as usize).unwrap_or_default();
        left.copy_from_slice(shell.platform.memory(piece).map_err(unreachable)?);
        let right = shell.platform.memory(other).map_err(unreachable)?;
        let mut pairs = left.chunks_exact(width).zip(right.chunks_exact(width));
        let equal = pairs.by_ref().take_while(|(left, right)| left == right).count();
        same += equal as u64;
        let at = |bytes: &[u8]| bytes.chunks_exact(width).nth(equal).map(value);
        differs = at(left).zip(at(right));
        Ok(())
    })?;
    if let Some((left, right)) = differs {
        let offset = same * width as u64;
        shell.platform.print(format_args!(
            "{kind} at {:#010x} ({left:#0width$x}) != {kind} at {:#010x} ({right:#0width$x})\n",
            first.start + offset,
            second.start + offset,
        ));
    }
    shell.platform.print(format_args!("Total of {same} {kind}(s) were the same\n"));
    Ok(differs.is_none())
}

/// A digest that is computed here.
#[derive(Clone, Copy)]
enum Algorithm {
    Crc32,
    Sha256,
}

impl Algorithm {
    fn named(name: &str) -> Result<Self, Failure> {
        match name {
            "crc32" => Ok(Self::Crc32),
            "sha256" => Ok(Self::Sha256),
            _ => Err(Failure::because(format!("{name} is not computed here: crc32 and sha256 are"))),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "crc32",
            Self::Sha256 => "sha256",
        }
    }

    /// The digest of the bytes in `range`.
    fn of(self, shell: &mut Shell<'_>, range: PhysicalRange) -> Result<Vec<u8>, Failure> {
        shell.platform.memory(range).map_err(unreachable)?;
        let (mut crc, mut sha256) = (0, Sha256::new());
        pieces(shell, range, &mut |shell, piece| {
            let bytes = shell.platform.memory(piece).map_err(unreachable)?;
            match self {
                Self::Crc32 => crc = crc32_continued(crc, bytes),
                Self::Sha256 => sha256.update(bytes),
            }
            Ok(())
        })?;
        Ok(match self {
            Self::Crc32 => crc.to_be_bytes().to_vec(),
            Self::Sha256 => sha256.finalize().to_vec(),
        })
    }
}

/// Where a digest is kept, or what it is compared with.
enum Place<'a> {
    Variable(&'a str),
    /// An address, where its bytes are in the order in which they are shown.
    Memory(u64),
    /// An address, where it is a little-endian number: U-Boot's `crc32` on this board.
    Number(u64),
}

impl<'a> Place<'a> {
    /// `*ADDRESS`, or else a variable.
    fn parse(text: &'a str) -> Result<Self, Failure> {
        match text.strip_prefix('*') {
            Some(address) => Ok(Self::Memory(number::hexadecimal(address)?)),
            None => Ok(Self::Variable(text)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// `crc32 [-v] ADDRESS SIZE [...]`; without `-v` the third argument is an address, with it what `hash` takes.
fn crc(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    match arguments.get(1..).unwrap_or_default() {
        [verify, rest @ ..] if verify == "-v" => verified(shell, Algorithm::Crc32, rest),
        [address, size] => kept(shell, Algorithm::Crc32, address, size, None),
        [address, size, to] => {
            kept(shell, Algorithm::Crc32, address, size, Some(Place::Number(number::hexadecimal(to)?)))
        }
        _ => Err(Failure::Usage),
    }
}

/// `sha256sum [-v] ADDRESS SIZE [...]`.
fn sha256(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    digest(shell, Algorithm::Sha256, arguments.get(1..).unwrap_or_default(), false)
}

/// `hash [-v] ALGORITHM ADDRESS SIZE [...]`.
fn hash(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let (verify, rest) = match arguments.get(1..).unwrap_or_default() {
        [verify, rest @ ..] if verify == "-v" => (true, rest),
        rest => (false, rest),
    };
    let [name, rest @ ..] = rest else { return Err(Failure::Usage) };
    digest(shell, Algorithm::named(name)?, rest, verify)
}

fn digest(shell: &mut Shell<'_>, algorithm: Algorithm, arguments: &[String], verify: bool) -> Outcome {
    match arguments {
        [option, rest @ ..] if option == "-v" => verified(shell, algorithm, rest),
        rest if verify => verified(shell, algorithm, rest),
        [address, size] => kept(shell, algorithm, address, size, None),
        [address, size, to] => kept(shell, algorithm, address, size, Some(Place::parse(to)?)),
        _ => Err(Failure::Usage),
    }
}

fn kept(shell: &mut Shell<'_>, algorithm: Algorithm, address: &str, size: &str, to: Option<Place<'_>>) -> Outcome {
    let range = objects(number::hexadecimal(address)?, number::hexadecimal(size)?, 1)?;
    let digest = algorithm.of(shell, range)?;
    shell.platform.print(format_args!("{}\n", shown(algorithm, range, &digest)));
    match to {
        None => {}
        Some(Place::Variable(name)) => shell.environment.set(name, &hex(&digest)),
        Some(Place::Memory(address)) => write(shell, address, &digest)?,
        Some(Place::Number(address)) => {
            let number: Vec<u8> = digest.iter().rev().copied().collect();
            write(shell, address, &number)?;
        }
    }
    Ok(true)
}

fn write(shell: &mut Shell<'_>, address: u64, bytes: &[u8]) -> Result<(), Failure> {
    let place = objects(address, bytes.len() as u64, 1)?;
    shell.platform.memory_mut(place).map_err(unreachable)?.copy_from_slice(bytes);
    Ok(())
}

fn shown(algorithm: Algorithm, range: PhysicalRange, digest: &[u8]) -> String {
    let last = range.end.wrapping_sub(1);
    let name = match algorithm {
        Algorithm::Crc32 => "CRC32",
        Algorithm::Sha256 => "sha256",
    };
    format!("{name} for {:08x} ... {last:08x} ==> {}", range.start, hex(digest))
}

fn verified(shell: &mut Shell<'_>, algorithm: Algorithm, arguments: &[String]) -> Outcome {
    let [address, size, expected] = arguments else { return Err(Failure::Usage) };
    let range = objects(number::hexadecimal(address)?, number::hexadecimal(size)?, 1)?;
    let digest = algorithm.of(shell, range)?;
    let digits = 2 * digest.len();
    let expected = match Place::parse(expected)? {
        Place::Memory(address) | Place::Number(address) => {
            let place = objects(address, digest.len() as u64, 1)?;
            hex(shell.platform.memory(place).map_err(unreachable)?)
        }
        // What has as many digits as a digest is one; anything else is the variable that has it.
        Place::Variable(text) if text.len() == digits => text.to_ascii_lowercase(),
        Place::Variable(name) => {
            let value = shell.environment.get(name).unwrap_or_default().to_ascii_lowercase();
            if value.len() != digits {
                let algorithm = algorithm.name();
                return Err(Failure::because(format!(
                    "{name} is neither {digits} digits of a {algorithm} nor a variable that has them"
                )));
            }
            value
        }
    };
    if expected == hex(&digest) {
        return Ok(true);
    }
    let line = shown(algorithm, range, &digest);
    shell.platform.print(format_args!("{line} != {expected} ** ERROR **\n"));
    Ok(false)
}

/// `base [0]`.
fn base(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    match arguments.get(1).map(|offset| number::hexadecimal(offset)).transpose()? {
        None | Some(0) => {
            shell.platform.print(format_args!("Base Address: 0x00000000\n"));
            Ok(true)
        }
        Some(_) => Err(Failure::because("addresses have no offset here: say them whole")),
    }
}

/// `bdinfo`.
fn board_info(shell: &mut Shell<'_>, _: &[String]) -> Outcome {
    let mut text = String::new();
    let mut line = |name: &str, value: u64| text += &format!("{name:<12}= {value:#018x}\n");
    let layout = shell.platform.layout();
    for (index, bank) in layout.banks().iter().enumerate() {
        line("DRAM bank", index as u64);
        line("-> start", bank.start);
        line("-> size", bank.size());
    }
    if let Some(tree) = shell.platform.facts().firmware_tree {
        line("fdt_blob", tree.start);
    }
    for name in ["ethaddr", "ipaddr", "serverip"] {
        if let Some(value) = shell.environment.get(name) {
            text += &format!("{name:<12}= {value}\n");
        }
    }
    text += "kept:\n";
    for occupant in layout.occupants() {
        text += &format!("  {}  {}\n", occupant.range, occupant.name);
    }
    text += "loaded:\n";
    for loaded in &shell.loaded {
        text += &format!("  {}  {}\n", loaded.range, loaded.name);
    }
    if let Some(tree) = shell.tree_range() {
        text += &format!("  {tree}  the working tree\n");
    }
    shell.platform.print(format_args!("{text}"));
    Ok(true)
}

/// `mm`, `nm`.
fn not_by_hand(_: &mut Shell<'_>, _: &[String]) -> Outcome {
    Err(Failure::because("memory is not edited by hand here: md shows it, mw changes it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::simulation::{FileMap, Simulation};
    use crate::shell::{Environment, Loaded, Platform};
    use alloc::string::ToString;

    struct Session {
        machine: Simulation,
        environment: Environment,
    }

    fn session() -> Session {
        let mut machine = Simulation::raspberry_pi_4(FileMap::default()).unwrap();
        let range = PhysicalRange { start: 0x100_0000, end: 0x100_0010 };
        machine.memory_mut(range).unwrap().copy_from_slice(b"0123456789abc\xff\0\n");
        Session { machine, environment: Environment::default() }
    }

    impl Session {
        fn run(&mut self, line: &str) -> Outcome {
            let words: Vec<String> = line.split(' ').map(String::from).collect();
            let name = words[0].split('.').next().unwrap();
            let command = COMMANDS.iter().find(|command| command.name == name).unwrap();
            let mut shell = Shell::new(&mut self.machine, core::mem::take(&mut self.environment));
            let range = PhysicalRange { start: 0x200_0000, end: 0x200_0100 };
            shell.loaded.push(Loaded { name: "xen".to_string(), range });
            let outcome = (command.run)(&mut shell, &words);
            self.environment = shell.environment;
            outcome
        }

        fn said(&mut self, line: &str) -> String {
            self.machine.output.clear();
            self.run(line).unwrap();
            self.machine.output.clone()
        }

        fn refusal(&mut self, line: &str) -> String {
            match self.run(line) {
                Err(Failure::Reason(reason)) => reason.to_string(),
                other => panic!("{line}: {other:?}"),
            }
        }
    }

    #[test]
    fn memory_is_shown_in_u_boots_columns() {
        let mut session = session();
        assert_eq!(
            session.said("md.b 1000000 10"),
            "01000000: 30 31 32 33 34 35 36 37 38 39 61 62 63 ff 00 0a  0123456789abc...\n"
        );
        assert_eq!(session.said("md 1000000 3"), "01000000: 33323130 37363534 62613938           0123456789ab\n");
        assert_eq!(session.said("md.q 1000000 1"), "01000000: 3736353433323130                   01234567\n");
        assert_eq!(session.said("md.w 1000000 2"), "01000000: 3130 3332                                0123\n");
        assert_eq!(session.said("md 1000000").lines().count(), 16);
    }

    #[test]
    fn memory_is_filled_copied_and_compared() {
        let mut session = session();
        session.said("mw.w 2000000 1234abcd 3");
        assert_eq!(
            session.said("md.b 2000000 8"),
            "02000000: cd ab cd ab cd ab 00 00                          ........\n"
        );
        session.said("cp.b 1000000 1000004 c");
        assert_eq!(
            session.said("md.b 1000000 10"),
            "01000000: 30 31 32 33 30 31 32 33 34 35 36 37 38 39 61 62  01230123456789ab\n"
        );
        assert_eq!(session.said("cmp.b 1000000 1000004 4"), "Total of 4 byte(s) were the same\n");
        assert_eq!(
            session.said("cmp 1000000 1000004 4"),
            "word at 0x01000004 (0x33323130) != word at 0x01000008 (0x37363534)\nTotal of 1 word(s) were the same\n"
        );
        assert!(!session.run("cmp 1000000 1000004 4").unwrap());
        session.said("mw.b 3000000 5a 20003");
        assert_eq!(session.said("cmp.b 3000000 3000001 20002"), "Total of 131074 byte(s) were the same\n");
        assert!(session.said("cmp.b 3000000 3000001 20003").ends_with("Total of 131074 byte(s) were the same\n"));
    }

    #[test]
    fn digests_are_shown_kept_and_compared() {
        let mut session = session();
        assert_eq!(
            session.said("crc32 1000000 9"),
            format!("CRC32 for 01000000 ... 01000008 ==> {:08x}\n", crc32_continued(0, b"012345678"))
        );
        session.said("mw.b 1000000 31 1");
        session.said("crc32 1000000 1 2000000");
        assert_eq!(session.said("md.b 2000000 4"), "02000000: b7 ef dc 83                                      ....\n");
        assert!(session.run("crc32 -v 1000000 1 83DCEFB7").unwrap());
        assert!(session.run("hash -v crc32 1000000 1 83dcefb7").unwrap());
        session.environment.set("wanted", "83dcefb8");
        assert!(!session.run("crc32 -v 1000000 1 wanted").unwrap());
        assert!(session.machine.output.ends_with(" ==> 83dcefb7 != 83dcefb8 ** ERROR **\n"));
        assert!(session.refusal("crc32 -v 1000000 1 nothing").contains("neither 8 digits"));
        session.said("hash sha256 1000000 1 sum");
        let sum = session.environment.get("sum").unwrap().to_string();
        assert_eq!(sum, "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b");
        assert!(session.run(&format!("sha256sum -v 1000000 1 {sum}")).unwrap());
        assert!(session.run("hash -v sha256 1000000 1 sum").unwrap());
        assert!(!session.run("sha256sum -v 1000000 2 sum").unwrap());
        assert_eq!(session.refusal("hash md5 1000000 1"), "md5 is not computed here: crc32 and sha256 are");
        assert!(session.said("sha256sum 1000000 20000 *2000000").contains("sha256 for 01000000 ... 0101ffff ==> "));
    }

    #[test]
    fn what_is_not_memory_or_kept_is_refused() {
        let mut session = session();
        let registers = "0xfe201000-0xfe201003 is not memory, and devices' registers are left alone here; `bdinfo` shows what is memory";
        for line in [
            "md fe201000 1",
            "mw fe201000 1",
            "cp fe201000 1000000 1",
            "cp 1000000 fe201000 1",
            "cmp fe201000 1000000 1",
            "cmp 1000000 fe201000 1",
            "crc32 fe201000 4",
        ] {
            assert_eq!(session.refusal(line), registers, "{line}");
        }
        assert!(
            session.refusal("mw 0 1").contains("page 0 is at 0x00000000-0x00000fff"),
            "{}",
            session.refusal("mw 0 1")
        );
        assert!(session.refusal("crc32 1000000 1 0").contains("page 0 is at 0x00000000-0x00000fff"));
        assert!(session.refusal("md ffffffffffffffff 2").contains("pass the end of memory"));
        assert!(session.refusal("mw.q 0 0 ffffffffffffffff").contains("pass the end of memory"));
        assert!(session.refusal("md.x 0").contains("no size .x"));
        assert!(matches!(session.run("md"), Err(Failure::Usage)));
        assert!(matches!(session.run("mw 0"), Err(Failure::Usage)));
        assert!(session.refusal("mm 0").contains("md shows it"));
        assert!(session.refusal("base 1000000").contains("no offset"));
    }

    #[test]
    fn ctrl_c_ends_what_takes_long() {
        let mut session = session();
        for line in
            ["md.b 1000000 100000", "mw.b 1000000 0 10000000", "crc32 1000000 10000000", "cmp 1000000 1000000 1000000"]
        {
            session.machine.interrupt_at = Some(crate::time::Instant::from_micros(0));
            assert!(matches!(session.run(line), Err(Failure::Interrupted)), "{line}");
        }
    }

    #[test]
    fn the_board_shows_who_lies_where() {
        let mut session = session();
        session.environment.set("ipaddr", "192.168.0.2");
        let said = session.said("bdinfo");
        assert!(
            said.starts_with(
                "DRAM bank   = 0x0000000000000000\n-> start    = 0x0000000000000000\n-> size     = 0x000000003b400000\n"
            ),
            "{said}"
        );
        assert!(
            said.contains("ipaddr      = 192.168.0.2\n") && said.contains("0x00000000-0x00000fff  page 0\n"),
            "{said}"
        );
        assert!(said.contains("0x02000000-0x020000ff  xen\n"), "{said}");
    }
}
