//! What the default tiers leave out in this workspace.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use xtask_workspace::config::{Packages, Targets, TierCommand, default_tiers};

use super::manifest::Manifest;
use super::render::Page;
use super::{Member, Workspace, entries, read};

/// Harnesses of benches that know a test run from a measurement.
const HARNESSES: [&str; 6] = ["criterion", "divan", "codspeed", "iai", "gungraun", "libtest_mimic"];

/// Writes the tiers that differ from the default ones.
pub(super) fn write(workspace: &Workspace<'_>, page: &mut Page, notes: &mut Vec<String>) {
    let unfit = unfit(workspace);
    let outside = outside_of_default_members(workspace);
    let benches =
        workspace.members.iter().flat_map(|member| benches_that_do_not_end(member, &workspace.root));
    let benches = benches.collect::<BTreeSet<_>>();
    let nextest = Manifest::read(&workspace.facts.root, &workspace.facts.root.join(".config/nextest.toml"));
    let mut told = BTreeSet::new();
    // As a workspace has them where there is a preset `common`.
    for tier in default_tiers() {
        let mut entry = Page::default();
        let mut explain = |entry: &mut Page, subject: &str, why: &str| {
            let sentence = format!("{subject}: {why}");
            // What was said of one tier is not said again of the next.
            entry.comment(if told.contains(&sentence) { "as above" } else { &sentence });
            if told.insert(sentence.clone()) {
                notes.push(sentence);
            }
        };
        let mut exclude = unfit.clone();
        if let Some((names, why)) = &outside {
            if tier.packages == Packages::Affected {
                exclude.extend(names.iter().map(|name| (name.clone(), why.clone())));
            } else {
                exclude.retain(|name, _| !names.contains(name));
                explain(&mut entry, "default members", why);
                entry.string("packages", "default");
            }
        }
        if exclude.len() == workspace.members.len() {
            continue;
        }
        if !exclude.is_empty() {
            let mut by_reason = BTreeMap::<&str, Vec<&str>>::new();
            for (name, why) in &exclude {
                by_reason.entry(why).or_default().push(name);
            }
            for (why, names) in by_reason {
                explain(&mut entry, &names.join(", "), why);
            }
            entry.list("exclude", &exclude.into_keys().collect::<Vec<_>>());
        }
        let runs_benches = tier.command == TierCommand::Test && tier.targets == Targets::All;
        if runs_benches && !benches.is_empty() {
            let shown = benches.iter().take(2).cloned().collect::<Vec<_>>().join("; ");
            let more = benches.len().saturating_sub(2);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            explain(&mut entry, "no benches", &format!("{shown}{more}"));
            entry.list("targets", &["lib", "bins", "tests", "examples"].map(str::to_owned));
        }
        let ci = nextest.get(&["profile", "ci"]).filter(|_| tier.name == "test-full");
        if let Some(ci) = ci {
            explain(&mut entry, "nextest", &format!("{} has a profile for CI", nextest.place(ci)));
            entry.string("nextest-profile", "ci");
        }
        let entry = entry.finish();
        if !entry.is_empty() {
            page.table(&format!("tiers.{}", tier.name));
            page.text(&entry);
        }
    }
}

/// Members made for another machine or another way of building, each with the reason.
fn unfit(workspace: &Workspace<'_>) -> BTreeMap<String, String> {
    let why = |Member { package, manifest }: &Member<'_>| {
        // A configuration in the package's own folder is in force only for commands that are run from there.
        let configured = [".cargo/config.toml", ".cargo/config"].into_iter().find_map(|path| {
            let config = Manifest::read(&workspace.facts.root, &package.dir.join(path));
            let target = config.get(&["build", "target"])?;
            Some(format!(
                "{} builds it for a target of its own, from its own folder only",
                config.place(target)
            ))
        });
        let fuzzers = ["libfuzzer-sys", "afl", "honggfuzz"];
        let dependencies = manifest.dependencies(&workspace.root);
        let fuzzer = dependencies.iter().find(|dependency| fuzzers.contains(&dependency.package));
        configured.filter(|_| package.dir != workspace.facts.root).or_else(|| {
            let fuzzer = fuzzer?;
            let name = fuzzer.package;
            Some(format!("{}: fuzz targets on {name}, which its own command builds and runs", fuzzer.place))
        })
    };
    let found =
        workspace.members.iter().filter_map(|member| Some((member.package.name.clone(), why(member)?)));
    found.collect()
}

/// The members that `default-members` leaves out, and why, where the files for continuous integration test, and none of
/// them takes the whole workspace.
fn outside_of_default_members(workspace: &Workspace<'_>) -> Option<(BTreeSet<String>, String)> {
    let key = workspace.root.get(&["workspace", "default-members"])?;
    let texts = ci_texts(&workspace.facts.root);
    let has = |text: &str, wanted: &[&str]| text.split_whitespace().any(|word| wanted.contains(&word));
    let has_tests = texts.iter().any(|text| text.contains("cargo test") || text.contains("cargo nextest"));
    if !has_tests || texts.iter().any(|text| has(text, &["--workspace", "--all"])) {
        return None;
    }
    let names = workspace.members.iter().map(|member| member.package.name.clone());
    let names = names.filter(|name| !workspace.facts.default_members.contains(name)).collect::<BTreeSet<_>>();
    let place = workspace.root.place(key);
    let why = format!("{place}: `default-members`, and no file for CI takes `--workspace`");
    (!names.is_empty()).then_some((names, why))
}

/// The texts of the files that usually say what continuous integration runs.
fn ci_texts(root: &Utf8Path) -> Vec<String> {
    let folders = [".github/workflows", "ci", ".ci"].map(|folder| entries(&root.join(folder)));
    let files =
        [".gitlab-ci.yml", "justfile", "Justfile", ".justfile", "Makefile"].map(|file| root.join(file));
    folders.into_iter().flatten().chain(files).filter(|path| path.is_file()).map(|path| read(&path)).collect()
}

/// The benches of a member that a test run cannot take, each as the reason: they have no test harness, and none of the
/// known ones for benches in a version that is fit for it.
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
    let old = dependencies
        .iter()
        .filter(|dependency| dependency.package == "criterion" && is_old(dependency.version));
    let why = |place: &str, version: &str| {
        format!("{place}: criterion {version} cannot list its benchmarks to nextest")
    };
    old.map(|criterion| why(&criterion.place, criterion.version)).take(1).collect()
}
