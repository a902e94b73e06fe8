//! A sweep killed at each of its removals in turn, and each of them failing in turn.
//!
//! The calls are sampled, evenly and with the first and last of each kind.
//! `XTASK_FAULTS=all cargo test --package xtask-workshop --test sweep faults` tries every one.

use std::collections::BTreeMap;
use std::process::Command;

use camino::Utf8PathBuf;
use xtask_testkit::{Call, Fault, Faults, Injected, assert_all_fired, sample, scrub};

use crate::support::{EXE, FEW_TIERS, Small, number, texts};

/// A build dir that can be put back into the state before the sweep, with the times of everything.
struct Before {
    small: Small,
    aside: Utf8PathBuf,
}

impl Before {
    fn new(name: &str, new_layout: bool) -> Self {
        let mut small = Small::new(name, FEW_TIERS);
        if new_layout {
            small.place.with_new_layout();
        }
        small.build_all();
        small.run("RUSTFLAGS='--cfg old' cargo build");
        small.write("app/src/main.rs", "fn main() { println!(\"{} new\", lib::value()); }\n");
        small.build_all();
        // The plans are kept, so that no run makes others.
        small.place.sweep(&["--dry-run"], 0);
        let aside = small.fixture.root().join("aside");
        small.run(&format!("cp -a target {aside}"));
        Self { small, aside }
    }

    fn restore(&self) {
        // Synced, or the kernel has not yet said how much each file takes up.
        self.small.run(&format!("rm -rf target && cp -a {} target && sync -f target", self.aside));
    }

    /// Bytes on the disk, but for what the suite keeps.
    fn size(&self) -> u64 {
        let du = self.small.run("du -s --block-size=1 --exclude=xtask-suite target").stdout;
        du.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// On one core everything is done by the main thread, whose calls are counted.
    fn command(&self) -> Command {
        let mut command = Command::new("taskset");
        scrub(&mut command).args(["-c", "0", EXE, "clean-stale", "--json"]).current_dir(self.small.root());
        command.envs(&self.small.place.variables);
        command
    }

    /// What is needed is there, or is made again by cargo: the programs print what they should.
    fn is_right(&self, seen: &str) {
        for line in ["cargo run --quiet", "RUSTFLAGS='--cfg old' cargo run --quiet"] {
            let outcome = self.small.place.shell(line);
            assert_eq!(
                (outcome.code, &*outcome.stdout),
                (Some(0), "41 new\n"),
                "{line}: {outcome:?}\n{seen}"
            );
        }
    }

    fn prove(&self, fault: Fault, calls: usize) {
        let make = || {
            self.restore();
            self.command()
        };
        let faults = Faults::reference(make, &self.small.root().join("target"));
        assert_eq!(faults.outcome.code, Some(0), "{:?}", faults.outcome);
        let removals =
            faults.calls.iter().filter(|call| call.name == "unlinkat").cloned().collect::<Vec<_>>();
        assert!(removals.len() > 30, "{removals:?}");
        let tried = sample(&removals, calls);
        let mut runs = Vec::new();
        for call in &tried {
            let command = make();
            let before = self.size();
            let run = faults.inject(&command, call, fault);
            self.check(&run, call, fault, before);
            runs.push(run);
        }
        assert_all_fired(&tried, &runs);
    }

    fn check(&self, run: &Injected, call: &Call, fault: Fault, before: u64) {
        if let Fault::Error(error) = fault {
            let swept: serde_json::Value = serde_json::from_str(&run.outcome.stdout)
                .unwrap_or_else(|error| panic!("{error}\n{}", run.seen));
            let errors = texts(&swept, "errors", "path");
            let freed = number(&swept, "freed_bytes");
            let really = before - self.size();
            assert!(freed <= really, "{error} at {call}: {really} bytes are free, not {freed}: {swept:#}");
            // Only an empty folder that stays is no failure worth a word.
            if !errors.is_empty() {
                assert_eq!(run.outcome.code, Some(1), "{error}: {}", run.seen);
                let still_there =
                    errors.iter().all(|path| Utf8PathBuf::from(path).symlink_metadata().is_ok());
                assert!(still_there, "{error} at {call}: {errors:?}");
            }
        }
        // Never fresh without its outputs: cargo itself is asked, of what is needed and of what is not.
        self.no_unit_looks_fresh_without_its_outputs(&run.seen);
        self.is_right(&run.seen);
    }

    /// Every fingerprint that cargo would call fresh has the unit's outputs beside it (layout v1).
    fn no_unit_looks_fresh_without_its_outputs(&self, seen: &str) {
        let deps = self.small.root().join("target/debug/deps");
        let outputs = deps.read_dir_utf8().into_iter().flatten().flatten();
        let mut ids = BTreeMap::<String, usize>::new();
        for output in outputs {
            let name = output.file_name();
            if let Some(at) = name.rfind('-') {
                *ids.entry(name[at + 1..].chars().take(16).collect()).or_default() += 1;
            }
        }
        for package in ["app", "lib", "tiny"] {
            for dir in self.small.fingerprints("debug", package) {
                let id = dir.file_name().unwrap().rsplit_once('-').unwrap().1;
                let files = dir.read_dir_utf8().unwrap().flatten();
                let whole = files
                    .filter(|file| file.path().extension().is_none() && !file.file_name().contains("dep-"));
                if whole.count() > 0 {
                    assert!(ids.contains_key(id), "{dir} has no outputs\n{seen}");
                }
            }
        }
    }
}

#[test]
fn killed_at_every_removal() {
    Before::new("killed", false).prove(Fault::Kill, 8);
}

#[test]
fn killed_at_every_removal_in_layout_v2() {
    Before::new("killed-2", true).prove(Fault::Kill, 6);
}

#[test]
fn every_removal_fails() {
    let before = Before::new("fails", false);
    for error in ["EIO", "EACCES", "ENOSPC"] {
        before.prove(Fault::Error(error), 3);
    }
}
