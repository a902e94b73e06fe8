//! Tables: a workspace by hand, one change, and which members it selects.

use super::*;
use crate::{LocalDependency, LocalPackage, TargetFacts};

/// What a test changes of the usual question.
struct Case {
    facts: Facts,
    may_read: BTreeSet<&'static str>,
    affected: Affected,
    unseen: Vec<Utf8PathBuf>,
    cargo_config: Vec<Utf8PathBuf>,
    lock: (Option<String>, Option<String>),
    manifests: BTreeMap<&'static str, (Option<String>, Option<String>)>,
}

/// `name folder dependency dev:dependency …`; a `*` before the name makes it no member.
fn facts(packages: &[&str]) -> Facts {
    let lines = packages.iter().map(|line| line.split(' ').collect::<Vec<_>>()).collect::<Vec<_>>();
    let name = |words: &[&str]| words[0].trim_start_matches('*').to_owned();
    let edge = |word: &&str| {
        let (dev, to) = word.strip_prefix("dev:").map_or((false, *word), |to| (true, to));
        let package = lines.iter().position(|words| name(words) == to).unwrap();
        LocalDependency { package, dev }
    };
    let package = |words: &Vec<&str>| {
        let dir = Utf8PathBuf::from("/r/w").join(words[1]);
        // Without the slash that an empty relative path leaves at the end.
        let dir = dir.components().collect::<Utf8PathBuf>();
        let dir = if words[1].starts_with("..") { "/r/side".into() } else { dir };
        LocalPackage {
            id: name(words),
            name: name(words),
            version: "0.1.0".into(),
            targets: vec![TargetFacts {
                name: name(words),
                kinds: vec!["lib".into()],
                path: dir.join("src/lib.rs"),
            }],
            dir,
            member: !words[0].starts_with('*'),
            launcher: false,
            features: BTreeMap::new(),
            dependencies: words[2..].iter().map(edge).collect(),
        }
    };
    Facts {
        root: "/r/w".into(),
        target_dir: "/r/w/target".into(),
        build_dir: "/r/w/target".into(),
        host: "host".into(),
        packages: lines.iter().map(package).collect(),
        default_members: Vec::new(),
        ambiguous_names: Vec::new(),
    }
}

/// a ← b ← c, b ←dev d ← e, and f alone; each reads nothing outside of its folder.
const CHAIN: [&str; 6] =
    ["a crates/a", "b crates/b a", "c crates/c b", "d crates/d dev:b", "e crates/e d", "f crates/f"];

fn case(packages: &[&str]) -> Case {
    let facts = facts(packages);
    Case {
        facts,
        may_read: BTreeSet::new(),
        affected: Affected::default(),
        unseen: Vec::new(),
        cargo_config: Vec::new(),
        lock: (Some(String::new()), Some(String::new())),
        manifests: BTreeMap::new(),
    }
}

impl Case {
    fn may_read(mut self, package: &'static str) -> Self {
        self.may_read.insert(package);
        self
    }

    fn manifest(mut self, path: &'static str, before: Option<&str>, after: Option<&str>) -> Self {
        self.manifests.insert(path, (before.map(str::to_owned), after.map(str::to_owned)));
        self
    }

    fn lock(mut self, before: &str, after: &str) -> Self {
        self.lock = (Some(before.to_owned()), Some(after.to_owned()));
        self
    }

    fn reach(&self, files: &[&str]) -> Reach {
        let files = files.iter().map(|file| Utf8PathBuf::from("/r/w").join(file)).collect::<Vec<_>>();
        let name = |package: usize| self.facts.packages[package].name.as_str();
        let manifest = |path: &Utf8Path| self.manifests.get(path.strip_prefix("/r/w").ok()?.as_str());
        Files::new(&self.facts, &self.affected, self.cargo_config.clone()).reach(&Change {
            files: &files,
            repository: "/r/w".into(),
            unseen: &self.unseen,
            lock: [self.lock.0.as_deref(), self.lock.1.as_deref()],
            manifest_before: &|path| manifest(path)?.0.clone(),
            manifest_after: &|path| manifest(path)?.1.clone(),
            may_read_outside: &|at| self.may_read.contains(name(at)),
        })
    }

    /// `name: reason` for each member, or what selects all.
    fn told(&self, files: &[&str]) -> Vec<String> {
        let reach = self.reach(files);
        if let Some(why) = reach.everything {
            assert_eq!(reach.members.len(), self.facts.members().count());
            return vec![format!("ALL {why}")];
        }
        reach.members.iter().map(|(name, why)| format!("{name}: {why}")).collect()
    }

    fn names(&self, files: &[&str]) -> String {
        let reach = self.reach(files);
        let all = if reach.everything.is_some() { "ALL" } else { "" };
        let names = reach.members.into_keys().collect::<String>();
        if all.is_empty() { names } else { all.to_owned() }
    }
}

#[test]
fn dependents_follow_but_past_a_dev_edge_only_its_tests() {
    let chain = case(&CHAIN);
    assert_eq!(chain.names(&[]), "");
    assert_eq!(
        chain.told(&["crates/a/src/lib.rs", "crates/a/src/other.rs"]),
        ["a: crates/a/src/lib.rs changed", "b: depends on a", "c: depends on b", "d: depends on b",]
    );
    assert_eq!(chain.names(&["crates/d/src/lib.rs"]), "de");
    assert_eq!(chain.names(&["target/debug/x"]), "", "cargo's own output");
    assert_eq!(chain.names(&["crates/f/README.md"]), "f", "whatever lies in its folder");
    // A package that tests itself through another, and one that both edges lead to.
    let circle = case(&["a a dev:b", "b b a", "c c dev:a b"]);
    assert_eq!(circle.names(&["a/x"]), "abc");
    let both = case(&["a a", "b b dev:a", "c c a b", "d d c"]);
    assert_eq!(both.names(&["a/x"]), "abcd");
    // Past a package that is no member.
    let through = case(&["a a", "*p vendor/p a", "c c p"]);
    assert_eq!(through.told(&["a/x"]), ["a: a/x changed", "c: depends on p"]);
    assert_eq!(through.names(&["vendor/p/src/lib.rs"]), "c");
}

#[test]
fn a_file_belongs_to_all_packages_around_it_and_to_one_at_the_root_only_in_its_targets() {
    let nested = case(&["a crates/a", "m crates/a/macros"]);
    assert_eq!(
        nested.told(&["crates/a/macros/src/lib.rs"]),
        ["a: crates/a/macros/src/lib.rs changed", "m: crates/a/macros/src/lib.rs changed"],
        "a test of the outer package may read there"
    );
    assert_eq!(nested.names(&["crates/a/src/lib.rs"]), "a");
    assert_eq!(nested.names(&["crates/a/macros2/lib.rs"]), "a");
    assert_eq!(nested.names(&["crates/ab/lib.rs"]), "ALL", "a folder whose name only begins alike");

    let mut at_root = case(&["root ", "a crates/a"]);
    at_root.facts.packages[0].targets.push(TargetFacts {
        name: "tool".into(),
        kinds: vec!["bin".into()],
        path: "/r/w/tools/tool/main.rs".into(),
    });
    at_root.facts.packages[0].targets.push(TargetFacts {
        name: "single".into(),
        kinds: vec!["bin".into()],
        path: "/r/w/single.rs".into(),
    });
    let own =
        ["src/x.rs", "tests/t.rs", "examples/e", "benches/b", "build.rs", "tools/tool/y.rs", "single.rs"];
    for file in own {
        assert_eq!(at_root.names(&[file]), "root", "{file}");
    }
    for file in ["data.json", "docs/x", "tools/other.rs", "crates/x", "build.rs.bak"] {
        assert_eq!(at_root.names(&[file]), "ALL", "{file}");
    }
    assert_eq!(at_root.names(&["crates/a/x"]), "aroot");
    at_root.affected.ignore = vec!["**".into()];
    assert_eq!(at_root.names(&["data.json"]), "", "ignored");
    assert_eq!(at_root.names(&["crates/a/x"]), "aroot", "ignored, but in a member's folder");
    assert_eq!(case(&["root "]).names(&["data.json"]), "root", "the only member owns all of its folder");
}

#[test]
fn some_files_select_all() {
    let mut case = case(&["a crates/a", "b crates/b"]);
    case.affected.global = vec!["ci/**".into(), "*.sh".into(), "crates/a/schema/*".into(), "../up/*".into()];
    case.cargo_config = vec!["/r/w/crates/a/shared-config.toml".into()];
    case.affected.ignore = vec!["**".into()];
    let all = [
        "Cargo.toml",
        "rust-toolchain",
        "rust-toolchain.toml",
        ".cargo/config.toml",
        ".cargo/x/y",
        ".cargo",
        "/r/.cargo/config.toml",
        "/r/rust-toolchain.toml",
        ".config/nextest.toml",
        "ci/deep/x",
        "x.sh",
        "crates/a/schema/x",
        "/r/up/x",
        "crates/a/shared-config.toml",
        "crates",
        "crates/a",
    ];
    for file in all {
        assert_eq!(case.names(&[file]), "ALL", "{file}");
    }
    let not_all = [
        ("crates/a/.cargo/config.toml", "a"),
        ("crates/a/rust-toolchain", "a"),
        ("crates/b/x.sh", "b"),
        ("crates/a/schema/deep/x", "a"),
        ("clippy.toml", ""),
        ("target/x", ""),
    ];
    for (file, expected) in not_all {
        assert_eq!(case.names(&[file]), expected, "{file}");
    }
    assert_eq!(case.told(&["crates/a/x", ".cargo/x"]), ["ALL .cargo/x changed, cargo's configuration"]);
}

#[test]
fn a_file_in_no_folder_selects_all_unless_ignored() {
    let mut case = case(&CHAIN);
    assert_eq!(case.names(&["data/y.json"]), "ALL");
    assert_eq!(case.names(&["data"]), "ALL", "a folder");
    case.affected.ignore = vec!["data/*".into(), "docs/**".into(), "*.md".into(), "crates/**".into()];
    assert_eq!(case.names(&["data/y.json", "docs/a/b", "README.md"]), "");
    assert_eq!(case.names(&["docs.txt"]), "ALL");
    assert_eq!(case.names(&["crates/c/x"]), "c", "ignored, but in a member's folder");
}

#[test]
fn a_package_that_may_read_outside_is_reached_by_any_change() {
    let may = || case(&CHAIN).may_read("f");
    assert_eq!(may().names(&[]), "");
    assert_eq!(may().told(&["crates/c/x"]), ["c: crates/c/x changed", "f: may read crates/c/x"]);
    assert_eq!(may().told(&["crates/f/x"]), ["f: crates/f/x changed"]);
    assert_eq!(may().names(&["data/x"]), "ALL", "nobody is known to read it");
    assert_eq!(may().names(&["Cargo.lock"]), "f");
    assert_eq!(may().names(&["target/x"]), "", "cargo's own output");
    let mut ignored = may();
    ignored.affected.ignore = vec!["data/*".into()];
    assert_eq!(ignored.names(&["data/x"]), "f");
    assert_eq!(case(&CHAIN).may_read("b").names(&["crates/f/x"]), "bcdf", "and who depends on it");
}

#[test]
fn where_git_sees_nothing_members_are_always_selected() {
    let outside = case(&["a a p", "b b", "*p ../side"]);
    assert_eq!(outside.told(&[]), ["a: depends on p"]);
    let mut case = case(&["a gen/a", "b b", "c c b"]);
    case.unseen = vec!["/r/w/gen".into(), "/r/w/b".into(), "/r/w/c/x".into(), "/r/w/target".into()];
    assert_eq!(
        case.told(&[]),
        [
            "a: is in gen/a, where git sees no changes",
            "b: is in b, where git sees no changes",
            "c: depends on b"
        ]
    );
}

fn lock(packages: &[(&str, &str, &str)]) -> String {
    let entry = |(name, version, dependencies): &(&str, &str, &str)| {
        let local = *version == "0.1.0";
        let source = if local { "" } else { "source = \"registry+x\"\n" };
        let list = dependencies.split(' ').filter(|name| !name.is_empty());
        let list = list.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n{source}dependencies = [{list}]\n")
    };
    packages.iter().map(entry).collect()
}

#[test]
fn the_lock_file_selects_whose_dependencies_changed() {
    let text = |x: &str| lock(&[("a", "0.1.0", "x"), ("b", "0.1.0", "y"), ("x", x, ""), ("y", "1.0.0", "")]);
    let members = || case(&["a a", "b b"]);
    let changed = members().lock(&text("1.0.0"), &text("1.0.1"));
    assert_eq!(changed.told(&["Cargo.lock"]), ["a: its locked dependencies changed"]);
    assert_eq!(members().lock(&text("1.0.0"), &text("1.0.0")).names(&["Cargo.lock"]), "");
    let mut unknown = members().lock("", &text("1.0.0"));
    unknown.lock.0 = None;
    assert_eq!(unknown.told(&[]), ["ALL Cargo.lock may have changed: it cannot be read from before"]);
}

#[test]
fn a_manifest_reaches_those_who_share_what_it_asks_for_otherwise() {
    let text = lock(&[
        ("a", "0.1.0", "x"),
        ("b", "0.1.0", "below"),
        ("c", "0.1.0", "y"),
        ("e", "0.1.0", "c"),
        ("d", "0.1.0", ""),
        ("x", "1.0.0", "below"),
        ("y", "1.0.0", ""),
        ("below", "1.0.0", ""),
    ]);
    let packages = ["a a", "b b", "c c", "d d", "e e c"];
    let reached = |before: Option<&str>, after: Option<&str>| {
        let case = case(&packages).lock(&text, &text).manifest("a/Cargo.toml", before, after);
        case.manifest(
            "Cargo.toml",
            None,
            Some("[workspace.dependencies]\nz = { package = \"y\", version = \"1\" }"),
        )
        .names(&["a/Cargo.toml"])
    };
    let base = "[dependencies]\nx = '1'\n[features]\nf = []\n";
    let table: [(&str, &str); 17] = [
        (base, "a"),
        ("# comment\n[dependencies]\n# same\nx = '1'\n\n[features]\nf = []\n", "a"),
        ("[dependencies]\nx = \"1\" # compared as text\n[features]\nf = []\n", "ab"),
        (
            "[package]\nversion = '2'\n[lints]\nworkspace = true\n[lib]\npath = 'x.rs'\n[dependencies]\nx = '1'\n[features]\nf = []",
            "a",
        ),
        ("[dependencies]\nx = { version = '1', features = ['q'] }\n[features]\nf = []\n", "ab"),
        ("[features]\nf = []\n", "ab"),
        ("[dependencies]\nx = '1'\ny = '1'\n[features]\nf = []\n", "ace"),
        ("[dependencies]\nx = '1'\n[dev-dependencies]\ny = '1'\n[features]\nf = []\n", "ace"),
        ("[dependencies]\nx = '1'\n[build-dependencies]\ny = '1'\n[features]\nf = []\n", "ace"),
        ("[dependencies]\nx = '1'\n[target.'cfg(unix)'.dependencies]\ny = '1'\n[features]\nf = []\n", "ace"),
        ("[dependencies]\nx = '1'\nn = { package = 'y', version = '1' }\n[features]\nf = []\n", "ace"),
        ("[dependencies]\nx = '1'\nz.workspace = true\n[features]\nf = []\n", "ace"),
        ("[dependencies]\nx = '1'\nc = { path = '../c' }\n[features]\nf = []\n", "ace"),
        ("[dependencies]\nx = '1'\n[features]\nf = ['g']\ng = ['x?/q']\n", "ab"),
        ("[dependencies]\nx = '1'\n[features]\nf = []\ng = []\n", "ab"),
        ("[dependencies]\nx = '1'\nnot-locked = '1'\n[features]\nf = []\n", "ALL"),
        ("[dependencies]\nx = '1'\n[lib]\nproc-macro = true\n[features]\nf = []\n", "ab"),
    ];
    for (after, expected) in table {
        assert_eq!(reached(Some(base), Some(after)), expected, "{after}");
        assert_eq!(reached(Some(after), Some(base)), expected, "back from {after}");
    }
    assert_eq!(reached(None, Some(base)), "ab", "a new manifest");
    assert_eq!(reached(Some(base), None), "ab", "a removed one");
    assert_eq!(reached(Some(base), Some("<<<<<<<")), "ALL");
}

#[test]
fn a_manifest_of_no_package_is_a_fixture_unless_it_is_gone() {
    let text = lock(&[("a", "0.1.0", ""), ("b", "0.1.0", "x"), ("x", "1.0.0", "")]);
    let fixture = "a/tests/fixture/Cargo.toml";
    let asks = Some("[dependencies]\nx = '1'\n");
    let members = || case(&["a a", "b b"]).lock(&text, &text);
    assert_eq!(members().manifest(fixture, None, asks).names(&[fixture]), "a");
    assert_eq!(members().manifest(fixture, asks, None).names(&[fixture]), "ab");
    // A member that is gone: its folder is no member's now.
    assert_eq!(members().manifest("gone/Cargo.toml", asks, None).names(&["gone/Cargo.toml"]), "ALL");
}

#[test]
fn paths_are_shown_from_the_root() {
    let table = [("/r/w/a/b", "a/b"), ("/r/x", "../x"), ("/r/w", ""), ("/other/x", "/other/x")];
    for (path, expected) in table {
        assert_eq!(relative("/r/w".into(), path.into()), expected);
    }
}

/// With git and cargo: what the branch cannot reach is left out, and links and folders within folders are followed.
#[test]
fn a_branch_reaches_what_is_behind_its_links_and_around_its_packages() {
    let files = [
        (
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"*\", \"outer/inner\"]\nexclude = [\"target\"]\n",
        ),
        (".gitignore", "/target\n"),
        ("data/src/lib.rs", ""),
        ("data/x.txt", "1"),
        ("plain/src/lib.rs", "#[test] fn t() { std::fs::read(\"src/lib.rs\"); }"),
        ("linked/src/lib.rs", "#[test] fn t() { std::fs::read(\"x/x.txt\"); }"),
        ("user/src/lib.rs", ""),
        ("outer/src/lib.rs", "#[test] fn t() { std::fs::read(\"inner/x.txt\"); }"),
        ("outer/inner/src/lib.rs", ""),
    ];
    let fixture = xtask_testkit::Fixture::new("reach", &files);
    for dir in ["data", "plain", "linked", "user", "outer", "outer/inner"] {
        let name = dir.rsplit('/').next().unwrap();
        let more = if dir == "user" { "[dependencies]\nlinked = { path = \"../linked\" }\n" } else { "" };
        let manifest =
            format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{more}");
        fixture.write(&format!("{dir}/Cargo.toml"), &manifest);
    }
    std::os::unix::fs::symlink("../data", fixture.root().join("linked/x")).unwrap();
    let environment = crate::Environment::current();
    let workspace = crate::Workspace::load(fixture.root(), environment.clone()).unwrap();
    fixture.git_init();
    fixture.git(&["switch", "--quiet", "-c", "feature"]);
    let reached = |edited: &str| {
        fixture.write(edited, "2");
        fixture.commit("edit");
        let changes = crate::changes(fixture.root(), None, &environment).unwrap();
        fixture.git(&["reset", "--quiet", "--hard", "main"]);
        let reach = Files::new(&workspace.facts, &Affected::default(), Vec::new()).reach(&Change {
            files: &changes.files,
            repository: changes.repository.as_deref().unwrap(),
            unseen: &changes.unseen,
            lock: [Some(""), Some("")],
            manifest_before: &|path| changes.at_base(path),
            manifest_after: &|path| std::fs::read_to_string(path).ok(),
            may_read_outside: &may_read_outside(&workspace),
        });
        reach.members.into_keys().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(reached("data/x.txt"), "data linked user");
    assert_eq!(reached("outer/inner/x.txt"), "inner linked outer user", "linked may read anything");
    assert_eq!(reached("linked/src/lib.rs"), "linked user");
}
