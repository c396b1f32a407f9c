//! Which call a reply belongs to.

use aisys_core::slab::Slab;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::cell::GilCell;

/// Values under ids that are never reused while anyone could still hold them, and never 0.
#[pyclass(frozen, module = "aisys._native")]
pub struct Correlation {
    slab: GilCell<Slab<Py<PyAny>>>,
}

#[pymethods]
impl Correlation {
    #[new]
    fn new() -> Self {
        Self {
            slab: GilCell::new(Slab::new()),
        }
    }

    /// Keep a value and return its id.
    fn add(&self, py: Python<'_>, value: Py<PyAny>) -> PyResult<u64> {
        self.slab.with(py, |slab| slab.insert(value))
    }

    /// Remove and return the value of an id, or None if the id is retired or unknown.
    fn take(&self, py: Python<'_>, corr: u64) -> PyResult<Option<Py<PyAny>>> {
        self.slab.with(py, |slab| slab.remove(corr))
    }

    /// The value of an id, or None if the id is retired or unknown.
    fn get(&self, py: Python<'_>, corr: u64) -> PyResult<Option<Py<PyAny>>> {
        self.slab
            .with(py, |slab| slab.get(corr).map(|value| value.clone_ref(py)))
    }

    /// Remove and return every value; every id given out so far is retired.
    fn drain(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        self.slab.with(py, Slab::drain)
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.slab.with(py, |slab| slab.len())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // SAFETY: the collector runs with the GIL held.
        let visited = unsafe {
            self.slab
                .with_in_gc(|slab| slab.values().try_for_each(|value| visit.call(value)))
        };
        visited.unwrap_or(Ok(()))
    }

    fn __clear__(&self, py: Python<'_>) {
        // The values are dropped after the cell is free again: dropping runs finalisers.
        drop(self.slab.with(py, std::mem::take));
    }
}

pub fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Correlation>()
}
