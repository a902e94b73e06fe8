//! Lists as `xtask.toml` has them.

use std::collections::BTreeSet;

use toml_edit::Value;
use xtask_workspace::Facts;

/// Beyond it a line goes on in the next one.
pub(crate) const WIDTH: usize = 108;

/// The shortest list of a preset for `features`, each a `member/feature`: the plain name where every member that has it
/// is meant.
pub(crate) fn shortest(facts: &Facts, features: &BTreeSet<String>) -> Vec<String> {
    let names = features.iter().filter_map(|feature| feature.split_once('/')).map(|(_, name)| name);
    let mut list = Vec::new();
    for name in names.collect::<BTreeSet<_>>() {
        let having = facts.members().filter(|member| member.features.contains_key(name));
        let having = having.map(|member| format!("{}/{name}", member.name)).collect::<Vec<_>>();
        if having.iter().all(|feature| features.contains(feature)) {
            list.push(name.to_owned());
        } else {
            list.extend(having.into_iter().filter(|feature| features.contains(feature)));
        }
    }
    list
}

/// An array of these strings, over several lines, below the comments.
pub(crate) fn list(comments: &[String], values: &[String]) -> String {
    let mut text = "[\n".to_owned();
    for comment in comments {
        text = format!("{text}    {comment}\n");
    }
    let mut line = String::new();
    for value in values {
        let value = Value::from(value.as_str()).to_string();
        if !line.is_empty() && line.len() + value.len() + 6 > WIDTH {
            text = format!("{text}   {line}\n");
            line.clear();
        }
        line = format!("{line} {value},");
    }
    if !line.is_empty() {
        text = format!("{text}   {line}\n");
    }
    text + "]"
}
