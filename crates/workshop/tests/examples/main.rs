//! Examples in Markdown: blocks of `console` are run line by line, and what they print is compared.
//!
//! In a block, `$ ` begins a command and the lines below are its output, where `...` stands for any text in a line
//! and alone for any lines. Times, sizes and the width of gaps do not count. A command ends with 0, unless
//! `$ echo $?` follows. All blocks of a document run in one home folder, each from `~/my-workspace`, on a machine
//! that has only cargo and git (`setup.md` also mold); `cargo xtask` is the suite's binary.

#![expect(clippy::unwrap_used, reason = "a test; clippy.toml's exception stops at `#[test]` functions")]

#[path = "../generated/mod.rs"]
mod generated;
#[path = "../markdown/mod.rs"]
mod markdown;
mod picture;

use std::fmt::Write as _;
use std::fs;

use camino::Utf8Path;
use xtask_testkit::{BareMachine, Outcome, git_init};

use markdown::{documents, pieces};

const SUITE: &str = env!("CARGO_BIN_EXE_xtask-workshop");

const MARK: &str = "end of the command:";

/// What each document finds at `~/my-workspace`, committed: `store` depends on `core`, `cli` on both.
const WORKSPACE: [(&str, &str); 8] = [
    ("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"core\", \"store\", \"cli\"]\n"),
    (
        "core/Cargo.toml",
        "[package]\nname = \"core\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[features]\nserde = []\n[lib]\nname = \"my_core\"\n",
    ),
    (
        "core/src/lib.rs",
        "pub fn one() -> u32 {\n    1\n}\n\n#[test]\nfn one_is_one() {\n    assert_eq!(one(), 1);\n}\n",
    ),
    (
        "store/Cargo.toml",
        "[package]\nname = \"store\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\ncore = { path = \"../core\" }\n",
    ),
    (
        "store/src/lib.rs",
        "pub fn two() -> u32 {\n    my_core::one() + 1\n}\n\n#[test]\nfn two_is_two() {\n    assert_eq!(two(), 2);\n}\n",
    ),
    (
        "cli/Cargo.toml",
        "[package]\nname = \"cli\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[features]\ncli = []\n[dependencies]\ncore = { path = \"../core\" }\nstore = { path = \"../store\" }\n",
    ),
    (
        "cli/src/main.rs",
        "fn main() {\n    println!(\"{}\", store::two());\n}\n\n#[test]\nfn it_runs() {\n    main();\n}\n",
    ),
    (".gitignore", "/target\n"),
];

/// One command and what is printed below it.
struct Step<'a> {
    command: &'a str,
    output: Vec<&'a str>,
}

#[test]
fn every_example_does_what_it_says() {
    let mut wrong = String::new();
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        let (current, problems) = run(&path, &text, SUITE);
        if current != text && generated::blessing() {
            generated::rewrite(&path, &current);
        } else {
            wrong.push_str(&problems);
        }
    }
    assert!(wrong.is_empty(), "{wrong}to take over what they print: {}", generated::REWRITE);
}

#[test]
fn the_picture_in_the_readme_shows_its_example() {
    let text = fs::read_to_string(generated::repository().join("README.md")).unwrap();
    let (_, below) = text.split_once("## What it looks like\n").unwrap();
    let blocks = pieces(below, "console");
    let (_, example) = blocks.iter().find(|(inside, _)| *inside).unwrap();
    let run = example.split("$ cargo xtask\n").next().unwrap();
    generated::assert_current("docs/run.svg", &picture::svg(&run.replace("...\n", "")));
}

/// Runs the examples of a document. Returns its text with what they really print, and what was wrong.
fn run(path: &Utf8Path, text: &str, suite: &str) -> (String, String) {
    let pieces = pieces(text, "console");
    let mut current = String::new();
    let mut problems = String::new();
    if pieces.len() == 1 {
        return (text.to_owned(), problems);
    }
    let machine = machine(path.file_stem().unwrap_or("document"), suite);
    for (inside, piece) in pieces {
        if !inside {
            current.push_str(&piece);
            continue;
        }
        let steps = steps(path, &piece);
        let outputs = outputs(&machine, &steps);
        for (at, step) in steps.iter().enumerate() {
            let (code, printed) = outputs.get(at).cloned().unwrap_or((None, vec!["(never run)".to_owned()]));
            let code_is_shown = steps.get(at + 1).is_some_and(|next| next.command == "echo $?");
            let _ = writeln!(current, "$ {}", step.command);
            let expected = step.output.iter().map(|line| normal(line)).collect::<Vec<_>>();
            let found = printed.iter().map(|line| normal(line)).collect::<Vec<_>>();
            let matches = lines_match(&expected, &found);
            let shown = if matches { step.output.join("\n") } else { printed.join("\n") };
            if !shown.is_empty() {
                let _ = writeln!(current, "{shown}");
            }
            if !matches || (code != Some(0) && !code_is_shown) {
                let expected = step.output.join("\n");
                let printed = printed.join("\n");
                let _ = writeln!(
                    problems,
                    "{path}: $ {}\n--- says\n{expected}\n--- prints, exit code {code:?}\n{printed}\n",
                    step.command
                );
            }
        }
    }
    (current, problems)
}

fn machine(name: &str, suite: &str) -> BareMachine {
    let machine = BareMachine::new(name);
    if name == "setup" {
        // The C compiler looks for it by its second name.
        for program in ["mold", "ld.mold"] {
            machine.install(program);
        }
    }
    // `cargo xtask` finds it as it finds `cargo-nextest`; its first argument is the word `xtask`.
    machine.install_script("cargo-xtask", &format!("shift\nexec '{suite}' \"$@\""));
    for (path, text) in WORKSPACE {
        machine.write(&format!("my-workspace/{path}"), text);
    }
    let workspace = machine.home().join("my-workspace");
    let mut lock = machine.command("cargo", &workspace);
    Outcome::of(lock.args(["generate-lockfile", "--offline"])).expect_code(0);
    git_init(&workspace);
    // What stands for the public repository.
    machine.write("../public/README.md", "A clone.\n");
    git_init(&machine.home().join("../public"));
    machine
}

fn steps<'a>(path: &Utf8Path, block: &'a str) -> Vec<Step<'a>> {
    let mut steps = Vec::<Step>::new();
    for line in block.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command, output: Vec::new() });
        } else {
            let step = steps.last_mut();
            step.unwrap_or_else(|| panic!("{path}: a block begins with `{line}`")).output.push(line);
        }
    }
    steps
}

/// The exit code and the printed lines of each step; all run in one shell, as a reader would.
fn outputs(machine: &BareMachine, steps: &[Step]) -> Vec<(Option<i32>, Vec<String>)> {
    let mut script = String::from("exec 2>&1\n");
    for Step { command, .. } in steps {
        let _ = writeln!(script, "{command}\ncode=$?; echo; echo \"{MARK} $code\"; (exit $code)");
    }
    let mut shell = machine.command("sh", &machine.home().join("my-workspace"));
    shell.env("GIT_CONFIG_COUNT", "1");
    let public = machine.home().join("../public");
    let replaced = "https://github.com/xtask-suite/xtask-suite";
    shell.env("GIT_CONFIG_KEY_0", format!("url.{public}.insteadOf")).env("GIT_CONFIG_VALUE_0", replaced);
    let printed = Outcome::of(shell.args(["-c", &script])).stdout;
    let home = machine.home();
    let printed = printed.replace(home.as_str(), "~");
    let mut outputs = Vec::new();
    let mut lines = Vec::new();
    for line in printed.lines() {
        if let Some(code) = line.strip_prefix(MARK) {
            // The empty line before the mark is ours; it is there in case the last line has no end.
            while lines.last().is_some_and(String::is_empty) {
                lines.pop();
            }
            outputs.push((code.trim().parse().ok(), std::mem::take(&mut lines)));
        } else {
            lines.push(line.trim_end().to_owned());
        }
    }
    outputs
}

/// A line without what differs from run to run: times, sizes, and the width of gaps.
fn normal(line: &str) -> String {
    let mut words = Vec::<String>::new();
    for word in line.split_whitespace() {
        let bare = word.trim_end_matches([';', ',', ')', ':']);
        let rest = &word[bare.len()..];
        let unit = bare.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let is_unit = ["s", "ms", "min", "B", "KiB", "MiB", "GiB"].contains(&unit);
        let after_number = unit == bare && words.last().is_some_and(|word| is_number(word));
        if is_unit && (unit != bare || after_number) {
            if after_number {
                words.pop();
            }
            words.push(format!("#{rest}"));
        } else {
            words.push(word.to_owned());
        }
    }
    words.join(" ")
}

fn is_number(word: &str) -> bool {
    let number = word.trim_start_matches('(');
    !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// Whether the lines are those expected, where a line `...` stands for any lines.
fn lines_match(expected: &[String], found: &[String]) -> bool {
    match expected.split_first() {
        None => found.is_empty(),
        Some((first, rest)) if first == "..." => {
            (0..=found.len()).any(|skip| lines_match(rest, &found[skip..]))
        }
        Some((first, rest)) => found
            .split_first()
            .is_some_and(|(line, found)| line_matches(first, line) && lines_match(rest, found)),
    }
}

fn line_matches(expected: &str, found: &str) -> bool {
    let mut parts = expected.split("...");
    let head = parts.next().unwrap_or_default();
    let Some(mut found) = found.strip_prefix(head) else { return false };
    let parts = parts.collect::<Vec<_>>();
    let Some((tail, middle)) = parts.split_last() else { return found.is_empty() };
    for part in middle {
        let Some(at) = found.find(part) else { return false };
        found = &found[at + part.len()..];
    }
    found.ends_with(tail)
}

#[test]
fn lines_are_compared_by_what_they_say() {
    // expected, found, whether they match
    let table: [(&str, &str, bool); 14] = [
        ("a", "a", true),
        ("a", "b", false),
        ("a", "a\nb", false),
        ("...", "", true),
        ("...\nb", "a\na\nb", true),
        ("a\n...", "a", true),
        ("a\n...\nc", "a\nb", false),
        ("test a ... ok", "test a ... ok", true),
        ("a ... c", "a b c", true),
        ("a ... c", "a b d", false),
        ("ok: 2 units in 0.3 s, ran 0.1 s; done", "ok: 2 units in 12.0 s, ran 3 ms; done", true),
        ("ok: 2 units in 0.3 s", "ok: 3 units in 0.3 s", false),
        ("finished in 0.00s", "finished in 1.25s", true),
        ("size: 1.5 MiB", "size:   20.1 KiB", true),
    ];
    for (expected, found, matches) in table {
        let lines = |text: &str| text.lines().map(normal).collect::<Vec<_>>();
        assert_eq!(lines_match(&lines(expected), &lines(found)), matches, "{expected:?} and {found:?}");
    }
}
