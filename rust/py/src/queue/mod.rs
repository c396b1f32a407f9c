//! The priority queue for Python.
//!
//! What is called most is in `calls`, by the interpreter's own convention; what may have to wait is in `wish`, behind
//! the coroutines of `coroutine`; how those who wait are told is in `waiting`. No Python code runs while the state is
//! being changed: an operation changes it, notes what follows, and only then wakes futures and calls back.

mod calls;
mod coroutine;
mod ids;
mod order;
mod state;
mod waiting;
mod wish;

use std::time::Instant;

use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyType};

use crate::cell::GilCell;
use crate::object::Object;
use order::{Order, nanoseconds, read_priority};
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

/// A queue with 256 priorities, 0 served first, first in first out within one.
///
/// It does what `asyncio.Queue` does and more: items may be delayed, may expire, may be cancelled
/// or moved by the id that putting them gave, and may be put from other threads. It belongs to the
/// event loop on which it is awaited; everything but `put_threadsafe` is called from there.
///
/// Producers that wait for room get it in the order in which they came, and nobody overtakes them.
/// A cancelled `get` never loses an item.
///
/// Args:
///     maxsize: how many items, ready and delayed, there may be; 0 is any number.
///     ageing_s: an item gains one priority for each `ageing_s` seconds it waits, so that low
///         priorities are served late but not never. None: strict priorities.
///     on_expired: called with each item whose deadline passed before it was got. It runs within
///         the call that found the item; what it raises goes to `sys.unraisablehook`.
///     clock: whose `monotonic` to use instead of the system's.
#[pyclass(frozen, generic, weakref, module = "aisys.queue")]
pub struct PriorityQueue {
    state: GilCell<State>,
    on_expired: Option<Py<PyAny>>,
    /// The `monotonic` of an injected clock.
    clock: Option<Py<PyAny>>,
    started: Instant,
}

impl PriorityQueue {
    fn now(&self, py: Python<'_>) -> PyResult<u64> {
        match &self.clock {
            None => Ok(self.started.elapsed().as_nanos() as u64),
            Some(clock) => nanoseconds(clock.bind(py).call0()?.extract()?, "the clock's time"),
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

    /// Put one item where there is room for it.
    fn put_one(slf: &Bound<'_, Self>, item: Bound<'_, PyAny>, order: &Order) -> PyResult<u64> {
        let (py, this) = (slf.py(), slf.get());
        let now = this.now_for(py, order)?;
        let (id, getters) = this.state.with(py, |state| {
            if state.closed {
                return Err(shut_down(py));
            }
            if state.room() == 0 {
                return Err(full(py));
            }
            Ok((state.put(item.into(), order, now), !state.getters.is_empty()))
        })??;
        if getters {
            Self::notify(slf, order.is_delayed(), 1);
        }
        Ok(id)
    }

    /// Put one item into a place that was reserved for it; it keeps the item if that fails.
    fn put_reserved(slf: &Bound<'_, Self>, item: &mut Option<Object>, order: &Order) -> PyResult<u64> {
        let (py, this) = (slf.py(), slf.get());
        let now = this.now_for(py, order)?;
        let (id, getters) = this.state.with(py, |state| {
            let item = if state.closed { None } else { item.take() };
            let item = item.ok_or_else(|| shut_down(py))?;
            state.reserved = state.reserved.saturating_sub(1);
            Ok::<_, PyErr>((state.put(item, order, now), !state.getters.is_empty()))
        })??;
        if getters {
            Self::notify(slf, order.is_delayed(), 1);
        }
        Ok(id)
    }

    fn now_for(&self, py: Python<'_>, order: &Order) -> PyResult<u64> {
        if order.is_timed() {
            self.now(py)
        } else {
            self.now_if_needed(py)
        }
    }

    /// Put one item for a consumer on a loop that runs in another thread.
    fn put_from_thread(slf: &Bound<'_, Self>, item: Bound<'_, PyAny>, priority: u8) -> PyResult<u64> {
        let (py, this) = (slf.py(), slf.get());
        let order = Order::plain(priority);
        let now = this.now_if_needed(py)?;
        let (id, call) = this.state.with(py, |state| {
            if state.closed {
                return Err(shut_down(py));
            }
            if state.room() == 0 {
                return Err(full(py));
            }
            Ok((state.put(item.into(), &order, now), state.arm()))
        })??;
        if call {
            Self::call_home_or_cancel(slf, id)?;
        }
        Ok(id)
    }

    fn call_home_or_cancel(slf: &Bound<'_, Self>, id: u64) -> PyResult<()> {
        Self::call_home(slf).or_else(|error| {
            // The loop is closed: as if it had never been put.
            let (py, this) = (slf.py(), slf.get());
            this.state.with(py, |state| state.armed = false)?;
            this.cancel(py, id)?;
            Err(error)
        })
    }

    /// The next item, if one is ready.
    fn pop(&self, py: Python<'_>) -> PyResult<Option<Object>> {
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

    /// Up to `max` items that are ready.
    fn take_many<'py>(&self, py: Python<'py>, max: usize) -> PyResult<Bound<'py, PyList>> {
        let now = self.now_if_needed(py)?;
        let mut lost = Lost::new();
        let (items, awaited) = self.state.with(py, |state| {
            state.items.wake(now);
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
        PyList::new(py, items.into_iter().map(|item| item.into_bound(py)))
    }

    /// Why there is nothing.
    #[cold]
    fn nothing(&self, py: Python<'_>) -> PyErr {
        match self.state.with(py, |state| state.is_over()) {
            Ok(true) => shut_down(py),
            Ok(false) => empty(py),
            Err(error) => error,
        }
    }
}

#[pymethods]
impl PriorityQueue {
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
    ///
    /// Raises:
    ///     ValueError: the priority is out of range.
    fn reprioritize(&self, py: Python<'_>, id: u64, priority: &Bound<'_, PyAny>) -> PyResult<bool> {
        let priority = read_priority(priority)?;
        let now = self.now_if_needed(py)?;
        self.state.with(py, |state| state.items.reprioritize(id, priority, now))
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

    /// Let no more items in; with immediate, throw away those that are here.
    #[pyo3(signature = (immediate=false))]
    fn shutdown(&self, py: Python<'_>, immediate: bool) -> PyResult<()> {
        let dropped = self.state.with(py, |state| {
            state.close();
            let dropped = if immediate { state.items.drain() } else { Vec::new() };
            state.unfinished = state.unfinished.saturating_sub(dropped.len());
            dropped
        })?;
        drop(dropped);
        self.settle(py, Lost::new());
        Ok(())
    }

    /// Wake as many getters as items are ready.
    fn _wake(&self, py: Python<'_>) -> PyResult<()> {
        self.state.with(py, |state| state.armed = false)?;
        self.wake_ready(py)
    }

    /// What the loop calls when a delayed item is due.
    fn _on_due(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        drop(this.state.with(py, |state| state.timer.take())?);
        this.wake_ready(py)?;
        if this.state.with(py, |state| !state.getters.is_empty())? {
            Self::arm(slf)?;
        }
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.on_expired)?;
        visit.call(&self.clock)?;
        // SAFETY: the collector runs with the GIL held.
        let visited = unsafe {
            self.state
                .with_in_gc(|state| state.objects().try_for_each(|object| visit.call(object.as_py())))
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

fn too_many_times() -> PyErr {
    PyValueError::new_err("task_done() called too many times")
}

pub fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // SAFETY: attached, as `module` shows.
    unsafe { ids::init() };
    coroutine::init(module.py())?;
    calls::init(module.py())?;
    module.add_class::<PriorityQueue>()
}
