//! Numbers of a text, eight digits at a time.

use crate::Flaw;
use crate::float::nearest;

/// As `json` and `int` of Python: conversion takes quadratic time, and nobody writes longer ones.
const MAX_INT_DIGITS: usize = 4300;
/// Digits that always fit a u64.
const SAFE_DIGITS: usize = 19;

/// A number as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// An integer of 64 bits with its sign.
    Small {
        negative: bool,
        magnitude: u64,
    },
    /// A longer integer: its text.
    Large {
        start: usize,
        end: usize,
    },
    Float(f64),
}

static TENS: [u64; 9] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// Reads the number at `start`, whose first byte is a digit or a minus sign; the number and where it ends.
///
/// The text ends in a NUL.
#[inline(always)]
pub fn scan(text: &[u8], start: usize) -> Result<(Number, usize), Flaw> {
    debug_assert_eq!(text.last(), Some(&0));
    let negative = text[start] == b'-';
    let digits = start + usize::from(negative);
    let first = byte(text, digits).wrapping_sub(b'0');
    if first > 9 {
        return Err(Flaw::At("a digit is missing", digits));
    }
    let mut magnitude = u64::from(first);
    let mut end = digits + 1;
    // The part before the point is most often one digit.
    if byte(text, end).wrapping_sub(b'0') <= 9 {
        if first == 0 {
            return Err(Flaw::At("a number with a leading zero", digits));
        }
        (magnitude, end) = digits_from(text, end, magnitude);
    }
    if matches!(byte(text, end), b'.' | b'e' | b'E') {
        return fraction(
            text,
            &Whole {
                start,
                digits,
                end,
                negative,
                magnitude,
            },
        );
    }
    if end - digits < SAFE_DIGITS {
        return Ok((Number::Small { negative, magnitude }, end));
    }
    large(text, start, digits, end)
}

/// The byte at an index.
#[inline(always)]
fn byte(text: &[u8], index: usize) -> u8 {
    debug_assert!(index < text.len());
    // SAFETY: the readers here go one byte behind a digit, a sign, a point or an `e` at most, and the text ends in a
    // NUL, which is none of these.
    unsafe { *text.get_unchecked(index) }
}

/// The part of a float before the point.
struct Whole {
    start: usize,
    digits: usize,
    end: usize,
    negative: bool,
    magnitude: u64,
}

#[inline(always)]
fn fraction(text: &[u8], whole: &Whole) -> Result<(Number, usize), Flaw> {
    let mut at = whole.end;
    let mut magnitude = whole.magnitude;
    let mut count = at - whole.digits;
    let mut exponent = 0_i64;
    if byte(text, at) == b'.' {
        let first = at + 1;
        (magnitude, at) = digits_from(text, first, magnitude);
        if at == first {
            return Err(Flaw::At("a digit is missing behind the decimal point", at));
        }
        count += at - first;
        exponent = -((at - first) as i64);
    }
    if byte(text, at) | 0x20 == b'e' {
        let (end, written) = exponent_of(text, at + 1)?;
        at = end;
        exponent += written;
    }
    if count > SAFE_DIGITS {
        count -= leading_zeros(text, whole.digits);
    }
    if count <= SAFE_DIGITS {
        if let Some(value) = nearest(magnitude, exponent) {
            return Ok((Number::Float(signed(value, whole.negative)), at));
        }
    }
    exact(text, whole.start, at)
}

/// The value with its sign; without a branch, since signs are hard to foresee.
#[inline(always)]
fn signed(value: f64, negative: bool) -> f64 {
    f64::from_bits(value.to_bits() | u64::from(negative) << 63)
}

/// Zeros before the first digit that counts.
#[cold]
fn leading_zeros(text: &[u8], digits: usize) -> usize {
    let zeros = text[digits..].iter().take_while(|&&byte| matches!(byte, b'0' | b'.'));
    zeros.filter(|&&byte| byte == b'0').count()
}

/// Reads digits from `at` on to the end of `magnitude`, modulo 2^64; that and where they end.
#[inline(always)]
fn digits_from(text: &[u8], mut at: usize, mut magnitude: u64) -> (u64, usize) {
    while let Some(eight) = text.get(at..at + 8) {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(eight);
        let (value, count) = leading_digits(bytes);
        magnitude = magnitude.wrapping_mul(TENS[count]).wrapping_add(value);
        at += count;
        if count < 8 {
            return (magnitude, at);
        }
    }
    loop {
        let digit = byte(text, at).wrapping_sub(b'0');
        if digit > 9 {
            return (magnitude, at);
        }
        magnitude = magnitude.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
}

/// The value of the digits at the beginning of eight bytes, and how many they are.
#[inline(always)]
fn leading_digits(bytes: [u8; 8]) -> (u64, usize) {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_le_bytes(bytes) ^ (ONES * b'0' as u64);
    // A byte is now 0 to 9 exactly if it was a digit; the others get their top bit set, and nothing is carried.
    let others = (((word & (ONES * 0x7F)) + ONES * 0x76) | word) & (ONES * 0x80);
    let count = (others.trailing_zeros() / 8) as usize;
    // The digits move to the end, and zeros take their place: twice half the way, as 64 bits is too far for one shift.
    let half = 32 - 4 * count as u32;
    let digits = word << half << half;
    // Pairs, then fours, then all eight.
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let low = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
    let high = ((pairs >> 16) & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
    (low.wrapping_add(high) >> 32, count)
}

#[inline(never)]
fn exponent_of(text: &[u8], start: usize) -> Result<(usize, i64), Flaw> {
    let mut at = start;
    let negative = byte(text, at) == b'-';
    if matches!(byte(text, at), b'-' | b'+') {
        at += 1;
    }
    let first = at;
    let mut exponent = 0_i64;
    loop {
        let digit = byte(text, at).wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        exponent = (exponent * 10 + i64::from(digit)).min(1_000_000);
        at += 1;
    }
    if at == first {
        return Err(Flaw::At("a digit is missing in the exponent", at));
    }
    Ok((at, if negative { -exponent } else { exponent }))
}

#[inline(never)]
fn exact(text: &[u8], start: usize, end: usize) -> Result<(Number, usize), Flaw> {
    let written = std::str::from_utf8(&text[start..end]).unwrap_or_default();
    match written.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok((Number::Float(value), end)),
        _ => Err(Flaw::Of("the number is too large for a double", start)),
    }
}

#[cold]
fn large(text: &[u8], start: usize, digits: usize, end: usize) -> Result<(Number, usize), Flaw> {
    let negative = digits > start;
    let written = std::str::from_utf8(&text[digits..end]).unwrap_or_default();
    if let Ok(magnitude) = written.parse::<u64>() {
        if !negative || magnitude <= 1 << 63 {
            return Ok((Number::Small { negative, magnitude }, end));
        }
    }
    if end - digits > MAX_INT_DIGITS {
        return Err(Flaw::Of("the integer has more than 4300 digits", start));
    }
    Ok((Number::Large { start, end }, end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(written: &str, behind: &str) -> Result<(Number, usize), Flaw> {
        scan(format!("{written}{behind}\0").as_bytes(), 0)
    }

    #[test]
    fn digits_of_every_number_and_place() {
        // Every count of digits, near the end of the text and far from it, before every kind of byte.
        for length in 1..=30 {
            for behind in [
                "",
                ",",
                "]        ",
                "\u{80}        ",
                ":;<=>?@/",
                " 12345678",
                "/23456789",
            ] {
                let written: String = "9182736450".chars().cycle().take(length).collect();
                let number = match written.parse::<u64>() {
                    Ok(magnitude) => Number::Small {
                        negative: false,
                        magnitude,
                    },
                    Err(_) => Number::Large { start: 0, end: length },
                };
                assert_eq!(read(&written, behind), Ok((number, length)));
                let fraction = format!("0.{written}");
                let expected = fraction.parse::<f64>().map(Number::Float).ok();
                assert_eq!(
                    read(&fraction, behind).ok(),
                    expected.map(|number| (number, length + 2))
                );
            }
        }
    }

    #[test]
    fn every_byte_is_a_digit_or_none() {
        for byte in 0..=255_u8 {
            for place in 0..8 {
                let mut bytes = *b"12345678";
                bytes[place] = byte;
                let digits: Vec<u8> = bytes.iter().copied().take_while(u8::is_ascii_digit).collect();
                let value = std::str::from_utf8(&digits).ok().and_then(|digits| digits.parse().ok());
                assert_eq!(leading_digits(bytes), (value.unwrap_or(0), digits.len()));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn floats_are_rounded_as_the_standard_library_rounds_them(
            written in "-?(0|[1-9][0-9]{0,22})\\.[0-9]{1,24}([eE][+-]?[0-9]{1,3})?", behind in "([,\\] }][0-9]{0,9})?"
        ) {
            let expected = written.parse::<f64>().ok().filter(|value| value.is_finite());
            match read(&written, &behind) {
                Ok((Number::Float(value), end)) => {
                    prop_assert_eq!(expected.map(f64::to_bits), Some(value.to_bits()));
                    prop_assert_eq!(end, written.len());
                }
                Ok(_) => prop_assert!(false, "not a float"),
                Err(_) => prop_assert!(expected.is_none()),
            }
        }

        #[test]
        fn doubles_of_every_bit_pattern_read_back(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            for written in [format!("{value:?}"), format!("{value:e}"), format!("{value:.17e}")] {
                if written.contains(['.', 'e']) {
                    prop_assert_eq!(read(&written, "").map(|read| read.0), Ok(Number::Float(value)));
                }
            }
        }
    }
}
