//! Frames for Python: one call encodes a frame, one call decodes a batch.

// Lengths and places in memory fit isize.
#![allow(clippy::cast_possible_wrap)]

mod batch;
mod decoder;
mod encoder;
mod object;

use aisys_core::frame as wire;
use pyo3::prelude::*;

use decoder::FrameDecoder;
use encoder::FrameEncoder;

// Signatures show literals only.
const _: () = assert!(wire::DEFAULT_MAX_FRAME_BYTES == 16_777_216 && wire::DEFAULT_MAX_TARGETS == 65_536);

pub fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    object::init(module)?;
    module.add_class::<FrameEncoder>()?;
    encoder::init(module.py())?;
    module.add_class::<FrameDecoder>()?;
    decoder::init(module.py())
}
