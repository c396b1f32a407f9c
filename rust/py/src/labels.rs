//! From label values to the child that counts, by the hashes that Python strings carry already.

use aisys_core::metrics::{Child, Family, MAX_CHILDREN, MetricError, OVERFLOW};
use pyo3::PyClass;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use std::sync::Arc;

use crate::cell::GilCell;

/// Labels beyond this take the slow way.
pub const QUICK_LABELS: usize = 4;

/// A class of metric: a family with labels, or what counts.
pub trait Face: PyClass + Into<PyClassInitializer<Self>> {
    type Metric: aisys_core::metrics::Metric;

    fn new(node: Node<Self>) -> Self;
}

/// A family, and the child if this object counts.
pub struct Node<P: Face> {
    pub family: Arc<Family<P::Metric>>,
    child: Option<Arc<Child<P::Metric>>>,
    table: GilCell<Table<P>>,
}

impl<P: Face> Node<P> {
    /// The object of a family: it counts itself if it has no labels.
    pub fn of_family(family: Arc<Family<P::Metric>>) -> PyResult<Self> {
        let child = if family.labels().is_empty() {
            Some(family.child(&[]).map_err(value_error)?)
        } else {
            None
        };
        Ok(Self {
            family,
            child,
            table: GilCell::new(Table::new()),
        })
    }

    /// What counts, or ValueError if label values have to be chosen first.
    #[inline]
    pub fn metric(&self) -> PyResult<&P::Metric> {
        match &self.child {
            Some(child) => Ok(&child.metric),
            None => Err(self.needs_labels()),
        }
    }

    /// What counts, if this object does.
    #[inline(always)]
    pub fn metric_if_any(&self) -> Option<&P::Metric> {
        self.child.as_ref().map(|child| &child.metric)
    }

    #[cold]
    fn needs_labels(&self) -> PyErr {
        let (name, labels) = (self.family.name(), self.family.labels().join(", "));
        PyValueError::new_err(format!(
            "metric {name:?} has labels ({labels}): choose a child with labels()"
        ))
    }

    /// The child of these label values: `quick` in order, then `rest`.
    #[inline]
    pub fn labels(
        &self,
        py: Python<'_>,
        quick: [Option<&Bound<'_, PyAny>>; QUICK_LABELS],
        rest: &Bound<'_, PyTuple>,
    ) -> PyResult<Py<P>> {
        let count = self.family.labels().len();
        if self.child.is_none() && count <= QUICK_LABELS && rest.is_empty() {
            let mut values: [*mut ffi::PyObject; QUICK_LABELS] = [std::ptr::null_mut(); QUICK_LABELS];
            let mut good = true;
            for (index, value) in quick.iter().enumerate() {
                match value {
                    Some(value) if index < count && value.is_exact_instance_of::<PyString>() => {
                        values[index] = value.as_ptr();
                    }
                    None if index >= count => {}
                    _ => good = false,
                }
            }
            if good {
                let values = &values[..count];
                // SAFETY: the values are exact strings that the caller's arguments keep alive.
                let found = self.table.with(py, |table| unsafe { table.find(py, values) })?;
                if let Some(child) = found {
                    return Ok(child);
                }
            }
        }
        self.labels_slowly(py, &quick, rest)
    }

    #[cold]
    fn labels_slowly(
        &self,
        py: Python<'_>,
        quick: &[Option<&Bound<'_, PyAny>>],
        rest: &Bound<'_, PyTuple>,
    ) -> PyResult<Py<P>> {
        let texts = texts(quick, rest)?;
        if self.child.is_some() {
            let name = self.family.name();
            return Err(PyValueError::new_err(format!(
                "metric {name:?} has no labels, or they are chosen already"
            )));
        }
        if texts.len() != self.family.labels().len() {
            return Err(value_error(MetricError::LabelCount {
                name: self.family.name().to_owned(),
                expected: self.family.labels().len(),
                given: texts.len(),
            }));
        }
        if let Some(child) = self.find(py, &texts)? {
            return Ok(child);
        }
        // The table follows the family's bound: values beyond it share a child, and take no entry here.
        if self.table.with(py, |table| table.count)? >= MAX_CHILDREN {
            let shared: Vec<_> = texts.iter().map(|_| PyString::new(py, OVERFLOW)).collect();
            return match self.find(py, &shared)? {
                Some(child) => Ok(child),
                None => self.add(py, &shared),
            };
        }
        self.add(py, &texts)
    }

    fn find(&self, py: Python<'_>, texts: &[Bound<'_, PyString>]) -> PyResult<Option<Py<P>>> {
        let values: Vec<_> = texts.iter().map(Bound::as_ptr).collect();
        // SAFETY: the values are exact strings that `texts` keeps alive.
        self.table.with(py, |table| unsafe { table.find(py, &values) })
    }

    fn add(&self, py: Python<'_>, texts: &[Bound<'_, PyString>]) -> PyResult<Py<P>> {
        let values = texts.iter().map(|text| text.to_str()).collect::<PyResult<Vec<_>>>()?;
        let child = Some(self.family.child(&values).map_err(value_error)?);
        let node = Self {
            family: Arc::clone(&self.family),
            child,
            table: GilCell::new(Table::new()),
        };
        let object = Py::new(py, P::new(node))?;
        let entry = Entry {
            hash: texts.iter().fold(0, |hash, text| mix(hash, text.as_ptr())),
            values: texts.iter().map(|text| text.clone().unbind()).collect(),
            child: object.clone_ref(py),
        };
        self.table.with(py, |table| table.insert(entry))?;
        Ok(object)
    }

    /// Leave a child out of later expositions; whether there was one.
    pub fn remove(&self, py: Python<'_>, values: &Bound<'_, PyTuple>) -> PyResult<bool> {
        let texts = texts(&[], values)?;
        let pointers: Vec<_> = texts.iter().map(Bound::as_ptr).collect();
        // SAFETY: the values are exact strings that `texts` keeps alive.
        let removed = self.table.with(py, |table| unsafe { table.remove(&pointers) })?;
        drop(removed);
        let values = texts.iter().map(|text| text.to_str()).collect::<PyResult<Vec<_>>>()?;
        Ok(self.family.remove(&values))
    }
}

/// Label values as exact strings, whatever they were; a None among them is a missing value.
fn texts<'py>(quick: &[Option<&Bound<'py, PyAny>>], rest: &Bound<'py, PyTuple>) -> PyResult<Vec<Bound<'py, PyString>>> {
    let given = quick.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    let values = quick[..given]
        .iter()
        .map(|value| value.cloned())
        .chain(rest.iter().map(Some));
    let mut texts = Vec::with_capacity(given + rest.len());
    for value in values {
        let value = value.filter(|value| !value.is_none());
        let value = value.ok_or_else(|| PyTypeError::new_err("a label value is None; leave no label out"))?;
        let text = value.str()?;
        // An exact string also of a subclass, such as a member of a StrEnum: the table compares without Python.
        texts.push(if text.is_exact_instance_of::<PyString>() {
            text
        } else {
            PyString::new(rest.py(), text.to_str()?)
        });
    }
    Ok(texts)
}

#[cold]
pub fn value_error(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

struct Entry<P> {
    hash: u64,
    values: Box<[Py<PyString>]>,
    child: Py<P>,
}

impl<P> Entry<P> {
    /// # Safety
    /// `values` are alive exact strings.
    unsafe fn is(&self, hash: u64, values: &[*mut ffi::PyObject]) -> bool {
        self.hash == hash
            && self.values.iter().zip(values).all(|(own, other)| {
                // SAFETY: both are alive exact strings, whose comparison runs no Python code and cannot fail.
                own.as_ptr() == *other || unsafe { ffi::PyUnicode_Compare(own.as_ptr(), *other) } == 0
            })
    }
}

/// Open addressing with linear probing, at most half full.
struct Table<P> {
    slots: Vec<Option<Entry<P>>>,
    count: usize,
}

impl<P> Table<P> {
    const fn new() -> Self {
        Self {
            slots: Vec::new(),
            count: 0,
        }
    }

    /// # Safety
    /// `values` are alive exact strings.
    #[inline]
    unsafe fn find(&self, py: Python<'_>, values: &[*mut ffi::PyObject]) -> Option<Py<P>> {
        // SAFETY: as the caller promises.
        let place = unsafe { self.place(values) }?;
        self.slots[place].as_ref().map(|entry| entry.child.clone_ref(py))
    }

    /// # Safety
    /// `values` are alive exact strings.
    #[inline]
    unsafe fn place(&self, values: &[*mut ffi::PyObject]) -> Option<usize> {
        let hash = values.iter().fold(0, |hash, value| mix(hash, *value));
        let mask = self.slots.len().checked_sub(1)?;
        let mut place = hash as usize & mask;
        while let Some(entry) = &self.slots[place] {
            // SAFETY: as the caller promises.
            if unsafe { entry.is(hash, values) } {
                return Some(place);
            }
            place = (place + 1) & mask;
        }
        None
    }

    fn insert(&mut self, entry: Entry<P>) {
        if 2 * (self.count + 1) > self.slots.len() {
            let size = (4 * self.slots.len()).max(8);
            self.rebuild(size);
        }
        self.count += 1;
        self.put(entry);
    }

    fn put(&mut self, entry: Entry<P>) {
        let mask = self.slots.len() - 1;
        let mut place = entry.hash as usize & mask;
        while self.slots[place].is_some() {
            place = (place + 1) & mask;
        }
        self.slots[place] = Some(entry);
    }

    /// # Safety
    /// `values` are alive exact strings.
    unsafe fn remove(&mut self, values: &[*mut ffi::PyObject]) -> Option<Entry<P>> {
        // SAFETY: as the caller promises.
        let place = unsafe { self.place(values) }?;
        let entry = self.slots[place].take();
        self.count -= 1;
        // A hole would cut probe sequences; removal is rare enough to build the table again.
        self.rebuild(self.slots.len());
        entry
    }

    fn rebuild(&mut self, size: usize) {
        let old = std::mem::replace(&mut self.slots, (0..size).map(|_| None).collect());
        for entry in old.into_iter().flatten() {
            self.put(entry);
        }
    }
}

/// Mix the hash that an exact string carries into that of the strings before it.
#[inline]
fn mix(hash: u64, value: *mut ffi::PyObject) -> u64 {
    // SAFETY: every caller passes an alive exact string, whose hash is cached and cannot fail.
    let own = unsafe { ffi::PyObject_Hash(value) } as u64;
    (hash.rotate_left(23) ^ own).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
