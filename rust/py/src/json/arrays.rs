//! Arrays of numbers straight into numpy arrays, without a Python object per number.

use pyo3::buffer::{Element, PyBuffer};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use aisys_text::decimal::{self, Number};

use super::cursor::Cursor;
use super::errors::{Stop, pointer_error};
use super::input::Input;
use super::parse::{MAX_DEPTH, Parser};
use super::pointer::{self, Path};

const MISFIT: &str = "a number does not fit the dtype";

/// A type of array elements.
trait Item: Element {
    /// The number as this type; None if it cannot hold it.
    fn of(number: &Number) -> Option<Self>;
}

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
}

impl Item for f32 {
    fn of(number: &Number) -> Option<Self> {
        let value = f64::of(number)? as f32;
        value.is_finite().then_some(value)
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
    let numpy = py.import("numpy")?;
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
    let shape = PyTuple::new(py, &collected.shape)?;
    let flat = numpy.getattr("empty")?.call1((collected.items.len(), dtype))?;
    PyBuffer::<T>::get(&flat)?.copy_from_slice(py, &collected.items)?;
    flat.call_method1("reshape", (shape,))
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
                self.item(cursor, level, depth + 1, first && count == 0)?;
                count += 1;
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

    /// Reads one item of a row; the very first tells whether rows hold numbers or rows.
    #[inline(always)]
    fn item(&mut self, cursor: &mut Cursor<'_>, level: usize, depth: usize, decides: bool) -> Result<(), Stop> {
        let at = cursor.at();
        let innermost = self.shape.len() == level + 1;
        match cursor.peek() {
            b'-' | b'0'..=b'9' if innermost => {
                let read = decimal::scan(cursor.text(), at);
                let (number, end) = read.map_err(|flaw| cursor.flawed(flaw))?;
                cursor.go(end);
                let item = T::of(&number).ok_or_else(|| cursor.refuse(MISFIT, at))?;
                self.items.push(item);
                Ok(())
            }
            b'[' if !innermost || decides => self.row(cursor, level + 1, depth),
            b'-' | b'0'..=b'9' | b'[' => Err(cursor.refuse("numbers and arrays are mixed", at)),
            _ => Err(cursor.fail("an array of numbers is needed", at)),
        }
    }
}
