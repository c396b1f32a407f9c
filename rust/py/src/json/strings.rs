//! Strings of a text as Python objects.

use aisys_text::strings::{LANES, Run, first_quote, run, unescape};

use super::cursor::Cursor;
use super::errors::Stop;
use super::keys::{ascii_key, kept_key};
use super::parse::raised_fault;
use super::strs::{Unmade, ascii_str, ascii_str_in, utf8_str_in};
use crate::object::Object;

/// Bytes behind an unescaped string, so that its end can be read like any other place.
const SPARE: usize = 32;

/// The content of a string: in the text itself, or unescaped in the scratch, with spare bytes behind it.
pub struct Content {
    pub start: usize,
    pub end: usize,
    beyond_ascii: bool,
    /// Length of the content in the scratch.
    unescaped: Option<usize>,
}

impl Content {
    /// What the content is a part of, and where.
    #[inline(always)]
    fn place<'a>(&self, text: &'a [u8], scratch: &'a [u8]) -> (&'a [u8], usize, usize) {
        match self.unescaped {
            Some(len) => (scratch, 0, len),
            None => (text, self.start, self.end),
        }
    }

    /// The content itself.
    #[inline(always)]
    pub fn bytes<'a>(&self, text: &'a [u8], scratch: &'a [u8]) -> &'a [u8] {
        let (text, start, end) = self.place(text, scratch);
        &text[start..end]
    }
}

/// Reads the string whose opening quote is here, up to behind its closing quote.
#[inline(always)]
pub fn scan(cursor: &mut Cursor<'_>, scratch: &mut Vec<u8>) -> Result<Content, Stop> {
    let start = cursor.at() + 1;
    let run = run(cursor.text(), start);
    if cursor.text()[run.end] == b'"' {
        cursor.go(run.end + 1);
        return Ok(Content {
            start,
            end: run.end,
            beyond_ascii: run.beyond_ascii,
            unescaped: None,
        });
    }
    escaped(cursor, scratch, start, run)
}

#[inline(never)]
fn escaped(cursor: &mut Cursor<'_>, scratch: &mut Vec<u8>, start: usize, run: Run) -> Result<Content, Stop> {
    let rest = unescape(cursor.text(), start, run.end, scratch).map_err(|flaw| cursor.flawed(flaw))?;
    let len = scratch.len();
    scratch.extend_from_slice(&[0; SPARE]);
    cursor.go(rest.end + 1);
    Ok(Content {
        start,
        end: rest.end,
        beyond_ascii: run.beyond_ascii | rest.beyond_ascii,
        unescaped: Some(len),
    })
}

/// The str for the string whose opening quote is here.
#[inline(always)]
pub fn value(cursor: &mut Cursor<'_>, scratch: &mut Vec<u8>) -> Result<Object, Stop> {
    let content = scan(cursor, scratch)?;
    if content.beyond_ascii {
        return wide(cursor, scratch, &content);
    }
    let (text, start, end) = content.place(cursor.text(), scratch);
    ascii_str_in(text, start, end).ok_or_else(|| raised_fault(cursor))
}

/// The str for the key whose opening quote is here.
#[inline(always)]
pub fn key(cursor: &mut Cursor<'_>, scratch: &mut Vec<u8>) -> Result<Object, Stop> {
    let start = cursor.at() + 1;
    if let Some(block) = cursor.text()[start..].first_chunk::<LANES>() {
        if let Some(len) = first_quote(block) {
            if let Some(key) = kept_key(*block, len) {
                cursor.go(start + len + 1);
                return Ok(key);
            }
        }
    }
    any_key(cursor, scratch)
}

#[inline(never)]
fn any_key(cursor: &mut Cursor<'_>, scratch: &mut Vec<u8>) -> Result<Object, Stop> {
    let content = scan(cursor, scratch)?;
    if content.beyond_ascii {
        return wide(cursor, scratch, &content);
    }
    let bytes = content.bytes(cursor.text(), scratch);
    let made = match content.unescaped {
        // It may hold what is escaped in a text, and what is kept must not (see `kept_key`).
        Some(_) => ascii_str(bytes),
        None => ascii_key(bytes),
    };
    made.ok_or_else(|| raised_fault(cursor))
}

#[inline(never)]
fn wide(cursor: &mut Cursor<'_>, scratch: &[u8], content: &Content) -> Result<Object, Stop> {
    let (text, start, end) = content.place(cursor.text(), scratch);
    utf8_str_in(text, start, end).map_err(|problem| match problem {
        Unmade::Raised => raised_fault(cursor),
        Unmade::Invalid(at) => {
            // Escapes move the place.
            let place = match content.unescaped {
                Some(_) => invalid_in_source(cursor, content),
                None => content.start + at,
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
