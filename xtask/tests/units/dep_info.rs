//! What is read from dep-info, sources and manifests.

use std::path::Path;

use crate::inputs::{Inputs, dep_info_paths};
use crate::place::{Place, Program};
use crate::stamp::workspace_in;

#[test]
fn dep_info_is_split_at_plain_spaces_only() {
    let table: [(&str, &[&str]); 7] = [
        ("/t/xtask-suite: /w/a.rs /w/b.rs\n", &["/w/a.rs", "/w/b.rs"]),
        ("/my\\ t/xtask-suite: /my\\ w/a\\ b.rs /w/ä.rs\n", &["/my w/a b.rs", "/w/ä.rs"]),
        ("target/xtask/xtask-suite: src/main.rs\n", &["src/main.rs"]),
        ("C:\\t\\xtask-suite.exe: C:\\my\\ w\\a.rs D:\\b.rs\n", &["C:\\my w\\a.rs", "D:\\b.rs"]),
        ("/t/a:b/xtask-suite: /w/c:d.rs", &["/w/c:d.rs"]),
        ("/t/xtask-suite:\n", &[]),
        ("", &[]),
    ];
    for (text, paths) in table {
        assert_eq!(dep_info_paths(text), paths, "{text}");
    }
}

#[test]
fn the_workspace_that_a_manifest_names_is_found_in_each_spelling() {
    let table = [
        ("[package]\nname = \"a\"\nworkspace = \"../suite\"\n", Some("../suite")),
        ("[package]\n  workspace='../my suite' # there\n", Some("../my suite")),
        ("package.workspace = \"..\"\n", Some("..")),
        ("[package]\nedition.workspace = true\n[lints]\nworkspace = true\n", None),
        ("[workspace]\nmembers = [\"a\"]\n# workspace = \"x\"\n", None),
        ("[dependencies]\nworkspaces = \"1\"\n", None),
    ];
    for (manifest, dir) in table {
        assert_eq!(workspace_in(manifest), dir, "{manifest}");
    }
}

#[test]
fn messages_that_do_not_say_everything_say_nothing() {
    let place =
        Place::find(Path::new("/c/xtask"), Path::new("/c/target/xtask/xtask"), Program::Daily).unwrap();
    let finished = "{\"reason\":\"build-finished\",\"success\":true}\n";
    let library = "{\"reason\":\"compiler-artifact\",\"package_id\":\"registry+a#b@1.0.0\",\"manifest_path\":\"/b/Cargo.toml\",\
                   \"target\":{\"kind\":[\"lib\"],\"name\":\"b\"},\"filenames\":[\"/nowhere/deps/libb-0.rlib\"]}\n";
    for messages in ["", finished, library, "not JSON"] {
        assert_eq!(Inputs::read(messages, &place), None, "{messages}");
    }
}
