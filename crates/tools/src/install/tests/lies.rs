//! Programs that lie, hang, fail or are missing.

use std::time::Instant;

use xtask_workspace::EnvironmentLacks;

use super::*;

const URL: &str = "https://localhost:9/tool.tar.gz";

#[test]
fn a_curl_that_lies_hangs_or_fails_is_told_and_nothing_is_placed() {
    // (what curl does, what is said)
    let table = [
        ("exit 0", "succeeded without writing anything"),
        ("echo something else", "has the SHA-256"),
        ("echo 'curl: (7) Failed to connect' >&2; exit 7", "Failed to connect; check the network"),
        ("exit 99", "failed: it printed nothing"),
        ("kill -9 $$", "failed: it printed nothing"),
        ("sleep 323 & sleep 323", "did not end within"),
        ("yes", "is larger than 268435456 bytes"),
    ];
    for (script, expected) in table {
        let mut place = Place::new("lies");
        place.limits.whole = Duration::from_millis(500);
        if script == "yes" {
            place.limits = Limits { whole: Duration::from_secs(20), bytes: 1 << 20, ..place.limits };
        }
        place.script("curl", script);
        place.script("tar", "echo >\"$HOME.tar-was-called\"");
        let started = Instant::now();
        let said = place.refusal(&archive(URL.to_owned(), "0".repeat(64), None));
        let expected = expected.replace("268435456", "1048576");
        assert!(said.contains(&expected), "{script}: {said}");
        assert!(started.elapsed() < Duration::from_secs(8), "{script}: {:?}", started.elapsed());
        assert!(!place.dir.path().join("home.tar-was-called").exists(), "{script}");
    }
    let left = Command::new("pgrep").args(["-fx", "sleep 323"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "", "all of it has ended");
}

#[test]
fn a_missing_program_is_named_with_the_next_step() {
    // (on the PATH, what is said)
    let table: [(&[&str], &str); 2] = [
        (&["tar", "gzip"], "curl is not on PATH, and archives are downloaded by it; install it"),
        (&["cat", "gzip"], "tar is not on PATH, and the archive is unpacked by it; install it"),
    ];
    for (programs, expected) in table {
        let mut place = Place::new("missing");
        let file = place.dir.path().join("tool.tar.gz");
        pack(&file, &[("tool", PROGRAM)]);
        place.only(programs);
        place.environment.set("SOURCE", file.as_str());
        if programs.contains(&"cat") {
            place.script("curl", "exec cat \"$SOURCE\"");
        }
        let error = place.fetch(&archive(URL.to_owned(), sum(&file), None)).unwrap_err();
        assert!(format!("{error:#}").contains(expected), "{error:#}");
        assert!(error.is::<EnvironmentLacks>(), "an exit code of its own: {error:#}");
        assert_eq!(names(&place.bin()), [""; 0]);
    }
}

#[test]
fn a_tar_that_lies_hangs_or_fails_is_told_and_nothing_is_placed() {
    // (what tar does, what is said)
    let table = [
        ("exit 0", "the program in https://localhost/tool.tar.gz is empty"),
        ("echo half; echo 'tar: Unexpected EOF' >&2; exit 2", "tar: Unexpected EOF"),
        ("echo half; kill -9 $$", "failed in"),
        ("echo half; sleep 324", "did not end within"),
        ("yes", "is larger than 1048576 bytes, which no tool is"),
    ];
    for (script, expected) in table {
        let mut place = Place::new("tar-lies");
        place.limits.unpack = Duration::from_secs(if script == "yes" { 20 } else { 1 });
        place.limits.unpacked_bytes = 1 << 20;
        place.script("curl", "echo archive");
        place.script("tar", script);
        let file = place.dir.path().join("archive");
        place.dir.write("archive", "archive\n");
        place.dir.write("cargo home/bin/tool", "old");
        let said = place.refusal(&archive("https://localhost/tool.tar.gz".to_owned(), sum(&file), None));
        assert!(said.contains(expected), "{script}: {said}");
        assert_eq!(place.dir.read("cargo home/bin/tool"), "old");
    }
}
