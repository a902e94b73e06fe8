//! Reads off cargo's standard error which targets did not compile, and leaves out what only `--verbose` adds there:
//! a screenful of rustc's arguments below each error.

use crate::build_output::without_colour;

/// The lines that follow the error of a target under `--verbose`. The last goes on with the call of rustc.
const RUSTC_CALL: [&str; 3] = ["", "Caused by:", "  process didn't exit successfully: `"];

/// What did not compile so far.
#[derive(Debug, Default)]
pub(crate) struct CompileErrors {
    /// In cargo's words: "`app` (lib test)".
    targets: Vec<String>,
    /// The lines since an error, as long as they may be a call of rustc.
    held: Option<Vec<String>>,
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
        shown.push(line.to_owned());
        shown
    }

    /// The targets that did not compile, and the lines that are still to be shown.
    pub(crate) fn finish(self) -> (Vec<String>, Vec<String>) {
        (self.targets, self.held.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<String>, String) {
        let mut errors = CompileErrors::default();
        let mut shown = text.lines().flat_map(|line| errors.line(line)).collect::<Vec<_>>();
        let (targets, rest) = errors.finish();
        shown.extend(rest);
        (targets, shown.join("\n"))
    }

    #[test]
    fn the_call_of_rustc_is_left_out() {
        let text = "\
\u{1b}[1m\u{1b}[91merror\u{1b}[0m: could not compile `app` (lib test) due to 2 previous errors; 1 warning emitted

\u{1b}[1mCaused by:\u{1b}[0m
  process didn't exit successfully: `rustc --crate-name app` (exit status: 1)
warning: build failed, waiting for other jobs to finish...
error: could not compile `app` (lib) due to 1 previous error";
        let (targets, shown) = read(text);
        assert_eq!(targets, ["`app` (lib test)", "`app` (lib)"]);
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
        for (text, targets) in [(killed, 1), (script, 0), (other, 1)] {
            let (found, shown) = read(text);
            assert_eq!(found.len(), targets, "{text}");
            assert_eq!(shown, text.lines().collect::<Vec<_>>().join("\n"));
        }
    }
}
