//! What a queue is made of, and what has to happen after it changed.

use std::collections::VecDeque;

use aisys_core::queue::PrioQueue;

use super::order::Order;
use crate::object::Object;

/// The items, and who waits for what. Waiters are asyncio futures.
pub struct State {
    pub items: PrioQueue<Object>,
    /// How many items there may be now: none once the queue is closed.
    limit: usize,
    /// Places kept free for producers that were woken and have not run yet: nobody overtakes them.
    pub reserved: usize,
    /// Items that were put and for which `task_done` is still to come.
    pub unfinished: usize,
    pub closed: bool,
    /// A wake-up from another thread is on its way to the loop.
    pub armed: bool,
    pub getters: VecDeque<Getter>,
    pub putters: VecDeque<Object>,
    pub joiners: Vec<Object>,
    pub expired: u64,
    maxsize: usize,
    tickets: u64,
    /// The loop on which consumers wait.
    pub home: Option<Home>,
    pub timer: Option<Timer>,
}

/// A consumer that waits. Tickets number the consumers in the order in which they came.
pub struct Getter {
    pub future: Object,
    ticket: u64,
}

/// An event loop, and its method that is called most.
pub struct Home {
    pub event_loop: Object,
    pub create_future: Object,
}

/// The callback by which the loop wakes consumers when a delayed item is due, and when that is by the loop's clock.
pub struct Timer {
    pub handle: Object,
    pub event_loop: Object,
    pub when: f64,
}

/// Items that left without reaching a consumer.
pub type Lost = Vec<Object>;

impl State {
    pub fn new(maxsize: usize, ageing_ns: Option<u64>) -> Self {
        Self {
            items: PrioQueue::new(ageing_ns),
            limit: if maxsize == 0 { usize::MAX } else { maxsize },
            reserved: 0,
            unfinished: 0,
            closed: false,
            armed: false,
            getters: VecDeque::new(),
            putters: VecDeque::new(),
            joiners: Vec::new(),
            expired: 0,
            maxsize,
            tickets: 0,
            home: None,
            timer: None,
        }
    }

    pub fn is_full(&self) -> bool {
        self.maxsize > 0 && self.items.len() >= self.maxsize
    }

    pub const fn maxsize(&self) -> usize {
        self.maxsize
    }

    /// How many more items may come in.
    #[inline]
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.items.len() + self.reserved)
    }

    /// Keep a place for one who puts next, whom a closed queue tells that it is closed; false if he has to wait.
    pub fn reserve(&mut self) -> bool {
        let free = self.closed || (self.room() > 0 && self.putters.is_empty());
        self.reserved += usize::from(free);
        free
    }

    pub fn close(&mut self) {
        self.closed = true;
        self.limit = 0;
    }

    /// Put an item if nothing is to be considered but its priority; its id.
    #[inline]
    pub fn put_plain(&mut self, item: impl FnOnce() -> Object, priority: u8) -> Option<u64> {
        if self.items.needs_clock() || self.items.len() + self.reserved >= self.limit {
            return None;
        }
        self.unfinished += 1;
        Some(self.items.put_plain(item(), priority))
    }

    /// Put an item for which there is room.
    pub fn put(&mut self, item: Object, order: &Order, now: u64) -> u64 {
        self.unfinished += 1;
        self.items
            .put(item, order.priority, now, order.due(now), order.deadline(now))
    }

    /// Take an item if nobody is concerned by that but who takes it.
    #[inline]
    pub fn pop_plain(&mut self) -> Option<Object> {
        if self.items.needs_clock() || !self.putters.is_empty() || self.closed {
            return None;
        }
        self.items.pop_plain()
    }

    #[inline]
    pub fn pop(&mut self, now: u64, lost: &mut Lost) -> Option<Object> {
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

    /// Whether nothing is left and nothing will come.
    #[inline]
    pub fn is_over(&self) -> bool {
        self.closed && self.items.is_empty()
    }

    /// Whether those who still wait for an item wait in vain.
    #[inline]
    pub fn has_ended(&self) -> bool {
        self.is_over() && !self.getters.is_empty()
    }

    /// Whether the loop is to be called for items that another thread put. One call at a time: the loop serves everything
    /// that is there when it comes round.
    #[inline]
    pub fn arm(&mut self) -> bool {
        let call = !self.armed && !self.getters.is_empty();
        self.armed |= call;
        call
    }

    /// The next producer to wake, with a place reserved for it if it is still there.
    pub fn next_putter(&mut self) -> Option<Object> {
        if self.room() > 0 || self.closed {
            self.putters.pop_front()
        } else {
            None
        }
    }

    /// Let a consumer stand in line, in its old place if it has a ticket already.
    pub fn line_up(&mut self, future: Object, ticket: &mut u64) {
        let place = if *ticket == 0 {
            self.tickets += 1;
            *ticket = self.tickets;
            self.getters.len()
        } else {
            // It was woken before, so it is one of the first.
            let later = self.getters.iter().position(|getter| getter.ticket > *ticket);
            later.unwrap_or(self.getters.len())
        };
        let ticket = *ticket;
        self.getters.insert(place, Getter { future, ticket });
    }

    /// Take a consumer out of the line; None if it was woken already.
    pub fn forget_getter(&mut self, future: &Object) -> Option<Getter> {
        let place = self.getters.iter().position(|getter| getter.future.is(future))?;
        self.getters.remove(place)
    }

    /// Take a producer out of the line; None if it was woken already.
    pub fn forget_putter(&mut self, future: &Object) -> Option<Object> {
        let place = self.putters.iter().position(|putter| putter.is(future))?;
        self.putters.remove(place)
    }

    pub fn forget_joiner(&mut self, future: &Object) -> Option<Object> {
        let place = self.joiners.iter().position(|joiner| joiner.is(future))?;
        Some(self.joiners.swap_remove(place))
    }

    /// Every object that is held here.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        let home = self
            .home
            .iter()
            .flat_map(|home| [&home.event_loop, &home.create_future]);
        let timer = self.timer.iter().flat_map(|timer| [&timer.handle, &timer.event_loop]);
        self.items
            .values()
            .chain(self.getters.iter().map(|getter| &getter.future))
            .chain(&self.putters)
            .chain(&self.joiners)
            .chain(home)
            .chain(timer)
    }
}
