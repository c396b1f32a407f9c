//! Strings as Python keeps them, one, two or four bytes a character, written as UTF-8 with escapes.

use crate::pen::Pen;

/// A unit of one of the layouts.
pub trait Unit: Copy + Into<u32> {
    /// Eight units as bytes if all are ASCII and none needs an escape.
    fn ordinary(units: &[Self]) -> Option<[u8; 8]>;

    /// # Safety
    /// As for `write`, on a processor with AVX2.
    #[cfg(target_arch = "x86_64")]
    unsafe fn write_wide(pen: Pen, units: &[Self]) -> Result<Pen, usize>;
}

/// Text shorter than this is not worth wide steps.
#[cfg(target_arch = "x86_64")]
const WORTH_UNITS: usize = 8;

/// Writes characters; `Err` is the index of a lone surrogate.
///
/// # Safety
/// `MAX_ESCAPED` bytes for each unit and `SLACK` more can be written.
#[inline(always)]
pub unsafe fn write<T: Unit>(pen: Pen, units: &[T]) -> Result<Pen, usize> {
    #[cfg(target_arch = "x86_64")]
    if units.len() >= WORTH_UNITS
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("popcnt")
    {
        // SAFETY: promised by the caller; the processor has what is asked for.
        return unsafe { T::write_wide(pen, units) };
    }
    // SAFETY: promised by the caller.
    unsafe { write_portably(pen, units) }
}

/// # Safety
/// As for `write`.
unsafe fn write_portably<T: Unit>(mut pen: Pen, units: &[T]) -> Result<Pen, usize> {
    let mut at = 0;
    while at < units.len() {
        if let Some(block) = units.get(at..at + 8).and_then(T::ordinary) {
            // SAFETY: eight bytes for eight units.
            pen = unsafe { pen.block(block, 8) };
            at += 8;
            continue;
        }
        for &unit in &units[at..(at + 8).min(units.len())] {
            // SAFETY: promised by the caller.
            pen = unsafe { write_unit(pen, unit.into()) }.ok_or(at)?;
            at += 1;
        }
    }
    Ok(pen)
}

/// # Safety
/// There is room for eight bytes.
#[inline(always)]
unsafe fn write_unit(pen: Pen, code: u32) -> Option<Pen> {
    // SAFETY: promised by the caller.
    unsafe {
        if code < 0x80 {
            Some(pen.escaped(code as u8))
        } else {
            pen.character(code)
        }
    }
}

/// Whether one of eight bytes needs an escape.
#[inline(always)]
fn has_special(eight: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let quote = (eight ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslash = (eight ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    let control = eight.wrapping_sub(ONES * 0x20);
    // A borrow can only come from a byte that is special itself.
    (quote | backslash | control) & !eight & (ONES << 7) != 0
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

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,bmi1,popcnt")]
            unsafe fn write_wide(pen: Pen, units: &[Self]) -> Result<Pen, usize> {
                // SAFETY: promised by the caller.
                unsafe { x86::write(pen, units) }
            }
        }
    )*};
}

unit!(u8, u16, u32);

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_cmpeq_epi8, _mm_loadl_epi64, _mm_loadu_si128, _mm_max_epu8, _mm_movemask_epi8,
        _mm_or_si128, _mm_packs_epi16, _mm_packus_epi16, _mm_set1_epi8, _mm_shuffle_epi8, _mm_storeu_si128,
        _mm256_and_si256, _mm256_blendv_epi8, _mm256_castsi256_ps, _mm256_castsi256_si128, _mm256_cmpeq_epi16,
        _mm256_cmpeq_epi32, _mm256_cmpgt_epi32, _mm256_cvtepu8_epi32, _mm256_cvtepu16_epi32, _mm256_extracti128_si256,
        _mm256_loadu_si256, _mm256_movemask_ps, _mm256_or_si256, _mm256_packus_epi32, _mm256_permute4x64_epi64,
        _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_slli_epi32,
    };

    use super::{Pen, Unit, write_unit};

    /// Units of one step over ASCII.
    const STEP: usize = 16;
    /// Units of one step over anything.
    const LANES: usize = 8;
    /// So many characters beyond ASCII in one step say that this is no text in Latin letters.
    const DENSE: u32 = 4;

    /// For four characters of one to four bytes each: which bytes of their four lanes are written, in this order.
    ///
    /// A lane holds its character's bytes last first. The index has the low bit of (bytes - 1) of each character in
    /// its low half, the high bit in the other.
    static ORDER: [([u8; 16], u8); 256] = {
        let mut table = [([0x80; 16], 0); 256];
        let mut index = 0;
        while index < 256 {
            let mut count = 0;
            let mut lane = 0;
            while lane < 4 {
                let mut left = 1 + (index >> lane & 1) + 2 * (index >> (4 + lane) & 1);
                while left > 0 {
                    left -= 1;
                    table[index].0[count] = (4 * lane + left) as u8;
                    count += 1;
                }
                lane += 1;
            }
            table[index].1 = count as u8;
            index += 1;
        }
        table
    };

    /// What the layouts load differently; used in functions that have AVX2.
    pub trait Layout: Unit {
        /// The largest character is beyond this many bits.
        const BITS: u32;

        /// `STEP` units as bytes, right for those of ASCII, and a mask of these.
        unsafe fn narrow(units: *const Self) -> (__m128i, u32);

        /// `LANES` units.
        unsafe fn widen(units: *const Self) -> __m256i;
    }

    impl Layout for u8 {
        const BITS: u32 = 8;

        #[inline(always)]
        unsafe fn narrow(units: *const Self) -> (__m128i, u32) {
            // SAFETY: as the trait says.
            unsafe {
                let bytes = _mm_loadu_si128(units.cast());
                (bytes, !_mm_movemask_epi8(bytes) as u32 & 0xFFFF)
            }
        }

        #[inline(always)]
        unsafe fn widen(units: *const Self) -> __m256i {
            // SAFETY: as the trait says.
            unsafe { _mm256_cvtepu8_epi32(_mm_loadl_epi64(units.cast())) }
        }
    }

    impl Layout for u16 {
        const BITS: u32 = 16;

        #[inline(always)]
        unsafe fn narrow(units: *const Self) -> (__m128i, u32) {
            // SAFETY: as the trait says.
            unsafe {
                let all = _mm256_loadu_si256(units.cast());
                let beyond = _mm256_and_si256(all, _mm256_set1_epi16(!0x7F));
                let ascii = _mm256_cmpeq_epi16(beyond, _mm256_setzero_si256());
                let (low, high) = halves(ascii);
                let mask = _mm_movemask_epi8(_mm_packs_epi16(low, high)) as u32;
                let (low, high) = halves(all);
                (_mm_packus_epi16(low, high), mask)
            }
        }

        #[inline(always)]
        unsafe fn widen(units: *const Self) -> __m256i {
            // SAFETY: as the trait says.
            unsafe { _mm256_cvtepu16_epi32(_mm_loadu_si128(units.cast())) }
        }
    }

    impl Layout for u32 {
        const BITS: u32 = 21;

        #[inline(always)]
        unsafe fn narrow(units: *const Self) -> (__m128i, u32) {
            // SAFETY: as the trait says.
            unsafe {
                let first = _mm256_loadu_si256(units.cast());
                let second = _mm256_loadu_si256(units.add(LANES).cast());
                let beyond = lanes_above(first, 0x7F) | lanes_above(second, 0x7F) << LANES;
                let pairs = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi32(first, second));
                let (low, high) = halves(pairs);
                (_mm_packus_epi16(low, high), !beyond & 0xFFFF)
            }
        }

        #[inline(always)]
        unsafe fn widen(units: *const Self) -> __m256i {
            // SAFETY: as the trait says.
            unsafe { _mm256_loadu_si256(units.cast()) }
        }
    }

    #[inline(always)]
    unsafe fn halves(all: __m256i) -> (__m128i, __m128i) {
        // SAFETY: used in functions that have AVX2.
        unsafe { (_mm256_castsi256_si128(all), _mm256_extracti128_si256::<1>(all)) }
    }

    /// A mask of the lanes that are set.
    #[inline(always)]
    unsafe fn lanes(set: __m256i) -> u32 {
        // SAFETY: used in functions that have AVX2.
        unsafe { _mm256_movemask_ps(_mm256_castsi256_ps(set)) as u32 }
    }

    #[inline(always)]
    unsafe fn lanes_above(codes: __m256i, limit: i32) -> u32 {
        // SAFETY: used in functions that have AVX2; codes are far from the sign.
        unsafe { lanes(_mm256_cmpgt_epi32(codes, _mm256_set1_epi32(limit))) }
    }

    /// A mask of the bytes that need an escape.
    #[inline(always)]
    unsafe fn special_bytes(bytes: __m128i) -> u32 {
        // SAFETY: SSE2 is part of x86-64.
        unsafe {
            let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
            let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
            let last_control = _mm_set1_epi8(0x1F);
            let control = _mm_cmpeq_epi8(_mm_max_epu8(bytes, last_control), last_control);
            _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), control)) as u32
        }
    }

    /// A mask of the characters that need an escape.
    #[inline(always)]
    unsafe fn special_lanes(codes: __m256i) -> u32 {
        // SAFETY: used in functions that have AVX2.
        unsafe {
            let quote = _mm256_cmpeq_epi32(codes, _mm256_set1_epi32(i32::from(b'"')));
            let backslash = _mm256_cmpeq_epi32(codes, _mm256_set1_epi32(i32::from(b'\\')));
            let control = _mm256_cmpgt_epi32(_mm256_set1_epi32(0x20), codes);
            lanes(_mm256_or_si256(_mm256_or_si256(quote, backslash), control))
        }
    }

    /// # Safety
    /// As for `super::write`, in a function that has AVX2.
    #[inline(always)]
    pub unsafe fn write<T: Layout>(mut pen: Pen, units: &[T]) -> Result<Pen, usize> {
        let mut at = 0;
        // SAFETY: `step` and `stride` read as many units as are left, and write within what is promised for them.
        unsafe {
            while at + STEP <= units.len() {
                let taken;
                (pen, taken) = stride(pen, units.as_ptr().add(at));
                at += taken;
                if taken == STEP {
                    continue;
                }
                let code: u32 = units[at].into();
                if code < 0x80 {
                    pen = pen.escaped(code as u8);
                    at += 1;
                    continue;
                }
                while at + LANES <= units.len() {
                    let done = step(pen, units.as_ptr().add(at)).map_err(|index| at + index)?;
                    pen = done.pen;
                    at += done.taken;
                    if !done.goes_on {
                        break;
                    }
                }
            }
            while at + LANES <= units.len() {
                let done = step(pen, units.as_ptr().add(at)).map_err(|index| at + index)?;
                pen = done.pen;
                at += done.taken;
            }
            while at < units.len() {
                pen = write_unit(pen, units[at].into()).ok_or(at)?;
                at += 1;
            }
        }
        Ok(pen)
    }

    /// Writes the ordinary ASCII characters at the start of `STEP` units, and tells how many.
    #[inline(always)]
    unsafe fn stride<T: Layout>(pen: Pen, units: *const T) -> (Pen, usize) {
        // SAFETY: see `write`.
        unsafe {
            let (bytes, ascii) = T::narrow(units);
            _mm_storeu_si128(pen.place().cast(), bytes);
            let stop = !ascii | special_bytes(bytes) | 1 << STEP;
            let taken = stop.trailing_zeros() as usize;
            (pen.past(taken), taken)
        }
    }

    struct Step {
        pen: Pen,
        taken: usize,
        /// Whether much of what follows is likely to be beyond ASCII.
        goes_on: bool,
    }

    /// Writes `LANES` units up to the first that needs an escape, and that one too.
    #[inline(always)]
    unsafe fn step<T: Layout>(pen: Pen, units: *const T) -> Result<Step, usize> {
        // SAFETY: see `write`.
        unsafe {
            let codes = T::widen(units);
            let two = _mm256_cmpgt_epi32(codes, _mm256_set1_epi32(0x7F));
            let beyond = lanes(two);
            let special = if beyond == 0xFF { 0 } else { special_lanes(codes) };
            let taken = (special | 1 << LANES).trailing_zeros() as usize;
            let (bytes, counts) = forms::<T>(codes, two, beyond);
            if T::BITS > 8 {
                let upper = _mm256_and_si256(codes, _mm256_set1_epi32(!0x7FF));
                let surrogate = lanes(_mm256_cmpeq_epi32(upper, _mm256_set1_epi32(0xD800)));
                if surrogate != 0 && (surrogate.trailing_zeros() as usize) < taken {
                    return Err(surrogate.trailing_zeros() as usize);
                }
            }
            let (low, high) = halves(bytes);
            // What is not taken counts as of one byte, and is written over.
            let used = counts.only(taken);
            let after = spread(pen, low, used.of_low());
            let after = spread(after, high, used.of_high());
            let pen = Pen::at(after.place().sub(LANES - taken));
            if taken == LANES {
                return Ok(Step {
                    pen,
                    taken,
                    goes_on: beyond.count_ones() >= DENSE,
                });
            }
            let code: u32 = (*units.add(taken)).into();
            Ok(Step {
                pen: pen.escaped(code as u8),
                taken: taken + 1,
                goes_on: beyond.count_ones() >= DENSE,
            })
        }
    }

    /// For each lane its number of bytes less one: the low bits, and the high bits.
    #[derive(Clone, Copy)]
    struct Counts(u32, u32);

    impl Counts {
        #[inline(always)]
        fn only(self, taken: usize) -> Self {
            let mask = (1 << taken) - 1;
            Self(self.0 & mask, self.1 & mask)
        }

        #[inline(always)]
        fn of_low(self) -> usize {
            (self.0 & 0xF | (self.1 & 0xF) << 4) as usize
        }

        #[inline(always)]
        fn of_high(self) -> usize {
            (self.0 >> 4 | (self.1 & 0xF0)) as usize
        }
    }

    /// Writes four lanes of bytes as the counts of them say.
    #[inline(always)]
    unsafe fn spread(pen: Pen, bytes: __m128i, counts: usize) -> Pen {
        let (order, count) = &ORDER[counts & 0xFF];
        // SAFETY: see `write`.
        unsafe {
            let order = _mm_loadu_si128(order.as_ptr().cast());
            _mm_storeu_si128(pen.place().cast(), _mm_shuffle_epi8(bytes, order));
            pen.past(*count as usize)
        }
    }

    /// The UTF-8 bytes of each lane, last first, and how many they are.
    #[inline(always)]
    unsafe fn forms<T: Layout>(codes: __m256i, two: __m256i, beyond: u32) -> (__m256i, Counts) {
        // SAFETY: used in functions that have AVX2.
        unsafe {
            let part = |mask: i32| _mm256_and_si256(codes, _mm256_set1_epi32(mask));
            let mut bytes = _mm256_or_si256(part(0x3F), _mm256_slli_epi32::<2>(part(0xFC0)));
            let mut lead = _mm256_set1_epi32(0x4000);
            let mut counts = Counts(beyond, 0);
            if T::BITS > 8 {
                bytes = _mm256_or_si256(bytes, _mm256_slli_epi32::<4>(part(0x3_F000)));
                let three = _mm256_cmpgt_epi32(codes, _mm256_set1_epi32(0x7FF));
                lead = _mm256_blendv_epi8(lead, _mm256_set1_epi32(0x60_0000), three);
                let longer = lanes(three);
                counts = Counts(counts.0 ^ longer, longer);
            }
            if T::BITS > 16 {
                bytes = _mm256_or_si256(bytes, _mm256_slli_epi32::<6>(part(0x1C_0000)));
                let four = _mm256_cmpgt_epi32(codes, _mm256_set1_epi32(0xFFFF));
                lead = _mm256_blendv_epi8(lead, _mm256_set1_epi32(0x7000_0000), four);
                counts = Counts(counts.0 ^ lanes(four), counts.1);
            }
            let marks = _mm256_or_si256(lead, _mm256_set1_epi32(0x8080_8080_u32 as i32));
            (_mm256_blendv_epi8(codes, _mm256_or_si256(bytes, marks), two), counts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Unit, write, write_portably};
    use crate::pen::{MAX_ESCAPED, Pen, SLACK};
    use proptest::prelude::*;

    type Write<T> = unsafe fn(Pen, &[T]) -> Result<Pen, usize>;

    fn written<T: Unit>(units: &[T], write: Write<T>) -> Result<Vec<u8>, usize> {
        let mut room = vec![0xAA; units.len() * MAX_ESCAPED + SLACK];
        // SAFETY: the room is as large as is asked for.
        let count = unsafe {
            let pen = Pen::at(room.as_mut_ptr());
            write(pen, units)?.place() as usize - pen.place() as usize
        };
        room.truncate(count);
        Ok(room)
    }

    fn expected<T: Unit>(units: &[T]) -> Result<Vec<u8>, usize> {
        let mut form = String::new();
        for (index, &unit) in units.iter().enumerate() {
            match char::from_u32(unit.into()).ok_or(index)? {
                mark @ ('"' | '\\') => form.extend(['\\', mark]),
                '\n' => form.push_str("\\n"),
                '\r' => form.push_str("\\r"),
                '\t' => form.push_str("\\t"),
                '\u{8}' => form.push_str("\\b"),
                '\u{c}' => form.push_str("\\f"),
                low @ '\0'..' ' => form.extend(format!("\\u{:04x}", low as u32).chars()),
                other => form.push(other),
            }
        }
        Ok(form.into_bytes())
    }

    fn check<T: Unit>(units: &[T]) {
        let form = expected(units);
        assert_eq!(written(units, write_portably), form);
        assert_eq!(written(units, write), form);
    }

    fn check_as_each(codes: &[u32]) {
        check(codes);
        let two: Vec<u16> = codes.iter().map(|&code| code as u16).collect();
        check(&two);
        let one: Vec<u8> = codes.iter().map(|&code| code as u8).collect();
        check(&one);
    }

    #[test]
    fn every_character_is_written() {
        for start in (0..0x11_0000).step_by(8) {
            let mut codes: Vec<u32> = (start..start + 8).collect();
            check_as_each(&codes);
            codes.extend(std::iter::repeat_n(u32::from(b'x'), 13));
            check_as_each(&codes);
        }
    }

    #[test]
    fn a_character_at_every_place_of_every_length() {
        for filler in ['x', 'é', '語', '😀'] {
            for len in 0..70 {
                let mut codes = vec![filler as u32; len];
                check_as_each(&codes);
                for place in 0..len {
                    for code in [
                        0x22, 0x0A, 0, 0x7F, 0xE9, 0x7FF, 0x800, 0xD800, 0xDFFF, 0xFFFF, 0x1_0000,
                    ] {
                        codes[place] = code;
                        check_as_each(&codes);
                    }
                    codes[place] = filler as u32;
                }
            }
        }
    }

    fn code() -> impl Strategy<Value = u32> {
        prop_oneof![
            8 => 0x20_u32..0x7F,
            1 => 0_u32..0x20,
            3 => 0x80_u32..0x800,
            3 => 0x800_u32..0xD800,
            2 => 0xE000_u32..0x11_0000,
        ]
    }

    proptest! {
        #[test]
        fn every_form_writes_the_same(codes in prop::collection::vec(code(), 0..200)) {
            check_as_each(&codes);
        }
    }
}
