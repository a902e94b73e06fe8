//! What is in force of cargo's configuration: the settings of this machine, flags for rustc, programs that wrap rustc, and
//! the compiler cache.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;
use xtask_workspace::{
    Call, CargoConfig, Environment, LOCAL_FILE, cfg, local_file, missing_wrapper, program_at, tracked,
};

use super::{Check, SETUP, SafeFix, Subject, lacking, size};
use crate::edits::{Around, includes};
use crate::process::{last_lines, output, uninterrupted};
use crate::prove::cache_size;
use crate::settings::{FlagSources, LocalSettings, Overruled, overruled, variables_that_void_flags};
use crate::setup::in_force_key;
use crate::tool::kept;

/// The longest that a wrapper may take to pass on a call that compiles nothing; a longer one loops or hangs.
const WRAPPER_ANSWERS: Duration = Duration::from_secs(5);
/// sccache's server answers in 10 ms.
const SERVER_ANSWERS: Duration = Duration::from_secs(3);
/// On this machine; a closed port refuses at once.
const CONNECTS: Duration = Duration::from_millis(200);

/// Whether the settings of this machine are kept out of git, read by cargo, and in force.
pub(super) fn settings(subject: &Subject<'_>) -> Vec<Check> {
    let Subject { workspace, machine, known, cargo, .. } = subject;
    let (root, environment, config) = (workspace.root(), &workspace.environment, &workspace.cargo_config);
    let file = local_file(root);
    if !file.is_file() {
        return vec![if known.is_new() {
            Check::warn("settings", "nothing was measured or set for this machine yet", SETUP)
        } else {
            Check::ok("settings", "setup found nothing that is worth setting here")
        }];
    }
    let settings = LocalSettings::read(&file, &machine.host);
    let relative = Utf8Path::new(".cargo").join(LOCAL_FILE);
    let tracked = tracked(root, environment).is_some_and(|files| files.contains(&relative));
    let around = Around::of(root, config, environment);
    let mut checks = vec![judge_git(&relative, tracked, around.ignored)];
    checks.push(judge_programs(&missing_programs(&settings)));
    if around.included {
        checks.push(Check::ok("settings include", format!("cargo reads {relative}")));
    } else if includes(*cargo) {
        let evidence = format!("cargo does not read {relative}: no configuration file includes it");
        let check = Check::warn("settings include", evidence, "add the include");
        checks.push(check.with_safe(SafeFix::Include));
    } else {
        return checks;
    }
    for one in overruled(&settings, &file, &machine.host, config, environment) {
        // `sccache` and `/usr/bin/sccache` are one program.
        let theirs = program_at(&one.theirs, environment);
        let same = theirs.is_some() && theirs == program_at(&one.ours, environment);
        if !same || one.key != "build.rustc-wrapper" {
            checks.push(judge_overruled(&one, root));
        }
    }
    if !around.included {
        return checks;
    }
    let key = in_force_key(config, std::fs::read_to_string(&file).ok().as_deref(), machine);
    checks.push(match kept(known.in_force.as_ref(), &key) {
        Some(seen) => Check::ok("settings in force", seen),
        None => Check::warn(
            "settings in force",
            "not seen in a build since the configuration, the toolchain or the environment has changed",
            SETUP,
        ),
    });
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

/// The programs that the settings name by their paths and that do not exist.
fn missing_programs(settings: &LocalSettings) -> Vec<Utf8PathBuf> {
    let link = settings.link.iter();
    let linker = link.clone().filter_map(|link| link.linker.as_deref());
    let flags =
        link.flat_map(|link| &link.rustflags).filter_map(|flag| flag.rsplit_once('=').map(|(_, path)| path));
    let wrapper = settings.rustc_wrapper.as_deref().map(Utf8Path::as_str);
    let paths = linker.chain(flags).chain(wrapper).map(Utf8Path::new);
    paths.filter(|path| path.is_absolute() && !path.exists()).map(Utf8Path::to_owned).collect()
}

fn judge_programs(missing: &[Utf8PathBuf]) -> Check {
    let names = missing.iter().map(|path| path.as_str()).collect::<Vec<_>>().join(", ");
    if missing.is_empty() {
        return Check::ok("settings programs", "every program that is named exists");
    }
    let evidence = format!("{LOCAL_FILE} names programs that do not exist, so cargo cannot build: {names}");
    // With it cargo cannot start us, either.
    Check::fail("settings programs", evidence, format!("rm .cargo/{LOCAL_FILE} && {SETUP}"))
}

fn judge_overruled(overruled: &Overruled, root: &Utf8Path) -> Check {
    let Overruled { key, ours, theirs, by, file } = overruled;
    let name = format!("setting {key}");
    let evidence = format!("{ours}, set for this machine, does not count: {by} says `{theirs}`");
    let Some(file) = file else {
        // It may be set on purpose.
        return Check::warn(&name, evidence, by.replace("the variable", "unset"));
    };
    // A wrapper or a linker may be the whole team's, so it is ours that goes; a number of jobs is nobody else's business.
    let inside = file.strip_prefix(root).unwrap_or(file);
    if key == "build.jobs" && inside.is_relative() {
        let key = ["build", "jobs"].map(str::to_owned).to_vec();
        return Check::fail(&name, evidence, format!("remove it from {inside}"))
            .with_safe(SafeFix::RemoveKey { file: inside.to_owned(), key });
    }
    Check::fail(&name, evidence, format!("{SETUP}, which drops it; or remove theirs from {inside}"))
}

/// Flags for rustc have several sources, of which cargo takes one kind and silently drops the others.
pub(super) fn flags(subject: &Subject<'_>) -> Check {
    let workspace = subject.workspace;
    let (config, environment, root) = (&workspace.cargo_config, &workspace.environment, workspace.root());
    let host = subject.machine.host.as_str();
    let conditions = cfg::settings(root, environment, host);
    judge_flags(config, environment, host, root, &|condition| cfg::holds(condition, &conditions))
}

fn judge_flags(
    config: &CargoConfig,
    environment: &Environment,
    host: &str,
    root: &Utf8Path,
    holds: &dyn Fn(&str) -> bool,
) -> Check {
    const NAME: &str = "rustflags";
    let FlagSources { target, build } = FlagSources::of(config, environment, host, &|_| true, holds);
    let words = |sources: &[String]| sources.join(", ").replace(&format!("{root}/"), "");
    let all = words(&[&target[..], &build].concat());
    if let Some(variable) = variables_that_void_flags(environment).first() {
        if all.is_empty() {
            return Check::ok(NAME, format!("from the variable {variable} only"));
        }
        let fix = format!("unset {variable}, or put its flags where the others are");
        return Check::warn(NAME, format!("{variable} is set, and voids {all}"), fix);
    }
    if !target.is_empty() && !build.is_empty() {
        return Check::warn(
            NAME,
            format!("{} void {}", words(&target), words(&build)),
            "put all flags into one table, [target.…] or [build]: cargo does not join the two",
        );
    }
    Check::ok(NAME, if all.is_empty() { "none are set".to_owned() } else { format!("from {all}") })
}

/// Programs that wrap rustc: each exists, passes calls on to rustc, and does not call itself.
pub(super) fn wrappers(subject: &Subject<'_>) -> Result<Vec<Check>> {
    let (config, environment) = (&subject.workspace.cargo_config, &subject.workspace.environment);
    let mut checks = Vec::new();
    for (name, key) in [("wrapper", "rustc-wrapper"), ("workspace wrapper", "rustc-workspace-wrapper")] {
        if let Some((program, by)) = config.wrapper(key, environment) {
            checks.push(judge_wrapper(name, &program, &by, subject)?);
        }
    }
    if checks.is_empty() {
        checks.push(Check::ok("wrapper", "none"));
    }
    Ok(checks)
}

fn judge_wrapper(name: &str, program: &str, by: &str, subject: &Subject<'_>) -> Result<Check> {
    let (root, environment) = (subject.workspace.root(), &subject.workspace.environment);
    if let Some(lack) = missing_wrapper(program, by, environment) {
        return Ok(lacking(name, &lack));
    }
    if is_sccache(program) {
        // Calling it would start its server.
        return Ok(Check::ok(name, format!("{program}, set by {by}")));
    }
    // As cargo asks rustc what it makes; nothing is compiled.
    let call = Call::new(root, program, ["rustc", "-", "--crate-name", "___", "--print", "file-names"]);
    let fix = format!("fix {program}, or remove it from {by}");
    Ok(match uninterrupted(output(&call, environment, WRAPPER_ANSWERS))? {
        Ok(said) if said.code == Some(0) && said.stdout.contains("___") => {
            Check::ok(name, format!("{program}, set by {by}, passes on calls of rustc"))
        }
        Ok(said) => {
            let why = last_lines(&said.stderr, &said.stdout);
            Check::fail(name, format!("`{call}` does not answer as rustc does: {why}"), fix)
        }
        Err(error) => Check::fail(name, format!("{program} calls itself or hangs: {error:#}"), fix),
    })
}

/// Whether a program is the compiler cache, by its name.
fn is_sccache(program: &str) -> bool {
    Utf8Path::new(program).file_stem() == Some("sccache")
}

/// The compiler cache, where one is in use: variables that make it useless, room in it, and a server that answers.
pub(super) fn cache(subject: &Subject<'_>) -> Result<Vec<Check>> {
    let (config, environment) = (&subject.workspace.cargo_config, &subject.workspace.environment);
    let wrapper = config.wrapper("rustc-wrapper", environment).map(|(program, _)| program);
    // What does not exist is said as a wrapper that does not.
    let is_there = |program: &String| is_sccache(program) && program_at(program, environment).is_some();
    let Some(program) = wrapper.filter(is_there) else { return Ok(Vec::new()) };
    let by_table = config.env().remove("CARGO_INCREMENTAL");
    let mut checks =
        Vec::from_iter(judge_incremental(environment.get("CARGO_INCREMENTAL"), by_table.as_deref()));
    // sccache's default.
    let port = environment.get("SCCACHE_SERVER_PORT").and_then(|port| port.parse().ok()).unwrap_or(4226);
    // To ask for statistics would start a server where none runs.
    if TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), CONNECTS).is_err() {
        checks.push(judge_cache(None));
        return Ok(checks);
    }
    let call = Call::new(subject.workspace.root(), program, ["--show-stats", "--stats-format=json"]);
    let said =
        uninterrupted(output(&call, environment, SERVER_ANSWERS))?.map_err(|error| format!("{error:#}"));
    checks.push(match said {
        Ok(said) if said.code == Some(0) => judge_cache(serde_json::from_str(&said.stdout).ok().as_ref()),
        other => {
            let why = other.err().unwrap_or_else(|| format!("`{call}` failed"));
            let evidence = format!("port {port} answers, but not as a server of this sccache: {why}");
            Check::warn(
                "sccache",
                evidence,
                "set SCCACHE_SERVER_PORT to a free port, or end what listens there",
            )
        }
    });
    Ok(checks)
}

fn judge_incremental(variable: Option<&str>, table: Option<&str>) -> Option<Check> {
    let (by, fix) = match variable {
        Some(_) => ("the environment", "unset CARGO_INCREMENTAL"),
        None => ("[env] in cargo's configuration", "remove CARGO_INCREMENTAL from [env]"),
    };
    let value = variable.or(table).filter(|value| *value != "0")?;
    let evidence = format!("{by} sets CARGO_INCREMENTAL={value}, and with it sccache caches nothing");
    Some(Check::warn("sccache incremental", evidence, fix))
}

fn judge_cache(statistics: Option<&Value>) -> Check {
    const NAME: &str = "sccache";
    let Some(statistics) = statistics else {
        return Check::ok(NAME, "in use; no server runs now, the next build starts it");
    };
    let (place, Some((used, most))) = cache_size(statistics) else {
        return Check::ok(NAME, format!("the server answers; {}", cache_size(statistics).0));
    };
    let evidence = format!("{place}: {} of at most {}", size(used), size(most));
    // What is over the limit is removed, the oldest first: just below it the cache already loses.
    if used >= most / 20 * 19 {
        return Check::warn(
            NAME,
            format!("{evidence}: it is full, so older entries are lost"),
            "set SCCACHE_CACHE_SIZE higher, then sccache --stop-server",
        );
    }
    Check::ok(NAME, evidence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;
    use crate::link::LinkSettings;

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
            assert_eq!(judge_programs(&missing).status, status);
        }
    }

    #[test]
    fn what_overrules_a_setting_is_moved_only_where_it_is_ours_to_move() {
        let host = "x86_64-unknown-linux-gnu";
        let overruled = |key: &str, file: Option<&str>, by: &str| Overruled {
            key: key.into(),
            ours: "2".into(),
            theirs: "4".into(),
            by: by.into(),
            file: file.map(Utf8PathBuf::from),
        };
        let linker = format!("target.{host}.linker");
        // who overrules which key, how bad that is, what to do
        let in_workspace = "cargo xtask setup, which drops it; or remove theirs from .cargo/config.toml";
        let table = [
            (overruled(&linker, Some("/w/.cargo/config.toml"), "it"), Status::Fail, in_workspace),
            (
                overruled("build.jobs", Some("/shared.toml"), "it"),
                Status::Fail,
                "cargo xtask setup, which drops it; or remove theirs from /shared.toml",
            ),
            (
                overruled("build.jobs", None, "the variable CARGO_BUILD_JOBS"),
                Status::Warn,
                "unset CARGO_BUILD_JOBS",
            ),
        ];
        for (overruled, status, text) in table {
            let check = judge_overruled(&overruled, "/w".into());
            let fix = check.fix.unwrap();
            assert_eq!((check.status, fix.text.as_str(), fix.safe), (status, text, None));
        }
        let jobs =
            judge_overruled(&overruled("build.jobs", Some("/w/.cargo/config.toml"), "it"), "/w".into());
        let fix = jobs.fix.unwrap();
        assert_eq!((fix.text.as_str(), fix.safe.is_some()), ("remove it from .cargo/config.toml", true));
    }

    #[test]
    fn sources_that_void_each_other_are_named() {
        let host = "x86_64-unknown-linux-gnu";
        let build = "[build]\nrustflags = ['-g']\n";
        let target = "[target.x86_64-unknown-linux-gnu]\nrustflags = ['-g']\n";
        let cfg = "[target.'cfg(unix)']\nrustflags = '-g'\n";
        let never = "[target.'cfg(windows)']\nrustflags = '-g'\n";
        let other = "[target.wasm32-wasip1]\nrustflags = '-g'\n";
        // the file, variables that are set; how it is, a part of the evidence
        let table = [
            (String::new(), &[][..], Status::Ok, "none are set"),
            (build.to_owned(), &[], Status::Ok, "build.rustflags in .cargo/config.toml"),
            (format!("{build}{other}"), &[], Status::Ok, "from build.rustflags"),
            (format!("{build}{never}"), &[], Status::Ok, "from build.rustflags"),
            (format!("{build}{target}"), &[], Status::Warn, "void build.rustflags in .cargo/config.toml"),
            (format!("{build}{cfg}"), &[], Status::Warn, "target.'cfg(unix)'.rustflags in"),
            (format!("{target}{cfg}"), &[], Status::Ok, "from "),
            (target.to_owned(), &["CARGO_BUILD_RUSTFLAGS"], Status::Warn, "void CARGO_BUILD_RUSTFLAGS"),
            (build.to_owned(), &["RUSTFLAGS"], Status::Warn, "RUSTFLAGS is set, and voids build"),
            (build.to_owned(), &["CARGO_ENCODED_RUSTFLAGS"], Status::Warn, "CARGO_ENCODED_RUSTFLAGS is set"),
            (String::new(), &["RUSTFLAGS"], Status::Ok, "RUSTFLAGS only"),
            (
                build.to_owned(),
                &["CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS"],
                Status::Warn,
                "void build.rustflags",
            ),
        ];
        for (text, variables, status, evidence) in table {
            let dir = xtask_testkit::TempDir::new("doctor-flags");
            dir.write(".cargo/config.toml", &text);
            // An empty one is set, too.
            let value = |name: &&str| if *name == "RUSTFLAGS" { "" } else { "-g" }.to_owned();
            let set = |name: &&str| ((*name).to_owned(), value(name));
            let mut environment = variables.iter().map(set).collect::<Environment>();
            environment.set("CARGO_HOME", dir.path().join("home").as_str());
            let config = CargoConfig::load(dir.path(), &environment);
            let check = judge_flags(&config, &environment, host, dir.path(), &|it| it == "cfg(unix)");
            assert_eq!(check.status, status, "{check:?}");
            assert!(check.evidence.contains(evidence), "{check:?}");
        }
    }

    #[test]
    fn the_compiler_cache_is_known_by_its_name() {
        for (program, is) in
            [("sccache", true), ("/usr/bin/sccache", true), ("sccache-dist", false), ("wrap", false)]
        {
            assert_eq!(is_sccache(program), is, "{program}");
        }
    }

    #[test]
    fn incremental_compilation_forced_on_is_a_conflict() {
        let table = [
            (None, None, false),
            (Some("0"), None, false),
            (Some("1"), None, true),
            (None, Some("1"), true),
            (Some("0"), Some("1"), false),
        ];
        for (variable, in_table, conflict) in table {
            assert_eq!(
                judge_incremental(variable, in_table).is_some(),
                conflict,
                "{variable:?} {in_table:?}"
            );
        }
    }

    #[test]
    fn a_cache_that_is_full_is_said() {
        let statistics = |used: u64| serde_json::json!({ "cache_location": "Local disk: \"/c\"", "cache_size": used, "max_cache_size": 10_u64 << 30 });
        let table = [
            (None, Status::Ok, "no server runs"),
            (Some(statistics(1 << 30)), Status::Ok, "1024 MiB of at most 10.0 GiB"),
            (Some(statistics(10 << 30)), Status::Warn, "it is full"),
            (Some(serde_json::json!({ "cache_location": "Redis" })), Status::Ok, "Redis"),
        ];
        for (statistics, status, evidence) in table {
            let check = judge_cache(statistics.as_ref());
            assert_eq!(check.status, status, "{check:?}");
            assert!(check.evidence.contains(evidence), "{check:?}");
        }
    }
}
