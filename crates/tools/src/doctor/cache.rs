//! The compiler cache, where one is in use: variables that make it useless, room in it, and a server that answers.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use xtask_workspace::Call;

use super::wrapper::{is_sccache, wrapper};
use super::{Check, Subject, size};
use crate::process::{Interrupted, output};

const NAME: &str = "sccache";
/// Its server answers in 10 ms.
const ANSWERS: Duration = Duration::from_secs(3);
/// On this machine; a closed port refuses at once.
const CONNECTS: Duration = Duration::from_millis(200);
/// sccache's default port.
const PORT: u16 = 4226;

pub(super) fn check(subject: &Subject<'_>) -> Result<Vec<Check>> {
    let (config, environment) = (&subject.workspace.cargo_config, &subject.workspace.environment);
    let wrapped =
        wrapper(["RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"], "rustc-wrapper", config, environment);
    let Some((program, _)) = wrapped.filter(|(program, _)| is_sccache(program)) else {
        return Ok(Vec::new());
    };
    let mut checks = Vec::new();
    let by_table = config.env().remove("CARGO_INCREMENTAL");
    checks.extend(judge_incremental(environment.get("CARGO_INCREMENTAL"), by_table.as_deref()));
    let port = environment.get("SCCACHE_SERVER_PORT").and_then(|port| port.parse().ok()).unwrap_or(PORT);
    // To ask for statistics would start a server where none runs.
    let runs = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), CONNECTS).is_ok();
    if !runs {
        checks.push(judge(None));
        return Ok(checks);
    }
    let call = Call::new(subject.root(), program, ["--show-stats", "--stats-format=json"]);
    checks.push(match output(&call, environment, ANSWERS) {
        Ok(said) if said.success => judge(serde_json::from_str(&said.stdout).ok().as_ref()),
        Ok(_) => unreachable(port, &format!("`{call}` failed")),
        Err(error) if error.is::<Interrupted>() => return Err(error),
        Err(error) => unreachable(port, &format!("{error:#}")),
    });
    Ok(checks)
}

fn unreachable(port: u16, why: &str) -> Check {
    let evidence = format!("something answers on port {port}, but as no server of this sccache: {why}");
    Check::warn(NAME, evidence, "sccache --stop-server")
}

fn judge_incremental(variable: Option<&str>, table: Option<&str>) -> Option<Check> {
    let (by, value, fix) = match (variable, table) {
        (Some(value), _) => ("the environment", value, "unset CARGO_INCREMENTAL"),
        (None, Some(value)) => {
            ("[env] in cargo's configuration", value, "remove CARGO_INCREMENTAL from [env]")
        }
        (None, None) => return None,
    };
    (value != "0").then(|| {
        let evidence = format!("{by} sets CARGO_INCREMENTAL={value}, and with it sccache caches nothing");
        Check::warn("sccache incremental", evidence, fix)
    })
}

fn judge(statistics: Option<&Value>) -> Check {
    let Some(statistics) = statistics else {
        return Check::ok(NAME, "in use; no server runs now, the next build starts it");
    };
    let location = statistics["cache_location"].as_str().unwrap_or("its cache").replace('"', "");
    let (used, most) = (statistics["cache_size"].as_u64(), statistics["max_cache_size"].as_u64());
    let (Some(used), Some(most)) = (used, most) else {
        return Check::ok(NAME, format!("the server answers; {location}"));
    };
    let evidence = format!("{location}: {} of at most {}", size(used), size(most));
    // What is over the limit goes, the oldest first: just below it the cache already loses.
    if used >= most / 20 * 19 {
        return Check::warn(
            NAME,
            format!("{evidence}: it is full, so older entries are lost"),
            "set SCCACHE_CACHE_SIZE higher, then sccache --stop-server",
        );
    }
    Check::ok(NAME, evidence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn incremental_compilation_forced_on_is_a_conflict() {
        let table = [
            (None, None, false),
            (Some("0"), None, false),
            (Some("1"), None, true),
            (None, Some("1"), true),
            (Some("0"), Some("1"), false),
        ];
        for (variable, in_table, conflict) in table {
            assert_eq!(
                judge_incremental(variable, in_table).is_some(),
                conflict,
                "{variable:?} {in_table:?}"
            );
        }
    }

    #[test]
    fn a_cache_that_is_full_is_said() {
        let statistics = |used: u64| serde_json::json!({ "cache_location": "Local disk: \"/c\"", "cache_size": used, "max_cache_size": 10_u64 << 30 });
        let table = [
            (None, Status::Ok, "no server runs"),
            (Some(statistics(1 << 30)), Status::Ok, "1024 MiB of at most 10.0 GiB"),
            (Some(statistics(10 << 30)), Status::Warn, "it is full"),
            (Some(serde_json::json!({ "cache_location": "Redis" })), Status::Ok, "Redis"),
        ];
        for (statistics, status, evidence) in table {
            let check = judge(statistics.as_ref());
            assert_eq!(check.status, status, "{check:?}");
            assert!(check.evidence.contains(evidence), "{check:?}");
        }
    }
}
