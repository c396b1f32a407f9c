//! Finding, many bytes at a time, the byte where something happens.

use super::wide;

/// Where a run of ordinary string bytes ends, and whether it holds bytes beyond ASCII.
#[derive(Clone, Copy)]
pub struct Run {
    pub end: usize,
    pub beyond_ascii: bool,
}

/// Whether a byte ends an ordinary run inside a string: quote, backslash or control character.
#[inline(always)]
pub fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// A string that goes on behind this many blocks is taken for a long one.
const LONG_BLOCKS: usize = 3;

/// Length of the run of ordinary string bytes from `start`; `text` ends in a NUL, which ends every run.
#[inline(always)]
pub fn string_run(text: &[u8], start: usize) -> Run {
    let mut at = start;
    let mut beyond = 0_u32;
    let mut blocks = 0;
    while let Some(chunk) = text.get(at..at + LANES) {
        blocks += 1;
        if blocks == LONG_BLOCKS {
            if let Some(run) = wide::string_run(text, at) {
                beyond |= u32::from(run.beyond_ascii);
                at = run.end;
                continue;
            }
        }
        let (special, high) = masks(chunk);
        if special != 0 {
            let count = special.trailing_zeros();
            beyond |= high & ((1_u32 << count) - 1);
            return Run {
                end: at + count as usize,
                beyond_ascii: beyond != 0,
            };
        }
        beyond |= high;
        at += LANES;
    }
    let mut beyond_ascii = beyond != 0;
    while let Some(&byte) = text.get(at) {
        if is_special(byte) {
            break;
        }
        beyond_ascii |= byte >= 0x80;
        at += 1;
    }
    Run { end: at, beyond_ascii }
}

/// Bytes that one step looks at.
pub const LANES: usize = 16;

/// Bit masks of the special bytes and of those beyond ASCII in a chunk of `LANES` bytes.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn masks(chunk: &[u8]) -> (u32, u32) {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_loadu_si128, _mm_max_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };
    debug_assert_eq!(chunk.len(), LANES);
    // SAFETY: SSE2 is part of x86-64, and the chunk has the 16 bytes that are loaded.
    unsafe {
        let bytes = _mm_loadu_si128(chunk.as_ptr().cast());
        let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
        let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
        let last_control = _mm_set1_epi8(0x1F);
        let control = _mm_cmpeq_epi8(_mm_max_epu8(bytes, last_control), last_control);
        let special = _mm_or_si128(_mm_or_si128(quote, backslash), control);
        (_mm_movemask_epi8(special) as u32, _mm_movemask_epi8(bytes) as u32)
    }
}

/// Bit masks of the special bytes and of those beyond ASCII in a chunk of `LANES` bytes.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub fn masks(chunk: &[u8]) -> (u32, u32) {
    let mut special = 0;
    let mut high = 0;
    for (index, &byte) in chunk.iter().enumerate() {
        special |= u32::from(is_special(byte)) << index;
        high |= u32::from(byte >= 0x80) << index;
    }
    (special, high)
}

/// Bit mask of quotes and brackets in a chunk of `LANES` bytes.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn structure_mask(chunk: &[u8]) -> u32 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8};
    debug_assert_eq!(chunk.len(), LANES);
    // SAFETY: SSE2 is part of x86-64, and the chunk has the 16 bytes that are loaded.
    unsafe {
        let bytes = _mm_loadu_si128(chunk.as_ptr().cast());
        // With bit 5 set, '[' is '{' and ']' is '}'; nothing else becomes one of them.
        let folded = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
        let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
        let open = _mm_cmpeq_epi8(folded, _mm_set1_epi8(b'{' as i8));
        let close = _mm_cmpeq_epi8(folded, _mm_set1_epi8(b'}' as i8));
        _mm_movemask_epi8(_mm_or_si128(quote, _mm_or_si128(open, close))) as u32
    }
}

/// Bit mask of quotes and brackets in a chunk of `LANES` bytes.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub fn structure_mask(chunk: &[u8]) -> u32 {
    let mut mask = 0;
    for (index, &byte) in chunk.iter().enumerate() {
        mask |= u32::from(is_structure(byte)) << index;
    }
    mask
}

/// Bit mask of the quotes in a chunk of `LANES` bytes.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn quote_mask(chunk: &[u8]) -> u32 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};
    debug_assert_eq!(chunk.len(), LANES);
    // SAFETY: SSE2 is part of x86-64, and the chunk has the 16 bytes that are loaded.
    unsafe {
        let bytes = _mm_loadu_si128(chunk.as_ptr().cast());
        _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8))) as u32
    }
}

/// Bit mask of the quotes in a chunk of `LANES` bytes.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub fn quote_mask(chunk: &[u8]) -> u32 {
    let quotes = chunk.iter().enumerate().filter(|&(_, &byte)| byte == b'"');
    quotes.fold(0, |mask, (index, _)| mask | 1 << index)
}

/// Whether a byte is a quote or a bracket.
#[inline(always)]
pub fn is_structure(byte: u8) -> bool {
    byte == b'"' || matches!(byte | 0x20, b'{' | b'}')
}

/// Whether one of eight bytes is special.
#[inline(always)]
pub fn has_special(eight: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let quote = (eight ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslash = (eight ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    let control = eight.wrapping_sub(ONES * 0x20);
    // A borrow can only come from a byte that is special itself.
    (quote | backslash | control) & !eight & (ONES << 7) != 0
}

/// Whether one of sixteen bytes is special.
#[inline(always)]
pub fn pair_has_special(first: u64, last: u64) -> bool {
    let mut bytes = [0; LANES];
    bytes[..8].copy_from_slice(&first.to_ne_bytes());
    bytes[8..].copy_from_slice(&last.to_ne_bytes());
    masks(&bytes).0 != 0
}
