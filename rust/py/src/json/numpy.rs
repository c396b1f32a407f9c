//! numpy arrays of common numbers, written from their memory. Others go the way of `plain`.

use std::ffi::CStr;

use pyo3::buffer::{Element, PyBuffer};
use pyo3::prelude::*;

use super::out::Out;
use super::parse::MAX_DEPTH;
use super::write::{Order, Writer};

/// A number of an array.
trait Item: Element {
    /// Writes the number; false if JSON has no such number.
    fn write(self, out: &mut Out) -> bool;
}

macro_rules! float_item {
    ($($kind:ty),*) => {$(
        impl Item for $kind {
            #[inline(always)]
            fn write(self, out: &mut Out) -> bool {
                if !self.is_finite() {
                    return false;
                }
                out.extend(zmij::Buffer::new().format_finite(self).as_bytes());
                out.push(b',');
                true
            }
        }
    )*};
}

macro_rules! integer_item {
    ($($kind:ty),*) => {$(
        impl Item for $kind {
            #[inline(always)]
            fn write(self, out: &mut Out) -> bool {
                out.integer(i64::from(self));
                true
            }
        }
    )*};
}

float_item!(f32, f64);
integer_item!(i8, i16, i32, i64, u8, u16, u32);

/// Writes an array of numbers; false, with nothing written, if it is something else or holds a NaN, so that
/// the slower way writes it or says what is wrong with it.
pub fn write(writer: &mut Writer<'_, '_>, value: &Bound<'_, PyAny>, depth: usize) -> bool {
    if writer.order == Order::Canonical || !is_array(value) {
        return false;
    }
    try_item::<f32>(writer, value, depth)
        || try_item::<f64>(writer, value, depth)
        || try_item::<i64>(writer, value, depth)
        || try_item::<i32>(writer, value, depth)
        || try_item::<u8>(writer, value, depth)
        || try_item::<i16>(writer, value, depth)
        || try_item::<i8>(writer, value, depth)
        || try_item::<u16>(writer, value, depth)
        || try_item::<u32>(writer, value, depth)
}

/// Whether the type calls itself numpy's array; what follows relies on the buffer that it gives, not on the name.
fn is_array(value: &Bound<'_, PyAny>) -> bool {
    // SAFETY: types are alive as long as their instances, and their names end in a NUL.
    let name = unsafe { CStr::from_ptr((*value.get_type_ptr()).tp_name) };
    name == c"numpy.ndarray"
}

fn try_item<T: Item>(writer: &mut Writer<'_, '_>, value: &Bound<'_, PyAny>, depth: usize) -> bool {
    let Ok(buffer) = PyBuffer::<T>::get(value) else {
        return false;
    };
    // A copy, row by row: it also straightens strided arrays, and another thread may write to the original.
    let Ok(items) = buffer.to_vec(value.py()) else {
        return false;
    };
    let shape = buffer.shape();
    if shape.is_empty() || depth + shape.len() > MAX_DEPTH {
        return false;
    }
    let start = writer.out.len();
    let complete = rows(&mut writer.out, &items, shape);
    if !complete {
        writer.out.truncate(start);
    }
    complete
}

/// Writes an array of this shape, which has a dimension at least.
fn rows<T: Item>(out: &mut Out, items: &[T], shape: &[usize]) -> bool {
    out.push(b'[');
    if let [count, inner @ ..] = shape {
        if inner.is_empty() {
            if !items.iter().all(|item| item.write(out)) {
                return false;
            }
        } else {
            let size: usize = inner.iter().product();
            for row in 0..*count {
                if !rows(out, &items[row * size..(row + 1) * size], inner) {
                    return false;
                }
            }
        }
    }
    out.close(b']');
    true
}
