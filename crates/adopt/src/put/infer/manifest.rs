//! What manifests say beyond [`Facts`](xtask_workspace::Facts): dependencies from elsewhere, targets with a `main` of
//! their own.

use camino::Utf8Path;
use toml_edit::{Document, Item, TableLike};

use super::read;

/// A manifest, or a configuration file of cargo's. One that cannot be read counts as empty.
pub(super) struct Manifest {
    document: Option<Document<String>>,
    /// Its path, relative to the workspace root.
    pub(super) shown: String,
}

/// A dependency in any table of a manifest.
pub(super) struct Dependency<'a> {
    /// The name by which features refer to it.
    pub(super) key: &'a str,
    /// The package's name.
    pub(super) package: &'a str,
    /// The version requirement as it is written; empty if there is none.
    pub(super) version: &'a str,
    /// `FILE:LINE`
    pub(super) place: String,
}

impl Manifest {
    pub(super) fn read(root: &Utf8Path, path: &Utf8Path) -> Self {
        let shown = path.strip_prefix(root).unwrap_or(path).as_str().replace('\\', "/");
        let document = Document::parse(read(path)).ok();
        Self { document, shown }
    }

    /// The item at this path, however its tables are written.
    pub(super) fn get(&self, path: &[&str]) -> Option<&Item> {
        let (last, above) = path.split_last()?;
        let mut table: &dyn TableLike = self.document.as_ref()?.as_table();
        for key in above {
            table = table.get(key)?.as_table_like()?;
        }
        table.get(last)
    }

    /// `FILE:LINE`
    pub(super) fn place(&self, item: &Item) -> String {
        let text = self.document.as_ref().map_or("", |document| document.raw());
        let before = item.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("{}:{}", self.shown, before.matches('\n').count() + 1)
    }

    /// The places of the benches with `harness = false`.
    pub(super) fn benches_without_harness(&self) -> Vec<String> {
        let benches = self.get(&["bench"]).and_then(Item::as_array_of_tables).into_iter().flatten();
        let harness = benches.filter_map(|bench| bench.get("harness"));
        harness.filter(|value| value.as_bool() == Some(false)).map(|value| self.place(value)).collect()
    }

    /// All dependencies. The rest of an entry with `workspace = true` is in the manifest `root`.
    pub(super) fn dependencies<'a>(&'a self, root: &'a Self) -> Vec<Dependency<'a>> {
        let Some(document) = &self.document else { return Vec::new() };
        let mut tables: Vec<&dyn TableLike> = vec![document.as_table()];
        let targets = self.get(&["target"]).and_then(Item::as_table_like);
        let targets = targets.into_iter().flat_map(|targets| targets.iter());
        tables.extend(targets.filter_map(|(_, target)| target.as_table_like()));
        let kinds = ["dependencies", "build-dependencies", "dev-dependencies"];
        let tables = tables.iter().flat_map(|table| kinds.map(|kind| table.get(kind)));
        let entries =
            tables.flatten().filter_map(Item::as_table_like).flat_map(|dependencies| dependencies.iter());
        let dependency = |(key, item): (&'a str, &'a Item)| {
            let inherits = item.get("workspace").is_some_and(|value| value.as_bool() == Some(true));
            let shared = root.get(&["workspace", "dependencies", key]).filter(|_| inherits).unwrap_or(item);
            let text = |name| shared.get(name).and_then(Item::as_str);
            Dependency {
                key,
                package: text("package").unwrap_or(key),
                version: shared.as_str().or_else(|| text("version")).unwrap_or_default(),
                place: self.place(item),
            }
        };
        entries.map(dependency).collect()
    }
}
