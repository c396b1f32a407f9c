//! Strings that are UTF-8 already, written with what must be escaped escaped.

use std::sync::atomic::{AtomicPtr, Ordering};

use crate::pen::Pen;

/// A page of memory: what lies in one can be read if a part of it can.
const PAGE: usize = 4096;

/// A way to copy a few bytes and see which of them are special.
trait Block {
    const BYTES: usize;

    /// Copies a block, and tells which bytes need an escape.
    ///
    /// # Safety
    /// `BYTES` bytes can be read and written.
    unsafe fn copy(from: *const u8, to: *mut u8) -> u64;

    /// As `copy`, for the first `len` bytes of a block, which are at least one and not all.
    ///
    /// # Safety
    /// `len` bytes can be read, and `BYTES` written.
    #[inline(always)]
    unsafe fn copy_part(from: *const u8, len: usize, to: *mut u8) -> u64 {
        // SAFETY: what is read behind the text is in the same page as its last byte, and thrown away; `near_end` says
        // where it would not be. `padded` reads the text only.
        let special = unsafe {
            if near_end(from, Self::BYTES) {
                Self::copy(padded::<32>(from, len).as_ptr(), to)
            } else {
                Self::copy(from, to)
            }
        };
        special & ((1 << len) - 1)
    }
}

/// Whether a block that begins here may reach into the next page. A sanitizer objects to any byte behind an object, so
/// under one every block is taken for such.
#[inline(always)]
fn near_end(from: *const u8, block: usize) -> bool {
    cfg!(any(fuzzing, miri)) || from as usize % PAGE > PAGE - block
}

/// A copy of a text of at most N bytes, zeros behind it.
///
/// # Safety
/// `len` bytes can be read.
#[cold]
#[inline(never)]
unsafe fn padded<const N: usize>(from: *const u8, len: usize) -> [u8; N] {
    let mut block = [0; N];
    // SAFETY: promised by the caller; no more than there is room for.
    unsafe { block.as_mut_ptr().copy_from_nonoverlapping(from, len.min(N)) };
    block
}

/// Writes a string in quotes and a byte behind it.
///
/// # Safety
/// `len` bytes, and one even if that is zero, can be read, and `MAX_ESCAPED` for each of them and `SLACK` more be written.
#[inline(always)]
pub unsafe fn quoted(pen: Pen, text: *const u8, len: usize, behind: u8) -> Pen {
    // SAFETY: promised by the caller.
    unsafe {
        let pen = pen.byte(b'"');
        let written = if is_plain(pen, text, len) {
            pen.past(len)
        } else {
            escaped(pen, text, len)
        };
        written.block([b'"', behind], 2)
    }
}

/// Writes a part of a string.
///
/// # Safety
/// As for `quoted`.
#[inline(always)]
pub unsafe fn unquoted(pen: Pen, text: *const u8, len: usize) -> Pen {
    // SAFETY: promised by the caller.
    unsafe { escaped(pen, text, len) }
}

/// Whether a short string needs no escape; then it is written.
///
/// # Safety
/// As for `quoted`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn is_plain(pen: Pen, text: *const u8, len: usize) -> bool {
    use std::arch::x86_64::{_mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_storeu_si128};
    let to = pen.place();
    // SAFETY: promised by the caller, and for the part of a block see `copy_part`. Two blocks may overlap, where they say
    // the same.
    unsafe {
        if len < Sse2::BYTES {
            if near_end(text, Sse2::BYTES) {
                return len == 0 || Sse2::copy_part(text, len, to) == 0;
            }
            return Sse2::copy(text, to) & ((1 << len) - 1) == 0;
        }
        let last = len - Sse2::BYTES;
        if last > Sse2::BYTES {
            return false;
        }
        let first_block = _mm_loadu_si128(text.cast());
        let last_block = _mm_loadu_si128(text.add(last).cast());
        _mm_storeu_si128(to.cast(), first_block);
        _mm_storeu_si128(to.add(last).cast(), last_block);
        _mm_movemask_epi8(_mm_or_si128(Sse2::special(first_block), Sse2::special(last_block))) == 0
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
unsafe fn is_plain(_pen: Pen, _text: *const u8, len: usize) -> bool {
    len == 0
}

/// Writes a string that is long or needs escapes.
///
/// # Safety
/// As for `quoted`.
#[inline(always)]
unsafe fn escaped(pen: Pen, text: *const u8, len: usize) -> Pen {
    // SAFETY: promised by the caller; what is kept is one of the functions below.
    unsafe {
        let kept = KEPT.load(Ordering::Relaxed);
        if kept.is_null() {
            return choose()(pen, text, len);
        }
        std::mem::transmute::<*mut (), Write>(kept)(pen, text, len)
    }
}

type Write = unsafe fn(Pen, *const u8, usize) -> Pen;

/// The form that this processor can use; null before the first use.
static KEPT: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

#[cold]
fn choose() -> Write {
    #[cfg(target_arch = "x86_64")]
    let chosen: Write = if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") {
        avx2
    } else {
        blocks::<Sse2>
    };
    #[cfg(not(target_arch = "x86_64"))]
    let chosen: Write = blocks::<Portable>;
    KEPT.store(chosen as *mut (), Ordering::Relaxed);
    chosen
}

/// Writes a string block by block.
///
/// # Safety
/// As for `quoted`.
#[inline(always)]
unsafe fn blocks<B: Block>(mut pen: Pen, mut text: *const u8, mut len: usize) -> Pen {
    // SAFETY: promised by the caller: each byte read has room for its escape, and a block behind the last has SLACK.
    unsafe {
        while len > 0 {
            let all = len.min(B::BYTES);
            let special = if len >= B::BYTES {
                B::copy(text, pen.place())
            } else {
                B::copy_part(text, len, pen.place())
            };
            if special == 0 {
                pen = pen.past(all);
                text = text.add(all);
                len -= all;
                continue;
            }
            let ordinary = special.trailing_zeros() as usize;
            pen = pen.past(ordinary).escaped(*text.add(ordinary));
            text = text.add(ordinary + 1);
            len -= ordinary + 1;
        }
    }
    pen
}

/// Eight bytes in a word.
#[allow(dead_code)] // where there is nothing better, and in the tests
struct Portable;

impl Block for Portable {
    const BYTES: usize = 8;

    #[inline(always)]
    unsafe fn copy(from: *const u8, to: *mut u8) -> u64 {
        // SAFETY: promised by the caller.
        let bytes = unsafe {
            let bytes = from.cast::<[u8; 8]>().read();
            to.cast::<[u8; 8]>().write(bytes);
            bytes
        };
        bytes.iter().enumerate().fold(0, |mask, (index, &byte)| {
            mask | u64::from(byte < 0x20 || byte == b'"' || byte == b'\\') << index
        })
    }
}

#[cfg(target_arch = "x86_64")]
use x86::{Sse2, avx2};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_max_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
        _mm_storeu_si128, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_max_epu8, _mm256_movemask_epi8,
        _mm256_or_si256, _mm256_set1_epi8, _mm256_storeu_si256,
    };

    use super::{Block, Pen, blocks, near_end, padded};

    pub struct Sse2;

    impl Sse2 {
        /// Marks the bytes that need an escape.
        #[inline(always)]
        pub fn special(bytes: __m128i) -> __m128i {
            // SAFETY: SSE2 is part of x86-64.
            unsafe {
                let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
                let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
                let last_control = _mm_set1_epi8(0x1F);
                let control = _mm_cmpeq_epi8(_mm_max_epu8(bytes, last_control), last_control);
                _mm_or_si128(_mm_or_si128(quote, backslash), control)
            }
        }
    }

    impl Block for Sse2 {
        const BYTES: usize = 16;

        #[inline(always)]
        unsafe fn copy(from: *const u8, to: *mut u8) -> u64 {
            // SAFETY: SSE2 is part of x86-64; the bytes are promised by the caller.
            unsafe {
                let bytes = _mm_loadu_si128(from.cast());
                _mm_storeu_si128(to.cast(), bytes);
                u64::from(_mm_movemask_epi8(Self::special(bytes)) as u32)
            }
        }
    }

    /// Two blocks of AVX2, for functions that have it.
    pub struct Avx2;

    impl Avx2 {
        const HALF: usize = 32;

        #[inline(always)]
        unsafe fn copy_half(from: *const u8, to: *mut u8) -> u64 {
            // SAFETY: used where the processor has AVX2; the bytes are promised by the caller.
            unsafe {
                let bytes = _mm256_loadu_si256(from.cast());
                _mm256_storeu_si256(to.cast(), bytes);
                let quote = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'"' as i8));
                let backslash = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'\\' as i8));
                let last_control = _mm256_set1_epi8(0x1F);
                let control = _mm256_cmpeq_epi8(_mm256_max_epu8(bytes, last_control), last_control);
                let special = _mm256_or_si256(_mm256_or_si256(quote, backslash), control);
                u64::from(_mm256_movemask_epi8(special) as u32)
            }
        }

        /// As `copy_part`, of a half.
        #[inline(always)]
        unsafe fn copy_half_part(from: *const u8, len: usize, to: *mut u8) -> u64 {
            // SAFETY: as for `Block::copy_part`.
            let special = unsafe {
                if near_end(from, Self::HALF) {
                    Self::copy_half(padded::<{ Self::HALF }>(from, len).as_ptr(), to)
                } else {
                    Self::copy_half(from, to)
                }
            };
            special & ((1 << len) - 1)
        }
    }

    impl Block for Avx2 {
        const BYTES: usize = 2 * Self::HALF;

        #[inline(always)]
        unsafe fn copy(from: *const u8, to: *mut u8) -> u64 {
            // SAFETY: promised by the caller.
            unsafe {
                let first = Self::copy_half(from, to);
                first | Self::copy_half(from.add(Self::HALF), to.add(Self::HALF)) << Self::HALF
            }
        }

        #[inline(always)]
        unsafe fn copy_part(from: *const u8, len: usize, to: *mut u8) -> u64 {
            // SAFETY: promised by the caller.
            unsafe {
                if len < Self::HALF {
                    return Self::copy_half_part(from, len, to);
                }
                let rest = len - Self::HALF;
                let first = Self::copy_half(from, to);
                if first != 0 || rest == 0 {
                    return first;
                }
                Self::copy_half_part(from.add(Self::HALF), rest, to.add(Self::HALF)) << Self::HALF
            }
        }
    }

    /// # Safety
    /// As for `quoted`, on a processor with AVX2.
    #[target_feature(enable = "avx2,bmi1")]
    pub unsafe fn avx2(pen: Pen, text: *const u8, len: usize) -> Pen {
        // SAFETY: promised by the caller.
        unsafe { blocks::<Avx2>(pen, text, len) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Portable, Write, blocks, quoted};
    use crate::pen::{MAX_ESCAPED, Pen, SLACK};
    use proptest::prelude::*;

    fn written(text: &[u8], write: unsafe fn(Pen, *const u8, usize) -> Pen) -> Vec<u8> {
        let text = if text.is_empty() { &b"\0"[..0] } else { text };
        let mut room = vec![0xAA; text.len() * MAX_ESCAPED + SLACK];
        // SAFETY: the room is as large as is asked for.
        let count = unsafe {
            let pen = Pen::at(room.as_mut_ptr());
            write(pen, text.as_ptr(), text.len()).place() as usize - pen.place() as usize
        };
        room.truncate(count);
        room
    }

    fn expected(text: &[u8]) -> Vec<u8> {
        let mut form = Vec::new();
        for &byte in text {
            match byte {
                b'"' | b'\\' => form.extend([b'\\', byte]),
                b'\n' => form.extend(b"\\n"),
                b'\r' => form.extend(b"\\r"),
                b'\t' => form.extend(b"\\t"),
                0x08 => form.extend(b"\\b"),
                0x0C => form.extend(b"\\f"),
                0..0x20 => form.extend(format!("\\u{byte:04x}").as_bytes()),
                _ => form.push(byte),
            }
        }
        form
    }

    fn check(text: &[u8]) {
        let form = expected(text);
        assert_eq!(written(text, blocks::<Portable>), form);
        #[cfg(target_arch = "x86_64")]
        {
            assert_eq!(written(text, blocks::<super::Sse2>), form);
            if is_x86_feature_detected!("avx2") {
                assert_eq!(written(text, super::avx2), form);
            }
        }
        let all = [b"\"", form.as_slice(), b"\":"].concat();
        // SAFETY: `written` gives the room.
        let quoted: Write = |pen, text, len| unsafe { quoted(pen, text, len, b':') };
        assert_eq!(written(text, quoted), all);
    }

    #[test]
    fn an_escape_at_every_place_of_every_length() {
        for len in 0..200 {
            let mut text = vec![b'x'; len];
            check(&text);
            for place in 0..len {
                for special in [b'"', b'\\', 0, 0x1F, b'\n', 0x7F, 0xFF] {
                    text[place] = special;
                    check(&text);
                }
                text[place] = b'x';
            }
        }
    }

    #[test]
    fn a_text_at_the_end_of_its_page() {
        let memory = vec![b'y'; 3 * 4096];
        let page = memory.as_ptr().align_offset(4096) + 4096;
        for len in 0..70 {
            check(&memory[page - len..page]);
        }
    }

    proptest! {
        #[test]
        fn every_form_writes_the_same(text in prop::collection::vec(any::<u8>(), 0..300)) {
            check(&text);
        }

        #[test]
        fn text_with_few_escapes_too(text in "[a-z\\n\"é]{0,300}") {
            check(text.as_bytes());
        }
    }
}
