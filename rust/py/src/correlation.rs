//! Which call a reply belongs to.

use aisys_core::slab::Slab;
use pyo3::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::cell::GilCell;
use crate::ints;
use crate::object::Object;
use crate::raw::{self, Call, Method};

/// Values under ids that are never reused while anyone could still hold them, and never 0.
#[pyclass(frozen, module = "aisys._native")]
pub struct Correlation {
    slab: GilCell<Slab<Py<PyAny>>>,
}

impl Correlation {
    /// # Safety
    /// A method of this class (see `raw`).
    unsafe extern "C" fn add(slf: *mut ffi::PyObject, value: *mut ffi::PyObject) -> *mut ffi::PyObject {
        // SAFETY: the interpreter calls it as a method of this class, with a live argument.
        unsafe {
            let table: &Self = raw::receiver(slf);
            let keep = |py: Python<'_>| {
                table
                    .slab
                    .with(py, |slab| slab.insert(Bound::from_borrowed_ptr(py, value).unbind()))
            };
            raw::quickly(
                |py| Object::owned(ffi::PyLong_FromUnsignedLongLong(keep(py).ok()?)),
                // Nothing was kept, unless there was no memory for the number.
                |py| match PyErr::take(py) {
                    Some(no_memory) => Err(no_memory),
                    None => Ok(keep(py)?.into_pyobject(py)?.into_any().unbind()),
                },
            )
        }
    }

    /// # Safety
    /// A method of this class (see `raw`).
    unsafe extern "C" fn take(slf: *mut ffi::PyObject, corr: *mut ffi::PyObject) -> *mut ffi::PyObject {
        // SAFETY: the interpreter calls it as a method of this class, with a live argument.
        unsafe {
            let table: &Self = raw::receiver(slf);
            raw::quickly(
                |py| {
                    let corr = ints::unsigned(corr)?;
                    match table.slab.with(py, |slab| slab.remove(corr)).ok()? {
                        // The table's reference becomes the caller's.
                        Some(value) => Object::owned(value.into_ptr()),
                        None => Some(Object::borrowed(ffi::Py_None())),
                    }
                },
                |py| {
                    let corr: u64 = Bound::from_borrowed_ptr(py, corr).extract()?;
                    let value = table.slab.with(py, |slab| slab.remove(corr))?;
                    Ok(value.unwrap_or_else(|| py.None()))
                },
            )
        }
    }

    /// # Safety
    /// A method of this class (see `raw`).
    unsafe extern "C" fn get(slf: *mut ffi::PyObject, corr: *mut ffi::PyObject) -> *mut ffi::PyObject {
        // SAFETY: the interpreter calls it as a method of this class, with a live argument.
        unsafe {
            let table: &Self = raw::receiver(slf);
            raw::quickly(
                |py| {
                    let corr = ints::unsigned(corr)?;
                    let found = table.slab.with(py, |slab| {
                        let value = slab.get(corr).map_or_else(|| ffi::Py_None(), Py::as_ptr);
                        Object::borrowed(value)
                    });
                    found.ok()
                },
                |py| {
                    let corr: u64 = Bound::from_borrowed_ptr(py, corr).extract()?;
                    table.slab.with(py, |slab| {
                        slab.get(corr).map_or_else(|| py.None(), |value| value.clone_ref(py))
                    })
                },
            )
        }
    }
}

#[pymethods]
impl Correlation {
    #[new]
    fn new() -> Self {
        Self {
            slab: GilCell::new(Slab::new()),
        }
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
        // The values are dropped after the cell is free again: dropping runs finalisers, which may use the table, so
        // ids stay retired.
        drop(self.slab.with(py, Slab::drain));
    }
}

pub fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Correlation>()?;
    raw::add_methods::<Correlation>(
        module.py(),
        [
            Method {
                name: c"add",
                doc: c"add($self, value, /)\n--\n\nKeep a value and return its id.",
                call: Call::One(Correlation::add),
            },
            Method {
                name: c"take",
                doc: c"take($self, corr, /)\n--\n\nRemove and return the value of an id, or None if the id is retired or unknown.",
                call: Call::One(Correlation::take),
            },
            Method {
                name: c"get",
                doc: c"get($self, corr, /)\n--\n\nThe value of an id, or None if the id is retired or unknown.",
                call: Call::One(Correlation::get),
            },
        ],
    )
}
