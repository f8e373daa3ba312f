//! Logarithms for the measures of filters.
//!
//! Those that decide over bytes are made of sums, products and quotients alone, which every
//! processor rounds alike; the ones of the system's library differ in their last bit.

use std::f64::consts::{LN_2, PI, SQRT_2};

/// The natural logarithm of a positive number.
pub(super) fn ln(number: f64) -> f64 {
    let (mut fraction, mut halvings) = (number, 0.0);
    while fraction > SQRT_2 {
        fraction /= 2.0;
        halvings += 1.0;
    }
    while fraction < 1.0 / SQRT_2 {
        fraction *= 2.0;
        halvings -= 1.0;
    }
    // 2 artanh(t), with t at most 0.172: sixteen terms are beyond the precision.
    let t = (fraction - 1.0) / (fraction + 1.0);
    let (mut sum, mut power, mut divisor) = (0.0, t, 1.0);
    for _ in 0..16 {
        sum += power / divisor;
        power *= t * t;
        divisor += 2.0;
    }
    halvings * LN_2 + 2.0 * sum
}

/// e to the power of a number from -30 to 0.
pub(super) fn exp(number: f64) -> f64 {
    // Of a number of at most 1 in size, twenty terms are beyond the precision.
    let part = number / 32.0;
    let (mut sum, mut term, mut count) = (0.0, 1.0, 0.0);
    for _ in 0..20 {
        sum += term;
        count += 1.0;
        term *= part / count;
    }
    for _ in 0..5 {
        sum *= sum;
    }
    sum
}

/// log2 of the number of ways to choose so many of all.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(super) fn log2_choices(all: u64, chosen: u64) -> f64 {
    let rest = all.saturating_sub(chosen);
    (ln_factorial(all as f64) - ln_factorial(chosen as f64) - ln_factorial(rest as f64)) / LN_2
}

/// Stirling's series, exact to ten digits from the first number on.
fn ln_factorial(number: f64) -> f64 {
    if number < 16.0 {
        let mut product = 1.0;
        let mut factor = 2.0;
        while factor <= number {
            product *= factor;
            factor += 1.0;
        }
        return ln(product);
    }
    let inverse = 1.0 / number;
    let correction = inverse / 12.0 - inverse * inverse * inverse / 360.0;
    number * ln(number) - number + 0.5 * ln(2.0 * PI * number) + correction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_those_of_the_library() {
        for number in [1e-9, 0.001, 0.3, 0.5, 0.707, 0.999, 1.0, 2.0, 1e7] {
            let (found, expected) = (ln(number), f64::ln(number));
            assert!(
                (found - expected).abs() < 1e-14 * expected.abs().max(1.0),
                "{number}"
            );
        }
        for number in [-22.0, -1.0, -0.7, -0.3, -0.001, 0.0] {
            let (found, expected) = (exp(number), f64::exp(number));
            assert!((found / expected - 1.0).abs() < 1e-13, "{number}");
        }
    }

    #[test]
    fn choices_are_counted() {
        let near = |found: f64, expected: f64| {
            assert!(
                (found - expected).abs() < 1e-6 * expected.max(1.0),
                "{found}"
            );
        };
        near(log2_choices(10, 3), 120_f64.log2());
        near(log2_choices(40, 20), 137_846_528_820_f64.log2());
        near(log2_choices(5, 5), 0.0);
        near(log2_choices(1_000_000, 1), 1_000_000_f64.log2());
    }
}
