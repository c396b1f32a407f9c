//! The text being written.

use super::scan::{LANES, masks};

/// A growing buffer with the pieces that JSON is made of.
#[derive(Default)]
pub struct Out {
    bytes: Vec<u8>,
    /// Whether everything so far is ASCII.
    beyond_ascii: bool,
}

/// What each byte is escaped to: 0 not at all, `u` as `\u00XX`, else a backslash and this byte.
const ESCAPES: [u8; 256] = {
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

/// Longest escape of a byte: `\u001f`.
const MAX_ESCAPE: usize = 6;

impl Out {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.beyond_ascii = false;
    }

    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
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

    /// Text that may hold anything.
    pub fn extend_text(&mut self, bytes: &[u8]) {
        self.beyond_ascii |= !bytes.is_ascii();
        self.bytes.extend_from_slice(bytes);
    }

    /// Replaces the last byte.
    #[inline(always)]
    pub fn set_last(&mut self, byte: u8) {
        if let Some(last) = self.bytes.last_mut() {
            *last = byte;
        }
    }

    /// An ASCII (or UTF-8, if `beyond_ascii`) string in quotes.
    #[inline(always)]
    pub fn string(&mut self, text: &[u8], beyond_ascii: bool) {
        self.beyond_ascii |= beyond_ascii;
        // Room for the quotes and for a whole block written at the last byte.
        self.bytes.reserve(text.len() + 2 + LANES);
        self.bytes.push(b'"');
        let mut at = 0;
        while let Some(block) = text.get(at..at + LANES) {
            let (special, _) = masks(block);
            self.block(block);
            if special == 0 {
                at += LANES;
                continue;
            }
            let ordinary = special.trailing_zeros() as usize;
            self.bytes.truncate(self.bytes.len() - LANES + ordinary);
            at += ordinary;
            self.escape(text[at], text.len() - at);
            at += 1;
        }
        for &byte in &text[at..] {
            if ESCAPES[byte as usize] == 0 {
                self.bytes.push(byte);
            } else {
                self.escape(byte, LANES);
            }
        }
        self.bytes.push(b'"');
    }

    /// Copies a block of exactly `LANES` bytes.
    #[inline(always)]
    fn block(&mut self, block: &[u8]) {
        self.bytes.extend_from_slice(&block[..LANES]);
    }

    /// Writes the escape of a byte, and makes room for it and for the `rest` of the string.
    #[inline(always)]
    fn escape(&mut self, byte: u8, rest: usize) {
        self.bytes.reserve(rest + 2 + LANES + MAX_ESCAPE);
        match ESCAPES[byte as usize] {
            b'u' => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let digits = [HEX[(byte >> 4) as usize], HEX[(byte & 15) as usize]];
                self.bytes.extend_from_slice(b"\\u00");
                self.bytes.extend_from_slice(&digits);
            }
            short => self.bytes.extend_from_slice(&[b'\\', short]),
        }
    }

    /// A string of characters in quotes; `Err` is the index of a lone surrogate.
    pub fn characters<T: Copy + Into<u32>>(&mut self, text: &[T]) -> Result<(), usize> {
        self.beyond_ascii = true;
        self.bytes.reserve(text.len() * 3 + 2);
        self.bytes.push(b'"');
        for (index, &unit) in text.iter().enumerate() {
            let code: u32 = unit.into();
            if code < 0x80 {
                self.ascii(code as u8);
            } else if code < 0x800 {
                self.bytes
                    .extend_from_slice(&[0xC0 | (code >> 6) as u8, continuation(code)]);
            } else if code < 0x1_0000 {
                if (0xD800..0xE000).contains(&code) {
                    return Err(index);
                }
                let lead = 0xE0 | (code >> 12) as u8;
                self.bytes
                    .extend_from_slice(&[lead, continuation(code >> 6), continuation(code)]);
            } else {
                let lead = 0xF0 | (code >> 18) as u8;
                let rest = [continuation(code >> 12), continuation(code >> 6), continuation(code)];
                self.bytes.push(lead);
                self.bytes.extend_from_slice(&rest);
            }
        }
        self.bytes.push(b'"');
        Ok(())
    }

    #[inline(always)]
    fn ascii(&mut self, byte: u8) {
        if ESCAPES[byte as usize] == 0 {
            self.bytes.push(byte);
        } else {
            self.escape(byte, 0);
        }
    }
}

#[inline(always)]
fn continuation(code: u32) -> u8 {
    0x80 | (code & 0x3F) as u8
}
