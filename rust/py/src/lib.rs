//! `aisys._native`: table of contents only.

mod buffer;
mod cell;
mod correlation;
mod errors;
mod frame;
mod info;
mod ints;
mod json;
mod metrics;
mod object;
mod queue;
mod raw;

use pyo3::prelude::*;

// The GIL is what protects `cell::GilCell`; a free-threaded interpreter turns it on when it loads this module.
#[pymodule(gil_used = true)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    ints::init(module.py())?;
    info::init(module)?;
    queue::init(module)?;
    frame::init(module)?;
    correlation::init(module)?;
    metrics::init(module)?;
    json::init(module)?;
    // The stub says what there is; a list beside it would have to be kept by hand.
    module.delattr("__all__")
}
