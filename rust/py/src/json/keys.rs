//! Keys of objects: the same few come again and again, so their str objects are kept, interned and hashed.

use std::cell::UnsafeCell;

use pyo3::ffi;

use super::utf8::ascii_str;
use crate::object::Object;

const SLOTS: usize = 2048;
/// Longer keys are rare, and copying them costs as much as looking them up.
const MAX_KEPT_BYTES: usize = 64;

struct Cache {
    /// Each null or a strong reference to an interned compact ASCII str.
    slots: UnsafeCell<[*mut ffi::PyObject; SLOTS]>,
}

// SAFETY: only touched while attached to an interpreter with a GIL (the module refuses free-threaded builds), in
// stretches that run no Python code.
unsafe impl Sync for Cache {}

static CACHE: Cache = Cache {
    slots: UnsafeCell::new([std::ptr::null_mut(); SLOTS]),
};

/// The str of an ASCII key without escapes.
#[inline(always)]
pub fn ascii_key(bytes: &[u8]) -> Option<Object> {
    if bytes.is_empty() || bytes.len() > MAX_KEPT_BYTES {
        return ascii_str(bytes);
    }
    // SAFETY: see `Cache`: nothing else holds a reference into the table during these lines.
    let slot = unsafe { &mut (*CACHE.slots.get())[slot_of(bytes)] };
    if !slot.is_null() {
        // SAFETY: a slot that is not null holds a live compact ASCII str, whose bytes follow its header.
        let kept = unsafe {
            std::slice::from_raw_parts(
                ffi::PyUnicode_DATA(*slot).cast::<u8>(),
                ffi::PyUnicode_GET_LENGTH(*slot) as usize,
            )
        };
        // The hash has no secret, so equal slots prove nothing: only equal bytes do.
        if kept == bytes {
            // SAFETY: as above.
            return Some(unsafe { Object::borrowed(*slot) });
        }
    }
    keep(bytes, slot)
}

#[cold]
fn keep(bytes: &[u8], slot: &mut *mut ffi::PyObject) -> Option<Object> {
    let mut key = ascii_str(bytes)?.into_ptr();
    // SAFETY: an owned str; interning may replace it by an equal one and keeps the ownership straight. Hashing a str
    // cannot fail and leaves the hash in it.
    let key = unsafe {
        ffi::PyUnicode_InternInPlace(&raw mut key);
        ffi::PyObject_Hash(key);
        Object::owned(key)?
    };
    let previous = std::mem::replace(slot, key.as_ptr());
    // SAFETY: the slot now owns one reference to the new key, and gives up the one to the previous.
    unsafe {
        ffi::Py_INCREF(key.as_ptr());
        drop(Object::owned(previous));
    }
    Some(key)
}

#[inline(always)]
fn slot_of(bytes: &[u8]) -> usize {
    let len = bytes.len();
    let (low, high) = if len >= 8 {
        (word(bytes, 0), word(bytes, len - 8))
    } else if len >= 4 {
        (half(bytes, 0), half(bytes, len - 4))
    } else {
        let middle = u64::from(bytes[len / 2]) << 8;
        (u64::from(bytes[0]) | middle | u64::from(bytes[len - 1]) << 16, 0)
    };
    // Keys often differ in their last bytes only; the two halves of a full product depend on every bit.
    let product = u128::from(low ^ 0x9E37_79B9_7F4A_7C15) * u128::from(high ^ len as u64 ^ 0xD1B5_4A32_D192_ED03);
    ((product >> 64) as u64 ^ product as u64) as usize % SLOTS
}

#[inline(always)]
fn word(bytes: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(eight)
}

#[inline(always)]
fn half(bytes: &[u8], at: usize) -> u64 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u64::from(u32::from_le_bytes(four))
}
