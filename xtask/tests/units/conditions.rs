//! Which variables a build depends on, and which `cargo run` added.

use std::path::Path;

use crate::environment::Environment;
use crate::place::Place;
use crate::program::Program;

#[test]
fn each_variable_counts_for_the_build_or_comes_from_cargo_run_or_is_left_alone() {
    // name, part of the conditions, removed for cargo
    let table = [
        ("RUSTFLAGS", true, false),
        ("CARGO_ENCODED_RUSTFLAGS", true, false),
        ("RUSTC", true, false),
        ("RUSTC_WRAPPER", true, false),
        ("RUSTC_WORKSPACE_WRAPPER", true, false),
        ("RUSTUP_TOOLCHAIN", true, false),
        ("CARGO_INCREMENTAL", true, false),
        ("CARGO_BUILD_RUSTFLAGS", true, false),
        ("CARGO_PROFILE_XTASK_DEBUG", true, false),
        ("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER", true, false),
        ("CARGO_TARGET_DIR", false, false),
        ("CARGO_TERM_COLOR", false, false),
        ("CARGO_REGISTRY_TOKEN", false, false),
        ("RUST_BACKTRACE", false, false),
        ("PATH", false, false),
        ("CARGO_MANIFEST_DIR", false, true),
        ("CARGO_MANIFEST_PATH", false, true),
        ("CARGO_PKG_NAME", false, true),
        ("CARGO_BIN_NAME", false, true),
        ("CARGO_CRATE_NAME", false, true),
        ("CARGO_PRIMARY_PACKAGE", false, true),
        ("RUST_RECURSION_COUNT", false, true),
    ];
    let place =
        Place::find(Path::new("/c/xtask"), Path::new("/c/target/xtask/xtask"), Program::Daily).unwrap();
    for (name, counts, removed) in table {
        let conditions = |value: &str| Environment::of(vec![(name.into(), value.into())]).conditions(&place);
        assert_eq!(conditions("1") != conditions("2"), counts, "{name}");
        let environment = Environment::of(vec![(name.into(), "1".into())]);
        assert_eq!(environment.added_by_cargo_run().count() == 1, removed, "{name}");
    }
}
