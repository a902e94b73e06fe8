//! What a machine lacks that a workspace demands: its toolchain, or a program that wraps the compiler.
//!
//! rustup and cargo say it in many lines, or in the words of the operating system. Here it is one line, and what to do.

use camino::{Utf8Path, Utf8PathBuf};
use toml_edit::DocumentMut;

use crate::{Environment, EnvironmentLacks, LOCAL_FILE, on_path};

/// Cargo's variables that name a wrapper of the compiler; empty, they void that of every file.
pub(crate) const WRAPPERS: [&str; 2] = ["RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"];

/// The toolchain file that counts in `dir`, and the channel that it pins: the nearest, and of two in one folder the one
/// without extension. `None` if there is none, or if it names a folder instead of a channel.
pub fn pinned_toolchain(dir: &Utf8Path) -> Option<(Utf8PathBuf, String)> {
    let names = ["rust-toolchain", "rust-toolchain.toml"];
    let mut files = dir.ancestors().flat_map(|folder| names.map(|name| folder.join(name)));
    let (text, file) = files.find_map(|file| Some((std::fs::read_to_string(&file).ok()?, file)))?;
    Some((file, channel(&text)?))
}

fn channel(text: &str) -> Option<String> {
    match text.parse::<DocumentMut>().ok().and_then(|document| document.get("toolchain").cloned()) {
        Some(table) => table.get("channel")?.as_str().map(str::to_owned),
        // The old form: the channel alone.
        None => text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned),
    }
}

/// What a failed call of cargo in `dir` says of the toolchain, if that is the reason.
pub(crate) fn missing_toolchain(
    dir: &Utf8Path,
    environment: &Environment,
    stderr: &str,
) -> Option<EnvironmentLacks> {
    if !stderr.contains("is not installed") && !stderr.contains("rustup toolchain install") {
        return None;
    }
    let variable =
        environment.get("RUSTUP_TOOLCHAIN").map(|name| ("RUSTUP_TOOLCHAIN".into(), name.to_owned()));
    let Some((by, channel)) = variable.or_else(|| pinned_toolchain(dir)) else {
        let said = stderr.lines().next().unwrap_or_default().trim_start_matches("error: ");
        return Some(EnvironmentLacks::with_fix(
            said,
            "rustup show lists the toolchains; rustup default stable",
        ));
    };
    let what = format!("{by} asks for {channel}, which is not installed: every cargo command fails");
    Some(EnvironmentLacks::with_fix(&what, &format!("rustup toolchain install {channel}")))
}

/// What is missing if `program`, which wraps the compiler because `by` says so, does not exist.
pub fn missing_wrapper(program: &str, by: &str, environment: &Environment) -> Option<EnvironmentLacks> {
    if program_at(program, environment).is_some() {
        return None;
    }
    let what = format!("{program}, set by {by}, does not exist: cargo cannot start rustc");
    let is_cache = Utf8Path::new(program).file_stem() == Some("sccache");
    let fix = if by.ends_with(LOCAL_FILE) {
        // With it cargo cannot start us, either.
        format!("rm .cargo/{LOCAL_FILE} && cargo xtask setup")
    } else if is_cache {
        "cargo xtask setup".to_owned()
    } else {
        format!("install it, or remove it from {by}")
    };
    Some(EnvironmentLacks::with_fix(&what, &fix))
}

/// The path of a program, without links; `None` if there is no such file.
pub fn program_at(program: &str, environment: &Environment) -> Option<Utf8PathBuf> {
    let path = if program.contains('/') { Some(program.into()) } else { on_path(program, environment) }?;
    path.is_file().then(|| path.canonicalize_utf8().unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_toolchain_files_are_read() {
        let table = [
            ("stable\n", Some("stable")),
            ("[toolchain]\nchannel = \"1.90\"\ncomponents = [\"clippy\"]\n", Some("1.90")),
            ("[toolchain]\npath = \"/opt/rust\"\n", None),
        ];
        for (text, expected) in table {
            assert_eq!(channel(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn who_demands_what_is_missing_is_named_with_the_fix() {
        let dir = xtask_testkit::TempDir::new("lacks");
        dir.write("rust-toolchain.toml", "[toolchain]\nchannel = \"1.11.0\"\n");
        let mut environment = Environment::default();
        let said = "error: toolchain '1.11.0' is not installed\nhelp: run `rustup toolchain install`\n";
        let lacks = |environment: &Environment, said| missing_toolchain(dir.path(), environment, said);
        let file = lacks(&environment, said).unwrap();
        assert!(file.what().contains("rust-toolchain.toml asks for 1.11.0"), "{file}");
        assert_eq!(file.fix(), Some("rustup toolchain install 1.11.0"));
        environment.set("RUSTUP_TOOLCHAIN", "beta");
        assert_eq!(lacks(&environment, said).unwrap().fix(), Some("rustup toolchain install beta"));
        assert!(lacks(&environment, "error: no such manifest").is_none());

        environment.set("PATH", dir.path().as_str());
        let missing = |program, by| missing_wrapper(program, by, &environment);
        assert!(missing("/bin/sh", "a").is_none());
        assert_eq!(missing("sccache", "a.toml").unwrap().fix(), Some("cargo xtask setup"));
        assert_eq!(missing("wrap", "a.toml").unwrap().fix(), Some("install it, or remove it from a.toml"));
    }
}
