//! The words of Xen's command line that a loader can check before it jumps.
//!
//! Xen splits at spaces only, has no quotes, and cuts a line at its buffer without a word (`BOOTMOD_MAX_CMDLINE`, 1024 bytes with the
//! final NUL, in `xen/include/xen/bootfdt.h`). Sizes follow its `parse_size_and_unit`.

use core::fmt;

/// The longest command line, in bytes without the final NUL, that reaches Xen and its domains whole.
pub const LONGEST: usize = 1023;

/// The words of a command line.
pub fn words(line: &str) -> impl Iterator<Item = &str> + Clone {
    line.split(' ').filter(|word| !word.is_empty())
}

/// The value of the last `key=value` on the line: where a key is repeated, the last one counts for Xen.
pub fn value<'l>(line: &'l str, key: &str) -> Option<&'l str> {
    words(line).filter_map(|word| word.split_once('=')).filter(|(name, _)| *name == key).last().map(|(_, value)| value)
}

/// A size as Xen reads it: a number (decimal, `0x…` or `0…` octal) with one of the letters B, K, M, G, T; KiB where there is none.
/// `None` where it is no such number, is followed by anything else, or passes 64 bits.
pub fn parse_size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()?.to_ascii_lowercase() {
        // In a hexadecimal number a final B is a digit, as it is for Xen.
        b'b' if !is_hexadecimal(text) => (text.get(..text.len() - 1)?, 0),
        b'k' => (text.get(..text.len() - 1)?, 10),
        b'm' => (text.get(..text.len() - 1)?, 20),
        b'g' => (text.get(..text.len() - 1)?, 30),
        b't' => (text.get(..text.len() - 1)?, 40),
        _ => (text, 10),
    };
    let number = parse_number(digits)?;
    number.checked_mul(1 << shift)
}

fn is_hexadecimal(text: &str) -> bool {
    text.starts_with("0x") || text.starts_with("0X")
}

fn parse_number(digits: &str) -> Option<u64> {
    let (digits, radix) = if is_hexadecimal(digits) {
        (digits.get(2..)?, 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (digits.get(1..)?, 8)
    } else {
        (digits, 10)
    };
    // from_str_radix takes a sign, Xen does not.
    if digits.starts_with('+') { None } else { u64::from_str_radix(digits, radix).ok() }
}

/// How much memory `dom0_mem=` asks for, in bytes; `None` where the line does not say.
pub fn dom0_memory(line: &str) -> Result<Option<u64>, ArgumentError> {
    let Some(text) = value(line, "dom0_mem") else { return Ok(None) };
    if text.contains(',') {
        return Err(ArgumentError::Dom0MemoryList);
    }
    match parse_size(text) {
        Some(0) | None => Err(ArgumentError::Dom0Memory),
        Some(bytes) => Ok(Some(bytes)),
    }
}

/// Checks what can be checked of Xen's command line by itself.
pub fn check_xen(line: &str) -> Result<(), ArgumentError> {
    check(line)?;
    dom0_memory(line).map(|_| ())
}

/// Checks what holds for every command line: length, and no characters that could not be typed.
pub fn check(line: &str) -> Result<(), ArgumentError> {
    if line.len() > LONGEST {
        return Err(ArgumentError::TooLong(line.len()));
    }
    if line.chars().any(char::is_control) {
        return Err(ArgumentError::Control);
    }
    Ok(())
}

/// What is wrong with a command line. The texts are what was expected: they follow "expected".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentError {
    /// So many bytes, more than [`LONGEST`].
    TooLong(usize),
    /// A line break, tab or other control character.
    Control,
    /// `dom0_mem` with the `max:` and `min:` parts that only Xen for x86 takes.
    Dom0MemoryList,
    /// `dom0_mem` that is no size.
    Dom0Memory,
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => {
                write!(f, "a command line of at most {LONGEST} bytes (Xen cuts the rest), not {length}")
            }
            Self::Control => f.write_str("one line without tabs or other control characters"),
            Self::Dom0MemoryList => f.write_str(
                "dom0_mem=SIZE with one size, as in dom0_mem=1024M (\",max:\" is for x86; Xen on Arm rejects it)",
            ),
            Self::Dom0Memory => f.write_str("dom0_mem=SIZE with a size such as 768M or 1G"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_xen_reads_them() {
        assert_eq!(parse_size("768M"), Some(768 << 20));
        assert_eq!(parse_size("1g"), Some(1 << 30));
        assert_eq!(parse_size("2T"), Some(2 << 40));
        assert_eq!(parse_size("4k"), Some(4096));
        assert_eq!(parse_size("512B"), Some(512));
        assert_eq!(parse_size("512"), Some(512 << 10), "a bare number is KiB");
        assert_eq!(parse_size("0x10M"), Some(16 << 20));
        assert_eq!(parse_size("0x1B"), Some(0x1b << 10), "B is a digit here");
        assert_eq!(parse_size("010M"), Some(8 << 20), "a leading 0 is octal");
        assert_eq!(parse_size("0"), Some(0));
        for bad in ["", "M", "1.5G", "-1M", "+1M", "1GB", "1 M", "0x", "08M", "17179869184T", "99999999999999999999"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_last_of_repeated_words_counts() {
        let line = "console=dtuart  dom0_mem=1G dtuart=serial0 dom0_mem=512M";
        assert_eq!(value(line, "dom0_mem"), Some("512M"));
        assert_eq!(value(line, "dtuart"), Some("serial0"));
        assert_eq!(value(line, "dom0"), None);
        assert_eq!(dom0_memory(line), Ok(Some(512 << 20)));
        assert_eq!(dom0_memory("xdom0_mem=1G"), Ok(None));
    }

    #[test]
    fn dom0_mem_of_the_other_architecture_is_refused() {
        assert_eq!(check_xen("dom0_mem=1024M,max:1024M"), Err(ArgumentError::Dom0MemoryList));
        assert_eq!(check_xen("dom0_mem=1.5G"), Err(ArgumentError::Dom0Memory));
        assert_eq!(check_xen("dom0_mem=0"), Err(ArgumentError::Dom0Memory));
        assert_eq!(check_xen("dom0_mem="), Err(ArgumentError::Dom0Memory));
        assert_eq!(check_xen("dom0_mem=768M sched=null"), Ok(()));
    }

    #[test]
    fn a_line_may_have_1023_bytes_and_no_control_characters() {
        assert_eq!(check(&"a".repeat(1023)), Ok(()));
        assert_eq!(check(&"a".repeat(1024)), Err(ArgumentError::TooLong(1024)));
        assert_eq!(check("a\tb"), Err(ArgumentError::Control));
    }
}
