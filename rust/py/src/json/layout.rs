//! Ints and dicts as CPython lays them out in memory, which saves a call for each number and each member.
//!
//! The layouts are those of 3.11 to 3.13. They are tried at import, and where they do not hold the C API is used.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

static INTS: AtomicBool = AtomicBool::new(false);
static DICTS: AtomicBool = AtomicBool::new(false);

/// Try the layouts on objects whose content is known.
pub fn init(py: Python<'_>) -> PyResult<()> {
    if cfg!(Py_3_14) || cfg!(target_pointer_width = "32") {
        return Ok(());
    }
    let digits: u32 = py
        .import("sys")?
        .getattr("int_info")?
        .getattr("bits_per_digit")?
        .extract()?;
    if digits == DIGIT_BITS {
        INTS.store(ints_are_known(py)?, Ordering::Relaxed);
    }
    DICTS.store(dicts_are_known(py)?, Ordering::Relaxed);
    Ok(())
}

fn ints_are_known(py: Python<'_>) -> PyResult<bool> {
    for bits in 0..100 {
        for value in [1_i128 << bits, (1 << bits) - 1, -(1 << bits), (1 << bits) + 1] {
            let object = value.into_pyobject(py)?;
            let expected = match i64::try_from(value) {
                Ok(small) => Int::Small(small),
                Err(_) => u64::try_from(value).map_or(Int::Large, Int::Natural),
            };
            // SAFETY: an exact int.
            let found = unsafe { read(object.as_ptr()) };
            if found != expected {
                return Ok(false);
            }
        }
    }
    Ok(true)
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

/// Bits of a digit of an int.
const DIGIT_BITS: u32 = 30;

/// What is known of an int.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Int {
    Small(i64),
    /// Beyond `Small`, in 64 bits without a sign.
    Natural(u64),
    /// Beyond both.
    Large,
    /// To be asked for.
    Other,
}

/// An int's head and first digits; how many there are says the head.
#[repr(C)]
struct Long {
    head: ffi::PyObject,
    /// Up to 3.11 the number of digits, with the sign of the int; see `size_of_int`.
    size: isize,
    digits: [u32; 3],
}

/// The number of digits of an int, and whether it is negative.
#[inline(always)]
fn size_of_int(size: isize) -> (usize, bool) {
    if cfg!(Py_3_12) {
        // Below the number stand three bits, of which two are the sign: 0 positive, 1 zero, 2 negative.
        ((size as usize) >> 3, size & 3 == 2)
    } else {
        (size.unsigned_abs(), size < 0)
    }
}

/// The value of an int.
///
/// # Safety
/// An exact int.
#[inline(always)]
pub unsafe fn int(value: *mut ffi::PyObject) -> Int {
    if INTS.load(Ordering::Relaxed) {
        // SAFETY: promised by the caller; the layout was tried.
        unsafe { read(value) }
    } else {
        Int::Other
    }
}

/// # Safety
/// An exact int with the layout of `Long`.
#[inline(always)]
unsafe fn read(value: *mut ffi::PyObject) -> Int {
    let long = value.cast::<Long>();
    // SAFETY: promised by the caller; only digits that there are count, and even zero has room for one.
    unsafe {
        let size = size_of_int((&raw const (*long).size).read());
        let digit = |index: usize| u64::from((&raw const (*long).digits).cast::<u32>().add(index).read());
        let magnitude = match size.0 {
            0 => 0,
            1 => digit(0),
            2 => digit(0) | digit(1) << DIGIT_BITS,
            3 => return read_long(size.1, digit(0) | digit(1) << DIGIT_BITS, digit(2)),
            _ => return Int::Large,
        };
        // Two digits are 60 bits.
        Int::Small(if size.1 { -(magnitude as i64) } else { magnitude as i64 })
    }
}

fn read_long(negative: bool, low: u64, third: u64) -> Int {
    let magnitude = u128::from(low) | u128::from(third) << (2 * DIGIT_BITS);
    let signed = if negative {
        -(magnitude as i128)
    } else {
        magnitude as i128
    };
    match i64::try_from(signed) {
        Ok(small) => Int::Small(small),
        Err(_) => u64::try_from(signed).map_or(Int::Large, Int::Natural),
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
