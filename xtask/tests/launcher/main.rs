//! The launcher as people meet it: real cargo, the real alias, these very sources in a small workspace with a
//! stand-in for the suite. A `cargo` that counts its calls shows when the launcher asked and when it did not.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test; clippy.toml's exception stops at `#[test]` functions")]
#![expect(clippy::incompatible_msrv, reason = "the tests are not compiled in adopting repositories")]
#![expect(clippy::disallowed_methods, reason = "fixtures need no atomic write and no checked removal")]

mod clone;
mod store;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use clone::*;

#[test]
fn the_first_build_says_so_and_the_second_start_asks_no_cargo() {
    for form in [Form::Member, Form::Vendored] {
        let clone = Clone::new(form);
        let first = clone.xtask().expect(0, 1, "suite 1, dep 1", FIRST);
        let package = if form == Form::Member { "xtask-suite" } else { "xtask-tasks" };
        assert!(first.stderr.contains(&format!("Compiling {package}")), "{}", first.stderr);
        assert!(first.stdout.starts_with("suite 1"), "{}", first.stdout);
        clone.xtask().expect_warm("suite 1, dep 1");

        // From a folder below, and the same from the launcher's own file.
        let below = clone.root.join("xtask/src");
        clone.start(clone.command().current_dir(&below)).expect_warm("suite 1");
        let folder = if form == Form::Member { "target/xtask" } else { "target/xtask/examples" };
        let mut alone = Command::new(clone.root.join(folder).join("xtask"));
        clone.with_counting_cargo(clone.scrub(&mut alone)).current_dir("/");
        clone.start(&mut alone).expect_warm("suite 1");

        // Settings that only hold below are not the suite's: it would be built anew at every change of folder.
        let local = "[build]\nrustflags = [\"--cfg\", \"marked\"]\n";
        write(&below.join(".cargo/config.toml"), local);
        fs::remove_file(stamp_of(&clone)).unwrap();
        let root = format!("marked=false\nargs=[]\nXTASK_SUITE_ROOT={}\n", clone.root.display());
        clone.start(clone.command().current_dir(&below)).expect(0, 1, &root, "");
        clone.xtask().expect_warm("suite 1");

        if form == Form::Vendored {
            assert!(clone.root.join("target/xtask-suite/build/xtask/xtask-suite").exists());
        }
    }
}

#[test]
fn the_suite_gets_its_arguments_its_environment_and_has_its_exit_code() {
    let clone = Clone::new(Form::Member);
    let args = ["a b", "", "--", "ü\"'$x", "--help"];
    let started = clone.start(clone.command().args(args).env("MY_OWN", "1 2"));
    let started = started.expect(0, 1, &format!("args={args:?}"), "");
    let root = format!("XTASK_SUITE_ROOT={}\nCARGO_PKG_NAME=xtask\nMY_OWN=1 2\n", clone.root.display());
    assert!(started.stdout.ends_with(&root), "{}", started.stdout);
    for code in [0, 1, 2, 3, 101] {
        clone.start(clone.command().args(["exit", &code.to_string()])).expect(code, 0, "", "");
    }
}

#[test]
fn whatever_the_build_depends_on_leads_to_cargo_before_the_next_start() {
    let local = "[build]\nrustflags = [\"--cfg\", \"marked\"]\n";
    for form in [Form::Member, Form::Vendored] {
        let clone = Clone::new(form);
        clone.xtask().expect(0, 1, "suite 1", "");
        let rebuilt = |what: &str, edit: &dyn Fn(), expected: &str| {
            clone.xtask().expect_warm("");
            edit();
            let started = clone.xtask();
            assert!(started.stdout.contains(expected), "{what}: {}{}", started.stdout, started.stderr);
            started.expect(0, 1, expected, AGAIN);
            clone.xtask().expect_warm(expected);
        };
        let edit = |path, from, to| clone.edit_suite(path, from, to);
        rebuilt("source", &|| edit("app/src/main.rs", "suite 1", "suite 2"), "suite 2, dep 1");
        rebuilt("dependency", &|| edit("crates/dep/src/lib.rs", "dep 1", "dep 2"), "suite 2, dep 2");
        rebuilt("manifest", &|| edit("app/Cargo.toml", "fixture", "edited"), "package edited");
        let checks_off = || edit("Cargo.toml", "debug = false", "debug-assertions = false");
        rebuilt("profile", &checks_off, "checked=false");
        // A copy is built without the flags of the workspace that it is in: they may be for a device.
        let takes_flags = form == Form::Member;
        if takes_flags {
            rebuilt("included settings", &|| clone.write(".cargo/xtask.local.toml", local), "marked=true");
            let gone = |path: &Path| {
                fs::remove_file(path).unwrap();
                // Nothing to compile: cargo kept what it had built under the flags before.
                assert_eq!(clone.xtask().expect(0, 1, "marked=false", "").stderr, "");
            };
            gone(&clone.root.join(".cargo/xtask.local.toml"));
            let above = clone.dir.join(".cargo/config.toml");
            write(&above, local);
            assert_eq!(clone.xtask().expect(0, 1, "marked=true", "").stderr, "");
            gone(&above);
            write(
                &clone.dir.join("cargo-home/config.toml"),
                &local.replace("\"]", "\", \"--cfg\", \"users_own\"]"),
            );
            assert!(clone.xtask().expect(0, 1, "marked=true", AGAIN).stderr.contains("Compiling"));
            gone(&clone.dir.join("cargo-home/config.toml"));
        } else {
            clone.write(".cargo/xtask.local.toml", local);
            clone.xtask().expect(0, 1, "marked=false", "");
            clone.xtask().expect_warm("marked=false");
        }

        // What needs no compiling is asked in silence: the lock file, flags that are back to what they were.
        set_modified(&clone.suite.join("Cargo.lock"), SystemTime::now());
        assert_eq!(clone.xtask().expect(0, 1, "", "").stderr, "");
        clone.xtask().expect_warm("");
        let flags = |name, value| clone.start(clone.command().env(name, value));
        let marked = format!("marked={takes_flags}");
        let again = if takes_flags { AGAIN } else { "" };
        flags("RUSTFLAGS", "--cfg marked --cfg more").expect(0, 1, &marked, again);
        flags("RUSTFLAGS", "--cfg marked --cfg more").expect_warm(&marked);
        assert_eq!(clone.xtask().expect(0, 1, "marked=false", "").stderr, "");
        flags("CARGO_PROFILE_XTASK_DEBUG_ASSERTIONS", "true").expect(0, 1, "checked=true", AGAIN);
        flags("CARGO_ENCODED_RUSTFLAGS", "--cfg\u{1f}marked\u{1f}--cfg\u{1f}most").expect(0, 1, &marked, "");
        clone.xtask().expect(0, 1, "marked=false", "");

        // Another file in the compiler's place, and a binary that is not the one that was built.
        let rustc = clone.dir.join("rustc");
        write(&rustc, "#!/bin/sh\nexec rustc \"$@\"\n");
        clone.xtask().expect(0, 1, "", "");
        fs::remove_file(rustc).unwrap();
        clone.xtask().expect(0, 1, "", "");
        clone.xtask().expect_warm("");
        let stamp = stamp_of(&clone);
        fs::remove_file(stamp.with_extension("")).unwrap();
        clone.xtask().expect(0, 1, "suite 2", FIRST);
        // A stamp that is cut short, and one of another version.
        let text = fs::read_to_string(&stamp).unwrap();
        for broken in [text.replace("end\n", ""), text.replace("format 2", "format 1")] {
            fs::write(&stamp, broken).unwrap();
            assert_eq!(clone.xtask().expect(0, 1, "suite 2", "").stderr, "");
        }
        clone.xtask().expect_warm("suite 2");
    }
}

fn stamp_of(clone: &Clone) -> PathBuf {
    let member = clone.root.join("target/xtask/xtask-suite.stamp");
    let vendored = clone.root.join("target/xtask-suite/build/xtask/xtask-suite.stamp");
    if member.exists() { member } else { vendored }
}

#[test]
fn a_suite_that_does_not_compile_is_said_and_the_old_binary_is_not_started() {
    let clone = Clone::new(Form::Member);
    clone.xtask().expect(0, 1, "suite 1", "");
    clone.edit_suite("app/src/main.rs", "fn main() {", "fn main() { broken");
    for _ in 0..2 {
        let failed = clone.xtask().expect(3, 1, "", "xtask: failed to build the suite: cargo ended with");
        assert_eq!(failed.stdout, "", "the old binary was started");
        assert!(failed.stderr.contains("expected"), "no error of rustc's: {}", failed.stderr);
        // The command shown does fail in a shell, and works once the error is gone.
        let shown = failed.stderr.lines().find_map(|line| line.strip_prefix("  command: ")).unwrap();
        let in_shell = || clone.scrub(Command::new("sh").args(["-c", shown])).output().unwrap().status.code();
        assert_eq!(in_shell(), Some(101), "{shown}");
    }
    clone.edit_suite("app/src/main.rs", "{ broken", "{");
    clone.edit_suite("app/src/main.rs", "suite 1", "suite 2");
    clone.xtask().expect(0, 1, "suite 2", AGAIN);
}

#[test]
fn a_file_that_may_have_been_edited_during_the_build_is_never_vouched_for() {
    let clone = Clone::new(Form::Member);
    let main = clone.app.join("src/main.rs");
    // As by an editor, after cargo read the file and before the launcher looks at it.
    let edit = format!("sed -i 's/suite 1/suite 2/' '{}'", main.display());
    clone.start(clone.command().env("AFTER_CARGO", edit)).expect(0, 1, "suite 1", FIRST);
    clone.xtask().expect(0, 1, "suite 2", AGAIN);
    clone.xtask().expect_warm("suite 2");

    set_modified(&main, SystemTime::now() + Duration::from_secs(3600));
    for _ in 0..2 {
        clone.xtask().expect(0, 1, "suite 2", "");
    }
    set_modified(&main, SystemTime::now());
    clone.xtask().expect(0, 1, "suite 2", "");
    clone.xtask().expect_warm("suite 2");
}

#[test]
fn what_only_cargo_can_watch_is_left_to_cargo() {
    let clone = Clone::new(Form::Member);
    clone.xtask().expect(0, 1, "suite 1", "");
    let script = "fn main() { println!(\"cargo::rustc-cfg=marked\"); }\n";
    clone.write_suite("app/build.rs", script);
    clone.xtask().expect(0, 1, "marked=true", "");
    assert_eq!(
        clone.xtask().expect(0, 1, "marked=true", "").stderr,
        "",
        "a check that finds nothing is silent"
    );
    fs::remove_file(clone.app.join("build.rs")).unwrap();
    clone.xtask().expect(0, 1, "marked=false", "");
    clone.xtask().expect_warm("");

    // Variables, as rustc sees them: the spelling does not matter.
    clone.edit_suite("app/src/main.rs", "\"suite 1", "\"{:?} suite 1");
    clone.edit_suite("app/src/main.rs", "dep::TEXT", "dep::VARIABLE, dep::TEXT");
    let table = [
        "option_env![\"MY_OWN\"]",
        "option_env!(r#\"MY_OWN\"#)",
        "mine!(\"MY_OWN\")",
        // Not one of those that cargo sets.
        "option_env!(\"CARGO_MINE\")",
    ];
    for variable in table {
        let dep = format!(
            "macro_rules! mine {{ ($name:literal) => {{ option_env!($name) }} }}\npub(crate) use mine;\n\
             pub const VARIABLE: Option<&str> = {variable};\npub const TEXT: &str = \"dep\";\n"
        );
        clone.write_suite("crates/dep/src/lib.rs", &dep.replace("pub(crate) use mine;\n", ""));
        clone.xtask().expect(0, 1, "None suite 1", "");
        let set = |value| clone.start(clone.command().env("MY_OWN", value).env("CARGO_MINE", value));
        set("x").expect(0, 1, "Some(\"x\") suite 1", "");
        set("y").expect(0, 1, "Some(\"y\") suite 1", "");
    }
}

/// Cargo's own dep-info of a program stops at packages from registries and git, which a patch can make depend on a folder.
#[test]
fn a_patched_folder_behind_a_package_that_never_changes_is_watched() {
    let clone = Clone::new(Form::Member);
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=a", "-c", "user.email=a@b"]).args(args).current_dir(clone.dir.join("git"));
        assert!(git.output().unwrap().status.success(), "{:?}", args);
    };
    for (name, text, dependency) in [
        ("git/outer", "pub use inner::TEXT;\n", "[dependencies]\ninner.path = \"../inner\"\n"),
        ("git/inner", "pub const TEXT: &str = \"as published\";\n", ""),
        ("inner", "pub const TEXT: &str = \"patch 1\";\n", ""),
    ] {
        let folder = clone.dir.join(name);
        let manifest = package(&name[name.len() - 5..]) + dependency;
        write(&folder.join("Cargo.toml"), &manifest.replace("edition", "version = \"0.1.0\"\nedition"));
        write(&folder.join("src/lib.rs"), text);
    }
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message", "outer and inner"]);
    let url = format!("file://{}", clone.dir.join("git").display());
    let outer = format!("2024\"\n[dependencies]\nouter.git = \"{url}\"");
    clone.edit_suite("crates/dep/Cargo.toml", "2024\"", &outer);
    clone.write_suite("crates/dep/src/lib.rs", "pub use outer::TEXT;\n");
    let patch = format!("[patch.\"{url}\"]\ninner.path = \"{}\"\n", clone.dir.join("inner").display());
    clone.write(".cargo/xtask.local.toml", &patch);
    let store = clone.dir.join("store");
    let start = || clone.start(clone.command().env("XTASK_STORE", &store));
    start().expect(0, 1, "suite 1, patch 1", "");
    start().expect_warm("suite 1, patch 1");
    write(&clone.dir.join("inner/src/lib.rs"), "pub const TEXT: &str = \"patch 2\";\n");
    start().expect(0, 1, "suite 1, patch 2", AGAIN);
    // The folder is not part of the store's key.
    assert!(!store.exists());
}

/// Then only the system knows where cargo looks for the user's own settings.
#[test]
fn without_a_home_cargo_is_asked_every_time() {
    let clone = Clone::new(Form::Member);
    for _ in 0..2 {
        let mut homeless = clone.command();
        clone.start(homeless.env_remove("CARGO_HOME").env_remove("HOME")).expect(0, 1, "suite 1", "");
    }
    clone.xtask().expect(0, 1, "suite 1", "");
    clone.start(clone.command().env_remove("HOME")).expect_warm("suite 1");
}

#[test]
fn what_a_package_outside_inherits_from_its_own_workspace_counts() {
    let clone = Clone::new(Form::Member);
    let other = "[workspace]\nmembers = [\"../dep\"]\n[workspace.package]\ndescription = \"one\"\n";
    write(&clone.dir.join("other/root/Cargo.toml"), other);
    let inherits = package("dep2").replace("description = \"fixture\"", "description.workspace = true");
    write(&clone.dir.join("other/dep/Cargo.toml"), &(inherits + "workspace = \"../root\"\n"));
    let text = "pub const TEXT: &str = env!(\"CARGO_PKG_DESCRIPTION\");\n";
    write(&clone.dir.join("other/dep/src/lib.rs"), text);
    clone.edit_suite(
        "crates/dep/Cargo.toml",
        "2024\"",
        "2024\"\n[dependencies]\ndep2.path = \"../../../other/dep\"",
    );
    clone.write_suite("crates/dep/src/lib.rs", "pub use dep2::TEXT;\n");
    clone.xtask().expect(0, 1, "suite 1, one", "");
    clone.xtask().expect_warm("suite 1, one");
    write(&clone.dir.join("other/root/Cargo.toml"), &other.replace("one", "two"));
    clone.xtask().expect(0, 1, "suite 1, two", AGAIN);
    clone.xtask().expect_warm("suite 1, two");
}

#[test]
fn a_stamp_that_cannot_be_written_costs_a_question_and_nothing_else() {
    let clone = Clone::new(Form::Member);
    fs::create_dir_all(clone.root.join("target/xtask/xtask-suite.stamp/x")).unwrap();
    clone.xtask().expect(0, 1, "suite 1", FIRST);
    assert_eq!(clone.xtask().expect(0, 1, "suite 1", "").stderr, "");
}

#[test]
fn without_cargo_it_says_what_to_do() {
    let clone = Clone::new(Form::Member);
    clone.xtask().expect(0, 1, "suite 1", "");
    fs::remove_file(stamp_of(&clone)).unwrap();
    let mut alone = Command::new(clone.root.join("target/xtask/xtask"));
    clone.scrub(&mut alone).env("CARGO", "/no/such/cargo");
    let failed = clone.start(&mut alone).expect(3, 0, "", "failed to start cargo");
    assert!(failed.stderr.contains("\n  next: "), "{}", failed.stderr);
    assert_eq!(failed.stdout, "");
}

#[test]
fn it_finds_the_binary_wherever_the_target_folder_is() {
    let host = host();
    for form in [Form::Member, Form::Vendored] {
        let clone = Clone::new(form);
        let elsewhere = clone.dir.join("big disk/target");
        let inside = elsewhere.join("lanes");
        let build_dir = clone.dir.join("build");
        let table: [&[(&str, &Path)]; 7] = [
            &[("CARGO_BUILD_TARGET", host.as_ref())],
            &[("CARGO_TARGET_DIR", &elsewhere)],
            &[("CARGO_TARGET_DIR", &elsewhere), ("CARGO_BUILD_TARGET", host.as_ref())],
            // A target folder in another one is not a triple's.
            &[("CARGO_TARGET_DIR", &inside)],
            &[("CARGO_TARGET_DIR", "relative".as_ref())],
            &[("CARGO_BUILD_BUILD_DIR", &build_dir), ("CARGO_TARGET_DIR", "other".as_ref())],
            // As above, where cargo keeps no notes in a target folder.
            &[("CARGO_BUILD_BUILD_DIR", &build_dir), ("CARGO_TARGET_DIR", "other/rust-analyzer".as_ref())],
        ];
        for variables in table {
            let start = || clone.start(clone.command().envs(variables.iter().copied()));
            let first = start();
            assert_eq!(first.code, Some(0), "{variables:?}: {}", first.stderr);
            first.expect(0, 1, "suite 1", "");
            start().expect_warm("suite 1");
        }
        clone.start(clone.command().env("CARGO_BUILD_DEP_INFO_BASEDIR", "..")).expect(0, 1, "suite 1", "");
        clone.start(clone.command().env("CARGO_BUILD_DEP_INFO_BASEDIR", "..")).expect_warm("suite 1");
    }
}

/// Where it is adopted, what people demand of their own code is not its concern.
#[test]
fn no_lint_of_a_workspace_applies_to_it() {
    let clone = Clone::new(Form::Vendored);
    let banned = "disallowed-methods = [\"std::process::Command::new\", \"std::env::var_os\"]\n";
    clone.write("clippy.toml", banned);
    let groups = ["warnings", "clippy::pedantic", "clippy::nursery", "clippy::cargo", "clippy::restriction"];
    let lints = groups.iter().flat_map(|group| ["-D", group]);
    let mut clippy = Command::new(cargo());
    clippy
        .args(["clippy", "--package", "xtask", "--all-targets", "--features", "xtask/launcher", "--"])
        .args(lints);
    clippy.args(["-A", "clippy::blanket_clippy_restriction_lints"]).current_dir(&clone.root);
    let said = clone.start(clone.scrub(&mut clippy)).expect(0, 0, "", "Finished").stderr;
    assert!(!said.contains("warning"), "{}", said);
    let mut strict = clone.command();
    clone.start(strict.env("RUSTFLAGS", "-Dwarnings -Drust_2018_idioms")).expect(0, 1, "suite 1", "");
}

/// Embedded projects build for a device by default.
#[test]
fn it_is_built_for_this_machine_whatever_the_configuration_builds_for() {
    let host = host();
    for form in [Form::Member, Form::Vendored] {
        let clone = Clone::new(form);
        let config = fs::read_to_string(clone.root.join(".cargo/config.toml")).unwrap();
        let for_host = config.replace("--profile xtask", "--profile xtask --target host-tuple");
        assert_ne!(config, for_host);
        let table =
            [(&config, host.as_str()), (&for_host, "thumbv7em-none-eabihf"), (&for_host, host.as_str())];
        for (config, built_for) in table {
            clone.write(".cargo/config.toml", &format!("{config}[build]\ntarget = \"{built_for}\"\n"));
            clone.xtask().expect(0, 1, "suite 1", "");
            clone.xtask().expect_warm("suite 1");
            clone.edit_suite("crates/dep/src/lib.rs", "dep", "changed dep");
            clone.xtask().expect(0, 1, "changed dep", AGAIN);
            clone.xtask().expect_warm("suite 1");
            // Nothing was built for another machine, or for this one without saying so.
            for built in [clone.root.join("target"), clone.root.join("target/xtask-suite/build")] {
                assert!(!built.join("thumbv7em-none-eabihf").exists(), "{}", built.display());
                assert!(!built.join("xtask/xtask-suite").exists(), "{}", built.display());
            }
        }
    }
}

/// Cargo says what it waits for, because it has our stderr.
#[test]
fn who_waits_for_anothers_first_build_is_told() {
    let clone = Clone::new(Form::Vendored);
    let build_dir = clone.root.join("target/xtask-suite/build/xtask");
    fs::create_dir_all(&build_dir).unwrap();
    let lock = File::create(build_dir.join(".cargo-lock")).unwrap();
    lock.lock().unwrap();
    let mut waiting = clone.command().stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let stderr = BufReader::new(waiting.stderr.take().unwrap());
    let (line_read, lines) = mpsc::channel();
    std::thread::spawn(move || stderr.lines().try_for_each(|line| line_read.send(line.unwrap())));
    let next = || lines.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(next().starts_with(FIRST));
    let blocked = next();
    assert!(blocked.contains("Blocking waiting for file lock"), "{}", blocked);
    lock.unlock().unwrap();
    assert!(waiting.wait().unwrap().success());
}

#[test]
fn a_clone_that_moved_works_on() {
    let clone = Clone::new(Form::Member);
    clone.xtask().expect(0, 1, "suite 1", "");
    let root = clone.dir.join("moved");
    fs::rename(&clone.root, &root).unwrap();
    let moved = Clone {
        dir: clone.dir.clone(),
        suite: root.clone(),
        app: root.join("crates/suite"),
        root: root.clone(),
    };
    moved.edit_suite("app/src/main.rs", "suite 1", "suite 2");
    let root = format!("XTASK_SUITE_ROOT={}", moved.root.display());
    moved.xtask().expect(0, 1, &root, "").expect(0, 1, "suite 2", "");
    moved.xtask().expect_warm("suite 2");
}

#[test]
fn two_at_once_both_start_the_new_binary() {
    let clone = Clone::new(Form::Member);
    clone.xtask().expect(0, 1, "suite 1", "");
    for round in 2..5 {
        clone.edit_suite("app/src/main.rs", &format!("suite {}", round - 1), &format!("suite {round}"));
        std::thread::scope(|scope| {
            let started = [(); 3].map(|()| scope.spawn(|| clone.command().output().unwrap()));
            for output in started.map(|thread| thread.join().unwrap()) {
                let stdout = String::from_utf8(output.stdout).unwrap();
                assert!(stdout.contains(&format!("suite {round}")), "{}", stdout);
            }
        });
        clone.xtask().expect_warm(&format!("suite {round}"));
    }
}
