//! UTF-8 to the layouts of Python's str, checked on the way.

use pyo3::ffi;

use super::scan::{LANES, masks};
use crate::object::Object;

/// Why a str could not be made.
pub enum Unmade {
    /// Not UTF-8 at this byte.
    Invalid(usize),
    /// A Python exception is set.
    Raised,
}

/// A str of ASCII bytes.
#[inline(always)]
pub fn ascii_str(bytes: &[u8]) -> Option<Object> {
    debug_assert!(bytes.is_ascii());
    // SAFETY: a new str of this length and kind has room for exactly these bytes, and nobody else has seen it.
    unsafe {
        let made = Object::owned(ffi::PyUnicode_New(bytes.len() as ffi::Py_ssize_t, 0x7F))?;
        if !bytes.is_empty() {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), ffi::PyUnicode_DATA(made.as_ptr()).cast(), bytes.len());
        }
        Some(made)
    }
}

/// A str of UTF-8 bytes.
pub fn utf8_str(bytes: &[u8]) -> Result<Object, Unmade> {
    let (count, largest) = measure(bytes);
    // The lead byte tells the range of its character: up to C3 it is Latin-1, up to EF the basic plane.
    let max_char = match largest {
        0..=0x7F => return ascii_str(bytes).ok_or(Unmade::Raised),
        0x80..=0xC3 => 0xFF,
        0xC4..=0xEF => 0xFFFF,
        _ => 0x0010_FFFF,
    };
    // SAFETY: attached, as the whole codec is; the result is checked.
    let made = unsafe { Object::owned(ffi::PyUnicode_New(count as ffi::Py_ssize_t, max_char)) };
    let made = made.ok_or(Unmade::Raised)?;
    // SAFETY: a new compact str, so its data follows its header.
    let data = unsafe { ffi::PyUnicode_DATA(made.as_ptr()) };
    let filled = match max_char {
        // SAFETY: the str has `count` units of one byte.
        0xFF => unsafe { fill::<u8>(bytes, data.cast(), count) },
        // SAFETY: the str has `count` units of two bytes.
        0xFFFF => unsafe { fill::<u16>(bytes, data.cast(), count) },
        // SAFETY: the str has `count` units of four bytes.
        _ => unsafe { fill::<u32>(bytes, data.cast(), count) },
    };
    filled.map(|()| made).map_err(Unmade::Invalid)
}

/// The number of characters, and the largest byte.
fn measure(bytes: &[u8]) -> (usize, u8) {
    let mut count = 0;
    let mut largest = 0;
    // Blocks short enough for byte-wide counters, which the compiler turns into vector code.
    for block in bytes.chunks(192) {
        let mut characters = 0_u8;
        for &byte in block {
            characters += u8::from(byte & 0xC0 != 0x80);
            largest = byte.max(largest);
        }
        count += characters as usize;
    }
    (count, largest)
}

/// A unit of one of the layouts.
trait Unit: Copy {
    fn of(code: u32) -> Self;
}

impl Unit for u8 {
    #[inline(always)]
    fn of(code: u32) -> Self {
        code as u8
    }
}

impl Unit for u16 {
    #[inline(always)]
    fn of(code: u32) -> Self {
        code as u16
    }
}

impl Unit for u32 {
    #[inline(always)]
    fn of(code: u32) -> Self {
        code
    }
}

/// Writes the characters of `bytes` to `out`; `Err` is the offset of the first byte that is not UTF-8.
///
/// # Safety
/// `out` has room for `count` units, and `count` is the number of bytes that are no continuation bytes.
unsafe fn fill<T: Unit>(bytes: &[u8], out: *mut T, count: usize) -> Result<(), usize> {
    let mut at = 0;
    let mut written = 0;
    while at < bytes.len() {
        if let Some(block) = bytes.get(at..at + LANES) {
            let ascii = masks(block).1.trailing_zeros().min(LANES as u32) as usize;
            if written + LANES <= count {
                // Of these, `ascii` are right; the others are overwritten by the characters that follow.
                for (index, &byte) in block.iter().enumerate() {
                    // SAFETY: there is room for `count` units.
                    unsafe { out.add(written + index).write(T::of(u32::from(byte))) };
                }
            } else {
                for (index, &byte) in block[..ascii].iter().enumerate() {
                    // SAFETY: these are characters of the `count` that there is room for.
                    unsafe { out.add(written + index).write(T::of(u32::from(byte))) };
                }
            }
            at += ascii;
            written += ascii;
            if ascii == LANES {
                continue;
            }
        } else if bytes[at] < 0x80 {
            // SAFETY: as above.
            unsafe { out.add(written).write(T::of(u32::from(bytes[at]))) };
            at += 1;
            written += 1;
            continue;
        }
        while bytes.get(at).is_some_and(|&byte| byte >= 0x80) {
            let (code, len) = match bytes.get(at..at + 4) {
                Some(four) => short_character(four).or_else(|| character(four)),
                None => character(&bytes[at..]),
            }
            .ok_or(at)?;
            debug_assert!(written < count);
            // SAFETY: every character starts with a byte that was counted, and each is written once.
            unsafe { out.add(written).write(T::of(code)) };
            at += len;
            written += 1;
        }
    }
    Ok(())
}

/// The character of two or three bytes at the start of four bytes, checked all at once.
#[inline(always)]
fn short_character(four: &[u8]) -> Option<(u32, usize)> {
    let word = u32::from_le_bytes(four.try_into().ok()?);
    if word & 0x00C0_C0F0 == 0x0080_80E0 {
        let code = (word & 0x0F) << 12 | (word >> 2) & 0xFC0 | (word >> 16) & 0x3F;
        return (code >= 0x800 && code & 0xF800 != 0xD800).then_some((code, 3));
    }
    let code = (word & 0x1F) << 6 | (word >> 8) & 0x3F;
    (word & 0xC0E0 == 0x80C0 && code >= 0x80).then_some((code, 2))
}

/// The character at the start of the bytes and its length; None if they are not UTF-8.
#[inline(always)]
fn character(bytes: &[u8]) -> Option<(u32, usize)> {
    let first = u32::from(*bytes.first()?);
    if first < 0x80 {
        return Some((first, 1));
    }
    let second = continuation(bytes, 1)?;
    if first < 0xE0 {
        let code = (first & 0x1F) << 6 | second;
        return (first >= 0xC2).then_some((code, 2));
    }
    let third = continuation(bytes, 2)?;
    if first < 0xF0 {
        let code = (first & 0x0F) << 12 | second << 6 | third;
        return (code >= 0x800 && !(0xD800..0xE000).contains(&code)).then_some((code, 3));
    }
    let fourth = continuation(bytes, 3)?;
    let code = (first & 0x07) << 18 | second << 12 | third << 6 | fourth;
    (first < 0xF8 && (0x1_0000..0x11_0000).contains(&code)).then_some((code, 4))
}

#[inline(always)]
fn continuation(bytes: &[u8], index: usize) -> Option<u32> {
    let byte = *bytes.get(index)?;
    (byte & 0xC0 == 0x80).then_some(u32::from(byte & 0x3F))
}
