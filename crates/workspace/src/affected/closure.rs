//! Walks the graph of local packages: up to what a change reaches, down to what a test is built from.
//!
//! Only the tests of a package see its dev dependencies: such an edge leads to the dependent and ends there.

use std::collections::{BTreeSet, VecDeque};

use super::{Reason, Seeds, add};
use crate::Facts;

/// `seeds` and all packages that a change of them reaches.
pub(crate) fn dependents(facts: &Facts, seeds: Seeds) -> Seeds {
    let mut dependents = vec![Vec::new(); facts.packages.len()];
    for (package, from) in facts.packages.iter().enumerate() {
        for edge in &from.dependencies {
            dependents[edge.package].push((package, edge.dev));
        }
    }
    let mut reached = seeds.keys().copied().collect::<BTreeSet<_>>();
    let mut open = reached.iter().copied().collect::<VecDeque<_>>();
    let mut reasons = seeds;
    while let Some(package) = open.pop_front() {
        for &(dependent, dev) in &dependents[package] {
            add(&mut reasons, dependent, Reason::DependsOn(facts.packages[package].name.clone()));
            if !dev && reached.insert(dependent) {
                open.push_back(dependent);
            }
        }
    }
    reasons
}

/// The packages that the tests of `package` are built from, itself among them.
pub(crate) fn tested_with(facts: &Facts, package: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::from([package]);
    let mut open = facts.packages[package].dependencies.iter().map(|edge| edge.package).collect::<Vec<_>>();
    while let Some(next) = open.pop() {
        if found.insert(next) {
            let edges = facts.packages[next].dependencies.iter().filter(|edge| !edge.dev);
            open.extend(edges.map(|edge| edge.package));
        }
    }
    found
}
