//! RFC 8785: one text for one value. Also the sorting that `sort_keys` shares with it.

use pyo3::ffi;
use pyo3::prelude::*;

use super::out::Out;
use super::write::{Failure, Order, Writer, Written, refused};
use crate::object::Object;

/// Integers up to this are exact in a double.
const MAX_EXACT: u64 = (1 << 53) - 1;

/// Whether a double keeps every integer of this size.
#[inline(always)]
pub fn is_exact(value: i64) -> bool {
    value.unsigned_abs() <= MAX_EXACT
}

/// Writes an integer beyond the exact ones if its digits are those of the nearest double: such an integer is what
/// reading the canonical text of a large double gives.
#[cold]
pub fn large_integer(out: &mut Out, value: &Bound<'_, PyAny>) -> Written {
    let digits = value.to_string();
    let nearest = value.extract::<f64>().unwrap_or(f64::INFINITY);
    if nearest.is_finite() {
        let mut text = Out::default();
        number(&mut text, nearest);
        if text.text() == digits.as_bytes() {
            out.extend(digits.as_bytes());
            out.push(b',');
            return Ok(());
        }
    }
    Err(refused(
        "a double does not keep the integer's digits, so it has no canonical form: send it as a string",
    ))
}

/// Writes a finite number as ECMAScript's `Number::toString` does.
pub fn number(out: &mut Out, value: f64) {
    if value == 0.0 {
        out.push(b'0');
        return;
    }
    if value < 0.0 {
        out.push(b'-');
    }
    let mut buffer = zmij::Buffer::new();
    let (digits, point) = digits_of(buffer.format_finite(value.abs()));
    let count = digits.len() as i32;
    if count <= point && point <= 21 {
        out.extend(&digits);
        (count..point).for_each(|_| out.push(b'0'));
    } else if 0 < point && point <= 21 {
        let (whole, fraction) = digits.split_at(point as usize);
        out.extend(whole);
        out.push(b'.');
        out.extend(fraction);
    } else if -6 < point && point <= 0 {
        out.extend(b"0.");
        (point..0).for_each(|_| out.push(b'0'));
        out.extend(&digits);
    } else {
        out.extend(&digits[..1]);
        if count > 1 {
            out.push(b'.');
            out.extend(&digits[1..]);
        }
        out.extend(if point > 0 { b"e+" } else { b"e-" });
        out.extend((point - 1).unsigned_abs().to_string().as_bytes());
    }
}

/// The significant digits of a number, and how many of them stand before the point.
fn digits_of(shortest: &str) -> (Vec<u8>, i32) {
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let leading = digits.iter().take_while(|&&digit| digit == b'0').count();
    digits.drain(..leading);
    while digits.last() == Some(&b'0') {
        digits.pop();
    }
    let exponent: i32 = exponent.parse().unwrap_or(0);
    (digits, whole.len() as i32 - leading as i32 + exponent)
}

/// The members of a dict in the order that the writer keeps.
pub fn sorted_members(writer: &Writer<'_, '_>, dict: *mut ffi::PyObject) -> Result<Vec<(Object, Object)>, Failure> {
    let mut members = Vec::new();
    let mut place = 0;
    let mut key = std::ptr::null_mut();
    let mut value = std::ptr::null_mut();
    // SAFETY: an exact dict; PyDict_Next stays inside its current table even if converting a key ran Python code.
    while unsafe { ffi::PyDict_Next(dict, &raw mut place, &raw mut key, &raw mut value) } != 0 {
        // SAFETY: both are borrowed from the dict, which nothing has touched since.
        let (key, value) = unsafe { (Object::borrowed(key), Object::borrowed(value)) };
        // SAFETY: the key is alive.
        let exact = unsafe { ffi::Py_TYPE(key.as_ptr()) == &raw mut ffi::PyUnicode_Type };
        let key = if exact { key } else { writer.key_text(key.as_ptr())? };
        members.push((sort_key(&key, writer.order), key, value));
    }
    members.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(members.into_iter().map(|(_, key, value)| (key, value)).collect())
}

/// The code points, or the UTF-16 units, of an exact str.
fn sort_key(text: &Object, order: Order) -> Vec<u32> {
    let text = text.as_ptr();
    // SAFETY: an exact str, which cannot change; the kind tells how wide the units are.
    let codes: Vec<u32> = unsafe {
        let len = ffi::PyUnicode_GET_LENGTH(text) as usize;
        let data = ffi::PyUnicode_DATA(text);
        match ffi::PyUnicode_KIND(text) {
            ffi::PyUnicode_1BYTE_KIND => widened(std::slice::from_raw_parts(data.cast::<u8>(), len)),
            ffi::PyUnicode_2BYTE_KIND => widened(std::slice::from_raw_parts(data.cast::<u16>(), len)),
            _ => widened(std::slice::from_raw_parts(data.cast::<u32>(), len)),
        }
    };
    if order != Order::Canonical || codes.iter().all(|&code| code < 0x1_0000) {
        return codes;
    }
    codes.into_iter().flat_map(utf16_units).collect()
}

fn widened<T: Copy + Into<u32>>(units: &[T]) -> Vec<u32> {
    units.iter().map(|&unit| unit.into()).collect()
}

fn utf16_units(code: u32) -> impl Iterator<Item = u32> {
    let pair = code.checked_sub(0x1_0000);
    let first = pair.map_or(code, |rest| 0xD800 + (rest >> 10));
    let second = pair.map(|rest| 0xDC00 + (rest & 0x3FF));
    std::iter::once(first).chain(second)
}
