//! Numbers of a text.

use pyo3::ffi;

use super::cursor::Cursor;
use super::errors::Stop;
use super::float::{eight_digits, nearest};
use super::parse::raised_fault;
use crate::object::Object;

/// As `json` and `int`: conversion takes quadratic time, and nobody writes longer ones.
const MAX_INT_DIGITS: usize = 4300;

/// A number as it was written.
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

/// Digits that always fit a u64.
const SAFE_DIGITS: usize = 19;

/// Reads the number here, whose first byte is a digit or a minus sign.
#[inline(always)]
pub fn scan(cursor: &mut Cursor<'_>) -> Result<Number, Stop> {
    let text = cursor.text();
    let start = cursor.at();
    let negative = text[start] == b'-';
    let digits = start + usize::from(negative);
    let mut at = digits;
    let mut magnitude = 0_u64;
    while let Some(digit) = digit(text, at) {
        magnitude = magnitude.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    let count = at - digits;
    if count == 0 {
        return Err(cursor.fail("a digit is missing", at));
    }
    if count > 1 && text[digits] == b'0' {
        return Err(cursor.fail("a number with a leading zero", digits));
    }
    if !matches!(text[at], b'.' | b'e' | b'E') {
        cursor.go(at);
        if count < SAFE_DIGITS {
            return Ok(Number::Small { negative, magnitude });
        }
        return large(cursor, start, digits, at);
    }
    fraction(
        cursor,
        Whole {
            start,
            digits,
            end: at,
            negative,
            magnitude,
        },
    )
}

/// The part of a float before the point.
struct Whole {
    start: usize,
    digits: usize,
    end: usize,
    negative: bool,
    magnitude: u64,
}

/// The digit at an index, if there is one.
#[inline(always)]
fn digit(text: &[u8], at: usize) -> Option<u8> {
    debug_assert!(at < text.len());
    // SAFETY: the readers here go one byte behind a digit, a sign, a point or an `e` at most, and the text ends in a
    // NUL, which is none of these.
    let digit = unsafe { *text.get_unchecked(at) }.wrapping_sub(b'0');
    (digit < 10).then_some(digit)
}

#[inline(always)]
fn fraction(cursor: &mut Cursor<'_>, whole: Whole) -> Result<Number, Stop> {
    let text = cursor.text();
    let mut at = whole.end;
    let mut magnitude = whole.magnitude;
    let mut count = at - whole.digits;
    let mut exponent = 0_i64;
    if text[at] == b'.' {
        let first = at + 1;
        at = first;
        while let Some(eight) = text
            .get(at..at + 8)
            .and_then(|bytes| eight_digits(bytes.try_into().ok()?))
        {
            magnitude = magnitude.wrapping_mul(100_000_000).wrapping_add(eight);
            at += 8;
        }
        while let Some(digit) = digit(text, at) {
            magnitude = magnitude.wrapping_mul(10).wrapping_add(u64::from(digit));
            at += 1;
        }
        if at == first {
            return Err(cursor.fail("a digit is missing behind the decimal point", at));
        }
        count += at - first;
        exponent = -((at - first) as i64);
    }
    if matches!(text[at], b'e' | b'E') {
        let (end, written) = exponent_of(cursor, at + 1)?;
        at = end;
        exponent += written;
    }
    cursor.go(at);
    if count <= SAFE_DIGITS {
        if let Some(value) = nearest(magnitude, exponent) {
            return Ok(Number::Float(if whole.negative { -value } else { value }));
        }
    }
    exact(cursor, whole.start, at)
}

fn exponent_of(cursor: &mut Cursor<'_>, start: usize) -> Result<(usize, i64), Stop> {
    let text = cursor.text();
    let mut at = start;
    let negative = text[at] == b'-';
    if matches!(text[at], b'-' | b'+') {
        at += 1;
    }
    let first = at;
    let mut exponent = 0_i64;
    while let Some(digit) = digit(text, at) {
        exponent = (exponent * 10 + i64::from(digit)).min(1_000_000);
        at += 1;
    }
    if at == first {
        return Err(cursor.fail("a digit is missing in the exponent", at));
    }
    Ok((at, if negative { -exponent } else { exponent }))
}

#[inline(never)]
fn exact(cursor: &mut Cursor<'_>, start: usize, end: usize) -> Result<Number, Stop> {
    let written = std::str::from_utf8(&cursor.text()[start..end]).unwrap_or_default();
    match written.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Number::Float(value)),
        _ => Err(cursor.refuse("the number is too large for a double", start)),
    }
}

#[cold]
fn large(cursor: &mut Cursor<'_>, start: usize, digits: usize, end: usize) -> Result<Number, Stop> {
    let negative = digits > start;
    let written = std::str::from_utf8(&cursor.text()[digits..end]).unwrap_or_default();
    if let Ok(magnitude) = written.parse::<u64>() {
        if !negative || magnitude <= 1 << 63 {
            return Ok(Number::Small { negative, magnitude });
        }
    }
    if end - digits > MAX_INT_DIGITS {
        return Err(cursor.refuse("the integer has more than 4300 digits", start));
    }
    Ok(Number::Large { start, end })
}

/// The Python object of a number.
#[inline(always)]
pub fn object(cursor: &mut Cursor<'_>, number: &Number) -> Result<Object, Stop> {
    // SAFETY: attached, as the whole codec is; each call returns a new reference or null with an exception.
    let made = unsafe {
        Object::owned(match *number {
            Number::Small {
                negative: false,
                magnitude,
            } => match i64::try_from(magnitude) {
                Ok(value) => ffi::PyLong_FromLongLong(value),
                Err(_) => ffi::PyLong_FromUnsignedLongLong(magnitude),
            },
            Number::Small {
                negative: true,
                magnitude,
            } => ffi::PyLong_FromLongLong((magnitude as i64).wrapping_neg()),
            Number::Float(value) => ffi::PyFloat_FromDouble(value),
            Number::Large { start, end } => {
                let mut written = cursor.text()[start..end].to_vec();
                written.push(0);
                ffi::PyLong_FromString(written.as_ptr().cast(), std::ptr::null_mut(), 10)
            }
        })
    };
    made.ok_or_else(|| raised_fault(cursor))
}
