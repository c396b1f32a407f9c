//! The hot paths of aisys that need no Python.

pub mod frame;
pub mod metrics;
pub mod queue;
