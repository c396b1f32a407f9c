//! Frames for Python: one call encodes a frame, one call decodes a batch.

use std::ffi::c_int;

use aisys_core::frame::{
    self as wire, Decoder, Encoder, FrameError, Header, Limits, Parts, Source, TRACE_BYTES, Target, TargetRef,
};
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMemoryView, PyString};

use crate::buffer::Held;
use crate::cell::GilCell;
use crate::errors::frame_error;

/// Slots of the encoder's memory of recent target strings, by address.
const RECENT: usize = 64;

// Signatures show literals only.
const _: () = assert!(wire::DEFAULT_MAX_FRAME_BYTES == 16_777_216 && wire::DEFAULT_MAX_TARGETS == 65_536);

/// The bytes of a frame that came in pieces, lent out through the buffer protocol without another copy.
#[pyclass(frozen, module = "aisys._native", name = "_Block")]
struct Block {
    data: Vec<u8>,
}

#[pymethods]
impl Block {
    /// # Safety
    /// Called by the interpreter with a view to fill.
    unsafe fn __getbuffer__(slf: &Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let data = &slf.get().data;
        let address = data.as_ptr().cast_mut().cast();
        let length = isize::try_from(data.len())?;
        // SAFETY: the view is the interpreter's; it gets a reference to `slf`, whose data never moves nor changes,
        // and it is marked read-only.
        let outcome = unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), address, length, 1, flags) };
        if outcome == 0 {
            Ok(())
        } else {
            Err(PyErr::fetch(slf.py()))
        }
    }
}

/// Who owns the bytes of a frame: the `bytes` that were fed, or a block of our own.
enum Owner {
    Bytes(Py<PyBytes>),
    Block(Py<Block>),
}

impl Owner {
    fn as_slice<'a>(&'a self, py: Python<'a>) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes.as_bytes(py),
            Self::Block(block) => &block.get().data,
        }
    }

    fn bind<'a, 'py>(&'a self, py: Python<'py>) -> &'a Bound<'py, PyAny> {
        match self {
            Self::Bytes(bytes) => bytes.bind(py).as_any(),
            Self::Block(block) => block.bind(py).as_any(),
        }
    }
}

/// One decoded frame. The bytes stay where they came in until `body` is read.
#[pyclass(frozen, module = "aisys._native")]
pub struct Frame {
    parts: Parts,
    /// Where the frame begins within the owner's bytes.
    offset: usize,
    owner: Owner,
    target: Option<Py<PyString>>,
    // Not a PyOnceLock: that gives the GIL up and takes it again for every body.
    body: GilCell<Option<Py<PyBytes>>>,
}

impl Frame {
    fn bytes<'a>(&'a self, py: Python<'a>) -> &'a [u8] {
        &self.owner.as_slice(py)[self.offset..self.offset + self.parts.size]
    }
}

#[pymethods]
impl Frame {
    /// The kind, 1 to 63; see `aisys.messaging.frames.Kind`.
    #[getter]
    fn kind(&self) -> u8 {
        self.parts.header.kind
    }

    /// The flag bits; see `aisys.messaging.frames`.
    #[getter]
    fn flags(&self) -> u16 {
        self.parts.header.flags
    }

    /// The priority, 0 (first) to 255.
    #[getter]
    fn prio(&self) -> u8 {
        self.parts.header.prio
    }

    /// The sender's id of the call, or 0.
    #[getter]
    fn corr(&self) -> u64 {
        self.parts.header.corr
    }

    /// Microseconds that remained until the deadline when it was sent; 0 is no deadline.
    #[getter]
    fn deadline_us(&self) -> u64 {
        self.parts.header.deadline_us
    }

    /// 16 bytes of trace id and 8 of span id, or None.
    #[getter]
    fn trace<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let trace = &self.parts.header.trace;
        (*trace != [0; TRACE_BYTES]).then(|| PyBytes::new(py, trace))
    }

    /// Whom the frame is for, or None.
    #[getter]
    fn target(&self, py: Python<'_>) -> Option<Py<PyString>> {
        self.target.as_ref().map(|target| target.clone_ref(py))
    }

    /// The body, copied out of the batch on first access.
    #[getter]
    fn body(&self, py: Python<'_>) -> PyResult<Py<PyBytes>> {
        self.body.with(py, |body| {
            let body = body.get_or_insert_with(|| PyBytes::new(py, &self.bytes(py)[self.parts.body.clone()]).unbind());
            body.clone_ref(py)
        })
    }

    /// Read-only views of the attachments; they keep the bytes they came in alive.
    #[getter]
    fn attachments<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        if self.parts.attachment_count() == 0 {
            return Ok(PyList::empty(py));
        }
        let whole = PyMemoryView::from(self.owner.bind(py))?;
        let views = PyList::empty(py);
        let at = |place: usize| isize::try_from(self.offset + place);
        for range in self.parts.attachments(self.bytes(py)) {
            let (start, end) = (at(range.start)?, at(range.end)?);
            // PySlice::new of PyO3 0.30 never releases the numbers it makes, so the slice is taken without one.
            // SAFETY: the view is a live object and the GIL is held; the result is a new reference or an exception.
            let view =
                unsafe { Bound::from_owned_ptr_or_err(py, ffi::PySequence_GetSlice(whole.as_ptr(), start, end))? };
            views.append(view)?;
        }
        Ok(views)
    }

    /// The size of the frame on the wire, in bytes.
    #[getter]
    fn size(&self) -> usize {
        self.parts.size
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let target = self.target.as_ref().map_or(Ok("-"), |target| target.to_str(py))?;
        let Header { kind, corr, .. } = self.parts.header;
        Ok(format!(
            "Frame(kind={kind}, corr={corr}, target={target}, size={})",
            self.parts.size
        ))
    }
}

struct EncoderState {
    encoder: Encoder,
    /// Target strings seen lately and their numbers: most calls pass the very same string object.
    recent: Vec<Option<(Py<PyString>, u32)>>,
}

/// Builds the batches of one direction of one link.
#[pyclass(frozen, module = "aisys._native")]
pub struct FrameEncoder {
    state: GilCell<EncoderState>,
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
            state: GilCell::new(EncoderState {
                encoder,
                recent: (0..RECENT).map(|_| None).collect(),
            }),
        }
    }

    /// Append a frame to the batch and return its size in bytes; FrameError if it breaks a limit, which leaves the batch as it was.
    #[pyo3(signature = (kind, corr, target, body, flags=0, prio=100, deadline_us=0, trace=None, attachments=None))]
    #[allow(clippy::too_many_arguments)]
    fn add(
        &self,
        py: Python<'_>,
        kind: u8,
        corr: u64,
        target: Option<&Bound<'_, PyString>>,
        body: &Bound<'_, PyAny>,
        flags: u16,
        prio: u8,
        deadline_us: u64,
        trace: Option<&Bound<'_, PyBytes>>,
        attachments: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<usize> {
        let trace = read_trace(trace)?;
        let header = Header {
            flags,
            kind,
            prio,
            corr,
            deadline_us,
            trace,
        };
        // Every buffer is acquired before the state is: acquiring may run Python code.
        let name = target.map(|target| target.to_str()).transpose()?;
        let body = Held::get(body)?;
        let objects = attachments
            .map(|sequence| sequence.try_iter()?.collect::<PyResult<Vec<_>>>())
            .transpose()?;
        let objects = objects.unwrap_or_default();
        let held = objects.iter().map(Held::get).collect::<PyResult<Vec<_>>>()?;
        let buffers: Vec<&[u8]> = held.iter().map(Held::as_slice).collect();
        let outcome = self.state.with(py, |state| {
            let Some((object, name)) = target.zip(name) else {
                return state.encoder.add(&header, Target::None, body.as_slice(), &buffers);
            };
            let slot = (object.as_ptr() as usize >> 5) % RECENT;
            if let Some((known, id)) = &state.recent[slot] {
                if known.is(object) {
                    return state.encoder.add(&header, Target::Id(*id), body.as_slice(), &buffers);
                }
            }
            let size = state
                .encoder
                .add(&header, Target::Name(name), body.as_slice(), &buffers)?;
            // Only exact strings are kept: their finalisers run no Python code.
            if let (Some(id), true) = (state.encoder.id_of(name), object.is_exact_instance_of::<PyString>()) {
                state.recent[slot] = Some((object.clone().unbind(), id));
            }
            Ok(size)
        })?;
        outcome.map_err(|error| frame_error(py, error))
    }

    /// Return the batch as bytes and begin the next.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.state.with(py, |state| {
            let batch = PyBytes::new(py, state.encoder.batch());
            state.encoder.reset();
            batch
        })
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

fn read_trace(trace: Option<&Bound<'_, PyBytes>>) -> PyResult<[u8; TRACE_BYTES]> {
    let Some(trace) = trace else {
        return Ok([0; TRACE_BYTES]);
    };
    trace
        .as_bytes()
        .try_into()
        .map_err(|_| PyValueError::new_err("trace takes 24 bytes: a trace id and a span id"))
}

/// What can go wrong while decoding a batch.
enum Fault {
    Wire(FrameError),
    Python(PyErr),
}

impl From<FrameError> for Fault {
    fn from(error: FrameError) -> Self {
        Self::Wire(error)
    }
}

impl From<PyErr> for Fault {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

struct DecoderState {
    decoder: Decoder,
    /// The target of number n is at n - 1.
    names: Vec<Py<PyString>>,
}

/// Takes the byte stream of one direction of one link apart.
#[pyclass(frozen, module = "aisys._native")]
pub struct FrameDecoder {
    state: GilCell<DecoderState>,
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
            state: GilCell::new(DecoderState {
                decoder,
                names: Vec::new(),
            }),
        }
    }

    /// Return the frames that are complete and keep the rest; FrameError for bytes that are not frames, and ever after.
    fn feed<'py>(&self, py: Python<'py>, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        // Frames refer to immutable bytes; anything else could change under them, so it is copied once.
        let copy;
        let bytes = if let Ok(bytes) = data.cast_exact::<PyBytes>() {
            bytes
        } else {
            copy = PyBytes::new(py, Held::get(data)?.as_slice());
            &copy
        };
        let frames = self.state.with(py, |state| {
            let DecoderState { decoder, names } = state;
            let mut frames: Vec<Py<Frame>> = Vec::new();
            decoder.feed(bytes.as_bytes(), |source, parts| -> Result<(), Fault> {
                frames.push(build(py, bytes, source, parts, names)?);
                Ok(())
            })?;
            Ok(frames)
        })?;
        match frames {
            Ok(frames) => PyList::new(py, frames),
            Err(Fault::Wire(error)) => Err(frame_error(py, error)),
            Err(Fault::Python(error)) => Err(error),
        }
    }

    /// Bytes of a frame whose rest has not come yet.
    #[getter]
    fn tail_bytes(&self, py: Python<'_>) -> PyResult<usize> {
        self.state.with(py, |state| state.decoder.tail_bytes())
    }
}

/// Wrap a checked frame. Runs no Python code: it makes strings, bytes and classes without finalisers only.
fn build(
    py: Python<'_>,
    input: &Bound<'_, PyBytes>,
    source: Source<'_>,
    parts: Parts,
    names: &mut Vec<Py<PyString>>,
) -> PyResult<Py<Frame>> {
    let (owner, offset) = match source {
        Source::Input(_, offset) => (Owner::Bytes(input.clone().unbind()), offset),
        Source::Owned(data) => (Owner::Block(Py::new(py, Block { data })?), 0),
    };
    let name = |range: &std::ops::Range<usize>| {
        let frame = &owner.as_slice(py)[offset..];
        PyString::from_bytes(py, &frame[range.clone()]).map(Bound::unbind)
    };
    let target = match &parts.target {
        TargetRef::None => None,
        TargetRef::Known(id) => names.get(*id as usize - 1).map(|name| name.clone_ref(py)),
        TargetRef::Literal(range) => Some(name(range)?),
        TargetRef::Define(_, range) => {
            let name = name(range)?;
            names.push(name.clone_ref(py));
            Some(name)
        }
    };
    Py::new(
        py,
        Frame {
            parts,
            offset,
            owner,
            target,
            body: GilCell::new(None),
        },
    )
}

pub fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Frame>()?;
    module.add_class::<FrameEncoder>()?;
    module.add_class::<FrameDecoder>()
}
