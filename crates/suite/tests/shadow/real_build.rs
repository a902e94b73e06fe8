//! The shadow plan against the real build, unit by unit and file by file.

use std::collections::BTreeSet;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use xtask_testkit::{Fixture, Outcome, cargo};
use xtask_units::{UnitSet, plan};
use xtask_workspace::{CargoCommand, Environment};

use crate::{FAKE, kitchen_sink, workspace};

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
    // Of the profile the plan knows what the manifest says.
    real.args(args).env_remove("CARGO_PROFILE_DEV_DEBUG").envs(variables.iter().copied());
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
