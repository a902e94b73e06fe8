//! `test-inputs` on real workspaces under a real strace: what tests do in all the ways they can is seen, and what is written is
//! what they need.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test; clippy.toml's exception stops at `#[test]` functions")]
#![expect(dead_code, reason = "what the tests of the daily commands share has more than these need")]

#[path = "../../suite/tests/cli/support.rs"]
mod support;

use serde_json::{Value, json};

use crate::support::{Suite, script};

/// A workspace with the members `app` and `side`; `tests` is what `app/tests/it.rs` has, and `side` tests that a file is there.
fn suite(tests: &str, more: &[(&str, &str)], config: &str) -> Suite {
    let package =
        |name: &str| format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
    let (app, side) = (package("app"), package("side"));
    let tests =
        format!("#![allow(unused_imports)]\nuse std::{{fs, net::*, path::Path, process::Command}};\n{tests}");
    let mut files = vec![
        ("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"app\", \"side\"]\n"),
        (".gitignore", "/target\n/.cargo/xtask-tools\n"),
        ("app/Cargo.toml", app.as_str()),
        ("app/src/main.rs", "fn main() {}\n"),
        ("app/tests/it.rs", tests.as_str()),
        ("app/own.txt", "own"),
        ("side/Cargo.toml", side.as_str()),
        (
            "side/src/main.rs",
            "fn main() {}\n#[test] fn side() { std::fs::read(\"../side.txt\").unwrap(); }\n",
        ),
        ("side.txt", "side"),
        ("one.txt", "1"),
        ("data/a.txt", "a"),
        ("data/deep/b.txt", "b"),
    ];
    files.extend_from_slice(more);
    Suite::new(&files, config)
}

/// What is reported of `app`, whose tests exit with `code`.
fn app(suite: &Suite, code: i32) -> Value {
    let report = suite.json(&["test-inputs", "-p", "app"], code);
    assert_eq!(report["packages"].as_array().unwrap().len(), 1, "{report:#}");
    report["packages"][0].clone()
}

/// The files that are to be declared for `app` with these tests.
fn files(tests: &str) -> Vec<String> {
    let observed = app(&suite(tests, &[], ""), 0);
    assert_eq!(observed["network"], json!([]), "{observed:#}");
    serde_json::from_value(observed["declaration"]["files"].clone()).unwrap()
}

#[test]
fn what_is_read_listed_looked_for_and_not_found_is_seen() {
    let found = files(
        r#"
        #[test] fn reads() { fs::read("../one.txt").unwrap(); fs::read("own.txt").unwrap(); }
        #[test] fn reads_source() { fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../side/src/main.rs")).unwrap(); }
        #[test] fn lists() { assert_eq!(fs::read_dir("../data/deep").unwrap().count(), 1); }
        #[test] fn looks() { assert!(!Path::new("../gone/file.txt").exists()); }
        #[test] fn writes() {
            let dir = env!("CARGO_TARGET_TMPDIR");
            fs::write(format!("{dir}/x"), "x").unwrap();
            fs::read(format!("{dir}/x")).unwrap();
            fs::write("../litter.txt", "x").unwrap();
            fs::read("../litter.txt").unwrap();
            fs::remove_file("../litter.txt").unwrap();
        }
        "#,
    );
    assert_eq!(found, ["data/deep/**", "gone/file.txt", "one.txt", "side/src/main.rs"]);
}

#[test]
fn threads_children_and_other_folders_are_followed() {
    let found = files(
        r#"
        #[test] fn thread() {
            std::env::set_current_dir("../data").unwrap();
            std::thread::spawn(|| fs::read("a.txt").unwrap()).join().unwrap();
            let run = |line: &str| assert!(Command::new("sh").args(["-c", line]).status().unwrap().success());
            run("cat deep/b.txt && cd .. && cat one.txt && (cd side && cat src/main.rs)");
            fs::read("../Cargo.toml").unwrap();
        }
        "#,
    );
    assert_eq!(found, ["Cargo.toml", "data/a.txt", "data/deep/b.txt", "one.txt", "side/src/main.rs"]);
}

#[test]
fn links_count_with_what_they_lead_to() {
    let suite = suite(r#"#[test] fn it() { fs::read("../link/a.txt").unwrap(); }"#, &[], "");
    std::os::unix::fs::symlink("data", suite.root().join("link")).unwrap();
    assert_eq!(app(&suite, 0)["declaration"]["files"], json!(["data/a.txt", "link"]));
}

#[test]
fn another_packages_program_counts_and_the_packages_own_does_not() {
    let tests = r#"
        #[test] fn own() { assert!(Command::new(env!("CARGO_BIN_EXE_app")).status().unwrap().success()); }
        #[test] fn other() { assert!(Command::new("../target/debug/side").status().unwrap().success()); }
    "#;
    let suite = suite(tests, &[], "");
    assert_eq!(suite.cargo_compiles(&["build", "--workspace"]), 2);
    assert_eq!(app(&suite, 0)["declaration"]["files"], json!(["target/debug/side"]));
}

#[test]
fn the_network_counts_and_a_server_of_the_tests_own_does_not() {
    let suite = suite(
        r#"
        #[test] fn own() {
            let server = TcpListener::bind("127.0.0.1:0").unwrap();
            TcpStream::connect(server.local_addr().unwrap()).unwrap();
            let (one, other) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
            one.send_to(b"x", other.local_addr().unwrap()).unwrap();
            let (_, from) = other.recv_from(&mut [0; 9]).unwrap();
            other.send_to(b"x", from).unwrap();
        }
        "#,
        &[],
        "",
    );
    let observed = app(&suite, 0);
    assert_eq!(observed["network"], json!([]), "{observed:#}");
    assert!(observed["own_servers"].as_array().unwrap().len() >= 2, "{observed:#}");
    assert_eq!(observed["declaration"]["network"], false);

    // A port that nobody serves here: the tests did not start what they ask for.
    for (call, peer) in [
        ("UdpSocket::bind(\"0.0.0.0:0\").unwrap().send_to(b\"x\", \"192.0.2.1:9\")", "192.0.2.1:9"),
        (
            "TcpStream::connect_timeout(&\"192.0.2.1:81\".parse().unwrap(), std::time::Duration::from_millis(50))",
            "192.0.2.1:81",
        ),
        ("TcpStream::connect(\"127.0.0.1:1\")", "127.0.0.1:1"),
        ("std::os::unix::net::UnixStream::connect(\"/run/docker.sock\")", "unix:/run/docker.sock"),
    ] {
        suite
            .fixture
            .write("app/tests/it.rs", &format!("use std::net::*;\n#[test] fn it() {{ let _ = {call}; }}\n"));
        let observed = app(&suite, 0);
        assert_eq!(observed["network"], json!([peer]), "{call}");
        assert_eq!(observed["declaration"]["network"], true, "{call}");
    }
    suite.run(&["test-inputs", "-p", "app", "--apply"], 0);
    assert_eq!(suite.fixture.read("xtask.toml"), "[test-inputs.app]\nfiles = []\nnetwork = true\n");
}

#[test]
fn only_the_wanted_packages_run_and_a_custom_harness_counts() {
    let custom = "[[test]]\nname = \"own\"\nharness = false\n";
    let suite = suite("#[test] fn it() { panic!(\"it ran\"); }", &[], "");
    let manifest = suite.fixture.read("side/Cargo.toml") + custom;
    suite.fixture.write("side/Cargo.toml", &manifest);
    suite.fixture.write("side/tests/own.rs", "fn main() { std::fs::read(\"../one.txt\").unwrap(); }\n");
    let report = suite.json(&["test-inputs", "--package", "side"], 0);
    let side = &report["packages"][0];
    assert_eq!(side["programs"].as_array().unwrap().len(), 2, "{side:#}");
    assert_eq!(side["declaration"]["files"], json!(["one.txt", "side.txt"]));
    let outcome = suite.run(&["test-inputs", "-p", "sdie"], 2);
    assert!(outcome.stderr.contains("did you mean `side`?"), "{}", outcome.stderr);
    let outcome = suite.run(&["test-inputs", "--tier", "lint"], 2);
    assert!(outcome.stderr.contains("the tier `lint` does not run tests"), "{}", outcome.stderr);
}

#[test]
fn what_does_not_compile_and_what_stays_behind_is_no_reason_to_wait() {
    let left = r#"#[test] fn it() { Command::new("sh").args(["-c", "sleep 60 </dev/null >/dev/null 2>&1 &"]).status().unwrap(); }"#;
    let suite = suite(left, &[], "");
    let started = std::time::Instant::now();
    assert_eq!(app(&suite, 0)["failed"], json!([]));
    assert!(started.elapsed() < std::time::Duration::from_secs(50));
    suite.fixture.write("app/src/main.rs", "fn main() { gone() }\n");
    let report = suite.json(&["test-inputs"], 1);
    assert_eq!((&report["packages"], &report["applied"]), (&json!([]), &json!(false)));
    assert!(report["not_compiled"][0].as_str().unwrap().starts_with("`app`"), "{report:#}");
}

#[test]
fn a_package_that_fails_is_shown_and_not_declared() {
    let suite = suite(r#"#[test] fn it() { fs::read("../one.txt").unwrap(); panic!(); }"#, &[], "");
    let report = suite.json(&["test-inputs", "--apply"], 1);
    let of = |index: usize| &report["packages"][index];
    assert_eq!((&of(0)["failed"], &of(0)["reads"]["files"]), (&json!(["it"]), &json!(["one.txt"])));
    assert_eq!(of(0)["declaration"], Value::Null);
    assert_eq!(suite.fixture.read("xtask.toml"), "[test-inputs.side]\nfiles = [\n    \"side.txt\",\n]\n");
}

const CONFIG: &str =
    "# ours\n[test-inputs.app]\nfiles = [\"data/**\", \"old.txt\"] # mine\nremember = true\n";

#[test]
fn what_is_applied_is_added_once_and_can_be_undone() {
    let tests = r#"
        #[test] fn it() { for file in ["one.txt", "data/a.txt", "data/deep/b.txt"] { fs::read(format!("../{file}")).unwrap(); } }
    "#;
    let suite = suite(tests, &[], CONFIG);
    let shown = suite.run(&["test-inputs"], 0).stdout;
    assert!(shown.contains("+files = [\"data/**\", \"old.txt\", \"one.txt\"] # mine"), "{shown}");
    assert!(
        shown.ends_with("2 packages observed; 2 to declare in xtask.toml (--apply writes it)\n"),
        "{shown}"
    );
    assert_eq!(suite.fixture.read("xtask.toml"), CONFIG);

    let shown = suite.run(&["test-inputs", "--apply"], 0).stdout;
    assert!(shown.ends_with("2 declared in xtask.toml (--undo takes it back)\n"), "{shown}");
    let applied = suite.fixture.read("xtask.toml");
    let expected = CONFIG.replace("\"old.txt\"", "\"old.txt\", \"one.txt\"");
    assert_eq!(applied, format!("{expected}\n[test-inputs.side]\nfiles = [\n    \"side.txt\",\n]\n"));
    let again = suite.run(&["test-inputs", "--apply"], 0).stdout;
    assert!(again.ends_with("2 packages observed; nothing to declare\n"), "{again}");
    assert_eq!(suite.fixture.read("xtask.toml"), applied);
    assert_eq!(suite.fixture.git(&["status", "--porcelain"]).trim(), "M xtask.toml");

    suite.run(&["test-inputs", "--undo"], 0);
    assert_eq!(suite.fixture.read("xtask.toml"), CONFIG);
    assert!(suite.run(&["test-inputs", "--undo"], 0).stdout.ends_with("nothing to undo\n"));
}

#[test]
fn without_strace_or_the_right_to_use_it_nothing_runs() {
    let suite = suite("#[test] fn it() {}", &[], "").without_nextest();
    let outcome = suite.run(&["test-inputs"], 3);
    assert!(outcome.stderr.contains("strace is not installed\n  next: "), "{}", outcome.stderr);
    let denied =
        "echo 'strace: test_ptrace_get_syscall_info: PTRACE_TRACEME: Operation not permitted' >&2\nexit 1\n";
    script(&suite.root().join("target/bin/strace"), denied);
    let outcome = suite.run(&["test-inputs"], 3);
    assert!(
        outcome.stderr.contains("may not trace programs here: strace: test_ptrace_get"),
        "{}",
        outcome.stderr
    );
    assert!(!suite.root().join("target/debug").exists(), "nothing was built");
}
