//! The fault harness on programs of which every call is known.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test; clippy.toml's exception stops at `#[test]` functions")]

use std::fs;
use std::process::Command;

use xtask_testkit::{Fault, Faults, Injected, TempDir, assert_all_fired, sample, scrub};

/// A command that makes a folder, writes a file there by way of a temporary one, and removes another file.
/// The shell itself does only the writing, so the rest is `perl`'s.
fn script(dir: &TempDir) -> Command {
    let root = dir.path();
    for entry in root.read_dir_utf8().unwrap() {
        let path = entry.unwrap().into_path();
        if path.is_dir() { fs::remove_dir(&path).unwrap() } else { fs::remove_file(&path).unwrap() }
    }
    dir.write("old", "old");
    let mut command = Command::new("perl");
    scrub(&mut command).current_dir(root).args(["-e", PERL]);
    command
}

const PERL: &str = r#"
use IO::Handle;
open(my $in, "<", "old") or die "old: $!"; my $text = <$in>; close($in);
mkdir("d") or die "mkdir d: $!";
my $tmp = "new.$$.tmp";
open(my $out, ">", $tmp) or die "open $tmp: $!";
syswrite($out, "new") // die "write $tmp: $!";
rename($tmp, "new") or die "rename new: $!";
unlink("old") or die "unlink old: $!";
print "done\n";
"#;

#[test]
fn every_change_is_listed_and_each_can_be_the_last() {
    let dir = TempDir::new("faults-list");
    let faults = Faults::reference(|| script(&dir), dir.path());
    assert_eq!(faults.outcome.code, Some(0), "{:?}", faults.outcome);
    let names =
        faults.calls.iter().map(|call| (call.name.as_str(), call.paths[0].as_str())).collect::<Vec<_>>();
    let expected = [
        ("mkdir", "d"),
        ("openat", "new.PID.tmp"),
        ("write", "new.PID.tmp"),
        ("rename", "new.PID.tmp"),
        ("unlink", "old"),
    ];
    assert_eq!(names, expected, "the file that was only read, and what was printed, are not listed");
    assert!(faults.calls[1].ordinal > 1, "files that were only read are counted: {}", faults.calls[1]);

    // After a kill exactly the calls before it were made.
    let state = || {
        let there = |name: &str| dir.path().join(name).exists();
        let temporary =
            dir.path().read_dir_utf8().unwrap().any(|entry| entry.unwrap().path().extension() == Some("tmp"));
        (there("d"), temporary, there("new"), there("old"))
    };
    let states = [
        (false, false, false, true),
        (true, false, false, true),
        (true, true, false, true),
        (true, true, false, true),
        (true, false, true, true),
    ];
    let mut runs = Vec::new();
    for (call, expected) in faults.calls.iter().zip(states) {
        runs.push(faults.inject(&script(&dir), call, Fault::Kill));
        assert_eq!(state(), expected, "killed at {call}");
        let run = faults.inject(&script(&dir), call, Fault::Error("ENOSPC"));
        assert!(run.outcome.stderr.contains("No space left"), "{}", run.seen);
        assert_ne!(run.outcome.code, Some(0), "{}", run.seen);
        assert!(run.fired, "{}", run.seen);
    }
    assert_all_fired(&faults.calls, &runs);
    assert_eq!(sample(&faults.calls, 1), faults.calls, "each is the first of its kind");
}

#[test]
fn a_fault_that_does_not_fire_is_noticed() {
    let dir = TempDir::new("faults-silent");
    let faults = Faults::reference(|| script(&dir), dir.path());
    let silent = |run: Injected| assert!(!run.fired, "{}", run.seen);

    // A call that is never made.
    let mut never = faults.calls[2].clone();
    never.ordinal += 1000;
    silent(faults.inject(&script(&dir), &never, Fault::Kill));
    silent(faults.inject(&script(&dir), &never, Fault::Error("EIO")));

    // A call of that name and number, on something else.
    let mut elsewhere = faults.calls[4].clone();
    elsewhere.paths = vec!["other".into()];
    silent(faults.inject(&script(&dir), &elsewhere, Fault::Kill));
    silent(faults.inject(&script(&dir), &elsewhere, Fault::Error("EIO")));

    // A program that makes another call in its place, and one that dies by itself.
    let mut other = Command::new("perl");
    scrub(&mut other).current_dir(dir.path()).args(["-e", "mkdir('e'); kill('KILL', $$); unlink('old')"]);
    silent(faults.inject(&other, &faults.calls[0], Fault::Error("EIO")));
    silent(faults.inject(&other, &faults.calls[4], Fault::Kill));
}

#[test]
fn an_environment_and_a_shell_that_starts_programs_are_no_obstacle() {
    let dir = TempDir::new("faults-shell");
    let make = || {
        let mut command = Command::new("sh");
        // `cp` is another process: its calls are not the shell's.
        scrub(&mut command).current_dir(dir.path()).env("WORD", "x y");
        command.args(["-c", "echo \"$WORD\" > a; cp a b; cat b"]);
        command
    };
    let faults = Faults::reference(make, dir.path());
    assert_eq!(faults.outcome.stdout, "x y\n");
    let names = faults.calls.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names[0].ends_with(" a") && names[1].ends_with(" a"), "{names:?}");
    let run = faults.inject(&make(), &faults.calls[1], Fault::Error("ENOSPC"));
    assert!(run.fired, "{}", run.seen);
    assert_eq!(dir.read("a"), "");
}
