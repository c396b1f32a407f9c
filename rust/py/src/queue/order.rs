//! How an item is to be put: the arguments of `put` and its kin.

use std::ptr;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;

use crate::{ints, raw};

pub const DEFAULT_PRIORITY: u8 = 100;

/// A priority, and times that count from when the item is in.
#[derive(Clone, Copy)]
pub struct Order {
    pub priority: u8,
    delay_ns: u64,
    deadline_ns: Option<u64>,
}

impl Order {
    pub const fn plain(priority: u8) -> Self {
        Self {
            priority,
            delay_ns: 0,
            deadline_ns: None,
        }
    }

    /// Whether it makes a difference when the item is put.
    #[inline]
    pub fn is_timed(&self) -> bool {
        self.is_delayed() || self.deadline_ns.is_some()
    }

    #[inline]
    pub fn is_delayed(&self) -> bool {
        self.delay_ns > 0
    }

    pub fn due(&self, now: u64) -> Option<u64> {
        self.is_delayed().then(|| now.saturating_add(self.delay_ns))
    }

    pub fn deadline(&self, now: u64) -> Option<u64> {
        self.deadline_ns.map(|left| now.saturating_add(left))
    }
}

/// The priority if it is a plain int within range.
///
/// # Safety
/// The caller is attached, and `object` is alive.
#[inline(always)]
pub unsafe fn quick_priority(object: *mut ffi::PyObject) -> Option<u8> {
    // SAFETY: as promised; an exact int needs no Python code to be read.
    unsafe {
        if !ptr::eq(ffi::Py_TYPE(object), &raw const ffi::PyLong_Type) {
            return None;
        }
        ints::unsigned(object).and_then(|value| u8::try_from(value).ok())
    }
}

/// A priority; ValueError if it is out of range, TypeError if it is no int.
pub fn read_priority(object: &Bound<'_, PyAny>) -> PyResult<u8> {
    object.extract::<u8>().map_err(|error| {
        if error.is_instance_of::<PyTypeError>(object.py()) {
            error
        } else {
            PyValueError::new_err(format!("priority {object} is not within 0 (first) to 255 (last)"))
        }
    })
}

/// Seconds as nanoseconds; ValueError unless they are a finite number that is not negative.
pub fn nanoseconds(seconds: f64, name: &str) -> PyResult<u64> {
    if seconds.is_finite() && seconds >= 0.0 {
        // Saturates far beyond any use.
        Ok((seconds * 1e9) as u64)
    } else {
        Err(PyValueError::new_err(format!(
            "{name} {seconds} is not a number of seconds from 0 up"
        )))
    }
}

/// The arguments of a call: `(item, priority=100, *, delay_s=0.0, deadline_s=None)`, or only the first two.
pub struct Arguments {
    pub function: &'static str,
    pub values: *const *mut ffi::PyObject,
    pub count: ffi::Py_ssize_t,
    pub names: *mut ffi::PyObject,
}

impl Arguments {
    /// The item and its priority, if that is all there is and the priority needs no thought.
    ///
    /// # Safety
    /// They are what the interpreter passed to a `METH_FASTCALL | METH_KEYWORDS` function that runs still.
    #[inline(always)]
    pub unsafe fn quickly(&self, py: Python<'_>) -> Option<(*mut ffi::PyObject, u8)> {
        // SAFETY: `count` arguments by place are live, and behind them those of `names`.
        unsafe {
            match (self.count, self.names.is_null()) {
                (1, true) => Some((*self.values, DEFAULT_PRIORITY)),
                (2, true) => Some((*self.values, quick_priority(*self.values.add(1))?)),
                (1, false) if ffi::PyTuple_GET_SIZE(self.names) == 1 => {
                    let name = ffi::PyTuple_GET_ITEM(self.names, 0);
                    // Names in code are interned: what is another object is left to those who compare the text.
                    if !ptr::eq(name, intern!(py, "priority").as_ptr()) {
                        return None;
                    }
                    Some((*self.values, quick_priority(*self.values.add(1))?))
                }
                _ => None,
            }
        }
    }

    /// The item and its order, whatever was given.
    ///
    /// # Safety
    /// As `quickly`.
    pub unsafe fn read<'py>(&self, py: Python<'py>, timed: bool) -> PyResult<(Bound<'py, PyAny>, Order)> {
        if self.count > 2 {
            return Err(PyTypeError::new_err(format!(
                "{}() takes at most 2 positional arguments ({} given)",
                self.function, self.count
            )));
        }
        // SAFETY: promised by the caller.
        let [item, priority, delay_s, deadline_s] = unsafe {
            if timed {
                let names = ["item", "priority", "delay_s", "deadline_s"];
                raw::arguments(py, self.function, names, self.values, self.count, self.names)?
            } else {
                let names = ["item", "priority"];
                let [item, priority] = raw::arguments(py, self.function, names, self.values, self.count, self.names)?;
                [item, priority, None, None]
            }
        };
        let item = raw::required(item, self.function, "item")?;
        let mut order = Order::plain(DEFAULT_PRIORITY);
        if let Some(priority) = priority {
            order.priority = read_priority(&priority)?;
        }
        if let Some(delay_s) = delay_s {
            order.delay_ns = nanoseconds(delay_s.extract()?, "delay_s")?;
        }
        if let Some(deadline_s) = deadline_s {
            let left_s: Option<f64> = deadline_s.extract()?;
            order.deadline_ns = left_s.map(|left_s| nanoseconds(left_s, "deadline_s")).transpose()?;
        }
        Ok((item.to_owned(), order))
    }
}
