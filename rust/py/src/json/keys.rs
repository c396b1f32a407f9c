//! Keys of objects: the same few come again and again, so their str objects are kept, interned and hashed.

use std::cell::UnsafeCell;

use pyo3::ffi;

use super::strs::ascii_str;
use crate::object::Object;

const SLOTS: usize = 2048;
/// Longer keys are rare, and copying them costs as much as looking them up.
const MAX_KEPT_BYTES: usize = 64;
/// Keys up to here are compared by their words alone.
const WHOLE_BYTES: usize = 16;

/// A key as it is compared: all of it if it is short, else its beginning and its end.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Words {
    first: u64,
    last: u64,
    len: usize,
}

#[derive(Clone, Copy)]
struct Slot {
    words: Words,
    /// Null, or a strong reference to a compact ASCII str, which is interned except on 3.12.
    key: *mut ffi::PyObject,
    /// The hash of the key that last came here and was not kept.
    seen: u64,
}

const FREE: Slot = Slot {
    words: Words {
        first: 0,
        last: 0,
        len: 0,
    },
    key: std::ptr::null_mut(),
    seen: 0,
};

struct Cache(UnsafeCell<[Slot; SLOTS]>);

// SAFETY: only touched while attached to an interpreter with a GIL (the module refuses free-threaded builds), in
// stretches that run no Python code.
unsafe impl Sync for Cache {}

static CACHE: Cache = Cache(UnsafeCell::new([FREE; SLOTS]));

/// A key that is kept, if the first `len` bytes of a block, which is longer, are one.
///
/// These may be any bytes, also the beginning of a key in which a quote is escaped: a kept key is ASCII without anything to
/// escape, so what is equal to it is so as well.
#[inline(always)]
pub fn kept_key(block: [u8; WHOLE_BYTES], len: usize) -> Option<Object> {
    let words = words_of(block, len);
    // SAFETY: see `Cache`: nothing else holds a reference into the table during these lines.
    let slot = unsafe { &(*CACHE.0.get())[hash_of(words) as usize % SLOTS] };
    // The hash has no secret, so equal slots prove nothing: only equal bytes do. The empty key's slot may be a free one.
    if slot.words != words || slot.key.is_null() {
        return None;
    }
    // SAFETY: the slot holds a live object.
    Some(unsafe { Object::borrowed(slot.key) })
}

#[inline(always)]
fn words_of(block: [u8; WHOLE_BYTES], len: usize) -> Words {
    debug_assert!(len < WHOLE_BYTES);
    let all = u128::from_le_bytes(block) & ((1 << (8 * len)) - 1);
    Words {
        first: all as u64,
        last: (all >> 64) as u64,
        len,
    }
}

/// The str of an ASCII key without escapes.
#[inline(never)]
pub fn ascii_key(bytes: &[u8]) -> Option<Object> {
    let len = bytes.len();
    if len < WHOLE_BYTES {
        let mut block = [0; WHOLE_BYTES];
        block[..len].copy_from_slice(bytes);
        if let Some(key) = kept_key(block, len) {
            return Some(key);
        }
        let words = words_of(block, len);
        let hash = hash_of(words);
        // SAFETY: see `Cache`.
        return new_key(bytes, words, hash, unsafe {
            &mut (*CACHE.0.get())[hash as usize % SLOTS]
        });
    }
    if len > MAX_KEPT_BYTES {
        return ascii_str(bytes);
    }
    let words = Words {
        first: word(bytes, 0),
        last: word(bytes, len - 8),
        len,
    };
    let hash = hash_of(words);
    // SAFETY: see `Cache`.
    let slot = unsafe { &mut (*CACHE.0.get())[hash as usize % SLOTS] };
    if slot.words == words && !slot.key.is_null() {
        // SAFETY: the slot holds a live compact ASCII str of this length, whose bytes follow its header.
        let kept = unsafe { std::slice::from_raw_parts(ffi::PyUnicode_DATA(slot.key).cast::<u8>(), len) };
        if kept == bytes {
            // SAFETY: as above.
            return Some(unsafe { Object::borrowed(slot.key) });
        }
    }
    new_key(bytes, words, hash, slot)
}

/// Makes a key, and keeps it when it comes for the second time: interning those that come once costs more than all the
/// rest of reading them.
#[inline(never)]
fn new_key(bytes: &[u8], words: Words, hash: u64, slot: &mut Slot) -> Option<Object> {
    let key = ascii_str(bytes)?;
    if slot.seen != hash {
        slot.seen = hash;
        return Some(key);
    }
    let mut key = key.into_ptr();
    // SAFETY: an owned str; interning may replace it by an equal one and keeps the ownership straight. Hashing a str
    // cannot fail and leaves the hash in it.
    let key = unsafe {
        // 3.12 never lets go of what is interned, so that keys from outside could fill the memory.
        if cfg!(any(not(Py_3_12), Py_3_13)) {
            ffi::PyUnicode_InternInPlace(&raw mut key);
        }
        ffi::PyObject_Hash(key);
        Object::owned(key)?
    };
    // SAFETY: a str; what was interned before may be no compact ASCII one in theory, and is then not kept.
    if !unsafe { is_compact_ascii(key.as_ptr()) } {
        return Some(key);
    }
    // SAFETY: the slot gets a reference of its own.
    let kept = unsafe { Object::borrowed(key.as_ptr()) };
    let seen = slot.seen;
    let previous = std::mem::replace(
        slot,
        Slot {
            words,
            key: kept.into_ptr(),
            seen,
        },
    );
    // SAFETY: the slot has given up its reference.
    drop(unsafe { Object::owned(previous.key) });
    Some(key)
}

/// # Safety
/// A live str.
unsafe fn is_compact_ascii(text: *mut ffi::PyObject) -> bool {
    // SAFETY: promised by the caller.
    unsafe { ffi::PyUnicode_CheckExact(text) != 0 && ffi::PyUnicode_IS_COMPACT_ASCII(text) != 0 }
}

#[inline(always)]
fn hash_of(words: Words) -> u64 {
    // Keys often differ in a few bits only; the two halves of a full product depend on every bit.
    let product = u128::from(words.first ^ 0x9E37_79B9_7F4A_7C15)
        * u128::from(words.last ^ words.len as u64 ^ 0xD1B5_4A32_D192_ED03);
    (product >> 64) as u64 ^ product as u64
}

#[inline(always)]
fn word(bytes: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(eight)
}
