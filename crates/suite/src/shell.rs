//! All output goes through here: results to standard output, everything else for people to standard error,
//! and with `--json` exactly one document to standard output.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;

use anstyle::{AnsiColor, Style};
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use xtask_workspace::{Environment, Progress};

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

/// Where output goes.
pub(crate) struct Shell {
    /// Whether standard error is coloured.
    pub coloured: bool,
    options: OutputOptions,
    reader: Reader,
    bar: Mutex<Option<ProgressBar>>,
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

    /// Whether one JSON document is wanted.
    pub(crate) fn json(&self) -> bool {
        self.options.json
    }

    /// Prints `value` as the one JSON document.
    pub(crate) fn document(&self, value: &impl Serialize) -> Result<()> {
        self.end_progress();
        let json = serde_json::to_string_pretty(value).context("failed to write JSON")?;
        write_line(&mut std::io::stdout(), &json);
        Ok(())
    }

    /// A line of the result: to standard output, or to standard error beside a JSON document.
    pub(crate) fn result(&self, line: &str) {
        self.end_progress();
        if self.options.json {
            self.err(line);
        } else {
            write_line(&mut std::io::stdout(), line);
        }
    }

    /// `error: …` with all its causes.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        self.end_progress();
        self.err(&format!("{}: {error:#}", self.paint("error", AnsiColor::Red)));
    }

    /// `warning: …`
    pub(crate) fn warning(&self, text: &str) {
        self.err(&format!("{}: {text}", self.paint("warning", AnsiColor::Yellow)));
    }

    /// `word` in bold colour, where colours are on.
    pub(crate) fn paint(&self, word: &str, colour: AnsiColor) -> String {
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
    pub(crate) fn annotate(&self, title: &str, text: &str) {
        if self.reader == Reader::GitHub {
            let title = escape_workflow(title).replace(',', "%2C").replace(':', "%3A");
            self.err(&format!("::error title={title}::{}", escape_workflow(text)));
        }
    }

    fn err(&self, line: &str) {
        let bar = self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let write = || write_line(&mut std::io::stderr(), line);
        match bar.as_ref() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn end_progress(&self) {
        let mut bar = self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(bar) = bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Shell {
    fn output(&self, line: &str) {
        self.err(line);
    }

    fn note(&self, text: &str) {
        self.err(&format!("{}: {text}", self.paint("note", AnsiColor::Cyan)));
    }

    fn detail(&self, text: &str) {
        if self.options.verbose {
            self.err(&format!("  {text}"));
        }
    }

    fn units(&self, done: usize, of: Option<usize>, unit: &str) {
        // Elsewhere cargo's own `Compiling` lines are the line per step.
        let Some(of) = of.filter(|_| self.reader == Reader::Terminal) else { return };
        let mut bar = self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if done >= of {
            if let Some(bar) = bar.take() {
                bar.finish_and_clear();
            }
            return;
        }
        let bar = bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("  {bar:30} {pos}/{len} units  {msg}");
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        bar.set_length(of as u64);
        bar.set_position(done as u64);
        bar.set_message(unit.to_owned());
    }
}

/// Somebody closed the pipe: there is nobody left to tell.
fn write_line(to: &mut dyn Write, line: &str) {
    let _ = writeln!(to, "{line}");
}

/// GitHub's escapes for the data of a workflow command.
fn escape_workflow(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}
