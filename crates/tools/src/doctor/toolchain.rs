//! Which toolchain is pinned, which one is used, what it lacks, and whether this cargo is recent enough.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use toml_edit::DocumentMut;
use xtask_workspace::{Call, CargoVersion, on_path};

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

/// Which toolchain is used, and why.
#[derive(Debug, Default)]
struct Choice<'a> {
    pin: Option<&'a Pin>,
    /// What `rustc --version` says.
    rustc: &'a str,
    /// `RUSTUP_TOOLCHAIN`, where the user has set it.
    variable: Option<&'a str>,
    /// What `rustup show active-toolchain` says: the toolchain's name, then the reason.
    active: &'a str,
    /// Components that the file asks for and that are not installed.
    missing: Vec<String>,
}

impl Choice<'_> {
    fn judge(&self, root: &Utf8Path) -> Check {
        const NAME: &str = "toolchain";
        let Self { rustc, missing, .. } = self;
        let pinned = self.pin.and_then(|pin| Some((shown(&pin.file, root), pin.channel.as_deref()?)));
        let Some((file, channel)) = pinned else {
            let by = self.variable.map_or_else(
                || "no toolchain is pinned".to_owned(),
                |variable| format!("RUSTUP_TOOLCHAIN={variable}"),
            );
            return Check::ok(NAME, format!("{rustc}; {by}"));
        };
        let used =
            without_host(self.variable.unwrap_or(self.active.split_whitespace().next().unwrap_or(channel)));
        if used != without_host(channel) {
            let (by, fix) = match self.variable {
                Some(variable) => (format!("RUSTUP_TOOLCHAIN={variable}"), "unset RUSTUP_TOOLCHAIN"),
                None => (format!("`rustup override` of {used}"), "rustup override unset"),
            };
            return Check::warn(NAME, format!("{rustc}: {by} overrules {file}, which pins {channel}"), fix);
        }
        if missing.is_empty() {
            return Check::ok(NAME, format!("{rustc}; {file} pins {channel}"));
        }
        let (targets, components) =
            missing.iter().map(String::as_str).partition::<Vec<_>, _>(|name| name.starts_with("rust-std-"));
        let targets = targets.iter().map(|name| name.trim_start_matches("rust-std-")).collect::<Vec<_>>();
        let add = |what: &str, names: &[&str]| {
            (!names.is_empty()).then(|| format!("rustup {what} add {}", names.join(" ")))
        };
        let commands = [add("component", &components), add("target", &targets)];
        let commands = commands.into_iter().flatten().collect::<Vec<_>>().join(" && ");
        let evidence = format!("{rustc}: {file} lists what is not installed: {}", missing.join(" "));
        Check::warn(NAME, evidence, commands)
    }
}

pub(super) fn check(subject: &Subject<'_>) -> Result<Vec<Check>> {
    let (root, environment) = (subject.root(), &subject.workspace.environment);
    let pin = Pin::of(root);
    let ask = |args: &[&str]| {
        let rustup = on_path("rustup", environment)?;
        let call = Call::new(root, rustup.as_str(), args.iter().copied());
        // What is not installed is to be said, not installed.
        Some(output(&call.with_env("RUSTUP_AUTO_INSTALL", "0"), environment, RUSTUP_ANSWERS))
    };
    let said = |args: &[&str]| {
        let said = ask(args).transpose()?.filter(|said| said.success);
        anyhow::Ok(said.map(|said| said.stdout))
    };
    let mut choice = Choice {
        pin: pin.as_ref(),
        rustc: &subject.machine.rustc,
        variable: environment.get("RUSTUP_TOOLCHAIN"),
        ..Choice::default()
    };
    let mut active = None;
    if let Some(pin) = &pin {
        active = said(&["show", "active-toolchain"])?;
        if !pin.components.is_empty()
            && let Some(installed) = said(&["component", "list", "--installed"])?
        {
            choice.missing = pin.missing(&installed, &subject.machine.host);
        }
    }
    choice.active = active.as_deref().unwrap_or_default();
    Ok(vec![choice.judge(root)])
}

/// `stable-x86_64-unknown-linux-gnu` as a toolchain file would name it.
fn without_host(toolchain: &str) -> &str {
    let host = [std::env::consts::ARCH, "-"].concat();
    toolchain.find(&format!("-{host}")).map_or(toolchain, |at| &toolchain[..at])
}

pub(super) fn check_cargo(subject: &Subject<'_>) -> Vec<Check> {
    vec![judge_cargo(subject.cargo)]
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
    fn what_is_used_is_compared_with_what_is_pinned() {
        let stable = pin("[toolchain]\nchannel = \"stable\"\n");
        let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let active = |toolchain: &str, why: &str| format!("{toolchain}-{host} ({why})\n");
        let by_file = active("stable", "overridden by '/w/rust-toolchain.toml'");
        let by_folder = active("beta", "directory override for '/w'");
        // pinned, RUSTUP_TOOLCHAIN, what is active, what is missing; the status, a word of the evidence, the fix
        let table = [
            (Some(&stable), None, by_file.as_str(), &[][..], Status::Ok, "pins stable", None),
            (Some(&stable), None, "", &[], Status::Ok, "pins stable", None),
            (None, None, "", &[], Status::Ok, "no toolchain is pinned", None),
            (None, Some("beta"), "", &[], Status::Ok, "RUSTUP_TOOLCHAIN=beta", None),
            (Some(&stable), Some("stable"), "", &[], Status::Ok, "pins stable", None),
            (
                Some(&stable),
                Some("nightly"),
                "",
                &[],
                Status::Warn,
                "RUSTUP_TOOLCHAIN=nightly overrules",
                Some("unset RUSTUP_TOOLCHAIN"),
            ),
            (
                Some(&stable),
                None,
                &by_folder,
                &[],
                Status::Warn,
                "override` of beta overrules",
                Some("rustup override unset"),
            ),
            (
                Some(&stable),
                None,
                &by_file,
                &["miri", "rust-std-wasm64"],
                Status::Warn,
                "not installed: miri",
                Some("rustup component add miri && rustup target add wasm64"),
            ),
        ];
        for (pin, variable, active, missing, status, evidence, fix) in table {
            let missing = missing.iter().map(|&name| name.to_owned()).collect();
            let check = Choice { pin, variable, active, rustc: "rustc 1.95.0", missing }.judge("/w".into());
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
    fn an_old_cargo_is_said() {
        let table =
            [((1, 95), Status::Ok), ((1, 94), Status::Ok), ((1, 93), Status::Warn), ((1, 70), Status::Warn)];
        for (release, status) in table {
            assert_eq!(judge_cargo(CargoVersion { release, nightly: false }).status, status, "{release:?}");
        }
    }
}
