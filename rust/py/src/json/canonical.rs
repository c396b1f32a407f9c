//! RFC 8785: one text for one value. Also the sorting that `sort_keys` shares with it.

use aisys_text::pen::Pen;
use pyo3::ffi;
use pyo3::prelude::*;

use super::failure::refused;
use super::layout::Members;
use super::out::Out;
use super::write::{Order, Writer};
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
pub fn large_integer(writer: &mut Writer<'_, '_>, pen: Pen, value: &Bound<'_, PyAny>) -> Option<Pen> {
    let digits = value.to_string();
    let nearest = value.extract::<f64>().unwrap_or(f64::INFINITY);
    if nearest.is_finite() && text_of(nearest) == digits.as_bytes() {
        let pen = writer.out.extend(pen, digits.as_bytes());
        // SAFETY: there is more room than the digits take.
        return Some(unsafe { pen.byte(b',') });
    }
    writer.fail(refused(
        "a double does not keep the integer's digits, so it has no canonical form: send it as a string",
    ))
}

/// Writes a finite number as ECMAScript's `Number::toString` does, and a comma.
#[inline(never)]
pub fn number(out: &mut Out, pen: Pen, value: f64) -> Pen {
    let pen = out.extend(pen, &text_of(value));
    // SAFETY: there is more room than the digits take.
    unsafe { pen.byte(b',') }
}

fn text_of(value: f64) -> Vec<u8> {
    if value == 0.0 {
        return b"0".to_vec();
    }
    let mut text = Vec::with_capacity(32);
    if value < 0.0 {
        text.push(b'-');
    }
    let mut buffer = zmij::Buffer::new();
    let (digits, point) = digits_of(buffer.format_finite(value.abs()));
    let count = digits.len() as i32;
    if count <= point && point <= 21 {
        text.extend(&digits);
        (count..point).for_each(|_| text.push(b'0'));
    } else if 0 < point && point <= 21 {
        let (whole, fraction) = digits.split_at(point as usize);
        text.extend(whole);
        text.push(b'.');
        text.extend(fraction);
    } else if -6 < point && point <= 0 {
        text.extend(b"0.");
        (point..0).for_each(|_| text.push(b'0'));
        text.extend(&digits);
    } else {
        text.extend(&digits[..1]);
        if count > 1 {
            text.push(b'.');
            text.extend(&digits[1..]);
        }
        text.extend(if point > 0 { b"e+" } else { b"e-" });
        text.extend((point - 1).unsigned_abs().to_string().as_bytes());
    }
    text
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

/// The members of a dict in the order that the writer keeps; None if it has noted why there are none.
pub fn sorted_members(writer: &mut Writer<'_, '_>, dict: *mut ffi::PyObject) -> Option<Vec<(Object, Object)>> {
    let mut members = Vec::new();
    // SAFETY: an exact dict, which no Python code can change before all of its members are held.
    unsafe {
        let mut each = Members::of(dict);
        while let Some((key, value)) = each.next() {
            members.push((Object::borrowed(key), Object::borrowed(value)));
        }
    }
    for (key, _) in &mut members {
        // SAFETY: the key is alive.
        if unsafe { ffi::Py_TYPE(key.as_ptr()) != &raw mut ffi::PyUnicode_Type } {
            *key = writer.key_text(key.as_ptr())?;
        }
    }
    if members.iter().all(|(key, _)| ascii(key).is_some()) {
        // Their bytes are their code points.
        members.sort_by(|one, other| ascii(&one.0).cmp(&ascii(&other.0)));
    } else {
        let order = writer.order;
        members.sort_by_cached_key(|(key, _)| sort_key(key, order));
    }
    Some(members)
}

/// The bytes of an exact str if they are compact ASCII.
fn ascii(text: &Object) -> Option<&[u8]> {
    let text = text.as_ptr();
    // SAFETY: an exact str, which cannot change as long as it is held.
    unsafe {
        (ffi::PyUnicode_IS_COMPACT_ASCII(text) != 0).then(|| {
            let data = ffi::PyUnicode_DATA(text).cast::<u8>();
            std::slice::from_raw_parts(data, ffi::PyUnicode_GET_LENGTH(text) as usize)
        })
    }
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
