//! What the fake compiler leaves: files under the names that the real one would give them on each platform.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Call;

impl Call {
    /// Writes what this call would make, but nothing into it.
    pub(super) fn write_outputs(&mut self) -> Result<()> {
        let names = self.output_names();
        fs::create_dir_all(&self.out_dir).with_context(|| format!("failed to create {}", self.out_dir))?;
        for (name, executable) in names {
            let path = self.out_dir.join(name);
            // rustc replaces its outputs; cargo hard-links them, so writing through would change the link.
            let _ = fs::remove_file(&path);
            if path.extension() == Some("d") {
                // No inputs: a source edit changes no unit, so the kept plan stays fresh.
                write(path.as_std_path(), format!("{path}:\n").as_bytes())?;
            } else if executable {
                write_executable(path.as_std_path(), self.unit_id().unwrap_or_default())?;
            } else {
                write(path.as_std_path(), b"")?;
            }
            self.outputs.push(path);
        }
        Ok(())
    }

    /// The page that rustdoc would make, empty.
    pub(super) fn write_documentation(&mut self) -> Result<()> {
        let folder = self.out_dir.join(&self.crate_name);
        fs::create_dir_all(&folder).with_context(|| format!("failed to create {folder}"))?;
        write(folder.join("index.html").as_std_path(), b"")?;
        self.outputs.push(folder);
        Ok(())
    }

    /// File names, and whether each must be a program.
    pub(super) fn output_names(&self) -> BTreeMap<String, bool> {
        let (name, extra) = (&self.crate_name, &self.extra_filename);
        let naming = Naming::of(self.triple.as_deref());
        let emits = |what: &str| self.emit.iter().any(|emit| emit == what);
        let mut names = BTreeMap::new();
        if emits("dep-info") {
            names.insert(format!("{name}{extra}.d"), false);
        }
        if emits("metadata") {
            names.insert(format!("lib{name}{extra}.rmeta"), false);
        }
        if emits("link") {
            if self.makes_program() {
                names.insert(format!("{name}{extra}{}", naming.program_suffix), true);
            } else {
                names.extend(
                    self.crate_types.iter().map(|kind| (naming.file(kind, &format!("{name}{extra}")), false)),
                );
            }
        }
        names
    }
}

/// What a platform calls its files.
struct Naming {
    program_suffix: &'static str,
    dynamic: (&'static str, &'static str),
    archive: (&'static str, &'static str),
}

impl Naming {
    fn of(triple: Option<&str>) -> Self {
        let windows = triple.map_or(cfg!(windows), |triple| triple.contains("windows"));
        let msvc = triple.map_or(cfg!(target_env = "msvc"), |triple| triple.contains("msvc"));
        let apple = triple.map_or(cfg!(target_vendor = "apple"), |triple| triple.contains("apple"));
        let wasm = triple.is_some_and(|triple| triple.starts_with("wasm"));
        let archive = if msvc { ("", ".lib") } else { ("lib", ".a") };
        if wasm {
            Self { program_suffix: ".wasm", dynamic: ("", ".wasm"), archive }
        } else if windows {
            Self { program_suffix: ".exe", dynamic: ("", ".dll"), archive }
        } else if apple {
            Self { program_suffix: "", dynamic: ("lib", ".dylib"), archive }
        } else {
            Self { program_suffix: "", dynamic: ("lib", ".so"), archive }
        }
    }

    fn file(&self, crate_type: &str, stem: &str) -> String {
        let (prefix, suffix) = match crate_type {
            // Loaded by the compiler, so it is named for the host.
            "proc-macro" => (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX),
            "dylib" | "cdylib" => self.dynamic,
            "staticlib" => self.archive,
            "bin" => ("", self.program_suffix),
            _ => ("lib", ".rlib"),
        };
        format!("{prefix}{stem}{suffix}")
    }
}

#[expect(clippy::disallowed_methods, reason = "an output of the fake compiler in its own folder")]
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("failed to write {}", path.display()))
}

/// A program that does nothing, as a build script that prints nothing would.
///
/// It leaves a file named after its own unit beside its output folder: that is how the plan knows which
/// build script a run belongs to. `rerun-if-changed` on a file that stays the same keeps the run fresh.
#[cfg(unix)]
fn write_executable(path: &Path, unit_id: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let script = format!(
        "#!/bin/sh\n[ -z \"$OUT_DIR\" ] || : > \"${{OUT_DIR%/*}}/{RUN_BY}{unit_id}\"\n\
         echo cargo:rerun-if-changed=Cargo.toml\n"
    );
    write(path, script.as_bytes())?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("failed to make {} a program", path.display()))
}

/// A copy of this program, which in its role does nothing when it is not called as a compiler.
#[cfg(not(unix))]
fn write_executable(path: &Path, _unit_id: &str) -> Result<()> {
    let own = std::env::current_exe().context("failed to find this program's file")?;
    fs::copy(&own, path).map(|_| ()).with_context(|| format!("failed to write {}", path.display()))
}

/// Start of the name of the file that a fake build script leaves.
pub(crate) const RUN_BY: &str = "xtask-suite-run-by-";

#[cfg(test)]
mod tests {
    use super::super::tests::call;

    #[test]
    fn every_crate_type_has_its_names() {
        let names = |line: &str| call(line).output_names().into_keys().collect::<Vec<_>>().join(" ");
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
