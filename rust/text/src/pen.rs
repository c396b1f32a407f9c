//! Writing the small pieces of JSON into memory that has room for them.

use std::ptr::NonNull;

/// Bytes that a piece may be written beyond its end: a block of the widest kind.
pub const SLACK: usize = 64;
/// The longest form of a byte of a string: `\u001f`.
pub const MAX_ESCAPED: usize = 6;
/// What an integer may take, or be written beyond.
pub const MAX_INTEGER: usize = 24;

/// A place that is written next. It is passed on by value, so that it stays in a register.
///
/// Who makes one has seen to the room for everything that is written with it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Pen(NonNull<u8>);

/// The form of each byte in a string, seven bytes wide, and in the eighth how many of them count.
static ESCAPES: [[u8; 8]; 256] = {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut table = [[0; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let short = match byte as u8 {
            0x08 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            0x0C => b'f',
            b'\r' => b'r',
            b'"' => b'"',
            b'\\' => b'\\',
            _ => 0,
        };
        table[byte] = if short != 0 {
            [b'\\', short, 0, 0, 0, 0, 0, 2]
        } else if byte < 0x20 {
            [b'\\', b'u', b'0', b'0', HEX[byte >> 4], HEX[byte & 15], 0, 6]
        } else {
            [byte as u8, 0, 0, 0, 0, 0, 0, 1]
        };
        byte += 1;
    }
    table
};

static PAIRS: [[u8; 2]; 100] = {
    let mut table = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        table[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    table
};

static TENS: [u64; 20] = {
    let mut table = [1_u64; 20];
    let mut power = 1;
    while power < 20 {
        table[power] = table[power - 1] * 10;
        power += 1;
    }
    table
};

impl Pen {
    /// # Safety
    /// Not null.
    #[inline(always)]
    pub unsafe fn at(place: *mut u8) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { NonNull::new_unchecked(place) })
    }

    #[inline(always)]
    pub fn place(self) -> *mut u8 {
        self.0.as_ptr()
    }

    /// # Safety
    /// `count` bytes were written here.
    #[inline(always)]
    #[must_use]
    pub unsafe fn past(self, count: usize) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { self.0.add(count) })
    }

    /// # Safety
    /// There is room for the byte.
    #[inline(always)]
    #[must_use]
    pub unsafe fn byte(self, byte: u8) -> Self {
        // SAFETY: promised by the caller.
        unsafe {
            self.place().write(byte);
            self.past(1)
        }
    }

    /// Writes a block of which only `used` bytes count.
    ///
    /// # Safety
    /// There is room for the block.
    #[inline(always)]
    #[must_use]
    pub unsafe fn block<const N: usize>(self, block: [u8; N], used: usize) -> Self {
        // SAFETY: promised by the caller.
        unsafe {
            self.place().cast::<[u8; N]>().write_unaligned(block);
            self.past(used)
        }
    }

    /// # Safety
    /// There is room for the bytes.
    #[inline(always)]
    #[must_use]
    pub unsafe fn bytes(self, bytes: &[u8]) -> Self {
        // SAFETY: promised by the caller; the room is nobody else's.
        unsafe {
            self.place().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            self.past(bytes.len())
        }
    }

    /// Writes a byte of a string, escaped if it must be.
    ///
    /// # Safety
    /// There is room for eight bytes.
    #[inline(always)]
    #[must_use]
    pub unsafe fn escaped(self, byte: u8) -> Self {
        let form = ESCAPES[byte as usize];
        // SAFETY: promised by the caller.
        unsafe { self.block(form, form[7] as usize) }
    }

    /// Writes the UTF-8 form of a character beyond ASCII; None for a surrogate.
    ///
    /// # Safety
    /// There is room for four bytes.
    #[inline(always)]
    #[must_use]
    pub unsafe fn character(self, code: u32) -> Option<Self> {
        let last = 0x80 | code & 0x3F;
        let third = 0x80 | (code >> 6) & 0x3F;
        let second = 0x80 | (code >> 12) & 0x3F;
        // SAFETY: promised by the caller.
        unsafe {
            if code < 0x800 {
                return Some(self.block((0xC0 | code >> 6 | last << 8).to_le_bytes(), 2));
            }
            if code < 0x1_0000 {
                let written = self.block((0xE0 | code >> 12 | third << 8 | last << 16).to_le_bytes(), 3);
                return (code & 0xF800 != 0xD800).then_some(written);
            }
            let bytes = 0xF0 | code >> 18 | second << 8 | third << 16 | last << 24;
            Some(self.block(bytes.to_le_bytes(), 4))
        }
    }

    /// # Safety
    /// There is room for `MAX_INTEGER` bytes.
    #[inline(always)]
    #[must_use]
    pub unsafe fn integer(self, value: i64) -> Self {
        // SAFETY: promised by the caller; a digit takes the place of the sign if there is none.
        unsafe {
            self.place().write(b'-');
            self.past(usize::from(value < 0)).natural(value.unsigned_abs())
        }
    }

    /// # Safety
    /// There is room for `MAX_INTEGER` bytes.
    #[inline(always)]
    #[must_use]
    pub unsafe fn natural(self, value: u64) -> Self {
        // SAFETY: a number has at most 20 digits; each is written once, the last ones first.
        unsafe {
            if value < 10 {
                return self.byte(b'0' + value as u8);
            }
            let count = digit_count(value);
            let mut end = self.place().add(count);
            let mut rest = value;
            while rest >= 100 {
                end = end.sub(2);
                end.cast::<[u8; 2]>().write_unaligned(PAIRS[(rest % 100) as usize]);
                rest /= 100;
            }
            let last = PAIRS[rest as usize];
            if rest >= 10 {
                self.place().cast::<[u8; 2]>().write_unaligned(last);
            } else {
                self.place().write(last[1]);
            }
            self.past(count)
        }
    }
}

/// Decimal digits of a number.
#[inline(always)]
fn digit_count(value: u64) -> usize {
    // 1233 / 4096 is log10(2); at most one too many.
    let bits = 64 - (value | 1).leading_zeros() as usize;
    let guess = (bits * 1233) >> 12;
    guess + usize::from((value | 1) >= TENS[guess])
}

#[cfg(test)]
mod tests {
    use super::{MAX_INTEGER, Pen};
    use proptest::prelude::*;

    fn written(write: impl FnOnce(Pen) -> Pen) -> String {
        let mut room = [0_u8; MAX_INTEGER];
        // SAFETY: the room is what an integer may take.
        let pen = unsafe { Pen::at(room.as_mut_ptr()) };
        let count = write(pen).place() as usize - pen.place() as usize;
        String::from_utf8_lossy(&room[..count]).into_owned()
    }

    proptest! {
        #[test]
        fn integers_have_their_digits(value: i64, bits in 0_u32..64) {
            let value = value >> bits;
            // SAFETY: `written` gives the room.
            prop_assert_eq!(written(|pen| unsafe { pen.integer(value) }), value.to_string());
            let value = value.unsigned_abs();
            // SAFETY: as above.
            prop_assert_eq!(written(|pen| unsafe { pen.natural(value) }), value.to_string());
        }
    }

    #[test]
    fn every_length_of_integer_is_written() {
        for power in 0..20 {
            let ten = 10_u64.pow(power);
            for value in [ten - 1, ten, ten + 1, u64::MAX] {
                // SAFETY: `written` gives the room.
                assert_eq!(written(|pen| unsafe { pen.natural(value) }), value.to_string());
            }
        }
    }
}
