//! Any operations in any order: nothing panics, nothing is lost, nothing comes twice.
#![no_main]

use std::collections::HashSet;

use aisys_core::queue::PrioQueue;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let ageing = data
        .first()
        .and_then(|first| (first & 1 == 1).then_some(u64::from(*first)));
    let mut queue = PrioQueue::new(ageing);
    let mut alive: HashSet<u32> = HashSet::new();
    let mut ids: Vec<(u64, u32)> = Vec::new();
    let mut now = 0;
    for (value, step) in (0u32..).zip(data.chunks_exact(3)) {
        let (priority, which) = (step[1], step[2]);
        match step[0] % 6 {
            0 | 1 => {
                let due = (which & 1 == 1).then_some(now + u64::from(which));
                let deadline = (which & 2 == 2).then_some(now + u64::from(priority));
                ids.push((queue.put(value, priority, now, due, deadline), value));
                alive.insert(value);
            }
            2 => {
                let mut expired = Vec::new();
                let item = queue.pop(now, &mut expired);
                for value in item.into_iter().chain(expired) {
                    assert!(alive.remove(&value));
                }
            }
            3 if !ids.is_empty() => {
                let (id, value) = ids.swap_remove(usize::from(which) % ids.len());
                assert_eq!(queue.cancel(id), alive.remove(&value).then_some(value));
            }
            4 if !ids.is_empty() => {
                let (id, value) = ids[usize::from(which) % ids.len()];
                assert_eq!(queue.reprioritize(id, priority, now), alive.contains(&value));
            }
            _ => now += u64::from(which),
        }
        assert_eq!(queue.len(), alive.len());
        assert!(queue.ready() <= queue.len());
    }
    assert_eq!(queue.drain().into_iter().collect::<HashSet<_>>(), alive);
});
