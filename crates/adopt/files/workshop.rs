//! The suite's second program.

use std::process::ExitCode;

fn main() -> ExitCode {
    xtask_workshop::main()
}
