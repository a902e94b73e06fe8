//! The `[tools.NAME]` tables and `[setup]`: what they say, as values, and how it is read.

use super::choice::choice;
use super::settings::Settings;
use serde::Serialize;
use std::collections::BTreeMap;

choice! {
    /// How much a tool is wanted.
    Need {
        /// It is installed where that can be done; without it something else is used.
        Wanted = "wanted",
        /// Without it the setup fails.
        Required = "required",
        /// It is neither installed nor used.
        Unwanted = "unwanted",
    }
}

choice! {
    /// A way of installing a tool that is not there.
    Way {
        /// An official release archive, checked against its pinned SHA-256.
        Archive = "archive",
        /// The package manager of the system.
        Packages = "packages",
        /// `cargo install --locked`
        Cargo = "cargo",
    }
}

choice! {
    /// Where what is downloaded is put.
    InstallTo {
        /// The `bin` folder in cargo's home.
        CargoBin = "cargo-bin",
        /// A folder of this workspace's own, below its target dir.
        Workspace = "workspace",
    }
}

choice! {
    /// An effect by which a tool is proven.
    Effect {
        /// It links an executable, which says so and runs.
        Link = "link",
        /// It links an executable, which runs, by whatever linker it chooses.
        Driver = "driver",
        /// It answers the second of two equal compilations from its cache.
        Cache = "cache",
        /// It lists and runs the tests of a package.
        Tests = "tests",
        /// Its program says a version.
        Version = "version",
    }
}

/// How a tool is proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// By an effect that the suite knows to observe.
    Effect(Effect),
    /// By a command that succeeds: a program and its arguments, `{path}` being the tool's. Never empty.
    #[serde(untagged)]
    Command(Vec<String>),
}

/// A release archive: it is only unpacked when its SHA-256 is the pinned one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Archive {
    /// The host triple that it is for; a glob pattern.
    pub host: String,
    /// The release.
    pub version: String,
    /// Where it lies; `https` only.
    pub url: String,
    /// 64 lowercase hexadecimal digits.
    pub sha256: String,
    /// The path of the program inside; `None` means that it lies at the top under its own name.
    pub binary: Option<String>,
}

/// What one table says of a tool; what it does not say holds as the built-in catalog, or the default, has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ToolSettings {
    /// The name: lowercase letters, digits and `-`.
    pub name: String,
    /// What it is, in a few words.
    pub about: Option<String>,
    /// How much it is wanted.
    pub need: Option<Need>,
    /// The names of its program, of which the first that is found is taken.
    pub programs: Option<Vec<String>>,
    /// The versions that will do: cargo's syntax of requirements, in its normal form.
    pub version: Option<String>,
    /// What makes the program say its version.
    pub version_args: Option<Vec<String>>,
    /// Glob patterns of the host triples on which it is of use.
    pub hosts: Option<Vec<String>>,
    /// The ways of installing it, in the order in which they are tried.
    pub install: Option<Vec<Way>>,
    /// Its release archives.
    pub archives: Option<Vec<Archive>>,
    /// Its package, by package manager.
    pub packages: Option<BTreeMap<String, String>>,
    /// What `cargo install --locked` is told: the crate, and further arguments.
    pub crate_args: Option<Vec<String>>,
    /// How it is proven.
    pub proof: Option<Proof>,
    /// For a linker: the ways to have rustc use it, of which the first that proves to work is taken.
    pub link_with: Option<Vec<String>>,
    /// For a linker: the name that it leaves in what it links.
    pub says: Option<String>,
    /// What is used without it.
    pub without: Option<String>,
}

impl ToolSettings {
    /// These settings, and what they leave open as `others` have it.
    pub fn over(self, others: Self) -> Self {
        Self {
            name: self.name,
            about: self.about.or(others.about),
            need: self.need.or(others.need),
            programs: self.programs.or(others.programs),
            version: self.version.or(others.version),
            version_args: self.version_args.or(others.version_args),
            hosts: self.hosts.or(others.hosts),
            install: self.install.or(others.install),
            archives: self.archives.or(others.archives),
            packages: self.packages.or(others.packages),
            crate_args: self.crate_args.or(others.crate_args),
            proof: self.proof.or(others.proof),
            link_with: self.link_with.or(others.link_with),
            says: self.says.or(others.says),
            without: self.without.or(others.without),
        }
    }
}

/// What `cargo xtask setup` decides by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Setup {
    /// `measured`, `default`, or the name of a linker of the catalog.
    pub linker: String,
    /// Where what is downloaded is put.
    pub install_to: InstallTo,
    /// The bytes of memory that a compiler running beside others is counted with.
    pub memory_per_job: u64,
}

impl Setup {
    /// The linker that proved to be the fastest.
    pub const MEASURED: &str = "measured";
    /// The linker that is used without the suite.
    pub const DEFAULT: &str = "default";
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            linker: Self::MEASURED.to_owned(),
            install_to: InstallTo::CargoBin,
            // rustc's largest units take 1 to 2 GiB (CARGO_BUILD_JOBS is what people lower when one is killed).
            memory_per_job: 2 << 30,
        }
    }
}

/// The tools of the file, in its order.
pub(super) fn tools(file: &[Settings]) -> Vec<ToolSettings> {
    file.iter().map(tool).collect()
}

fn tool(settings: &Settings) -> ToolSettings {
    ToolSettings {
        name: settings.name.clone(),
        about: settings.string("about"),
        need: settings.choice("need"),
        programs: settings.strings("programs"),
        version: settings.requirement("version"),
        version_args: settings.strings("version-args"),
        hosts: settings.strings("hosts"),
        install: settings.choices("install"),
        archives: settings.archives("archives"),
        packages: settings.variables("packages"),
        crate_args: settings.strings("crate-args"),
        proof: settings.proof("proof"),
        link_with: settings.strings("link-with"),
        says: settings.string("says"),
        without: settings.string("without"),
    }
}

/// The settings of `[setup]`; the defaults without one.
pub(super) fn setup(file: Option<&Settings>) -> Setup {
    let defaults = Setup::default();
    let Some(settings) = file else { return defaults };
    Setup {
        linker: settings.string("linker").unwrap_or(defaults.linker),
        install_to: settings.choice("install-to").unwrap_or(defaults.install_to),
        memory_per_job: settings.bytes("memory-per-job").unwrap_or(defaults.memory_per_job),
    }
}
