//! Which linker is the fastest here: the workspace's largest test program, linked over and over by each candidate.
//!
//! Cargo prints how it calls rustc for that program, and rustc how it calls the linker. Only that call is timed, edited for
//! each candidate, in rounds, so that other work on the machine slows all of them.
//!
//! Invariants: nothing that is linked here is put where a build would look for it, and the one unit that is compiled again
//! in the user's own target dir ends fresh.

use std::fs::{self, File};
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use xtask_stats::{Comparison, Verdict, median, paired};
use xtask_units::RunOptions;
use xtask_units::inventory::unit_id;
use xtask_workspace::{Call, CargoCommand, Environment, Progress, Workspace};

use crate::link::{LinkSettings, is_named, makers, makers_in_words};
use crate::machine::Machine;
use crate::process::{Interrupted, last_lines, output, successful, uninterrupted};

/// The longest that compiling and linking the test program once may take.
const COMPILE_LIMIT: Duration = Duration::from_secs(30 * 60);
/// A linker that takes longer hangs.
const LINK_LIMIT: Duration = Duration::from_secs(10 * 60);
/// The name of what is in force when it is measured a second time: what that differs from itself is noise.
pub(crate) const AGAIN: &str = "in use, again";
/// A smaller gain is not worth a setting.
const LEAST_GAIN: f64 = 0.03;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub name: String,
    /// `None` for what is in force, once more.
    pub settings: Option<LinkSettings>,
    /// The name that the linker leaves in what it links, if that is checked.
    pub says: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Race {
    /// What was linked: package and target, `app test it`.
    pub binary: String,
    /// The size of that program in the user's own build, in bytes.
    pub bytes: u64,
    pub rounds: usize,
    /// The candidates in the order they were given; the first is the baseline.
    pub entries: Vec<Entry>,
}

impl Race {
    /// The name of the candidate that is faster than the baseline beyond the noise, the fastest of them if several are.
    pub(crate) fn fastest(&self) -> Option<&str> {
        // What the same linker gains over itself is noise.
        let again = self.entries.iter().find(|entry| entry.name == AGAIN);
        let noise =
            again.and_then(|again| again.comparison.as_ref()?.interval).map_or(1.0, |it| it.low.min(1.0));
        let is_faster = |entry: &&Entry| {
            entry.comparison.as_ref().is_some_and(|comparison| {
                comparison.verdict == Verdict::Faster && comparison.interval.is_some_and(|it| it.high < noise)
            })
        };
        let median = |entry: &Entry| entry.median_ms.unwrap_or(f64::INFINITY);
        let faster = self.entries.iter().filter(is_faster);
        faster.min_by(|one, other| median(one).total_cmp(&median(other))).map(|entry| entry.name.as_str())
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub name: String,
    /// Milliseconds that the linker took, one value per round.
    pub milliseconds: Vec<f64>,
    /// `None` when it linked in no round.
    pub median_ms: Option<f64>,
    /// Against the baseline; `None` for the baseline itself, and for a candidate that failed.
    pub comparison: Option<Comparison>,
    /// Why it could not link; it is left out from then on.
    pub failed: Option<String>,
}

/// Times each of `candidates` at linking the largest test program that `test_command` builds. The first is the baseline,
/// what is in force now; what the user's own flags say of the linker does not reach the others.
///
/// `None`, with the reason as a note, if there is no test program or the tests do not build.
pub fn race(
    workspace: &Workspace,
    machine: &Machine,
    test_command: &CargoCommand,
    candidates: &[Candidate],
    rounds: usize,
    progress: &dyn Progress,
) -> Result<Option<Race>> {
    let scratch = machine.scratch("race")?;
    let mut test_command = test_command.clone();
    test_command.run_nothing();
    let Some(program) = largest(workspace, &test_command, progress)? else { return Ok(None) };
    progress.note(&format!("linking {} over and over", program.name));
    let call = compiler_call(workspace, &test_command, &program.path)?;
    let mut contestants = prepare(&call, candidates, scratch.path(), progress)?;
    run(&mut contestants, rounds, progress)?;
    let entries = entries(contestants);
    Ok(Some(Race { binary: program.name, bytes: program.bytes, rounds, entries }))
}

struct Program {
    /// Package and target: `app test it`.
    name: String,
    path: Utf8PathBuf,
    bytes: u64,
}

/// Builds the tests as the user does.
fn largest(
    workspace: &Workspace,
    test_command: &CargoCommand,
    progress: &dyn Progress,
) -> Result<Option<Program>> {
    let record = xtask_units::run(workspace, test_command, RunOptions::default(), progress, &mut |_| true)?;
    if let Some(signal) = record.signal {
        return Err(Interrupted { signal, call: test_command.to_string() }.into());
    }
    if record.build_succeeded != Some(true) {
        progress.note(&format!("no linkers were compared: `{test_command}` fails"));
        return Ok(None);
    }
    let tests = record.units.iter().filter(|unit| unit.test);
    let files = tests.flat_map(|unit| unit.files.iter().map(move |path| (unit, path)));
    let programs = files.filter(|(_, path)| matches!(path.extension(), None | Some("exe" | "wasm")));
    let programs = programs.filter_map(|(unit, path)| {
        let bytes = fs::metadata(path).ok().filter(fs::Metadata::is_file)?.len();
        let name = format!("{} {}", unit.package, unit.kind.describe(&unit.target));
        Some(Program { name, path: path.clone(), bytes })
    });
    let largest = programs.max_by_key(|program| program.bytes);
    if largest.is_none() {
        progress.note(&format!("no linkers were compared: `{test_command}` builds no test program"));
    }
    Ok(largest)
}

/// A call, and the environment below its own variables.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CallIn {
    call: Call,
    environment: Environment,
}

/// How cargo calls rustc for `program`. Cargo tells only while it compiles, so this one unit is compiled once more.
fn compiler_call(workspace: &Workspace, test_command: &CargoCommand, program: &Utf8Path) -> Result<CallIn> {
    make_dirty(&fingerprint_folder(program)?)?;
    let mut command = test_command.clone();
    // Twice verbose, so that the variables are printed too.
    command.insert_args(["-vv"]);
    command.env.insert("CARGO_TERM_COLOR".to_owned(), "never".to_owned());
    let said = successful(&Call::from(&command), &workspace.environment, COMPILE_LIMIT)?.stderr;
    let without_ending = program.with_extension("");
    let makes_it = |call: &Call| output_of(call).as_ref() == Some(&without_ending);
    let call = running(&said, workspace.root()).into_iter().find(makes_it);
    let call = call.with_context(|| format!("`{command}` does not say how it compiles {program}"))?;
    Ok(CallIn { call, environment: command.environment(&workspace.environment) })
}

/// The folder of cargo's fingerprint for the unit of `program`, in either layout.
fn fingerprint_folder(program: &Utf8Path) -> Result<Utf8PathBuf> {
    let find = || {
        let folder = program.parent()?.parent()?;
        // `build/<package>/<id>/{out,fingerprint}`
        let beside = folder.join("fingerprint");
        if beside.is_dir() {
            return Some(beside);
        }
        // `{deps/<name>-<id>,.fingerprint/<package>-<id>}`
        let id = program.file_stem()?.rsplit('-').next()?;
        unit_id(id)?;
        let mut entries = folder.join(".fingerprint").read_dir_utf8().ok()?.flatten();
        let is_its = |name: &str| name.strip_suffix(id).is_some_and(|package| package.ends_with('-'));
        Some(entries.find(|entry| is_its(entry.file_name()))?.into_path())
    };
    find().with_context(|| format!("{program} has no fingerprint by cargo beside it"))
}

/// Makes a unit stale until it is compiled again: cargo compares the time of its dep-info with the sources'.
fn make_dirty(fingerprint: &Utf8Path) -> Result<()> {
    let entries =
        fingerprint.read_dir_utf8().with_context(|| format!("failed to read folder {fingerprint}"))?;
    let dep_info = entries.flatten().find(|entry| entry.file_name().starts_with("dep-"));
    let path = dep_info.with_context(|| format!("{fingerprint} has no dep-info"))?.into_path();
    set_old(&path)
}

/// Gives the file a time in 1970.
fn set_old(path: &Utf8Path) -> Result<()> {
    let file = File::options().write(true).open(path);
    file.and_then(|file| file.set_modified(UNIX_EPOCH))
        .with_context(|| format!("failed to set the time of {path}"))
}

/// The calls in what `cargo -vv` says: "Running `NAME=value … rustc …`". A value may have several lines. Of a wrapper and
/// the compiler only the latter is in the result.
fn running(said: &str, dir: &Utf8Path) -> Vec<Call> {
    let mut lines = said.lines();
    let mut calls = Vec::new();
    while let Some(line) = lines.next() {
        let Some(first) = line.trim_start().strip_prefix("Running `") else { continue };
        let mut text = first.to_owned();
        let words = loop {
            // A quote that is still open continues in the next line.
            if let Some(words) = text.strip_suffix('`').and_then(shlex::split) {
                break words;
            }
            let Some(next) = lines.next() else { return calls };
            text = format!("{text}\n{next}");
        };
        let Some(first_arg) = words.iter().position(|word| word == "--crate-name") else { continue };
        let (head, args) = words.split_at(first_arg);
        let Some((rustc, variables)) = head.split_last() else { continue };
        let env = variables.iter().map_while(|word| word.split_once('='));
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        calls.push(Call { env, ..Call::new(dir, rustc, args.to_vec()) });
    }
    calls
}

/// Where rustc puts what it makes, without an ending.
fn output_of(call: &Call) -> Option<Utf8PathBuf> {
    let after = |flag: &str| {
        let at = call.args.iter().position(|arg| arg == flag)?;
        call.args.get(at + 1).map(String::as_str)
    };
    let ending = call.args.iter().find_map(|arg| arg.strip_prefix("extra-filename="));
    let name = format!("{}{}", after("--crate-name")?, ending.unwrap_or_default());
    Some(call.dir.join(after("--out-dir")?).join(name))
}

#[derive(Debug)]
struct Contestant {
    entry: Entry,
    says: Option<String>,
    /// How its linker is called.
    link: CallIn,
    /// What that writes.
    program: Utf8PathBuf,
}

/// Repeats `compiler` below `scratch`, where all objects stay, and edits its call of the linker for each candidate.
fn prepare(
    compiler: &CallIn,
    candidates: &[Candidate],
    scratch: &Utf8Path,
    progress: &dyn Progress,
) -> Result<Vec<Contestant>> {
    let output = output_of(&compiler.call).context("cargo's call of rustc does not say what it writes")?;
    let name = output.file_name().unwrap_or_default();
    let baseline = link_by_rustc(compiler, scratch, progress)?;
    let (first, own) = (scratch.join(name), own_words(&compiler.call.args));
    let linker = |candidate: &Candidate| candidate.settings.as_ref().is_some_and(|it| it.linker.is_some());
    let own_program = candidates.first().is_some_and(linker);
    let contestant = |(index, candidate): (usize, &Candidate)| {
        let (mut program, mut link) = (first.clone(), baseline.clone());
        if index > 0 {
            let dir = scratch.join(index.to_string());
            fs::create_dir(&dir).with_context(|| format!("failed to create folder {dir}"))?;
            program = dir.join(name);
            fs::copy(&first, &program).with_context(|| format!("failed to copy {first} to {program}"))?;
            link = match &candidate.settings {
                Some(settings) => link.by(settings, &own, own_program, &program),
                None => link.into(&program),
            };
        }
        let entry = Entry { name: candidate.name.clone(), ..Entry::default() };
        Ok(Contestant { entry, says: candidate.says.clone(), link, program })
    };
    candidates.iter().enumerate().map(contestant).collect()
}

/// The words by which the flags in rustc's arguments choose a linker.
fn own_words(args: &[String]) -> Vec<String> {
    let flags = args.iter().map(|arg| arg.strip_prefix("-C").unwrap_or(arg));
    let values = flags.filter_map(|flag| flag.strip_prefix("link-arg=").or(flag.strip_prefix("link-args=")));
    let words = values.flat_map(str::split_whitespace).filter(|word| chooses_linker(word));
    words.map(str::to_owned).collect()
}

/// Compiles and links into `scratch`; returns how rustc calls the linker.
fn link_by_rustc(compiler: &CallIn, scratch: &Utf8Path, progress: &dyn Progress) -> Result<CallIn> {
    let link_line = scratch.join("link-line");
    let mut call = compiler.call.clone();
    call.args = elsewhere(&call.args, scratch);
    // Without it rustc removes objects that only it makes (`symbols.o`) as soon as it has linked.
    call.args.extend(["-Csave-temps=yes".to_owned(), format!("--print=link-args={link_line}")]);
    progress.detail(&format!("running `{call}`"));
    let ran = output(&call, &compiler.environment, COMPILE_LIMIT)?;
    if ran.code != Some(0) {
        bail!("failed to repeat the current link command: {}", last_lines(&ran.stderr, &ran.stdout));
    }
    let text = fs::read_to_string(&link_line).with_context(|| format!("failed to read {link_line}"))?;
    linker_call(&text, &call.dir, call.environment(&compiler.environment))
        .with_context(|| format!("failed to understand how rustc calls the linker: {text}"))
}

/// Cargo's arguments for rustc with everything that is made below `dir`, and errors as text.
fn elsewhere(args: &[String], dir: &Utf8Path) -> Vec<String> {
    let mut elsewhere = Vec::with_capacity(args.len());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--out-dir" {
            args.next();
            elsewhere.push(format!("--out-dir={dir}"));
        } else if arg.starts_with("incremental=") {
            elsewhere.push(format!("incremental={}", dir.join("incremental")));
        } else if !["--error-format=", "--json=", "--diagnostic-width="]
            .iter()
            .any(|flag| arg.starts_with(flag))
        {
            elsewhere.push(arg.clone());
        }
    }
    elsewhere
}

/// The call of the linker in what `rustc --print link-args` says, made in `dir` by a rustc in `environment`.
///
/// It is how the standard library prints a `Command`: `env -u NAME` for each variable that is removed, `NAME="value"`, and
/// quoted words. Besides quotes and backslashes, only characters that cannot be printed are escaped.
fn linker_call(text: &str, dir: &Utf8Path, mut environment: Environment) -> Option<CallIn> {
    // If rustc linked again in another way, the last line is the one that worked.
    let line = text.lines().rfind(|line| !line.trim().is_empty())?;
    let mut words = shlex::split(line)?.into_iter().peekable();
    if words.next_if(|word| word == "env").is_some() {
        while words.next_if(|word| word == "-u").is_some() {
            environment.remove(&words.next()?);
        }
    }
    let mut call = Call::new(dir, "", [""; 0]);
    while let Some((name, value)) = words.peek().and_then(|word| word.split_once('=')) {
        call.env.insert(name.to_owned(), value.to_owned());
        words.next();
    }
    call.program = words.next()?;
    call.args = words.collect();
    Some(CallIn { call, environment })
}

impl CallIn {
    /// The same link into `program`.
    fn into(mut self, program: &Utf8Path) -> Self {
        let args = &mut self.call.args;
        if let Some(output) = args.iter().position(|arg| arg == "-o").and_then(|at| args.get_mut(at + 1)) {
            program.as_str().clone_into(output);
        }
        self
    }

    /// The same link into `program`, by the linker of a candidate with `settings`.
    ///
    /// `own` are the words by which the user's flags choose a linker; `own_program` says that the program is that of this
    /// machine's settings, which a candidate's would replace. Other words that choose a linker are rustc's: they stay for
    /// a candidate that leaves the choice to rustc.
    fn by(mut self, settings: &LinkSettings, own: &[String], own_program: bool, program: &Utf8Path) -> Self {
        self = self.into(program);
        let args = &mut self.call.args;
        args.retain(|arg| !chooses_linker(arg) || (settings.is_default() && !own.contains(arg)));
        // Other codegen options, such as `-Clinker-features=-lld`, only say which linker rustc must not choose.
        let flags = settings.rustflags.iter().filter_map(|flag| flag.strip_prefix("-Clink-arg="));
        args.extend(flags.map(str::to_owned));
        if let Some(linker) = settings.linker.as_deref().or(own_program.then_some("cc")) {
            linker.clone_into(&mut self.call.program);
        }
        self
    }
}

/// Whether this argument makes a C compiler use another linker. `-B FOLDER` does so in GCC before 12, which has no
/// `-fuse-ld=mold`, and is how rustc itself chooses lld.
fn chooses_linker(arg: &str) -> bool {
    let folder = arg.strip_prefix("-B").and_then(|path| path.trim_end_matches('/').rsplit('/').next());
    arg.starts_with("-fuse-ld=")
        || arg.starts_with("--ld-path=")
        || folder.is_some_and(|folder| ["mold", "wild", "lld", "gcc-ld"].contains(&folder))
}

/// Links in `rounds` rounds, after one that is not timed and reads all objects into memory.
fn run(contestants: &mut [Contestant], rounds: usize, progress: &dyn Progress) -> Result<()> {
    for round in 0..=rounds {
        let mut said = Vec::new();
        for index in order(round, contestants.len()) {
            let Contestant { entry, says, link, program } = &mut contestants[index];
            if entry.failed.is_some() {
                continue;
            }
            // Its name is read once: programs are large.
            match uninterrupted(time(link, program, says.as_deref().filter(|_| round == 0)))? {
                Ok(milliseconds) => {
                    said.push(format!("{} {milliseconds:.0} ms", entry.name));
                    if round > 0 {
                        entry.milliseconds.push(milliseconds);
                    }
                }
                Err(error) if index == 0 => {
                    let failed = format!("failed to repeat the current link command ({})", entry.name);
                    return Err(error.context(failed));
                }
                Err(error) => entry.failed = Some(format!("{error:#}")),
            }
        }
        progress.detail(&format!("round {round} of {rounds}: {}", said.join(", ")));
    }
    Ok(())
}

/// The order in a round: odd rounds are the one before in reverse, and each such pair begins with the next contestant, so
/// that none always follows the same other.
fn order(round: usize, count: usize) -> Vec<usize> {
    let mut order = (0..count).map(|turn| (round / 2 + turn) % count).collect::<Vec<_>>();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

/// Links once; returns the milliseconds that the linker took.
fn time(link: &CallIn, program: &Utf8Path, says: Option<&str>) -> Result<f64> {
    // The old program stays, as in a build; its date tells whether the linker wrote a new one.
    set_old(program)?;
    let started = Instant::now();
    let ran = output(&link.call, &link.environment, LINK_LIMIT)?;
    let milliseconds = started.elapsed().as_secs_f64() * 1000.0;
    if ran.code != Some(0) {
        bail!("{} failed: {}", link.call.program, last_lines(&ran.stderr, &ran.stdout));
    }
    let metadata = fs::metadata(program).with_context(|| format!("failed to read {program}"))?;
    if metadata.modified().is_ok_and(|time| time == UNIX_EPOCH) || metadata.len() == 0 {
        bail!("{} succeeded without writing a program to {program}", link.call.program);
    }
    if let Some(says) = says {
        let makers = makers(program)?;
        if !is_named(&makers, says, None) {
            bail!("it was not used: {} linked it", makers_in_words(&makers));
        }
    }
    Ok(milliseconds)
}

fn entries(contestants: Vec<Contestant>) -> Vec<Entry> {
    let mut entries = contestants.into_iter().map(|contestant| contestant.entry).collect::<Vec<_>>();
    let baseline = entries.first().map(|first| first.milliseconds.clone()).unwrap_or_default();
    for (index, entry) in entries.iter_mut().enumerate() {
        entry.median_ms = median(&entry.milliseconds);
        let compared = index > 0 && entry.failed.is_none();
        entry.comparison = compared.then(|| paired(&baseline, &entry.milliseconds, LEAST_GAIN));
    }
    entries
}

#[cfg(test)]
mod tests {
    use xtask_testkit::TempDir;
    use xtask_workspace::Silent;

    use super::*;

    #[test]
    fn calls_of_the_compiler_are_read_from_what_cargo_says() {
        let said = "   Compiling app v0.1.0 (/w)\n     \
            Running `A=1 CARGO_PKG_DESCRIPTION='two\nlines with a `\nin them' D= /r/sccache /r/rustc --crate-name it \
            --edition=2024 --out-dir /w/t/deps -C extra-filename=-1 --cfg 'feature=\"a b\"'`\n    \
            Finished `test` profile in 1 s\n     Running `/w/t/deps/it-1`\n     Running `never ends";
        let calls = running(said, "/w".into());
        let [call] = &calls[..] else { panic!("{calls:?}") };
        assert_eq!((call.program.as_str(), call.dir.as_str()), ("/r/rustc", "/w"));
        assert_eq!(call.env["CARGO_PKG_DESCRIPTION"], "two\nlines with a `\nin them");
        assert_eq!((call.env["A"].as_str(), call.env["D"].as_str(), call.env.len()), ("1", "", 3));
        assert_eq!(call.args.last().unwrap(), "feature=\"a b\"");
        assert_eq!(output_of(call).unwrap(), "/w/t/deps/it-1");
    }

    #[test]
    fn the_fingerprint_is_found_in_both_layouts() {
        let dir = TempDir::new("race-fingerprint");
        let id = "0123456789abcdef";
        let old = format!("debug/.fingerprint/my-app-{id}");
        let new = format!("debug/build/my-app/{id}/fingerprint");
        for folder in [&old, &new] {
            dir.write(&format!("{folder}/dep-test-lib-app"), "");
        }
        let table = [
            (format!("debug/deps/app-{id}"), Some(&old)),
            (format!("debug/deps/app-{id}.exe"), Some(&old)),
            (format!("debug/build/my-app/{id}/out/app-{id}"), Some(&new)),
            ("debug/deps/app-fedcba9876543210".to_owned(), None),
            ("debug/deps/app".to_owned(), None),
            (format!("other/deps/app-{id}"), None),
        ];
        for (program, expected) in table {
            let found = fingerprint_folder(&dir.path().join(&program)).ok();
            assert_eq!(found, expected.map(|folder| dir.path().join(folder)), "{program}");
        }
    }

    #[test]
    fn dirty_is_what_is_older_than_every_source() {
        let dir = TempDir::new("race-dirty");
        dir.write("dep-test-lib-app", "");
        dir.write("test-lib-app", "");
        make_dirty(dir.path()).unwrap();
        let modified = |name: &str| fs::metadata(dir.path().join(name)).unwrap().modified().unwrap();
        assert_eq!(modified("dep-test-lib-app"), UNIX_EPOCH);
        assert_ne!(modified("test-lib-app"), UNIX_EPOCH);
        let empty = TempDir::new("race-dirty-empty");
        assert!(make_dirty(empty.path()).is_err());
    }

    /// As rustc 1.95 writes it, with most of its libraries left out.
    const CAPTURED: &str = concat!(
        r#"LC_ALL="C" PATH="/home/me/.rustup/toolchains/stable-x86_64-unknown-linux-gnu/lib/rustlib/x86_64-unknown-linux-gnu/bin:/usr/bin" "#,
        r#"VSLANG="1033" "cc" "-m64" "/s/1/rustcj24QcG/symbols.o" "/s/1/a-abc.a.4c2faf61c2d5dfd7-cgu.0.rcgu.o" "#,
        r#""-Wl,--as-needed" "-Wl,-Bdynamic" "-lgcc_s" "-L" "/s/1/rustcj24QcG/raw-dylibs" "-fuse-ld=lld" "#,
        r#""-Wl,-z,noexecstack" "-o" "/s/1/a-abc" "-Wl,--gc-sections" "-pie" "-nodefaultlibs""#,
        "\n",
    );

    fn parsed(text: &str) -> Option<CallIn> {
        let environment = [("HOME", "/h"), ("SDKROOT", "/x"), ("PATH", "/usr/bin")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        linker_call(text, "/w".into(), environment.into_iter().collect())
    }

    #[test]
    fn a_captured_line_is_the_call_that_rustc_made() {
        let CallIn { call, environment } = parsed(CAPTURED).unwrap();
        assert_eq!((call.program.as_str(), call.dir.as_str()), ("cc", "/w"));
        assert_eq!(call.env.keys().collect::<Vec<_>>(), ["LC_ALL", "PATH", "VSLANG"]);
        assert_eq!(
            call.args,
            [
                "-m64",
                "/s/1/rustcj24QcG/symbols.o",
                "/s/1/a-abc.a.4c2faf61c2d5dfd7-cgu.0.rcgu.o",
                "-Wl,--as-needed",
                "-Wl,-Bdynamic",
                "-lgcc_s",
                "-L",
                "/s/1/rustcj24QcG/raw-dylibs",
                "-fuse-ld=lld",
                "-Wl,-z,noexecstack",
                "-o",
                "/s/1/a-abc",
                "-Wl,--gc-sections",
                "-pie",
                "-nodefaultlibs"
            ]
        );
        assert_eq!(environment.get("SDKROOT"), Some("/x"));
        assert_eq!(call.environment(&environment).get("VSLANG"), Some("1033"));
    }

    #[test]
    fn each_candidate_gets_the_line_with_its_own_linker() {
        let printed = r#""clang" "-m64" "-B/r/gcc-ld" "-fuse-ld=lld" "a.o" "-o" "/s/a" "-pie" "-fuse-ld=mold" "-Wl,-z,x""#;
        let link = parsed(printed).unwrap();
        let own = ["-fuse-ld=mold".to_owned()];
        // linker, flags, whether clang is of this machine's settings; the call
        let table: [(Option<&str>, &[&str], bool, &str); 4] = [
            (None, &[], true, "cc -m64 -B/r/gcc-ld -fuse-ld=lld a.o -o /t/p -pie -Wl,-z,x"),
            (None, &[], false, "clang -m64 -B/r/gcc-ld -fuse-ld=lld a.o -o /t/p -pie -Wl,-z,x"),
            (
                None,
                &["-Clinker-features=-lld", "-Clink-arg=-fuse-ld=lld"],
                true,
                "cc -m64 a.o -o /t/p -pie -Wl,-z,x -fuse-ld=lld",
            ),
            (
                Some("/opt/clang"),
                &["-Clink-arg=--ld-path=/opt/wild"],
                false,
                "/opt/clang -m64 a.o -o /t/p -pie -Wl,-z,x --ld-path=/opt/wild",
            ),
        ];
        for (linker, rustflags, own_program, expected) in table {
            let rustflags = rustflags.iter().map(|&flag| flag.to_owned()).collect();
            let settings = LinkSettings { linker: linker.map(str::to_owned), rustflags };
            let edited = link.clone().by(&settings, &own, own_program, "/t/p".into()).call;
            assert_eq!(edited.to_string().replacen("LC_ALL=C ", "", 1), expected);
        }
        for (arg, chooses) in [
            ("-fuse-ld=mold", true),
            ("--ld-path=/x", true),
            ("-B/usr/libexec/mold", true),
            ("-B/r/gcc-ld/", true),
            ("-B/usr/lib", false),
            ("-Bstatic", false),
            ("-pie", false),
        ] {
            assert_eq!(chooses_linker(arg), chooses, "{arg}");
        }
    }

    #[test]
    fn other_forms_are_read_as_the_standard_library_writes_them() {
        // The line, program and arguments.
        let table = [
            (r#""cc" "a b" "it's" "q\"q" "b\\b" "$HOME" "`x`" """#, r#"cc|a b|it's|q"q|b\b|$HOME|`x`|"#),
            (r#"env -u SDKROOT -u ABSENT LC_ALL="C" "cc" "-o" "x""#, "cc|-o|x"),
            (r#"A="1" "/opt/my cc" "x=y""#, "/opt/my cc|x=y"),
            ("\"first\"\n\n\"second\" \"x\"\n\n", "second|x"),
        ];
        for (line, expected) in table {
            let CallIn { call, environment } = parsed(line).unwrap();
            let words = std::iter::once(&call.program).chain(&call.args).map(String::as_str);
            assert_eq!(words.collect::<Vec<_>>().join("|"), expected, "{line}");
            assert_eq!(environment.get("SDKROOT").is_none(), line.contains("-u SDKROOT"), "{line}");
        }
        for line in ["", "\n", r#""cc"#, r#"LC_ALL="C""#, "env -u"] {
            assert!(parsed(line).is_none(), "{line}");
        }
    }

    #[test]
    fn what_a_command_prints_is_read_back() {
        let mut command = std::process::Command::new("/opt/my cc");
        let args = ["-o", "a b", "it's \"so\"", "back\\slash", "$x", "ü", ""];
        command.args(args).env("LC_ALL", "C").env("A", "x \"y\"").env_remove("SDKROOT");
        let CallIn { call, environment } = parsed(&format!("{command:?}")).unwrap();
        assert_eq!((call.program.as_str(), &call.args[..]), ("/opt/my cc", &args.map(str::to_owned)[..]));
        assert_eq!(call.env.get("A").map(String::as_str), Some("x \"y\""));
        assert_eq!((environment.get("SDKROOT"), environment.get("HOME")), (None, Some("/h")));
    }

    /// One that links by a script, in which `$1` is the program.
    fn contestant(name: &str, dir: &TempDir, script: &str) -> Contestant {
        dir.write(name, "");
        let program = dir.path().join(name);
        let call = Call::new(dir.path(), "sh", ["-c", script, "sh", program.as_str()]);
        let entry = Entry { name: name.to_owned(), ..Entry::default() };
        let link = CallIn { call, environment: Environment::current() };
        Contestant { entry, says: None, link, program }
    }

    const LINKS: &str = "echo x > \"$1\"; chmod +x \"$1\"";

    #[test]
    fn each_contestant_follows_each_other_in_turn() {
        let orders = (0..7).map(|round| order(round, 3)).collect::<Vec<_>>();
        assert_eq!(orders, [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1], [2, 0, 1], [1, 0, 2], [0, 1, 2]]);
    }

    #[test]
    fn what_cargo_asks_of_rustc_is_made_elsewhere() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let args = words(
            "--crate-name it --error-format=json --json=artifacts --emit=dep-info,link --test --out-dir /t/deps -C \
             incremental=/t/inc -L dependency=/t/deps -C link-arg=-fuse-ld=mold -Clink-args=-Wl,-O1",
        );
        let expected = "--crate-name it --emit=dep-info,link --test --out-dir=/s -C incremental=/s/incremental -L \
                        dependency=/t/deps -C link-arg=-fuse-ld=mold -Clink-args=-Wl,-O1";
        assert_eq!(elsewhere(&args, "/s".into()), words(expected));
        assert_eq!(own_words(&args), ["-fuse-ld=mold"]);
    }

    #[cfg(unix)]
    #[test]
    fn rounds_are_timed_in_pairs_and_a_failed_contestant_is_out() {
        let dir = TempDir::new("race-rounds");
        let log = |name: &str, rest: &str| format!("echo {name} >> log; {rest}");
        let mut contestants = [
            contestant("now", &dir, &log("now", &format!("sleep 0.08; {LINKS}"))),
            contestant("broken", &dir, &log("broken", "echo no such library >&2; exit 1")),
            contestant("fast", &dir, &log("fast", LINKS)),
            // Links once, which is the round that does not count.
            contestant("later", &dir, &log("later", &format!("test -s \"$1\" && exit 3; {LINKS}"))),
        ];
        run(&mut contestants, 6, &Silent).unwrap();
        let entries = entries(contestants.into());
        let counts = entries.iter().map(|entry| entry.milliseconds.len()).collect::<Vec<_>>();
        assert_eq!(counts, [6, 0, 6, 0]);
        let failed = entries.iter().map(|entry| entry.failed.as_deref()).collect::<Vec<_>>();
        let (broken, later) = ("sh failed: no such library", "sh failed: it printed nothing");
        assert_eq!(failed, [None, Some(broken), None, Some(later)]);
        // The result of the comparison depends on what else runs here; that it was made does not.
        let compared = entries.iter().map(|entry| entry.comparison.as_ref().map(|found| found.rounds));
        assert_eq!(compared.collect::<Vec<_>>(), [None, None, Some(6), None]);
        assert!(entries[0].median_ms.unwrap() >= 80.0);
        let log = dir.read("log").lines().collect::<Vec<_>>().join(" ");
        assert!(log.starts_with("now broken fast later later fast now fast now now fast "), "{log}");
    }

    #[cfg(unix)]
    #[test]
    fn a_linker_that_only_says_so_is_out_and_the_baseline_must_link() {
        let dir = TempDir::new("race-lies");
        for script in ["true", ": > \"$1\"", "rm \"$1\""] {
            let mut contestants = [contestant("now", &dir, LINKS), contestant("lies", &dir, script)];
            run(&mut contestants, 1, &Silent).unwrap();
            assert!(contestants[1].entry.failed.is_some(), "{script}");
            let mut contestants = [contestant("now", &dir, script)];
            let error = run(&mut contestants, 1, &Silent).unwrap_err();
            assert_eq!(error.to_string(), "failed to repeat the current link command (now)");
        }
    }
}
