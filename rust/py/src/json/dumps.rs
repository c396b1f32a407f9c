//! The functions that write: their arguments, and what becomes of the text.

use std::cell::Cell;

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;

use super::failure::Failure;
use super::out::Out;
use super::strs::{Unmade, ascii_str, utf8_str};
use super::write::{Order, written};
use crate::object::Object;
use crate::raw::{self, Call, Method};

/// The functions.
pub fn methods() -> [Method; 3] {
    [
        Method {
            name: c"json_dumps",
            doc: c"json_dumps(value, *, default=None, sort_keys=False)\n--\n\n\
                The value as JSON text in UTF-8: see `aisys.json.dumps`.",
            call: Call::Keywords(json_dumps),
        },
        Method {
            name: c"json_dumps_str",
            doc: c"json_dumps_str(value, *, default=None, sort_keys=False)\n--\n\n\
                The value as JSON text: see `aisys.json.dumps_str`.",
            call: Call::Keywords(json_dumps_str),
        },
        Method {
            name: c"json_canonical",
            doc: c"json_canonical(value)\n--\n\nThe canonical text of a value: see `aisys.json.canonical`.",
            call: Call::Keywords(json_canonical),
        },
    ]
}

/// What a function makes of a text.
trait Form {
    const NAME: &'static str;

    /// None if an exception is set.
    fn made(out: &Out, text: &[u8]) -> Option<Object>;
}

struct Bytes;

impl Form for Bytes {
    const NAME: &'static str = "dumps";

    #[inline(always)]
    fn made(_: &Out, text: &[u8]) -> Option<Object> {
        // SAFETY: attached, as the whole codec is; the bytes are copied.
        unsafe {
            Object::owned(ffi::PyBytes_FromStringAndSize(
                text.as_ptr().cast(),
                text.len() as ffi::Py_ssize_t,
            ))
        }
    }
}

struct Str;

impl Form for Str {
    const NAME: &'static str = "dumps_str";

    #[inline(always)]
    fn made(out: &Out, text: &[u8]) -> Option<Object> {
        if out.is_ascii() {
            return ascii_str(text);
        }
        match utf8_str(text) {
            Ok(made) => Some(made),
            Err(Unmade::Raised) => None,
            // What is written is UTF-8.
            Err(Unmade::Invalid(_)) => {
                // SAFETY: attached.
                unsafe { ffi::PyErr_SetString(ffi::PyExc_SystemError, c"the text is not UTF-8".as_ptr()) };
                None
            }
        }
    }
}

/// See `aisys.json.dumps`.
///
/// # Safety
/// A `METH_FASTCALL | METH_KEYWORDS` function (see `raw`).
unsafe extern "C" fn json_dumps(
    _module: *mut ffi::PyObject,
    values: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as the interpreter calls it.
    unsafe { dumps::<Bytes>(values, count, keywords) }
}

/// See `aisys.json.dumps_str`.
///
/// # Safety
/// A `METH_FASTCALL | METH_KEYWORDS` function (see `raw`).
unsafe extern "C" fn json_dumps_str(
    _module: *mut ffi::PyObject,
    values: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as the interpreter calls it.
    unsafe { dumps::<Str>(values, count, keywords) }
}

/// See `aisys.json.canonical`.
///
/// # Safety
/// A `METH_FASTCALL | METH_KEYWORDS` function (see `raw`).
unsafe extern "C" fn json_canonical(
    _module: *mut ffi::PyObject,
    values: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as the interpreter calls it.
    unsafe {
        if count == 1 && keywords.is_null() {
            return one::<Bytes>(*values, Order::Canonical);
        }
        raw::slowly(|py| {
            let [value] = raw::arguments(py, "canonical", ["value"], values, count, keywords)?;
            let value = raw::required(value, "canonical", "value")?;
            finished(py, written(py, value.as_ptr(), None, Order::Canonical, Bytes::made))
        })
    }
}

/// # Safety
/// With the arguments of a `METH_FASTCALL | METH_KEYWORDS` function.
#[inline(always)]
unsafe fn dumps<F: Form>(
    values: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: promised by the caller.
    unsafe {
        if count == 1 && keywords.is_null() {
            return one::<F>(*values, Order::Given);
        }
        raw::slowly(|py| with_options::<F>(py, values, count, keywords))
    }
}

/// Writes a value without options.
///
/// # Safety
/// Called by the interpreter, with a live object.
#[inline(always)]
unsafe fn one<F: Form>(value: *mut ffi::PyObject, order: Order) -> *mut ffi::PyObject {
    // A failure may hold an exception, which is only given up where PyO3 knows that the thread is attached.
    let failure = Cell::new(None);
    // SAFETY: promised by the caller.
    unsafe {
        raw::quickly(
            |py| match written(py, value, None, order, F::made) {
                Ok(made) => made,
                Err(why) => {
                    failure.set(Some(why));
                    None
                }
            },
            |py| {
                Err(failure
                    .take()
                    .map_or_else(|| PyErr::fetch(py), |why| why.into_pyerr(py)))
            },
        )
    }
}

/// # Safety
/// With the arguments of a `METH_FASTCALL | METH_KEYWORDS` function.
unsafe fn with_options<F: Form>(
    py: Python<'_>,
    values: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> PyResult<Py<PyAny>> {
    if count > 1 {
        return Err(PyTypeError::new_err(format!(
            "{}() takes 1 positional argument but {count} were given",
            F::NAME
        )));
    }
    let names = ["value", "default", "sort_keys"];
    // SAFETY: promised by the caller.
    let [value, default, sort_keys] = unsafe { raw::arguments(py, F::NAME, names, values, count, keywords)? };
    let value = raw::required(value, F::NAME, "value")?;
    let default = default.filter(|default| !default.is_none());
    let order = match sort_keys {
        Some(sort_keys) if sort_keys.extract()? => Order::CodePoints,
        _ => Order::Given,
    };
    finished(py, written(py, value.as_ptr(), default.as_deref(), order, F::made))
}

fn finished(py: Python<'_>, made: Result<Option<Object>, Failure>) -> PyResult<Py<PyAny>> {
    match made {
        Ok(Some(object)) => Ok(object.into_bound(py).unbind()),
        Ok(None) => Err(PyErr::fetch(py)),
        Err(failure) => Err(failure.into_pyerr(py)),
    }
}
