//! `aisys._native`: table of contents only.

mod frame;
mod info;
mod json;
mod metrics;
mod queue;

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    info::init(module)?;
    queue::init(module)?;
    frame::init(module)?;
    metrics::init(module)?;
    json::init(module)
}
