//! Making float objects.

use std::cell::Cell;

use pyo3::ffi;
use pyo3::prelude::*;

use crate::object::Object;

/// What stands before the value of a new float; None where we may not make one ourselves.
struct Model(Cell<Option<[u64; HEADER_WORDS]>>);

const HEADER_WORDS: usize = size_of::<ffi::PyObject>() / 8;

// SAFETY: only touched while attached to an interpreter with a GIL (the module refuses free-threaded builds).
unsafe impl Sync for Model {}

static MODEL: Model = Model(Cell::new(None));

/// Look at a float of this interpreter: called once, before the first text is read.
pub fn init(py: Python<'_>) -> PyResult<()> {
    // An interpreter that counts or lists its objects must see each of them made.
    if cfg!(any(
        py_sys_config = "Py_REF_DEBUG",
        py_sys_config = "Py_TRACE_REFS",
        Py_3_14
    )) {
        return Ok(());
    }
    // SAFETY: attached; a new float starts with its header, and is alive while it is read.
    let header = unsafe {
        let made = Object::owned(ffi::PyFloat_FromDouble(0.5)).ok_or_else(|| PyErr::fetch(py))?;
        made.as_ptr().cast::<[u64; HEADER_WORDS]>().read()
    };
    MODEL.0.set(Some(header));
    Ok(())
}

/// A new reference to a float, or null with an exception.
///
/// # Safety
/// Attached.
#[inline(always)]
pub unsafe fn new_float(value: f64) -> *mut ffi::PyObject {
    // SAFETY: promised by the caller; the object is complete before anybody sees it.
    unsafe {
        let Some(header) = MODEL.0.get() else {
            return ffi::PyFloat_FromDouble(value);
        };
        let made = ffi::PyObject_Malloc(size_of::<ffi::PyFloatObject>()).cast::<ffi::PyFloatObject>();
        if made.is_null() {
            return ffi::PyErr_NoMemory();
        }
        made.cast::<[u64; HEADER_WORDS]>().write(header);
        (*made).ob_fval = value;
        made.cast()
    }
}
