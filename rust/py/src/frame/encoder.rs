//! `FrameEncoder`: from the fields of a frame to the bytes of a batch.

use std::ops::Deref;

use aisys_core::frame::{Encoder, FrameError, Header, Limits, TRACE_BYTES, Target};
use pyo3::exceptions::{PyMemoryError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use super::batch::BytesBatch;
use crate::buffer::{self, Held};
use crate::cell::GilCell;
use crate::errors::frame_error;
use crate::ints;
use crate::object::Object;
use crate::raw::{self, Call, Method};

/// Slots of the memory of recent target strings, by address.
const RECENT: usize = 64;
const USUAL_PRIORITY: u8 = 100;

struct State {
    encoder: Encoder<BytesBatch>,
    /// Target strings seen lately and their numbers: most calls pass the very same string object.
    recent: Vec<Option<(Object, u32)>>,
}

// SAFETY: the strings are used and released only while attached: the state lives in a `FrameEncoder`.
unsafe impl Send for State {}

impl State {
    #[inline(always)]
    fn slot(target: *mut ffi::PyObject) -> usize {
        (target as usize >> 5) % RECENT
    }

    /// The number of this very string object, if it was seen lately.
    #[inline(always)]
    fn recent_id(&self, target: *mut ffi::PyObject) -> Option<u32> {
        match &self.recent[Self::slot(target)] {
            Some((known, id)) if known.as_ptr() == target => Some(*id),
            _ => None,
        }
    }

    /// # Safety
    /// `target` is a live string, `name` its text; the thread is attached.
    unsafe fn remember(&mut self, target: *mut ffi::PyObject, name: &str) {
        // Only exact strings are kept: their finalisers run no Python code.
        // SAFETY: a live object.
        if unsafe { ffi::PyUnicode_CheckExact(target) } == 0 {
            return;
        }
        if let Some(id) = self.encoder.id_of(name) {
            // SAFETY: a live object, and attached.
            self.recent[Self::slot(target)] = Some((unsafe { Object::borrowed(target) }, id));
        }
    }
}

/// Builds the batches of one direction of one link.
#[pyclass(frozen, module = "aisys._native")]
pub struct FrameEncoder {
    state: GilCell<State>,
}

/// More attachments than this take the slower way, which has room for all.
const QUICK_ATTACHMENTS: usize = 16;

/// The attachments of a frame.
struct Buffers<'a> {
    slices: [&'a [u8]; QUICK_ATTACHMENTS],
    count: usize,
}

impl<'a> Deref for Buffers<'a> {
    type Target = [&'a [u8]];

    fn deref(&self) -> &[&'a [u8]] {
        &self.slices[..self.count]
    }
}

/// The arguments of `add`, in order.
const ARGUMENTS: [&str; 9] = [
    "kind",
    "corr",
    "target",
    "body",
    "flags",
    "prio",
    "deadline_us",
    "trace",
    "attachments",
];
const REQUIRED: usize = 4;

impl FrameEncoder {
    /// # Safety
    /// A method of this class (see `raw`).
    unsafe extern "C" fn add(
        slf: *mut ffi::PyObject,
        arguments: *const *mut ffi::PyObject,
        count: ffi::Py_ssize_t,
        names: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject {
        // SAFETY: the interpreter calls it as a method of this class, with `count` arguments and those named.
        unsafe {
            let encoder: &Self = raw::receiver(slf);
            raw::quickly(
                |py| {
                    let given = count.unsigned_abs();
                    if !names.is_null() || !(REQUIRED..=ARGUMENTS.len()).contains(&given) {
                        return None;
                    }
                    encoder.add_plain(py, std::slice::from_raw_parts(arguments, given))
                },
                |py| {
                    let given = raw::arguments(py, "add", ARGUMENTS, arguments, count, names)?;
                    let size = encoder.add_any(py, given)?;
                    Ok(size.into_pyobject(py)?.into_any().unbind())
                },
            )
        }
    }

    /// The frame of plain arguments by place: whole numbers, a string, `bytes`. None leaves anything else, and any
    /// error, to `add_any`.
    ///
    /// # Safety
    /// At least the required arguments, all live; the thread is attached.
    #[inline(always)]
    unsafe fn add_plain(&self, py: Python<'_>, arguments: &[*mut ffi::PyObject]) -> Option<Object> {
        // SAFETY: live objects, and attached. No Python code runs from here on, so the slices stay as they are.
        unsafe {
            let none = ffi::Py_None();
            let number = |place: usize, default: u64| match arguments.get(place) {
                Some(&argument) => ints::unsigned(argument),
                None => Some(default),
            };
            let header = Header {
                kind: number(0, 0)?.try_into().ok()?,
                corr: number(1, 0)?,
                flags: number(4, 0)?.try_into().ok()?,
                prio: number(5, USUAL_PRIORITY.into())?.try_into().ok()?,
                deadline_us: number(6, 0)?,
                trace: match arguments.get(7) {
                    Some(&trace) if trace != none => buffer::plain(trace)?.try_into().ok()?,
                    _ => [0; TRACE_BYTES],
                },
            };
            let (target, body) = (arguments[2], buffer::plain(arguments[3])?);
            match arguments.get(8) {
                Some(&attachments) if attachments != none => {
                    self.append_with(py, &header, target, body, &plain_buffers(attachments)?)
                }
                _ => self.append(py, &header, target, body, &[]),
            }
        }
    }

    /// # Safety
    /// As for `append`.
    #[inline(never)]
    unsafe fn append_with(
        &self,
        py: Python<'_>,
        header: &Header,
        target: *mut ffi::PyObject,
        body: &[u8],
        buffers: &[&[u8]],
    ) -> Option<Object> {
        // SAFETY: as promised.
        unsafe { self.append(py, header, target, body, buffers) }
    }

    /// The size of the frame that is appended; None leaves any error to `add_any`, and the batch as it was.
    ///
    /// # Safety
    /// `target` is a live object, None or what may be a string; the thread is attached.
    #[inline(always)]
    unsafe fn append(
        &self,
        py: Python<'_>,
        header: &Header,
        target: *mut ffi::PyObject,
        body: &[u8],
        buffers: &[&[u8]],
    ) -> Option<Object> {
        let size = self.state.with(py, |state| {
            // SAFETY: a live object, and attached; the text is used before anything else could happen to the string.
            let name = unsafe {
                if target == ffi::Py_None() {
                    return state.encoder.add(header, Target::None, body, buffers).ok();
                }
                if let Some(id) = state.recent_id(target) {
                    return state.encoder.add(header, Target::Id(id), body, buffers).ok();
                }
                text_of(target)?
            };
            let size = state.encoder.add(header, Target::Name(name), body, buffers).ok()?;
            // SAFETY: a live string, and its text.
            unsafe { state.remember(target, name) };
            Some(size)
        });
        // SAFETY: attached; a new reference or an exception.
        unsafe { Object::owned(ffi::PyLong_FromSize_t(size.ok()??)) }
    }

    /// The frame of any arguments.
    fn add_any(&self, py: Python<'_>, given: [Option<Borrowed<'_, '_, PyAny>>; 9]) -> PyResult<usize> {
        let [kind, corr, target, body, flags, prio, deadline_us, trace, attachments] = given;
        let target = raw::required(target, "add", ARGUMENTS[2])?;
        let target = (!target.is_none()).then(|| target.cast::<PyString>()).transpose()?;
        let header = Header {
            kind: raw::required(kind, "add", ARGUMENTS[0])?.extract()?,
            corr: raw::required(corr, "add", ARGUMENTS[1])?.extract()?,
            flags: flags.map_or(Ok(0), pyo3::Borrowed::extract)?,
            prio: prio.map_or(Ok(USUAL_PRIORITY), pyo3::Borrowed::extract)?,
            deadline_us: deadline_us.map_or(Ok(0), pyo3::Borrowed::extract)?,
            trace: read_trace(trace)?,
        };
        // Every buffer is acquired before the state is: acquiring may run Python code.
        let name = target.as_ref().map(|target| target.to_str()).transpose()?;
        let body = raw::required(body, "add", ARGUMENTS[3])?;
        let body = Held::get(&body)?;
        let objects = match attachments {
            Some(sequence) if !sequence.is_none() => sequence.try_iter()?.collect::<PyResult<Vec<_>>>()?,
            _ => Vec::new(),
        };
        let held = objects.iter().map(Held::get).collect::<PyResult<Vec<_>>>()?;
        let buffers: Vec<&[u8]> = held.iter().map(Held::as_slice).collect();
        let outcome = self.state.with(py, |state| {
            let named = name.map_or(Target::None, Target::Name);
            let size = state.encoder.add(&header, named, body.as_slice(), &buffers)?;
            if let Some((target, name)) = target.zip(name) {
                // SAFETY: the string is live, and this its text.
                unsafe { state.remember(target.as_ptr(), name) };
            }
            Ok(size)
        })?;
        outcome.map_err(|error| match error {
            FrameError::NoMemory { .. } => PyMemoryError::new_err(error.to_string()),
            _ => frame_error(py, error),
        })
    }

    /// # Safety
    /// A method of this class (see `raw`).
    unsafe extern "C" fn take(slf: *mut ffi::PyObject, _unused: *mut ffi::PyObject) -> *mut ffi::PyObject {
        // SAFETY: the interpreter calls it as a method of this class.
        unsafe {
            let encoder: &Self = raw::receiver(slf);
            raw::quickly(
                |py| {
                    let batch = encoder.state.with(py, |state| {
                        let next = state.encoder.batch().following();
                        state.encoder.next(next)
                    });
                    batch.ok()?.into_object()
                },
                |py| match PyErr::take(py) {
                    Some(no_memory) => Err(no_memory),
                    None => encoder.state.with(py, |_| py.None()),
                },
            )
        }
    }
}

/// The bytes of a list or tuple of `bytes`.
///
/// # Safety
/// A live object, which lives and stays as it is for as long as the slices are used; the thread is attached.
unsafe fn plain_buffers<'a>(sequence: *mut ffi::PyObject) -> Option<Buffers<'a>> {
    // SAFETY: live objects of the classes that the accessors are for, and places within them.
    unsafe {
        let is_list = ffi::PyList_CheckExact(sequence) != 0;
        if !is_list && ffi::PyTuple_CheckExact(sequence) == 0 {
            return None;
        }
        let mut buffers = Buffers {
            slices: [&[]; QUICK_ATTACHMENTS],
            count: ffi::Py_SIZE(sequence).unsigned_abs(),
        };
        for (place, slice) in buffers.slices.get_mut(..buffers.count)?.iter_mut().enumerate() {
            let item = if is_list {
                ffi::PyList_GET_ITEM(sequence, place as ffi::Py_ssize_t)
            } else {
                ffi::PyTuple_GET_ITEM(sequence, place as ffi::Py_ssize_t)
            };
            *slice = buffer::plain(item)?;
        }
        Some(buffers)
    }
}

/// The text of an exact string that has one in UTF-8.
///
/// # Safety
/// A live object, which lives as long as the text is used; the thread is attached.
unsafe fn text_of<'a>(object: *mut ffi::PyObject) -> Option<&'a str> {
    // SAFETY: the string keeps its UTF-8 form, once made, for as long as it lives; the interpreter makes it properly.
    unsafe {
        if ffi::PyUnicode_CheckExact(object) == 0 {
            return None;
        }
        let mut length = 0;
        let start = ffi::PyUnicode_AsUTF8AndSize(object, &raw mut length);
        if start.is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        let bytes = std::slice::from_raw_parts(start.cast::<u8>(), length.unsigned_abs());
        Some(std::str::from_utf8_unchecked(bytes))
    }
}

fn read_trace(trace: Option<Borrowed<'_, '_, PyAny>>) -> PyResult<[u8; TRACE_BYTES]> {
    let Some(trace) = trace.filter(|trace| !trace.is_none()) else {
        return Ok([0; TRACE_BYTES]);
    };
    let trace = trace
        .cast::<PyBytes>()
        .map_err(|_| PyTypeError::new_err("trace takes bytes or None"))?;
    trace
        .as_bytes()
        .try_into()
        .map_err(|_| PyValueError::new_err("trace takes 24 bytes: a trace id and a span id"))
}

#[pymethods]
impl FrameEncoder {
    #[new]
    #[pyo3(signature = (max_frame_bytes=16_777_216, max_targets=65_536))]
    fn new(max_frame_bytes: usize, max_targets: usize) -> Self {
        let encoder = Encoder::new(Limits {
            max_frame_bytes,
            max_targets,
        });
        Self {
            state: GilCell::new(State {
                encoder,
                recent: (0..RECENT).map(|_| None).collect(),
            }),
        }
    }

    /// The size of the batch so far, in bytes.
    #[getter]
    fn pending_bytes(&self, py: Python<'_>) -> PyResult<usize> {
        self.state.with(py, |state| state.encoder.batch().len())
    }

    /// How many frames the batch has so far.
    #[getter]
    fn pending_frames(&self, py: Python<'_>) -> PyResult<usize> {
        self.state.with(py, |state| state.encoder.frames())
    }
}

pub fn init(py: Python<'_>) -> PyResult<()> {
    raw::add_methods::<FrameEncoder>(
        py,
        [
            Method {
                name: c"add",
                doc: c"add($self, kind, corr, target, body, flags=0, prio=100, deadline_us=0, trace=None, attachments=None)\n--\n\nAppend a frame to the batch and return its size in bytes; FrameError if it breaks a limit, which leaves the batch as it was.",
                call: Call::Keywords(FrameEncoder::add),
            },
            Method {
                name: c"take",
                doc: c"take($self)\n--\n\nReturn the batch as bytes and begin the next.",
                call: Call::None(FrameEncoder::take),
            },
        ],
    )
}
