//! Archives of every kind, hostile ones too.

use super::*;

/// For each archive a place whose curl brings it, whatever it is asked for.
fn bringing_each(name: &str, archives: &[(&str, Vec<&str>)]) -> Vec<(Place, Archive)> {
    let places = archives.iter().map(|_| Place::new(name)).collect::<Vec<_>>();
    let path = |(place, (file, _)): (&Place, &(&str, Vec<&str>))| place.dir.path().join(file);
    let paths = places.iter().zip(archives).map(path).collect::<Vec<_>>();
    let packed = paths.iter().zip(archives).map(|(path, (_, members))| (path.clone(), members.clone()));
    pack_all(&packed.collect::<Vec<_>>());
    let bring = |(mut place, path): (Place, Utf8PathBuf)| {
        place.script("curl", "exec cat \"$SOURCE\"");
        place.environment.set("SOURCE", path.as_str());
        let url = format!("https://localhost/{}", path.file_name().unwrap());
        (place, archive(url, sum(&path), None))
    };
    places.into_iter().zip(paths).map(bring).collect()
}

fn bringing(name: &str, file: &str, members: &[&str]) -> (Place, Archive) {
    bringing_each(name, &[(file, members.to_vec())]).remove(0)
}

#[test]
fn every_format_is_unpacked() {
    let program = format!("file:tool={PROGRAM}");
    let dotted = format!("file:./tool={PROGRAM}");
    let deep = format!("file:tool-1.0 x/bin/tool={PROGRAM}");
    let members = [
        (vec!["dir:doc=", "file:doc/tool=no", &program], None),
        (vec!["file:tool=no", &deep, "file:tool-1.0 x/README=no"], Some("tool-1.0 x/bin/tool")),
        (vec!["dir:./=", &dotted], None),
    ];
    let files = ["tool.tar.gz", "tool.tar.xz", "tool.tar.zst", "tool.zip"];
    let of_file = |file| members.iter().map(move |(members, wanted)| (file, members.clone(), *wanted));
    let table = files.into_iter().flat_map(of_file).collect::<Vec<_>>();
    let archives = table.iter().map(|(file, members, _)| (*file, members.clone())).collect::<Vec<_>>();
    for ((place, mut archive), (file, members, wanted)) in
        bringing_each("format", &archives).into_iter().zip(table)
    {
        archive.binary = wanted.map(str::to_owned);
        place.fetch(&archive).unwrap_or_else(|error| panic!("{file} {members:?}: {error:#}"));
        assert_eq!(place.dir.read("cargo home/bin/tool"), PROGRAM, "{file} {members:?}");
    }
}

#[test]
fn bytes_are_kept_as_they_are_and_a_bare_program_is_taken_as_it_is() {
    let bytes = (0..=255_u8).cycle().take(300_000).collect::<Vec<_>>();
    for file in ["tool", "tool.tar.gz", "tool.zip"] {
        let mut place = Place::new("bytes");
        let bare = place.dir.path().join("tool");
        xtask_files::write_atomic(&bare, &bytes, xtask_files::Durability::Cache).unwrap();
        let line = match file {
            "tool" => "true",
            "tool.zip" => "python3 -m zipfile -c tool.zip tool",
            _ => "tar -czf tool.tar.gz tool",
        };
        Outcome::of(Command::new("sh").args(["-c", line]).current_dir(place.dir.path())).expect_code(0);
        let source = place.dir.path().join(file);
        place.script("curl", "exec cat \"$SOURCE\"");
        place.environment.set("SOURCE", source.as_str());
        let path =
            place.fetch(&archive(format!("https://localhost/{file}?raw=1"), sum(&source), None)).unwrap();
        assert!(fs::read(&path).unwrap() == bytes, "{file}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode(), 0o100_755);
    }
}

#[test]
fn what_is_not_exactly_one_regular_file_is_refused_and_leads_nowhere() {
    // (members, what is said)
    let table: [(&[&str], &str); 8] = [
        (&["file:../tool=bad", "file:x=1"], "it has no `tool`, but `../tool`"),
        (&["file:/tool=bad"], "it has no `tool`, but `/tool`"),
        (&["file:x/../tool=bad"], "it has no `tool`, but `x/../tool`"),
        (&["link:tool=/etc/passwd"], "`tool` in it is a symbolic link"),
        (&["file:tool=1", "file:tool=2"], "it has 2 members named `tool`"),
        (&["link:tool=/etc/passwd", "file:tool=2"], "it has 2 members named `tool`"),
        (&["dir:tool=", "file:tool/tool=2"], "it has 2 members named `tool`"),
        (&["file:README=1"], "it has no `tool`; correct `binary`"),
    ];
    let formats = ["tool.tar.gz", "tool.zip"];
    let each = table.iter().flat_map(|(members, said)| formats.map(|file| (file, members.to_vec(), *said)));
    let each = each.collect::<Vec<_>>();
    let archives = each.iter().map(|(file, members, _)| (*file, members.clone())).collect::<Vec<_>>();
    for ((place, archive), (file, members, expected)) in
        bringing_each("hostile", &archives).into_iter().zip(each)
    {
        let said = place.refusal(&archive);
        assert!(said.contains(expected), "{file} {members:?}: {said}");
    }
    let (place, hard) = bringing("hostile", "tool.tar.gz", &["file:x=1", "hard:tool=x"]);
    assert!(place.refusal(&hard).contains("`tool` in it is a hard link"));
}

#[test]
fn hostile_members_beside_the_program_are_never_made() {
    let program = format!("file:tool={PROGRAM}");
    let members =
        ["file:../escaped=bad", "file:/tmp/xtask-escaped=bad", "link:out=/tmp", "file:out/xtask-escaped=bad"];
    for file in ["tool.tar.gz", "tool.zip"] {
        let (place, archive) = bringing("beside", file, &[&members[..], &[&program]].concat());
        place.fetch(&archive).expect(file);
        assert_eq!(place.dir.read("cargo home/bin/tool"), PROGRAM);
        assert_eq!(names(&place.bin()), ["tool"]);
        assert_eq!(names(&place.downloads()).len(), 2, "{:?}", names(&place.downloads()));
        assert!(!place.dir.path().join("escaped").exists() && !place.bin().join("../escaped").exists());
        assert!(!Utf8Path::new("/tmp/xtask-escaped").exists());
    }
}

#[test]
fn a_wanted_name_that_a_program_could_read_as_a_pattern_is_refused() {
    let (place, mut archive) = bringing("pattern", "tool.tar.gz", &["file:tool=1"]);
    for wanted in ["*", "../tool", "/tool", "--checkpoint-action=exec=sh", "too[l]", "tool/"] {
        archive.binary = Some(wanted.to_owned());
        assert!(place.refusal(&archive).contains("is no path inside of an archive"), "{wanted}");
    }
}

#[test]
fn what_unpacks_to_more_than_the_limit_is_given_up() {
    let large = format!("file:tool={}", "0".repeat(100_000));
    for file in ["tool.tar.gz", "tool.tar.xz", "tool.zip"] {
        let (mut place, archive) = bringing("bomb", file, &[&large]);
        place.limits.unpacked_bytes = 99_999;
        let said = place.refusal(&archive);
        assert!(said.contains("is larger than 99999 bytes, which no tool is"), "{file}: {said}");
        place.limits.unpacked_bytes = 100_000;
        place.fetch(&archive).expect(file);
    }
}

#[test]
fn the_users_options_for_tar_change_nothing() {
    let (mut place, archive) = bringing("options", "tool.tar.gz", &[&format!("file:tool={PROGRAM}")]);
    place.environment.set("TAR_OPTIONS", "--exclude=tool --to-command=false");
    place.environment.set("GZIP", "--best --verbose");
    place.fetch(&archive).unwrap();
    let (mut place, archive) = bringing("options", "tool.zip", &[&format!("file:tool={PROGRAM}")]);
    place.environment.set("UNZIP", "-x tool");
    place.environment.set("ZIPINFO", "-v");
    place.fetch(&archive).unwrap();
}
