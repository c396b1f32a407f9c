//! Any value: one canonical text, which reads back as the same value and is its own canonical text.
#![no_main]

use aisys_fuzz::python::check;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| check("check_canonical", data));
