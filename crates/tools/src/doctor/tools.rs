//! The tools of the catalog: there or not, proven or not, and whether several versions of one are there.

use anyhow::Result;
use camino::Utf8Path;
use xtask_units::parallel;
use xtask_workspace::config::Need;

use super::{AT_ONCE, Check, Subject};
use crate::catalog::Tool;
use crate::probe::{Found, Probed, probe};
use crate::setup::Known;

const SETUP: &str = "cargo xtask setup";

pub(super) fn check(subject: &Subject<'_>) -> Result<Vec<Check>> {
    let machine = &subject.machine;
    let known = Known::read(&machine.state_dir);
    let wanted = subject.options.tools.iter().filter(|tool| tool.need != Need::Unwanted).collect::<Vec<_>>();
    let checks = parallel(AT_ONCE, &wanted, |tool| {
        let probed = probe(tool, machine)?;
        let proof = probed.found.first().and_then(|found| known.proof(tool, found, machine));
        Ok(judge(tool, &probed, proof.map(|proven| proven.evidence.as_str())))
    });
    checks.into_iter().collect()
}

fn judge(tool: &Tool, probed: &Probed, proof: Option<&str>) -> Check {
    let name = format!("tool {}", tool.name);
    let Some((found, others)) = probed.found.split_first() else {
        let why = probed.unsuited.first().map_or_else(
            || "it is not installed".to_owned(),
            |unsuited| format!("{}: {}", unsuited.path, unsuited.why),
        );
        if tool.need == Need::Required {
            return Check::fail(&name, format!("{why}, and it is required"), SETUP);
        }
        let instead = if tool.without.is_empty() { "nothing" } else { &tool.without };
        return Check::warn(&name, format!("{why}; used instead: {instead}"), SETUP);
    };
    let version = |found: &Found| found.version.clone().unwrap_or_else(|| "no version".to_owned());
    let here = format!("{} ({})", version(found), found.path);
    // Other names, such as `clang-19` beside `clang`, are other programs on purpose.
    let same_name = |path: &Utf8Path| path.file_name() == found.path.file_name();
    let others = others.iter().map(|other| (&other.path, version(other)));
    let unsuited = probed.unsuited.iter().map(|other| (&other.path, other.why.clone()));
    let others = others.chain(unsuited).filter(|(path, _)| same_name(path)).collect::<Vec<_>>();
    let lines = others.iter().map(|(path, version)| format!("{version} ({path})")).collect::<Vec<_>>();
    if others.iter().any(|(_, other)| *other != version(found)) {
        return Check::warn(
            &name,
            format!("several versions: {here} is used, not {}", lines.join(", ")),
            "remove the versions that are not meant, or change the order of PATH",
        );
    }
    match proof {
        Some(evidence) => Check::ok(&name, format!("{here}: {evidence}")).with_more(lines),
        None => Check::warn(&name, format!("{here}: not proven to work as it is now"), SETUP),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::catalog;
    use crate::doctor::Status;
    use crate::probe::Unsuited;

    #[test]
    fn what_a_tool_lacks_weighs_as_much_as_it_is_wanted() {
        let tools = catalog(&[], "x86_64-unknown-linux-gnu").unwrap();
        let wanted = tools.iter().find(|tool| tool.name == "mold").unwrap().clone();
        let required = Tool { need: Need::Required, ..wanted.clone() };
        let program = |path: &str, version: &str| Found { path: path.into(), version: Some(version.into()) };
        let found = |others: &[Found]| {
            let found = [&[program("/usr/bin/mold", "2.4.0")], others].concat();
            Probed { found, unsuited: Vec::new() }
        };
        let unsuited = Unsuited { path: "/usr/bin/mold".into(), why: "it is 0.9".into() };
        let unsuited = Probed { found: Vec::new(), unsuited: vec![unsuited] };
        let (missing, one) = (Probed::default(), found(&[]));
        let other_name = found(&[program("/opt/bin/mold-1", "1.0.0")]);
        let (same, older) =
            (found(&[program("/opt/bin/mold", "2.4.0")]), found(&[program("/opt/bin/mold", "1.0.0")]));
        // the tool, its programs, its proof; the status, and a part of the evidence
        let table = [
            (&wanted, &missing, None, Status::Warn, "used instead: rust-lld"),
            (&required, &missing, None, Status::Fail, "it is required"),
            (&wanted, &unsuited, None, Status::Warn, "it is 0.9; used instead"),
            (&required, &unsuited, None, Status::Fail, "it is 0.9, and it is required"),
            (&wanted, &one, None, Status::Warn, "not proven"),
            (&wanted, &one, Some("linked"), Status::Ok, "2.4.0 (/usr/bin/mold): linked"),
            (&wanted, &same, Some("linked"), Status::Ok, "linked"),
            (&wanted, &other_name, Some("linked"), Status::Ok, "linked"),
            (&wanted, &older, Some("linked"), Status::Warn, "is used, not 1.0.0 (/opt/bin/mold)"),
        ];
        for (tool, probed, proof, status, evidence) in table {
            let check = judge(tool, probed, proof);
            assert_eq!(check.status, status, "{check:?}");
            assert!(check.evidence.contains(evidence), "{check:?}");
            assert_eq!(check.fix.is_some(), status != Status::Ok);
        }
    }
}
