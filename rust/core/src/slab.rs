//! Values under ids that are never reused while anyone could still hold them.
//!
//! An id is `generation << 32 | index`, and takes 63 bits. Taking a value raises the slot's generation, so an id that outlived its
//! value (a reply that comes after its call was cancelled) finds nothing instead of somebody else's value.

const NONE: u32 = u32::MAX;
const LAST_GENERATION: u32 = u32::MAX >> 1;
/// A larger slab gives its memory back when it runs empty.
const KEEP_SLOTS: usize = 4096;

enum Entry<T> {
    Vacant { next: u32 },
    Full(T),
}

struct Slot<T> {
    generation: u32,
    entry: Entry<T>,
}

/// A slab of values with a free list; every operation is O(1).
pub struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: u32,
    len: usize,
    /// The generation of new slots: above that of every slot that was given back.
    floor: u32,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Slab<T> {
    pub const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: NONE,
            len: 0,
            floor: 1,
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keep `value`; the id is never 0.
    pub fn insert(&mut self, value: T) -> u64 {
        self.len += 1;
        if let Some(slot) = self.slots.get_mut(self.free as usize) {
            let index = self.free;
            if let Entry::Vacant { next } = slot.entry {
                self.free = next;
            }
            slot.entry = Entry::Full(value);
            return join(slot.generation, index);
        }
        let index = self.slots.len() as u32;
        assert!(index != NONE, "a slab holds fewer than 2**32 - 1 values");
        self.slots.push(Slot {
            generation: self.floor,
            entry: Entry::Full(value),
        });
        join(self.floor, index)
    }

    #[inline]
    pub fn get(&self, id: u64) -> Option<&T> {
        let (generation, index) = split(id);
        match self.slots.get(index as usize) {
            Some(Slot {
                generation: current,
                entry: Entry::Full(value),
            }) if *current == generation => Some(value),
            _ => None,
        }
    }

    #[inline]
    pub fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        let (generation, index) = split(id);
        match self.slots.get_mut(index as usize) {
            Some(Slot {
                generation: current,
                entry: Entry::Full(value),
            }) if *current == generation => Some(value),
            _ => None,
        }
    }

    /// Take the value out and retire its id.
    #[inline]
    pub fn remove(&mut self, id: u64) -> Option<T> {
        let (generation, index) = split(id);
        if self.slots.get(index as usize)?.generation != generation {
            return None;
        }
        self.remove_at(index)
    }

    /// Take the value out of a slot that is known to be full, whatever its id.
    #[inline]
    pub fn remove_at(&mut self, index: u32) -> Option<T> {
        let slot = self.slots.get_mut(index as usize)?;
        if matches!(slot.entry, Entry::Vacant { .. }) {
            return None;
        }
        let taken = std::mem::replace(&mut slot.entry, Entry::Vacant { next: self.free });
        slot.generation = next_generation(slot.generation);
        self.free = index;
        self.len -= 1;
        if self.len == 0 && self.slots.len() > KEEP_SLOTS {
            self.give_back();
        }
        match taken {
            Entry::Full(value) => Some(value),
            Entry::Vacant { .. } => None,
        }
    }

    /// The value in a slot, whatever its id.
    #[inline]
    pub fn get_at(&self, index: u32) -> Option<&T> {
        match self.slots.get(index as usize) {
            Some(Slot {
                entry: Entry::Full(value),
                ..
            }) => Some(value),
            _ => None,
        }
    }

    /// As `get_at`, to change it.
    #[inline]
    pub fn get_at_mut(&mut self, index: u32) -> Option<&mut T> {
        match self.slots.get_mut(index as usize) {
            Some(Slot {
                entry: Entry::Full(value),
                ..
            }) => Some(value),
            _ => None,
        }
    }

    #[cold]
    fn give_back(&mut self) {
        self.floor = self.slots.iter().map(|slot| slot.generation).max().unwrap_or(1);
        self.slots = Vec::new();
        self.free = NONE;
    }

    /// Take every value, in slot order; every id given out so far is retired.
    pub fn drain(&mut self) -> Vec<T> {
        let mut values = Vec::with_capacity(self.len);
        for index in 0..self.slots.len() {
            // The last one may give the slots back, after which there are none to visit.
            values.extend(self.remove_at(index as u32));
        }
        values
    }

    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|slot| match &slot.entry {
            Entry::Full(value) => Some(value),
            Entry::Vacant { .. } => None,
        })
    }
}

fn next_generation(generation: u32) -> u32 {
    // 0 is skipped so that no id is 0.
    if generation < LAST_GENERATION {
        generation + 1
    } else {
        1
    }
}

#[inline]
const fn join(generation: u32, index: u32) -> u64 {
    (generation as u64) << 32 | index as u64
}

#[inline]
const fn split(id: u64) -> (u32, u32) {
    ((id >> 32) as u32, id as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_are_never_zero_and_never_find_a_later_value() {
        let mut slab = Slab::new();
        let first = slab.insert("a");
        assert_ne!(first, 0);
        assert_eq!(slab.remove(first), Some("a"));
        let second = slab.insert("b");
        assert_ne!(first, second);
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get(second), Some(&"b"));
    }

    #[test]
    fn a_generation_wraps_past_zero() {
        assert_eq!(next_generation(LAST_GENERATION), 1);
    }

    #[test]
    fn an_empty_slab_gives_memory_back_and_still_retires_ids() {
        let mut slab = Slab::new();
        let ids: Vec<u64> = (0..=KEEP_SLOTS as u64).map(|n| slab.insert(n)).collect();
        for id in &ids {
            assert!(slab.remove(*id).is_some());
        }
        assert_eq!(slab.slots.capacity(), 0);
        let again = slab.insert(7);
        assert!(!ids.contains(&again));
        assert!(ids.iter().all(|id| slab.get(*id).is_none()));
    }

    #[test]
    fn drain_retires_every_id() {
        let mut slab = Slab::new();
        let ids: Vec<u64> = (0..5).map(|n| slab.insert(n)).collect();
        assert_eq!(slab.remove(ids[2]), Some(2));
        assert_eq!(slab.drain(), vec![0, 1, 3, 4]);
        assert!(slab.is_empty());
        assert!(ids.iter().all(|id| slab.get(*id).is_none()));
    }

    proptest! {
        #[test]
        fn behaves_as_a_map(steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..200)) {
            let mut slab = Slab::new();
            let mut model: Vec<(u64, usize)> = Vec::new();
            let mut dead: Vec<u64> = Vec::new();
            for (step, (insert, which)) in steps.into_iter().enumerate() {
                if insert || model.is_empty() {
                    let id = slab.insert(step);
                    prop_assert!(!dead.contains(&id));
                    model.push((id, step));
                } else {
                    let (id, value) = model.swap_remove(which.index(model.len()));
                    prop_assert_eq!(slab.remove(id), Some(value));
                    dead.push(id);
                }
                prop_assert_eq!(slab.len(), model.len());
                prop_assert!(model.iter().all(|(id, value)| slab.get(*id) == Some(value)));
                prop_assert!(dead.iter().all(|id| slab.get(*id).is_none()));
            }
        }

        #[test]
        fn any_id_is_safe(ids in prop::collection::vec(any::<u64>(), 0..50)) {
            let mut slab = Slab::new();
            slab.insert(());
            for id in ids {
                if slab.get(id).is_none() {
                    prop_assert!(slab.remove(id).is_none());
                }
            }
        }
    }
}
