//! Families, children and expositions.

use std::sync::Arc;

use super::*;
use proptest::prelude::*;

fn labels(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn of<'a>(name: &'a str, help: &'a str, labels: &'a [String]) -> Declaration<'a> {
    Declaration {
        name,
        help,
        labels,
        ..Declaration::default()
    }
}

fn text(registry: &Registry, extra: &[(String, String)]) -> String {
    rendered(registry, extra, Format::Text)
}

fn rendered(registry: &Registry, extra: &[(String, String)], format: Format) -> String {
    String::from_utf8(registry.render(extra, format).unwrap_or_default()).unwrap_or_default()
}

#[test]
fn an_exposition_has_help_type_and_escaped_labels() -> Result<(), MetricError> {
    let registry = Registry::new();
    let calls = registry.counter(&of("calls", "How many\ncalls \\ all.", &labels(&["agent"])))?;
    calls.child(&["A\"b\\c\nd"])?.metric.step();
    registry
        .gauge(&of("depth", "Depth.", &[]))?
        .child(&[])?
        .metric
        .set(-2.5);
    let seconds = registry.histogram(&of("seconds", "Time.", &labels(&["m"])), &[0.5, 1.0, f64::INFINITY])?;
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
        .counter(&of("a_total", "A.", &labels(&["host"])))?
        .child(&["own"])?
        .metric
        .step();
    registry.gauge(&of("b", "B.", &[]))?;
    registry.gauge(&of("c", "C.", &[]))?.child(&[])?.metric.set(1.0);
    let histogram = registry.histogram(&of("d", "D.", &[]), &[1.0])?;
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
    assert_eq!(
        registry.render(&le, Format::Text),
        Err(MetricError::BadLabel("le".into()))
    );
    Ok(())
}

#[test]
fn the_same_family_comes_back_and_another_is_refused() -> Result<(), MetricError> {
    let registry = Registry::new();
    let first = registry.counter(&of("x", "X.", &labels(&["a"])))?;
    assert!(Arc::ptr_eq(
        &first,
        &registry.counter(&of("x_total", "X.", &labels(&["a"])))?
    ));
    let taken = |name: &str| MetricError::Taken {
        name: name.into(),
        by: "a counter with labels (a), help \"X.\"".into(),
        place: String::new(),
    };
    assert_eq!(registry.counter(&of("x", "X.", &[])).err(), Some(taken("x_total")));
    assert_eq!(
        registry.gauge(&of("x_total", "X.", &labels(&["a"]))).err(),
        Some(taken("x_total"))
    );
    registry.histogram(&of("h", "H.", &[]), &[1.0])?;
    assert!(registry.gauge(&of("h_count", "H.", &[])).is_err());
    assert!(registry.histogram(&of("h", "H.", &[]), &[2.0]).is_err());
    Ok(())
}

#[test]
fn bad_names_and_bounds_are_refused() {
    let registry = Registry::new();
    for name in ["", "1a", "a-b", "ü", "a b"] {
        assert_eq!(
            registry.gauge(&of(name, "", &[])).err(),
            Some(MetricError::BadName(name.into()))
        );
    }
    for label in ["", "1a", "a:b", "__a", "le"] {
        assert_eq!(
            registry.gauge(&of("x", "", &labels(&[label]))).err(),
            Some(MetricError::BadLabel(label.into()))
        );
    }
    assert_eq!(
        registry.gauge(&of("x", "", &labels(&["a", "a"]))).err(),
        Some(MetricError::DuplicateLabel("a".into()))
    );
    let many: Vec<f64> = (0..=MAX_BUCKETS).map(|n| n as f64).collect();
    for bounds in [&[][..], &[2.0, 1.0], &[1.0, 1.0], &[f64::NAN], &[f64::INFINITY], &many] {
        assert_eq!(
            registry.histogram(&of("x", "", &[]), bounds).err(),
            Some(MetricError::BadBuckets)
        );
    }
}

#[test]
fn too_many_children_share_one() -> Result<(), MetricError> {
    let registry = Registry::new();
    let family = registry.gauge(&of("x", "X.", &labels(&["a"])))?;
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
fn a_counter_never_goes_down() -> Result<(), MetricError> {
    let counter = Registry::new().counter(&of("x", "X.", &[]))?.child(&[])?;
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(!counter.metric.add(bad));
    }
    assert!(counter.metric.add(1e18) && counter.metric.add(2.0));
    assert!((counter.metric.value() - (1e18 + 2.0)).abs() < f64::EPSILON);
    Ok(())
}

#[test]
fn openmetrics_has_units_exemplars_and_an_end() -> Result<(), MetricError> {
    let registry = Registry::new();
    let calls = Declaration {
        unit: "bytes",
        ..of("sent_bytes_total", "Say \"sent\".", &[])
    };
    let trace = |value| Exemplar::new([("trace_id", "a\"b")], value, 12.5);
    let child = registry.counter(&calls)?.child(&[])?;
    assert!(child.metric.add_with(2.0, trace(2.0)?));
    assert!(!child.metric.add_with(-1.0, trace(-1.0)?));
    let child = registry.histogram(&of("s", "S.", &[]), &[1.0, 2.0])?.child(&[])?;
    assert!(child.metric.observe_with(1.5, trace(1.5)?));
    assert!(child.metric.observe_with(1.75, trace(1.75)?));
    let below = registry.histogram(&of("b", "B.", &[]), &[-1.0])?.child(&[])?;
    assert!(below.metric.observe(2.0));
    let expected = "# TYPE sent_bytes counter\n# UNIT sent_bytes bytes\n# HELP sent_bytes Say \\\"sent\\\".\n\
        sent_bytes_total 2 # {trace_id=\"a\\\"b\"} 2 12.500\n\
        # TYPE s histogram\n# HELP s S.\ns_bucket{le=\"1.0\"} 0\n\
        s_bucket{le=\"2.0\"} 2 # {trace_id=\"a\\\"b\"} 1.75 12.500\ns_bucket{le=\"+Inf\"} 2\ns_sum 3.25\ns_count 2\n\
        # TYPE b histogram\n# HELP b B.\nb_bucket{le=\"-1.0\"} 0\nb_bucket{le=\"+Inf\"} 1\n# EOF\n";
    assert_eq!(rendered(&registry, &[], Format::OpenMetrics), expected);
    let plain = text(&registry, &[]);
    assert!(!plain.contains("trace_id") && !plain.contains("UNIT") && plain.contains("b_sum 2\nb_count 1\n"));
    Ok(())
}

#[test]
fn an_exemplar_is_short_and_well_named() {
    let chars = |count| Exemplar::new([("ab", "\u{e9}".repeat(count).as_str())], 1.0, 0.0).err();
    assert_eq!(chars(MAX_EXEMPLAR_CHARS - 2), None);
    assert_eq!(chars(MAX_EXEMPLAR_CHARS - 1), Some(MetricError::LongExemplar));
    let bad = Exemplar::new([("a-b", "x")], 1.0, 0.0).err();
    assert_eq!(bad, Some(MetricError::BadLabel("a-b".into())));
    let twice = Exemplar::new([("a", "x"), ("a", "y")], 1.0, 0.0).err();
    assert_eq!(twice, Some(MetricError::DuplicateLabel("a".into())));
}

#[test]
fn a_declaration_is_the_same_every_time() -> Result<(), MetricError> {
    let registry = Registry::new();
    let first = Declaration {
        unit: "seconds",
        place: "a.py:1",
        ..of("wait_seconds", "Waiting.", &[])
    };
    registry.gauge(&first)?;
    registry.gauge(&Declaration {
        place: "b.py:2",
        ..first
    })?;
    for other in [
        Declaration { unit: "", ..first },
        Declaration { help: "Else.", ..first },
    ] {
        let error = registry.gauge(&other).err();
        let Some(MetricError::Taken { by, place, .. }) = error else {
            panic!("it must be refused, not {error:?}");
        };
        assert_eq!(by, "a gauge with labels (), unit \"seconds\", help \"Waiting.\"");
        assert_eq!(place, "a.py:1");
    }
    for (name, unit) in [("wait", "seconds"), ("waitseconds", "seconds"), ("seconds", "seconds")] {
        let bad = Declaration {
            unit,
            ..of(name, "W.", &[])
        };
        assert!(
            matches!(registry.gauge(&bad), Err(MetricError::BadUnit { .. })),
            "{name}"
        );
    }
    let clash = registry.gauge(&of("calls", "C.", &[]));
    assert!(clash.is_ok() && registry.counter(&of("calls_total", "C.", &[])).is_err());
    assert!(registry.has("calls") && !registry.has("calls_total"));
    assert!(registry.counter(&of("_total", "C.", &[])).is_err());
    Ok(())
}

proptest! {
    #[test]
    fn labels_and_help_are_escaped(value in any::<String>(), help in any::<String>()) {
        let registry = Registry::new();
        let names = labels(&["a"]);
        let Ok(family) = registry.gauge(&of("g", &help, &names)) else { return Ok(()) };
        prop_assert!(family.child(&[&value]).is_ok());
        for format in [Format::Text, Format::OpenMetrics] {
            let got = rendered(&registry, &[], format);
            let lines: Vec<&str> = got.split('\n').collect();
            prop_assert_eq!(lines.len(), if format == Format::Text { 4 } else { 5 });
            let sample = lines[2].strip_prefix("g{a=\"").and_then(|rest| rest.strip_suffix("\"} 0"));
            let read = sample.map(|text| text.replace("\\\\", "\0\0").replace("\\\"", "\"").replace("\\n", "\n"));
            if !value.contains('\0') {
                prop_assert_eq!(read.map(|text| text.replace("\0\0", "\\")), Some(value.clone()));
            }
        }
    }
}
