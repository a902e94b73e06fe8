//! The shadow plan: the units it names, and how it is made and kept.

#![expect(clippy::unwrap_used, reason = "a test's helper fails the test by panicking")]

mod planning;
mod real_build;

use xtask_testkit::Fixture;
use xtask_workspace::{Environment, Workspace};

const FAKE: &str = env!("CARGO_BIN_EXE_xtask-suite");

/// Every kind of target and crate type, features, a build script, a proc macro.
fn kitchen_sink() -> Fixture {
    Fixture::new(
        "shadow",
        &[
            (
                "Cargo.toml",
                "[workspace]\nresolver = \"3\"\nmembers = [\"app\", \"lib\", \"mac\", \"dyl\", \"shared\"]\n[profile.fast]\ninherits = \"release\"\nopt-level = 1\n",
            ),
            (
                "app/Cargo.toml",
                "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[features]\nextra = [\"my-lib/x\"]\n[dependencies]\nmy-lib = { path = \"../lib\" }\nmac = { path = \"../mac\" }\n[build-dependencies]\nmy-lib = { path = \"../lib\" }\n",
            ),
            ("app/src/main.rs", "fn main() { println!(\"{}\", my_lib::f()); }"),
            ("app/src/bin/second.rs", "fn main() {}"),
            (
                "app/build.rs",
                "fn main() { println!(\"cargo:rerun-if-changed=build.rs\"); println!(\"cargo:rustc-cfg=made\"); println!(\"cargo:rustc-check-cfg=cfg(made)\"); }",
            ),
            ("app/tests/it.rs", "#[test] fn t() {}"),
            ("app/examples/ex.rs", "fn main() {}"),
            ("app/benches/be.rs", "fn main() {}"),
            (
                "lib/Cargo.toml",
                "[package]\nname = \"my-lib\"\nversion = \"0.2.0\"\nedition = \"2024\"\n[features]\nx = []\n",
            ),
            (
                "lib/src/lib.rs",
                "/// ```\n/// assert_eq!(my_lib::f(), 1);\n/// ```\npub fn f() -> u32 { 1 }\n#[test] fn unit() {}",
            ),
            ("lib/build.rs", "fn main() { println!(\"cargo:rerun-if-changed=build.rs\"); }"),
            (
                "mac/Cargo.toml",
                "[package]\nname = \"mac\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\nproc-macro = true\n",
            ),
            (
                "mac/src/lib.rs",
                "#[proc_macro] pub fn m(i: proc_macro::TokenStream) -> proc_macro::TokenStream { i }",
            ),
            (
                "dyl/Cargo.toml",
                "[package]\nname = \"dyl\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"cdylib\", \"staticlib\", \"rlib\"]\n",
            ),
            ("dyl/src/lib.rs", "pub fn d() {}"),
            (
                "shared/Cargo.toml",
                "[package]\nname = \"shared\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"dylib\"]\n",
            ),
            ("shared/src/lib.rs", "pub fn s() {}"),
        ],
    )
}

fn workspace(fixture: &Fixture, variables: &[(&str, &str)]) -> Workspace {
    let mut environment = Environment::current().without_cargo_run(&xtask_workspace::Launch::default());
    for name in ["CARGO_TARGET_DIR", "RUSTFLAGS", "CARGO_INCREMENTAL", "CI"] {
        environment.remove(name);
    }
    for (name, value) in variables {
        environment.set(name, *value);
    }
    Workspace::load(fixture.root(), environment).unwrap()
}
