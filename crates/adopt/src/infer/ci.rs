//! The cargo commands in workflows, makefiles and the scripts of continuous integration.
//!
//! Read line by line, without an idea of conditions or matrices. Invariant: a command that may be meant for another
//! toolchain or another machine is marked, so that nothing follows from it for this one.

use camino::Utf8Path;

use super::evidence::Place;
use super::gather::{entries, read};

/// A command that works on members.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of cargo that is there or not")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CiCommand {
    /// Where it stands.
    pub(crate) place: Option<Place>,
    /// What it does with members; `None` for a makefile's target and the like, of which only the arguments are known.
    pub(crate) action: Option<Action>,
    /// Run by nextest.
    pub(crate) nextest: bool,
    /// It names a toolchain that is not stable, another machine, or a tool around cargo.
    pub(crate) elsewhere: bool,
    /// The folder it runs in, relative to the workspace root, as far as it is told.
    pub(crate) folder: Option<String>,
    /// `--workspace`
    pub(crate) workspace: bool,
    /// `--exclude`
    pub(crate) exclude: Vec<String>,
    /// `-p`
    pub(crate) packages: Vec<String>,
    /// `--all-features`
    pub(crate) all_features: bool,
    /// `--no-default-features`
    pub(crate) no_default_features: bool,
    /// `--features`
    pub(crate) features: Vec<String>,
    /// `--profile` of nextest
    pub(crate) profile: Option<String>,
}

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// `cargo test`, `cargo nextest run`
    Test,
    /// `cargo check`, `cargo clippy`
    Check,
    /// `cargo build`
    Build,
}

/// The files with a workspace's commands: their paths, relative to its root, and texts.
pub(super) fn files(root: &Utf8Path) -> Vec<(String, String)> {
    let extension =
        |path: &Utf8Path, wanted: &[&str]| path.extension().is_some_and(|it| wanted.contains(&it));
    let mut files = entries(&root.join(".github/workflows"));
    files.retain(|path| extension(path, &["yml", "yaml"]));
    files.extend(
        [".gitlab-ci.yml", "justfile", "Justfile", ".justfile", "Makefile"].map(|name| root.join(name)),
    );
    for folder in ["ci", ".ci"] {
        files.extend(entries(&root.join(folder)).into_iter().filter(|path| extension(path, &["sh", "bash"])));
    }
    let files = files.iter().filter(|path| path.is_file());
    let read = files.map(|path| {
        let shown = path.strip_prefix(root).unwrap_or(path).as_str().replace('\\', "/");
        (shown, read(path))
    });
    read.collect()
}

/// The features of a variable that a makefile calls the full ones: `FEATURES_full = --features "a b"`. The value must be
/// nothing but that.
pub(crate) fn full_features(file: &str, text: &str) -> Option<(Vec<String>, Place)> {
    text.lines().enumerate().find_map(|(line, text)| {
        let (name, value) = text.split_once('=')?;
        let name = name.trim_end_matches([' ', ':', '?']).to_lowercase();
        let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !is_name || !name.contains("features") || !name.ends_with("full") {
            return None;
        }
        let list = value.trim().strip_prefix("--features")?.trim_start_matches(['=', ' ']);
        let list = list.trim_matches(['"', '\'']);
        let names =
            list.split([' ', ',']).filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        let plain = names.iter().all(|name| !name.contains(['$', '"', '\'']) && !name.starts_with('-'));
        (plain && !names.is_empty()).then(|| (names, Place { file: file.to_owned(), line: line + 1 }))
    })
}

/// The commands in the text of a file.
pub(crate) fn commands(file: &str, text: &str) -> Vec<CiCommand> {
    let lines = text.lines().collect::<Vec<_>>();
    let mut found = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let first = at;
        let mut line = script(lines[at]).to_owned();
        at += 1;
        while line.ends_with('\\') && at < lines.len() {
            line.pop();
            line.push(' ');
            line.push_str(lines[at].trim());
            at += 1;
        }
        let mut folder = step_value(&lines, first, "working-directory");
        if line.starts_with("uses: actions-rs/cargo") {
            line = action(&lines, first);
        }
        for part in parts(&line) {
            if let Some(to) = part.trim().strip_prefix("cd ") {
                folder = Some(to.trim().trim_matches('"').trim_start_matches("./").to_owned());
                continue;
            }
            if let Some(mut command) = command(part) {
                command.place = Some(Place { file: file.to_owned(), line: first + 1 });
                command.folder = command.folder.or_else(|| folder.clone());
                found.push(command);
            }
        }
    }
    found
}

/// A line without what YAML and make put before a command.
fn script(line: &str) -> &str {
    let mut line = line.trim();
    if line.starts_with('#') {
        return "";
    }
    for prefix in ["- ", "run:", "run :", "@"] {
        line = line.strip_prefix(prefix).unwrap_or(line).trim_start();
    }
    let quoted = |quote: char| {
        line.strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
            .filter(|rest| !rest.contains(quote))
    };
    quoted('"').or_else(|| quoted('\'')).unwrap_or(line)
}

fn parts(line: &str) -> Vec<&str> {
    line.split("&&").flat_map(|part| part.split("||")).flat_map(|part| part.split(';')).collect()
}

/// What the action `actions-rs/cargo` runs.
fn action(lines: &[&str], at: usize) -> String {
    let value = |key| step_value(lines, at, key).unwrap_or_default();
    let program = if value("use-cross").is_empty() { "cargo" } else { "cross" };
    let toolchain = value("toolchain");
    let plus = if toolchain.is_empty() { "" } else { "+" };
    format!("{program} {plus}{toolchain} {} {}", value("command"), value("args"))
}

/// A value of the step around a line of a workflow.
fn step_value(lines: &[&str], at: usize, key: &str) -> Option<String> {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let starts = |line: &str| line.trim_start().starts_with("- ");
    let start = (0..=at)
        .rev()
        .find(|&line| starts(lines[line]) && (line == at || depth(lines[line]) < depth(lines[at])))?;
    let own = depth(lines[start]);
    let ends = |line: &&&str| !line.trim().is_empty() && depth(line) <= own;
    let length = lines[start + 1..].iter().take_while(|line| !ends(line)).count();
    let step = &lines[start..=start + length];
    let value = step.iter().find_map(|line| script(line).strip_prefix(key)?.strip_prefix(':'))?;
    Some(value.trim().trim_matches(['"', '\'']).trim_start_matches("./").trim_end_matches('/').to_owned())
}

/// Words as a shell splits them, as far as simple quotes go. What stands in `${{ … }}` is one word.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut depth) = (Vec::new(), String::new(), None, 0_usize);
    for c in text.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) if depth == 0 => quote = Some(c),
            ('{', _) => {
                depth += 1;
                word.push(c);
            }
            ('}', _) => {
                depth = depth.saturating_sub(1);
                word.push(c);
            }
            (c, None) if c.is_whitespace() && depth == 0 => {
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
            }
            (c, _) => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

fn command(text: &str) -> Option<CiCommand> {
    let words = words(text);
    let variable = |word: &&String| {
        let name = word.split_once('=').map(|(name, _)| name);
        let set = name.is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
        set || matches!(word.as_str(), "env" | "time" | "sudo")
    };
    let mut words = words.iter().skip_while(variable).peekable();
    let program = words.next()?;
    let calls_cargo =
        program == "cargo" || (program.starts_with('$') && program.to_lowercase().contains("cargo"));
    if matches!(program.as_str(), "make" | "just") {
        let all = text.split(['\'', '"', ' ', '=']).any(|word| matches!(word, "--workspace" | "--all"));
        return all.then(|| CiCommand { workspace: true, ..CiCommand::default() });
    }
    if !calls_cargo && program != "cross" {
        return None;
    }
    let mut command = CiCommand { elsewhere: program == "cross", ..CiCommand::default() };
    if let Some(toolchain) = words.next_if(|word| word.starts_with('+')) {
        command.elsewhere |= toolchain != "+stable";
    }
    command.action = Some(match words.next()?.as_str() {
        "test" | "t" => Action::Test,
        "check" | "c" | "clippy" => Action::Check,
        "build" | "b" => Action::Build,
        "nextest" if words.next().is_some_and(|word| word == "run" || word == "r") => {
            command.nextest = true;
            Action::Test
        }
        // A tool that calls cargo test in its own way.
        "careful" | "llvm-cov" | "miri"
            if words.peek().is_some_and(|word| *word == "test" || *word == "nextest") =>
        {
            command.elsewhere = true;
            Action::Test
        }
        _ => return None,
    });
    arguments(&mut command, words);
    Some(command)
}

fn arguments<'a>(command: &mut CiCommand, words: impl Iterator<Item = &'a String>) {
    let mut words = words.take_while(|word| *word != "--").peekable();
    while let Some(word) = words.next() {
        let (flag, inline) = match word.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
            _ => match word.strip_prefix("-p").or_else(|| word.strip_prefix("-F")) {
                Some(value) if !value.is_empty() => (&word[..2], Some(value.to_owned())),
                _ => (word.as_str(), None),
            },
        };
        let takes_value = matches!(
            flag,
            "--exclude"
                | "-p"
                | "--package"
                | "-F"
                | "--features"
                | "--target"
                | "--manifest-path"
                | "--profile"
                | "-Z"
        );
        let value = inline.or_else(|| takes_value.then(|| words.next().cloned()).flatten());
        match (flag, value) {
            ("--workspace" | "--all", _) => command.workspace = true,
            ("--all-features", _) => command.all_features = true,
            ("--no-default-features", _) => command.no_default_features = true,
            ("--exclude", Some(name)) => command.exclude.push(name),
            ("-p" | "--package", Some(name)) => command.packages.push(name),
            ("-F" | "--features", Some(list)) => {
                let names = list.split([',', ' ']).filter(|name| !name.is_empty());
                command.features.extend(names.map(str::to_owned));
            }
            ("--target" | "-Z", _) => command.elsewhere = true,
            ("--manifest-path", Some(path)) => {
                let folder = path.trim_start_matches("./").trim_end_matches("Cargo.toml");
                command.folder = Some(folder.trim_end_matches('/').to_owned());
            }
            ("--profile", Some(profile)) if command.nextest => command.profile = Some(profile),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let show = |command: CiCommand| {
            let CiCommand { workspace, exclude, packages, all_features, no_default_features, .. } = &command;
            let flags = [
                (command.nextest, "nextest".to_owned()),
                (command.elsewhere, "elsewhere".to_owned()),
                (*workspace, "workspace".to_owned()),
                (*all_features, "all-features".to_owned()),
                (*no_default_features, "no-default".to_owned()),
                (!exclude.is_empty(), format!("-{}", exclude.join(","))),
                (!packages.is_empty(), format!("+{}", packages.join(","))),
                (!command.features.is_empty(), format!("F={}", command.features.join(","))),
                (command.profile.is_some(), format!("P={:?}", command.profile)),
                (command.folder.is_some(), format!("in {:?}", command.folder)),
            ];
            let flags = flags.into_iter().filter(|(is, _)| *is).map(|(_, shown)| shown);
            let line = command.place.map_or(0, |place| place.line);
            format!("{line} {:?} {}", command.action, flags.collect::<Vec<_>>().join(" "))
        };
        commands("ci.yml", text).into_iter().map(show).collect()
    }

    #[test]
    fn commands_are_found_in_the_lines_of_workflows_and_scripts() {
        let table: [(&str, &[&str]); 17] = [
            (
                "- uses: actions-rs/cargo@v1\n  with:\n    command: test\n    args: --all --exclude a\n- run: b",
                &["1 Some(Test) workspace -a"],
            ),
            ("- run: cargo test --workspace --exclude a --exclude=b", &["1 Some(Test) workspace -a,b"]),
            (
                "- run: |\n    cargo build\n    cargo t --all -- --exclude x",
                &["2 Some(Build) ", "3 Some(Test) workspace"],
            ),
            ("run: \"cargo check -p a -pb --features 'x y',z\"", &["1 Some(Check) +a,b F=x,y,z"]),
            ("cargo +nightly test", &["1 Some(Test) elsewhere"]),
            ("cargo +stable test", &["1 Some(Test) "]),
            ("cross test --workspace", &["1 Some(Test) elsewhere workspace"]),
            (
                "cargo test --target ${{ matrix.target }} --all-features",
                &["1 Some(Test) elsewhere all-features"],
            ),
            ("run: ${{ env.CARGO }} test --workspace", &["1 Some(Test) workspace"]),
            (
                "env A=1 B=2 cargo test \\\n  --no-default-features \\\n  --features=a",
                &["1 Some(Test) no-default F=a"],
            ),
            ("cargo nextest run --profile ci --cargo-profile x", &["1 Some(Test) nextest P=Some(\"ci\")"]),
            ("- run: cd sub && cargo test", &["1 Some(Test) in Some(\"sub\")"]),
            ("cargo clippy --manifest-path ./a/Cargo.toml", &["1 Some(Check) in Some(\"a\")"]),
            ("make test ARGS='--workspace'", &["1 None workspace"]),
            ("# cargo test\nname: cargo test\ncargo fmt --all\necho cargo test", &[]),
            ("cargo hack test --workspace", &[]),
            (
                "steps:\n  - name: a\n    run: cargo test\n    working-directory: b/c\n  - run: cargo build\n",
                &["3 Some(Test) in Some(\"b/c\")", "5 Some(Build) "],
            ),
        ];
        for (text, expected) in table {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}
