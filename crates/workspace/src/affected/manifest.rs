//! Which dependencies a changed manifest asks for otherwise than before.
//!
//! Cargo builds one copy of a dependency with the features that all selected members ask for, so such a change
//! can break members that share the dependency and never see the manifest.

use std::collections::{BTreeMap, BTreeSet};

use toml_edit::{DocumentMut, Item, TableLike};

/// How a manifest asks for dependencies.
#[derive(Debug, Default, PartialEq)]
struct Asks {
    /// By table and key: the value, and the names the package may have in the lock file.
    dependencies: BTreeMap<(String, String), (String, BTreeSet<String>)>,
    /// Each feature and what it turns on.
    features: BTreeMap<String, Vec<String>>,
    /// A proc macro's dependencies are built apart from those of other members.
    proc_macro: bool,
}

const TABLES: [&str; 5] =
    ["dependencies", "dev-dependencies", "dev_dependencies", "build-dependencies", "build_dependencies"];

/// Names of the packages that the manifest asks for otherwise than before; `None` when it cannot be told.
/// A manifest that is not there asks for nothing. `root` is the root manifest, which a member may inherit from.
pub(super) fn different_dependencies(
    before: Option<&str>,
    after: Option<&str>,
    root: Option<&str>,
) -> Option<BTreeSet<String>> {
    if before == after {
        return Some(BTreeSet::new());
    }
    let root = root.unwrap_or_default().parse::<DocumentMut>().ok()?;
    let before = Asks::of(before, &root)?;
    let after = Asks::of(after, &root)?;
    let all = || before.dependencies.values().chain(after.dependencies.values());
    if before.proc_macro != after.proc_macro {
        return Some(all().flat_map(|(_, names)| names.clone()).collect());
    }
    let mut names = BTreeSet::new();
    for (ours, theirs) in [(&before, &after), (&after, &before)] {
        for (key, dependency) in &ours.dependencies {
            if theirs.dependencies.get(key) != Some(dependency) {
                names.extend(dependency.1.iter().cloned());
            }
        }
        let different = ours.features.iter().filter(|&(name, list)| theirs.features.get(name) != Some(list));
        names.extend(ours.turned_on(different.map(|(name, _)| name.clone()).collect()));
    }
    Some(names)
}

impl Asks {
    fn of(manifest: Option<&str>, root: &DocumentMut) -> Option<Self> {
        let mut asks = Self::default();
        let Some(manifest) = manifest else { return Some(asks) };
        let document = manifest.parse::<DocumentMut>().ok()?;
        asks.add_tables("", document.as_table(), root);
        let targets = document.get("target").and_then(Item::as_table_like);
        for (condition, item) in targets.into_iter().flat_map(TableLike::iter) {
            if let Some(tables) = item.as_table_like() {
                asks.add_tables(condition, tables, root);
            }
        }
        let features = document.get("features").and_then(Item::as_table_like);
        for (name, item) in features.into_iter().flat_map(TableLike::iter) {
            let values = item.as_array().into_iter().flatten().filter_map(toml_edit::Value::as_str);
            asks.features.insert(name.to_owned(), values.map(str::to_owned).collect());
        }
        let lib = document.get("lib").and_then(Item::as_table_like);
        let flag = lib.and_then(|lib| lib.get("proc-macro").or_else(|| lib.get("proc_macro")));
        asks.proc_macro = flag.and_then(Item::as_bool).unwrap_or(false);
        Some(asks)
    }

    fn add_tables(&mut self, condition: &str, tables: &dyn TableLike, root: &DocumentMut) {
        let inherited = root.get("workspace").and_then(|workspace| workspace.get("dependencies"));
        for table in TABLES {
            let Some(dependencies) = tables.get(table).and_then(Item::as_table_like) else { continue };
            for (name, item) in dependencies.iter() {
                let package = |item: &Item| item.get("package").and_then(Item::as_str).map(str::to_owned);
                let is_inherited = item.get("workspace").is_some();
                let renamed = if is_inherited {
                    inherited.and_then(|inherited| package(inherited.get(name)?))
                } else {
                    package(item)
                };
                let names = BTreeSet::from([renamed.unwrap_or_else(|| name.to_owned())]);
                let key = (format!("{condition} {table}"), name.to_owned());
                self.dependencies.insert(key, (meaning(item), names));
            }
        }
    }

    /// Names of the packages that `features` turn on or turn something on in, through other features too.
    fn turned_on(&self, features: Vec<String>) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open = features;
        while let Some(feature) = open.pop() {
            if !seen.insert(feature.clone()) {
                continue;
            }
            // `dep:x`, `x/y`, `x?/y`, or `x`: a feature or, by the same name, an optional dependency.
            let key = feature.strip_prefix("dep:").unwrap_or(&feature);
            let key = key.split(['/', '?']).next().unwrap_or(key);
            let asked = self.dependencies.iter().filter(|((_, name), _)| name == key);
            names.extend(asked.flat_map(|(_, (_, names))| names.clone()));
            open.extend(self.features.get(&feature).into_iter().flatten().cloned());
        }
        names
    }
}

/// The same text for values that mean the same, however they are written.
fn meaning(item: &Item) -> String {
    if let Some(table) = item.as_table_like() {
        let fields = table.iter().map(|(key, item)| (key.to_owned(), meaning(item)));
        return format!("{:?}", fields.collect::<BTreeMap<_, _>>());
    }
    if let Some(list) = item.as_array() {
        let values = list.iter().map(|value| meaning(&Item::Value(value.clone())));
        return format!("{:?}", values.collect::<Vec<_>>());
    }
    match item.as_value() {
        // Without the quotes, of which TOML has four kinds.
        Some(value) => value
            .as_str()
            .map_or_else(|| value.clone().decorated("", "").to_string(), |text| format!("{text:?}")),
        None => String::new(),
    }
}
