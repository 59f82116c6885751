//! `crc32`, `hash` and `sha256sum`: digests of memory, shown, kept, or compared with what they should be. Sizes are in bytes.

use super::{objects, unreachable};
use crate::boot::digest::Algorithm;
use crate::range::PhysicalRange;
use crate::shell::{Command, Failure, Outcome, Shell, number};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

/// The commands of this module.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "crc32",
        usage: "ADDRESS SIZE [DESTINATION]\n-v ADDRESS SIZE CRC",
        help: "compute the CRC-32 of SIZE bytes and write it to DESTINATION, or compare it",
        example: "crc32 0x1000000 100",
        run: crc,
    },
    Command {
        name: "hash",
        usage: "crc32|md5|sha1|sha256 ADDRESS SIZE [VARIABLE|*DESTINATION]\n-v crc32|md5|sha1|sha256 ADDRESS SIZE DIGEST|VARIABLE|*ADDRESS",
        help: "compute a digest of SIZE bytes and keep it, or compare it",
        example: "hash crc32 0x1000000 100",
        run: hash,
    },
    Command {
        name: "sha256sum",
        usage: "ADDRESS SIZE [VARIABLE|*DESTINATION]\n-v ADDRESS SIZE DIGEST|VARIABLE|*ADDRESS",
        help: "compute the SHA-256 of SIZE bytes and keep it, or compare it",
        example: "sha256sum 0x1000000 100",
        run: sha256,
    },
];

fn named(name: &str) -> Result<Algorithm, Failure> {
    Algorithm::named(name)
        .ok_or_else(|| Failure::because(format!("{name} is not computed here: crc32, md5, sha1 and sha256 are")))
}

/// The digest of the bytes in `range`.
fn of(shell: &mut Shell<'_>, algorithm: Algorithm, range: PhysicalRange) -> Result<Vec<u8>, Failure> {
    shell.platform.memory(range).map_err(unreachable)?;
    shell.digest(algorithm, range)
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
    digest(shell, named(name)?, rest, verify)
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
    let digest = of(shell, algorithm, range)?;
    shell.say(format_args!("{}\n", shown(algorithm, range, &digest)))?;
    match to {
        None => {}
        Some(Place::Variable(name)) => drop(shell.store(name, &hex(&digest))?),
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
        other => other.name(),
    };
    format!("{name} for {:08x} ... {last:08x} ==> {}", range.start, hex(digest))
}

fn verified(shell: &mut Shell<'_>, algorithm: Algorithm, arguments: &[String]) -> Outcome {
    let [address, size, expected] = arguments else { return Err(Failure::Usage) };
    let range = objects(number::hexadecimal(address)?, number::hexadecimal(size)?, 1)?;
    let digest = of(shell, algorithm, range)?;
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
    shell.say(format_args!("{line} != {expected} ** ERROR **\n"))?;
    Ok(false)
}
