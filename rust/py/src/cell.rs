//! Interior mutability under the GIL, for frozen classes.

use std::cell::{Cell, UnsafeCell};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// A value that whoever holds the GIL may change, one at a time.
///
/// A mutex would cost two locked instructions on every call, which is most of the price of a queue operation. The
/// GIL already excludes other threads; what is left is that Python code run from inside a change (a finaliser, a
/// collection) comes back to the same object, and `busy` turns that into an exception. The module declares that it
/// needs the GIL, so this also holds on free-threaded interpreters.
pub struct GilCell<T> {
    busy: Cell<bool>,
    value: UnsafeCell<T>,
}

// SAFETY: both fields are touched only by the thread that holds the GIL: `with` asks for the proof, and
// `with_in_gc` for a promise. The value may be dropped or reached on any thread, hence `T: Send`.
unsafe impl<T: Send> Sync for GilCell<T> {}

struct Release<'a>(&'a Cell<bool>);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl<T> GilCell<T> {
    pub const fn new(value: T) -> Self {
        Self {
            busy: Cell::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Run `change` on the value. `change` must not run Python code; if it does and that code comes back here, the
    /// inner call raises `RuntimeError`.
    #[inline]
    pub fn with<R>(&self, py: Python<'_>, change: impl FnOnce(&mut T) -> R) -> PyResult<R> {
        self.try_with(py, change).ok_or_else(reentered)
    }

    /// As `with`, but None where that would raise.
    #[inline(always)]
    pub fn try_with<R>(&self, _py: Python<'_>, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        if self.busy.replace(true) {
            return None;
        }
        let _release = Release(&self.busy);
        // SAFETY: the GIL is held, and `busy` was false: no other reference to the value exists.
        Some(change(unsafe { &mut *self.value.get() }))
    }

    /// The value for the garbage collector, or None if it is being changed just now. Skipping a traversal is safe:
    /// what is not visited counts as reachable.
    ///
    /// # Safety
    /// The thread holds the GIL, as it does in `__traverse__`, which has no token to show for it.
    pub unsafe fn with_in_gc<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        if self.busy.replace(true) {
            return None;
        }
        let _release = Release(&self.busy);
        // SAFETY: as in `with`; the caller vouches for the GIL.
        Some(look(unsafe { &*self.value.get() }))
    }
}

#[cold]
fn reentered() -> PyErr {
    PyRuntimeError::new_err("the object is being changed by code that called this; do not use it from a finaliser")
}
