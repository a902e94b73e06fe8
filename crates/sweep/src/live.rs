//! What is needed: the union of the shadow plans of every command that matters.

use std::collections::{BTreeMap, HashMap, HashSet};

use camino::{Utf8Path, Utf8PathBuf};
use xtask_units::inventory::{Inventory, Layout, UnitId, unit_id};
use xtask_units::{Incremental, Shadow, Times, UnitSet};
use xtask_workspace::{CargoCommand, Progress, Workspace};

use crate::disk::DiskUnit;
use crate::guard::Dirs;
use crate::plan::{Planned, SweepOptions};

/// A command whose units are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveCommand {
    /// The command, as it is run.
    pub command: CargoCommand,
    /// Why it counts: ``tier `test-fast` ``.
    pub because: String,
}

/// Everything that is needed.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// The units, each once.
    pub(crate) units: UnitSet,
    /// The index of each unit, by the folder of its profile (without links in the path), layout and id. Cargo does not
    /// look for units anywhere else, such as in the target dir from before a build dir was set.
    pub(crate) places: BTreeMap<Utf8PathBuf, HashMap<(Layout, UnitId), usize>>,
    /// All their files and folders, without links in the paths.
    pub(crate) files: HashSet<Utf8PathBuf>,
    /// What names their incremental folders, by the folder of the profile.
    pub(crate) incremental: BTreeMap<Utf8PathBuf, Vec<Incremental>>,
    /// The commands, for reports.
    pub(crate) planned: Vec<Planned>,
    /// The profiles whose needed units are not known because a plan failed, and which command that was. `None` is every
    /// profile.
    pub(crate) unknown: Vec<(Option<String>, String)>,
    /// Whether a command that makes documentation could not be planned.
    pub(crate) documentation_unknown: bool,
}

impl Live {
    /// Plans all commands. One that cannot be planned is in `unknown`.
    pub(crate) fn plan(
        workspace: &Workspace,
        dirs: &Dirs,
        commands: &[LiveCommand],
        fake: &Utf8Path,
        jobs: usize,
        progress: &dyn Progress,
    ) -> Self {
        let mut live = Self::default();
        let mut distinct = Vec::<CargoCommand>::new();
        // The index of each command in `distinct`.
        let planned = commands.iter().map(|needed| {
            let built = needed.command.clone().without_alias(&workspace.environment).to_build()?;
            Ok(distinct.iter().position(|known| *known == built).unwrap_or_else(|| {
                distinct.push(built);
                distinct.len() - 1
            }))
        });
        let planned = planned.collect::<Vec<Result<usize, String>>>();
        let shadows = xtask_units::plan_all(workspace, &distinct, fake, jobs);
        for shadow in shadows.iter().flatten() {
            // Commands may give the files of the same unit different names in the target dir, and only one unit is kept
            // below.
            let files = shadow.units.iter().flat_map(|unit| &unit.files);
            live.files.extend(files.map(|file| dirs.real(workspace, file)));
        }
        for (LiveCommand { command, because }, planned) in commands.iter().zip(planned) {
            let built = planned.as_ref().ok().map(|&at| &distinct[at]);
            let shadow = planned.and_then(|at| shadows[at].as_ref().map_err(|error| format!("{error:#}")));
            let (units, error) = match shadow {
                Ok(Shadow { units, kept }) => {
                    progress
                        .detail(&format!("{because}: {} units of `{command}` (kept: {kept})", units.len()));
                    (units.len(), None)
                }
                Err(error) => {
                    let documents = |built: &CargoCommand| matches!(&*built.verb, "doc" | "rustdoc");
                    live.documentation_unknown |= built.is_none_or(documents);
                    let profile = built.and_then(CargoCommand::profile_dir).map(str::to_owned);
                    live.unknown.push((profile, format!("{because}: {error}")));
                    (0, Some(error))
                }
            };
            let (command, because) = (command.to_string(), because.clone());
            live.planned.push(Planned { command, because, units, error });
        }
        live.units = UnitSet::new(shadows.iter().flatten().flat_map(|shadow| shadow.units.iter().cloned()));
        for (index, unit) in live.units.iter().enumerate() {
            let profile = dirs.real(workspace, unit.profile_path());
            let is_v2 = unit.fingerprint_dir.file_name() == Some("fingerprint");
            let layout = if is_v2 { Layout::V2 } else { Layout::V1 };
            if let Some(id) = unit_id(&unit.id) {
                live.places.entry(profile.clone()).or_default().insert((layout, id), index);
            }
            live.incremental.entry(profile).or_default().extend(unit.incremental.clone());
        }
        live
    }

    /// Returns which needed unit one on disk is, if it is needed.
    pub(crate) fn on_disk(&self, inventory: &Inventory) -> impl Fn(&DiskUnit) -> Option<usize> {
        let places =
            inventory.profiles.iter().map(|profile| self.places.get(&profile.path)).collect::<Vec<_>>();
        move |unit| places[unit.profile]?.get(&(unit.layout, unit.id)).copied()
    }

    /// Why it is not known what the profile of this name needs.
    pub(crate) fn unknown_in(&self, profile: &str) -> Option<&str> {
        let mut unknown = self.unknown.iter();
        unknown.find(|(of, _)| of.as_ref().is_none_or(|of| of == profile)).map(|(_, why)| why.as_str())
    }
}

/// What is needed elsewhere: by tiers of CI, which no person ran here lately.
#[derive(Debug, Default)]
pub(crate) struct Elsewhere {
    /// The plan of each command, with its reason.
    plans: Vec<(Live, String)>,
    times: Times,
}

impl Elsewhere {
    /// Where a plan fails, the units of its command are not known to be needed by it.
    pub(crate) fn plan(
        workspace: &Workspace,
        dirs: &Dirs,
        options: &SweepOptions,
        progress: &dyn Progress,
    ) -> Self {
        let plan = |needed: &LiveCommand| {
            let commands = std::slice::from_ref(needed);
            let live = Live::plan(workspace, dirs, commands, &options.exe, options.jobs, progress);
            let name = needed.because.trim_start_matches("tier ");
            (live, format!("only {name} needs it (a tier of CI)"))
        };
        let plans = options.elsewhere.iter().map(plan).collect::<Vec<_>>();
        let times = if plans.is_empty() { Times::default() } else { Times::load(workspace) };
        Self { plans, times }
    }

    /// What needs a unit on disk, and how long it takes to compile, if that is known.
    pub(crate) fn need(&self, inventory: &Inventory, unit: &DiskUnit) -> Option<(&str, Option<u64>)> {
        let profile = &inventory.profiles[unit.profile].path;
        self.plans.iter().find_map(|(live, why)| {
            let index = *live.places.get(profile)?.get(&(unit.layout, unit.id))?;
            Some((why.as_str(), live.units.get(index).and_then(|unit| self.times.of(unit))))
        })
    }
}
