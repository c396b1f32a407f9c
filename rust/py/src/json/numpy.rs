//! numpy arrays of common numbers, written from their memory. Others go the way of `plain`.

use std::ffi::CStr;

use aisys_text::pen::Pen;
use pyo3::buffer::{Element, PyBuffer};
use pyo3::prelude::*;

use super::out::{ITEM, Out};
use super::parse::MAX_DEPTH;
use super::write::{Order, Writer, float};

/// A number of an array.
trait Item: Element {
    /// Whether JSON has such a number.
    fn is_number(self) -> bool;

    /// Writes the number and a comma.
    ///
    /// # Safety
    /// It is one, and there is room for an item.
    unsafe fn write(self, pen: Pen) -> Pen;
}

macro_rules! float_item {
    ($($kind:ty),*) => {$(
        impl Item for $kind {
            #[inline(always)]
            fn is_number(self) -> bool {
                self.is_finite()
            }

            #[inline(always)]
            unsafe fn write(self, pen: Pen) -> Pen {
                // SAFETY: promised by the caller.
                unsafe { float(pen, self).byte(b',') }
            }
        }
    )*};
}

macro_rules! integer_item {
    ($($kind:ty),*) => {$(
        impl Item for $kind {
            #[inline(always)]
            fn is_number(self) -> bool {
                true
            }

            #[inline(always)]
            unsafe fn write(self, pen: Pen) -> Pen {
                // SAFETY: promised by the caller.
                unsafe { pen.integer(i64::from(self)).byte(b',') }
            }
        }
    )*};
}

float_item!(f32, f64);
integer_item!(i8, i16, i32, i64, u8, u16, u32);

/// Writes an array of numbers; None, with nothing written, if it is something else or holds a NaN, so that
/// the slower way writes it or says what is wrong with it.
pub fn write(writer: &mut Writer<'_, '_>, pen: Pen, value: &Bound<'_, PyAny>, depth: usize) -> Option<Pen> {
    if writer.order == Order::Canonical || !is_array(value) {
        return None;
    }
    try_item::<f32>(writer, pen, value, depth)
        .or_else(|| try_item::<f64>(writer, pen, value, depth))
        .or_else(|| try_item::<i64>(writer, pen, value, depth))
        .or_else(|| try_item::<i32>(writer, pen, value, depth))
        .or_else(|| try_item::<u8>(writer, pen, value, depth))
        .or_else(|| try_item::<i16>(writer, pen, value, depth))
        .or_else(|| try_item::<i8>(writer, pen, value, depth))
        .or_else(|| try_item::<u16>(writer, pen, value, depth))
        .or_else(|| try_item::<u32>(writer, pen, value, depth))
}

/// Whether the type calls itself numpy's array; what follows relies on the buffer that it gives, not on the name.
fn is_array(value: &Bound<'_, PyAny>) -> bool {
    // SAFETY: types are alive as long as their instances, and their names end in a NUL.
    let name = unsafe { CStr::from_ptr((*value.get_type_ptr()).tp_name) };
    name == c"numpy.ndarray"
}

fn try_item<T: Item>(writer: &mut Writer<'_, '_>, pen: Pen, value: &Bound<'_, PyAny>, depth: usize) -> Option<Pen> {
    let buffer = PyBuffer::<T>::get(value).ok()?;
    // A copy, row by row: it also straightens strided arrays, and another thread may write to the original.
    let items = buffer.to_vec(value.py()).ok()?;
    let shape = buffer.shape();
    if shape.is_empty() || depth + shape.len() > MAX_DEPTH || items.iter().any(|item| !item.is_number()) {
        return None;
    }
    Some(rows(&mut writer.out, pen, &items, shape))
}

/// Writes an array of this shape, which has a dimension at least.
fn rows<T: Item>(out: &mut Out, pen: Pen, items: &[T], shape: &[usize]) -> Pen {
    let mut pen = out.extend(pen, b"[");
    if let [count, inner @ ..] = shape {
        if inner.is_empty() {
            for item in items {
                pen = out.room(pen, ITEM);
                // SAFETY: the room was made.
                pen = unsafe { item.write(pen) };
            }
        } else {
            let size: usize = inner.iter().product();
            for row in 0..*count {
                pen = rows(out, pen, &items[row * size..(row + 1) * size], inner);
            }
        }
    }
    out.close(pen, b']')
}
