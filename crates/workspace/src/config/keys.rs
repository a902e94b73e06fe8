//! Every key of `xtask.toml`: the one source of truth.
//!
//! The parser's type checks, the JSON schema and the user's reference are all derived from [`all`]; a key
//! that is not here does not exist.

mod setup;

use super::types::{OnOverBudget, OtherToolchains, Place, RunnerChoice, Target, TierCommand};

/// A kind of table in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Tiers,
    Presets,
    Affected,
    Sweep,
    Setup,
    Tools,
}

impl Section {
    pub(super) const ALL: [Self; 6] =
        [Self::Tiers, Self::Presets, Self::Affected, Self::Sweep, Self::Setup, Self::Tools];

    /// The key at the top of the file.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Tiers => "tiers",
            Self::Presets => "presets",
            Self::Affected => "affected",
            Self::Sweep => "sweep",
            Self::Setup => "setup",
            Self::Tools => "tools",
        }
    }

    /// Whether it holds a table per name rather than keys.
    pub(super) const fn is_named(self) -> bool {
        matches!(self, Self::Tiers | Self::Presets | Self::Tools)
    }

    /// The header as the reference and hints write it.
    pub(super) fn header(self) -> String {
        let name = if self.is_named() { ".NAME" } else { "" };
        format!("[{}{name}]", self.name())
    }

    pub(super) const fn doc(self) -> &'static str {
        match self {
            Self::Tiers => {
                "A tier is a cargo command with its packages, features and budget; `cargo xtask NAME` runs it. \
                 A table with the name of a default tier overrides that tier key by key."
            }
            Self::Presets => {
                "A preset is a feature selection that tiers refer to by name. \
                 A table with the name of a built-in preset replaces it."
            }
            Self::Affected => "How the packages that a change affects are found.",
            Self::Sweep => {
                "What `cargo xtask clean-stale` keeps. An age is a duration, or `0`. What a tier of daily work needs \
                 is always kept, and so is what `cargo build` and `cargo check` of the workspace need."
            }
            Self::Setup => "What `cargo xtask setup` decides by.",
            Self::Tools => {
                "A tool that `cargo xtask setup` installs and proves. A table with the name of a tool of the built-in \
                 catalog (docs/setup.md) overrides that one key by key."
            }
        }
    }

    pub(super) fn keys(self) -> impl Iterator<Item = &'static Key> {
        all().filter(move |key| key.section == self)
    }
}

/// What the strings of a list are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Items {
    /// Any strings, no string twice.
    Distinct,
    /// Command-line arguments: a string may come again.
    Arguments,
    /// Glob patterns, no pattern twice.
    Globs,
    /// Cargo commands as they are typed, none twice.
    Commands,
    /// Some of these words, no word twice.
    OneOf(&'static [&'static str]),
}

/// The package managers that are known, in the order in which they are looked for.
pub(super) const MANAGERS: &[&str] = &["apt", "dnf", "pacman", "zypper", "apk", "brew", "winget"];

/// What a key's value is. Strings are neither empty nor hold control characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    Bool,
    /// An integer that fits `u32`.
    Integer,
    /// A string that [`super::duration`] reads, or a positive integer of seconds.
    Duration,
    /// As a duration, or 0, or one of these words.
    Age(&'static [&'static str]),
    /// A number of bytes with its unit, as [`super::bytes`] reads it.
    Bytes,
    List(Items),
    /// A table of strings, each of which may be empty: environment variables.
    Variables,
    /// A table of strings under these keys.
    Table(&'static [&'static str]),
    /// A version requirement as cargo has it.
    Requirement,
    /// A list of tables, each of which is a release archive.
    Archives,
    /// One of these words, or a list that is not empty.
    ChoiceOrList(&'static [&'static str], Items),
}

/// One key of one section.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) section: Section,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What holds without the key, in words.
    pub(super) default: &'static str,
    /// One or two sentences for the reference and for editors.
    pub(super) doc: &'static str,
    /// A value as TOML.
    pub(super) example: &'static str,
}

/// Every key, section by section, in the order of the reference.
pub(super) fn all() -> impl Iterator<Item = &'static Key> {
    KEYS.iter().chain(setup::KEYS)
}

/// The keys of what a workspace builds and keeps.
const KEYS: &[Key] = &[
    Key {
        section: Section::Tiers,
        name: "command",
        kind: Kind::Choice(TierCommand::NAMES),
        default: "none: required in a tier of your own",
        doc: "The cargo command. A default tier that gets another command drops the `targets`, `doctests` \
              and `args` it had for the old one.",
        example: r#""check""#,
    },
    Key {
        section: Section::Tiers,
        name: "about",
        kind: Kind::Text,
        default: "a line that says what the settings do",
        doc: "The line in `cargo xtask --help`.",
        example: r#""Check what I touched""#,
    },
    Key {
        section: Section::Tiers,
        name: "packages",
        kind: Kind::ChoiceOrList(&["affected", "workspace", "default"], Items::Distinct),
        default: r#"`"workspace"`"#,
        doc: "The packages: those that the change under work can break, all members, the default members, \
              or a list of names.",
        example: r#"["core", "cli"]"#,
    },
    Key {
        section: Section::Tiers,
        name: "exclude",
        kind: Kind::List(Items::Distinct),
        default: "`[]`",
        doc: "Members that are left out of `packages`. It cannot stand beside a list of packages.",
        example: r#"["cli"]"#,
    },
    Key {
        section: Section::Tiers,
        name: "preset",
        kind: Kind::Text,
        default: "default features",
        doc: "The feature preset, built-in or from this file.",
        example: r#""full""#,
    },
    Key {
        section: Section::Tiers,
        name: "profile",
        kind: Kind::Text,
        default: "the command's own profile",
        doc: "The cargo profile, such as `release` or one from `Cargo.toml`.",
        example: r#""release""#,
    },
    Key {
        section: Section::Tiers,
        name: "targets",
        kind: Kind::ChoiceOrList(&["default", "all"], Items::OneOf(Target::NAMES)),
        default: r#"`"default"`"#,
        doc: "The cargo targets: what cargo selects by itself, all, or a list. `cargo doc` knows only \
              `lib`, `bins` and `examples`.",
        example: r#"["lib", "tests"]"#,
    },
    Key {
        section: Section::Tiers,
        name: "doctests",
        kind: Kind::Bool,
        default: "`false`",
        doc: "Whether documentation tests run too. Only for the command `test`.",
        example: "true",
    },
    Key {
        section: Section::Tiers,
        name: "runner",
        kind: Kind::Choice(RunnerChoice::NAMES),
        default: r#"`"auto"`"#,
        doc: "What runs the tests; `auto` is cargo-nextest where it is installed, else `cargo test`. Only \
              for the command `test`.",
        example: r#""nextest""#,
    },
    Key {
        section: Section::Tiers,
        name: "nextest-profile",
        kind: Kind::Text,
        default: "nextest's default profile",
        doc: "The profile from `.config/nextest.toml`. Only for the command `test`, and not with the \
              runner `cargo`.",
        example: r#""ci""#,
    },
    Key {
        section: Section::Tiers,
        name: "retries",
        kind: Kind::Integer,
        default: "what nextest's configuration says",
        doc: "How often nextest runs a failed test again. Only for the command `test`, and not with the \
              runner `cargo`.",
        example: "2",
    },
    Key {
        section: Section::Tiers,
        name: "budget",
        kind: Kind::Duration,
        default: "no limit",
        doc: "The longest a run may take: numbers with `ms`, `s`, `min` or `h`, or an integer of seconds.",
        example: r#""1min 30s""#,
    },
    Key {
        section: Section::Tiers,
        name: "on-over-budget",
        kind: Kind::Choice(OnOverBudget::NAMES),
        default: r#"`"warn"`"#,
        doc: "What a run that takes longer than its `budget` means.",
        example: r#""fail""#,
    },
    Key {
        section: Section::Tiers,
        name: "env",
        kind: Kind::Variables,
        default: "`{}`",
        doc: "Environment variables for cargo and what it runs.",
        example: r#"{ RUST_BACKTRACE = "1" }"#,
    },
    Key {
        section: Section::Tiers,
        name: "args",
        kind: Kind::List(Items::Arguments),
        default: "`[]`",
        doc: "Further arguments, put at the end of cargo's command line.",
        example: r#"["--locked"]"#,
    },
    Key {
        section: Section::Tiers,
        name: "tools",
        kind: Kind::List(Items::Distinct),
        default: "`[]`",
        doc: "The tools that the tier needs, by their names in the catalog (docs/setup.md) or in `[tools]`.",
        example: r#"["mold"]"#,
    },
    Key {
        section: Section::Tiers,
        name: "where",
        kind: Kind::Choice(Place::NAMES),
        default: r#"`"anywhere"`"#,
        doc: "Where the tier is meant to run; `ci` marks one that is too slow for daily work.",
        example: r#""ci""#,
    },
    Key {
        section: Section::Presets,
        name: "features",
        kind: Kind::List(Items::Distinct),
        default: "`[]`",
        doc: "The features to turn on: `feature` for every member that has it, or `member/feature`.",
        example: r#"["core/serde", "cli"]"#,
    },
    Key {
        section: Section::Presets,
        name: "default-features",
        kind: Kind::Bool,
        default: "`true`",
        doc: "Whether default features are on.",
        example: "false",
    },
    Key {
        section: Section::Presets,
        name: "all-features",
        kind: Kind::Bool,
        default: "`false`",
        doc: "Whether all features are on. It leaves nothing for `features` and `default-features = false` \
              to say.",
        example: "true",
    },
    Key {
        section: Section::Affected,
        name: "base",
        kind: Kind::Text,
        default: "found from the repository",
        doc: "The git revision that changes are counted from.",
        example: r#""origin/main""#,
    },
    Key {
        section: Section::Affected,
        name: "ignore",
        kind: Kind::List(Items::Globs),
        default: "`[]`",
        doc: "Glob patterns of files whose change affects no package, relative to the workspace root.",
        example: r#"["docs/**", "**/*.md"]"#,
    },
    Key {
        section: Section::Affected,
        name: "global",
        kind: Kind::List(Items::Globs),
        default: "`[]`",
        doc: "Glob patterns of files whose change affects every package, relative to the workspace root.",
        example: r#"["rust-toolchain.toml"]"#,
    },
    Key {
        section: Section::Sweep,
        name: "keep",
        kind: Kind::List(Items::Commands),
        default: "`[]`",
        doc: "Further cargo commands whose units are kept, as they are typed at the workspace root.",
        example: r#"["cargo +nightly check --workspace", "cargo build --release"]"#,
    },
    Key {
        section: Section::Sweep,
        name: "grace",
        kind: Kind::Age(&[]),
        default: r#"`"1d"`"#,
        doc: "What was built so recently is kept, together with what it was built from.",
        example: r#""12h""#,
    },
    Key {
        section: Section::Sweep,
        name: "max-size",
        kind: Kind::Bytes,
        default: "no limit",
        doc: "The most that may be left. Beyond it, needed units go too, those first whose bytes are the cheapest to \
              build again.",
        example: r#""20 GiB""#,
    },
    Key {
        section: Section::Sweep,
        name: "package",
        kind: Kind::Age(NEVER),
        default: r#"`"7d"`"#,
        doc: "How old what `cargo package` leaves may get.",
        example: r#""1d""#,
    },
    Key {
        section: Section::Sweep,
        name: "doc",
        kind: Kind::Age(NEVER),
        default: r#"`"30d"`"#,
        doc: "How old documentation may get that no tier makes.",
        example: r#""never""#,
    },
    Key {
        section: Section::Sweep,
        name: "timings",
        kind: Kind::Age(NEVER),
        default: r#"`"30d"`"#,
        doc: "How old the pages of `--timings` may get.",
        example: "0",
    },
    Key {
        section: Section::Sweep,
        name: "other-toolchains",
        kind: Kind::Choice(OtherToolchains::NAMES),
        default: r#"`"remove"`"#,
        doc: "What happens to units of a compiler that nothing here uses.",
        example: r#""keep""#,
    },
    Key {
        section: Section::Sweep,
        name: "sole-owner",
        kind: Kind::Bool,
        default: "`false`",
        doc: "Says that a target dir outside of the workspace, or one that is set for a workspace below this one too, serves nobody else. Without it such a dir is not swept.",
        example: "true",
    },
];

/// The age that nothing reaches.
const NEVER: &[&str] = &["never"];
