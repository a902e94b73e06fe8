//! Which features of a preset do not go together with the others.

use std::collections::BTreeSet;

use anyhow::Result;
use xtask_workspace::config::Preset;
use xtask_workspace::preset_features;

use super::FoundFeatures;
use super::check::{Check, Failure};

/// Looks for the features of `preset` that are to blame for failures which are not there with default features alone.
/// `None` where there are no such failures.
///
/// They are turned on in halves, so that a few that fail among many cost a few checks each. Of two that exclude each
/// other the first stays.
pub(super) fn features(
    check: &Check<'_>,
    preset: &Preset,
    failures: &[Failure],
) -> Result<Option<FoundFeatures>> {
    if failures.is_empty() || !preset.default_features {
        return Ok(None);
    }
    let base = check.run(None)?;
    let Some(_) = first_new(failures, &base) else { return Ok(None) };
    let mut search = Search { check, preset, base, kept: BTreeSet::new(), dropped: Vec::new() };
    let all = all(check, preset);
    // Those of the members that fail come last: where two exclude each other, the rest of the workspace stays whole.
    let is_failing = |feature: &String| {
        let failing = |failure: &Failure| feature.split('/').next() == Some(&failure.member);
        failures.iter().any(failing)
    };
    let (failing, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_failing);
    search.turn_on(&others)?;
    search.turn_on(&failing)?;
    let Search { base, kept, dropped, .. } = search;
    Ok(Some(FoundFeatures { kept, dropped, failures: base }))
}

/// The features of the preset as `member/feature`.
fn all(check: &Check<'_>, preset: &Preset) -> BTreeSet<String> {
    let members = check.packages();
    if !preset.all_features {
        return preset_features(preset, &members);
    }
    let features = members.iter().flat_map(|member| {
        let names = member.features.keys().filter(|name| *name != "default");
        names.map(|name| format!("{}/{name}", member.name))
    });
    features.collect()
}

/// The first failure that is not one of `base`.
fn first_new<'a>(failures: &'a [Failure], base: &[Failure]) -> Option<&'a Failure> {
    failures.iter().find(|failure| base.iter().all(|other| !other.is_of_same_target(failure)))
}

struct Search<'a> {
    check: &'a Check<'a>,
    preset: &'a Preset,
    base: Vec<Failure>,
    kept: BTreeSet<String>,
    dropped: Vec<(String, String)>,
}

impl Search<'_> {
    /// Turns on all that can be of `candidates`, in their order.
    fn turn_on(&mut self, candidates: &[String]) -> Result<()> {
        if candidates.is_empty() {
            return Ok(());
        }
        let features = self.kept.iter().chain(candidates).cloned().collect::<BTreeSet<_>>();
        let preset = Preset {
            features: features.iter().cloned().collect(),
            all_features: false,
            default_features: true,
            ..self.preset.clone()
        };
        let failures = self.check.run(Some(&preset))?;
        match (first_new(&failures, &self.base), candidates) {
            (None, _) => self.kept = features,
            (Some(failure), [feature]) => self.dropped.push((feature.clone(), failure.why.clone())),
            (Some(_), _) => {
                let (first, second) = candidates.split_at(candidates.len() / 2);
                self.turn_on(first)?;
                self.turn_on(second)?;
            }
        }
        Ok(())
    }
}
