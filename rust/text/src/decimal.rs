//! Numbers of a text, eight digits at a time.

use crate::Flaw;
#[cfg(target_arch = "x86_64")]
use crate::digits::{Commas, Plain, Sixteen, has_sixteen};
use crate::digits::{Digits, Words};
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

/// Reads the number at `start`, whose first byte is a digit or a minus sign; the number and where it ends.
///
/// The text ends in a NUL.
#[inline(always)]
pub fn scan(text: &[u8], start: usize) -> Result<(Number, usize), Flaw> {
    scan_by::<Words>(text, start)
}

#[inline(always)]
fn scan_by<D: Digits>(text: &[u8], start: usize) -> Result<(Number, usize), Flaw> {
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
        (magnitude, end) = D::read(text, end, magnitude);
    }
    if matches!(byte(text, end), b'.' | b'e' | b'E') {
        return fraction::<D>(
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

/// Reads the floats of an array from `start` on, each behind a space at most, as long as one follows the other and there is room.
///
/// Gives their number and the place behind the last one. Whatever is no float ends them, as do more spaces and flaws.
#[inline]
pub fn floats(text: &[u8], start: usize, out: &mut [f64]) -> (usize, usize) {
    #[cfg(target_arch = "x86_64")]
    if has_sixteen() {
        // SAFETY: the processor has what the function needs.
        return unsafe { floats_by_sixteen(text, start, out) };
    }
    floats_by::<Words>(text, start, out)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn floats_by_sixteen(text: &[u8], start: usize, out: &mut [f64]) -> (usize, usize) {
    let mut commas = Commas::new(text, start);
    let mut count = 0;
    let mut end = start;
    let mut at = start;
    for place in &mut *out {
        let Some(comma) = commas.next() else {
            let (more, last) = last_floats(text, at, &mut out[count..]);
            return (count + more, if more == 0 { end } else { last });
        };
        if byte(text, at) == b' ' {
            at += 1;
        }
        // SAFETY: the comma is the next one; `at` is behind the one before, or behind the space that follows that.
        if let Some(value) = unsafe { plain(text, at, comma) } {
            *place = value;
        } else {
            let Some((value, behind)) = odd_float(text, at) else {
                break;
            };
            *place = value;
            if behind != comma {
                return (count + 1, behind);
            }
        }
        count += 1;
        end = comma;
        at = comma + 1;
    }
    (count, end)
}

/// As `floats`, near the end of the text.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn last_floats(text: &[u8], start: usize, out: &mut [f64]) -> (usize, usize) {
    floats_by::<Sixteen>(text, start, out)
}

/// The float here, however it is written, and where it ends.
#[cfg(target_arch = "x86_64")]
#[cold]
#[inline(never)]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn odd_float(text: &[u8], at: usize) -> Option<(f64, usize)> {
    float::<Sixteen>(text, at)
}

/// The value of a number as most floats are written, which a comma follows.
///
/// # Safety
/// As for `Plain::read`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn plain(text: &[u8], at: usize, comma: usize) -> Option<f64> {
    // SAFETY: promised by the caller.
    let plain = unsafe { Plain::read(text, at, comma)? };
    let value = nearest(plain.magnitude, plain.exponent)?;
    Some(signed(value, plain.negative))
}

#[inline(always)]
fn floats_by<D: Digits>(text: &[u8], start: usize, out: &mut [f64]) -> (usize, usize) {
    let mut count = 0;
    let mut end = start;
    let mut at = start;
    for place in out {
        if byte(text, at) == b' ' {
            at += 1;
        }
        let Some((value, behind)) = float::<D>(text, at) else {
            break;
        };
        *place = value;
        end = behind;
        count += 1;
        if byte(text, end) != b',' {
            break;
        }
        at = end + 1;
    }
    (count, end)
}

/// The float here, and where it ends.
#[inline(always)]
fn float<D: Digits>(text: &[u8], at: usize) -> Option<(f64, usize)> {
    if !matches!(byte(text, at), b'-' | b'0'..=b'9') {
        return None;
    }
    match scan_by::<D>(text, at) {
        Ok((Number::Float(value), behind)) => Some((value, behind)),
        _ => None,
    }
}

/// The byte at an index.
#[inline(always)]
fn byte(text: &[u8], index: usize) -> u8 {
    debug_assert!(index < text.len());
    // SAFETY: the readers here go one byte behind a digit, a sign, a point, an `e`, a comma or a space at most, and the
    // text ends in a NUL, which is none of these.
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
fn fraction<D: Digits>(text: &[u8], whole: &Whole) -> Result<(Number, usize), Flaw> {
    let mut at = whole.end;
    let mut magnitude = whole.magnitude;
    let mut count = at - whole.digits;
    let mut exponent = 0_i64;
    if byte(text, at) == b'.' {
        let first = at + 1;
        (magnitude, at) = D::read(text, first, magnitude);
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
        count -= leading_zeros(&text[whole.digits..at]);
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

/// Zeros of a number before the first digit that counts.
#[cold]
fn leading_zeros(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|&&byte| matches!(byte, b'0' | b'.'));
    zeros.filter(|&&byte| byte == b'0').count()
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
    fn zeros_behind_a_number_are_not_its_own() {
        let zero = format!("0.{}", "0".repeat(42));

        assert_eq!(read(&zero, ".0000 0"), Ok((Number::Float(0.0), zero.len())));
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
    fn floats_end_where_something_else_is() {
        for (text, values, end) in [
            ("1.5,-2.5, 3e2]", vec![1.5, -2.5, 300.0], 13),
            ("1.5,2,3.5", vec![1.5], 3),
            ("1.5,  2.5", vec![1.5], 3),
            ("1.5,]", vec![1.5], 3),
            ("1.5,-", vec![1.5], 3),
            ("1.5,1e999", vec![1.5], 3),
            ("1.5,02.5", vec![1.5], 3),
            ("1.5,2.5 ,3.5", vec![1.5, 2.5], 7),
            ("2", vec![], 0),
            ("0.25,0.5,0.75,1.0,1.25", vec![0.25, 0.5, 0.75, 1.0], 17),
        ] {
            for behind in ["", "                    ", "1.5,12345678,12345678"] {
                let text = format!("{text}\u{0}{behind}\0");
                for floats in [floats, floats_by::<Words>] {
                    let mut out = [0.0; 4];
                    assert_eq!(floats(text.as_bytes(), 0, &mut out), (values.len(), end), "{text}");
                    assert_eq!(out[..values.len()], values);
                }
            }
        }
    }

    #[test]
    fn what_is_no_float_is_none_in_a_block_either() {
        for wrong in [
            "", "-", "1.", ".5", "-.5", "01.5", "-00.5", "1.5e", "1.5e+", "1.5e-x1", "1.5e+1x", "1.5e--1", "1.5x-01",
            "1.5 ", "1..5", "1.5.5", "1.5-01", "12", "1x5", "+1.5", "1.5e999", "1.5e+01.", "  1.5", "\u{b1}.5",
        ] {
            for behind in [" ", "1.5,12345678,"].map(|behind| behind.repeat(140)) {
                let text = format!("{}{wrong},{behind}\0", "0.5,".repeat(9));
                let mut both = [[0.0; 12]; 2];
                let [ours, portable] = &mut both;
                let ends = floats(text.as_bytes(), 0, ours);
                assert_eq!(ends, floats_by::<Words>(text.as_bytes(), 0, portable), "{wrong}");
                assert_eq!(ours.map(f64::to_bits), portable.map(f64::to_bits));
                assert!(ends.0 <= 10, "{wrong}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn floats_are_rounded_as_the_standard_library_rounds_them(
            written in "-?(0|[1-9]|[1-9][0-9]{0,22})\\.[0-9]{1,24}([eE][+-]?[0-9]{1,3})?", behind in "([,\\] }][0-9]{0,9})?"
        ) {
            let expected = written.parse::<f64>().ok().filter(|value| value.is_finite());
            match read(&written, &behind) {
                Ok((Number::Float(value), end)) => {
                    prop_assert_eq!(expected.map(f64::to_bits), Some(value.to_bits()));
                    prop_assert_eq!(end, written.len());
                    let mut out = [0.0];
                    for rest in [behind, format!(",{}", "7".repeat(70))] {
                        prop_assert_eq!(floats(format!("{written}{rest}\0").as_bytes(), 0, &mut out), (1, end));
                    }
                    prop_assert_eq!(out[0].to_bits(), value.to_bits());
                    // Behind others and before others, where numbers are read in blocks.
                    let text = format!("{}{written}, {written},0.5,{}\0", "0.5,".repeat(9), "7".repeat(140));
                    let mut out = [0.0; 12];
                    prop_assert_eq!(floats(text.as_bytes(), 0, &mut out), (12, text.len() - 142));
                    let mut expected = [0.5; 12];
                    expected[9..11].fill(value);
                    prop_assert_eq!(out.map(f64::to_bits), expected.map(f64::to_bits));
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
