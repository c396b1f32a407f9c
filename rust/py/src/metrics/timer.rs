//! Observing how long something takes.

use std::time::Instant;

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;

use super::kinds::Histogram;
use super::labels::Face;
use crate::cell::GilCell;
use crate::object::Object;
use crate::raw::{self, Call, Method};

/// Observes how long what it surrounds takes.
#[pyclass(frozen, module = "aisys._native")]
pub struct Timer {
    histogram: Py<Histogram>,
    /// When what it surrounds was entered.
    began: GilCell<Option<Instant>>,
}

/// # Safety
/// A method of `Histogram` (see `raw`).
pub unsafe extern "C" fn time(slf: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls it as a method of that class, so that `slf` is one and alive.
    unsafe {
        let histogram: &Histogram = raw::receiver(slf);
        raw::quickly(
            |py| {
                histogram.node().metric_if_any()?;
                let timer = Bound::new(
                    py,
                    Timer {
                        histogram: Borrowed::from_ptr(py, slf).to_owned().cast_into_unchecked().unbind(),
                        began: GilCell::new(None),
                    },
                );
                Object::owned(timer.ok()?.into_ptr())
            },
            |py| {
                // It is not for lack of memory, which cannot be told from here, but for lack of label values.
                histogram.node().metric()?;
                Err(pyo3::exceptions::PyMemoryError::new_err(py.None()))
            },
        )
    }
}

impl Timer {
    /// # Safety
    /// A method of this class (see `raw`).
    unsafe extern "C" fn enter(slf: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
        // SAFETY: the interpreter calls it as a method of this class, so that `slf` is one and alive.
        unsafe {
            let timer: &Self = raw::receiver(slf);
            raw::quickly(
                |py| {
                    let running = timer.began.with(py, |began| began.replace(Instant::now()));
                    running.ok()?.is_none().then(|| Object::borrowed(slf))
                },
                |_py| {
                    Err(PyRuntimeError::new_err(
                        "this timer runs already: take one with time() for each thing that is timed",
                    ))
                },
            )
        }
    }

    /// # Safety
    /// A method of this class (see `raw`).
    unsafe extern "C" fn exit(
        slf: *mut ffi::PyObject,
        _arguments: *mut *mut ffi::PyObject,
        _count: ffi::Py_ssize_t,
    ) -> *mut ffi::PyObject {
        // SAFETY: the interpreter calls it as a method of this class, so that `slf` is one and alive.
        unsafe {
            let timer: &Self = raw::receiver(slf);
            raw::quickly(
                |py| {
                    let began = timer.began.with(py, Option::take).ok()??;
                    let metric = timer.histogram.get().node().metric_if_any()?;
                    metric.observe(began.elapsed().as_secs_f64());
                    Some(Object::borrowed(ffi::Py_None()))
                },
                |_py| Err(PyRuntimeError::new_err("this timer was not entered")),
            )
        }
    }
}

#[pymethods]
impl Timer {
    /// A function whose calls are timed.
    #[pyo3(signature = (function, /))]
    fn __call__<'py>(&self, py: Python<'py>, function: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        // What a decorated function looks like is Python's business; it asks this histogram for a timer in each call.
        py.import("aisys.metrics.timing")?
            .call_method1("timed", (&self.histogram, function))
    }
}

pub fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Timer>()?;
    raw::add_methods::<Timer>(
        module.py(),
        [
            Method {
                name: c"__enter__",
                doc: c"__enter__($self, /)\n--\n\nBegin.",
                call: Call::None(Timer::enter),
            },
            Method {
                name: c"__exit__",
                doc: c"__exit__($self, /, *_)\n--\n\nEnd, and observe the seconds since the beginning.",
                call: Call::Positional(Timer::exit),
            },
        ],
    )
}
