//! The exit codes, and which failure has which.

use std::process::ExitCode;

use xtask_workspace::{EnvironmentLacks, WrongUsage};

/// How a command ended. The numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: the task itself failed: a test, a lint, a blown budget that is set to fail.
    Failed,
    /// 2: wrong usage or configuration.
    Usage,
    /// 3: the environment lacks something that is required.
    Environment,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Environment => 3,
        }
    }

    /// Done or failed.
    pub const fn from_success(success: bool) -> Self {
        if success { Self::Done } else { Self::Failed }
    }

    /// The code of an error: its kind may be anywhere in the chain of contexts.
    pub fn of_error(error: &anyhow::Error) -> Self {
        if error.chain().any(<dyn std::error::Error>::is::<WrongUsage>) {
            Self::Usage
        } else if error.chain().any(<dyn std::error::Error>::is::<EnvironmentLacks>) {
            Self::Environment
        } else {
            Self::Failed
        }
    }
}

/// How a command ended, and the signal that ended it, if one did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The exit code.
    pub exit: Exit,
    /// The signal. The process then ends by the same signal, so that the shell sees the interruption.
    pub signal: Option<i32>,
}

impl Ended {
    /// By `exit`, or by `signal` where there was one.
    pub const fn new(exit: Exit, signal: Option<i32>) -> Self {
        Self { exit, signal }
    }
}

impl From<Exit> for Ended {
    fn from(exit: Exit) -> Self {
        Self::new(exit, None)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn the_kind_is_found_below_any_context() {
        let wrap = |error: anyhow::Error| Err::<(), _>(error).context("one").context("two").unwrap_err();
        assert_eq!(Exit::of_error(&wrap(WrongUsage("x".into()).into())), Exit::Usage);
        assert_eq!(Exit::of_error(&wrap(EnvironmentLacks("x".into()).into())), Exit::Environment);
        assert_eq!(Exit::of_error(&wrap(anyhow::anyhow!("x"))), Exit::Failed);
    }
}
