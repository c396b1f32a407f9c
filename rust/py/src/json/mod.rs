//! JSON: text to Python objects and back.
//!
//! `aisys.json` is the face of these functions; it documents what they promise. Reading is one pass from bytes to
//! objects (`cursor`, `parse`, `strings`), writing one pass from objects to a reused buffer (`write`, `out`).

// Lengths and places in memory fit isize; 64-bit integers change their sign on purpose.
#![allow(clippy::cast_possible_wrap)]

#[cfg(Py_GIL_DISABLED)]
compile_error!("the JSON codec's key cache relies on the GIL; free-threaded builds use another tier");

mod arrays;
mod calls;
mod canonical;
mod cursor;
mod errors;
mod floats;
mod input;
mod keys;
mod numpy;
mod out;
mod parse;
mod plain;
mod pointer;
mod pool;
mod scan;
mod setup;
mod shapes;
mod skip;
mod strings;
mod strs;
mod wide;
mod write;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::raw;

use write::Order;

fn order_of(sort_keys: bool) -> Order {
    if sort_keys { Order::CodePoints } else { Order::Given }
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

/// The value as JSON text in UTF-8: see `aisys.json.dumps`.
#[pyfunction]
#[pyo3(signature = (value, *, default=None, sort_keys=false))]
fn json_dumps<'py>(
    value: &Bound<'py, PyAny>,
    default: Option<&Bound<'py, PyAny>>,
    sort_keys: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    write::dumps(value, default, order_of(sort_keys))
}

/// The value as JSON text: see `aisys.json.dumps_str`.
#[pyfunction]
#[pyo3(signature = (value, *, default=None, sort_keys=false))]
fn json_dumps_str<'py>(
    value: &Bound<'py, PyAny>,
    default: Option<&Bound<'py, PyAny>>,
    sort_keys: bool,
) -> PyResult<Bound<'py, PyAny>> {
    write::dumps_str(value, default, order_of(sort_keys))
}

/// The canonical text of a value: see `aisys.json.canonical`.
#[pyfunction]
fn json_canonical<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    write::dumps(value, None, Order::Canonical)
}

/// The array of numbers at a JSON pointer: see `aisys.json.loads_array`.
#[pyfunction]
#[pyo3(signature = (buffer, pointer="", dtype="float32"))]
fn json_loads_array<'py>(buffer: &Bound<'py, PyAny>, pointer: &str, dtype: &str) -> PyResult<Bound<'py, PyAny>> {
    arrays::loads_array(buffer, pointer, dtype)
}

pub fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    floats::init(module.py())?;
    strs::init(module.py())?;
    shapes::init(module.py());
    module.add_function(wrap_pyfunction!(json_setup, module)?)?;
    raw::add_functions(module, calls::methods())?;
    module.add_function(wrap_pyfunction!(json_dumps, module)?)?;
    module.add_function(wrap_pyfunction!(json_dumps_str, module)?)?;
    module.add_function(wrap_pyfunction!(json_canonical, module)?)?;
    module.add_function(wrap_pyfunction!(json_loads_array, module)?)
}
