//! The text being written: a buffer that grows, and is kept for the next text.
//!
//! Every value is written with a comma behind it: containers turn the last one into their closer, and the whole text
//! loses it. So there is one write where there would be two, and no question whether an item is the first.

use std::cell::UnsafeCell;

use aisys_text::pen::{Pen, SLACK};

/// Room that there is before a member of a container is written. Its key may take half of it, and what is left is enough
/// for any number, name or bracket.
pub const MEMBER: usize = 2 * SLACK + ITEM;
/// Room for a number, a name or a bracket.
pub const ITEM: usize = SLACK;

const FIRST_BYTES: usize = 1 << 12;
/// Larger buffers are given back to the system, so that one large document does not stay for ever.
const MAX_KEPT_BYTES: usize = 1 << 20;

/// A growing buffer.
pub struct Out {
    bytes: Vec<u8>,
    end: *mut u8,
    /// Whether something so far is not ASCII.
    beyond_ascii: bool,
}

impl Out {
    /// An empty text, in a buffer that an earlier one left if there is one, and the place where it begins.
    #[inline(always)]
    pub fn begin() -> (Self, Pen) {
        // SAFETY: see `Spare`.
        let spare = unsafe { (*SPARE.0.get()).take() };
        let mut out = spare.unwrap_or_else(Self::fresh);
        out.beyond_ascii = false;
        // SAFETY: a buffer that was made is not null.
        let pen = unsafe { Pen::at(out.bytes.as_mut_ptr()) };
        (out, pen)
    }

    #[cold]
    fn fresh() -> Self {
        let mut out = Self {
            bytes: Vec::with_capacity(FIRST_BYTES),
            end: std::ptr::null_mut(),
            beyond_ascii: false,
        };
        out.end = out.limit();
        out
    }

    fn limit(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr().wrapping_add(self.bytes.capacity())
    }

    /// Leaves the buffer for the next text.
    #[inline(always)]
    pub fn end(self) {
        if self.bytes.capacity() <= MAX_KEPT_BYTES {
            // SAFETY: see `Spare`; dropping what another text left meanwhile runs no Python code.
            unsafe { *SPARE.0.get() = Some(self) };
        }
    }

    /// Everything up to the pen, without the last comma.
    ///
    /// # Safety
    /// The pen wrote everything from the place where the text began.
    pub unsafe fn text(&self, pen: Pen) -> &[u8] {
        let start = self.bytes.as_ptr();
        // SAFETY: promised by the caller.
        let text = unsafe { std::slice::from_raw_parts(start, pen.place() as usize - start as usize) };
        text.strip_suffix(b",").unwrap_or(text)
    }

    /// Whether everything is ASCII.
    pub fn is_ascii(&self) -> bool {
        !self.beyond_ascii
    }

    /// Says that what follows is not only ASCII.
    #[inline(always)]
    pub fn expect_wide(&mut self) {
        self.beyond_ascii = true;
    }

    /// Makes room for `len` bytes: the pen may have another place afterwards.
    #[inline(always)]
    pub fn room(&mut self, pen: Pen, len: usize) -> Pen {
        if (self.end as usize) - (pen.place() as usize) >= len {
            pen
        } else {
            self.grow(pen, len)
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, pen: Pen, len: usize) -> Pen {
        let used = pen.place() as usize - self.bytes.as_ptr() as usize;
        // SAFETY: everything up to the pen is written, and it never leaves the room that was made for it; a buffer that
        // holds something is not null.
        unsafe {
            self.bytes.set_len(used);
            self.bytes.reserve(len);
            self.end = self.limit();
            Pen::at(self.bytes.as_mut_ptr().add(used))
        }
    }

    /// Bytes as they are.
    #[inline(always)]
    pub fn extend(&mut self, pen: Pen, bytes: &[u8]) -> Pen {
        let pen = self.room(pen, bytes.len() + ITEM);
        // SAFETY: the room was made.
        unsafe { pen.bytes(bytes) }
    }

    /// A fragment of text that may hold anything, and a comma.
    pub fn fragment(&mut self, pen: Pen, bytes: &[u8]) -> Pen {
        self.beyond_ascii |= !bytes.is_ascii();
        let pen = self.extend(pen, bytes);
        // SAFETY: there is more room than the bytes take.
        unsafe { pen.byte(b',') }
    }

    /// Ends a container: the comma behind its last item becomes the closer, and a comma follows.
    #[inline(always)]
    pub fn close(&mut self, pen: Pen, closer: u8) -> Pen {
        let pen = self.room(pen, ITEM);
        // SAFETY: the room was made, and the container's first bracket stands before the pen at least.
        unsafe {
            let last = pen.place().sub(1);
            let place = if last.read() == b',' { last } else { pen.place() };
            Pen::at(place).block([closer, b','], 2)
        }
    }
}

/// What the last text left. A text inside a text (a finaliser, a `default`) finds nothing and makes its own.
struct Spare(UnsafeCell<Option<Out>>);

// SAFETY: only touched while attached to an interpreter with a GIL (the module refuses free-threaded builds), in
// stretches that run no Python code.
unsafe impl Sync for Spare {}

static SPARE: Spare = Spare(UnsafeCell::new(None));
