//! What `await` takes: an object of our own that gives an item without a future, a frame or an exception when there
//! is one.
//!
//! The type is made by hand, since nothing else reaches `am_send`, by which the interpreter and asyncio's tasks run a
//! coroutine without `StopIteration`. It does what a coroutine does: it has `send`, `throw` and `close`, runs once, and
//! complains when nobody awaited it. Nothing happens before it is awaited.

use std::cell::{Cell, UnsafeCell};
use std::ffi::{CStr, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::ffi::PySendResult;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::PriorityQueue;
use super::state::State;
use super::wish::{Outcome, Wait, Wish};
use crate::object::Object;
use crate::raw;

/// Objects kept for reuse.
///
/// They stay known to the collector, with the one reference that the pool has: being tracked and untracked and getting
/// a head anew would cost as much as taking an item out of the queue.
const KEEP: usize = if cfg!(Py_GIL_DISABLED) { 0 } else { 128 };

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    New,
    Running,
    Waiting,
    Done,
}

/// The fields are changed under the GIL only, and never while a reference into them lives across Python code.
#[repr(C)]
pub struct Coroutine {
    head: ffi::PyObject,
    step: Cell<Step>,
    /// The collector has finalised it: it must not be reused.
    finalised: Cell<bool>,
    /// The queue; None once the collector has cleared it.
    queue: UnsafeCell<Option<Object>>,
    wish: UnsafeCell<Wish>,
    wait: UnsafeCell<Option<Wait>>,
}

static TYPE: AtomicPtr<ffi::PyTypeObject> = AtomicPtr::new(ptr::null_mut());

struct Pool(UnsafeCell<Vec<*mut ffi::PyObject>>);

// SAFETY: touched only by whoever holds the GIL, and never across Python code.
unsafe impl Sync for Pool {}

static POOL: Pool = Pool(UnsafeCell::new(Vec::new()));

/// A coroutine that will make a wish come true. None: an exception is set.
///
/// # Safety
/// Attached; `queue` is alive and a `PriorityQueue`.
#[inline(always)]
pub unsafe fn new(queue: *mut ffi::PyObject, wish: Wish) -> Option<Object> {
    // SAFETY: attached. The pool's reference becomes the caller's. Nobody else has one, so that the fields may be
    // written over; those of an object in the pool hold nothing that is to be dropped.
    unsafe {
        let Some(object) = (*POOL.0.get()).pop() else {
            return make(queue, wish);
        };
        let this = object.cast::<Coroutine>();
        if ffi::Py_REFCNT(object) != 1 || (*this).finalised.get() {
            // Somebody has found it by way of the collector, or that has finalised it.
            drop(Object::owned(object));
            return make(queue, wish);
        }
        write(this, queue, wish);
        Object::owned(object)
    }
}

#[cold]
#[inline(never)]
unsafe fn make(queue: *mut ffi::PyObject, wish: Wish) -> Option<Object> {
    // SAFETY: attached; the type was made when the module was. The object is told to nobody before all its fields are
    // written.
    unsafe {
        let object: *mut ffi::PyObject = ffi::PyObject_GC_New(TYPE.load(Ordering::Relaxed));
        if object.is_null() {
            return None;
        }
        write(object.cast(), queue, wish);
        ffi::PyObject_GC_Track(object.cast());
        Object::owned(object)
    }
}

/// # Safety
/// `this` is one of our type whose fields hold nothing that is to be dropped, and `queue` is alive.
#[inline(always)]
unsafe fn write(this: *mut Coroutine, queue: *mut ffi::PyObject, wish: Wish) {
    // SAFETY: promised by the caller.
    unsafe {
        (&raw mut (*this).step).write(Cell::new(Step::New));
        (&raw mut (*this).finalised).write(Cell::new(false));
        (&raw mut (*this).queue).write(UnsafeCell::new(Some(Object::borrowed(queue))));
        (&raw mut (*this).wish).write(UnsafeCell::new(wish));
        (&raw mut (*this).wait).write(UnsafeCell::new(None));
    }
}

impl Coroutine {
    /// # Safety
    /// `slf` is one of our type, and `'a` ends with the call that brought it.
    #[inline(always)]
    unsafe fn of<'a>(slf: *mut ffi::PyObject) -> &'a Self {
        // SAFETY: as promised.
        unsafe { &*slf.cast() }
    }

    /// The item, where all that is to be done is to take it.
    #[inline(always)]
    fn quickly(&self, py: Python<'_>) -> Option<Object> {
        // SAFETY: the references end before any Python code could run.
        unsafe {
            if self.step.get() != Step::New || !matches!(*self.wish.get(), Wish::Get) {
                return None;
            }
            let queue = (*self.queue.get()).as_ref()?;
            let queue: &PriorityQueue = raw::receiver(queue.as_ptr());
            let item = queue.state.try_with(py, State::pop_plain)??;
            self.step.set(Step::Done);
            Some(item)
        }
    }

    /// Go on to the next wait or to the end.
    fn advance(&self, py: Python<'_>) -> PyResult<Progress> {
        match self.step.get() {
            Step::New | Step::Waiting => {}
            Step::Running => return Err(PyValueError::new_err("coroutine already executing")),
            Step::Done => return Err(PyRuntimeError::new_err("cannot reuse already awaited coroutine")),
        }
        let Some(queue) = self.queue(py) else {
            return Err(PyRuntimeError::new_err("the queue is gone"));
        };
        self.step.set(Step::Running);
        let progress = self.run(py, &queue);
        self.step.set(match progress {
            Ok(Progress::Waits(_)) => Step::Waiting,
            _ => Step::Done,
        });
        progress
    }

    fn run(&self, py: Python<'_>, queue: &Bound<'_, PriorityQueue>) -> PyResult<Progress> {
        // Taken out while Python code may run; in the step `Running` nobody else comes by but the collector.
        let mut wish = self.swap_wish(Wish::Join);
        let mut before = self.take_wait();
        let outcome = loop {
            if let Some(wait) = &before {
                match wait.step(py) {
                    Ok(None) => {}
                    // Not done: as a coroutine does, hand on what the future says to that.
                    Ok(Some(next)) => break Ok(Progress::Waits(next)),
                    Err(error) => {
                        queue.get().give_up(py, &wish, wait);
                        before = None;
                        break Err(error);
                    }
                }
            }
            match PriorityQueue::grant(queue, &mut wish, before.take()) {
                Ok(Outcome::Done(object)) => break Ok(Progress::Done(object)),
                Ok(Outcome::Waits(wait)) => before = Some(wait),
                Err(error) => break Err(error),
            }
        };
        self.put_wait(before);
        drop(self.swap_wish(wish));
        outcome
    }

    /// Leave the line, if it stands in one; it is over then.
    fn stop(&self, py: Python<'_>) {
        self.step.set(Step::Done);
        if let (Some(wait), Some(queue)) = (self.take_wait(), self.queue(py)) {
            let wish = self.swap_wish(Wish::Join);
            queue.get().give_up(py, &wish, &wait);
        }
    }

    fn queue<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PriorityQueue>> {
        // SAFETY: the reference ends at once; `new` took a `PriorityQueue`.
        unsafe {
            let queue = (*self.queue.get()).as_ref()?;
            Some(Bound::from_borrowed_ptr(py, queue.as_ptr()).cast_into_unchecked())
        }
    }

    fn swap_wish(&self, wish: Wish) -> Wish {
        // SAFETY: nobody else has a reference, and moving runs no code.
        unsafe { self.wish.get().replace(wish) }
    }

    fn take_wait(&self) -> Option<Wait> {
        // SAFETY: as `swap_wish`.
        unsafe { (*self.wait.get()).take() }
    }

    fn put_wait(&self, wait: Option<Wait>) {
        // SAFETY: as `swap_wish`; what was there is dropped afterwards.
        drop(unsafe { self.wait.get().replace(wait) });
    }

    fn name(&self) -> &'static str {
        // SAFETY: the reference ends at once.
        unsafe { (*self.wish.get()).name() }
    }
}

/// How far it came.
enum Progress {
    Done(Object),
    /// What the event loop gets.
    Waits(Object),
}

// --- slots and methods

/// # Safety
/// The slot `am_send` (see `raw`).
unsafe extern "C" fn am_send(
    slf: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
    result: *mut *mut ffi::PyObject,
) -> PySendResult {
    // SAFETY: the interpreter calls it with an object of our type, a live value and a place for the result.
    unsafe {
        let this = Coroutine::of(slf);
        *result = ptr::null_mut();
        let status = raw::caught(|py| {
            if let Some(item) = this.quickly(py) {
                *result = item.into_ptr();
                return PySendResult::PYGEN_RETURN;
            }
            resume(this, value, result)
        });
        status.unwrap_or(PySendResult::PYGEN_ERROR)
    }
}

/// # Safety
/// As `am_send`.
unsafe fn resume(this: &Coroutine, value: *mut ffi::PyObject, result: *mut *mut ffi::PyObject) -> PySendResult {
    Python::attach(|py| {
        // SAFETY: None is alive, and `value` is it or something else alive, or null.
        let is_none = value.is_null() || unsafe { value == ffi::Py_None() };
        let progress = if !is_none && this.step.get() == Step::New {
            Err(PyTypeError::new_err(
                "can't send non-None value to a just-started coroutine",
            ))
        } else {
            this.advance(py)
        };
        let (object, status) = match progress {
            Ok(Progress::Done(object)) => (object.into_ptr(), PySendResult::PYGEN_RETURN),
            Ok(Progress::Waits(object)) => (object.into_ptr(), PySendResult::PYGEN_NEXT),
            Err(error) => {
                error.restore(py);
                (ptr::null_mut(), PySendResult::PYGEN_ERROR)
            }
        };
        // SAFETY: the place that the caller of `am_send` gave.
        unsafe { *result = object };
        status
    })
}

/// # Safety
/// The slot `tp_iternext`, by which `await` comes from CPython 3.12 on.
unsafe extern "C" fn iternext(slf: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: None is alive.
    unsafe { send(slf, ffi::Py_None()) }
}

/// # Safety
/// The method `send`.
unsafe extern "C" fn send(slf: *mut ffi::PyObject, value: *mut ffi::PyObject) -> *mut ffi::PyObject {
    let mut result = ptr::null_mut();
    // SAFETY: as the interpreter calls `am_send`; an exception needs no more than its argument.
    unsafe {
        match am_send(slf, value, &raw mut result) {
            PySendResult::PYGEN_NEXT => result,
            PySendResult::PYGEN_ERROR => ptr::null_mut(),
            PySendResult::PYGEN_RETURN => {
                let Some(value) = Object::owned(result) else {
                    return ptr::null_mut();
                };
                // The instance, since an argument that is a tuple or an exception would be taken apart.
                let stop = Object::owned(ffi::PyObject_CallOneArg(ffi::PyExc_StopIteration, value.as_ptr()));
                if let Some(stop) = stop {
                    ffi::PyErr_SetObject(ffi::PyExc_StopIteration, stop.as_ptr());
                }
                ptr::null_mut()
            }
        }
    }
}

/// # Safety
/// The method `throw`.
unsafe extern "C" fn throw(
    slf: *mut ffi::PyObject,
    values: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    raw::slowly(|py| {
        // SAFETY: the interpreter calls it as a method of our type with `count` live arguments.
        let (this, error) = unsafe {
            let given = raw::arguments(
                py,
                "throw",
                ["type", "value", "traceback"],
                values,
                count,
                ptr::null_mut(),
            )?;
            (
                Coroutine::of(slf),
                exception(raw::required(given[0], "throw", "type")?, given[1])?,
            )
        };
        match this.step.get() {
            Step::Running => return Err(PyValueError::new_err("coroutine already executing")),
            Step::Done => return Err(PyRuntimeError::new_err("cannot reuse already awaited coroutine")),
            Step::New | Step::Waiting => this.stop(py),
        }
        Err(error)
    })
}

/// The exception of `throw(exception)` or, as in old code, `throw(class, value)`.
fn exception<'py>(class: Borrowed<'_, 'py, PyAny>, value: Option<Borrowed<'_, 'py, PyAny>>) -> PyResult<PyErr> {
    let value = value.filter(|value| !value.is_none());
    match (class.is_callable(), value) {
        (true, Some(value)) if value.is_instance(&class)? => Ok(PyErr::from_value(value.to_owned())),
        (true, Some(value)) => Ok(PyErr::from_value(class.call1((value,))?)),
        _ => Ok(PyErr::from_value(class.to_owned())),
    }
}

/// # Safety
/// The method `close`.
unsafe extern "C" fn close(slf: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    raw::slowly(|py| {
        // SAFETY: the interpreter calls it as a method of our type.
        let this = unsafe { Coroutine::of(slf) };
        match this.step.get() {
            Step::Running => Err(PyValueError::new_err("coroutine already executing")),
            Step::New | Step::Waiting | Step::Done => {
                this.stop(py);
                Ok(py.None())
            }
        }
    })
}

/// # Safety
/// The slot `am_await`.
unsafe extern "C" fn am_await(slf: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls it with an object of our type.
    unsafe {
        if Coroutine::of(slf).step.get() == Step::Waiting {
            return raw::slowly(|_| Err(PyRuntimeError::new_err("coroutine is being awaited already")));
        }
        ffi::Py_NewRef(slf)
    }
}

/// # Safety
/// The getter of `__name__` and, if `closure` is not null, of `__qualname__`.
unsafe extern "C" fn get_name(slf: *mut ffi::PyObject, closure: *mut c_void) -> *mut ffi::PyObject {
    raw::slowly(|py| {
        // SAFETY: the interpreter calls it with an object of our type.
        let name = unsafe { Coroutine::of(slf) }.name();
        let name = if closure.is_null() {
            name.to_owned()
        } else {
            format!("PriorityQueue.{name}")
        };
        Ok(PyString::new(py, &name).into_any().unbind())
    })
}

// --- memory

/// # Safety
/// The slot `tp_traverse`.
unsafe extern "C" fn traverse(slf: *mut ffi::PyObject, visit: ffi::visitproc, arg: *mut c_void) -> c_int {
    // SAFETY: the collector calls it with an object of our type and runs no Python code meanwhile.
    unsafe {
        let this = Coroutine::of(slf);
        let queue = (*this.queue.get()).as_ref();
        let item = match &*this.wish.get() {
            Wish::Put(item, _) => item.as_ref(),
            _ => None,
        };
        let wait = (*this.wait.get()).as_ref();
        let class = ffi::Py_TYPE(slf).cast();
        let objects = [
            Some(class),
            queue.map(Object::as_ptr),
            item.map(Object::as_ptr),
            wait.map(|wait| wait.future.as_ptr()),
            wait.map(|wait| wait.iterator.as_ptr()),
        ];
        for object in objects.into_iter().flatten() {
            let stop = visit(object, arg);
            if stop != 0 {
                return stop;
            }
        }
        0
    }
}

/// # Safety
/// The slot `tp_clear`; it was finalised before, so it stands in no line.
unsafe extern "C" fn clear(slf: *mut ffi::PyObject) -> c_int {
    // SAFETY: the collector calls it with an object of our type.
    let this = unsafe { Coroutine::of(slf) };
    // SAFETY: nobody else has a reference. Each is dropped once it is out.
    let queue = unsafe { (*this.queue.get()).take() };
    drop((this.swap_wish(Wish::Join), this.take_wait(), queue));
    0
}

/// # Safety
/// The slot `tp_finalize`.
unsafe extern "C" fn finalize(slf: *mut ffi::PyObject) {
    raw::slowly(|py| {
        // SAFETY: the interpreter calls it with an object of our type.
        let this = unsafe { Coroutine::of(slf) };
        this.finalised.set(true);
        let pending = PyErr::take(py);
        match this.step.get() {
            Step::New => {
                this.step.set(Step::Done);
                never_awaited(py, this.name());
            }
            Step::Waiting => this.stop(py),
            Step::Running | Step::Done => {}
        }
        if let Some(error) = pending {
            error.restore(py);
        }
        Ok(py.None())
    });
}

fn never_awaited(py: Python<'_>, name: &str) {
    let category = py.get_type::<pyo3::exceptions::PyRuntimeWarning>();
    let told = std::ffi::CString::new(format!("coroutine 'PriorityQueue.{name}' was never awaited"))
        .map_err(PyErr::from)
        .and_then(|text| PyErr::warn(py, &category, &text, 1));
    if let Err(error) = told {
        error.write_unraisable(py, None);
    }
}

/// # Safety
/// The slot `tp_dealloc`.
unsafe extern "C" fn dealloc(slf: *mut ffi::PyObject) {
    // SAFETY: the interpreter calls it with an object of our type to which nobody refers any more. Either it gets a
    // reference again, that of the pool, before anything is dropped and so before the collector could run; or it is
    // taken from the collector's sight, its fields are dropped once, and its memory is freed.
    unsafe {
        let this = slf.cast::<Coroutine>();
        if (*this).step.get() != Step::Done && ffi::PyObject_CallFinalizerFromDealloc(slf) < 0 {
            return;
        }
        let pool = &mut *POOL.0.get();
        if !(*this).finalised.get() && pool.len() < KEEP {
            ffi::Py_INCREF(slf);
            let queue = (*(*this).queue.get()).take();
            let wish = (*this).swap_wish(Wish::Get);
            let wait = (*this).take_wait();
            pool.push(slf);
            // Last, as it may run code that makes the next one.
            drop((wish, wait, queue));
            return;
        }
        ffi::PyObject_GC_UnTrack(slf.cast());
        let class = ffi::Py_TYPE(slf);
        ptr::drop_in_place(&raw mut (*this).queue);
        ptr::drop_in_place(&raw mut (*this).wish);
        ptr::drop_in_place(&raw mut (*this).wait);
        ffi::PyObject_GC_Del(slf.cast());
        ffi::Py_DECREF(class.cast());
    }
}

// --- the type

const fn method(
    name: &'static CStr,
    ml_meth: ffi::PyMethodDefPointer,
    ml_flags: c_int,
    doc: &'static CStr,
) -> ffi::PyMethodDef {
    ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth,
        ml_flags,
        ml_doc: doc.as_ptr(),
    }
}

fn slot(slot: c_int, function: *mut c_void) -> ffi::PyType_Slot {
    ffi::PyType_Slot { slot, pfunc: function }
}

/// Make the type.
pub fn init(py: Python<'_>) -> PyResult<()> {
    // The interpreter keeps these for as long as it runs.
    let methods = Box::leak(Box::new([
        method(
            c"send",
            ffi::PyMethodDefPointer { PyCFunction: send },
            ffi::METH_O,
            c"send($self, value, /)\n--\n\nGo on; StopIteration with the result at the end.",
        ),
        method(
            c"throw",
            ffi::PyMethodDefPointer { PyCFunctionFast: throw },
            ffi::METH_FASTCALL,
            c"Stop waiting and raise an exception.",
        ),
        method(
            c"close",
            ffi::PyMethodDefPointer { PyCFunction: close },
            ffi::METH_NOARGS,
            c"close($self, /)\n--\n\nStop waiting.",
        ),
        ffi::PyMethodDef::zeroed(),
    ]));
    let getter = |name: &'static CStr, closure: *mut c_void| ffi::PyGetSetDef {
        name: name.as_ptr(),
        get: Some(get_name),
        set: None,
        doc: ptr::null(),
        closure,
    };
    let getters = Box::leak(Box::new([
        getter(c"__name__", ptr::null_mut()),
        getter(c"__qualname__", methods.as_mut_ptr().cast()),
        ffi::PyGetSetDef {
            name: ptr::null(),
            get: None,
            set: None,
            doc: ptr::null(),
            closure: ptr::null_mut(),
        },
    ]));
    let doc = c"What a queue's method returns for `await`.";
    let mut slots = [
        slot(ffi::Py_am_await, am_await as *mut c_void),
        slot(ffi::Py_am_send, am_send as *mut c_void),
        slot(ffi::Py_tp_iternext, iternext as *mut c_void),
        slot(ffi::Py_tp_methods, methods.as_mut_ptr().cast()),
        slot(ffi::Py_tp_getset, getters.as_mut_ptr().cast()),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_clear, clear as *mut c_void),
        slot(ffi::Py_tp_finalize, finalize as *mut c_void),
        slot(ffi::Py_tp_dealloc, dealloc as *mut c_void),
        slot(ffi::Py_tp_doc, doc.as_ptr().cast_mut().cast()),
        slot(0, ptr::null_mut()),
    ];
    let flags = ffi::Py_TPFLAGS_DEFAULT
        | ffi::Py_TPFLAGS_HAVE_GC
        | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION
        | ffi::Py_TPFLAGS_IMMUTABLETYPE;
    let mut spec = ffi::PyType_Spec {
        name: c"aisys.queue.QueueCoroutine".as_ptr(),
        basicsize: c_int::try_from(size_of::<Coroutine>())?,
        itemsize: 0,
        flags: flags as _,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the slots are functions of the types that they are for; methods, getters and texts live for ever, and the
    // interpreter copies the rest. The result is a new reference, which is kept for ever, or null.
    unsafe {
        let class = ffi::PyType_FromSpec(&raw mut spec);
        if class.is_null() {
            return Err(PyErr::fetch(py));
        }
        TYPE.store(class.cast(), Ordering::Relaxed);
    }
    Ok(())
}
