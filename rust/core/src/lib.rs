//! The hot paths of aisys that need no Python: priority queue, frames, metrics.
//!
//! Nothing here knows what an item, a body or a label means; the bindings in `rust/py` bring the types.

#![forbid(unsafe_code)]

pub mod frame;
pub mod metrics;
pub mod queue;
pub mod slab;
