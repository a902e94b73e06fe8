//! The catalog of tools: the built-in one, with what a workspace changes and adds.

use anyhow::{Context, Result, anyhow};
use camino::Utf8Path;
use xtask_workspace::config::{Config, Effect, Need, Proof, Tool};
use xtask_workspace::{Facts, WrongUsage};

/// The built-in catalog, in the form of `xtask.toml`.
const CATALOG: &str = include_str!("catalog.toml");

/// The tools that are useful on `host`: those of the built-in catalog as `overrides` change them, then the workspace's
/// own, unwanted ones included. Defaults that depend on the name are filled in, and only this host's archives are left.
///
/// Fails as wrong usage for a linker without `link-with`.
pub fn catalog(overrides: &[Tool], host: &str) -> Result<Vec<Tool>> {
    let built_in = Config::parse(CATALOG, Utf8Path::new("catalog.toml"), &Facts::default(), &[])
        .map_err(|error| anyhow!("{error}"))
        .context("failed to read the built-in catalog of tools")?;
    let mut tools = built_in.tools;
    for own in overrides {
        match tools.iter_mut().find(|known| known.name == own.name) {
            Some(known) => *known = own.clone().over(std::mem::take(known)),
            None => tools.push(own.clone()),
        }
    }
    let is_for_host = |pattern: &str| glob::Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(host));
    tools.retain(|tool| tool.hosts.is_empty() || tool.hosts.iter().any(|pattern| is_for_host(pattern)));
    for tool in &mut tools {
        tool.archives.retain(|archive| is_for_host(&archive.host));
        if tool.programs.is_empty() {
            tool.programs.push(tool.name.clone());
        }
        if tool.says.is_empty() {
            tool.says.clone_from(&tool.name);
        }
        let links = matches!(tool.proof, Proof::Effect(Effect::Link | Effect::Driver));
        if links && tool.link_with.is_empty() && tool.need != Need::Unwanted {
            let message = format!(
                "[tools.{}] does not say how rustc uses it\n  next: set `link-with`, such as [\"clang \
                 --ld-path={{path}}\"]",
                tool.name
            );
            return Err(WrongUsage(message).into());
        }
    }
    Ok(tools)
}

/// `text` with `{path}` and `{rustlib}` filled in.
pub(crate) fn filled(text: &str, path: &Utf8Path, rustlib: &Utf8Path) -> String {
    text.replace("{path}", path.as_str()).replace("{rustlib}", rustlib.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINUX: &str = "x86_64-unknown-linux-gnu";

    fn settings(text: &str) -> Vec<Tool> {
        Config::parse(text, "xtask.toml".into(), &Facts::default(), &[]).unwrap().tools
    }

    fn tool(overrides: &str, name: &str, host: &str) -> Option<Tool> {
        catalog(&settings(overrides), host).unwrap().into_iter().find(|tool| tool.name == name)
    }

    #[test]
    fn each_host_gets_its_tools_and_archives() {
        // tool, host, whether it is useful there, and its archive
        let table = [
            ("mold", LINUX, true, None),
            ("mold", "aarch64-apple-darwin", false, None),
            ("wild", LINUX, true, Some("wild-linker-0.10.0-x86_64-unknown-linux-musl.tar.gz")),
            ("wild", "s390x-unknown-linux-gnu", false, None),
            ("sccache", LINUX, true, Some("sccache-v0.17.0-x86_64-unknown-linux-musl.tar.gz")),
            ("sccache", "aarch64-apple-darwin", true, Some("sccache-v0.17.0-aarch64-apple-darwin.tar.gz")),
            ("cargo-nextest", LINUX, true, Some("cargo-nextest-0.9.143-x86_64-unknown-linux-gnu.tar.gz")),
            (
                "cargo-nextest",
                "aarch64-apple-darwin",
                true,
                Some("cargo-nextest-0.9.143-universal-apple-darwin.tar.gz"),
            ),
            ("cargo-nextest", "mips-unknown-linux-gnu", true, None),
        ];
        for (name, host, useful, archive) in table {
            let tool = tool("", name, host);
            assert_eq!(tool.is_some(), useful, "{name} {host}");
            let url = tool.and_then(|tool| Some(tool.archives.first()?.url.clone()));
            assert_eq!(url.as_deref().and_then(|url| url.rsplit('/').next()), archive, "{name} {host}");
        }
    }

    #[test]
    fn a_workspace_overrides_key_by_key_and_adds() {
        let overrides = "[tools.mold]\nversion = '=2.4.0'\nneed = 'required'\n[tools.wild]\nneed = 'unwanted'\n\
                         [tools.protoc]\npackages = { apt = 'protobuf-compiler' }\n";
        let mold = tool(overrides, "mold", LINUX).unwrap();
        assert_eq!(
            (mold.version.map(|v| v.to_string()).as_deref(), mold.need),
            (Some("=2.4.0"), Need::Required)
        );
        assert_eq!(mold.says, "mold");
        assert_eq!(mold.packages["apt"], "mold");
        assert_eq!(tool(overrides, "wild", LINUX).unwrap().need, Need::Unwanted);
        let protoc = tool(overrides, "protoc", LINUX).unwrap();
        assert_eq!(
            (protoc.programs.as_slice(), protoc.proof),
            (&["protoc".to_owned()][..], Proof::Effect(Effect::Version))
        );
        let error = catalog(&settings("[tools.blink]\nproof = 'link'\n"), LINUX).unwrap_err();
        assert!(error.downcast_ref::<WrongUsage>().is_some(), "{error}");
    }
}
