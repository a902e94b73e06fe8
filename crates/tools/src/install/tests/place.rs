//! What lies at the program's place, before and after.

use std::os::unix::fs::symlink;
use std::time::SystemTime;

use super::*;

/// A place whose curl brings an archive of the program.
fn bringing_program() -> (Place, Archive) {
    let mut place = Place::new("place");
    let source = place.dir.path().join("source.tar.gz");
    pack(&source, &[("tool-1.0 x/bin/tool", PROGRAM), ("tool", "another one")]);
    place.script("curl", "exec cat \"$SOURCE\"");
    place.environment.set("SOURCE", source.as_str());
    let url = "https://localhost/tool.tar.gz?raw=1".to_owned();
    (place, archive(url, sum(&source), Some("tool-1.0 x/bin/tool")))
}

#[test]
fn the_one_member_is_placed_byte_for_byte_and_executable() {
    let mut place = Place::new("bytes");
    let bytes = (0..=255_u8).cycle().take(300_000).collect::<Vec<_>>();
    let path = place.dir.path().join("tool");
    xtask_files::write_atomic(&path, &bytes, xtask_files::Durability::Cache).unwrap();
    let line = "tar -czf tool.tar.gz tool";
    Outcome::of(Command::new("sh").args(["-c", line]).current_dir(place.dir.path())).expect_code(0);
    let source = place.dir.path().join("tool.tar.gz");
    place.script("curl", "exec cat \"$SOURCE\"");
    place.environment.set("SOURCE", source.as_str());
    // Options of the user's for tar change nothing.
    place.environment.set("TAR_OPTIONS", "--exclude=tool --to-command=false");
    let path = place.fetch(&archive("https://localhost/x.tgz".to_owned(), sum(&source), None)).unwrap();
    assert!(fs::read(&path).unwrap() == bytes);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode(), 0o100_755);
}

#[test]
fn a_member_that_is_not_there_is_told() {
    let (place, mut archive) = bringing_program();
    archive.binary = Some("bin/tool".to_owned());
    let said = place.refusal(&archive);
    assert!(said.contains("bin/tool: Not found in archive") && said.contains("check `binary`"), "{said}");
}

#[test]
fn a_link_is_replaced_and_what_it_leads_to_is_kept() {
    let (place, archive) = bringing_program();
    place.dir.write("elsewhere", "kept");
    place.dir.write("cargo home/bin/other", "kept");
    let elsewhere = place.dir.path().join("elsewhere");
    for target in [elsewhere.as_str(), "/nowhere/at/all", "/tmp"] {
        let path = place.bin().join("tool");
        let _ = fs::remove_file(&path);
        symlink(target, &path).unwrap();
        place.fetch(&archive).unwrap();
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        assert_eq!(fs::read_to_string(&path).unwrap(), PROGRAM);
    }
    assert_eq!(place.dir.read("elsewhere"), "kept");
    assert_eq!(names(&place.bin()), ["other", "tool"]);
}

#[test]
fn a_program_that_runs_goes_on_and_is_replaced() {
    let (place, archive) = bringing_program();
    fs::create_dir_all(place.bin()).unwrap();
    let path = place.bin().join("tool");
    fs::copy("/bin/sleep", &path).unwrap();
    let mut running = Command::new(&path).arg("60").spawn().unwrap();
    assert!(fs::OpenOptions::new().write(true).open(&path).is_err(), "it cannot be written to");
    place.fetch(&archive).unwrap();
    assert!(running.try_wait().unwrap().is_none(), "it still runs");
    running.kill().unwrap();
    running.wait().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), PROGRAM);
}

#[test]
fn a_place_that_cannot_be_had_is_told_before_anything_is_downloaded() {
    let (place, archive) = bringing_program();
    place.script("curl", "echo >\"$HOME.curl-was-called\"; exit 1");
    fs::create_dir_all(place.bin().join("tool/inside")).unwrap();
    let said = place.refusal(&archive);
    assert!(said.contains("/tool is a folder; move it away"), "{said}");

    fs::remove_dir(place.bin().join("tool/inside")).unwrap();
    fs::remove_dir(place.bin().join("tool")).unwrap();
    fs::remove_dir(place.bin()).unwrap();
    place.dir.write("cargo home/bin", "a file where a folder should be");
    let said = place.refusal(&archive);
    assert!(said.contains("failed to create folder"), "{said}");
    assert!(!place.dir.path().join("home.curl-was-called").exists());
}

#[test]
fn a_folder_that_refuses_writing_is_told_with_the_next_step() {
    let (place, archive) = bringing_program();
    fs::create_dir_all(place.bin()).unwrap();
    fs::set_permissions(place.bin(), fs::Permissions::from_mode(0o555)).unwrap();
    let fetched = place.fetch(&archive);
    fs::set_permissions(place.bin(), fs::Permissions::from_mode(0o755)).unwrap();
    // Nothing is refused to root; what the error says is proven there by `tests/faults`.
    if let Err(error) = fetched {
        let said = format!("{error:#}");
        assert!(said.contains("make it writable for you, or choose another folder"), "{said}");
    }
}

#[test]
fn what_a_killed_run_left_is_removed_when_it_is_old() {
    let (place, archive) = bringing_program();
    for name in [".tool.123-0.tmp", ".tool.124-1.tmp", ".other.123-0.tmp"] {
        place.dir.write(&format!("cargo home/bin/{name}"), "left");
    }
    let long_ago = SystemTime::now() - Duration::from_secs(2 * 3600);
    for name in [".tool.123-0.tmp", ".other.123-0.tmp"] {
        let file = fs::OpenOptions::new().write(true).open(place.bin().join(name)).unwrap();
        file.set_modified(long_ago).unwrap();
    }
    place.fetch(&archive).unwrap();
    assert_eq!(names(&place.bin()), [".other.123-0.tmp", ".tool.124-1.tmp", "tool"]);
}
