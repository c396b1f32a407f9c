//! Metrics for Python. An object is a family with labels, or counts; `labels` goes from the one to the other.
//!
//! No class here takes part in garbage collection, because no cycle can pass through them: a registry refers to
//! families, a family to its children and to exact strings, a timer to a histogram, and nothing refers back. None of
//! them can be subclassed or has a `__dict__` in which anything else could be put.

mod kinds;
mod labels;
mod registry;
mod timer;

use std::time::{SystemTime, UNIX_EPOCH};

use aisys_core::metrics as core;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMapping, PyString, PyTuple};

/// Seconds, from a call within a process to a model's answer.
const DEFAULT_BUCKETS: [f64; 17] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

#[cold]
fn value_error(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// The number that an exact float or int is, if it is one that a float can hold.
///
/// # Safety
/// The caller is attached, and `value` is alive.
#[inline(always)]
unsafe fn number(value: *mut ffi::PyObject) -> Option<f64> {
    // SAFETY: as promised. Neither conversion runs Python code.
    unsafe {
        if ffi::PyFloat_CheckExact(value) != 0 {
            return Some(ffi::PyFloat_AS_DOUBLE(value));
        }
        if ffi::PyLong_CheckExact(value) == 0 {
            return None;
        }
        let number = ffi::PyLong_AsDouble(value);
        // It says -1 if there is no such number.
        if number < 0.0 && !ffi::PyErr_Occurred().is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        Some(number)
    }
}

/// The exemplar of a value, now, from a mapping of label names to values; none from None or an empty one.
fn exemplar(labels: Option<Borrowed<'_, '_, PyAny>>, value: f64) -> PyResult<Option<core::Exemplar>> {
    let Some(labels) = labels.filter(|labels| !labels.is_none()) else {
        return Ok(None);
    };
    let mut pairs = Vec::new();
    for item in labels.cast::<PyMapping>()?.items()? {
        pairs.push(item.extract::<(Bound<'_, PyString>, Bound<'_, PyString>)>()?);
    }
    if pairs.is_empty() {
        return Ok(None);
    }
    let texts = pairs
        .iter()
        .map(|(name, value)| Ok((name.to_str()?, value.to_str()?)))
        .collect::<PyResult<Vec<_>>>()?;
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    core::Exemplar::new(texts, value, now_s.as_secs_f64())
        .map(Some)
        .map_err(value_error)
}

/// Several expositions as one, with one HELP and one TYPE line for each family.
#[pyfunction]
fn merge<'py>(py: Python<'py>, expositions: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let parts = expositions.try_iter()?.collect::<PyResult<Vec<_>>>()?;
    let parts = parts
        .iter()
        .map(|part| Ok(part.cast::<PyBytes>()?.as_bytes()))
        .collect::<PyResult<Vec<_>>>()?;
    Ok(PyBytes::new(py, &core::merge(&parts).map_err(value_error)?))
}

pub fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    kinds::init(module)?;
    timer::init(module)?;
    module.add_class::<registry::Registry>()?;
    module.add("DEFAULT_BUCKETS", PyTuple::new(module.py(), DEFAULT_BUCKETS)?)?;
    module.add_function(wrap_pyfunction!(merge, module)?)
}
