//! Counters, gauges and histograms.

use aisys_core::metrics as core;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;

use super::labels::{Face, Node, family_methods};
use super::{exemplar, number, timer};
use crate::object::Object;
use crate::raw::{self, Call, Method};

macro_rules! face {
    ($kind:ident) => {
        impl Face for $kind {
            type Metric = core::$kind;

            fn new(node: Node<Self>) -> Self {
                Self(node)
            }

            fn node(&self) -> &Node<Self> {
                &self.0
            }
        }
    };
}

/// The one argument that a call was given by place, if so and if it is a float or an int.
///
/// # Safety
/// What the interpreter passed to a function called with keywords.
#[inline(always)]
unsafe fn only_number(
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> Option<f64> {
    if count != 1 || !names.is_null() {
        return None;
    }
    // SAFETY: there is one argument, which is alive.
    unsafe { number(*arguments) }
}

fn none() -> Object {
    // SAFETY: called by the interpreter only, so attached; None lives for ever.
    unsafe { Object::borrowed(ffi::Py_None()) }
}

/// A number that goes up.
#[pyclass(frozen, module = "aisys._native")]
pub struct Counter(Node<Counter>);

face!(Counter);

impl Counter {
    /// # Safety
    /// A method of this class (see `raw`).
    unsafe extern "C" fn inc(
        slf: *mut ffi::PyObject,
        arguments: *const *mut ffi::PyObject,
        count: ffi::Py_ssize_t,
        names: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject {
        // SAFETY: the interpreter calls it as a method of this class, with `count` arguments and those named.
        unsafe {
            let counter: &Self = raw::receiver(slf);
            raw::quickly(
                |_py| {
                    let metric = counter.0.metric_if_any()?;
                    if count == 0 && names.is_null() {
                        metric.step();
                        return Some(none());
                    }
                    metric.add(only_number(arguments, count, names)?).then(none)
                },
                |py| {
                    let [n, labels] = raw::arguments(py, "inc", ["n", "exemplar"], arguments, count, names)?;
                    let n = n.map_or(Ok(1.0), pyo3::Borrowed::extract)?;
                    let metric = counter.0.metric()?;
                    let added = match exemplar(labels, n)? {
                        Some(exemplar) => metric.add_with(n, exemplar),
                        None => metric.add(n),
                    };
                    if added {
                        Ok(py.None())
                    } else {
                        Err(PyValueError::new_err(format!("a counter cannot go up by {n}")))
                    }
                },
            )
        }
    }
}

#[pymethods]
impl Counter {
    /// What it has reached.
    #[getter]
    fn value(&self) -> PyResult<f64> {
        Ok(self.0.metric()?.value())
    }
}

/// A number that goes up and down.
#[pyclass(frozen, module = "aisys._native")]
pub struct Gauge(Node<Gauge>);

face!(Gauge);

impl Gauge {
    /// # Safety
    /// A method of this class (see `raw`).
    unsafe extern "C" fn set(
        slf: *mut ffi::PyObject,
        arguments: *const *mut ffi::PyObject,
        count: ffi::Py_ssize_t,
        names: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject {
        // SAFETY: the interpreter calls it as a method of this class, with `count` arguments and those named.
        unsafe {
            let gauge: &Self = raw::receiver(slf);
            raw::quickly(
                |_py| {
                    let metric = gauge.0.metric_if_any()?;
                    metric.set(only_number(arguments, count, names)?);
                    Some(none())
                },
                |py| {
                    let [v] = raw::arguments(py, "set", ["v"], arguments, count, names)?;
                    let v = raw::required(v, "set", "v")?.extract()?;
                    gauge.0.metric()?.set(v);
                    Ok(py.None())
                },
            )
        }
    }

    /// # Safety
    /// What the interpreter passed to a method of this class.
    #[inline(always)]
    unsafe fn add(
        slf: *mut ffi::PyObject,
        function: &str,
        sign: f64,
        arguments: *const *mut ffi::PyObject,
        count: ffi::Py_ssize_t,
        names: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject {
        // SAFETY: the interpreter calls it as a method of this class, with `count` arguments and those named.
        unsafe {
            let gauge: &Self = raw::receiver(slf);
            raw::quickly(
                |_py| {
                    let metric = gauge.0.metric_if_any()?;
                    let n = if count == 0 && names.is_null() {
                        1.0
                    } else {
                        only_number(arguments, count, names)?
                    };
                    metric.add(sign * n);
                    Some(none())
                },
                |py| {
                    let [n] = raw::arguments(py, function, ["n"], arguments, count, names)?;
                    let n: f64 = n.map_or(Ok(1.0), pyo3::Borrowed::extract)?;
                    gauge.0.metric()?.add(sign * n);
                    Ok(py.None())
                },
            )
        }
    }

    /// # Safety
    /// A method of this class (see `raw`).
    unsafe extern "C" fn inc(
        slf: *mut ffi::PyObject,
        arguments: *const *mut ffi::PyObject,
        count: ffi::Py_ssize_t,
        names: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject {
        // SAFETY: as passed by the interpreter.
        unsafe { Self::add(slf, "inc", 1.0, arguments, count, names) }
    }

    /// # Safety
    /// A method of this class (see `raw`).
    unsafe extern "C" fn dec(
        slf: *mut ffi::PyObject,
        arguments: *const *mut ffi::PyObject,
        count: ffi::Py_ssize_t,
        names: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject {
        // SAFETY: as passed by the interpreter.
        unsafe { Self::add(slf, "dec", -1.0, arguments, count, names) }
    }
}

#[pymethods]
impl Gauge {
    /// What it is now.
    #[getter]
    fn value(&self) -> PyResult<f64> {
        Ok(self.0.metric()?.value())
    }
}

/// How observations are spread over buckets.
#[pyclass(frozen, module = "aisys._native")]
pub struct Histogram(Node<Histogram>);

face!(Histogram);

impl Histogram {
    /// # Safety
    /// A method of this class (see `raw`).
    unsafe extern "C" fn observe(
        slf: *mut ffi::PyObject,
        arguments: *const *mut ffi::PyObject,
        count: ffi::Py_ssize_t,
        names: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject {
        // SAFETY: the interpreter calls it as a method of this class, with `count` arguments and those named.
        unsafe {
            let histogram: &Self = raw::receiver(slf);
            raw::quickly(
                |_py| {
                    let metric = histogram.0.metric_if_any()?;
                    metric.observe(only_number(arguments, count, names)?).then(none)
                },
                |py| {
                    let [v, labels] = raw::arguments(py, "observe", ["v", "exemplar"], arguments, count, names)?;
                    let v = raw::required(v, "observe", "v")?.extract()?;
                    let metric = histogram.0.metric()?;
                    let counted = match exemplar(labels, v)? {
                        Some(exemplar) => metric.observe_with(v, exemplar),
                        None => metric.observe(v),
                    };
                    if counted {
                        Ok(py.None())
                    } else {
                        Err(PyValueError::new_err("an observation is not a number"))
                    }
                },
            )
        }
    }
}

#[pymethods]
impl Histogram {
    /// How many observations there were.
    #[getter]
    fn count(&self) -> PyResult<u64> {
        Ok(self.0.metric()?.count())
    }

    /// The sum of the observations.
    #[getter]
    fn sum(&self) -> PyResult<f64> {
        Ok(self.0.metric()?.sum())
    }

    /// Upper bound and cumulative count of each bucket, the last with an infinite bound.
    #[getter]
    fn buckets(&self) -> PyResult<Vec<(f64, u64)>> {
        Ok(self.0.metric()?.buckets())
    }
}

pub fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add_class::<Counter>()?;
    raw::add_methods::<Counter>(py, family_methods::<Counter>())?;
    raw::add_methods::<Counter>(
        py,
        [Method {
            name: c"inc",
            doc: c"inc($self, /, n=1.0, exemplar=None)\n--\n\nAdd n, which is finite and not negative.",
            call: Call::Keywords(Counter::inc),
        }],
    )?;
    module.add_class::<Gauge>()?;
    raw::add_methods::<Gauge>(py, family_methods::<Gauge>())?;
    raw::add_methods::<Gauge>(
        py,
        [
            Method {
                name: c"set",
                doc: c"set($self, /, v)\n--\n\nMake it v.",
                call: Call::Keywords(Gauge::set),
            },
            Method {
                name: c"inc",
                doc: c"inc($self, /, n=1.0)\n--\n\nAdd n.",
                call: Call::Keywords(Gauge::inc),
            },
            Method {
                name: c"dec",
                doc: c"dec($self, /, n=1.0)\n--\n\nSubtract n.",
                call: Call::Keywords(Gauge::dec),
            },
        ],
    )?;
    module.add_class::<Histogram>()?;
    raw::add_methods::<Histogram>(py, family_methods::<Histogram>())?;
    raw::add_methods::<Histogram>(
        py,
        [
            Method {
                name: c"observe",
                doc: c"observe($self, /, v, exemplar=None)\n--\n\nCount an observation, which is not NaN.",
                call: Call::Keywords(Histogram::observe),
            },
            Method {
                name: c"time",
                doc: c"time($self, /)\n--\n\nA timer whose time is an observation.",
                call: Call::None(timer::time),
            },
        ],
    )
}
