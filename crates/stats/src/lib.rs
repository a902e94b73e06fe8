//! Compares measurements that were taken side by side: what is kept because it is faster was shown to be faster.
//!
//! Invariants: the same numbers give the same verdict (nothing is sampled), nothing is assumed of how measurements
//! scatter, and what could be chance is no difference.

mod interval;
mod paired;

pub use interval::Interval;
pub use paired::{Comparison, FEWEST_ROUNDS, Verdict, paired};

/// The value in the middle, of an even number the mean of the two in the middle. `None` where there is none, or where
/// one is NaN, which has no place in any order.
pub fn median(values: &[f64]) -> Option<f64> {
    if values.iter().any(|value| value.is_nan()) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    median_of_sorted(&sorted)
}

/// As [`median`], of values that are in order.
fn median_of_sorted(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = sorted[sorted.len() / 2 - 1];
    // Of two equal infinities `midpoint` knows the middle too.
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        let table: [(&[f64], Option<f64>); 8] = [
            (&[], None),
            (&[3.0], Some(3.0)),
            (&[4.0, 1.0], Some(2.5)),
            (&[9.0, 1.0, 2.0], Some(2.0)),
            (&[4.0, 1.0, 3.0, 2.0], Some(2.5)),
            (&[1.0, f64::NAN, 2.0], None),
            (&[1.0, f64::INFINITY, f64::INFINITY, f64::INFINITY], Some(f64::INFINITY)),
            (&[f64::MAX, f64::MAX], Some(f64::MAX)),
        ];
        for (values, expected) in table {
            assert_eq!(median(values), expected, "{values:?}");
        }
    }
}
