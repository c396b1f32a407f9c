//! The items of one priority, first in, first out.

use std::collections::VecDeque;

use super::SLACK;

/// A larger ring gives its memory back when it runs empty.
const KEEP_ENTRIES: usize = 4096;

/// What stands in a ring.
pub enum Entry<T> {
    /// An item about which there is nothing to know but that it is here.
    Plain(T),
    /// The place in the slab of one about which there is more.
    Kept(u32),
    /// The item left from the middle.
    Dead,
}

/// Entries in the order in which they came. The first is always alive. An entry has a position, which counts from 1
/// up, never changes and is never given to another.
pub struct Ring<T> {
    entries: VecDeque<Entry<T>>,
    /// The position of the first entry that is not `sparse`.
    base: u64,
    dead: usize,
    /// The positions of the first entries where dead ones were taken out from between them; nearly always none.
    #[allow(clippy::box_collection)] // rings are many: what is rare takes one word
    sparse: Option<Box<VecDeque<u64>>>,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            base: 1,
            dead: 0,
            sparse: None,
        }
    }
}

impl<T> Ring<T> {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[inline]
    pub fn first(&self) -> Option<&Entry<T>> {
        self.entries.front()
    }

    /// The entries, dead ones too.
    pub fn entries(&self) -> impl Iterator<Item = &Entry<T>> {
        self.entries.iter()
    }

    #[cfg(test)]
    pub fn capacity(&self) -> usize {
        self.entries.capacity() + self.sparse.as_ref().map_or(0, |sparse| sparse.capacity())
    }

    /// Append an entry; its position.
    #[inline]
    pub fn push(&mut self, entry: Entry<T>) -> u64 {
        let position = self.base + (self.entries.len() - self.sparse_entries()) as u64;
        self.entries.push_back(entry);
        position
    }

    #[inline]
    pub fn pop(&mut self) -> Option<Entry<T>> {
        let entry = self.entries.pop_front()?;
        self.step();
        if self.dead > 0 || (self.entries.is_empty() && self.entries.capacity() > KEEP_ENTRIES) {
            self.settle();
        }
        Some(entry)
    }

    /// The entry at a position.
    pub fn get(&self, position: u64) -> Option<&Entry<T>> {
        self.entries.get(self.find(position)?)
    }

    /// Remove the entry at a position, if it is one to `take`.
    pub fn remove(&mut self, position: u64, take: impl FnOnce(&Entry<T>) -> bool) -> Option<Entry<T>> {
        let index = self.find(position)?;
        let entry = self.entries.get_mut(index).filter(|entry| take(entry))?;
        let entry = std::mem::replace(entry, Entry::Dead);
        self.dead += 1;
        self.settle();
        if self.entries.len() > 2 * (self.entries.len() - self.dead) + SLACK {
            self.tighten();
        }
        Some(entry)
    }

    /// Take everything out.
    pub fn drain(&mut self) -> VecDeque<Entry<T>> {
        self.base += (self.entries.len() - self.sparse_entries()) as u64;
        self.sparse = None;
        self.dead = 0;
        std::mem::take(&mut self.entries)
    }

    #[inline]
    fn sparse_entries(&self) -> usize {
        self.sparse.as_ref().map_or(0, |sparse| sparse.len())
    }

    /// Where in `entries` a position is.
    fn find(&self, position: u64) -> Option<usize> {
        if position >= self.base {
            usize::try_from(position - self.base)
                .ok()?
                .checked_add(self.sparse_entries())
        } else {
            self.sparse.as_ref()?.binary_search(&position).ok()
        }
    }

    /// After the first entry went.
    #[inline]
    fn step(&mut self) {
        match &mut self.sparse {
            None => self.base += 1,
            Some(sparse) => {
                sparse.pop_front();
                if sparse.is_empty() {
                    self.sparse = None;
                }
            }
        }
    }

    /// Make the first entry a living one, or give back the memory of a large ring that is empty.
    #[cold]
    fn settle(&mut self) {
        while let Some(Entry::Dead) = self.entries.front() {
            self.entries.pop_front();
            self.dead -= 1;
            self.step();
        }
        if self.entries.is_empty() && self.entries.capacity() > KEEP_ENTRIES {
            self.entries = VecDeque::new();
        }
    }

    /// Drop the dead entries, and write down the positions of the living, which no longer follow from their order.
    fn tighten(&mut self) {
        let old = self.sparse.take();
        let written = old.as_ref().map_or(0, |sparse| sparse.len()) as u64;
        let end = self.base + (self.entries.len() as u64 - written);
        let positions = old.into_iter().flat_map(|sparse| *sparse).chain(self.base..end);
        let alive = self.entries.iter().zip(positions);
        let sparse: VecDeque<u64> = alive
            .filter(|(entry, _)| !matches!(entry, Entry::Dead))
            .map(|(_, position)| position)
            .collect();
        self.entries.retain(|entry| !matches!(entry, Entry::Dead));
        self.entries.shrink_to(2 * self.entries.len());
        self.base = end;
        self.dead = 0;
        self.sparse = (!sparse.is_empty()).then(|| Box::new(sparse));
    }
}
