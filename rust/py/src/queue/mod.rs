//! The priority queue for Python. Whatever need not wait is native; `aisys.queue` adds the waiting.
//!
//! No Python code runs while the state is being changed: an operation changes it, notes what follows, and only then
//! wakes futures and calls back.

mod state;

use std::time::Instant;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyType};

use crate::cell::GilCell;
use state::{Lost, State};

static EMPTY: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static FULL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static SHUT_DOWN: PyOnceLock<Py<PyType>> = PyOnceLock::new();

#[cold]
fn raise(py: Python<'_>, class: &PyOnceLock<Py<PyType>>, module: &str, name: &str) -> PyErr {
    match class.import(py, module, name) {
        Ok(class) => PyErr::from_type(class.clone(), ()),
        Err(failed) => failed,
    }
}

fn empty(py: Python<'_>) -> PyErr {
    raise(py, &EMPTY, "asyncio", "QueueEmpty")
}

fn full(py: Python<'_>) -> PyErr {
    raise(py, &FULL, "asyncio", "QueueFull")
}

fn shut_down(py: Python<'_>) -> PyErr {
    raise(py, &SHUT_DOWN, "aisys.queue.errors", "QueueShutDown")
}

fn read_priority(object: &Bound<'_, PyAny>) -> PyResult<u8> {
    object.extract::<u8>().map_err(|error| {
        if error.is_instance_of::<PyTypeError>(object.py()) {
            error
        } else {
            PyValueError::new_err(format!("priority {object} is not within 0 (first) to 255 (last)"))
        }
    })
}

/// Seconds as nanoseconds; ValueError unless they are a finite number that is not negative.
fn nanoseconds(seconds: f64, name: &str) -> PyResult<u64> {
    if seconds.is_finite() && seconds >= 0.0 {
        // Saturates far beyond any use.
        Ok((seconds * 1e9) as u64)
    } else {
        Err(PyValueError::new_err(format!(
            "{name} {seconds} is not a number of seconds from 0 up"
        )))
    }
}

/// The part of the priority queue that never waits. Use `aisys.queue.PriorityQueue`.
#[pyclass(frozen, subclass, generic, weakref, module = "aisys._native")]
pub struct QueueCore {
    state: GilCell<State>,
    on_expired: Option<Py<PyAny>>,
    /// The `monotonic` of an injected clock.
    clock: Option<Py<PyAny>>,
    started: Instant,
}

impl QueueCore {
    fn now(&self, py: Python<'_>) -> PyResult<u64> {
        match &self.clock {
            None => Ok(self.started.elapsed().as_nanos() as u64),
            Some(clock) => nanoseconds(clock.call0(py)?.extract(py)?, "the clock's time"),
        }
    }

    /// The time, if it makes a difference.
    #[inline]
    fn now_if_needed(&self, py: Python<'_>) -> PyResult<u64> {
        if self.state.with(py, |state| state.items.needs_clock())? {
            self.now(py)
        } else {
            Ok(0)
        }
    }

    /// Put one item, into a place that was reserved or into a free one.
    #[inline]
    fn put_one(
        slf: &Bound<'_, Self>,
        item: Py<PyAny>,
        priority: u8,
        delay_s: f64,
        deadline_s: Option<f64>,
        reserved: bool,
    ) -> PyResult<u64> {
        let (py, this) = (slf.py(), slf.get());
        let timed = delay_s != 0.0 || deadline_s.is_some();
        let (now, due, deadline) = if timed {
            let now = this.now(py)?;
            let due = now.saturating_add(nanoseconds(delay_s, "delay_s")?);
            let left = deadline_s
                .map(|seconds| nanoseconds(seconds, "deadline_s"))
                .transpose()?;
            (
                now,
                (delay_s != 0.0).then_some(due),
                left.map(|left| now.saturating_add(left)),
            )
        } else {
            (this.now_if_needed(py)?, None, None)
        };
        let (id, getters) = this.state.with(py, |state| {
            if state.closed {
                return Err(shut_down(py));
            }
            if !reserved && state.room() == 0 {
                return Err(full(py));
            }
            state.unfinished += 1;
            Ok((
                state.items.put(item, priority, now, due, deadline),
                !state.getters.is_empty(),
            ))
        })??;
        if getters {
            this.notify(slf, due.is_some(), 1);
        }
        Ok(id)
    }

    /// Tell getters about items that came in. They are in: what fails here is not the caller's failure.
    #[cold]
    fn notify(&self, slf: &Bound<'_, Self>, delayed: bool, count: usize) {
        let told = if delayed {
            slf.call_method0(intern!(slf.py(), "_arm")).map(drop)
        } else {
            self.wake_getters(slf.py(), count)
        };
        if let Err(error) = told {
            error.write_unraisable(slf.py(), Some(slf.as_any()));
        }
    }

    /// Wake up to `count` of those who wait for an item, first come first.
    fn wake_getters(&self, py: Python<'_>, mut count: usize) -> PyResult<()> {
        while count > 0 {
            let Some(getter) = self.state.with(py, |state| state.getters.pop_front())? else {
                return Ok(());
            };
            count -= usize::from(wake(getter.bind(py)));
        }
        Ok(())
    }

    fn wake_ready(&self, py: Python<'_>) -> PyResult<()> {
        let now = self.now_if_needed(py)?;
        let count = self.state.with(py, |state| {
            state.items.wake(now);
            state.items.ready()
        })?;
        self.wake_getters(py, count)
    }

    /// After items left: hand on what expired, and wake who waited for the room, for the end of work, or in vain.
    #[cold]
    fn settle(&self, py: Python<'_>, lost: Lost) {
        // An item that was taken must reach its consumer whatever happens to the others.
        if let Err(error) = self.try_settle(py, lost) {
            error.write_unraisable(py, None);
        }
    }

    fn try_settle(&self, py: Python<'_>, lost: Lost) -> PyResult<()> {
        for item in lost {
            if let Some(callback) = &self.on_expired {
                if let Err(error) = callback.call1(py, (item,)) {
                    // The consumer that happened to come by has nothing to do with it.
                    error.write_unraisable(py, Some(callback.bind(py)));
                }
            }
        }
        while let Some(putter) = self.state.with(py, State::next_putter)? {
            // Reserved first: waking may run code that puts.
            self.state.with(py, |state| state.reserved += 1)?;
            if !wake(putter.bind(py)) {
                self.state.with(py, |state| state.reserved -= 1)?;
            }
        }
        let joiners = self.state.with(py, |state| {
            if state.unfinished == 0 {
                std::mem::take(&mut state.joiners)
            } else {
                Vec::new()
            }
        })?;
        for joiner in joiners {
            wake(joiner.bind(py));
        }
        if self.state.with(py, |state| state.has_ended())? {
            self.wake_getters(py, usize::MAX)?;
        }
        Ok(())
    }

    /// The next item, if one is ready.
    #[inline]
    fn pop(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let now = self.now_if_needed(py)?;
        let mut lost = Lost::new();
        let (item, awaited) = self
            .state
            .with(py, |state| (state.pop(now, &mut lost), state.is_awaited()))?;
        if awaited || !lost.is_empty() {
            self.settle(py, lost);
        }
        Ok(item)
    }

    /// Why there is nothing.
    #[cold]
    fn nothing(&self, py: Python<'_>) -> PyErr {
        match self.state.with(py, |state| state.closed && state.items.is_empty()) {
            Ok(true) => shut_down(py),
            Ok(false) => empty(py),
            Err(error) => error,
        }
    }
}

/// End a future's wait; false if it does not wait any more, or cannot be told because its loop is closed.
fn wake(future: &Bound<'_, PyAny>) -> bool {
    let py = future.py();
    let woken = future.call_method0(intern!(py, "done")).and_then(|done| {
        if done.is_truthy()? {
            return Ok(false);
        }
        future.call_method1(intern!(py, "set_result"), (py.None(),))?;
        Ok(true)
    });
    woken.unwrap_or_else(|error| {
        // Who put or got an item just now has nothing to do with it.
        error.write_unraisable(py, Some(future));
        false
    })
}

#[pymethods]
impl QueueCore {
    #[new]
    #[pyo3(signature = (maxsize=0, *, ageing_s=None, on_expired=None, clock=None))]
    fn new(
        maxsize: usize,
        ageing_s: Option<f64>,
        on_expired: Option<Py<PyAny>>,
        clock: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let ageing_ns = ageing_s.map(|seconds| nanoseconds(seconds, "ageing_s")).transpose()?;
        Ok(Self {
            state: GilCell::new(State::new(maxsize, ageing_ns)),
            on_expired,
            clock: clock
                .map(|clock| clock.getattr("monotonic").map(Bound::unbind))
                .transpose()?,
            started: Instant::now(),
        })
    }

    /// Put an item and return its id; QueueFull if there is no room.
    #[pyo3(signature = (item, priority=None, *, delay_s=0.0, deadline_s=None), text_signature = "($self, item, priority=100, *, delay_s=0.0, deadline_s=None)")]
    fn put_nowait(
        slf: &Bound<'_, Self>,
        item: Py<PyAny>,
        priority: Option<&Bound<'_, PyAny>>,
        delay_s: f64,
        deadline_s: Option<f64>,
    ) -> PyResult<u64> {
        let priority = priority.map_or(Ok(100), read_priority)?;
        Self::put_one(slf, item, priority, delay_s, deadline_s, false)
    }

    /// Put several items of one priority, all or none; QueueFull if there is no room for all.
    #[pyo3(signature = (items, priority=None), text_signature = "($self, items, priority=100)")]
    fn put_many(slf: &Bound<'_, Self>, items: &Bound<'_, PyAny>, priority: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let priority = priority.map_or(Ok(100), read_priority)?;
        let mut items = items
            .try_iter()?
            .map(|item| item.map(Bound::unbind))
            .collect::<PyResult<Vec<_>>>()?;
        let now = this.now_if_needed(py)?;
        let count = items.len();
        let getters = this.state.with(py, |state| {
            if state.closed {
                return Err(shut_down(py));
            }
            if state.room() < count {
                return Err(full(py));
            }
            state.unfinished += count;
            for item in items.drain(..) {
                state.items.put(item, priority, now, None, None);
            }
            Ok(!state.getters.is_empty())
        })??;
        if getters {
            this.notify(slf, false, count);
        }
        Ok(())
    }

    /// As put_nowait, from any thread.
    #[pyo3(signature = (item, priority=None), text_signature = "($self, item, priority=100)")]
    fn put_threadsafe(slf: &Bound<'_, Self>, item: Py<PyAny>, priority: Option<&Bound<'_, PyAny>>) -> PyResult<u64> {
        let (py, this) = (slf.py(), slf.get());
        let priority = priority.map_or(Ok(100), read_priority)?;
        let now = this.now_if_needed(py)?;
        let (id, getter) = this.state.with(py, |state| {
            if state.closed {
                return Err(shut_down(py));
            }
            if state.room() == 0 {
                return Err(full(py));
            }
            state.unfinished += 1;
            let id = state.items.put(item, priority, now, None, None);
            // One wake-up at a time: the loop serves everything that is there when it comes round.
            let getter = if state.armed {
                None
            } else {
                state.getters.front().map(|getter| getter.clone_ref(py))
            };
            state.armed |= getter.is_some();
            Ok((id, getter))
        })??;
        if let Some(getter) = getter {
            let called = getter
                .call_method0(py, intern!(py, "get_loop"))
                .and_then(|event_loop| slf.getattr(intern!(py, "_wake")).map(|wake| (event_loop, wake)))
                .and_then(|(event_loop, wake)| {
                    event_loop.call_method1(py, intern!(py, "call_soon_threadsafe"), (wake,))
                });
            if let Err(error) = called {
                // The loop is closed: as if it had never been put.
                this.state.with(py, |state| state.armed = false)?;
                this.cancel(py, id)?;
                return Err(error);
            }
        }
        Ok(id)
    }

    /// Take the next item; QueueEmpty if none is ready, QueueShutDown if none will come.
    fn get_nowait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.pop(py)? {
            Some(item) => Ok(item),
            None => Err(self.nothing(py)),
        }
    }

    /// Take up to max items that are ready, maybe none.
    fn get_many<'py>(&self, py: Python<'py>, max: usize) -> PyResult<Bound<'py, PyList>> {
        let now = self.now_if_needed(py)?;
        let mut lost = Lost::new();
        let (items, awaited) = self.state.with(py, |state| {
            let mut items = Vec::with_capacity(max.min(state.items.ready()));
            while items.len() < max {
                let Some(item) = state.pop(now, &mut lost) else { break };
                items.push(item);
            }
            (items, state.is_awaited())
        })?;
        if awaited || !lost.is_empty() {
            self.settle(py, lost);
        }
        PyList::new(py, items)
    }

    /// Take out the item of an id, ready or delayed; False if it is not here any more.
    fn cancel(&self, py: Python<'_>, id: u64) -> PyResult<bool> {
        let (item, awaited) = self.state.with(py, |state| {
            let item = state.items.cancel(id);
            state.unfinished = state.unfinished.saturating_sub(usize::from(item.is_some()));
            (item, state.is_awaited())
        })?;
        if awaited && item.is_some() {
            self.settle(py, Lost::new());
        }
        Ok(item.is_some())
    }

    /// Move the item of an id to the end of another priority; False if it is not here any more.
    fn reprioritize(&self, py: Python<'_>, id: u64, priority: &Bound<'_, PyAny>) -> PyResult<bool> {
        let priority = read_priority(priority)?;
        let now = self.now_if_needed(py)?;
        self.state.with(py, |state| state.items.reprioritize(id, priority, now))
    }

    /// How many items there are, ready and delayed.
    fn qsize(&self, py: Python<'_>) -> PyResult<usize> {
        self.state.with(py, |state| state.items.len())
    }

    /// Whether no item is ready.
    fn empty(&self, py: Python<'_>) -> PyResult<bool> {
        let now = self.now_if_needed(py)?;
        self.state.with(py, |state| {
            state.items.wake(now);
            state.items.ready() == 0
        })
    }

    /// Whether there are as many items as there may be.
    fn full(&self, py: Python<'_>) -> PyResult<bool> {
        self.state
            .with(py, |state| state.maxsize() > 0 && state.items.len() >= state.maxsize())
    }

    /// How many items there may be; 0 is any number.
    #[getter]
    fn maxsize(&self, py: Python<'_>) -> PyResult<usize> {
        self.state.with(py, |state| state.maxsize())
    }

    /// How many items have expired so far.
    #[getter]
    fn expired(&self, py: Python<'_>) -> PyResult<u64> {
        self.state.with(py, |state| state.expired)
    }

    /// Say that an item that was got is dealt with; ValueError if there is none.
    fn task_done(&self, py: Python<'_>) -> PyResult<()> {
        let awaited = self.state.with(py, |state| {
            if state.unfinished == 0 {
                return Err(PyValueError::new_err("task_done() called too many times"));
            }
            state.unfinished -= 1;
            Ok(state.is_awaited())
        })??;
        if awaited {
            self.settle(py, Lost::new());
        }
        Ok(())
    }

    /// Let no more items in; with immediate, throw away those that are here.
    #[pyo3(signature = (immediate=false))]
    fn shutdown(&self, py: Python<'_>, immediate: bool) -> PyResult<()> {
        let dropped = self.state.with(py, |state| {
            state.closed = true;
            let dropped = if immediate { state.items.drain() } else { Vec::new() };
            state.unfinished = state.unfinished.saturating_sub(dropped.len());
            dropped
        })?;
        drop(dropped);
        self.settle(py, Lost::new());
        Ok(())
    }

    /// The next item, or the default if none is ready.
    fn _try_get(&self, py: Python<'_>, default: Py<PyAny>) -> PyResult<Py<PyAny>> {
        Ok(self.pop(py)?.unwrap_or(default))
    }

    /// The next item, or the future itself, which is then woken when there is one.
    fn _get_or_wait(&self, py: Python<'_>, future: Py<PyAny>, first: bool) -> PyResult<Py<PyAny>> {
        let now = self.now_if_needed(py)?;
        let mut lost = Lost::new();
        // One change, so that an item from another thread either is seen or sees the future.
        let (got, awaited) = self.state.with(py, |state| {
            if let Some(item) = state.pop(now, &mut lost) {
                return (Ok(item), state.is_awaited());
            }
            if state.closed && state.items.is_empty() {
                return (Err(shut_down(py)), true);
            }
            if first {
                state.getters.push_front(future.clone_ref(py));
            } else {
                state.getters.push_back(future.clone_ref(py));
            }
            (Ok(future), state.is_awaited())
        })?;
        if awaited || !lost.is_empty() {
            self.settle(py, lost);
        }
        got
    }

    /// Reserve a place; if there is none, the future is woken with one reserved for it.
    fn _reserve(&self, py: Python<'_>, future: Py<PyAny>) -> PyResult<bool> {
        self.state.with(py, |state| {
            if state.closed {
                return Err(shut_down(py));
            }
            if state.room() > 0 && state.putters.is_empty() {
                state.reserved += 1;
                return Ok(true);
            }
            state.putters.push_back(future);
            Ok(false)
        })?
    }

    /// Give a reserved place back.
    fn _release(&self, py: Python<'_>) -> PyResult<()> {
        self.state
            .with(py, |state| state.reserved = state.reserved.saturating_sub(1))?;
        self.settle(py, Lost::new());
        Ok(())
    }

    /// Put an item into a reserved place, which is used up whatever happens.
    fn _put_reserved(
        slf: &Bound<'_, Self>,
        item: Py<PyAny>,
        priority: &Bound<'_, PyAny>,
        delay_s: &Bound<'_, PyAny>,
        deadline_s: &Bound<'_, PyAny>,
    ) -> PyResult<u64> {
        let (py, this) = (slf.py(), slf.get());
        let put = || {
            Self::put_one(
                slf,
                item,
                read_priority(priority)?,
                delay_s.extract()?,
                deadline_s.extract()?,
                true,
            )
        };
        let outcome = put();
        this.state
            .with(py, |state| state.reserved = state.reserved.saturating_sub(1))?;
        if outcome.is_err() {
            this.settle(py, Lost::new());
        }
        outcome
    }

    /// Register a future that is woken when all work is done; False if it is done already.
    fn _wait_done(&self, py: Python<'_>, future: Py<PyAny>) -> PyResult<bool> {
        self.state.with(py, |state| {
            if state.unfinished > 0 {
                state.joiners.push(future);
                return true;
            }
            false
        })
    }

    /// Forget a future that does not wait any more.
    fn _forget(&self, py: Python<'_>, future: &Bound<'_, PyAny>) -> PyResult<()> {
        self.state.with(py, |state| state.forget(future)).map(drop)
    }

    /// Wake as many getters as items are ready; whether some still wait.
    fn _wake(&self, py: Python<'_>) -> PyResult<bool> {
        self.state.with(py, |state| state.armed = false)?;
        self.wake_ready(py)?;
        self.state.with(py, |state| !state.getters.is_empty())
    }

    /// Seconds until the earliest delayed item is due, or None.
    fn _due_s(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        if self.state.with(py, |state| state.items.next_due().is_none())? {
            return Ok(None);
        }
        let now = self.now(py)?;
        let due = self.state.with(py, |state| state.items.next_due())?;
        Ok(due.map(|due| due.saturating_sub(now) as f64 / 1e9))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.on_expired)?;
        visit.call(&self.clock)?;
        // SAFETY: the collector runs with the GIL held.
        let visited = unsafe {
            self.state.with_in_gc(|state| {
                state
                    .items
                    .values()
                    .chain(state.waiters())
                    .try_for_each(|object| visit.call(object))
            })
        };
        visited.unwrap_or(Ok(()))
    }

    fn __clear__(&self, py: Python<'_>) {
        // Dropped outside the change: dropping runs finalisers.
        drop(
            self.state
                .with(py, |state| std::mem::replace(state, State::new(0, None))),
        );
    }
}

pub fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<QueueCore>()
}
