//! From Python objects to text.

use aisys_text::pen::{MAX_ESCAPED, Pen, SLACK};
use aisys_text::{quote, units};
use pyo3::ffi;
use pyo3::prelude::*;

use super::canonical;
use super::failure::{Failure, refused};
use super::fragments;
use super::layout::{Entries, Members};
use super::out::{ITEM, MEMBER, Out};
use super::parse::MAX_DEPTH;
use super::plain;
use super::setup::{self, Setup};
use crate::ints::{self, Int};
use crate::object::Object;

/// In which order the members of an object are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As the dict has them.
    Given,
    /// By code points of the keys.
    CodePoints,
    /// By UTF-16 units of the keys, and with the numbers of RFC 8785.
    Canonical,
}

/// Characters of a string that are written between two looks at the room that is left.
const STRETCH: usize = 1 << 12;

/// Writes a value. Its functions take the place to write at and give the one behind what they wrote; they write a comma
/// (a colon, behind a key) after each value. None says that writing failed, and `failure` why.
///
/// The functions run attached, but perhaps in a call that PyO3 does not know of (see `raw`): all that may run Python code
/// goes through `other`.
pub struct Writer<'a, 'py> {
    pub py: Python<'py>,
    pub out: Out,
    pub order: Order,
    pub default: Option<&'a Bound<'py, PyAny>>,
    failure: Option<Failure>,
    /// How often Python code was run, which may have changed anything.
    runs: usize,
}

/// Writes a value and hands the text over; the buffer stays for the next call.
#[inline(always)]
pub fn written<'py, T>(
    py: Python<'py>,
    value: *mut ffi::PyObject,
    default: Option<&Bound<'py, PyAny>>,
    order: Order,
    take: impl FnOnce(&Out, &[u8]) -> T,
) -> Result<T, Failure> {
    let (out, pen) = Out::begin();
    let mut writer = Writer {
        py,
        out,
        order,
        default,
        failure: None,
        runs: 0,
    };
    let result = match writer.whole(pen, value) {
        // SAFETY: the pen began where the text does.
        Some(pen) => Ok(take(&writer.out, unsafe { writer.out.text(pen) })),
        None => Err(writer.failure.take().unwrap_or_else(|| refused("writing failed"))),
    };
    writer.out.end();
    result
}

impl Writer<'_, '_> {
    #[inline(always)]
    fn whole(&mut self, pen: Pen, value: *mut ffi::PyObject) -> Option<Pen> {
        let pen = self.out.room(pen, MEMBER);
        self.value(pen, value, 0)
    }

    /// Remembers why writing failed.
    #[cold]
    #[inline(never)]
    pub fn fail(&mut self, failure: Failure) -> Option<Pen> {
        self.failure = Some(failure);
        None
    }

    /// Notes in which item it failed, from the inside outwards.
    #[cold]
    #[inline(never)]
    fn inside(&mut self, token: String) -> Option<Pen> {
        if let Some(failure) = &mut self.failure {
            failure.inside(token);
        }
        None
    }

    /// Notes in which member it failed; the key is alive.
    #[cold]
    #[inline(never)]
    fn inside_member(&mut self, key: *mut ffi::PyObject) -> Option<Pen> {
        // SAFETY: promised by the caller.
        let key = unsafe { Bound::from_borrowed_ptr(self.py, key) };
        self.inside(key.to_string())
    }

    #[cold]
    #[inline(never)]
    fn too_deep(&mut self) -> Option<Pen> {
        self.fail(refused(
            "nested deeper than 512 levels, or a value that contains itself",
        ))
    }

    #[cold]
    #[inline(never)]
    fn changed(&mut self) -> Option<Pen> {
        self.fail(refused("the dict was changed while it was being written"))
    }

    /// Writes a value that stands inside `depth` containers.
    ///
    /// The pointer is a live object; what runs Python code holds a reference of its own.
    #[inline(always)]
    pub fn value(&mut self, pen: Pen, value: *mut ffi::PyObject, depth: usize) -> Option<Pen> {
        self.either(
            pen,
            value,
            |_| None,
            |writer, pen| {
                let pen = writer.out.room(pen, MEMBER);
                writer.container(pen, value, depth, std::ptr::null_mut())
            },
        )
    }

    /// Writes a value of an exact scalar type, which runs no Python code, or leaves it to `container`. There is room for
    /// an item.
    #[inline(always)]
    fn either(
        &mut self,
        pen: Pen,
        value: *mut ffi::PyObject,
        failed: impl FnOnce(&mut Self) -> Option<Pen>,
        container: impl FnOnce(&mut Self, Pen) -> Option<Pen>,
    ) -> Option<Pen> {
        // SAFETY: a live object (see `value`); its type is compared before it is used as one. An item takes less than
        // there is room for.
        let written = unsafe {
            let kind = ffi::Py_TYPE(value);
            if kind == &raw mut ffi::PyUnicode_Type {
                self.string(pen, value, b',')
            } else if kind == &raw mut ffi::PyLong_Type {
                self.integer(pen, value)
            } else if value == ffi::Py_None() {
                return Some(pen.block(*b"null,", 5));
            } else if kind == &raw mut ffi::PyBool_Type {
                return Some(if value == ffi::Py_True() {
                    pen.block(*b"true,", 5)
                } else {
                    pen.block(*b"false,", 6)
                });
            } else if kind == &raw mut ffi::PyFloat_Type {
                self.number(pen, ffi::PyFloat_AS_DOUBLE(value))
            } else {
                return container(self, pen);
            }
        };
        if written.is_none() {
            return failed(self);
        }
        written
    }

    /// Writes a value that may run Python code while it is written, for which there is room for a member. The key is null
    /// if it is not the value of a member.
    #[inline(never)]
    fn container(&mut self, pen: Pen, value: *mut ffi::PyObject, depth: usize, key: *mut ffi::PyObject) -> Option<Pen> {
        // SAFETY: live objects, which stay alive as long as they are held here, whatever happens to what they are in.
        let (held, held_key, kind) = unsafe {
            let held_key = (!key.is_null()).then(|| Object::borrowed(key));
            (Object::borrowed(value), held_key, ffi::Py_TYPE(value))
        };
        let value = held.as_ptr();
        let written = if depth >= MAX_DEPTH && kind_is_nested(kind) {
            self.too_deep()
        } else if kind == &raw mut ffi::PyDict_Type {
            self.dict(pen, value, depth + 1)
        } else if kind == &raw mut ffi::PyList_Type {
            self.sequence(pen, value, depth + 1, true)
        } else if kind == &raw mut ffi::PyTuple_Type {
            self.sequence(pen, value, depth + 1, false)
        } else {
            self.other(pen, value, depth)
        };
        if written.is_none() {
            if let Some(key) = held_key {
                return self.inside_member(key.as_ptr());
            }
        }
        written
    }

    /// Writes an exact str and one byte behind it; there is room for an item behind that.
    #[inline(always)]
    pub fn string(&mut self, pen: Pen, text: *mut ffi::PyObject, behind: u8) -> Option<Pen> {
        // SAFETY: an exact str, which cannot change; its length and data go together, and a NUL follows them.
        unsafe {
            if ffi::PyUnicode_IS_COMPACT_ASCII(text) != 0 {
                let len = ffi::PyUnicode_GET_LENGTH(text) as usize;
                let data = text.cast::<ffi::PyASCIIObject>().add(1).cast::<u8>();
                return Some(self.utf8(pen, data, len, behind));
            }
        }
        self.wide_string(pen, text, behind)
    }

    /// Writes a string of UTF-8.
    ///
    /// # Safety
    /// The `len` bytes and one behind them can be read.
    #[inline(always)]
    unsafe fn utf8(&mut self, pen: Pen, text: *const u8, len: usize, behind: u8) -> Pen {
        if len > STRETCH {
            // SAFETY: promised by the caller.
            return unsafe { self.long_utf8(pen, text, len, behind) };
        }
        let pen = self.out.room(pen, len * MAX_ESCAPED + SLACK + ITEM);
        // SAFETY: the room was made.
        unsafe { quote::quoted(pen, text, len, behind) }
    }

    /// As `utf8`, without room for six times a long text.
    #[inline(never)]
    unsafe fn long_utf8(&mut self, pen: Pen, text: *const u8, len: usize, behind: u8) -> Pen {
        let mut pen = self.out.extend(pen, b"\"");
        let mut at = 0;
        while at < len {
            let stretch = (len - at).min(STRETCH);
            pen = self.out.room(pen, stretch * MAX_ESCAPED + SLACK + ITEM);
            // SAFETY: promised by the caller; the room was made.
            pen = unsafe { quote::unquoted(pen, text.add(at), stretch) };
            at += stretch;
        }
        // SAFETY: there is room for an item behind the last stretch.
        unsafe { pen.block([b'"', behind], 2) }
    }

    #[inline(never)]
    fn wide_string(&mut self, pen: Pen, text: *mut ffi::PyObject, behind: u8) -> Option<Pen> {
        self.out.expect_wide();
        // SAFETY: as in `string`. A str beyond ASCII may hold its UTF-8 form from an earlier use; the kind tells how
        // wide its units are.
        unsafe {
            let compact = text.cast::<ffi::PyCompactUnicodeObject>();
            let utf8 = (*compact).utf8;
            if !utf8.is_null() {
                let len = (*compact).utf8_length as usize;
                return Some(self.utf8(pen, utf8.cast(), len, behind));
            }
            let len = ffi::PyUnicode_GET_LENGTH(text) as usize;
            let data = ffi::PyUnicode_DATA(text);
            match ffi::PyUnicode_KIND(text) {
                ffi::PyUnicode_1BYTE_KIND => {
                    self.characters(pen, std::slice::from_raw_parts(data.cast::<u8>(), len), behind)
                }
                ffi::PyUnicode_2BYTE_KIND => {
                    self.characters(pen, std::slice::from_raw_parts(data.cast::<u16>(), len), behind)
                }
                _ => self.characters(pen, std::slice::from_raw_parts(data.cast::<u32>(), len), behind),
            }
        }
    }

    fn characters<T: units::Unit>(&mut self, pen: Pen, text: &[T], behind: u8) -> Option<Pen> {
        let mut pen = self.out.extend(pen, b"\"");
        for (number, stretch) in text.chunks(STRETCH).enumerate() {
            pen = self.out.room(pen, stretch.len() * MAX_ESCAPED + SLACK + ITEM);
            // SAFETY: the room was made.
            match unsafe { units::write(pen, stretch) } {
                Ok(next) => pen = next,
                Err(index) => {
                    let index = number * STRETCH + index;
                    return self.fail(refused(format!("the str holds a lone surrogate at index {index}")));
                }
            }
        }
        // SAFETY: there is room for an item behind the last stretch.
        Some(unsafe { pen.block([b'"', behind], 2) })
    }

    #[inline(always)]
    fn integer(&mut self, pen: Pen, value: *mut ffi::PyObject) -> Option<Pen> {
        // SAFETY: an exact int.
        match unsafe { ints::int(value) } {
            Int::Small(small) if self.order != Order::Canonical || canonical::is_exact(small) => {
                // SAFETY: there is room for an item.
                Some(unsafe { pen.integer(small).byte(b',') })
            }
            known => self.large_integer(pen, value, known),
        }
    }

    #[inline(never)]
    fn large_integer(&mut self, pen: Pen, value: *mut ffi::PyObject, known: Int) -> Option<Pen> {
        // SAFETY: an exact int; there is room for an item.
        unsafe {
            let known = if known == Int::Other { asked(value) } else { known };
            match known {
                Int::Small(small) if self.order != Order::Canonical || canonical::is_exact(small) => {
                    Some(pen.integer(small).byte(b','))
                }
                Int::Natural(large) if self.order != Order::Canonical => Some(pen.natural(large).byte(b',')),
                _ if self.order == Order::Canonical => {
                    Python::attach(|py| canonical::large_integer(self, pen, &Bound::from_borrowed_ptr(py, value)))
                }
                _ => self.fail(refused("the integer does not fit 64 bits: send it as a string")),
            }
        }
    }

    #[inline(always)]
    pub fn number(&mut self, pen: Pen, value: f64) -> Option<Pen> {
        if !value.is_finite() {
            return self.no_number(value);
        }
        if self.order == Order::Canonical {
            return Some(canonical::number(&mut self.out, pen, value));
        }
        // SAFETY: there is room for an item.
        Some(unsafe { float(pen, value).byte(b',') })
    }

    #[cold]
    #[inline(never)]
    fn no_number(&mut self, value: f64) -> Option<Pen> {
        let name = if value.is_nan() {
            "nan"
        } else if value > 0.0 {
            "inf"
        } else {
            "-inf"
        };
        self.fail(refused(format!(
            "JSON has no {name}: use None, or leave the member out"
        )))
    }

    /// Writes an exact list or tuple, whose items stand inside `depth` containers.
    #[inline(always)]
    fn sequence(&mut self, pen: Pen, sequence: *mut ffi::PyObject, depth: usize, is_list: bool) -> Option<Pen> {
        // SAFETY: there is room for a bracket.
        let mut pen = unsafe { pen.byte(b'[') };
        let mut index = 0;
        // SAFETY: an exact list or tuple, whose length stands behind its head. Writing an item may run Python code that
        // changes a list, so the length is read anew each time.
        while index < unsafe { ffi::Py_SIZE(sequence) } {
            // SAFETY: the index is below the length.
            let item = unsafe {
                if is_list {
                    ffi::PyList_GET_ITEM(sequence, index)
                } else {
                    ffi::PyTuple_GET_ITEM(sequence, index)
                }
            };
            pen = self.out.room(pen, ITEM);
            match self.value(pen, item, depth) {
                Some(next) => pen = next,
                None => return self.inside(index.to_string()),
            }
            index += 1;
        }
        Some(self.out.close(pen, b']'))
    }

    /// Writes an exact dict, which the caller holds; its members stand inside `depth` containers.
    #[inline(always)]
    fn dict(&mut self, pen: Pen, dict: *mut ffi::PyObject, depth: usize) -> Option<Pen> {
        // SAFETY: there is room for a bracket.
        let mut pen = unsafe { pen.byte(b'{') };
        if self.order != Order::Given {
            return self.sorted_members(pen, dict, depth);
        }
        // SAFETY: an exact dict.
        let Some(mut entries) = (unsafe { Entries::of(dict) }) else {
            return self.asked_members(pen, dict, depth);
        };
        // SAFETY: as above.
        let size = unsafe { (*dict.cast::<ffi::PyDictObject>()).ma_used };
        let mut runs = self.runs;
        // SAFETY: only Python code can change the dict; then the entries are refreshed.
        while let Some((key, value)) = unsafe { entries.next() } {
            pen = self.out.room(pen, MEMBER);
            pen = self.member(pen, key, value, depth)?;
            if self.runs != runs {
                runs = self.runs;
                // SAFETY: the caller holds the dict.
                match unsafe { entries.refreshed(dict) } {
                    // SAFETY: as above.
                    Some(now) if unsafe { (*dict.cast::<ffi::PyDictObject>()).ma_used } == size => entries = now,
                    _ => return self.changed(),
                }
            }
        }
        Some(self.out.close(pen, b'}'))
    }

    /// Writes the members of a dict by the C API.
    #[inline(never)]
    fn asked_members(&mut self, mut pen: Pen, dict: *mut ffi::PyObject, depth: usize) -> Option<Pen> {
        // SAFETY: an exact dict, which the caller holds, here and below.
        let size = unsafe { (*dict.cast::<ffi::PyDictObject>()).ma_used };
        let mut members = Members::of(dict);
        // SAFETY: as above.
        while let Some((key, value)) = unsafe { members.next() } {
            pen = self.out.room(pen, MEMBER);
            pen = self.member(pen, key, value, depth)?;
            // SAFETY: as above.
            if unsafe { (*dict.cast::<ffi::PyDictObject>()).ma_used } != size {
                return self.changed();
            }
        }
        Some(self.out.close(pen, b'}'))
    }

    #[inline(never)]
    fn sorted_members(&mut self, mut pen: Pen, dict: *mut ffi::PyObject, depth: usize) -> Option<Pen> {
        for (key, value) in canonical::sorted_members(self, dict)? {
            pen = self.out.room(pen, MEMBER);
            pen = self.member(pen, key.as_ptr(), value.as_ptr(), depth)?;
        }
        Some(self.out.close(pen, b'}'))
    }

    /// Writes a member of an object, for which there is room; key and value are alive, and whatever runs Python code holds
    /// them.
    #[inline(always)]
    fn member(&mut self, pen: Pen, key: *mut ffi::PyObject, value: *mut ffi::PyObject, depth: usize) -> Option<Pen> {
        // SAFETY: the key is alive.
        if unsafe { ffi::Py_TYPE(key) != &raw mut ffi::PyUnicode_Type } {
            return self.odd_member(pen, key, value, depth);
        }
        let pen = self.key(pen, key)?;
        self.either(
            pen,
            value,
            |writer| writer.inside_member(key),
            |writer, pen| {
                let pen = writer.out.room(pen, MEMBER);
                writer.container(pen, value, depth, key)
            },
        )
    }

    /// Writes a member whose key is no exact str.
    #[cold]
    #[inline(never)]
    fn odd_member(
        &mut self,
        pen: Pen,
        key: *mut ffi::PyObject,
        value: *mut ffi::PyObject,
        depth: usize,
    ) -> Option<Pen> {
        // SAFETY: both are alive; they are held because making a str of the key may change the dict.
        let (key, value) = unsafe { (Object::borrowed(key), Object::borrowed(value)) };
        let text = self.key_text(key.as_ptr())?;
        self.member(pen, text.as_ptr(), value.as_ptr(), depth)
    }

    /// Writes a key that is an exact str; there is room for an item behind it.
    #[inline(always)]
    fn key(&mut self, pen: Pen, key: *mut ffi::PyObject) -> Option<Pen> {
        // SAFETY: an exact str; there is room for a member, and what a kept key takes is less.
        unsafe {
            if is_interned(key) {
                if let Some(pen) = fragments::copy(pen, key) {
                    return Some(pen);
                }
                return self.new_key(pen, key);
            }
        }
        self.string(pen, key, b':')
    }

    /// Writes an interned key, and keeps what was written.
    #[inline(never)]
    fn new_key(&mut self, pen: Pen, key: *mut ffi::PyObject) -> Option<Pen> {
        // SAFETY: an exact str. Its text stands where the pen was, if the pen did not move for want of room.
        unsafe {
            let after = self.string(pen, key, b':')?;
            if ffi::PyUnicode_IS_COMPACT_ASCII(key) != 0 {
                let len = (after.place() as usize).wrapping_sub(pen.place() as usize);
                if len < MEMBER {
                    fragments::keep(key, std::slice::from_raw_parts(pen.place(), len));
                }
            }
            Some(after)
        }
    }

    /// The exact str of a key of another type.
    #[cold]
    pub fn key_text(&mut self, key: *mut ffi::PyObject) -> Option<Object> {
        self.runs += 1;
        let text = Python::attach(|py| {
            // SAFETY: the key is alive.
            let key = unsafe { Bound::from_borrowed_ptr(py, key) };
            plain::key_text(&key)
        });
        match text {
            Ok(text) => Some(text),
            Err(failure) => {
                self.fail(failure);
                None
            }
        }
    }

    /// Writes a value of any other type.
    #[inline(never)]
    fn other(&mut self, pen: Pen, value: *mut ffi::PyObject, depth: usize) -> Option<Pen> {
        self.runs += 1;
        Python::attach(|py| {
            // SAFETY: a live object, which the caller holds.
            let value = unsafe { Bound::from_borrowed_ptr(py, value) };
            match plain::write(self, pen, &value, depth) {
                Ok(written) => written,
                Err(failure) => self.fail(failure),
            }
        })
    }

    /// The face's classes and functions.
    pub fn setup(&self) -> Result<&'static Setup, Failure> {
        setup::get(self.py).ok_or_else(|| refused("the JSON codec was not set up: import aisys.json"))
    }
}

/// Writes a finite number with the fewest digits that read back.
///
/// # Safety
/// There is room for an item.
#[inline(always)]
pub unsafe fn float<F: zmij::Float>(pen: Pen, value: F) -> Pen {
    const { assert!(size_of::<zmij::Buffer>() <= ITEM && align_of::<zmij::Buffer>() == 1) };
    // SAFETY: the buffer is only bytes that need not be initialised; the number is written at its start.
    unsafe {
        let len = (*pen.place().cast::<zmij::Buffer>()).format_finite(value).len();
        pen.past(len)
    }
}

/// Whether a str is interned.
///
/// # Safety
/// An exact str.
#[inline(always)]
unsafe fn is_interned(text: *mut ffi::PyObject) -> bool {
    // SAFETY: promised by the caller.
    #[cfg(not(Py_3_14))]
    unsafe {
        (*text.cast::<ffi::PyASCIIObject>()).interned() != 0
    }
    #[cfg(Py_3_14)]
    unsafe {
        ffi::PyUnicode_CHECK_INTERNED(text) != 0
    }
}

/// What the C API says of an int.
///
/// # Safety
/// An exact int.
#[cold]
unsafe fn asked(value: *mut ffi::PyObject) -> Int {
    let mut overflow = 0;
    // SAFETY: promised by the caller; the exception that is raised for an int beyond 64 bits is taken away.
    unsafe {
        let small = ffi::PyLong_AsLongLongAndOverflow(value, &raw mut overflow);
        if overflow == 0 {
            return Int::Small(small);
        }
        if overflow < 0 {
            return Int::Large;
        }
        let natural = ffi::PyLong_AsUnsignedLongLong(value);
        if ffi::PyErr_Occurred().is_null() {
            return Int::Natural(natural);
        }
        ffi::PyErr_Clear();
    }
    Int::Large
}

/// Whether values of this type count as a level.
#[cold]
fn kind_is_nested(kind: *mut ffi::PyTypeObject) -> bool {
    [
        &raw mut ffi::PyDict_Type,
        &raw mut ffi::PyList_Type,
        &raw mut ffi::PyTuple_Type,
    ]
    .contains(&kind)
}
