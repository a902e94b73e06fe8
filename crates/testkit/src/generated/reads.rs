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
    if let Some(path) = std::env::var_os("ORACLE_LOG") {
        let line = format!("{program} {test} {value}\n");
        let mut log = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        log.write_all(line.as_bytes()).unwrap();
    }
    if let Ok(ms) = std::env::var("ORACLE_SLEEP_MS") {
        std::thread::sleep(std::time::Duration::from_millis(ms.parse().unwrap()));
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
    u64::from(std::env::args().any(|argument| argument.starts_with(start)))
}
fn top(path: &str) -> String {
    let here = std::env::current_dir().unwrap();
    let top = here.ancestors().find(|dir| dir.join("xtask.toml").is_file()).unwrap_or(&here);
    top.join(path).display().to_string()
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
    number(&String::from_utf8_lossy(&std::process::Command::new(program).output().unwrap().stdout))
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
    /// From its folder to the workspace root.
    pub(super) up: &'a str,
    /// Folders of other members, relative to the workspace root.
    pub(super) others: &'a [String],
    /// The build script leaves a file in `OUT_DIR`.
    pub(super) built: bool,
    /// A binary that integration tests may start.
    pub(super) bin: Option<&'a str>,
    /// A proc macro that tests may use.
    pub(super) proc_macro: Option<&'a str>,
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
        live("files/link.rs"),
        live("files/linked/code.rs"),
        live("files/generated.txt"),
        live("fixtures/case/src/lib.rs"),
        live(&format!("{up}shared/live0.txt")),
        live(&format!("{up}shared/live1.txt")),
        live(&format!("{up}root.txt")),
        live(&format!("{up}local/l0.txt")),
        "names(\"files/watched\"),".to_owned(),
        "executable(\"files/test.txt\"),".to_owned(),
        "argument(\"--test-threads\"),".to_owned(),
    ];
    let variables = [
        "ORACLE_ENV",
        "ORACLE_ENV",
        "ORACLE_RUN",
        "ORACLE_ABOVE",
        "ORACLE_ABOVE",
        "ORACLE_TIER",
        "ORACLE_RUNNER",
        "ORACLE_RUNNER",
        "ORACLE_NEXTEST",
        "ORACLE_ARGUMENT",
        "NEXTEST_PROFILE",
        "NEXTEST_TEST_GROUP",
        "CARGO_PKG_VERSION",
        "CARGO_PKG_DESCRIPTION",
    ];
    all.extend(variables.map(|name| format!("var(\"{name}\"),")));
    if let Some(other) = random.pick(place.others) {
        all.push(live(&format!("{up}{other}files/test.txt")));
    }
    let mut chosen = all.into_iter().filter(|_| random.chance(14)).collect::<Vec<_>>();
    // Written, and read by nobody.
    chosen.extend(random.chance(3).then(|| "litter(\"files/litter.out\"),".to_owned()));
    if place.built && random.chance(70) {
        chosen.push("live(concat!(env!(\"OUT_DIR\"), \"/data.txt\")),".to_owned());
    }
    if let Some(bin) = place.bin.filter(|_| random.chance(70)) {
        chosen.push(format!("said(env!(\"CARGO_BIN_EXE_{bin}\")),"));
    }
    if let Some(name) = place.proc_macro.filter(|_| random.chance(60)) {
        chosen.push(format!("marked({name}::file!()), // dep:{name}"));
    }
    chosen
}
