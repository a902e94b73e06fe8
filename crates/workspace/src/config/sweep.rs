//! `[sweep]`.

use super::kind::Kind;
use super::quantity::milliseconds;
use super::section::section;
use super::value::choice;
use crate::CargoCommand;
use std::time::Duration;

choice! {
    /// What happens to units of a compiler that nothing here uses.
    OtherToolchains {
        /// They are stale.
        Remove = "remove",
        /// They stay.
        Keep = "keep",
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An age that may be this word, for one that nothing reaches.
const AGE_OR_NEVER: Kind = Kind::Age(&["never"]);

section! {
    /// What `cargo xtask clean-stale` keeps. An age is a duration, or `0`. What `cargo build`, `cargo check` and every
    /// tier of daily work need is always kept.
    "[sweep]" Sweep {}

    /// Further cargo commands whose units are kept, as they are typed at the workspace root.
    #[key("keep", Kind::Set(&Kind::Command),
        default = "[]", example = r#"["cargo +nightly check --workspace", "cargo build --release"]"#)]
    keep: Vec<CargoCommand>,

    /// Anything built more recently than this is kept, together with what it was built from.
    #[key("grace", Kind::Age(&[]), default = r#""1d""#, example = r#""12h""#)]
    #[serde(rename = "grace-ms", serialize_with = "milliseconds")]
    grace: Duration = DAY,

    /// The largest size that may remain. Beyond it, needed units are removed too, those first that are the cheapest to
    /// rebuild for their size.
    #[key("max-size", Kind::Size, otherwise = "no limit", example = r#""20 GiB""#)]
    max_size: Option<u64>,

    /// The maximum age of what `cargo package` leaves behind.
    #[key("package", AGE_OR_NEVER, default = r#""7d""#, example = r#""1d""#)]
    #[serde(rename = "package-ms", serialize_with = "milliseconds")]
    package: Option<Duration> = Some(DAY * 7),

    /// The maximum age of documentation that no tier builds.
    #[key("doc", AGE_OR_NEVER, default = r#""30d""#, example = r#""never""#)]
    #[serde(rename = "doc-ms", serialize_with = "milliseconds")]
    doc: Option<Duration> = Some(DAY * 30),

    /// The maximum age of the reports of `--timings`.
    #[key("timings", AGE_OR_NEVER, default = r#""30d""#, example = "0")]
    #[serde(rename = "timings-ms", serialize_with = "milliseconds")]
    timings: Option<Duration> = Some(DAY * 30),

    /// What happens to units of a compiler that this workspace does not use.
    #[key("other-toolchains", Kind::Choice(OtherToolchains::NAMES),
        default = r#""remove""#, example = r#""keep""#)]
    other_toolchains: OtherToolchains = OtherToolchains::Remove,

    /// States that no other workspace uses this target dir. Without it, a target dir that is outside of the workspace,
    /// or that is also set for a workspace below this one, is not swept.
    #[key("sole-owner", Kind::Bool, default = "false", example = "true")]
    sole_owner: bool,
}
