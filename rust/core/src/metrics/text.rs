//! Pieces of the text formats.

/// How an exposition is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// The starts of a child's lines. `prefix` is `name{a="x"} `, or `name ` without labels; `extra` is `b="y"` or empty;
/// `buckets` are from `bucket_label`.
pub struct Line<'a> {
    pub name: &'a str,
    pub prefix: &'a str,
    pub extra: &'a str,
    pub buckets: &'a [String],
    pub format: Format,
}

impl Line<'_> {
    /// The child's own labels, without braces.
    fn labels(&self) -> &str {
        let end = self.prefix.len().saturating_sub(2);
        self.prefix.get(self.name.len() + 1..end).unwrap_or("")
    }

    pub fn start(&self, out: &mut Vec<u8>) {
        if self.extra.is_empty() {
            out.extend_from_slice(self.prefix.as_bytes());
        } else {
            self.start_suffixed("", out);
        }
    }

    pub fn start_suffixed(&self, suffix: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(suffix.as_bytes());
        let labels = self.labels();
        if !(labels.is_empty() && self.extra.is_empty()) {
            out.push(b'{');
            self.write_labels(out);
            out.push(b'}');
        }
        out.push(b' ');
    }

    /// The start of a bucket's line without what `bucket_label` gives.
    pub fn start_buckets(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(b"_bucket{");
        if self.write_labels(out) {
            out.push(b',');
        }
    }

    fn write_labels(&self, out: &mut Vec<u8>) -> bool {
        let labels = self.labels();
        out.extend_from_slice(self.extra.as_bytes());
        if !labels.is_empty() && !self.extra.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(labels.as_bytes());
        !(labels.is_empty() && self.extra.is_empty())
    }
}

/// Append `name="value"`, with a comma if something is there already.
pub fn push_label(out: &mut String, name: &str, value: &str) {
    if !out.is_empty() {
        out.push(',');
    }
    out.push_str(name);
    out.push_str("=\"");
    for character in value.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
    out.push('"');
}

/// The lines that say what a family is.
pub fn write_head(name: &str, kind: &str, unit: &str, help: &str, format: Format, out: &mut Vec<u8>) {
    let mut help = help.replace('\\', "\\\\").replace('\n', "\\n");
    let lines = match format {
        Format::Text => format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"),
        Format::OpenMetrics => {
            help = help.replace('"', "\\\"");
            let unit = if unit.is_empty() {
                String::new()
            } else {
                format!("# UNIT {name} {unit}\n")
            };
            format!("# TYPE {name} {kind}\n{unit}# HELP {name} {help}\n")
        }
    };
    out.extend_from_slice(lines.as_bytes());
}

pub fn write_uint(mut value: u64, out: &mut Vec<u8>) {
    if value < 10 {
        out.push(b'0' + value as u8);
        return;
    }
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The shortest text that reads back as the same float, whole numbers without a point.
pub fn write_float(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if value.fract() == 0.0 && value.abs() < 1e16 {
        if value < 0.0 {
            out.push(b'-');
        }
        write_uint(value.abs() as u64, out);
    } else {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    }
}

/// What stands between a bucket's other labels and its count. The bound is written as other Prometheus clients for Python
/// write it, so that queries fit both: `1.0`, not `1`.
pub fn bucket_label(bound: f64) -> String {
    let mut out = Vec::new();
    write_float(bound, &mut out);
    if bound.fract() == 0.0 && bound.abs() < 1e16 {
        out.extend_from_slice(b".0");
    }
    format!("le=\"{}\"}} ", String::from_utf8_lossy(&out))
}

/// Whether the text may be the name of a metric; with `label`, of a label.
pub fn is_name(text: &str, label: bool) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (byte == b':' && !label);
    text.bytes().all(good) && text.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn float(value: f64) -> String {
        let mut out = Vec::new();
        write_float(value, &mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    #[test]
    fn floats_are_short() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-17.0, "-17"),
            (0.1, "0.1"),
            (1e15, "1000000000000000"),
            (1e16, "1e+16"),
            (123_456.5, "123456.5"),
            (1e300, "1e+300"),
            (1.5e-9, "1.5e-9"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ];
        for (value, text) in cases {
            assert_eq!(float(value), text);
        }
    }

    proptest! {
        #[test]
        fn floats_read_back(value in any::<f64>().prop_filter("finite", |value| value.is_finite())) {
            let text = float(value);
            prop_assert!(text.len() <= 25, "{}", text);
            prop_assert_eq!(text.parse::<f64>(), Ok(value));
        }

        #[test]
        fn integers_are_what_the_standard_library_writes(value in any::<u64>()) {
            let mut out = Vec::new();
            write_uint(value, &mut out);
            prop_assert_eq!(out, value.to_string().into_bytes());
        }
    }
}
