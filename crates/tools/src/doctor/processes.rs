//! Other programs that build this workspace into the same target dir: whoever comes second waits, and flags that differ
//! make each rebuild what the other has built.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

use super::{Check, Patient};

/// Programs that start cargo by themselves.
const BUILDERS: [&str; 5] = ["rust-analyzer", "cargo-watch", "bacon", "cargo", "cargo-nextest"];

pub(super) fn check(patient: &Patient<'_>) -> Vec<Check> {
    let root = patient.root();
    let setting = [".vscode/settings.json", "rust-analyzer.toml", ".rust-analyzer.toml"]
        .iter()
        .filter_map(|file| std::fs::read_to_string(root.join(file)).ok())
        .any(|text| sets_own_dir(&text));
    let target = &patient.workspace.facts.target_dir;
    let running = running();
    let sharing = running.iter().filter(|program| program.shares(root, target, setting)).collect::<Vec<_>>();
    vec![judge(&sharing, running.iter().filter(|program| program.is_in(root)).count())]
}

/// A program that starts cargo.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Running {
    pid: u32,
    name: String,
    dir: Utf8PathBuf,
    args: Vec<String>,
    /// `CARGO_TARGET_DIR` or `CARGO_BUILD_TARGET_DIR` in its environment.
    target_dir: Option<String>,
}

/// Those that run now, but for us, whoever started us, and whom we started.
fn running() -> Vec<Running> {
    let Ok(mut system) = System::new() else { return Vec::new() };
    let named = ProcessRefreshKind::nothing().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, named);
    let above = |from: Pid| {
        let mut seen = BTreeSet::new();
        let mut next = Some(from);
        while let Some(pid) = next.filter(|pid| seen.insert(*pid)) {
            next = system.process(pid).and_then(sysinfo::Process::parent);
        }
        seen
    };
    let us = Pid::from_u32(std::process::id());
    let starters = above(us);
    // What other checks ask runs meanwhile, too.
    let is_ours = |pid: Pid| starters.contains(&pid) || above(pid).contains(&us);
    let is_builder =
        |process: &sysinfo::Process| process.name().to_str().is_some_and(|name| BUILDERS.contains(&name));
    let pids = system.processes().iter().filter(|(pid, process)| is_builder(process) && !is_ours(**pid));
    let pids = pids.map(|(pid, _)| *pid).collect::<Vec<_>>();
    if pids.is_empty() {
        return Vec::new();
    }
    // Only of these: the rest of a machine's processes are nobody's concern, and cost time.
    let all =
        named.with_cwd(UpdateKind::Always).with_environ(UpdateKind::Always).with_cmd(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), false, all);
    let mut running = pids.iter().filter_map(|pid| read(system.process(*pid)?)).collect::<Vec<_>>();
    running.sort_by_key(|program| program.pid);
    running
}

fn read(process: &sysinfo::Process) -> Option<Running> {
    let text = |text: &std::ffi::OsString| text.to_string_lossy().into_owned();
    let variables = process.environ().iter().map(text).collect::<Vec<_>>();
    let names = ["CARGO_TARGET_DIR=", "CARGO_BUILD_TARGET_DIR="];
    let target_dir = names.iter().find_map(|name| variables.iter().find_map(|text| text.strip_prefix(name)));
    Some(Running {
        pid: process.pid().as_u32(),
        name: process.name().to_str()?.to_owned(),
        dir: Utf8PathBuf::from_path_buf(process.cwd()?.to_owned()).ok()?,
        args: process.cmd().iter().skip(1).map(text).collect(),
        target_dir: target_dir.map(str::to_owned),
    })
}

impl Running {
    fn is_in(&self, root: &Utf8Path) -> bool {
        self.dir.starts_with(root)
    }

    /// Whether it builds the workspace at `root` into `target`, as far as can be told from outside; `setting` says that
    /// the editor's files give rust-analyzer a dir of its own.
    fn shares(&self, root: &Utf8Path, target: &Utf8Path, setting: bool) -> bool {
        if !self.is_in(root) || (setting && self.name == "rust-analyzer") {
            return false;
        }
        let after =
            self.args.iter().position(|arg| arg == "--target-dir").and_then(|at| self.args.get(at + 1));
        let joined = self.args.iter().find_map(|arg| arg.strip_prefix("--target-dir="));
        let dir = joined.or(after.map(String::as_str)).or(self.target_dir.as_deref());
        dir.is_none_or(|dir| self.dir.join(dir) == target)
    }
}

/// Whether an editor's settings give rust-analyzer a target dir of its own.
fn sets_own_dir(text: &str) -> bool {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("//") && !line.starts_with('#'));
    lines.into_iter().any(|line| {
        let Some((_, value)) = line.split_once("targetDir") else { return false };
        let value = value.trim_start_matches(['"', ' ', ':', '=']).trim_end_matches([',', ' ']);
        !["", "null", "false"].contains(&value)
    })
}

fn judge(sharing: &[&Running], seen: usize) -> Check {
    const NAME: &str = "programs";
    if sharing.is_empty() {
        return Check::ok(
            NAME,
            match seen {
                0 => "no other program builds here now".to_owned(),
                seen => format!("{seen} running here, with target dirs of their own"),
            },
        );
    }
    let names = sharing.iter().map(|program| format!("{} (pid {})", program.name, program.pid));
    let evidence = format!("building into the same target dir now: {}", names.collect::<Vec<_>>().join(", "));
    let fix = if sharing.iter().any(|program| program.name == "rust-analyzer") {
        "set rust-analyzer.cargo.targetDir = true in the editor's settings"
    } else {
        "start it with a CARGO_TARGET_DIR of its own, or wait for it"
    };
    Check::warn(NAME, evidence, fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn a_program_shares_the_target_dir_unless_it_has_its_own() {
        let program = |name: &str, dir: &str, args: &[&str], target: Option<&str>| Running {
            pid: 7,
            name: name.into(),
            dir: dir.into(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            target_dir: target.map(str::to_owned),
        };
        // the program, whether the editor's settings part it; whether it shares
        let table = [
            (program("rust-analyzer", "/w", &[], None), false, true),
            (program("rust-analyzer", "/w", &[], None), true, false),
            (program("rust-analyzer", "/other", &[], None), false, false),
            (program("cargo", "/w/member", &["build"], None), true, true),
            (program("cargo", "/w", &["build"], Some("/elsewhere")), false, false),
            (program("cargo", "/w", &["build"], Some("target")), false, true),
            (program("cargo", "/w", &["build", "--target-dir", "/elsewhere"], None), false, false),
            (program("cargo", "/w", &["build", "--target-dir=/w/target"], Some("/x")), false, true),
        ];
        for (program, setting, shares) in table {
            assert_eq!(program.shares("/w".into(), "/w/target".into(), setting), shares, "{program:?}");
            let sharing = if shares { vec![&program] } else { Vec::new() };
            let check = judge(&sharing, 1);
            assert_eq!(check.status, if shares { Status::Warn } else { Status::Ok });
            assert_eq!(check.evidence.contains("(pid 7)"), shares, "{check:?}");
        }
    }

    #[test]
    fn settings_of_editors_are_read() {
        let table = [
            ("{\n  \"rust-analyzer.cargo.targetDir\": true,\n}", true),
            ("{ \"rust-analyzer.cargo.targetDir\": \"target/ra\"\n}", true),
            ("{\n  \"rust-analyzer.cargo.targetDir\": null,\n}", false),
            ("{\n  // \"rust-analyzer.cargo.targetDir\": true,\n}", false),
            ("[cargo]\ntargetDir = true\n", true),
            ("{}", false),
        ];
        for (text, sets) in table {
            assert_eq!(sets_own_dir(text), sets, "{text}");
        }
    }
}
