//! All output goes through here: results to standard output, everything else for people to standard error,
//! and with `--json` exactly one document to standard output.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard};

use anstyle::{AnsiColor, Style};
use anyhow::{Context, Result};
use humansize::{FileSize as _, file_size_opts};
use serde::Serialize;
use xtask_workspace::{Environment, Progress};

use crate::bar::{Bar, CLEAR};

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The options that are about output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutputOptions {
    /// Whether to colour.
    pub colour: Colour,
    /// Print one JSON document instead of text.
    pub json: bool,
    /// Say why choices were made.
    pub verbose: bool,
}

/// What reads standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// A person at a terminal: progress is drawn.
    Terminal,
    /// GitHub Actions, which reads groups and annotations.
    GitHub,
    /// A file or a pipe.
    Other,
}

/// Where output goes: results to standard output, everything else for people to standard error.
#[derive(Debug)]
pub struct Shell {
    /// Whether standard error is coloured.
    pub(crate) coloured: bool,
    options: OutputOptions,
    reader: Reader,
    bar: Mutex<Option<Bar>>,
}

impl Shell {
    /// The shell of this process.
    pub(crate) fn new(options: OutputOptions, environment: &Environment) -> Self {
        let terminal = std::io::stderr().is_terminal() && environment.get("TERM") != Some("dumb");
        let coloured = match options.colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => terminal && environment.get("NO_COLOR").is_none(),
        };
        let reader = if environment.get("GITHUB_ACTIONS") == Some("true") {
            Reader::GitHub
        } else if terminal {
            Reader::Terminal
        } else {
            Reader::Other
        };
        Self { coloured, options, reader, bar: Mutex::new(None) }
    }

    /// Whether one JSON document is wanted on standard output, and nothing else.
    pub fn json(&self) -> bool {
        self.options.json
    }

    /// Prints `value` as the one JSON document. Fails where it has no form in JSON.
    pub fn document(&self, value: &impl Serialize) -> Result<()> {
        self.end_progress();
        let json = serde_json::to_string_pretty(value).context("failed to write JSON")?;
        write(&mut std::io::stdout(), &format!("{json}\n"));
        Ok(())
    }

    /// A line of the result: to standard output, or to standard error beside a JSON document.
    pub fn result(&self, line: &str) {
        self.end_progress();
        if self.options.json {
            self.err(line);
        } else {
            write(&mut std::io::stdout(), &format!("{line}\n"));
        }
    }

    /// `error: …` with all its causes.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        self.end_progress();
        self.err(&format!("{}: {error:#}", self.paint("error", AnsiColor::Red)));
    }

    /// What is wrong with the command line, in clap's words.
    pub(crate) fn usage_error(&self, error: &clap::Error) {
        let text = error.to_string();
        match text.trim_end().strip_prefix("error: ") {
            Some(rest) => self.err(&format!("{}: {rest}", self.paint("error", AnsiColor::Red))),
            None => self.err(text.trim_end()),
        }
    }

    /// `warning: …`
    pub fn warning(&self, text: &str) {
        self.err(&format!("{}: {text}", self.paint("warning", AnsiColor::Yellow)));
    }

    /// `note: …`: something worth saying once, such as a fallback taken.
    pub fn note(&self, text: &str) {
        self.err(&format!("{}: {text}", self.paint("note", AnsiColor::Cyan)));
    }

    /// Something only `-v` shows: why a choice was made, the exact command.
    pub fn detail(&self, text: &str) {
        if self.options.verbose {
            self.err(&format!("  {text}"));
        }
    }

    /// A line for people as it is, such as one of a tool's own output.
    pub fn output(&self, line: &str) {
        self.err(line);
    }

    /// A bar on a terminal, nothing elsewhere: `done` of `of` are done, now comes `what`. It goes when all are
    /// done, or with the next result.
    pub fn progress(&self, done: usize, of: usize, what: &str) {
        if self.reader != Reader::Terminal {
            return;
        }
        if done >= of {
            self.end_progress();
            return;
        }
        let bar = Bar { done, of, what: what.lines().next().unwrap_or_default().to_owned() };
        let mut drawn = self.bar();
        write(&mut std::io::stderr(), &bar.draw());
        *drawn = Some(bar);
    }

    /// `word` in bold colour, where colours are on.
    pub fn paint(&self, word: &str, colour: AnsiColor) -> String {
        if !self.coloured {
            return word.to_owned();
        }
        let style = Style::new().bold().fg_color(Some(colour.into()));
        format!("{style}{word}{style:#}")
    }

    /// Opens a group of lines in a GitHub log; nothing elsewhere.
    pub(crate) fn group(&self, title: &str) {
        if self.reader == Reader::GitHub {
            self.err(&format!("::group::{}", escape_workflow(title)));
        }
    }

    /// Closes the group.
    pub(crate) fn end_group(&self) {
        if self.reader == Reader::GitHub {
            self.err("::endgroup::");
        }
    }

    /// A failure as an annotation in a GitHub log; nothing elsewhere.
    pub fn annotate(&self, title: &str, text: &str) {
        if self.reader == Reader::GitHub {
            let title = escape_workflow(title).replace(',', "%2C").replace(':', "%3A");
            self.err(&format!("::error title={title}::{}", escape_workflow(text)));
        }
    }

    /// The bar that is drawn.
    fn bar(&self) -> MutexGuard<'_, Option<Bar>> {
        self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn err(&self, line: &str) {
        let bar = self.bar();
        let text = match bar.as_ref() {
            // Above the bar, in one write: nothing else comes between.
            Some(bar) => format!("{CLEAR}{line}\n{}", bar.draw()),
            None => format!("{line}\n"),
        };
        write(&mut std::io::stderr(), &text);
    }

    /// Clears the bar: somebody else is about to print.
    pub(crate) fn end_progress(&self) {
        let mut bar = self.bar();
        if bar.take().is_some() {
            write(&mut std::io::stderr(), CLEAR);
        }
    }
}

impl Progress for Shell {
    fn output(&self, line: &str) {
        self.output(line);
    }

    fn note(&self, text: &str) {
        self.note(text);
    }

    fn detail(&self, text: &str) {
        self.detail(text);
    }

    fn units(&self, done: usize, of: Option<usize>, unit: &str) {
        // Without a plan cargo's own `Compiling` lines are the line per step.
        if let Some(of) = of {
            self.progress(done, of, &format!("units  {unit}"));
        }
    }
}

/// Milliseconds as people read them.
pub fn seconds(ms: u64) -> String {
    if ms >= 600_000 { format!("{} min", ms / 60_000) } else { format!("{:.1} s", ms as f64 / 1000.0) }
}

/// Bytes as people read them: `1.2 GiB`.
pub fn bytes(bytes: u64) -> String {
    // It fails for negative numbers only.
    bytes.file_size(file_size_opts::BINARY).unwrap_or_default()
}

/// `number` things, as in "1 unit" and "2 units".
pub fn count<N: Copy + Display + PartialEq + From<u8>>(number: N, thing: &str) -> String {
    let plural = if number == N::from(1) { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// Where the reader has closed the pipe, there is nobody left to tell.
fn write(to: &mut dyn Write, text: &str) {
    let _ = to.write_all(text.as_bytes());
}

/// GitHub's escapes for the data of a workflow command.
fn escape_workflow(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary_with_two_decimals_at_most() {
        let table = [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1 KiB"),
            (1_536, "1.50 KiB"),
            (1_048_575, "1024.00 KiB"),
            (3 << 20, "3 MiB"),
            (1_288_490_189, "1.20 GiB"),
            (u64::MAX, "16 EiB"),
        ];
        for (size, expected) in table {
            assert_eq!(bytes(size), expected, "{size}");
        }
    }
}
