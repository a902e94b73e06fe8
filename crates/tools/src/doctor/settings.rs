//! The settings of this machine: whether they are kept out of git, read by cargo, and in force.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use super::wrapper::located;
use super::{Check, SafeFix, Subject};
use crate::settings::{Around, LOCAL_FILE, LocalSettings, Overruled, includes, local_file, overruled};
use crate::setup::{Known, in_force_key};

const SETUP: &str = "cargo xtask setup";
/// Where cargo cannot start rustc, it cannot start us either, unless these settings are gone first.
pub(super) const SETUP_ANEW: &str = "rm .cargo/xtask.local.toml && cargo xtask setup";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let (root, machine, environment) = (subject.root(), &subject.machine, &subject.workspace.environment);
    let config = &subject.workspace.cargo_config;
    let file = local_file(root);
    let known = Known::read(&machine.state_dir);
    if !file.is_file() {
        let check = if known == Known::default() {
            Check::warn("settings", "nothing was measured or set for this machine yet", SETUP)
        } else {
            Check::ok("settings", "setup found nothing that is worth setting here")
        };
        return vec![check];
    }
    let settings = LocalSettings::read(&file, &machine.host);
    let relative = Utf8Path::new(".cargo").join(LOCAL_FILE);
    let tracked = subject.tracked.as_ref().is_some_and(|files| files.contains(&relative));
    let around = Around::of(root, config, environment);
    let mut checks = vec![judge_git(&relative, tracked, around.ignored)];
    checks.push(judge_programs(&missing_programs(&settings), SETUP));
    let included = around.included;
    if !included && includes(subject.cargo) {
        let evidence = format!("cargo does not read {relative}: no configuration file includes it");
        checks.push(Check::warn("settings include", evidence, "add the include").with_safe(SafeFix::Include));
    } else if included {
        checks.push(Check::ok("settings include", format!("cargo reads {relative}")));
    }
    // Where they cannot be included, what is stronger is all that counts.
    if included || includes(subject.cargo) {
        let overruled = overruled(&settings, &file, &machine.host, config, environment);
        // `sccache` and `/usr/bin/sccache` are one program.
        let same = |one: &&Overruled| {
            let theirs = located(&one.theirs, environment);
            one.key == "build.rustc-wrapper" && theirs.is_some() && theirs == located(&one.ours, environment)
        };
        let differing = overruled.iter().filter(|one| !same(one));
        checks.extend(differing.map(|one| judge_overruled(one, root, &machine.host)));
    }
    if included {
        let text = fs::read_to_string(&file).ok();
        let key = in_force_key(config, text.as_deref(), machine);
        checks.push(match known.in_force(&key) {
            Some(seen) => Check::ok("settings in force", seen),
            None => Check::warn(
                "settings in force",
                "not seen in a build since the configuration, the toolchain or the environment has changed",
                SETUP,
            ),
        });
    }
    checks
}

fn judge_git(file: &Utf8Path, tracked: bool, ignored: bool) -> Check {
    const NAME: &str = "settings";
    if tracked {
        let evidence = format!("{file} is committed: it breaks every machine that lacks these programs");
        return Check::fail(NAME, evidence, format!("git rm --cached {file}, and add /{file} to .gitignore"));
    }
    if !ignored {
        let evidence = format!("git does not ignore {file}: the next `git add .` commits it");
        return Check::fail(NAME, evidence, format!("add /{file} to .gitignore")).with_safe(SafeFix::Ignore);
    }
    Check::ok(NAME, format!("{file}, which git ignores"))
}

/// The programs that the settings name by their paths, and that are gone.
pub(super) fn missing_programs(settings: &LocalSettings) -> Vec<Utf8PathBuf> {
    let link = settings.link.iter();
    let linker = link.clone().filter_map(|link| link.linker.as_deref());
    let flags =
        link.flat_map(|link| &link.rustflags).filter_map(|flag| flag.rsplit_once('=').map(|(_, path)| path));
    let wrapper = settings.rustc_wrapper.as_deref().map(Utf8Path::as_str);
    let paths = linker.chain(flags).chain(wrapper).map(Utf8Path::new);
    paths.filter(|path| path.is_absolute() && !path.exists()).map(Utf8Path::to_owned).collect()
}

pub(super) fn judge_programs(missing: &[Utf8PathBuf], fix: &str) -> Check {
    let names = missing.iter().map(|path| path.as_str()).collect::<Vec<_>>().join(", ");
    if missing.is_empty() {
        return Check::ok("settings programs", "every program that is named exists");
    }
    let evidence = format!("{LOCAL_FILE} names programs that do not exist, so cargo cannot build: {names}");
    Check::fail("settings programs", evidence, fix)
}

fn judge_overruled(overruled: &Overruled, root: &Utf8Path, host: &str) -> Check {
    let Overruled { key, ours, theirs, file, variable } = overruled;
    let name = format!("setting {key}");
    let evidence =
        format!("{ours}, set for this machine, does not count: {} says `{theirs}`", overruled.by());
    let inside = file.as_deref().and_then(|file| file.strip_prefix(root).ok());
    match (inside, file, variable) {
        (Some(inside), ..) => {
            // The one part with dots in it would be the triple's.
            let last = key.rsplit('.').next().unwrap_or(key);
            let parts =
                if key.starts_with("target.") { vec!["target", host, last] } else { vec!["build", last] };
            let key = parts.into_iter().map(str::to_owned).collect();
            Check::fail(&name, evidence, format!("remove it from {inside}"))
                .with_safe(SafeFix::RemoveKey { file: inside.to_owned(), key })
        }
        (None, Some(file), _) => Check::fail(&name, evidence, format!("remove `{key}` from {file}")),
        // A variable may be set on purpose.
        (None, None, Some(variable)) => Check::warn(&name, evidence, format!("unset {variable}")),
        (None, None, None) => Check::fail(&name, evidence, SETUP),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::LinkSettings;
    use crate::doctor::Status;

    #[test]
    fn the_local_file_has_to_be_ignored_by_git() {
        // tracked, ignored; the status, what --fix does
        let table = [
            (false, true, Status::Ok, None),
            (false, false, Status::Fail, Some(SafeFix::Ignore)),
            (true, true, Status::Fail, None),
            (true, false, Status::Fail, None),
        ];
        for (tracked, ignored, status, safe) in table {
            let check = judge_git(".cargo/xtask.local.toml".into(), tracked, ignored);
            let found = (check.status, check.fix.and_then(|fix| fix.safe));
            assert_eq!(found, (status, safe), "{tracked} {ignored}");
        }
    }

    #[test]
    fn programs_that_are_gone_are_named() {
        let settings = |linker: &str, flag: &str, wrapper: Option<&str>| LocalSettings {
            link: Some(LinkSettings { linker: Some(linker.into()), rustflags: vec![flag.into()] }),
            rustc_wrapper: wrapper.map(Utf8PathBuf::from),
            jobs: None,
        };
        let table = [
            (settings("/bin/sh", "-Clink-arg=--ld-path=/bin/sh", None), &[][..]),
            (settings("clang", "-Clink-arg=-fuse-ld=mold", None), &[]),
            (
                settings("/bin/sh", "-Clink-arg=--ld-path=/gone/wild", Some("/gone/sccache")),
                &["/gone/wild", "/gone/sccache"],
            ),
            (settings("/gone/clang", "-g", Some("/bin/sh")), &["/gone/clang"]),
        ];
        for (settings, gone) in table {
            let missing = missing_programs(&settings);
            assert_eq!(missing, gone.iter().map(Utf8PathBuf::from).collect::<Vec<_>>());
            let status = if gone.is_empty() { Status::Ok } else { Status::Fail };
            assert_eq!(judge_programs(&missing, SETUP).status, status);
        }
    }

    #[test]
    fn what_overrules_a_setting_is_moved_only_where_it_is_ours_to_move() {
        let host = "x86_64-unknown-linux-gnu";
        let overruled = |key: &str, file: Option<&str>, variable: Option<&str>| Overruled {
            key: key.into(),
            ours: "2".into(),
            theirs: "4".into(),
            file: file.map(Utf8PathBuf::from),
            variable: variable.map(str::to_owned),
        };
        let linker = format!("target.{host}.linker");
        // who overrules which key, how bad that is, what to do, which key --fix removes
        let table = [
            (
                overruled("build.jobs", Some("/w/.cargo/config.toml"), None),
                Status::Fail,
                "remove it from .cargo/config.toml",
                Some(vec!["build", "jobs"]),
            ),
            (
                overruled(&linker, Some("/w/.cargo/config.toml"), None),
                Status::Fail,
                "remove it from .cargo/config.toml",
                Some(vec!["target", host, "linker"]),
            ),
            (
                overruled("build.jobs", Some("/shared.toml"), None),
                Status::Fail,
                "remove `build.jobs` from /shared.toml",
                None,
            ),
            (
                overruled("build.jobs", None, Some("CARGO_BUILD_JOBS")),
                Status::Warn,
                "unset CARGO_BUILD_JOBS",
                None,
            ),
        ];
        for (overruled, status, text, key) in table {
            let check = judge_overruled(&overruled, "/w".into(), host);
            let fix = check.fix.unwrap();
            let removed = fix.safe.map(|safe| match safe {
                SafeFix::RemoveKey { key, .. } => key,
                other => panic!("{other}"),
            });
            assert_eq!((check.status, fix.text.as_str()), (status, text));
            assert_eq!(removed, key.map(|key| key.into_iter().map(str::to_owned).collect::<Vec<_>>()));
        }
    }
}
