//! Values at JSON pointers (RFC 6901), all of them found in one walk that decodes nothing else.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::errors::{Stop, pointer_error};
use super::parse::{MAX_DEPTH, Parser};
use super::setup;
use super::skip;
use super::strings;
use crate::object::Object;

/// Where a value stands in its text, and inside how many arrays and objects.
#[derive(Clone, Copy)]
pub struct Place {
    pub start: usize,
    pub end: usize,
    pub depth: usize,
}

/// A pointer that is well-formed.
#[derive(Clone, Copy)]
pub struct Path<'a> {
    text: &'a [u8],
    /// Whether some name is not written as it is.
    escaped: bool,
}

/// Why text is no pointer.
pub enum Malformed {
    Start,
    Escape,
}

impl<'a> Path<'a> {
    /// The pointer to the whole document.
    pub const WHOLE: Self = Self {
        text: b"",
        escaped: false,
    };

    pub fn new(pointer: &'a str) -> Result<Self, Malformed> {
        let text = pointer.as_bytes();
        if !text.is_empty() && text[0] != b'/' {
            return Err(Malformed::Start);
        }
        let tildes = text.iter().enumerate().filter(|&(_, &byte)| byte == b'~');
        let mut escaped = false;
        for (index, _) in tildes {
            if !matches!(text.get(index + 1), Some(b'0' | b'1')) {
                return Err(Malformed::Escape);
            }
            escaped = true;
        }
        Ok(Self { text, escaped })
    }

    pub fn is_whole(&self) -> bool {
        self.text.is_empty()
    }

    /// If the name whose slash is at `rest` is this one, where what follows it begins.
    #[inline(always)]
    fn follow(&self, rest: usize, name: &[u8]) -> Option<usize> {
        if self.escaped {
            return self.follow_escaped(rest, name);
        }
        let end = rest + 1 + name.len();
        let same = matches!(self.text.get(end), None | Some(b'/')) && self.text.get(rest + 1..end)? == name;
        // A slash in a name is written `~1`, so a slash here is one between two names.
        let matches = same && !name.contains(&b'/');
        matches.then_some(end)
    }

    #[inline(never)]
    fn follow_escaped(&self, rest: usize, name: &[u8]) -> Option<usize> {
        let written = self.name_at(rest);
        let end = rest + 1 + written.len();
        let mut meant = name.iter();
        let mut bytes = written.iter();
        while let Some(&byte) = bytes.next() {
            let byte = match (byte, byte == b'~') {
                (_, true) if bytes.next() == Some(&b'0') => b'~',
                (_, true) => b'/',
                (byte, false) => byte,
            };
            if meant.next() != Some(&byte) {
                return None;
            }
        }
        meant.next().is_none().then_some(end)
    }

    /// The name behind the slash at `rest`, as it is written.
    fn name_at(&self, rest: usize) -> &'a [u8] {
        let from = &self.text[rest + 1..];
        let len = from.iter().position(|&byte| byte == b'/').unwrap_or(from.len());
        &from[..len]
    }

    /// The index that the name behind the slash at `rest` means, and where what follows it begins.
    fn index_at(&self, rest: usize) -> Option<(usize, usize)> {
        let name = self.name_at(rest);
        let canonical = name == b"0" || !name.starts_with(b"0");
        let digits = !name.is_empty() && name.iter().all(u8::is_ascii_digit);
        if !canonical || !digits {
            return None;
        }
        let index = std::str::from_utf8(name).ok()?.parse().ok()?;
        Some((index, rest + 1 + name.len()))
    }
}

impl Malformed {
    #[cold]
    pub fn into_pyerr(self, pointer: &str) -> PyErr {
        PyValueError::new_err(match self {
            Self::Start => format!("a JSON pointer is empty or starts with '/': {pointer:?}"),
            Self::Escape => format!("in a JSON pointer '~' is written '~0' and '/' '~1': {pointer:?}"),
        })
    }
}

/// A pointer that leads to or through the value that is walked, and what of it is left.
#[derive(Clone, Copy)]
struct Active {
    which: usize,
    rest: usize,
}

/// Finds the places of pointers in the text of a parser that stands at its beginning.
///
/// Of members with the same name the last counts, as for `loads`; that is why every object on the way is walked to its
/// end.
pub fn find(parser: &mut Parser<'_>, paths: &[Path<'_>]) -> Result<Vec<Option<Place>>, Stop> {
    let mut walk = Walk {
        paths,
        active: (0..paths.len()).map(|which| Active { which, rest: 0 }).collect(),
        found: vec![None; paths.len()],
    };
    walk.value(parser, 0, 0)?;
    parser.end()?;
    Ok(walk.found)
}

struct Walk<'a> {
    paths: &'a [Path<'a>],
    /// The pointers that are followed; those of an inner value stand behind those of the outer one.
    active: Vec<Active>,
    found: Vec<Option<Place>>,
}

impl Walk<'_> {
    /// Walks the value here, to or through which the pointers from `from` on lead.
    fn value(&mut self, parser: &mut Parser<'_>, from: usize, depth: usize) -> Result<(), Stop> {
        parser.cursor.skip_whitespace();
        let start = parser.cursor.at();
        let mut further = false;
        for &Active { which, rest } in &self.active[from..] {
            // What an earlier member of this name led to does not count.
            self.found[which] = None;
            further |= rest < self.paths[which].text.len();
        }
        match parser.cursor.peek() {
            b'{' if further => {
                enter(parser, depth)?;
                self.members(parser, from, depth + 1)?;
            }
            b'[' if further => {
                enter(parser, depth)?;
                self.items(parser, from, depth + 1)?;
            }
            _ => skip::value(&mut parser.cursor)?,
        }
        let place = Place {
            start,
            end: parser.cursor.at(),
            depth,
        };
        for &Active { which, rest } in &self.active[from..] {
            if rest == self.paths[which].text.len() {
                self.found[which] = Some(place);
            }
        }
        Ok(())
    }

    fn members(&mut self, parser: &mut Parser<'_>, from: usize, depth: usize) -> Result<(), Stop> {
        let to = self.active.len();
        parser.cursor.skip_whitespace();
        if parser.cursor.peek() == b'}' {
            parser.cursor.bump();
            return Ok(());
        }
        loop {
            if parser.cursor.peek() != b'"' {
                return Err(parser.cursor.fail_here("a key in double quotes is missing"));
            }
            let content = strings::scan(&mut parser.cursor, &mut parser.buffers.scratch)?;
            let name = content.bytes(parser.cursor.text(), &parser.buffers.scratch);
            for index in from..to {
                let Active { which, rest } = self.active[index];
                if rest == self.paths[which].text.len() {
                    continue;
                }
                if let Some(rest) = self.paths[which].follow(rest, name) {
                    self.active.push(Active { which, rest });
                }
            }
            parser.cursor.skip_whitespace();
            if parser.cursor.peek() != b':' {
                return Err(parser.cursor.fail_here("a colon is missing"));
            }
            parser.cursor.bump();
            if self.active.len() == to {
                skip::value(&mut parser.cursor)?;
            } else {
                self.value(parser, to, depth)?;
                self.active.truncate(to);
            }
            if closes(parser, b'}', "a comma or } is missing")? {
                return Ok(());
            }
            parser.cursor.skip_whitespace();
        }
    }

    fn items(&mut self, parser: &mut Parser<'_>, from: usize, depth: usize) -> Result<(), Stop> {
        let to = self.active.len();
        parser.cursor.skip_whitespace();
        if parser.cursor.peek() == b']' {
            parser.cursor.bump();
            return Ok(());
        }
        let mut next = self.next_index(from, to, 0);
        let leads_on = next.is_some();
        let mut index = 0;
        loop {
            if next == Some(index) {
                self.enter_item(from, to, index);
                self.value(parser, to, depth)?;
                self.active.truncate(to);
                next = self.next_index(from, to, index + 1);
            } else {
                skip::value(&mut parser.cursor)?;
            }
            if closes(parser, b']', "a comma or ] is missing")? {
                return Ok(());
            }
            if leads_on && next.is_none() {
                // Nothing behind the last item that is wanted can change what was found.
                return skip::rest(&mut parser.cursor);
            }
            index += 1;
        }
    }

    /// The least index from `least` on that a pointer goes on with.
    fn next_index(&self, from: usize, to: usize, least: usize) -> Option<usize> {
        let indexes = self.active[from..to].iter().filter_map(|active| self.index_of(active));
        indexes.map(|(index, _)| index).filter(|&index| index >= least).min()
    }

    fn index_of(&self, active: &Active) -> Option<(usize, usize)> {
        let path = &self.paths[active.which];
        if active.rest == path.text.len() {
            return None;
        }
        path.index_at(active.rest)
    }

    /// Goes on with the pointers that go on with this index.
    fn enter_item(&mut self, from: usize, to: usize, index: usize) {
        for place in from..to {
            let active = self.active[place];
            if let Some((wanted, rest)) = self.index_of(&active) {
                if wanted == index {
                    self.active.push(Active { rest, ..active });
                }
            }
        }
    }
}

/// Passes over the opener here.
fn enter(parser: &mut Parser<'_>, depth: usize) -> Result<(), Stop> {
    if depth >= MAX_DEPTH {
        return Err(parser.cursor.fail_here("nested deeper than 512 levels"));
    }
    parser.cursor.bump();
    Ok(())
}

/// Passes over a comma (false) or the closer (true).
#[inline(always)]
fn closes(parser: &mut Parser<'_>, closer: u8, problem: &'static str) -> Result<bool, Stop> {
    parser.cursor.skip_whitespace();
    let byte = parser.cursor.peek();
    if byte != b',' && byte != closer {
        return Err(parser.cursor.fail_here(problem));
    }
    parser.cursor.bump();
    Ok(byte == closer)
}

/// Decodes the value at a place that was found.
pub fn decode(parser: &mut Parser<'_>, place: Place) -> Result<Object, Stop> {
    parser.cursor.go(place.start);
    let value = parser.value(place.depth)?;
    // Skipping looks at brackets only, so the value may have ended elsewhere than it seemed to.
    if parser.cursor.at() == place.end {
        Ok(value)
    } else {
        Err(parser.cursor.fail_here("something follows the value"))
    }
}

/// The values at pointers; None for each that has none.
pub fn get<'py>(
    py: Python<'py>,
    text_with_nul: &[u8],
    pointers: &[&str],
    raw: bool,
) -> PyResult<Vec<Option<Bound<'py, PyAny>>>> {
    let mut paths = Vec::with_capacity(pointers.len());
    for pointer in pointers {
        paths.push(Path::new(pointer).map_err(|malformed| malformed.into_pyerr(pointer))?);
    }
    if paths.iter().all(Path::is_whole) && paths.len() == 1 && !raw {
        return Ok(vec![Some(super::parse::document(py, text_with_nul)?)]);
    }
    if paths.iter().any(Path::is_whole) {
        // The document itself is wanted, so all of it is checked, and what is wrong is told as `loads` tells it.
        super::parse::check(py, text_with_nul)?;
    }
    let mut parser = Parser::new(text_with_nul);
    let read = find(&mut parser, &paths).and_then(|places| {
        let decoded = places.into_iter().map(|place| match place {
            Some(place) => decode(&mut parser, place).map(|value| Some((place, value))),
            None => Ok(None),
        });
        decoded.collect::<Result<Vec<_>, _>>()
    });
    let found = parser.finish(py, read)?.into_iter();
    if !raw {
        return Ok(found
            .map(|found| found.map(|(_, value)| value.into_bound(py)))
            .collect());
    }
    let setup = setup::get(py).ok_or_else(|| PyValueError::new_err("import aisys.json first"))?;
    found
        .map(|found| {
            let Some((place, _)) = found else { return Ok(None) };
            let text = pyo3::types::PyBytes::new(py, &text_with_nul[place.start..place.end]);
            setup.raw.bind(py).call1((text,)).map(Some)
        })
        .collect()
}

/// The values at pointers that must have one.
pub fn require<'py>(
    py: Python<'py>,
    text_with_nul: &[u8],
    pointers: &[&str],
    raw: bool,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let found = get(py, text_with_nul, pointers, raw)?;
    let present = found.into_iter().zip(pointers);
    present
        .map(|(value, pointer)| value.ok_or_else(|| pointer_error(py, pointer)))
        .collect()
}
