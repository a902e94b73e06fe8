//! The main function of a test program that cannot have the usual one, because a test starts it again as something else.

use std::io::Write;
use std::panic::catch_unwind;
use std::process::ExitCode;

/// Runs those of `tests` that this process's arguments name, or lists them, as `cargo test` and nextest ask for it.
pub fn run_tests(tests: &[(&str, fn())]) -> ExitCode {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    // nextest asks with `--list --format terse`: that word is no test.
    let valued = ["--format", "--test-threads", "--color", "--logfile", "--skip", "-Z"];
    let is_value = |index: usize| index > 0 && valued.contains(&arguments[index - 1].as_str());
    let words =
        arguments.iter().enumerate().filter(|(index, word)| !word.starts_with('-') && !is_value(*index));
    let words = words.map(|(_, word)| word).collect::<Vec<_>>();
    let chosen = |name: &str| {
        let fits = |word: &&String| if has("--exact") { name == *word } else { name.contains(word.as_str()) };
        // Nothing here is ignored.
        !has("--ignored") && (words.is_empty() || words.iter().any(fits))
    };
    let mut out = std::io::stdout();
    let mut all_passed = true;
    for (name, test) in tests.iter().filter(|(name, _)| chosen(name)) {
        let line = if has("--list") {
            format!("{name}: test")
        } else {
            let passed = catch_unwind(test).is_ok();
            all_passed &= passed;
            format!("test {name} ... {}", if passed { "ok" } else { "FAILED" })
        };
        // Nobody reads any more: the exit code still tells.
        let _ = writeln!(out, "{line}");
    }
    if all_passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The exit code of a test program that was started as something else; what failed is said as programs do.
pub fn played<E: std::fmt::Display>(played: Result<ExitCode, E>) -> ExitCode {
    played.unwrap_or_else(|error| {
        #[expect(clippy::disallowed_macros, reason = "what a program says when it fails")]
        {
            eprintln!("{error:#}");
        }
        ExitCode::FAILURE
    })
}
