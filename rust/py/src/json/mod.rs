//! JSON: text to Python objects and back.
//!
//! `aisys.json` is the face of these functions; it documents what they promise. Reading is one pass from bytes to
//! objects (`cursor`, `parse`, `strings`), writing one pass from objects to a reused buffer (`dumps`, `write`, `out`).

// Lengths and places in memory fit isize; 64-bit integers change their sign on purpose.
#![allow(clippy::cast_possible_wrap)]

#[cfg(Py_GIL_DISABLED)]
compile_error!("the JSON codec's key cache relies on the GIL; free-threaded builds use another tier");

mod arrays;
mod calls;
mod canonical;
mod cursor;
mod dumps;
mod errors;
mod failure;
mod floats;
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

use pyo3::prelude::*;

use crate::raw;

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
    layout::init(module.py())?;
    module.add_function(wrap_pyfunction!(json_setup, module)?)?;
    raw::add_functions(module, calls::methods())?;
    raw::add_functions(module, dumps::methods())?;
    module.add_function(wrap_pyfunction!(json_loads_array, module)?)
}
