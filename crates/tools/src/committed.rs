//! Settings of one machine in a file that everybody gets: without the programs that they name nothing builds.

use camino::{Utf8Path, Utf8PathBuf};
use xtask_edit::TomlText;
use xtask_workspace::{Environment, tracked};

use crate::edits::{SafeFix, config_file};
use crate::link::LinkSettings;
use crate::settings::{LocalSettings, of_host, words};

/// What of the workspace's committed configuration belongs to a machine.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Committed {
    /// Relative to the root.
    pub(crate) file: Utf8PathBuf,
    /// Each key, with its value in words.
    pub(crate) keys: Vec<(Vec<String>, String)>,
    /// The same as settings of this machine.
    pub(crate) settings: LocalSettings,
}

impl Committed {
    /// Reads the file, if git tracks it. Tables `[target]` count that are true of `host`; flags do if all of them choose a
    /// linker.
    pub(crate) fn read(root: &Utf8Path, host: &str, environment: &Environment) -> Self {
        let file = config_file(root);
        let mut found = Self { file: file.clone(), ..Self::default() };
        let text = std::fs::read_to_string(root.join(&file)).unwrap_or_default();
        let Ok(toml) = TomlText::parse(&text) else { return found };
        if !tracked(root, environment).is_some_and(|files| files.contains(&file)) {
            return found;
        }
        let string = |path: &[&str]| toml.value(path).and_then(|value| value.as_str().map(str::to_owned));
        // A program of the repository's own is on every machine.
        let is_of_machine = |program: &str| {
            !program.is_empty()
                && (!program.contains('/')
                    || (Utf8Path::new(program).is_absolute() && !program.starts_with(root.as_str())))
        };
        let mut add = |path: &[&str], value: &str| {
            found.keys.push((path.iter().map(|key| (*key).to_owned()).collect(), value.to_owned()));
        };
        let mut link = LinkSettings::default();
        if let Some(wrapper) = string(&["build", "rustc-wrapper"]).filter(|program| is_of_machine(program)) {
            add(&["build", "rustc-wrapper"], &wrapper);
            found.settings.rustc_wrapper = Some(wrapper.into());
        }
        for table in of_host(toml.keys(&["target"]), root, environment, host) {
            let path = ["target", &table, "linker"];
            if let Some(linker) = string(&path).filter(|program| is_of_machine(program)) {
                add(&path, &linker);
                link.linker = Some(linker);
            }
            let path = ["target", &table, "rustflags"];
            let flags = toml.value(&path).map(|value| words(&value)).unwrap_or_default();
            if !flags.is_empty() && flags.iter().all(|flag| flag == "-C" || chooses_linker(flag)) {
                add(&path, &flags.join(" "));
                link.rustflags.extend(flags);
            }
        }
        found.settings.link = Some(link).filter(|link| !link.is_default());
        found
    }

    /// What takes the keys out of the file.
    pub(crate) fn removals(&self) -> impl Iterator<Item = SafeFix> {
        let file = &self.file;
        self.keys.iter().map(|(key, _)| SafeFix::RemoveKey { file: file.clone(), key: key.clone() })
    }
}

fn chooses_linker(flag: &str) -> bool {
    let flag = flag.trim_start_matches("-C");
    ["linker=", "link-arg=-fuse-ld=", "link-arg=--ld-path="].iter().any(|start| flag.starts_with(start))
}
