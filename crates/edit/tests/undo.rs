//! Taking edits back: exact where nobody was there since, careful where somebody was.

#![expect(clippy::unwrap_used, reason = "a test; clippy.toml's exception stops at `#[test]` functions")]

use std::collections::BTreeMap;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use xtask_edit::{Edit, Node, Reversal, Transaction, extend, plan_undo};
use xtask_files::{Durability, write_atomic};
use xtask_testkit::{Random, TempDir};

fn write(root: &Utf8Path, path: &str, bytes: impl AsRef<[u8]>) {
    write_atomic(&root.join(path), bytes, Durability::Cache).unwrap();
}

fn commit(root: &Utf8Path, edits: &[Edit]) {
    Transaction::begin(root).unwrap().0.commit(edits, || Ok(())).unwrap();
}

/// Does the edits of these paths; returns how they are taken back, as read from JSON again.
fn change(root: &Utf8Path, afters: Vec<(&str, Option<Node>)>) -> Vec<Reversal> {
    let edit = |(path, after): (&str, _)| Edit {
        path: path.into(),
        before: Node::read(&root.join(path)).unwrap(),
        after,
    };
    let edits = afters.into_iter().map(edit).collect::<Vec<_>>();
    let reversals = extend(Vec::new(), &edits, root, |_| false).unwrap();
    commit(root, &edits);
    let json = serde_json::to_string(&reversals).unwrap();
    let read = serde_json::from_str::<Vec<Reversal>>(&json).unwrap();
    assert_eq!(read, reversals);
    read
}

/// Undoes; returns what was kept, and why.
fn undo(root: &Utf8Path, reversals: &[Reversal]) -> Vec<(String, String)> {
    let plan = plan_undo(root, reversals).unwrap();
    commit(root, &plan.edits);
    plan.kept.into_iter().map(|kept| (kept.path.into_string(), kept.why)).collect()
}

fn folder(files: &[(&str, &str)]) -> Node {
    let files = files.iter().map(|(name, text)| (Utf8PathBuf::from(name), text.as_bytes().to_vec()));
    Node::Folder(files.collect::<BTreeMap<_, _>>())
}

/// Text as people leave it: lines of every ending, marks and odd characters.
fn random_text(random: &mut Random) -> Vec<u8> {
    let words = [
        "a",
        "b",
        "[x]",
        "k = 1",
        "--- a",
        "+++ b",
        "@@ -1 +1 @@",
        "\\ No newline at end of file",
        "-",
        "+",
        "",
    ];
    let odd = ["\u{c}", "é", "\t", " ", "\0", "\u{2028}", "\u{85}", "\u{b}", "\r", "\u{feff}"];
    let endings = ["\n", "\n", "\n", "\r\n", "\r\r\n", "\r"];
    let mut text = String::new();
    if random.chance(10) {
        text.push('\u{feff}');
    }
    for _ in 0..random.below(14) {
        text.push_str(random.pick(&words).unwrap());
        if random.chance(15) {
            text.push_str(random.pick(&odd).unwrap());
        }
        text.push_str(random.pick(&endings).unwrap());
    }
    if random.chance(40) {
        text.push_str(random.pick(&words).unwrap());
    }
    text.into_bytes()
}

/// `text` with some lines changed, or another text.
fn vary(random: &mut Random, text: &[u8]) -> Vec<u8> {
    if random.chance(15) {
        return random_text(random);
    }
    let mut lines = text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    for _ in 0..=random.below(3) {
        let at = random.below(lines.len() + 1);
        if random.chance(50) || at == lines.len() {
            lines.insert(at, random_text(random));
        } else {
            lines.remove(at);
        }
    }
    lines.concat()
}

#[test]
fn an_undo_restores_any_text_bit_for_bit() {
    let dir = TempDir::new("undo-exact");
    let mut edited = 0;
    for seed in 0..1500 {
        let mut random = Random::new(seed);
        let before = random_text(&mut random);
        let after = vary(&mut random, &before);
        let edit = Edit {
            path: "file".into(),
            before: Some(Node::file(before.clone())),
            after: Some(Node::file(after.clone())),
        };
        let reversals = extend(Vec::new(), &[edit], dir.path(), |_| false).unwrap();
        assert_eq!(reversals.is_empty(), before == after, "seed {seed}");
        if reversals.is_empty() {
            continue;
        }
        edited += 1;
        write(dir.path(), "file", &after);
        let json = serde_json::to_string(&reversals).unwrap();
        let plan = plan_undo(dir.path(), &serde_json::from_str::<Vec<Reversal>>(&json).unwrap()).unwrap();
        assert!(plan.kept.is_empty(), "seed {seed}: {:?}", plan.kept);
        let Some(Node::File(restored)) = &plan.edits[0].after else { panic!("seed {seed}") };
        assert_eq!(*restored, before, "seed {seed}");
    }
    assert!(edited > 900, "{edited}");
}

/// As `core.autocrlf` does in a colleague's clone.
#[test]
fn an_undo_restores_any_text_with_the_line_ends_that_git_has_given_it() {
    let dir = TempDir::new("undo-line-ends");
    let mut edited = 0;
    for seed in 0..500 {
        let mut random = Random::new(seed);
        let with_lf = |text: Vec<u8>| String::from_utf8(text).unwrap().replace('\r', "");
        let before = with_lf(random_text(&mut random));
        let after = with_lf(vary(&mut random, before.as_bytes()));
        let crlf = |text: &str| text.replace('\n', "\r\n");
        for [before, after, now, expected] in [
            [before.clone(), after.clone(), crlf(&after), crlf(&before)],
            [crlf(&before), crlf(&after), after.clone(), before.clone()],
        ] {
            let [before, after] = [before, after].map(|text| Some(Node::file(text)));
            let edit = Edit { path: "file".into(), before, after };
            let reversals = extend(Vec::new(), &[edit], dir.path(), |_| false).unwrap();
            // One line without an end does not say what git does to others.
            if reversals.is_empty() || !now.contains('\n') {
                continue;
            }
            edited += 1;
            write(dir.path(), "file", &now);
            let plan = plan_undo(dir.path(), &reversals).unwrap();
            assert!(plan.kept.is_empty(), "seed {seed}: {:?}", plan.kept);
            assert_eq!(plan.edits[0].after, Some(Node::file(expected)), "seed {seed}");
        }
    }
    assert!(edited > 500, "{edited}");
}

#[test]
fn what_nobody_has_changed_since_is_as_before() {
    let dir = TempDir::new("undo");
    let root = dir.path();
    for (path, text) in [("a.toml", "a = 1\r\nb = 2"), ("f/kept", "was")] {
        write(root, path, text);
    }
    let tree = || Node::read(root).unwrap().unwrap();
    let before = tree();
    let reversals = change(
        root,
        vec![
            ("a.toml", Some(Node::file("a = 1\r\nb = 3\r\n"))),
            ("f/kept", Some(Node::file("is"))),
            ("f/binary", Some(Node::file([0xfe, 0]))),
            ("new/deep/file", Some(Node::file("new"))),
            ("xtask", Some(folder(&[("Cargo.toml", "[package]"), ("src/main.rs", "fn main() {}")]))),
        ],
    );
    assert_ne!(tree(), before);
    assert_eq!(undo(root, &reversals), []);
    assert_eq!(tree(), before);
    assert!(!root.join("new").exists() && !root.join("xtask").exists(), "no empty folder stays");
    assert_eq!(plan_undo(root, &reversals).unwrap().edits, [], "a second undo finds nothing to do");
}

#[test]
fn what_somebody_has_changed_since_survives() {
    let dir = TempDir::new("undo-changed");
    let root = dir.path();
    let lines = |middle: &str| {
        let mut lines = (0..20).map(|n| format!("line {n}\n")).collect::<Vec<_>>();
        lines[10] = format!("{middle}\n");
        lines
    };
    for path in ["elsewhere", "same-lines", "deleted", "became-folder", "not-text"] {
        write(root, path, lines("old").concat());
    }
    let new = || Some(Node::file(lines("new").concat()));
    let reversals = change(
        root,
        vec![
            ("elsewhere", new()),
            ("same-lines", new()),
            ("deleted", new()),
            ("became-folder", new()),
            ("not-text", new()),
            ("made", Some(folder(&[("unchanged", "x"), ("changed", "x"), ("deleted", "x")]))),
        ],
    );
    let mut moved = lines("new");
    moved.insert(0, "mine\n".to_owned());
    moved.push("mine too".to_owned());
    write(root, "elsewhere", moved.concat());
    write(root, "same-lines", lines("mine").concat());
    fs::remove_file(root.join("deleted")).unwrap();
    fs::remove_file(root.join("became-folder")).unwrap();
    write(root, "became-folder/file", "mine");
    write(root, "not-text", [0xfd]);
    write(root, "made/changed", "mine");
    fs::remove_file(root.join("made/deleted")).unwrap();

    let kept = undo(root, &reversals);
    let kept = kept.iter().map(|(path, why)| (path.as_str(), why.as_str())).collect::<BTreeMap<_, _>>();
    let expected = [
        ("same-lines", "was changed since, in the same lines"),
        ("deleted", "was removed since"),
        ("became-folder", "is a folder now"),
        ("not-text", "was changed since and is not UTF-8"),
        ("made/changed", "was changed since it was created"),
    ];
    assert_eq!(kept, BTreeMap::from(expected));
    let mut undone = lines("old");
    undone.insert(0, "mine\n".to_owned());
    undone.push("mine too".to_owned());
    assert_eq!(dir.read("elsewhere"), undone.concat());
    assert_eq!(dir.read("same-lines"), lines("mine").concat());
    assert_eq!(dir.read("made/changed"), "mine");
    assert!(!root.join("made/unchanged").exists());
}

#[test]
fn a_record_leads_nowhere_else() {
    let dir = TempDir::new("undo-outside");
    let outside = |path: &str| Reversal::Created {
        path: path.into(),
        digest: xtask_workspace::digest("x"),
        inverses: Vec::new(),
    };
    assert!(plan_undo(dir.path(), &[outside("../x")]).is_err());
    assert!(plan_undo(dir.path(), &[outside("/x")]).is_err());
    // A damaged record does not make a text that never was.
    write(dir.path(), "file", "new\n");
    let edit =
        Edit { path: "file".into(), before: Some(Node::file("old\n")), after: Some(Node::file("new\n")) };
    let record = extend(Vec::new(), &[edit], dir.path(), |_| false).unwrap();
    let damaged = serde_json::to_string(&record).unwrap().replace("old\\n", "other\\n");
    let damaged = serde_json::from_str::<Vec<Reversal>>(&damaged).unwrap();
    assert!(plan_undo(dir.path(), &damaged).unwrap().kept[0].why.contains("damaged"));
}

#[test]
fn an_edit_that_could_not_be_undone_is_refused() {
    let dir = TempDir::new("undo-refused");
    for (before, after, message) in [
        (&b"text"[..], None, "file would be removed, which could not be undone"),
        (&[0xff], Some(Node::file("text")), "file is not UTF-8, so its change could not be undone"),
        (b"text", Some(Node::file([0xff])), "file is not UTF-8, so its change could not be undone"),
    ] {
        let edit = Edit { path: "file".into(), before: Some(Node::file(before)), after };
        let error = extend(Vec::new(), &[edit], dir.path(), |_| false).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn a_record_is_brought_up_to_date() {
    let dir = TempDir::new("undo-update");
    let root = dir.path();
    write(root, "edited", "a\n");
    let record =
        change(root, vec![("made", Some(Node::file("made\n"))), ("edited", Some(Node::file("a\nours\n")))]);
    let change = |path: &str, after: Option<&str>| Edit {
        path: path.into(),
        before: Node::read(&root.join(path)).unwrap(),
        after: after.map(Node::file),
    };
    // An update: files of its own come and go, a shared one changes again.
    let edits = [
        change("edited", Some("a\nours\nmore of ours\n")),
        change("made", Some("made anew\n")),
        change("own", Some("own\n")),
    ];
    let record = extend(record, &edits, root, |path| path == "made").unwrap();
    commit(root, &edits);
    assert_eq!(record.len(), 3);
    let edits = [change("own", None)];
    let record = extend(record, &edits, root, |path| path == "own").unwrap();
    commit(root, &edits);
    assert_eq!(record.len(), 2);
    assert_eq!(undo(root, &record), []);
    assert_eq!(dir.read("edited"), "a\n");
    assert!(!root.join("made").exists() && !root.join("own").exists());
}

#[test]
fn a_key_of_somebodys_survives_in_a_configuration_that_was_changed_twice() {
    let dir = TempDir::new("undo-twice");
    let root = dir.path();
    let path = ".cargo/config.toml";
    let mut record = Vec::new();
    for text in ["[alias]\na = \"b\"\n", "[alias]\na = \"b\"\nc = \"d\"\n"] {
        let before = Node::read(&root.join(path)).unwrap();
        let edits = [Edit { path: path.into(), before, after: Some(Node::file(text)) }];
        record = extend(record, &edits, root, |_| false).unwrap();
        commit(root, &edits);
    }
    assert_eq!(record.len(), 1);
    write(root, path, "[alias]\na = \"b\"\nmine = \"x\"\nc = \"d\"\n");
    assert_eq!(undo(root, &record), []);
    assert_eq!(dir.read(path), "[alias]\nmine = \"x\"\n");
}
