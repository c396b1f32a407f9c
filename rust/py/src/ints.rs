//! Whole numbers as CPython lays them out in memory, which saves a call for each.
//!
//! The layout is that of 3.11 to 3.13. It is tried at import, and where it does not hold the C API is used.

// Magnitudes of at most 90 bits, in integers that are wider.
#![allow(clippy::cast_possible_wrap)]

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;

/// Whether the layout holds.
static KNOWN: AtomicBool = AtomicBool::new(false);

/// Bits of a digit of an int.
const DIGIT_BITS: u32 = 30;

/// What is known of an int.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Int {
    Small(i64),
    /// Beyond `Small`, in 64 bits without a sign.
    Natural(u64),
    /// Beyond both.
    Large,
    /// To be asked for.
    Other,
}

/// An int's head and first digits; how many there are says the head.
#[repr(C)]
struct Long {
    head: ffi::PyObject,
    /// Up to 3.11 the number of digits, with the sign of the int; see `size_of_int`.
    size: isize,
    digits: [u32; 3],
}

/// The number of digits of an int, and whether it is negative.
#[inline(always)]
fn size_of_int(size: isize) -> (usize, bool) {
    if cfg!(Py_3_12) {
        // Below the number stand three bits, of which two are the sign: 0 positive, 1 zero, 2 negative.
        ((size as usize) >> 3, size & 3 == 2)
    } else {
        (size.unsigned_abs(), size < 0)
    }
}

/// The value of an int.
///
/// # Safety
/// A live int.
#[inline(always)]
pub unsafe fn int(value: *mut ffi::PyObject) -> Int {
    if KNOWN.load(Ordering::Relaxed) {
        // SAFETY: promised by the caller; the layout was tried.
        unsafe { read(value) }
    } else {
        Int::Other
    }
}

/// # Safety
/// A live int with the layout of `Long`.
#[inline(always)]
unsafe fn read(value: *mut ffi::PyObject) -> Int {
    let long = value.cast::<Long>();
    // SAFETY: promised by the caller; only digits that there are count, and even zero has room for one.
    unsafe {
        let size = size_of_int((&raw const (*long).size).read());
        let digit = |index: usize| u64::from((&raw const (*long).digits).cast::<u32>().add(index).read());
        let magnitude = match size.0 {
            0 => 0,
            1 => digit(0),
            2 => digit(0) | digit(1) << DIGIT_BITS,
            3 => return read_long(size.1, digit(0) | digit(1) << DIGIT_BITS, digit(2)),
            _ => return Int::Large,
        };
        // Two digits are 60 bits.
        Int::Small(if size.1 { -(magnitude as i64) } else { magnitude as i64 })
    }
}

fn read_long(negative: bool, low: u64, third: u64) -> Int {
    let magnitude = u128::from(low) | u128::from(third) << (2 * DIGIT_BITS);
    let signed = if negative {
        -(magnitude as i128)
    } else {
        magnitude as i128
    };
    match i64::try_from(signed) {
        Ok(small) => Int::Small(small),
        Err(_) => u64::try_from(signed).map_or(Int::Large, Int::Natural),
    }
}

/// The value of an `int` that fits; None for anything else, which is left to a slower way.
///
/// # Safety
/// The caller is attached, and `object` is live.
#[inline(always)]
pub unsafe fn unsigned(object: *mut ffi::PyObject) -> Option<u64> {
    // SAFETY: live, and of a class derived from `int`, which has the layout of one.
    unsafe {
        if ffi::PyLong_Check(object) == 0 {
            return None;
        }
        match int(object) {
            Int::Small(value) => u64::try_from(value).ok(),
            Int::Natural(value) => Some(value),
            Int::Large => None,
            Int::Other => unsigned_by_call(object),
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

/// Try the layout on numbers of every size.
pub fn init(py: Python<'_>) -> PyResult<()> {
    if cfg!(Py_3_14) || cfg!(target_pointer_width = "32") {
        return Ok(());
    }
    let digits: u32 = py
        .import("sys")?
        .getattr("int_info")?
        .getattr("bits_per_digit")?
        .extract()?;
    if digits == DIGIT_BITS {
        KNOWN.store(are_known(py)?, Ordering::Relaxed);
    }
    Ok(())
}

fn are_known(py: Python<'_>) -> PyResult<bool> {
    for bits in 0..100 {
        for value in [1_i128 << bits, (1 << bits) - 1, -(1 << bits), (1 << bits) + 1] {
            let object = value.into_pyobject(py)?;
            let expected = match i64::try_from(value) {
                Ok(small) => Int::Small(small),
                Err(_) => u64::try_from(value).map_or(Int::Large, Int::Natural),
            };
            // SAFETY: an exact int.
            let found = unsafe { read(object.as_ptr()) };
            if found != expected {
                return Ok(false);
            }
        }
    }
    Ok(true)
}
