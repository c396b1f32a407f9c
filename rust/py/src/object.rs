//! An owned reference to a Python object, one pointer wide.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use pyo3::ffi;
use pyo3::prelude::*;

/// A strong reference; dropping it gives the reference up.
///
/// Made, used and dropped only while attached to the interpreter: it lives within one call from Python that never
/// detaches, or in an object of a native class, which is attached when it is deallocated.
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

    /// Whether both refer to one object.
    #[inline(always)]
    pub fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// Another reference to the same object.
    #[inline(always)]
    pub fn again(&self, _py: Python<'_>) -> Self {
        // SAFETY: the caller shows that it is attached, and the object is alive as long as `self`.
        unsafe { Self::borrowed(self.as_ptr()) }
    }

    /// The same reference as PyO3 sees it, lent.
    pub fn bind<'a, 'py>(&'a self, py: Python<'py>) -> &'a Bound<'py, PyAny> {
        self.as_py().bind(py)
    }

    /// The same reference as PyO3 keeps it, lent.
    pub fn as_py(&self) -> &Py<PyAny> {
        // SAFETY: both are transparent wrappers of one pointer that is not null, and both own a reference.
        unsafe { &*std::ptr::from_ref(self).cast() }
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

// SAFETY: a reference is not tied to a thread, only to being attached, which the type demands wherever it is dropped.
unsafe impl Send for Object {}

impl From<Bound<'_, PyAny>> for Object {
    fn from(object: Bound<'_, PyAny>) -> Self {
        let pointer = object.into_ptr();
        // SAFETY: `into_ptr` gives up an owned reference, which is not null.
        Self(unsafe { NonNull::new_unchecked(pointer) })
    }
}

impl Drop for Object {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the reference is owned, and the thread is attached (see the type).
        unsafe { ffi::Py_DECREF(self.as_ptr()) }
    }
}
