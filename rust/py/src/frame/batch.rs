//! A batch that grows inside of the `bytes` object it is sent as, so that taking it copies nothing.

use std::ffi::c_int;
use std::ptr;

use aisys_core::frame::Batch;
use pyo3::ffi;

use crate::object::Object;

// Part of the documented C interface; pyo3-ffi keeps its declaration to itself.
unsafe extern "C" {
    fn _PyBytes_Resize(bytes: *mut *mut ffi::PyObject, size: ffi::Py_ssize_t) -> c_int;
}

const SMALLEST: usize = 256;
/// No batch begins with more memory than this, however large the one before was.
const LARGEST_START: usize = 1 << 20;

/// Bytes that nobody else has seen yet.
pub struct BytesBatch {
    /// A `bytes` object of `capacity` bytes with this as its only reference; null if that is 0.
    bytes: *mut ffi::PyObject,
    length: usize,
    capacity: usize,
    /// What the first allocation is to hold.
    start: usize,
}

// SAFETY: it owns its reference alone, and is used and dropped only while attached: it lives in a `FrameEncoder`.
unsafe impl Send for BytesBatch {}

impl Default for BytesBatch {
    fn default() -> Self {
        Self::starting_with(SMALLEST)
    }
}

impl BytesBatch {
    fn starting_with(start: usize) -> Self {
        Self {
            bytes: ptr::null_mut(),
            length: 0,
            capacity: 0,
            start,
        }
    }

    /// An empty batch that expects to become as large as this one.
    pub fn following(&self) -> Self {
        Self::starting_with(self.length.clamp(SMALLEST, LARGEST_START))
    }

    pub fn len(&self) -> usize {
        self.length
    }

    /// The `bytes`; None means that a Python exception is set.
    pub fn into_object(mut self) -> Option<Object> {
        if self.capacity == 0 {
            // SAFETY: whoever has a batch is attached (see the type); of no bytes there is nothing to read.
            return unsafe { Object::owned(ffi::PyBytes_FromStringAndSize(ptr::null(), 0)) };
        }
        if self.length < self.capacity && !self.resize(self.length) {
            return None;
        }
        let bytes = std::mem::replace(&mut self.bytes, ptr::null_mut());
        // SAFETY: this batch gives its reference away, and all bytes up to the size have been written.
        unsafe { Object::owned(bytes) }
    }

    /// Change the capacity. False leaves a batch that grows as it was, and a Python exception set.
    fn resize(&mut self, capacity: usize) -> bool {
        let Ok(size) = ffi::Py_ssize_t::try_from(capacity) else {
            return false;
        };
        // SAFETY: attached (see the type); a null pointer asks for bytes that are not written yet, which is what the
        // length is for. The bytes are resized while nobody else has them; that frees them when it fails.
        unsafe {
            if self.bytes.is_null() {
                self.bytes = ffi::PyBytes_FromStringAndSize(ptr::null(), size);
            } else {
                _PyBytes_Resize(&raw mut self.bytes, size);
            }
        }
        let done = !self.bytes.is_null();
        self.capacity = if done { capacity } else { 0 };
        done
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, needed: usize) -> bool {
        let larger = self.capacity.saturating_mul(2).max(self.start).max(needed);
        // Resizing frees the bytes when it fails, so what is there moves to new ones.
        let mut next = Self::starting_with(self.start);
        if !next.resize(larger) && !next.resize(needed) {
            // SAFETY: attached (see the type). The caller reports it in its own words.
            unsafe { ffi::PyErr_Clear() };
            return false;
        }
        if self.length > 0 {
            next.push(self.written());
        }
        *self = next;
        true
    }

    fn written(&self) -> &[u8] {
        if self.bytes.is_null() {
            return &[];
        }
        // SAFETY: a live `bytes` object of which `length` bytes have been written.
        unsafe { std::slice::from_raw_parts(ffi::PyBytes_AS_STRING(self.bytes).cast(), self.length) }
    }
}

impl Batch for BytesBatch {
    #[inline]
    fn reserve(&mut self, more: usize) -> bool {
        let needed = self.length.saturating_add(more);
        needed <= self.capacity || self.grow(needed)
    }

    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = self.length + bytes.len();
        assert!(end <= self.capacity, "room is reserved first");
        // SAFETY: there is a capacity, so there are bytes, which nobody else has, and this is within them; the sum cannot overflow, as both are in memory.
        unsafe {
            let place = ffi::PyBytes_AS_STRING(self.bytes)
                .cast_mut()
                .cast::<u8>()
                .add(self.length);
            ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len());
        }
        self.length = end;
    }
}

impl Drop for BytesBatch {
    fn drop(&mut self) {
        // SAFETY: attached (see the type); the reference is owned, or null.
        unsafe { ffi::Py_XDECREF(self.bytes) }
    }
}
