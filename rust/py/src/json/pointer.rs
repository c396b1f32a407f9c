//! Values at JSON pointers (RFC 6901), without decoding the rest of the document.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::errors::{Stop, pointer_error};
use super::input::Input;
use super::parse::{MAX_DEPTH, Parser};
use super::setup;
use super::skip;
use super::strings;

/// Where a value stands in its text, and inside how many arrays and objects.
#[derive(Clone, Copy)]
pub struct Place {
    pub start: usize,
    pub end: usize,
    pub depth: usize,
}

/// One step of a pointer.
pub struct Token {
    name: Vec<u8>,
    index: Option<usize>,
}

/// The steps of a pointer.
pub fn tokens(pointer: &str) -> PyResult<Vec<Token>> {
    if pointer.is_empty() {
        return Ok(Vec::new());
    }
    let Some(rest) = pointer.strip_prefix('/') else {
        return Err(PyValueError::new_err(format!(
            "a JSON pointer is empty or starts with '/': {pointer:?}"
        )));
    };
    rest.split('/').map(|token| unescaped(token, pointer)).collect()
}

fn unescaped(token: &str, pointer: &str) -> PyResult<Token> {
    let mut name = Vec::with_capacity(token.len());
    let mut bytes = token.bytes();
    while let Some(byte) = bytes.next() {
        let meant = match byte {
            b'~' => match bytes.next() {
                Some(b'0') => b'~',
                Some(b'1') => b'/',
                _ => {
                    return Err(PyValueError::new_err(format!(
                        "in a JSON pointer '~' is written '~0' and '/' '~1': {pointer:?}"
                    )));
                }
            },
            other => other,
        };
        name.push(meant);
    }
    let canonical = token == "0" || !token.starts_with('0');
    let digits = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit());
    let index = if canonical && digits { token.parse().ok() } else { None };
    Ok(Token { name, index })
}

/// Finds the place of a pointer in the text of a parser that stands at its beginning.
///
/// Of members with the same name the last counts, as for `loads`; that is why every object on the way is walked to its
/// end.
pub fn find(parser: &mut Parser<'_>, tokens: &[Token]) -> Result<Option<Place>, Stop> {
    let place = step(parser, tokens, 0)?;
    parser.end()?;
    Ok(place)
}

fn step(parser: &mut Parser<'_>, tokens: &[Token], depth: usize) -> Result<Option<Place>, Stop> {
    parser.cursor.skip_whitespace();
    let Some((token, rest)) = tokens.split_first() else {
        let start = parser.cursor.at();
        skip::value(&mut parser.cursor)?;
        return Ok(Some(Place {
            start,
            end: parser.cursor.at(),
            depth,
        }));
    };
    let opener = parser.cursor.peek();
    if !matches!(opener, b'{' | b'[') {
        skip::value(&mut parser.cursor)?;
        return Ok(None);
    }
    if depth >= MAX_DEPTH {
        return Err(parser.cursor.fail_here("nested deeper than 512 levels"));
    }
    parser.cursor.bump();
    if opener == b'{' {
        members(parser, token, rest, depth + 1)
    } else {
        items(parser, token, rest, depth + 1)
    }
}

fn members(parser: &mut Parser<'_>, token: &Token, rest: &[Token], depth: usize) -> Result<Option<Place>, Stop> {
    let mut found = None;
    parser.cursor.skip_whitespace();
    if parser.cursor.peek() == b'}' {
        parser.cursor.bump();
        return Ok(None);
    }
    loop {
        if parser.cursor.peek() != b'"' {
            return Err(parser.cursor.fail_here("a key in double quotes is missing"));
        }
        let same = key_is(parser, token)?;
        parser.cursor.skip_whitespace();
        if parser.cursor.peek() != b':' {
            return Err(parser.cursor.fail_here("a colon is missing"));
        }
        parser.cursor.bump();
        if same {
            found = step(parser, rest, depth)?;
        } else {
            skip::value(&mut parser.cursor)?;
        }
        if closes(parser, b'}', "a comma or } is missing")? {
            return Ok(found);
        }
        parser.cursor.skip_whitespace();
    }
}

fn key_is(parser: &mut Parser<'_>, token: &Token) -> Result<bool, Stop> {
    let content = strings::scan(&mut parser.cursor, &mut parser.buffers.scratch)?;
    let text = parser.cursor.text();
    let key = if content.escaped {
        &parser.buffers.scratch[..]
    } else {
        &text[content.start..content.end]
    };
    Ok(key == token.name)
}

fn items(parser: &mut Parser<'_>, token: &Token, rest: &[Token], depth: usize) -> Result<Option<Place>, Stop> {
    let mut found = None;
    parser.cursor.skip_whitespace();
    if parser.cursor.peek() == b']' {
        parser.cursor.bump();
        return Ok(None);
    }
    let mut index = 0;
    loop {
        if token.index == Some(index) {
            found = step(parser, rest, depth)?;
        } else {
            skip::value(&mut parser.cursor)?;
        }
        index += 1;
        if closes(parser, b']', "a comma or ] is missing")? {
            return Ok(found);
        }
    }
}

/// Passes over a comma (false) or the closer (true).
fn closes(parser: &mut Parser<'_>, closer: u8, problem: &'static str) -> Result<bool, Stop> {
    parser.cursor.skip_whitespace();
    let byte = parser.cursor.peek();
    if byte != b',' && byte != closer {
        return Err(parser.cursor.fail_here(problem));
    }
    parser.cursor.bump();
    Ok(byte == closer)
}

/// The value at a pointer; None if there is none.
pub fn get<'py>(
    object: &Bound<'py, PyAny>,
    input: &Input<'_>,
    pointer: &str,
    raw: bool,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = object.py();
    let tokens = tokens(pointer)?;
    let mut parser = Parser::new(input.with_nul());
    if tokens.is_empty() && !raw {
        let read = parser.document();
        return parser.finish(py, read).map(|value| Some(value.into_bound(py)));
    }
    let read = find(&mut parser, &tokens).and_then(|place| {
        let Some(place) = place else { return Ok(None) };
        parser.cursor.go(place.start);
        let value = parser.value(place.depth)?;
        // Skipping looks at brackets only, so the value may have ended elsewhere than it seemed to.
        if parser.cursor.at() != place.end {
            return Err(parser.cursor.fail_here("something follows the value"));
        }
        Ok(Some((place, value)))
    });
    let Some((place, value)) = parser.finish(py, read)? else {
        return Ok(None);
    };
    if !raw {
        return Ok(Some(value.into_bound(py)));
    }
    drop(value);
    let setup = setup::get(py).ok_or_else(|| PyValueError::new_err("import aisys.json first"))?;
    let text = pyo3::types::PyBytes::new(py, &input.bytes()[place.start..place.end]);
    setup.raw.bind(py).call1((text,)).map(Some)
}

/// The value at a pointer that must have one.
pub fn require<'py>(
    object: &Bound<'py, PyAny>,
    input: &Input<'_>,
    pointer: &str,
    raw: bool,
) -> PyResult<Bound<'py, PyAny>> {
    get(object, input, pointer, raw)?.ok_or_else(|| pointer_error(object.py(), pointer))
}
