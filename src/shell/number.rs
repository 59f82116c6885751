//! Numbers as arguments of commands: hexadecimal unless the text says otherwise, as U-Boot reads them.

use super::Failure;
use alloc::format;

/// `text` as an address or a size, hexadecimal with or without `0x`.
///
/// U-Boot takes what it can of a bad number and 0 where that is nothing; here it is refused, because 0 is an address too.
///
/// # Errors
/// It is not one, or has more than 64 bits.
pub fn hexadecimal(text: &str) -> Result<u64, Failure> {
    number(text, 16).ok_or_else(|| Failure::because(format!("\"{text}\" is not a hexadecimal number of up to 64 bits")))
}

/// `text` as a count, decimal unless it begins with `0x`.
///
/// # Errors
/// It is not one, or has more than 64 bits.
pub fn decimal(text: &str) -> Result<u64, Failure> {
    number(text, 10).ok_or_else(|| Failure::because(format!("\"{text}\" is not a decimal number of up to 64 bits")))
}

fn number(text: &str, base: u32) -> Option<u64> {
    let (digits, base) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, base),
    };
    // Digits alone: a sign is no part of a number here.
    digits.starts_with(|first: char| first.is_digit(base)).then(|| u64::from_str_radix(digits, base).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hexadecimal_with_and_without_prefix() {
        for text in ["1f", "0x1f", "0X1F", "001F"] {
            assert_eq!(hexadecimal(text).unwrap(), 31, "{text}");
        }
        assert_eq!(decimal("10").unwrap(), 10);
        assert_eq!(decimal("0x10").unwrap(), 16);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "0x", "-1", "+1", "1g", "0x0x1", "$addr", "10000000000000000"] {
            assert!(hexadecimal(text).is_err(), "{text}");
        }
        assert!(decimal("1f").is_err());
    }
}
