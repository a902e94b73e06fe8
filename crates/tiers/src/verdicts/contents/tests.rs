use std::os::unix::fs::{PermissionsExt, symlink};
use std::thread::sleep;

use xtask_testkit::TempDir;

use super::*;

fn cache(dir: &TempDir) -> Utf8PathBuf {
    dir.path().join("state/verdicts/contents")
}

/// What a new process would answer.
fn ask(dir: &TempDir, names: &[&str]) -> Vec<Option<Digest>> {
    let mut contents = Contents::load(&dir.path().join("state"));
    let digests = contents.digests(&names.iter().map(|name| dir.path().join(name)).collect::<Vec<_>>());
    contents.save().unwrap();
    digests
}

/// Longer than the file system's clock ticks.
fn settle() {
    sleep(Duration::from_millis(70));
}

#[test]
fn kind_mode_and_bytes_count() {
    let dir = TempDir::new("contents");
    dir.write("one", "1");
    dir.write("same", "1");
    dir.write("other", "2");
    dir.write("empty", "");
    dir.write("program", "1");
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(dir.path().join("program"), mode).unwrap();
    symlink("one", dir.path().join("link")).unwrap();
    symlink("1", dir.path().join("dangling")).unwrap();
    fs::create_dir(dir.path().join("folder")).unwrap();
    let names = ["one", "other", "empty", "program", "link", "dangling"];
    for round in 0..2 {
        let digests = ask(&dir, &names);
        let different = digests.iter().flatten().collect::<std::collections::BTreeSet<_>>();
        assert_eq!(different.len(), names.len(), "round {round}");
        assert_eq!(ask(&dir, &["same"]), [digests[0].clone()]);
        assert_eq!(ask(&dir, &["folder", "none", "one/none"]), [None, None, None]);
        settle();
    }
}

#[test]
fn a_large_file_is_read_whole() {
    let dir = TempDir::new("contents-large");
    let text = "0123456789".repeat(300_000);
    dir.write("a", &text);
    dir.write("b", &text);
    dir.write("c", &format!("{}x", &text[1..]));
    let digests = ask(&dir, &["a", "b", "c"]);
    assert_eq!(digests[0], digests[1]);
    assert_ne!(digests[0], digests[2]);
}

/// The cache is believed: a digest that is changed in it is the answer.
#[test]
fn a_file_is_read_again_only_if_it_may_have_changed() {
    let dir = TempDir::new("contents-again");
    dir.write("x", "old");
    settle();
    let [Some(old)] = &ask(&dir, &["x"])[..] else { panic!("no digest") };
    let forged = digest("forged");
    let forge = || {
        let lines = read_lines(&cache(&dir)).unwrap().replace(&old.to_string(), &forged.to_string());
        write_lines(&cache(&dir), &lines).unwrap();
    };
    forge();
    let answer = ask(&dir, &["x"]);
    assert_eq!(answer, [Some(forged.clone())], "it was not read");
    let path = dir.path().join("x");
    let edits: [(&str, &dyn Fn()); 4] = [
        ("its mode", &|| fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap()),
        ("its time", &|| {
            let file = File::options().append(true).open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
        }),
        ("its inode", &|| {
            fs::copy(&path, dir.path().join("y")).unwrap();
            fs::rename(dir.path().join("y"), &path).unwrap();
        }),
        ("its bytes", &|| dir.write("x", "old")),
    ];
    for (what, edit) in edits {
        forge();
        edit();
        assert_eq!(ask(&dir, &["x"]), [Some(old.clone())], "{what}");
        settle();
        ask(&dir, &["x"]);
    }
}

#[test]
fn a_file_that_was_just_written_is_read_again() {
    let dir = TempDir::new("contents-racy");
    dir.write("x", "old");
    ask(&dir, &["x"]);
    let stamps =
        |lines: &str| lines.lines().map(|line| line.split('\t').nth(3).unwrap().len()).sum::<usize>();
    assert_eq!(stamps(&read_lines(&cache(&dir)).unwrap()), 0, "not to be trusted");
    settle();
    ask(&dir, &["x"]);
    assert!(stamps(&read_lines(&cache(&dir)).unwrap()) > 0);
}

#[test]
fn a_time_is_settled_when_its_clock_has_moved_on() {
    let at = |milliseconds| SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
    let table = [
        // Changed, now, settled.
        (1_500, 1_540, false),
        (1_500, 1_600, true),
        // In whole seconds.
        (1_000, 3_000, false),
        (1_000, 3_200, true),
        // In the future.
        (9_999, 1_000, false),
    ];
    for (changed, now, settled) in table {
        assert_eq!(is_settled(at(changed), at(now)), settled, "{changed} {now}");
    }
}

#[test]
fn it_is_written_only_if_something_changed() {
    let dir = TempDir::new("contents-save");
    dir.write("x", "1");
    dir.write("y", "1");
    settle();
    ask(&dir, &["x", "y"]);
    let inode = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(cache(&dir)).unwrap());
    let first = inode();
    ask(&dir, &["x"]);
    assert_eq!(inode(), first);
    dir.write("x", "2");
    ask(&dir, &["x"]);
    assert_ne!(inode(), first);
    assert_eq!(read_lines(&cache(&dir)).unwrap().lines().count(), 2, "y is still known");
}

#[test]
fn a_damaged_or_foreign_cache_is_no_cache() {
    let dir = TempDir::new("contents-damaged");
    dir.write("x", "1");
    settle();
    let right = ask(&dir, &["x"]);
    let whole = dir.read("state/verdicts/contents");
    let wrong = whole.replace(&right[0].as_ref().unwrap().to_string(), &digest("wrong").to_string());
    let damaged = [
        "",
        "\n",
        "xtask-suite",
        &whole[..whole.len() - 1],
        &whole.replacen("xtask-suite 1", "xtask-suite 0", 1),
        &wrong,
        &whole.replacen('\t', " ", 1),
    ];
    for text in damaged {
        dir.write("state/verdicts/contents", text);
        assert_eq!(ask(&dir, &["x"]), right, "{text:?}");
        assert_eq!(dir.read("state/verdicts/contents").lines().count(), 2);
    }
    #[expect(clippy::disallowed_methods, reason = "a fixture needs no atomic write")]
    fs::write(cache(&dir), b"xtask-suite 1 \xff\n\xff").unwrap();
    assert_eq!(ask(&dir, &["x"]), right);
}

#[test]
fn odd_names_survive() {
    let dir = TempDir::new("contents-names");
    let names = ["a b", "new\nline", "tab\t", "back\\slash\\n", "\r", "ünï"];
    for name in names {
        dir.write(name, name);
        assert_eq!(unescape(&escape(name)), name);
    }
    settle();
    let digests = ask(&dir, &names);
    let cached = fs::read(cache(&dir)).unwrap();
    assert_eq!(ask(&dir, &names), digests);
    assert_eq!(fs::read(cache(&dir)).unwrap(), cached);
}

#[test]
fn a_file_that_cannot_be_read_is_not_a_missing_one() {
    let dir = TempDir::new("contents-unreadable");
    dir.write("x", "1");
    let path = dir.path().join("x");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
    // Root reads everything.
    if File::open(&path).is_err() {
        assert!(ask(&dir, &["x"])[0].is_some());
    }
}

#[test]
fn a_folder_is_all_that_is_below_it() {
    let dir = TempDir::new("contents-folder");
    let outside = TempDir::new("contents-outside");
    let folder = || Contents::load(&dir.path().join("state")).folder(&dir.path().join("out"));
    let path = |name: &str| dir.path().join("out").join(name);
    let mut seen = vec![folder()];
    let steps: [&dyn Fn(); 9] = [
        &|| fs::create_dir(path("")).unwrap(),
        &|| dir.write("out/a", "1"),
        &|| dir.write("out/a", "2"),
        &|| dir.write("out/deep/b", "1"),
        &|| fs::rename(path("deep/b"), path("deep/c")).unwrap(),
        &|| fs::create_dir(path("empty")).unwrap(),
        &|| symlink(outside.path(), path("link")).unwrap(),
        &|| fs::set_permissions(path("a"), fs::Permissions::from_mode(0o755)).unwrap(),
        &|| fs::remove_file(path("a")).unwrap(),
    ];
    for (number, step) in steps.into_iter().enumerate() {
        step();
        let now = folder();
        assert!(!seen.contains(&now), "step {number}");
        assert_eq!(folder(), now);
        seen.push(now);
    }
    outside.write("x", "not followed");
    assert_eq!(folder(), seen[9]);
}

#[test]
fn what_is_gone_is_remembered_within_bounds() {
    let dir = TempDir::new("contents-gone");
    dir.write("x", "1");
    dir.write("y", "1");
    ask(&dir, &["x", "y"]);
    let mut contents = Contents::load(&dir.path().join("state"));
    fs::remove_file(dir.path().join("x")).unwrap();
    contents.begin_listing();
    contents.end_listing(|path| path.ends_with("/y"));
    assert_eq!(contents.gone().count(), 0, "the one does not count, the other is there");
    contents.end_listing(|_| true);
    let x = dir.path().join("x");
    assert_eq!(contents.gone().map(|(path, _)| path).collect::<Vec<_>>(), [x.as_str()]);
    for number in 0..2 * MOST_GONE {
        let entry =
            Entry { stamp: String::new(), digest: None, builds: false, changed_ms: number as u64, asked: 1 };
        contents.entries.insert(format!("/{number}"), entry);
    }
    contents.save().unwrap();
    let contents = Contents::load(&dir.path().join("state"));
    assert!(contents.gone().count() <= MOST_GONE);
    assert!(contents.gone().any(|(path, _)| path == x), "the last that went is known");
    assert!(contents.changed_ms(dir.path().join("y").as_str()).is_some());
}
