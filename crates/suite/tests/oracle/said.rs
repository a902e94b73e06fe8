//! What `test-fast` says of each program.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use serde_json::Value;
use xtask_testkit::Outcome;

use crate::checkout::{Checkout, Numbers, numbers};
use crate::fake::Fake;

/// One run of `test-fast`.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) outcome: Outcome,
    /// By program, the verdict and why.
    pub(crate) programs: BTreeMap<String, (String, String)>,
    /// Packages whose programs may be missing there, because they were not even built.
    pub(crate) left_out: BTreeSet<String>,
    /// What the tests that ran wrote down.
    pub(crate) ran: Numbers,
}

/// What the oracle examines.
pub(crate) enum Subject {
    Suite,
    Fake(Fake),
}

impl Said {
    /// What a run said that has come to its end: nothing of any program where the workspace cannot be read.
    ///
    /// # Panics
    /// When it is no document.
    pub(crate) fn read(outcome: Outcome, log: &Utf8Path) -> Self {
        let is_mute = outcome.stdout.is_empty() && outcome.code != Some(0);
        let document: Value = serde_json::from_str(if is_mute { "{}" } else { &outcome.stdout })
            .unwrap_or_else(|error| panic!("{error}\n{}\n{}", outcome.stdout, outcome.stderr));
        let programs = document["programs"].as_array().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let programs = programs
            .map(|program| (text(&program["name"]), (text(&program["verdict"]), text(&program["why"]))))
            .collect();
        let left_out = document["left_out"].as_array().into_iter().flatten().map(text).collect();
        Self { outcome, programs, left_out, ran: numbers(log) }
    }

    /// The programs with one of these verdicts.
    pub(crate) fn with(&self, verdicts: &[&str]) -> BTreeSet<String> {
        let chosen = self.programs.iter().filter(|(_, (verdict, _))| verdicts.contains(&verdict.as_str()));
        chosen.map(|(name, _)| name.clone()).collect()
    }
}

impl Subject {
    pub(crate) fn run(&mut self, checkout: &Checkout) -> Said {
        match self {
            Self::Suite => Said::read(Outcome::of(&mut checkout.test_fast()), &checkout.log()),
            Self::Fake(fake) => fake.run(checkout),
        }
    }
}
