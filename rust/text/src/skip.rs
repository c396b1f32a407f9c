//! Passing over arrays and objects 64 bytes at a time: bit masks of quotes and brackets, and counting.
//!
//! Strings are found as Langdale and Lemire do (Parsing Gigabytes of JSON per Second, VLDB Journal 28, 2019): the quotes
//! that are not escaped, and the running exclusive or of their bits, which is set from an opening quote to the closing one.

/// Bytes of one step.
const BLOCK: usize = 64;

/// Which of 64 bytes are what; the first byte is the lowest bit.
#[derive(Clone, Copy, Default)]
struct Marks {
    quotes: u64,
    backslashes: u64,
    /// `[` and `{`.
    openers: u64,
    /// `]` and `}`.
    closers: u64,
}

/// A way to look at 64 bytes.
trait Look {
    fn marks(block: &[u8; BLOCK]) -> Marks;
    /// Whether none of 64 bytes is a quote.
    fn no_quote(block: &[u8; BLOCK]) -> bool;
    /// For each bit the exclusive or of it and all lower ones.
    fn running_xor(bits: u64) -> u64;
}

/// Goes behind the array or object that opens at `start`; None if it does not end.
///
/// Brackets are counted whatever their kind, and nothing else is checked.
#[inline]
pub fn container_end(text: &[u8], start: usize) -> Option<usize> {
    closer_end(text, start, 0)
}

/// Goes behind the array or object that opened before `start`, which is in no string; None if it does not end.
#[inline]
pub fn rest_end(text: &[u8], start: usize) -> Option<usize> {
    closer_end(text, start, 1)
}

#[inline]
fn closer_end(text: &[u8], start: usize, depth: u32) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    if x86::has_avx2() {
        // SAFETY: the processor has what the function needs.
        return unsafe { x86::closer_end_avx2(text, start, depth) };
    }
    closer_end_by::<Portable>(text, start, depth)
}

#[inline(always)]
fn closer_end_by<L: Look>(text: &[u8], start: usize, mut depth: u32) -> Option<usize> {
    let mut at = start;
    let mut escaped_next = 0_u64;
    let mut in_string = 0_u64;
    let mut last = [0; BLOCK];
    while at < text.len() {
        let block = text[at..].first_chunk::<BLOCK>().unwrap_or_else(|| {
            last[..text.len() - at].copy_from_slice(&text[at..]);
            &last
        });
        let marks = L::marks(block);
        let mut quotes = marks.quotes;
        if marks.backslashes | escaped_next != 0 {
            quotes &= !escaped(marks.backslashes, &mut escaped_next);
        }
        let inside = L::running_xor(quotes) ^ in_string;
        in_string = ((inside as i64) >> 63) as u64;
        let openers = marks.openers & !inside;
        let closers = marks.closers & !inside;
        if depth <= closers.count_ones() {
            if let Some(end) = last_closer(openers, closers, depth) {
                return Some(at + end);
            }
        }
        depth = depth + openers.count_ones() - closers.count_ones();
        at += BLOCK;
        if in_string != 0 {
            let behind = string_blocks_end::<L>(text, at);
            if behind > at {
                at = behind;
                escaped_next = u64::from(backslashes_before(text, at) % 2 == 1);
            }
        }
    }
    None
}

/// Goes over whole blocks inside a string.
#[inline(always)]
fn string_blocks_end<L: Look>(text: &[u8], mut at: usize) -> usize {
    while let Some(block) = text.get(at..).and_then(<[u8]>::first_chunk) {
        if !L::no_quote(block) {
            break;
        }
        at += BLOCK;
    }
    at
}

/// Length of the run of backslashes that ends before a place.
#[inline(always)]
fn backslashes_before(text: &[u8], at: usize) -> usize {
    text[..at].iter().rev().take_while(|&&byte| byte == b'\\').count()
}

/// Which bytes a backslash escapes: every second one of a run of backslashes, and the byte behind a run of odd length.
///
/// `next` is 1 if the first byte is escaped from the block before, and is set for the block behind.
#[inline(always)]
fn escaped(backslashes: u64, next: &mut u64) -> u64 {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    // One that is itself escaped escapes nothing.
    let backslashes = backslashes & !*next;
    let behind = backslashes << 1 | *next;
    // Adding the first of a run to the run carries to the byte behind it, so the places of the odd runs can be told
    // from those of the even ones by where they started.
    let odd_starts = backslashes & !EVEN & !behind;
    let (carried, over) = odd_starts.overflowing_add(backslashes);
    *next = u64::from(over);
    (EVEN ^ (carried << 1)) & behind
}

/// The place behind the closer that ends the outermost container, if it is in this block.
#[inline(always)]
fn last_closer(openers: u64, closers: u64, depth: u32) -> Option<usize> {
    let mut rest = closers;
    let mut closed = 0;
    while rest != 0 {
        let bit = rest.trailing_zeros();
        closed += 1;
        if depth + (openers & ((1 << bit) - 1)).count_ones() == closed {
            return Some(bit as usize + 1);
        }
        rest &= rest - 1;
    }
    None
}

/// Without wide registers.
struct Portable;

impl Look for Portable {
    #[cfg(not(target_arch = "x86_64"))]
    #[inline(always)]
    fn marks(block: &[u8; BLOCK]) -> Marks {
        bytewise(block)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn marks(block: &[u8; BLOCK]) -> Marks {
        x86::marks_sse2(block)
    }

    #[inline(always)]
    fn no_quote(block: &[u8; BLOCK]) -> bool {
        block.iter().fold(0, |found, &byte| found | u8::from(byte == b'"')) == 0
    }

    #[inline(always)]
    fn running_xor(mut bits: u64) -> u64 {
        for distance in [1, 2, 4, 8, 16, 32] {
            bits ^= bits << distance;
        }
        bits
    }
}

/// What each byte says by itself.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn bytewise(block: &[u8; BLOCK]) -> Marks {
    let mut marks = Marks::default();
    for (index, &byte) in block.iter().enumerate() {
        marks.quotes |= u64::from(byte == b'"') << index;
        marks.backslashes |= u64::from(byte == b'\\') << index;
        marks.openers |= u64::from(matches!(byte, b'{' | b'[')) << index;
        marks.closers |= u64::from(matches!(byte, b'}' | b']')) << index;
    }
    marks
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::is_x86_feature_detected;
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_clmulepi64_si128, _mm_cmpeq_epi8, _mm_cvtsi128_si64, _mm_loadu_si128, _mm_movemask_epi8,
        _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8,
        _mm256_or_si256, _mm256_set1_epi8,
    };

    use super::{BLOCK, Look, Marks, closer_end_by};

    #[inline(always)]
    pub fn has_avx2() -> bool {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("pclmulqdq")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("bmi1")
    }

    #[target_feature(enable = "avx2,pclmulqdq,popcnt,bmi1")]
    pub fn closer_end_avx2(text: &[u8], start: usize, depth: u32) -> Option<usize> {
        closer_end_by::<Avx2>(text, start, depth)
    }

    // Bit 5 is the only difference between the two kinds of brackets, and no other byte becomes one of them by it.
    const FOLD: i8 = 0x20;

    /// SSE2 is part of x86-64.
    #[inline(always)]
    pub fn marks_sse2(block: &[u8; BLOCK]) -> Marks {
        let mut marks = Marks::default();
        for (index, sixteen) in block.chunks_exact(16).enumerate() {
            // SAFETY: SSE2 is there, and the chunk has the 16 bytes that are loaded.
            unsafe {
                let bytes = _mm_loadu_si128(sixteen.as_ptr().cast());
                let folded = _mm_or_si128(bytes, _mm_set1_epi8(FOLD));
                let mask = |bytes: __m128i, wanted: u8| {
                    u64::from(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(wanted as i8))) as u32)
                        << (16 * index)
                };
                marks.quotes |= mask(bytes, b'"');
                marks.backslashes |= mask(bytes, b'\\');
                marks.openers |= mask(folded, b'{');
                marks.closers |= mask(folded, b'}');
            }
        }
        marks
    }

    /// Used only in functions that are compiled for AVX2 and the carry-less product.
    pub struct Avx2;

    impl Look for Avx2 {
        #[inline(always)]
        fn marks(block: &[u8; BLOCK]) -> Marks {
            // SAFETY: the caller's processor has AVX2, and the block has the bytes that are loaded.
            unsafe {
                let low = _mm256_loadu_si256(block.as_ptr().cast());
                let high = _mm256_loadu_si256(block.as_ptr().add(32).cast());
                let fold = _mm256_set1_epi8(FOLD);
                let (folded_low, folded_high) = (_mm256_or_si256(low, fold), _mm256_or_si256(high, fold));
                let mask = |low: __m256i, high: __m256i, wanted: u8| {
                    let wanted = _mm256_set1_epi8(wanted as i8);
                    let low = _mm256_movemask_epi8(_mm256_cmpeq_epi8(low, wanted)) as u32;
                    let high = _mm256_movemask_epi8(_mm256_cmpeq_epi8(high, wanted)) as u32;
                    u64::from(low) | u64::from(high) << 32
                };
                Marks {
                    quotes: mask(low, high, b'"'),
                    backslashes: mask(low, high, b'\\'),
                    openers: mask(folded_low, folded_high, b'{'),
                    closers: mask(folded_low, folded_high, b'}'),
                }
            }
        }

        #[inline(always)]
        fn no_quote(block: &[u8; BLOCK]) -> bool {
            // SAFETY: the caller's processor has AVX2, and the block has the bytes that are loaded.
            unsafe {
                let quote = _mm256_set1_epi8(b'"' as i8);
                let low = _mm256_cmpeq_epi8(_mm256_loadu_si256(block.as_ptr().cast()), quote);
                let high = _mm256_cmpeq_epi8(_mm256_loadu_si256(block.as_ptr().add(32).cast()), quote);
                _mm256_movemask_epi8(_mm256_or_si256(low, high)) == 0
            }
        }

        #[inline(always)]
        fn running_xor(bits: u64) -> u64 {
            // SAFETY: the caller's processor has the carry-less product.
            unsafe {
                let product = _mm_clmulepi64_si128(_mm_set_epi64x(0, bits as i64), _mm_set1_epi8(-1), 0);
                _mm_cvtsi128_si64(product) as u64
            }
        }
    }
}

/// Where the string with content from `start` ends: the index of its closing quote.
#[inline(always)]
pub fn string_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        let quote = next_quote(text, at)?;
        if backslashes_before(&text[start..], quote - start) % 2 == 0 {
            return Some(quote);
        }
        at = quote + 1;
    }
}

/// The next quote: most strings are short, so a few bytes are looked at before a search is called.
#[inline(always)]
fn next_quote(text: &[u8], start: usize) -> Option<usize> {
    const NEAR: usize = 16;
    if let Some(near) = text.get(start..start + NEAR) {
        if let Some(index) = near.iter().position(|&byte| byte == b'"') {
            return Some(start + index);
        }
    }
    memchr::memchr(b'"', text.get(start..)?).map(|index| start + index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One byte after the other.
    fn expected(text: &[u8], start: usize) -> Option<usize> {
        let (mut depth, mut in_string, mut escaped) = (0_i64, false, false);
        for (index, &byte) in text.iter().enumerate().skip(start) {
            let skipped = std::mem::take(&mut escaped);
            if byte == b'\\' && !skipped {
                escaped = true;
            }
            match byte {
                b'"' if !skipped => in_string = !in_string,
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(index + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn agree(text: &[u8], start: usize) {
        let expected = expected(text, start);
        assert_eq!(container_end(text, start), expected, "the widest");
        assert_eq!(rest_end(text, start + 1), expected, "the widest, from inside");
        assert_eq!(closer_end_by::<Portable>(text, start, 0), expected, "portable");
        assert_eq!(
            closer_end_by::<Portable>(text, start + 1, 1),
            expected,
            "portable, from inside"
        );
        #[cfg(target_arch = "x86_64")]
        if x86::has_avx2() {
            // SAFETY: just checked.
            assert_eq!(unsafe { x86::closer_end_avx2(text, start, 0) }, expected, "AVX2");
        }
    }

    #[test]
    fn every_length_and_place() {
        for before in 0..70 {
            for inside in 0..140 {
                let mut text = vec![b' '; before];
                text.push(b'{');
                text.extend((0..inside).map(|index| b"a\"\\\\\",1[]"[index % 9]));
                agree(&text, before);
                text.extend(b"\"}]} x");
                agree(&text, before);
            }
        }
    }

    #[test]
    fn runs_of_backslashes_across_blocks() {
        for before in 0..70 {
            for run in (0..70).chain(120..140) {
                let mut text = b"[\"".to_vec();
                text.resize(2 + before, b'x');
                text.resize(2 + before + run, b'\\');
                text.extend(b"\" ] \" ] ");
                agree(&text, 0);
            }
        }
    }

    #[test]
    fn marks_are_what_the_bytes_say() {
        for first in 0..=255_u8 {
            let mut block = [0; BLOCK];
            for (index, byte) in block.iter_mut().enumerate() {
                *byte = first.wrapping_add(index as u8);
            }
            let (ours, bytewise) = (Portable::marks(&block), bytewise(&block));
            assert_eq!(ours.quotes, bytewise.quotes);
            assert_eq!(ours.backslashes, bytewise.backslashes);
            assert_eq!(ours.openers, bytewise.openers);
            assert_eq!(ours.closers, bytewise.closers);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn any_bytes(text in "[\\[\\]{}\"\\\\ax,\\x1b\\x02]{0,300}", start in 0_usize..40) {
            let mut text = text.into_bytes();
            text.insert(start.min(text.len()), b'[');
            agree(&text, start.min(text.len() - 1));
        }
    }
}
