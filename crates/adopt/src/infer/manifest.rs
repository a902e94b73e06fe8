//! What manifests say beyond `cargo metadata`'s summary in [`Facts`]: benches with a `main` of their own, required
//! features, docs.rs, and with which features local packages are asked for.

use std::collections::{BTreeMap, BTreeSet};

use toml_edit::{Document, Item, TableLike};
use xtask_workspace::Facts;

use super::condition::{Condition, Setting};
use super::evidence::{Dependency, Place, Requirement};

/// A manifest that was read.
pub(super) struct Manifest {
    document: Document<String>,
    /// Its path, relative to the workspace root.
    pub(super) shown: String,
}

impl Manifest {
    /// Nothing if it is no TOML.
    pub(super) fn parse(text: String, shown: String) -> Option<Self> {
        Document::parse(text).ok().map(|document| Self { document, shown })
    }

    fn table(&self, path: &[&str]) -> Option<&dyn TableLike> {
        let mut table: &dyn TableLike = self.document.as_table();
        for key in path {
            table = table.get(key)?.as_table_like()?;
        }
        Some(table)
    }

    /// The features that docs.rs builds with.
    pub(super) fn docs_rs(&self) -> Vec<String> {
        let table = self.table(&["package", "metadata", "docs", "rs"]);
        table.map(|table| strings(table.get("features"))).unwrap_or_default()
    }

    /// Whether the root manifest has `default-members`.
    pub(super) fn has_default_members(&self) -> bool {
        self.table(&["workspace"]).is_some_and(|table| table.contains_key("default-members"))
    }

    /// The entry of `[[KIND]]` with this name: its required features, and where it says `harness = false`.
    pub(super) fn target(&self, kind: &str, name: &str) -> (Vec<String>, Option<Place>) {
        let Some(entries) = self.document.get(kind).and_then(Item::as_array_of_tables) else {
            return Default::default();
        };
        let named = |entry: &&toml_edit::Table| entry.get("name").and_then(Item::as_str) == Some(name);
        let Some(entry) = entries.iter().find(named) else { return Default::default() };
        let harness = entry.get("harness").filter(|value| value.as_bool() == Some(false));
        let place = harness.map(|value| self.place(value.span().map_or(0, |span| span.start)));
        (strings(entry.get("required-features")), place)
    }

    /// Where a `[build] target` of cargo's configuration stands.
    pub(super) fn build_target(&self) -> Option<Place> {
        let target = self.table(&["build"])?.get("target")?;
        Some(self.place(target.span().map_or(0, |span| span.start)))
    }

    /// Whether the `[env]` of cargo's configuration lets a stable compiler take unstable features.
    pub(super) fn has_bootstrap(&self) -> bool {
        self.table(&["env"]).is_some_and(|env| env.contains_key("RUSTC_BOOTSTRAP"))
    }

    /// The names in `[profile]`, for nextest's configuration.
    pub(super) fn profiles(&self) -> BTreeSet<String> {
        let names =
            self.table(&["profile"]).map(|table| table.iter().map(|(name, _)| name.to_owned()).collect());
        names.unwrap_or_default()
    }

    /// The features that turn on `nightly` of a package from elsewhere, each with the code and its line.
    pub(super) fn nightly_elsewhere(&self, local: &[Dependency]) -> Vec<(String, String, usize)> {
        let features = self.table(&["features"]).into_iter().flat_map(|table| table.iter());
        let values = features
            .flat_map(|(name, item)| item.as_array().into_iter().flatten().map(move |value| (name, value)));
        let found = values.filter_map(|(name, value)| {
            let (key, feature) = value.as_str()?.split_once('/')?;
            let key = key.trim_end_matches('?');
            let elsewhere = feature == "nightly" && local.iter().all(|dependency| dependency.key != key);
            let line = self.place(value.span().map_or(0, |span| span.start)).line;
            elsewhere.then(|| (name.to_owned(), format!("{key}/nightly"), line))
        });
        found.collect()
    }

    fn place(&self, offset: usize) -> Place {
        let before = self.document.raw().get(..offset).unwrap_or_default();
        Place { file: self.shown.clone(), line: before.matches('\n').count() + 1 }
    }

    /// Its dependencies on local packages on this machine, and what it asks for, by the package's name. `package` is
    /// its own number; an entry without `features` of its own may take them from the root manifest.
    pub(super) fn dependencies(
        &self,
        root: Option<&Manifest>,
        facts: &Facts,
        package: usize,
        setting: Setting<'_>,
    ) -> (Vec<Dependency>, BTreeMap<String, Requirement>) {
        let (mut local, mut asked) = (Vec::new(), BTreeMap::new());
        for (table, dev) in self.dependency_tables(setting) {
            for (key, item) in table.iter() {
                let place = self.place(item.span().map_or(0, |span| span.start));
                let own = item.as_table_like();
                let inherits = own.and_then(|own| own.get("workspace")).and_then(Item::as_bool) == Some(true);
                let entry = root
                    .filter(|_| inherits)
                    .and_then(|root| root.table(&["workspace", "dependencies"])?.get(key));
                let shared = entry.and_then(Item::as_table_like);
                let tables = [shared, own];
                let said = |name: &str| tables.iter().flatten().find_map(|table| table.get(name));
                let name = said("package").and_then(Item::as_str).unwrap_or(key);
                let short = [Some(item), entry].into_iter().flatten().find_map(Item::as_str);
                let version = short.or_else(|| said("version").and_then(Item::as_str));
                let version = version.unwrap_or_default().to_owned();
                asked.entry(name.to_owned()).or_insert(Requirement { version, place });
                let edges = &facts.packages[package].dependencies;
                let Some(edge) = edges.iter().find(|edge| facts.packages[edge.package].name == name) else {
                    continue;
                };
                let features = tables.iter().flatten().flat_map(|table| strings(table.get("features")));
                local.push(Dependency {
                    key: key.to_owned(),
                    package: edge.package,
                    optional: own.and_then(|own| own.get("optional")).and_then(Item::as_bool) == Some(true),
                    dev,
                    default_features: said("default-features").and_then(Item::as_bool) != Some(false),
                    features: features.collect(),
                });
            }
        }
        (local, asked)
    }

    fn dependency_tables(&self, setting: Setting<'_>) -> Vec<(&dyn TableLike, bool)> {
        let mut tables: Vec<&dyn TableLike> = vec![self.document.as_table()];
        let targets = self.table(&["target"]).into_iter().flat_map(|targets| targets.iter());
        let here = targets.filter(|(target, _)| is_here(target, setting));
        tables.extend(here.filter_map(|(_, target)| target.as_table_like()));
        let kinds = [
            ("dependencies", false),
            ("build-dependencies", false),
            ("dev-dependencies", true),
            ("dev_dependencies", true),
        ];
        let mut found = Vec::new();
        for table in tables {
            for (kind, dev) in kinds {
                found.extend(table.get(kind).and_then(Item::as_table_like).map(|table| (table, dev)));
            }
        }
        found
    }
}

/// Whether the table of this target, a triple or `cfg(…)`, certainly holds.
fn is_here(target: &str, setting: Setting<'_>) -> bool {
    let condition = target.trim().strip_prefix("cfg(").and_then(|rest| rest.strip_suffix(')'));
    match condition {
        Some(condition) => {
            Condition::parse(condition).and_then(|condition| condition.holds(setting)) == Some(true)
        }
        None => target == setting.host,
    }
}

fn strings(item: Option<&Item>) -> Vec<String> {
    let array = item.and_then(Item::as_array);
    array.into_iter().flatten().filter_map(|value| value.as_str().map(str::to_owned)).collect()
}
