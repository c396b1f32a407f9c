//! Values that are not JSON themselves: what they are written as.

use std::ptr;

use aisys_text::pen::Pen;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use super::failure::{Failure, python_failure, refused};
use super::numpy;
use super::out::MEMBER;
use super::parse;
use super::write::{Order, Writer};
use crate::object::Object;

/// Times that a conversion may be applied to its own result for one value.
const MAX_CONVERSIONS: usize = 254;

/// Writes a value of a type that the writer does not know. `Ok(None)` if the writer has noted why it failed.
pub fn write(
    writer: &mut Writer<'_, '_>,
    pen: Pen,
    value: &Bound<'_, PyAny>,
    depth: usize,
) -> Result<Option<Pen>, Failure> {
    let setup = writer.setup()?;
    let raw_type = setup.raw.as_ptr();
    let mut current = value.clone();
    for _ in 0..MAX_CONVERSIONS {
        if ptr::eq(current.get_type_ptr().cast(), raw_type) {
            return raw(writer, pen, &current).map(Some);
        }
        if let Some(written) = numpy::write(writer, pen, &current, depth) {
            return Ok(Some(written));
        }
        if is_written(&current) {
            let pen = writer.out.room(pen, MEMBER);
            return Ok(writer.value(pen, current.as_ptr(), depth));
        }
        current = converted(writer, &current)?;
    }
    Err(refused(
        "default gave nothing that JSON can hold in 254 calls for one value",
    ))
}

/// Whether the writer knows the exact type.
fn is_written(value: &Bound<'_, PyAny>) -> bool {
    let kind = value.get_type_ptr();
    let written = [
        &raw mut ffi::PyDict_Type,
        &raw mut ffi::PyUnicode_Type,
        &raw mut ffi::PyList_Type,
        &raw mut ffi::PyLong_Type,
        &raw mut ffi::PyFloat_Type,
        &raw mut ffi::PyBool_Type,
        &raw mut ffi::PyTuple_Type,
    ];
    value.is_none() || written.contains(&kind)
}

fn converted<'py>(writer: &Writer<'_, '_>, value: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>, Failure> {
    let (setup, py) = (writer.setup()?, value.py());
    let plain = setup.plain.bind(py).call1((value,));
    let plain = plain.map_err(|error| conversion_failure(py, error))?;
    if !plain.is(&setup.not_plain) {
        return Ok(plain);
    }
    match writer.default {
        Some(default) => default.as_unbound().bind(py).call1((value,)).map_err(python_failure),
        None => Err(unsupported(value)),
    }
}

/// A `ValueError` says that this value has no JSON form; anything else is not ours.
#[cold]
fn conversion_failure(py: Python<'_>, error: PyErr) -> Failure {
    if error.is_instance_of::<PyValueError>(py) {
        refused(error.value(py).to_string())
    } else {
        python_failure(error)
    }
}

#[cold]
fn unsupported(value: &Bound<'_, PyAny>) -> Failure {
    let name = type_name(value);
    let hint = match name.as_str() {
        "bytes" => "send it as an attachment or encode it as text",
        "set" | "frozenset" => "sets have no order: pass default=sorted or default=list",
        _ => "convert it, or pass default=",
    };
    refused(format!("{name} has no JSON form: {hint}"))
}

fn type_name(value: &Bound<'_, PyAny>) -> String {
    value
        .get_type()
        .name()
        .map_or_else(|_| "object".to_owned(), |name| name.to_string())
}

/// Copies a fragment after checking it.
fn raw(writer: &mut Writer<'_, '_>, pen: Pen, value: &Bound<'_, PyAny>) -> Result<Pen, Failure> {
    if writer.order == Order::Canonical {
        let len = value.len().map_err(python_failure)?;
        return Err(refused(format!(
            "Raw text ({len} bytes) is not canonical: decode it first"
        )));
    }
    let data = value.getattr("data").map_err(python_failure)?;
    let data = data.cast::<PyBytes>().map_err(|error| python_failure(error.into()))?;
    let bytes = data.as_bytes();
    // SAFETY: CPython puts a NUL behind the content of bytes.
    let with_nul = unsafe { std::slice::from_raw_parts(bytes.as_ptr(), bytes.len() + 1) };
    parse::check(writer.py, with_nul)
        .map_err(|error| refused(format!("Raw holds text that is not JSON: {}", error.value(writer.py))))?;
    Ok(writer.out.fragment(pen, bytes))
}

/// The exact str of a key that is a subclass of str.
#[cold]
pub fn key_text(key: &Bound<'_, PyAny>) -> Result<Object, Failure> {
    if let Ok(text) = key.cast::<PyString>() {
        return str_of(text);
    }
    let shown: String = key.repr().map_or_else(|_| String::new(), |text| text.to_string());
    let shown: String = shown.chars().take(80).collect();
    Err(refused(format!(
        "a JSON object has str keys, not {} ({shown})",
        type_name(key)
    )))
}

/// Members of enums that are str stand for their value, other subclasses for their characters.
fn str_of(text: &Bound<'_, PyString>) -> Result<Object, Failure> {
    let py = text.py();
    let is_enum = py
        .import("enum")
        .and_then(|module| text.is_instance(&module.getattr("Enum")?));
    let source = if is_enum.map_err(python_failure)? {
        text.getattr("value").map_err(python_failure)?
    } else {
        text.clone().into_any()
    };
    // SAFETY: an exact copy of a str; null comes with an exception.
    let made = unsafe {
        if ffi::PyUnicode_Check(source.as_ptr()) == 0 {
            return Err(refused("a JSON object has str keys"));
        }
        Object::owned(ffi::PyUnicode_FromObject(source.as_ptr()))
    };
    made.ok_or_else(|| python_failure(PyErr::fetch(py)))
}
