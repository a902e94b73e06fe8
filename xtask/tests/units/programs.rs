//! Which program a call is for, and how one is put in its place.

#![expect(clippy::disallowed_methods, reason = "fixtures need no checked removal")]

use std::ffi::OsString;
use std::fs;

use crate::place::Program;
use crate::store::put;

#[test]
fn the_command_is_found_behind_global_flags() {
    let table: [(&[&str], Program); 9] = [
        (&["disk"], Program::Workshop),
        (&["-C", "disk", "test-fast"], Program::Daily),
        (&["-C", "test-fast", "disk"], Program::Workshop),
        (&["-Ctest-fast", "disk"], Program::Workshop),
        (&["-vC", "test-fast", "disk"], Program::Workshop),
        (&["--color", "never", "disk"], Program::Workshop),
        (&["--color=never", "-v", "disk", "-C", "x"], Program::Workshop),
        (&["with", "disk"], Program::Daily),
        (&[], Program::Daily),
    ];
    for (args, program) in table {
        let args = args.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(Program::of(&args), program, "{args:?}");
    }
}

/// Also in containers, where each has the same process id.
#[test]
fn several_that_put_a_program_in_the_same_place_never_leave_a_part_of_one() {
    let folder = std::env::temp_dir().join(format!("xtask-put-{}", std::process::id()));
    let path = folder.join("program");
    let programs = [vec![b'a'; 1_000_000], vec![b'b'; 3_000_000]];
    put(&path, &programs[0]).unwrap();
    std::thread::scope(|scope| {
        let path = &path;
        let writers: Vec<_> = programs
            .iter()
            .map(|program| scope.spawn(move || (0..50).for_each(|_| drop(put(path, program)))))
            .collect();
        while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            assert!(programs.contains(&fs::read(path).unwrap()));
        }
    });
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    fs::remove_dir_all(folder).unwrap();
}
