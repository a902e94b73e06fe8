//! How plans are kept, and that no accident hangs or changes one.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use xtask_testkit::{Fixture, Outcome};
use xtask_units::{UnitSet, plan};
use xtask_workspace::{CargoCommand, Environment};

use crate::{FAKE, kitchen_sink, workspace};

#[test]
fn a_plan_is_kept_until_something_it_depends_on_changes() {
    let fixture = kitchen_sink();
    let plan_now = |args: &[&str]| {
        let command = CargoCommand::new(fixture.root(), args.iter().copied());
        plan(&workspace(&fixture, &[]), &command, FAKE.into()).unwrap()
    };
    let args = ["build", "--workspace"];
    let first = plan_now(&args);
    assert!(!first.kept);
    fixture.write("lib/src/lib.rs", "pub fn f() -> u32 { 2 }");
    let second = plan_now(&args);
    assert_eq!((second.kept, &second.units), (true, &first.units));

    // A hundred kept outputs are fresh to cargo now: the units must come out the same as from nothing.
    fixture.write(".cargo/config.toml", "# nothing\n");
    let third = plan_now(&args);
    assert_eq!((third.kept, &third.units), (false, &first.units));

    // A file that the command names is part of what it means.
    let with_file = ["build", "--workspace", "--config", "ci.toml"];
    fixture.write("ci.toml", "[build]\nrustflags = [\"--cfg=one\"]\n");
    let fourth = plan_now(&with_file).units;
    fixture.write("ci.toml", "[build]\nrustflags = [\"--cfg=two\"]\n");
    assert_ne!(plan_now(&with_file).units, fourth);

    fixture.write("app/tests/second.rs", "");
    assert_eq!(plan_now(&args).units, first.units, "another test is no part of a build");
    let all = plan_now(&["test", "--workspace"]);
    assert!(
        all.units
            .iter()
            .any(|unit| unit.target == "second" && unit.kind == xtask_units::TargetKind::IntegrationTest)
    );
}

#[test]
fn planning_a_command_that_fixes_sources_edits_none() {
    let fixture = kitchen_sink();
    fixture.write("lib/src/lib.rs", "pub fn f() -> u32 { return 1; }\n");
    let command = CargoCommand::new(fixture.root(), ["clippy", "--workspace", "--fix", "--allow-no-vcs"]);
    assert!(!plan(&workspace(&fixture, &[]), &command, FAKE.into()).unwrap().units.is_empty());
    assert_eq!(fixture.read("lib/src/lib.rs"), "pub fn f() -> u32 { return 1; }\n");
}

#[test]
fn plans_that_are_kept_do_not_pile_up() {
    let fixture = kitchen_sink();
    let dir = fixture.root().join("target/xtask-suite/shadow");
    for number in 0..200 {
        fixture.write(&format!("target/xtask-suite/shadow/{number:032x}.json"), "{}");
    }
    let command = CargoCommand::new(fixture.root(), ["build", "--workspace"]);
    plan(&workspace(&fixture, &[]), &command, FAKE.into()).unwrap();
    assert_eq!(dir.read_dir_utf8().unwrap().count(), 64);
    let again = plan(&workspace(&fixture, &[]), &command, FAKE.into()).unwrap();
    assert!(again.kept);
}

#[test]
fn a_damaged_kept_folder_costs_time_and_not_the_answer() {
    let fixture = kitchen_sink();
    let command = CargoCommand::new(fixture.root(), ["build", "--workspace"]);
    let now = || plan(&workspace(&fixture, &[]), &command, FAKE.into()).unwrap().units;
    let first = now();
    let memory = Utf8PathBuf::from(format!("/dev/shm/xtask-suite-{}", nix_uid()));
    let target = fixture.root().join("target/xtask-suite/shadow-dir");
    for parent in [memory, target] {
        for entry in parent.read_dir_utf8().into_iter().flatten().flatten() {
            let calls = entry.path().join("calls");
            let ours = calls.read_dir_utf8().into_iter().flatten().flatten().any(|call| {
                fs::read_to_string(call.path()).is_ok_and(|text| text.contains(fixture.root().as_str()))
            });
            if ours {
                for call in calls.read_dir_utf8().unwrap().flatten() {
                    fs::File::create(call.path()).unwrap();
                }
            }
        }
    }
    fixture.write(".cargo/config.toml", "# another key\n");
    assert_eq!(now(), first);
}

/// Plans `cargo build --workspace` from nothing, whatever is kept of an earlier plan; a plan that hangs is a failure.
fn plan_from_nothing(
    fixture: &Fixture,
    fake: &Utf8Path,
    variables: &[(&str, &str)],
) -> anyhow::Result<UnitSet> {
    forget_kept_plans(fixture);
    let workspace = workspace(fixture, variables);
    let (command, fake) = (CargoCommand::new(fixture.root(), ["build", "--workspace"]), fake.to_owned());
    let (sender, planned) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(plan(&workspace, &command, &fake).map(|shadow| shadow.units)));
    planned.recv_timeout(std::time::Duration::from_secs(120)).expect("a plan takes a second")
}

/// The folder of kept plans names its workspace beside it.
fn forget_kept_plans(fixture: &Fixture) {
    let state = fixture.root().join("target/xtask-suite");
    let memory = Utf8PathBuf::from(format!("/dev/shm/xtask-suite-{}", nix_uid()));
    for parent in [memory, state.join("shadow-dir")] {
        for entry in parent.read_dir_utf8().into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension() == Some("root")
                && fs::read_to_string(path).is_ok_and(|root| root == fixture.root().as_str())
            {
                remove_dir(&path.with_extension(""));
            }
        }
    }
    remove_dir(&state.join("shadow"));
}

#[expect(clippy::disallowed_methods, reason = "a test's own folder")]
fn remove_dir(dir: &Utf8Path) {
    if dir.exists() {
        fs::remove_dir_all(dir).unwrap();
    }
}

/// A program in the fixture that does `lines` and then is `program`.
#[cfg(target_os = "linux")]
fn in_front_of(fixture: &Fixture, name: &str, program: &str, lines: &str) -> Utf8PathBuf {
    use std::os::unix::fs::PermissionsExt;
    fixture.write(
        name,
        &format!("#!/bin/sh\ncd {}\n{lines}\ncd \"$OLDPWD\"\nexec {program} \"$@\"\n", fixture.root()),
    );
    let path = fixture.root().join(name);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[cfg(target_os = "linux")]
#[test]
fn the_jobserver_of_a_plan_changes_none_of_it_and_neither_does_that_of_a_make_around_it() {
    let fixture = kitchen_sink();
    let fake = in_front_of(&fixture, "fake", FAKE, "echo \"$CARGO_MAKEFLAGS\" >> passed-on");
    let real_cargo = xtask_workspace::on_path("cargo", &Environment::current()).unwrap();
    let _ = in_front_of(&fixture, "without/cargo", real_cargo.as_str(), "unset CARGO_MAKEFLAGS");
    let path = format!("{}:{}", fixture.root().join("without"), std::env::var("PATH").unwrap());
    // A make's whose pipe was not passed on, one without tokens, and none that any cargo could read.
    fixture.write("no-tokens", "");
    let no_tokens = format!("-j2 --jobserver-auth=fifo:{}", fixture.root().join("no-tokens"));
    let all_variables = [
        vec![("PATH", path.as_str())],
        vec![],
        vec![("MAKEFLAGS", "-j2 --jobserver-auth=98,99")],
        vec![("MAKEFLAGS", no_tokens.as_str()), ("CARGO_MAKEFLAGS", no_tokens.as_str())],
        vec![("CARGO_MAKEFLAGS", "nonsense")],
    ];
    let mut expected = None;
    for variables in all_variables {
        fixture.write("passed-on", "");
        let planned = plan_from_nothing(&fixture, &fake, &variables).unwrap();
        let passed_on = fixture.read("passed-on");
        let ours = passed_on.lines().filter(|line| line.contains("fifo:/proc/")).count();
        let without = variables.first().is_some_and(|(name, _)| *name == "PATH");
        assert_eq!(ours, if without { 0 } else { passed_on.lines().count() }, "{variables:?}: {passed_on}");
        assert!(passed_on.lines().count() > 10, "{passed_on}");
        assert_eq!(&planned, expected.get_or_insert_with(|| planned.clone()), "{variables:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_plan_without_a_token_left_goes_on() {
    let fixture = kitchen_sink();
    let expected = plan_from_nothing(&fixture, FAKE.into(), &[]).unwrap();
    // As clients that were killed with a token: each takes all that there are, and gives none back.
    let steal = "dd if=\"${CARGO_MAKEFLAGS##*fifo:}\" bs=999 count=1 iflag=nonblock >> stolen 2>/dev/null";
    let fake = in_front_of(&fixture, "fake", FAKE, steal);
    assert_eq!(plan_from_nothing(&fixture, &fake, &[]).unwrap(), expected);
    assert!(fixture.read("stolen").starts_with('+'), "{:?}", fixture.read("stolen"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_compiler_that_is_killed_ends_a_plan_and_does_not_hang_it() {
    let fixture = kitchen_sink();
    let expected = plan_from_nothing(&fixture, FAKE.into(), &[]).unwrap();
    let once = "case \"$*\" in *my_lib*) [ -e killed ] || { : > killed; kill -9 $$; };; esac";
    let fake = in_front_of(&fixture, "fake", FAKE, once);
    assert_eq!(plan_from_nothing(&fixture, &fake, &[]).unwrap(), expected, "the second try");
    assert!(fixture.root().join("killed").exists());
    let fake = in_front_of(&fixture, "fake", FAKE, "case \"$*\" in *my_lib*) kill -9 $$;; esac");
    let error = format!("{:#}", plan_from_nothing(&fixture, &fake, &[]).unwrap_err());
    assert!(error.contains("my-lib") && error.contains("SIGKILL"), "{error}");
}

/// This user's number, as `id -u` prints it.
fn nix_uid() -> String {
    Outcome::of(std::process::Command::new("id").arg("-u")).expect_code(0).stdout.trim().to_owned()
}

#[test]
fn a_broken_workspace_is_an_error_with_cargos_words() {
    let fixture = kitchen_sink();
    let workspace = workspace(&fixture, &[]);
    for args in [&["-p", "nothing-of-this-name"][..], &["-j2", "-p", "nothing-of-this-name"]] {
        let command = CargoCommand::new(fixture.root(), ["build"].iter().chain(args).copied());
        let error = format!("{:#}", plan(&workspace, &command, FAKE.into()).unwrap_err());
        let command = format!("cargo build {}", args.join(" "));
        assert!(error.contains(&command) && error.contains("did not match"), "{error}");
        assert!(!error.contains("jobserver"), "cargo's words about ours: {error}");
    }
    fixture.write("dir.toml", "[build]\ntarget-dir = \"x\"\n");
    for config in ["build.build-dir='x'", "build={target-dir='x'}", "dir.toml"] {
        let command = CargoCommand::new(fixture.root(), ["build", "--config", config]);
        let error = plan(&workspace, &command, FAKE.into()).unwrap_err().to_string();
        assert!(error.contains("the real one"), "{error}");
    }
}
