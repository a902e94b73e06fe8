//! The rounds: every candidate links once per round, in an order that changes, and only the linker is timed.

use std::fs::{self, File};
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_stats::{median, paired};
use xtask_workspace::{Call, Progress};

use super::arguments::{Outputs, Role, rewrite};
use super::capture::CompilerCall;
use super::link_line::{self, Link};
use super::{Candidate, Entry};
use crate::process::{Interrupted, last_lines, output};

/// A test program that takes longer to compile and link is none to be linked over and over.
const COMPILE_LIMIT: Duration = Duration::from_secs(30 * 60);
/// A linker that takes longer hangs.
const LINK_LIMIT: Duration = Duration::from_secs(10 * 60);
/// A smaller gain is not worth a setting.
const LEAST_GAIN: f64 = 0.03;

/// A candidate with what is known of it so far.
#[derive(Debug)]
pub(super) struct Contestant {
    name: String,
    /// How its linker is called, or why it cannot link.
    link: Result<Link, String>,
    /// What its linker writes.
    program: Utf8PathBuf,
    milliseconds: Vec<f64>,
}

/// Lets rustc make `call` for each candidate in a folder of its own below `scratch`: all objects are there then, and it
/// is known how the linker is called. A candidate that does not link stays as such; a baseline is an error.
pub(super) fn prepare(
    call: &CompilerCall,
    candidates: &[Candidate],
    scratch: &Utf8Path,
    progress: &dyn Progress,
) -> Result<Vec<Contestant>> {
    let name = call.output().and_then(|path| path.file_name().map(str::to_owned));
    let name = name.context("cargo's call of rustc does not say what the program is called")?;
    let mut contestants = Vec::with_capacity(candidates.len());
    for (index, candidate) in candidates.iter().enumerate() {
        let role = if index == 0 { Role::Baseline } else { Role::Challenger };
        let dir = scratch.join(index.to_string());
        let link = link_by_rustc(call, candidate, role, &dir, scratch, progress);
        contestants.push(Contestant {
            name: candidate.name.clone(),
            link: or_why(link, role, &candidate.name)?,
            program: dir.join(&name),
            milliseconds: Vec::new(),
        });
    }
    Ok(contestants)
}

fn link_by_rustc(
    call: &CompilerCall,
    candidate: &Candidate,
    role: Role,
    dir: &Utf8Path,
    scratch: &Utf8Path,
    progress: &dyn Progress,
) -> Result<Link> {
    fs::create_dir(dir).with_context(|| format!("failed to create folder {dir}"))?;
    let link_line = dir.join("link-line");
    // All share one: the linker has no part in the code, so it is compiled once.
    let incremental = scratch.join("incremental");
    let outputs = Outputs { dir, incremental: &incremental, link_line: &link_line };
    let (program, wrapped) = call.programs.split_first().context("cargo's call names no compiler")?;
    let args = wrapped.iter().cloned().chain(rewrite(&call.args, candidate, role, outputs));
    let compile = Call::new(call.dir.clone(), program, args);
    progress.detail(&format!("running `{compile}`"));
    let ran = output(&compile, &call.environment(), COMPILE_LIMIT)?;
    if !ran.success {
        bail!("{}", why_not(&ran.stderr, &ran.stdout));
    }
    let text = fs::read_to_string(&link_line).with_context(|| format!("failed to read {link_line}"))?;
    link_line::parse(&text, &call.dir, call.environment())
        .map_err(|why| anyhow::anyhow!("failed to understand how rustc calls the linker: {why}"))
}

/// The end of what rustc said of a failure. Its very last words only say that there was one.
fn why_not(stderr: &str, stdout: &str) -> String {
    let telling = |line: &&str| !line.starts_with("error: aborting due to");
    last_lines(&stderr.lines().filter(telling).collect::<Vec<_>>().join("\n"), stdout)
}

/// What a challenger cannot do is told of it; that the baseline cannot do it, or that a signal came, ends the race.
fn or_why<T>(result: Result<T>, role: Role, name: &str) -> Result<Result<T, String>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) if error.is::<Interrupted>() => Err(error),
        Err(error) if role == Role::Baseline => {
            Err(error.context(format!("failed to link again as it is linked now ({name})")))
        }
        Err(error) => Ok(Err(format!("{error:#}"))),
    }
}

/// Links in `rounds` rounds, after one that does not count: the first brings all objects into memory.
pub(super) fn run(contestants: &mut [Contestant], rounds: usize, progress: &dyn Progress) -> Result<()> {
    for round in 0..=rounds {
        let mut said = Vec::new();
        for index in order(round, contestants.len()) {
            let role = if index == 0 { Role::Baseline } else { Role::Challenger };
            let contestant = &mut contestants[index];
            let Ok(link) = &contestant.link else { continue };
            match or_why(time(link, &contestant.program), role, &contestant.name)? {
                Ok(milliseconds) => {
                    said.push(format!("{} {milliseconds:.0} ms", contestant.name));
                    if round > 0 {
                        contestant.milliseconds.push(milliseconds);
                    }
                }
                Err(why) => contestant.link = Err(why),
            }
        }
        progress.detail(&format!("round {round} of {rounds}: {}", said.join(", ")));
    }
    Ok(())
}

/// Who links when: every second round is the one before it backwards, and each such pair begins with the next one. So
/// nobody always comes after the same other, whose work the machine may not be done with.
fn order(round: usize, count: usize) -> Vec<usize> {
    let mut order = (0..count).map(|turn| (round / 2 + turn) % count).collect::<Vec<_>>();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

/// Links once. Milliseconds that the linker took, until its output is closed too, which is what rustc waits for.
fn time(link: &Link, program: &Utf8Path) -> Result<f64> {
    // The old program stays, as in a build; its date tells whether the linker wrote a new one.
    let old = File::options().write(true).open(program);
    old.and_then(|old| old.set_modified(UNIX_EPOCH)).with_context(|| format!("failed to date {program}"))?;
    let started = Instant::now();
    let ran = output(&link.call, &link.environment, LINK_LIMIT)?;
    let milliseconds = started.elapsed().as_secs_f64() * 1000.0;
    if !ran.success {
        bail!("{} failed: {}", link.call.program, last_lines(&ran.stderr, &ran.stdout));
    }
    let metadata = fs::metadata(program).with_context(|| format!("failed to read {program}"))?;
    let modified = metadata.modified().with_context(|| format!("failed to read the date of {program}"))?;
    if modified == UNIX_EPOCH || metadata.len() == 0 || !is_executable(&metadata) {
        bail!("{} succeeded without writing a program to {program}", link.call.program);
    }
    Ok(milliseconds)
}

#[cfg(unix)]
fn is_executable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(metadata: &fs::Metadata) -> bool {
    metadata.is_file()
}

/// What came of it, in the order of the candidates.
pub(super) fn entries(contestants: Vec<Contestant>) -> Vec<Entry> {
    let baseline = contestants.first().map(|first| first.milliseconds.clone()).unwrap_or_default();
    let entry = |(index, contestant): (usize, Contestant)| {
        let compared = index > 0 && contestant.link.is_ok();
        Entry {
            name: contestant.name,
            median_ms: median(&contestant.milliseconds),
            comparison: compared.then(|| paired(&baseline, &contestant.milliseconds, LEAST_GAIN)),
            milliseconds: contestant.milliseconds,
            failed: contestant.link.err(),
        }
    };
    contestants.into_iter().enumerate().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use xtask_testkit::TempDir;
    use xtask_workspace::{Environment, Silent};

    use super::*;

    /// One that links by a script, in which `$1` is the program.
    fn contestant(name: &str, dir: &TempDir, script: &str) -> Contestant {
        dir.write(name, "");
        let program = dir.path().join(name);
        let call = Call::new(dir.path(), "sh", ["-c", script, "sh", program.as_str()]);
        let link = Ok(Link { call, environment: Environment::current() });
        Contestant { name: name.to_owned(), link, program, milliseconds: Vec::new() }
    }

    const LINKS: &str = "echo x > \"$1\"; chmod +x \"$1\"";

    #[test]
    fn everybody_comes_after_everybody_in_turn() {
        let orders = (0..7).map(|round| order(round, 3)).collect::<Vec<_>>();
        assert_eq!(orders, [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1], [2, 0, 1], [1, 0, 2], [0, 1, 2]]);
    }

    #[cfg(unix)]
    #[test]
    fn rounds_are_timed_in_pairs_and_who_fails_is_out() {
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
        let (broken, later) = ("sh failed: no such library", "sh failed: it said nothing");
        assert_eq!(failed, [None, Some(broken), None, Some(later)]);
        // What the comparison says depends on what else goes on here; that it was made does not.
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
        for script in ["true", ": > \"$1\"; chmod +x \"$1\"", "echo x > \"$1\"; chmod -x \"$1\"", "rm \"$1\""]
        {
            let mut contestants = [contestant("now", &dir, LINKS), contestant("lies", &dir, script)];
            run(&mut contestants, 1, &Silent).unwrap();
            assert!(contestants[1].link.is_err(), "{script}");
            let mut contestants = [contestant("now", &dir, script)];
            let error = run(&mut contestants, 1, &Silent).unwrap_err();
            assert_eq!(error.to_string(), "failed to link again as it is linked now (now)");
        }
    }

    #[test]
    fn what_rustc_says_of_a_linker_that_is_not_there_is_told_without_its_last_words() {
        let said = "error: linking with `cc` failed: exit status: 1\n  |\n  = note:  \"cc\" \"-m64\" <1 object omitted>\n  \
                    = note: collect2: fatal error: cannot find 'ld'\n          compilation terminated.\n          \n\n\
                    error: aborting due to 1 previous error\n\n";
        assert_eq!(
            why_not(said, ""),
            "= note:  \"cc\" \"-m64\" <1 object omitted>; = note: collect2: fatal error: cannot find 'ld'; \
             compilation terminated."
        );
    }
}
