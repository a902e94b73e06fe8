//! Which of the suite's two programs a call is for.

use std::ffi::OsString;

/// A program of the suite. Each is built when it is first asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// What people run all day, with a project's own tasks.
    Daily,
    /// The commands that people need now and then.
    Workshop,
}

/// The workshop's commands. No tier and no task has such a name: the daily program sees to that.
pub(crate) const WORKSHOP: [&str; 6] = ["setup", "doctor", "clean-stale", "disk", "adopt", "version"];

impl Program {
    /// The program that has the subcommand in `args`, which come without the launcher's own name. The help of all
    /// commands is in the daily one.
    pub(crate) fn of(args: &[OsString]) -> Self {
        let mut words = args.iter().map(|word| word.to_str().unwrap_or_default());
        while let Some(word) = words.next() {
            match word {
                // The global flags that take a value.
                "-C" | "--color" => drop(words.next()),
                _ if word.starts_with('-') => {}
                _ if WORKSHOP.contains(&word) => return Self::Workshop,
                _ => return Self::Daily,
            }
        }
        Self::Daily
    }

    /// The name of its binary.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Daily => "xtask-suite",
            Self::Workshop => "xtask-workshop",
        }
    }

    /// What people are told that is built.
    pub(crate) fn described(self) -> &'static str {
        match self {
            Self::Daily => "the suite",
            Self::Workshop => "the suite's second program, which has this command",
        }
    }
}
