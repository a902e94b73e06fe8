//! `cfg(…)` conditions of cargo's configuration, as `[target.'cfg(unix)']` has them.
//!
//! Invariant: a condition that cannot be read holds nowhere; cargo itself refuses it.

use std::collections::BTreeSet;

use camino::Utf8Path;

use crate::Environment;

/// What the rustc that is used in `dir` says of `triple`: `unix`, `target_os="linux"` and the like. Nothing when it cannot be asked.
pub fn settings(dir: &Utf8Path, environment: &Environment, triple: &str) -> BTreeSet<String> {
    let rustc = environment.get("RUSTC").unwrap_or("rustc");
    let mut command = std::process::Command::new(rustc);
    command.args(["--print", "cfg", "--target", triple]).current_dir(dir);
    let output = command.env_clear().envs(environment.iter_os()).output();
    let said = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    String::from_utf8_lossy(&said.unwrap_or_default()).lines().map(str::to_owned).collect()
}

/// Whether `condition` (`cfg(all(unix, not(target_os = "macos")))`) holds under `settings`.
pub fn holds(condition: &str, settings: &BTreeSet<String>) -> bool {
    // No value of a target has a space in it.
    let condition = condition.split_whitespace().collect::<String>();
    let inner = condition.strip_prefix("cfg(").and_then(|rest| rest.strip_suffix(')'));
    inner.is_some_and(|inner| evaluate(inner, settings) == Some(true))
}

/// `None` when it cannot be read.
fn evaluate(expression: &str, settings: &BTreeSet<String>) -> Option<bool> {
    let Some((operator, rest)) = expression.split_once('(') else {
        return match expression {
            "true" => Some(true),
            "false" => Some(false),
            "" => None,
            name => Some(settings.contains(name)),
        };
    };
    let list = arguments(rest.strip_suffix(')')?)?;
    let values = list.into_iter().map(|part| evaluate(part, settings)).collect::<Option<Vec<_>>>()?;
    match (operator, values.as_slice()) {
        ("all", values) => Some(values.iter().all(|value| *value)),
        ("any", values) => Some(values.iter().any(|value| *value)),
        ("not", [value]) => Some(!value),
        _ => None,
    }
}

/// Splits at the commas that no parenthesis encloses.
fn arguments(list: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, c) in list.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    // `all()` is empty, and a comma may end the list.
    parts.extend(Some(&list[start..]).filter(|last| !last.is_empty()));
    (depth == 0).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_as_cargo_reads_them() {
        let settings = ["unix", "target_os=\"linux\"", "target_arch=\"x86_64\""];
        let settings = settings.into_iter().map(str::to_owned).collect();
        let table = [
            ("cfg(unix)", true),
            ("cfg(windows)", false),
            ("cfg(target_os = \"linux\")", true),
            ("cfg(all(unix, not(target_os = \"macos\")))", true),
            ("cfg(any(windows, all(unix, target_arch = \"arm\")))", false),
            ("cfg(any(windows, target_arch = \"x86_64\",))", true),
            ("cfg(all())", true),
            ("cfg(any())", false),
            ("cfg(not(unix, windows))", false),
            ("cfg(all(unix)", false),
            ("cfg(unix))", false),
            ("cfg()", false),
            ("x86_64-unknown-linux-gnu", false),
        ];
        for (condition, expected) in table {
            assert_eq!(holds(condition, &settings), expected, "{condition}");
        }
    }
}
