//! Any operations in any order: the queue does what a list that is searched from end to end does.
#![no_main]

use aisys_core::queue::PrioQueue;
use aisys_fuzz::draw::Draw;
use libfuzzer_sys::fuzz_target;

/// An item as the model has it.
struct Item {
    id: u64,
    value: u32,
    priority: u8,
    /// When it is or was due.
    since: u64,
    /// Its turn among those that became ready, or were put for later, at the same time.
    turn: u64,
    delayed: bool,
    deadline: Option<u64>,
}

#[derive(Default)]
struct Model {
    items: Vec<Item>,
    turn: u64,
    ageing: Option<u64>,
}

impl Model {
    fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    fn wake(&mut self, now: u64) {
        loop {
            let turn = self.next_turn();
            let due = self.items.iter_mut().filter(|item| item.delayed && item.since <= now);
            let Some(item) = due.min_by_key(|item| (item.since, item.turn)) else {
                return;
            };
            item.delayed = false;
            item.turn = turn;
        }
    }

    fn pop(&mut self, now: u64, expired: &mut Vec<u32>) -> Option<u32> {
        self.wake(now);
        loop {
            let ready = self.items.iter().enumerate().filter(|(_, item)| !item.delayed);
            let rank = |item: &Item| {
                let age = self
                    .ageing
                    .map_or(0, |step| item.since + step * u64::from(item.priority));
                (age, item.priority, item.turn)
            };
            let (index, _) = ready.min_by_key(|(_, item)| rank(item))?;
            let item = self.items.remove(index);
            if item.deadline.is_none_or(|deadline| deadline > now) {
                return Some(item.value);
            }
            expired.push(item.value);
        }
    }

    fn place(&self, id: u64) -> Option<usize> {
        self.items.iter().position(|item| item.id == id)
    }

    fn cancel(&mut self, id: u64) -> Option<u32> {
        Some(self.items.remove(self.place(id)?).value)
    }

    fn reprioritize(&mut self, id: u64, priority: u8, now: u64) -> bool {
        self.wake(now);
        let turn = self.next_turn();
        let Some(place) = self.place(id) else {
            return false;
        };
        let item = &mut self.items[place];
        if item.priority != priority && !item.delayed {
            (item.turn, item.since) = (turn, now);
        }
        item.priority = priority;
        true
    }
}

const PRIORITIES: [u8; 8] = [0, 1, 63, 64, 100, 127, 128, 255];

fuzz_target!(|data: &[u8]| {
    let mut draw = Draw::new(data);
    let ageing = match draw.below(4) {
        0 | 1 => None,
        _ => Some(draw.below(6) as u64),
    };
    let mut queue = PrioQueue::new(ageing);
    let mut model = Model {
        ageing,
        ..Model::default()
    };
    // Ids stay here when their items leave: they must then find nothing.
    let mut ids: Vec<u64> = Vec::new();
    let (mut now, mut value) = (0, 0);
    while !draw.is_empty() {
        let step = draw.byte();
        let priority = PRIORITIES[usize::from(step >> 5)];
        match step & 31 {
            // Bursts, so that short inputs reach the sizes at which rings and heaps are cleaned.
            0..=15 => {
                let (burst, delay, left) = (
                    step & 15 == 15 && model.items.len() < 128,
                    draw.below(8),
                    draw.below(16),
                );
                // What is due by now was there first.
                model.wake(now);
                for _ in 0..if burst { 80 + draw.below(48) } else { 1 } {
                    value += 1;
                    let due = (delay > 3).then(|| now + delay as u64 - 4);
                    let deadline = (left > 9).then(|| now + left as u64 - 10);
                    let id = queue.put(value, priority, now, due, deadline);
                    assert_ne!(id, 0);
                    ids.push(id);
                    let (turn, since) = (model.next_turn(), due.unwrap_or(now));
                    model.items.push(Item {
                        id,
                        value,
                        priority,
                        since,
                        turn,
                        delayed: since > now,
                        deadline,
                    });
                }
            }
            kind @ 16..=21 => {
                for _ in 0..if kind == 21 { 1 + draw.below(64) } else { 1 } {
                    let (mut expired, mut expected) = (Vec::new(), Vec::new());
                    assert_eq!(queue.pop(now, &mut expired), model.pop(now, &mut expected));
                    assert_eq!(expired, expected);
                }
            }
            kind @ 22..=25 if !ids.is_empty() => {
                let first = usize::from(draw.byte()) % ids.len();
                let count = if kind == 25 { 1 + draw.below(96) } else { 1 };
                for id in ids.iter().skip(first).take(count) {
                    assert_eq!(queue.cancel(*id), model.cancel(*id));
                }
            }
            26..=28 if !ids.is_empty() => {
                let id = ids[usize::from(draw.byte()) % ids.len()];
                assert_eq!(
                    queue.reprioritize(id, priority, now),
                    model.reprioritize(id, priority, now)
                );
            }
            29 if priority == 255 => {
                let mut values = queue.drain();
                let mut expected: Vec<u32> = model.items.drain(..).map(|item| item.value).collect();
                values.sort_unstable();
                expected.sort_unstable();
                assert_eq!(values, expected);
            }
            _ => now += draw.below(8) as u64,
        }
        queue.wake(now);
        model.wake(now);
        assert_eq!(queue.len(), model.items.len());
        assert_eq!(queue.is_empty(), model.items.is_empty());
        assert_eq!(queue.ready(), model.items.iter().filter(|item| !item.delayed).count());
        let due = model
            .items
            .iter()
            .filter(|item| item.delayed)
            .map(|item| item.since)
            .min();
        assert_eq!(queue.next_due(), due);
    }
    let mut values: Vec<u32> = queue.values().copied().collect();
    let mut expected: Vec<u32> = model.items.iter().map(|item| item.value).collect();
    values.sort_unstable();
    expected.sort_unstable();
    assert_eq!(values, expected);
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
});
