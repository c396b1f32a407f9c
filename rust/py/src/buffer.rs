//! Bytes of Python objects without copying them.

use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// The bytes of a `bytes` object.
///
/// # Safety
/// A live `bytes` object, which stays alive for as long as the slice is used; the thread is attached.
#[inline(always)]
pub unsafe fn bytes<'a>(object: *mut ffi::PyObject) -> &'a [u8] {
    // SAFETY: as promised; `bytes` never change.
    unsafe {
        let start = ffi::PyBytes_AS_STRING(object).cast::<u8>();
        std::slice::from_raw_parts(start, ffi::Py_SIZE(object).unsigned_abs())
    }
}

/// The bytes of an object that is exactly a `bytes`; None for any other.
///
/// # Safety
/// A live object, which stays alive for as long as the slice is used; the thread is attached.
#[inline(always)]
pub unsafe fn plain<'a>(object: *mut ffi::PyObject) -> Option<&'a [u8]> {
    // SAFETY: as promised, and of the right class.
    unsafe { (ffi::PyBytes_CheckExact(object) != 0).then(|| bytes(object)) }
}

/// An acquired buffer: `bytes` directly, anything else through the buffer protocol.
pub enum Held<'a, 'py> {
    Bytes(&'a Bound<'py, PyBytes>),
    Buffer(PyUntypedBuffer),
}

impl<'a, 'py> Held<'a, 'py> {
    /// Acquire the bytes of `object`; `TypeError` if it has none, `BufferError` if they are not contiguous.
    #[inline]
    pub fn get(object: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Self::Bytes(bytes));
        }
        let buffer = PyUntypedBuffer::get(object)?;
        if buffer.is_c_contiguous() {
            Ok(Self::Buffer(buffer))
        } else {
            Err(PyBufferError::new_err(
                "the buffer is not C-contiguous; pass a contiguous copy",
            ))
        }
    }

    /// The bytes. Whoever asks runs no Python code while holding them: a mutable buffer could change.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes.as_bytes(),
            Self::Buffer(buffer) if buffer.len_bytes() == 0 => &[],
            // SAFETY: the buffer is contiguous, exported to us until dropped, and `len_bytes` long; the GIL is held
            // and no Python code runs while the slice lives, so nobody writes to it.
            Self::Buffer(buffer) => unsafe {
                std::slice::from_raw_parts(buffer.buf_ptr().cast::<u8>(), buffer.len_bytes())
            },
        }
    }
}
