//! Passing over a value without decoding it.

use super::cursor::Cursor;
use super::errors::Stop;
use super::scan::{LANES, is_structure, quote_mask, structure_mask};

/// Goes behind the value here. Strings are followed and brackets are counted; nothing else is checked.
pub fn value(cursor: &mut Cursor<'_>) -> Result<(), Stop> {
    cursor.skip_whitespace();
    match cursor.peek() {
        b'"' => string(cursor),
        b'{' | b'[' => container(cursor),
        b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
            scalar(cursor);
            Ok(())
        }
        _ => Err(cursor.fail_here("a value is missing")),
    }
}

/// Goes behind the string whose opening quote is here.
pub fn string(cursor: &mut Cursor<'_>) -> Result<(), Stop> {
    let start = cursor.at();
    let end = string_end(cursor.text(), start + 1);
    match end {
        Some(end) => {
            cursor.go(end + 1);
            Ok(())
        }
        None => Err(cursor.refuse("a string that does not end", start)),
    }
}

/// The closing quote of a string with content from `start`: the first quote with an even number of backslashes before.
#[inline(always)]
fn string_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        let quote = next_quote(text, at)?;
        let before = &text[start..quote];
        let backslashes = before.iter().rev().take_while(|&&byte| byte == b'\\').count();
        if backslashes % 2 == 0 {
            return Some(quote);
        }
        at = quote + 1;
    }
}

/// The next quote: most strings are short, so two blocks are looked at before a search is called.
#[inline(always)]
fn next_quote(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    for _ in 0..2 {
        let Some(chunk) = text.get(at..at + LANES) else { break };
        let mask = quote_mask(chunk);
        if mask != 0 {
            return Some(at + mask.trailing_zeros() as usize);
        }
        at += LANES;
    }
    memchr::memchr(b'"', text.get(at..)?).map(|index| at + index)
}

fn scalar(cursor: &mut Cursor<'_>) {
    while matches!(cursor.peek(), b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E') {
        cursor.bump();
    }
}

fn container(cursor: &mut Cursor<'_>) -> Result<(), Stop> {
    let text = cursor.text();
    let start = cursor.at();
    let mut at = start;
    let mut depth = 0_usize;
    while let Some(found) = next_structure(text, at) {
        at = found + 1;
        match text[found] | 0x20 {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    cursor.go(at);
                    return Ok(());
                }
            }
            _ => match string_end(text, at) {
                Some(end) => at = end + 1,
                None => return Err(cursor.refuse("a string that does not end", found)),
            },
        }
    }
    Err(cursor.refuse("an array or object that does not end", start))
}

/// The next quote or bracket.
#[inline(always)]
fn next_structure(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while let Some(chunk) = text.get(at..at + LANES) {
        let mask = structure_mask(chunk);
        if mask != 0 {
            return Some(at + mask.trailing_zeros() as usize);
        }
        at += LANES;
    }
    text[at.min(text.len())..]
        .iter()
        .position(|&byte| is_structure(byte))
        .map(|index| at + index)
}
