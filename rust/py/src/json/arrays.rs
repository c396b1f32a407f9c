//! Arrays of numbers straight into numpy arrays, without a Python object per number.

use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;

use aisys_text::decimal::{self, Number};

use super::cursor::Cursor;
use super::errors::{Stop, pointer_error, raised};
use super::input::Input;
use super::parse::{MAX_DEPTH, Parser};
use super::pointer::{self, Path};

static EMPTY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

const MISFIT: &str = "a number does not fit the dtype";

/// A type of array elements.
trait Item: Copy {
    /// The number as this type; None if it cannot hold it.
    fn of(number: &Number) -> Option<Self>;

    /// Appends the floats that stand at `start` in a row, if this type can hold them all; how many, and where they end.
    fn floats(_text: &[u8], start: usize, _batch: &mut Batch, _items: &mut Vec<Self>) -> (usize, usize) {
        (0, start)
    }
}

/// Room for the floats that are read at once.
type Batch = [f64; BATCH];
const BATCH: usize = 256;

impl Item for f64 {
    fn of(number: &Number) -> Option<Self> {
        match *number {
            Number::Float(value) => Some(value),
            Number::Small { negative, magnitude } => {
                let value = magnitude as f64;
                Some(if negative { -value } else { value })
            }
            Number::Large { .. } => None,
        }
    }

    fn floats(text: &[u8], start: usize, batch: &mut Batch, items: &mut Vec<Self>) -> (usize, usize) {
        let (count, end) = decimal::floats(text, start, batch);
        items.extend_from_slice(&batch[..count]);
        (count, end)
    }
}

impl Item for f32 {
    fn of(number: &Number) -> Option<Self> {
        let value = f64::of(number)? as f32;
        value.is_finite().then_some(value)
    }

    fn floats(text: &[u8], start: usize, batch: &mut Batch, items: &mut Vec<Self>) -> (usize, usize) {
        let (count, end) = decimal::floats(text, start, batch);
        let before = items.len();
        items.extend(batch[..count].iter().map(|&value| value as Self));
        // All are looked at, which takes less time than to stop at the first.
        let fit = items[before..].iter().fold(true, |fit, value| fit & value.is_finite());
        if !fit {
            items.truncate(before);
            return (0, start);
        }
        (count, end)
    }
}

macro_rules! integer_item {
    ($($kind:ty),*) => {$(
        impl Item for $kind {
            fn of(number: &Number) -> Option<Self> {
                match *number {
                    Number::Small { negative: false, magnitude } => Self::try_from(magnitude).ok(),
                    Number::Small { negative: true, magnitude } => Self::try_from(-i128::from(magnitude)).ok(),
                    Number::Large { .. } | Number::Float(_) => None,
                }
            }
        }
    )*};
}

integer_item!(i8, i16, i32, i64, u8, u16, u32, u64);

/// The numbers of an array, row by row, and the lengths of its dimensions.
struct Collected<T> {
    items: Vec<T>,
    shape: Vec<usize>,
    batch: Batch,
}

/// The array at a pointer as a numpy array of this dtype.
pub fn loads_array<'py>(object: &Bound<'py, PyAny>, at: &str, dtype: &str) -> PyResult<Bound<'py, PyAny>> {
    match dtype {
        "float32" => load::<f32>(object, at, dtype),
        "float64" => load::<f64>(object, at, dtype),
        "int8" => load::<i8>(object, at, dtype),
        "int16" => load::<i16>(object, at, dtype),
        "int32" => load::<i32>(object, at, dtype),
        "int64" => load::<i64>(object, at, dtype),
        "uint8" => load::<u8>(object, at, dtype),
        "uint16" => load::<u16>(object, at, dtype),
        "uint32" => load::<u32>(object, at, dtype),
        "uint64" => load::<u64>(object, at, dtype),
        _ => Err(PyValueError::new_err(format!(
            "dtype '{dtype}' is not one of float32, float64, int16, int32, int64, int8, uint16, uint32, uint64, uint8"
        ))),
    }
}

fn load<'py, T: Item>(object: &Bound<'py, PyAny>, at: &str, dtype: &str) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    let empty = EMPTY.import(py, "numpy", "empty")?;
    let input = Input::new(object)?;
    let path = Path::new(at).map_err(|malformed| malformed.into_pyerr(at))?;
    let mut parser = Parser::new(input.with_nul());
    let read = array_place(&mut parser, path).and_then(|place| {
        let Some((start, depth)) = place else { return Ok(None) };
        parser.cursor.go(start);
        if parser.cursor.peek() != b'[' {
            return Err(parser.cursor.refuse("an array of numbers is needed", start));
        }
        let mut collected = Collected::<T> {
            items: Vec::new(),
            shape: Vec::new(),
            batch: [0.0; BATCH],
        };
        collected.row(&mut parser.cursor, 0, depth)?;
        if path.is_whole() {
            parser.end()?;
        }
        Ok(Some(collected))
    });
    let Some(collected) = parser.finish(py, read)? else {
        return Err(pointer_error(py, at));
    };
    let array = empty.call1((PyTuple::new(py, &collected.shape)?, dtype))?;
    fill(&array, &collected.items)?;
    Ok(array)
}

/// Copies the items to a new array of as many.
fn fill<T: Item>(array: &Bound<'_, PyAny>, items: &[T]) -> PyResult<()> {
    let mut view = ffi::Py_buffer::new();
    // SAFETY: attached; the view is released below. The array is of this dtype and contiguous, so its bytes are the items.
    unsafe {
        if ffi::PyObject_GetBuffer(array.as_ptr(), &raw mut view, ffi::PyBUF_WRITABLE) < 0 {
            return Err(raised(array.py()));
        }
        let fits = view.len.unsigned_abs() == size_of_val(items);
        if fits && !items.is_empty() {
            std::ptr::copy_nonoverlapping(items.as_ptr().cast::<u8>(), view.buf.cast::<u8>(), size_of_val(items));
        }
        ffi::PyBuffer_Release(&raw mut view);
        if fits {
            Ok(())
        } else {
            Err(PyValueError::new_err("numpy made an array of another size"))
        }
    }
}

/// Where the array starts and how deep; a whole document need not be passed over to find its end.
fn array_place(parser: &mut Parser<'_>, path: Path<'_>) -> Result<Option<(usize, usize)>, Stop> {
    if path.is_whole() {
        parser.cursor.skip_whitespace();
        return Ok(Some((parser.cursor.at(), 0)));
    }
    let places = pointer::find(parser, &[path])?;
    Ok(places[0].map(|place| (place.start, place.depth)))
}

impl<T: Item> Collected<T> {
    /// Reads the array here, which is one row of dimension `level`.
    fn row(&mut self, cursor: &mut Cursor<'_>, level: usize, depth: usize) -> Result<(), Stop> {
        if depth >= MAX_DEPTH {
            return Err(cursor.fail_here("nested deeper than 512 levels"));
        }
        let start = cursor.at();
        let first = self.shape.len() == level;
        if first {
            self.shape.push(0);
        }
        cursor.bump();
        cursor.skip_whitespace();
        let mut count = 0;
        if cursor.peek() == b']' {
            cursor.bump();
        } else {
            loop {
                count += self.item(cursor, level, depth + 1, first && count == 0)?;
                cursor.skip_whitespace();
                match cursor.peek() {
                    b',' => cursor.bump(),
                    b']' => {
                        cursor.bump();
                        break;
                    }
                    _ => return Err(cursor.fail_here("a comma or ] is missing")),
                }
                cursor.skip_whitespace();
            }
        }
        if first {
            self.shape[level] = count;
        } else if self.shape[level] != count {
            return Err(cursor.refuse("the arrays inside have different lengths", start));
        }
        Ok(())
    }

    /// Reads one item of a row, or several numbers, and tells how many; the very first item tells whether rows hold
    /// numbers or rows.
    #[inline(always)]
    fn item(&mut self, cursor: &mut Cursor<'_>, level: usize, depth: usize, decides: bool) -> Result<usize, Stop> {
        let at = cursor.at();
        let innermost = self.shape.len() == level + 1;
        match cursor.peek() {
            b'-' | b'0'..=b'9' if innermost => {
                let (count, end) = T::floats(cursor.text(), at, &mut self.batch, &mut self.items);
                if count > 0 {
                    cursor.go(end);
                    return Ok(count);
                }
                let read = decimal::scan(cursor.text(), at);
                let (number, end) = read.map_err(|flaw| cursor.flawed(flaw))?;
                cursor.go(end);
                let item = T::of(&number).ok_or_else(|| cursor.refuse(MISFIT, at))?;
                self.items.push(item);
                Ok(1)
            }
            b'[' if !innermost || decides => self.row(cursor, level + 1, depth).map(|()| 1),
            b'-' | b'0'..=b'9' | b'[' => Err(cursor.refuse("numbers and arrays are mixed", at)),
            _ => Err(cursor.fail("an array of numbers is needed", at)),
        }
    }
}
