//! What each change does to a text, as texts before and after it.

#![expect(clippy::unwrap_used, reason = "a test; clippy.toml's exception stops at `#[test]` functions")]

use xtask_edit::TomlText;

fn set(before: &str, path: &[&str], value: &str) -> String {
    let mut toml = TomlText::parse(before).unwrap();
    toml.set(path, value).unwrap();
    toml.text().to_owned()
}

fn push(before: &str, path: &[&str], value: &str) -> String {
    let mut toml = TomlText::parse(before).unwrap();
    toml.push(path, value).unwrap();
    toml.text().to_owned()
}

fn remove(before: &str, path: &[&str]) -> String {
    let mut toml = TomlText::parse(before).unwrap();
    assert!(toml.remove(path).unwrap(), "{path:?} was not there in\n{before}");
    toml.text().to_owned()
}

#[track_caller]
fn check_set(path: &[&str], value: &str, cases: &[(&str, &str)]) {
    for (before, after) in cases {
        assert_eq!(set(before, path, value), *after, "from\n{before}");
    }
}

#[test]
fn a_value_is_replaced_in_its_place() {
    check_set(
        &["a", "b"],
        "\"new\"",
        &[
            ("[a]\nb = 1\n", "[a]\nb = \"new\"\n"),
            ("[a]\n  b=1# one\nc = 2", "[a]\n  b=\"new\"# one\nc = 2"),
            ("a.b = [\n  1, # one\n] # end\n", "a.b = \"new\" # end\n"),
            ("a = { b = { c = 1 }, d = 2 }\n", "a = { b = \"new\", d = 2 }\n"),
            ("[a]\r\nb = '''\r\n[x] # no\r\n'''\r\n\r\n[x]\r\n", "[a]\r\nb = \"new\"\r\n\r\n[x]\r\n"),
            ("\u{feff}a.'b' = 1", "\u{feff}a.'b' = \"new\""),
            ("[a.c]\n[x]\n[a]\n\"\\u0062\" = 1\n", "[a.c]\n[x]\n[a]\n\"\\u0062\" = \"new\"\n"),
        ],
    );
}

#[test]
fn a_value_that_means_the_same_stays_as_it_is_written() {
    for (text, value) in [
        ("[a]\nb = 'new'\n", "\"new\""),
        ("a.b = [ 1,\n 2, ]\n", "[1, 2]"),
        ("a = { b = {c=1} }\n", "{ c = 0x1 }"),
        ("[a]\nb = nan\n", "nan"),
    ] {
        assert_eq!(set(text, &["a", "b"], value), text);
    }
}

#[test]
fn a_new_key_goes_below_the_last_key_of_its_table() {
    check_set(
        &["a", "n"],
        "1",
        &[
            ("[a]\nb = 1\n", "[a]\nb = 1\nn = 1\n"),
            ("[a]\nb = 1 # one\n\n# about x\n[x]\n", "[a]\nb = 1 # one\nn = 1\n\n# about x\n[x]\n"),
            ("[a]\nb = 1\n# about b\n[x]\n", "[a]\nb = 1\nn = 1\n# about b\n[x]\n"),
            ("[a] # table\n", "[a] # table\nn = 1\n"),
            ("[a] # table", "[a] # table\nn = 1\n"),
            ("[a]\nb = 1", "[a]\nb = 1\nn = 1\n"),
            ("[a]\n\tb = 1\n\n\tc = 2\n\n", "[a]\n\tb = 1\n\n\tc = 2\n\tn = 1\n\n"),
            ("  [a]\n  [x]\n", "  [a]\n  n = 1\n  [x]\n"),
            ("[a]\r\nb = 1\r\n[x]\n", "[a]\r\nb = 1\r\nn = 1\r\n[x]\n"),
            ("[x]\r\ny = 1\r\n[a]\nb = 1\n[z]\r\n", "[x]\r\ny = 1\r\n[a]\nb = 1\nn = 1\n[z]\r\n"),
            ("[x]\r\n[a]\r\nb = 1", "[x]\r\n[a]\r\nb = 1\r\nn = 1\r\n"),
            ("\u{feff}[a]\n[x]\n", "\u{feff}[a]\nn = 1\n[x]\n"),
            (
                "[a]\nb = \"\"\"\n[x] # \\\"\"\"\n\"\"\" # c\n[x]\n",
                "[a]\nb = \"\"\"\n[x] # \\\"\"\"\n\"\"\" # c\nn = 1\n[x]\n",
            ),
            ("[a]\n  b = [\n1,\n] # c\n[x]\n", "[a]\n  b = [\n1,\n] # c\n  n = 1\n[x]\n"),
            ("[a]\nb.c = 1\nd = 1\nb.e = 1\n[a.x]\n", "[a]\nb.c = 1\nd = 1\nb.e = 1\nn = 1\n[a.x]\n"),
            ("[a.c]\nx = 1\n[b]\n\n[a]\ny = 1\n\n[c]\n", "[a.c]\nx = 1\n[b]\n\n[a]\ny = 1\nn = 1\n\n[c]\n"),
            ("['a']\nb = 1\n[[x]]\nn = 1\n", "['a']\nb = 1\nn = 1\n[[x]]\nn = 1\n"),
        ],
    );
}

#[test]
fn a_table_of_dotted_keys_gets_another_one() {
    check_set(
        &["a", "n"],
        "1",
        &[
            ("a.b = 1\n", "a.b = 1\na.n = 1\n"),
            (
                "a.b = 1\nx = 1\na.c = 1 # c\ny = 1\n[z]\n",
                "a.b = 1\nx = 1\na.c = 1 # c\na.n = 1\ny = 1\n[z]\n",
            ),
            ("  a . b = 1\r\n[a.x]\r\n", "  a . b = 1\r\n  a.n = 1\r\n[a.x]\r\n"),
            ("a.b.c = 1", "a.b.c = 1\na.n = 1\n"),
        ],
    );
    check_set(
        &["a", "b", "n"],
        "1",
        &[
            ("[a]\nb.c = 1\nd = 1\n", "[a]\nb.c = 1\nb.n = 1\nd = 1\n"),
            ("[a]\nb.'c d'.e = 1\n[a.x]\n", "[a]\nb.'c d'.e = 1\nb.n = 1\n[a.x]\n"),
            ("[a]\nb.c = 1\n[a.b.x]\nq = 1\n", "[a]\nb.c = 1\nb.n = 1\n[a.b.x]\nq = 1\n"),
            ("[x.y]\na.b = 1\n[a]\nb.c = 1\n[z]\n", "[x.y]\na.b = 1\n[a]\nb.c = 1\nb.n = 1\n[z]\n"),
        ],
    );
    check_set(&["a", "b", "n"], "1", &[("a.x = 1\n", "a.x = 1\na.b.n = 1\n")]);
}

#[test]
fn a_table_in_braces_gets_the_key_before_its_closing_brace() {
    check_set(
        &["a", "n"],
        "1",
        &[
            ("a = { b = [1] }\n", "a = { b = [1], n = 1 }\n"),
            ("a = {b=1,c=2} # }\n", "a = {b=1,c=2, n = 1} # }\n"),
            ("a = {}\n", "a = { n = 1 }\n"),
            ("a = {  }\n", "a = { n = 1 }\n"),
            ("a = { b = 1, }\n", "a = { b = 1, n = 1, }\n"),
            ("a = {\n  b = 1, # one\n}\n", "a = {\n  b = 1, # one\n  n = 1,\n}\n"),
            ("a = {\r\n  b = 1 # one, two\r\n}\r\n", "a = {\r\n  b = 1, # one, two\r\n  n = 1\r\n}\r\n"),
        ],
    );
    check_set(
        &["x", "a", "b", "n"],
        "1",
        &[
            ("[x]\na = { b = {} }\n", "[x]\na = { b = { n = 1 } }\n"),
            ("x = { a = { d = 2 } }\n", "x = { a = { d = 2, b.n = 1 } }\n"),
            ("x.a = { d = 2 }\n", "x.a = { d = 2, b.n = 1 }\n"),
        ],
    );
}

#[test]
fn a_new_table_goes_to_the_end() {
    check_set(
        &["a", "n"],
        "1",
        &[
            ("", "[a]\nn = 1\n"),
            ("\u{feff}", "\u{feff}[a]\nn = 1\n"),
            ("\n", "\n\n[a]\nn = 1\n"),
            ("# only this\n", "# only this\n\n[a]\nn = 1\n"),
            ("# only this", "# only this\n\n[a]\nn = 1\n"),
            ("\u{feff}# only this\r\n", "\u{feff}# only this\r\n\r\n[a]\r\nn = 1\r\n"),
            ("x = 1\n\n", "x = 1\n\n[a]\nn = 1\n"),
            ("[x]\ny = 1\r\n# end", "[x]\ny = 1\r\n# end\r\n\r\n[a]\r\nn = 1\r\n"),
            ("[x]\n  ", "[x]\n  \n\n[a]\nn = 1\n"),
            ("[[x]]\ny = 1\n", "[[x]]\ny = 1\n\n[a]\nn = 1\n"),
        ],
    );
    check_set(
        &["target", "cfg(unix)", "x"],
        "1",
        &[
            ("[target.a]\ny = 1\n", "[target.a]\ny = 1\n\n[target.\"cfg(unix)\"]\nx = 1\n"),
            ("[target.'cfg(unix)']\ny = 1\n", "[target.'cfg(unix)']\ny = 1\nx = 1\n"),
            ("target.\"cfg(unix)\".y = 1\n", "target.\"cfg(unix)\".y = 1\ntarget.\"cfg(unix)\".x = 1\n"),
        ],
    );
}

#[test]
fn an_implied_table_gets_a_header_at_the_end() {
    check_set(
        &["a", "n"],
        "1",
        &[
            ("[a.b]\nx = 1\n", "[a.b]\nx = 1\n\n[a]\nn = 1\n"),
            ("x = 1\n\n# about b\n[a.b]\n", "x = 1\n\n# about b\n[a.b]\n\n[a]\nn = 1\n"),
            (
                "[z]\ny = '''\n# no'''\n[[a.b]]\n[a.c]\n",
                "[z]\ny = '''\n# no'''\n[[a.b]]\n[a.c]\n\n[a]\nn = 1\n",
            ),
            ("[z]\r\n[a.b.c]\r\n[a.b]\r\n", "[z]\r\n[a.b.c]\r\n[a.b]\r\n\r\n[a]\r\nn = 1\r\n"),
        ],
    );
    check_set(
        &["b", "d", "n"],
        "1",
        &[("b.c = 1\n[b.d.e]\nx = 1\n", "b.c = 1\n[b.d.e]\nx = 1\n\n[b.d]\nn = 1\n")],
    );
}

#[test]
fn a_key_of_the_root_goes_below_the_others_or_above_the_first_table() {
    check_set(
        &["n"],
        "1",
        &[
            ("", "n = 1\n"),
            ("# only this\r\n", "# only this\r\n\r\nn = 1\r\n"),
            ("x = 1 # c\n\n# about a\n[a]\n", "x = 1 # c\nn = 1\n\n# about a\n[a]\n"),
            ("a.b = 1\n[c]\n", "a.b = 1\nn = 1\n[c]\n"),
            ("[a]\nx = 1\n", "n = 1\n\n[a]\nx = 1\n"),
            ("\u{feff}[[a]]\r\nx = 1\r\n", "\u{feff}n = 1\r\n\r\n[[a]]\r\nx = 1\r\n"),
            ("# the file\n\n# about a\n# more\n[a.b]\n", "# the file\n\nn = 1\n\n# about a\n# more\n[a.b]\n"),
            ("# the file\n\n[a]\n", "# the file\n\nn = 1\n\n[a]\n"),
            ("\u{feff}# the file\n[a]\n", "\u{feff}n = 1\n\n# the file\n[a]\n"),
            ("# the file\n[a]\n", "n = 1\n\n# the file\n[a]\n"),
            ("\n  # about a\n  [a]\n", "\nn = 1\n\n  # about a\n  [a]\n"),
            ("[a.b]\n[c]\n[a]\n", "n = 1\n\n[a.b]\n[c]\n[a]\n"),
        ],
    );
}

#[test]
fn an_element_is_appended_in_the_layout_of_its_array() {
    for (before, after) in [
        ("a = []", "a = [9]"),
        ("a = [ ] # c", "a = [ 9 ] # c"),
        ("a = [1, 2]", "a = [1, 2, 9]"),
        ("a = [1,2]", "a = [1,2, 9]"),
        ("a = [ 1, 2, ]", "a = [ 1, 2, 9, ]"),
        ("a = [[1], { b = 2 }]", "a = [[1], { b = 2 }, 9]"),
        ("a = [']', \"#,\"] # ,", "a = [']', \"#,\", 9] # ,"),
        ("a = [\n  1,\n  2,\n]\n", "a = [\n  1,\n  2,\n  9,\n]\n"),
        ("a = [\n  1,\n  2\n]\n", "a = [\n  1,\n  2,\n  9\n]\n"),
        ("a = [\n\t1,\n\t2 # two, three\n]\n", "a = [\n\t1,\n\t2, # two, three\n\t9\n]\n"),
        ("a = [\r\n  1, # one\r\n  # end\r\n]\r\n", "a = [\r\n  1, # one\r\n  9,\r\n  # end\r\n]\r\n"),
        ("a = [\n  1,\n  2]\n", "a = [\n  1,\n  2,\n  9]\n"),
        ("a = [\n  1,\n  2,]\n", "a = [\n  1,\n  2,\n  9,]\n"),
        ("a = [\n  1, 2,\n  3, 4,\n]\n", "a = [\n  1, 2,\n  3, 4, 9,\n]\n"),
        ("a = [1,\n  2]\n", "a = [1,\n  2,\n  9]\n"),
        ("a = [1 # one\n, 2 # two\n]\n", "a = [1 # one\n, 2, 9 # two\n]\n"),
        ("a = [\n  1 # one\n  , # comma\n]\n", "a = [\n  1 # one\n  , # comma\n  9,\n]\n"),
        ("a = [\n  [\n    1,\n  ],\n]\n", "a = [\n  [\n    1,\n  ],\n  9,\n]\n"),
        ("a = [\n]\n", "a = [\n    9,\n]\n"),
        ("\ta = [\n\t]\n", "\ta = [\n\t    9,\n\t]\n"),
        ("a = [ # none, yet\n  # \"x\",\n]\n", "a = [ # none, yet\n  # \"x\",\n    9,\n]\n"),
        ("a = [ # none, yet\n]\n", "a = [ # none, yet\n    9,\n]\n"),
        ("a = [\"\"\"\n[\n\"\"\"]\n", "a = [\"\"\"\n[\n\"\"\", 9]\n"),
        ("", "a = [9]\n"),
    ] {
        assert_eq!(push(before, &["a"], "9"), after, "from\n{before}");
    }
    let nested = "[x]\ny = { z.a = [ 1 ], b = 2 }\n";
    assert_eq!(push(nested, &["x", "y", "z", "a"], "[2]"), "[x]\ny = { z.a = [ 1, [2] ], b = 2 }\n");
    assert_eq!(push("", &["alias", "x"], "\"run\""), "[alias]\nx = [\"run\"]\n");
}

#[test]
fn a_key_is_removed_with_its_line_or_its_comma() {
    for (before, after) in [
        ("[a]\nb = 1\n", "[a]\n"),
        ("[a]\n# above\n  b = 1 # one\n# below\nc = 1", "[a]\n# above\n# below\nc = 1"),
        ("x = 1\r\na.b = 1\r\na.c = 2\r\n", "x = 1\r\na.c = 2\r\n"),
        ("\u{feff}a . b = 1\n[x]\n", "\u{feff}[x]\n"),
        ("a.b = [\n # [x]\n 1,\n]\nc = 1\n", "c = 1\n"),
        ("[a]\nc = 1\nb = '''\n[x]\n'''", "[a]\nc = 1\n"),
        ("a = { b = 1 }\n", "a = {}\n"),
        ("a = { b = 1, c = 2 } # c\n", "a = { c = 2 } # c\n"),
        ("a = { c = 2, b = 1 } # c\n", "a = { c = 2 } # c\n"),
        ("a = {c=2,b=1,d=3}\n", "a = {c=2,d=3}\n"),
        ("a = { c = ',', b = 1, }\n", "a = { c = ',', }\n"),
        ("a = {\n  b = 1, # one\n  c = 2\n}\n", "a = {\n  c = 2\n}\n"),
        ("a = {\n  c = 2, # two\n  b = 1 # one\n}\n", "a = {\n  c = 2, # two\n}\n"),
        ("a = {\n  c = 2, # two\n  b = 1, # one\n}\n", "a = {\n  c = 2, # two\n}\n"),
        ("a = {\n  b = 1, c = 2,\n}\n", "a = {\n  c = 2,\n}\n"),
        ("a = { b = 1, # one\n}\n", "a = { # one\n}\n"),
        ("a = { b = 1, # one\n  c = 2 }\n", "a = { # one\n  c = 2 }\n"),
        ("a = { # open\n  b = 1 }\n", "a = { # open\n }\n"),
        ("a = { c = 2, # two\n  b = 1 }\n", "a = { c = 2, # two\n }\n"),
    ] {
        assert_eq!(remove(before, &["a", "b"]), after, "from\n{before}");
    }
    let mut toml = TomlText::parse("[a]\nb = 1\n").unwrap();
    assert!(!toml.remove(&["a", "c"]).unwrap());
    assert!(!toml.remove(&["x", "y", "z"]).unwrap());
    assert_eq!(toml.text(), "[a]\nb = 1\n");
}

#[test]
fn what_cannot_be_done_is_an_error_and_changes_nothing() {
    let text = "n = 1\nl = [1]\nd.x = 1\ni = { j.k = 1 }\n[t]\n[[s]]\nx = 1\n[p.q]\n";
    let cases: [(&[&str], &str, &str); 13] = [
        (&["n", "x"], "1", "cannot set `n.x`: `n` is a number, boolean or date, not a table"),
        (&["l", "x"], "1", "cannot set `l.x`: `l` is an array, not a table"),
        (&["s", "x"], "1", "cannot set `s.x`: `s` is an array of tables, not a table"),
        (&["s"], "1", "cannot set `s`: it is an array of tables that is not written as one value"),
        (&["t"], "1", "cannot set `t`: it is a table that is not written as one value"),
        (&["d"], "1", "cannot set `d`: it is a table that is not written as one value"),
        (&["i", "j"], "1", "cannot set `i.j`: it is a table that is not written as one value"),
        (&["p"], "1", "cannot set `p`: it is a table that is not written as one value"),
        (&[], "1", "cannot set ``: it is a table that is not written as one value"),
        (&["m"], "", "cannot set `m`: `` is not a TOML value: "),
        (&["m"], "1\no = 2", "cannot set `m`: `1\no = 2` is not a TOML value: "),
        (&["m"], "1 # c", "cannot set `m`: `1 # c` is not a TOML value: "),
        (&["m"], "[1", "cannot set `m`: `[1` is not a TOML value: "),
    ];
    let mut toml = TomlText::parse(text).unwrap();
    for (path, value, message) in cases {
        let error = format!("{:#}", toml.set(path, value).unwrap_err());
        assert!(error.starts_with(message), "{error}");
    }
    for (path, message) in [
        (&["s"][..], "cannot add to `s`: it is an array of tables, not an array"),
        (&["n"], "cannot add to `n`: it is a number, boolean or date, not an array"),
        (&["t"], "cannot add to `t`: it is a table, not an array"),
        (&["s", "x"], "cannot set `s.x`: `s` is an array of tables, not a table"),
    ] {
        assert_eq!(format!("{:#}", toml.push(path, "1").unwrap_err()), message);
    }
    for (path, message) in [
        (&["t"][..], "cannot remove `t`: it is a table"),
        (&["s"], "cannot remove `s`: it is an array of tables"),
        (&["s", "x"], "cannot remove `s.x`: `s` is an array of tables, not a table"),
        (&["n", "x"], "cannot remove `n.x`: `n` is a number, boolean or date, not a table"),
        (&[], "cannot remove ``: it is a table"),
    ] {
        assert_eq!(format!("{:#}", toml.remove(path).unwrap_err()), message);
    }
    assert_eq!(toml.text(), text);
}

#[test]
fn a_value_over_lines_takes_the_newlines_of_the_text() {
    assert_eq!(set("a = 1\r\n", &["b"], "[\n  1,\n]"), "a = 1\r\nb = [\r\n  1,\r\n]\r\n");
    assert_eq!(set("a = 1\r\nb = 2\r\n", &["b"], "[\n  1,\n]"), "a = 1\r\nb = [\r\n  1,\r\n]\r\n");
}

#[test]
fn values_and_keys_are_found_whatever_way_they_are_written() {
    let text =
        "w.b.z = 1\nw.a = 2\n[x.'y z'.v]\nq = 'q'\n[[t]]\nk = 1\n[o]\ni = { p.r = [ 1 ] }\n[x]\nk = {}\n";
    let toml = TomlText::parse(text).unwrap();
    let value = |path: &[&str]| toml.value(path).map(|value| value.to_string());
    assert_eq!(value(&["w", "b", "z"]).as_deref(), Some("1"));
    assert_eq!(value(&["x", "y z", "v", "q"]).as_deref(), Some("'q'"));
    assert_eq!(value(&["o", "i", "p", "r"]).as_deref(), Some("[ 1 ]"));
    assert_eq!(value(&["o", "i"]).as_deref(), Some("{ p.r = [ 1 ] }"));
    for path in [&["w"][..], &["w", "b"], &["x", "y z"], &["t"], &["o", "i", "p"], &[]] {
        assert!(toml.contains(path) && toml.value(path).is_none(), "{path:?}");
    }
    for path in [&["w", "c"][..], &["t", "k"], &["w", "a", "b"], &["y z"]] {
        assert!(!toml.contains(path) && toml.value(path).is_none(), "{path:?}");
    }
    let mut keys = toml.keys(&[]);
    keys.sort();
    assert_eq!(keys, ["o", "t", "w", "x"]);
    assert_eq!(toml.keys(&["w"]), ["b", "a"]);
    assert_eq!(toml.keys(&["x"]), ["y z", "k"]);
    assert_eq!(toml.keys(&["o", "i"]), ["p"]);
    for path in [&["t"][..], &["w", "a"], &["none"]] {
        assert!(toml.keys(path).is_empty(), "{path:?}");
    }
}

#[test]
fn a_problem_tells_its_place() {
    let problem = TomlText::parse("a = 1\r\nb = \r\n").unwrap_err().to_string();
    assert!(problem.starts_with("TOML parse error at line 2, column 5\n"), "{problem}");
}
