//! Flags for rustc have four sources of which cargo takes one and drops the others without a word.

use xtask_workspace::{CargoConfig, Environment, target_variable};

use super::{Check, Subject, some};
use crate::settings::variables_that_void_flags;

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let workspace = subject.workspace;
    let sources =
        Sources::of(&workspace.cargo_config, &workspace.environment, &subject.machine.host, &|path| {
            subject.shown(path).to_owned()
        });
    vec![sources.judge()]
}

/// Who sets flags for rustc, in words; the strongest kind first.
#[derive(Debug, Default)]
struct Sources {
    variables: Vec<String>,
    target: Vec<String>,
    build: Vec<String>,
}

impl Sources {
    fn of(
        config: &CargoConfig,
        environment: &Environment,
        host: &str,
        shown: &dyn Fn(&camino::Utf8Path) -> String,
    ) -> Self {
        let in_files = |keys: &[&str]| {
            let key =
                keys.iter().map(|key| if key.contains('(') { format!("'{key}'") } else { (*key).to_owned() });
            let key = key.collect::<Vec<_>>().join(".");
            let files = config.set_in(keys).map(|(path, _)| format!("{key} in {}", shown(path)));
            files.collect::<Vec<_>>()
        };
        let in_variable = |name: String| environment.get(&name).is_some().then_some(name);
        // Whether a `cfg(…)` is true of the host only rustc knows: it is named where it may be.
        let tables = config.targets().into_iter().filter(|name| name == host || name.starts_with("cfg("));
        let target = tables.flat_map(|table| in_files(&["target", &table, "rustflags"]));
        Self {
            variables: variables_that_void_flags(environment).into_iter().map(str::to_owned).collect(),
            target: in_variable(target_variable(host, "RUSTFLAGS")).into_iter().chain(target).collect(),
            build: in_variable("CARGO_BUILD_RUSTFLAGS".to_owned())
                .into_iter()
                .chain(in_files(&["build", "rustflags"]))
                .collect(),
        }
    }

    fn judge(&self) -> Check {
        let Self { variables, target, build } = self;
        self.judge_kinds().with_more(variables.iter().chain(target).chain(build).cloned())
    }

    fn judge_kinds(&self) -> Check {
        const NAME: &str = "rustflags";
        let Self { variables, target, build } = self;
        let files = target.iter().chain(build).cloned().collect::<Vec<_>>();
        if let Some(variable) = variables.first() {
            if files.is_empty() {
                return Check::ok(NAME, format!("from the variable {variable} only"));
            }
            let evidence = format!("{variable} is set, and voids {}", some(&files, 4));
            return Check::warn(
                NAME,
                evidence,
                format!("unset {variable}, or put its flags where the others are"),
            );
        }
        if !target.is_empty() && !build.is_empty() {
            return Check::warn(
                NAME,
                format!("{} void {}", some(target, 3), some(build, 3)),
                "put all flags into one table, [target.…] or [build]: cargo does not join the two",
            );
        }
        match files.as_slice() {
            [] => Check::ok(NAME, "none are set"),
            files => Check::ok(NAME, format!("from {}", some(files, 4))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn sources_that_void_each_other_are_named() {
        let host = "x86_64-unknown-linux-gnu";
        let build = "[build]\nrustflags = ['-g']\n";
        let target = "[target.x86_64-unknown-linux-gnu]\nrustflags = ['-g']\n";
        let cfg = "[target.'cfg(unix)']\nrustflags = '-g'\n";
        let other = "[target.wasm32-wasip1]\nrustflags = '-g'\n";
        // the file, variables that are set; how it is, a part of the evidence
        let table = [
            (String::new(), &[][..], Status::Ok, "none are set"),
            (build.to_owned(), &[], Status::Ok, "build.rustflags in .cargo/config.toml"),
            (format!("{build}{other}"), &[], Status::Ok, "from build.rustflags"),
            (format!("{build}{target}"), &[], Status::Warn, "void build.rustflags in .cargo/config.toml"),
            (format!("{build}{cfg}"), &[], Status::Warn, "target.'cfg(unix)'.rustflags in"),
            (format!("{target}{cfg}"), &[], Status::Ok, "from "),
            (target.to_owned(), &["CARGO_BUILD_RUSTFLAGS"], Status::Warn, "void CARGO_BUILD_RUSTFLAGS"),
            (build.to_owned(), &["RUSTFLAGS"], Status::Warn, "RUSTFLAGS is set, and voids build"),
            (build.to_owned(), &["CARGO_ENCODED_RUSTFLAGS"], Status::Warn, "CARGO_ENCODED_RUSTFLAGS is set"),
            (String::new(), &["RUSTFLAGS"], Status::Ok, "RUSTFLAGS only"),
            (
                build.to_owned(),
                &["CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS"],
                Status::Warn,
                "void build.rustflags",
            ),
        ];
        for (text, variables, status, evidence) in table {
            let dir = xtask_testkit::TempDir::new("doctor-flags");
            dir.write(".cargo/config.toml", &text);
            // An empty one is set, too.
            let value = |name: &&str| if *name == "RUSTFLAGS" { "" } else { "-g" }.to_owned();
            let set = |name: &&str| ((*name).to_owned(), value(name));
            let mut environment = variables.iter().map(set).collect::<Environment>();
            environment.set("CARGO_HOME", dir.path().join("home").as_str());
            let config = CargoConfig::load(dir.path(), &environment);
            let shown = |path: &camino::Utf8Path| path.strip_prefix(dir.path()).unwrap_or(path).to_string();
            let check = Sources::of(&config, &environment, host, &shown).judge();
            assert_eq!(check.status, status, "{check:?}");
            assert!(check.evidence.contains(evidence), "{check:?}");
        }
    }
}
