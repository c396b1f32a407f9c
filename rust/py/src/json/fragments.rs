//! Keys as they were written last: escaped, in quotes and with their colon, ready to be copied.
//!
//! Only interned keys are kept, those of literals and those that `loads` makes: they come again as the same object. Two
//! keys are the same if they are one object, which the table keeps alive: a str never changes.

use std::cell::UnsafeCell;

use aisys_text::pen::Pen;
use pyo3::ffi;

const SLOTS: usize = 1024;
/// Longer texts are written anew each time.
const MAX_KEPT_BYTES: usize = 48;
const FIRST: usize = 32;

/// One line of the processor's cache.
#[repr(C, align(64))]
struct Slot {
    text: [u8; MAX_KEPT_BYTES],
    len: usize,
    /// Null, or a strong reference to a str.
    key: *mut ffi::PyObject,
}

struct Table(UnsafeCell<[Slot; SLOTS]>);

// SAFETY: only touched while attached to an interpreter with a GIL (the module refuses free-threaded builds), in
// stretches that run no Python code.
unsafe impl Sync for Table {}

static TABLE: Table = Table(UnsafeCell::new(
    [const {
        Slot {
            text: [0; MAX_KEPT_BYTES],
            len: 0,
            key: std::ptr::null_mut(),
        }
    }; SLOTS],
));

#[inline(always)]
fn slot_of(key: *mut ffi::PyObject) -> *mut Slot {
    let address = key as usize;
    // Objects stand at multiples of 16; pages differ in the bits from 12 on.
    let index = (address >> 4 ^ address >> 14) % SLOTS;
    // SAFETY: the index is within the table.
    unsafe { TABLE.0.get().cast::<Slot>().add(index) }
}

/// Writes a key and its colon if it is kept.
///
/// # Safety
/// Attached; there is room for `MAX_KEPT_BYTES`.
#[inline(always)]
pub unsafe fn copy(pen: Pen, key: *mut ffi::PyObject) -> Option<Pen> {
    // SAFETY: see `Table`; a slot's text has all of its bytes.
    unsafe {
        let slot = slot_of(key);
        if (*slot).key != key {
            return None;
        }
        let text = (&raw const (*slot).text).cast::<u8>();
        pen.place().copy_from_nonoverlapping(text, FIRST);
        let len = (*slot).len;
        if len > FIRST {
            pen.place()
                .add(FIRST)
                .copy_from_nonoverlapping(text.add(FIRST), MAX_KEPT_BYTES - FIRST);
        }
        Some(pen.past(len))
    }
}

/// Keeps what was written for a key.
///
/// # Safety
/// Attached; the key is an exact str.
pub unsafe fn keep(key: *mut ffi::PyObject, text: &[u8]) {
    if text.len() > MAX_KEPT_BYTES {
        return;
    }
    // SAFETY: see `Table`; giving up a str runs no Python code. The slot owns one reference to its key.
    unsafe {
        let slot = slot_of(key);
        let previous = (*slot).key;
        (&raw mut (*slot).text)
            .cast::<u8>()
            .copy_from_nonoverlapping(text.as_ptr(), text.len());
        (*slot).len = text.len();
        ffi::Py_INCREF(key);
        (*slot).key = key;
        ffi::Py_XDECREF(previous);
    }
}
