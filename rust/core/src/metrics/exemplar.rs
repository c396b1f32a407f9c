//! Examples of what was counted, such as a trace that shows where the time went. OpenMetrics only.

use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::MetricError;
use super::text::{is_name, push_label, write_float};

/// The characters that the names and the values of an exemplar's labels may have together; OpenMetrics sets it.
pub const MAX_EXEMPLAR_CHARS: usize = 128;

/// One example.
#[derive(Clone, Debug)]
pub struct Exemplar {
    /// `a="x",b="y"`.
    labels: String,
    value: f64,
    time_s: f64,
}

impl Exemplar {
    /// An example with its value and its time in seconds since 1970.
    pub fn new<'a>(
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        value: f64,
        time_s: f64,
    ) -> Result<Self, MetricError> {
        let mut text = String::new();
        let mut chars = 0;
        let mut names: Vec<&str> = Vec::new();
        for (name, value) in labels {
            if !is_name(name, true) {
                return Err(MetricError::BadLabel(name.to_owned()));
            }
            if names.contains(&name) {
                return Err(MetricError::DuplicateLabel(name.to_owned()));
            }
            names.push(name);
            chars += name.len() + value.chars().count();
            if chars > MAX_EXEMPLAR_CHARS {
                return Err(MetricError::LongExemplar);
            }
            push_label(&mut text, name, value);
        }
        Ok(Self {
            labels: text,
            value,
            time_s,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b" # {");
        out.extend_from_slice(self.labels.as_bytes());
        out.extend_from_slice(b"} ");
        write_float(self.value, out);
        let mut time = String::new();
        // Writing to a string cannot fail.
        let _ = write!(time, " {:.3}", self.time_s);
        out.extend_from_slice(time.as_bytes());
    }
}

/// The last example of each line of a child. Takes no memory of its own until there is one.
#[derive(Default)]
pub struct Exemplars(Mutex<Vec<Option<Exemplar>>>);

impl Exemplars {
    pub fn put(&self, line: usize, exemplar: Exemplar) {
        let mut lines = self.lock();
        if lines.len() <= line {
            lines.resize(line + 1, None);
        }
        lines[line] = Some(exemplar);
    }

    pub fn write(&self, line: usize, out: &mut Vec<u8>) {
        if let Some(Some(exemplar)) = self.lock().get(line) {
            exemplar.write(out);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<Exemplar>>> {
        // Each change is one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
