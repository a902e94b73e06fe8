//! The workshop's binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    xtask_workshop::main()
}
