//! Small real workspaces.

use std::process::Command;

use camino::Utf8Path;

use crate::process::{Outcome, scrub};
use crate::temp_dir::TempDir;

/// A workspace made of the files a test lists.
#[derive(Debug)]
pub struct Fixture {
    dir: TempDir,
}

impl Fixture {
    /// A folder with `files` (path, text) in it.
    pub fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let dir = TempDir::new(name);
        for (path, text) in files {
            dir.write(path, text);
        }
        Self { dir }
    }

    /// The root folder.
    pub fn root(&self) -> &Utf8Path {
        self.dir.path()
    }

    /// Writes or replaces one file.
    pub fn write(&self, path: &str, text: &str) {
        self.dir.write(path, text);
    }

    /// Reads one file.
    pub fn read(&self, path: &str) -> String {
        self.dir.read(path)
    }

    /// Makes the folder a git repository with everything committed on branch `main`.
    pub fn git_init(&self) {
        git_init(self.root());
    }

    /// Runs git in the root.
    ///
    /// # Panics
    /// When git fails.
    pub fn git(&self, args: &[&str]) -> String {
        git(self.root(), args)
    }

    /// Commits everything.
    pub fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
    }
}

/// Makes `dir` a git repository with everything in it committed on branch `main`.
pub fn git_init(dir: &Utf8Path) {
    git(dir, &["init", "--quiet", "--initial-branch", "main"]);
    git(dir, &["add", "-A"]);
    git(dir, &["commit", "--quiet", "--allow-empty", "-m", "first"]);
}

fn git(dir: &Utf8Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    scrub(&mut command).current_dir(dir).args(args);
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Test").env(format!("GIT_{role}_EMAIL"), "test@example.com");
    }
    // The user's own git settings (signing, hooks) are not part of the test.
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    Outcome::of(&mut command).expect_code(0).stdout
}
