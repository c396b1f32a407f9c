//! Metrics for Python. An object is a family with labels, or counts; `labels` goes from the one to the other.

use std::collections::HashMap;

use aisys_core::metrics as core;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::cell::GilCell;
use crate::labels::{Face, Node, value_error};
use crate::object::Object;
use crate::raw::{self, Call, Method};

/// Seconds, from a call within a process to a model's answer.
const DEFAULT_BUCKETS: [f64; 17] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

type Value<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// A number that goes up.
#[pyclass(frozen, module = "aisys._native")]
pub struct Counter(Node<Counter>);

impl Face for Counter {
    type Metric = core::Counter;

    fn new(node: Node<Self>) -> Self {
        Self(node)
    }
}

impl Counter {
    fn add(&self, n: f64) -> PyResult<()> {
        if self.0.metric()?.add(n) {
            Ok(())
        } else {
            Err(PyValueError::new_err(format!("a counter cannot go up by {n}")))
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
        // SAFETY: the interpreter calls it as a method of this class, with `count` arguments and those named.
        unsafe {
            let counter: &Self = raw::receiver(slf);
            raw::quickly(
                |_py| {
                    if count > 0 || !names.is_null() {
                        return None;
                    }
                    counter.0.metric_if_any()?.step();
                    Some(Object::borrowed(ffi::Py_None()))
                },
                |py| {
                    let given = raw::arguments(py, "inc", ["n"], arguments, count, names)?;
                    let n = given[0].map_or(Ok(1.0), pyo3::Borrowed::extract)?;
                    counter.add(n)?;
                    Ok(py.None())
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

    /// The child of these label values, the same object each time.
    #[pyo3(signature = (a=None, b=None, c=None, d=None, /, *values), text_signature = "($self, *values)")]
    fn labels(
        &self,
        py: Python<'_>,
        a: Value,
        b: Value,
        c: Value,
        d: Value,
        values: &Bound<'_, PyTuple>,
    ) -> PyResult<Py<Self>> {
        self.0.labels(py, [a, b, c, d], values)
    }

    /// Leave the child of these label values out of later expositions; whether there was one.
    #[pyo3(signature = (*values))]
    fn remove(&self, py: Python<'_>, values: &Bound<'_, PyTuple>) -> PyResult<bool> {
        self.0.remove(py, values)
    }
}

/// A number that goes up and down.
#[pyclass(frozen, module = "aisys._native")]
pub struct Gauge(Node<Gauge>);

impl Face for Gauge {
    type Metric = core::Gauge;

    fn new(node: Node<Self>) -> Self {
        Self(node)
    }
}

#[pymethods]
impl Gauge {
    /// Make it v.
    fn set(&self, v: f64) -> PyResult<()> {
        self.0.metric()?.set(v);
        Ok(())
    }

    /// Add n.
    #[pyo3(signature = (n=1.0))]
    fn inc(&self, n: f64) -> PyResult<()> {
        self.0.metric()?.add(n);
        Ok(())
    }

    /// Subtract n.
    #[pyo3(signature = (n=1.0))]
    fn dec(&self, n: f64) -> PyResult<()> {
        self.0.metric()?.add(-n);
        Ok(())
    }

    /// What it is now.
    #[getter]
    fn value(&self) -> PyResult<f64> {
        Ok(self.0.metric()?.value())
    }

    /// The child of these label values, the same object each time.
    #[pyo3(signature = (a=None, b=None, c=None, d=None, /, *values), text_signature = "($self, *values)")]
    fn labels(
        &self,
        py: Python<'_>,
        a: Value,
        b: Value,
        c: Value,
        d: Value,
        values: &Bound<'_, PyTuple>,
    ) -> PyResult<Py<Self>> {
        self.0.labels(py, [a, b, c, d], values)
    }

    /// Leave the child of these label values out of later expositions; whether there was one.
    #[pyo3(signature = (*values))]
    fn remove(&self, py: Python<'_>, values: &Bound<'_, PyTuple>) -> PyResult<bool> {
        self.0.remove(py, values)
    }
}

/// How observations are spread over buckets.
#[pyclass(frozen, module = "aisys._native")]
pub struct Histogram(Node<Histogram>);

impl Face for Histogram {
    type Metric = core::Histogram;

    fn new(node: Node<Self>) -> Self {
        Self(node)
    }
}

#[pymethods]
impl Histogram {
    /// Count an observation, which is not NaN.
    fn observe(&self, v: f64) -> PyResult<()> {
        if self.0.metric()?.observe(v) {
            Ok(())
        } else {
            Err(PyValueError::new_err("an observation is not a number"))
        }
    }

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

    /// The child of these label values, the same object each time.
    #[pyo3(signature = (a=None, b=None, c=None, d=None, /, *values), text_signature = "($self, *values)")]
    fn labels(
        &self,
        py: Python<'_>,
        a: Value,
        b: Value,
        c: Value,
        d: Value,
        values: &Bound<'_, PyTuple>,
    ) -> PyResult<Py<Self>> {
        self.0.labels(py, [a, b, c, d], values)
    }

    /// Leave the child of these label values out of later expositions; whether there was one.
    #[pyo3(signature = (*values))]
    fn remove(&self, py: Python<'_>, values: &Bound<'_, PyTuple>) -> PyResult<bool> {
        self.0.remove(py, values)
    }
}

/// The families of a process, or of one part of it.
#[pyclass(frozen, module = "aisys._native")]
pub struct Registry {
    inner: core::Registry,
    /// The Python object of each family, by its name.
    objects: GilCell<HashMap<String, Py<PyAny>>>,
}

impl Registry {
    /// The object of a family: the first one, if there is one.
    fn object<P: Face>(&self, py: Python<'_>, family: std::sync::Arc<core::Family<P::Metric>>) -> PyResult<Py<P>> {
        let known = self.objects.with(py, |objects| {
            objects.get(family.name()).map(|object| object.clone_ref(py))
        })?;
        if let Some(known) = known {
            return Ok(known.bind(py).cast::<P>()?.clone().unbind());
        }
        let name = family.name().to_owned();
        let object = Py::new(py, P::new(Node::of_family(family)?))?;
        self.objects
            .with(py, |objects| objects.insert(name, object.clone_ref(py).into_any()))?;
        Ok(object)
    }
}

#[pymethods]
impl Registry {
    #[new]
    fn new() -> Self {
        Self {
            inner: core::Registry::new(),
            objects: GilCell::new(HashMap::new()),
        }
    }

    /// The counter of this name, made on first use; `_total` is added to a name without it.
    #[pyo3(signature = (name, help, labels=None), text_signature = "($self, name, help, labels=())")]
    fn counter(&self, py: Python<'_>, name: &str, help: &str, labels: Option<Vec<String>>) -> PyResult<Py<Counter>> {
        let family = self
            .inner
            .counter(name, help, &labels.unwrap_or_default())
            .map_err(value_error)?;
        self.object(py, family)
    }

    /// The gauge of this name, made on first use.
    #[pyo3(signature = (name, help, labels=None), text_signature = "($self, name, help, labels=())")]
    fn gauge(&self, py: Python<'_>, name: &str, help: &str, labels: Option<Vec<String>>) -> PyResult<Py<Gauge>> {
        let family = self
            .inner
            .gauge(name, help, &labels.unwrap_or_default())
            .map_err(value_error)?;
        self.object(py, family)
    }

    /// The histogram of this name, made on first use; buckets are rising upper bounds.
    #[pyo3(
        signature = (name, help, labels=None, buckets=None),
        text_signature = "($self, name, help, labels=(), buckets=...)"
    )]
    fn histogram(
        &self,
        py: Python<'_>,
        name: &str,
        help: &str,
        labels: Option<Vec<String>>,
        buckets: Option<Vec<f64>>,
    ) -> PyResult<Py<Histogram>> {
        let bounds = buckets.unwrap_or_else(|| DEFAULT_BUCKETS.to_vec());
        let family = self
            .inner
            .histogram(name, help, &labels.unwrap_or_default(), &bounds)
            .map_err(value_error)?;
        self.object(py, family)
    }

    /// The exposition as Prometheus text 0.0.4; extra labels go to every sample whose family has no label of that name.
    #[pyo3(signature = (extra_labels=None))]
    fn render<'py>(&self, py: Python<'py>, extra_labels: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyBytes>> {
        let mut extra = Vec::new();
        for (name, value) in extra_labels.into_iter().flatten() {
            extra.push((name.extract::<String>()?, value.extract::<String>()?));
        }
        Ok(PyBytes::new(py, &self.inner.render(&extra).map_err(value_error)?))
    }
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
    module.add_class::<Counter>()?;
    raw::add_methods::<Counter>(
        module.py(),
        [Method {
            name: c"inc",
            doc: c"inc($self, /, n=1.0)\n--\n\nAdd n, which is finite and not negative.",
            call: Call::Keywords(Counter::inc),
        }],
    )?;
    module.add_class::<Gauge>()?;
    module.add_class::<Histogram>()?;
    module.add_class::<Registry>()?;
    module.add("DEFAULT_BUCKETS", PyTuple::new(module.py(), DEFAULT_BUCKETS)?)?;
    module.add_function(wrap_pyfunction!(merge, module)?)
}
