//! The text being written.
//!
//! Every value is written with a comma behind it: containers turn the last one into their closer, and the whole text
//! loses it. So there is one write where there would be two, and no question whether an item is the first.

use super::scan::{LANES, has_special, masks, pair_has_special};
use super::wide;

/// Room that is always there behind a string: its quotes, what follows it, an escape, and a block written at its end.
const SLACK: usize = 32;
/// Longest form of a character: `\u001f`.
const MAX_CHARACTER: usize = 6;
/// Characters written between two looks at the room that is left.
const STRETCH: usize = 64;

/// A growing buffer with the pieces that JSON is made of.
#[derive(Default)]
pub struct Out {
    bytes: Vec<u8>,
    /// Whether something so far is not ASCII.
    beyond_ascii: bool,
}

/// What each byte is escaped to: 0 not at all, `u` as `\u00XX`, else a backslash and this byte.
static ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = b'u';
        byte += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0A] = b'n';
    table[0x0C] = b'f';
    table[0x0D] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
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

/// A place in the spare room of the buffer.
///
/// Who makes one has reserved the room for everything that is written before it is given back.
#[derive(Clone, Copy)]
struct Pen(*mut u8);

impl Pen {
    /// # Safety
    /// There is room for the byte.
    #[inline(always)]
    unsafe fn byte(&mut self, byte: u8) {
        // SAFETY: promised by the caller.
        unsafe {
            self.0.write(byte);
            self.0 = self.0.add(1);
        }
    }

    /// Writes a block of which only `used` bytes count.
    ///
    /// # Safety
    /// There is room for the block.
    #[inline(always)]
    unsafe fn block<const N: usize>(&mut self, block: [u8; N], used: usize) {
        // SAFETY: promised by the caller.
        unsafe {
            self.0.cast::<[u8; N]>().write_unaligned(block);
            self.0 = self.0.add(used);
        }
    }

    /// # Safety
    /// There is room for `MAX_CHARACTER` bytes.
    #[inline(always)]
    unsafe fn escape(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        // SAFETY: promised by the caller.
        unsafe {
            match ESCAPES[byte as usize] {
                b'u' => {
                    let (high, low) = (HEX[(byte >> 4) as usize], HEX[(byte & 15) as usize]);
                    self.block([b'\\', b'u', b'0', b'0', high, low], 6);
                }
                short => self.block([b'\\', short], 2),
            }
        }
    }

    /// Writes the UTF-8 form of a character beyond ASCII; false for a surrogate.
    ///
    /// # Safety
    /// There is room for `MAX_CHARACTER` bytes.
    #[inline(always)]
    unsafe fn wide(&mut self, code: u32) -> bool {
        let last = 0x80 | code & 0x3F;
        let third = 0x80 | (code >> 6) & 0x3F;
        let second = 0x80 | (code >> 12) & 0x3F;
        // SAFETY: promised by the caller.
        unsafe {
            if code < 0x800 {
                self.block((0xC0 | code >> 6 | last << 8).to_le_bytes(), 2);
            } else if code < 0x1_0000 {
                if code & 0xF800 == 0xD800 {
                    return false;
                }
                self.block((0xE0 | code >> 12 | third << 8 | last << 16).to_le_bytes(), 3);
            } else {
                self.block(
                    (0xF0 | code >> 18 | second << 8 | third << 16 | last << 24).to_le_bytes(),
                    4,
                );
            }
        }
        true
    }
}

impl Out {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.beyond_ascii = false;
    }

    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes back what was written behind a length.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// Everything written, without the last comma.
    pub fn text(&self) -> &[u8] {
        self.bytes.strip_suffix(b",").unwrap_or(&self.bytes)
    }

    /// Whether everything is ASCII.
    pub fn is_ascii(&self) -> bool {
        !self.beyond_ascii
    }

    #[inline(always)]
    pub fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    #[inline(always)]
    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A fragment of text that may hold anything.
    pub fn fragment(&mut self, bytes: &[u8]) {
        self.beyond_ascii |= !bytes.is_ascii();
        self.bytes.extend_from_slice(bytes);
        self.bytes.push(b',');
    }

    /// Ends a container: the comma behind its last item becomes the closer.
    #[inline(always)]
    pub fn close(&mut self, closer: u8) {
        match self.bytes.last_mut() {
            Some(last) if *last == b',' => *last = closer,
            _ => self.bytes.push(closer),
        }
        self.bytes.push(b',');
    }

    /// Makes room for `len` bytes and gives the place where they go.
    #[inline(always)]
    fn pen(&mut self, len: usize) -> Pen {
        self.bytes.reserve(len);
        Pen(self.bytes.spare_capacity_mut().as_mut_ptr().cast())
    }

    /// Counts what a pen wrote.
    ///
    /// # Safety
    /// The pen was made from this buffer since it last grew, and wrote within the room reserved.
    #[inline(always)]
    unsafe fn lift(&mut self, pen: Pen) {
        // SAFETY: everything from the start of the buffer up to the pen is written.
        unsafe {
            let len = pen.0.offset_from(self.bytes.as_ptr()) as usize;
            self.bytes.set_len(len);
        }
    }

    /// An integer.
    #[inline(always)]
    pub fn integer(&mut self, value: i64) {
        if value < 0 {
            self.bytes.push(b'-');
        }
        self.natural(value.unsigned_abs());
    }

    /// An integer that is not negative.
    #[inline(always)]
    pub fn natural(&mut self, value: u64) {
        let count = digit_count(value);
        let mut pen = self.pen(SLACK);
        // SAFETY: there is room for the digits, at most 20, and the comma; each digit is written once, from the last.
        unsafe {
            let mut end = pen.0.add(count);
            let mut rest = value;
            while rest >= 100 {
                end = end.sub(2);
                end.cast::<[u8; 2]>().write_unaligned(PAIRS[(rest % 100) as usize]);
                rest /= 100;
            }
            let last = PAIRS[rest as usize];
            if rest >= 10 {
                pen.0.cast::<[u8; 2]>().write_unaligned(last);
            } else {
                pen.0.write(last[1]);
            }
            pen.0 = pen.0.add(count);
            pen.byte(b',');
            self.lift(pen);
        }
    }

    /// A string of UTF-8 bytes in quotes, and one byte behind it.
    #[inline(always)]
    pub fn string(&mut self, text: &[u8], behind: u8) {
        let mut pen = self.pen(text.len() + SLACK);
        let mut at = 0;
        // SAFETY: there is room for the rest of the text and SLACK more: at the start by the line above, and after each
        // escape, which alone writes more than it reads, by `after_escape`.
        unsafe {
            pen.byte(b'"');
            while let Some(block) = text.get(at..at + LANES) {
                let (special, _) = masks(block);
                let bytes = block.as_ptr().cast::<[u8; LANES]>().read();
                if special == 0 {
                    pen.block(bytes, LANES);
                    at += LANES;
                    let copied = wide::copy_ordinary(&text[at..], pen.0);
                    at += copied;
                    pen.0 = pen.0.add(copied);
                    continue;
                }
                let ordinary = special.trailing_zeros() as usize;
                pen.block(bytes, ordinary);
                at += ordinary;
                pen.escape(text[at]);
                at += 1;
                pen = self.after_escape(pen, text.len() - at);
            }
            pen = self.short_rest(pen, &text[at..]);
            pen.byte(b'"');
            pen.byte(behind);
            self.lift(pen);
        }
    }

    /// The last bytes of a string, fewer than a block.
    ///
    /// # Safety
    /// There is room for the bytes and SLACK more.
    #[inline(always)]
    unsafe fn short_rest(&mut self, mut pen: Pen, rest: &[u8]) -> Pen {
        let len = rest.len();
        // SAFETY: reads stay inside `rest`; writes as promised by the caller, and after each escape by `after_escape`.
        unsafe {
            if len >= 8 {
                let first = rest.as_ptr().cast::<u64>().read_unaligned();
                let last = rest.as_ptr().add(len - 8).cast::<u64>().read_unaligned();
                if !pair_has_special(first, last) {
                    // The two overlap where they say the same.
                    pen.block(first.to_ne_bytes(), len - 8);
                    pen.block(last.to_ne_bytes(), 8);
                    return pen;
                }
            } else if len >= 4 {
                let first = rest.as_ptr().cast::<u32>().read_unaligned();
                let last = rest.as_ptr().add(len - 4).cast::<u32>().read_unaligned();
                if !has_special(u64::from(first) << 32 | u64::from(last)) {
                    pen.block(first.to_ne_bytes(), len - 4);
                    pen.block(last.to_ne_bytes(), 4);
                    return pen;
                }
            }
            for (index, &byte) in rest.iter().enumerate() {
                if ESCAPES[byte as usize] == 0 {
                    pen.byte(byte);
                } else {
                    pen.escape(byte);
                    pen = self.after_escape(pen, len - index);
                }
            }
        }
        pen
    }

    /// Makes room for `rest` bytes and SLACK more behind an escape.
    ///
    /// # Safety
    /// The pen was made from this buffer since it last grew.
    #[inline(always)]
    unsafe fn after_escape(&mut self, pen: Pen, rest: usize) -> Pen {
        // SAFETY: promised by the caller.
        unsafe { self.lift(pen) };
        self.pen(rest + SLACK)
    }

    /// Says that what follows, until the text is cleared, is not only ASCII.
    #[inline(always)]
    pub fn expect_wide(&mut self) {
        self.beyond_ascii = true;
    }

    /// A string of characters in quotes, and one byte behind it; `Err` is the index of a lone surrogate.
    pub fn characters<T: Unit>(&mut self, text: &[T], behind: u8) -> Result<(), usize> {
        self.beyond_ascii = true;
        self.push(b'"');
        let mut at = 0;
        while at < text.len() {
            let stretch = &text[at..(at + STRETCH).min(text.len())];
            let mut pen = self.pen(STRETCH * MAX_CHARACTER + SLACK);
            // SAFETY: there is room for the longest form of every character of the stretch.
            let written = unsafe { write_stretch(&mut pen, stretch) };
            // SAFETY: the pen was made above, and wrote within the room.
            unsafe { self.lift(pen) };
            if written < stretch.len() {
                return Err(at + written);
            }
            at += stretch.len();
        }
        self.extend(&[b'"', behind]);
        Ok(())
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

/// Writes characters up to a surrogate, and tells how many.
///
/// # Safety
/// There is room for `MAX_CHARACTER` bytes for each character.
#[inline(always)]
unsafe fn write_stretch<T: Unit>(pen: &mut Pen, stretch: &[T]) -> usize {
    let mut at = 0;
    while at < stretch.len() {
        if let Some(block) = stretch.get(at..at + 8).and_then(T::ordinary) {
            // SAFETY: eight bytes for eight characters.
            unsafe { pen.block(block, 8) };
            at += 8;
            continue;
        }
        for &unit in &stretch[at..(at + 8).min(stretch.len())] {
            let code: u32 = unit.into();
            // SAFETY: promised by the caller.
            unsafe {
                if code >= 0x80 {
                    if !pen.wide(code) {
                        return at;
                    }
                } else if ESCAPES[code as usize] == 0 {
                    pen.byte(code as u8);
                } else {
                    pen.escape(code as u8);
                }
            }
            at += 1;
        }
    }
    at
}

/// A unit of one of the layouts of str.
pub trait Unit: Copy + Into<u32> {
    /// Eight units as bytes if all are ASCII and none needs an escape.
    fn ordinary(units: &[Self]) -> Option<[u8; 8]>;
}

macro_rules! unit {
    ($($kind:ty),*) => {$(
        impl Unit for $kind {
            #[inline(always)]
            fn ordinary(units: &[Self]) -> Option<[u8; 8]> {
                let eight: [Self; 8] = units.try_into().ok()?;
                if eight.iter().fold(0, |all, unit| all | unit) >= 0x80 {
                    return None;
                }
                let bytes = eight.map(|unit| unit as u8);
                (!has_special(u64::from_ne_bytes(bytes))).then_some(bytes)
            }
        }
    )*};
}

unit!(u8, u16, u32);
