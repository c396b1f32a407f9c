//! All families of a process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cells::{Counter, Gauge, Histogram, Metric};
use super::family::{Family, base, check_bounds};
use super::text::{Format, is_name};
use super::{Declaration, MetricError};

#[derive(Clone)]
enum AnyFamily {
    Counter(Arc<Family<Counter>>),
    Gauge(Arc<Family<Gauge>>),
    Histogram(Arc<Family<Histogram>>),
}

impl AnyFamily {
    /// What it is and where it was declared, for an error message.
    fn describe(&self) -> (String, &str) {
        match self {
            Self::Counter(family) => (family.describe(), family.place()),
            Self::Gauge(family) => (family.describe(), family.place()),
            Self::Histogram(family) => (family.describe(), family.place()),
        }
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
    /// Every name of a family or a sample, in any format, to its family's place: a counter `x_count` must not meet a
    /// histogram `x`.
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
    pub fn counter(&self, declaration: &Declaration<'_>) -> Result<Arc<Family<Counter>>, MetricError> {
        self.family(declaration, &[])
    }

    pub fn gauge(&self, declaration: &Declaration<'_>) -> Result<Arc<Family<Gauge>>, MetricError> {
        self.family(declaration, &[])
    }

    pub fn histogram(
        &self,
        declaration: &Declaration<'_>,
        bounds: &[f64],
    ) -> Result<Arc<Family<Histogram>>, MetricError> {
        self.family(declaration, &check_bounds(bounds)?)
    }

    /// Whether the name is that of a family or of one of its samples.
    pub fn has(&self, name: &str) -> bool {
        self.lock().names.contains_key(name)
    }

    fn family<M: Kept>(&self, declaration: &Declaration<'_>, bounds: &[f64]) -> Result<Arc<Family<M>>, MetricError> {
        let mut families = self.lock();
        let base = base::<M>(declaration.name);
        let name = format!("{base}{}", M::TOTAL);
        let taken: Vec<String> = M::SUFFIXES.iter().map(|suffix| format!("{base}{suffix}")).collect();
        if let Some(place) = taken.iter().find_map(|taken| families.names.get(taken)) {
            let known = &families.ordered[*place];
            return match M::unwrap(known) {
                Some(same) if same.is(&name, declaration, bounds) => Ok(Arc::clone(same)),
                _ => {
                    let (by, place) = known.describe();
                    Err(MetricError::Taken {
                        name,
                        by,
                        place: place.to_owned(),
                    })
                }
            };
        }
        let family = Arc::new(Family::new(&name, declaration, bounds)?);
        let place = families.ordered.len();
        families.ordered.push(M::wrap(Arc::clone(&family)));
        families.names.extend(taken.into_iter().map(|taken| (taken, place)));
        Ok(family)
    }

    /// The exposition, every line with the extra labels that its family does not have itself.
    pub fn render(&self, extra: &[(String, String)], format: Format) -> Result<Vec<u8>, MetricError> {
        if let Some((name, _)) = extra.iter().find(|(name, _)| !is_name(name, true) || name == "le") {
            return Err(MetricError::BadLabel(name.clone()));
        }
        let mut families = self.lock();
        let mut out = Vec::with_capacity(families.last_bytes + families.last_bytes / 8);
        for family in &families.ordered {
            match family {
                AnyFamily::Counter(family) => family.write(extra, format, &mut out),
                AnyFamily::Gauge(family) => family.write(extra, format, &mut out),
                AnyFamily::Histogram(family) => family.write(extra, format, &mut out),
            }
        }
        if format == Format::OpenMetrics {
            out.extend_from_slice(b"# EOF\n");
        }
        families.last_bytes = out.len();
        Ok(out)
    }

    fn lock(&self) -> MutexGuard<'_, Families> {
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
