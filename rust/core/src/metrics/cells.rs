//! What a child counts with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::text::{Line, write_float, write_uint};

/// A 64-bit float that several threads may add to.
#[derive(Default)]
struct AtomicFloat(AtomicU64);

impl AtomicFloat {
    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    fn add(&self, amount: f64) {
        let mut seen = self.0.load(Relaxed);
        loop {
            let sum = (f64::from_bits(seen) + amount).to_bits();
            match self.0.compare_exchange_weak(seen, sum, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }
}

/// A kind of metric.
pub trait Metric: Send + Sync + Sized + 'static {
    /// As the TYPE line says it.
    const KIND: &'static str;
    /// What the sample names add to the family's name.
    const SUFFIXES: &'static [&'static str];

    fn create(bounds: &Arc<[f64]>) -> Self;

    /// Write the child's lines.
    fn write(&self, line: &Line<'_>, out: &mut Vec<u8>);
}

/// Goes up.
#[derive(Default)]
pub struct Counter {
    // Whole steps, which are nearly all there are, take one fetch_add.
    whole: AtomicU64,
    part: AtomicFloat,
}

impl Counter {
    #[inline]
    pub fn step(&self) {
        self.whole.fetch_add(1, Relaxed);
    }

    /// Add an amount, which must be finite and not negative; false if it is not, and nothing was added.
    pub fn add(&self, amount: f64) -> bool {
        if !(amount.is_finite() && amount >= 0.0) {
            return false;
        }
        if amount.fract() == 0.0 && amount < (1u64 << 53) as f64 {
            self.whole.fetch_add(amount as u64, Relaxed);
        } else {
            self.part.add(amount);
        }
        true
    }

    pub fn value(&self) -> f64 {
        self.whole.load(Relaxed) as f64 + self.part.get()
    }
}

impl Metric for Counter {
    const KIND: &'static str = "counter";
    const SUFFIXES: &'static [&'static str] = &[""];

    fn create(_bounds: &Arc<[f64]>) -> Self {
        Self::default()
    }

    fn write(&self, line: &Line<'_>, out: &mut Vec<u8>) {
        line.start(out);
        let part = self.part.get();
        if part == 0.0 {
            write_uint(self.whole.load(Relaxed), out);
        } else {
            write_float(self.whole.load(Relaxed) as f64 + part, out);
        }
        out.push(b'\n');
    }
}

/// Goes up and down.
#[derive(Default)]
pub struct Gauge(AtomicFloat);

impl Gauge {
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }

    pub fn add(&self, amount: f64) {
        self.0.add(amount);
    }

    pub fn value(&self) -> f64 {
        self.0.get()
    }
}

impl Metric for Gauge {
    const KIND: &'static str = "gauge";
    const SUFFIXES: &'static [&'static str] = &[""];

    fn create(_bounds: &Arc<[f64]>) -> Self {
        Self::default()
    }

    fn write(&self, line: &Line<'_>, out: &mut Vec<u8>) {
        line.start(out);
        write_float(self.value(), out);
        out.push(b'\n');
    }
}

/// How observations are spread over buckets.
pub struct Histogram {
    bounds: Arc<[f64]>,
    /// One per bound and one for what is above them all; each counts its own bucket only.
    counts: Box<[AtomicU64]>,
    sum: AtomicFloat,
}

impl Histogram {
    /// Count an observation; false if it is not a number, and nothing was counted.
    #[inline]
    pub fn observe(&self, value: f64) -> bool {
        if value.is_nan() {
            return false;
        }
        // Counting instead of searching: no branch per bound, and there are few.
        let bucket = self.bounds.iter().filter(|bound| value > **bound).count();
        self.counts[bucket].fetch_add(1, Relaxed);
        self.sum.add(value);
        true
    }

    pub fn sum(&self) -> f64 {
        self.sum.get()
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// Upper bound and cumulative count of each bucket, the last with an infinite bound.
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        let mut total = 0;
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let buckets = bounds.zip(self.counts.iter()).map(|(bound, count)| {
            total += count.load(Relaxed);
            (bound, total)
        });
        buckets.collect()
    }
}

impl Metric for Histogram {
    const KIND: &'static str = "histogram";
    const SUFFIXES: &'static [&'static str] = &["_bucket", "_sum", "_count"];

    fn create(bounds: &Arc<[f64]>) -> Self {
        Self {
            bounds: Arc::clone(bounds),
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicFloat::default(),
        }
    }

    fn write(&self, line: &Line<'_>, out: &mut Vec<u8>) {
        // The count is what the buckets just gave, so that one exposition never contradicts itself.
        let mut total = 0;
        for (bound, cumulative) in self.buckets() {
            line.start_bucket(bound, out);
            write_uint(cumulative, out);
            out.push(b'\n');
            total = cumulative;
        }
        line.start_suffixed("_sum", out);
        write_float(self.sum.get(), out);
        out.push(b'\n');
        line.start_suffixed("_count", out);
        write_uint(total, out);
        out.push(b'\n');
    }
}
