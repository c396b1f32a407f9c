//! `FrameDecoder`: from the bytes of a link to frames.

use std::cell::Cell;
use std::ops::Range;

use aisys_core::frame::{Decoder, FrameError, Limits, Parts, Source, TargetRef};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use super::object::{self, Block};
use crate::buffer::{self, Held};
use crate::cell::GilCell;
use crate::errors::frame_error;
use crate::object::Object;
use crate::raw::{self, Call, Method};

/// Room for so many frames of a call is kept for the next.
const KEEP: usize = 1024;

/// What can go wrong while decoding a batch.
enum Fault {
    Wire(FrameError),
    /// A Python exception is set.
    Raised,
}

impl From<FrameError> for Fault {
    fn from(error: FrameError) -> Self {
        Self::Wire(error)
    }
}

impl Fault {
    #[cold]
    fn into_error(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Wire(error) => frame_error(py, error),
            Self::Raised => PyErr::fetch(py),
        }
    }
}

struct State {
    decoder: Decoder,
    /// The target of number n is at n - 1.
    names: Vec<Py<PyString>>,
    /// The frames of the call under way; empty between calls.
    frames: Vec<Object>,
}

// SAFETY: the frames are made and given away within a call, and calls are attached.
unsafe impl Send for State {}

/// Takes the byte stream of one direction of one link apart.
#[pyclass(frozen, module = "aisys._native")]
pub struct FrameDecoder {
    state: GilCell<State>,
}

impl FrameDecoder {
    /// # Safety
    /// `data` is a live `bytes` object, and the thread is attached.
    #[inline]
    unsafe fn decode(&self, py: Python<'_>, data: *mut ffi::PyObject) -> PyResult<Result<Object, Fault>> {
        // SAFETY: as promised; the caller's reference keeps the bytes alive, and nothing changes them.
        self.state.with(py, |state| unsafe { state.decode(py, data) })
    }

    /// # Safety
    /// A method of this class (see `raw`).
    unsafe extern "C" fn feed(slf: *mut ffi::PyObject, data: *mut ffi::PyObject) -> *mut ffi::PyObject {
        let fault = Cell::new(None);
        // SAFETY: the interpreter calls it as a method of this class, with a live argument.
        unsafe {
            let decoder: &Self = raw::receiver(slf);
            raw::quickly(
                |py| {
                    if ffi::PyBytes_CheckExact(data) == 0 {
                        return None;
                    }
                    match decoder.decode(py, data).ok()? {
                        Ok(frames) => Some(frames),
                        Err(found) => {
                            fault.set(Some(found));
                            None
                        }
                    }
                },
                |py| match fault.take() {
                    // The decoder has taken the bytes, and refused them.
                    Some(fault) => Err(fault.into_error(py)),
                    None => decoder.feed_any(&Bound::from_borrowed_ptr(py, data)),
                },
            )
        }
    }

    fn feed_any(&self, data: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = data.py();
        // Frames refer to immutable bytes; anything else could change under them, so it is copied once.
        let copy;
        let bytes = if let Ok(bytes) = data.cast_exact::<PyBytes>() {
            bytes
        } else {
            copy = PyBytes::new(py, Held::get(data)?.as_slice());
            &copy
        };
        // SAFETY: a `bytes` object that is held.
        match unsafe { self.decode(py, bytes.as_ptr())? } {
            Ok(frames) => Ok(frames.into_bound(py).unbind()),
            Err(fault) => Err(fault.into_error(py)),
        }
    }
}

#[pymethods]
impl FrameDecoder {
    #[new]
    #[pyo3(signature = (max_frame_bytes=16_777_216, max_targets=65_536))]
    fn new(max_frame_bytes: usize, max_targets: usize) -> Self {
        let decoder = Decoder::new(Limits {
            max_frame_bytes,
            max_targets,
        });
        Self {
            state: GilCell::new(State {
                decoder,
                names: Vec::new(),
                frames: Vec::new(),
            }),
        }
    }

    /// Bytes of a frame whose rest has not come yet.
    #[getter]
    fn tail_bytes(&self, py: Python<'_>) -> PyResult<usize> {
        self.state.with(py, |state| state.decoder.tail_bytes())
    }
}

impl State {
    /// A list of the frames. Runs no Python code: it makes and releases strings, numbers, bytes and frames only.
    ///
    /// # Safety
    /// `input` is a live `bytes` object, and the thread is attached.
    unsafe fn decode(&mut self, py: Python<'_>, input: *mut ffi::PyObject) -> Result<Object, Fault> {
        let Self { decoder, names, frames } = self;
        // SAFETY: `input` outlives the call and never changes.
        let data = unsafe { buffer::bytes(input) };
        let outcome = decoder.feed(data, |source, parts| {
            let frame = match source {
                // SAFETY: the frame is one of `input`, which is live; the thread is attached.
                Source::Input(data, offset) => unsafe { build(py, input, &data[offset..], &parts, names) },
                Source::Owned(data) => build_block(py, data, &parts, names),
            };
            frames.push(frame.ok_or(Fault::Raised)?);
            Ok::<(), Fault>(())
        });
        let list = match outcome {
            // SAFETY: attached.
            Ok(()) => unsafe { list_of(frames).ok_or(Fault::Raised) },
            Err(fault) => Err(fault),
        };
        frames.clear();
        frames.shrink_to(KEEP);
        list
    }
}

/// A list that takes the objects over; None means that an exception is set.
///
/// # Safety
/// The thread is attached.
unsafe fn list_of(objects: &mut Vec<Object>) -> Option<Object> {
    // SAFETY: attached; the list has a place for each object, starts out with nulls, and belongs to nobody else.
    unsafe {
        let list = Object::owned(ffi::PyList_New(objects.len() as ffi::Py_ssize_t))?;
        for (place, object) in objects.drain(..).enumerate() {
            ffi::PyList_SET_ITEM(list.as_ptr(), place as ffi::Py_ssize_t, object.into_ptr());
        }
        Some(list)
    }
}

/// Wrap a checked frame, which begins where `frame` does; None means that an exception is set.
///
/// # Safety
/// `owner` is a live `bytes` or `Block` and holds `frame`; the thread is attached.
#[inline]
unsafe fn build(
    py: Python<'_>,
    owner: *mut ffi::PyObject,
    frame: &[u8],
    parts: &Parts,
    names: &mut Vec<Py<PyString>>,
) -> Option<Object> {
    // SAFETY: attached; the decoder admits no number but those of names that it handed over here before.
    unsafe {
        let target = match &parts.target {
            TargetRef::None => Object::borrowed(ffi::Py_None()),
            TargetRef::Known(id) => Object::borrowed(names[*id as usize - 1].as_ptr()),
            TargetRef::Literal(range) => string(frame, range)?,
            TargetRef::Define(_, range) => {
                let name = string(frame, range)?;
                names.push(
                    Bound::from_borrowed_ptr(py, name.as_ptr())
                        .cast_into_unchecked()
                        .unbind(),
                );
                name
            }
        };
        object::build(py, parts, target, owner, frame.as_ptr())
    }
}

/// The same for a frame that came in pieces.
#[cold]
fn build_block(py: Python<'_>, data: Vec<u8>, parts: &Parts, names: &mut Vec<Py<PyString>>) -> Option<Object> {
    match Py::new(py, Block { data }) {
        Ok(block) => {
            // SAFETY: a new reference, given up at the end of this block.
            let owner = unsafe { Object::owned(block.into_ptr())? };
            // SAFETY: the block holds the frame, and never changes.
            unsafe {
                let block = Borrowed::from_ptr(py, owner.as_ptr()).cast_unchecked::<Block>();
                build(py, owner.as_ptr(), &block.get().data, parts, names)
            }
        }
        Err(error) => {
            error.restore(py);
            None
        }
    }
}

/// A name out of a frame.
///
/// # Safety
/// The thread is attached.
#[cold]
unsafe fn string(frame: &[u8], range: &Range<usize>) -> Option<Object> {
    let name = &frame[range.clone()];
    // SAFETY: attached; a new reference or an exception.
    unsafe {
        Object::owned(ffi::PyUnicode_FromStringAndSize(
            name.as_ptr().cast(),
            name.len() as ffi::Py_ssize_t,
        ))
    }
}

pub fn init(py: Python<'_>) -> PyResult<()> {
    raw::add_methods::<FrameDecoder>(
        py,
        [Method {
            name: c"feed",
            doc: c"feed($self, data, /)\n--\n\nReturn the frames that are complete and keep the rest; FrameError for bytes that are not frames, and ever after.",
            call: Call::One(FrameDecoder::feed),
        }],
    )
}
