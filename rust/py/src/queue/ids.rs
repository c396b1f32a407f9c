//! The ints that putting returns.
//!
//! Making an int and giving it up costs a third of a put, and most callers give it up at once. So the last one is
//! kept, and if nobody else refers to it any more it is written over instead of made anew, as `zip` does with its tuple.
//! That needs the layout of an int: if the interpreter's is not as expected, which is tested once, ints are made as
//! usual.

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use pyo3::ffi;

use crate::object::Object;

/// An int of up to two digits of 30 bits.
#[repr(C)]
struct Int {
    head: ffi::PyObject,
    /// How many digits.
    size: usize,
    digits: [u32; DIGITS],
}

const DIGITS: usize = 2;
const DIGIT_BITS: u32 = 30;
const MASK: u64 = (1 << DIGIT_BITS) - 1;
/// The largest number of two digits.
const LARGEST: u64 = (1 << (2 * DIGIT_BITS)) - 1;
/// Where in `size` the number stands: behind the bits for the sign, since 3.12.
const SIZE_SHIFT: u32 = if cfg!(Py_3_12) { 3 } else { 0 };

/// The last int, to which this refers. Read and written only by whoever holds the GIL.
static LAST: AtomicPtr<ffi::PyObject> = AtomicPtr::new(ptr::null_mut());
static USABLE: AtomicBool = AtomicBool::new(false);

/// An int; `None` means that an exception is set.
///
/// # Safety
/// The caller is attached.
#[inline]
pub unsafe fn new_id(id: u64) -> Option<Object> {
    // SAFETY: attached. An int to which nobody else refers may be changed, as nobody can see that.
    unsafe {
        let last = LAST.load(Ordering::Relaxed);
        if !last.is_null() && id <= LARGEST && ffi::Py_REFCNT(last) == 1 {
            write(last, id);
            return Some(Object::borrowed(last));
        }
        make(id)
    }
}

#[inline(never)]
unsafe fn make(id: u64) -> Option<Object> {
    // SAFETY: attached; the old int is one that this referred to. The new one was made with two digits, as those that
    // are written over must be.
    unsafe {
        if id > LARGEST || !USABLE.load(Ordering::Relaxed) {
            return Object::owned(ffi::PyLong_FromUnsignedLongLong(id));
        }
        let made = Object::owned(ffi::PyLong_FromUnsignedLongLong(LARGEST))?;
        write(made.as_ptr(), id);
        let kept = Object::borrowed(made.as_ptr());
        drop(Object::owned(LAST.swap(kept.into_ptr(), Ordering::Relaxed)));
        Some(made)
    }
}

/// # Safety
/// `int` was made with two digits, nobody else refers to it, the layout is as expected, and `value` is not 0 nor larger
/// than `LARGEST`.
#[inline]
unsafe fn write(int: *mut ffi::PyObject, value: u64) {
    // SAFETY: promised by the caller.
    unsafe {
        let int = int.cast::<Int>();
        (*int).size = (1 + usize::from(value > MASK)) << SIZE_SHIFT;
        (*int).digits = [(value & MASK) as u32, (value >> DIGIT_BITS) as u32];
    }
}

/// Find out whether ints are laid out as expected.
///
/// # Safety
/// The caller is attached.
pub unsafe fn init() {
    // SAFETY: attached. The int is looked at before it is written to, and given up only as what it was.
    let usable = unsafe {
        let Some(int) = Object::owned(ffi::PyLong_FromUnsignedLongLong(LARGEST)) else {
            ffi::PyErr_Clear();
            return;
        };
        let layout = int.as_ptr().cast::<Int>();
        let expected = (*layout).size == DIGITS << SIZE_SHIFT && (*layout).digits == [MASK as u32; DIGITS];
        expected
            && [1, 512, MASK, MASK + 1, LARGEST - 1, LARGEST].into_iter().all(|value| {
                write(int.as_ptr(), value);
                ffi::PyLong_AsUnsignedLongLong(int.as_ptr()) == value
            })
    };
    USABLE.store(usable, Ordering::Relaxed);
}
