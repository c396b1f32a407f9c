//! Strings of a text: where they end, what they say.

use super::cursor::Cursor;
use super::errors::{Fault, Stop};
use super::keys::ascii_key;
use super::parse::raised_fault;
use super::scan::string_run;
use super::utf8::{Unmade, ascii_str, utf8_str};
use crate::object::Object;

const UNTERMINATED: &str = "a string that does not end";

/// The content of a string: in the text itself, or unescaped in the scratch.
pub struct Content {
    pub start: usize,
    pub end: usize,
    pub beyond_ascii: bool,
    pub escaped: bool,
}

/// Reads the string whose opening quote is here, up to behind its closing quote.
#[inline(always)]
pub fn scan(cursor: &mut Cursor<'_>, scratch: &mut Vec<u8>) -> Result<Content, Stop> {
    let start = cursor.at() + 1;
    let run = string_run(cursor.text(), start);
    if cursor.byte(run.end) == b'"' {
        cursor.go(run.end + 1);
        return Ok(Content {
            start,
            end: run.end,
            beyond_ascii: run.beyond_ascii,
            escaped: false,
        });
    }
    let beyond_ascii = unescape(cursor, scratch, start, run.end)? | run.beyond_ascii;
    Ok(Content {
        start,
        end: cursor.at() - 1,
        beyond_ascii,
        escaped: true,
    })
}

/// The str for the string whose opening quote is here.
#[inline(always)]
pub fn value(cursor: &mut Cursor<'_>, scratch: &mut Vec<u8>) -> Result<Object, Stop> {
    let content = scan(cursor, scratch)?;
    if !content.beyond_ascii {
        let bytes = if content.escaped {
            &scratch[..]
        } else {
            &cursor.text()[content.start..content.end]
        };
        return ascii_str(bytes).ok_or_else(|| raised_fault(cursor));
    }
    wide(cursor, scratch, &content)
}

/// The str for the key whose opening quote is here.
#[inline(always)]
pub fn key(cursor: &mut Cursor<'_>, scratch: &mut Vec<u8>) -> Result<Object, Stop> {
    let content = scan(cursor, scratch)?;
    if !content.beyond_ascii {
        let bytes = if content.escaped {
            &scratch[..]
        } else {
            &cursor.text()[content.start..content.end]
        };
        return ascii_key(bytes).ok_or_else(|| raised_fault(cursor));
    }
    wide(cursor, scratch, &content)
}

#[inline(never)]
fn wide(cursor: &mut Cursor<'_>, scratch: &[u8], content: &Content) -> Result<Object, Stop> {
    let bytes = if content.escaped {
        scratch
    } else {
        &cursor.text()[content.start..content.end]
    };
    utf8_str(bytes).map_err(|problem| match problem {
        Unmade::Raised => raised_fault(cursor),
        // Escapes move the place; then the string's beginning is told.
        Unmade::Invalid(at) => {
            let place = if content.escaped {
                invalid_in_source(cursor, content)
            } else {
                content.start + at
            };
            cursor.refuse("invalid UTF-8", place)
        }
    })
}

#[cold]
fn invalid_in_source(cursor: &Cursor<'_>, content: &Content) -> usize {
    let source = &cursor.text()[content.start..content.end];
    content.start + std::str::from_utf8(source).map_or_else(|error| error.valid_up_to(), |_| 0)
}

/// Unescapes into the scratch from `start`, of which the bytes up to `stop` are ordinary, and goes behind the closing
/// quote. Tells whether escapes gave characters beyond ASCII, or ordinary bytes behind the first escape did.
#[inline(never)]
fn unescape(cursor: &mut Cursor<'_>, scratch: &mut Vec<u8>, start: usize, stop: usize) -> Result<bool, Stop> {
    let text = cursor.text();
    scratch.clear();
    scratch.extend_from_slice(&text[start..stop]);
    let mut at = stop;
    let mut beyond_ascii = false;
    loop {
        match text.get(at) {
            Some(b'"') => {
                cursor.go(at + 1);
                return Ok(beyond_ascii);
            }
            Some(b'\\') => {
                let (length, wide) = escape(cursor, scratch, at)?;
                at += length;
                beyond_ascii |= wide;
            }
            _ if at >= cursor.len() => return Err(unterminated(cursor, start)),
            _ => return Err(cursor.fail("a control character in a string", at)),
        }
        let run = string_run(text, at);
        scratch.extend_from_slice(&text[at..run.end]);
        beyond_ascii |= run.beyond_ascii;
        at = run.end;
    }
}

#[cold]
fn unterminated(cursor: &mut Cursor<'_>, start: usize) -> Stop {
    cursor.fault = Some(Fault::Text {
        problem: UNTERMINATED,
        at: start - 1,
    });
    Stop
}

/// Appends what the escape at `at` stands for; gives its length, and whether it is beyond ASCII.
#[inline(always)]
fn escape(cursor: &mut Cursor<'_>, scratch: &mut Vec<u8>, at: usize) -> Result<(usize, bool), Stop> {
    let byte = match cursor.byte(at + 1) {
        b'n' => b'\n',
        b'"' => b'"',
        b'\\' => b'\\',
        b'/' => b'/',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 0x08,
        b'f' => 0x0C,
        b'u' => return unicode_escape(cursor, scratch, at),
        _ => return Err(cursor.fail("an unknown escape in a string", at + 1)),
    };
    scratch.push(byte);
    Ok((2, false))
}

fn unicode_escape(cursor: &mut Cursor<'_>, scratch: &mut Vec<u8>, at: usize) -> Result<(usize, bool), Stop> {
    let first = hex4(cursor, at + 2)?;
    let (code, length) = match first {
        0xD800..0xDC00 => {
            let follows = cursor.byte(at + 6) == b'\\' && cursor.byte(at + 7) == b'u';
            let second = if follows { hex4(cursor, at + 8)? } else { 0 };
            if !(0xDC00..0xE000).contains(&second) {
                return Err(cursor.refuse("escape of a lone surrogate", at));
            }
            (0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00), 12)
        }
        0xDC00..0xE000 => return Err(cursor.refuse("escape of a lone surrogate", at)),
        _ => (first, 6),
    };
    // Every code that gets here is a character.
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    let mut encoded = [0; 4];
    scratch.extend_from_slice(character.encode_utf8(&mut encoded).as_bytes());
    Ok((length, code >= 0x80))
}

fn hex4(cursor: &mut Cursor<'_>, at: usize) -> Result<u32, Stop> {
    let mut code = 0;
    for index in at..at + 4 {
        let Some(digit) = char::from(cursor.byte(index)).to_digit(16) else {
            return Err(cursor.fail("\\u needs four hexadecimal digits", index));
        };
        code = code << 4 | digit;
    }
    Ok(code)
}
