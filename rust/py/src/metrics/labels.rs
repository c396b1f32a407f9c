//! From label values to the child that counts, by the hashes that Python strings carry already.

use std::sync::Arc;
use std::{ptr, slice};

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
        // SAFETY: as promised. It is the same thing three times: with a known number there is nothing to loop over.
        unsafe {
            match *values {
                [a] => self.known(py, &[a]),
                [a, b] => self.known(py, &[a, b]),
                _ => self.known(py, values),
            }
        }
    }

    /// # Safety
    /// The values are alive.
    #[inline(always)]
    unsafe fn known(&self, py: Python<'_>, values: &[*mut ffi::PyObject]) -> Option<Object> {
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
        let row: Vec<_> = row.map(|item| unsafe { Object::borrowed(item) }).collect();
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

/// Open addressing with linear probing, at most half full. A row has all that finding a child takes in one piece of
/// memory, which is in one cache line or two: its hash as the address of a pointer, or null if the row is free; its child;
/// and its label values, which are exact strings. It owns a reference to each of these objects.
struct Table {
    /// How many values lead to a child. A child's own table takes none, and stays empty.
    labels: usize,
    cells: Vec<*mut ffi::PyObject>,
    rows: usize,
    count: usize,
}

// SAFETY: the references in it are made, used and dropped only by the thread that holds the GIL: the table is in a
// `GilCell`, and the interpreter holds the GIL when it drops the object that the cell is in.
unsafe impl Send for Table {}

impl Drop for Table {
    fn drop(&mut self) {
        for row in self.cells.chunks_exact(2 + self.labels) {
            if let [hash, objects @ ..] = row
                && !hash.is_null()
            {
                // SAFETY: the row is taken, and owns a reference to each; nothing reads it any more.
                objects.iter().for_each(|object| unsafe { ffi::Py_DECREF(*object) });
            }
        }
    }
}

impl Table {
    const fn new(labels: usize) -> Self {
        Self {
            labels,
            cells: Vec::new(),
            rows: 0,
            count: 0,
        }
    }

    /// # Safety
    /// `values` are alive exact strings.
    #[inline(always)]
    unsafe fn find(&self, values: &[*mut ffi::PyObject]) -> Option<Object> {
        // SAFETY: as the caller promises; a row that is taken keeps its child alive.
        unsafe { Some(Object::borrowed(*self.row(values)?.add(1))) }
    }

    /// The row of these values.
    ///
    /// # Safety
    /// `values` are alive exact strings.
    #[inline(always)]
    unsafe fn row(&self, values: &[*mut ffi::PyObject]) -> Option<*const *mut ffi::PyObject> {
        if values.len() != self.labels {
            return None;
        }
        let mask = self.rows.checked_sub(1)?;
        // SAFETY: as the caller promises.
        let hash = unsafe { hash(values) };
        let mut place = hash.addr() & mask;
        loop {
            // SAFETY: there are `rows` rows of this size, and `place` is below that; their strings are alive and exact.
            unsafe {
                let row = self.cells.as_ptr().add(place * (2 + values.len()));
                if *row == hash {
                    let own = slice::from_raw_parts(row.add(2), values.len());
                    if own.iter().zip(values).all(|(own, value)| same(*own, *value)) {
                        return Some(row);
                    }
                } else if (*row).is_null() {
                    return None;
                }
            }
            place = (place + 1) & mask;
        }
    }

    /// `objects` are a child and its label values, which are not here yet.
    fn insert(&mut self, objects: Vec<Object>) {
        if 2 * (self.count + 1) > self.rows {
            self.rebuild((4 * self.rows).max(8));
        }
        self.count += 1;
        let mut row = vec![ptr::null_mut()];
        row.extend(objects.into_iter().map(Object::into_ptr));
        // SAFETY: the values are exact strings that the row keeps alive.
        row[0] = unsafe { hash(&row[2..]) };
        self.put(&row);
    }

    /// Move a row to its place.
    fn put(&mut self, row: &[*mut ffi::PyObject]) {
        let mask = self.rows - 1;
        let mut place = row[0].addr() & mask;
        while !self.cells[place * row.len()].is_null() {
            place = (place + 1) & mask;
        }
        self.cells[place * row.len()..][..row.len()].copy_from_slice(row);
    }

    /// Take out a child and its label values.
    ///
    /// # Safety
    /// `values` are alive exact strings.
    unsafe fn remove(&mut self, values: &[*mut ffi::PyObject]) -> Option<Vec<Object>> {
        // SAFETY: as the caller promises.
        let row = unsafe { self.row(values) }?;
        // SAFETY: both point into the same vector.
        let start = unsafe { row.offset_from(self.cells.as_ptr()) }.unsigned_abs();
        let row = &mut self.cells[start..][..2 + self.labels];
        row[0] = ptr::null_mut();
        // SAFETY: the row owned a reference to each, and is free now.
        let objects = row[1..].iter().filter_map(|object| unsafe { Object::owned(*object) });
        let objects = objects.collect();
        self.count -= 1;
        // A hole would cut probe sequences; removal is rare enough to build the table again.
        self.rebuild(self.rows);
        Some(objects)
    }

    fn rebuild(&mut self, rows: usize) {
        let width = 2 + self.labels;
        let old = std::mem::replace(&mut self.cells, vec![ptr::null_mut(); rows * width]);
        self.rows = rows;
        for row in old.chunks_exact(width) {
            if !row[0].is_null() {
                self.put(row);
            }
        }
    }
}

/// A hash of strings that is never null, mixed from those that they carry.
///
/// # Safety
/// `values` are alive exact strings.
#[inline(always)]
unsafe fn hash(values: &[*mut ffi::PyObject]) -> *mut ffi::PyObject {
    let mix = |hash: usize, value: &*mut ffi::PyObject| {
        // SAFETY: an exact string begins with these fields.
        let mut own = unsafe { (*value.cast::<ffi::PyASCIIObject>()).hash };
        if own == -1 {
            // SAFETY: alive, and hashing an exact string runs no Python code and cannot fail.
            own = unsafe { ffi::PyObject_Hash(*value) };
        }
        (hash.rotate_left(23) ^ own as usize).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as usize)
    };
    ptr::without_provenance_mut(values.iter().fold(0, mix) | 1 << (usize::BITS - 1))
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
        same_bytes(text(one), text(other))
    }
}

/// Whether two texts are equal. Label values are short: calling the C library would take longer than comparing.
#[inline(always)]
fn same_bytes(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() || one.len() > 16 {
        return one == other;
    }
    // The first and the last word, which may have some bytes in common.
    if let (Some(first), Some(last)) = (one.first_chunk::<8>(), one.last_chunk::<8>()) {
        return other.first_chunk() == Some(first) && other.last_chunk() == Some(last);
    }
    if let (Some(first), Some(last)) = (one.first_chunk::<4>(), one.last_chunk::<4>()) {
        return other.first_chunk() == Some(first) && other.last_chunk() == Some(last);
    }
    one.iter().zip(other).all(|(byte, other)| byte == other)
}
