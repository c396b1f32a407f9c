//! From text to Python objects in one pass.

use pyo3::ffi;
use pyo3::prelude::*;

use super::cursor::Cursor;
use super::errors::{Fault, Stop, raised};
use super::input::Input;
use super::numbers;
use super::pool::Pool;
use super::strings;
use crate::object::Object;

/// Arrays and objects inside each other.
pub const MAX_DEPTH: usize = 512;

/// Buffers that one call leaves for the next.
#[derive(Default)]
pub struct Buffers {
    /// Items of the arrays that are being read.
    items: Vec<Object>,
    /// The string that is being unescaped.
    pub scratch: Vec<u8>,
}

thread_local! {
    static BUFFERS: Pool<Buffers> = const { Pool::new() };
}

pub struct Parser<'a> {
    pub cursor: Cursor<'a>,
    pub buffers: Buffers,
}

/// The value of a text in bytes; None if it is something else, or has a fault that `loads` will find again and tell.
///
/// # Safety
/// Attached, and `data` is a live object that the caller keeps alive.
#[inline(always)]
pub unsafe fn loads_quickly(_py: Python<'_>, data: *mut ffi::PyObject) -> Option<Object> {
    // SAFETY: an exact bytes object has a NUL behind its content, and stays as it is while the caller holds it.
    let text = unsafe {
        if ffi::Py_TYPE(data) != &raw mut ffi::PyBytes_Type {
            return None;
        }
        std::slice::from_raw_parts(
            ffi::PyBytes_AS_STRING(data).cast::<u8>(),
            ffi::Py_SIZE(data) as usize + 1,
        )
    };
    let mut parser = Parser::new(text);
    let value = parser.document().ok();
    parser.put_back();
    value
}

/// The value of a whole text.
pub fn loads<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    let input = Input::new(object)?;
    let mut parser = Parser::new(input.with_nul());
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
            buffers: BUFFERS.with(Pool::take),
        }
    }

    /// Gives the buffers back; the fault, if there was one.
    #[inline(always)]
    fn put_back(mut self) -> Option<Fault> {
        self.buffers.items.clear();
        if self.buffers.scratch.capacity() <= Pool::<Buffers>::MAX_KEPT_BYTES {
            BUFFERS.with(|pool| pool.put(self.buffers));
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
    pub fn value(&mut self, depth: usize) -> Result<Object, Stop> {
        self.cursor.skip_whitespace();
        match self.cursor.peek() {
            b'"' => strings::value(&mut self.cursor, &mut self.buffers.scratch),
            b'-' | b'0'..=b'9' => {
                let number = numbers::scan(&mut self.cursor)?;
                numbers::object(&mut self.cursor, &number)
            }
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b't' => self.constant(b"true"),
            b'f' => self.constant(b"false"),
            b'n' => self.constant(b"null"),
            _ => Err(self.cursor.fail_here("a value is missing")),
        }
    }

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

    fn array(&mut self, depth: usize) -> Result<Object, Stop> {
        let depth = self.enter(depth)?;
        let start = self.buffers.items.len();
        if self.cursor.peek() == b']' {
            self.cursor.bump();
            return self.list_of_items(start);
        }
        loop {
            let item = self.value(depth)?;
            self.buffers.items.push(item);
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

    /// Moves the items from `start` into a list.
    fn list_of_items(&mut self, start: usize) -> Result<Object, Stop> {
        let items = &mut self.buffers.items;
        let count = items.len() - start;
        // SAFETY: attached; the result is checked.
        let list = unsafe { Object::owned(ffi::PyList_New(count as ffi::Py_ssize_t)) };
        let Some(list) = list else {
            return Err(raised_fault(&mut self.cursor));
        };
        // The list holds nulls until it is filled; nothing below can run Python code or the collector.
        for (index, item) in items.drain(start..).enumerate() {
            // SAFETY: the index is within the length the list was made with, and the place is empty.
            unsafe { ffi::PyList_SET_ITEM(list.as_ptr(), index as ffi::Py_ssize_t, item.into_ptr()) };
        }
        Ok(list)
    }

    fn object(&mut self, depth: usize) -> Result<Object, Stop> {
        let depth = self.enter(depth)?;
        // SAFETY: attached; the result is checked.
        let dict = unsafe { Object::owned(ffi::PyDict_New()) };
        let Some(dict) = dict else {
            return Err(raised_fault(&mut self.cursor));
        };
        if self.cursor.peek() == b'}' {
            self.cursor.bump();
            return Ok(dict);
        }
        loop {
            let key = self.member_key()?;
            let value = self.value(depth)?;
            // SAFETY: a dict, a str and a value, all alive; of equal keys the last value stays, as everywhere in Python.
            if unsafe { ffi::PyDict_SetItem(dict.as_ptr(), key.as_ptr(), value.as_ptr()) } < 0 {
                return Err(raised_fault(&mut self.cursor));
            }
            self.cursor.skip_whitespace();
            match self.cursor.peek() {
                b',' => {
                    self.cursor.bump();
                    self.cursor.skip_whitespace();
                }
                b'}' => {
                    self.cursor.bump();
                    return Ok(dict);
                }
                _ => return Err(self.cursor.fail_here("a comma or } is missing")),
            }
        }
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
