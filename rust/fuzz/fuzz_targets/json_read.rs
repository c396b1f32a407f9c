//! Any bytes: read as the standard library reads them under the rules of `docs/json.md`, or refused where that refuses.
#![no_main]

use aisys_fuzz::python::check;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| check("check_read", data));
