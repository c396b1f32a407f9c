//! UTF-8 to characters of one, two or four bytes, checked on the way.

/// What a string needs to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Bytes that are no continuation of a character: the number of characters, if it is UTF-8.
    pub count: usize,
    /// The largest byte: up to 7F all is ASCII, up to C3 Latin-1, up to EF in the basic plane.
    pub largest: u8,
}

/// Counts the characters.
pub fn measure(bytes: &[u8]) -> Measure {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() >= x86::MEASURED_BYTES && x86::has_avx2() {
        // SAFETY: the processor has AVX2.
        return unsafe { x86::measure_avx2(bytes) };
    }
    measure_by_blocks(bytes)
}

fn measure_by_blocks(bytes: &[u8]) -> Measure {
    let mut count = 0;
    let mut largest = 0;
    // Blocks short enough for byte-wide counters, which the compiler turns into vector code.
    for block in bytes.chunks(192) {
        let mut characters = 0_u8;
        for &byte in block {
            characters += u8::from(byte & 0xC0 != 0x80);
            largest = byte.max(largest);
        }
        count += characters as usize;
    }
    Measure { count, largest }
}

/// A unit that characters are stored as.
pub trait Unit: Copy + Default + Stored {
    fn of(code: u32) -> Self;
}

impl Unit for u8 {
    #[inline(always)]
    fn of(code: u32) -> Self {
        code as u8
    }
}

impl Unit for u16 {
    #[inline(always)]
    fn of(code: u32) -> Self {
        code as u16
    }
}

impl Unit for u32 {
    #[inline(always)]
    fn of(code: u32) -> Self {
        code
    }
}

#[cfg(target_arch = "x86_64")]
use x86::Stored;

/// Nothing more is asked of a unit.
#[cfg(not(target_arch = "x86_64"))]
pub trait Stored {}
#[cfg(not(target_arch = "x86_64"))]
impl<T> Stored for T {}

/// Writes the characters of `text[start..end]` to `out`; `Err` is the index of the first byte that is not UTF-8.
///
/// What stands behind `end` is no continuation byte; it may be read.
///
/// # Safety
/// `out` has room for `count` units, and `count` is that of `measure`, whose largest byte has a place in `T`.
pub unsafe fn decode<T: Unit>(text: &[u8], start: usize, end: usize, out: *mut T, count: usize) -> Result<(), usize> {
    debug_assert!(text.get(end).is_none_or(|&byte| byte & 0xC0 != 0x80));
    let place = Place { at: start, written: 0 };
    #[cfg(target_arch = "x86_64")]
    let place = if x86::has_avx2() {
        // SAFETY: the processor has AVX2; the rest is promised by the caller.
        unsafe { x86::decode_avx2(text, place, out, count)? }
    } else {
        place
    };
    // SAFETY: promised by the caller.
    unsafe { decode_rest(text, end, place, out, count) }
}

/// How far decoding came: `written` characters, which are all that begin before `at`.
#[derive(Clone, Copy)]
struct Place {
    at: usize,
    written: usize,
}

/// One character after the other, and ASCII eight at a time.
///
/// # Safety
/// As for `decode`.
unsafe fn decode_rest<T: Unit>(
    text: &[u8],
    end: usize,
    mut place: Place,
    out: *mut T,
    count: usize,
) -> Result<(), usize> {
    let text = &text[..end];
    while place.at < end {
        if let Some(eight) = text[place.at..].first_chunk::<8>() {
            if u64::from_le_bytes(*eight) & 0x8080_8080_8080_8080 == 0 {
                for (index, &byte) in eight.iter().enumerate() {
                    // SAFETY: these are characters of the `count` that there is room for.
                    unsafe { out.add(place.written + index).write(T::of(u32::from(byte))) };
                }
                place.at += 8;
                place.written += 8;
                continue;
            }
        }
        let (code, length) = character(&text[place.at..]).ok_or(place.at)?;
        debug_assert!(place.written < count);
        // SAFETY: every character starts with a byte that was counted, and each is written once.
        unsafe { out.add(place.written).write(T::of(code)) };
        place.at += length;
        place.written += 1;
    }
    Ok(())
}

/// The character at the start of the bytes and its length; None if they are not UTF-8.
#[inline(always)]
fn character(bytes: &[u8]) -> Option<(u32, usize)> {
    let first = u32::from(*bytes.first()?);
    if first < 0x80 {
        return Some((first, 1));
    }
    let second = continuation(bytes, 1)?;
    if first < 0xE0 {
        let code = (first & 0x1F) << 6 | second;
        return (first >= 0xC2).then_some((code, 2));
    }
    let third = continuation(bytes, 2)?;
    if first < 0xF0 {
        let code = (first & 0x0F) << 12 | second << 6 | third;
        return (code >= 0x800 && !(0xD800..0xE000).contains(&code)).then_some((code, 3));
    }
    let fourth = continuation(bytes, 3)?;
    let code = (first & 0x07) << 18 | second << 12 | third << 6 | fourth;
    (first < 0xF8 && (0x1_0000..0x11_0000).contains(&code)).then_some((code, 4))
}

#[inline(always)]
fn continuation(bytes: &[u8], index: usize) -> Option<u32> {
    let byte = *bytes.get(index)?;
    (byte & 0xC0 == 0x80).then_some(u32::from(byte & 0x3F))
}

#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What `decode` gives, with and without wide registers, between other text; the units as numbers.
    fn decoded<T: Unit + Into<u32> + PartialEq>(bytes: &[u8], before: usize, behind: usize) -> Result<Vec<u32>, usize> {
        let mut text = vec![b'"'; before];
        text.extend(bytes);
        let end = text.len();
        text.push(b'"');
        text.resize(end + 1 + behind, b'x');
        let Measure { count, .. } = measure(bytes);
        // A byte more would be seen by the allocator's checks.
        let mut out = vec![T::default(); count];
        let mut plain = vec![T::default(); count];
        // SAFETY: there is room for as many units as were counted.
        let (ours, reference) = unsafe {
            (
                decode(&text, before, end, out.as_mut_ptr(), count),
                decode_rest(&text, end, Place { at: before, written: 0 }, plain.as_mut_ptr(), count),
            )
        };
        assert_eq!(ours, reference, "{bytes:x?} behind {before}, before {behind}");
        ours.map_err(|at| at - before)?;
        assert!(out == plain, "{bytes:x?} behind {before}, before {behind}");
        Ok(out.into_iter().map(Into::into).collect())
    }

    /// What the standard library says.
    fn expected(bytes: &[u8]) -> Result<Vec<u32>, usize> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.chars().map(u32::from).collect()),
            Err(error) => Err(error.valid_up_to()),
        }
    }

    fn check(bytes: &[u8], before: usize, behind: usize) {
        let Measure { count, largest } = measure(bytes);
        assert_eq!(measure_by_blocks(bytes), Measure { count, largest });
        assert_eq!(largest, bytes.iter().copied().max().unwrap_or(0));
        let got = match largest {
            0..=0xC3 => decoded::<u8>(bytes, before, behind),
            0xC4..=0xEF => decoded::<u16>(bytes, before, behind),
            _ => decoded::<u32>(bytes, before, behind),
        };
        assert_eq!(got, expected(bytes), "{bytes:x?} behind {before}, before {behind}");
    }

    const KINDS: [&str; 6] = ["a", "é", "ж", "語", "😀", "\u{FFFF}"];

    #[test]
    fn every_kind_at_every_length_and_place() {
        for (first, second) in KINDS.iter().flat_map(|&one| KINDS.map(|other| (one, other))) {
            for length in 0..70 {
                for (before, behind) in [(0, 0), (1, 40), (31, 3)] {
                    let mut text = first.repeat(length);
                    check(text.as_bytes(), before, behind);
                    text.push_str(second);
                    check(text.as_bytes(), before, behind);
                    text.push_str(&first.repeat(20));
                    check(text.as_bytes(), before, behind);
                }
            }
        }
    }

    #[test]
    fn malformed_at_every_place() {
        // Cut, overlong, surrogates, beyond 10FFFF, stray continuations, bytes that never occur.
        let malformed: [&[u8]; 20] = [
            b"\xC3",
            b"\xE8\xAA",
            b"\xE8",
            b"\xF0\x9F\x98",
            b"\xF0\x9F",
            b"\xF0",
            b"\xC0\xAF",
            b"\xC1\xBF",
            b"\xE0\x80\xAF",
            b"\xE0\x9F\xBF",
            b"\xF0\x8F\xBF\xBF",
            b"\xED\xA0\x80",
            b"\xED\xBF\xBF",
            b"\xF4\x90\x80\x80",
            b"\xF8\x88\x80\x80\x80",
            b"\x80",
            b"\xBF\xBF",
            b"\xFE",
            b"\xFF",
            b"\xE8\xAA\xAA\xAA",
        ];
        for kind in KINDS {
            for bad in malformed {
                for place in 0..40 {
                    for behind in [0, 1, 30] {
                        let mut bytes = kind.repeat(place).into_bytes();
                        bytes.extend(bad);
                        bytes.extend(kind.repeat(behind).into_bytes());
                        check(&bytes, place % 3, 2 * behind);
                    }
                }
            }
        }
    }

    #[test]
    fn every_character_in_a_run() {
        for code in (0x80..=0xFFFF)
            .filter_map(char::from_u32)
            .chain(('\u{10000}'..='\u{10FFFF}').step_by(97))
        {
            let text = String::from(code).repeat(17);
            check(text.as_bytes(), 0, 30);
        }
    }

    #[test]
    fn every_start_of_two_and_three_bytes() {
        for lead in 0xC0..=0xFF {
            for second in 0..=255 {
                let bytes = [
                    [lead, second, 0x80, 0x80].as_slice(),
                    "語の語の語の語の語の語".as_bytes(),
                ]
                .concat();
                check(&bytes, 0, 0);
                check(&bytes[..3], 0, 40);
                check(&[b"abcdefgh".as_slice(), &bytes].concat(), 0, 40);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn any_text(text in "[a-z ]{0,9}[à-ÿ]{0,9}[а-я ]{0,40}[一-龥。]{0,60}[😀-🙏a]{0,9}\\PC{0,99}", before in 0_usize..9) {
            check(text.as_bytes(), before, 0);
            check(text.as_bytes(), before, 60);
        }

        #[test]
        fn damaged_text(text in "[a-zà-ÿ一-龥😀]{1,90}", place: prop::sample::Index, byte: u8) {
            let mut bytes = text.into_bytes();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            check(&bytes, 0, 0);
            check(&bytes[..place], 0, 60);
        }
    }
}
