//! Runs of decimal digits, eight or sixteen at a time.

/// Powers of ten that fit.
pub static TENS: [u64; 20] = {
    let mut table = [1; 20];
    let mut power = 1;
    while power < 20 {
        table[power] = 10 * table[power - 1];
        power += 1;
    }
    table
};

/// A way to read a run of digits.
pub trait Digits {
    /// Reads digits from `at` on to the end of `magnitude`, modulo 2^64; that and where they end.
    ///
    /// The text ends in a NUL.
    fn read(text: &[u8], at: usize, magnitude: u64) -> (u64, usize);
}

/// Eight in a word, on any processor.
pub struct Words;

impl Digits for Words {
    #[inline(always)]
    fn read(text: &[u8], mut at: usize, mut magnitude: u64) -> (u64, usize) {
        while let Some(eight) = text[at..].first_chunk::<8>() {
            let word = u64::from_le_bytes(*eight) ^ ZEROS;
            let others = no_digits(word);
            if others != 0 {
                // Fewer than eight: they move to the end, and zeros take their place.
                let count = (others.trailing_zeros() / 8) as usize;
                let digits = word << (8 * (7 - count)) << 8;
                return (
                    magnitude.wrapping_mul(TENS[count]).wrapping_add(value_of(digits)),
                    at + count,
                );
            }
            magnitude = magnitude.wrapping_mul(TENS[8]).wrapping_add(value_of(word));
            at += 8;
        }
        while let Some(digit) = text
            .get(at)
            .map(|byte| byte.wrapping_sub(b'0'))
            .filter(|&digit| digit < 10)
        {
            magnitude = magnitude.wrapping_mul(10).wrapping_add(u64::from(digit));
            at += 1;
        }
        (magnitude, at)
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const ZEROS: u64 = ONES * b'0' as u64;

/// The top bit of each byte that is not 0 to 9, which is what digits are without `ZEROS`.
#[inline(always)]
fn no_digits(word: u64) -> u64 {
    // Nothing is carried from one byte to the next.
    (((word & (ONES * 0x7F)) + ONES * 0x76) | word) & (ONES * 0x80)
}

/// The number that eight bytes of 0 to 9 write.
#[inline(always)]
fn value_of(digits: u64) -> u64 {
    // Pairs, then fours, then all eight.
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let low = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
    let high = ((pairs >> 16) & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
    low.wrapping_add(high) >> 32
}

#[cfg(target_arch = "x86_64")]
pub use x86::{Commas, Plain, Sixteen, has_sixteen};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::is_x86_feature_detected;
    use std::arch::x86_64::{
        __m128i, _mm_cvtsi128_si64, _mm_loadu_si128, _mm_madd_epi16, _mm_maddubs_epi16, _mm_packus_epi32,
        _mm_set1_epi8, _mm_set1_epi16, _mm_set1_epi32, _mm_shuffle_epi8, _mm_sub_epi8, _mm256_and_si256,
        _mm256_castsi256_si128, _mm256_cmpeq_epi8, _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_madd_epi16,
        _mm256_maddubs_epi16, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_packus_epi32, _mm256_set1_epi8,
        _mm256_set1_epi16, _mm256_set1_epi32, _mm256_sub_epi8,
    };

    use super::{Digits, TENS, Words};

    /// Whether the processor can do `Sixteen` and what is compiled with it.
    #[inline(always)]
    pub fn has_sixteen() -> bool {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt")
    }

    /// Sixteen in a register. Used only in functions that are compiled for AVX2.
    pub struct Sixteen;

    /// Read at `count`, it moves the first `count` of sixteen bytes to the end, behind zeros.
    static TO_THE_END: [u8; 32] = {
        let mut table = [0x80; 32];
        let mut index = 0;
        while index < 16 {
            table[16 + index] = index as u8;
            index += 1;
        }
        table
    };

    impl Digits for Sixteen {
        #[inline(always)]
        fn read(text: &[u8], at: usize, magnitude: u64) -> (u64, usize) {
            let Some(block) = text[at..].first_chunk::<32>() else {
                return Words::read(text, at, magnitude);
            };
            // SAFETY: the caller's processor has AVX2, and the block has the bytes that are loaded.
            let count = unsafe { digits_in(block) };
            if count < 16 {
                // SAFETY: as above.
                let value = unsafe { up_to_sixteen(block.as_ptr(), count) };
                return (magnitude.wrapping_mul(TENS[count]).wrapping_add(value), at + count);
            }
            if count > 20 {
                return Words::read(text, at, magnitude);
            }
            // The few digits before the last sixteen.
            let few = count - 16;
            let four = [block[0], block[1], block[2], block[3]];
            let magnitude = magnitude.wrapping_mul(TENS[few]).wrapping_add(first_of_four(four, few));
            // SAFETY: as above; the last sixteen digits end in the block.
            let value = unsafe { all_sixteen(_mm_loadu_si128(block.as_ptr().add(few).cast())) };
            (magnitude.wrapping_mul(TENS[16]).wrapping_add(value), at + count)
        }
    }

    /// The commas of a text, one after the other.
    ///
    /// They are found for several numbers at once: a number that had to wait until the end of the one before it is
    /// known could not be read beside it.
    pub struct Commas<'a> {
        text: &'a [u8],
        /// Where the block is that was searched last.
        block: usize,
        /// Those in it that are still to come.
        mask: u64,
    }

    const BLOCK: usize = 64;
    /// Bytes that follow each block, so that a number which begins in it can be read in blocks.
    const MARGIN: usize = 64;

    impl<'a> Commas<'a> {
        /// The commas from a place on.
        #[inline(always)]
        pub fn new(text: &'a [u8], start: usize) -> Self {
            let mut commas = Self {
                text,
                block: start,
                mask: 0,
            };
            commas.search();
            commas
        }

        /// Where the next one is; None if a block without any is before it, or the end of the text is near.
        #[inline(always)]
        pub fn next(&mut self) -> Option<usize> {
            if self.mask == 0 {
                self.block += BLOCK;
                self.search();
                if self.mask == 0 {
                    return None;
                }
            }
            let place = self.block + self.mask.trailing_zeros() as usize;
            self.mask &= self.mask - 1;
            Some(place)
        }

        #[inline(always)]
        fn search(&mut self) {
            let Some(block) = self.text.get(self.block..self.block + BLOCK + MARGIN) else {
                return;
            };
            // SAFETY: the caller's processor has AVX2; the block has the bytes that are loaded.
            self.mask = unsafe {
                let commas = _mm256_set1_epi8(b',' as i8);
                let first = _mm256_cmpeq_epi8(_mm256_loadu_si256(block.as_ptr().cast()), commas);
                let second = _mm256_cmpeq_epi8(_mm256_loadu_si256(block.as_ptr().add(32).cast()), commas);
                u64::from(_mm256_movemask_epi8(first) as u32) | u64::from(_mm256_movemask_epi8(second) as u32) << 32
            };
        }
    }

    /// A number as most floats are written.
    pub struct Plain {
        pub negative: bool,
        /// All its digits.
        pub magnitude: u64,
        /// What power of ten they count.
        pub exponent: i64,
    }

    impl Plain {
        /// Reads a number of a few digits before the point and behind it, and perhaps an exponent, up to a comma.
        ///
        /// None for all others, which include some that could be read: the first of a text.
        ///
        /// # Safety
        /// `Commas` found this comma, and `at` is not behind it.
        #[inline(always)]
        pub unsafe fn read(text: &[u8], at: usize, comma: usize) -> Option<Self> {
            debug_assert!(at <= comma && comma + MARGIN < text.len());
            // SAFETY: the comma is in the text.
            let negative = unsafe { *text.get_unchecked(at) } == b'-';
            let first = at + usize::from(negative);
            // SAFETY: there is a margin behind the comma.
            let all = unsafe { &*text.as_ptr().add(first).cast::<[u8; 32]>() };
            // SAFETY: the caller's processor has AVX2.
            let others = !unsafe { digit_mask(all) };
            let (whole, point) = if others & 3 == 2 {
                (u64::from(all[0] ^ b'0'), 1)
            } else {
                several(all, others)?
            };
            if all[point] != b'.' {
                return None;
            }
            let others = others & !(1 << point);
            let mark = others.trailing_zeros() as usize;
            // Where the digits end is told by the comma if it can be: it was found long ago.
            let (end, written) = if first + mark == comma {
                (comma, 0)
            } else if let Some(written) = usual_exponent(all, others, mark).filter(|_| first + mark + 4 == comma) {
                (comma - 4, written)
            } else {
                (first + mark, exponent(all, others, mark, comma.wrapping_sub(first))?)
            };
            let behind = end.wrapping_sub(first + point + 1);
            // So many fit a u64, with those before the point if they count.
            let most = MOST_DIGITS - point + usize::from(whole == 0);
            if behind.wrapping_sub(1) >= most || end < 32 {
                return None;
            }
            // SAFETY: as above; 32 bytes stand before the end of the digits.
            let fraction = unsafe { last(text.as_ptr().add(end - 32), behind) };
            Some(Self {
                negative,
                magnitude: whole * TENS[behind] + fraction,
                exponent: written - behind as i64,
            })
        }
    }

    /// Digits that always fit a u64.
    const MOST_DIGITS: usize = 19;

    /// Two to four digits at the beginning, without a leading zero, and how many they are.
    #[inline(always)]
    fn several(all: &[u8; 32], others: u32) -> Option<(u64, usize)> {
        let count = others.trailing_zeros() as usize;
        if !(2..=4).contains(&count) || all[0] == b'0' {
            return None;
        }
        Some((first_of_four([all[0], all[1], all[2], all[3]], count), count))
    }

    /// The exponent at `mark` if it is an `e`, a sign and two digits, as most programs write it.
    #[inline(always)]
    fn usual_exponent(all: &[u8; 32], others: u32, mark: usize) -> Option<i64> {
        let [letter, sign, ten, one] = *all.get(mark..)?.first_chunk::<4>()?;
        if letter | 0x20 != b'e' || !matches!(sign, b'-' | b'+') || (others >> mark) & 0b1111 != 0b0011 {
            return None;
        }
        let value = 10 * i64::from(ten ^ b'0') + i64::from(one ^ b'0');
        // Which sign it is, is hard to foresee.
        let negative = i64::from(sign == b'-');
        Some((value ^ -negative) + negative)
    }

    /// The exponent that begins with an `e` at `mark` and ends at `comma`, where `others` are no digits; of three digits
    /// at most.
    #[inline(always)]
    fn exponent(all: &[u8; 32], others: u32, mark: usize, comma: usize) -> Option<i64> {
        if mark > 24 || all[mark] | 0x20 != b'e' {
            return None;
        }
        let negative = all[mark + 1] == b'-';
        let signed = negative || all[mark + 1] == b'+';
        let first = mark + 1 + usize::from(signed);
        let count = comma.wrapping_sub(first);
        if !(1..=3).contains(&count) || (others >> first).trailing_zeros() as usize != count {
            return None;
        }
        let value = first_of_four([all[first], all[first + 1], all[first + 2], all[first + 3]], count) as i64;
        // Which sign it is, is hard to foresee.
        let sign = i64::from(negative);
        Some((value ^ -sign) + sign)
    }

    /// Read at `count`, it keeps the last `count` of 32 bytes.
    static LAST: [u8; 64] = {
        let mut table = [0; 64];
        let mut index = 32;
        while index < 64 {
            table[index] = 0xFF;
            index += 1;
        }
        table
    };

    /// The number that the last `count` of 32 bytes write.
    ///
    /// However many there are, all go the same way: it is hard to foresee.
    ///
    /// # Safety
    /// AVX2; 32 bytes can be read, of which the last `count` are digits, 24 at most.
    #[inline(always)]
    unsafe fn last(text: *const u8, count: usize) -> u64 {
        debug_assert!(count <= 24);
        // SAFETY: promised by the caller; the table has 32 bytes from each count on.
        let (first, last) = unsafe {
            let bytes = _mm256_sub_epi8(_mm256_loadu_si256(text.cast()), _mm256_set1_epi8(b'0' as i8));
            let kept = _mm256_loadu_si256(LAST.as_ptr().add(count).cast());
            // Pairs, fours, eights, as in `value_of`.
            let pairs = _mm256_maddubs_epi16(_mm256_and_si256(bytes, kept), _mm256_set1_epi16(0x010A));
            let fours = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x0001_0064));
            let eights = _mm256_madd_epi16(_mm256_packus_epi32(fours, fours), _mm256_set1_epi32(0x0001_2710));
            (
                _mm_cvtsi128_si64(_mm256_castsi256_si128(eights)) as u64,
                _mm_cvtsi128_si64(_mm256_extracti128_si256::<1>(eights)) as u64,
            )
        };
        (first >> 32) * TENS[16] + (last & 0xFFFF_FFFF) * TENS[8] + (last >> 32)
    }

    /// The number that the first `count` of four bytes write, which are digits.
    #[inline(always)]
    fn first_of_four(bytes: [u8; 4], count: usize) -> u64 {
        let word = u32::from_le_bytes(bytes) ^ 0x3030_3030;
        let digits = (u64::from(word) << (8 * (4 - count))) as u32;
        let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
        u64::from(((pairs & 0x00FF_00FF).wrapping_mul(0x0064_0001) >> 16) & 0xFFFF)
    }

    /// How many digits there are at the beginning.
    ///
    /// # Safety
    /// AVX2.
    #[inline(always)]
    unsafe fn digits_in(block: &[u8; 32]) -> usize {
        // SAFETY: promised by the caller.
        (!unsafe { digit_mask(block) }).trailing_zeros() as usize
    }

    /// Which bytes are digits.
    ///
    /// # Safety
    /// AVX2.
    #[inline(always)]
    unsafe fn digit_mask(block: &[u8; 32]) -> u32 {
        // SAFETY: promised by the caller; the block has the bytes that are loaded.
        unsafe {
            let bytes = _mm256_sub_epi8(_mm256_loadu_si256(block.as_ptr().cast()), _mm256_set1_epi8(b'0' as i8));
            let digits = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, _mm256_set1_epi8(9)), bytes);
            _mm256_movemask_epi8(digits) as u32
        }
    }

    /// # Safety
    /// AVX2; sixteen bytes can be read, of which the first `count` are digits.
    #[inline(always)]
    unsafe fn up_to_sixteen(text: *const u8, count: usize) -> u64 {
        // SAFETY: promised by the caller.
        unsafe {
            let bytes = _mm_sub_epi8(_mm_loadu_si128(text.cast()), _mm_set1_epi8(b'0' as i8));
            let order = _mm_loadu_si128(TO_THE_END.as_ptr().add(count).cast());
            value_of(_mm_shuffle_epi8(bytes, order))
        }
    }

    /// # Safety
    /// AVX2; sixteen digits.
    #[inline(always)]
    unsafe fn all_sixteen(digits: __m128i) -> u64 {
        // SAFETY: promised by the caller.
        unsafe { value_of(_mm_sub_epi8(digits, _mm_set1_epi8(b'0' as i8))) }
    }

    /// The number that sixteen bytes of 0 to 9 write.
    ///
    /// # Safety
    /// AVX2.
    #[inline(always)]
    unsafe fn value_of(digits: __m128i) -> u64 {
        // SAFETY: promised by the caller.
        unsafe {
            // Pairs, fours, eights.
            let pairs = _mm_maddubs_epi16(digits, _mm_set1_epi16(0x010A));
            let fours = _mm_madd_epi16(pairs, _mm_set1_epi32(0x0001_0064));
            let eights = _mm_madd_epi16(_mm_packus_epi32(fours, fours), _mm_set1_epi32(0x0001_2710));
            let both = _mm_cvtsi128_si64(eights) as u64;
            (both & 0xFFFF_FFFF) * TENS[8] + (both >> 32)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(text: &[u8], magnitude: u64) -> (u64, usize) {
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
        let value = digits.clone().fold(magnitude, |value, digit| {
            value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'))
        });
        (value, digits.count())
    }

    fn agree(text: &[u8]) {
        for magnitude in [0, 7, u64::MAX / 3] {
            let expected = expected(text, magnitude);
            assert_eq!(Words::read(text, 0, magnitude), expected, "{text:?}");
            #[cfg(target_arch = "x86_64")]
            if has_sixteen() {
                assert_eq!(Sixteen::read(text, 0, magnitude), expected, "{text:?}");
            }
        }
    }

    #[test]
    fn every_byte_at_every_place() {
        for byte in 0..=255 {
            for place in 0..44 {
                for length in [place + 1, place + 2, 50] {
                    let mut text: Vec<u8> = b"9182736450".iter().copied().cycle().take(length).collect();
                    text[place] = byte;
                    text.push(0);
                    agree(&text);
                }
            }
        }
    }
}
