//! What a child counts with.
//!
//! **Writers take turns, readers do not.** Whoever counts excludes everyone else who counts the same child (the Python
//! binding holds the GIL), so adding is a plain load and a plain store: a locked instruction would cost as much as the
//! whole call around it. The cells are atomics all the same, so that a scrape may read them at any time from any thread
//! and sees whole values, each of them one that was really there.
//!
//! What a scrape beside a writer can see of one histogram: its count is the sum of the buckets it has just read, so that
//! count and buckets always agree, and every later scrape sees at least as much; its sum may lack, or be ahead by, the
//! observation that is being counted at that moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::exemplar::{Exemplar, Exemplars};
use super::text::{Format, Line, write_float, write_uint};

/// A 64-bit float. One writer at a time.
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
        self.set(self.get() + amount);
    }
}

/// Add to a cell. One writer at a time.
#[inline(always)]
fn add(cell: &AtomicU64, amount: u64) {
    cell.store(cell.load(Relaxed).wrapping_add(amount), Relaxed);
}

/// A kind of metric.
pub trait Metric: Send + Sync + Sized + 'static {
    /// As the TYPE line says it.
    const KIND: &'static str;
    /// What OpenMetrics has in the names of samples, and not in that of their family.
    const TOTAL: &'static str;
    /// What other names it takes: those of its samples in any of the formats, as ends of its name without `TOTAL`.
    const SUFFIXES: &'static [&'static str];

    fn create(bounds: &Arc<[f64]>) -> Self;

    /// Write the child's lines.
    fn write(&self, line: &Line<'_>, out: &mut Vec<u8>);
}

/// Goes up.
#[derive(Default)]
pub struct Counter {
    // Whole steps, which are nearly all there are, are exact however many there were.
    whole: AtomicU64,
    part: AtomicFloat,
    exemplars: Exemplars,
}

impl Counter {
    #[inline]
    pub fn step(&self) {
        add(&self.whole, 1);
    }

    /// Add an amount, which must be finite and not negative; false if it is not, and nothing was added.
    #[inline]
    pub fn add(&self, amount: f64) -> bool {
        if !(amount.is_finite() && amount >= 0.0) {
            return false;
        }
        if amount < (1u64 << 53) as f64 && (amount as u64 as f64).to_bits() == amount.to_bits() {
            add(&self.whole, amount as u64);
        } else {
            self.part.add(amount);
        }
        true
    }

    /// The same, with what led to it.
    pub fn add_with(&self, amount: f64, exemplar: Exemplar) -> bool {
        let added = self.add(amount);
        if added {
            self.exemplars.put(0, exemplar);
        }
        added
    }

    pub fn value(&self) -> f64 {
        self.whole.load(Relaxed) as f64 + self.part.get()
    }
}

impl Metric for Counter {
    const KIND: &'static str = "counter";
    const TOTAL: &'static str = "_total";
    const SUFFIXES: &'static [&'static str] = &["", "_total", "_created"];

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
        if line.format == Format::OpenMetrics {
            self.exemplars.write(0, out);
        }
        out.push(b'\n');
    }
}

/// Goes up and down.
#[derive(Default)]
pub struct Gauge(AtomicFloat);

impl Gauge {
    #[inline]
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }

    #[inline]
    pub fn add(&self, amount: f64) {
        self.0.add(amount);
    }

    pub fn value(&self) -> f64 {
        self.0.get()
    }
}

impl Metric for Gauge {
    const KIND: &'static str = "gauge";
    const TOTAL: &'static str = "";
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
    /// The bits of the sum; then a count for each bound and one for what is above them all, each of its own bucket only.
    cells: Box<[AtomicU64]>,
    exemplars: Exemplars,
}

impl Histogram {
    /// Count an observation; false if it is not a number, and nothing was counted.
    #[inline]
    pub fn observe(&self, value: f64) -> bool {
        self.count_in(value).is_some()
    }

    /// The same, with what led to it.
    pub fn observe_with(&self, value: f64, exemplar: Exemplar) -> bool {
        let bucket = self.count_in(value);
        if let Some(bucket) = bucket {
            self.exemplars.put(bucket, exemplar);
        }
        bucket.is_some()
    }

    #[inline]
    fn count_in(&self, value: f64) -> Option<usize> {
        if value.is_nan() {
            return None;
        }
        // Comparing with every bound has no branch that depends on the value, and takes several bounds at a time: for as
        // many as there may be, it is as fast as a search.
        let bucket: usize = self.bounds.iter().map(|bound| usize::from(value > *bound)).sum();
        let (sum, counts) = self.cells.split_first()?;
        sum.store((f64::from_bits(sum.load(Relaxed)) + value).to_bits(), Relaxed);
        add(&counts[bucket], 1);
        Some(bucket)
    }

    pub fn sum(&self) -> f64 {
        f64::from_bits(self.cells[0].load(Relaxed))
    }

    pub fn count(&self) -> u64 {
        self.cells[1..].iter().map(|count| count.load(Relaxed)).sum()
    }

    /// Upper bound and cumulative count of each bucket, the last with an infinite bound.
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(self.cumulative()).collect()
    }

    fn cumulative(&self) -> impl Iterator<Item = u64> {
        self.cells[1..].iter().scan(0, |total, count| {
            *total += count.load(Relaxed);
            Some(*total)
        })
    }

    /// Whether the sum goes up only, as OpenMetrics asks of a sum that is shown.
    fn sum_is_a_counter(&self) -> bool {
        self.bounds[0] >= 0.0 && self.sum() >= 0.0
    }
}

impl Metric for Histogram {
    const KIND: &'static str = "histogram";
    const TOTAL: &'static str = "";
    const SUFFIXES: &'static [&'static str] = &["", "_bucket", "_sum", "_count", "_created"];

    fn create(bounds: &Arc<[f64]>) -> Self {
        Self {
            bounds: Arc::clone(bounds),
            cells: (0..bounds.len() + 2).map(|_| AtomicU64::new(0)).collect(),
            exemplars: Exemplars::default(),
        }
    }

    fn write(&self, line: &Line<'_>, out: &mut Vec<u8>) {
        let mut total = 0;
        let start = out.len();
        line.start_buckets(out);
        let end = out.len();
        for (bucket, cumulative) in self.cumulative().enumerate() {
            if bucket > 0 {
                out.extend_from_within(start..end);
            }
            out.extend_from_slice(line.buckets[bucket].as_bytes());
            write_uint(cumulative, out);
            if line.format == Format::OpenMetrics {
                self.exemplars.write(bucket, out);
            }
            out.push(b'\n');
            total = cumulative;
        }
        if line.format == Format::OpenMetrics && !self.sum_is_a_counter() {
            return;
        }
        line.start_suffixed("_sum", out);
        write_float(self.sum(), out);
        out.push(b'\n');
        line.start_suffixed("_count", out);
        write_uint(total, out);
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![
            -3.0..3.0,
            any::<f64>().prop_filter("a number", |value| !value.is_nan()),
            (-5i32..5).prop_map(f64::from)
        ]
    }

    proptest! {
        #[test]
        fn every_observation_is_in_the_first_bucket_that_is_not_below_it(
            bounds in prop::collection::btree_set(-1000i32..1000, 1..80),
            values in prop::collection::vec(prop_oneof![number(), (-1000i32..1000).prop_map(f64::from)], 0..80),
        ) {
            let bounds: Arc<[f64]> = bounds.into_iter().map(f64::from).collect();
            let histogram = Histogram::create(&bounds);
            for value in &values {
                prop_assert!(histogram.observe(*value));
            }
            prop_assert!(!histogram.observe(f64::NAN));
            for (bound, count) in histogram.buckets() {
                prop_assert_eq!(count, values.iter().filter(|value| **value <= bound).count() as u64);
            }
            prop_assert_eq!(histogram.count(), values.len() as u64);
            let sum = values.iter().fold(0.0, |sum, value| sum + value);
            prop_assert!(histogram.sum().to_bits() == sum.to_bits() || histogram.sum().is_nan() && sum.is_nan());
        }

        #[test]
        fn a_counter_is_the_sum_of_what_was_added(amounts in prop::collection::vec(number(), 0..50)) {
            let counter = Counter::default();
            let mut steps = 0.0;
            let mut parts = 0.0;
            for amount in amounts {
                let good = amount >= 0.0 && amount.is_finite();
                prop_assert_eq!(counter.add(amount), good);
                if good && amount.fract() == 0.0 && amount < 1e9 {
                    steps += amount;
                } else if good {
                    parts += amount;
                }
            }
            counter.step();
            let expected = steps + 1.0 + parts;
            let got = counter.value();
            prop_assert!((got - expected).abs() <= expected * 1e-12 || got.is_infinite() && expected.is_infinite(), "{} {}", got, expected);
        }
    }

    #[test]
    fn readers_beside_a_writer_never_see_less_than_before() {
        let bounds: Arc<[f64]> = Arc::new([1.0, 2.0, 3.0]);
        let histogram = Histogram::create(&bounds);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..50_000 {
                    assert!(histogram.observe(f64::from(number % 5)));
                }
            });
            let mut seen = vec![0; 4];
            while seen[3] < 50_000 {
                let now: Vec<u64> = histogram.buckets().into_iter().map(|(_, count)| count).collect();
                assert!(now.windows(2).all(|pair| pair[0] <= pair[1]));
                assert!(now.iter().zip(&seen).all(|(now, before)| now >= before));
                seen = now;
            }
        });
        assert!((histogram.sum() - 100_000.0).abs() < f64::EPSILON);
    }
}
