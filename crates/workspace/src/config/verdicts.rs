//! `[verdicts]` and `[test-inputs.NAME]`: which passes are remembered, and what they depend on.

use super::kind::Kind;
use super::section::section;

section! {
    /// What a remembered pass depends on: docs/verdicts.md.
    "[verdicts]" Verdicts {}

    /// Glob patterns of files that tests of every package read while they run, relative to the workspace root. Ignored
    /// files count too. Files in the target dir do if the pattern begins with its name.
    #[key("inputs", Kind::List(&Kind::Glob), default = "[]", example = r#"["testdata/**", ".env"]"#)]
    inputs: Vec<String>,

    /// Variables whose value cannot change the result of a test, besides those that the suite knows; `NAME*` for all that
    /// begin so.
    #[key("ignore-env", Kind::List(&Kind::Text), default = "[]", example = r#"["BUILD_NUMBER", "AGENT_*"]"#)]
    ignore_env: Vec<String>,

    /// Variables that count although the suite or `ignore-env` would ignore them.
    #[key("watch-env", Kind::List(&Kind::Text), default = "[]", example = r#"["TERM"]"#)]
    watch_env: Vec<String>,

    /// The share of remembered programs that are run all the same, to find out whether they still pass.
    #[key("audit", Kind::Percent, default = r#""2%""#, example = r#""0%""#)]
    // Percent.
    audit: u32 = 2,
}

section! {
    /// What the tests of one package read while they run; `cargo xtask test-inputs` finds out and writes it.
    "[test-inputs.NAME]" TestInputs {
        /// The package.
        name: String;
    }

    /// Glob patterns of the files outside of the package's folder that its tests read, relative to the workspace root. Then
    /// no other file of the repository counts.
    #[key("files", Kind::List(&Kind::Glob), otherwise = "every file that is no Rust source", example = r#"["data/**"]"#)]
    files: Option<Vec<String>>,

    /// Whether the tests use the network. Then a pass is not remembered.
    #[key("network", Kind::Bool, default = "false", example = "true")]
    network: bool,

    /// Whether passes are remembered. With `true` also where the tests use the network.
    #[key("remember", Kind::Bool, otherwise = "on without `network`", example = "false")]
    remember: Option<bool>,
}

impl TestInputs {
    pub fn remembers(&self) -> bool {
        self.remember.unwrap_or(!self.network)
    }
}
