//! What the default tiers leave out in this workspace.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use xtask_workspace::config::{Packages, Targets, TierCommand, default_tiers};

use super::manifest::{Dependency, Manifest};
use super::{Member, Page, Workspace, entries, read};

/// Harnesses of benches that know a test run from a measurement.
const HARNESSES: [&str; 6] = ["criterion", "divan", "codspeed", "iai", "gungraun", "libtest_mimic"];

/// Names of members, by the reason why a tier is without them.
type ByReason = BTreeMap<String, BTreeSet<String>>;

/// Writes the tiers that differ from the default ones.
pub(super) fn write(workspace: &Workspace<'_>, page: &mut Page, notes: &mut Vec<String>) {
    let unfit = unfit(workspace);
    let outside = outside_of_default_members(workspace);
    let benches =
        workspace.members.iter().flat_map(|member| benches_that_do_not_end(member, &workspace.root));
    let benches = benches.collect::<BTreeSet<_>>();
    let told = notes.len();
    // As a workspace has them with a preset `common`.
    for tier in default_tiers() {
        let mut entry = Page::default();
        let mut reasons = Vec::new();
        let mut exclude = unfit.clone();
        match &outside {
            Some((why, names)) if tier.packages == Packages::Affected => {
                exclude.insert(why.clone(), names.clone());
            }
            Some((why, names)) => {
                exclude.retain(|_, unfit| {
                    unfit.retain(|name| !names.contains(name));
                    !unfit.is_empty()
                });
                reasons.push(format!("default members: {why}"));
                entry.line("packages = \"default\"");
            }
            None => {}
        }
        let excluded = exclude.values().flatten().cloned().collect::<BTreeSet<_>>();
        if excluded.len() == workspace.members.len() {
            continue;
        }
        if !excluded.is_empty() {
            let names = |names: &BTreeSet<_>| names.iter().cloned().collect::<Vec<_>>();
            reasons.extend(exclude.iter().map(|(why, of)| format!("{}: {why}", names(of).join(", "))));
            entry.list("exclude", &names(&excluded));
        }
        if tier.command == TierCommand::Test && tier.targets == Targets::All && !benches.is_empty() {
            let mut shown = benches.iter().take(2).cloned().collect::<Vec<_>>();
            if benches.len() > 2 {
                shown.push(format!("and {} more", benches.len() - 2));
            }
            reasons.push(format!("no benches: {}", shown.join("; ")));
            entry.list("targets", &["lib", "bins", "tests", "examples"].map(str::to_owned));
        }
        if reasons.is_empty() {
            continue;
        }
        page.table(&format!("tiers.{}", tier.name));
        for reason in reasons {
            // What was said of one tier is not said again of the next.
            if notes[told..].contains(&reason) {
                page.comment("as above");
            } else {
                page.comment(&reason);
                notes.push(reason);
            }
        }
        page.text.push_str(&entry.text);
    }
}

/// Members made for another machine or another way of building.
fn unfit(workspace: &Workspace<'_>) -> ByReason {
    let mut found = ByReason::new();
    for Member { package, manifest } in &workspace.members {
        // A configuration in the package's own folder is in force only for commands that are run from there.
        let configs = [".cargo/config.toml", ".cargo/config"].map(|path| package.dir.join(path));
        let configs = configs.iter().filter(|_| package.dir != workspace.facts.root);
        let configured = configs.map(|path| Manifest::read(&workspace.facts.root, path)).find_map(|config| {
            let place = config.place(config.get(&["build", "target"])?);
            Some(format!("{place} builds it for a target of its own, from its own folder only"))
        });
        let fuzzer = || {
            let dependencies = manifest.dependencies(&workspace.root);
            let fuzzers = ["libfuzzer-sys", "afl", "honggfuzz"];
            let fuzzer = dependencies.iter().find(|dependency| fuzzers.contains(&dependency.package))?;
            let (place, name) = (&fuzzer.place, fuzzer.package);
            Some(format!("{place}: fuzz targets on {name}, which its own command builds and runs"))
        };
        if let Some(why) = configured.or_else(fuzzer) {
            found.entry(why).or_default().insert(package.name.clone());
        }
    }
    found
}

/// The members that `default-members` leaves out, and why, if the files for continuous integration run tests, but not
/// for the whole workspace.
fn outside_of_default_members(workspace: &Workspace<'_>) -> Option<(String, BTreeSet<String>)> {
    let key = workspace.root.get(&["workspace", "default-members"])?;
    let texts = ci_texts(&workspace.facts.root);
    let takes_all =
        |text: &String| text.split_whitespace().any(|word| ["--workspace", "--all"].contains(&word));
    let has_tests = texts.iter().any(|text| text.contains("cargo test") || text.contains("cargo nextest"));
    if !has_tests || texts.iter().any(takes_all) {
        return None;
    }
    let names = workspace.members.iter().map(|member| member.package.name.clone());
    let names = names.filter(|name| !workspace.facts.default_members.contains(name)).collect::<BTreeSet<_>>();
    let place = workspace.root.place(key);
    let why = format!("{place}: `default-members`, and no file for CI takes `--workspace`");
    (!names.is_empty()).then_some((why, names))
}

/// The texts of the files that usually say what continuous integration runs.
fn ci_texts(root: &Utf8Path) -> Vec<String> {
    let folders = [".github/workflows", "ci", ".ci"].map(|folder| entries(&root.join(folder)));
    let files =
        [".gitlab-ci.yml", "justfile", "Justfile", ".justfile", "Makefile"].map(|file| root.join(file));
    folders.into_iter().flatten().chain(files).filter(|path| path.is_file()).map(|path| read(&path)).collect()
}

/// Why a test run cannot take benches of a member: they have no test harness, and no known harness for benches in a version
/// that nextest can ask.
fn benches_that_do_not_end(member: &Member<'_>, root: &Manifest) -> Vec<String> {
    let benches = member.manifest.benches_without_harness();
    if benches.is_empty() {
        return benches;
    }
    let dependencies = member.manifest.dependencies(root);
    let is_known = |name: &str| HARNESSES.iter().any(|harness| name.contains(harness));
    if !dependencies.iter().any(|dependency| is_known(dependency.package)) {
        let why = "`harness = false`, and no dependency is a known harness: it would run as a program";
        return benches.iter().map(|place| format!("{place}: {why}")).collect();
    }
    // `--list --format terse`, which nextest asks of every test program, came with 0.5.
    let is_old = |version: &str| {
        let version = version.trim_start_matches(['=', '^', '~', ' ']);
        let old = ["0.1", "0.2", "0.3", "0.4"].iter().filter_map(|old| version.strip_prefix(old));
        old.into_iter().any(|rest| !rest.starts_with(char::is_numeric))
    };
    let old = dependencies.iter().find(|found| found.package == "criterion" && is_old(found.version));
    let why = |old: &Dependency<'_>| {
        format!("{}: criterion {} cannot list its benchmarks to nextest", old.place, old.version)
    };
    old.map(why).into_iter().collect()
}
