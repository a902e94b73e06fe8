//! Real archives from a real HTTPS server on this machine, by real `curl` and `tar`.

#![expect(clippy::unwrap_used, reason = "a test; clippy.toml's exception stops at `#[test]` functions")]

mod download;
mod lies;
mod place;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use xtask_testkit::{HttpsServer, Outcome, TempDir};
use xtask_workspace::config::Archive;
use xtask_workspace::{Environment, Progress};

use crate::download::{Fetch, Limits};

/// What the program in the archives of these tests is.
const PROGRAM: &str = "#!/bin/sh\necho new\n";

/// Packs files, each a name and its content, as a `.tar.gz`.
fn pack(path: &Utf8Path, files: &[(&str, &str)]) {
    let dir = TempDir::new("pack");
    let mut tar = Command::new("tar");
    tar.args(["-czf", path.as_str(), "-C", dir.path().as_str()]);
    for (name, content) in files {
        dir.write(name, content);
        tar.arg(name);
    }
    Outcome::of(&mut tar).expect_code(0);
}

/// The SHA-256 of a file, by another program than the one that is tested.
fn sum(path: &Utf8Path) -> String {
    let said = Outcome::of(Command::new("openssl").args(["dgst", "-sha256", "-r", path.as_str()]));
    said.expect_code(0).stdout.split(' ').next().unwrap().to_owned()
}

fn archive(url: String, sha256: String, binary: Option<&str>) -> Archive {
    let binary = binary.map(str::to_owned);
    Archive { host: "*".to_owned(), version: "1.0".to_owned(), url, sha256, binary }
}

/// What was said.
#[derive(Debug, Default)]
struct Said {
    details: Mutex<Vec<String>>,
    notes: Mutex<Vec<String>>,
}

impl Progress for Said {
    fn output(&self, line: &str) {
        panic!("nothing is passed on: {line}");
    }
    fn note(&self, text: &str) {
        self.notes.lock().unwrap().push(text.to_owned());
    }
    fn detail(&self, text: &str) {
        self.details.lock().unwrap().push(text.to_owned());
    }
    fn units(&self, _done: usize, _of: Option<usize>, _unit: &str) {}
}

/// A machine with an empty home, a folder for programs and one for downloads.
struct Place {
    dir: TempDir,
    environment: Environment,
    limits: Limits,
    said: Said,
}

impl Place {
    fn new(name: &str) -> Self {
        let dir = TempDir::new(name);
        let path = std::env::var("PATH").unwrap();
        let own = dir.path().join("own");
        fs::create_dir_all(&own).unwrap();
        let variables = [("PATH", format!("{own}:{path}")), ("HOME", dir.path().join("home").into_string())];
        let environment = variables.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        let limits = Limits {
            retries: 1,
            pause: Duration::from_millis(20),
            stall: Duration::from_secs(1),
            whole: Duration::from_secs(20),
            ..Limits::default()
        };
        Self { dir, environment, limits, said: Said::default() }
    }

    fn trusting(name: &str, server: &HttpsServer) -> Self {
        let mut place = Self::new(name);
        place.environment.set("CURL_CA_BUNDLE", server.authority());
        place
    }

    /// Where the programs go.
    fn bin(&self) -> Utf8PathBuf {
        self.dir.path().join("cargo home/bin")
    }

    fn downloads(&self) -> Utf8PathBuf {
        self.dir.path().join("kept: downloads")
    }

    fn fetch(&self, archive: &Archive) -> Result<Utf8PathBuf> {
        self.fetch_as(archive, "tool")
    }

    fn fetch_as(&self, archive: &Archive, program: &str) -> Result<Utf8PathBuf> {
        let (downloads, folder) = (&self.downloads(), &self.bin());
        let (limits, environment, progress) = (self.limits, &self.environment, &self.said);
        Fetch { archive, program, downloads, folder, limits, environment, progress }.fetch()
    }

    /// What it says when it fails, after which nothing is there that was not before.
    fn refusal(&self, archive: &Archive) -> String {
        let before = names(&self.bin());
        let error = self.fetch(archive).expect_err(&archive.url);
        assert_eq!(names(&self.bin()), before, "{}: nothing is half-placed", archive.url);
        format!("{error:#}")
    }

    /// Puts a script before everything else on the `PATH`.
    fn script(&self, name: &str, text: &str) {
        self.dir.write(&format!("own/{name}"), &format!("#!/bin/sh\n{text}\n"));
        let path = self.dir.path().join("own").join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Leaves on the `PATH` only `programs`, and what the scripts are.
    fn only(&mut self, programs: &[&str]) {
        for program in programs {
            let path = std::env::var("PATH").unwrap();
            let found =
                std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file());
            std::os::unix::fs::symlink(found.unwrap(), self.dir.path().join("own").join(program)).unwrap();
        }
        self.environment.set("PATH", self.dir.path().join("own"));
    }

    fn details(&self) -> String {
        self.said.details.lock().unwrap().join("\n")
    }
}

/// The names in a folder, in order; none when there is no folder.
fn names(folder: &Utf8Path) -> Vec<String> {
    let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
    let mut names = entries.map(|entry| entry.file_name().to_owned()).collect::<Vec<_>>();
    names.sort();
    names
}

/// A server with one archive, `tool.tar.gz`, and its sum.
fn server(name: &str) -> (HttpsServer, String) {
    let server = HttpsServer::start(name);
    let path = server.files().join("tool.tar.gz");
    // Something that does not pack well, so that half of the archive is half of a file.
    let noise = format!("{:?}", (0..4000_u32).map(|n| n.wrapping_mul(2_654_435_761)).collect::<Vec<_>>());
    pack(&path, &[("noise", &noise), ("tool", PROGRAM)]);
    let sum = sum(&path);
    (server, sum)
}
