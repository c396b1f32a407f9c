//! The same search 32 bytes at a time, for processors that can (AVX2), and for text long enough to be worth a call.

/// Text shorter than this is not worth it.
pub const WORTH_BYTES: usize = 64;

/// Copies ordinary string bytes in steps of 32, and tells how many: a multiple of 32, and perhaps not all.
///
/// # Safety
/// `out` has room for all of the text.
#[inline(always)]
pub unsafe fn copy_ordinary(text: &[u8], out: *mut u8) -> usize {
    #[cfg(target_arch = "x86_64")]
    if text.len() >= WORTH_BYTES && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2; the caller promises the room.
        return unsafe { x86::copy_ordinary(text, out) };
    }
    let _ = (text, out);
    0
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_max_epu8, _mm256_movemask_epi8, _mm256_or_si256,
        _mm256_set1_epi8, _mm256_storeu_si256,
    };

    const STEP: usize = 32;

    /// Marks the special bytes.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn special(bytes: __m256i) -> __m256i {
        let quote = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'"' as i8));
        let backslash = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'\\' as i8));
        let last_control = _mm256_set1_epi8(0x1F);
        let control = _mm256_cmpeq_epi8(_mm256_max_epu8(bytes, last_control), last_control);
        _mm256_or_si256(_mm256_or_si256(quote, backslash), control)
    }

    /// # Safety
    /// `out` has room for all of the text.
    #[target_feature(enable = "avx2")]
    pub unsafe fn copy_ordinary(text: &[u8], out: *mut u8) -> usize {
        let mut at = 0;
        while let Some(block) = text.get(at..at + STEP) {
            // SAFETY: the block has the bytes that are loaded, and the caller promises room for them.
            let bytes = unsafe { _mm256_loadu_si256(block.as_ptr().cast()) };
            if _mm256_movemask_epi8(special(bytes)) != 0 {
                break;
            }
            // SAFETY: as above.
            unsafe { _mm256_storeu_si256(out.add(at).cast(), bytes) };
            at += STEP;
        }
        at
    }
}
