//! The tools of the catalog: there or not, proven or not, and whether several versions of one are there.

use anyhow::Result;
use camino::Utf8PathBuf;
use xtask_units::parallel;
use xtask_workspace::config::Need;

use super::{AT_ONCE, Check, Patient};
use crate::catalog::Tool;
use crate::found::{Presence, ask, look_for, places};
use crate::setup::Known;

const SETUP: &str = "cargo xtask setup";

/// A program, and the version that it says to have.
type Answer = (Utf8PathBuf, String);

pub(super) fn check(patient: &Patient<'_>) -> Result<Vec<Check>> {
    let machine = &patient.machine;
    let known = Known::read(&machine.state_dir);
    let wanted = patient.options.tools.iter().filter(|tool| tool.need != Need::Unwanted).collect::<Vec<_>>();
    let checks = parallel(AT_ONCE, &wanted, |tool| {
        let presence = look_for(tool, machine)?;
        let Presence::Found(found) = &presence else { return Ok(judge(tool, &presence, None, &[])) };
        let proof = known.proof(tool, found, machine).map(|proven| proven.evidence.as_str());
        // Other names, such as `clang-19` beside `clang`, are other programs on purpose.
        let others = places(tool, machine).into_iter();
        let others = others.filter(|path| *path != found.path && path.file_name() == found.path.file_name());
        let answers = others.map(|path| ask(tool, machine, path)).collect::<Result<Vec<_>>>()?;
        let others = answers.into_iter().filter_map(|answer| match answer {
            Presence::Found(other) => Some((other.path, other.version?)),
            Presence::Unsuited { path, .. } => Some((path, "one that will not do".to_owned())),
            Presence::Missing => None,
        });
        Ok(judge(tool, &presence, proof, &others.collect::<Vec<_>>()))
    });
    checks.into_iter().collect()
}

fn judge(tool: &Tool, presence: &Presence, proof: Option<&str>, others: &[Answer]) -> Check {
    let name = format!("tool {}", tool.name);
    let lacking = |why: String| {
        if tool.need == Need::Required {
            return Check::fail(&name, format!("{why}, and it is required"), SETUP);
        }
        let instead = if tool.without.is_empty() { "nothing" } else { &tool.without };
        Check::warn(&name, format!("{why}; used instead: {instead}"), SETUP)
    };
    let found = match presence {
        Presence::Missing => return lacking("it is not there".to_owned()),
        Presence::Unsuited { path, why } => return lacking(format!("{path}: {why}")),
        Presence::Found(found) => found,
    };
    let version = found.version.as_deref().unwrap_or("no version");
    let here = format!("{version} ({})", found.path);
    let other = |(path, version): &Answer| format!("{version} ({path})");
    if others.iter().any(|(_, other)| other != version) {
        let all = others.iter().map(other).collect::<Vec<_>>().join(", ");
        return Check::warn(
            &name,
            format!("several versions: {here} is taken before {all}"),
            "remove those that are not meant, or change the order of PATH",
        );
    }
    match proof {
        Some(evidence) => Check::ok(&name, format!("{here}: {evidence}")).with_more(others.iter().map(other)),
        None => Check::warn(&name, format!("{here}: not proven to work as it is now"), SETUP),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::catalog;
    use crate::doctor::Status;
    use crate::found::Found;

    #[test]
    fn what_a_tool_lacks_weighs_as_much_as_it_is_wanted() {
        let tools = catalog(&[], "x86_64-unknown-linux-gnu").unwrap();
        let wanted = tools.iter().find(|tool| tool.name == "mold").unwrap().clone();
        let required = Tool { need: Need::Required, ..wanted.clone() };
        let found = Presence::Found(Found { path: "/usr/bin/mold".into(), version: Some("2.4.0".into()) });
        let unsuited = Presence::Unsuited { path: "/usr/bin/mold".into(), why: "it is 0.9".into() };
        let other = |version: &str| [(Utf8PathBuf::from("/opt/bin/mold"), version.to_owned())];
        let (same, older) = (other("2.4.0"), other("1.0.0"));
        // the tool, what was found, its proof, others of its name; how it is, and a part of the evidence
        let table = [
            (&wanted, &Presence::Missing, None, &[][..], Status::Warn, "used instead: rust-lld"),
            (&required, &Presence::Missing, None, &[], Status::Fail, "it is required"),
            (&wanted, &unsuited, None, &[], Status::Warn, "it is 0.9; used instead"),
            (&required, &unsuited, None, &[], Status::Fail, "it is 0.9, and it is required"),
            (&wanted, &found, None, &[], Status::Warn, "not proven"),
            (&wanted, &found, Some("linked"), &[], Status::Ok, "2.4.0 (/usr/bin/mold): linked"),
            (&wanted, &found, Some("linked"), &same, Status::Ok, "linked"),
            (&wanted, &found, Some("linked"), &older, Status::Warn, "before 1.0.0 (/opt/bin/mold)"),
        ];
        for (tool, presence, proof, others, status, evidence) in table {
            let check = judge(tool, presence, proof, others);
            assert_eq!(check.status, status, "{check:?}");
            assert!(check.evidence.contains(evidence), "{check:?}");
            assert_eq!(check.fix.is_some(), status != Status::Ok);
        }
    }
}
