//! One comparison: two things measured in the same rounds, so that what slows the machine down slows both.

use serde::{Deserialize, Serialize};

use crate::interval::{Interval, around_median};
use crate::median_of_sorted;

/// With fewer rounds no interval encloses a median in 95 of 100 cases: of five values not even that from the smallest
/// to the largest does (1 - 2 · 2⁻⁵ = 0.9375).
pub const FEWEST_ROUNDS: usize = 6;

/// What a comparison says of the candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It gains at least what was asked for.
    Faster,
    /// The baseline gains at least as much over it.
    Slower,
    /// Neither is shown.
    NoDifference,
    /// There were fewer than [`FEWEST_ROUNDS`] rounds.
    TooFewRounds,
}

/// A candidate compared with a baseline. Medians are in the unit of the measurements, in the suite milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// How many rounds counted.
    pub rounds: usize,
    /// The median of the baseline; `None` when no round counted.
    pub baseline_median: Option<f64>,
    /// The median of the candidate; `None` when no round counted.
    pub candidate_median: Option<f64>,
    /// The median of the ratios candidate / baseline, one per round: 0.8 is 20 % less time. `None` when no round
    /// counted.
    pub ratio: Option<f64>,
    /// Where the true median of the ratios lies; `None` with fewer than [`FEWEST_ROUNDS`] rounds. An end is infinite
    /// (in JSON `null`) where the baseline took no time at all.
    pub interval: Option<Interval>,
    /// What that comes to.
    pub verdict: Verdict,
}

/// Compares measurements of which element `i` of both was taken in round `i`. A gain counts when it is greater than
/// `least_gain`, a share of 1: with 0.03 the candidate is faster where the whole interval lies below 0.97, and slower
/// where it lies above 1 / 0.97, so that two that change their places change their verdicts.
///
/// A round with a measurement that is none (NaN, infinite, negative, or missing because one list is shorter) does not
/// count. Zeros do: two make a ratio of 1, and one beside another number makes 0 or infinity. A `least_gain` outside
/// of 0 to 1 is taken as the nearer end, NaN as 0.
pub fn paired(baseline: &[f64], candidate: &[f64], least_gain: f64) -> Comparison {
    let measured = |value: f64| value.is_finite() && value >= 0.0;
    let rounds = baseline.iter().copied().zip(candidate.iter().copied());
    let (mut baseline, mut candidate): (Vec<_>, Vec<_>) =
        rounds.filter(|&(one, other)| measured(one) && measured(other)).unzip();
    let mut ratios =
        baseline.iter().zip(&candidate).map(|(&one, &other)| ratio(one, other)).collect::<Vec<_>>();
    for values in [&mut baseline, &mut candidate, &mut ratios] {
        values.sort_by(f64::total_cmp);
    }
    let interval = around_median(&ratios);
    let least_gain = if least_gain.is_nan() { 0.0 } else { least_gain.clamp(0.0, 1.0) };
    Comparison {
        rounds: ratios.len(),
        baseline_median: median_of_sorted(&baseline),
        candidate_median: median_of_sorted(&candidate),
        ratio: median_of_sorted(&ratios),
        interval,
        verdict: interval.map_or(Verdict::TooFewRounds, |interval| verdict(interval, least_gain)),
    }
}

fn ratio(baseline: f64, candidate: f64) -> f64 {
    // Zero by zero is not a number, but nothing has changed; and a zero may have a sign.
    let ratio = (candidate / baseline).abs();
    if ratio.is_nan() { 1.0 } else { ratio }
}

fn verdict(interval: Interval, least_gain: f64) -> Verdict {
    let bound = 1.0 - least_gain;
    if interval.high < bound {
        Verdict::Faster
    } else if interval.low * bound > 1.0 {
        Verdict::Slower
    } else {
        Verdict::NoDifference
    }
}

#[cfg(test)]
mod tests {
    use xtask_testkit::Random;

    use super::*;

    /// Baseline, candidate, how many rounds count, their ratio.
    type Row = (&'static [f64], &'static [f64], usize, Option<f64>);

    /// The ratio below which this share of all ratios lies.
    type Quantile = fn(f64) -> f64;

    const INFINITE: f64 = f64::INFINITY;

    /// Six rounds with a baseline of 100.
    fn six(candidate: [f64; 6]) -> Comparison {
        paired(&[100.0; 6], &candidate, 0.03)
    }

    #[test]
    fn verdicts() {
        use Verdict::{Faster, NoDifference, Slower};
        let table = [
            ([100.0; 6], NoDifference),
            ([96.0, 95.0, 90.0, 96.5, 80.0, 96.0], Faster),
            // Of six rounds the interval is from the smallest to the largest, so one that is no gain counts.
            ([96.0, 95.0, 90.0, 96.5, 80.0, 97.5], NoDifference),
            ([97.0; 6], NoDifference),
            ([104.0, 105.0, 110.0, 103.5, 120.0, 104.0], Slower),
            ([104.0, 105.0, 110.0, 102.5, 120.0, 104.0], NoDifference),
            // More than 3 % more, but of this the baseline is no 3 % less.
            ([103.05; 6], NoDifference),
            ([50.0, 200.0, 50.0, 200.0, 50.0, 200.0], NoDifference),
            ([0.0; 6], Faster),
        ];
        for (candidate, expected) in table {
            assert_eq!(six(candidate).verdict, expected, "{candidate:?}");
        }
    }

    #[test]
    fn numbers_are_those_of_the_rounds_that_count() {
        let comparison = six([50.0, 60.0, 70.0, 80.0, 90.0, 95.0]);
        assert_eq!((comparison.rounds, comparison.baseline_median), (6, Some(100.0)));
        assert_eq!((comparison.candidate_median, comparison.ratio), (Some(75.0), Some(0.75)));
        let interval = Interval { low: 0.5, high: 0.95, coverage: 0.968_75 };
        assert_eq!(comparison.interval.map(|found| (found.low, found.high)), Some((0.5, 0.95)));
        assert!((comparison.interval.unwrap().coverage - interval.coverage).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_measurement_takes_its_round_along() {
        let table: [Row; 9] = [
            (&[], &[], 0, None),
            (&[1.0], &[], 0, None),
            (&[1.0, 2.0, 3.0], &[2.0], 1, Some(2.0)),
            (&[1.0, f64::NAN, 1.0], &[1.0, 1.0, f64::NAN], 1, Some(1.0)),
            (&[1.0, -1.0, INFINITE], &[3.0, 1.0, 1.0], 1, Some(3.0)),
            (&[0.0], &[0.0], 1, Some(1.0)),
            (&[0.0], &[5.0], 1, Some(INFINITE)),
            (&[-0.0], &[5.0], 1, Some(INFINITE)),
            (&[5.0], &[0.0], 1, Some(0.0)),
        ];
        for (baseline, candidate, rounds, ratio) in table {
            let comparison = paired(baseline, candidate, 0.03);
            assert_eq!((comparison.rounds, comparison.ratio), (rounds, ratio), "{baseline:?} {candidate:?}");
            assert_eq!((comparison.interval, comparison.verdict), (None, Verdict::TooFewRounds));
        }
        let mut candidate = [50.0; 7];
        candidate[3] = f64::NAN;
        assert_eq!(paired(&[100.0; 7], &candidate, 0.03).verdict, Verdict::Faster);
        assert_eq!(paired(&[100.0; 6], &candidate, 0.03).verdict, Verdict::TooFewRounds);
    }

    #[test]
    fn a_least_gain_that_is_no_share_is_taken_as_the_nearer_end() {
        let gains = |least_gain| paired(&[100.0; 6], &[99.0; 6], least_gain).verdict;
        for (least_gain, expected) in [
            (0.0, Verdict::Faster),
            (f64::NAN, Verdict::Faster),
            (-1.0, Verdict::Faster),
            (0.03, Verdict::NoDifference),
            (1.0, Verdict::NoDifference),
            (INFINITE, Verdict::NoDifference),
        ] {
            assert_eq!(gains(least_gain), expected, "{least_gain}");
        }
        assert_eq!(paired(&[1.0; 6], &[9.0; 6], 7.0).verdict, Verdict::NoDifference);
    }

    /// A number above 0 and below 1.
    fn share(random: &mut Random) -> f64 {
        (f64::from(u32::try_from(random.number() >> 32).unwrap()) + 0.5) / 2f64.powi(32)
    }

    /// Milliseconds as a busy machine has them: rarely far below, sometimes far above 100.
    fn milliseconds(random: &mut Random) -> f64 {
        100.0 * (1.0 + 0.2 * share(random)) + if random.chance(10) { 300.0 * share(random) } else { 0.0 }
    }

    fn rounds(random: &mut Random, count: usize) -> Vec<f64> {
        (0..count).map(|_| milliseconds(random)).collect()
    }

    #[test]
    fn the_interval_encloses_the_true_median_as_often_as_it_says() {
        // Their true median is the quantile of one half.
        let distributions: [(&str, Quantile); 3] = [
            ("uniform", |share| 0.5 + share),
            ("exponential", |share| -(1.0 - share).ln()),
            ("heavy tails", |share| 1.0 / (1.0 - share) / (1.0 - share)),
        ];
        let mut random = Random::new(7);
        for (name, quantile) in distributions {
            for count in [6, 7, 9, 10, 15, 20, 41] {
                let times = 4_000;
                let mut enclosed = 0;
                let mut said = 0.0;
                for _ in 0..times {
                    let ratios = (0..count).map(|_| quantile(share(&mut random))).collect::<Vec<_>>();
                    let interval = paired(&vec![1.0; count], &ratios, 0.0).interval.unwrap();
                    said = interval.coverage;
                    enclosed += u32::from(interval.low <= quantile(0.5) && quantile(0.5) <= interval.high);
                }
                let actual = f64::from(enclosed) / f64::from(times);
                // Four standard deviations of what is counted here.
                assert!((actual - said).abs() < 0.014, "{name}, {count} rounds: {actual}, not {said}");
                assert!(said >= 0.95, "{name}, {count} rounds: {said}");
            }
        }
    }

    #[test]
    fn the_same_measurements_twice_are_never_a_difference() {
        let mut random = Random::new(11);
        for _ in 0..2_000 {
            let count = 6 + random.below(30);
            let values = rounds(&mut random, count);
            let comparison = paired(&values, &values, 0.0);
            assert_eq!((comparison.verdict, comparison.ratio), (Verdict::NoDifference, Some(1.0)));
        }
    }

    #[test]
    fn who_changes_places_changes_the_verdict() {
        let mut random = Random::new(13);
        let mut seen = std::collections::HashMap::new();
        for _ in 0..5_000 {
            let count = random.below(30);
            let factor = 0.7 + 0.6 * share(&mut random);
            let baseline = rounds(&mut random, count);
            let candidate =
                rounds(&mut random, count).into_iter().map(|value| value * factor).collect::<Vec<_>>();
            let verdict = paired(&baseline, &candidate, 0.03).verdict;
            let swapped = match verdict {
                Verdict::Faster => Verdict::Slower,
                Verdict::Slower => Verdict::Faster,
                same => same,
            };
            assert_eq!(paired(&candidate, &baseline, 0.03).verdict, swapped);
            *seen.entry(verdict).or_insert(0) += 1;
        }
        assert!(seen.len() == 4 && seen.values().all(|&times| times > 50), "{seen:?}");
    }
}
