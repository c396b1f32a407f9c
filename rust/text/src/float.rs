//! From decimal digits to the nearest double (Clinger's fast path, then Eisel and Lemire's algorithm).

use super::powers::{GREATEST, LEAST, POWERS_OF_FIVE};

static EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

const FEW_DIGITS: u64 = 10_000_000_000_000;
const MANTISSA_BITS: u32 = 52;
const EXPONENT_BIAS: i64 = 1023;
const LARGEST_EXPONENT: i64 = 2047;

/// The double nearest to `digits * 10^exponent`; None where this takes longer arithmetic.
#[inline(always)]
pub fn nearest(digits: u64, exponent: i64) -> Option<f64> {
    // Both parts are exact doubles, so one operation rounds once. 2^53 would do as the limit, but then
    // nobody could foresee which way numbers of full precision go.
    if digits < FEW_DIGITS && (-22..=22).contains(&exponent) {
        let power = EXACT_POWERS[exponent.unsigned_abs() as usize];
        return Some(if exponent < 0 {
            digits as f64 / power
        } else {
            digits as f64 * power
        });
    }
    eisel_lemire(digits, exponent)
}

#[inline(always)]
fn eisel_lemire(digits: u64, exponent: i64) -> Option<f64> {
    if digits == 0 {
        return Some(0.0);
    }
    if !(LEAST..=GREATEST).contains(&exponent) {
        return None;
    }
    let leading = digits.leading_zeros();
    let (high, low) = product(digits << leading, POWERS_OF_FIVE[(exponent - LEAST) as usize]);
    let upper = (high >> 63) as u32;
    let shift = upper + 64 - MANTISSA_BITS - 3;
    let mut mantissa = high >> shift;
    if low.wrapping_add(1) <= 2 {
        if low == u64::MAX && !(-27..=55).contains(&exponent) {
            return None;
        }
        // Exactly between two doubles: the even one.
        if low <= 1 && (-4..=23).contains(&exponent) && mantissa & 3 == 1 && mantissa << shift == high {
            mantissa &= !1;
        }
    }
    mantissa = (mantissa + (mantissa & 1)) >> 1;
    let binary = ((exponent * (152_170 + 65_536)) >> 16) + 63;
    let power = binary + i64::from(upper) - i64::from(leading) + EXPONENT_BIAS;
    // Neither subnormal nor infinite, even if rounding adds one to the exponent.
    if !(1..LARGEST_EXPONENT - 1).contains(&power) {
        return None;
    }
    // The leading bit of the mantissa, and what rounding carried out of it, add to the exponent.
    Some(f64::from_bits((((power - 1) as u64) << MANTISSA_BITS) + mantissa))
}

/// The leading 128 bits of the product, as exact as rounding to a double needs them.
#[inline(always)]
fn product(digits: u64, power: (u64, u64)) -> (u64, u64) {
    let first = u128::from(digits) * u128::from(power.0);
    let (mut high, mut low) = ((first >> 64) as u64, first as u64);
    if high & 0x1FF == 0x1FF {
        let second = u128::from(digits) * u128::from(power.1);
        let (sum, carry) = low.overflowing_add((second >> 64) as u64);
        low = sum;
        high += u64::from(carry);
    }
    (high, low)
}
