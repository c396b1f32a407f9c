//! Whole numbers out of Python objects, without a call and without running Python code.

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;

/// Bits of a digit of an `int`, as every usual build of the interpreter has them.
const DIGIT_BITS: u32 = 30;

/// Whether the digits of an `int` lie where `digits` reads them: found out at import, by trying.
static KNOWN: AtomicBool = AtomicBool::new(false);

/// An `int`, as far as it is the same in all versions: the head, what it says of its digits, the digits.
#[repr(C)]
struct Int {
    base: ffi::PyObject,
    tag: isize,
    digits: [u32; 3],
}

/// How many digits; None below zero. The tag is the number of digits, negative for negative numbers.
#[cfg(not(Py_3_12))]
#[inline(always)]
fn digit_count(tag: isize) -> Option<usize> {
    usize::try_from(tag).ok()
}

/// How many digits; None below zero. The low bits of the tag tell the sign: 0 is positive, 1 is zero.
#[cfg(Py_3_12)]
#[inline(always)]
fn digit_count(tag: isize) -> Option<usize> {
    match tag & 3 {
        0 => Some(tag.unsigned_abs() >> 3),
        1 => Some(0),
        _ => None,
    }
}

/// # Safety
/// A live `int` whose layout is known.
#[inline(always)]
unsafe fn digits(object: *mut ffi::PyObject) -> Option<u64> {
    // SAFETY: as promised; only digits that the number has are read.
    unsafe {
        let int = object.cast::<Int>();
        let digit = |place: usize| u64::from(*(&raw const (*int).digits).cast::<u32>().add(place));
        match digit_count((*int).tag)? {
            0 => Some(0),
            1 => Some(digit(0)),
            2 => Some(digit(0) | digit(1) << DIGIT_BITS),
            3 if digit(2) >> (64 - 2 * DIGIT_BITS) == 0 => {
                Some(digit(0) | digit(1) << DIGIT_BITS | digit(2) << (2 * DIGIT_BITS))
            }
            _ => None,
        }
    }
}

/// The value of an `int` that fits; None for anything else, which is left to a slower way, as may be some that fit.
///
/// # Safety
/// The caller is attached, and `object` is live.
#[inline(always)]
pub unsafe fn unsigned(object: *mut ffi::PyObject) -> Option<u64> {
    // SAFETY: live, and of a class derived from `int`, which has the layout of one.
    unsafe {
        if ffi::PyLong_Check(object) == 0 {
            None
        } else if KNOWN.load(Ordering::Relaxed) {
            digits(object)
        } else {
            unsigned_by_call(object)
        }
    }
}

/// # Safety
/// The caller is attached, and `object` is a live `int`.
#[inline(never)]
unsafe fn unsigned_by_call(object: *mut ffi::PyObject) -> Option<u64> {
    let mut overflow: c_int = 0;
    // SAFETY: of an `int` no `__index__` is called, and no exception is set.
    let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(object, &raw mut overflow) };
    if overflow == 0 { u64::try_from(value).ok() } else { None }
}

/// Find out whether this interpreter lays numbers out as `digits` reads them.
pub fn init(py: Python<'_>) -> PyResult<()> {
    let bits: u32 = py
        .import("sys")?
        .getattr("int_info")?
        .getattr("bits_per_digit")?
        .extract()?;
    if bits != DIGIT_BITS {
        return Ok(());
    }
    let mut known = true;
    for shift in 0..64 {
        for value in [1u64 << shift, (1 << shift) - 1, u64::MAX << shift] {
            let number = value.into_pyobject(py)?;
            let beyond = number.add(u64::MAX)?.add(1)?;
            let negative = number.neg()?;
            // SAFETY: live numbers of the layout that this version of CPython has, with digits of this size.
            known = known
                && unsafe {
                    digits(number.as_ptr()) == Some(value)
                        && digits(beyond.as_ptr()).is_none()
                        && (value == 0 || digits(negative.as_ptr()).is_none())
                };
        }
    }
    KNOWN.store(known, Ordering::Relaxed);
    Ok(())
}
