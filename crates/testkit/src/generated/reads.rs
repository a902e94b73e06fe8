//! What a test can depend on while it runs, as expressions for the sources of generated packages.
//!
//! Each kind of input has an expression that no other kind stands in for: a Rust file in the package's folder is
//! no input of any other program, a variable of a configuration above the repository is in no file of it.

use crate::random::Random;

/// What every generated program has. `record` writes the number of a test down; the test fails for some numbers, so
/// that edits turn verdicts.
pub(super) const PRELUDE: &str = r#"
#[doc(hidden)]
pub fn record(program: &str, test: &str, value: u64) {
    use std::io::Write;
    let first_try = std::env::var("NEXTEST_ATTEMPT").is_ok_and(|attempt| attempt == "1");
    let value = if first_try && live("files/flaky.txt") == 1 { 0 } else { value };
    let leaks = live("files/leak.txt") == 1;
    if let Some(path) = std::env::var_os("ORACLE_LOG") {
        // What leaves a process behind is no pass either.
        let leak = if leaks { format!("{program} {test} 0\n") } else { String::new() };
        let line = format!("{leak}{program} {test} {value}\n");
        let mut log = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        log.write_all(line.as_bytes()).unwrap();
    }
    if let Ok(ms) = std::env::var("ORACLE_SLEEP_MS") {
        std::thread::sleep(std::time::Duration::from_millis(ms.parse().unwrap()));
    }
    if leaks {
        std::process::Command::new("sleep").arg("1.5").spawn().unwrap();
    }
    assert!(value % 17 != 0, "{test}: {value}");
}
fn mix(values: &[u64]) -> u64 {
    values.iter().fold(7, |mixed: u64, value| mixed.wrapping_mul(1_000_003).wrapping_add(*value))
}
fn number(text: &str) -> u64 {
    let digits = text.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit);
    digits.collect::<String>().parse().unwrap_or_default()
}
fn letters(text: &str) -> u64 {
    text.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)))
}
fn live(path: &str) -> u64 {
    number(&std::fs::read_to_string(path).unwrap_or_default())
}
fn var(name: &str) -> u64 {
    std::env::var(name).map_or(5, |value| letters(&value))
}
fn argument(start: &str) -> u64 {
    std::env::args().find(|argument| argument.starts_with(start)).map_or(5, |argument| number(&argument))
}
fn names(dir: &str) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.fold(0, |sum: u64, entry| sum.wrapping_add(letters(&entry.file_name().to_string_lossy())))
}
#[cfg(unix)]
fn executable(path: &str) -> u64 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).map_or(5, |metadata| u64::from(metadata.permissions().mode() & 0o100 != 0))
}
#[cfg(not(unix))]
fn executable(_path: &str) -> u64 {
    0
}
fn litter(path: &str) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    std::fs::write(path, format!("{}", now.as_nanos())).unwrap();
    0
}
fn said(program: &str) -> u64 {
    let output = std::process::Command::new(program).output();
    output.map_or(5, |output| number(&String::from_utf8_lossy(&output.stdout)))
}
fn marked(path: &str) -> u64 {
    let bytes = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.split("oracle says: /*n").nth(1).map_or(5, number)
}
"#;

/// The functions of [`PRELUDE`] without the public one.
pub(super) fn functions() -> &'static str {
    PRELUDE.split_once("fn mix").map_or("", |(_, rest)| rest)
}

/// Functions that lead out of the package's folder, which only those sources have that call them.
const ELSEWHERE: [(&str, &str); 4] = [
    (
        "rust_in(",
        r#"
fn rust_in(dir: &str) -> u64 {
    let paths = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let rust = paths.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    rust.fold(0, |sum: u64, path| sum.wrapping_add(live(path.to_str().unwrap())))
}
"#,
    ),
    (
        "top(",
        r#"
fn top(path: &str) -> String {
    let here = std::env::current_dir().unwrap();
    let top = here.ancestors().find(|dir| dir.join("xtask.toml").is_file()).unwrap_or(&here);
    top.join(path).display().to_string()
}
"#,
    ),
    (
        "place(",
        r#"
fn place() -> u64 {
    let here = std::env::current_dir().unwrap();
    let top = here.ancestors().find(|dir| dir.join(".git").exists()).unwrap_or(&here);
    letters(&here.strip_prefix(top).unwrap().display().to_string())
}
"#,
    ),
    (
        "beside(",
        r"
fn beside(program: &str) -> String {
    let own = std::env::current_exe().unwrap();
    own.parent().unwrap().parent().unwrap().join(program).display().to_string()
}
",
    ),
];

/// `text` with what it calls of [`ELSEWHERE`].
pub(super) fn with_what_it_calls(text: String) -> String {
    let called = ELSEWHERE.into_iter().filter(|(call, _)| text.contains(call)).map(|(_, function)| function);
    let called = called.collect::<String>();
    text + &called
}

/// What a proc macro needs so that a test can read its file, as tests of error messages do.
pub(super) const MACRO_FILE: &str = r##"
#[used]
static TEXT: &str = "oracle says: /*n*/100   end";
#[proc_macro]
pub fn file(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let own = concat!("lib", env!("CARGO_CRATE_NAME"), "-");
    let line = maps.lines().find(|line| line.contains(own) && line.ends_with(".so")).unwrap_or_default();
    let path = line.find('/').map_or("", |at| &line[at..]);
    format!("r#\"{path}\"#").parse().unwrap()
}
"##;

/// The package of which a program is part.
pub(super) struct Place<'a> {
    pub(super) name: &'a str,
    /// From its folder to the workspace root.
    pub(super) up: &'a str,
    /// Folders of other members, relative to the workspace root.
    pub(super) others: &'a [String],
    /// The build script leaves a file in `OUT_DIR`.
    pub(super) built: bool,
    /// The build script names a folder of native libraries, from which a test may load one.
    pub(super) linked: bool,
    /// Nothing leads out of its folder.
    pub(super) secluded: bool,
    /// Packages that it depends on, whose binaries lie in the target dir, if they have one.
    pub(super) dependencies: &'a [String],
    /// Packages that it does not depend on, which may have a binary too.
    pub(super) strangers: &'a [String],
    /// An example of its own.
    pub(super) example: Option<&'a str>,
    /// A binary that integration tests may start.
    pub(super) bin: Option<&'a str>,
    /// A proc macro that tests may use.
    pub(super) proc_macro: Option<&'a str>,
    /// A package at whose sources it looks.
    pub(super) rust: Option<&'a str>,
}

/// The end of a line where the package reads a program of one that it does not depend on.
pub(super) fn mark_of_stranger(package: &str) -> String {
    format!("// {package} looks at a stranger")
}

/// Expressions for one program.
pub(super) fn reads(random: &mut Random, place: &Place<'_>) -> Vec<String> {
    let up = place.up;
    let live = |path: &str| format!("live(\"{path}\"),");
    let mut all = vec![
        live("files/test.txt"),
        live("files/maybe.txt"),
        live("files/code.rs"),
        live("files/notes.md"),
        live("files/generated.txt"),
        live("fixtures/case/src/lib.rs"),
        "names(\"files/watched\"),".to_owned(),
        "executable(\"files/test.txt\"),".to_owned(),
        "argument(\"--test-threads\"),".to_owned(),
    ];
    let variables = [
        "ORACLE_ENV",
        "ORACLE_TIER",
        "ORACLE_RUNNER",
        "ORACLE_WORD",
        "ORACLE_NEXTEST",
        "ORACLE_ARGUMENT",
        "TMUX",
        "NEXTEST_PROFILE",
        "NEXTEST_TEST_GROUP",
        "NEXTEST_TEST_THREADS",
        "CARGO_PKG_VERSION",
        "CARGO_PKG_DESCRIPTION",
    ];
    all.extend(variables.map(|name| format!("var(\"{name}\"),")));
    if !place.secluded {
        let elsewhere = ["shared/live0.txt", "shared/live1.txt", "root.txt", "local/l0.txt"];
        all.extend(elsewhere.map(|path| live(&format!("{up}{path}"))));
        all.extend(["files/link.rs", "files/link.md", "files/linked/code.rs"].map(live));
        all.extend(["ORACLE_RUN", "ORACLE_ABOVE"].map(|name| format!("var(\"{name}\"),")));
        all.push("place(),".to_owned());
        if let Some(other) = random.pick(place.others) {
            all.push(live(&format!("{up}{other}files/test.txt")));
        }
    }
    let mut chosen = all.into_iter().filter(|_| random.chance(40)).collect::<Vec<_>>();
    // Written, and read by nobody.
    chosen.extend(random.chance(3).then(|| "litter(\"files/litter.out\"),".to_owned()));
    if place.built {
        if random.chance(70) {
            chosen.push("live(concat!(env!(\"OUT_DIR\"), \"/data.txt\")),".to_owned());
        }
        if random.chance(70) {
            chosen.push("var(\"ORACLE_SET\"),".to_owned());
        }
    }
    if place.linked && random.chance(70) {
        chosen.push(live(&format!("{up}local/native/libplain.so")));
    }
    if let Some(bin) = place.bin.filter(|_| random.chance(70)) {
        chosen.push(format!("said(env!(\"CARGO_BIN_EXE_{bin}\")),"));
    }
    if !place.secluded {
        if let Some(example) = place.example {
            chosen.push(format!("said(&beside(\"examples/{example}\")),"));
        }
        if let Some(name) = random.pick(place.dependencies).filter(|_| random.chance(70)) {
            chosen.push(format!("said(&beside(\"app_{name}\")), // dep:{name}"));
        }
    }
    if !place.secluded
        && let Some(stranger) = random.pick(place.strangers).filter(|_| random.chance(35))
    {
        chosen.push(format!("marked(&beside(\"app_{stranger}\")), {}", mark_of_stranger(place.name)));
    }
    if let Some(dir) = place.rust.filter(|_| random.chance(70)) {
        // A declaration names no sources of others.
        chosen.push(format!("rust_in(\"{up}{dir}files\"), {}", mark_of_stranger(place.name)));
    }
    if let Some(name) = place.proc_macro.filter(|_| random.chance(70)) {
        chosen.push(format!("marked({name}::file!()), // dep:{name}"));
    }
    chosen
}
