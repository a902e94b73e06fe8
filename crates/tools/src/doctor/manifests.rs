//! Tables that only the root manifest may have: cargo ignores them in members.

use toml_edit::DocumentMut;

use super::{Check, Patient, some};

const NAME: &str = "manifests";

pub(super) fn check(patient: &Patient<'_>) -> Vec<Check> {
    let members = patient.workspace.facts.packages.iter().filter(|package| package.member);
    let (mut looked_at, mut ignored) = (0_usize, Vec::new());
    for member in members.filter(|member| member.dir != patient.root()) {
        looked_at += 1;
        let path = member.dir.join("Cargo.toml");
        // What cargo read a moment ago, and is unreadable now, is for cargo to say.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        ignored.extend(
            ignored_in(&text).into_iter().map(|table| format!("{table} in {}", patient.shown(&path))),
        );
    }
    vec![judge(looked_at, &ignored)]
}

fn judge(looked_at: usize, ignored: &[String]) -> Check {
    if ignored.is_empty() {
        let members =
            if looked_at == 1 { "1 member has".to_owned() } else { format!("{looked_at} members have") };
        return Check::ok(NAME, format!("{members} no table that only the root's manifest may have"));
    }
    let evidence = format!("cargo ignores {}", some(ignored, 4));
    Check::warn(NAME, evidence, "move it to the workspace's root manifest")
        .with_more(ignored.iter().skip(4).cloned())
}

/// The tables in a member's manifest that cargo ignores.
fn ignored_in(manifest: &str) -> Vec<String> {
    let Ok(document) = manifest.parse::<DocumentMut>() else { return Vec::new() };
    let tables = ["profile", "patch", "replace"].into_iter().filter(|table| document.contains_key(table));
    let resolver = document.get("package").and_then(|package| package.get("resolver")).is_some();
    let resolver = resolver.then(|| "package.resolver".to_owned());
    tables.map(|table| format!("[{table}]")).chain(resolver).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn tables_that_members_may_not_have_are_named() {
        let table = [
            ("[package]\nname = 'a'\n[dependencies]\n", &[][..]),
            ("[package]\nname = 'a'\n[profile.release]\nlto = true\n", &["[profile]"]),
            (
                "[package]\nname = 'a'\nresolver = '2'\n[patch.crates-io]\nx = { path = 'x' }\n",
                &["[patch]", "package.resolver"],
            ),
            ("[replace]\n'x:1.0.0' = { path = 'x' }\n", &["[replace]"]),
        ];
        for (manifest, ignored) in table {
            assert_eq!(ignored_in(manifest), ignored, "{manifest}");
        }
        assert_eq!(judge(2, &[]).status, Status::Ok);
        assert_eq!(judge(2, &["[profile] in a/Cargo.toml".to_owned()]).status, Status::Warn);
    }
}
