//! The exceptions of `aisys.errors` that Rust raises. The classes live in Python; they are looked up on first use.

use aisys_core::frame::FrameError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

static FRAME_ERROR: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// The `aisys.errors.FrameError` of a refused frame.
#[cold]
pub fn frame_error(py: Python<'_>, error: FrameError) -> PyErr {
    match FRAME_ERROR.import(py, "aisys.errors", "FrameError") {
        Ok(class) => PyErr::from_type(class.clone(), error.to_string()),
        Err(failed) => failed,
    }
}
