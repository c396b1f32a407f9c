//! What the targets share: choices drawn from the fuzzer's bytes, and the embedded interpreter of the JSON targets.

pub mod draw;
pub mod python;
