//! A workspace made of a few files, and what is inferred from it.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use toml_edit::{DocumentMut, Item};
use xtask_testkit::TempDir;
use xtask_workspace::config::Config;
use xtask_workspace::{Facts, LocalDependency, LocalPackage, TargetFacts};

use crate::put::infer::{entries, xtask_toml};
use xtask_suite::program::RESERVED;

/// What is inferred from these files; all `Cargo.toml` with a `[package]` are members. Panics where the suite would
/// not take the file.
pub(super) fn inferred(files: &[(&str, &str)], stable: bool) -> (String, Vec<String>) {
    let dir = TempDir::new("infer");
    for (path, text) in files {
        dir.write(path, text);
    }
    let facts = facts(dir.path());
    let inferred = xtask_toml(&facts, stable);
    if let Err(errors) = Config::parse(&inferred.0, "xtask.toml".into(), &facts, &RESERVED) {
        panic!("{errors}\n{}", inferred.0);
    }
    inferred
}

/// The text without its header.
pub(super) fn body(files: &[(&str, &str)]) -> String {
    let text = inferred(files, true).0;
    text.split_once("\n\n").map_or(String::new(), |(_, body)| body.to_owned())
}

/// What `cargo metadata` would say, as far as these tests need it.
fn facts(root: &Utf8Path) -> Facts {
    let mut folders = vec![root.to_owned()];
    folders.extend(entries(root).into_iter().filter(|path| path.is_dir()));
    let manifests = folders.into_iter().filter_map(|dir| {
        let text = std::fs::read_to_string(dir.join("Cargo.toml")).ok()?;
        let document = text.parse::<DocumentMut>().unwrap();
        let name = document.get("package")?.get("name")?.as_str()?.to_owned();
        Some((dir, document, name))
    });
    let mut manifests = manifests.collect::<Vec<_>>();
    manifests.sort_by_key(|(_, _, name)| name.clone());
    let names = manifests.iter().map(|(_, _, name)| name.clone()).collect::<Vec<_>>();
    let package = |(dir, document, name): &(Utf8PathBuf, DocumentMut, String)| LocalPackage {
        id: name.clone(),
        name: name.clone(),
        version: "0.1.0".to_owned(),
        dir: dir.clone(),
        member: true,
        launcher: false,
        features: features(document),
        targets: targets(dir),
        dependencies: (0..names.len())
            .filter(|&other| names[other] != *name && document.to_string().contains(&names[other]))
            .map(|package| LocalDependency { package, dev: false })
            .collect(),
    };
    Facts {
        root: root.to_owned(),
        target_dir: root.join("target"),
        build_dir: root.join("target"),
        host: "x86_64-unknown-linux-gnu".to_owned(),
        packages: manifests.iter().map(package).collect(),
        default_members: vec![names[0].clone()],
        ambiguous_names: Vec::new(),
    }
}

fn features(document: &DocumentMut) -> BTreeMap<String, Vec<String>> {
    let table = document.get("features").and_then(Item::as_table);
    let strings = |item: &Item| {
        item.as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect()
    };
    table
        .into_iter()
        .flat_map(|table| table.iter())
        .map(|(name, item)| (name.to_owned(), strings(item)))
        .collect()
}

fn targets(dir: &Utf8Path) -> Vec<TargetFacts> {
    let mut found = vec![
        (dir.join("src/lib.rs"), "lib"),
        (dir.join("src/main.rs"), "bin"),
        (dir.join("build.rs"), "custom-build"),
    ];
    for (folder, kind) in [("tests", "test"), ("examples", "example"), ("benches", "bench")] {
        found.extend(entries(&dir.join(folder)).into_iter().map(|path| (path, kind)));
    }
    found.retain(|(path, _)| path.is_file());
    let target = |(path, kind): (Utf8PathBuf, &str)| TargetFacts {
        name: path.file_stem().unwrap_or_default().to_owned(),
        kinds: vec![kind.to_owned()],
        path,
    };
    found.into_iter().map(target).collect()
}
