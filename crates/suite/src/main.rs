//! The suite's binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    xtask_suite::main()
}
