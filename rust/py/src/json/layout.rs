//! Dicts as CPython lays them out in memory, which saves a call for each member.
//!
//! The layout is that of 3.11 to 3.13. It is tried at import, and where it does not hold the C API is used.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

static DICTS: AtomicBool = AtomicBool::new(false);

/// Try the layout on dicts whose content is known.
pub fn init(py: Python<'_>) -> PyResult<()> {
    if cfg!(Py_3_14) || cfg!(target_pointer_width = "32") {
        return Ok(());
    }
    DICTS.store(dicts_are_known(py)?, Ordering::Relaxed);
    Ok(())
}

fn dicts_are_known(py: Python<'_>) -> PyResult<bool> {
    for size in [1, 2, 5, 6, 100, 1000, 70_000] {
        for general in [false, true] {
            let dict = PyDict::new(py);
            if general {
                dict.set_item(0, 0)?;
            }
            for number in 0..size {
                dict.set_item(number.to_string(), number)?;
            }
            dict.del_item("0")?;
            // SAFETY: an exact dict that nothing changes meanwhile.
            if unsafe { !same_members(dict.as_ptr()) } {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Whether the table of a dict shows what the C API does.
///
/// # Safety
/// A dict that nothing changes.
unsafe fn same_members(dict: *mut ffi::PyObject) -> bool {
    // SAFETY: promised by the caller.
    unsafe {
        let mut expected = Members::of(dict);
        let Some(mut found) = Entries::in_table(dict) else {
            return false;
        };
        loop {
            match (expected.next(), found.next()) {
                (None, None) => return true,
                (one, other) if one == other => {}
                _ => return false,
            }
        }
    }
}

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

/// A table of hashes, keys and values.
const KIND_GENERAL: u8 = 0;
/// A table of str keys and values.
const KIND_UNICODE: u8 = 1;

const WORD: usize = size_of::<usize>();

/// The entries of a dict that are still to be visited, in its table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Entries {
    /// The next entry's key; its value follows it.
    entry: *const *mut ffi::PyObject,
    end: *const *mut ffi::PyObject,
    /// Words from one entry to the next.
    stride: usize,
}

impl Entries {
    /// The entries of a dict; None if they must be asked for.
    ///
    /// # Safety
    /// An exact dict.
    #[inline(always)]
    pub unsafe fn of(dict: *mut ffi::PyObject) -> Option<Self> {
        if !DICTS.load(Ordering::Relaxed) {
            return None;
        }
        // SAFETY: promised by the caller; the layout was tried.
        unsafe { Self::in_table(dict) }
    }

    /// # Safety
    /// A dict with the layout of `Table`.
    #[inline(always)]
    unsafe fn in_table(dict: *mut ffi::PyObject) -> Option<Self> {
        // SAFETY: promised by the caller; a table is followed by its index and its entries.
        unsafe {
            let object = dict.cast::<ffi::PyDictObject>();
            let table = (*object).ma_keys.cast::<Table>();
            let kind = (*table).kind;
            // A dict of an instance has its values elsewhere.
            if !(*object).ma_values.is_null() || kind > KIND_UNICODE {
                return None;
            }
            let index_words = (1 << (*table).log2_index_bytes) / WORD;
            let general = usize::from(kind == KIND_GENERAL);
            let entry = table
                .add(1)
                .cast::<*mut ffi::PyObject>()
                .add(index_words + general)
                .cast_const();
            let stride = 2 + general;
            Some(Self {
                entry,
                end: entry.add(stride * (*table).nentries as usize),
                stride,
            })
        }
    }

    /// The next key and value, borrowed from the dict.
    ///
    /// # Safety
    /// The dict is alive, and was not changed since `of`, or `refreshed` said how.
    #[inline(always)]
    pub unsafe fn next(&mut self) -> Option<(*mut ffi::PyObject, *mut ffi::PyObject)> {
        while self.entry < self.end {
            // SAFETY: promised by the caller: an entry of the table.
            unsafe {
                let (key, value) = (self.entry.read(), self.entry.add(1).read());
                self.entry = self.entry.add(self.stride);
                // Those without a value were taken out.
                if !value.is_null() {
                    return Some((key, value));
                }
            }
        }
        None
    }

    /// What is left of the entries of a dict that may have been changed; None if they stand elsewhere now.
    ///
    /// # Safety
    /// The dict is alive.
    #[cold]
    pub unsafe fn refreshed(self, dict: *mut ffi::PyObject) -> Option<Self> {
        // SAFETY: promised by the caller.
        let now = unsafe { Self::of(dict)? };
        // A table may have been freed and another been made in its place, with other entries.
        let past = (self.entry as usize).checked_sub(now.entry as usize)?;
        let same = now.stride == self.stride && past % (self.stride * WORD) == 0 && self.entry <= now.end;
        same.then_some(Self {
            entry: self.entry,
            ..now
        })
    }
}

/// The members of a dict by the C API.
pub struct Members {
    dict: *mut ffi::PyObject,
    place: ffi::Py_ssize_t,
}

impl Members {
    pub fn of(dict: *mut ffi::PyObject) -> Self {
        Self { dict, place: 0 }
    }

    /// The next key and value, borrowed from the dict; it may change meanwhile.
    ///
    /// # Safety
    /// A dict that is alive.
    pub unsafe fn next(&mut self) -> Option<(*mut ffi::PyObject, *mut ffi::PyObject)> {
        let (mut key, mut value) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: promised by the caller.
        let found = unsafe { ffi::PyDict_Next(self.dict, &raw mut self.place, &raw mut key, &raw mut value) };
        (found != 0).then_some((key, value))
    }
}
