//! `[sweep]`, `[setup]` and `[tools.NAME]`.

use super::kind::{Field, Kind, Value};
use super::section::{choice, section};
use crate::CargoCommand;
use semver::VersionReq;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use toml_edit::Item;

choice! {
    OtherToolchains {
        Remove = "remove",
        Keep = "keep",
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `never` is an age that nothing reaches.
const AGE_OR_NEVER: Kind = Kind::Age(&["never"]);

section! {
    /// What `cargo xtask clean-stale` keeps. An age is a duration, or `0`. What `cargo build`, `cargo check` and every
    /// tier of daily work need is always kept.
    "[sweep]" Sweep {}

    /// Further cargo commands whose units are kept, as they are typed at the workspace root.
    #[key("keep", Kind::List(&Kind::Command),
        default = "[]", example = r#"["cargo +nightly check --workspace", "cargo build --release"]"#)]
    keep: Vec<CargoCommand>,

    /// Anything built more recently than this is kept, together with what it was built from.
    #[key("grace", Kind::Age(&[]), default = r#""1d""#, example = r#""12h""#)]
    grace: Duration = DAY,

    /// The largest size that may remain. Beyond it, needed units are removed too, those first that are the cheapest to
    /// rebuild for their size.
    #[key("max-size", Kind::Size, otherwise = "no limit", example = r#""20 GiB""#)]
    max_size: Option<u64>,

    /// The maximum age of what `cargo package` leaves behind.
    #[key("package", AGE_OR_NEVER, default = r#""7d""#, example = r#""1d""#)]
    package: Option<Duration> = Some(DAY * 7),

    /// The maximum age of documentation that no tier builds.
    #[key("doc", AGE_OR_NEVER, default = r#""30d""#, example = r#""never""#)]
    doc: Option<Duration> = Some(DAY * 30),

    /// The maximum age of the reports of `--timings`.
    #[key("timings", AGE_OR_NEVER, default = r#""30d""#, example = "0")]
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

section! {
    /// The settings of `cargo xtask setup`.
    "[setup]" Setup {}

    /// The linker: the one that links the largest test of this workspace fastest (`measured`), the one that is used
    /// without the suite (`default`), or one of the catalog by name. It is used only if it proves to work.
    #[key("linker", Kind::Text, default = r#""measured""#, example = r#""mold""#)]
    linker: String = Setup::MEASURED.to_owned(),

    /// Where downloaded tools are put: the `bin` folder in cargo's home, or a folder below the target dir of this
    /// workspace.
    #[key("install-to", Kind::Choice(InstallTo::NAMES),
        default = r#""cargo-bin""#, example = r#""workspace""#)]
    install_to: InstallTo = InstallTo::CargoBin,

    /// The memory that each of several compilers running at once is expected to use. If all of them would need more
    /// than is free when the machine is set up, `jobs` is lowered.
    #[key("memory-per-job", Kind::Size, default = r#""2 GiB""#, example = r#""1 GiB""#)]
    // rustc's largest units take 1 to 2 GiB (CARGO_BUILD_JOBS is what people lower when one is killed).
    memory_per_job: u64 = 2 << 30,
}

impl Setup {
    pub const MEASURED: &str = "measured";
    pub const DEFAULT: &str = "default";
}

section! {
    /// A tool that `cargo xtask setup` installs and proves. A table with the name of a tool of the built-in catalog
    /// (docs/setup.md) overrides that one key by key.
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    "[tools.NAME]" Tool + over {
        /// The name: lowercase letters, digits and `-`.
        name: String;
        /// The keys that the table sets: only they override the built-in catalog.
        #[serde(skip)]
        given: Vec<&'static str>;
    }

    /// What it is, in a few words.
    #[key("about", Kind::Text, otherwise = "none", example = r#""compiler of protocol buffers""#)]
    about: String,

    /// Whether setup installs the tool if it can, fails without it, or ignores it.
    #[key("need", Kind::Choice(Need::NAMES), default = r#""wanted""#, example = r#""required""#)]
    need: Need = Need::Wanted,

    /// The names of its program; the first one found is used.
    #[key("programs", Kind::List(&Kind::Text), otherwise = "the table's name", example = r#"["protoc"]"#)]
    programs: Vec<String>,

    /// The accepted versions, written as in `Cargo.toml`; `=1.2.3` pins one. A pre-release counts as its release.
    #[key("version", Kind::Requirement, otherwise = "any", example = r#"">=3.20""#)]
    version: Option<VersionReq>,

    /// The arguments that make the program print its version.
    #[key("version-args", Kind::List(&Kind::Text), default = r#"["--version"]"#, example = r#"["-V"]"#)]
    version_args: Vec<String> = vec!["--version".to_owned()],

    /// Glob patterns of the host triples that the tool is for.
    #[key("hosts", Kind::List(&Kind::Glob), otherwise = "every host", example = r#"["*-linux-*"]"#)]
    hosts: Vec<String>,

    /// The ways to install it, in the order in which they are tried. A way that the tool has no data for is skipped.
    #[key("install", Kind::List(&Kind::Choice(Way::NAMES)),
        default = r#"["archive", "packages", "cargo"]"#, example = r#"["packages"]"#)]
    install: Vec<Way> = vec![Way::Archive, Way::Packages, Way::Cargo],

    /// Release archives: each with the glob pattern of its `host`, its `version`, `url` (https only), `sha256`, and the
    /// path of the program inside as `binary`.
    #[key("archives", Kind::List(&Kind::Table(ARCHIVE)),
        default = "[]", example = r#"[{ host = "x86_64-*-linux-*", version = "29.3", url = "https://example.com/protoc.tar.gz", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", binary = "bin/protoc" }]"#)]
    archives: Vec<Archive>,

    /// The package that contains it, by package manager.
    #[key("packages", Kind::Table(MANAGERS),
        default = "{}", example = r#"{ apt = "protobuf-compiler", brew = "protobuf" }"#)]
    packages: BTreeMap<String, String>,

    /// The arguments after `cargo install --locked`: the crate, and further arguments.
    #[key("crate-args", Kind::List(&Kind::Text),
        default = "[]", example = r#"["protoc-gen-x", "--no-default-features"]"#)]
    crate_args: Vec<String>,

    /// How it is proven to work: by an effect, or by a command that must succeed, in which `{path}` is the path of the
    /// tool.
    #[key("proof", Kind::ChoiceOr(Effect::NAMES, &Kind::List(&Kind::Text)),
        default = r#""version""#, example = r#"["{path}", "--print-free-field-numbers", "/dev/null"]"#)]
    proof: Proof = Proof::Effect(Effect::Version),

    /// For a linker: the ways to use it. Each is a linker driver (`cc` is rustc's default) and its arguments; one that
    /// starts with `-C` is passed to rustc. `{path}` is the tool's program, `{rustlib}` the toolchain's folder
    /// `lib/rustlib/HOST`. The first that proves to work is used.
    #[key("link-with", Kind::List(&Kind::Text),
        default = "[]", example = r#"["cc -fuse-ld=mold", "clang --ld-path={path}"]"#)]
    link_with: Vec<String>,

    /// For a linker: the name that it leaves in what it links.
    #[key("says", Kind::Text, otherwise = "the table's name", example = r#""mold""#)]
    says: String,

    /// What is used if it is missing, in a few words.
    #[key("without", Kind::Text, otherwise = "none", example = r#""the generated sources in git""#)]
    without: String,
}

impl Tool {
    /// Whether it is a linker.
    pub fn is_linker(&self) -> bool {
        self.proof == Proof::Effect(Effect::Link)
    }
}

/// The known package managers, in the order in which they are tried.
const MANAGERS: &[Field] = &[
    manager("apt"),
    manager("dnf"),
    manager("pacman"),
    manager("zypper"),
    manager("apk"),
    manager("brew"),
    manager("winget"),
];

const fn manager(name: &'static str) -> Field {
    Field { name, kind: Kind::Text, required: false }
}

choice! {
    Need {
        /// Installed if possible; without it something else is used.
        Wanted = "wanted",
        /// Setup fails without it.
        Required = "required",
        /// Neither installed nor used.
        Unwanted = "unwanted",
    }
}

choice! {
    Way {
        Archive = "archive",
        Packages = "packages",
        Cargo = "cargo",
    }
}

choice! {
    InstallTo {
        CargoBin = "cargo-bin",
        Workspace = "workspace",
    }
}

choice! {
    /// An effect that proves a tool.
    Effect {
        /// It links an executable that names it and runs.
        Link = "link",
        /// It links an executable that runs, with any linker.
        Driver = "driver",
        /// The second of two equal compilations comes from its cache.
        Cache = "cache",
        /// It lists and runs the tests of a package.
        Tests = "tests",
        Version = "version",
    }
}

/// How a tool is proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    Effect(Effect),
    /// A program and its arguments, `{path}` being the tool's; it must succeed. Never empty.
    #[serde(untagged)]
    Command(Vec<String>),
}

impl Value for VersionReq {
    fn of(item: &Item) -> Option<Self> {
        Self::parse(item.as_str()?).ok()
    }
}

impl Value for Proof {
    fn of(item: &Item) -> Option<Self> {
        Effect::of(item).map(Self::Effect).or_else(|| Value::of(item).map(Self::Command))
    }
}

/// A release archive, unpacked only if its SHA-256 is the pinned one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Archive {
    /// A glob pattern of host triples.
    pub host: String,
    pub version: String,
    /// `https` only.
    pub url: String,
    /// 64 lowercase hexadecimal digits.
    pub sha256: String,
    /// The path of the program inside; by default its name at the top.
    pub binary: Option<String>,
}

const ARCHIVE: &[Field] = &[
    Field { name: "host", kind: Kind::Glob, required: true },
    Field { name: "version", kind: Kind::Text, required: true },
    Field { name: "url", kind: Kind::Url, required: true },
    Field { name: "sha256", kind: Kind::Sha256, required: true },
    Field { name: "binary", kind: Kind::Text, required: false },
];

impl Value for Archive {
    fn of(item: &Item) -> Option<Self> {
        let text = |key| String::of(item.get(key)?);
        Some(Self {
            host: text("host")?,
            version: text("version")?,
            url: text("url")?,
            sha256: text("sha256")?,
            binary: text("binary"),
        })
    }
}
