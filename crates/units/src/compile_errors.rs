//! Reads off cargo's standard error which targets did not compile, and leaves out what only `--verbose` adds there:
//! a screenful of rustc's arguments below each error.

use crate::build_output::without_colour;
use crate::unit::TargetKind;

/// A target that did not compile, as cargo names it: `` `app` (bin "x" test) ``.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedTarget {
    /// The package's name.
    pub package: String,
    /// The target's kind.
    pub kind: TargetKind,
    /// The target's name; `None` for the library and the build script.
    pub name: Option<String>,
    /// Whether it is the unit tests of a library or a program.
    pub unit_tests: bool,
}

impl FailedTarget {
    /// Reads an element of [`Record::not_compiled`](crate::Record::not_compiled).
    pub fn parse(text: &str) -> Option<Self> {
        let (package, target) = text.strip_prefix('`')?.split_once("` (")?;
        let target = target.strip_suffix(')')?;
        let (target, unit_tests) = target.strip_suffix(" test").map_or((target, false), |rest| (rest, true));
        let (kind, name) = target.split_once(" \"").map_or((target, None), |(kind, name)| (kind, Some(name)));
        let kind = match kind {
            "lib" => TargetKind::Lib,
            "build script" => TargetKind::BuildScript,
            kind => TargetKind::from_cargo(&[kind]),
        };
        let name = name.map(|name| name.trim_end_matches('"').to_owned());
        Some(Self { package: package.to_owned(), kind, name, unit_tests })
    }
}

/// The lines that follow the error of a target under `--verbose`. The last goes on with the call of rustc.
const RUSTC_CALL: [&str; 3] = ["", "Caused by:", "  process didn't exit successfully: `"];

/// What did not compile so far.
#[derive(Debug, Default)]
pub(crate) struct CompileErrors {
    /// In cargo's words: "`app` (lib test)".
    targets: Vec<String>,
    /// The packages whose build script ran and failed.
    scripts: Vec<String>,
    /// The lines since an error, as long as they may be a call of rustc.
    held: Option<Vec<String>>,
}

/// What failed in a build, by cargo's own account.
#[derive(Debug, Default)]
pub(crate) struct Failed {
    /// Targets, in cargo's words.
    pub(crate) targets: Vec<String>,
    /// Packages by their build scripts.
    pub(crate) scripts: Vec<String>,
}

impl CompileErrors {
    /// Takes the next line. Returns the lines that are to be shown now.
    pub(crate) fn line(&mut self, line: &str) -> Vec<String> {
        let plain = without_colour(line);
        let mut shown = Vec::new();
        if let Some(mut held) = self.held.take() {
            let expected = RUSTC_CALL[held.len()];
            if held.len() + 1 == RUSTC_CALL.len() && plain.starts_with(expected) {
                return shown;
            }
            if plain == expected {
                held.push(line.to_owned());
                self.held = Some(held);
                return shown;
            }
            shown = held;
        }
        if let Some(error) = plain.strip_prefix("error: could not compile ") {
            let (target, counts) = error.split_once(" due to ").unzip();
            self.targets.push(target.unwrap_or(error).to_owned());
            // Without counts rustc told of no error: then its call and how it ended are all there is.
            self.held = counts.map(|_| Vec::new());
        }
        if let Some(error) = plain.strip_prefix("error: failed to run custom build command for `") {
            self.scripts.extend(error.split([' ', '`']).next().map(str::to_owned));
        }
        shown.push(line.to_owned());
        shown
    }

    /// What failed, and the lines that are still to be shown.
    pub(crate) fn finish(self) -> (Failed, Vec<String>) {
        (Failed { targets: self.targets, scripts: self.scripts }, self.held.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Failed, String) {
        let mut errors = CompileErrors::default();
        let mut shown = text.lines().flat_map(|line| errors.line(line)).collect::<Vec<_>>();
        let (failed, rest) = errors.finish();
        shown.extend(rest);
        (failed, shown.join("\n"))
    }

    #[test]
    fn what_cargo_calls_a_target_is_read() {
        let table = [
            ("`app` (lib)", "app", TargetKind::Lib, None, false),
            ("`app` (lib test)", "app", TargetKind::Lib, None, true),
            ("`app` (bin \"x y\" test)", "app", TargetKind::Bin, Some("x y"), true),
            ("`app` (test \"it\")", "app", TargetKind::IntegrationTest, Some("it"), false),
            ("`app` (example \"e\")", "app", TargetKind::Example, Some("e"), false),
            ("`app` (build script)", "app", TargetKind::BuildScript, None, false),
        ];
        for (text, package, kind, name, unit_tests) in table {
            let expected =
                FailedTarget { package: package.into(), kind, name: name.map(str::to_owned), unit_tests };
            assert_eq!(FailedTarget::parse(text), Some(expected), "{text}");
        }
        assert_eq!(FailedTarget::parse("something else"), None);
    }

    #[test]
    fn the_call_of_rustc_is_left_out() {
        let text = "\
\u{1b}[1m\u{1b}[91merror\u{1b}[0m: could not compile `app` (lib test) due to 2 previous errors; 1 warning emitted

\u{1b}[1mCaused by:\u{1b}[0m
  process didn't exit successfully: `rustc --crate-name app` (exit status: 1)
warning: build failed, waiting for other jobs to finish...
error: could not compile `app` (lib) due to 1 previous error";
        let (failed, shown) = read(text);
        assert_eq!(failed.targets, ["`app` (lib test)", "`app` (lib)"]);
        let lines = text.lines().collect::<Vec<_>>();
        assert_eq!(shown, [lines[0], lines[4], lines[5]].join("\n"));
    }

    #[test]
    fn what_says_more_is_kept() {
        let killed = "\
error: could not compile `app` (lib)

Caused by:
  process didn't exit successfully: `rustc --crate-name app` (signal: 9, SIGKILL: kill)";
        let script = "\
error: failed to run custom build command for `app v0.1.0`

Caused by:
  process didn't exit successfully: `/t/build-script-build` (exit status: 101)";
        let other = "\
error: could not compile `app` (lib) due to 1 previous error

Caused by:
  something else

";
        for (text, targets, scripts) in [(killed, 1, 0), (script, 0, 1), (other, 1, 0)] {
            let (failed, shown) = read(text);
            assert_eq!((failed.targets.len(), failed.scripts.len()), (targets, scripts), "{text}");
            assert!(failed.scripts.iter().all(|name| name == "app"), "{:?}", failed.scripts);
            assert_eq!(shown, text.lines().collect::<Vec<_>>().join("\n"));
        }
    }
}
