//! Cargo's own list of the units of a command: with `CARGO_LOG` for its fingerprint module it prints one
//! line per unit, fresh ones too, on stable (cargo's `core/compiler/fingerprint/mod.rs`, `prepare_target`).

use camino::{Utf8Path, Utf8PathBuf};

use crate::fake::is_unit_id;
use crate::unit::{Mode, TargetKind};

/// The value of `CARGO_LOG` that makes cargo print the lines.
pub(crate) const CARGO_LOG: &str = "cargo::core::compiler::fingerprint=debug";

/// One unit as the log names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoggedUnit {
    pub(crate) package: String,
    pub(crate) version: String,
    /// Whether the package lies on this disk.
    pub(crate) local: bool,
    pub(crate) fingerprint_dir: Utf8PathBuf,
    pub(crate) fingerprint_file: String,
    pub(crate) id: String,
    pub(crate) kind: TargetKind,
    pub(crate) target: String,
    /// `Build` stands for build and check alike: the log does not tell them apart.
    pub(crate) mode: Mode,
    pub(crate) test: bool,
}

impl LoggedUnit {
    /// Reads one line of the log; `None` for every other line.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (head, path) = line.split_once("fingerprint at: ")?;
        let package = head.split_once("package_id=")?.1.rsplit_once(" target=")?.0;
        let (name, rest) = package.split_once(" v")?;
        let (version, source) = rest.split_once(' ').unwrap_or((rest, ""));
        let path = Utf8PathBuf::from(path.trim_end());
        let fingerprint_dir = path.parent()?.to_owned();
        let fingerprint_file = path.file_name()?.to_owned();
        let (kind, target, mode, test) = what_it_is(&fingerprint_file)?;
        Some(Self {
            package: name.to_owned(),
            version: version.to_owned(),
            local: is_local(source),
            id: unit_id_of(&fingerprint_dir)?,
            fingerprint_dir,
            fingerprint_file,
            kind,
            target,
            mode,
            test,
        })
    }
}

/// In `name v1.0.0 (source)` the source of a package on this disk is its folder; of one from git, a URL.
fn is_local(source: &str) -> bool {
    let source = source.trim_start_matches("(proc-macro) ").trim_matches(['(', ')']);
    !source.is_empty() && !source.contains("://")
}

/// The unit id in a fingerprint folder: `.fingerprint/<package>-<id>` in layout v1,
/// `build/<package>/<id>/fingerprint` in v2.
fn unit_id_of(fingerprint_dir: &Utf8Path) -> Option<String> {
    let name = fingerprint_dir.file_name()?;
    let id =
        if name == "fingerprint" { fingerprint_dir.parent()?.file_name()? } else { name.rsplit_once('-')?.1 };
    is_unit_id(id).then(|| id.to_owned())
}

/// Reads the name of a fingerprint file: `test-integration-test-it`, `run-build-script-build-script-build`.
pub(crate) fn what_it_is(file: &str) -> Option<(TargetKind, String, Mode, bool)> {
    const KINDS: [(&str, TargetKind); 6] = [
        ("lib-", TargetKind::Lib),
        ("bin-", TargetKind::Bin),
        ("integration-test-", TargetKind::IntegrationTest),
        ("example-", TargetKind::Example),
        ("bench-", TargetKind::Bench),
        ("build-script-", TargetKind::BuildScript),
    ];
    let (mode, test, rest) = if let Some(rest) = file.strip_prefix("test-") {
        (Mode::Build, true, rest)
    } else if let Some(rest) = file.strip_prefix("doc-") {
        (Mode::Doc, false, rest)
    } else if let Some(rest) = file.strip_prefix("run-") {
        (Mode::RunBuildScript, false, rest)
    } else {
        (Mode::Build, false, file)
    };
    KINDS.iter().find_map(|(prefix, kind)| Some((*kind, rest.strip_prefix(prefix)?.to_owned(), mode, test)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_layouts_and_all_kinds() {
        let head = "   0.1s DEBUG prepare_target{force=false package_id=";
        let tail = "}: cargo::core::compiler::fingerprint: fingerprint at: ";
        let table = [
            (
                "app v0.1.0 (/w/my app) target=\"app\"",
                "/s/t/debug/.fingerprint/app-c1809edda26666eb/test-bin-app",
                ("app", true, "c1809edda26666eb", TargetKind::Bin, "app", Mode::Build, true),
            ),
            (
                "anyhow v1.0.104 target=\"build-script-build\"",
                "/s/t/debug/build/anyhow/338cc543f3f3df4f/fingerprint/run-build-script-build-script-build",
                (
                    "anyhow",
                    false,
                    "338cc543f3f3df4f",
                    TargetKind::BuildScript,
                    "build-script-build",
                    Mode::RunBuildScript,
                    false,
                ),
            ),
            (
                "g v0.1.0 (https://example.com/g#abc) target=\"g\"",
                "/s/t/debug/.fingerprint/g-0123456789abcdef/doc-lib-g",
                ("g", false, "0123456789abcdef", TargetKind::Lib, "g", Mode::Doc, false),
            ),
        ];
        for (package, path, expected) in table {
            let unit = LoggedUnit::parse(&format!("{head}{package}{tail}{path}")).unwrap();
            assert_eq!(
                (&*unit.package, unit.local, &*unit.id, unit.kind, &*unit.target, unit.mode, unit.test),
                expected
            );
        }
        assert!(LoggedUnit::parse("   Compiling app v0.1.0").is_none());
        assert!(
            LoggedUnit::parse("x package_id=a v1 target=\"a\"}: fingerprint at: /no/hash/lib-a").is_none()
        );
    }
}
