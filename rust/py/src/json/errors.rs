//! Problems with a text, and how they become `JSONDecodeError`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::setup;

/// Why reading stopped.
pub enum Fault {
    /// The text is wrong at this byte.
    Text { problem: &'static str, at: usize },
    /// A Python exception, such as `MemoryError`.
    Python(PyErr),
}

/// Reading stopped; the reader holds the `Fault`. As it has no size, a result is as wide as its value.
#[derive(Debug, Clone, Copy)]
pub struct Stop;

impl Fault {
    /// The Python exception for a fault in this text.
    #[cold]
    pub fn into_pyerr(self, py: Python<'_>, text: &[u8]) -> PyErr {
        match self {
            Self::Python(error) => error,
            Self::Text { problem, at } => decode_error(py, problem, text, at),
        }
    }
}

/// The exception that C code has set, or one that says it forgot to.
#[cold]
pub fn raised(py: Python<'_>) -> PyErr {
    PyErr::fetch(py)
}

/// `JSONDecodeError` with the place of the problem.
#[cold]
#[allow(clippy::naive_bytecount)] // an error's place is not worth a dependency
pub fn decode_error(py: Python<'_>, problem: &str, text: &[u8], at: usize) -> PyErr {
    let at = at.min(text.len());
    let before = &text[..at];
    let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
    let line_start = before
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |newline| newline + 1);
    let column = 1 + before[line_start..].iter().filter(|&&byte| byte & 0xC0 != 0x80).count();
    let message = format!("{problem}: line {line} column {column} (byte {at})");
    positioned(py, &message, line, column, at).unwrap_or_else(|error| error)
}

fn positioned(py: Python<'_>, message: &str, line: usize, column: usize, offset: usize) -> PyResult<PyErr> {
    let Some(setup) = setup::get(py) else {
        return Ok(PyValueError::new_err(message.to_owned()));
    };
    let place = PyDict::new(py);
    place.set_item("line", line)?;
    place.set_item("column", column)?;
    place.set_item("offset", offset)?;
    let error = setup.decode_error.bind(py).call((message,), Some(&place))?;
    Ok(PyErr::from_value(error))
}

/// `JSONEncodeError` with the pointer of the offending value.
#[cold]
pub fn encode_error(py: Python<'_>, message: &str, pointer: &str) -> PyErr {
    let full = if pointer.is_empty() {
        message.to_owned()
    } else {
        format!("{message} (at {pointer})")
    };
    let Some(setup) = setup::get(py) else {
        return pyo3::exceptions::PyTypeError::new_err(full);
    };
    with_pointer(py, setup.encode_error.bind(py), &full, pointer)
}

/// `JSONPointerError`: there is no value at the pointer.
#[cold]
pub fn pointer_error(py: Python<'_>, pointer: &str) -> PyErr {
    let Some(setup) = setup::get(py) else {
        return pyo3::exceptions::PyLookupError::new_err(pointer.to_owned());
    };
    let shown = pyo3::types::PyString::new(py, pointer).repr();
    let shown = shown.map_or_else(|_| pointer.to_owned(), |text| text.to_string());
    with_pointer(
        py,
        setup.pointer_error.bind(py),
        &format!("no value at {shown}"),
        pointer,
    )
}

fn with_pointer(py: Python<'_>, class: &Bound<'_, PyAny>, message: &str, pointer: &str) -> PyErr {
    let place = PyDict::new(py);
    let made = place
        .set_item("pointer", pointer)
        .and_then(|()| class.call((message,), Some(&place)));
    made.map_or_else(|error| error, PyErr::from_value)
}
