//! Passing over a value without decoding it.

use aisys_text::skip::{container_end, rest_end, string_end};

use super::cursor::Cursor;
use super::errors::Stop;

/// Goes behind the value here. Strings are followed and brackets are counted; nothing else is checked.
#[inline]
pub fn value(cursor: &mut Cursor<'_>) -> Result<(), Stop> {
    cursor.skip_whitespace();
    match cursor.peek() {
        b'"' => string(cursor),
        b'{' | b'[' => {
            let end = container_end(cursor.text(), cursor.at());
            go(cursor, end)
        }
        b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
            scalar(cursor);
            Ok(())
        }
        _ => Err(cursor.fail_here("a value is missing")),
    }
}

/// Goes behind the closer of the array or object whose items stand here.
pub fn rest(cursor: &mut Cursor<'_>) -> Result<(), Stop> {
    let end = rest_end(cursor.text(), cursor.at());
    go(cursor, end)
}

#[inline(always)]
fn go(cursor: &mut Cursor<'_>, end: Option<usize>) -> Result<(), Stop> {
    match end {
        Some(end) => {
            cursor.go(end);
            Ok(())
        }
        None => Err(unended(cursor)),
    }
}

/// What does not end behind this place: a string, or the array or object.
#[cold]
fn unended(cursor: &mut Cursor<'_>) -> Stop {
    let text = cursor.text();
    let mut at = cursor.at();
    while let Some(distance) = text[at..].iter().position(|&byte| byte == b'"') {
        let opening = at + distance;
        match string_end(text, opening + 1) {
            Some(closing) => at = closing + 1,
            None => return cursor.refuse("a string that does not end", opening),
        }
    }
    cursor.refuse("an array or object that does not end", cursor.at())
}

/// Goes behind the string whose opening quote is here.
#[inline(always)]
fn string(cursor: &mut Cursor<'_>) -> Result<(), Stop> {
    let start = cursor.at();
    match string_end(cursor.text(), start + 1) {
        Some(end) => {
            cursor.go(end + 1);
            Ok(())
        }
        None => Err(cursor.refuse("a string that does not end", start)),
    }
}

#[inline(always)]
fn scalar(cursor: &mut Cursor<'_>) {
    while matches!(cursor.peek(), b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E') {
        cursor.bump();
    }
}
