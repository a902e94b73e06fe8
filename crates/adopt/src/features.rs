//! Lists of features as a preset has them.

use std::collections::BTreeSet;

use xtask_workspace::Facts;

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
