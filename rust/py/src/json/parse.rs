//! From text to Python objects in one pass.

use pyo3::ffi;
use pyo3::prelude::*;

use aisys_text::decimal::{self, Number};

use super::cursor::Cursor;
use super::errors::{Fault, Stop, raised};
use super::floats::new_float;
use super::input::Input;
use super::pool::Pool;
use super::shapes::{self, Shape};
use super::strings;
use crate::object::Object;

/// Arrays and objects inside each other.
pub const MAX_DEPTH: usize = 512;

/// Floats that are read before objects are made of them.
const BATCH: usize = 32;

/// Buffers that one call leaves for the next.
#[derive(Default)]
pub struct Buffers {
    /// Items of the arrays that are being read.
    items: Vec<Object>,
    /// The string that is being unescaped.
    pub scratch: Vec<u8>,
}

struct Shared(Pool<Buffers>);

// SAFETY: only touched while attached to an interpreter with a GIL (the module refuses free-threaded builds), and taking
// and putting run no Python code.
unsafe impl Sync for Shared {}

static BUFFERS: Shared = Shared(Pool::new());

pub struct Parser<'a> {
    pub cursor: Cursor<'a>,
    pub buffers: Buffers,
}

/// The value of a text; None if it has a fault, which `loads` will find again and tell.
#[inline(always)]
pub fn loads_quickly(text_with_nul: &[u8]) -> Option<Object> {
    let mut parser = Parser::new(text_with_nul);
    let value = parser.document().ok();
    parser.put_back();
    value
}

/// The value of a whole text.
pub fn loads<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    document(object.py(), Input::new(object)?.with_nul())
}

/// The value of a whole text in bytes.
pub fn document<'py>(py: Python<'py>, text_with_nul: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let mut parser = Parser::new(text_with_nul);
    let read = parser.document();
    parser.finish(py, read).map(|value| value.into_bound(py))
}

/// Checks a whole text by reading it.
pub fn check(py: Python<'_>, text_with_nul: &[u8]) -> PyResult<()> {
    let mut parser = Parser::new(text_with_nul);
    let read = parser.document();
    parser.finish(py, read).map(drop)
}

/// Turns a Python exception that C code has set into a fault.
#[cold]
#[inline(never)]
pub fn raised_fault(cursor: &mut Cursor<'_>) -> Stop {
    // SAFETY: the whole codec runs attached.
    let py = unsafe { Python::assume_attached() };
    cursor.fault = Some(Fault::Python(raised(py)));
    Stop
}

impl<'a> Parser<'a> {
    /// Reads a text that ends in a NUL.
    pub fn new(text_with_nul: &'a [u8]) -> Self {
        Self {
            cursor: Cursor::new(text_with_nul),
            buffers: BUFFERS.0.take(),
        }
    }

    /// Gives the buffers back; the fault, if there was one.
    #[inline(always)]
    pub fn put_back(mut self) -> Option<Fault> {
        self.buffers.items.clear();
        if self.buffers.scratch.capacity() <= Pool::<Buffers>::MAX_KEPT_BYTES {
            BUFFERS.0.put(self.buffers);
        }
        self.cursor.fault
    }

    /// Gives the buffers back, and the exception for the fault if there was one.
    pub fn finish<T>(self, py: Python<'_>, read: Result<T, Stop>) -> PyResult<T> {
        let text = self.cursor.text();
        let fault = self.put_back();
        read.map_err(|Stop| {
            let fault = fault.unwrap_or(Fault::Text {
                problem: "not JSON",
                at: 0,
            });
            fault.into_pyerr(py, &text[..text.len() - 1])
        })
    }

    /// One value with nothing but white space around it.
    #[inline(never)]
    pub fn document(&mut self) -> Result<Object, Stop> {
        let value = self.value(0)?;
        self.end()?;
        Ok(value)
    }

    /// The end of the text.
    pub fn end(&mut self) -> Result<(), Stop> {
        self.cursor.skip_whitespace();
        if self.cursor.at_end() {
            return Ok(());
        }
        Err(self.cursor.fail_here("something follows the value"))
    }

    /// The value here, behind white space, inside `depth` arrays and objects.
    #[inline(always)]
    pub fn value(&mut self, depth: usize) -> Result<Object, Stop> {
        self.cursor.skip_whitespace();
        match self.cursor.peek() {
            b'"' => strings::value(&mut self.cursor, &mut self.buffers.scratch),
            b'-' | b'0'..=b'9' => self.number(),
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b't' => self.constant(b"true"),
            b'f' => self.constant(b"false"),
            b'n' => self.constant(b"null"),
            _ => Err(self.cursor.fail_here("a value is missing")),
        }
    }

    #[inline(always)]
    fn number(&mut self) -> Result<Object, Stop> {
        let read = decimal::scan(self.cursor.text(), self.cursor.at());
        let (number, end) = read.map_err(|flaw| self.cursor.flawed(flaw))?;
        self.cursor.go(end);
        // SAFETY: attached, as the whole codec is; each call returns a new reference or null with an exception.
        let made = unsafe {
            Object::owned(match number {
                Number::Float(value) => new_float(value),
                Number::Small { negative, magnitude } => small_int(negative, magnitude),
                Number::Large { start, end } => large_int(&self.cursor.text()[start..end]),
            })
        };
        made.ok_or_else(|| raised_fault(&mut self.cursor))
    }

    #[inline(always)]
    fn constant(&mut self, word: &'static [u8]) -> Result<Object, Stop> {
        let at = self.cursor.at();
        if !self.cursor.text()[at..].starts_with(word) {
            return Err(self.misspelt(at, word));
        }
        self.cursor.go(at + word.len());
        // SAFETY: these objects live as long as the interpreter.
        Ok(unsafe {
            Object::borrowed(match word[0] {
                b't' => ffi::Py_True(),
                b'f' => ffi::Py_False(),
                _ => ffi::Py_None(),
            })
        })
    }

    #[cold]
    fn misspelt(&mut self, at: usize, word: &[u8]) -> Stop {
        let text = &self.cursor.text()[at..];
        let same = text.iter().zip(word).take_while(|(have, want)| have == want).count();
        if at + same >= self.cursor.len() {
            return self.cursor.fail("a value is missing", at + same);
        }
        self.cursor.fail("a value is missing", at)
    }

    fn enter(&mut self, depth: usize) -> Result<usize, Stop> {
        if depth >= MAX_DEPTH {
            return Err(self.cursor.fail_here("nested deeper than 512 levels"));
        }
        self.cursor.bump();
        self.cursor.skip_whitespace();
        Ok(depth + 1)
    }

    #[inline(never)]
    fn array(&mut self, depth: usize) -> Result<Object, Stop> {
        let depth = self.enter(depth)?;
        let start = self.buffers.items.len();
        if self.cursor.peek() == b']' {
            self.cursor.bump();
            return self.list_of_items(start);
        }
        loop {
            let item = self.value(depth)?;
            // SAFETY: a live object, and the class lives for ever.
            let float = unsafe { ffi::Py_TYPE(item.as_ptr()) == &raw mut ffi::PyFloat_Type };
            self.buffers.items.push(item);
            if float {
                self.floats()?;
            }
            self.cursor.skip_whitespace();
            match self.cursor.peek() {
                b',' => self.cursor.bump(),
                b']' => {
                    self.cursor.bump();
                    return self.list_of_items(start);
                }
                _ => return Err(self.cursor.fail_here("a comma or ] is missing")),
            }
        }
    }

    /// Reads the floats that follow a float.
    #[inline(never)]
    fn floats(&mut self) -> Result<(), Stop> {
        let mut batch = [0.0; BATCH];
        while self.cursor.peek() == b',' {
            let (count, end) = decimal::floats(self.cursor.text(), self.cursor.at() + 1, &mut batch);
            for &value in &batch[..count] {
                // SAFETY: attached, as the whole codec is; the result is checked.
                let made = unsafe { Object::owned(new_float(value)) };
                self.buffers
                    .items
                    .push(made.ok_or_else(|| raised_fault(&mut self.cursor))?);
            }
            if count > 0 {
                self.cursor.go(end);
            }
            if count < BATCH {
                break;
            }
        }
        Ok(())
    }

    /// Moves the items from `start` into a list.
    #[inline(always)]
    fn list_of_items(&mut self, start: usize) -> Result<Object, Stop> {
        let count = self.buffers.items.len() - start;
        // SAFETY: attached; the result is checked.
        let list = unsafe { Object::owned(ffi::PyList_New(count as ffi::Py_ssize_t)) };
        let Some(list) = list else {
            return Err(raised_fault(&mut self.cursor));
        };
        let items = &mut self.buffers.items;
        // SAFETY: the list has room for as many items as it was made with, and holds nulls until they are there; nothing
        // here can run Python code or the collector. The references move, so the vector forgets them.
        unsafe {
            if count > 0 {
                let places = (*list.as_ptr().cast::<ffi::PyListObject>()).ob_item;
                std::ptr::copy_nonoverlapping(items.as_ptr().add(start).cast(), places, count);
            }
            items.set_len(start);
        }
        Ok(list)
    }

    #[inline(never)]
    fn object(&mut self, depth: usize) -> Result<Object, Stop> {
        let depth = self.enter(depth)?;
        let start = self.buffers.items.len();
        if self.cursor.peek() == b'}' {
            self.cursor.bump();
            return self.dict_by_keys(start);
        }
        let mut shape = Shape::EMPTY;
        loop {
            let key = self.member_key()?;
            shape = shape.with(&key);
            self.buffers.items.push(key);
            let value = self.value(depth)?;
            self.buffers.items.push(value);
            self.cursor.skip_whitespace();
            match self.cursor.peek() {
                b',' => {
                    self.cursor.bump();
                    self.cursor.skip_whitespace();
                }
                b'}' => {
                    self.cursor.bump();
                    return self.dict_of_items(start, shape);
                }
                _ => return Err(self.cursor.fail_here("a comma or } is missing")),
            }
        }
    }

    /// Moves the keys and values from `start` into a dict.
    #[inline(always)]
    fn dict_of_items(&mut self, start: usize, shape: Shape) -> Result<Object, Stop> {
        match shapes::dict_of(&self.buffers.items[start..], shape) {
            Some(Ok(dict)) => {
                // SAFETY: the dict has taken the references.
                unsafe { self.buffers.items.set_len(start) };
                Ok(dict)
            }
            Some(Err(())) => Err(raised_fault(&mut self.cursor)),
            None => self.dict_by_keys(start),
        }
    }

    #[inline(never)]
    fn dict_by_keys(&mut self, start: usize) -> Result<Object, Stop> {
        // SAFETY: attached; the result is checked.
        let dict = unsafe { Object::owned(ffi::PyDict_New()) };
        let Some(dict) = dict else {
            return Err(raised_fault(&mut self.cursor));
        };
        for pair in self.buffers.items[start..].chunks_exact(2) {
            // SAFETY: a dict, a str and a value, all alive; of equal keys the last value stays, as everywhere in Python.
            if unsafe { ffi::PyDict_SetItem(dict.as_ptr(), pair[0].as_ptr(), pair[1].as_ptr()) } < 0 {
                return Err(raised_fault(&mut self.cursor));
            }
        }
        self.buffers.items.truncate(start);
        Ok(dict)
    }

    /// The key here and its colon.
    #[inline(always)]
    fn member_key(&mut self) -> Result<Object, Stop> {
        if self.cursor.peek() != b'"' {
            return Err(self.cursor.fail_here("a key in double quotes is missing"));
        }
        let key = strings::key(&mut self.cursor, &mut self.buffers.scratch)?;
        self.cursor.skip_whitespace();
        if self.cursor.peek() != b':' {
            return Err(self.cursor.fail_here("a colon is missing"));
        }
        self.cursor.bump();
        Ok(key)
    }
}

/// A new reference to an int, or null with an exception.
///
/// # Safety
/// Attached.
#[inline(always)]
unsafe fn small_int(negative: bool, magnitude: u64) -> *mut ffi::PyObject {
    // SAFETY: promised by the caller.
    unsafe {
        if negative {
            return ffi::PyLong_FromLongLong((magnitude as i64).wrapping_neg());
        }
        match i64::try_from(magnitude) {
            Ok(value) => ffi::PyLong_FromLongLong(value),
            Err(_) => ffi::PyLong_FromUnsignedLongLong(magnitude),
        }
    }
}

/// A new reference to an int, or null with an exception.
///
/// # Safety
/// Attached.
#[cold]
unsafe fn large_int(written: &[u8]) -> *mut ffi::PyObject {
    let mut written = written.to_vec();
    written.push(0);
    // SAFETY: promised by the caller; the digits end in a NUL.
    unsafe { ffi::PyLong_FromString(written.as_ptr().cast(), std::ptr::null_mut(), 10) }
}
