//! Cargo's JSON messages, as far as they are used here. They borrow from the line and skip the rest: each run has hundreds.

use std::borrow::Cow;

use serde::Deserialize;

/// One line of `--message-format=json`.
#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub(crate) enum Message<'a> {
    #[serde(borrow)]
    CompilerArtifact(Artifact<'a>),
    #[serde(borrow, rename = "compiler-message")]
    Diagnostic(Diagnostic<'a>),
    #[serde(borrow)]
    BuildScriptExecuted(ScriptOutput<'a>),
    BuildFinished {
        success: bool,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
pub(crate) struct Artifact<'a> {
    #[serde(borrow)]
    pub(crate) package_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) manifest_path: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) target: Target<'a>,
    pub(crate) profile: Profile,
    pub(crate) features: Vec<String>,
    pub(crate) filenames: Vec<String>,
    #[serde(default)]
    pub(crate) executable: Option<String>,
    pub(crate) fresh: bool,
}

#[derive(Deserialize)]
pub(crate) struct ScriptOutput<'a> {
    #[serde(borrow)]
    pub(crate) package_id: Cow<'a, str>,
    pub(crate) linked_paths: Vec<String>,
    #[serde(default)]
    pub(crate) env: Vec<(String, String)>,
    pub(crate) out_dir: String,
}

#[derive(Deserialize)]
pub(crate) struct Target<'a> {
    #[serde(borrow)]
    pub(crate) kind: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) name: Cow<'a, str>,
}

#[derive(Deserialize)]
pub(crate) struct Profile {
    pub(crate) test: bool,
}

#[derive(Deserialize)]
pub(crate) struct Diagnostic<'a> {
    #[serde(borrow)]
    pub(crate) package_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) target: Target<'a>,
    #[serde(borrow)]
    pub(crate) message: DiagnosticText<'a>,
}

#[derive(Deserialize)]
pub(crate) struct DiagnosticText<'a> {
    #[serde(borrow)]
    pub(crate) level: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) message: Cow<'a, str>,
}

impl<'a> Message<'a> {
    /// The message in `line`; `None` when the line is not cargo's (the output of a test, for example).
    pub(crate) fn parse(line: &'a str) -> Option<Self> {
        line.starts_with("{\"reason\":").then(|| serde_json::from_str(line).ok())?
    }
}

/// Name and version in a package id: `path+file:///w/app#0.1.0`, `registry+https://…#serde@1.0.0`.
pub(crate) fn name_and_version(package_id: &str) -> (&str, &str) {
    let (source, fragment) = package_id.rsplit_once('#').unwrap_or((package_id, ""));
    fragment.split_once('@').unwrap_or_else(|| {
        let path = source.split('?').next().unwrap_or(source);
        (path.rsplit('/').next().unwrap_or(path), fragment)
    })
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
        ];
        for (id, expected) in table {
            assert_eq!(name_and_version(id), expected, "{id}");
        }
    }

    #[test]
    fn the_output_of_a_test_is_not_a_message() {
        assert!(Message::parse("test result: ok").is_none());
        assert!(Message::parse("{\"reason\":\"half").is_none());
        assert!(matches!(Message::parse(r#"{"reason":"new-in-2030","x":1}"#), Some(Message::Other)));
        let finished = Message::parse(r#"{"reason":"build-finished","success":true}"#);
        assert!(matches!(finished, Some(Message::BuildFinished { success: true })));
    }
}
