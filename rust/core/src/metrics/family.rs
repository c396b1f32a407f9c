//! A metric by name, with a child for each combination of label values.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cells::Metric;
use super::text::{Format, Line, bucket_label, is_name, push_label, write_head};
use super::{Declaration, MAX_BUCKETS, MAX_CHILDREN, MetricError, OVERFLOW};

/// One combination of label values.
pub struct Child<M> {
    /// `name{a="x"} `, ready to copy.
    prefix: String,
    pub metric: M,
}

struct Children<M> {
    by_values: HashMap<Box<[Box<str>]>, Arc<Child<M>>>,
    /// In order of creation, which is the order of exposition.
    ordered: Vec<Arc<Child<M>>>,
}

/// A metric by name.
pub struct Family<M> {
    /// As samples have it, so that of a counter ends in `_total`.
    name: String,
    help: String,
    unit: String,
    labels: Vec<String>,
    place: String,
    bounds: Arc<[f64]>,
    /// The label of each bucket, the infinite one too, ready to copy.
    buckets: Vec<String>,
    children: Mutex<Children<M>>,
}

impl<M: Metric> Family<M> {
    /// `name` is the declaration's, with what its kind adds.
    pub(super) fn new(name: &str, declaration: &Declaration<'_>, bounds: &[f64]) -> Result<Self, MetricError> {
        let &Declaration {
            help,
            unit,
            labels,
            place,
            ..
        } = declaration;
        if !is_name(base::<M>(name), false) {
            return Err(MetricError::BadName(name.to_owned()));
        }
        if !unit.is_empty()
            && !base::<M>(name)
                .strip_suffix(unit)
                .is_some_and(|rest| rest.ends_with('_'))
        {
            return Err(MetricError::BadUnit {
                name: name.to_owned(),
                unit: unit.to_owned(),
            });
        }
        for (index, label) in labels.iter().enumerate() {
            if !is_name(label, true) || label.starts_with("__") || label == "le" {
                return Err(MetricError::BadLabel(label.clone()));
            }
            if labels[..index].contains(label) {
                return Err(MetricError::DuplicateLabel(label.clone()));
            }
        }
        let children = Children {
            by_values: HashMap::new(),
            ordered: Vec::new(),
        };
        Ok(Self {
            name: name.to_owned(),
            help: help.to_owned(),
            unit: unit.to_owned(),
            labels: labels.to_vec(),
            place: place.to_owned(),
            bounds: bounds.into(),
            buckets: bounds
                .iter()
                .copied()
                .chain([f64::INFINITY])
                .map(bucket_label)
                .collect(),
            children: Mutex::new(children),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Whether it was declared like this.
    pub(super) fn is(&self, name: &str, declaration: &Declaration<'_>, bounds: &[f64]) -> bool {
        self.name == name
            && self.labels == declaration.labels
            && self.unit == declaration.unit
            && self.help == declaration.help
            && *self.bounds == *bounds
    }

    /// What it is, for an error message.
    pub(super) fn describe(&self) -> String {
        let (kind, labels, help) = (M::KIND, self.labels.join(", "), &self.help);
        let unit = if self.unit.is_empty() {
            String::new()
        } else {
            format!(", unit {:?}", self.unit)
        };
        let buckets = if self.bounds.is_empty() {
            String::new()
        } else {
            format!(", buckets {:?}", self.bounds)
        };
        format!("a {kind} with labels ({labels}){unit}{buckets}, help {help:?}")
    }

    /// The child of these label values, made on first use. Beyond [`MAX_CHILDREN`] all further values share one.
    pub fn child(&self, values: &[&str]) -> Result<Arc<Child<M>>, MetricError> {
        if values.len() != self.labels.len() {
            let name = self.name.clone();
            return Err(MetricError::LabelCount {
                name,
                expected: self.labels.len(),
                given: values.len(),
            });
        }
        let mut children = self.lock();
        let key: Box<[Box<str>]> = values.iter().map(|value| Box::from(*value)).collect();
        if let Some(child) = children.by_values.get(&key) {
            return Ok(Arc::clone(child));
        }
        if children.by_values.len() >= MAX_CHILDREN {
            let shared: Box<[Box<str>]> = values.iter().map(|_| Box::from(OVERFLOW)).collect();
            return Ok(self.create(&mut children, shared));
        }
        Ok(self.create(&mut children, key))
    }

    /// Leave a child out of later expositions; whether there was one. Who still holds it counts in vain.
    pub fn remove(&self, values: &[&str]) -> bool {
        let key: Box<[Box<str>]> = values.iter().map(|value| Box::from(*value)).collect();
        let mut children = self.lock();
        let Some(child) = children.by_values.remove(&key) else {
            return false;
        };
        children.ordered.retain(|other| !Arc::ptr_eq(other, &child));
        true
    }

    pub fn len(&self) -> usize {
        self.lock().ordered.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn create(&self, children: &mut Children<M>, key: Box<[Box<str>]>) -> Arc<Child<M>> {
        if let Some(child) = children.by_values.get(&key) {
            return Arc::clone(child);
        }
        let mut labels = String::new();
        for (name, value) in self.labels.iter().zip(&key) {
            push_label(&mut labels, name, value);
        }
        let prefix = if labels.is_empty() {
            format!("{} ", self.name)
        } else {
            format!("{}{{{labels}}} ", self.name)
        };
        let child = Arc::new(Child {
            prefix,
            metric: M::create(&self.bounds),
        });
        children.by_values.insert(key, Arc::clone(&child));
        children.ordered.push(Arc::clone(&child));
        child
    }

    fn lock(&self) -> MutexGuard<'_, Children<M>> {
        // No code that can panic runs between a first and a second change.
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self, extra: &[(String, String)], format: Format, out: &mut Vec<u8>) {
        let children = self.lock();
        if children.ordered.is_empty() {
            return;
        }
        let name = match format {
            Format::Text => &self.name,
            Format::OpenMetrics => base::<M>(&self.name),
        };
        write_head(name, M::KIND, &self.unit, &self.help, format, out);
        let mut text = String::new();
        for (name, value) in extra.iter().filter(|(name, _)| !self.labels.contains(name)) {
            // A label of the family's own is more specific than one that is added to everything.
            push_label(&mut text, name, value);
        }
        for child in &children.ordered {
            child.metric.write(
                &Line {
                    name: &self.name,
                    prefix: &child.prefix,
                    extra: &text,
                    buckets: &self.buckets,
                    format,
                },
                out,
            );
        }
    }
}

/// The name without what OpenMetrics leaves to the samples.
pub(super) fn base<M: Metric>(name: &str) -> &str {
    name.strip_suffix(M::TOTAL).unwrap_or(name)
}

/// Bounds as they are kept: finite, rising, without the infinite one that is always there.
pub(super) fn check_bounds(bounds: &[f64]) -> Result<Vec<f64>, MetricError> {
    let finite = match bounds {
        [rest @ .., last] if *last == f64::INFINITY => rest,
        all => all,
    };
    let rising = finite.windows(2).all(|pair| pair[0] < pair[1]);
    if finite.is_empty() || finite.len() > MAX_BUCKETS || !rising || !finite.iter().all(|bound| bound.is_finite()) {
        return Err(MetricError::BadBuckets);
    }
    Ok(finite.to_vec())
}
