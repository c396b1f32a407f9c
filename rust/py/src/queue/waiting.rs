//! Who waits, and how they are told: asyncio futures, event loops and their timers.
//!
//! All of this may run Python code, so none of it happens inside of a change of the state.

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::PriorityQueue;
use super::state::{Home, Lost, State, Timer};
use crate::object::Object;

/// uvloop rounds to milliseconds: less would spin until the item is due.
const MIN_TIMER_S: f64 = 0.001;

static GET_RUNNING_LOOP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// End a future's wait; false if it does not wait any more, or cannot be told because its loop is closed.
pub fn wake(py: Python<'_>, future: &Object) -> bool {
    let name = intern!(py, "set_result").as_ptr();
    // SAFETY: attached; name, future and None are alive. The result is a new reference or null.
    let told = unsafe {
        let arguments = [future.as_ptr(), ffi::Py_None()];
        let count = arguments.len();
        Object::owned(ffi::PyObject_VectorcallMethod(
            name,
            arguments.as_ptr(),
            count,
            std::ptr::null_mut(),
        ))
    };
    told.is_some() || not_told(future.bind(py))
}

/// A future that is done already may be so; anything else is reported. Who put or got an item just now has nothing to
/// do with it.
#[cold]
fn not_told(future: &Bound<'_, PyAny>) -> bool {
    let py = future.py();
    Python::attach(|_| {
        let error = PyErr::fetch(py);
        let done = future
            .call_method0(intern!(py, "done"))
            .and_then(|done| done.is_truthy());
        if !done.unwrap_or(false) {
            error.write_unraisable(py, Some(future));
        }
        false
    })
}

impl PriorityQueue {
    /// Tell getters about items that came in. They are in: what fails here is not the caller's failure.
    pub fn notify(slf: &Bound<'_, Self>, delayed: bool, count: usize) {
        let py = slf.py();
        let told = if delayed {
            Self::arm(slf)
        } else {
            slf.get().wake_getters(py, count)
        };
        if let Err(error) = told {
            error.write_unraisable(py, Some(slf.as_any()));
        }
    }

    /// Wake up to `count` of those who wait for an item, first come first.
    pub fn wake_getters(&self, py: Python<'_>, mut count: usize) -> PyResult<()> {
        while count > 0 {
            let Some(getter) = self.state.with(py, |state| state.getters.pop_front())? else {
                return Ok(());
            };
            count -= usize::from(wake(py, &getter.future));
        }
        Ok(())
    }

    /// Wake as many getters as items are ready.
    pub fn wake_ready(&self, py: Python<'_>) -> PyResult<()> {
        let now = self.now_if_needed(py)?;
        let count = self.state.with(py, |state| {
            state.items.wake(now);
            state.items.ready()
        })?;
        self.wake_getters(py, count)
    }

    /// After items left: hand on what expired, and wake who waited for the room, for the end of work, or in vain.
    #[cold]
    pub fn settle(&self, py: Python<'_>, lost: Lost) {
        // An item that was taken must reach its consumer whatever happens to the others.
        if let Err(error) = self.try_settle(py, lost) {
            error.write_unraisable(py, None);
        }
    }

    fn try_settle(&self, py: Python<'_>, lost: Lost) -> PyResult<()> {
        for item in lost {
            if let Some(callback) = &self.on_expired {
                if let Err(error) = callback.bind(py).call1((item.into_bound(py),)) {
                    // The consumer that happened to come by has nothing to do with it.
                    error.write_unraisable(py, Some(callback.bind(py)));
                }
            }
        }
        while let Some(putter) = self.state.with(py, State::next_putter)? {
            // Reserved first: waking may run code that puts.
            self.state.with(py, |state| state.reserved += 1)?;
            if !wake(py, &putter) {
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
            wake(py, &joiner);
        }
        if self.state.with(py, |state| state.has_ended())? {
            self.wake_getters(py, usize::MAX)?;
        }
        Ok(())
    }

    /// A future of the running loop, on which consumers wait from now on.
    pub fn new_future<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let event_loop = GET_RUNNING_LOOP
            .get_or_try_init(py, || {
                py.import("asyncio")?.getattr("get_running_loop").map(Bound::unbind)
            })?
            .bind(py)
            .call0()?;
        let known = self.state.with(py, |state| {
            let home = state.home.as_ref()?;
            home.event_loop
                .bind(py)
                .is(&event_loop)
                .then(|| home.create_future.again(py))
        })?;
        if let Some(create_future) = known {
            return create_future.into_bound(py).call0();
        }
        let create_future = event_loop.getattr(intern!(py, "create_future"))?;
        let home = Home {
            event_loop: event_loop.into(),
            create_future: create_future.clone().into(),
        };
        let old = self.state.with(py, |state| {
            // What another loop was asked to do may never happen.
            state.armed = false;
            state.home.replace(home)
        })?;
        drop(old);
        create_future.call0()
    }

    /// See to it that getters are woken when the earliest delayed item is due.
    pub fn arm(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let home = this.state.with(py, |state| {
            let home = state.home.as_ref().map(|home| home.event_loop.again(py));
            state.items.next_due().zip(home)
        })?;
        let Some((due, event_loop)) = home else {
            return Ok(());
        };
        let event_loop = event_loop.into_bound(py);
        let left_s = due.saturating_sub(this.now(py)?) as f64 / 1e9;
        let now_s: f64 = event_loop.call_method0(intern!(py, "time"))?.extract()?;
        let when = now_s + left_s.max(MIN_TIMER_S);
        let old = this.state.with(py, |state| {
            let armed = state
                .timer
                .as_ref()
                .is_some_and(|timer| timer.event_loop.bind(py).is(&event_loop) && timer.when <= when);
            if armed { Err(()) } else { Ok(state.timer.take()) }
        })?;
        let Ok(old) = old else {
            return Ok(());
        };
        if let Some(timer) = old {
            timer.handle.into_bound(py).call_method0(intern!(py, "cancel"))?;
        }
        let on_due = slf.getattr(intern!(py, "_on_due"))?;
        let handle = event_loop.call_method1(intern!(py, "call_at"), (when, on_due))?;
        let timer = Timer {
            handle: handle.into(),
            event_loop: event_loop.into(),
            when,
        };
        let old = this.state.with(py, |state| state.timer.replace(timer))?;
        drop(old);
        Ok(())
    }

    /// Have the loop of the waiting consumers wake them, from another thread.
    pub fn call_home(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let home = this
            .state
            .with(py, |state| state.home.as_ref().map(|home| home.event_loop.again(py)))?;
        let Some(event_loop) = home else {
            return Ok(());
        };
        let wake = slf.getattr(intern!(py, "_wake"))?;
        event_loop
            .into_bound(py)
            .call_method1(intern!(py, "call_soon_threadsafe"), (wake,))?;
        Ok(())
    }
}
