//! Where a median lies, told by the values themselves.
//!
//! Each value lies above the true median or below it, as a coin falls; so how many of `n` lie below is binomial, and
//! the k-th smallest and the k-th largest enclose the median with a probability that needs no further assumption
//! (W. J. Conover, "Practical Nonparametric Statistics", on confidence intervals for a quantile).

use std::f64::consts::LN_2;

use serde::{Deserialize, Serialize};

/// How often an interval must enclose the true median.
const LEAST_COVERAGE: f64 = 0.95;

/// Where a median lies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end, one of the values.
    pub low: f64,
    /// The upper end, one of the values.
    pub high: f64,
    /// How often such an interval encloses the true median: at least 0.95, more where the number of values allows no
    /// interval that is nearer to it, or where values are equal.
    pub coverage: f64,
}

/// The narrowest interval of at least 95 % coverage around the median of `sorted`; `None` of fewer than six values,
/// which have none.
pub(crate) fn around_median(sorted: &[f64]) -> Option<Interval> {
    let (rank, coverage) = narrowest(sorted.len())?;
    Some(Interval { low: sorted[rank], high: sorted[sorted.len() - 1 - rank], coverage })
}

/// How many of `count` sorted values lie below the lower end (and as many above the upper one), and the coverage.
fn narrowest(count: usize) -> Option<(usize, f64)> {
    let mut found = None;
    // By logarithms: 2^-n itself is zero from n = 1075 on.
    let mut ln_probability = -(count as f64) * LN_2;
    let mut below = 0.0;
    for rank in 0..count / 2 {
        below += ln_probability.exp();
        let coverage = 1.0 - 2.0 * below;
        if coverage < LEAST_COVERAGE {
            break;
        }
        found = Some((rank, coverage));
        ln_probability += ((count - rank) as f64 / (rank + 1) as f64).ln();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_and_coverage_are_those_of_the_printed_tables() {
        // How many values, the rank of the lower end (counted from 1), the coverage: sums of binomial coefficients.
        let table = [
            (6, 1, 0.968_75),
            (7, 1, 0.984_375),
            (8, 1, 0.992_187_5),
            (9, 2, 0.960_937_5),
            (10, 2, 0.978_515_625),
            (12, 3, 0.961_425_781_25),
            (15, 4, 0.964_843_75),
            (20, 6, 0.958_610_534_667_968_8),
            (30, 10, 0.957_226_054_742_932_3),
        ];
        for (count, rank, coverage) in table {
            let (found, actual) = narrowest(count).unwrap();
            assert_eq!(found + 1, rank, "{count}");
            assert!((actual - coverage).abs() < 1e-12, "{count}: {actual}");
        }
        for count in 0..6 {
            assert_eq!(narrowest(count), None, "{count}");
        }
    }

    #[test]
    fn a_great_many_values_are_no_trouble() {
        for count in [1_000, 5_000, 100_000] {
            let (rank, coverage) = narrowest(count).unwrap();
            // By the normal approximation half of the interval is 0.98 times the square root of the number.
            let half = 0.98 * (count as f64).sqrt();
            let expected = count as f64 / 2.0 - half;
            assert!((rank as f64 - expected).abs() < 3.0, "{count}: {rank}, about {expected}");
            assert!((0.95..0.96).contains(&coverage), "{count}: {coverage}");
        }
    }
}
