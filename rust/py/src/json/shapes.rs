//! Dicts of the same keys: copied from one that was made before, and the values written into the copy.
//!
//! A copy of a dict costs one allocation and no look-ups. Where the values stand in it is the interpreter's own affair:
//! what is assumed here holds for 3.11 to 3.13, and is tried at import; where it does not hold, dicts are filled key by key.

use std::cell::{Cell, UnsafeCell};

use pyo3::ffi;
use pyo3::prelude::*;

use crate::object::Object;

const SLOTS: usize = 512;
/// Objects of more members are not worth their place.
const MOST_KEYS: usize = 32;

/// A number for the keys of an object so far.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shape(u64);

impl Shape {
    pub const EMPTY: Self = Self(0);

    #[inline(always)]
    pub fn with(self, key: &Object) -> Self {
        let mixed = (self.0 ^ key.as_ptr() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self(mixed.rotate_left(29))
    }

    #[inline(always)]
    fn slot(self) -> usize {
        self.0 as usize % SLOTS
    }
}

#[derive(Clone, Copy)]
struct Slot {
    shape: Shape,
    /// Null, or a strong reference to a dict of these keys, all of whose values are None.
    template: *mut ffi::PyObject,
    /// The shape that last came here without a template.
    seen: Shape,
}

struct Shapes {
    slots: UnsafeCell<[Slot; SLOTS]>,
    usable: Cell<bool>,
}

// SAFETY: only touched while attached to an interpreter with a GIL (the module refuses free-threaded builds), in
// stretches that run no Python code.
unsafe impl Sync for Shapes {}

static SHAPES: Shapes = Shapes {
    slots: UnsafeCell::new(
        [Slot {
            shape: Shape::EMPTY,
            template: std::ptr::null_mut(),
            seen: Shape::EMPTY,
        }; SLOTS],
    ),
    usable: Cell::new(false),
};

/// The beginning of the table of a dict (`PyDictKeysObject`); its index, of `1 << log2_index_bytes` bytes, and then its
/// entries follow.
#[repr(C)]
struct Table {
    refcnt: ffi::Py_ssize_t,
    log2_size: u8,
    log2_index_bytes: u8,
    kind: u8,
    version: u32,
    usable: ffi::Py_ssize_t,
    nentries: ffi::Py_ssize_t,
}

/// The kind of a table whose keys are all str.
const KIND_UNICODE: u8 = 1;

/// An entry of a table whose keys are all str (`PyDictUnicodeEntry`).
#[repr(C)]
struct Entry {
    key: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
}

/// The entries of a dict.
///
/// # Safety
/// A dict of the versions that this file knows, with a table of its own whose keys are all str.
#[inline(always)]
unsafe fn entries(dict: *mut ffi::PyObject) -> *mut Entry {
    // SAFETY: as promised, the table has this layout.
    unsafe {
        let table = table(dict);
        table.add(1).cast::<u8>().add(1 << (*table).log2_index_bytes).cast()
    }
}

/// # Safety
/// A dict of the versions that this file knows.
#[inline(always)]
unsafe fn table(dict: *mut ffi::PyObject) -> *mut Table {
    // SAFETY: as promised.
    unsafe { (*dict.cast::<ffi::PyDictObject>()).ma_keys.cast() }
}

/// The dict of `pairs`, which are keys, each followed by its value, and no key twice; None if an exception is set.
///
/// It takes the references out of the pairs, or leaves all of them.
#[inline(always)]
pub fn dict_of(pairs: &[Object], shape: Shape) -> Option<Result<Object, ()>> {
    // SAFETY: see `Shapes`.
    let slot = unsafe { &mut (*SHAPES.slots.get())[shape.slot()] };
    if slot.shape != shape || slot.template.is_null() {
        note(slot, pairs, shape);
        return None;
    }
    // SAFETY: attached; the slot holds a template, and only `usable` ones are kept.
    unsafe { copy(slot.template, pairs) }
}

/// A copy of the template with the values of the pairs; None if they have other keys.
///
/// # Safety
/// Attached, and the template is one.
#[inline(always)]
unsafe fn copy(template: *mut ffi::PyObject, pairs: &[Object]) -> Option<Result<Object, ()>> {
    let count = pairs.len() / 2;
    // SAFETY: a template has its own table of str keys, without gaps. Only keys that are the same objects count: these are
    // alive, and so are those of the template. The copy has the same table, and nobody else has seen it. Making it may
    // run the collector, and that other code, which may replace the template; so it is held.
    unsafe {
        if (*table(template)).nentries != count as ffi::Py_ssize_t {
            return None;
        }
        let kept = entries(template);
        for (index, pair) in pairs.chunks_exact(2).enumerate() {
            if (*kept.add(index)).key != pair[0].as_ptr() {
                return None;
            }
        }
        let held = Object::borrowed(template);
        let Some(dict) = Object::owned(ffi::PyDict_Copy(template)) else {
            return Some(Err(()));
        };
        drop(held);
        let filled = entries(dict.as_ptr());
        let mut tracked = false;
        for (index, pair) in pairs.chunks_exact(2).enumerate() {
            let value = pair[1].as_ptr();
            (*filled.add(index)).value = value;
            let kind = ffi::Py_TYPE(value);
            tracked |= kind == &raw mut ffi::PyDict_Type || kind == &raw mut ffi::PyList_Type;
            // The copy has its own reference to the key, and had one to the None that the value replaces.
            ffi::Py_DECREF(pair[0].as_ptr());
            ffi::Py_DECREF(ffi::Py_None());
        }
        if tracked {
            ffi::PyObject_GC_Track(dict.as_ptr().cast());
        }
        Some(Ok(dict))
    }
}

/// Makes a template of keys that came twice in a row to their slot: those that come once would only drive others out.
#[inline(never)]
fn note(slot: &mut Slot, pairs: &[Object], shape: Shape) {
    if !SHAPES.usable.get() || pairs.len() > 2 * MOST_KEYS {
        return;
    }
    if slot.seen != shape {
        slot.seen = shape;
        return;
    }
    let keys = pairs.iter().step_by(2).map(Object::as_ptr);
    // SAFETY: attached; the keys are live str objects.
    let Some(template) = (unsafe { template(keys) }) else {
        return;
    };
    slot.shape = shape;
    let previous = std::mem::replace(&mut slot.template, template.into_ptr());
    // SAFETY: attached; the slot gives up its reference. A dict of str and None runs no Python code when it goes.
    drop(unsafe { Object::owned(previous) });
}

/// A dict of these keys whose values are None; None if it is not as this file needs it.
///
/// # Safety
/// Attached; live str objects.
unsafe fn template(keys: impl ExactSizeIterator<Item = *mut ffi::PyObject> + Clone) -> Option<Object> {
    let count = keys.len();
    // SAFETY: attached, and all objects are alive; an error leaves no template and no exception. Before the entries are
    // looked at, the table has told that it has this many, and of which kind.
    unsafe {
        let dict = Object::owned(ffi::PyDict_New());
        let Some(dict) = dict else {
            ffi::PyErr_Clear();
            return None;
        };
        for key in keys.clone() {
            if ffi::PyDict_SetItem(dict.as_ptr(), key, ffi::Py_None()) < 0 {
                ffi::PyErr_Clear();
                return None;
            }
        }
        let table = table(dict.as_ptr());
        let whole = ffi::PyDict_Size(dict.as_ptr()) == count as ffi::Py_ssize_t
            && (*table).nentries == count as ffi::Py_ssize_t
            && (*table).kind == KIND_UNICODE;
        if !whole {
            return None;
        }
        let entries = entries(dict.as_ptr());
        let same = keys.enumerate().all(|(index, key)| {
            let entry = entries.add(index);
            (*entry).key == key && (*entry).value == ffi::Py_None()
        });
        same.then_some(dict)
    }
}

/// Try whether dicts are as this file takes them to be: called once, before the first text is read.
pub fn init(py: Python<'_>) {
    // The layout is of these versions, and an interpreter that counts its objects must see each reference.
    let known = cfg!(all(not(Py_3_14), not(py_sys_config = "Py_REF_DEBUG")));
    SHAPES
        .usable
        .set(known && (1..=MOST_KEYS).all(|count| works(py, count).unwrap_or(false)));
}

/// Whether a copied dict of this many keys has the values that were written into it.
fn works(py: Python<'_>, count: usize) -> PyResult<bool> {
    let keys: Vec<_> = (0..count)
        .map(|index| pyo3::types::PyString::new(py, &format!("key {index}")))
        .collect();
    // SAFETY: attached; the keys are alive.
    let Some(template) = (unsafe { template(keys.iter().map(Bound::as_ptr)) }) else {
        return Ok(false);
    };
    for inner in [false, true] {
        let mut pairs = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            let value = if inner {
                pyo3::types::PyList::empty(py).into_any()
            } else {
                (1000 + index).into_pyobject(py)?.into_any()
            };
            // SAFETY: both are alive.
            pairs.extend(unsafe { [Object::borrowed(key.as_ptr()), Object::borrowed(value.as_ptr())] });
        }
        // SAFETY: attached, and the template is one.
        let Some(Ok(dict)) = (unsafe { copy(template.as_ptr(), &pairs) }) else {
            return Ok(false);
        };
        let values: Vec<_> = pairs.iter().skip(1).step_by(2).map(Object::as_ptr).collect();
        pairs.into_iter().for_each(std::mem::forget);
        let dict = dict.into_bound(py).cast_into::<pyo3::types::PyDict>()?;
        // SAFETY: a live object.
        let tracked = unsafe { ffi::PyObject_GC_IsTracked(dict.as_ptr()) } != 0;
        let found = dict
            .iter()
            .zip(keys.iter().zip(&values))
            .all(|((have, value), (key, expected))| have.is(key) && value.as_ptr() == *expected);
        let looked_up = keys
            .iter()
            .zip(&values)
            .all(|(key, expected)| matches!(dict.get_item(key), Ok(Some(value)) if value.as_ptr() == *expected));
        if dict.len() != count || tracked != inner || !found || !looked_up {
            return Ok(false);
        }
    }
    Ok(true)
}
