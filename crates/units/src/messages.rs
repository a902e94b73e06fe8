//! Cargo's JSON messages, as far as they are used here.
//!
//! They borrow from the line and skip the rest, which matters for hundreds of messages on every run.

use std::borrow::Cow;

use serde::Deserialize;

/// One line of `--message-format=json`.
#[derive(Debug, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub(crate) enum Message<'a> {
    #[serde(borrow)]
    CompilerArtifact(Artifact<'a>),
    #[serde(borrow)]
    BuildScriptExecuted(BuildScriptRun<'a>),
    #[serde(borrow, rename = "compiler-message")]
    Diagnostic(Diagnostic<'a>),
    BuildFinished {
        success: bool,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Artifact<'a> {
    #[serde(borrow)]
    pub(crate) package_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) manifest_path: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) target: ArtifactTarget<'a>,
    #[serde(borrow)]
    pub(crate) profile: ArtifactProfile<'a>,
    pub(crate) features: Vec<String>,
    pub(crate) filenames: Vec<String>,
    pub(crate) fresh: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ArtifactTarget<'a> {
    #[serde(borrow)]
    pub(crate) kind: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) name: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ArtifactProfile<'a> {
    #[serde(borrow)]
    pub(crate) opt_level: Cow<'a, str>,
    pub(crate) test: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct BuildScriptRun<'a> {
    #[serde(borrow)]
    pub(crate) package_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) out_dir: Cow<'a, str>,
}

/// What the compiler says of a target, where it is not shown at once.
#[derive(Debug, Deserialize)]
pub(crate) struct Diagnostic<'a> {
    #[serde(borrow)]
    pub(crate) package_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) target: ArtifactTarget<'a>,
    #[serde(borrow)]
    pub(crate) message: DiagnosticText<'a>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DiagnosticText<'a> {
    #[serde(borrow)]
    pub(crate) level: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) message: Cow<'a, str>,
}

impl<'a> Message<'a> {
    /// The message in `line`; `None` when the line is none of cargo's (output of a test, for instance).
    pub(crate) fn parse(line: &'a str) -> Option<Self> {
        // Cheap first: a test may print any amount of other text.
        line.starts_with("{\"reason\":").then(|| serde_json::from_str(line).ok())?
    }
}

/// Name and version in a package id: `path+file:///w/app#0.1.0`, `registry+https://…#serde@1.0.0`, and the
/// form before cargo 1.77, `serde 1.0.0 (registry+…)`.
pub(crate) fn name_and_version(package_id: &str) -> (String, String) {
    let own = |name: &str, version: &str| (name.to_owned(), version.to_owned());
    let Some((source, fragment)) = package_id.rsplit_once('#') else {
        let mut words = package_id.split(' ');
        return own(words.next().unwrap_or_default(), words.next().unwrap_or_default());
    };
    match fragment.split_once('@') {
        Some((name, version)) => own(name, version),
        None => own(
            source.split('?').next().and_then(|path| path.rsplit('/').next()).unwrap_or_default(),
            fragment,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions_of_every_form_of_package_id() {
        let table = [
            ("path+file:///w/app#0.1.0", ("app", "0.1.0")),
            ("path+file:///w/folder#app@0.1.0", ("app", "0.1.0")),
            ("registry+https://github.com/rust-lang/crates.io-index#serde@1.0.0", ("serde", "1.0.0")),
            ("git+https://example.com/x/repo?rev=abc#1.2.3", ("repo", "1.2.3")),
            ("serde 1.0.0 (registry+https://x)", ("serde", "1.0.0")),
        ];
        for (id, (name, version)) in table {
            assert_eq!(name_and_version(id), (name.to_owned(), version.to_owned()), "{id}");
        }
    }

    #[test]
    fn a_line_of_a_test_is_no_message() {
        assert!(Message::parse("test result: ok").is_none());
        assert!(Message::parse("{\"reason\":\"half").is_none());
        assert!(matches!(Message::parse(r#"{"reason":"new-in-2030","x":1}"#), Some(Message::Other)));
        let finished = Message::parse(r#"{"reason":"build-finished","success":true}"#);
        assert!(matches!(finished, Some(Message::BuildFinished { success: true })));
    }
}
