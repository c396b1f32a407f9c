//! Runs of decimal digits, eight or sixteen at a time.

/// Powers of ten up to sixteen digits.
pub static TENS: [u64; 17] = {
    let mut table = [1; 17];
    let mut power = 1;
    while power < 17 {
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

    /// Reads a number of one digit before the point and a few behind it, which a comma follows; None for all others.
    #[inline(always)]
    fn plain(_text: &[u8], _at: usize) -> Option<Plain> {
        None
    }
}

/// A number without an exponent.
pub struct Plain {
    pub negative: bool,
    /// All its digits.
    pub magnitude: u64,
    /// Digits behind the point.
    pub behind: usize,
    /// Where the comma is.
    pub comma: usize,
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
pub use x86::{Sixteen, has_sixteen};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::is_x86_feature_detected;
    use std::arch::x86_64::{
        __m128i, _mm_cvtsi128_si64, _mm_loadu_si128, _mm_madd_epi16, _mm_maddubs_epi16, _mm_packus_epi32,
        _mm_set1_epi8, _mm_set1_epi16, _mm_set1_epi32, _mm_shuffle_epi8, _mm_sub_epi8, _mm256_cmpeq_epi8,
        _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_set1_epi8, _mm256_sub_epi8,
    };

    use super::{Digits, Plain, TENS, Words};

    /// Whether the processor can do `Sixteen` and what is compiled with it.
    #[inline(always)]
    pub fn has_sixteen() -> bool {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
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

        #[inline(always)]
        fn plain(text: &[u8], at: usize) -> Option<Plain> {
            const READ: usize = 64;
            let block = text[at..].first_chunk::<READ>()?;
            // Where the number ends is looked up before all else, and from its first byte on: it is what the processor
            // needs to begin with the next one.
            // SAFETY: the caller's processor has AVX2, and the block has the bytes that are loaded.
            let comma = unsafe {
                let bytes = _mm256_loadu_si256(block.as_ptr().cast());
                _mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b',' as i8)))
            };
            if comma == 0 {
                return None;
            }
            let comma = comma.trailing_zeros() as usize;
            let negative = block[0] == b'-';
            let digits = usize::from(negative);
            let whole = block[digits].wrapping_sub(b'0');
            // SAFETY: as above; at most 33 bytes are looked at.
            let all = unsafe { &*block.as_ptr().add(digits).cast::<[u8; 32]>() };
            // SAFETY: as above.
            let others = !unsafe { digit_mask(all) };
            // A digit, none, then digits up to the comma.
            let behind = comma.wrapping_sub(digits + 2);
            let shaped = others & 3 == 2 && block[digits + 1] == b'.' && (1..=MOST_BEHIND).contains(&behind);
            if !shaped || (others & !2).trailing_zeros() as usize != behind + 2 {
                return None;
            }
            // SAFETY: as above; the digits behind the point are within the block.
            let magnitude = unsafe {
                let fraction = block.as_ptr().add(digits + 2);
                if behind < 16 {
                    u64::from(whole) * TENS[behind] + up_to_sixteen(fraction, behind)
                } else {
                    // Whether these are some or none is hard to foresee, so both go the same way.
                    let few = behind - 16;
                    let first = u64::from(whole) * TENS[few] + first_of_four(fraction.cast::<[u8; 4]>().read(), few);
                    first * TENS[16] + all_sixteen(_mm_loadu_si128(fraction.add(few).cast()))
                }
            };
            Some(Plain {
                negative,
                magnitude,
                behind,
                comma: at + comma,
            })
        }
    }

    /// With the one before the point they fit a u64.
    const MOST_BEHIND: usize = 18;

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
