//! Every kind of error, with the exact text that people see.

use super::parse;

/// Asserts what is reported for a file, without the `xtask.toml:` in front of each problem.
#[track_caller]
fn reports(text: &str, expected: &[&str]) {
    let errors = parse(text).expect_err(text).to_string();
    let expected: Vec<_> = expected.iter().map(|problem| format!("xtask.toml:{problem}")).collect();
    assert_eq!(errors, expected.join("\n"), "\nin:\n{text}");
}

#[test]
fn unknown_sections_and_keys() {
    reports("[tier.quick]\n", &["1:2: unknown section `tier`\n  did you mean `tiers`?"]);
    reports("zzz = 1\n", &["1:1: unknown section `zzz`"]);
    reports("base = 'main'\n", &["1:1: unknown section `base`\n  `base` is a key of [affected]"]);
    reports(
        "[tiers.test-fast]\n\npakages = 'affected'\n",
        &["3:1: unknown key `pakages` in [tiers.test-fast]\n  did you mean `packages`?"],
    );
    reports("[tiers.lint]\nzzz = 1\n", &["2:1: unknown key `zzz` in [tiers.lint]"]);
    reports(
        "[tiers.lint]\nfeatures = ['a']\n",
        &["2:1: unknown key `features` in [tiers.lint]\n  `features` is a key of [presets.NAME]"],
    );
    reports(
        "[tiers.lint]\nnextest_profile = 'ci'\n",
        &["2:1: unknown key `nextest_profile` in [tiers.lint]\n  did you mean `nextest-profile`?"],
    );
    reports("[affected]\nbas = 'x'\n", &["2:1: unknown key `bas` in [affected]\n  did you mean `base`?"]);
}

#[test]
fn wrong_types() {
    for (key, value, expected) in [
        ("about", "1", "a string, found integer"),
        ("packages", "3", "`affected`, `workspace` or `default`, or a list of strings, found integer"),
        ("exclude", "'core'", "a list of strings, found string"),
        (
            "targets",
            "true",
            "`default` or `all`, or a list of `lib`, `bins`, `tests`, `examples` and `benches`, found boolean",
        ),
        ("doctests", "'yes'", "a boolean, found string"),
        ("runner", "1979-05-27", "`auto`, `nextest` or `cargo`, found datetime"),
        ("retries", "1.5", "a non-negative integer, found float"),
        ("budget", "[]", "a duration, found list"),
        ("env", "'A=1'", "a table of strings, found string"),
        ("args", "{ a = 1 }", "a list of strings, found table"),
    ] {
        let text = format!("[tiers.test-fast]\n{key} = {value}\n");
        let column = key.len() + 4;
        reports(&text, &[&format!("2:{column}: `{key}` in [tiers.test-fast]: expected {expected}")]);
    }
    reports(
        "affected.ignore = 'docs'\n",
        &["1:19: `ignore` in [affected]: expected a list of glob patterns, found string"],
    );
    reports("tiers = 1\n", &["1:9: `tiers`: expected a table, found integer"]);
    reports("[[presets]]\n", &["1:3: `presets`: expected a table, found list of tables"]);
    reports("[tiers]\nlint = []\n", &["2:8: `lint` in [tiers]: expected a table, found list"]);
    reports(
        "[[tiers.lint.env]]\n",
        &["1:14: `env` in [tiers.lint]: expected a table of strings, found list of tables"],
    );
}

#[test]
fn wrong_values() {
    for (setting, column, expected) in [
        ("about = ''", 9, "`about` in [tiers.test-fast]: the string is empty"),
        ("profile = ''", 11, "`profile` in [tiers.test-fast]: the string is empty"),
        (
            "command = 'chek'",
            11,
            "`command` in [tiers.test-fast]: expected `check`, `clippy`, `build`, `test`, `bench` or `doc`, \
             found `chek`\n  did you mean `check`?",
        ),
        ("where = 'moon'", 9, "`where` in [tiers.test-fast]: expected `anywhere` or `ci`, found `moon`"),
        (
            "retries = -1",
            11,
            "`retries` in [tiers.test-fast]: expected an integer from 0 to 4294967295, found -1",
        ),
        (
            "budget = '5 m'",
            10,
            "`budget` in [tiers.test-fast]: expected a duration, found `5 m`\n  \
             write `500ms`, `30s`, `2min`, `1h`, `7d` or `1min 30s`",
        ),
        ("budget = 0", 10, "`budget` in [tiers.test-fast]: expected an integer from 1 to 999999999, found 0"),
        ("packages = []", 12, "`packages` in [tiers.test-fast]: the list is empty"),
        ("args = [1]", 9, "`args` in [tiers.test-fast]: expected a string, found integer"),
        ("args = ['ü', '']", 14, "`args` in [tiers.test-fast]: the string is empty"),
        (
            "targets = ['lib', 'test']",
            19,
            "`targets` in [tiers.test-fast]: expected `lib`, `bins`, `tests`, `examples` or `benches`, \
             found `test`\n  did you mean `tests`?",
        ),
        ("env = { A = 1 }", 13, "`env` in [tiers.test-fast]: expected a string for `A`, found integer"),
    ] {
        reports(&format!("[tiers.test-fast]\n{setting}\n"), &[&format!("2:{column}: {expected}")]);
    }
    reports(
        "[affected]\nglobal = ['ok', 'a[']\n",
        &["2:17: `global` in [affected]: bad glob pattern `a[` at character 2\n  invalid range pattern"],
    );
    reports(
        "[affected]\nignore = ['/docs']\n",
        &["2:11: `ignore` in [affected]: `/docs` never matches\n  \
         patterns are relative to the workspace root, without a leading `/` or `./`"],
    );
}

#[test]
fn wrong_values_in_other_sections() {
    reports(
        "[sweep]\nkeep = ['cargo check', 'make all', 'cargo']\n",
        &[
            "2:24: `keep` in [sweep]: `make all` is not a cargo command\n  \
             write it as it is typed: `cargo +nightly check --workspace`",
            "2:36: `keep` in [sweep]: `cargo` has no subcommand\n  \
             write it as it is typed: `cargo +nightly check --workspace`",
        ],
    );
    reports(
        "[sweep]\ngrace = 'never'\ndoc = []\nmax-size = '20'\n",
        &[
            "2:9: `grace` in [sweep]: expected an age, found `never`\n  \
             write `500ms`, `30s`, `2min`, `1h`, `7d` or `1min 30s`",
            "3:7: `doc` in [sweep]: expected an age, or `never`, found list",
            "4:12: `max-size` in [sweep]: expected a size, found `20`\n  write `500 MB`, `20 GiB` or `1.5 TB`",
        ],
    );
    reports(
        "[tools.x]\nversion = 'new'\npackages = { atp = 'x' }\nproof = []\n",
        &[
            "2:11: `version` in [tools.x]: expected a version requirement, found `new`: \
             unexpected character 'n' while parsing major version number\n  \
             write it as in Cargo.toml: `>=1.2`, `=1.2.3`",
            "3:14: `packages` in [tools.x]: unknown key `atp`, expected `apt`, `dnf`, `pacman`, `zypper`, `apk`, \
             `brew` or `winget`\n  did you mean `apt`?",
            "4:9: `proof` in [tools.x]: the list is empty",
        ],
    );
    let sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    reports(
        &format!(
            "[tools.x]\narchives = [{{ host = 'x[', version = '1', url = 'http://x', sha256 = '{sha256}' }}]\n"
        ),
        &[
            "2:22: `host` of `archives` in [tools.x]: bad glob pattern `x[` at character 2\n  invalid range pattern",
            "2:49: `url` of `archives` in [tools.x]: expected a URL that begins with https://, found `http://x`",
        ],
    );
    reports(
        "[[tools.x.archives]]\nhost = 'x'\nversion = '1'\nurl = 'https://x'\nsha = '0'\nbinary = 1\n",
        &[
            "1:11: `archives` in [tools.x]: `sha256` is missing",
            "5:1: `archives` in [tools.x]: unknown key `sha`, expected `host`, `version`, `url`, `sha256` or `binary`",
            "6:10: `binary` of `archives` in [tools.x]: expected a string, found integer",
        ],
    );
}

#[test]
fn names_that_refer_to_nothing() {
    reports(
        "[tiers.lint]\npreset = 'ful'\n",
        &["2:10: `preset` in [tiers.lint]: no preset is named `ful`\n  did you mean `full`?"],
    );
    reports(
        "[tiers.lint]\npreset = 'common'\n",
        &["2:10: `preset` in [tiers.lint]: no preset is named `common`\n  \
         write `minimal` or `full` or define [presets.common]"],
    );
    reports(
        "[tiers.lint]\npackages = ['core', 'clii']\n",
        &["2:21: `packages` in [tiers.lint]: `clii` is not a member of the workspace\n  did you mean `cli`?"],
    );
    reports(
        "[tiers.lint]\nexclude = ['zebra']\n",
        &["2:12: `exclude` in [tiers.lint]: `zebra` is not a member of the workspace"],
    );
    reports(
        "[tiers.lint]\npackages = 'core'\n",
        &[
            "2:12: `packages` in [tiers.lint]: expected `affected`, `workspace` or `default`, or a list of strings, \
         found `core`\n  a list is written `[\"core\"]`",
        ],
    );
    reports(
        "[presets.x]\nfeatures = ['sered', 'cor/cli', 'cli/serde', 'core/sered']\n",
        &[
            "2:13: `features` in [presets.x]: no member has a feature named `sered`\n  did you mean `serde`?",
            "2:22: `features` in [presets.x]: `cor` is not a member of the workspace\n  did you mean `core`?",
            "2:33: `features` in [presets.x]: member `cli` has no feature named `serde`",
            "2:46: `features` in [presets.x]: member `core` has no feature named `sered`\n  did you mean `serde`?",
        ],
    );
    reports(
        "[presets.x]\nfeatures = ['serd']\n",
        &["2:13: `features` in [presets.x]: no member has a feature named `serd`\n  did you mean `serde`?"],
    );
}

#[test]
fn names_of_tiers_and_presets() {
    let hint = "use lowercase letters, digits and `-`, and start with a letter or digit";
    for name in ["Quick", "a_b", "-a", "", "ä", "a b"] {
        reports(
            &format!("[tiers.'{name}']\ncommand = 'check'\n"),
            &[&format!("1:8: `{name}` in [tiers] is not usable as a name\n  {hint}")],
        );
    }
    reports(
        "[presets]\nBig = {}\n",
        &[&format!("2:1: `Big` in [presets] is not usable as a name\n  {hint}")],
    );
    reports(
        "[tiers.setup]\ncommand = 'build'\n",
        &["1:8: [tiers.setup] takes the name of `cargo xtask setup`\n  choose another name"],
    );
    reports(
        "[tiers.test-fats]\nbudget = 3\n",
        &["1:8: [tiers.test-fats] has no `command`\n  did you mean `test-fast`?"],
    );
    reports(
        "tiers.quick = {}\n",
        &["1:7: [tiers.quick] has no `command`\n  \
         set `command` to `check`, `clippy`, `build`, `test`, `bench` or `doc`"],
    );
}

#[test]
fn settings_that_contradict_each_other() {
    for (key, value) in
        [("doctests", "true"), ("runner", "'auto'"), ("nextest-profile", "'ci'"), ("retries", "2")]
    {
        reports(
            &format!("[tiers.check-fast]\n{key} = {value}\n"),
            &[&format!(
                "2:1: `{key}` in [tiers.check-fast] is only for the command `test`, but the command is `check`"
            )],
        );
    }
    reports(
        "[tiers.check-fast]\non-over-budget = 'defer'\n",
        &[
            "2:1: `on-over-budget` in [tiers.check-fast] is `defer`, which is only for the command `test`, but the \
             command is `check`\n  write `warn` or `fail`",
        ],
    );
    reports(
        "[tiers.test-fast]\nrunner = 'cargo'\nretries = 1\nnextest-profile = 'ci'\n",
        &[
            "3:1: `retries` in [tiers.test-fast] needs nextest, but `runner` is `cargo`",
            "4:1: `nextest-profile` in [tiers.test-fast] needs nextest, but `runner` is `cargo`",
        ],
    );
    reports(
        "[tiers.lint]\npackages = ['core']\nexclude = ['cli']\n",
        &["3:1: `exclude` in [tiers.lint] contradicts a list of `packages`\n  shorten the list instead"],
    );
    reports(
        "[presets.x]\nall-features = true\nfeatures = ['cli']\ndefault-features = false\n",
        &[
            "3:1: `features` in [presets.x] contradicts `all-features = true`\n  remove one of the two",
            "4:1: `default-features` in [presets.x] contradicts `all-features = true`\n  remove one of the two",
        ],
    );
}

#[test]
fn all_problems_are_reported_once_and_in_file_order() {
    reports(
        "[tiers.quick]\ncommand = 'chek'\nretries = -1\n[presets.x]\nfeatures = 1\n\
         [tiers.lint]\nzzz = 1\npreset = 'x'\n[bogus]\n",
        &[
            "2:11: `command` in [tiers.quick]: expected `check`, `clippy`, `build`, `test`, `bench` or `doc`, \
             found `chek`\n  did you mean `check`?",
            "3:11: `retries` in [tiers.quick]: expected an integer from 0 to 4294967295, found -1",
            "5:12: `features` in [presets.x]: expected a list of strings, found integer",
            "7:1: unknown key `zzz` in [tiers.lint]",
            "9:2: unknown section `bogus`",
        ],
    );
}

#[test]
fn syntax_errors() {
    reports("[tiers.lint]\nenv = {\n", &["2:8: unclosed inline table, expected `}`"]);
    reports("a = 'ü' b\n", &["1:9: unexpected key or value, expected newline, `#`"]);
    reports("[affected]\n[affected]\n", &["2:2: duplicate key"]);
}

#[test]
fn columns_count_characters() {
    reports(
        "affected = { base = 'ünïcödé', bas = 1 }\n",
        &["1:32: unknown key `bas` in [affected]\n  did you mean `base`?"],
    );
    for text in ["\u{feff}zzz = 1\n", "\u{feff}zzz = 1\r\n", "zzz = 1"] {
        reports(text, &["1:1: unknown section `zzz`"]);
    }
    reports("[tiers.lint]\r\n# ü\r\nzzz = 1\r\n", &["3:1: unknown key `zzz` in [tiers.lint]"]);
}
