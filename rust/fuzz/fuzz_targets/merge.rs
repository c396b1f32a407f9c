//! Any texts: merging expositions never panics; no sample is invented or doubled; each family has one HELP and one TYPE
//! line at most; and what it gives can be merged again, with the same samples.
#![no_main]

use std::collections::{HashMap, HashSet};

use aisys_core::metrics::{MergeError, merge};
use libfuzzer_sys::fuzz_target;

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii_end)
        .filter(|line| !line.is_empty())
}

fn samples<'a>(texts: &[&'a [u8]]) -> HashMap<&'a [u8], usize> {
    let mut counts = HashMap::new();
    for line in texts.iter().flat_map(|text| lines(text)).filter(|line| line[0] != b'#') {
        *counts.entry(line).or_default() += 1;
    }
    counts
}

fuzz_target!(|data: &[u8]| {
    let parts: Vec<&[u8]> = data.split(|byte| *byte == 0).collect();
    let merged = match merge(&parts) {
        Ok(merged) => merged,
        Err(MergeError::BadLine { exposition, line }) => {
            let part = parts[exposition - 1];
            assert!(line >= 1 && line <= part.split(|byte| *byte == b'\n').count());
            return;
        }
        Err(MergeError::Mixed { exposition }) => {
            assert!((1..=parts.len()).contains(&exposition));
            return;
        }
    };
    let (given, kept) = (samples(&parts), samples(&[&merged]));
    let left_out = lines(&merged).any(|line| line.ends_with(b"left out there"));
    for (line, count) in &kept {
        assert!(given.get(line).is_some_and(|most| count <= most));
    }
    assert!(left_out || kept == given);
    let mut heads = HashSet::new();
    for line in lines(&merged) {
        if line.starts_with(b"# HELP ") || line.starts_with(b"# TYPE ") {
            let end = line[7..]
                .iter()
                .position(|byte| *byte == b' ')
                .map_or(line.len(), |at| at + 7);
            assert!(heads.insert(&line[..end]));
        }
    }
    let again = merge(&[&merged]).expect("its own output");
    assert_eq!(samples(&[&again]), kept);
});
