//! Reading and writing JSON text many bytes at a time: where strings and containers end, what escapes and UTF-8 mean,
//! numbers; and how strings are written (`pen`, `quote`, `units`).
//!
//! Nothing here knows of Python. Each search has a portable form, which is also what its tests compare the others with;
//! where the processor has wider registers they are chosen at run time. A text ends in a NUL, which stops every loop.

// Lengths and places in memory fit isize; bytes and words change their sign on purpose.
#![allow(clippy::cast_possible_wrap)]

pub mod decimal;
mod digits;
mod float;
pub mod pen;
mod powers;
pub mod quote;
pub mod skip;
pub mod strings;
pub mod units;
pub mod utf8;

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// At this byte something else was needed; where the text ends here, that is the problem.
    At(&'static str, usize),
    /// Something that began at this byte cannot be.
    Of(&'static str, usize),
}
