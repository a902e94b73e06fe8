//! A small workspace with the launcher in it, made of these very sources, and what starting it did.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

pub(crate) const FIRST: &str = "xtask: building the suite";
pub(crate) const AGAIN: &str = "xtask: bringing the suite up to date";

pub(crate) const SUITE_MAIN: &str = r#"
pub(crate) fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "exit") {
        std::process::exit(args[1].parse().unwrap());
    }
    println!("suite 1, {}, package {}", dep::TEXT, env!("CARGO_PKG_DESCRIPTION"));
    println!("checked={} marked={}", cfg!(debug_assertions), cfg!(marked));
    println!("args={args:?}");
    for name in ["XTASK_SUITE_ROOT", "CARGO_PKG_NAME", "MY_OWN"] {
        println!("{name}={}", std::env::var(name).unwrap_or_default());
    }
}
"#;

pub(crate) const PROFILE: &str = "[profile.xtask]\ninherits = \"dev\"\ndebug = false\n";

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Form {
    Member,
    Vendored,
}

/// A small workspace. Its path has a space and letters beyond ASCII. It stays when the test fails.
pub(crate) struct Clone {
    pub(crate) dir: PathBuf,
    pub(crate) root: PathBuf,
    /// Where the suite's own workspace lies.
    pub(crate) suite: PathBuf,
    /// The package that has the suite's binary.
    pub(crate) app: PathBuf,
}

pub(crate) struct Started {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// How often the launcher called cargo.
    pub(crate) asked: usize,
}

impl Clone {
    pub(crate) fn new(form: Form) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let temporary = std::env::temp_dir().canonicalize().unwrap();
        let dir = temporary.join(format!("xtask-launcher-{}-{number}", std::process::id()));
        // What a test that failed has left, when the system has come round to its process id again.
        let _ = fs::remove_dir_all(&dir);
        let root = dir.join("my clöne");
        let suite = if form == Form::Member { root.clone() } else { root.join("xtask/suite") };
        let app = root.join(if form == Form::Member { "crates/suite" } else { "xtask/tasks" });
        let clone = Self { dir, root, suite, app };

        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        for source in fs::read_dir(here.join("src")).unwrap().map(|entry| entry.unwrap().path()) {
            let name = source.file_name().unwrap().to_str().unwrap();
            clone.write(&format!("xtask/src/{name}"), &fs::read_to_string(&source).unwrap());
        }
        let config = fs::read_to_string(here.join("../.cargo/config.toml")).unwrap();
        let alias = config.lines().find(|line| line.starts_with("xtask = ")).unwrap();
        let include = "include = [{ path = \"xtask.local.toml\", optional = true }]";
        let launcher = package("xtask").replace("2024", "2018");
        let target = "name = \"xtask\"\npath = \"src/main.rs\"\n";
        let (alias, target) = match form {
            Form::Member => (alias.to_owned(), format!("[[bin]]\n{target}")),
            // What keeps a workspace's own commands from building a launcher that is no work of its people.
            Form::Vendored => {
                let features = "required-features = [\"launcher\"]\n[features]\nlauncher = []\n";
                let alias = alias.replace("xtask --", "xtask --example xtask --features xtask/launcher --");
                (alias, format!("autobins = false\n[[example]]\n{target}{features}"))
            }
        };
        clone.write(".cargo/config.toml", &format!("{include}\n[alias]\n{alias}\n"));
        clone.write("xtask/Cargo.toml", &(launcher + &target));

        let workspace = |members| format!("[workspace]\nresolver = \"3\"\nmembers = {members}\n");
        let lints = "[lints.rust]\nunexpected_cfgs = \"allow\"\n";
        match form {
            Form::Member => {
                clone.write(
                    "Cargo.toml",
                    &(workspace("[\"xtask\", \"crates/suite\", \"crates/dep\"]") + PROFILE),
                );
                let dependency = "[dependencies]\ndep = { path = \"../dep\" }\n";
                clone.write_suite("app/Cargo.toml", &(package("xtask-suite") + dependency + lints));
                clone.write_suite("crates/dep/Cargo.toml", &package("dep"));
            }
            Form::Vendored => {
                let exclude = "exclude = [\"xtask/suite\"]\n";
                clone.write("Cargo.toml", &(workspace("[\"xtask\"]") + exclude + PROFILE));
                clone.write_suite("Cargo.toml", &(workspace("[\"crates/dep\", \"../tasks\"]") + PROFILE));
                // The suite is a library here, and not the package that has the binary.
                let dependency =
                    "[dependencies]\ndep = { package = \"xtask-suite\", path = \"../suite/crates/dep\" }\n";
                let tasks = package("xtask-tasks") + "workspace = \"../suite\"\n";
                let binary = "[[bin]]\nname = \"xtask-suite\"\npath = \"src/main.rs\"\n";
                clone.write_suite("app/Cargo.toml", &(tasks + binary + dependency + lints));
                clone.write_suite("crates/dep/Cargo.toml", &package("xtask-suite"));
            }
        }
        clone.write_suite("app/src/main.rs", SUITE_MAIN);
        clone.write_suite("crates/dep/src/lib.rs", "pub const TEXT: &str = \"dep 1\";\n");

        // Committed, as in a real clone: a lock file that the build itself writes is younger than its start.
        let lock = ["generate-lockfile", "--offline", "--quiet"];
        let mut lock_file = Command::new(cargo());
        assert!(clone.scrub(&mut lock_file).args(lock).current_dir(&clone.suite).status().unwrap().success());

        let shim = clone.dir.join("cargo");
        let text = format!(
            "#!/bin/sh\necho \"asked $CARGO_PKG_NAME$CARGO_MANIFEST_DIR\" >> '{}'\n'{}' \"$@\"\ncode=$?\neval \"$AFTER_CARGO\"\nexit $code\n",
            clone.log().display(),
            cargo().display(),
        );
        fs::write(&shim, text).unwrap();
        fs::set_permissions(&shim, fs::Permissions::from_mode(0o755)).unwrap();
        clone
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("asked.log")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        write(&self.root.join(path), text);
    }

    /// `app/…` lies in the package with the binary, anything else in the suite's workspace.
    fn suite_path(&self, path: &str) -> PathBuf {
        path.strip_prefix("app/").map_or_else(|| self.suite.join(path), |rest| self.app.join(rest))
    }

    pub(crate) fn write_suite(&self, path: &str, text: &str) {
        write(&self.suite_path(path), text);
    }

    pub(crate) fn edit_suite(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.suite_path(path)).unwrap();
        assert!(text.contains(from), "{} has no {:?}", path, from);
        self.write_suite(path, &text.replace(from, to));
    }

    /// `cargo xtask`, in an environment as after a login.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(cargo());
        self.with_counting_cargo(self.scrub(&mut command)).arg("xtask").current_dir(&self.root);
        command
    }

    /// Leaves what a fresh login has, and a cargo home of its own: the lock on a shared one makes cargo wait for
    /// other tests, and say so.
    pub(crate) fn scrub<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env_clear();
        for name in ["HOME", "RUSTUP_HOME", "TMPDIR"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        let mut path = cargo().parent().unwrap().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        command.env("PATH", path).env("CARGO_HOME", self.dir.join("cargo-home")).env("XTASK_STORE", "off")
    }

    /// `cargo run` names itself in `CARGO`; a runner, which it puts before what it starts, names ours instead.
    pub(crate) fn with_counting_cargo<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let triple = host().to_uppercase().replace(['-', '.'], "_");
        let cargo = self.dir.join("cargo");
        command.env(format!("CARGO_TARGET_{triple}_RUNNER"), format!("env CARGO={}", cargo.display()));
        command.env("CARGO", cargo)
    }

    pub(crate) fn start(&self, command: &mut Command) -> Started {
        let _ = fs::remove_file(self.log());
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        // Nothing follows: what `cargo run` set for the launcher would make build scripts rerun.
        assert!(log.lines().all(|line| line == "asked "), "{}", log);
        let asked = log.lines().count();
        Started { code: status.code(), stdout: text(stdout), stderr: text(stderr), asked }
    }

    /// A plain `cargo xtask`.
    pub(crate) fn xtask(&self) -> Started {
        self.start(&mut self.command())
    }
}

impl Drop for Clone {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

impl Started {
    #[track_caller]
    pub(crate) fn expect(self, code: i32, asked: usize, in_stdout: &str, in_stderr: &str) -> Self {
        let all = format!("asked {}\n--- stdout\n{}\n--- stderr\n{}", self.asked, self.stdout, self.stderr);
        assert_eq!(self.code, Some(code), "{all}");
        assert_eq!(self.asked, asked, "{all}");
        assert!(self.stdout.contains(in_stdout), "no {:?} in stdout: {}", in_stdout, all);
        assert!(self.stderr.contains(in_stderr), "no {:?} in stderr: {}", in_stderr, all);
        self
    }

    /// Started without asking cargo, and without a word.
    #[track_caller]
    pub(crate) fn expect_warm(self, in_stdout: &str) {
        assert_eq!(self.expect(0, 0, in_stdout, "").stderr, "");
    }
}

pub(crate) fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub(crate) fn set_modified(path: &Path, time: SystemTime) {
    File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
}

pub(crate) fn package(name: &str) -> String {
    format!("[package]\nname = \"{name}\"\ndescription = \"fixture\"\nedition = \"2024\"\n")
}

/// The toolchain's cargo that runs these tests, not rustup's, which would set `CARGO` itself.
pub(crate) fn cargo() -> PathBuf {
    std::env::var_os("CARGO").expect("run by cargo").into()
}

pub(crate) fn host() -> String {
    let version = Command::new(cargo().with_file_name("rustc")).arg("-vV").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}
