//! The two kinds of failure that callers tell apart, because they have exit codes of their own.

use std::fmt;

/// The user asked for something that does not exist or contradicts itself (exit code 2).
#[derive(Debug)]
pub struct WrongUsage(pub String);

/// The machine lacks something that is required (exit code 3).
#[derive(Debug)]
pub struct EnvironmentLacks(pub String);

impl fmt::Display for WrongUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for EnvironmentLacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongUsage {}
impl std::error::Error for EnvironmentLacks {}
