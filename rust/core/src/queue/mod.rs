//! A priority queue with constant-time operations.
//!
//! 256 priorities, each a ring that is first in, first out, and a bitmap of the rings that are not empty. Items live in a
//! slab; their ids stay valid until they leave, so that an item can be cancelled or moved wherever it is. Delayed items
//! wait in a heap and enter their ring when they are due. Time is whatever the caller says, in nanoseconds.

mod ring;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::slab::Slab;
use ring::Ring;

pub const PRIORITIES: usize = 256;
const NEVER: u64 = u64::MAX;
/// Cancelled entries that a ring or the heap may hold beyond its living ones before it is cleaned.
const SLACK: usize = 64;

struct Item<T> {
    value: T,
    /// When it became ready; what ageing counts from.
    since: u64,
    deadline: u64,
    place: Place,
    priority: u8,
}

#[derive(Clone, Copy)]
enum Place {
    Delayed,
    /// At this position of its ring.
    Ring(u64),
}

/// A delayed item: when it is due, the order of putting, its id.
type Due = Reverse<(u64, u64, u64)>;

/// A priority queue of `T`.
pub struct PrioQueue<T> {
    items: Slab<Item<T>>,
    rings: Box<[Ring]>,
    occupied: [u64; PRIORITIES / 64],
    ready: usize,
    heap: BinaryHeap<Due>,
    sequence: u64,
    /// Items with a deadline, ready or delayed.
    deadlines: usize,
    ageing: Option<u64>,
}

impl<T> PrioQueue<T> {
    /// With `ageing`, an item gains one priority for each `ageing` nanoseconds that it waits.
    pub fn new(ageing: Option<u64>) -> Self {
        Self {
            items: Slab::new(),
            rings: (0..PRIORITIES).map(|_| Ring::default()).collect(),
            occupied: [0; PRIORITIES / 64],
            ready: 0,
            heap: BinaryHeap::new(),
            sequence: 0,
            deadlines: 0,
            ageing,
        }
    }

    /// All items, ready and delayed.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Items that are ready, as of the last operation that was told the time.
    pub fn ready(&self) -> usize {
        self.ready
    }

    /// Whether the time passed to the other functions makes a difference just now. Reading a clock costs more than
    /// putting an item.
    #[inline]
    pub fn needs_clock(&self) -> bool {
        self.deadlines > 0 || !self.heap.is_empty() || self.ageing.is_some()
    }

    /// When the earliest delayed item is due.
    pub fn next_due(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((due, _, _))| *due)
    }

    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.items.values().map(|item| &item.value)
    }

    /// Add an item, at the end of its priority or, with `due`, once that time has come. The id is never 0.
    #[inline]
    pub fn put(&mut self, value: T, priority: u8, now: u64, due: Option<u64>, deadline: Option<u64>) -> u64 {
        // Those that are due by now were there first.
        self.wake(now);
        self.deadlines += usize::from(deadline.is_some());
        let deadline = deadline.unwrap_or(NEVER);
        let item = Item {
            value,
            since: now,
            deadline,
            place: Place::Delayed,
            priority,
        };
        let id = self.items.insert(item);
        match due {
            Some(due) if due > now => {
                self.sequence += 1;
                self.heap.push(Reverse((due, self.sequence, id)));
            }
            _ => self.enter(id as u32, now),
        }
        id
    }

    /// Take the next item. Those whose deadline has passed go to `expired` instead, and the one after them is next.
    #[inline]
    pub fn pop(&mut self, now: u64, expired: &mut Vec<T>) -> Option<T> {
        self.wake(now);
        loop {
            let priority = if let Some(step) = self.ageing {
                self.oldest(step)?
            } else {
                self.highest()?
            };
            let ring = &mut self.rings[priority];
            let index = ring.pop()?;
            if ring.is_empty() {
                self.occupied[priority / 64] &= !(1 << (priority % 64));
            }
            self.ready -= 1;
            let item = self.items.remove_at(index)?;
            if item.deadline == NEVER {
                return Some(item.value);
            }
            self.deadlines -= 1;
            if item.deadline > now {
                return Some(item.value);
            }
            expired.push(item.value);
        }
    }

    /// Move delayed items that are due into their rings.
    #[inline]
    pub fn wake(&mut self, now: u64) {
        while let Some(Reverse((due, _, id))) = self.heap.peek().copied() {
            // One that was cancelled is gone; the top of the heap is kept alive for `next_due`.
            let alive = self.items.get(id).is_some();
            if alive && due > now {
                return;
            }
            self.heap.pop();
            if alive {
                self.enter(id as u32, due);
            }
        }
    }

    /// Take an item out wherever it is.
    pub fn cancel(&mut self, id: u64) -> Option<T> {
        let item = self.items.remove(id)?;
        self.deadlines -= usize::from(item.deadline != NEVER);
        match item.place {
            Place::Ring(position) => self.leave(item.priority, position),
            Place::Delayed => self.clean_heap(),
        }
        Some(item.value)
    }

    /// Move an item to the end of another priority, where it waits anew; false if it is not here any more.
    pub fn reprioritize(&mut self, id: u64, priority: u8, now: u64) -> bool {
        self.wake(now);
        let Some(item) = self.items.get_mut(id) else {
            return false;
        };
        let (old, place) = (item.priority, item.place);
        item.priority = priority;
        if let Place::Ring(position) = place {
            if old != priority {
                self.leave(old, position);
                self.enter(id as u32, now);
            }
        }
        true
    }

    /// Take everything, in no particular order.
    pub fn drain(&mut self) -> Vec<T> {
        self.rings.iter_mut().for_each(|ring| *ring = Ring::default());
        self.occupied = [0; PRIORITIES / 64];
        self.ready = 0;
        self.heap.clear();
        self.deadlines = 0;
        self.items.drain().into_iter().map(|item| item.value).collect()
    }

    #[inline]
    fn enter(&mut self, index: u32, since: u64) {
        let Some(item) = self.items.get_at_mut(index) else {
            return;
        };
        let priority = item.priority as usize;
        item.since = since;
        item.place = Place::Ring(self.rings[priority].push(index));
        self.occupied[priority / 64] |= 1 << (priority % 64);
        self.ready += 1;
    }

    fn leave(&mut self, priority: u8, position: u64) {
        let priority = priority as usize;
        let ring = &mut self.rings[priority];
        ring.bury(position);
        self.ready -= 1;
        if ring.is_empty() {
            self.occupied[priority / 64] &= !(1 << (priority % 64));
        } else if ring.is_loose() {
            let items = &mut self.items;
            ring.tighten(|index, position| {
                if let Some(item) = items.get_at_mut(index) {
                    item.place = Place::Ring(position);
                }
            });
        }
    }

    /// Keep the top of the heap a living item, and the heap not much larger than what lives in it.
    fn clean_heap(&mut self) {
        let items = &self.items;
        if self.heap.len() > 2 * (items.len() - self.ready) + SLACK {
            self.heap.retain(|Reverse((_, _, id))| items.get(*id).is_some());
        }
        while self
            .heap
            .peek()
            .is_some_and(|Reverse((_, _, id))| items.get(*id).is_none())
        {
            self.heap.pop();
        }
    }

    #[inline]
    fn highest(&self) -> Option<usize> {
        let (word, bits) = self.occupied.iter().enumerate().find(|(_, bits)| **bits != 0)?;
        Some(word * 64 + bits.trailing_zeros() as usize)
    }

    /// The ring whose first item has the smallest `since + priority * step`. Within a ring the first is the oldest, so
    /// comparing the first ones is exact and nothing ever has to move.
    fn oldest(&self, step: u64) -> Option<usize> {
        let mut best = None;
        for (word, bits) in self.occupied.iter().enumerate() {
            let mut bits = *bits;
            while bits != 0 {
                let priority = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let first = self.rings[priority].first().and_then(|index| self.items.get_at(index));
                let since = first.map_or(NEVER, |item| item.since);
                let key = u128::from(since) + u128::from(step) * priority as u128;
                if best.is_none_or(|(least, _)| key < least) {
                    best = Some((key, priority));
                }
            }
        }
        best.map(|(_, priority)| priority)
    }
}
