//! The queue against a list that is searched from end to end.

use proptest::prelude::*;

use super::*;

/// An item as the model has it.
#[derive(Clone, Debug)]
struct Known {
    id: u64,
    value: u32,
    priority: u8,
    /// When it is or was due, and its turn among those of the same time.
    since: u64,
    turn: u64,
    delayed: bool,
    deadline: Option<u64>,
}

#[derive(Default)]
struct Model {
    items: Vec<Known>,
    turn: u64,
    ageing: Option<u64>,
}

impl Model {
    fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    fn wake(&mut self, now: u64) {
        let mut due: Vec<usize> = (0..self.items.len())
            .filter(|index| self.items[*index].delayed && self.items[*index].since <= now)
            .collect();
        due.sort_by_key(|index| (self.items[*index].since, self.items[*index].turn));
        for index in due {
            self.items[index].delayed = false;
            self.items[index].turn = self.next_turn();
        }
    }

    fn pop(&mut self, now: u64, expired: &mut Vec<u32>) -> Option<u32> {
        self.wake(now);
        loop {
            let ready = self.items.iter().enumerate().filter(|(_, item)| !item.delayed);
            let heads = |item: &Known| {
                let age = self
                    .ageing
                    .map_or(0, |step| item.since + step * u64::from(item.priority));
                (age, item.priority, item.turn)
            };
            let (index, _) = ready.min_by_key(|(_, item)| heads(item))?;
            let item = self.items.remove(index);
            if item.deadline.is_none_or(|deadline| deadline > now) {
                return Some(item.value);
            }
            expired.push(item.value);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put {
        priority: u8,
        delay: u64,
        deadline: Option<u64>,
    },
    Pop,
    Cancel(prop::sample::Index),
    Move(prop::sample::Index, u8),
    Wait(u64),
    Drain,
}

fn arb_step() -> impl Strategy<Value = Step> {
    let priority = prop_oneof![prop::sample::select(vec![0u8, 1, 63, 64, 100, 255]), any::<u8>()];
    let delay = prop_oneof![3 => Just(0u64), 1 => 1u64..20];
    prop_oneof![
        8 => (priority.clone(), delay, prop::option::weighted(0.2, 1u64..30))
            .prop_map(|(priority, delay, deadline)| Step::Put { priority, delay, deadline }),
        6 => Just(Step::Pop),
        3 => any::<prop::sample::Index>().prop_map(Step::Cancel),
        2 => (any::<prop::sample::Index>(), priority).prop_map(|(which, priority)| Step::Move(which, priority)),
        3 => (1u64..10).prop_map(Step::Wait),
        1 => Just(Step::Drain),
    ]
}

fn check(steps: Vec<Step>, ageing: Option<u64>) -> Result<(), TestCaseError> {
    let mut queue = PrioQueue::new(ageing);
    let mut model = Model {
        ageing,
        ..Model::default()
    };
    let mut gone = Vec::new();
    let mut now = 0;
    for (value, step) in (0u32..).zip(steps) {
        match step {
            Step::Put {
                priority,
                delay,
                deadline,
            } => {
                let deadline = deadline.map(|left| now + left);
                let due = (delay > 0).then_some(now + delay);
                let id = queue.put(value, priority, now, due, deadline);
                prop_assert!(id != 0 && !gone.contains(&id));
                model.wake(now);
                let turn = model.next_turn();
                let (since, delayed) = (due.unwrap_or(now), delay > 0);
                model.items.push(Known {
                    id,
                    value,
                    priority,
                    since,
                    turn,
                    delayed,
                    deadline,
                });
            }
            Step::Pop => {
                let (mut expired, mut expected) = (Vec::new(), Vec::new());
                let before: Vec<Known> = model.items.clone();
                prop_assert_eq!(queue.pop(now, &mut expired), model.pop(now, &mut expected));
                prop_assert_eq!(expired, expected);
                let left: Vec<u64> = model.items.iter().map(|item| item.id).collect();
                gone.extend(before.iter().map(|item| item.id).filter(|id| !left.contains(id)));
            }
            Step::Cancel(which) if !model.items.is_empty() => {
                let item = model.items.remove(which.index(model.items.len()));
                prop_assert_eq!(queue.cancel(item.id), Some(item.value));
                gone.push(item.id);
            }
            Step::Move(which, priority) if !model.items.is_empty() => {
                model.wake(now);
                let turn = model.next_turn();
                let index = which.index(model.items.len());
                let item = &mut model.items[index];
                if item.priority != priority && !item.delayed {
                    (item.turn, item.since) = (turn, now);
                }
                item.priority = priority;
                prop_assert!(queue.reprioritize(item.id, priority, now));
            }
            Step::Cancel(_) | Step::Move(..) => {}
            Step::Wait(time) => now += time,
            Step::Drain => {
                let mut values = queue.drain();
                let mut expected: Vec<u32> = model.items.iter().map(|item| item.value).collect();
                gone.extend(model.items.drain(..).map(|item| item.id));
                values.sort_unstable();
                expected.sort_unstable();
                prop_assert_eq!(values, expected);
            }
        }
        prop_assert_eq!(queue.len(), model.items.len());
        prop_assert_eq!(queue.values().count(), model.items.len());
        for id in &gone {
            prop_assert!(queue.cancel(*id).is_none() && !queue.reprioritize(*id, 0, now));
        }
        queue.wake(now);
        model.wake(now);
        prop_assert_eq!(queue.ready(), model.items.iter().filter(|item| !item.delayed).count());
        let due = model
            .items
            .iter()
            .filter(|item| item.delayed)
            .map(|item| item.since)
            .min();
        prop_assert_eq!(queue.next_due(), due);
        let timed = ageing.is_some() || due.is_some() || model.items.iter().any(|item| item.deadline.is_some());
        prop_assert_eq!(queue.needs_clock(), timed);
    }
    Ok(())
}

proptest! {
    #[test]
    fn behaves_as_the_model(steps in prop::collection::vec(arb_step(), 0..200)) {
        check(steps, None)?;
    }

    #[test]
    fn behaves_as_the_model_with_ageing(steps in prop::collection::vec(arb_step(), 0..200), step in 0u64..5) {
        check(steps, Some(step))?;
    }
}

#[test]
fn ageing_lets_the_lowest_through() {
    let mut queue = PrioQueue::new(Some(10));
    queue.put("low", 255, 0, None, None);
    let mut expired = Vec::new();
    // An item of priority 0 put at t beats it as long as t < 2550.
    for now in [0, 1000, 2549] {
        queue.put("high", 0, now, None, None);
        assert_eq!(queue.pop(now, &mut expired), Some("high"));
    }
    queue.put("high", 0, 2551, None, None);
    assert_eq!(queue.pop(2551, &mut expired), Some("low"));
}

#[test]
fn cancelled_items_take_no_memory_for_long() {
    let mut queue = PrioQueue::new(None);
    queue.put(0, 7, 0, None, None);
    queue.put(0, 7, 0, Some(1 << 40), None);
    for number in 0..100_000 {
        let ready = queue.put(number, 7, 0, None, None);
        let delayed = queue.put(number, 7, 0, Some(1 << 41), None);
        assert!(queue.cancel(ready).is_some() && queue.cancel(delayed).is_some());
    }
    assert_eq!(queue.len(), 2);
    assert!(queue.heap.len() <= 2 * SLACK && queue.heap.capacity() <= 1024);
    assert!(queue.rings[7].capacity() <= 1024);
}

#[test]
fn a_burst_gives_its_memory_back() {
    let mut queue = PrioQueue::new(None);
    for number in 0..100_000 {
        queue.put(number, 7, 0, None, None);
    }
    let mut expired = Vec::new();
    for number in 0..100_000 {
        assert_eq!(queue.pop(0, &mut expired), Some(number));
    }
    assert_eq!(queue.rings[7].capacity(), 0);
}
