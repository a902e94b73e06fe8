//! When a stamp holds.

use std::path::Path;

use crate::stamp::{State, holds, render};

#[test]
fn a_stamp_holds_only_while_nothing_differs() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/stamp.rs");
    let found = State::of(&here).unwrap();
    let State::File { bytes, modified } = found else { panic!("{}", here.display()) };
    let missing = here.with_extension("missing");
    let folder = here.parent().unwrap().to_owned();
    // path, recorded state, conditions now, whether the stamp holds
    let table = [
        (&here, found, "c\n", true),
        (&here, found, "d\n", false),
        (&here, State::File { bytes: bytes + 1, modified }, "c\n", false),
        (&here, State::File { bytes, modified: modified + 1 }, "c\n", false),
        (&here, State::File { bytes, modified: modified - 1 }, "c\n", false),
        (&here, State::Absent, "c\n", false),
        (&missing, State::Absent, "c\n", true),
        (&missing, found, "c\n", false),
        (&folder, State::Absent, "c\n", false),
    ];
    for (path, state, conditions, expected) in table {
        let text = render("c\n", &[(here.clone(), found), (path.clone(), state)]).unwrap();
        assert_eq!(holds(&text, conditions), expected, "{text} under {conditions}");
    }

    let text = render("c\n", &[("/ä b/.cargo/config".into(), State::Absent), (here, found)]).unwrap();
    assert!(holds(&text, "c\n"));
    let broken = [
        String::new(),
        text.replace("format 2", "format 3"),
        text.replace("format 2", "format 22"),
        text.replace("end\n", ""),
        text[..text.len() / 2].to_owned(),
        text.replace("- - ", "- "),
        text + "more\n",
    ];
    for text in broken {
        assert!(!holds(&text, "c\n"), "{}", text);
    }
    assert_eq!(render("c\n", &[("/a\nb".into(), State::Absent)]), None);
}

#[test]
fn only_a_file_from_before_the_build_is_surely_the_one_that_was_built() {
    let start = 1_700_000_005_000_000_500;
    // modified, sure
    let table = [
        (start - 1, true),
        (start, false),
        (start + 1, false),
        (start + 3_600_000_000_000, false),
        // A whole second may be any moment of the two that follow.
        (1_700_000_005_000_000_000, false),
        (1_700_000_004_000_000_000, false),
        (1_700_000_003_000_000_000, true),
    ];
    for (modified, sure) in table {
        assert_eq!(State::File { bytes: 1, modified }.is_surely_before(start), sure, "{modified}");
    }
    assert!(State::Absent.is_surely_before(start));
}
