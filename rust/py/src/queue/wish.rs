//! What is awaited of a queue, as a machine: try, wait on a future, try again.

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::PriorityQueue;
use super::order::Order;
use super::state::{Lost, State};
use crate::object::Object;

pub enum Wish {
    Get,
    Batch(usize),
    /// The item is taken out once it is in the queue.
    Put(Option<Object>, Order),
    Join,
}

impl Wish {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Batch(_) => "get_batch",
            Self::Put(..) => "put",
            Self::Join => "join",
        }
    }
}

/// A future that stands in one of the queue's lines, and the iterator by which it is awaited.
pub struct Wait {
    pub future: Object,
    pub iterator: Object,
    /// The place among the consumers.
    ticket: u64,
}

/// What came of trying.
pub enum Outcome {
    Done(Object),
    Waits(Wait),
}

impl Wait {
    fn new(py: Python<'_>, future: Object, ticket: u64) -> PyResult<Self> {
        // SAFETY: the future is alive, so its type is; slots that are set are functions of the types they are for. The
        // result is a new reference or null.
        let iterator = unsafe {
            let slots = (*ffi::Py_TYPE(future.as_ptr())).tp_as_async;
            let Some(am_await) = slots.as_ref().and_then(|slots| slots.am_await) else {
                return Err(PyTypeError::new_err("the loop's create_future returned no awaitable"));
            };
            Object::owned(am_await(future.as_ptr())).ok_or_else(|| PyErr::fetch(py))?
        };
        Ok(Self {
            future,
            iterator,
            ticket,
        })
    }

    /// Await the future one step further: what is to be handed to the loop, or None if it is done.
    pub fn step(&self, py: Python<'_>) -> PyResult<Option<Object>> {
        let mut result = std::ptr::null_mut();
        // SAFETY: attached; the iterator and None are alive. The result is a new reference unless there was an error.
        let (status, result) = unsafe {
            let status = ffi::PyIter_Send(self.iterator.as_ptr(), ffi::Py_None(), &raw mut result);
            (status, Object::owned(result))
        };
        match status {
            ffi::PySendResult::PYGEN_RETURN => Ok(None),
            ffi::PySendResult::PYGEN_NEXT => Ok(result),
            ffi::PySendResult::PYGEN_ERROR => Err(PyErr::fetch(py)),
        }
    }
}

impl PriorityQueue {
    /// Grant a wish, or wait; `before` is the wait that has ended, if there was one.
    pub fn grant(slf: &Bound<'_, Self>, wish: &mut Wish, before: Option<Wait>) -> PyResult<Outcome> {
        let py = slf.py();
        match wish {
            Wish::Get => Self::get_or_wait(slf, before),
            Wish::Batch(max) => {
                let items = if before.is_none() {
                    slf.get().take_many(py, *max)?
                } else {
                    PyList::empty(py)
                };
                if items.is_empty() {
                    let outcome = Self::get_or_wait(slf, before)?;
                    let Outcome::Done(item) = outcome else {
                        return Ok(outcome);
                    };
                    items.append(item.into_bound(py))?;
                    items.call_method1(intern!(py, "extend"), (slf.get().take_many(py, *max - 1)?,))?;
                }
                Ok(Outcome::Done(items.into_any().into()))
            }
            Wish::Put(item, order) => Self::put_or_wait(slf, item, order, before),
            Wish::Join => {
                if before.is_some() {
                    return Ok(done(py));
                }
                slf.get().wait_done(py)
            }
        }
    }

    fn get_or_wait(slf: &Bound<'_, Self>, before: Option<Wait>) -> PyResult<Outcome> {
        let (py, this) = (slf.py(), slf.get());
        if let Some(item) = this.pop(py)? {
            return Ok(Outcome::Done(item));
        }
        let mut ticket = before.map_or(0, |wait| wait.ticket);
        let mut wait = Wait::new(py, this.new_future(py)?.into(), ticket)?;
        let now = this.now_if_needed(py)?;
        let mut lost = Lost::new();
        // One change, so that an item from another thread either is seen or sees the future.
        let (item, over, awaited) = this.state.with(py, |state| {
            let item = state.pop(now, &mut lost);
            let over = item.is_none() && state.is_over();
            if item.is_none() && !over {
                state.line_up(wait.future.again(py), &mut ticket);
            }
            (item, over, state.is_awaited())
        })?;
        if awaited || !lost.is_empty() {
            this.settle(py, lost);
        }
        if let Some(item) = item {
            return Ok(Outcome::Done(item));
        }
        if over {
            return Err(this.nothing(py));
        }
        wait.ticket = ticket;
        if let Err(error) = Self::arm(slf) {
            this.stop_getting(py, &wait.future);
            return Err(error);
        }
        Ok(Outcome::Waits(wait))
    }

    fn put_or_wait(
        slf: &Bound<'_, Self>,
        item: &mut Option<Object>,
        order: &Order,
        before: Option<Wait>,
    ) -> PyResult<Outcome> {
        let (py, this) = (slf.py(), slf.get());
        if before.is_none() && !this.state.with(py, State::reserve)? {
            let wait = Wait::new(py, this.new_future(py)?.into(), 0)?;
            let reserved = this.state.with(py, |state| {
                let reserved = state.reserve();
                if !reserved {
                    state.putters.push_back(wait.future.again(py));
                }
                reserved
            })?;
            if !reserved {
                return Ok(Outcome::Waits(wait));
            }
        }
        match Self::put_reserved(slf, item, order) {
            Ok(id) => Ok(Outcome::Done(id.into_pyobject(py)?.into_any().into())),
            Err(error) => {
                this.release(py);
                Err(error)
            }
        }
    }

    fn wait_done(&self, py: Python<'_>) -> PyResult<Outcome> {
        if self.state.with(py, |state| state.unfinished == 0)? {
            return Ok(done(py));
        }
        let wait = Wait::new(py, self.new_future(py)?.into(), 0)?;
        let waits = self.state.with(py, |state| {
            let waits = state.unfinished > 0;
            if waits {
                state.joiners.push(wait.future.again(py));
            }
            waits
        })?;
        Ok(if waits { Outcome::Waits(wait) } else { done(py) })
    }

    /// A wait ended without its purpose: nobody may be kept waiting by that, and nothing lost.
    pub fn give_up(&self, py: Python<'_>, wish: &Wish, wait: &Wait) {
        match wish {
            Wish::Get | Wish::Batch(_) => self.stop_getting(py, &wait.future),
            Wish::Put(..) => {
                let left = self.state.with(py, |state| state.forget_putter(&wait.future));
                if is_woken(py, left, &wait.future) {
                    self.release(py);
                }
            }
            Wish::Join => {
                // Dropped outside the change.
                drop(self.state.with(py, |state| state.forget_joiner(&wait.future)));
            }
        }
    }

    fn stop_getting(&self, py: Python<'_>, future: &Object) {
        let left = self.state.with(py, |state| state.forget_getter(future));
        if is_woken(py, left, future) {
            // For an item that it will not take: somebody else shall.
            if let Err(error) = self
                .state
                .with(py, |state| state.items.ready().min(1))
                .and_then(|count| self.wake_getters(py, count))
            {
                error.write_unraisable(py, None);
            }
        }
    }

    /// Give a reserved place back.
    fn release(&self, py: Python<'_>) {
        let released = self
            .state
            .with(py, |state| state.reserved = state.reserved.saturating_sub(1));
        match released {
            Ok(()) => self.settle(py, Lost::new()),
            Err(error) => error.write_unraisable(py, None),
        }
    }
}

fn done(py: Python<'_>) -> Outcome {
    Outcome::Done(py.None().into_bound(py).into())
}

/// Whether a future that left its line (`left`), or did not stand there any more, was woken: nobody else cancels one.
fn is_woken<T>(py: Python<'_>, left: PyResult<Option<T>>, future: &Object) -> bool {
    let cancelled = match left {
        Ok(None) => future
            .bind(py)
            .call_method0(intern!(py, "cancelled"))
            .and_then(|cancelled| cancelled.is_truthy()),
        Ok(Some(_)) => Ok(true),
        Err(error) => Err(error),
    };
    match cancelled {
        Ok(cancelled) => !cancelled,
        Err(error) => {
            error.write_unraisable(py, Some(future.bind(py)));
            false
        }
    }
}
