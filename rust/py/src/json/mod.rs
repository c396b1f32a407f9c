//! JSON: text to Python objects and back.
//!
//! `aisys.json` is the face of these functions; it documents what they promise. Reading is one pass from bytes to
//! objects (`cursor`, `parse`, `strings`), writing one pass from objects to a reused buffer (`dumps`, `write`, `out`).

// Lengths and places in memory fit isize; 64-bit integers change their sign on purpose.
#![allow(clippy::cast_possible_wrap)]

#[cfg(Py_GIL_DISABLED)]
compile_error!("the JSON codec's key cache relies on the GIL; free-threaded builds use another tier");

mod arrays;
mod canonical;
mod cursor;
mod dumps;
mod errors;
mod failure;
mod fragments;
mod input;
mod keys;
mod layout;
mod numpy;
mod out;
mod parse;
mod plain;
mod pointer;
mod pool;
mod setup;
mod shapes;
mod skip;
mod strings;
mod strs;
mod write;

use std::convert::Infallible;

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::raw::{self, Call, Method};

use dumps::{json_canonical, json_dumps, json_dumps_str};
use input::Input;

/// An argument that tells "not given" from None.
enum Given {
    No,
    Yes(Py<PyAny>),
}

impl<'a, 'py> FromPyObject<'a, 'py> for Given {
    type Error = Infallible;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> Result<Self, Infallible> {
        Ok(Self::Yes(object.to_owned().unbind()))
    }
}

/// Hand over what lives on the Python side: called once by `aisys.json`.
#[pyfunction]
fn json_setup(
    py: Python<'_>,
    plain: Py<PyAny>,
    not_plain: Py<PyAny>,
    raw: Py<PyAny>,
    decode_error: Py<PyAny>,
    encode_error: Py<PyAny>,
    pointer_error: Py<PyAny>,
) {
    setup::set(
        py,
        setup::Setup {
            plain,
            not_plain,
            raw,
            decode_error,
            encode_error,
            pointer_error,
        },
    );
}

/// The value of a JSON text: see `aisys.json.loads`.
///
/// # Safety
/// A `METH_O` function (see `raw`).
unsafe extern "C" fn json_loads(_module: *mut ffi::PyObject, data: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls it, with a live argument.
    unsafe {
        raw::quickly(
            |py| parse::loads_quickly(py, data),
            |py| parse::loads(&Bound::from_borrowed_ptr(py, data)).map(Bound::unbind),
        )
    }
}

/// The value at a JSON pointer: see `aisys.json.get`.
#[pyfunction]
#[pyo3(signature = (buffer, pointer, *, default=Given::No, raw=false))]
fn json_get<'py>(buffer: &Bound<'py, PyAny>, pointer: &str, default: Given, raw: bool) -> PyResult<Bound<'py, PyAny>> {
    let input = Input::new(buffer)?;
    let (py, text) = (buffer.py(), input.with_nul());
    let found = match default {
        Given::No => pointer::require(py, text, &[pointer], raw)?.pop(),
        Given::Yes(default) => {
            let found = pointer::get(py, text, &[pointer], raw)?.pop().flatten();
            Some(found.unwrap_or_else(|| default.into_bound(py)))
        }
    };
    found.ok_or_else(|| PyRuntimeError::new_err("one pointer gives one value"))
}

/// The values at several JSON pointers: see `aisys.json.get_many`.
#[pyfunction]
#[pyo3(signature = (buffer, *pointers, raw=false))]
fn json_get_many<'py>(
    buffer: &Bound<'py, PyAny>,
    pointers: &Bound<'py, PyTuple>,
    raw: bool,
) -> PyResult<Bound<'py, PyTuple>> {
    let input = Input::new(buffer)?;
    let pointers = pointers.extract::<Vec<String>>()?;
    let pointers: Vec<&str> = pointers.iter().map(String::as_str).collect();
    let values = pointer::require(buffer.py(), input.with_nul(), &pointers, raw)?;
    PyTuple::new(buffer.py(), values)
}

/// The array of numbers at a JSON pointer: see `aisys.json.loads_array`.
#[pyfunction]
#[pyo3(signature = (buffer, pointer="", dtype="float32"))]
fn json_loads_array<'py>(buffer: &Bound<'py, PyAny>, pointer: &str, dtype: &str) -> PyResult<Bound<'py, PyAny>> {
    arrays::loads_array(buffer, pointer, dtype)
}

pub fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    strs::init(module.py())?;
    shapes::init(module.py());
    layout::init(module.py())?;
    module.add_function(wrap_pyfunction!(json_setup, module)?)?;
    raw::add_functions(
        module,
        [
            Method {
                name: c"json_loads",
                doc: c"json_loads(data, /)\n--\n\nThe value of a JSON text: see `aisys.json.loads`.",
                call: Call::One(json_loads),
            },
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
        ],
    )?;
    module.add_function(wrap_pyfunction!(json_get, module)?)?;
    module.add_function(wrap_pyfunction!(json_get_many, module)?)?;
    module.add_function(wrap_pyfunction!(json_loads_array, module)?)
}
