//! Which linker to use: the one that is named in the configuration, or the fastest one by measurement.

use anyhow::Result;
use xtask_workspace::config::Setup;
use xtask_workspace::{CargoConfig, Digest, Hasher, Progress};

use super::known::Known;
use super::{Outcome, SetupPlan, SetupReport, State};
use crate::catalog::LinkSettings;
use crate::linker_name::makers_in_words;
use crate::process::Interrupted;
use crate::prove::link_in_force;
use crate::race::{Candidate, Race, race};
use crate::settings::flag_variables;

/// The number of rounds that tells a difference of a few percent from noise.
const ROUNDS: usize = 11;
/// The linkers that are tried in turn when the chosen one fails on a real link.
pub(super) const FALLBACK: [&str; 2] = ["mold", "lld"];

/// A choice of linker: its tool and how it is used; no tool means what is used without the suite.
pub(super) type Choice = Option<(String, LinkSettings)>;

impl SetupPlan<'_> {
    /// The linker that is to be used.
    pub(super) fn choose(
        &self,
        report: &mut SetupReport,
        known: &mut Known,
        progress: &dyn Progress,
    ) -> Result<Choice> {
        let linkers = linkers(&report.tools);
        let chosen = self.options.setup.linker.as_str();
        if let Some(variable) = self.voids_flags.first() {
            progress.note(&format!(
                "{variable} is set, and with it cargo uses no rustflags from files: the linker stays as it is"
            ));
            let in_use = self.settings.link.as_ref();
            return Ok(linkers.into_iter().find(|(_, settings)| Some(settings) == in_use));
        }
        match chosen {
            Setup::DEFAULT => Ok(None),
            Setup::MEASURED => self.measured(&linkers, report, known, progress),
            name => {
                let proven = linkers.into_iter().find(|(linker, _)| linker == name);
                if proven.is_none() {
                    report.fallbacks.push(format!("{name} is not proven to link here"));
                }
                Ok(proven.or_else(|| fallback(&report.tools)))
            }
        }
    }

    /// The linker that is faster than what is in use, beyond the noise; what is in use now, if none is.
    fn measured(
        &self,
        linkers: &[(String, LinkSettings)],
        report: &mut SetupReport,
        known: &mut Known,
        progress: &dyn Progress,
    ) -> Result<Choice> {
        let in_use = self.settings.link.clone().unwrap_or_default();
        let now = linkers.iter().find(|(_, settings)| *settings == in_use).cloned();
        let others = linkers.iter().filter(|(_, settings)| *settings != in_use).collect::<Vec<_>>();
        let now = now.filter(|(_, settings)| !settings.is_default());
        let key = self.race_key(&report.tools);
        let raced = match known.race(&key) {
            Some(raced) => Some(raced.clone()),
            None if !self.options.measure || others.is_empty() => None,
            None => self.race(&in_use, &others, progress)?,
        };
        let Some(raced) = raced else { return Ok(now) };
        known.keep_race(key, &raced);
        let fastest = raced.fastest().and_then(|name| linkers.iter().find(|(linker, _)| linker == name));
        report.race = Some(raced);
        Ok(fastest.cloned().or(now))
    }

    /// What a measurement depends on: the linkers, the toolchain, and the settings that are not ours.
    fn race_key(&self, tools: &[Outcome]) -> Digest {
        let mut hasher = Hasher::new();
        hasher.field(&self.machine.rustc);
        for outcome in tools {
            if let (Some(link), State::Proven { path, version, .. }) = (outcome.link(), &outcome.state) {
                hasher.field(&outcome.name).field(path.as_str()).optional(version.as_deref());
                hasher.field(link.to_string());
            }
        }
        let config = CargoConfig::load(&self.machine.root, &self.machine.environment);
        let host = self.machine.host.as_str();
        let targets = config.targets();
        let of_target = targets
            .iter()
            .flat_map(|target| ["rustflags", "linker"].map(|key| vec!["target", target.as_str(), key]));
        for keys in of_target.chain([vec!["build", "rustflags"]]) {
            for (path, value) in config.set_in(&keys).filter(|(path, _)| *path != self.local_file) {
                hasher.field(path.as_str()).field(keys.join(".")).field(value.to_string());
            }
        }
        for (_, value) in flag_variables(&self.machine.environment, host) {
            hasher.field(value);
        }
        hasher.finish()
    }

    fn race(
        &self,
        in_use: &LinkSettings,
        others: &[&(String, LinkSettings)],
        progress: &dyn Progress,
    ) -> Result<Option<Race>> {
        let baseline = match link_in_force(&self.machine) {
            Ok(in_force) => format!("in use: {}", makers_in_words(&in_force.makers)),
            Err(error) if error.is::<Interrupted>() => return Err(error),
            // The linker in use does not work: there is nothing to compare with.
            Err(error) => {
                progress.note(&format!("linkers were not measured: {error:#}"));
                return Ok(None);
            }
        };
        progress.note(&format!(
            "measuring linkers: `{}` is built once, then its largest test is linked {ROUNDS} times by each",
            self.options.test_command
        ));
        let says = |name: &str| {
            let mut tools = self.tools.iter().map(|planned| &planned.tool);
            tools.find(|tool| tool.name == name).map(|tool| tool.says.clone())
        };
        let baseline = Candidate { name: baseline, settings: in_use.clone(), says: None };
        let candidates = others.iter().map(|(name, settings)| Candidate {
            name: name.clone(),
            settings: settings.clone(),
            says: says(name),
        });
        let candidates = [baseline].into_iter().chain(candidates).collect::<Vec<_>>();
        let raced =
            race(self.workspace, &self.machine, &self.options.test_command, &candidates, ROUNDS, progress);
        match raced {
            Err(error) if error.is::<Interrupted>() => Err(error),
            Err(error) => {
                progress.note(&format!("linkers were not measured: {error:#}"));
                Ok(None)
            }
            raced => raced,
        }
    }
}

/// The proven linkers.
pub(super) fn linkers(tools: &[Outcome]) -> Vec<(String, LinkSettings)> {
    tools.iter().filter_map(|outcome| Some((outcome.name.clone(), outcome.link()?.clone()))).collect()
}

fn fallback(tools: &[Outcome]) -> Choice {
    let linkers = linkers(tools);
    FALLBACK.iter().find_map(|name| linkers.iter().find(|(linker, _)| linker == name)).cloned()
}
