use std::collections::BTreeMap;
use std::process::Command;

use camino::Utf8Path;
use xtask_testkit::{Fixture, Outcome, TempDir, git_init, scrub};
use xtask_workspace::{CargoConfig, Environment, Facts, LocalDependency, LocalPackage, digest};

use super::*;

/// Members by folder; the name is the folder's, and the root's is `root`.
const MEMBERS: [&str; 3] = ["a", "a/inner", "b"];
const ALL: &str = "a b inner";

fn fixture() -> Fixture {
    let fixture = Fixture::new(
        "run-time-files",
        &[
            (".gitignore", "/target\n*.tmp\nsecret/\n"),
            ("Cargo.toml", "[workspace]\n"),
            ("README.md", "read me\n"),
            ("tool.rs", "fn main() {}\n"),
            ("other/Cargo.toml", "no member\n"),
            ("other/x.rs", "other\n"),
            ("data/x.json", "{}\n"),
            ("data/deep/y.json", "{}\n"),
            ("a/Cargo.toml", "a\n"),
            ("a/src/lib.rs", "one\n"),
            ("a/tests/fixture/Cargo.toml", "no member\n"),
            ("a/tests/fixture/src/lib.rs", "fixture\n"),
            ("a/inner/Cargo.toml", "inner\n"),
            ("a/inner/src/lib.rs", "inner\n"),
            ("a/inner/table.csv", "1\n"),
            ("b/Cargo.toml", "b\n"),
            ("b/src/lib.rs", "two\n"),
        ],
    );
    fixture.git_init();
    fixture
}

/// Runs a shell script in `dir`. `$P` is `package`, `$TAG` what cargo writes into its `CACHEDIR.TAG`.
fn act(dir: &Utf8Path, package: &str, script: &str) {
    let mut command = Command::new("sh");
    scrub(&mut command).current_dir(dir).args(["-c", script]);
    for (name, value) in [("GIT_CONFIG_GLOBAL", "/dev/null"), ("P", package)] {
        command.env(name, value);
    }
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Test").env(format!("GIT_{role}_EMAIL"), "test@example.com");
    }
    command.env("TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# This was created by cargo.\n");
    Outcome::of(&mut command).expect_code(0);
}

fn environment() -> Environment {
    let mut environment = Environment::current();
    environment.set("GIT_CONFIG_GLOBAL", "/dev/null");
    environment.set("GIT_CONFIG_NOSYSTEM", "1");
    environment
}

fn workspace(root: &Utf8Path, members: &[&str]) -> Workspace {
    let package = |dir: &&str| LocalPackage {
        name: Utf8Path::new(dir).file_name().unwrap_or("root").to_owned(),
        dir: if dir.is_empty() { root.to_owned() } else { root.join(dir) },
        member: true,
        ..LocalPackage::default()
    };
    let facts = Facts {
        root: root.to_owned(),
        target_dir: root.join("target"),
        build_dir: root.join("target"),
        packages: members.iter().map(package).collect(),
        ..Facts::default()
    };
    let environment = environment();
    let cargo_config = CargoConfig::load(root, &environment);
    Workspace { facts, environment, cargo_config, plan_key: digest("") }
}

fn read_as(root: &Utf8Path, members: &[&str], scope: &Scope) -> (RunTimeFiles, Contents) {
    let workspace = workspace(root, members);
    let mut contents = Contents::load(&workspace.state_dir());
    let files = RunTimeFiles::read(&workspace, scope, false, &mut contents).unwrap();
    contents.save().unwrap();
    (files, contents)
}

fn digests(root: &Utf8Path, members: &[&str], scope: &Scope) -> BTreeMap<String, Digest> {
    let (files, _) = read_as(root, members, scope);
    let packages = workspace(root, members).facts.packages;
    packages.iter().enumerate().map(|(at, package)| (package.name.clone(), files.digest(at))).collect()
}

/// The names of the packages whose digest `edit` changes, separated by spaces.
fn changed_by(root: &Utf8Path, members: &[&str], scope: &Scope, edit: impl FnOnce()) -> String {
    let before = digests(root, members, scope);
    edit();
    let after = digests(root, members, scope);
    let changed = before.iter().filter(|(name, digest)| after[*name] != **digest);
    changed.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" ")
}

/// What changes when a script prepared the fixture, and then another one edits it.
fn assert_table(table: &[(&str, &str, &str, &str)]) {
    let template = fixture();
    let around = TempDir::new("run-time-files-copy");
    let copy = around.path().join("repository");
    for (what, prepare, edit, expected) in table {
        act(template.root(), "", &format!("rm -rf {copy}; cp -a . {copy}"));
        act(&copy, "", prepare);
        let edit = || act(&copy, "", edit);
        let changed = changed_by(&copy, &MEMBERS, &Scope::default(), edit);
        assert_eq!(changed, *expected, "{what}");
    }
}

#[test]
fn each_kind_of_file_counts_for_those_who_may_read_it() {
    assert_table(&[
        ("nothing", "", "", ""),
        ("a source", "", "echo x > a/src/lib.rs", "a"),
        ("a source, staged", "", "echo x > a/src/lib.rs; git add -A", "a"),
        ("what is only staged", "echo x > a/src/lib.rs", "git add -A", ""),
        ("what is only committed", "echo x > b/new.txt", "git add -A; git commit -qm new", ""),
        ("a new source", "", "echo x > b/src/new.rs", "b"),
        ("a new file", "", "echo x > b/new.txt", ALL),
        ("a file that is no Rust source", "", "echo 2 > a/inner/table.csv", ALL),
        ("a deleted source", "", "rm a/src/lib.rs", "a"),
        ("a deletion that is only staged", "rm b/src/lib.rs", "git add -A", ""),
        ("a source of a package in a package's folder", "", "echo x > a/inner/src/lib.rs", "inner"),
        ("a source of a fixture", "", "echo x > a/tests/fixture/src/lib.rs", "a"),
        ("a file outside of all packages", "", "echo x > data/deep/y.json", ALL),
        ("a source outside of all packages", "", "echo x > tool.rs", ALL),
        ("a source of another workspace", "", "echo x > other/x.rs", ""),
        ("an ignored file", "touch a/x.tmp", "echo x > a/x.tmp", ""),
        (
            "variables in a file",
            "for f in . a b; do echo .env >> $f/.gitignore; echo A=1 > $f/.env; done; git add -A",
            "echo A=2 > a/.env",
            ALL,
        ),
        ("variables at the top", "echo .env >> .gitignore; git add -A", "echo A=2 > .env", ALL),
        ("an ignored file that is tracked", "touch a/x.tmp; git add -f a", "echo x > a/x.tmp", ALL),
        ("unwatched", "git update-index --assume-unchanged a/src/lib.rs", "echo x > a/src/lib.rs", "a"),
        ("not checked out", "git update-index --skip-worktree a/src/lib.rs", "echo x > a/src/lib.rs", "a"),
        (
            "another case",
            "git config core.ignoreCase true; mv data/x.json data/X.json",
            "echo x > data/X.json",
            ALL,
        ),
        ("to be added", "touch b/src/x.rs; git add -N b", "echo x > b/src/x.rs", "b"),
        (
            "in a conflict",
            "git checkout -qb x; echo x > a/src/lib.rs; git commit -qam x; git checkout -q main; \
             echo y > a/src/lib.rs; git commit -qam y; git merge -q x || true",
            "echo z > a/src/lib.rs",
            "a",
        ),
        ("a mode", "", "chmod +x a/src/lib.rs", "a"),
        (
            "line endings that git converts",
            "echo '* text=auto' > .gitattributes; git add -A",
            "printf 'two\\r\\n' > b/src/lib.rs; git add -A",
            "b",
        ),
        ("odd names", "", "echo > \"b/src/new\nline\tand \\\\ tab.rs\"", "b"),
        (
            "a folder where a file was",
            "",
            "rm b/src/lib.rs; mkdir b/src/lib.rs; touch b/src/lib.rs/x.rs",
            "b",
        ),
        ("what cargo builds", "mkdir target; echo > .gitignore", "touch target/x", ""),
        ("what cargo builds elsewhere", "mkdir b/o; printf \"$TAG\" > b/o/CACHEDIR.TAG", "touch b/o/x", ""),
        ("another's cache", "mkdir b/o; echo \"${TAG%#*}\" > b/o/CACHEDIR.TAG", "touch b/o/x.rs", "b"),
        ("what looks like it", "mkdir b/o; echo by cargo > b/o/CACHEDIR.TAG", "touch b/o/x.rs", "b"),
        (
            "a tracked file in such a folder",
            "mkdir b/o; printf \"$TAG\" > b/o/CACHEDIR.TAG; touch b/o/x.rs; git add -A",
            "echo x > b/o/x.rs",
            "b",
        ),
    ]);
}

#[test]
fn sources_of_others_count_for_those_who_may_build_or_check_them() {
    assert_table(&[
        (
            "a source, where a test builds others",
            "echo '// trybuild' > b/src/t.rs",
            "echo x > a/inner/src/lib.rs",
            "b inner",
        ),
        (
            "a new source, where a test starts cargo",
            "echo 'fn f() { Command::new(\"cargo\"); }' > b/src/t.rs",
            "echo x > a/src/new.rs",
            "a b",
        ),
        (
            "a new source, where a test lets a shell start cargo",
            "echo 'fn f() { sh(\"cargo run\"); }' > b/src/t.rs",
            "echo x > a/src/new.rs",
            "a b",
        ),
        (
            "a new source, where a test looks into the target dir",
            "echo 'fn f() { target.join(\"debug\").join(\"tool\"); }' > b/src/t.rs",
            "echo x > a/src/new.rs",
            "a b",
        ),
        (
            "a source, where a test reads them all",
            "echo 'fn f() { path.extension() == Some(\"rs\"); }' > b/src/t.rs",
            "echo x > a/src/lib.rs",
            "a b",
        ),
        (
            "a new source, where a test has a source outside",
            "echo '#[path = \"../../tool.rs\"] mod tool;' > b/src/t.rs",
            "echo x > a/src/new.rs",
            "a b",
        ),
        ("the word where it is no source", "echo trybuild > b/t.txt", "echo x > a/src/lib.rs", "a"),
    ]);
}

#[test]
fn what_builds_may_be_in_a_package_that_tests_depend_on() {
    let table = [("src/help.rs", "a inner"), ("tests/it.rs", "a"), ("build.rs", "a")];
    for (path, expected) in table {
        let fixture = fixture();
        fixture.write(&format!("a/{path}"), "// trybuild");
        fixture.git(&["add", "."]);
        let digests = || {
            let mut workspace = workspace(fixture.root(), &MEMBERS);
            // `inner` depends on `a`.
            workspace.facts.packages[1].dependencies = vec![LocalDependency { package: 0, dev: true }];
            let mut contents = Contents::load(&workspace.state_dir());
            let files = RunTimeFiles::read(&workspace, &Scope::default(), false, &mut contents).unwrap();
            [0, 1].map(|package| files.digest(package))
        };
        let before = digests();
        fixture.write("b/src/lib.rs", "edited");
        let changed = before.iter().zip(digests()).map(|(before, after)| *before != after);
        let names = ["a", "inner"].into_iter().zip(changed).filter(|(_, changed)| *changed);
        assert_eq!(names.map(|(name, _)| name).collect::<Vec<_>>().join(" "), expected, "{path}");
    }
}

#[test]
fn links_are_followed_while_they_stay_inside_the_repository() {
    assert_table(&[
        ("to a folder of another package", "ln -s ../b/src a/l", "echo x > b/src/lib.rs", "a b"),
        ("to a folder, where a file is new", "ln -s ../b/src a/l", "echo x > b/src/new.rs", "a b"),
        ("to a file", "ln -s ../b/src/lib.rs a/l", "echo x > b/src/lib.rs", "a b"),
        ("to an ignored file", "ln -s x.tmp a/l; touch a/x.tmp", "echo x > a/x.tmp", "a"),
        ("to a folder with an ignored file", "ln -s ../b a/l; touch b/x.tmp", "echo x > b/x.tmp", ""),
        ("through another link", "ln -s ../l a/l; ln -s b/src l", "echo x > b/src/lib.rs", "a b"),
        (
            "from where a link leads to",
            "mkdir d; ln -s ../d a/l; ln -s ../other/x.rs d/l",
            "echo x > other/x.rs",
            "a",
        ),
        ("to each other", "ln -s ../b a/l; ln -s ../a b/l", "echo x > b/src/lib.rs", "a b"),
        ("to itself, and above", "ln -s l a/l; ln -s . a/here; ln -s .. a/up", "echo x > other/x.rs", "a"),
        ("that is tracked", "ln -s ../b/src a/l; git add -A", "echo x > b/src/lib.rs", "a b"),
        ("to another place", "ln -s nowhere a/l.rs", "ln -sf elsewhere a/l.rs", "a"),
        ("of which a file was made", "echo t > a/t; ln -s t a/l.rs", "rm a/l.rs; echo t > a/l.rs", "a"),
        ("into git's own folder", "ln -s ../.git a/l", "git commit -q --allow-empty -m x", ""),
        (
            "out of the repository",
            "mkdir -p ../out; ln -s ../../out a/l",
            "echo > ../out/x; rm -r ../out",
            "",
        ),
        ("to a file out of it", "echo > ../out; ln -s ../../out a/l", "echo x > ../out; rm ../out", ""),
    ]);
    // The workspace may be known by a path with a link in it.
    let fixture = fixture();
    act(fixture.root(), "", "ln -s ../b/src a/l; ln -s . here");
    let edit = || fixture.write("b/src/lib.rs", "x");
    let root = fixture.root().join("here");
    assert_eq!(changed_by(&root, &MEMBERS, &Scope::default(), edit), "a b");
}

/// Not even where everything else is as before.
#[test]
fn an_edit_with_the_same_size_and_time_is_seen() {
    let fixture = fixture();
    let path = fixture.root().join("a/src/lib.rs");
    let edit = || {
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        fixture.write("a/src/lib.rs", "One\n");
        fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    };
    assert_eq!(changed_by(fixture.root(), &MEMBERS, &Scope::default(), edit), "a");
}

#[test]
fn another_repository_inside_is_no_part_and_a_submodule_is() {
    let fixture = fixture();
    let root = fixture.root();
    for nested in ["a/nested", "sub", "sub/sub"] {
        fixture.write(&format!("{nested}/x.txt"), "1");
        fixture.write(&format!("{nested}/.gitignore"), "*.tmp\n");
    }
    git_init(&root.join("a/nested"));
    git_init(&root.join("sub/sub"));
    git_init(&root.join("sub"));
    fixture.git(&["worktree", "add", "-q", "b/tree"]);
    fixture.git(&["add", "sub"]);
    let table = [
        ("a/nested/x.txt", ""),
        ("b/tree/b/src/lib.rs", ""),
        ("sub/x.txt", ALL),
        ("sub/new.txt", ALL),
        ("sub/new.tmp", ""),
        // `git add` in `sub` made it a submodule of a submodule.
        ("sub/sub/x.txt", ALL),
    ];
    for (path, expected) in table {
        let edit = || fixture.write(path, "edited");
        assert_eq!(changed_by(root, &MEMBERS, &Scope::default(), edit), expected, "{path}");
    }
    // The worktree itself is a repository like any other.
    let tree = root.join("b/tree");
    let edit = || fixture.write("b/tree/a/src/lib.rs", "x");
    assert_eq!(changed_by(&tree, &MEMBERS, &Scope::default(), edit), "a");
    assert_eq!(
        digests(&tree, &MEMBERS, &Scope::default()).keys().cloned().collect::<Vec<_>>().join(" "),
        ALL
    );
}

#[test]
fn a_checkout_elsewhere_has_the_same_digests() {
    let fixture = fixture();
    let other = TempDir::new("clone");
    let clone = other.path().join("clone");
    fixture.git(&["clone", "-q", ".", clone.as_str()]);
    let [here, there] = [fixture.root(), &clone].map(|root| digests(root, &MEMBERS, &Scope::default()));
    assert_eq!(here, there);
}

/// Members in a folder of the repository, whose other files count too.
#[test]
fn a_workspace_may_be_a_part_of_its_repository_or_a_single_package() {
    let fixture = fixture();
    let members = ["", "inner"];
    let root = fixture.root().join("a");
    let table = [
        ("a/src/lib.rs", "root"),
        ("a/tests/fixture/src/lib.rs", "root"),
        ("a/inner/src/lib.rs", "inner"),
        ("a/inner/table.csv", "inner root"),
        ("README.md", "inner root"),
        ("b/src/lib.rs", ""),
    ];
    for (path, expected) in table {
        let edit = || fixture.write(path, "edited");
        assert_eq!(changed_by(&root, &members, &Scope::default(), edit), expected, "{path}");
    }
}

#[test]
fn without_git_everything_in_the_folder_counts() {
    let table = [
        ("a/src/lib.rs", "a"),
        ("a/x.tmp", ALL),
        ("a/inner/src/lib.rs", "inner"),
        ("a/inner/table.csv", ALL),
        ("a/.git/x", ""),
        (".hg/dirstate", ""),
        ("target/x", ""),
        ("README.md", ALL),
        ("other/x.rs", ""),
        ("data/x.json", ALL),
    ];
    let fixture = fixture();
    act(fixture.root(), "", "rm -rf .git");
    let check = || {
        for (path, expected) in table {
            let edit = || fixture.write(path, &format!("{}edited", fixture.read(path)));
            assert_eq!(changed_by(fixture.root(), &MEMBERS, &Scope::default(), edit), expected, "{path}");
        }
    };
    for path in ["a/x.tmp", "a/.git/x", ".hg/dirstate", "target/x"] {
        fixture.write(path, "");
    }
    check();
    // A repository around the workspace that ignores it, such as one of a home folder.
    fixture.write(".gitignore", "*");
    git_init(fixture.root());
    check();
}

#[test]
fn a_package_that_git_does_not_list_is_read_from_disk() {
    let fixture = fixture();
    fixture.write("secret/Cargo.toml", "");
    fixture.write("b/nested/Cargo.toml", "");
    git_init(&fixture.root().join("b/nested"));
    let members = ["a", "b", "secret", "b/nested"];
    let table = [
        ("secret/x.txt", "secret"),
        ("b/nested/x.txt", "nested"),
        ("b/nested/.git/x", ""),
        ("README.md", "a b nested secret"),
    ];
    for (path, expected) in table {
        let edit = || fixture.write(path, "edited");
        assert_eq!(changed_by(fixture.root(), &members, &Scope::default(), edit), expected, "{path}");
    }
}

#[test]
fn a_repository_that_git_cannot_read_is_an_error() {
    let fixture = fixture();
    fixture.write(".git/index", "damaged");
    let workspace = workspace(fixture.root(), &MEMBERS);
    let mut contents = Contents::load(&workspace.state_dir());
    let error = RunTimeFiles::read(&workspace, &Scope::default(), false, &mut contents).unwrap_err();
    assert!(format!("{error:#}").contains("ls-files"), "{error:#}");
}

#[test]
fn the_configuration_adds_and_narrows() {
    let list = |globs: &[&str]| globs.iter().map(|&glob| glob.to_owned()).collect::<Vec<_>>();
    let scope = Scope {
        ignore: list(&["**/*.md", "data/deep/**"]),
        verdicts: Verdicts { inputs: list(&["**/*.tmp", "target/made/*", "secret"]), ..Verdicts::default() },
        test_inputs: vec![TestInputs {
            name: "b".to_owned(),
            files: Some(list(&["data/*.json", "tool.rs"])),
            ..TestInputs::default()
        }],
    };
    let fixture = fixture();
    fixture.write("data/z.yaml", "");
    let table = [
        // Ignored by the configuration, but in the package's own folder.
        ("a/README.txt", "a inner"),
        ("b/x.md", "b"),
        ("data/x.md", ""),
        ("README.md", ""),
        ("data/deep/y.json", ""),
        // Named for `b`.
        ("data/x.json", ALL),
        ("tool.rs", ALL),
        ("data/z.yaml", "a inner"),
        // Named for all.
        ("a/x.tmp", ALL),
        ("new.tmp", ALL),
        ("target/made/x", ALL),
        ("target/made/deep/x", ALL),
        ("target/x", ""),
        // A wildcard does not lead into it.
        ("target/x.tmp", ""),
        ("secret/deep/x", ALL),
        ("a/src/lib.rs", "a"),
    ];
    for (path, expected) in table {
        let edit = || fixture.write(path, "edited");
        assert_eq!(changed_by(fixture.root(), &MEMBERS, &scope, edit), expected, "{path}");
    }
    let outside = TempDir::new("named");
    act(fixture.root(), "", &format!("ln -s {} secret/link", outside.path()));
    let edit = || outside.write("x", "");
    assert_eq!(changed_by(fixture.root(), &MEMBERS, &scope, edit), ALL, "through a link that is named");
}

#[test]
fn names_that_are_not_unicode_count() {
    let fixture = fixture();
    let edits = [
        ("echo 1 > \"$(printf 'b/src/\\377.rs')\"", "b"),
        ("echo 1 > \"$(printf 'b/src/\\376.rs')\"", "b"),
        ("echo 2 > \"$(printf 'b/src/\\377.rs')\"", "b"),
        ("mv \"$(printf 'b/src/\\377.rs')\" \"$(printf 'b/src/\\375.rs')\"", "b"),
        ("", ""),
    ];
    for (edit, expected) in edits {
        let changed =
            changed_by(fixture.root(), &MEMBERS, &Scope::default(), || act(fixture.root(), "", edit));
        assert_eq!(changed, expected, "{edit}");
    }
}

#[test]
fn what_changed_is_named_and_what_is_gone_too() {
    let fixture = fixture();
    let root = fixture.root();
    read_as(root, &MEMBERS, &Scope::default());
    // The file system's clock is a few milliseconds late.
    let pause = || std::thread::sleep(std::time::Duration::from_millis(50));
    let now_ms = || {
        pause();
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        pause();
        u64::try_from(since.as_millis()).unwrap()
    };
    let start = now_ms();
    fixture.write("a/src/lib.rs", "x");
    fixture.write("new.txt", "x");
    act(root, "", "rm a/inner/table.csv b/src/lib.rs");
    read_as(root, &MEMBERS, &Scope::default());
    let middle = now_ms();
    fixture.write("README.md", "x");
    let (files, contents) = read_as(root, &MEMBERS, &Scope::default());
    let table: [(usize, u64, &[&str]); 4] = [
        (0, start, &["README.md", "a/inner/table.csv", "a/src/lib.rs", "new.txt"]),
        (2, start, &["README.md", "a/inner/table.csv", "b/src/lib.rs", "new.txt"]),
        (0, middle, &["README.md"]),
        (0, now_ms(), &[]),
    ];
    for (package, since, expected) in table {
        assert_eq!(files.changed_since(package, since, &contents), expected, "{package} {since}");
    }
    // Without the cache the file system still knows most of it.
    fs::remove_file(root.join("target/xtask-suite/verdicts/contents")).unwrap();
    let (files, contents) = read_as(root, &MEMBERS, &Scope::default());
    assert_eq!(files.changed_since(0, start, &contents), ["README.md", "a/src/lib.rs", "new.txt"]);
}

/// Runs of tests, which are remembered or not.
struct Runs<'a> {
    fixture: &'a Fixture,
    passes: BTreeSet<(usize, Digest)>,
}

impl<'a> Runs<'a> {
    fn new(fixture: &'a Fixture) -> Self {
        Self { fixture, passes: BTreeSet::new() }
    }

    /// Runs the tests of the packages whose pass is not remembered, which is what the script does; returns their names.
    fn run(&mut self, script: &str) -> String {
        let read = || read_as(self.fixture.root(), &MEMBERS, &Scope::default()).0;
        let before = read();
        let ran = (0..MEMBERS.len()).filter(|&at| !self.passes.contains(&(at, before.digest(at))));
        let ran = ran.collect::<BTreeSet<_>>();
        for &package in &ran {
            act(self.fixture.root(), MEMBERS[package], script);
        }
        let after = read();
        let unchanged = RunTimeFiles::unchanged(&before, &after, &ran).unwrap();
        self.passes.extend(ran.intersection(&unchanged).map(|&at| (at, after.digest(at))));
        ran.iter().map(|&at| MEMBERS[at]).collect::<Vec<_>>().join(" ")
    }
}

const EVERY: &str = "a a/inner b";

#[test]
fn what_tests_write_settles_and_costs_others_nothing() {
    let table: &[(&str, &str, &[&str])] = &[
        ("nothing", "", &[EVERY, ""]),
        ("the same in each run", "test $P != a || echo same > a/out", &[EVERY, "a", ""]),
        ("something else in each run", "test $P != a || echo >> a/out", &[EVERY, "a", "", ""]),
        ("what is missing", "test $P != a || test -e a/out || echo > a/out", &[EVERY, "a", ""]),
        ("a source", "test $P != a || echo >> a/out.rs", &[EVERY, "a", ""]),
        ("there and gone", "test $P != a || rm a/out 2> /dev/null || echo > a/out", &[EVERY, "a", ""]),
        ("outside of all packages", "test $P != a || echo >> out", &[EVERY, EVERY, ""]),
        ("into the folder of another package", "test $P != b || echo >> a/out", &[EVERY, "a", ""]),
        ("each into its own folder", "echo >> $P/out", &[EVERY, EVERY, ""]),
        ("an ignored file", "echo >> $P/out.tmp", &[EVERY, ""]),
        ("what a link leads to", "ln -sf ../x.tmp a/l; test $P != a || echo >> x.tmp", &[EVERY, "a", ""]),
        ("a tracked file", "test $P != a || echo >> b/src/lib.rs", &[EVERY, "b", ""]),
    ];
    for (what, script, expected) in table {
        let fixture = fixture();
        let mut runs = Runs::new(&fixture);
        let names = expected.iter().map(|_| runs.run(script)).collect::<Vec<_>>();
        assert_eq!(names, *expected, "{what}");
    }
}

/// `a` writes into a file that differs from run to run and is known as such. Then others write.
#[test]
fn what_a_user_writes_is_never_taken_for_what_tests_wrote() {
    let fixture = fixture();
    let mut runs = Runs::new(&fixture);
    let mut after = |edit: &str| {
        act(fixture.root(), "", edit);
        [(); 3].map(|()| runs.run("test $P != a || echo >> a/out"))
    };
    assert_eq!(after(""), [EVERY, "a", ""]);
    assert_eq!(after("echo x > a/out"), [EVERY, EVERY, ""], "an edit of what tests wrote");
    assert_eq!(after("rm a/out"), ["a", "a", ""], "a deletion");
    assert_eq!(after("echo x > b/src/lib.rs"), ["b", "", ""], "an edit of another package");
    assert_eq!(after("echo x > a/src/lib.rs"), ["a", "", ""], "an edit of the package");
    assert_eq!(after("echo x > b/new.txt"), [EVERY, "", ""], "a new file");
    assert_eq!(after("git add -A"), [EVERY; 3], "what is tracked always counts");
}

/// A user's edits while tests run look like the tests' own.
#[test]
fn an_edit_during_a_run_is_seen_by_everybody() {
    let fixture = fixture();
    fixture.write("b/new.txt", "untracked");
    let mut runs = Runs::new(&fixture);
    let mut with = |script: &str| [(); 3].map(|()| runs.run(script));
    assert_eq!(with("echo x > b/new.txt"), [EVERY, EVERY, ""]);
    fixture.write("b/src/lib.rs", "x");
    assert_eq!(with("echo y > b/new.txt"), ["b", EVERY, ""]);
    // What tests of `b` made, and somebody changes while only `a` runs.
    fixture.write("b/src/lib.rs", "y");
    assert_eq!(with("echo x > b/out"), ["b", "b", ""]);
    fixture.write("a/src/lib.rs", "x");
    assert_eq!(with("echo y > b/out"), ["a", EVERY, ""]);
}

#[test]
fn a_damaged_memory_of_what_tests_wrote_costs_a_run() {
    let fixture = fixture();
    let mut runs = Runs::new(&fixture);
    let mut again = || [(); 3].map(|()| runs.run("echo >> $P/out"));
    assert_eq!(again(), [EVERY, EVERY, ""]);
    let state = "target/xtask-suite/verdicts/written";
    let whole = fixture.read(state);
    fixture.write(state, &whole[..whole.len() - 3]);
    assert_eq!(again(), [EVERY, EVERY, ""]);
    assert_eq!(fixture.read(state).lines().count(), 4);
}

#[test]
fn passes_that_are_kept_in_the_repository_do_not_count() {
    let fixture = fixture();
    let mut workspace = workspace(fixture.root(), &MEMBERS);
    workspace.environment.set("XTASK_STORE", fixture.root().as_str());
    let digest = || {
        let files = RunTimeFiles::read(&workspace, &Scope::default(), false, &mut Contents::default());
        files.unwrap().digest(0)
    };
    let before = digest();
    fixture.write("verdicts/1/2.pass", "");
    assert_eq!(digest(), before);
    fixture.write("other.pass", "");
    assert_ne!(digest(), before, "nothing else is theirs");
}
