//! A machine with nothing installed but cargo, git and what a linker needs.

use std::path::PathBuf;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};

use crate::process::{Outcome, scrub};
use crate::temp_dir::TempDir;

/// From the toolchain: what rustup installs by default.
const TOOLCHAIN: [&str; 6] = ["cargo", "rustc", "rustdoc", "cargo-clippy", "clippy-driver", "rustfmt"];
/// From the system.
const SYSTEM: [&str; 9] = ["sh", "git", "cc", "ld", "env", "cat", "ls", "mkdir", "rm"];

/// A home, a cargo home and a `PATH` of their own: no nextest, no other linker, no settings of the user.
#[derive(Debug)]
pub struct BareMachine {
    dir: TempDir,
}

impl BareMachine {
    /// A fresh one.
    ///
    /// # Panics
    /// When a program that every machine has is not found here.
    pub fn new(name: &str) -> Self {
        let dir = TempDir::new(name);
        for folder in ["bin", "home", "cargo-home"] {
            std::fs::create_dir_all(dir.path().join(folder)).expect("a folder");
        }
        let machine = Self { dir };
        let mut rustc = Command::new("rustc");
        let sysroot = Outcome::of(scrub(&mut rustc).args(["--print", "sysroot"])).expect_code(0).stdout;
        let toolchain = Utf8PathBuf::from(sysroot.trim()).join("bin");
        for program in TOOLCHAIN {
            // Clippy and rustfmt may be missing; then the command that needs them says so.
            let path = toolchain.join(program);
            if path.is_file() {
                machine.link(program, path.as_std_path().to_owned());
            }
        }
        for program in SYSTEM {
            machine.install(program);
        }
        machine
    }

    fn link(&self, program: &str, to: PathBuf) {
        #[cfg(unix)]
        std::os::unix::fs::symlink(to, self.bin().join(program)).expect("a link");
        #[cfg(not(unix))]
        std::fs::copy(to, self.bin().join(program)).expect("a copy");
    }

    /// The only folder on the `PATH`.
    pub fn bin(&self) -> Utf8PathBuf {
        self.dir.path().join("bin")
    }

    /// The home folder.
    pub fn home(&self) -> Utf8PathBuf {
        self.dir.path().join("home")
    }

    /// Puts a program on the `PATH` that whoever runs the tests has.
    ///
    /// # Panics
    /// When they do not have it.
    pub fn install(&self, program: &str) {
        let found = std::env::var_os("PATH").and_then(|path| {
            std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
        });
        self.link(program, found.unwrap_or_else(|| panic!("{program} is not on the PATH")));
    }

    /// Puts a shell script on the `PATH`.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn install_script(&self, name: &str, text: &str) {
        self.dir.write(&format!("bin/{name}"), &format!("#!/bin/sh\n{text}\n"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let executable = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(self.bin().join(name), executable).expect("permissions");
        }
    }

    /// Writes a file below the home folder.
    pub fn write(&self, path: &str, text: &str) {
        self.dir.write(&format!("home/{path}"), text);
    }

    /// `program` of this machine in `dir`.
    pub fn command(&self, program: &str, dir: &Utf8Path) -> Command {
        let mut command = Command::new(self.bin().join(program));
        scrub(&mut command).current_dir(dir);
        // What is printed there is compared with what users see, who do not set it.
        command.env_remove("CARGO_PROFILE_DEV_DEBUG");
        command.env("PATH", self.bin()).env("HOME", self.home());
        command.env("CARGO_HOME", self.dir.path().join("cargo-home")).env_remove("RUSTUP_HOME");
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        command
    }
}
