//! When a stamp holds.

use std::path::Path;

use crate::stamp::{Moment, Stamp, State};

#[test]
fn a_stamp_survives_its_file_and_anything_else_there_is_no_stamp() {
    let stamp = Stamp {
        conditions: "env \"RUSTFLAGS\" \"-g files 1\"\n".to_owned(),
        files: vec![
            ("/ä b/main.rs".into(), State::File { bytes: 7, modified: 1_700_000_000_123_456_789 }),
            ("/ä b/.cargo/config".into(), State::Absent),
        ],
    };
    let text = stamp.render().unwrap();
    assert_eq!(Stamp::parse(&text), Some(stamp.clone()));
    let cut = text.lines().next_back().unwrap().len() + 1;
    let broken = [
        String::new(),
        text.replace("format 1", "format 2"),
        text.replace("format 1", "format 11"),
        text[..text.len() - 1].to_owned(),
        text[..text.len() - cut].to_owned(),
        text.replace("7 17", "x 17"),
        text.replace("files 2", "files 3"),
    ];
    for text in broken {
        assert_eq!(Stamp::parse(&text), None, "{text}");
    }
    let unwritable = Stamp { files: vec![("/a\nb".into(), State::Absent)], ..stamp };
    assert_eq!(unwritable.render(), None);
}

#[test]
fn a_stamp_holds_only_while_nothing_differs() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/stamp.rs");
    let found = State::of(&here).unwrap();
    let State::File { bytes, modified } = found else { panic!("{}", here.display()) };
    let missing = here.with_extension("missing");
    let below_a_file = here.join("x");
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
        (&below_a_file, State::Absent, "c\n", true),
        (&missing, found, "c\n", false),
        (&folder, State::Absent, "c\n", false),
    ];
    for (path, state, conditions, holds) in table {
        let stamp = Stamp { conditions: "c\n".to_owned(), files: vec![(path.clone(), state)] };
        assert_eq!(stamp.holds(conditions), holds, "{stamp:?} under {conditions}");
    }
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
        assert_eq!(Moment(start).is_after(State::File { bytes: 1, modified }), sure, "{modified}");
    }
    assert!(Moment(start).is_after(State::Absent));
}
