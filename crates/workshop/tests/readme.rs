//! A new user's way, by the very lines of README.md and docs/adopt.md: clone, adopt, the first green test-fast; bring
//! it up to date; take it out again.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test; clippy.toml's exception stops at `#[test]` functions")]

use std::fs;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use xtask_testkit::{Outcome, Snapshot, TempDir, git_init, scrub};

const PUBLIC: &str = "https://github.com/xtask-suite/xtask-suite";

const WORKSPACE: [(&str, &str); 5] = [
    ("Cargo.toml", "[workspace]\nresolver = \"2\"\nmembers = [\"core\", \"cli\"]\n"),
    ("core/Cargo.toml", "[package]\nname = \"core-lib\"\nversion = \"0.1.0\"\nedition = \"2021\"\n"),
    (
        "core/src/lib.rs",
        "pub fn one() -> u32 {\n    1\n}\n\n#[test]\nfn is_one() {\n    assert_eq!(one(), 1);\n}\n",
    ),
    (
        "cli/Cargo.toml",
        "[package]\nname = \"cli\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\ncore-lib = { path = \"../core\" }\n",
    ),
    ("cli/src/main.rs", "fn main() {\n    println!(\"{}\", core_lib::one());\n}\n"),
];

/// This checkout.
fn repository() -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize_utf8().unwrap()
}

/// The commands of the first plain block below the heading.
fn commands(document: &str, heading: &str) -> Vec<String> {
    let text = fs::read_to_string(repository().join(document)).unwrap();
    let (_, below) =
        text.split_once(&format!("## {heading}\n")).unwrap_or_else(|| panic!("{document}: {heading}"));
    let block = below.split("```text\n").nth(1).and_then(|rest| rest.split("```").next());
    let lines = block.unwrap_or_else(|| panic!("{document}: no block below {heading}")).lines();
    lines.map(|line| line.split(" #").next().unwrap().trim_end().to_owned()).collect()
}

/// A machine of somebody who has cargo, what it has downloaded, and git.
struct User {
    dir: TempDir,
}

impl User {
    fn type_in(&self, commands: &[String]) -> Outcome {
        let mut shell = Command::new("sh");
        scrub(&mut shell).current_dir(self.dir.path()).args(["-e", "-c", &commands.join("\n")]);
        // The toolchain and the downloaded crates are those of whoever runs this test.
        let home = |name: &str, folder: &str| {
            std::env::var(name).unwrap_or_else(|_| format!("{}/{folder}", std::env::var("HOME").unwrap()))
        };
        let [cargo, rustup] = [home("CARGO_HOME", ".cargo"), home("RUSTUP_HOME", ".rustup")];
        shell.env("CARGO_HOME", cargo).env("RUSTUP_HOME", rustup).env("HOME", self.dir.path());
        shell.env("XTASK_STORE", Utf8Path::new(env!("CARGO_TARGET_TMPDIR")).join("store"));
        shell.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_COUNT", "2");
        let checkout = format!("url.file://{}.insteadOf", repository());
        shell.env("GIT_CONFIG_KEY_0", checkout).env("GIT_CONFIG_VALUE_0", PUBLIC);
        shell.env("GIT_CONFIG_KEY_1", "safe.directory").env("GIT_CONFIG_VALUE_1", "*");
        Outcome::of(&mut shell)
    }

    fn workspace(&self) -> Utf8PathBuf {
        self.dir.path().join("my-workspace")
    }

    /// The bytes of every file that is the user's.
    fn files(&self) -> Snapshot {
        Snapshot::of(&self.workspace())
    }
}

#[test]
fn from_a_clone_to_the_first_green_test_fast_and_back() {
    let user = User { dir: TempDir::new("readme") };
    for (path, text) in WORKSPACE {
        user.dir.write(&format!("my-workspace/{path}"), text);
    }
    user.dir.write("my-workspace/.gitignore", "/target\n");
    let mut lock = xtask_testkit::cargo(&user.workspace());
    Outcome::of(lock.args(["generate-lockfile"])).expect_code(0);
    git_init(&user.workspace());
    let before = user.files();

    let way = commands("README.md", "Put it into your workspace");
    assert!(way.len() <= 5, "{way:?}");
    let adopted = user.type_in(&way).expect_code(0);
    assert!(adopted.stdout.contains("costs: first build "), "{}", adopted.stdout);
    let last = adopted.stdout.lines().last().unwrap();
    assert!(last.starts_with("test-fast ok: ") && last.contains(" 1 passed, 0 failed"), "{last}");

    let task = user.workspace().join("xtask/tasks/src/main.rs");
    let own = fs::read_to_string(&task).unwrap() + "// Ours.\n";
    user.dir.write("my-workspace/xtask/tasks/src/main.rs", &own);
    user.type_in(&commands("docs/adopt.md", "Update it")).expect_code(0);
    assert_eq!(fs::read_to_string(&task).unwrap(), own, "the tasks are the workspace's own");

    user.dir.write("my-workspace/xtask/tasks/src/main.rs", own.strip_suffix("// Ours.\n").unwrap());
    user.type_in(&commands("docs/adopt.md", "Take it out")).expect_code(0);
    user.files().assert_same(&before, "undone");
}
