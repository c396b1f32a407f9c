//! An owned reference to a Python object, one pointer wide.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use pyo3::ffi;
use pyo3::prelude::*;

/// A strong reference; dropping it gives the reference up.
///
/// Made, used and dropped only while attached to the interpreter: every function of this codec runs inside one
/// call from Python and never detaches.
#[repr(transparent)]
pub struct Object(NonNull<ffi::PyObject>);

impl Object {
    /// Takes over a new reference as C functions return it; `None` means that a Python exception is set.
    ///
    /// # Safety
    /// The caller is attached, and `pointer` is null or a reference that it owns.
    #[inline(always)]
    pub unsafe fn owned(pointer: *mut ffi::PyObject) -> Option<Self> {
        NonNull::new(pointer).map(Self)
    }

    /// A new reference to what the pointer borrows.
    ///
    /// # Safety
    /// The caller is attached, and `pointer` is a live object.
    #[inline(always)]
    pub unsafe fn borrowed(pointer: *mut ffi::PyObject) -> Self {
        // SAFETY: the caller promises a live object.
        unsafe {
            ffi::Py_INCREF(pointer);
            Self(NonNull::new_unchecked(pointer))
        }
    }

    #[inline(always)]
    pub fn as_ptr(&self) -> *mut ffi::PyObject {
        self.0.as_ptr()
    }

    /// Gives the reference to whoever takes the pointer.
    #[inline(always)]
    pub fn into_ptr(self) -> *mut ffi::PyObject {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// The same reference as PyO3 sees it.
    pub fn into_bound(self, py: Python<'_>) -> Bound<'_, PyAny> {
        // SAFETY: the reference is owned and not null.
        unsafe { Bound::from_owned_ptr(py, self.into_ptr()) }
    }
}

impl Drop for Object {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the reference is owned, and the thread is attached (see the type).
        unsafe { ffi::Py_DECREF(self.as_ptr()) }
    }
}
