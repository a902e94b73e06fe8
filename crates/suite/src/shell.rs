//! All output: results go to standard output, everything else for people to standard error, and with `--json` exactly
//! one document to standard output.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard};

use anstyle::{AnsiColor, Style};
use anyhow::{Context, Result};
use humansize::{FileSize as _, file_size_opts};
use serde::Serialize;
use xtask_workspace::{Environment, Progress};

use crate::cli::Globals;

const CLEAR: &str = "\r\u{1b}[K";

#[derive(Debug, PartialEq, Eq)]
enum Reader {
    Terminal,
    GitHubActions,
    Other,
}

/// Where output goes: results to standard output, everything else for people to standard error.
#[derive(Debug)]
pub struct Shell {
    /// Whether standard error is coloured.
    pub(crate) coloured: bool,
    json: bool,
    verbose: bool,
    /// What reads standard error.
    reader: Reader,
    bar: Mutex<Option<String>>,
    /// Why standard output could not be written.
    unwritten: Mutex<Option<std::io::Error>>,
}

impl Shell {
    pub(crate) fn new(globals: &Globals, environment: &Environment) -> Self {
        let terminal = std::io::stderr().is_terminal() && environment.get("TERM") != Some("dumb");
        let reader = match environment.get("GITHUB_ACTIONS") {
            Some("true") => Reader::GitHubActions,
            _ if terminal => Reader::Terminal,
            _ => Reader::Other,
        };
        Self {
            coloured: globals.colour.unwrap_or(terminal && environment.get("NO_COLOR").is_none()),
            json: globals.json,
            verbose: globals.verbose,
            reader,
            bar: Mutex::new(None),
            unwritten: Mutex::new(None),
        }
    }

    /// Whether to print one JSON document on standard output, and nothing else.
    pub fn json(&self) -> bool {
        self.json
    }

    /// Prints `value` as the one JSON document.
    pub fn document(&self, value: &impl Serialize) -> Result<()> {
        self.end_progress();
        let json = serde_json::to_string_pretty(value).context("failed to write JSON")?;
        self.print(&format!("{json}\n"));
        Ok(())
    }

    /// A line of the result: on standard output, or on standard error beside a JSON document.
    pub fn result(&self, line: &str) {
        self.end_progress();
        if self.json {
            self.output(line);
        } else {
            self.print(&format!("{line}\n"));
        }
    }

    /// Writes to standard output; what goes wrong is kept for [`written`](Self::written).
    pub(crate) fn print(&self, text: &str) {
        let mut out = std::io::stdout();
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            self.unwritten().get_or_insert(error);
        }
    }

    /// Fails if something could not be written to standard output. A reader that is gone wanted no more.
    pub(crate) fn written(&self) -> Result<()> {
        match self.unwritten().take() {
            Some(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(error).context("failed to write to standard output")
            }
            _ => Ok(()),
        }
    }

    fn unwritten(&self) -> MutexGuard<'_, Option<std::io::Error>> {
        self.unwritten.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// `error: …` with all its causes.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        self.end_progress();
        self.labelled("error", AnsiColor::Red, &format!("{error:#}"));
    }

    pub(crate) fn usage_error(&self, error: &clap::Error) {
        let text = error.to_string();
        match text.trim_end().strip_prefix("error: ") {
            Some(rest) => self.labelled("error", AnsiColor::Red, rest),
            None => self.output(text.trim_end()),
        }
    }

    /// `warning: …`
    pub fn warning(&self, text: &str) {
        self.labelled("warning", AnsiColor::Yellow, text);
    }

    /// `note: …`: something worth saying once, such as a fallback.
    pub fn note(&self, text: &str) {
        self.labelled("note", AnsiColor::Cyan, text);
    }

    fn labelled(&self, label: &str, colour: AnsiColor, text: &str) {
        self.output(&format!("{}: {text}", self.paint(label, colour)));
    }

    /// A line that only `-v` shows: why a choice was made, the exact command.
    pub fn detail(&self, text: &str) {
        if self.verbose {
            self.output(&format!("  {text}"));
        }
    }

    /// A line for people, such as one of a tool's own output.
    pub fn output(&self, line: &str) {
        let text = match &*self.bar() {
            // Above the bar, in one write: nothing else comes between.
            Some(bar) => format!("{CLEAR}{line}\n{bar}"),
            None => format!("{line}\n"),
        };
        write(&mut std::io::stderr(), &text);
    }

    /// Draws a progress bar on a terminal: `done` of `of` steps are done, and `what` is next. It disappears with the last
    /// step or the next result.
    pub fn progress(&self, done: usize, of: usize, what: &str) {
        if done >= of {
            self.end_progress();
        } else if self.reader == Reader::Terminal {
            let bar = bar(done, of, what);
            let mut drawn = self.bar();
            write(&mut std::io::stderr(), &bar);
            *drawn = Some(bar);
        }
    }

    /// `word` in bold and in `colour`, if output is coloured.
    pub fn paint(&self, word: &str, colour: AnsiColor) -> String {
        if !self.coloured {
            return word.to_owned();
        }
        let style = Style::new().bold().fg_color(Some(colour.into()));
        format!("{style}{word}{style:#}")
    }

    /// Runs `work`, with its output as a group in a GitHub log.
    pub(crate) fn grouped<T>(&self, title: &str, work: impl FnOnce() -> T) -> T {
        if self.reader != Reader::GitHubActions {
            return work();
        }
        self.output(&format!("::group::{}", escape_workflow(title)));
        let done = work();
        self.output("::endgroup::");
        done
    }

    /// Shows a failure as an annotation in a GitHub log; elsewhere nothing.
    pub fn annotate(&self, title: &str, text: &str) {
        if self.reader == Reader::GitHubActions {
            let title = escape_workflow(title).replace(',', "%2C").replace(':', "%3A");
            self.output(&format!("::error title={title}::{}", escape_workflow(text)));
        }
    }

    fn bar(&self) -> MutexGuard<'_, Option<String>> {
        self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn end_progress(&self) {
        if self.bar().take().is_some() {
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
        // Without a plan, cargo's own `Compiling` lines show the progress.
        if let Some(of) = of {
            self.progress(done, of, &format!("units  {unit}"));
        }
    }
}

/// A progress bar over what is in its line now. It takes one line however narrow the terminal is: line wrapping is off
/// while it is drawn.
fn bar(done: usize, of: usize, what: &str) -> String {
    const COLUMNS: usize = 30;
    let filled = COLUMNS * done.min(of) / of.max(1);
    let (filled, rest) = ("█".repeat(filled), "░".repeat(COLUMNS - filled));
    let what = what.lines().next().unwrap_or_default();
    // The rest of the line is cleared last, so that nothing flickers.
    format!("\r\u{1b}[?7l  {filled}{rest} {done}/{of} {what}\u{1b}[K\u{1b}[?7h")
}

/// Milliseconds for people: `1.2 s`, `12 min`.
pub fn seconds(ms: u64) -> String {
    if ms >= 600_000 { format!("{} min", ms / 60_000) } else { format!("{:.1} s", ms as f64 / 1000.0) }
}

/// "5 min ago" for milliseconds since 1970.
pub(crate) fn ago(time_ms: u64, now_ms: u64) -> String {
    match now_ms.saturating_sub(time_ms) / 60_000 {
        0 => "just now".to_owned(),
        minutes @ 1..120 => format!("{minutes} min ago"),
        minutes if minutes < 48 * 60 => format!("{} h ago", minutes / 60),
        minutes => format!("{} days ago", minutes / (24 * 60)),
    }
}

/// Bytes for people: `1.2 GiB`.
pub fn bytes(bytes: u64) -> String {
    // It fails for negative numbers only.
    bytes.file_size(file_size_opts::BINARY).unwrap_or_default()
}

/// "1 unit", "2 units".
pub fn count<N: Copy + Display + PartialEq + From<u8>>(number: N, thing: &str) -> String {
    let plural = if number == N::from(1) { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

fn write(to: &mut dyn Write, text: &str) {
    // Nowhere else could that be said.
    let _ = to.write_all(text.as_bytes());
}

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

    #[test]
    fn the_bar_grows_from_empty_to_full() {
        // done, of, filled columns
        for (done, of, filled) in
            [(0, 40, 0), (1, 40, 0), (20, 40, 15), (39, 40, 29), (40, 40, 30), (0, 0, 0)]
        {
            let drawn = bar(done, of, "serde");
            assert_eq!(drawn.matches('█').count(), filled, "{drawn:?}");
            assert_eq!(drawn.matches(['█', '░']).count(), 30, "{drawn:?}");
            assert!(drawn.contains(&format!(" {done}/{of} serde")), "{drawn:?}");
        }
    }

    #[test]
    fn it_is_drawn_in_one_line_and_wrapping_is_on_again_after_it() {
        let drawn = bar(1, 2, &"x".repeat(500));
        assert!(drawn.starts_with("\r\u{1b}[?7l") && drawn.ends_with("\u{1b}[?7h"), "{drawn:?}");
        assert!(!drawn.contains('\n'));
    }

    #[test]
    fn ages_have_one_unit() {
        const MINUTE: u64 = 60_000;
        let table = [
            (0, "just now"),
            (MINUTE - 1, "just now"),
            (MINUTE, "1 min ago"),
            (119 * MINUTE, "119 min ago"),
            (120 * MINUTE, "2 h ago"),
            (47 * 60 * MINUTE, "47 h ago"),
            (48 * 60 * MINUTE, "2 days ago"),
        ];
        let now = 1000 * 60 * MINUTE;
        for (age, expected) in table {
            assert_eq!(ago(now - age, now), expected, "{age}");
        }
        assert_eq!(ago(now + MINUTE, now), "just now", "another machine's clock");
    }
}
