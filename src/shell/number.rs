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
    number(text, 16).ok_or_else(|| Failure::because(format!("{text:?} is not a hexadecimal number of up to 64 bits")))
}

/// `text` as a count, decimal unless it begins with `0x`.
///
/// # Errors
/// It is not one, or has more than 64 bits.
pub fn decimal(text: &str) -> Result<u64, Failure> {
    number(text, 10).ok_or_else(|| Failure::because(format!("{text:?} is not a decimal number of up to 64 bits")))
}

fn number(text: &str, base: u32) -> Option<u64> {
    let (digits, base) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, base),
    };
    // Digits alone: a sign is no part of a number here.
    digits.starts_with(|first: char| first.is_digit(base)).then(|| u64::from_str_radix(digits, base).ok())?
}

/// The number that `text` begins with, as far as it goes, and 0 where that is nothing: how U-Boot reads numbers in expressions. In base 16
/// it may begin with `0x`; base 0 is C's (`0x10`, `010`, `10`). What is beyond 64 bits is lost.
pub fn leading(text: &str, base: u32) -> u64 {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let hexadecimal = hexadecimal.filter(|digits| digits.starts_with(|digit: char| digit.is_ascii_hexdigit()));
    let (digits, base) = match (base, hexadecimal) {
        (0 | 16, Some(digits)) => (digits, 16),
        (0, None) if text.starts_with('0') => (text, 8),
        (0, None) => (text, 10),
        (base, _) => (text, base),
    };
    let mut value = 0_u64;
    for digit in digits.chars().map_while(|digit| digit.to_digit(base)) {
        value = value.wrapping_mul(u64::from(base)).wrapping_add(u64::from(digit));
    }
    value
}

/// The signed number that `text` begins with, as C writes it.
pub fn signed(text: &str) -> i64 {
    match text.strip_prefix('-') {
        Some(text) => leading(text, 0).cast_signed().wrapping_neg(),
        None => leading(text, 0).cast_signed(),
    }
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

    #[test]
    fn in_expressions_a_number_goes_as_far_as_its_digits() {
        assert_eq!(leading("1fg", 16), 31);
        assert_eq!(leading("0x1f", 16), 31);
        assert_eq!(leading("0x10", 0), 16);
        assert_eq!(leading("010", 0), 8);
        assert_eq!(leading("10", 0), 10);
        assert_eq!(leading("abc", 10), 0);
        assert_eq!(leading("", 0), 0);
        assert_eq!(signed("-5"), -5);
        assert_eq!(signed("-0x8000000000000000"), i64::MIN);
    }
}
