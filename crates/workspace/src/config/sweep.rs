//! The `[sweep]` table.

use std::time::Duration;

use camino::Utf8Path;

use super::problem::Problems;
use super::settings::Settings;
use super::types::Sweep;
use crate::CargoCommand;

/// The settings of `[sweep]`; the defaults without one. `root` is where kept commands are run.
pub(super) fn sweep(file: Option<&Settings>, root: &Utf8Path, problems: &mut Problems<'_>) -> Sweep {
    let Some(settings) = file else { return Sweep::default() };
    let mut keep = Vec::new();
    for text in settings.list("keep").unwrap_or_default() {
        match CargoCommand::parse(&text.text, root) {
            Ok(command) => keep.push(command),
            Err(why) => {
                let message = format!("{}: `{}` {why}", settings.label("keep"), text.text);
                let hint = "write it as it is typed: `cargo +nightly check --workspace`".to_owned();
                problems.add(text.offset, message, Some(hint));
            }
        }
    }
    let defaults = Sweep::default();
    let age = |key: &str, default: Option<Duration>| match settings.text(key) {
        // The only word there is: never.
        Some(_) => None,
        None => settings.duration(key).or(default),
    };
    Sweep {
        keep,
        grace: settings.duration("grace").unwrap_or(defaults.grace),
        max_size: settings.bytes("max-size"),
        package: age("package", defaults.package),
        doc: age("doc", defaults.doc),
        timings: age("timings", defaults.timings),
        other_toolchains: settings.choice("other-toolchains").unwrap_or(defaults.other_toolchains),
        sole_owner: settings.bool("sole-owner").unwrap_or(defaults.sole_owner),
    }
}
