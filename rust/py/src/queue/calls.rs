//! The methods that are called most, by the interpreter's own convention (see `raw`).

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::ids::new_id;
use super::order::{Arguments, DEFAULT_PRIORITY, Order, quick_priority, read_priority};
use super::state::State;
use super::wish::Wish;
use super::{PriorityQueue, coroutine, full, shut_down, too_many_times};
use crate::object::Object;
use crate::raw::{self, Call, Method};

type Values = *const *mut ffi::PyObject;

/// # Safety
/// `slf` is the receiver of a method of `PriorityQueue`, so alive as long as it runs.
unsafe fn bound(py: Python<'_>, slf: *mut ffi::PyObject) -> Bound<'_, PriorityQueue> {
    // SAFETY: as promised.
    unsafe { Bound::from_borrowed_ptr(py, slf).cast_into_unchecked() }
}

fn new_bool(value: bool) -> Object {
    // SAFETY: attached, and both live for ever.
    unsafe { Object::borrowed(if value { ffi::Py_True() } else { ffi::Py_False() }) }
}

fn none() -> Object {
    // SAFETY: attached, and it lives for ever.
    unsafe { Object::borrowed(ffi::Py_None()) }
}

/// The methods that are called most take no arguments by a convention that could: CPython calls functions of it without
/// a detour, `METH_NOARGS` only where it sees the method, not where a loop calls one that it has kept.
#[cold]
fn takes_none(function: &str, count: ffi::Py_ssize_t) -> *mut ffi::PyObject {
    raw::slowly(|_| {
        Err(PyTypeError::new_err(format!(
            "PriorityQueue.{function}() takes no arguments ({count} given)"
        )))
    })
}

/// # Safety
/// A method of `PriorityQueue`, as all that follow.
unsafe extern "C" fn put_nowait(
    slf: *mut ffi::PyObject,
    values: Values,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let given = Arguments {
        function: "put_nowait",
        values,
        count,
        names,
    };
    // SAFETY: the interpreter calls it with a receiver and arguments that are alive.
    unsafe {
        raw::quickly(
            |py| {
                let (item, priority) = given.quickly(py)?;
                let queue: &PriorityQueue = raw::receiver(slf);
                let (id, getters) = queue.state.try_with(py, |state| {
                    let id = state.put_plain(|| Object::borrowed(item), priority)?;
                    Some((id, !state.getters.is_empty()))
                })??;
                if getters {
                    PriorityQueue::notify(&bound(py, slf), false, 1);
                }
                new_id(id)
            },
            |py| {
                let (item, order) = given.read(py, true)?;
                let id = PriorityQueue::put_one(&bound(py, slf), item, &order)?;
                Ok(id.into_pyobject(py)?.into_any().unbind())
            },
        )
    }
}

/// # Safety
/// See `put_nowait`.
unsafe extern "C" fn put_threadsafe(
    slf: *mut ffi::PyObject,
    values: Values,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let given = Arguments {
        function: "put_threadsafe",
        values,
        count,
        names,
    };
    // SAFETY: as `put_nowait`.
    unsafe {
        raw::quickly(
            |py| {
                let (item, priority) = given.quickly(py)?;
                let queue: &PriorityQueue = raw::receiver(slf);
                let id = queue.state.try_with(py, |state| {
                    if !state.armed && !state.getters.is_empty() {
                        return None;
                    }
                    state.put_plain(|| Object::borrowed(item), priority)
                })??;
                new_id(id)
            },
            |py| {
                let (item, order) = given.read(py, false)?;
                let id = PriorityQueue::put_from_thread(&bound(py, slf), item, order.priority)?;
                Ok(id.into_pyobject(py)?.into_any().unbind())
            },
        )
    }
}

/// # Safety
/// See `put_nowait`.
unsafe extern "C" fn put(
    slf: *mut ffi::PyObject,
    values: Values,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let given = Arguments {
        function: "put",
        values,
        count,
        names,
    };
    // SAFETY: as `put_nowait`.
    unsafe {
        raw::quickly(
            |py| {
                let (item, priority) = given.quickly(py)?;
                coroutine::new(slf, Wish::Put(Some(Object::borrowed(item)), Order::plain(priority)))
            },
            |py| {
                let (item, order) = given.read(py, true)?;
                start(py, slf, Wish::Put(Some(item.into()), order))
            },
        )
    }
}

/// # Safety
/// See `put_nowait`.
unsafe extern "C" fn get_nowait(
    slf: *mut ffi::PyObject,
    _: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: as `put_nowait`.
    unsafe {
        if count > 0 {
            return takes_none("get_nowait", count);
        }
        raw::quickly(
            |py| {
                let queue: &PriorityQueue = raw::receiver(slf);
                queue.state.try_with(py, State::pop_plain)?
            },
            |py| {
                let queue = raw::receiver::<PriorityQueue>(slf);
                let item = queue.pop(py)?.ok_or_else(|| queue.nothing(py))?;
                Ok(item.into_bound(py).unbind())
            },
        )
    }
}

/// # Safety
/// See `put_nowait`.
unsafe extern "C" fn get(
    slf: *mut ffi::PyObject,
    _: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: as `put_nowait`.
    unsafe {
        if count > 0 {
            return takes_none("get", count);
        }
        raw::quickly(|_| coroutine::new(slf, Wish::Get), |py| start(py, slf, Wish::Get))
    }
}

/// # Safety
/// See `put_nowait`.
unsafe extern "C" fn join(slf: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: as `put_nowait`.
    unsafe { raw::quickly(|_| coroutine::new(slf, Wish::Join), |py| start(py, slf, Wish::Join)) }
}

/// # Safety
/// `slf` as in `put_nowait`.
unsafe fn start(py: Python<'_>, slf: *mut ffi::PyObject, wish: Wish) -> PyResult<Py<PyAny>> {
    // SAFETY: promised by the caller.
    let made = unsafe { coroutine::new(slf, wish) };
    made.map(|made| made.into_bound(py).unbind())
        .ok_or_else(|| PyErr::fetch(py))
}

/// # Safety
/// See `put_nowait`.
unsafe extern "C" fn put_many(
    slf: *mut ffi::PyObject,
    values: Values,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as `put_nowait`.
    unsafe {
        raw::quickly(
            |py| {
                let priority = match (count, names.is_null()) {
                    (1, true) => DEFAULT_PRIORITY,
                    (2, true) => quick_priority(*values.add(1))?,
                    _ => return None,
                };
                put_all(py, slf, *values, priority)
            },
            |py| {
                let given = raw::arguments(py, "put_many", ["items", "priority"], values, count, names)?;
                let items = raw::required(given[0], "put_many", "items")?;
                let priority = given[1].map_or(Ok(DEFAULT_PRIORITY), |priority| read_priority(&priority))?;
                let items = items.try_iter()?.collect::<PyResult<Vec<_>>>()?;
                let items = PyTuple::new(py, items)?;
                let queue = raw::receiver::<PriorityQueue>(slf);
                if queue.state.with(py, |state| state.closed)? {
                    return Err(shut_down(py));
                }
                let now = queue.now_if_needed(py)?;
                let order = Order::plain(priority);
                let getters = queue.state.with(py, |state| {
                    if state.room() < items.len() {
                        return Err(full(py));
                    }
                    for item in items.iter_borrowed() {
                        state.put(Object::borrowed(item.as_ptr()), &order, now);
                    }
                    Ok(!state.getters.is_empty())
                })??;
                if getters {
                    PriorityQueue::notify(&bound(py, slf), false, items.len());
                }
                Ok(py.None())
            },
        )
    }
}

/// Put the items of a list or a tuple where nothing is to be considered but the room.
///
/// # Safety
/// `slf` as in `put_nowait`, and `items` is alive.
unsafe fn put_all(py: Python<'_>, slf: *mut ffi::PyObject, items: *mut ffi::PyObject, priority: u8) -> Option<Object> {
    // SAFETY: promised by the caller. No Python code runs while the items are read, so the list stays as it is.
    unsafe {
        let (first, count) = if ffi::PyList_CheckExact(items) != 0 {
            (
                (*items.cast::<ffi::PyListObject>()).ob_item,
                ffi::PyList_GET_SIZE(items),
            )
        } else if ffi::PyTuple_CheckExact(items) != 0 {
            let tuple = items.cast::<ffi::PyTupleObject>();
            ((&raw mut (*tuple).ob_item).cast(), ffi::PyTuple_GET_SIZE(items))
        } else {
            return None;
        };
        let count = count.unsigned_abs();
        let queue: &PriorityQueue = raw::receiver(slf);
        let getters = queue.state.try_with(py, |state| {
            if state.items.needs_clock() || state.room() < count || state.closed {
                return None;
            }
            state.unfinished += count;
            for index in 0..count {
                state.items.put_plain(Object::borrowed(*first.add(index)), priority);
            }
            Some(!state.getters.is_empty())
        })??;
        if getters {
            PriorityQueue::notify(&bound(py, slf), false, count);
        }
        Some(none())
    }
}

/// # Safety
/// See `put_nowait`.
unsafe extern "C" fn get_many(
    slf: *mut ffi::PyObject,
    values: Values,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as `put_nowait`.
    unsafe {
        raw::quickly(
            |py| {
                if count != 1 || !names.is_null() {
                    return None;
                }
                take_all(py, slf, *values)
            },
            |py| {
                let max = read_max(py, "get_many", values, count, names)?;
                let items: Bound<'_, PyList> = raw::receiver::<PriorityQueue>(slf).take_many(py, max)?;
                Ok(items.into_any().unbind())
            },
        )
    }
}

/// # Safety
/// The arguments are what the interpreter passed to the method that runs.
unsafe fn read_max(
    py: Python<'_>,
    function: &str,
    values: Values,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> PyResult<usize> {
    // SAFETY: promised by the caller.
    let given = unsafe { raw::arguments(py, function, ["max"], values, count, names)? };
    raw::required(given[0], function, "max")?.extract()
}

/// As many items as `max` says, where nobody but the caller is concerned by their leaving.
///
/// # Safety
/// `slf` as in `put_nowait`, and `max` is alive.
unsafe fn take_all(py: Python<'_>, slf: *mut ffi::PyObject, max: *mut ffi::PyObject) -> Option<Object> {
    // SAFETY: promised by the caller. The list has a place for each item, and has them all before anybody else sees it.
    unsafe {
        if ffi::PyLong_CheckExact(max) == 0 {
            return None;
        }
        let mut overflow = 0;
        let max = ffi::PyLong_AsLongAndOverflow(max, &raw mut overflow);
        let max = usize::try_from(max).ok().filter(|_| overflow == 0)?;
        let queue: &PriorityQueue = raw::receiver(slf);
        let count = queue.state.try_with(py, |state| max.min(state.items.ready()))?;
        let count = ffi::Py_ssize_t::try_from(count).ok()?;
        let list = Object::owned(ffi::PyList_New(count))?;
        // Making the list may have run a collection, and that anything.
        let taken = queue.state.try_with(py, |state| {
            let mut taken = 0;
            while taken < count {
                let Some(item) = state.pop_plain() else { break };
                ffi::PyList_SET_ITEM(list.as_ptr(), taken, item.into_ptr());
                taken += 1;
            }
            taken
        })?;
        if taken < count {
            (*list.as_ptr().cast::<ffi::PyVarObject>()).ob_size = taken;
        }
        // None at all is rare, and may have a reason that concerns others.
        (taken > 0 || max == 0).then_some(list)
    }
}

/// # Safety
/// See `put_nowait`.
unsafe extern "C" fn get_batch(
    slf: *mut ffi::PyObject,
    values: Values,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    raw::slowly(|py| {
        // SAFETY: as `put_nowait`.
        unsafe {
            let max = read_max(py, "get_batch", values, count, names)?;
            if max < 1 {
                let text = format!("max is {max}; a batch has at least one item");
                return Err(PyValueError::new_err(text));
            }
            start(py, slf, Wish::Batch(max))
        }
    })
}

/// # Safety
/// See `put_nowait`.
unsafe extern "C" fn task_done(slf: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: as `put_nowait`.
    unsafe {
        raw::quickly(
            |py| {
                let queue: &PriorityQueue = raw::receiver(slf);
                queue.state.try_with(py, |state| {
                    let rest = state.unfinished.checked_sub(1)?;
                    if rest == 0 && !state.joiners.is_empty() {
                        return None;
                    }
                    state.unfinished = rest;
                    Some(none())
                })?
            },
            |py| {
                let queue: &PriorityQueue = raw::receiver(slf);
                queue.state.with(py, |state| {
                    state.unfinished = state.unfinished.checked_sub(1).ok_or_else(too_many_times)?;
                    Ok::<_, PyErr>(())
                })??;
                queue.settle(py, Vec::new());
                Ok(py.None())
            },
        )
    }
}

/// # Safety
/// See `put_nowait`.
unsafe extern "C" fn qsize(slf: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: as `put_nowait`.
    unsafe {
        let queue: &PriorityQueue = raw::receiver(slf);
        raw::quickly(
            |py| {
                Object::owned(ffi::PyLong_FromSize_t(
                    queue.state.try_with(py, |state| state.items.len())?,
                ))
            },
            |py| {
                let size = queue.state.with(py, |state| state.items.len())?;
                Ok(size.into_pyobject(py)?.into_any().unbind())
            },
        )
    }
}

/// # Safety
/// See `put_nowait`.
unsafe extern "C" fn empty(slf: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: as `put_nowait`.
    unsafe {
        let queue: &PriorityQueue = raw::receiver(slf);
        raw::quickly(
            |py| {
                let empty = queue.state.try_with(py, |state| {
                    (!state.items.needs_clock()).then(|| state.items.ready() == 0)
                })?;
                empty.map(new_bool)
            },
            |py| {
                let now = queue.now_if_needed(py)?;
                let empty = queue.state.with(py, |state| {
                    state.items.wake(now);
                    state.items.ready() == 0
                })?;
                Ok(new_bool(empty).into_bound(py).unbind())
            },
        )
    }
}

/// # Safety
/// See `put_nowait`.
unsafe extern "C" fn full_now(slf: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: as `put_nowait`.
    unsafe {
        let queue: &PriorityQueue = raw::receiver(slf);
        raw::quickly(
            |py| queue.state.try_with(py, |state| new_bool(state.is_full())),
            |py| {
                let full = queue.state.with(py, |state| state.is_full())?;
                Ok(new_bool(full).into_bound(py).unbind())
            },
        )
    }
}

pub fn init(py: Python<'_>) -> PyResult<()> {
    raw::add_methods::<PriorityQueue>(
        py,
        [
            Method {
                name: c"put_nowait",
                doc: c"put_nowait($self, item, priority=100, *, delay_s=0.0, deadline_s=None)\n--\n\n\
Put an item and return its id.

Args:
    item: what to put.
    priority: 0 (first) to 255 (last).
    delay_s: how long it stays out of reach.
    deadline_s: how long it may be got; None is for ever.

Raises:
    asyncio.QueueFull: there is no room.
    QueueShutDown: the queue was shut down.
    ValueError: a priority or a time is out of range.",
                call: Call::Keywords(put_nowait),
            },
            Method {
                name: c"put",
                doc: c"put($self, item, priority=100, *, delay_s=0.0, deadline_s=None)\n--\n\n\
Put an item once there is room, and return its id.

Args:
    item: what to put.
    priority: 0 (first) to 255 (last).
    delay_s: how long it stays out of reach, from the moment it is in.
    deadline_s: how long it may be got, from the moment it is in; None is for ever.

Raises:
    QueueShutDown: the queue was shut down.
    ValueError: a priority or a time is out of range.",
                call: Call::Keywords(put),
            },
            Method {
                name: c"put_many",
                doc: c"put_many($self, items, priority=100)\n--\n\n\
Put several items of one priority, all or none.

Raises:
    asyncio.QueueFull: there is no room for all.
    QueueShutDown: the queue was shut down.
    ValueError: the priority is out of range.",
                call: Call::Keywords(put_many),
            },
            Method {
                name: c"put_threadsafe",
                doc: c"put_threadsafe($self, item, priority=100)\n--\n\n\
As put_nowait, from any thread.

Raises:
    asyncio.QueueFull: there is no room.
    QueueShutDown: the queue was shut down.
    RuntimeError: the loop of a waiting consumer is closed; the item was not put.
    ValueError: the priority is out of range.",
                call: Call::Keywords(put_threadsafe),
            },
            Method {
                name: c"get",
                doc: c"get($self, /)\n--\n\n\
Remove and return the next item, once there is one.

Raises:
    QueueShutDown: the queue was shut down and nothing is left.",
                call: Call::Positional(get),
            },
            Method {
                name: c"get_nowait",
                doc: c"get_nowait($self, /)\n--\n\n\
Take the next item.

Raises:
    asyncio.QueueEmpty: none is ready.
    QueueShutDown: the queue was shut down and nothing is left.",
                call: Call::Positional(get_nowait),
            },
            Method {
                name: c"get_many",
                doc: c"get_many($self, max)\n--\n\nTake up to max items that are ready, maybe none.",
                call: Call::Keywords(get_many),
            },
            Method {
                name: c"get_batch",
                doc: c"get_batch($self, max)\n--\n\n\
Wait for an item, and return it with what else is ready, at most max items.

Raises:
    QueueShutDown: the queue was shut down and nothing is left.
    ValueError: max is below 1.",
                call: Call::Keywords(get_batch),
            },
            Method {
                name: c"task_done",
                doc: c"task_done($self, /)\n--\n\n\
Say that an item that was got is dealt with.

Raises:
    ValueError: there is none.",
                call: Call::None(task_done),
            },
            Method {
                name: c"join",
                doc: c"join($self, /)\n--\n\n\
Return once every item that was put was got and dealt with (`task_done`).

Items that were cancelled or expired count as dealt with.",
                call: Call::None(join),
            },
            Method {
                name: c"qsize",
                doc: c"qsize($self, /)\n--\n\nHow many items there are, ready and delayed.",
                call: Call::None(qsize),
            },
            Method {
                name: c"empty",
                doc: c"empty($self, /)\n--\n\nWhether no item is ready.",
                call: Call::None(empty),
            },
            Method {
                name: c"full",
                doc: c"full($self, /)\n--\n\nWhether there are as many items as there may be.",
                call: Call::None(full_now),
            },
        ],
    )
}
