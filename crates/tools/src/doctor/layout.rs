//! Scripts that name places inside the build dir: cargo 1.100 moves them.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use super::{Check, Patient, some};

/// So many files, of so many bytes, are read.
const MOST_FILES: usize = 300;
const MOST_BYTES: u64 = 256 << 10;
/// Folders whose files are scripts, whatever they are called.
const FOLDERS: [&str; 6] = [".ci", ".github/workflows", ".github/actions", "ci", "scripts", "script"];
/// Files that are scripts.
const FILES: [&str; 9] = [
    ".gitlab-ci.yml",
    "Dockerfile",
    "GNUmakefile",
    "Justfile",
    "Makefile",
    "Makefile.toml",
    "justfile",
    "makefile",
    ".travis.yml",
];

pub(super) fn check(patient: &Patient<'_>) -> Vec<Check> {
    let root = patient.root();
    let files = match &patient.tracked {
        Some(tracked) => tracked.iter().filter(|path| is_script(path)).take(MOST_FILES).cloned().collect(),
        None => untracked(root),
    };
    let mut named = Vec::new();
    for file in &files {
        let path = root.join(file);
        if fs::symlink_metadata(&path)
            .is_ok_and(|metadata| metadata.is_file() && metadata.len() <= MOST_BYTES)
        {
            // What is no text names nothing.
            let text = fs::read_to_string(&path).unwrap_or_default();
            named.extend(
                outdated(&text).into_iter().map(|(line, text)| (format!("{file}:{line}"), text.to_owned())),
            );
        }
    }
    vec![judge(files.len(), &named)]
}

/// Whether a file, relative to the root, is a script of the workspace.
fn is_script(path: &Utf8Path) -> bool {
    let top = path.components().count() == 1;
    FOLDERS.iter().any(|folder| path.starts_with(folder))
        || (top && (path.extension() == Some("sh") || FILES.iter().any(|name| path == *name)))
}

/// Without git: the files at the top, and right in the folders of scripts.
fn untracked(root: &Utf8Path) -> Vec<Utf8PathBuf> {
    let entries = [""]
        .iter()
        .chain(&FOLDERS)
        .flat_map(|folder| root.join(folder).read_dir_utf8().into_iter().flatten().flatten());
    let paths = entries.filter_map(|entry| entry.path().strip_prefix(root).ok().map(Utf8Path::to_owned));
    let mut paths = paths
        .filter(|path| is_script(path) && root.join(path).is_file())
        .take(MOST_FILES)
        .collect::<Vec<_>>();
    paths.sort();
    paths
}

/// The lines that name a place inside the build dir of layout v1, with their numbers.
fn outdated(text: &str) -> Vec<(usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.starts_with('#') && !line.starts_with("//") && names_inside(line))
        .collect()
}

fn names_inside(line: &str) -> bool {
    if line.contains(".fingerprint") {
        return true;
    }
    line.split(|c: char| c.is_whitespace() || "\"'`;|&()=,".contains(c)).any(|word| {
        let mut parts =
            word.split('/').skip_while(|part| *part != "target" && !part.contains("TARGET_DIR")).skip(1);
        // A profile, maybe behind a triple; then the folder of layout v1.
        let inside = parts.by_ref().take(3).position(|part| part == "deps" || part == "build");
        inside.is_some_and(|at| at > 0)
    })
}

fn judge(looked_at: usize, named: &[(String, String)]) -> Check {
    const NAME: &str = "layout";
    if named.is_empty() {
        let scripts =
            if looked_at == 1 { "1 script names".to_owned() } else { format!("{looked_at} scripts name") };
        return Check::ok(NAME, format!("{scripts} no place inside the build dir"));
    }
    let places = named.iter().map(|(place, _)| place).collect::<Vec<_>>();
    let evidence = format!("places that cargo 1.100 moves are named in {}", some(&places, 4));
    Check::warn(NAME, evidence, "take paths from cargo's JSON messages (--message-format=json)")
        .with_more(named.iter().map(|(place, line)| format!("{place}: {line}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn places_inside_the_build_dir_are_told_from_final_artifacts() {
        let table = [
            ("cp target/release/app out/", false),
            ("ls target/debug/deps/app-*", true),
            ("ls \"$CARGO_TARGET_DIR/debug/deps\"", true),
            ("kcov ./target/x86_64-unknown-linux-gnu/release/deps/x", true),
            ("cat target/*/build/*/out/bindings.rs", true),
            ("rm -rf target/debug/.fingerprint/x-*", true),
            ("path: target/debug/build/**/out", true),
            ("# target/debug/deps", false),
            ("make deps && cd target/build", false),
            ("rm -rf target", false),
            ("cd build/target/docs", false),
        ];
        for (line, inside) in table {
            assert_eq!(!outdated(line).is_empty(), inside, "{line}");
        }
        assert_eq!(outdated("a\nb target/debug/deps\n"), [(2, "b target/debug/deps")]);
        assert_eq!(judge(1, &[("ci/x:2".into(), "b".into())]).status, Status::Warn);
        assert_eq!(judge(1, &[]).status, Status::Ok);
    }

    #[test]
    fn scripts_are_told_by_their_places() {
        for (path, is) in [
            ("build.sh", true),
            ("sub/build.sh", false),
            ("scripts/a/b", true),
            (".github/workflows/ci.yml", true),
            ("Makefile", true),
            ("src/ci.rs", false),
            ("cinema/x", false),
        ] {
            assert_eq!(is_script(path.into()), is, "{path}");
        }
        let dir = xtask_testkit::TempDir::new("doctor-layout");
        dir.write("run.sh", "");
        dir.write("ci/test", "");
        dir.write("src/x.sh", "");
        assert_eq!(untracked(dir.path()), ["ci/test", "run.sh"]);
    }
}
