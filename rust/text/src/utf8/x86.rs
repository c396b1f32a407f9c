//! UTF-8 with AVX2: a step takes the run of characters of one length that stands at the beginning of 32 bytes.

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm_max_epu8, _mm_packus_epi16, _mm_srli_si128, _mm_storeu_si128,
    _mm256_add_epi64, _mm256_and_si256, _mm256_castsi256_ps, _mm256_castsi256_si128, _mm256_cmpeq_epi8,
    _mm256_cmpeq_epi32, _mm256_cmpgt_epi8, _mm256_cmpgt_epi16, _mm256_cmpgt_epi32, _mm256_cvtepu8_epi16,
    _mm256_cvtepu8_epi32, _mm256_cvtepu16_epi32, _mm256_extracti128_si256, _mm256_inserti128_si256, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_max_epu8, _mm256_movemask_epi8, _mm256_movemask_ps,
    _mm256_or_si256, _mm256_packus_epi32, _mm256_permute4x64_epi64, _mm256_sad_epu8, _mm256_set1_epi8,
    _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setr_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_storeu_si256, _mm256_sub_epi8,
};

use super::{Measure, Place, Unit, character};

/// Bytes of one step.
const BLOCK: usize = 32;
/// Characters of one step, at most.
const UNITS: usize = 16;
/// Bytes of the longest character.
const LONGEST: usize = 4;
/// Shorter text is counted without wide registers.
pub const MEASURED_BYTES: usize = BLOCK;

#[inline(always)]
pub fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("popcnt")
}

#[target_feature(enable = "avx2,bmi1,popcnt")]
pub fn measure_avx2(bytes: &[u8]) -> Measure {
    // The last block reaches back over bytes that were counted before; they are not counted again.
    let rest = bytes.len() % BLOCK;
    let (blocks, _) = bytes.as_chunks_of_block();
    let mut largest = _mm256_setzero_si256();
    let mut counts = _mm256_setzero_si256();
    for group in blocks.chunks(255) {
        let mut characters = _mm256_setzero_si256();
        for block in group {
            // SAFETY: the block has the bytes that are loaded.
            let block = unsafe { _mm256_loadu_si256(block.as_ptr().cast()) };
            largest = _mm256_max_epu8(largest, block);
            characters = _mm256_sub_epi8(characters, not_continuation(block));
        }
        counts = _mm256_add_epi64(counts, _mm256_sad_epu8(characters, _mm256_setzero_si256()));
    }
    let mut words = [0_u64; 4];
    // SAFETY: there is room for the 32 bytes.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), counts) };
    let mut count = words.iter().sum::<u64>() as usize;
    if rest != 0 {
        // SAFETY: the text has at least a block.
        let block = unsafe { _mm256_loadu_si256(bytes.as_ptr().add(bytes.len() - BLOCK).cast()) };
        largest = _mm256_max_epu8(largest, block);
        let starts = _mm256_movemask_epi8(not_continuation(block)) as u32;
        count += (starts >> (BLOCK - rest)).count_ones() as usize;
    }
    let half = _mm_max_epu8(_mm256_castsi256_si128(largest), _mm256_extracti128_si256::<1>(largest));
    let mut sixteen = [0_u8; 16];
    // SAFETY: there is room for the 16 bytes.
    unsafe { _mm_storeu_si128(sixteen.as_mut_ptr().cast(), half) };
    Measure {
        count,
        largest: sixteen.into_iter().max().unwrap_or(0),
    }
}

trait Blocks {
    fn as_chunks_of_block(&self) -> (&[[u8; BLOCK]], &[u8]);
}

impl Blocks for [u8] {
    fn as_chunks_of_block(&self) -> (&[[u8; BLOCK]], &[u8]) {
        let count = self.len() / BLOCK;
        let (whole, rest) = self.split_at(count * BLOCK);
        // SAFETY: `whole` is that many blocks, and a block needs no alignment.
        (
            unsafe { std::slice::from_raw_parts(whole.as_ptr().cast(), count) },
            rest,
        )
    }
}

/// Ones for bytes that are no continuation.
#[target_feature(enable = "avx2")]
#[inline]
fn not_continuation(block: __m256i) -> __m256i {
    // As signed numbers, continuation bytes are -128 to -65.
    _mm256_cmpgt_epi8(block, _mm256_set1_epi8(-65))
}

/// How characters are stored, many at a time.
pub trait Stored: Sized {
    /// # Safety
    /// AVX2, and room for 16 units.
    unsafe fn store_ascii(out: *mut Self, bytes: __m128i);
    /// # Safety
    /// AVX2, and room for 16 units, which can hold the 16 codes.
    unsafe fn store_pairs(out: *mut Self, codes: __m256i);
    /// # Safety
    /// AVX2, and room for 8 units, which can hold the 8 codes.
    unsafe fn store_triples(out: *mut Self, codes: __m256i);
}

impl Stored for u8 {
    #[inline(always)]
    unsafe fn store_ascii(out: *mut Self, bytes: __m128i) {
        // SAFETY: promised by the caller.
        unsafe { _mm_storeu_si128(out.cast(), bytes) }
    }

    #[inline(always)]
    unsafe fn store_pairs(out: *mut Self, codes: __m256i) {
        // SAFETY: promised by the caller.
        unsafe {
            let (low, high) = (_mm256_castsi256_si128(codes), _mm256_extracti128_si256::<1>(codes));
            _mm_storeu_si128(out.cast(), _mm_packus_epi16(low, high));
        }
    }

    #[inline(always)]
    unsafe fn store_triples(_out: *mut Self, _codes: __m256i) {
        debug_assert!(false, "no character of three bytes is Latin-1");
    }
}

impl Stored for u16 {
    #[inline(always)]
    unsafe fn store_ascii(out: *mut Self, bytes: __m128i) {
        // SAFETY: promised by the caller.
        unsafe { _mm256_storeu_si256(out.cast(), _mm256_cvtepu8_epi16(bytes)) }
    }

    #[inline(always)]
    unsafe fn store_pairs(out: *mut Self, codes: __m256i) {
        // SAFETY: promised by the caller.
        unsafe { _mm256_storeu_si256(out.cast(), codes) }
    }

    #[inline(always)]
    unsafe fn store_triples(out: *mut Self, codes: __m256i) {
        // SAFETY: promised by the caller.
        unsafe {
            let packed = _mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi32(codes, codes));
            _mm_storeu_si128(out.cast(), _mm256_castsi256_si128(packed));
        }
    }
}

impl Stored for u32 {
    #[inline(always)]
    unsafe fn store_ascii(out: *mut Self, bytes: __m128i) {
        // SAFETY: promised by the caller.
        unsafe {
            _mm256_storeu_si256(out.cast(), _mm256_cvtepu8_epi32(bytes));
            _mm256_storeu_si256(out.add(8).cast(), _mm256_cvtepu8_epi32(_mm_srli_si128::<8>(bytes)));
        }
    }

    #[inline(always)]
    unsafe fn store_pairs(out: *mut Self, codes: __m256i) {
        // SAFETY: promised by the caller.
        unsafe {
            let (low, high) = (_mm256_castsi256_si128(codes), _mm256_extracti128_si256::<1>(codes));
            _mm256_storeu_si256(out.cast(), _mm256_cvtepu16_epi32(low));
            _mm256_storeu_si256(out.add(8).cast(), _mm256_cvtepu16_epi32(high));
        }
    }

    #[inline(always)]
    unsafe fn store_triples(out: *mut Self, codes: __m256i) {
        // SAFETY: promised by the caller.
        unsafe { _mm256_storeu_si256(out.cast(), codes) }
    }
}

/// Decodes all but what stands in the last bytes of the text.
///
/// # Safety
/// AVX2, and as for `decode`.
#[target_feature(enable = "avx2,bmi1,popcnt")]
pub unsafe fn decode_avx2<T: Unit>(text: &[u8], mut place: Place, out: *mut T, count: usize) -> Result<Place, usize> {
    let Some(last_block) = text.len().checked_sub(BLOCK + LONGEST) else {
        return Ok(place);
    };
    while place.written + BLOCK < count && place.at <= last_block {
        // SAFETY: a block and a character can be read here, and there is room for their units.
        unsafe {
            let block = _mm256_loadu_si256(text.as_ptr().add(place.at).cast());
            let high = _mm256_movemask_epi8(block) as u32;
            if high & 1 == 0 {
                let out = out.add(place.written);
                T::store_ascii(out, _mm256_castsi256_si128(block));
                T::store_ascii(out.add(BLOCK / 2), _mm256_extracti128_si256::<1>(block));
                let ascii = high.trailing_zeros() as usize;
                place.at += ascii;
                place.written += ascii;
                if high == 0 {
                    continue;
                }
                // Most often it stands alone between ASCII, and whether it has two bytes or three nobody can foresee.
                let four = text.as_ptr().add(place.at).cast::<[u8; 4]>().read();
                if let Some((code, length)) = two_or_three(u32::from_le_bytes(four)) {
                    out.add(ascii).write(T::of(code));
                    place.at += length;
                    place.written += 1;
                    continue;
                }
            } else {
                let (bytes, units) = run(text.as_ptr().add(place.at), block, out.add(place.written));
                place.at += bytes;
                place.written += units;
                if units > 0 {
                    continue;
                }
            }
            one_character(text, &mut place, out)?;
        }
    }
    let mut few = [T::default(); UNITS];
    while place.written < count && place.at <= last_block {
        // SAFETY: a block begins here, and there is room for the units of a step.
        let (bytes, units) = unsafe { step(text.as_ptr().add(place.at), few.as_mut_ptr()) };
        if units == 0 {
            // SAFETY: a unit is left.
            unsafe { one_character(text, &mut place, out)? };
            continue;
        }
        let taken = units.min(count - place.written);
        // SAFETY: there is room for `count` units.
        unsafe { std::ptr::copy_nonoverlapping(few.as_ptr(), out.add(place.written), taken) };
        place.at += taken * (bytes / units);
        place.written += taken;
    }
    Ok(place)
}

/// # Safety
/// There is room for a unit, which can hold the character.
#[inline(always)]
unsafe fn one_character<T: Unit>(text: &[u8], place: &mut Place, out: *mut T) -> Result<(), usize> {
    let (code, length) = character(&text[place.at..]).ok_or(place.at)?;
    // SAFETY: promised by the caller.
    unsafe { out.add(place.written).write(T::of(code)) };
    place.at += length;
    place.written += 1;
    Ok(())
}

/// Decodes the characters of one length at the beginning; how many bytes and units, or none where that is not to be
/// done here.
///
/// # Safety
/// AVX2; 32 bytes can be read and 16 units written.
#[inline(always)]
unsafe fn step<T: Unit>(text: *const u8, out: *mut T) -> (usize, usize) {
    // SAFETY: promised by the caller.
    unsafe {
        let block = _mm256_loadu_si256(text.cast());
        let high = _mm256_movemask_epi8(block) as u32;
        if high & 1 == 0 {
            T::store_ascii(out, _mm256_castsi256_si128(block));
            let units = (high | 1 << UNITS).trailing_zeros() as usize;
            return (units, units);
        }
        run(text, block, out)
    }
}

/// As `step`, for text that begins beyond ASCII.
///
/// # Safety
/// As for `step`.
#[inline(always)]
unsafe fn run<T: Unit>(text: *const u8, block: __m256i, out: *mut T) -> (usize, usize) {
    // SAFETY: promised by the caller.
    unsafe {
        let starts = _mm256_movemask_epi8(not_continuation(block)) as u32;
        match *text {
            0xC2..=0xDF => pairs(block, starts, out),
            0xE0..=0xEF if size_of::<T>() > 1 => triples(text, block, starts, out),
            _ => (0, 0),
        }
    }
}

/// The character of two or three bytes at the start of four bytes, without a branch between the two.
#[inline(always)]
fn two_or_three(word: u32) -> Option<(u32, usize)> {
    let three = u32::from(word & 0xF0 == 0xE0);
    let long = (word & 0x0F) << 12 | (word >> 2) & 0xFC0 | (word >> 16) & 0x3F;
    let long_good =
        u32::from(word & 0x00C0_C000 == 0x0080_8000) & u32::from(long >= 0x800) & u32::from(long & 0xF800 != 0xD800);
    let short = (word & 0x1F) << 6 | (word >> 8) & 0x3F;
    let short_good = u32::from(word & 0xC0E0 == 0x80C0) & u32::from(short >= 0x80);
    let mask = three.wrapping_neg();
    let good = (long_good & mask) | (short_good & !mask);
    let code = (long & mask) | (short & !mask);
    (good != 0).then_some((code, 2 + three as usize))
}

/// Characters of two bytes, of which one begins at every even place.
///
/// # Safety
/// As for `step`.
#[inline(always)]
unsafe fn pairs<T: Unit>(block: __m256i, starts: u32, out: *mut T) -> (usize, usize) {
    const STARTS: u32 = 0x5555_5555;
    // SAFETY: promised by the caller.
    unsafe {
        let kind = _mm256_and_si256(block, _mm256_set1_epi8(0xE0_u8 as i8));
        let leads = _mm256_movemask_epi8(_mm256_cmpeq_epi8(kind, _mm256_set1_epi8(0xC0_u8 as i8))) as u32;
        // Six bits of the first byte, of which five are left, and six of the second.
        let payload = _mm256_and_si256(block, _mm256_set1_epi16(0x3F1F));
        let codes = _mm256_maddubs_epi16(payload, _mm256_set1_epi16(0x0140));
        let overlong = _mm256_cmpgt_epi16(_mm256_set1_epi16(0x80), codes);
        let wrong = (starts ^ STARTS) | (leads ^ STARTS) | _mm256_movemask_epi8(overlong) as u32;
        let units = if wrong == 0 {
            UNITS
        } else {
            wrong.trailing_zeros() as usize / 2
        };
        T::store_pairs(out, codes);
        (2 * units, units)
    }
}

/// Characters of three bytes, of which one begins at every third place.
///
/// # Safety
/// As for `step`.
#[inline(always)]
unsafe fn triples<T: Unit>(text: *const u8, block: __m256i, starts: u32, out: *mut T) -> (usize, usize) {
    const STARTS: u32 = 0x0024_9249;
    const BYTES: u32 = 24;
    // SAFETY: promised by the caller.
    unsafe {
        let kind = _mm256_and_si256(block, _mm256_set1_epi8(0xF0_u8 as i8));
        let leads = _mm256_movemask_epi8(_mm256_cmpeq_epi8(kind, _mm256_set1_epi8(0xE0_u8 as i8))) as u32;
        let codes = triple_codes(text, block);
        let small = _mm256_cmpgt_epi32(_mm256_set1_epi32(0x800), codes);
        let surrogate = _mm256_cmpeq_epi32(
            _mm256_and_si256(codes, _mm256_set1_epi32(0xF800)),
            _mm256_set1_epi32(0xD800),
        );
        let refused = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_or_si256(small, surrogate))) as u32;
        T::store_triples(out, codes);
        let misplaced = ((starts ^ STARTS) | (leads ^ STARTS)) & ((1 << BYTES) - 1);
        if misplaced | refused == 0 {
            return (24, 8);
        }
        let placed = (misplaced | 1 << BYTES).trailing_zeros() / 3;
        let units = placed.min((refused | 1 << 8).trailing_zeros()) as usize;
        (3 * units, units)
    }
}

/// The codes of eight times three bytes.
///
/// # Safety
/// AVX2; 32 bytes can be read, and `block` is these.
#[inline(always)]
unsafe fn triple_codes(text: *const u8, block: __m256i) -> __m256i {
    // SAFETY: promised by the caller.
    unsafe {
        let second = _mm_loadu_si128(text.add(12).cast());
        let halves = _mm256_inserti128_si256::<1>(block, second);
        // The last byte of each first, so that the six bits of each stand in order.
        #[rustfmt::skip]
        let order = _mm256_setr_epi8(
            2, 1, 0, -1, 5, 4, 3, -1, 8, 7, 6, -1, 11, 10, 9, -1,
            2, 1, 0, -1, 5, 4, 3, -1, 8, 7, 6, -1, 11, 10, 9, -1,
        );
        let payload = _mm256_and_si256(_mm256_shuffle_epi8(halves, order), _mm256_set1_epi32(0x000F_3F3F));
        // Twelve bits of the last two bytes, four of the first; then both together.
        let parts = _mm256_maddubs_epi16(payload, _mm256_set1_epi32(0x0001_4001));
        _mm256_madd_epi16(parts, _mm256_set1_epi32(0x1000_0001))
    }
}
