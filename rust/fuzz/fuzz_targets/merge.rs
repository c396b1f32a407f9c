//! Any texts: merging expositions never panics, and what it gives can be merged again.
#![no_main]

use aisys_core::metrics::merge;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let parts: Vec<&[u8]> = data.split(|byte| *byte == 0).collect();
    if let Ok(merged) = merge(&parts) {
        assert!(merge(&[&merged]).is_ok());
    }
});
