//! Making str objects.

use std::cell::UnsafeCell;

use pyo3::ffi;
use pyo3::prelude::*;

use aisys_text::utf8;

use crate::object::Object;

/// Why a str could not be made.
pub enum Unmade {
    /// Not UTF-8 at this byte.
    Invalid(usize),
    /// A Python exception is set.
    Raised,
}

/// What stands before the characters of an ASCII str.
const HEADER: usize = size_of::<ffi::PyASCIIObject>();
const WORD: usize = 8;
/// Strings up to here are copied by the word.
const FEW_BYTES: usize = 2 * WORD;

/// What the interpreter itself puts into short ASCII strings.
struct Models {
    /// The header of a new ASCII str whose hash is not known; None where we may not make one ourselves.
    header: Option<[u64; HEADER / WORD]>,
    /// The str of each ASCII character.
    characters: [*mut ffi::PyObject; 128],
}

struct Shared(UnsafeCell<Models>);

// SAFETY: only touched while attached to an interpreter with a GIL (the module refuses free-threaded builds), in
// stretches that run no Python code.
unsafe impl Sync for Shared {}

static MODELS: Shared = Shared(UnsafeCell::new(Models {
    header: None,
    characters: [std::ptr::null_mut(); 128],
}));

/// Look at the strings of this interpreter: called once, before the first text is read.
pub fn init(py: Python<'_>) -> PyResult<()> {
    let mut characters = [std::ptr::null_mut(); 128];
    for (code, character) in characters.iter_mut().enumerate() {
        // SAFETY: attached; the result is checked and kept for ever.
        *character = unsafe { Object::owned(ffi::PyUnicode_FromOrdinal(code as i32)) }
            .ok_or_else(|| PyErr::fetch(py))?
            .into_ptr();
    }
    let header = model(py)?;
    // SAFETY: see `Shared`.
    let models = unsafe { &mut *MODELS.0.get() };
    *models = Models { header, characters };
    if header.is_some() && !like_the_interpreters(py) {
        models.header = None;
    }
    Ok(())
}

/// The header of a str that the interpreter made.
fn model(py: Python<'_>) -> PyResult<Option<[u64; HEADER / WORD]>> {
    // An interpreter that counts or lists its objects must see each of them made.
    if cfg!(any(
        py_sys_config = "Py_REF_DEBUG",
        py_sys_config = "Py_TRACE_REFS",
        Py_3_14
    )) {
        return Ok(None);
    }
    // SAFETY: attached; a new str starts with its header.
    unsafe {
        let made = Object::owned(ffi::PyUnicode_New(2, 0x7F)).ok_or_else(|| PyErr::fetch(py))?;
        Ok(Some(made.as_ptr().cast::<[u64; HEADER / WORD]>().read_unaligned()))
    }
}

/// Whether strings made here and by the interpreter are the same down to their headers.
fn like_the_interpreters(py: Python<'_>) -> bool {
    let text = b"0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz";
    (2..=text.len() / 2).all(|len| {
        let Some(ours) = ascii_str(&text[..len]) else {
            return false;
        };
        // SAFETY: attached, and both are live objects; the strings are read only where the interpreter says that they
        // are what they should be.
        unsafe {
            let Some(theirs) = Object::owned(ffi::PyUnicode_FromStringAndSize(
                text.as_ptr().cast(),
                len as ffi::Py_ssize_t,
            )) else {
                return false;
            };
            let headers =
                [&ours, &theirs].map(|object| object.as_ptr().cast::<[u64; HEADER / WORD]>().read_unaligned());
            headers[0] == headers[1]
                && ffi::PyUnicode_DATA(ours.as_ptr()) == ours.as_ptr().cast::<u8>().add(HEADER).cast()
                && ffi::PyUnicode_Compare(ours.as_ptr(), theirs.as_ptr()) == 0
                && ours.into_bound(py).hash().ok() == theirs.into_bound(py).hash().ok()
        }
    })
}

/// A str of ASCII bytes.
#[inline(always)]
pub fn ascii_str(bytes: &[u8]) -> Option<Object> {
    ascii_str_in(bytes, 0, bytes.len())
}

/// A str of the ASCII bytes `text[start..end]`; what stands behind them may be read, so that short ones are copied in
/// whole words.
#[inline(always)]
pub fn ascii_str_in(text: &[u8], start: usize, end: usize) -> Option<Object> {
    debug_assert!(text[start..end].is_ascii());
    // SAFETY: see `Shared`: nothing else holds a reference into it during these lines.
    let models = unsafe { &*MODELS.0.get() };
    let len = end - start;
    let Some(header) = models.header.filter(|_| len > 1) else {
        return rare_ascii_str(&text[start..end], models);
    };
    // In whole words, which is what the allocator hands out anyway.
    let size = (HEADER + len + WORD) & !(WORD - 1);
    // SAFETY: attached; the result is checked.
    let made = unsafe { ffi::PyObject_Malloc(size) }.cast::<ffi::PyASCIIObject>();
    if made.is_null() {
        // SAFETY: attached.
        unsafe { ffi::PyErr_NoMemory() };
        return None;
    }
    // SAFETY: the block holds the header, the bytes and a NUL, rounded up to words; short text is copied by the word where
    // it can be read so, and the words end where the block does at the latest. The object is complete before anybody
    // sees it.
    unsafe {
        made.cast::<[u64; HEADER / WORD]>().write_unaligned(header);
        (*made).length = len as ffi::Py_ssize_t;
        let to = made.add(1).cast::<u8>();
        let from = text.as_ptr().add(start);
        if len < FEW_BYTES && text.len() - start >= FEW_BYTES {
            to.cast::<u64>().write_unaligned(from.cast::<u64>().read_unaligned());
            if len >= WORD {
                to.add(WORD)
                    .cast::<u64>()
                    .write_unaligned(from.add(WORD).cast::<u64>().read_unaligned());
            }
        } else {
            std::ptr::copy_nonoverlapping(from, to, len);
        }
        to.add(len).write(0);
        Object::owned(made.cast())
    }
}

/// What the interpreter has one object for, and everything where we make none ourselves.
#[inline(never)]
fn rare_ascii_str(bytes: &[u8], models: &Models) -> Option<Object> {
    // SAFETY: a new str of this length and kind has room for exactly these bytes, and nobody else has seen it; the
    // kept objects are alive.
    unsafe {
        if let [byte] = bytes {
            let kept = models.characters[(*byte & 0x7F) as usize];
            if !kept.is_null() {
                return Some(Object::borrowed(kept));
            }
        }
        let made = Object::owned(ffi::PyUnicode_New(bytes.len() as ffi::Py_ssize_t, 0x7F))?;
        if !bytes.is_empty() {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), ffi::PyUnicode_DATA(made.as_ptr()).cast(), bytes.len());
        }
        Some(made)
    }
}

/// A str of UTF-8 bytes.
pub fn utf8_str(bytes: &[u8]) -> Result<Object, Unmade> {
    utf8_str_in(bytes, 0, bytes.len())
}

/// A str of the UTF-8 bytes `text[start..end]`; what stands behind them is no continuation byte, and may be read.
pub fn utf8_str_in(text: &[u8], start: usize, end: usize) -> Result<Object, Unmade> {
    let measure = utf8::measure(&text[start..end]);
    let max_char = match measure.largest {
        0..=0x7F => return ascii_str_in(text, start, end).ok_or(Unmade::Raised),
        0x80..=0xC3 => 0xFF,
        0xC4..=0xEF => 0xFFFF,
        _ => 0x0010_FFFF,
    };
    let count = measure.count;
    // SAFETY: attached, as the whole codec is; the result is checked.
    let made = unsafe { Object::owned(ffi::PyUnicode_New(count as ffi::Py_ssize_t, max_char)) };
    let made = made.ok_or(Unmade::Raised)?;
    // SAFETY: a new compact str, so its data follows its header.
    let data = unsafe { ffi::PyUnicode_DATA(made.as_ptr()) };
    let decoded = match max_char {
        // SAFETY: the str has `count` units of one byte.
        0xFF => unsafe { utf8::decode::<u8>(text, start, end, data.cast(), count) },
        // SAFETY: the str has `count` units of two bytes.
        0xFFFF => unsafe { utf8::decode::<u16>(text, start, end, data.cast(), count) },
        // SAFETY: the str has `count` units of four bytes.
        _ => unsafe { utf8::decode::<u32>(text, start, end, data.cast(), count) },
    };
    decoded.map(|()| made).map_err(|at| Unmade::Invalid(at - start))
}
