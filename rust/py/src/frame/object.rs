//! `Frame`: a small object of fixed layout, made and released by the thousand.
//!
//! It is a class by CPython's own means, because what a receiver reads of every frame (kind, correlation, target) is then
//! a plain slot, which the interpreter reads without a call, and because memory is kept for the next frame.
//! A frame holds `bytes`, strings, numbers and a `Block` only, so it cannot be part of a cycle and needs no traversal.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use aisys_core::frame::{Header, Layout, MAX_KIND, Parts, TRACE_BYTES};
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMemoryView, PyString, PyType};

use crate::cell::GilCell;
use crate::object::Object;
use crate::raw;

/// How many frames' memory is kept: batches of this many cost no allocation.
const KEEP: usize = 256;

/// The bytes of a frame that came in pieces, lent out through the buffer protocol without another copy.
#[pyclass(frozen, module = "aisys._native", name = "_Block")]
pub struct Block {
    pub data: Vec<u8>,
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

/// One decoded frame. Every pointer is a reference that it owns.
#[repr(C)]
struct Frame {
    base: ffi::PyObject,
    kind: *mut ffi::PyObject,
    corr: *mut ffi::PyObject,
    /// A string or None.
    target: *mut ffi::PyObject,
    /// Null until it is asked for.
    body: *mut ffi::PyObject,
    /// `bytes` or a `Block`: whose bytes these are. They never change.
    owner: *mut ffi::PyObject,
    /// The frame's first byte.
    first: *const u8,
    size: u32,
    layout: Layout,
}

impl Frame {
    fn bytes(&self) -> &[u8] {
        // SAFETY: the owner keeps that many bytes from there alive and unchanged, and this frame keeps the owner.
        unsafe { std::slice::from_raw_parts(self.first, self.size as usize) }
    }

    fn header(&self) -> Header {
        Header::read(self.bytes())
    }

    /// Where the frame begins within its owner.
    fn offset(&self, py: Python<'_>) -> PyResult<usize> {
        // SAFETY: the owner is a live object.
        let owner = unsafe { Borrowed::from_ptr(py, self.owner) };
        let start = match owner.cast::<PyBytes>() {
            Ok(bytes) => bytes.as_bytes().as_ptr(),
            Err(_) => owner.cast::<Block>()?.get().data.as_ptr(),
        };
        Ok(self.first as usize - start as usize)
    }

    fn attachments(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let bytes = self.bytes();
        let count = self.layout.attachment_count(bytes);
        if count == 0 {
            return Ok(PyList::empty(py).into_any().unbind());
        }
        // SAFETY: the owner is a live object.
        let owner = unsafe { Borrowed::from_ptr(py, self.owner) };
        let whole = PyMemoryView::from(&owner)?;
        let offset = self.offset(py)?;
        let at = |place: usize| (offset + place) as ffi::Py_ssize_t;
        // Into a list when all are there: a collection that a new view causes must not meet a list with holes.
        let mut views = Vec::with_capacity(count);
        for range in self.layout.attachments(bytes) {
            // PySlice::new of PyO3 0.30 never releases the numbers it makes, so the slice is taken without one.
            // SAFETY: the view is a live object and the thread attached; the result is a new reference or an exception.
            let view = unsafe {
                let view = ffi::PySequence_GetSlice(whole.as_ptr(), at(range.start), at(range.end));
                Bound::from_owned_ptr_or_err(py, view)?
            };
            views.push(view);
        }
        Ok(PyList::new(py, views)?.into_any().unbind())
    }

    fn repr(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let Header { kind, corr, .. } = self.header();
        // SAFETY: the target is a live object.
        let target = unsafe { Borrowed::from_ptr(py, self.target) };
        let target = target.cast::<PyString>().ok();
        let target = target.as_ref().map_or(Ok("-"), |target| target.to_str())?;
        let text = format!("Frame(kind={kind}, corr={corr}, target={target}, size={})", self.size);
        Ok(PyString::new(py, &text).into_any().unbind())
    }
}

/// The numbers of all kinds, from the import on.
static KINDS: [AtomicPtr<ffi::PyObject>; MAX_KIND as usize + 1] =
    [const { AtomicPtr::new(ptr::null_mut()) }; MAX_KIND as usize + 1];

/// The class, from the import on.
static CLASS: AtomicPtr<ffi::PyTypeObject> = AtomicPtr::new(ptr::null_mut());

/// Memory of frames that are gone.
struct Kept {
    memory: [*mut Frame; KEEP],
    count: usize,
}

// SAFETY: plain memory that belongs to no thread; `GilCell` lets one in at a time.
unsafe impl Send for Kept {}

static KEPT: GilCell<Kept> = GilCell::new(Kept {
    memory: [ptr::null_mut(); KEEP],
    count: 0,
});

/// Memory for a frame, as an object with one reference and nothing else in it; None means that an exception is set.
#[inline]
fn allocate(py: Python<'_>) -> Option<*mut Frame> {
    let kept = KEPT.with(py, |kept| {
        kept.count = kept.count.checked_sub(1)?;
        Some(kept.memory[kept.count])
    });
    let memory = match kept {
        Ok(Some(memory)) => memory,
        // SAFETY: attached; the size is that of the class.
        _ => unsafe { ffi::PyObject_Malloc(size_of::<Frame>()).cast() },
    };
    if memory.is_null() {
        // SAFETY: attached.
        unsafe { ffi::PyErr_NoMemory() };
        return None;
    }
    // SAFETY: memory for a frame that nobody else has; the class is set before anything is decoded.
    unsafe { ffi::PyObject_Init(memory.cast(), CLASS.load(Ordering::Relaxed)) };
    Some(memory)
}

/// A frame of checked parts. Runs no Python code. None means that an exception is set.
///
/// # Safety
/// `owner` is a `bytes` or a `Block` and holds the frame from `first` on.
#[inline]
pub unsafe fn build(
    py: Python<'_>,
    parts: &Parts,
    target: Object,
    owner: *mut ffi::PyObject,
    first: *const u8,
) -> Option<Object> {
    // SAFETY: attached, and the import is over, so there are numbers for the kinds that the decoder admits; new
    // references, checked. Every field is set before anyone sees the object.
    unsafe {
        let kind = Object::borrowed(KINDS[usize::from(parts.kind)].load(Ordering::Relaxed));
        let corr = Object::owned(ffi::PyLong_FromUnsignedLongLong(parts.corr))?;
        let frame = allocate(py)?;
        (*frame).kind = kind.into_ptr();
        (*frame).corr = corr.into_ptr();
        (*frame).target = target.into_ptr();
        (*frame).body = ptr::null_mut();
        (*frame).owner = Object::borrowed(owner).into_ptr();
        (*frame).first = first;
        (*frame).size = parts.size as u32;
        (*frame).layout = parts.layout;
        Object::owned(frame.cast())
    }
}

/// # Safety
/// The class's `tp_dealloc`: called with the last reference to a frame.
unsafe extern "C" fn dealloc(slf: *mut ffi::PyObject) {
    let frame = slf.cast::<Frame>();
    // SAFETY: the references are the frame's own, and nothing that it holds runs Python code when it goes: they are
    // numbers, strings, `bytes` and `Block`. The memory goes back to where it came from, and the class loses the
    // reference that each of its objects has.
    unsafe {
        ffi::Py_DECREF((*frame).kind);
        ffi::Py_DECREF((*frame).corr);
        ffi::Py_DECREF((*frame).target);
        ffi::Py_XDECREF((*frame).body);
        ffi::Py_DECREF((*frame).owner);
        let class = ffi::Py_TYPE(slf);
        let kept = KEPT.with(Python::assume_attached(), |kept| {
            let place = kept.memory.get_mut(kept.count)?;
            *place = frame;
            kept.count += 1;
            Some(())
        });
        if !matches!(kept, Ok(Some(()))) {
            ffi::PyObject_Free(frame.cast());
        }
        ffi::Py_DECREF(class.cast());
    }
}

/// A getter of the class.
///
/// # Safety
/// As for every getter: the interpreter passes a frame.
type Getter = unsafe extern "C" fn(*mut ffi::PyObject, *mut c_void) -> *mut ffi::PyObject;

/// # Safety
/// A getter of this class.
unsafe extern "C" fn body(slf: *mut ffi::PyObject, _closure: *mut c_void) -> *mut ffi::PyObject {
    // SAFETY: the interpreter has checked the class, and the GIL is held; the body lies within the frame's bytes.
    unsafe {
        let frame = slf.cast::<Frame>();
        if (*frame).body.is_null() {
            let range = (*frame).layout.body();
            let start = (*frame).first.add(range.start).cast::<c_char>();
            (*frame).body = ffi::PyBytes_FromStringAndSize(start, range.len() as ffi::Py_ssize_t);
        }
        ffi::Py_XINCREF((*frame).body);
        (*frame).body
    }
}

/// # Safety
/// A getter of this class.
unsafe extern "C" fn attachments(slf: *mut ffi::PyObject, _closure: *mut c_void) -> *mut ffi::PyObject {
    // SAFETY: the interpreter has checked the class.
    let frame = unsafe { &*slf.cast::<Frame>() };
    raw::slowly(|py| frame.attachments(py))
}

/// # Safety
/// A getter of this class.
unsafe extern "C" fn trace(slf: *mut ffi::PyObject, _closure: *mut c_void) -> *mut ffi::PyObject {
    // SAFETY: the interpreter has checked the class; the result is a new reference or an exception.
    unsafe {
        let trace = (*slf.cast::<Frame>()).header().trace;
        if trace == [0; TRACE_BYTES] {
            return Object::borrowed(ffi::Py_None()).into_ptr();
        }
        ffi::PyBytes_FromStringAndSize(trace.as_ptr().cast(), TRACE_BYTES as ffi::Py_ssize_t)
    }
}

/// # Safety
/// A getter of this class.
unsafe extern "C" fn flags(slf: *mut ffi::PyObject, _closure: *mut c_void) -> *mut ffi::PyObject {
    // SAFETY: the interpreter has checked the class; the result is a new reference or an exception.
    unsafe { ffi::PyLong_FromLong((*slf.cast::<Frame>()).header().flags.into()) }
}

/// # Safety
/// A getter of this class.
unsafe extern "C" fn prio(slf: *mut ffi::PyObject, _closure: *mut c_void) -> *mut ffi::PyObject {
    // SAFETY: the interpreter has checked the class; the result is a new reference or an exception.
    unsafe { ffi::PyLong_FromLong((*slf.cast::<Frame>()).header().prio.into()) }
}

/// # Safety
/// A getter of this class.
unsafe extern "C" fn deadline_us(slf: *mut ffi::PyObject, _closure: *mut c_void) -> *mut ffi::PyObject {
    // SAFETY: the interpreter has checked the class; the result is a new reference or an exception.
    unsafe { ffi::PyLong_FromUnsignedLongLong((*slf.cast::<Frame>()).header().deadline_us) }
}

/// # Safety
/// A getter of this class.
unsafe extern "C" fn size(slf: *mut ffi::PyObject, _closure: *mut c_void) -> *mut ffi::PyObject {
    // SAFETY: the interpreter has checked the class; the result is a new reference or an exception.
    unsafe { ffi::PyLong_FromUnsignedLongLong((*slf.cast::<Frame>()).size.into()) }
}

/// # Safety
/// The class's `tp_repr`: called with a frame.
unsafe extern "C" fn repr(slf: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the interpreter has checked the class.
    let frame = unsafe { &*slf.cast::<Frame>() };
    raw::slowly(|py| frame.repr(py))
}

fn member(name: &'static CStr, offset: usize, doc: &'static CStr) -> ffi::PyMemberDef {
    ffi::PyMemberDef {
        name: name.as_ptr(),
        type_code: ffi::Py_T_OBJECT_EX,
        offset: offset as ffi::Py_ssize_t,
        flags: ffi::Py_READONLY,
        doc: doc.as_ptr(),
    }
}

fn getter(name: &'static CStr, get: Getter, doc: &'static CStr) -> ffi::PyGetSetDef {
    ffi::PyGetSetDef {
        name: name.as_ptr(),
        get: Some(get),
        set: None,
        doc: doc.as_ptr(),
        closure: ptr::null_mut(),
    }
}

fn slot(slot: c_int, content: *mut c_void) -> ffi::PyType_Slot {
    ffi::PyType_Slot { slot, pfunc: content }
}

/// Make the class and put it into the module.
pub fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    // The class keeps pointers to both for as long as it lives, which is as long as the process.
    let members = Box::leak(Box::new([
        member(
            c"kind",
            offset_of!(Frame, kind),
            c"The kind, 1 to 63; see `aisys.messaging.frames.Kind`.",
        ),
        member(c"corr", offset_of!(Frame, corr), c"The sender's id of the call, or 0."),
        member(c"target", offset_of!(Frame, target), c"Whom the frame is for, or None."),
        ffi::PyMemberDef::default(),
    ]));
    let getters = Box::leak(Box::new([
        getter(c"body", body, c"The body, copied out of the batch on first access."),
        getter(
            c"attachments",
            attachments,
            c"Read-only views of the attachments; they keep the bytes they came in alive.",
        ),
        getter(c"flags", flags, c"The flag bits; see `aisys.messaging.frames`."),
        getter(c"prio", prio, c"The priority, 0 (first) to 255."),
        getter(
            c"deadline_us",
            deadline_us,
            c"Microseconds that remained until the deadline when it was sent; 0 is no deadline.",
        ),
        getter(c"trace", trace, c"16 bytes of trace id and 8 of span id, or None."),
        getter(c"size", size, c"The size of the frame on the wire, in bytes."),
        ffi::PyGetSetDef::default(),
    ]));
    let doc = c"One decoded frame. The bytes stay where they came in until `body` is read.";
    let mut slots = [
        slot(ffi::Py_tp_doc, doc.as_ptr().cast_mut().cast()),
        slot(ffi::Py_tp_members, members.as_mut_ptr().cast()),
        slot(ffi::Py_tp_getset, getters.as_mut_ptr().cast()),
        slot(ffi::Py_tp_dealloc, dealloc as *mut c_void),
        slot(ffi::Py_tp_repr, repr as *mut c_void),
        ffi::PyType_Slot::default(),
    ];
    let flags = ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION | ffi::Py_TPFLAGS_IMMUTABLETYPE;
    let mut spec = ffi::PyType_Spec {
        name: c"aisys._native.Frame".as_ptr(),
        basicsize: size_of::<Frame>() as c_int,
        itemsize: 0,
        flags: flags as std::ffi::c_uint,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: what the specification points to is alive, and what the class keeps lives for ever.
    let class = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpec(&raw mut spec))? };
    let class = class.cast_into::<PyType>()?;
    if !CLASS.load(Ordering::Relaxed).is_null() {
        return Err(PyRuntimeError::new_err("the extension is loaded once in a process"));
    }
    for (number, kind) in KINDS.iter().enumerate() {
        kind.store(number.into_pyobject(py)?.into_ptr(), Ordering::Relaxed);
    }
    CLASS.store(class.clone().into_ptr().cast(), Ordering::Relaxed);
    module.add("Frame", class)
}
