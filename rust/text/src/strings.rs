//! Strings of a text: where a run of ordinary bytes ends, and what escapes stand for.

use crate::Flaw;

/// Where a run of ordinary string bytes ends, and whether it holds bytes beyond ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub end: usize,
    pub beyond_ascii: bool,
}

/// Bytes that one short step looks at.
pub const LANES: usize = 16;
/// Text shorter than this is not worth a call of what takes longer steps.
#[cfg(target_arch = "x86_64")]
const WORTH_BYTES: usize = 64;
/// A string that goes on behind this many short steps is taken for a long one.
const SHORT_STEPS: usize = 2;

/// Whether a byte ends a run inside a string: quote, backslash or control character.
#[inline(always)]
fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// A way to look at a few bytes.
trait Look {
    const BYTES: usize;
    /// Bit masks of the special bytes and of those beyond ASCII.
    ///
    /// # Safety
    /// `BYTES` bytes can be read.
    unsafe fn masks(bytes: *const u8) -> (u32, u32);
    /// As `masks`, and copies the bytes.
    ///
    /// # Safety
    /// `BYTES` bytes can be read, and as many written elsewhere.
    unsafe fn copy(bytes: *const u8, to: *mut u8) -> (u32, u32);
}

/// The run of ordinary string bytes from `start`; the text ends in a NUL, which ends every run.
#[inline(always)]
pub fn run(text: &[u8], start: usize) -> Run {
    let mut at = start;
    let mut beyond = 0;
    for _ in 0..SHORT_STEPS {
        let Some(chunk) = text.get(at..at + LANES) else { break };
        // SAFETY: the chunk has as many bytes as are read.
        let (special, high) = unsafe { Short::masks(chunk.as_ptr()) };
        if special != 0 {
            return ended(at, special, high, beyond);
        }
        beyond |= high;
        at += LANES;
    }
    long_run(text, at, beyond)
}

/// The place of the first quote.
#[inline(always)]
pub fn first_quote(block: &[u8; LANES]) -> Option<usize> {
    let quotes = Short::quotes(block);
    (quotes != 0).then(|| quotes.trailing_zeros() as usize)
}

#[inline(always)]
fn ended(at: usize, special: u32, high: u32, beyond: u32) -> Run {
    let count = special.trailing_zeros();
    Run {
        end: at + count as usize,
        beyond_ascii: beyond | high & ((1 << count) - 1) != 0,
    }
}

#[inline(never)]
fn long_run(text: &[u8], start: usize, beyond: u32) -> Run {
    #[cfg(target_arch = "x86_64")]
    if text.len() - start >= WORTH_BYTES && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { x86::run_avx2(text, start, beyond) };
    }
    run_by::<Short>(text, start, beyond)
}

#[inline(always)]
fn run_by<L: Look>(text: &[u8], start: usize, mut beyond: u32) -> Run {
    let mut at = start;
    while let Some(chunk) = text.get(at..at + L::BYTES) {
        // SAFETY: the chunk has as many bytes as are read.
        let (special, high) = unsafe { L::masks(chunk.as_ptr()) };
        if special != 0 {
            return ended(at, special, high, beyond);
        }
        beyond |= high;
        at += L::BYTES;
    }
    if L::BYTES > LANES {
        return run_by::<Short>(text, at, beyond);
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

/// What a letter behind a backslash stands for; 0 if it is none of the short escapes.
static SHORT_ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    table[b'n' as usize] = b'\n';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table[b'/' as usize] = b'/';
    table[b't' as usize] = b'\t';
    table[b'r' as usize] = b'\r';
    table[b'b' as usize] = 0x08;
    table[b'f' as usize] = 0x0C;
    table
};

/// Values of hexadecimal digits; 255 for other bytes.
static HEX: [u8; 256] = {
    let mut table = [255; 256];
    let mut digit = 0;
    while digit < 16 {
        let letter = b"0123456789abcdef"[digit as usize];
        table[letter as usize] = digit;
        table[letter.to_ascii_uppercase() as usize] = digit;
        digit += 1;
    }
    table
};

/// Unescapes the string with content from `start`, of which the bytes up to `stop` are ordinary, into `out`.
///
/// Gives the place of the closing quote and whether what was read from `stop` on holds anything beyond ASCII. The text
/// ends in a NUL.
pub fn unescape(text: &[u8], start: usize, stop: usize, out: &mut Vec<u8>) -> Result<Run, Flaw> {
    out.clear();
    out.extend_from_slice(&text[start..stop]);
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { x86::unescape_avx2(text, start, stop, out) };
    }
    unescape_by::<Short>(text, start, stop, out)
}

#[inline(always)]
fn unescape_by<L: Look>(text: &[u8], start: usize, stop: usize, out: &mut Vec<u8>) -> Result<Run, Flaw> {
    let mut at = stop;
    let mut beyond_ascii = false;
    loop {
        match text[at] {
            b'"' => return Ok(Run { end: at, beyond_ascii }),
            b'\\' => {
                let short = SHORT_ESCAPES[text[at + 1] as usize];
                if short == 0 {
                    let (length, wide) = unicode_escape(text, at, out)?;
                    beyond_ascii |= wide;
                    at += length;
                } else {
                    out.push(short);
                    at += 2;
                }
                if text[at] == b'\\' {
                    continue;
                }
            }
            0 if at + 1 == text.len() => return Err(Flaw::Of("a string that does not end", start - 1)),
            _ => return Err(Flaw::At("a control character in a string", at)),
        }
        let run = copy_run::<L>(text, at, out);
        beyond_ascii |= run.beyond_ascii;
        at = run.end;
    }
}

/// Appends the run of ordinary bytes from `start`.
#[inline(always)]
fn copy_run<L: Look>(text: &[u8], start: usize, out: &mut Vec<u8>) -> Run {
    let mut at = start;
    let mut beyond = 0;
    while let Some(chunk) = text.get(at..at + L::BYTES) {
        out.reserve(L::BYTES);
        let count = out.len();
        // SAFETY: there is room for as many bytes as are copied, and those that are counted have been written.
        unsafe {
            let (special, high) = L::copy(chunk.as_ptr(), out.as_mut_ptr().add(count));
            if special != 0 {
                let run = ended(at, special, high, beyond);
                out.set_len(count + (run.end - at));
                return run;
            }
            beyond |= high;
            out.set_len(count + L::BYTES);
        }
        at += L::BYTES;
    }
    let mut beyond_ascii = beyond != 0;
    while let Some(&byte) = text.get(at).filter(|&&byte| !is_special(byte)) {
        beyond_ascii |= byte >= 0x80;
        out.push(byte);
        at += 1;
    }
    Run { end: at, beyond_ascii }
}

/// Appends what the escape at `at` stands for; gives its length, and whether it is beyond ASCII.
#[inline(never)]
fn unicode_escape(text: &[u8], at: usize, out: &mut Vec<u8>) -> Result<(usize, bool), Flaw> {
    if text[at + 1] != b'u' {
        return Err(Flaw::At("an unknown escape in a string", at + 1));
    }
    let first = hex4(text, at + 2)?;
    let (code, length) = match first {
        0xD800..0xDC00 => {
            let follows = text.get(at + 6..at + 8) == Some(b"\\u");
            let second = if follows { hex4(text, at + 8)? } else { 0 };
            if !(0xDC00..0xE000).contains(&second) {
                return Err(Flaw::Of("escape of a lone surrogate", at));
            }
            (0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00), 12)
        }
        0xDC00..0xE000 => return Err(Flaw::Of("escape of a lone surrogate", at)),
        _ => (first, 6),
    };
    // Every code that gets here is a character.
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    let mut encoded = [0; 4];
    out.extend_from_slice(character.encode_utf8(&mut encoded).as_bytes());
    Ok((length, code >= 0x80))
}

#[inline(always)]
fn hex4(text: &[u8], at: usize) -> Result<u32, Flaw> {
    if let Some(four) = text.get(at..at + 4) {
        let digits = [
            HEX[four[0] as usize],
            HEX[four[1] as usize],
            HEX[four[2] as usize],
            HEX[four[3] as usize],
        ];
        if digits.iter().all(|&digit| digit < 16) {
            return Ok(digits.iter().fold(0, |code, &digit| code << 4 | u32::from(digit)));
        }
    }
    let good = text[at..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    Err(Flaw::At("\\u needs four hexadecimal digits", at + good))
}

/// Sixteen bytes, which every processor of these families can look at.
struct Short;

#[cfg(not(target_arch = "x86_64"))]
impl Short {
    /// Bit mask of the quotes.
    #[inline(always)]
    fn quotes(block: &[u8; LANES]) -> u32 {
        let marked = block
            .iter()
            .enumerate()
            .map(|(index, &byte)| u32::from(byte == b'"') << index);
        marked.fold(0, |all, one| all | one)
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl Look for Short {
    const BYTES: usize = LANES;

    #[inline(always)]
    unsafe fn masks(bytes: *const u8) -> (u32, u32) {
        // SAFETY: promised by the caller.
        bytewise(unsafe { &*bytes.cast::<[u8; LANES]>() })
    }

    #[inline(always)]
    unsafe fn copy(bytes: *const u8, to: *mut u8) -> (u32, u32) {
        // SAFETY: promised by the caller.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes, to, LANES);
            Self::masks(bytes)
        }
    }
}

/// What each byte says by itself.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn bytewise(bytes: &[u8]) -> (u32, u32) {
    let mut special = 0;
    let mut high = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        special |= u32::from(is_special(byte)) << index;
        high |= u32::from(byte >= 0x80) << index;
    }
    (special, high)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_max_epu8, _mm_movemask_epi8, _mm_or_si128,
        _mm_set1_epi8, _mm_storeu_si128, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_max_epu8, _mm256_movemask_epi8,
        _mm256_or_si256, _mm256_set1_epi8, _mm256_storeu_si256,
    };

    use super::{Flaw, LANES, Look, Run, Short, run_by, unescape_by};

    #[target_feature(enable = "avx2,bmi1")]
    pub fn run_avx2(text: &[u8], start: usize, beyond: u32) -> Run {
        run_by::<Avx2>(text, start, beyond)
    }

    #[target_feature(enable = "avx2,bmi1")]
    pub fn unescape_avx2(text: &[u8], start: usize, stop: usize, out: &mut Vec<u8>) -> Result<Run, Flaw> {
        unescape_by::<Avx2>(text, start, stop, out)
    }

    const LAST_CONTROL: i8 = 0x1F;

    impl Short {
        /// Bit mask of the quotes.
        #[inline(always)]
        pub fn quotes(block: &[u8; LANES]) -> u32 {
            // SAFETY: SSE2 is part of x86-64, and the block has the bytes that are loaded.
            unsafe {
                let bytes = _mm_loadu_si128(block.as_ptr().cast());
                _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8))) as u32
            }
        }
    }

    impl Look for Short {
        const BYTES: usize = LANES;

        #[inline(always)]
        unsafe fn masks(bytes: *const u8) -> (u32, u32) {
            // SAFETY: SSE2 is part of x86-64; the caller promises the bytes.
            unsafe { masks_sse2(_mm_loadu_si128(bytes.cast())) }
        }

        #[inline(always)]
        unsafe fn copy(bytes: *const u8, to: *mut u8) -> (u32, u32) {
            // SAFETY: SSE2 is part of x86-64; the caller promises the bytes and the room.
            unsafe {
                let bytes = _mm_loadu_si128(bytes.cast());
                _mm_storeu_si128(to.cast(), bytes);
                masks_sse2(bytes)
            }
        }
    }

    #[inline(always)]
    fn masks_sse2(bytes: __m128i) -> (u32, u32) {
        // SAFETY: SSE2 is part of x86-64.
        unsafe {
            let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
            let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
            let last_control = _mm_set1_epi8(LAST_CONTROL);
            let control = _mm_cmpeq_epi8(_mm_max_epu8(bytes, last_control), last_control);
            let special = _mm_or_si128(_mm_or_si128(quote, backslash), control);
            (_mm_movemask_epi8(special) as u32, _mm_movemask_epi8(bytes) as u32)
        }
    }

    /// Used only in functions that are compiled for AVX2.
    pub struct Avx2;

    impl Look for Avx2 {
        const BYTES: usize = 32;

        #[inline(always)]
        unsafe fn masks(bytes: *const u8) -> (u32, u32) {
            // SAFETY: the caller promises the bytes, and its processor has AVX2.
            unsafe { masks_avx2(_mm256_loadu_si256(bytes.cast())) }
        }

        #[inline(always)]
        unsafe fn copy(bytes: *const u8, to: *mut u8) -> (u32, u32) {
            // SAFETY: the caller promises the bytes and the room, and its processor has AVX2.
            unsafe {
                let bytes = _mm256_loadu_si256(bytes.cast());
                _mm256_storeu_si256(to.cast(), bytes);
                masks_avx2(bytes)
            }
        }
    }

    /// # Safety
    /// The processor has AVX2.
    #[inline(always)]
    unsafe fn masks_avx2(bytes: __m256i) -> (u32, u32) {
        // SAFETY: promised by the caller.
        unsafe {
            let quote = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'"' as i8));
            let backslash = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'\\' as i8));
            let last_control = _mm256_set1_epi8(LAST_CONTROL);
            let control = _mm256_cmpeq_epi8(_mm256_max_epu8(bytes, last_control), last_control);
            let special = _mm256_or_si256(_mm256_or_si256(quote, backslash), control);
            (_mm256_movemask_epi8(special) as u32, _mm256_movemask_epi8(bytes) as u32)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(text: &[u8], start: usize) -> Run {
        let length = text[start..].iter().take_while(|&&byte| !is_special(byte)).count();
        Run {
            end: start + length,
            beyond_ascii: !text[start..start + length].is_ascii(),
        }
    }

    #[test]
    fn masks_are_what_the_bytes_say() {
        for first in 0..=255_u8 {
            let bytes: Vec<u8> = (0..LANES as u8).map(|index| first.wrapping_add(index)).collect();
            // SAFETY: there are as many bytes as are read.
            assert_eq!(unsafe { Short::masks(bytes.as_ptr()) }, bytewise(&bytes));
        }
    }

    #[test]
    fn the_first_of_several_quotes() {
        for first in 0..=LANES {
            for second in first..=LANES {
                let mut block = [b'\\'; LANES];
                for place in [first, second] {
                    if let Some(byte) = block.get_mut(place) {
                        *byte = b'"';
                    }
                }
                assert_eq!(first_quote(&block), (first < LANES).then_some(first));
            }
        }
    }

    #[test]
    fn runs_of_every_length_and_place() {
        for before in 0..40 {
            for length in 0..100 {
                for (filler, special, rest) in [(b'x', b'"', 0), (b'\x7f', b'\\', 90), (0xE9, 0x1F, 5), (b' ', 0, 33)] {
                    let mut text = vec![b'"'; before];
                    text.resize(before + length, filler);
                    text.push(special);
                    text.resize(text.len() + rest, 0xFF);
                    text.push(0);
                    let expected = expected(&text, before);
                    assert_eq!(run(&text, before), expected);
                    assert_eq!(run_by::<Short>(&text, before, 0), expected);
                    #[cfg(target_arch = "x86_64")]
                    if std::arch::is_x86_feature_detected!("avx2") {
                        // SAFETY: just checked.
                        assert_eq!(unsafe { x86::run_avx2(&text, before, 0) }, expected);
                    }
                }
            }
        }
    }

    #[test]
    fn bytes_beyond_ascii_behind_the_run_do_not_count() {
        for length in 0..80 {
            let mut text = vec![b'x'; length];
            text.extend("\"é".as_bytes());
            text.resize(length + 70, b'x');
            text.push(0);
            assert_eq!(run(&text, 0), expected(&text, 0));
        }
    }

    /// What `unescape` gives for the content, on every path, with more text behind it or none.
    fn unescaped(content: &[u8]) -> Result<(Vec<u8>, bool), Flaw> {
        let mut results = Vec::new();
        for behind in [0, 100] {
            let mut text = content.to_vec();
            text.resize(text.len() + behind, b' ');
            text.push(0);
            let stop = expected(&text, 0).end;
            let mut out = Vec::new();
            let read = unescape(&text, 0, stop, &mut out);
            results.push(read.map(|run| (out.clone(), run.beyond_ascii)));
            out.truncate(stop);
            let read = unescape_by::<Short>(&text, 0, stop, &mut out);
            results.push(read.map(|run| (out.clone(), run.beyond_ascii)));
        }
        assert!(results.iter().all(|result| result == &results[0]), "{results:?}");
        results.remove(0)
    }

    #[test]
    fn escapes_at_every_place() {
        let escapes = [
            ("\\n", "\n"),
            ("\\\"", "\""),
            ("\\\\", "\\"),
            ("\\/\\b\\f\\r\\t", "/\u{8}\u{c}\r\t"),
            ("\\u0041", "A"),
            ("\\u00e9", "é"),
            ("\\u8A9E", "語"),
            ("\\ud83d\\ude00", "😀"),
            ("\\n\\u000a\\n", "\n\n\n"),
        ];
        for before in 0..40 {
            for between in 0..40 {
                for (written, meant) in escapes {
                    let (before, between) = ("x".repeat(before), "y".repeat(between));
                    let content = format!("{before}{written}{between}{written}z\"");
                    let expected = format!("{before}{meant}{between}{meant}z");
                    let wide = !meant.is_ascii();
                    assert_eq!(unescaped(content.as_bytes()), Ok((expected.into_bytes(), wide)));
                }
            }
        }
    }

    #[test]
    fn flaws_have_their_place() {
        for (content, flaw) in [
            ("ab\\x\"", Flaw::At("an unknown escape in a string", 3)),
            ("ab\\u12G4\"", Flaw::At("\\u needs four hexadecimal digits", 6)),
            ("ab\\n\n\"", Flaw::At("a control character in a string", 4)),
            ("ab\\ud800\"", Flaw::Of("escape of a lone surrogate", 2)),
            ("ab\\udc00\"", Flaw::Of("escape of a lone surrogate", 2)),
            ("ab\\ud800\\u0041\"", Flaw::Of("escape of a lone surrogate", 2)),
        ] {
            assert_eq!(unescaped(content.as_bytes()), Err(flaw));
        }
    }
}
