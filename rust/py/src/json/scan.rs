//! Finding, many bytes at a time, what must be escaped in a string.

/// Whether a byte ends an ordinary run inside a string: quote, backslash or control character.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
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
