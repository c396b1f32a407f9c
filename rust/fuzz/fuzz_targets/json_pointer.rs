//! Any text and pointers: what they lead to is what the whole document has there.
#![no_main]

use aisys_fuzz::python::check;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| check("check_pointer", data));
