//! The dep-info files that rustc writes (`.d`, in the format of make) and what build scripts asked cargo to
//! watch: which files and variables a unit was made from.

use std::fs;
use std::path::{Path, PathBuf};

use camino::{Utf8Path, Utf8PathBuf};

/// What a unit was made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Inputs {
    /// Files (or folders, where a build script watches one).
    pub(crate) files: Vec<Utf8PathBuf>,
    /// Variables with the value they had; `None` when they were not set.
    pub(crate) variables: Vec<(String, Option<String>)>,
    /// A build script that named nothing: cargo then watches its whole package.
    pub(crate) whole_package: bool,
}

/// Reads rustc's dep-info. Relative paths in it are relative to `dir`, the folder rustc ran in.
pub(crate) fn of_compiler(dep_info: &Utf8Path, dir: &Utf8Path) -> Option<Inputs> {
    let text = fs::read_to_string(dep_info).ok()?;
    let mut inputs = Inputs::default();
    for line in text.lines() {
        if let Some(variable) = line.strip_prefix("# env-dep:") {
            let (name, value) =
                variable.split_once('=').map_or((variable, None), |(name, value)| (name, Some(value)));
            inputs.variables.push((name.to_owned(), value.map(unescape_variable)));
        } else if let Some((_, files)) = line.split_once(": ") {
            // The first rule, of the dep-info file itself or of an output, lists all inputs.
            if inputs.files.is_empty() {
                inputs.files = split_words(files).into_iter().map(|file| dir.join(file)).collect();
            }
        }
    }
    Some(inputs)
}

/// The names of the files in its own folder that a dep-info file says how to make; none where no Rust source is made into
/// them, as in a file of another compiler's.
pub fn outputs(dep_info: &Path) -> Vec<String> {
    // Longer than that of any crate; and opening a pipe would wait for its other end.
    const LONGEST: u64 = 64 << 20;
    let is_file = fs::symlink_metadata(dep_info).is_ok_and(|found| found.is_file() && found.len() <= LONGEST);
    let text = is_file.then(|| fs::read_to_string(dep_info).ok()).flatten();
    let Some(text) = text.filter(|text| text.contains(".rs")) else { return Vec::new() };
    let folder = dep_info.parent().and_then(Path::file_name);
    let output = |line: &str| {
        let (path, _) = line.split_once(": ").or_else(|| Some((line.strip_suffix(':')?, "")))?;
        let path = PathBuf::from(path.replace("\\ ", " "));
        // By the names alone: the way there may have led through a link, or be relative to what cargo was told.
        let is_own = path.parent().and_then(Path::file_name) == folder;
        path.file_name().filter(|_| is_own)?.to_str().map(str::to_owned)
    };
    text.lines().filter_map(output).collect()
}

/// Reads what a build script printed, kept by cargo in `output`. Paths are relative to the package.
pub(crate) fn of_build_script(output: &Utf8Path, package_dir: &Utf8Path) -> Option<Inputs> {
    let text = String::from_utf8_lossy(&fs::read(output).ok()?).into_owned();
    let mut inputs = Inputs::default();
    let mut named = false;
    for line in text.lines() {
        let Some(instruction) = line.strip_prefix("cargo::").or_else(|| line.strip_prefix("cargo:")) else {
            continue;
        };
        if let Some(path) = instruction.strip_prefix("rerun-if-changed=") {
            inputs.files.push(package_dir.join(path));
            named = true;
        }
        named |= instruction.starts_with("rerun-if-env-changed=");
    }
    inputs.whole_package = !named;
    Some(inputs)
}

/// The names of the variables that a build script set with `rustc-env`, from what it printed.
pub(crate) fn variables_of_build_script(output: &Utf8Path) -> Option<Vec<String>> {
    let text = String::from_utf8_lossy(&fs::read(output).ok()?).into_owned();
    let set = text.lines().filter_map(|line| {
        let instruction = line.strip_prefix("cargo::").or_else(|| line.strip_prefix("cargo:"))?;
        Some(instruction.strip_prefix("rustc-env=")?.split_once('=')?.0.to_owned())
    });
    Some(set.collect())
}

/// Splits at spaces that are not escaped with a backslash.
fn split_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => word.push(characters.next().filter(|next| *next != '\\').map_or('\\', |next| next)),
            ' ' => words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            c => word.push(c),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

/// rustc escapes newlines and backslashes in values (`compiler/rustc_interface/src/passes.rs`).
fn unescape_variable(value: &str) -> String {
    value.replace("\\n", "\n").replace("\\r", "\r").replace("\\\\", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask_testkit::TempDir;

    #[test]
    fn reads_files_variables_and_escaped_spaces() {
        let dir = TempDir::new("dep-info");
        dir.write("x.d", "/t/x.d: src/lib.rs src/my\\ file.rs /abs/data.txt\n\nsrc/lib.rs:\n\n# env-dep:A=1\n# env-dep:B\n");
        let inputs = of_compiler(&dir.path().join("x.d"), Utf8Path::new("/w")).unwrap();
        assert_eq!(inputs.files, ["/w/src/lib.rs", "/w/src/my file.rs", "/abs/data.txt"]);
        assert_eq!(inputs.variables, [("A".to_owned(), Some("1".to_owned())), ("B".to_owned(), None)]);
    }

    #[test]
    fn only_files_beside_it_are_its_outputs() {
        let dir = TempDir::new("dep-info-outputs");
        let outputs = |text: &str| {
            dir.write("deps/x.d", text);
            outputs(dir.path().join("deps/x.d").as_std_path())
        };
        let of_rustc = "/my\\ w/deps/x.d: a.rs\n\n/my\\ w/deps/libx.so: a.rs\n\na.rs:\n";
        assert_eq!(outputs(of_rustc), ["x.d", "libx.so"]);
        assert_eq!(outputs("/elsewhere/x: a.rs\nnotes: of mine\n"), Vec::<String>::new());
    }

    #[test]
    fn a_build_script_that_names_nothing_watches_its_package() {
        let dir = TempDir::new("build-output");
        dir.write("quiet", "cargo:rustc-cfg=x\n");
        dir.write("one", "cargo::rerun-if-changed=proto/a.proto\n");
        dir.write("env", "cargo:rerun-if-env-changed=CC\n");
        let read = |name: &str| of_build_script(&dir.path().join(name), Utf8Path::new("/p")).unwrap();
        assert!(read("quiet").whole_package);
        assert_eq!(read("one").files, ["/p/proto/a.proto"]);
        assert!(!read("one").whole_package && !read("env").whole_package);
    }
}
