//! One set of buffers per thread, for the next call.

use std::cell::Cell;

/// Holds what the last call left. A call inside a call (a finaliser, a `default`) finds it empty and makes its own.
pub struct Pool<T>(Cell<Option<T>>);

impl<T: Default> Pool<T> {
    /// Larger buffers are given back to the system, so that one large document does not stay for ever.
    pub const MAX_KEPT_BYTES: usize = 1 << 20;

    pub const fn new() -> Self {
        Self(Cell::new(None))
    }

    #[inline(always)]
    pub fn take(&self) -> T {
        self.0.take().unwrap_or_default()
    }

    #[inline(always)]
    pub fn put(&self, buffers: T) {
        self.0.set(Some(buffers));
    }
}
