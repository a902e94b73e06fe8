//! The suite's own binary in the role of the compiler: it records the call, writes empty outputs under
//! their right names and succeeds. Cargo then lays out what the real build would have.
//!
//! Questions (`-vV`, `--print`) go to the real compiler, or cargo would plan for another one.

mod outputs;

use std::process::Command;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::jobserver;
use crate::unit::Incremental;

pub(crate) use outputs::RUN_BY;

/// Names the role in which the binary was started.
pub const ROLE: &str = "XTASK_SUITE_ROLE";
/// The folder that stands in for the target dir and holds the recorded calls.
pub(crate) const SHADOW_DIR: &str = "XTASK_SUITE_SHADOW_DIR";
/// The folder below [`SHADOW_DIR`] that calls are recorded in.
pub(crate) const CALLS: &str = "calls";
/// The user's own `rustc-wrapper`, which the fake stands in for: questions are still asked through it.
pub(crate) const WRAPPER: &str = "XTASK_SUITE_WRAPPER";
/// The real rustdoc.
pub(crate) const RUSTDOC: &str = "XTASK_SUITE_RUSTDOC";

/// [`ROLE`] of the fake compiler, which cargo starts as `RUSTC_WRAPPER` and as `RUSTDOC`.
pub const ROLE_COMPILER: &str = "fake-compiler";

/// One recorded call of the compiler.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) package: String,
    pub(crate) version: String,
    pub(crate) manifest_dir: Utf8PathBuf,
    pub(crate) crate_name: String,
    pub(crate) crate_types: Vec<String>,
    pub(crate) features: Vec<String>,
    pub(crate) emit: Vec<String>,
    pub(crate) triple: Option<String>,
    pub(crate) test: bool,
    pub(crate) profile_flags: Vec<String>,
    pub(crate) metadata: Vec<String>,
    /// Whether rustc would keep an incremental folder.
    pub(crate) incremental: bool,
    /// The real compiler.
    pub(crate) compiler: Utf8PathBuf,
    pub(crate) extra_filename: String,
    pub(crate) out_dir: Utf8PathBuf,
    pub(crate) outputs: Vec<Utf8PathBuf>,
    pub(crate) documentation: bool,
    /// The files of the units it depends on.
    pub(crate) externs: Vec<Utf8PathBuf>,
    /// `OUT_DIR`: the folder of the build script run it depends on.
    pub(crate) build_script_out: Option<Utf8PathBuf>,
}

/// Plays the compiler. `args` is everything after the program's own name; the result is the exit code.
///
/// As a wrapper it is called `xtask [workspace-wrapper] rustc ARGS`; as rustdoc, `xtask ARGS`.
pub fn compiler(args: &[String]) -> Result<i32> {
    let documentation = args.first().is_some_and(|arg| arg.starts_with('-'));
    if args.iter().any(|arg| arg == "-vV" || arg == "-V" || arg.starts_with("--print")) {
        return ask_the_real_one(documentation, args);
    }
    let shadow_dir = std::env::var(SHADOW_DIR).with_context(|| format!("{SHADOW_DIR} is not set"))?;
    let shadow_dir = Utf8PathBuf::from(shadow_dir);
    let mut call = Call::parse(args);
    // The last word before the flags; a wrapper of the workspace's own may stand before it.
    let programs = args.iter().take_while(|arg| !arg.starts_with('-'));
    call.compiler = programs.last().map(Utf8PathBuf::from).unwrap_or_default();
    call.documentation = documentation;
    call.package = variable("CARGO_PKG_NAME");
    call.version = variable("CARGO_PKG_VERSION");
    call.manifest_dir = variable("CARGO_MANIFEST_DIR").into();
    call.build_script_out = std::env::var("OUT_DIR").ok().map(Utf8PathBuf::from);
    if documentation {
        call.write_documentation()?;
    } else {
        call.write_outputs()?;
    }
    let json = serde_json::to_vec(&call)?;
    let path = shadow_dir.join(CALLS).join(call.file_name(&shadow_dir));
    // Cargo starts one compiler per unit, so no two calls share a name; a kill leaves a call that does not
    // parse, and then the whole plan is made anew.
    outputs::write(path.as_std_path(), &json)?;
    Ok(0)
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// Passes the question on, through the user's own wrapper when there is one.
fn ask_the_real_one(documentation: bool, args: &[String]) -> Result<i32> {
    let (program, args) = if documentation {
        (std::env::var(RUSTDOC).unwrap_or_else(|_| "rustdoc".to_owned()), args)
    } else if let Ok(wrapper) = std::env::var(WRAPPER) {
        (wrapper, args)
    } else {
        let Some((program, rest)) = args.split_first() else {
            bail!("called as a compiler without arguments")
        };
        (program.clone(), rest)
    };
    let status = Command::new(&program)
        .args(args)
        .env_remove(ROLE)
        // A wrapper may start a server now, which outlives the plan and its jobserver.
        .env_remove(jobserver::VARIABLE)
        .status()
        .with_context(|| format!("failed to start {program}"))?;
    Ok(status.code().unwrap_or(1))
}

impl Call {
    fn parse(args: &[String]) -> Self {
        let mut call = Self::default();
        let mut words = args.iter();
        while let Some(word) = words.next() {
            // Both `--flag value` and `--flag=value` occur.
            let (flag, inline) = match word.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
                _ => (word.as_str(), None),
            };
            let mut value = || inline.clone().or_else(|| words.next().cloned()).unwrap_or_default();
            match flag {
                "--crate-name" => call.crate_name = value(),
                "--crate-type" => call.crate_types.extend(value().split(',').map(str::to_owned)),
                "--emit" => call.emit = value().split(',').map(str::to_owned).collect(),
                "--target" => call.triple = Some(value()),
                "--out-dir" | "-o" => call.out_dir = value().into(),
                "--test" => call.test = true,
                // `[options:]name[=path]`; without a path it is a crate of the toolchain.
                "--extern" => {
                    let dependency = value();
                    call.externs.extend(dependency.split_once('=').map(|(_, path)| Utf8PathBuf::from(path)));
                }
                "--cfg" => {
                    let feature = value();
                    let name = feature.strip_prefix("feature=\"").and_then(|rest| rest.strip_suffix('"'));
                    call.features.extend(name.map(str::to_owned));
                }
                "-C" => call.codegen_option(&value()),
                _ => {}
            }
        }
        call.features.sort();
        call
    }

    fn codegen_option(&mut self, option: &str) {
        const PROFILE: [&str; 10] = [
            "opt-level",
            "debuginfo",
            "debug-assertions",
            "overflow-checks",
            "lto",
            "linker-plugin-lto",
            "panic",
            "codegen-units",
            "strip",
            "split-debuginfo",
        ];
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match name {
            "metadata" => self.metadata.push(value.to_owned()),
            "incremental" => self.incremental = true,
            "extra-filename" => value.clone_into(&mut self.extra_filename),
            _ if PROFILE.contains(&name) => self.profile_flags.push(option.to_owned()),
            _ => {}
        }
    }

    /// The unit id, where the call tells it: in the file names, or (new layout) in the output folder's.
    /// A `cdylib` of a path package in the old layout has none.
    pub(crate) fn unit_id(&self) -> Option<&str> {
        let in_file_names = self.extra_filename.strip_prefix('-');
        let in_folder = || {
            let inside = self.out_dir.file_name() == Some("out");
            let folder = if inside { self.out_dir.parent()? } else { &self.out_dir };
            let name = folder.file_name()?;
            Some(name.rsplit_once('-').map_or(name, |(_, id)| id))
        };
        in_file_names.or_else(in_folder).filter(|id| is_unit_id(id))
    }

    /// What its incremental folder is named by.
    pub(crate) fn incremental(&self) -> Option<Incremental> {
        self.incremental.then(|| Incremental {
            crate_name: self.crate_name.clone(),
            metadata: self.metadata.clone(),
            program: self.makes_program(),
            compiler: self.compiler.clone(),
        })
    }

    fn makes_program(&self) -> bool {
        self.test || self.crate_types.iter().all(|kind| kind == "bin")
    }

    fn file_name(&self, shadow_dir: &Utf8Path) -> String {
        match self.unit_id() {
            Some(id) => call_file(shadow_dir, &self.out_dir, id),
            None => format!("{PENDING}{}-{}-{}.json", self.package, self.crate_name, std::process::id()),
        }
    }
}

/// The start of a recorded call's name when the call does not tell its unit id.
pub(crate) const PENDING: &str = "pending-";

/// Sixteen hex digits.
pub(crate) fn is_unit_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The name of a recorded call. The same unit id lies below two profile folders when two profiles have equal
/// settings, so it also carries a digest of the folder that the profile's files lie in.
pub(crate) fn call_file(shadow_dir: &Utf8Path, path_below: &Utf8Path, id: &str) -> String {
    let profile_dir = profile_dir_of(shadow_dir, path_below).unwrap_or_default();
    let digest = xtask_workspace::digest(profile_dir.as_str()).to_string();
    format!("{}-{id}.json", &digest[..8])
}

/// The profile's folder above `path`, relative to the shadow dir: all before the first of cargo's folders.
pub(crate) fn profile_dir_of(shadow_dir: &Utf8Path, path: &Utf8Path) -> Option<Utf8PathBuf> {
    const BELOW_PROFILE: [&str; 4] = ["deps", "build", "examples", ".fingerprint"];
    let below = path.strip_prefix(shadow_dir).ok()?;
    let parts = below.components().map(|part| part.as_str()).collect::<Vec<_>>();
    // `<t or b>/[<triple>/]<profile>/deps`: the first two are never cargo's own.
    let end = (2..parts.len()).find(|&index| BELOW_PROFILE.contains(&parts[index]))?;
    // The target dir and the build dir hold the same profiles, so which of the two does not count.
    Some(parts[1..end].iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn call(line: &str) -> Call {
        Call::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn reads_what_cargo_passes() {
        let call = call(
            "rustc --crate-name app --edition=2024 src/main.rs --crate-type bin --emit=dep-info,link -C opt-level=3 \
             -C embed-bitcode=no --cfg feature=\"b\" --cfg feature=\"a\" --check-cfg cfg(docsrs) -C metadata=m \
             -C extra-filename=-0123456789abcdef --out-dir /t/debug/deps --target wasm32-wasip1",
        );
        assert_eq!(call.crate_name, "app");
        assert_eq!(call.features, ["a", "b"]);
        assert_eq!(call.profile_flags, ["opt-level=3"]);
        assert_eq!(call.triple.as_deref(), Some("wasm32-wasip1"));
        assert_eq!(call.unit_id(), Some("0123456789abcdef"));
        let names = call.output_names();
        assert_eq!(names.keys().collect::<Vec<_>>(), ["app-0123456789abcdef.d", "app-0123456789abcdef.wasm"]);
    }

    #[test]
    fn the_unit_id_is_also_in_the_folder() {
        let table = [
            ("/t/debug/build/p-0123456789abcdef", Some("0123456789abcdef")),
            ("/t/debug/build/p/0123456789abcdef/out", Some("0123456789abcdef")),
            ("/t/debug/deps", None),
        ];
        for (folder, expected) in table {
            assert_eq!(call(&format!("rustc --out-dir {folder}")).unit_id(), expected, "{folder}");
        }
    }

    #[test]
    fn the_profile_folder_is_above_the_first_of_cargos_folders_wherever_the_shadow_dir_lies() {
        let table = [
            ("t/debug/deps", Some("debug")),
            ("t/x86/release/build/p-1/out", Some("x86/release")),
            ("b/debug/build/p/1/fingerprint", Some("debug")),
            ("t/debug/.fingerprint/p-1", Some("debug")),
            ("t/doc", None),
        ];
        let shadow_dir = Utf8Path::new("/home/me/build/deps/shadow");
        for (path, expected) in table {
            assert_eq!(profile_dir_of(shadow_dir, &shadow_dir.join(path)), expected.map(Utf8PathBuf::from));
        }
    }
}
