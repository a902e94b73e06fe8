//! The suite's own program in the role of the compiler: it records the call, writes empty outputs under the right names and
//! succeeds. So cargo lays out what the real build would have.
//!
//! Queries (`-vV`, `--print`) go to the real compiler, or cargo would plan for another one.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::shadow::JOBSERVER;
use crate::unit::Incremental;

/// The variable with the role in which the program was started.
pub const ROLE: &str = "XTASK_SUITE_ROLE";
/// The value of [`ROLE`] for the fake compiler, which cargo starts as `RUSTC_WRAPPER` and as `RUSTDOC`.
pub const ROLE_COMPILER: &str = "fake-compiler";
/// The folder that stands in for the target dir and holds the recorded calls.
pub(crate) const SHADOW_DIR: &str = "XTASK_SUITE_SHADOW_DIR";
/// The folder of recorded calls in [`SHADOW_DIR`].
pub(crate) const CALLS: &str = "calls";
/// The user's own `rustc-wrapper`, which the fake replaces: queries still go through it.
pub(crate) const WRAPPER: &str = "XTASK_SUITE_WRAPPER";
pub(crate) const RUSTDOC: &str = "XTASK_SUITE_RUSTDOC";

/// The start of a recorded call's name when the call does not contain its unit id.
pub(crate) const PENDING: &str = "pending-";
/// The start of the name of the file that a fake build script leaves.
pub(crate) const RUN_BY: &str = "xtask-suite-run-by-";

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
    /// Whether rustc would write an incremental folder.
    pub(crate) incremental: bool,
    pub(crate) compiler: Utf8PathBuf,
    pub(crate) extra_filename: String,
    pub(crate) out_dir: Utf8PathBuf,
    pub(crate) outputs: Vec<Utf8PathBuf>,
    pub(crate) documentation: bool,
    /// The files of its dependencies.
    pub(crate) externs: Vec<Utf8PathBuf>,
    /// `OUT_DIR`: the folder of the build script run that it depends on.
    pub(crate) build_script_out: Option<Utf8PathBuf>,
}

/// Plays the compiler. `args` is everything after the program's own name; returns the exit code.
///
/// As a wrapper it is called as `xtask [workspace-wrapper] rustc ARGS`, as rustdoc as `xtask ARGS`.
pub fn compiler(args: &[String]) -> Result<i32> {
    let documentation = args.first().is_some_and(|arg| arg.starts_with('-'));
    if args.iter().any(|arg| arg == "-vV" || arg == "-V" || arg.starts_with("--print")) {
        return ask_the_real_one(documentation, args);
    }
    let variable = |name| std::env::var(name).unwrap_or_default();
    let shadow_dir = std::env::var(SHADOW_DIR).with_context(|| format!("{SHADOW_DIR} is not set"))?;
    let shadow_dir = Utf8PathBuf::from(shadow_dir);
    let mut call = Call::parse(args);
    // The last word before the flags; the workspace's own wrapper may come before it.
    let programs = args.iter().take_while(|arg| !arg.starts_with('-'));
    call.compiler = programs.last().map(Utf8PathBuf::from).unwrap_or_default();
    call.documentation = documentation;
    call.package = variable("CARGO_PKG_NAME");
    call.version = variable("CARGO_PKG_VERSION");
    call.manifest_dir = variable("CARGO_MANIFEST_DIR").into();
    call.build_script_out = std::env::var("OUT_DIR").ok().map(Utf8PathBuf::from);
    call.write_outputs()?;
    // No two calls share a name, as cargo starts one compiler per unit. A killed one leaves a call that does not parse, and
    // then the whole plan is made again.
    let path = shadow_dir.join(CALLS).join(call.file_name(&shadow_dir));
    write(&path, &serde_json::to_vec(&call)?)?;
    Ok(0)
}

/// Passes a query on, through the user's own wrapper if there is one.
fn ask_the_real_one(documentation: bool, args: &[String]) -> Result<i32> {
    let (program, args) = if documentation {
        (std::env::var(RUSTDOC).unwrap_or_else(|_| "rustdoc".to_owned()), args)
    } else if let Ok(wrapper) = std::env::var(WRAPPER) {
        (wrapper, args)
    } else {
        let [program, rest @ ..] = args else { bail!("called as a compiler without arguments") };
        (program.clone(), rest)
    };
    let status = Command::new(&program)
        .args(args)
        .env_remove(ROLE)
        // A wrapper may start a server now, which outlives the plan and its jobserver.
        .env_remove(JOBSERVER)
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
                // `[options:]name[=path]`; a crate of the toolchain has no path.
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

    /// The unit id, where the call contains it: in the file names, or in that of the output folder.
    /// A `cdylib` of a path package has none in layout v1.
    pub(crate) fn unit_id(&self) -> Option<&str> {
        let in_folder = || {
            let inside = self.out_dir.file_name() == Some("out");
            let folder = if inside { self.out_dir.parent()? } else { &self.out_dir };
            let name = folder.file_name()?;
            Some(name.rsplit_once('-').map_or(name, |(_, id)| id))
        };
        self.extra_filename.strip_prefix('-').or_else(in_folder).filter(|id| is_unit_id(id))
    }

    /// What the name of its incremental folder depends on.
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

    /// Writes what this call would make, but empty.
    fn write_outputs(&mut self) -> Result<()> {
        let create = |folder: &Utf8Path| {
            fs::create_dir_all(folder).with_context(|| format!("failed to create folder {folder}"))
        };
        if self.documentation {
            let folder = self.out_dir.join(&self.crate_name);
            create(&folder)?;
            write(&folder.join("index.html"), b"")?;
            self.outputs.push(folder);
            return Ok(());
        }
        create(&self.out_dir)?;
        for name in self.output_names() {
            let path = self.out_dir.join(name);
            // rustc replaces its outputs; cargo hard-links them, so writing to the old file would change the link.
            let _ = fs::remove_file(&path);
            match path.extension() {
                // Without inputs: a source edit changes no unit, so the kept plan stays fresh.
                Some("d") => write(&path, format!("{path}:\n").as_bytes())?,
                Some("rmeta") => write(&path, b"")?,
                _ if self.makes_program() => write_program(&path, self.unit_id().unwrap_or_default())?,
                _ => write(&path, b"")?,
            }
            self.outputs.push(path);
        }
        Ok(())
    }

    fn output_names(&self) -> BTreeSet<String> {
        let stem = format!("{}{}", self.crate_name, self.extra_filename);
        let emits = |what: &str| self.emit.iter().any(|emit| emit == what);
        let mut names = BTreeSet::new();
        if emits("dep-info") {
            names.insert(format!("{stem}.d"));
        }
        if emits("metadata") {
            names.insert(format!("lib{stem}.rmeta"));
        }
        if emits("link") {
            let triple = self.triple.as_deref();
            if self.makes_program() {
                names.insert(output_name("bin", &stem, triple));
            } else {
                names.extend(self.crate_types.iter().map(|kind| output_name(kind, &stem, triple)));
            }
        }
        names
    }
}

/// What each platform calls a linked output.
fn output_name(crate_type: &str, stem: &str, triple: Option<&str>) -> String {
    let is = |word: &str, host: bool| triple.map_or(host, |triple| triple.contains(word));
    let wasm = is("wasm", false);
    let windows = is("windows", cfg!(windows));
    let (prefix, suffix) = match crate_type {
        // The compiler loads it, so it is named for the host.
        "proc-macro" => (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX),
        "bin" | "dylib" | "cdylib" if wasm => ("", ".wasm"),
        "bin" if windows => ("", ".exe"),
        "bin" => ("", ""),
        "dylib" | "cdylib" if windows => ("", ".dll"),
        "dylib" | "cdylib" if is("apple", cfg!(target_vendor = "apple")) => ("lib", ".dylib"),
        "dylib" | "cdylib" => ("lib", ".so"),
        "staticlib" if is("msvc", cfg!(target_env = "msvc")) => ("", ".lib"),
        "staticlib" => ("lib", ".a"),
        _ => ("lib", ".rlib"),
    };
    format!("{prefix}{stem}{suffix}")
}

#[expect(clippy::disallowed_methods, reason = "an output of the fake compiler in its own folder")]
fn write(path: &Utf8Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("failed to write {path}"))
}

/// A program that does nothing, like a build script that prints nothing.
///
/// It leaves a file named after its own unit beside its output folder: so the plan knows which build script a run belongs
/// to. `rerun-if-changed` on a file that stays the same keeps the run fresh.
#[cfg(unix)]
fn write_program(path: &Utf8Path, unit_id: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let script = format!(
        "#!/bin/sh\n[ -z \"$OUT_DIR\" ] || : > \"${{OUT_DIR%/*}}/{RUN_BY}{unit_id}\"\n\
         echo cargo:rerun-if-changed=Cargo.toml\n"
    );
    write(path, script.as_bytes())?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("failed to make {path} executable"))
}

/// A copy of this program, which in its role does nothing unless it is called as a compiler.
#[cfg(not(unix))]
fn write_program(path: &Utf8Path, _unit_id: &str) -> Result<()> {
    let own = std::env::current_exe().context("failed to find this program's file")?;
    fs::copy(&own, path).map(|_| ()).with_context(|| format!("failed to write {path}"))
}

pub(crate) fn is_unit_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The name of a recorded call. It also contains a digest of the profile's folder: when two profiles have equal settings,
/// their units have the same ids.
pub(crate) fn call_file(shadow_dir: &Utf8Path, path_below: &Utf8Path, id: &str) -> String {
    let profile_dir = profile_dir_of(shadow_dir, path_below).unwrap_or_default();
    let digest = xtask_workspace::digest(profile_dir.as_str()).to_string();
    format!("{}-{id}.json", &digest[..8])
}

/// The profile's folder above `path`, relative to the shadow dir: everything before the first of cargo's folders.
pub(crate) fn profile_dir_of(shadow_dir: &Utf8Path, path: &Utf8Path) -> Option<Utf8PathBuf> {
    const BELOW_PROFILE: [&str; 4] = ["deps", "build", "examples", ".fingerprint"];
    let below = path.strip_prefix(shadow_dir).ok()?;
    let parts = below.components().map(|part| part.as_str()).collect::<Vec<_>>();
    // `<t or b>/[<triple>/]<profile>/deps`: the first two are never cargo's folders.
    let end = (2..parts.len()).find(|&index| BELOW_PROFILE.contains(&parts[index]))?;
    // The target dir and the build dir contain the same profiles, so it does not matter which of the two it is.
    Some(parts[1..end].iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(line: &str) -> Call {
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
        let names = call.output_names().into_iter().collect::<Vec<_>>();
        assert_eq!(names, ["app-0123456789abcdef.d", "app-0123456789abcdef.wasm"]);
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

    #[test]
    fn every_crate_type_has_its_names() {
        let names = |line: &str| call(line).output_names().into_iter().collect::<Vec<_>>().join(" ");
        let lib = "--crate-name a --crate-type lib -C extra-filename=-H";
        let linux = "--target x86_64-unknown-linux-gnu";
        let table = [
            (format!("{lib} --emit=dep-info,metadata,link"), "a-H.d liba-H.rlib liba-H.rmeta"),
            (format!("{lib} --emit=dep-info,metadata"), "a-H.d liba-H.rmeta"),
            (format!("{lib} --emit=dep-info,link --test {linux}"), "a-H a-H.d"),
            (
                format!(
                    "--crate-name a --crate-type cdylib --crate-type staticlib --crate-type rlib --emit=dep-info,link {linux}"
                ),
                "a.d liba.a liba.rlib liba.so",
            ),
            (
                "--crate-name a --crate-type cdylib --emit=dep-info,link --target x86_64-pc-windows-msvc"
                    .to_owned(),
                "a.d a.dll",
            ),
        ];
        for (line, expected) in table {
            assert_eq!(names(&line), expected, "{line}");
        }
    }
}
