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
    }
}

impl Case {
    fn may_read(mut self, package: &'static str) -> Self {
        self.may_read.insert(package);
        self
    }

    fn reach(&self, files: &[&str]) -> Reach {
        let files = files.iter().map(|file| Utf8PathBuf::from("/r/w").join(file)).collect::<Vec<_>>();
        let name = |package: usize| self.facts.packages[package].name.as_str();
        Files::new(&self.facts, &self.affected, self.cargo_config.clone()).reach(&Change {
            files: &files,
            repository: "/r/w".into(),
            unseen: &self.unseen,
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
        "Cargo.lock",
        "crates/a/Cargo.toml",
        // Of a member that is gone.
        "crates/gone/Cargo.toml",
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
    case.unseen = vec!["/r/w/Cargo.lock".into()];
    assert_eq!(case.told(&[]), ["ALL Cargo.lock may have changed: git ignores it"]);
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
            may_read_outside: &may_read_outside(&workspace),
        });
        reach.members.into_keys().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(reached("data/x.txt"), "data linked user");
    assert_eq!(reached("outer/inner/x.txt"), "inner linked outer user", "linked may read anything");
    assert_eq!(reached("linked/src/lib.rs"), "linked user");
}
