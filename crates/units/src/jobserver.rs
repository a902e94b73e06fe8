//! The jobserver that a plan's cargo gets, so that it starts compilers without copying its own memory map.
//!
//! With a jobserver of its own, cargo has to prepare each child between fork and exec, so the standard library really
//! forks. Cargo takes 250 MB and more on 1,100 units, and copying the page tables of that for each unit is most of a
//! plan's time. For a client of a `fifo:` jobserver there is nothing to prepare (`Client::configure` of the crate
//! `jobserver`), and children start by `vfork`. Measured on 1,125 units of a public workspace: 14.8 s and 2.8 s.
//!
//! Invariant: there is always progress. Cargo runs one job without a token, fake compilers take none, and each run of
//! cargo gets a jobserver of its own; so tokens that are lost only make one plan slower.

use std::process::Command;

/// Cargo reads this before `MAKEFLAGS`: a `make` around us has no say in a plan, which compiles nothing.
pub(crate) const VARIABLE: &str = "CARGO_MAKEFLAGS";

/// Gives `cargo` a jobserver, which lasts as long as what is returned. `None` where there cannot be one: cargo then has
/// its own.
#[cfg(target_os = "linux")]
pub(crate) fn give_to(cargo: &mut Command) -> Option<(std::io::PipeReader, std::io::PipeWriter)> {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    let (reader, mut writer) = std::io::pipe().ok()?;
    // A token for each core beside the job without one: a fake compiler waits more than it computes.
    writer.write_all(&vec![b'+'; crate::cores()]).ok()?;
    // Opening this opens the pipe, as if it had a name; but when we are killed nothing of it is left.
    let path = format!("/proc/{}/fd/{}", std::process::id(), reader.as_raw_fd());
    // A `/proc` of another container would lead to somebody else's file.
    let (ours, there) = (rustix::fs::fstat(&reader).ok()?, rustix::fs::stat(&path).ok()?);
    if (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino) {
        return None;
    }
    cargo.env(VARIABLE, format!("-j --jobserver-auth=fifo:{path}"));
    Some((reader, writer))
}

/// Gives `cargo` nothing: it has its own jobserver.
#[cfg(not(target_os = "linux"))]
pub(crate) fn give_to(_cargo: &mut Command) -> Option<()> {
    None
}
