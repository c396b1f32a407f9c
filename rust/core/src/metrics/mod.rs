//! Counters, gauges and histograms, and their text exposition (Prometheus text format 0.0.4).
//!
//! A child (one combination of label values) is resolved once and then counts with one atomic operation. It keeps the
//! start of its line ready, so that an exposition is little more than copying.

mod cells;
mod family;
mod merge;
mod registry;
mod text;

pub use cells::{Counter, Gauge, Histogram, Metric};
pub use family::{Child, Family};
pub use merge::{MergeError, merge};
pub use registry::Registry;

use std::fmt;

/// More children than this share one, so that labels taken from input cannot fill the memory.
pub const MAX_CHILDREN: usize = 100_000;
/// What the shared child has for each label.
pub const OVERFLOW: &str = "_overflow";
pub const MAX_BUCKETS: usize = 256;

/// Why a family cannot be made, or a child not be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricError {
    BadName(String),
    BadLabel(String),
    DuplicateLabel(String),
    BadBuckets,
    /// The name is taken by a family of another type or with other labels.
    Taken {
        name: String,
        by: String,
    },
    LabelCount {
        name: String,
        expected: usize,
        given: usize,
    },
}

impl fmt::Display for MetricError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName(name) => {
                write!(
                    f,
                    "{name:?} is not a metric name: letters, digits, '_' and ':', not beginning with a digit"
                )
            }
            Self::BadLabel(label) => write!(
                f,
                "{label:?} is not a label name: letters, digits and '_', not beginning with a digit or '__', and not 'le'"
            ),
            Self::DuplicateLabel(label) => write!(f, "label {label:?} occurs twice"),
            Self::BadBuckets => {
                write!(
                    f,
                    "buckets are 1 to {MAX_BUCKETS} finite upper bounds, each larger than the one before"
                )
            }
            Self::Taken { name, by } => write!(f, "metric {name:?} exists already as {by}"),
            Self::LabelCount { name, expected, given } => {
                write!(f, "metric {name:?} takes {expected} label values, {given} were given")
            }
        }
    }
}

impl std::error::Error for MetricError {}
