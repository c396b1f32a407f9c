//! The items of one priority, first in, first out.

use std::collections::VecDeque;

use super::SLACK;

/// Marks an entry whose item left from the middle.
const DEAD: u32 = u32::MAX;
/// A larger ring gives its memory back when it runs empty.
const KEEP_ENTRIES: usize = 4096;

/// Slab indices. The first entry is always alive; an entry's position never changes unless the ring is tightened.
#[derive(Default)]
pub struct Ring {
    entries: VecDeque<u32>,
    /// The position of the first entry.
    base: u64,
    alive: usize,
}

impl Ring {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.alive == 0
    }

    #[inline]
    pub fn first(&self) -> Option<u32> {
        self.entries.front().copied()
    }

    #[cfg(test)]
    pub fn capacity(&self) -> usize {
        self.entries.capacity()
    }

    /// Append an index; where it is.
    #[inline]
    pub fn push(&mut self, index: u32) -> u64 {
        let position = self.base + self.entries.len() as u64;
        self.entries.push_back(index);
        self.alive += 1;
        position
    }

    #[inline]
    pub fn pop(&mut self) -> Option<u32> {
        let index = self.entries.pop_front()?;
        self.base += 1;
        self.alive -= 1;
        self.settle();
        Some(index)
    }

    /// Remove the entry at a position.
    pub fn bury(&mut self, position: u64) {
        if let Some(entry) = self.entries.get_mut((position - self.base) as usize) {
            *entry = DEAD;
            self.alive -= 1;
            self.settle();
        }
    }

    /// Whether dead entries take most of the ring.
    pub fn is_loose(&self) -> bool {
        self.entries.len() > 2 * self.alive + SLACK
    }

    /// Drop the dead entries; `moved` hears the new position of each living one.
    pub fn tighten(&mut self, mut moved: impl FnMut(u32, u64)) {
        self.entries.retain(|index| *index != DEAD);
        self.entries.shrink_to(2 * self.entries.len());
        for (offset, index) in self.entries.iter().enumerate() {
            moved(*index, self.base + offset as u64);
        }
    }

    #[inline]
    fn settle(&mut self) {
        while self.entries.front() == Some(&DEAD) {
            self.entries.pop_front();
            self.base += 1;
        }
        if self.entries.is_empty() && self.entries.capacity() > KEEP_ENTRIES {
            self.entries = VecDeque::new();
        }
    }
}
