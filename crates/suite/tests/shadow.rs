//! The shadow plan against the real build, unit by unit and file by file.

#![expect(clippy::unwrap_used, reason = "a test's helper fails the test by panicking")]

use std::collections::BTreeSet;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use xtask_testkit::{Fixture, Outcome, cargo};
use xtask_units::{UnitSet, plan};
use xtask_workspace::{CargoCommand, Environment, Workspace};

const FAKE: &str = env!("CARGO_BIN_EXE_xtask-suite");

/// Every kind of target and crate type, features, a build script, a proc macro.
fn kitchen_sink() -> Fixture {
    Fixture::new(
        "shadow",
        &[
            (
                "Cargo.toml",
                "[workspace]\nresolver = \"3\"\nmembers = [\"app\", \"lib\", \"mac\", \"dyl\", \"shared\"]\n[profile.fast]\ninherits = \"release\"\nopt-level = 1\n",
            ),
            (
                "app/Cargo.toml",
                "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[features]\nextra = [\"my-lib/x\"]\n[dependencies]\nmy-lib = { path = \"../lib\" }\nmac = { path = \"../mac\" }\n[build-dependencies]\nmy-lib = { path = \"../lib\" }\n",
            ),
            ("app/src/main.rs", "fn main() { println!(\"{}\", my_lib::f()); }"),
            ("app/src/bin/second.rs", "fn main() {}"),
            (
                "app/build.rs",
                "fn main() { println!(\"cargo:rerun-if-changed=build.rs\"); println!(\"cargo:rustc-cfg=made\"); println!(\"cargo:rustc-check-cfg=cfg(made)\"); }",
            ),
            ("app/tests/it.rs", "#[test] fn t() {}"),
            ("app/examples/ex.rs", "fn main() {}"),
            ("app/benches/be.rs", "fn main() {}"),
            (
                "lib/Cargo.toml",
                "[package]\nname = \"my-lib\"\nversion = \"0.2.0\"\nedition = \"2024\"\n[features]\nx = []\n",
            ),
            (
                "lib/src/lib.rs",
                "/// ```\n/// assert_eq!(my_lib::f(), 1);\n/// ```\npub fn f() -> u32 { 1 }\n#[test] fn unit() {}",
            ),
            ("lib/build.rs", "fn main() { println!(\"cargo:rerun-if-changed=build.rs\"); }"),
            (
                "mac/Cargo.toml",
                "[package]\nname = \"mac\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\nproc-macro = true\n",
            ),
            (
                "mac/src/lib.rs",
                "#[proc_macro] pub fn m(i: proc_macro::TokenStream) -> proc_macro::TokenStream { i }",
            ),
            (
                "dyl/Cargo.toml",
                "[package]\nname = \"dyl\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"cdylib\", \"staticlib\", \"rlib\"]\n",
            ),
            ("dyl/src/lib.rs", "pub fn d() {}"),
            (
                "shared/Cargo.toml",
                "[package]\nname = \"shared\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"dylib\"]\n",
            ),
            ("shared/src/lib.rs", "pub fn s() {}"),
        ],
    )
}

fn workspace(fixture: &Fixture, variables: &[(&str, &str)]) -> Workspace {
    let mut environment = Environment::current().without_cargo_run(&xtask_workspace::Launch::default());
    for name in ["CARGO_TARGET_DIR", "RUSTFLAGS", "CARGO_INCREMENTAL", "CI"] {
        environment.remove(name);
    }
    for (name, value) in variables {
        environment.set(name, *value);
    }
    Workspace::load(fixture.root(), environment).unwrap()
}

/// The triple of this machine.
fn host() -> String {
    let version = Outcome::of(std::process::Command::new("rustc").arg("-vV")).expect_code(0).stdout;
    version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

/// Runs the real command and compares what lies on disk with what was planned.
fn assert_plan_is_real(fixture: &Fixture, args: &[&str], variables: &[(&str, &str)]) -> UnitSet {
    let workspace = workspace(fixture, variables);
    let command = CargoCommand::new(fixture.root(), args.iter().copied());
    let planned = plan(&workspace, &command, FAKE.into()).unwrap().units;

    let mut real = cargo(fixture.root());
    real.args(args).envs(variables.iter().copied());
    if matches!(command.verb.as_str(), "test" | "bench") {
        real.arg("--no-run");
    }
    let _ = Outcome::of(&mut real).expect_code(0);

    let facts = &workspace.facts;
    let on_disk = files_below(&facts.build_dir)
        .union(&files_below(&facts.target_dir))
        .cloned()
        .collect::<BTreeSet<_>>();
    let fingerprints = on_disk.iter().filter_map(|file| fingerprint_dir(file)).collect::<BTreeSet<_>>();
    let planned_fingerprints =
        planned.iter().map(|unit| unit.fingerprint_dir.clone()).collect::<BTreeSet<_>>();
    assert_eq!(planned_fingerprints, fingerprints, "units of `cargo {}`", args.join(" "));

    let covered = |file: &Utf8PathBuf| {
        planned.iter().any(|unit| {
            file.starts_with(&unit.fingerprint_dir) || unit.files.iter().any(|own| file.starts_with(own))
        })
    };
    let unaccounted =
        on_disk.iter().filter(|file| !is_cargos_own(file) && !covered(file)).collect::<Vec<_>>();
    assert!(
        unaccounted.is_empty(),
        "files of no planned unit after `cargo {}`: {unaccounted:#?}",
        args.join(" ")
    );
    for unit in planned.iter() {
        for file in &unit.files {
            assert!(file.exists(), "`cargo {}` made no {file} of {}", args.join(" "), unit.describe());
        }
    }
    planned
}

/// Files that belong to no unit, each for a reason.
fn is_cargos_own(file: &Utf8Path) -> bool {
    let name = file.file_name().unwrap_or_default();
    let lock_or_tag = [
        ".cargo-lock",
        ".cargo-build-lock",
        ".cargo-artifact-lock",
        "CACHEDIR.TAG",
        ".rustc_info.json",
        ".rustdoc_fingerprint.json",
    ];
    let in_folder = |folder: &str| file.components().any(|part| part.as_str() == folder);
    lock_or_tag.contains(&name)
        // Ours.
        || in_folder("xtask-suite")
        // Named by rustc, from `-C metadata`; it belongs to a crate, not to a unit.
        || in_folder("incremental")
        // rustdoc's pages that all crates share.
        || in_folder("doc")
}

fn fingerprint_dir(file: &Utf8Path) -> Option<Utf8PathBuf> {
    let parent = file.parent()?;
    (parent.parent()?.file_name() == Some(".fingerprint") || parent.file_name() == Some("fingerprint"))
        .then(|| parent.to_owned())
}

fn files_below(dir: &Utf8Path) -> BTreeSet<Utf8PathBuf> {
    let mut files = BTreeSet::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in dir.read_dir_utf8().into_iter().flatten().flatten() {
            if fs::symlink_metadata(entry.path()).unwrap().is_dir() {
                open.push(entry.path().to_owned());
            } else {
                files.insert(entry.path().to_owned());
            }
        }
    }
    files
}

#[test]
fn every_command_and_selection() {
    let host = host();
    let commands: [&[&str]; 12] = [
        &["build", "--workspace"],
        &["check", "--workspace"],
        &["check", "--workspace", "--all-targets"],
        &["clippy", "--workspace"],
        &["test", "--workspace"],
        &["test", "--workspace", "--all-targets"],
        &["test", "-p", "app", "--features", "app/extra"],
        &["test", "-p", "my-lib"],
        &["bench", "--workspace"],
        &["doc", "--workspace"],
        &["build", "--profile", "fast", "-p", "app", "--examples"],
        &["build", "--release", "--target", &host],
    ];
    for args in commands {
        let fixture = kitchen_sink();
        let planned = assert_plan_is_real(&fixture, args, &[]);
        assert!(planned.len() > 1, "{args:?}");
    }
}

#[test]
fn the_new_layout() {
    // Cargo 1.100's default; the installed nightly has it behind a flag.
    let commands: [&[&str]; 4] = [
        &["+nightly", "build", "-Zbuild-dir-new-layout", "--workspace"],
        &["+nightly", "test", "-Zbuild-dir-new-layout", "--workspace", "--all-targets"],
        &["+nightly", "clippy", "-Zbuild-dir-new-layout", "--workspace"],
        &["+nightly", "doc", "-Zbuild-dir-new-layout", "--workspace"],
    ];
    for args in commands {
        assert_plan_is_real(&kitchen_sink(), args, &[]);
    }
}

#[test]
fn a_build_dir_of_its_own() {
    for args in [&["build", "--workspace"][..], &["test", "--workspace", "--all-targets"]] {
        let fixture = kitchen_sink();
        fixture.write(".cargo/config.toml", "[build]\nbuild-dir = \"intermediate\"\n");
        let planned = assert_plan_is_real(&fixture, args, &[]);
        let below = fixture.root().join("intermediate");
        assert!(planned.iter().all(|unit| unit.fingerprint_dir.starts_with(&below)));
    }
}

#[test]
fn rustflags_from_every_source_make_units_of_their_own() {
    let host = host();
    let sources = [
        ("", String::new(), vec![]),
        ("RUSTFLAGS", String::new(), vec![("RUSTFLAGS", "--cfg a")]),
        ("encoded", String::new(), vec![("CARGO_ENCODED_RUSTFLAGS", "--cfg\u{1f}b")]),
        ("build", "[build]\nrustflags = [\"--cfg\", \"c\"]\n".to_owned(), vec![]),
        ("target", format!("[target.{host}]\nrustflags = [\"--cfg\", \"d\"]\n"), vec![]),
        ("profile", "[profile.dev]\ndebug = 0\n".to_owned(), vec![]),
        ("include", "include = [{ path = \"local.toml\", optional = true }]\n".to_owned(), vec![]),
    ];
    let mut seen = BTreeSet::new();
    for (name, config, variables) in sources {
        let fixture = kitchen_sink();
        fixture.write(".cargo/config.toml", &config);
        fixture.write(".cargo/local.toml", "[build]\nrustflags = [\"--cfg\", \"e\"]\n");
        let planned = assert_plan_is_real(&fixture, &["build", "-p", "app"], &variables);
        let app = planned.iter().find(|unit| unit.package == "app" && unit.target == "app").unwrap();
        assert!(seen.insert(app.id.clone()), "{name}");
    }
}

#[test]
fn the_users_own_compiler_wrapper() {
    // A wrapper that works as sccache does towards cargo; sccache itself is another test's subject.
    let fixture = kitchen_sink();
    fixture.write("wrap.sh", "#!/bin/sh\nexec \"$@\"\n");
    let _ = Outcome::of(
        std::process::Command::new("chmod").args(["+x", fixture.root().join("wrap.sh").as_str()]),
    );
    fixture.write(".cargo/config.toml", "[build]\nrustc-wrapper = \"./wrap.sh\"\n");
    assert_plan_is_real(&fixture, &["build", "--workspace"], &[]);
}

#[test]
fn a_real_sccache() {
    let sccache = xtask_workspace::on_path("sccache", &Environment::current())
        .expect("sccache is on PATH (.ci/run installs it from Debian's packages)");
    let fixture = kitchen_sink();
    let cache = fixture.root().join("sccache");
    // A server of our own; on a busy machine its start may take longer than sccache waits for it.
    let port = (20_000 + std::process::id() % 20_000).to_string();
    let server = |what: &str| {
        let mut command = std::process::Command::new(&sccache);
        Outcome::of(command.arg(what).env("SCCACHE_SERVER_PORT", &port).env("SCCACHE_DIR", &cache))
    };
    assert!((0..5).any(|_| server("--start-server").code == Some(0)), "{}", server("--start-server").stderr);
    let variables = [
        ("RUSTC_WRAPPER", sccache.as_str()),
        ("SCCACHE_DIR", cache.as_str()),
        ("SCCACHE_SERVER_PORT", port.as_str()),
    ];
    assert_plan_is_real(&fixture, &["build", "--workspace"], &variables);
    let statistics = server("--show-stats").stdout;
    let _ = server("--stop-server");
    let requests = statistics.lines().find(|line| line.starts_with("Compile requests ")).unwrap();
    assert!(!requests.ends_with(" 0"), "sccache took part: {statistics}");
}

#[test]
fn a_pinned_toolchain() {
    let fixture = kitchen_sink();
    fixture.write("rust-toolchain.toml", "[toolchain]\nchannel = \"nightly\"\n");
    let pinned = assert_plan_is_real(&fixture, &["build", "--workspace"], &[]);
    let stable = assert_plan_is_real(&kitchen_sink(), &["build", "--workspace"], &[]);
    let id = |units: &UnitSet| units.iter().find(|unit| unit.target == "my_lib").unwrap().id.clone();
    assert_ne!(id(&pinned), id(&stable));
}

#[test]
fn what_a_unit_says_of_itself() {
    let fixture = kitchen_sink();
    let planned = assert_plan_is_real(&fixture, &["test", "--workspace", "--features", "app/extra"], &[]);
    let lib = planned.iter().find(|unit| unit.describe() == "my-lib 0.2.0 lib (test)").unwrap();
    assert_eq!((lib.features.as_slice(), lib.profile_dir.as_str()), (&["x".to_owned()][..], "debug"));
    assert_eq!(lib.local_dir.as_deref(), Some(&*fixture.root().join("lib")));
    assert!(lib.profile_flags.contains(&"debuginfo=2".to_owned()), "{:?}", lib.profile_flags);
    let run = planned.iter().find(|unit| unit.describe() == "my-lib 0.2.0 build script (run)").unwrap();
    assert_eq!(run.local_dir, lib.local_dir);
    let uplifted = fixture.root().join("target/debug/app");
    let owner = planned.iter().find(|unit| unit.files.contains(&uplifted)).unwrap();
    assert_eq!(owner.describe(), "app 0.1.0 bin app");
}

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
    let memory = camino::Utf8PathBuf::from(format!("/dev/shm/xtask-suite-{}", nix_uid()));
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
