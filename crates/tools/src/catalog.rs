//! The catalog of tools: the built-in one, with what a workspace changes and adds.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use semver::VersionReq;
use serde::{Deserialize, Serialize};
use xtask_workspace::config::{Archive, Config, Effect, Need, Proof, ToolSettings, Way};
use xtask_workspace::{Environment, Facts, WrongUsage, shell_quote};

/// The built-in catalog, in the form of `xtask.toml`.
pub const CATALOG: &str = include_str!("catalog.toml");

/// A tool, with every default filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tool {
    /// Its name in the catalog.
    pub name: String,
    /// What it is, in a few words; may be empty.
    pub about: String,
    /// How much it is wanted.
    pub need: Need,
    /// The names of its program; one with a separator is a path. Never empty.
    pub programs: Vec<String>,
    /// The versions that are accepted; `None` means any.
    pub version: Option<VersionReq>,
    /// The arguments that make the program print its version.
    pub version_args: Vec<String>,
    /// The ways of installing it, in the order in which they are tried.
    pub install: Vec<Way>,
    /// The release archive for this host.
    pub archive: Option<Archive>,
    /// Its package, by package manager.
    pub packages: BTreeMap<String, String>,
    /// The arguments of `cargo install --locked`; empty if the tool is not a crate.
    pub crate_args: Vec<String>,
    /// How it is proven.
    pub proof: Proof,
    /// For a linker or a driver: the ways to make rustc use it.
    pub link_with: Vec<String>,
    /// For a linker: the name that it leaves in what it links.
    pub says: String,
    /// What is used without it; may be empty.
    pub without: String,
}

impl Tool {
    /// Whether it is a linker.
    pub fn is_linker(&self) -> bool {
        self.proof == Proof::Effect(Effect::Link)
    }

    fn new(settings: ToolSettings, host: &str) -> Self {
        let name = settings.name;
        let archives = settings.archives.unwrap_or_default().into_iter();
        let archive = archives.into_iter().find(|archive| matches(&archive.host, host));
        Self {
            about: settings.about.unwrap_or_default(),
            need: settings.need.unwrap_or(Need::Wanted),
            programs: settings
                .programs
                .filter(|names| !names.is_empty())
                .unwrap_or_else(|| vec![name.clone()]),
            version: settings.version.and_then(|version| VersionReq::parse(&version).ok()),
            version_args: settings.version_args.unwrap_or_else(|| vec!["--version".to_owned()]),
            install: settings.install.unwrap_or_else(|| vec![Way::Archive, Way::Packages, Way::Cargo]),
            archive,
            packages: settings.packages.unwrap_or_default(),
            crate_args: settings.crate_args.unwrap_or_default(),
            proof: settings.proof.unwrap_or(Proof::Effect(Effect::Version)),
            link_with: settings.link_with.unwrap_or_default(),
            says: settings.says.unwrap_or_else(|| name.clone()),
            without: settings.without.unwrap_or_default(),
            name,
        }
    }
}

fn matches(pattern: &str, host: &str) -> bool {
    glob::Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(host))
}

/// The tools that are useful on `host`: those of the built-in catalog, as `overrides` change them, then the workspace's
/// own. Unwanted tools are included.
///
/// Fails as wrong usage for a linker without `link-with`.
pub fn catalog(overrides: &[ToolSettings], host: &str) -> Result<Vec<Tool>> {
    let built_in = Config::parse(CATALOG, Utf8Path::new("catalog.toml"), &Facts::default(), &[])
        .map_err(|error| anyhow!("{error}"))
        .context("failed to read the built-in catalog of tools")?;
    let mut settings = built_in.tools;
    for own in overrides {
        match settings.iter_mut().find(|known| known.name == own.name) {
            Some(known) => *known = own.clone().over(std::mem::take(known)),
            None => settings.push(own.clone()),
        }
    }
    let is_useful = |tool: &ToolSettings| {
        tool.hosts.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| matches(pattern, host)))
    };
    let tools = settings.into_iter().filter(is_useful).map(|settings| Tool::new(settings, host));
    let tools = tools.collect::<Vec<_>>();
    let silent = tools.iter().find(|tool| {
        let links = matches!(tool.proof, Proof::Effect(Effect::Link | Effect::Driver));
        links && tool.link_with.is_empty() && tool.need != Need::Unwanted
    });
    if let Some(tool) = silent {
        let message = format!(
            "[tools.{}] does not say how rustc uses it\n  next: set `link-with`, such as [\"clang \
             --ld-path={{path}}\"]",
            tool.name
        );
        return Err(WrongUsage(message).into());
    }
    Ok(tools)
}

/// How rustc is told to use a linker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LinkSettings {
    /// The linker driver; `None` means rustc's own choice.
    pub linker: Option<String>,
    /// Further flags for rustc.
    pub rustflags: Vec<String>,
}

impl LinkSettings {
    /// The settings of one entry of `link-with` for the tool at `path`; `None` if its driver is not found.
    pub fn of(text: &str, path: &Utf8Path, rustlib: &Utf8Path, environment: &Environment) -> Option<Self> {
        let mut words = text.split_whitespace().map(|word| filled(word, path, rustlib));
        let linker = match words.next()?.as_str() {
            "cc" => None,
            // By its full path: what was proven is what is used, whatever PATH an editor has.
            driver if driver.contains('/') => Some(driver.to_owned()),
            driver => Some(xtask_workspace::on_path(driver, environment)?.into_string()),
        };
        let flag = |word: String| if word.starts_with("-C") { word } else { format!("-Clink-arg={word}") };
        Some(Self { linker, rustflags: words.map(flag).collect() })
    }

    /// Whether it leaves everything to rustc.
    pub fn is_default(&self) -> bool {
        self.linker.is_none() && self.rustflags.is_empty()
    }

    /// The arguments for rustc.
    pub fn rustc_args(&self) -> Vec<String> {
        let linker = self.linker.iter().map(|linker| format!("-Clinker={linker}"));
        linker.chain(self.rustflags.iter().cloned()).collect()
    }
}

impl std::fmt::Display for LinkSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = self.rustc_args();
        if words.is_empty() {
            return f.write_str("no settings");
        }
        f.write_str(&words.iter().map(|word| shell_quote(word)).collect::<Vec<_>>().join(" "))
    }
}

/// `text` with `{path}` and `{rustlib}` filled in.
pub(crate) fn filled(text: &str, path: &Utf8Path, rustlib: &Utf8Path) -> String {
    text.replace("{path}", path.as_str()).replace("{rustlib}", rustlib.as_str())
}

/// A program's name or path with `{rustlib}` filled in.
pub(crate) fn program_path(program: &str, rustlib: &Utf8Path) -> Utf8PathBuf {
    Utf8PathBuf::from(program.replace("{rustlib}", rustlib.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINUX: &str = "x86_64-unknown-linux-gnu";

    fn settings(text: &str) -> Vec<ToolSettings> {
        Config::parse(text, "xtask.toml".into(), &Facts::default(), &[]).unwrap().tools
    }

    fn tool(overrides: &str, name: &str, host: &str) -> Option<Tool> {
        catalog(&settings(overrides), host).unwrap().into_iter().find(|tool| tool.name == name)
    }

    #[test]
    fn each_host_gets_its_tools_and_archives() {
        // tool, host, whether it is useful there, and its archive
        let table = [
            ("mold", LINUX, true, None),
            ("mold", "aarch64-apple-darwin", false, None),
            ("wild", LINUX, true, Some("wild-linker-0.10.0-x86_64-unknown-linux-musl.tar.gz")),
            ("wild", "s390x-unknown-linux-gnu", false, None),
            ("sccache", LINUX, true, Some("sccache-v0.17.0-x86_64-unknown-linux-musl.tar.gz")),
            ("sccache", "aarch64-apple-darwin", true, Some("sccache-v0.17.0-aarch64-apple-darwin.tar.gz")),
            ("cargo-nextest", LINUX, true, Some("cargo-nextest-0.9.143-x86_64-unknown-linux-gnu.tar.gz")),
            (
                "cargo-nextest",
                "aarch64-apple-darwin",
                true,
                Some("cargo-nextest-0.9.143-universal-apple-darwin.tar.gz"),
            ),
            ("cargo-nextest", "mips-unknown-linux-gnu", true, None),
        ];
        for (name, host, useful, archive) in table {
            let tool = tool("", name, host);
            assert_eq!(tool.is_some(), useful, "{name} {host}");
            let url = tool.and_then(|tool| tool.archive).map(|archive| archive.url);
            assert_eq!(url.as_deref().and_then(|url| url.rsplit('/').next()), archive, "{name} {host}");
        }
    }

    #[test]
    fn a_workspace_overrides_key_by_key_and_adds() {
        let overrides = "[tools.mold]\nversion = '=2.4.0'\nneed = 'required'\n[tools.wild]\nneed = 'unwanted'\n\
                         [tools.protoc]\npackages = { apt = 'protobuf-compiler' }\n";
        let mold = tool(overrides, "mold", LINUX).unwrap();
        assert_eq!(
            (mold.version.map(|v| v.to_string()).as_deref(), mold.need),
            (Some("=2.4.0"), Need::Required)
        );
        assert_eq!(mold.says, "mold");
        assert_eq!(mold.packages["apt"], "mold");
        assert_eq!(tool(overrides, "wild", LINUX).unwrap().need, Need::Unwanted);
        let protoc = tool(overrides, "protoc", LINUX).unwrap();
        assert_eq!(
            (protoc.programs.as_slice(), protoc.proof),
            (&["protoc".to_owned()][..], Proof::Effect(Effect::Version))
        );
        let error = catalog(&settings("[tools.blink]\nproof = 'link'\n"), LINUX).unwrap_err();
        assert!(error.downcast_ref::<WrongUsage>().is_some(), "{error}");
    }

    #[test]
    fn ways_to_link_become_arguments() {
        let environment = Environment::current();
        let of = |text: &str| LinkSettings::of(text, "/opt/wild".into(), "/rust/lib".into(), &environment);
        // an entry, the driver, and the further flags
        let table: [(&str, Option<&str>, &[&str]); 4] = [
            ("cc", None, &[]),
            ("cc -fuse-ld=mold", None, &["-Clink-arg=-fuse-ld=mold"]),
            ("/bin/sh --ld-path={path}", Some("/bin/sh"), &["-Clink-arg=--ld-path=/opt/wild"]),
            (
                "cc -Clinker-features=-lld -B{rustlib}/bin",
                None,
                &["-Clinker-features=-lld", "-Clink-arg=-B/rust/lib/bin"],
            ),
        ];
        for (text, linker, rustflags) in table {
            let settings = of(text).unwrap();
            assert_eq!(settings.linker.as_deref(), linker, "{text}");
            assert_eq!(settings.rustflags, rustflags, "{text}");
        }
        assert_eq!(of("no-such-driver-anywhere -fuse-ld=x"), None);
        assert!(of("cc").unwrap().is_default());
    }
}
