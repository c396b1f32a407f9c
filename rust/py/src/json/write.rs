//! From Python objects to text.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::canonical;
use super::errors::{encode_error, raised};
use super::out::Out;
use super::parse::MAX_DEPTH;
use super::plain;
use super::pool::Pool;
use super::setup::{self, Setup};
use super::strs::{ascii_str, utf8_str};
use crate::object::Object;

thread_local! {
    static BUFFERS: Pool<Out> = const { Pool::new() };
}

/// In which order the members of an object are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As the dict has them.
    Given,
    /// By code points of the keys.
    CodePoints,
    /// By UTF-16 units of the keys, and with the numbers of RFC 8785.
    Canonical,
}

/// Why writing stopped: one pointer wide, so that results travel in registers.
pub struct Failure(Box<Cause>);

enum Cause {
    /// The value has no JSON form; the path leads to it, innermost token first.
    Value { message: String, path: Vec<String> },
    /// An exception of someone else's code.
    Python(PyErr),
}

pub type Written = Result<(), Failure>;

/// The failure of a value without a JSON form.
#[cold]
pub fn refused(message: impl Into<String>) -> Failure {
    Failure(Box::new(Cause::Value {
        message: message.into(),
        path: Vec::new(),
    }))
}

#[cold]
pub fn python_failure(error: PyErr) -> Failure {
    Failure(Box::new(Cause::Python(error)))
}

pub struct Writer<'a, 'py> {
    pub py: Python<'py>,
    pub out: Out,
    pub order: Order,
    pub default: Option<&'a Bound<'py, PyAny>>,
}

/// The text of a value as bytes.
pub fn dumps<'py>(
    value: &Bound<'py, PyAny>,
    default: Option<&Bound<'py, PyAny>>,
    order: Order,
) -> PyResult<Bound<'py, PyBytes>> {
    let py = value.py();
    written(value, default, order, |out| Ok(PyBytes::new(py, out.text())))
}

/// The text of a value as str.
pub fn dumps_str<'py>(
    value: &Bound<'py, PyAny>,
    default: Option<&Bound<'py, PyAny>>,
    order: Order,
) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    written(value, default, order, |out| {
        let made = if out.is_ascii() {
            ascii_str(out.text())
        } else {
            utf8_str(out.text()).ok()
        };
        made.map(|text| text.into_bound(py)).ok_or_else(|| raised(py))
    })
}

/// Writes a value and hands the text over; the buffer stays for the next call.
fn written<'py, T>(
    value: &Bound<'py, PyAny>,
    default: Option<&Bound<'py, PyAny>>,
    order: Order,
    take: impl FnOnce(&Out) -> PyResult<T>,
) -> PyResult<T> {
    let py = value.py();
    let mut writer = Writer {
        py,
        out: BUFFERS.with(Pool::take),
        order,
        default,
    };
    writer.out.clear();
    let result = match writer.value(value.as_ptr(), 0) {
        Ok(()) => take(&writer.out),
        Err(failure) => Err(exception(py, *failure.0)),
    };
    if writer.out.capacity() <= Pool::<Out>::MAX_KEPT_BYTES {
        BUFFERS.with(|pool| pool.put(writer.out));
    }
    result
}

#[cold]
fn exception(py: Python<'_>, cause: Cause) -> PyErr {
    match cause {
        Cause::Python(error) => error,
        Cause::Value { message, path } => {
            let pointer = path.iter().rev().fold(String::new(), |mut pointer, token| {
                pointer.push('/');
                pointer.push_str(&token.replace('~', "~0").replace('/', "~1"));
                pointer
            });
            encode_error(py, &message, &pointer)
        }
    }
}

/// The failure as seen from one container further out.
#[cold]
fn inside(mut failure: Failure, token: impl FnOnce() -> String) -> Failure {
    if let Cause::Value { path, .. } = &mut *failure.0 {
        path.push(token());
    }
    failure
}

impl Writer<'_, '_> {
    /// Writes a value that stands inside `depth` containers, and a comma.
    ///
    /// The pointer is a live object; what runs Python code holds a reference of its own.
    #[inline(always)]
    pub fn value(&mut self, value: *mut ffi::PyObject, depth: usize) -> Written {
        if self.scalar(value)? {
            Ok(())
        } else {
            self.container(value, depth)
        }
    }

    /// Writes a value of an exact scalar type, which runs no Python code; false if it is another value.
    #[inline(always)]
    fn scalar(&mut self, value: *mut ffi::PyObject) -> Result<bool, Failure> {
        // SAFETY: a live object (see `value`); its type is compared before it is used as one.
        unsafe {
            let kind = ffi::Py_TYPE(value);
            if kind == &raw mut ffi::PyUnicode_Type {
                self.string(value, b',')?;
            } else if kind == &raw mut ffi::PyLong_Type {
                self.integer(value)?;
            } else if value == ffi::Py_None() {
                self.out.extend(b"null,");
            } else if kind == &raw mut ffi::PyBool_Type {
                if value == ffi::Py_True() {
                    self.out.extend(b"true,");
                } else {
                    self.out.extend(b"false,");
                }
            } else if kind == &raw mut ffi::PyFloat_Type {
                self.number(ffi::PyFloat_AS_DOUBLE(value))?;
            } else {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes a value that may run Python code while it is written.
    #[inline(never)]
    fn container(&mut self, value: *mut ffi::PyObject, depth: usize) -> Written {
        // SAFETY: a live object, which stays alive as long as it is held here.
        let (held, kind) = unsafe { (Object::borrowed(value), ffi::Py_TYPE(value)) };
        let value = held.as_ptr();
        if kind == &raw mut ffi::PyDict_Type {
            self.dict(value, depth)
        } else if kind == &raw mut ffi::PyList_Type {
            self.sequence(value, depth, true)
        } else if kind == &raw mut ffi::PyTuple_Type {
            self.sequence(value, depth, false)
        } else {
            self.other(value, depth)
        }
    }

    /// Writes an exact str and one byte behind it.
    #[inline(always)]
    pub fn string(&mut self, text: *mut ffi::PyObject, behind: u8) -> Written {
        // SAFETY: an exact str, which cannot change; its length and data go together.
        unsafe {
            if ffi::PyUnicode_IS_COMPACT_ASCII(text) != 0 {
                let len = ffi::PyUnicode_GET_LENGTH(text) as usize;
                let data = text.cast::<ffi::PyASCIIObject>().add(1).cast::<u8>();
                self.out.string(std::slice::from_raw_parts(data, len), behind);
                return Ok(());
            }
        }
        self.wide_string(text, behind)
    }

    #[inline(never)]
    fn wide_string(&mut self, text: *mut ffi::PyObject, behind: u8) -> Written {
        // SAFETY: as in `string`. A str beyond ASCII may hold its UTF-8 form from an earlier use; the kind tells how
        // wide its units are.
        let result = unsafe {
            let compact = text.cast::<ffi::PyCompactUnicodeObject>();
            let utf8 = (*compact).utf8;
            if !utf8.is_null() {
                self.out.expect_wide();
                let len = (*compact).utf8_length as usize;
                self.out.string(std::slice::from_raw_parts(utf8.cast(), len), behind);
                return Ok(());
            }
            let len = ffi::PyUnicode_GET_LENGTH(text) as usize;
            let data = ffi::PyUnicode_DATA(text);
            match ffi::PyUnicode_KIND(text) {
                ffi::PyUnicode_1BYTE_KIND => self
                    .out
                    .characters(std::slice::from_raw_parts(data.cast::<u8>(), len), behind),
                ffi::PyUnicode_2BYTE_KIND => self
                    .out
                    .characters(std::slice::from_raw_parts(data.cast::<u16>(), len), behind),
                _ => self
                    .out
                    .characters(std::slice::from_raw_parts(data.cast::<u32>(), len), behind),
            }
        };
        result.map_err(|index| refused(format!("the str holds a lone surrogate at index {index}")))
    }

    #[inline(always)]
    fn integer(&mut self, value: *mut ffi::PyObject) -> Written {
        if let Some(small) = one_digit(value) {
            self.out.integer(small);
            return Ok(());
        }
        let mut overflow = 0;
        // SAFETY: an exact int.
        let small = unsafe { ffi::PyLong_AsLongLongAndOverflow(value, &raw mut overflow) };
        if overflow != 0 {
            return self.large_integer(value, overflow);
        }
        if self.order == Order::Canonical && !canonical::is_exact(small) {
            return self.large_integer(value, overflow);
        }
        self.out.integer(small);
        Ok(())
    }

    #[cold]
    fn large_integer(&mut self, value: *mut ffi::PyObject, overflow: i32) -> Written {
        if self.order == Order::Canonical {
            // SAFETY: a live object.
            let value = unsafe { Bound::from_borrowed_ptr(self.py, value) };
            return canonical::large_integer(&mut self.out, &value);
        }
        if overflow > 0 {
            // SAFETY: an exact int; the exception that it may raise is taken away below.
            let large = unsafe { ffi::PyLong_AsUnsignedLongLong(value) };
            if PyErr::take(self.py).is_none() {
                self.out.natural(large);
                return Ok(());
            }
        }
        Err(refused("the integer does not fit 64 bits: send it as a string"))
    }

    #[inline(never)]
    pub fn number(&mut self, value: f64) -> Written {
        if !value.is_finite() {
            let name = if value.is_nan() {
                "nan"
            } else if value > 0.0 {
                "inf"
            } else {
                "-inf"
            };
            return Err(refused(format!(
                "JSON has no {name}: use None, or leave the member out"
            )));
        }
        if self.order == Order::Canonical {
            canonical::number(&mut self.out, value);
        } else {
            self.out.extend(zmij::Buffer::new().format_finite(value).as_bytes());
        }
        self.out.push(b',');
        Ok(())
    }

    fn enter(depth: usize) -> Result<usize, Failure> {
        if depth >= MAX_DEPTH {
            return Err(refused(
                "nested deeper than 512 levels, or a value that contains itself",
            ));
        }
        Ok(depth + 1)
    }

    /// Writes an exact list or tuple.
    #[inline(always)]
    fn sequence(&mut self, sequence: *mut ffi::PyObject, depth: usize, is_list: bool) -> Written {
        let depth = Self::enter(depth)?;
        self.out.push(b'[');
        let mut index = 0;
        // SAFETY: an exact list or tuple, whose length stands behind its head. Writing an item may run Python code that
        // changes a list, so the length is read anew each time.
        while index < unsafe { ffi::Py_SIZE(sequence) } {
            // SAFETY: the index is below the length.
            let item = unsafe {
                if is_list {
                    ffi::PyList_GET_ITEM(sequence, index)
                } else {
                    ffi::PyTuple_GET_ITEM(sequence, index)
                }
            };
            self.value(item, depth)
                .map_err(|failure| inside(failure, || index.to_string()))?;
            index += 1;
        }
        self.out.close(b']');
        Ok(())
    }

    /// Writes an exact dict.
    #[inline(always)]
    fn dict(&mut self, dict: *mut ffi::PyObject, depth: usize) -> Written {
        let depth = Self::enter(depth)?;
        if self.order != Order::Given {
            return self.sorted_dict(dict, depth);
        }
        // SAFETY: an exact dict, here and below.
        let size = unsafe { (*dict.cast::<ffi::PyDictObject>()).ma_used };
        if size == 0 {
            self.out.extend(b"{},");
            return Ok(());
        }
        self.out.push(b'{');
        let mut place = 0;
        let mut key = std::ptr::null_mut();
        let mut value = std::ptr::null_mut();
        // SAFETY: PyDict_Next stays inside the dict's current table even if Python code run by an item changed it.
        while unsafe { ffi::PyDict_Next(dict, &raw mut place, &raw mut key, &raw mut value) } != 0 {
            self.member(key, value, depth)?;
            // SAFETY: the caller holds the dict.
            if unsafe { (*dict.cast::<ffi::PyDictObject>()).ma_used } != size {
                return Err(refused("the dict was changed while it was being written"));
            }
        }
        self.out.close(b'}');
        Ok(())
    }

    /// Writes a member of an object; key and value are alive, and whatever runs Python code holds them.
    #[inline(always)]
    fn member(&mut self, key: *mut ffi::PyObject, value: *mut ffi::PyObject, depth: usize) -> Written {
        self.key(key)?;
        match self.scalar(value) {
            Ok(true) => Ok(()),
            Ok(false) => self.container_member(key, value, depth),
            Err(failure) => Err(inside(failure, || self.token(key))),
        }
    }

    #[inline(never)]
    fn container_member(&mut self, key: *mut ffi::PyObject, value: *mut ffi::PyObject, depth: usize) -> Written {
        // SAFETY: the key is alive; it is held because writing the value may change the dict.
        let key = unsafe { Object::borrowed(key) };
        self.container(value, depth)
            .map_err(|failure| inside(failure, || self.token(key.as_ptr())))
    }

    /// A key as a token of a pointer.
    #[cold]
    fn token(&self, key: *mut ffi::PyObject) -> String {
        // SAFETY: the key is alive.
        let key = unsafe { Bound::from_borrowed_ptr(self.py, key) };
        key.to_string()
    }

    #[inline(always)]
    fn key(&mut self, key: *mut ffi::PyObject) -> Written {
        // SAFETY: the key is alive.
        if unsafe { ffi::Py_TYPE(key) == &raw mut ffi::PyUnicode_Type } {
            return self.string(key, b':');
        }
        let text = self.key_text(key)?;
        self.string(text.as_ptr(), b':')
    }

    /// The exact str of a key of another type.
    #[cold]
    pub fn key_text(&self, key: *mut ffi::PyObject) -> Result<Object, Failure> {
        // SAFETY: the key is alive.
        let key = unsafe { Bound::from_borrowed_ptr(self.py, key) };
        plain::key_text(&key)
    }

    fn sorted_dict(&mut self, dict: *mut ffi::PyObject, depth: usize) -> Written {
        let mut members = canonical::sorted_members(self, dict)?;
        self.out.push(b'{');
        for (key, value) in members.drain(..) {
            self.member(key.as_ptr(), value.as_ptr(), depth)?;
        }
        self.out.close(b'}');
        Ok(())
    }

    /// Writes a value of any other type.
    #[inline(never)]
    fn other(&mut self, value: *mut ffi::PyObject, depth: usize) -> Written {
        // SAFETY: a live object.
        let value = unsafe { Bound::from_borrowed_ptr(self.py, value) };
        plain::write(self, &value, depth)
    }

    /// The face's classes and functions.
    pub fn setup(&self) -> Result<&'static Setup, Failure> {
        setup::get(self.py).ok_or_else(|| refused("the JSON codec was not set up: import aisys.json"))
    }
}

/// The value of an exact int that has at most one internal digit (30 bits), without a call.
#[cfg(not(Py_3_12))]
#[inline(always)]
fn one_digit(value: *mut ffi::PyObject) -> Option<i64> {
    /// CPython's int up to 3.11: the sign and number of digits, then the digits, least first.
    #[repr(C)]
    struct Long {
        head: ffi::PyVarObject,
        first: u32,
    }
    let long = value.cast::<Long>();
    // SAFETY: an exact int; even zero has room for a digit, though only the size says that it counts.
    unsafe {
        match (*long).head.ob_size {
            0 => Some(0),
            1 => Some(i64::from((*long).first)),
            -1 => Some(-i64::from((*long).first)),
            _ => None,
        }
    }
}

/// From 3.12 on the layout of int is not to be relied on.
#[cfg(Py_3_12)]
#[inline(always)]
fn one_digit(_value: *mut ffi::PyObject) -> Option<i64> {
    None
}
