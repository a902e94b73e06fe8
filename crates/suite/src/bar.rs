//! A progress bar in the last line of a terminal.
//!
//! Invariant: it takes one line, however long its text is and however narrow the terminal becomes, because the
//! terminal itself cuts it off: line wrapping is off while it is drawn.

/// Columns of the bar itself.
const COLUMNS: usize = 30;

/// Returns to the start of the line and clears it.
pub(crate) const CLEAR: &str = "\r\u{1b}[K";

/// How far something is.
#[derive(Debug)]
pub(crate) struct Bar {
    /// Steps that are done.
    pub(crate) done: usize,
    /// All steps; more than `done`.
    pub(crate) of: usize,
    /// What is being done now.
    pub(crate) what: String,
}

impl Bar {
    /// The text that draws it over what is in its line now.
    pub(crate) fn draw(&self) -> String {
        let filled = COLUMNS * self.done.min(self.of) / self.of.max(1);
        let (filled, rest) = ("█".repeat(filled), "░".repeat(COLUMNS - filled));
        let Self { done, of, what } = self;
        // The rest of the line is cleared last, so that nothing flickers.
        format!("\r\u{1b}[?7l  {filled}{rest} {done}/{of} {what}\u{1b}[K\u{1b}[?7h")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_grows_from_empty_to_full() {
        // done, of, filled columns
        for (done, of, filled) in
            [(0, 40, 0), (1, 40, 0), (20, 40, 15), (39, 40, 29), (40, 40, 30), (0, 0, 0)]
        {
            let drawn = Bar { done, of, what: "serde".to_owned() }.draw();
            assert_eq!(drawn.matches('█').count(), filled, "{drawn:?}");
            assert_eq!(drawn.matches(['█', '░']).count(), COLUMNS, "{drawn:?}");
            assert!(drawn.contains(&format!(" {done}/{of} serde")), "{drawn:?}");
        }
    }

    #[test]
    fn it_is_drawn_in_one_line_and_wrapping_is_on_again_after_it() {
        let drawn = Bar { done: 1, of: 2, what: "x".repeat(500) }.draw();
        assert!(drawn.starts_with("\r\u{1b}[?7l") && drawn.ends_with("\u{1b}[?7h"), "{drawn:?}");
        assert!(!drawn.contains('\n'));
    }
}
