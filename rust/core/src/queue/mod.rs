//! A priority queue with constant-time operations.
//!
//! 256 priorities, each a ring that is first in, first out, and a bitmap of the rings that are not empty. An item that
//! has only a priority stands in its ring, so that a deep queue is read and written in order, as caches like it; its id
//! is its position there. Items with more to them (a delay, a deadline, ageing, a move to another priority) live in a
//! slab, with their place in the ring. An id stays valid until its item leaves, so that an item can be cancelled or
//! moved wherever it is. Delayed items wait in a heap and enter their ring when they are due. Time is whatever the
//! caller says, in nanoseconds.

mod ring;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::slab::Slab;
use ring::{Entry, Ring};

pub const PRIORITIES: usize = 256;
const NEVER: u64 = u64::MAX;
/// Cancelled entries that a ring or the heap may hold beyond its living ones before it is cleaned.
const SLACK: usize = if cfg!(test) { 4 } else { 64 };

/// An item with more to it than a priority.
struct Item<T> {
    value: T,
    /// When it became ready; what ageing counts from.
    since: u64,
    deadline: u64,
    /// The id it had before it was moved, under which it is still known; 0 for none.
    alias: u64,
    place: Place,
    priority: u8,
}

#[derive(Clone, Copy)]
enum Place {
    Delayed,
    /// At this position of its ring.
    Ring(u64),
}

/// A delayed item: when it is due, the order of putting, its key in the slab.
type Due = Reverse<(u64, u64, u64)>;

/// A priority queue of `T`.
pub struct PrioQueue<T> {
    rings: Box<[Ring<T>; PRIORITIES]>,
    occupied: [u64; PRIORITIES / 64],
    len: usize,
    ready: usize,
    /// Items with a deadline, ready or delayed.
    deadlines: usize,
    ageing: Option<u64>,
    heap: BinaryHeap<Due>,
    sequence: u64,
    items: Slab<Item<T>>,
    /// The keys in the slab of items that got their id when they stood in a ring.
    moved: HashMap<u64, u64>,
}

impl<T> PrioQueue<T> {
    /// With `ageing`, an item gains one priority for each `ageing` nanoseconds that it waits.
    pub fn new(ageing: Option<u64>) -> Self {
        Self {
            rings: Box::new(std::array::from_fn(|_| Ring::default())),
            occupied: [0; PRIORITIES / 64],
            len: 0,
            ready: 0,
            deadlines: 0,
            ageing,
            heap: BinaryHeap::new(),
            sequence: 0,
            items: Slab::new(),
            moved: HashMap::new(),
        }
    }

    /// All items, ready and delayed.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Items that are ready, as of the last operation that was told the time.
    #[inline]
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
        let plain = self
            .rings
            .iter()
            .flat_map(Ring::entries)
            .filter_map(|entry| match entry {
                Entry::Plain(value) => Some(value),
                Entry::Kept(_) | Entry::Dead => None,
            });
        plain.chain(self.items.values().map(|item| &item.value))
    }

    /// Add an item, at the end of its priority or, with `due`, once that time has come. The id is never 0.
    #[inline]
    pub fn put(&mut self, value: T, priority: u8, now: u64, due: Option<u64>, deadline: Option<u64>) -> u64 {
        // Those that are due by now were there first.
        self.wake(now);
        if due.is_none_or(|due| due <= now) && deadline.is_none() && self.ageing.is_none() {
            self.put_plain(value, priority)
        } else {
            self.put_kept(value, priority, now, due, deadline)
        }
    }

    /// As `put` with nothing but a priority, where no time makes a difference (`needs_clock`).
    #[inline]
    pub fn put_plain(&mut self, value: T, priority: u8) -> u64 {
        debug_assert!(self.ageing.is_none());
        self.len += 1;
        plain_id(priority, self.enter(priority, Entry::Plain(value)))
    }

    fn put_kept(&mut self, value: T, priority: u8, now: u64, due: Option<u64>, deadline: Option<u64>) -> u64 {
        self.len += 1;
        self.deadlines += usize::from(deadline.is_some());
        let key = self.items.insert(Item {
            value,
            since: now,
            deadline: deadline.unwrap_or(NEVER),
            alias: 0,
            place: Place::Delayed,
            priority,
        });
        match due {
            Some(due) if due > now => {
                self.sequence += 1;
                self.heap.push(Reverse((due, self.sequence, key)));
            }
            _ => self.enter_kept(key, now),
        }
        kept_id(key)
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
            match self.leave(priority)? {
                Entry::Plain(value) => return Some(value),
                Entry::Kept(index) => {
                    let item = self.items.remove_at(index)?;
                    self.forget(&item);
                    if item.deadline > now {
                        return Some(item.value);
                    }
                    expired.push(item.value);
                }
                Entry::Dead => {}
            }
        }
    }

    /// As `pop`, where no time makes a difference (`needs_clock`).
    #[inline]
    pub fn pop_plain(&mut self) -> Option<T> {
        let priority = self.highest()?;
        match self.leave(priority)? {
            Entry::Plain(value) => Some(value),
            Entry::Kept(index) => self.take_kept(index),
            Entry::Dead => None,
        }
    }

    #[cold]
    fn take_kept(&mut self, index: u32) -> Option<T> {
        let item = self.items.remove_at(index)?;
        self.forget(&item);
        Some(item.value)
    }

    /// Move delayed items that are due into their rings.
    #[inline]
    pub fn wake(&mut self, now: u64) {
        while let Some(Reverse((due, _, key))) = self.heap.peek().copied() {
            // One that was cancelled is gone; the top of the heap is kept alive for `next_due`.
            let alive = self.items.get(key).is_some();
            if alive && due > now {
                return;
            }
            self.heap.pop();
            if alive {
                self.enter_kept(key, due);
            }
        }
    }

    /// Take an item out wherever it is.
    pub fn cancel(&mut self, id: u64) -> Option<T> {
        if let Some(value) = self.take_plain(id) {
            self.len -= 1;
            return Some(value);
        }
        let item = self.items.remove(self.key_of(id)?)?;
        self.forget(&item);
        self.len -= 1;
        match item.place {
            Place::Ring(position) => {
                self.remove(item.priority, position, |entry| matches!(entry, Entry::Kept(_)));
            }
            Place::Delayed => self.clean_heap(),
        }
        Some(item.value)
    }

    /// Move an item to the end of another priority, where it waits anew; false if it is not here any more.
    pub fn reprioritize(&mut self, id: u64, priority: u8, now: u64) -> bool {
        self.wake(now);
        if let Some(value) = self.take_plain_unless(id, priority) {
            let key = self.items.insert(Item {
                value,
                since: now,
                deadline: NEVER,
                alias: id,
                place: Place::Delayed,
                priority,
            });
            self.moved.insert(id, key);
            self.enter_kept(key, now);
            return true;
        }
        let Some(key) = self.key_of(id) else {
            return self.has_plain(id);
        };
        let Some(item) = self.items.get_mut(key) else {
            return false;
        };
        let old = std::mem::replace(&mut item.priority, priority);
        if let Place::Ring(position) = item.place {
            if old != priority {
                self.remove(old, position, |entry| matches!(entry, Entry::Kept(_)));
                self.enter_kept(key, now);
            }
        }
        true
    }

    /// Take everything, in no particular order.
    pub fn drain(&mut self) -> Vec<T> {
        let mut values = Vec::with_capacity(self.len);
        for ring in self.rings.iter_mut() {
            values.extend(ring.drain().into_iter().filter_map(plain));
        }
        values.extend(self.items.drain().into_iter().map(|item| item.value));
        self.occupied = [0; PRIORITIES / 64];
        self.len = 0;
        self.ready = 0;
        self.deadlines = 0;
        self.heap.clear();
        self.moved.clear();
        values
    }

    #[inline]
    fn enter(&mut self, priority: u8, entry: Entry<T>) -> u64 {
        let priority = usize::from(priority);
        self.occupied[priority / 64] |= 1 << (priority % 64);
        self.ready += 1;
        self.rings[priority].push(entry)
    }

    fn enter_kept(&mut self, key: u64, since: u64) {
        let Some(priority) = self.items.get(key).map(|item| item.priority) else {
            return;
        };
        let position = self.enter(priority, Entry::Kept(key as u32));
        if let Some(item) = self.items.get_mut(key) {
            item.since = since;
            item.place = Place::Ring(position);
        }
    }

    /// Take the first entry of a ring.
    #[inline(always)]
    fn leave(&mut self, priority: usize) -> Option<Entry<T>> {
        let ring = &mut self.rings[priority];
        let entry = ring.pop()?;
        if ring.is_empty() {
            self.occupied[priority / 64] &= !(1 << (priority % 64));
        }
        self.len -= 1;
        self.ready -= 1;
        Some(entry)
    }

    /// Take an entry from anywhere in a ring.
    fn remove(&mut self, priority: u8, position: u64, take: impl FnOnce(&Entry<T>) -> bool) -> Option<Entry<T>> {
        let priority = usize::from(priority);
        let ring = &mut self.rings[priority];
        let entry = ring.remove(position, take)?;
        if ring.is_empty() {
            self.occupied[priority / 64] &= !(1 << (priority % 64));
        }
        self.ready -= 1;
        Some(entry)
    }

    /// Take the item out that got this id as it stood in a ring, if it stands there still.
    fn take_plain(&mut self, id: u64) -> Option<T> {
        let (priority, position) = split_plain(id)?;
        self.remove(priority, position, |entry| matches!(entry, Entry::Plain(_)))
            .and_then(plain)
    }

    fn take_plain_unless(&mut self, id: u64, priority: u8) -> Option<T> {
        let (old, _) = split_plain(id)?;
        if old == priority { None } else { self.take_plain(id) }
    }

    fn has_plain(&self, id: u64) -> bool {
        split_plain(id).is_some_and(|(priority, position)| {
            matches!(self.rings[usize::from(priority)].get(position), Some(Entry::Plain(_)))
        })
    }

    /// The key in the slab of an id, if it may be there.
    fn key_of(&self, id: u64) -> Option<u64> {
        if split_plain(id).is_some() {
            self.moved.get(&id).copied()
        } else {
            Some(id >> 1)
        }
    }

    /// What is to be done for an item that left the slab.
    fn forget(&mut self, item: &Item<T>) {
        self.deadlines -= usize::from(item.deadline != NEVER);
        if item.alias != 0 {
            self.moved.remove(&item.alias);
        }
    }

    /// Keep the top of the heap a living item, and the heap not much larger than what lives in it.
    fn clean_heap(&mut self) {
        let items = &self.items;
        if self.heap.len() > 2 * (self.len - self.ready) + SLACK {
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
                let since = self.since(priority);
                let key = u128::from(since) + u128::from(step) * priority as u128;
                if best.is_none_or(|(least, _)| key < least) {
                    best = Some((key, priority));
                }
            }
        }
        best.map(|(_, priority)| priority)
    }
    fn since(&self, priority: usize) -> u64 {
        match self.rings[priority].first() {
            Some(Entry::Kept(index)) => self.items.get_at(*index).map_or(NEVER, |item| item.since),
            _ => NEVER,
        }
    }
}

fn plain<T>(entry: Entry<T>) -> Option<T> {
    match entry {
        Entry::Plain(value) => Some(value),
        Entry::Kept(_) | Entry::Dead => None,
    }
}

/// The id of an item in a ring: even, and small as long as it can be, since a small int is cheap in Python.
#[inline]
const fn plain_id(priority: u8, position: u64) -> u64 {
    position << 9 | (priority as u64) << 1
}

const fn split_plain(id: u64) -> Option<(u8, u64)> {
    if id & 1 == 0 {
        Some(((id >> 1) as u8, id >> 9))
    } else {
        None
    }
}

/// The id of an item in the slab: odd. The keys of a slab have 63 bits.
#[inline]
const fn kept_id(key: u64) -> u64 {
    key << 1 | 1
}
