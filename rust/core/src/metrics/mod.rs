//! Counters, gauges and histograms, and their expositions: Prometheus text format 0.0.4 and OpenMetrics 1.0.
//!
//! A child (one combination of label values) is resolved once and then counts in a few instructions. It keeps the
//! start of its line ready, so that an exposition is little more than copying.

mod cells;
mod exemplar;
mod family;
mod merge;
mod registry;
#[cfg(test)]
mod tests;
mod text;

pub use cells::{Counter, Gauge, Histogram, Metric};
pub use exemplar::{Exemplar, MAX_EXEMPLAR_CHARS};
pub use family::{Child, Family};
pub use merge::{MergeError, merge};
pub use registry::Registry;
pub use text::Format;

use std::fmt;

/// More children than this share one, so that labels taken from input cannot fill the memory.
pub const MAX_CHILDREN: usize = 100_000;
/// What the shared child has for each label.
pub const OVERFLOW: &str = "_overflow";
pub const MAX_BUCKETS: usize = 256;

/// What a family is, as its author says it once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Declaration<'a> {
    pub name: &'a str,
    pub help: &'a str,
    /// Such as `seconds`, which the name then ends in; or empty.
    pub unit: &'a str,
    pub labels: &'a [String],
    /// Where it was declared, for messages about a second declaration.
    pub place: &'a str,
}

/// Why a family cannot be made, a child not be found, or an exemplar not be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricError {
    BadName(String),
    BadLabel(String),
    DuplicateLabel(String),
    BadBuckets,
    /// The unit is not the end of the name.
    BadUnit {
        name: String,
        unit: String,
    },
    /// The name is taken by a family that is declared differently.
    Taken {
        name: String,
        by: String,
        place: String,
    },
    LabelCount {
        name: String,
        expected: usize,
        given: usize,
    },
    LongExemplar,
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
            Self::BadUnit { name, unit } => {
                write!(
                    f,
                    "metric {name:?} must end in its unit, as in \"…_{unit}\" or \"…_{unit}_total\""
                )
            }
            Self::Taken { name, by, place } => {
                write!(f, "metric {name:?} exists already as {by}")?;
                if place.is_empty() {
                    Ok(())
                } else {
                    write!(f, ", declared at {place}")
                }
            }
            Self::LabelCount { name, expected, given } => {
                write!(f, "metric {name:?} takes {expected} label values, {given} were given")
            }
            Self::LongExemplar => write!(
                f,
                "the labels of an exemplar have more than {MAX_EXEMPLAR_CHARS} characters together"
            ),
        }
    }
}

impl std::error::Error for MetricError {}
