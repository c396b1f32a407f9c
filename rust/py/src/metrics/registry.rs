//! The families of a process.

use std::collections::HashMap;
use std::sync::Arc;

use aisys_core::metrics::{self as core, Declaration, Format};
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::DEFAULT_BUCKETS;
use super::kinds::{Counter, Gauge, Histogram};
use super::labels::{Face, Node};
use super::value_error;
use crate::cell::GilCell;

/// The families of a process, or of one part of it.
#[pyclass(frozen, module = "aisys._native")]
pub struct Registry {
    inner: core::Registry,
    /// The Python object of each family, by its name.
    objects: GilCell<HashMap<String, Py<PyAny>>>,
}

impl Registry {
    /// The object of a family: the first one, if there is one.
    fn object<P: Face>(&self, py: Python<'_>, family: Arc<core::Family<P::Metric>>) -> PyResult<Py<P>> {
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

    fn declare<P: Face>(
        &self,
        py: Python<'_>,
        (name, help, unit): (&str, &str, &str),
        labels: Option<Vec<String>>,
        make: impl FnOnce(&Declaration<'_>) -> Result<Arc<core::Family<P::Metric>>, core::MetricError>,
    ) -> PyResult<Py<P>> {
        let labels = labels.unwrap_or_default();
        let place = caller(py);
        let made = make(&Declaration {
            name,
            help,
            unit,
            labels: &labels,
            place: &place,
        });
        match made {
            Ok(family) => self.object(py, family),
            Err(error @ core::MetricError::Taken { .. }) => Err(PyValueError::new_err(format!(
                "{error}, and is declared differently at {place}"
            ))),
            Err(error) => Err(value_error(error)),
        }
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
    #[pyo3(
        signature = (name, help, labels=None, *, unit=""),
        text_signature = "($self, name, help, labels=(), *, unit='')"
    )]
    fn counter(
        &self,
        py: Python<'_>,
        name: &str,
        help: &str,
        labels: Option<Vec<String>>,
        unit: &str,
    ) -> PyResult<Py<Counter>> {
        self.declare(py, (name, help, unit), labels, |declaration| {
            self.inner.counter(declaration)
        })
    }

    /// The gauge of this name, made on first use.
    #[pyo3(
        signature = (name, help, labels=None, *, unit=""),
        text_signature = "($self, name, help, labels=(), *, unit='')"
    )]
    fn gauge(
        &self,
        py: Python<'_>,
        name: &str,
        help: &str,
        labels: Option<Vec<String>>,
        unit: &str,
    ) -> PyResult<Py<Gauge>> {
        self.declare(py, (name, help, unit), labels, |declaration| {
            self.inner.gauge(declaration)
        })
    }

    /// The histogram of this name, made on first use; buckets are rising upper bounds.
    #[pyo3(
        signature = (name, help, labels=None, buckets=None, *, unit=""),
        text_signature = "($self, name, help, labels=(), buckets=..., *, unit='')"
    )]
    fn histogram(
        &self,
        py: Python<'_>,
        name: &str,
        help: &str,
        labels: Option<Vec<String>>,
        buckets: Option<Vec<f64>>,
        unit: &str,
    ) -> PyResult<Py<Histogram>> {
        let bounds = buckets.unwrap_or_else(|| DEFAULT_BUCKETS.to_vec());
        self.declare(py, (name, help, unit), labels, |declaration| {
            self.inner.histogram(declaration, &bounds)
        })
    }

    /// Whether the name is that of a family or of one of its samples, in any format.
    fn __contains__(&self, name: &str) -> bool {
        self.inner.has(name)
    }

    /// The exposition; extra labels go to every sample whose family has no label of that name.
    #[pyo3(signature = (extra_labels=None, *, openmetrics=false))]
    fn render<'py>(
        &self,
        py: Python<'py>,
        extra_labels: Option<&Bound<'py, PyDict>>,
        openmetrics: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut extra = Vec::new();
        for (name, value) in extra_labels.into_iter().flatten() {
            extra.push((name.extract::<String>()?, value.extract::<String>()?));
        }
        let format = if openmetrics { Format::OpenMetrics } else { Format::Text };
        Ok(PyBytes::new(
            py,
            &self.inner.render(&extra, format).map_err(value_error)?,
        ))
    }
}

/// Where the Python code is that called this, as `file:line`.
fn caller(py: Python<'_>) -> String {
    // SAFETY: attached. The frame is borrowed and alive while it runs; its code is a new reference and not null.
    let place = unsafe {
        let frame = ffi::PyEval_GetFrame();
        if frame.is_null() {
            return "unknown".to_owned();
        }
        let code = Bound::from_owned_ptr(py, ffi::PyFrame_GetCode(frame).cast());
        code.getattr("co_filename").and_then(|file| {
            Ok(format!(
                "{}:{}",
                file.str()?.to_str()?,
                ffi::PyFrame_GetLineNumber(frame)
            ))
        })
    };
    place.unwrap_or_else(|_| "unknown".to_owned())
}
