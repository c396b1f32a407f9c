//! Any objects: written as the standard library and orjson write them, or refused with a place.
#![no_main]

use aisys_fuzz::python::check;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| check("check_write", data));
