//! Which toolchain is pinned, which one answers, what it lacks, and whether this cargo is recent enough.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use toml_edit::DocumentMut;
use xtask_workspace::{Call, CargoVersion, Environment, home, on_path};

use super::{Check, Subject, shown};
use crate::process::output;
use crate::settings::includes;

/// rustup reads a few files; 20 ms on a quiet machine.
const RUSTUP_ANSWERS: Duration = Duration::from_secs(5);

/// What a toolchain file asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pin {
    pub(super) file: Utf8PathBuf,
    /// `None` where it names a folder instead.
    pub(super) channel: Option<String>,
    /// The components and, as `rust-std-TRIPLE`, the targets.
    components: Vec<String>,
}

impl Pin {
    /// The toolchain file that counts in `dir`: the nearest, and of two in one folder the one without extension.
    pub(super) fn of(dir: &Utf8Path) -> Option<Self> {
        let names = ["rust-toolchain", "rust-toolchain.toml"];
        let mut files = dir.ancestors().flat_map(|folder| names.map(|name| folder.join(name)));
        files.find_map(|file| Some(Self::read(&fs::read_to_string(&file).ok()?, file)))
    }

    fn read(text: &str, file: Utf8PathBuf) -> Self {
        let document = text.parse::<DocumentMut>().unwrap_or_default();
        let Some(table) = document.get("toolchain").and_then(|item| item.as_table_like()) else {
            // The old form: the channel alone.
            let channel = text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned);
            return Self { file, channel, components: Vec::new() };
        };
        let list = |key: &str| {
            let values = table.get(key).and_then(|item| item.as_array());
            let words = values.into_iter().flatten().filter_map(|value| value.as_str());
            words.map(str::to_owned).collect::<Vec<_>>()
        };
        let targets = list("targets").into_iter().map(|target| format!("rust-std-{target}"));
        let channel = table.get("channel").and_then(|item| item.as_str()).map(str::to_owned);
        Self { file, channel, components: list("components").into_iter().chain(targets).collect() }
    }

    /// The components that are not among `installed`, the lines of `rustup component list --installed`.
    fn missing(&self, installed: &str, host: &str) -> Vec<String> {
        let is = |component: &str, line: &str| line == component || line == format!("{component}-{host}");
        // Renamed in 2022 and 2024; both names are taken.
        let same = |component: &str| component.trim_end_matches("-preview").to_owned();
        let lacks = |component: &&String| {
            !installed.lines().any(|line| is(&same(component), &line.replace("-preview", "")))
        };
        self.components.iter().filter(lacks).cloned().collect()
    }
}

/// What decides which toolchain answers.
#[derive(Debug, Default)]
struct Choice<'a> {
    pin: Option<&'a Pin>,
    /// `RUSTUP_TOOLCHAIN`, where the user has set it.
    variable: Option<&'a str>,
    /// The folder and the toolchain of a `rustup override` that is nearer than the file.
    folder: Option<(Utf8PathBuf, String)>,
    /// What `rustc --version` says.
    rustc: &'a str,
    /// Components that the file asks for and that are not there.
    missing: Vec<String>,
}

impl Choice<'_> {
    fn judge(&self, root: &Utf8Path) -> Check {
        const NAME: &str = "toolchain";
        let pinned = self.pin.and_then(|pin| Some((shown(&pin.file, root), pin.channel.as_deref()?)));
        let rustc = self.rustc;
        match (self.variable, &self.folder, pinned) {
            (Some(variable), _, Some((file, channel))) if without_host(variable) != without_host(channel) => {
                Check::warn(
                    NAME,
                    format!("{rustc}: RUSTUP_TOOLCHAIN={variable} overrules {file}, which pins {channel}"),
                    "unset RUSTUP_TOOLCHAIN",
                )
            }
            (None, Some((folder, toolchain)), Some((file, channel)))
                if without_host(channel) != toolchain =>
            {
                Check::warn(
                    NAME,
                    format!(
                        "{rustc}: a rustup override of {folder} sets {toolchain}, and {file} pins {channel}"
                    ),
                    format!("rustup override unset --path {folder}"),
                )
            }
            _ if !self.missing.is_empty() => {
                let file = pinned.map_or("the toolchain file", |(file, _)| file);
                let names = self.missing.join(" ");
                let (targets, components) =
                    self.missing.iter().partition::<Vec<_>, _>(|name| name.starts_with("rust-std-"));
                let add = |what: &str, names: Vec<&String>| {
                    let names =
                        names.iter().map(|name| name.trim_start_matches("rust-std-")).collect::<Vec<_>>();
                    (!names.is_empty()).then(|| format!("rustup {what} add {}", names.join(" ")))
                };
                let commands = [add("component", components), add("target", targets)];
                let commands = commands.into_iter().flatten().collect::<Vec<_>>().join(" && ");
                Check::warn(NAME, format!("{rustc}: {file} lists what is not installed: {names}"), commands)
            }
            (_, _, Some((file, channel))) => Check::ok(NAME, format!("{rustc}; {file} pins {channel}")),
            (Some(variable), _, None) => Check::ok(NAME, format!("{rustc}; RUSTUP_TOOLCHAIN={variable}")),
            (None, Some((folder, _)), None) => {
                Check::ok(NAME, format!("{rustc}; a rustup override of {folder} says so"))
            }
            (None, None, None) => Check::ok(NAME, format!("{rustc}; nothing is pinned")),
        }
    }
}

pub(super) fn check(subject: &Subject<'_>) -> Result<Vec<Check>> {
    let (root, environment) = (subject.root(), &subject.workspace.environment);
    let pin = Pin::of(root);
    let rustup = on_path("rustup", environment);
    let mut missing = Vec::new();
    if let (Some(pin), Some(rustup)) = (pin.as_ref().filter(|pin| !pin.components.is_empty()), &rustup) {
        let call = Call::new(root, rustup.as_str(), ["component", "list", "--installed"])
            // What is not installed is to be said, not installed.
            .with_env("RUSTUP_AUTO_INSTALL", "0");
        let said = output(&call, environment, RUSTUP_ANSWERS)?;
        if said.success {
            missing = pin.missing(&said.stdout, &subject.machine.host);
        }
    }
    let folder = rustup.and_then(|_| {
        let settings = fs::read_to_string(rustup_home(environment)?.join("settings.toml")).ok()?;
        folder_override(&settings, root, pin.as_ref().and_then(|pin| pin.file.parent()))
    });
    let choice = Choice {
        pin: pin.as_ref(),
        variable: environment.get("RUSTUP_TOOLCHAIN"),
        folder,
        rustc: &subject.machine.rustc,
        missing,
    };
    Ok(vec![choice.judge(root)])
}

fn rustup_home(environment: &Environment) -> Option<Utf8PathBuf> {
    let explicit = environment.get("RUSTUP_HOME").map(Utf8PathBuf::from);
    explicit.or_else(|| home(environment).map(|home| home.join(".rustup")))
}

/// The override in rustup's settings that counts in `dir`: the nearest, unless a toolchain file in the folder `file` is
/// nearer.
fn folder_override(settings: &str, dir: &Utf8Path, file: Option<&Utf8Path>) -> Option<(Utf8PathBuf, String)> {
    let document = settings.parse::<DocumentMut>().ok()?;
    let overrides = document.get("overrides")?.as_table_like()?;
    let reaches = |folder: &&Utf8Path| file.is_none_or(|file| folder.starts_with(file));
    dir.ancestors().take_while(reaches).find_map(|folder| {
        let toolchain = overrides.get(folder.as_str())?.as_str()?;
        Some((folder.to_owned(), without_host(toolchain).to_owned()))
    })
}

/// `stable-x86_64-unknown-linux-gnu` as a toolchain file would name it.
fn without_host(toolchain: &str) -> &str {
    let host = [std::env::consts::ARCH, "-"].concat();
    toolchain.find(&format!("-{host}")).map_or(toolchain, |at| &toolchain[..at])
}

pub(super) fn check_cargo(subject: &Subject<'_>) -> Result<Vec<Check>> {
    Ok(vec![judge_cargo(subject.cargo)])
}

fn judge_cargo(cargo: CargoVersion) -> Check {
    const NAME: &str = "cargo";
    let (major, minor) = cargo.release;
    let channel = if cargo.nightly { " (nightly)" } else { "" };
    if !includes(cargo) {
        let evidence = format!(
            "{major}.{minor}{channel} takes no optional `include` (1.94 does): settings of this machine cannot be set"
        );
        return Check::warn(NAME, evidence, "rustup update, or a newer channel in rust-toolchain.toml");
    }
    Check::ok(NAME, format!("{major}.{minor}{channel}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    const HOST: &str = "x86_64-unknown-linux-gnu";

    fn pin(text: &str) -> Pin {
        Pin::read(text, "/w/rust-toolchain.toml".into())
    }

    #[test]
    fn both_forms_of_toolchain_files_are_read() {
        let table = [
            ("stable\n", Some("stable"), &[][..]),
            ("[toolchain]\nchannel = \"1.90\"\ncomponents = [\"clippy\"]\n", Some("1.90"), &["clippy"]),
            ("[toolchain]\npath = \"/opt/rust\"\n", None, &[]),
            (
                "[toolchain]\nchannel = \"beta\"\ntargets = [\"wasm32-wasip1\"]\n",
                Some("beta"),
                &["rust-std-wasm32-wasip1"],
            ),
        ];
        for (text, channel, components) in table {
            let pin = pin(text);
            assert_eq!(
                (pin.channel.as_deref(), pin.components.as_slice()),
                (channel, &*components.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()),
                "{text}"
            );
        }
    }

    #[test]
    fn components_are_found_with_and_without_their_host() {
        let installed =
            format!("cargo-{HOST}\nclippy-{HOST}\nrust-src\nrust-std-wasm32-wasip1\nllvm-tools-{HOST}\n");
        let pin = pin(
            "[toolchain]\nchannel = 's'\ntargets = ['wasm32-wasip1', 'wasm64']\ncomponents = ['clippy', 'rust-src', 'miri', 'llvm-tools-preview']\n",
        );
        assert_eq!(pin.missing(&installed, HOST), ["miri", "rust-std-wasm64"]);
    }

    #[test]
    fn what_answers_is_compared_with_what_is_pinned() {
        let stable = pin("[toolchain]\nchannel = \"stable\"\n");
        let folder = |toolchain: &str| Some((Utf8PathBuf::from("/w"), toolchain.to_owned()));
        // pinned, RUSTUP_TOOLCHAIN, the override, what is missing; how it is, a word of the evidence, the fix
        let table = [
            (Some(&stable), None, None, &[][..], Status::Ok, "pins stable", None),
            (None, None, None, &[], Status::Ok, "nothing is pinned", None),
            (Some(&stable), Some("stable"), None, &[], Status::Ok, "pins stable", None),
            (
                Some(&stable),
                Some("nightly"),
                None,
                &[],
                Status::Warn,
                "RUSTUP_TOOLCHAIN=nightly",
                Some("unset RUSTUP_TOOLCHAIN"),
            ),
            (
                Some(&stable),
                None,
                folder("beta"),
                &[],
                Status::Warn,
                "override of /w sets beta",
                Some("rustup override unset --path /w"),
            ),
            (Some(&stable), None, folder("stable"), &[], Status::Ok, "pins stable", None),
            (None, None, folder("beta"), &[], Status::Ok, "override of /w", None),
            (None, Some("beta"), None, &[], Status::Ok, "RUSTUP_TOOLCHAIN=beta", None),
            (
                Some(&stable),
                None,
                None,
                &["miri", "rust-std-wasm64"],
                Status::Warn,
                "not installed: miri",
                Some("rustup component add miri && rustup target add wasm64"),
            ),
        ];
        for (pin, variable, folder, missing, status, evidence, fix) in table {
            let missing = missing.iter().map(|&name| name.to_owned()).collect();
            let check = Choice { pin, variable, folder, rustc: "rustc 1.95.0", missing }.judge("/w".into());
            assert_eq!(
                (check.status, check.fix.as_ref().map(|fix| fix.text.as_str())),
                (status, fix),
                "{check:?}"
            );
            assert!(
                check.evidence.contains(evidence) && check.evidence.starts_with("rustc 1.95.0"),
                "{check:?}"
            );
        }
    }

    #[test]
    fn an_override_counts_unless_a_file_is_nearer() {
        let settings = format!("version = \"12\"\n[overrides]\n\"/w/a\" = \"nightly-{HOST}\"\n");
        // where, the folder of the toolchain file, what counts
        let table = [
            ("/w/a", None, true),
            ("/w/a/b", None, true),
            ("/w/a", Some("/w/a"), true),
            ("/w/a/b", Some("/w"), true),
            ("/w/a/b", Some("/w/a/b"), false),
            ("/w", None, false),
        ];
        for (dir, file, counts) in table {
            let found = folder_override(&settings, dir.into(), file.map(Utf8Path::new));
            assert_eq!(found.is_some(), counts, "{dir} {file:?}");
        }
        assert_eq!(without_host(&format!("stable-{}-unknown-linux-gnu", std::env::consts::ARCH)), "stable");
    }

    #[test]
    fn an_old_cargo_is_said() {
        let table =
            [((1, 95), Status::Ok), ((1, 94), Status::Ok), ((1, 93), Status::Warn), ((1, 70), Status::Warn)];
        for (release, status) in table {
            assert_eq!(judge_cargo(CargoVersion { release, nightly: false }).status, status, "{release:?}");
        }
    }
}
