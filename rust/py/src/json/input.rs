//! The bytes of a document, whatever Python object holds them.

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView, PyString};

use super::errors::{decode_error, raised};

/// Text that is followed by a NUL, as the readers need it.
pub enum Input<'a> {
    /// Inside an immutable object that the caller holds, with the NUL.
    Lent(&'a [u8]),
    /// A copy: the object could be changed by another thread, or holds no NUL behind its text.
    Copied(Vec<u8>),
}

/// The text and its NUL in bytes or an ASCII str; None for everything else.
///
/// # Safety
/// Attached, and `data` is a live object, which stays alive as long as the text.
#[inline(always)]
pub unsafe fn quick_text<'a>(data: *mut ffi::PyObject) -> Option<&'a [u8]> {
    // SAFETY: both have a NUL behind their content, and stay as they are while the caller holds them.
    unsafe {
        let kind = ffi::Py_TYPE(data);
        if kind == &raw mut ffi::PyBytes_Type {
            let len = ffi::Py_SIZE(data).unsigned_abs();
            return Some(std::slice::from_raw_parts(ffi::PyBytes_AS_STRING(data).cast(), len + 1));
        }
        if kind == &raw mut ffi::PyUnicode_Type && ffi::PyUnicode_IS_COMPACT_ASCII(data) != 0 {
            let len = ffi::PyUnicode_GET_LENGTH(data).unsigned_abs();
            return Some(std::slice::from_raw_parts(ffi::PyUnicode_DATA(data).cast(), len + 1));
        }
        None
    }
}

impl<'a> Input<'a> {
    /// Takes the text of a bytes-like object or a str.
    pub fn new(object: &'a Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            let bytes = bytes.as_bytes();
            // SAFETY: CPython puts a NUL behind the content of bytes, which the caller holds for 'a.
            return Ok(Self::Lent(unsafe {
                std::slice::from_raw_parts(bytes.as_ptr(), bytes.len() + 1)
            }));
        }
        if let Ok(text) = object.cast::<PyString>() {
            return Self::from_str(text);
        }
        if object.is_instance_of::<PyByteArray>() || object.is_instance_of::<PyMemoryView>() {
            return Self::from_buffer(object);
        }
        let name = object.get_type().name()?;
        Err(PyTypeError::new_err(format!(
            "JSON text is bytes, bytearray, memoryview or str, not {name}"
        )))
    }

    fn from_str(text: &'a Bound<'_, PyString>) -> PyResult<Self> {
        let mut len: ffi::Py_ssize_t = 0;
        // SAFETY: it is a str; the pointer that comes back lives as long as the str, which the caller holds for 'a.
        let data = unsafe { ffi::PyUnicode_AsUTF8AndSize(text.as_ptr(), &raw mut len) };
        if data.is_null() {
            let error = raised(text.py());
            return Err(lone_surrogate(text).unwrap_or(error));
        }
        // SAFETY: as above; CPython puts a NUL behind the UTF-8 form of a str.
        Ok(Self::Lent(unsafe {
            std::slice::from_raw_parts(data.cast(), len as usize + 1)
        }))
    }

    fn from_buffer(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = object.py();
        let mut copy;
        if let Ok(array) = object.cast::<PyByteArray>() {
            copy = array.to_vec();
        } else if let Ok(buffer) = PyBuffer::<u8>::get(object) {
            copy = buffer.to_vec(py)?;
        } else {
            // Another item format, such as 'b' or 'c': its bytes are what counts.
            let bytes = object.call_method0("tobytes")?;
            copy = bytes.extract::<Vec<u8>>()?;
        }
        copy.push(0);
        Ok(Self::Copied(copy))
    }

    /// The text with the NUL behind it.
    #[inline(always)]
    pub fn with_nul(&self) -> &[u8] {
        match self {
            Self::Lent(text) => text,
            Self::Copied(copy) => copy,
        }
    }
}

/// The error for a str that has no UTF-8 form, if that is why it has none.
#[cold]
fn lone_surrogate(text: &Bound<'_, PyString>) -> Option<PyErr> {
    let py = text.py();
    let encoded = text.call_method1("encode", ("utf-8", "surrogatepass")).ok()?;
    let encoded = encoded.cast_into::<PyBytes>().ok()?;
    let bytes = encoded.as_bytes();
    // A surrogate in UTF-8 clothes is ED followed by A0..BF.
    let at = bytes.windows(2).position(|pair| pair[0] == 0xED && pair[1] >= 0xA0)?;
    Some(decode_error(py, "the str holds a lone surrogate", bytes, at))
}
