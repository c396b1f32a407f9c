//! Several expositions as one, as a supervisor shows those of its hosts.

use std::collections::HashMap;
use std::fmt;

/// What a family's sample names may add to its name.
const SUFFIXES: [&[u8]; 8] = [
    b"_bucket",
    b"_sum",
    b"_count",
    b"_total",
    b"_created",
    b"_info",
    b"_gsum",
    b"_gcount",
];
/// The last line of an OpenMetrics exposition.
const EOF: &[u8] = b"# EOF";

/// Why expositions cannot be merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeError {
    /// A line is neither a comment nor a sample, or follows the end. Both numbers count from 1.
    BadLine { exposition: usize, line: usize },
    /// An exposition is OpenMetrics and another is not; or OpenMetrics that was cut off.
    Mixed { exposition: usize },
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadLine { exposition, line } => {
                write!(
                    f,
                    "exposition {exposition}, line {line}: neither a comment nor a sample"
                )
            }
            Self::Mixed { exposition } => write!(
                f,
                "exposition {exposition} does not end in \"# EOF\", and another does: all are OpenMetrics or none is"
            ),
        }
    }
}

impl std::error::Error for MergeError {}

#[derive(Default)]
struct Merged<'a> {
    help: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
    unit: Option<&'a [u8]>,
    samples: Vec<&'a [u8]>,
    /// How often the family was left out because it was of another type there.
    refused: usize,
}

#[derive(Default)]
struct Merger<'a> {
    openmetrics: bool,
    families: Vec<(&'a [u8], Merged<'a>)>,
    places: HashMap<&'a [u8], usize>,
}

impl<'a> Merger<'a> {
    fn place(&mut self, name: &'a [u8]) -> usize {
        *self.places.entry(name).or_insert_with(|| {
            self.families.push((name, Merged::default()));
            self.families.len() - 1
        })
    }
}

/// One exposition with one HELP and one TYPE line for each family, in the format that they are in. The first exposition
/// that names a family decides its type and its place; where another gives it another type, its samples are left out there
/// and a comment says so; OpenMetrics has no comments, so there the HELP line says it. Samples are not compared:
/// expositions differ by their extra labels.
pub fn merge(expositions: &[&[u8]]) -> Result<Vec<u8>, MergeError> {
    let ends = |exposition: &&[u8]| exposition.trim_ascii_end().rsplit(|byte| *byte == b'\n').next() == Some(EOF);
    let mut merger = Merger {
        openmetrics: expositions.iter().any(ends),
        ..Merger::default()
    };
    for (index, exposition) in expositions.iter().enumerate() {
        if merger.openmetrics && !exposition.trim_ascii().is_empty() && !ends(exposition) {
            return Err(MergeError::Mixed { exposition: index + 1 });
        }
        read(exposition, &mut merger).map_err(|line| MergeError::BadLine {
            exposition: index + 1,
            line,
        })?;
    }
    let mut out = Vec::with_capacity(expositions.iter().map(|exposition| exposition.len()).sum());
    for (name, family) in &merger.families {
        write_family(name, family, merger.openmetrics, &mut out);
    }
    if merger.openmetrics {
        write_line(&[EOF], &mut out);
    }
    Ok(out)
}

fn write_family(name: &[u8], family: &Merged<'_>, openmetrics: bool, out: &mut Vec<u8>) {
    let note = format!(
        "{} is of another type in {} of the expositions and left out there",
        String::from_utf8_lossy(name),
        family.refused
    );
    let noted = family.refused > 0;
    match family.help {
        Some(help) if noted && openmetrics => write_line(&[help, b" (", note.as_bytes(), b")"], out),
        Some(help) => write_line(&[help], out),
        None if noted && openmetrics => write_line(&[b"# HELP ", name, b" ", note.as_bytes()], out),
        None => {}
    }
    for line in family.kind.iter().chain(&family.unit).chain(&family.samples) {
        write_line(&[line], out);
    }
    if noted && !openmetrics {
        write_line(&[b"# ", note.as_bytes()], out);
    }
}

fn write_line(pieces: &[&[u8]], out: &mut Vec<u8>) {
    for piece in pieces {
        out.extend_from_slice(piece);
    }
    out.push(b'\n');
}

/// Add an exposition; the number of a bad line if there is one.
fn read<'a>(exposition: &'a [u8], merger: &mut Merger<'a>) -> Result<(), usize> {
    // The family of the last HELP or TYPE line, and whether its samples are taken.
    let mut current: Option<(usize, bool)> = None;
    let mut ended = false;
    for (index, line) in exposition.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii_end();
        if ended && !line.is_empty() {
            return Err(index + 1);
        }
        if merger.openmetrics && line == EOF {
            ended = true;
        } else if let Some(comment) = line.strip_prefix(b"# ") {
            current = read_comment(line, comment, merger, current);
        } else if !line.is_empty() && !line.starts_with(b"#") {
            let name = sample_name(line).ok_or(index + 1)?;
            let (place, taken) = match current {
                Some((place, taken)) if belongs(name, merger.families[place].0) => (place, taken),
                _ => (merger.place(name), true),
            };
            if taken {
                merger.families[place].1.samples.push(line);
            }
        }
    }
    Ok(())
}

fn read_comment<'a>(
    line: &'a [u8],
    comment: &'a [u8],
    merger: &mut Merger<'a>,
    current: Option<(usize, bool)>,
) -> Option<(usize, bool)> {
    let mut words = comment.splitn(3, |byte| *byte == b' ');
    let (Some(keyword @ (b"HELP" | b"TYPE" | b"UNIT")), Some(name)) = (words.next(), words.next()) else {
        return current;
    };
    if keyword == b"UNIT" && !merger.openmetrics {
        return current;
    }
    let place = merger.place(name);
    let family = &mut merger.families[place].1;
    // The lines of a family come in any order, and its type alone decides whether its samples are taken.
    let known = current
        .filter(|(current, _)| *current == place)
        .unwrap_or((place, true));
    match keyword {
        b"HELP" => {
            family.help.get_or_insert(line);
            return Some(known);
        }
        b"UNIT" => {
            family.unit.get_or_insert(line);
            return Some(known);
        }
        _ => {}
    }
    let taken = *family.kind.get_or_insert(line) == line;
    family.refused += usize::from(!taken);
    Some((place, taken))
}

/// The name of a sample line: what is before `{` or the first blank, if something follows.
fn sample_name(line: &[u8]) -> Option<&[u8]> {
    let end = line.iter().position(|byte| matches!(byte, b'{' | b' ' | b'\t'))?;
    let name = &line[..end];
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':');
    (!name.is_empty() && name.iter().all(good) && !name[0].is_ascii_digit()).then_some(name)
}

fn belongs(sample: &[u8], family: &[u8]) -> bool {
    sample
        .strip_prefix(family)
        .is_some_and(|rest| rest.is_empty() || SUFFIXES.contains(&rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn merged(parts: &[&str]) -> Result<String, MergeError> {
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        merge(&parts).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn each_family_has_one_head_and_all_samples() {
        let one = "# HELP a A.\n# TYPE a counter\na{h=\"1\"} 1\n# HELP s S.\n# TYPE s histogram\ns_bucket{le=\"+Inf\"} 1\ns_sum 2\n";
        let two = "# HELP s S.\n# TYPE s histogram\ns_bucket{h=\"2\"} 4\n# HELP a Other.\n# TYPE a counter\na{h=\"2\"} 5\nfree 1\n";
        let expected = "# HELP a A.\n# TYPE a counter\na{h=\"1\"} 1\na{h=\"2\"} 5\n# HELP s S.\n# TYPE s histogram\n\
            s_bucket{le=\"+Inf\"} 1\ns_sum 2\ns_bucket{h=\"2\"} 4\nfree 1\n";
        assert_eq!(merged(&[one, two]), Ok(expected.to_owned()));
    }

    #[test]
    fn another_type_is_left_out_with_a_note() {
        let got = merged(&["# TYPE a counter\na 1\n", "# TYPE a gauge\na 2\nb 3\n"]);
        let note = "# a is of another type in 1 of the expositions and left out there\n";
        assert_eq!(got, Ok(format!("# TYPE a counter\na 1\n{note}b 3\n")));
    }

    #[test]
    fn openmetrics_has_units_and_one_end() {
        let one = "# TYPE a_s counter\n# UNIT a_s s\n# HELP a_s A.\na_s_total{h=\"1\"} 1 # {t=\"x\"} 1 2.5\n# EOF\n";
        let two = "# TYPE b gauge\nb 1\n# TYPE a_s counter\n# UNIT a_s s\n# HELP a_s A.\na_s_total{h=\"2\"} 3\n# EOF\n";
        let expected = "# HELP a_s A.\n# TYPE a_s counter\n# UNIT a_s s\na_s_total{h=\"1\"} 1 # {t=\"x\"} 1 2.5\n\
            a_s_total{h=\"2\"} 3\n# TYPE b gauge\nb 1\n# EOF\n";
        assert_eq!(merged(&[one, "", two]), Ok(expected.to_owned()));
        let other = "# TYPE b counter\n# HELP b B.\nb_total 1\n# EOF";
        let note = "b is of another type in 1 of the expositions and left out there";
        let expected = format!("# HELP b {note}\n# TYPE b gauge\nb 1\n# EOF\n");
        assert_eq!(
            merged(&["# TYPE b gauge\nb 1\n# EOF\n", "# TYPE b counter\nb_total 1\n# EOF"]),
            Ok(expected)
        );
        let expected = format!("# HELP b B. ({note})\n# TYPE b counter\nb_total 1\n# EOF\n");
        assert_eq!(
            merged(&[other, "# TYPE b gauge\n# HELP b C.\nb 1\n# EOF\n"]),
            Ok(expected)
        );
    }

    #[test]
    fn formats_do_not_mix_and_nothing_follows_the_end() {
        assert_eq!(
            merged(&["a 1\n# EOF\n", "a 1\n"]),
            Err(MergeError::Mixed { exposition: 2 })
        );
        let late = merged(&["a 1\n# EOF\nb 1\n# EOF\n"]);
        assert_eq!(late, Err(MergeError::BadLine { exposition: 1, line: 3 }));
    }

    #[test]
    fn a_bad_line_is_named() {
        assert_eq!(
            merged(&["a 1\n", "a 1\n\n{} 3\n"]),
            Err(MergeError::BadLine { exposition: 2, line: 3 })
        );
        assert_eq!(merged(&["alone"]), Err(MergeError::BadLine { exposition: 1, line: 1 }));
    }

    #[test]
    fn comments_and_blank_lines_go() {
        assert_eq!(merged(&["# a comment\n\n#\na 1 123\r\n"]), Ok("a 1 123\n".to_owned()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..4)) {
            let views: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let _ = merge(&views);
        }
    }
}
