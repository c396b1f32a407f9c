//! Methods and functions by CPython's own calling convention, for calls that cost less than PyO3's way in and out.
//!
//! PyO3 counts each call as an attachment and parses arguments by a description: 7 to 9 ns, which is a third of what
//! counting or queueing takes. The functions here take the arguments as the interpreter lays them down. What that leaves
//! to their authors: **a `Py<T>` dropped inside is not released until some later call**, since PyO3 does not know that
//! the thread is attached. So a hot path holds `Object` or raw pointers only, and everything else (errors, odd
//! arguments, whatever may run Python code) goes through `slowly`.

use std::any::Any;
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use pyo3::PyClass;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::panic::PanicException;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple, PyType};

use crate::object::Object;

/// How the interpreter hands the arguments over.
#[allow(dead_code)] // one for each way there is
pub enum Call {
    /// `METH_NOARGS`.
    None(ffi::PyCFunction),
    /// `METH_O`.
    One(ffi::PyCFunction),
    /// `METH_FASTCALL`: positional only.
    Positional(ffi::PyCFunctionFast),
    /// `METH_FASTCALL | METH_KEYWORDS`.
    Keywords(ffi::PyCFunctionFastWithKeywords),
}

/// One method or function.
pub struct Method {
    pub name: &'static CStr,
    /// `name(arguments)\n--\n\ntext`: the interpreter takes the signature out of it.
    pub doc: &'static CStr,
    pub call: Call,
}

impl Method {
    fn leaked(self) -> *mut ffi::PyMethodDef {
        let (ml_meth, ml_flags) = match self.call {
            Call::None(function) => (ffi::PyMethodDefPointer { PyCFunction: function }, ffi::METH_NOARGS),
            Call::One(function) => (ffi::PyMethodDefPointer { PyCFunction: function }, ffi::METH_O),
            Call::Positional(function) => (
                ffi::PyMethodDefPointer {
                    PyCFunctionFast: function,
                },
                ffi::METH_FASTCALL,
            ),
            Call::Keywords(function) => (
                ffi::PyMethodDefPointer {
                    PyCFunctionFastWithKeywords: function,
                },
                ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
            ),
        };
        // The interpreter keeps the pointer for as long as it runs.
        Box::leak(Box::new(ffi::PyMethodDef {
            ml_name: self.name.as_ptr(),
            ml_meth,
            ml_flags,
            ml_doc: self.doc.as_ptr(),
        }))
    }
}

/// Give a class methods; each may rely on its receiver being one of `T`.
pub fn add_methods<T: PyClass>(py: Python<'_>, methods: impl IntoIterator<Item = Method>) -> PyResult<()> {
    let class = py.get_type::<T>();
    for method in methods {
        let name = method.name;
        // SAFETY: the class is alive and the definition lives for ever; the result is checked.
        let descriptor =
            unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyDescr_NewMethod(class.as_type_ptr(), method.leaked()))? };
        add(&class, name, &descriptor)?;
    }
    Ok(())
}

fn add(class: &Bound<'_, PyType>, name: &CStr, descriptor: &Bound<'_, PyAny>) -> PyResult<()> {
    // SAFETY: both are alive and the name ends in a NUL.
    let outcome = unsafe { ffi::PyObject_SetAttrString(class.as_ptr(), name.as_ptr(), descriptor.as_ptr()) };
    if outcome == 0 {
        Ok(())
    } else {
        Err(PyErr::fetch(class.py()))
    }
}

/// Give a module functions.
pub fn add_functions(module: &Bound<'_, PyModule>, functions: impl IntoIterator<Item = Method>) -> PyResult<()> {
    let py = module.py();
    let home = module.name()?;
    for function in functions {
        let name = function.name;
        // SAFETY: the definition lives for ever; module and name are alive. The result is checked.
        let made = unsafe {
            let made = ffi::PyCFunction_NewEx(function.leaked(), module.as_ptr(), home.as_ptr());
            Bound::from_owned_ptr_or_err(py, made)?
        };
        module.setattr(PyString::from_bytes(py, name.to_bytes())?, made)?;
    }
    Ok(())
}

/// The receiver of a method that was added to `T`.
///
/// # Safety
/// `slf` is what the interpreter passed to that method, which has checked its class, and `'a` ends with the call.
#[inline(always)]
pub unsafe fn receiver<'a, T: PyClass<Frozen = pyo3::pyclass::boolean_struct::True> + Sync>(
    slf: *mut ffi::PyObject,
) -> &'a T {
    // SAFETY: as promised; the interpreter calls attached.
    unsafe {
        let py = Python::assume_attached();
        let object = Borrowed::from_ptr(py, slf).cast_unchecked::<T>();
        &*ptr::from_ref(object.get())
    }
}

/// Run a hot path. `None` means that it is left to `slowly`; a panic becomes an exception.
///
/// # Safety
/// Called by the interpreter, so attached.
#[inline(always)]
pub unsafe fn quickly(
    hot: impl FnOnce(Python<'_>) -> Option<Object>,
    cold: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>>,
) -> *mut ffi::PyObject {
    // SAFETY: promised by the caller.
    let py = unsafe { Python::assume_attached() };
    match catch_unwind(AssertUnwindSafe(|| hot(py))) {
        Ok(Some(object)) => object.into_ptr(),
        Ok(None) => slowly(cold),
        Err(payload) => panicked(payload.as_ref()),
    }
}

/// Run what may do anything, as PyO3 runs it; an error or a panic becomes an exception.
#[cold]
#[inline(never)]
pub fn slowly(body: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>>) -> *mut ffi::PyObject {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        Python::attach(|py| match body(py) {
            Ok(object) => object.into_ptr(),
            Err(error) => {
                error.restore(py);
                ptr::null_mut()
            }
        })
    }));
    outcome.unwrap_or_else(|payload| panicked(payload.as_ref()))
}

/// Run what may panic and ends in something else than an object; `None` means that an exception is set.
///
/// # Safety
/// Called by the interpreter, so attached.
#[inline(always)]
pub unsafe fn caught<R>(body: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    // SAFETY: promised by the caller.
    let py = unsafe { Python::assume_attached() };
    catch_unwind(AssertUnwindSafe(|| body(py)))
        .map_err(|payload| panicked(payload.as_ref()))
        .ok()
}

#[cold]
fn panicked(payload: &(dyn Any + Send)) -> *mut ffi::PyObject {
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic in the extension".to_owned());
    Python::attach(|py| PanicException::new_err((message,)).restore(py));
    ptr::null_mut()
}

/// The arguments of a call in the order of `names`, by place or by name; `TypeError` as for a function of Python.
///
/// # Safety
/// `values` and `keywords` are what the interpreter passed to a `METH_FASTCALL | METH_KEYWORDS` function, with `count`
/// arguments by place, and `'a` ends with the call.
#[cold]
pub unsafe fn arguments<'a, 'py, const N: usize>(
    py: Python<'py>,
    function: &str,
    names: [&str; N],
    values: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> PyResult<[Option<Borrowed<'a, 'py, PyAny>>; N]> {
    let count = count.unsigned_abs();
    if count > N {
        return Err(PyTypeError::new_err(format!(
            "{function}() takes at most {N} arguments ({count} given)"
        )));
    }
    let mut given = [None; N];
    for (index, place) in given.iter_mut().enumerate().take(count) {
        // SAFETY: the interpreter laid down `count` live arguments.
        *place = Some(unsafe { Borrowed::from_ptr(py, *values.add(index)) });
    }
    if keywords.is_null() {
        return Ok(given);
    }
    // SAFETY: not null, so a tuple of the names of the arguments behind those by place.
    let keywords = unsafe { Borrowed::from_ptr(py, keywords).cast_unchecked::<PyTuple>() };
    for (index, keyword) in keywords.iter().enumerate() {
        let keyword = keyword.cast::<PyString>()?.to_str()?;
        let Some(place) = names.iter().position(|name| *name == keyword) else {
            return Err(PyTypeError::new_err(format!(
                "{function}() got an unexpected keyword argument '{keyword}'"
            )));
        };
        if given[place].is_some() {
            return Err(PyTypeError::new_err(format!(
                "{function}() got multiple values for argument '{keyword}'"
            )));
        }
        // SAFETY: the arguments by name stand behind those by place.
        given[place] = Some(unsafe { Borrowed::from_ptr(py, *values.add(count + index)) });
    }
    Ok(given)
}

/// An argument that has no default.
#[cold]
pub fn required<'a, 'py>(
    given: Option<Borrowed<'a, 'py, PyAny>>,
    function: &str,
    name: &str,
) -> PyResult<Borrowed<'a, 'py, PyAny>> {
    given.ok_or_else(|| PyTypeError::new_err(format!("{function}() missing required argument: '{name}'")))
}
