//! Tests of the launcher's modules. They are here and not within the modules: the sources are copied into other
//! workspaces, where `cargo test --all-targets` runs what is `#[cfg(test)]`, even with `test = false`.

#[path = "../../src/build.rs"]
mod build;
#[path = "../../src/environment.rs"]
mod environment;
#[path = "../../src/inputs.rs"]
mod inputs;
#[path = "../../src/launch.rs"]
mod launch;
#[path = "../../src/place.rs"]
mod place;
#[path = "../../src/stamp.rs"]
mod stamp;
#[path = "../../src/store.rs"]
mod store;

mod cargo_output;
mod conditions;
mod dep_info;
mod programs;
mod stamps;

/// What `main` calls, so that rustc reports only code that nothing uses.
const _: fn() -> std::process::ExitCode = launch::run;
