//! The functions that read, as the interpreter calls them (see `raw`).

use std::ffi::CStr;

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::input::{Input, quick_text};
use super::parse::{self, Parser};
use super::pointer::{self, Path};
use crate::object::Object;
use crate::raw::{self, Call, Method};

/// Pointers that are looked for without more ado; more of them take the longer way.
const FEW: usize = 8;

pub fn methods() -> [Method; 3] {
    [
        Method {
            name: c"json_loads",
            doc: c"json_loads(data, /)\n--\n\nThe value of a JSON text: see `aisys.json.loads`.",
            call: Call::One(loads),
        },
        Method {
            name: c"json_get",
            doc: c"json_get(buffer, pointer, *, default=..., raw=False)\n--\n\nThe value at a JSON pointer: see `aisys.json.get`.",
            call: Call::Keywords(get),
        },
        Method {
            name: c"json_get_many",
            doc: c"json_get_many(buffer, *pointers, raw=False)\n--\n\nThe values at several JSON pointers: see `aisys.json.get_many`.",
            call: Call::Keywords(get_many),
        },
    ]
}

/// # Safety
/// A `METH_O` function (see `raw`).
unsafe extern "C" fn loads(_module: *mut ffi::PyObject, data: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls it, with a live argument.
    unsafe {
        raw::quickly(
            |_| parse::loads_quickly(quick_text(data)?),
            |py| parse::loads(&Bound::from_borrowed_ptr(py, data)).map(Bound::unbind),
        )
    }
}

/// # Safety
/// A `METH_FASTCALL | METH_KEYWORDS` function (see `raw`).
unsafe extern "C" fn get(
    _module: *mut ffi::PyObject,
    values: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls it, with live arguments.
    unsafe {
        raw::quickly(
            |_| get_quickly(values, count, keywords),
            |py| get_slowly(py, values, count, keywords),
        )
    }
}

/// # Safety
/// As for `get`.
#[inline(always)]
unsafe fn get_quickly(
    values: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> Option<Object> {
    // SAFETY: there are as many live arguments by place as counted, and one behind them for each keyword.
    unsafe {
        if count != 2 {
            return None;
        }
        let default = match keywords.is_null() {
            true => None,
            false if is_only(keywords, c"default") => Some(*values.add(2)),
            false => return None,
        };
        let path = quick_path(*values.add(1))?;
        let mut found = [None];
        find_quickly(quick_text(*values)?, &[path], &mut found)?;
        let [found] = found;
        found.or_else(|| default.map(|default| Object::borrowed(default)))
    }
}

/// Whether one keyword is given, and it is this one.
///
/// # Safety
/// A live tuple of str.
unsafe fn is_only(keywords: *mut ffi::PyObject, name: &CStr) -> bool {
    // SAFETY: promised by the caller.
    unsafe {
        ffi::PyTuple_GET_SIZE(keywords) == 1
            && ffi::PyUnicode_CompareWithASCIIString(ffi::PyTuple_GET_ITEM(keywords, 0), name.as_ptr()) == 0
    }
}

/// A pointer to anything but the whole document, in ASCII.
///
/// # Safety
/// A live object, which stays alive as long as the path.
#[inline(always)]
unsafe fn quick_path<'a>(pointer: *mut ffi::PyObject) -> Option<Path<'a>> {
    // SAFETY: promised by the caller.
    let text = unsafe {
        if ffi::PyUnicode_CheckExact(pointer) == 0 {
            return None;
        }
        quick_text(pointer)?
    };
    let text = std::str::from_utf8(&text[..text.len() - 1]).ok()?;
    Path::new(text).ok().filter(|path| !path.is_whole())
}

/// The values at pointers; None if something is wrong, which the longer way will find again and tell.
#[inline(always)]
fn find_quickly(text_with_nul: &[u8], paths: &[Path<'_>], found: &mut [Option<Object>]) -> Option<()> {
    let mut parser = Parser::new(text_with_nul);
    let read = pointer::find(&mut parser, paths).and_then(|places| {
        for (place, found) in places.into_iter().zip(found) {
            *found = place.map(|place| pointer::decode(&mut parser, place)).transpose()?;
        }
        Ok(())
    });
    parser.put_back();
    read.ok()
}

/// # Safety
/// As for `get`.
unsafe fn get_slowly(
    py: Python<'_>,
    values: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> PyResult<Py<PyAny>> {
    const NAME: &str = "json_get";
    const PLACES: usize = 2;
    if count.unsigned_abs() > PLACES {
        return Err(PyTypeError::new_err(format!(
            "{NAME}() takes {PLACES} positional arguments but {count} were given"
        )));
    }
    // SAFETY: as promised.
    let [buffer, pointer, default, raw] = unsafe {
        raw::arguments(
            py,
            NAME,
            ["buffer", "pointer", "default", "raw"],
            values,
            count,
            keywords,
        )?
    };
    let buffer = raw::required(buffer, NAME, "buffer")?;
    let pointer = raw::required(pointer, NAME, "pointer")?.extract::<String>()?;
    let raw = match raw {
        Some(raw) => raw.extract::<bool>()?,
        None => false,
    };
    let input = Input::new(&buffer)?;
    let pointers = [pointer.as_str()];
    let found = match default {
        None => pointer::require(py, input.with_nul(), &pointers, raw)?.pop(),
        Some(default) => {
            let found = pointer::get(py, input.with_nul(), &pointers, raw)?.pop().flatten();
            Some(found.unwrap_or_else(|| default.to_owned()))
        }
    };
    let found = found.ok_or_else(|| PyRuntimeError::new_err("one pointer gives one value"))?;
    Ok(found.unbind())
}

/// # Safety
/// A `METH_FASTCALL | METH_KEYWORDS` function (see `raw`).
unsafe extern "C" fn get_many(
    _module: *mut ffi::PyObject,
    values: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls it, with live arguments.
    unsafe {
        raw::quickly(
            |_| get_many_quickly(values, count, keywords),
            |py| get_many_slowly(py, values, count, keywords),
        )
    }
}

/// # Safety
/// As for `get_many`.
#[inline(always)]
unsafe fn get_many_quickly(
    values: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> Option<Object> {
    let pointers = count.unsigned_abs().checked_sub(1)?;
    if pointers == 0 || pointers > FEW || !keywords.is_null() {
        return None;
    }
    // SAFETY: there are as many live arguments as counted; the tuple is new, and every place of it is filled.
    unsafe {
        let mut paths = [Path::WHOLE; FEW];
        for (index, path) in paths.iter_mut().enumerate().take(pointers) {
            *path = quick_path(*values.add(1 + index))?;
        }
        let mut found = [const { None }; FEW];
        find_quickly(quick_text(*values)?, &paths[..pointers], &mut found)?;
        if found.iter().take(pointers).any(Option::is_none) {
            return None;
        }
        let tuple = Object::owned(ffi::PyTuple_New(pointers as ffi::Py_ssize_t))?;
        for (index, value) in found.into_iter().flatten().enumerate() {
            ffi::PyTuple_SET_ITEM(tuple.as_ptr(), index as ffi::Py_ssize_t, value.into_ptr());
        }
        Some(tuple)
    }
}

/// # Safety
/// As for `get_many`.
unsafe fn get_many_slowly(
    py: Python<'_>,
    values: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> PyResult<Py<PyAny>> {
    const NAME: &str = "json_get_many";
    // The pointers are as many as there are; only the others have names.
    let named = count.min(1);
    // SAFETY: the interpreter laid down `count` live arguments, and behind them those by name.
    let (places, rest) = unsafe {
        let all = std::slice::from_raw_parts(values, count.unsigned_abs() + keyword_count(keywords));
        all.split_at(count.unsigned_abs())
    };
    let few: Vec<_> = places.iter().take(named.unsigned_abs()).chain(rest).copied().collect();
    // SAFETY: one argument by place at most, and behind it those by name.
    let [buffer, raw] = unsafe { raw::arguments(py, NAME, ["buffer", "raw"], few.as_ptr(), named, keywords)? };
    let buffer = raw::required(buffer, NAME, "buffer")?;
    let raw = match raw {
        Some(raw) => raw.extract::<bool>()?,
        None => false,
    };
    let mut pointers = Vec::with_capacity(places.len());
    for &pointer in places.iter().skip(1) {
        // SAFETY: a live argument.
        pointers.push(unsafe { Borrowed::from_ptr(py, pointer) }.extract::<String>()?);
    }
    let pointers: Vec<&str> = pointers.iter().map(String::as_str).collect();
    let input = Input::new(&buffer)?;
    let found = pointer::require(py, input.with_nul(), &pointers, raw)?;
    Ok(PyTuple::new(py, found)?.into_any().unbind())
}

/// # Safety
/// Null, or a live tuple.
unsafe fn keyword_count(keywords: *mut ffi::PyObject) -> usize {
    if keywords.is_null() {
        return 0;
    }
    // SAFETY: promised by the caller.
    unsafe { ffi::PyTuple_GET_SIZE(keywords) }.unsigned_abs()
}
