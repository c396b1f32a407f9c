//! From label values to the child that counts, by the hashes that Python strings carry already.

use std::slice;
use std::sync::Arc;

use aisys_core::metrics::{Child, Family, MAX_CHILDREN, MetricError, OVERFLOW};
use pyo3::PyClass;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::types::PyString;

use super::value_error;
use crate::cell::GilCell;
use crate::object::Object;
use crate::raw::{self, Call, Method};

/// A class of metric: a family with labels, or what counts.
pub trait Face: PyClass<Frozen = True> + Sync + Into<PyClassInitializer<Self>> {
    type Metric: aisys_core::metrics::Metric;

    fn new(node: Node<Self>) -> Self;

    fn node(&self) -> &Node<Self>;
}

/// The methods by which a family leads to its children.
pub fn family_methods<P: Face>() -> [Method; 2] {
    [
        Method {
            name: c"labels",
            doc: c"labels($self, /, *values)\n--\n\nThe child of these label values, the same object each time.",
            call: Call::Positional(labels::<P>),
        },
        Method {
            name: c"remove",
            doc: c"remove($self, /, *values)\n--\n\n\
                Leave the child of these label values out of later expositions; whether there was one.",
            call: Call::Positional(remove::<P>),
        },
    ]
}

/// # Safety
/// A method of `P` (see `raw`).
unsafe extern "C" fn labels<P: Face>(
    slf: *mut ffi::PyObject,
    values: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls it as a method of this class, with `count` arguments that are alive.
    unsafe {
        let node = raw::receiver::<P>(slf).node();
        let values = positional(values, count);
        raw::quickly(|py| node.quickly(py, values), |py| node.slowly(py, values))
    }
}

/// # Safety
/// A method of `P` (see `raw`).
unsafe extern "C" fn remove<P: Face>(
    slf: *mut ffi::PyObject,
    values: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls it as a method of this class, with `count` arguments that are alive.
    unsafe {
        let node = raw::receiver::<P>(slf).node();
        let values = positional(values, count);
        raw::slowly(|py| {
            Ok(node
                .remove(py, values)?
                .into_pyobject(py)?
                .to_owned()
                .into_any()
                .unbind())
        })
    }
}

/// # Safety
/// What the interpreter passed to a function called by place, which `'a` ends with.
#[inline(always)]
unsafe fn positional<'a>(values: *const *mut ffi::PyObject, count: ffi::Py_ssize_t) -> &'a [*mut ffi::PyObject] {
    if count == 0 {
        return &[];
    }
    // SAFETY: there are `count` of them.
    unsafe { slice::from_raw_parts(values, count.unsigned_abs()) }
}

/// A family, and the child if this object counts.
pub struct Node<P: Face> {
    family: Arc<Family<P::Metric>>,
    child: Option<Arc<Child<P::Metric>>>,
    table: GilCell<Table>,
}

impl<P: Face> Node<P> {
    /// The object of a family: it counts itself if it has no labels.
    pub fn of_family(family: Arc<Family<P::Metric>>) -> PyResult<Self> {
        let child = if family.labels().is_empty() {
            Some(family.child(&[]).map_err(value_error)?)
        } else {
            None
        };
        let table = GilCell::new(Table::new(family.labels().len()));
        Ok(Self { family, child, table })
    }

    /// What counts, or ValueError if label values have to be chosen first.
    pub fn metric(&self) -> PyResult<&P::Metric> {
        self.metric_if_any().ok_or_else(|| {
            let (name, labels) = (self.family.name(), self.family.labels().join(", "));
            PyValueError::new_err(format!(
                "metric {name:?} has labels ({labels}): choose a child with labels()"
            ))
        })
    }

    /// What counts, if this object does.
    #[inline(always)]
    pub fn metric_if_any(&self) -> Option<&P::Metric> {
        self.child.as_ref().map(|child| &child.metric)
    }

    /// The child of these label values, if they are exact strings that were asked for before.
    ///
    /// # Safety
    /// The values are alive.
    #[inline(always)]
    unsafe fn quickly(&self, py: Python<'_>, values: &[*mut ffi::PyObject]) -> Option<Object> {
        for value in values {
            // SAFETY: the type of an alive object can be read.
            if unsafe { ffi::PyUnicode_CheckExact(*value) } == 0 {
                return None;
            }
        }
        // SAFETY: the values are exact strings.
        self.table.with(py, |table| unsafe { table.find(values) }).ok()?
    }

    #[cold]
    fn slowly(&self, py: Python<'_>, values: &[*mut ffi::PyObject]) -> PyResult<Py<PyAny>> {
        let texts = texts(py, values)?;
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

    fn find(&self, py: Python<'_>, texts: &[Bound<'_, PyString>]) -> PyResult<Option<Py<PyAny>>> {
        let values: Vec<_> = texts.iter().map(Bound::as_ptr).collect();
        // SAFETY: the values are exact strings that `texts` keeps alive.
        let found = self.table.with(py, |table| unsafe { table.find(&values) })?;
        Ok(found.map(|child| child.into_bound(py).unbind()))
    }

    fn add(&self, py: Python<'_>, texts: &[Bound<'_, PyString>]) -> PyResult<Py<PyAny>> {
        let values = texts.iter().map(|text| text.to_str()).collect::<PyResult<Vec<_>>>()?;
        let child = Some(self.family.child(&values).map_err(value_error)?);
        let node = Self {
            family: Arc::clone(&self.family),
            child,
            table: GilCell::new(Table::new(0)),
        };
        let object = Py::new(py, P::new(node))?.into_any();
        let row = [object.as_ptr()].into_iter().chain(texts.iter().map(Bound::as_ptr));
        // SAFETY: `object` and `texts` keep them alive until each has a reference of the row's own.
        let row: Vec<_> = row.map(|item| Some(unsafe { Object::borrowed(item) })).collect();
        self.table.with(py, |table| table.insert(row))?;
        Ok(object)
    }

    /// Leave a child out of later expositions; whether there was one.
    fn remove(&self, py: Python<'_>, values: &[*mut ffi::PyObject]) -> PyResult<bool> {
        let texts = texts(py, values)?;
        let pointers: Vec<_> = texts.iter().map(Bound::as_ptr).collect();
        // SAFETY: the values are exact strings that `texts` keeps alive.
        let removed = self.table.with(py, |table| unsafe { table.remove(&pointers) })?;
        drop(removed);
        let values = texts.iter().map(|text| text.to_str()).collect::<PyResult<Vec<_>>>()?;
        Ok(self.family.remove(&values))
    }
}

/// Label values as exact strings, whatever they were.
fn texts<'py>(py: Python<'py>, values: &[*mut ffi::PyObject]) -> PyResult<Vec<Bound<'py, PyString>>> {
    let mut texts = Vec::with_capacity(values.len());
    for value in values {
        // SAFETY: the callers' callers keep the values alive.
        let value = unsafe { Borrowed::from_ptr(py, *value) };
        if value.is_none() {
            return Err(PyTypeError::new_err("a label value is None; leave no label out"));
        }
        let text = value.str()?;
        // An exact string also of a subclass, such as a member of a StrEnum: the table compares without Python.
        texts.push(if text.is_exact_instance_of::<PyString>() {
            text
        } else {
            PyString::new(py, text.to_str()?)
        });
    }
    Ok(texts)
}

/// Open addressing with linear probing, at most half full.
struct Table {
    /// How many values lead to a child. A child's own table takes none, and stays empty.
    labels: usize,
    /// One for each place; 0 is a free one.
    hashes: Vec<u64>,
    /// A row for each place: the child, then its label values, which are exact strings.
    rows: Vec<Option<Object>>,
    count: usize,
}

// SAFETY: the references in it are made, used and dropped only by the thread that holds the GIL: the table is in a
// `GilCell`, and the interpreter holds the GIL when it drops the object that the cell is in.
unsafe impl Send for Table {}

impl Table {
    const fn new(labels: usize) -> Self {
        Self {
            labels,
            hashes: Vec::new(),
            rows: Vec::new(),
            count: 0,
        }
    }

    /// # Safety
    /// `values` are alive exact strings.
    #[inline(always)]
    unsafe fn find(&self, values: &[*mut ffi::PyObject]) -> Option<Object> {
        // SAFETY: as the caller promises.
        let place = unsafe { self.place(values) }?;
        let child = self.rows[place * (1 + self.labels)].as_ref()?;
        // SAFETY: the table keeps the child alive.
        Some(unsafe { Object::borrowed(child.as_ptr()) })
    }

    /// # Safety
    /// `values` are alive exact strings.
    #[inline(always)]
    unsafe fn place(&self, values: &[*mut ffi::PyObject]) -> Option<usize> {
        if values.len() != self.labels {
            return None;
        }
        let mask = self.hashes.len().checked_sub(1)?;
        // SAFETY: as the caller promises.
        let hash = unsafe { hash(values) };
        let mut place = hash as usize & mask;
        loop {
            let there = self.hashes[place];
            if there == hash {
                let own = &self.rows[place * (1 + self.labels) + 1..][..self.labels];
                let mut pairs = own.iter().flatten().zip(values);
                // SAFETY: both are alive exact strings.
                if pairs.all(|(own, value)| unsafe { same(own.as_ptr(), *value) }) {
                    return Some(place);
                }
            } else if there == 0 {
                return None;
            }
            place = (place + 1) & mask;
        }
    }

    /// `row` is a child and its label values, which are not here yet.
    fn insert(&mut self, row: Vec<Option<Object>>) {
        if 2 * (self.count + 1) > self.hashes.len() {
            self.rebuild((4 * self.hashes.len()).max(8));
        }
        self.count += 1;
        let values: Vec<_> = row[1..].iter().flatten().map(Object::as_ptr).collect();
        // SAFETY: the values are exact strings that the row keeps alive.
        let hash = unsafe { hash(&values) };
        self.put(hash, row);
    }

    fn put(&mut self, hash: u64, row: impl IntoIterator<Item = Option<Object>>) {
        let mask = self.hashes.len() - 1;
        let mut place = hash as usize & mask;
        while self.hashes[place] != 0 {
            place = (place + 1) & mask;
        }
        self.hashes[place] = hash;
        let width = 1 + self.labels;
        for (cell, item) in self.rows[place * width..][..width].iter_mut().zip(row) {
            *cell = item;
        }
    }

    /// # Safety
    /// `values` are alive exact strings.
    unsafe fn remove(&mut self, values: &[*mut ffi::PyObject]) -> Option<Vec<Option<Object>>> {
        // SAFETY: as the caller promises.
        let place = unsafe { self.place(values) }?;
        let width = 1 + self.labels;
        let row = self.rows[place * width..][..width].iter_mut().map(Option::take);
        let row = row.collect();
        self.hashes[place] = 0;
        self.count -= 1;
        // A hole would cut probe sequences; removal is rare enough to build the table again.
        self.rebuild(self.hashes.len());
        Some(row)
    }

    fn rebuild(&mut self, size: usize) {
        let width = 1 + self.labels;
        let hashes = std::mem::replace(&mut self.hashes, vec![0; size]);
        let mut rows = std::mem::take(&mut self.rows);
        self.rows.resize_with(size * width, || None);
        for (hash, row) in hashes.into_iter().zip(rows.chunks_exact_mut(width)) {
            if hash != 0 {
                self.put(hash, row.iter_mut().map(Option::take));
            }
        }
    }
}

/// A hash of strings that is never 0, mixed from those that they carry.
///
/// # Safety
/// `values` are alive exact strings.
#[inline(always)]
unsafe fn hash(values: &[*mut ffi::PyObject]) -> u64 {
    let mix = |hash: u64, value: &*mut ffi::PyObject| {
        // SAFETY: an exact string begins with these fields.
        let mut own = unsafe { (*value.cast::<ffi::PyASCIIObject>()).hash };
        if own == -1 {
            // SAFETY: alive, and hashing an exact string runs no Python code and cannot fail.
            own = unsafe { ffi::PyObject_Hash(*value) };
        }
        (hash.rotate_left(23) ^ own as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    };
    values.iter().fold(0, mix) | 1 << 63
}

/// Whether two strings are equal.
///
/// # Safety
/// Both are alive exact strings.
#[inline(always)]
unsafe fn same(one: *mut ffi::PyObject, other: *mut ffi::PyObject) -> bool {
    // SAFETY: as promised. A compact ASCII string has `length` bytes of text; comparing others runs no Python code.
    unsafe {
        if one == other {
            return true;
        }
        if ffi::PyUnicode_IS_COMPACT_ASCII(one) == 0 || ffi::PyUnicode_IS_COMPACT_ASCII(other) == 0 {
            return ffi::PyUnicode_Compare(one, other) == 0;
        }
        let text = |string| {
            let length = ffi::PyUnicode_GET_LENGTH(string).unsigned_abs();
            slice::from_raw_parts(ffi::PyUnicode_1BYTE_DATA(string), length)
        };
        text(one) == text(other)
    }
}
