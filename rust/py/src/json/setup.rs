//! What the Python face hands over once: the classes and the function that live on its side.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

pub struct Setup {
    /// Turns an object into something closer to JSON, or returns `not_plain`.
    pub plain: Py<PyAny>,
    pub not_plain: Py<PyAny>,
    pub raw: Py<PyAny>,
    pub decode_error: Py<PyAny>,
    pub encode_error: Py<PyAny>,
    pub pointer_error: Py<PyAny>,
}

static SETUP: PyOnceLock<Setup> = PyOnceLock::new();

/// Keeps the first setup: the face is imported once, and errors must stay one class each.
pub fn set(py: Python<'_>, setup: Setup) {
    // An earlier setup stays, so the error of a second one carries no news.
    drop(SETUP.set(py, setup));
}

#[inline]
pub fn get(py: Python<'_>) -> Option<&'static Setup> {
    SETUP.get(py)
}
