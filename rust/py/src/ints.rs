//! Non-negative whole numbers out of Python objects, without running Python code.

use std::ffi::c_int;

use pyo3::ffi;

/// The value of an `int` from 0 to 2**63 - 1; None for anything else, which is left to a slower way.
///
/// # Safety
/// The caller is attached, and `object` is live.
#[inline(always)]
pub unsafe fn unsigned(object: *mut ffi::PyObject) -> Option<u64> {
    // SAFETY: live, and of a class derived from `int`: no `__index__` is called, and no exception is set.
    unsafe {
        if ffi::PyLong_Check(object) == 0 {
            return None;
        }
        let mut overflow: c_int = 0;
        let value = ffi::PyLong_AsLongLongAndOverflow(object, &raw mut overflow);
        if overflow == 0 { u64::try_from(value).ok() } else { None }
    }
}
