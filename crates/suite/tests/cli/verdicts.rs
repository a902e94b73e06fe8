//! `verdicts`: what is remembered, what stopped it, and `--accept`.

use std::fs;

use serde_json::json;
use xtask_suite::workspace::{Digest, Environment, Workspace, digest};
use xtask_tiers::{Counts, Mismatch, Pass, Store};

use crate::support::{Suite, number};

fn pass() -> Pass {
    let tests = Counts { passed: 3, failed: 0, skipped: 1 };
    let commit = Some("c0ffee1234567890".to_owned());
    Pass { program: "app::it".to_owned(), tests, ms: 1200, at_ms: 0, commit }
}

fn mismatch(key: &Digest) -> Mismatch {
    let failures = vec!["it::works".to_owned(), "it::stays".to_owned()];
    Mismatch { program: "app::it".to_owned(), key: key.clone(), pass: pass(), failures, at_ms: u64::MAX }
}

/// The fixture and its store, with two passes.
fn suite() -> (Suite, Store) {
    let suite = Suite::trio("");
    let mut environment = Environment::current();
    environment.set("XTASK_STORE", suite.store().as_str());
    let store = Store::open(&Workspace::load(suite.root(), environment).unwrap()).unwrap();
    for name in ["a", "b"] {
        store.put(&digest(name), &pass()).unwrap();
    }
    (suite, store)
}

#[test]
fn it_says_how_much_is_remembered() {
    let (mut suite, store) = suite();
    let text = suite.run(&["verdicts"], 0).stdout;
    let folder = &store.summary().unwrap().dir;
    assert!(text.starts_with("2 passes remembered, the oldest last used just now, "), "{text}");
    assert!(text.ends_with(&format!(" in {folder}\n")), "{text}");
    let document = suite.json(&["verdicts", "--accept"], 0);
    assert_eq!(number(&document["store"]["passes"]), 2);
    assert_eq!([&document["off"], &document["stopped"]], [&json!(null); 2]);
    assert_eq!(document["accepted"], false, "there was nothing to accept");

    suite.set("XTASK_STORE", "off");
    assert_eq!(suite.run(&["verdicts"], 0).stdout, "nothing is remembered: XTASK_STORE is off\n");
    assert_eq!(suite.json(&["verdicts"], 0)["off"], "XTASK_STORE is off");
}

#[test]
fn it_fails_while_stopped_and_accept_goes_on() {
    let (suite, store) = suite();
    store.stop(&mismatch(&digest("a"))).unwrap();
    let text = suite.run(&["verdicts"], 1).stdout;
    let lines = text.lines().collect::<Vec<_>>();
    assert_eq!(lines[0], "app::it failed just now, although nothing had changed since it passed", "{text}");
    assert!(
        lines[1].starts_with("  passed: ")
            && lines[1].ends_with(" days ago at commit c0ffee123456, 3 tests in 1.2 s")
    );
    assert_eq!(lines[2..4], ["  failed: it::works", "  failed: it::stays"]);
    assert!(lines[5].starts_with("1 pass remembered"), "{text}");
    assert!(lines[6].starts_with("remembering is stopped") && lines[6].contains("verdicts --accept"));
    let document = suite.json(&["verdicts"], 1);
    assert_eq!(document["stopped"], serde_json::to_value(mismatch(&digest("a"))).unwrap());

    let text = suite.run(&["verdicts", "--accept"], 0).stdout;
    assert!(text.contains("failed: it::works"), "what differed is shown: {text}");
    assert!(text.ends_with("that pass is forgotten, and remembering goes on\n"), "{text}");
    assert!(suite.run(&["verdicts"], 0).stdout.starts_with("1 pass remembered"));
    assert_eq!((store.get(&digest("a")), store.get(&digest("b"))), (None, Some(pass())));

    // What nobody can read any more.
    let record = store.summary().unwrap().dir.join("stopped");
    fs::File::create(&record).unwrap();
    let text = suite.run(&["verdicts"], 1).stdout;
    assert!(text.contains("is damaged:\n") && text.contains(record.as_str()), "{text}");
    let text = suite.run(&["verdicts", "--accept"], 0).stdout;
    assert!(text.ends_with("all passes are forgotten, and remembering goes on\n"), "{text}");
    assert!(suite.run(&["verdicts"], 0).stdout.starts_with("0 passes remembered, 0 B in "));
}
