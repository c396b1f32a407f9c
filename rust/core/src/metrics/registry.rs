//! All families of a process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::MetricError;
use super::cells::{Counter, Gauge, Histogram, Metric};
use super::family::{Family, check_bounds};
use super::text::is_name;

#[derive(Clone)]
enum AnyFamily {
    Counter(Arc<Family<Counter>>),
    Gauge(Arc<Family<Gauge>>),
    Histogram(Arc<Family<Histogram>>),
}

impl AnyFamily {
    /// What it is, for an error message.
    fn describe(&self) -> String {
        let (kind, labels) = match self {
            Self::Counter(family) => (Counter::KIND, family.labels()),
            Self::Gauge(family) => (Gauge::KIND, family.labels()),
            Self::Histogram(family) => (Histogram::KIND, family.labels()),
        };
        format!("a {kind} with labels ({})", labels.join(", "))
    }
}

/// Moves a family between its type and the list of all.
trait Kept: Metric {
    fn wrap(family: Arc<Family<Self>>) -> AnyFamily;
    fn unwrap(family: &AnyFamily) -> Option<&Arc<Family<Self>>>;
}

macro_rules! kept {
    ($($kind:ident),*) => {$(
        impl Kept for $kind {
            fn wrap(family: Arc<Family<Self>>) -> AnyFamily {
                AnyFamily::$kind(family)
            }

            fn unwrap(family: &AnyFamily) -> Option<&Arc<Family<Self>>> {
                if let AnyFamily::$kind(family) = family { Some(family) } else { None }
            }
        }
    )*};
}

kept!(Counter, Gauge, Histogram);

#[derive(Default)]
struct Families {
    ordered: Vec<AnyFamily>,
    /// Every sample name to its family's place: a counter `x_count` must not meet a histogram `x`.
    names: HashMap<String, usize>,
    last_bytes: usize,
}

/// All families of a process, or of one part of it.
#[derive(Default)]
pub struct Registry {
    families: Mutex<Families>,
}

impl Registry {
    pub fn new() -> Self {
        Self::default()
    }

    /// The counter of this name; `_total` is added to a name that does not end with it.
    pub fn counter(&self, name: &str, help: &str, labels: &[String]) -> Result<Arc<Family<Counter>>, MetricError> {
        if name.ends_with("_total") {
            self.family(name, help, labels, &[])
        } else {
            self.family(&format!("{name}_total"), help, labels, &[])
        }
    }

    pub fn gauge(&self, name: &str, help: &str, labels: &[String]) -> Result<Arc<Family<Gauge>>, MetricError> {
        self.family(name, help, labels, &[])
    }

    pub fn histogram(
        &self,
        name: &str,
        help: &str,
        labels: &[String],
        bounds: &[f64],
    ) -> Result<Arc<Family<Histogram>>, MetricError> {
        self.family(name, help, labels, &check_bounds(bounds)?)
    }

    fn family<M: Kept>(
        &self,
        name: &str,
        help: &str,
        labels: &[String],
        bounds: &[f64],
    ) -> Result<Arc<Family<M>>, MetricError> {
        let mut families = self.lock();
        let samples: Vec<String> = M::SUFFIXES.iter().map(|suffix| format!("{name}{suffix}")).collect();
        if let Some(place) = samples.iter().find_map(|sample| families.names.get(sample)) {
            let known = &families.ordered[*place];
            return match M::unwrap(known) {
                Some(same) if same.name() == name && same.labels() == labels && same.bounds() == bounds => {
                    Ok(Arc::clone(same))
                }
                _ => Err(MetricError::Taken {
                    name: name.to_owned(),
                    by: known.describe(),
                }),
            };
        }
        let family = Arc::new(Family::new(name, help, labels, bounds)?);
        let place = families.ordered.len();
        families.ordered.push(M::wrap(Arc::clone(&family)));
        families.names.extend(samples.into_iter().map(|sample| (sample, place)));
        Ok(family)
    }

    /// The exposition, every line with the extra labels that its family does not have itself.
    pub fn render(&self, extra: &[(String, String)]) -> Result<Vec<u8>, MetricError> {
        if let Some((name, _)) = extra.iter().find(|(name, _)| !is_name(name, true) || name == "le") {
            return Err(MetricError::BadLabel(name.clone()));
        }
        let mut families = self.lock();
        let mut out = Vec::with_capacity(families.last_bytes + families.last_bytes / 8);
        for family in &families.ordered {
            match family {
                AnyFamily::Counter(family) => family.write(extra, &mut out),
                AnyFamily::Gauge(family) => family.write(extra, &mut out),
                AnyFamily::Histogram(family) => family.write(extra, &mut out),
            }
        }
        families.last_bytes = out.len();
        Ok(out)
    }

    fn lock(&self) -> MutexGuard<'_, Families> {
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{MAX_CHILDREN, OVERFLOW};

    fn labels(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn text(registry: &Registry, extra: &[(String, String)]) -> String {
        String::from_utf8(registry.render(extra).unwrap_or_default()).unwrap_or_default()
    }

    #[test]
    fn an_exposition_has_help_type_and_escaped_labels() -> Result<(), MetricError> {
        let registry = Registry::new();
        let calls = registry.counter("calls", "How many\ncalls \\ all.", &labels(&["agent"]))?;
        calls.child(&["A\"b\\c\nd"])?.metric.step();
        registry.gauge("depth", "Depth.", &[])?.child(&[])?.metric.set(-2.5);
        let seconds = registry.histogram("seconds", "Time.", &labels(&["m"]), &[0.5, 1.0, f64::INFINITY])?;
        let child = seconds.child(&["x"])?;
        assert!(child.metric.observe(0.5) && child.metric.observe(0.7) && child.metric.observe(9.0));
        assert!(!child.metric.observe(f64::NAN));
        let expected = "# HELP calls_total How many\\ncalls \\\\ all.\n# TYPE calls_total counter\n\
            calls_total{agent=\"A\\\"b\\\\c\\nd\"} 1\n\
            # HELP depth Depth.\n# TYPE depth gauge\ndepth -2.5\n\
            # HELP seconds Time.\n# TYPE seconds histogram\n\
            seconds_bucket{m=\"x\",le=\"0.5\"} 1\nseconds_bucket{m=\"x\",le=\"1.0\"} 2\n\
            seconds_bucket{m=\"x\",le=\"+Inf\"} 3\nseconds_sum{m=\"x\"} 10.2\nseconds_count{m=\"x\"} 3\n";
        assert_eq!(text(&registry, &[]), expected);
        Ok(())
    }

    #[test]
    fn extra_labels_come_first_and_yield_to_own_ones() -> Result<(), MetricError> {
        let registry = Registry::new();
        registry
            .counter("a_total", "A.", &labels(&["host"]))?
            .child(&["own"])?
            .metric
            .step();
        registry.gauge("b", "B.", &[])?;
        registry.gauge("c", "C.", &[])?.child(&[])?.metric.set(1.0);
        let histogram = registry.histogram("d", "D.", &[], &[1.0])?;
        assert!(histogram.child(&[])?.metric.observe(2.0));
        let extra = [("host".to_owned(), "h".to_owned()), ("pc".to_owned(), "p".to_owned())];
        let got = text(&registry, &extra);
        let lines: Vec<&str> = got.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            "a_total{pc=\"p\",host=\"own\"} 1",
            "c{host=\"h\",pc=\"p\"} 1",
            "d_bucket{host=\"h\",pc=\"p\",le=\"1.0\"} 0",
            "d_bucket{host=\"h\",pc=\"p\",le=\"+Inf\"} 1",
            "d_sum{host=\"h\",pc=\"p\"} 2",
            "d_count{host=\"h\",pc=\"p\"} 1",
        ];
        assert_eq!(lines, expected);
        assert!(!got.contains("# TYPE b "), "a family without children says nothing");
        let le = [("le".to_owned(), "1".to_owned())];
        assert_eq!(registry.render(&le), Err(MetricError::BadLabel("le".into())));
        Ok(())
    }

    #[test]
    fn the_same_family_comes_back_and_another_is_refused() -> Result<(), MetricError> {
        let registry = Registry::new();
        let first = registry.counter("x", "X.", &labels(&["a"]))?;
        assert!(Arc::ptr_eq(
            &first,
            &registry.counter("x_total", "other help", &labels(&["a"]))?
        ));
        let taken = |name: &str| MetricError::Taken {
            name: name.into(),
            by: "a counter with labels (a)".into(),
        };
        assert_eq!(registry.counter("x", "X.", &[]).err(), Some(taken("x_total")));
        assert_eq!(
            registry.gauge("x_total", "X.", &labels(&["a"])).err(),
            Some(taken("x_total"))
        );
        registry.histogram("h", "H.", &[], &[1.0])?;
        assert!(registry.gauge("h_count", "H.", &[]).is_err());
        assert!(registry.histogram("h", "H.", &[], &[2.0]).is_err());
        Ok(())
    }

    #[test]
    fn bad_names_and_bounds_are_refused() {
        let registry = Registry::new();
        for name in ["", "1a", "a-b", "ü", "a b"] {
            assert_eq!(
                registry.gauge(name, "", &[]).err(),
                Some(MetricError::BadName(name.into()))
            );
        }
        for label in ["", "1a", "a:b", "__a", "le"] {
            assert_eq!(
                registry.gauge("x", "", &labels(&[label])).err(),
                Some(MetricError::BadLabel(label.into()))
            );
        }
        assert_eq!(
            registry.gauge("x", "", &labels(&["a", "a"])).err(),
            Some(MetricError::DuplicateLabel("a".into()))
        );
        let many: Vec<f64> = (0..=crate::metrics::MAX_BUCKETS).map(|n| n as f64).collect();
        for bounds in [&[][..], &[2.0, 1.0], &[1.0, 1.0], &[f64::NAN], &[f64::INFINITY], &many] {
            assert_eq!(
                registry.histogram("x", "", &[], bounds).err(),
                Some(MetricError::BadBuckets)
            );
        }
    }

    #[test]
    fn too_many_children_share_one() -> Result<(), MetricError> {
        let registry = Registry::new();
        let family = registry.gauge("x", "X.", &labels(&["a"]))?;
        for number in 0..MAX_CHILDREN {
            family.child(&[&number.to_string()])?;
        }
        let one = family.child(&["one more"])?;
        assert!(Arc::ptr_eq(&one, &family.child(&["another"])?));
        assert!(Arc::ptr_eq(&one, &family.child(&[OVERFLOW])?));
        assert_eq!(family.len(), MAX_CHILDREN + 1);
        assert!(family.remove(&["7"]) && !family.remove(&["7"]));
        assert_eq!(family.len(), MAX_CHILDREN);
        Ok(())
    }

    #[test]
    fn threads_lose_nothing() -> Result<(), MetricError> {
        let registry = Registry::new();
        let counter = registry.counter("x", "X.", &[])?.child(&[])?;
        let histogram = registry.histogram("y", "Y.", &[], &[1.0])?.child(&[])?;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        counter.metric.step();
                        counter.metric.add(0.5);
                        histogram.metric.observe(0.5);
                    }
                });
            }
        });
        assert!((counter.metric.value() - 60_000.0).abs() < f64::EPSILON);
        assert_eq!(histogram.metric.count(), 40_000);
        assert!((histogram.metric.sum() - 20_000.0).abs() < f64::EPSILON);
        Ok(())
    }

    #[test]
    fn a_counter_never_goes_down() -> Result<(), MetricError> {
        let counter = Registry::new().counter("x", "X.", &[])?.child(&[])?;
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(!counter.metric.add(bad));
        }
        assert!(counter.metric.add(1e18) && counter.metric.add(2.0));
        assert!((counter.metric.value() - (1e18 + 2.0)).abs() < f64::EPSILON);
        Ok(())
    }
}
