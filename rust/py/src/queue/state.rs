//! What a queue is made of, and what has to happen after it changed.

use std::collections::VecDeque;

use aisys_core::queue::PrioQueue;
use pyo3::prelude::*;

/// The items, and who waits for what. Waiters are asyncio futures.
pub struct State {
    pub items: PrioQueue<Py<PyAny>>,
    pub getters: VecDeque<Py<PyAny>>,
    pub putters: VecDeque<Py<PyAny>>,
    pub joiners: Vec<Py<PyAny>>,
    /// Places kept free for producers that were woken and have not run yet: nobody overtakes them.
    pub reserved: usize,
    /// Items that were put and for which `task_done` is still to come.
    pub unfinished: usize,
    pub expired: u64,
    pub closed: bool,
    /// A wake-up from another thread is on its way to the loop.
    pub armed: bool,
    maxsize: usize,
}

/// Items that left without reaching a consumer.
pub type Lost = Vec<Py<PyAny>>;

impl State {
    pub fn new(maxsize: usize, ageing_ns: Option<u64>) -> Self {
        Self {
            items: PrioQueue::new(ageing_ns),
            getters: VecDeque::new(),
            putters: VecDeque::new(),
            joiners: Vec::new(),
            reserved: 0,
            unfinished: 0,
            expired: 0,
            closed: false,
            armed: false,
            maxsize,
        }
    }

    pub const fn maxsize(&self) -> usize {
        self.maxsize
    }

    /// How many more items may come in.
    #[inline]
    pub fn room(&self) -> usize {
        if self.maxsize == 0 {
            usize::MAX
        } else {
            self.maxsize.saturating_sub(self.items.len() + self.reserved)
        }
    }

    #[inline]
    pub fn pop(&mut self, now: u64, lost: &mut Lost) -> Option<Py<PyAny>> {
        let before = lost.len();
        let item = self.items.pop(now, lost);
        let expired = lost.len() - before;
        if expired > 0 {
            self.expired += expired as u64;
            self.unfinished = self.unfinished.saturating_sub(expired);
        }
        item
    }

    /// Whether items that left concern somebody who waits.
    #[inline]
    pub fn is_awaited(&self) -> bool {
        !self.putters.is_empty() || (self.unfinished == 0 && !self.joiners.is_empty()) || self.has_ended()
    }

    /// Whether those who still wait for an item wait in vain.
    #[inline]
    pub fn has_ended(&self) -> bool {
        self.closed && self.items.is_empty() && !self.getters.is_empty()
    }

    /// The next producer to wake, with a place reserved for it if it is still there.
    pub fn next_putter(&mut self) -> Option<Py<PyAny>> {
        if self.room() > 0 || self.closed {
            self.putters.pop_front()
        } else {
            None
        }
    }

    pub fn waiters(&self) -> impl Iterator<Item = &Py<PyAny>> {
        self.getters.iter().chain(&self.putters).chain(&self.joiners)
    }

    /// Forget a future, in whichever line it stands.
    pub fn forget(&mut self, future: &Bound<'_, PyAny>) -> Vec<Py<PyAny>> {
        let mut dropped = Vec::new();
        for line in [&mut self.getters, &mut self.putters] {
            let place = line.iter().position(|other| other.is(future));
            dropped.extend(place.and_then(|place| line.remove(place)));
        }
        let place = self.joiners.iter().position(|other| other.is(future));
        dropped.extend(place.map(|place| self.joiners.swap_remove(place)));
        dropped
    }
}
