//! When each unit started and how long it took, from the page that `cargo --timings` writes.
//!
//! The page holds its data as JSON, but without unit ids: units are matched by package, version, target and
//! features, and where that names more than one, the figures are marked as ambiguous.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::record::BuiltUnit;
use crate::unit::{Mode, TargetKind};

/// One unit of the page.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TimedUnit {
    name: String,
    version: String,
    target: String,
    #[serde(default)]
    features: Vec<String>,
    start: f64,
    duration: f64,
}

/// What both sides know of a unit.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    package: String,
    version: String,
    kind: TargetKind,
    /// `None` for libraries and build scripts, of which a package has one each.
    target: Option<String>,
    mode: Mode,
    test: bool,
    features: Vec<String>,
}

/// The units of a timings page; none when it holds no data that can be read.
pub(crate) fn parse(page: &str) -> Vec<TimedUnit> {
    let Some((_, rest)) = page.split_once("const UNIT_DATA = ") else { return Vec::new() };
    let mut units = serde_json::Deserializer::from_str(rest).into_iter::<Vec<TimedUnit>>();
    units.next().and_then(Result::ok).unwrap_or_default()
}

/// Gives every unit that was compiled its figures.
pub(crate) fn assign(units: &mut [BuiltUnit], timed: &[TimedUnit]) {
    let mut by_key = BTreeMap::<Key, Vec<&TimedUnit>>::new();
    for unit in timed.iter().filter(|unit| unit.duration > 0.0 || unit.start > 0.0) {
        if let Some(key) = unit.key() {
            by_key.entry(key).or_default().push(unit);
        }
    }
    let mut claims = BTreeMap::<Key, usize>::new();
    for unit in units.iter().filter(|unit| !unit.fresh) {
        *claims.entry(key_of(unit)).or_default() += 1;
    }
    for unit in units.iter_mut().filter(|unit| !unit.fresh) {
        let key = key_of(unit);
        let Some(candidates) = by_key.get(&key) else { continue };
        let Some(first) = candidates.first() else { continue };
        unit.ambiguous = candidates.len() > 1 || claims.get(&key).is_some_and(|count| *count > 1);
        let count = candidates.len() as f64;
        let total = candidates.iter().map(|unit| unit.duration).sum::<f64>();
        unit.start_ms = Some(milliseconds(first.start));
        unit.duration_ms = Some(milliseconds(total / count));
    }
}

/// Whole milliseconds of a time in seconds, as reports give it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time, never negative")]
pub fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}

fn key_of(unit: &BuiltUnit) -> Key {
    let named = !matches!(unit.kind, TargetKind::Lib | TargetKind::BuildScript) || unit.test;
    Key {
        package: unit.package.clone(),
        version: unit.version.clone(),
        kind: unit.kind,
        target: named.then(|| unit.target.clone()),
        mode: unit.mode,
        test: unit.test,
        features: unit.features.clone(),
    }
}

impl TimedUnit {
    /// Reads the words of `target`: nothing for a library, ` app "bin" (test)`, ` build-script (run)`,
    /// ` (check)` (cargo's `core/compiler/timings/mod.rs`). `None` for doc tests, which are no units.
    fn key(&self) -> Option<Key> {
        let words = self.target.trim();
        let (words, state) = match words.rsplit_once('(') {
            Some((before, state)) => (before.trim(), state.trim_end_matches(')')),
            None => (words, ""),
        };
        let (kind, target) = if words == "build-script" {
            (TargetKind::BuildScript, None)
        } else if let Some((name, kind)) = words.rsplit_once(' ') {
            let kind = match kind.trim_matches('"') {
                "bin" => TargetKind::Bin,
                "example" => TargetKind::Example,
                "test" => TargetKind::IntegrationTest,
                "bench" => TargetKind::Bench,
                _ => TargetKind::Lib,
            };
            (kind, Some(name.to_owned()))
        } else {
            (TargetKind::Lib, None)
        };
        let (mode, test) = match state {
            "" => (Mode::Build, false),
            "test" => (Mode::Build, true),
            "check" => (Mode::Check, false),
            "check-test" | "check test" => (Mode::Check, true),
            "run" => (Mode::RunBuildScript, false),
            "doc" => (Mode::Doc, false),
            _ => return None,
        };
        let mut features = self.features.clone();
        features.sort();
        Some(Key {
            package: self.name.clone(),
            version: self.version.clone(),
            kind,
            target,
            mode,
            test,
            features,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(target: &str) -> TimedUnit {
        TimedUnit {
            name: "p".into(),
            version: "1.0.0".into(),
            target: target.into(),
            features: vec![],
            start: 1.0,
            duration: 2.0,
        }
    }

    #[test]
    fn reads_the_words_of_a_target() {
        let table = [
            ("", Some((TargetKind::Lib, None, Mode::Build, false))),
            (" (check)", Some((TargetKind::Lib, None, Mode::Check, false))),
            (" my_lib \"lib\" (test)", Some((TargetKind::Lib, Some("my_lib"), Mode::Build, true))),
            (" app \"bin\"", Some((TargetKind::Bin, Some("app"), Mode::Build, false))),
            (" it \"test\" (test)", Some((TargetKind::IntegrationTest, Some("it"), Mode::Build, true))),
            (" build-script", Some((TargetKind::BuildScript, None, Mode::Build, false))),
            (" build-script (run)", Some((TargetKind::BuildScript, None, Mode::RunBuildScript, false))),
            (" my_lib \"lib\" (doc test)", None),
        ];
        for (words, expected) in table {
            let key = timed(words).key().map(|key| (key.kind, key.target, key.mode, key.test));
            let expected =
                expected.map(|(kind, name, mode, test)| (kind, name.map(str::to_owned), mode, test));
            assert_eq!(key, expected, "{words}");
        }
    }

    #[test]
    fn two_units_that_only_their_ids_tell_apart_are_marked() {
        let unit = BuiltUnit {
            package: "p".into(),
            version: "1.0.0".into(),
            target: "p".into(),
            kind: TargetKind::Lib,
            mode: Mode::Build,
            ..BuiltUnit::default()
        };
        let mut once = [unit.clone()];
        assign(&mut once, &[timed("")]);
        assert_eq!(
            (once[0].duration_ms, once[0].start_ms, once[0].ambiguous),
            (Some(2000), Some(1000), false)
        );

        let mut twice = [unit.clone(), unit.clone()];
        assign(&mut twice, &[timed(""), TimedUnit { duration: 4.0, ..timed("") }]);
        assert!(twice.iter().all(|unit| unit.ambiguous && unit.duration_ms == Some(3000)));

        let mut fresh = [BuiltUnit { fresh: true, ..unit }];
        assign(&mut fresh, &[timed("")]);
        assert_eq!(fresh[0].duration_ms, None);
    }

    #[test]
    fn a_page_of_another_form_has_no_units() {
        assert!(parse("<html>").is_empty());
        assert!(parse("const UNIT_DATA = {\"new\": 1};").is_empty());
        let page = "x\nconst UNIT_DATA = [{\"name\":\"a\",\"version\":\"1\",\"target\":\"\",\"start\":0.5,\"duration\":1.0}];\nlet";
        assert_eq!(parse(page).len(), 1);
    }
}
