//! How the crates below `suite` tell people what goes on, without printing.

/// Receives what happens while a plan is executed. `suite` renders it; tests collect it.
pub trait Progress: Sync {
    /// A line of a tool's own output, colours included, to be shown as it is.
    fn output(&self, line: &str);

    /// Something worth saying once: a fallback taken, a file that selects everything.
    fn note(&self, text: &str);

    /// Something only `-v` shows: why a choice was made, the exact command.
    fn detail(&self, text: &str);

    /// So many units are done (of so many, where a plan told), the last one being `unit`.
    fn units(&self, done: usize, of: Option<usize>, unit: &str);
}

/// Says nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn output(&self, _line: &str) {}
    fn note(&self, _text: &str) {}
    fn detail(&self, _text: &str) {}
    fn units(&self, _done: usize, _of: Option<usize>, _unit: &str) {}
}
