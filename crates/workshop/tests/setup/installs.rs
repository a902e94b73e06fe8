//! Ways of installing: the first that works is taken, and what fails is said in a line.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use xtask_testkit::{HttpsServer, Outcome};

use crate::support::{Suite, tool, write};

const TOOL: &str = "#!/bin/sh\necho 'stamp 1.2.3'\n";

/// A server with an archive of a tool `stamp`, and the SHA-256 of the archive.
fn server(name: &str) -> (HttpsServer, String) {
    let server = HttpsServer::start(name);
    let files = server.files();
    let script = files.join("stamp-1.2.3/stamp");
    fs::create_dir_all(script.parent().unwrap()).unwrap();
    write(&script, TOOL);
    let mut tar = Command::new("tar");
    tar.args(["-czf", "stamp.tar.gz", "--mode=755", "stamp-1.2.3/stamp"]).current_dir(&files);
    Outcome::of(&mut tar).expect_code(0);
    let sum = Outcome::of(Command::new("sha256sum").arg(files.join("stamp.tar.gz"))).expect_code(0).stdout;
    let sum = sum.split(' ').next().unwrap().to_owned();
    (server, sum)
}

/// A machine that can download, whose workspace wants `stamp`.
fn suite(name: &str, server: &HttpsServer, settings: &str) -> Suite {
    let suite = Suite::new(name, &[], &format!("[tools.stamp]\n{settings}"));
    for program in ["curl", "tar", "gzip"] {
        suite.machine.install(program);
    }
    suite.with("CURL_CA_BUNDLE", server.authority().as_str())
}

fn archive(url: &str, sha256: &str) -> String {
    format!(
        "archives = [{{ host = \"*\", version = \"1.2.3\", url = \"{url}\", sha256 = \"{sha256}\", \
         binary = \"stamp-1.2.3/stamp\" }}]\n"
    )
}

#[test]
fn an_archive_is_checked_unpacked_and_proven_and_works_offline_after() {
    let (server, sum) = server("archive");
    let suite = suite("archive-suite", &server, &archive(&server.url("ok/stamp.tar.gz"), &sum));
    let report = suite.setup(&[]);
    assert_eq!(tool(&report, "stamp")["installed"], "archive", "{report:#}");
    assert_eq!(tool(&report, "stamp")["evidence"], "says to be 1.2.3");
    let path = tool(&report, "stamp")["path"].as_str().unwrap().to_owned();
    assert!(path.ends_with("cargo-home/bin/stamp"), "{path}");
    assert_eq!(fs::read_to_string(&path).unwrap(), TOOL);
    // The archive is still there: a lost program comes back without a network.
    fs::remove_file(&path).unwrap();
    let requests = server.requests().len();
    let again = suite.setup(&[]);
    assert_eq!(tool(&again, "stamp")["state"], "proven", "{again:#}");
    assert_eq!(server.requests().len(), requests);
}

#[test]
fn into_the_workspaces_own_folder_when_it_says_so() {
    let (server, sum) = server("private");
    let settings = archive(&server.url("ok/stamp.tar.gz"), &sum) + "[setup]\ninstall-to = \"workspace\"\n";
    let suite = suite("private-suite", &server, &settings);
    let report = suite.setup(&[]);
    let path = tool(&report, "stamp")["path"].as_str().unwrap().to_owned();
    assert!(path.ends_with(".cargo/xtask-tools/bin/stamp"), "{path}");
    let status = suite.fixture.git(&["status", "--porcelain", "--untracked-files=all"]);
    assert!(!status.contains("stamp"), "{status}");
    let again = suite.setup(&[]);
    assert_eq!(tool(&again, "stamp")["proven-now"], false, "{again:#}");
}

#[test]
fn a_wrong_checksum_is_never_placed_and_the_next_way_is_taken() {
    let (server, _) = server("wrong");
    let settings =
        archive(&server.url("ok/stamp.tar.gz"), &"0".repeat(64)) + "packages = { apt = \"stamp\" }\n";
    let suite = suite("wrong-suite", &server, &settings);
    // The package manager of this machine, which has it.
    let bin = suite.machine.bin();
    suite
        .machine
        .install_script("apt-get", &format!("echo \"$@\" >> {bin}/apt-log\ncp {bin}/../stamp {bin}/stamp"));
    write(&bin.join("../stamp"), TOOL);
    Outcome::of(Command::new("chmod").arg("755").arg(bin.join("../stamp"))).expect_code(0);
    suite.machine.install("cp");

    // Nobody can be asked here, and nobody said yes.
    let unasked = suite.run(&["setup", "--no-measure"]).expect_code(0);
    assert!(unasked.stdout.contains("not confirmed"), "{}", unasked.stdout);
    assert!(!bin.join("apt-log").exists());

    let outcome = suite.run(&["setup", "--no-measure", "--json", "--yes"]).expect_code(0);
    let report = crate::support::json(&outcome);
    assert!(
        outcome.stderr.contains("stamp: archive: ") && outcome.stderr.contains("SHA-256"),
        "{}",
        outcome.stderr
    );
    assert_eq!(tool(&report, "stamp")["installed"], "packages", "{report:#}");
    let log = fs::read_to_string(bin.join("apt-log")).unwrap();
    assert_eq!(log, "install --yes --no-install-recommends stamp\n");
    assert!(!suite.machine.home().join("../cargo-home/bin/stamp").exists());
}

#[test]
fn a_package_that_is_not_known_is_asked_for_again_with_a_fresh_list() {
    let (server, _) = server("stale");
    let suite = suite("stale-suite", &server, "packages = { apt = \"stamp\" }\n");
    let bin = suite.machine.bin();
    let script = format!(
        "if [ $1 = update ]; then touch {bin}/updated; exit 0; fi\n\
         [ -e {bin}/updated ] || {{ echo 'E: Unable to locate package stamp' >&2; exit 100; }}\n\
         printf '#!/bin/sh\\necho stamp 1.2.3\\n' > {bin}/stamp; chmod 755 {bin}/stamp"
    );
    suite.machine.install_script("apt-get", &script);
    for program in ["touch", "chmod", "printf"] {
        suite.machine.install(program);
    }
    let report = suite.setup(&["--yes"]);
    assert_eq!(tool(&report, "stamp")["installed"], "packages", "{report:#}");
}

#[test]
fn pacman_never_refreshes_its_list_without_upgrading_the_system() {
    let suite = Suite::new("pacman", &[], "[tools.stamp]\npackages = { pacman = \"stamp\" }\n");
    let bin = suite.machine.bin();
    let script = format!("echo \"$@\" >> {bin}/pacman-log\necho 'error: failed retrieving file' >&2\nexit 1");
    suite.machine.install_script("pacman", &script);
    suite.machine.install_script("sudo", "exec \"$@\"");
    let report = suite.setup(&["--yes"]);
    let why = tool(&report, "stamp")["why"].to_string();
    assert!(why.contains("pacman -Syu` first"), "{report:#}");
    assert_eq!(fs::read_to_string(bin.join("pacman-log")).unwrap(), "-S --needed --noconfirm stamp\n");
}

#[test]
fn cargo_install_is_the_last_way() {
    let (server, _) = server("crate");
    let suite = suite("crate-suite", &server, "");
    let source = suite.machine.home().join("stamp");
    suite.machine.write(
        "stamp/Cargo.toml",
        "[package]\nname = \"stamp\"\nversion = \"1.2.3\"\nedition = \"2021\"\n[workspace]\n",
    );
    suite.machine.write("stamp/src/main.rs", "fn main() {\n    println!(\"stamp 1.2.3\");\n}\n");
    suite.cargo_in(&source, &["generate-lockfile"]).expect_code(0);
    let config = suite.fixture.read("xtask.toml");
    suite.fixture.write("xtask.toml", &format!("{config}crate-args = [\"--path\", \"{source}\"]\n"));
    let report = suite.setup(&[]);
    assert_eq!(tool(&report, "stamp")["installed"], "cargo", "{report:#}");
    assert!(tool(&report, "stamp")["path"].as_str().unwrap().ends_with("cargo-home/bin/stamp"));
}

#[test]
fn a_required_tool_that_is_missing_is_exit_code_3() {
    let (server, sum) = server("required");
    let settings =
        archive(&server.url("404/stamp.tar.gz"), &sum) + "need = \"required\"\nwithout = \"nothing\"\n";
    let suite = suite("required-suite", &server, &settings);
    let outcome = suite.run(&["setup", "--no-measure"]).expect_code(3);
    assert!(outcome.stdout.contains("required and missing: stamp"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("404"), "{}", outcome.stdout);
    let offline = suite.run(&["setup", "--no-measure", "--offline"]).expect_code(3);
    assert!(offline.stdout.contains("--offline"), "{}", offline.stdout);
}

#[test]
fn another_version_than_the_pinned_one_is_replaced() {
    let (server, sum) = server("pinned");
    let settings = archive(&server.url("ok/stamp.tar.gz"), &sum) + "version = \"=1.2.3\"\n";
    let suite = suite("pinned-suite", &server, &settings);
    suite.machine.install_script("stamp", "echo 'stamp 1.0.0'");
    let dry = suite.run(&["setup", "--dry-run"]).expect_code(0);
    assert!(dry.stdout.contains("it is 1.0.0, and =1.2.3 is required; download "), "{}", dry.stdout);
    let report = suite.setup(&[]);
    assert_eq!(tool(&report, "stamp")["version"], "1.2.3", "{report:#}");
}

#[test]
fn an_interrupt_ends_everything_and_the_next_setup_continues() {
    let suite = Suite::new("interrupt", &["rust-lld"], "[tools.stamp]\npackages = { apt = \"stamp\" }\n");
    let bin = suite.machine.bin();
    for program in ["touch", "sleep", "chmod", "printf"] {
        suite.machine.install(program);
    }
    suite.machine.install_script("apt-get", &format!("touch {bin}/started\nsleep 4321"));
    let mut setup = suite.command(&["setup", "--no-measure", "--yes"]);
    let mut setup = setup.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while !bin.join("started").exists() {
        assert!(begun.elapsed().as_secs() < 60 && setup.try_wait().unwrap().is_none(), "it never began");
        std::thread::sleep(Duration::from_millis(20));
    }
    Outcome::of(Command::new("kill").args(["-INT", &setup.id().to_string()])).expect_code(0);
    assert_eq!(setup.wait().unwrap().signal(), Some(2), "a shell sees the interruption");
    let left = Outcome::of(Command::new("pgrep").args(["-fx", "sleep 4321"])).stdout;
    assert_eq!(left, "", "what it started has ended");

    let script = format!("printf '#!/bin/sh\\necho stamp 1.2.3\\n' > {bin}/stamp; chmod 755 {bin}/stamp");
    suite.machine.install_script("apt-get", &script);
    let report = suite.setup(&["--yes"]);
    assert_eq!(tool(&report, "stamp")["state"], "proven", "{report:#}");
    assert_eq!(tool(&report, "rust-lld")["proven-now"], false, "{report:#}");
}
