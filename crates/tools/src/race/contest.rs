//! The rounds: every candidate links once per round, in an order that changes, and only the linker is timed.

use std::fs::{self, File};
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_stats::{median, paired};
use xtask_workspace::Progress;

use super::link_line::{self, Link, chooses_linker};
use super::subject::{CompilerCall, output_of};
use super::{Candidate, Entry};
use crate::linker_name::{makers, makers_in_words, named};
use crate::process::{Interrupted, last_lines, output};

/// The longest that compiling and linking the test program once may take.
const COMPILE_LIMIT: Duration = Duration::from_secs(30 * 60);
/// A linker that takes longer hangs.
const LINK_LIMIT: Duration = Duration::from_secs(10 * 60);
/// A smaller gain is not worth a setting.
const LEAST_GAIN: f64 = 0.03;

/// A candidate and its results so far.
#[derive(Debug)]
pub(super) struct Contestant {
    name: String,
    /// The name that has to be in what its linker writes.
    says: Option<String>,
    /// How its linker is called, or why it cannot link.
    link: Result<Link, String>,
    /// What its linker writes.
    program: Utf8PathBuf,
    milliseconds: Vec<f64>,
}

/// Lets rustc make `call` once more below `scratch`, where all objects stay, and edits its call of the linker for each
/// candidate. Fails if that cannot be linked.
pub(super) fn prepare(
    call: &CompilerCall,
    candidates: &[Candidate],
    scratch: &Utf8Path,
    progress: &dyn Progress,
) -> Result<Vec<Contestant>> {
    let baseline = link_by_rustc(call, scratch, progress)?;
    let name = output_of(&call.call).and_then(|path| path.file_name().map(str::to_owned));
    let name = name.context("cargo's call of rustc does not say what the program is called")?;
    let first = scratch.join(&name);
    let own = own_words(&call.call.args);
    let own_program = candidates.first().is_some_and(|baseline| baseline.settings.linker.is_some());
    let contestant = |(index, candidate): (usize, &Candidate)| {
        let (program, link) = if index == 0 {
            (first.clone(), baseline.clone())
        } else {
            let dir = scratch.join(index.to_string());
            fs::create_dir(&dir).with_context(|| format!("failed to create folder {dir}"))?;
            let program = dir.join(&name);
            fs::copy(&first, &program).with_context(|| format!("failed to copy {first} to {program}"))?;
            let link = baseline.by(&candidate.settings, &own, own_program, &program);
            (program, link)
        };
        let (name, says) = (candidate.name.clone(), candidate.says.clone());
        Ok(Contestant { name, says, link: Ok(link), program, milliseconds: Vec::new() })
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
fn link_by_rustc(compiler: &CompilerCall, scratch: &Utf8Path, progress: &dyn Progress) -> Result<Link> {
    let link_line = scratch.join("link-line");
    let mut call = compiler.call.clone();
    call.args = elsewhere(&call.args, scratch);
    // Without it rustc removes objects that only it makes (`symbols.o`) as soon as it has linked.
    call.args.extend(["-Csave-temps=yes".to_owned(), format!("--print=link-args={link_line}")]);
    progress.detail(&format!("running `{call}`"));
    let ran = output(&call, &compiler.environment, COMPILE_LIMIT)?;
    if !ran.success {
        bail!("failed to link again as it is linked now: {}", why_not(&ran.stderr, &ran.stdout));
    }
    let text = fs::read_to_string(&link_line).with_context(|| format!("failed to read {link_line}"))?;
    link_line::parse(&text, &call.dir, call.environment(&compiler.environment))
        .map_err(|why| anyhow::anyhow!("failed to understand how rustc calls the linker: {why}"))
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

/// The end of rustc's error, without the line that only says that there was one.
fn why_not(stderr: &str, stdout: &str) -> String {
    let telling = |line: &&str| !line.starts_with("error: aborting due to");
    last_lines(&stderr.lines().filter(telling).collect::<Vec<_>>().join("\n"), stdout)
}

/// Links in `rounds` rounds, after one that is not timed and reads all objects into memory.
pub(super) fn run(contestants: &mut [Contestant], rounds: usize, progress: &dyn Progress) -> Result<()> {
    for round in 0..=rounds {
        let mut said = Vec::new();
        for index in order(round, contestants.len()) {
            let contestant = &mut contestants[index];
            let Ok(link) = &contestant.link else { continue };
            // What is seen once need not be read again from a large program.
            let says = contestant.says.as_deref().filter(|_| round == 0);
            match time(link, &contestant.program, says) {
                Ok(milliseconds) => {
                    said.push(format!("{} {milliseconds:.0} ms", contestant.name));
                    if round > 0 {
                        contestant.milliseconds.push(milliseconds);
                    }
                }
                Err(error) if error.is::<Interrupted>() => return Err(error),
                Err(error) if index == 0 => {
                    let failed = format!("failed to link again as it is linked now ({})", contestant.name);
                    return Err(error.context(failed));
                }
                Err(error) => contestant.link = Err(format!("{error:#}")),
            }
        }
        progress.detail(&format!("round {round} of {rounds}: {}", said.join(", ")));
    }
    Ok(())
}

/// The order in a round: every second round is the one before it backwards, and each such pair begins with the next
/// contestant. So none always follows the same other, whose writes the machine may still be busy with.
fn order(round: usize, count: usize) -> Vec<usize> {
    let mut order = (0..count).map(|turn| (round / 2 + turn) % count).collect::<Vec<_>>();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

/// Links once. Milliseconds that the linker took, until its output is closed too, which is what rustc waits for.
fn time(link: &Link, program: &Utf8Path, says: Option<&str>) -> Result<f64> {
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
    if modified == UNIX_EPOCH || metadata.len() == 0 {
        bail!("{} succeeded without writing a program to {program}", link.call.program);
    }
    if let Some(says) = says {
        let makers = makers(program)?;
        if named(&makers, says, None).is_none() {
            bail!("it was not used: what was linked names {}", makers_in_words(&makers));
        }
    }
    Ok(milliseconds)
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
    use xtask_workspace::{Call, Environment, Silent};

    use super::*;

    /// One that links by a script, in which `$1` is the program.
    fn contestant(name: &str, dir: &TempDir, script: &str) -> Contestant {
        dir.write(name, "");
        let program = dir.path().join(name);
        let call = Call::new(dir.path(), "sh", ["-c", script, "sh", program.as_str()]);
        let link = Ok(Link { call, environment: Environment::current() });
        Contestant { name: name.to_owned(), says: None, link, program, milliseconds: Vec::new() }
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
        let (broken, later) = ("sh failed: no such library", "sh failed: it said nothing");
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
            assert!(contestants[1].link.is_err(), "{script}");
            let mut contestants = [contestant("now", &dir, script)];
            let error = run(&mut contestants, 1, &Silent).unwrap_err();
            assert_eq!(error.to_string(), "failed to link again as it is linked now (now)");
        }
    }

    #[test]
    fn the_error_of_a_missing_linker_is_quoted_without_its_last_line() {
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
