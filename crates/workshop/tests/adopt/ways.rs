//! The other ways than a copy, and what `version` says of each.

use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;
use xtask_testkit::{Outcome, Snapshot, TempDir, scrub};

use crate::host::Host;
use crate::hosts;
use crate::store;

/// This checkout.
pub(crate) fn checkout() -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize_utf8().unwrap()
}

fn git(dir: &Utf8Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    scrub(&mut command).current_dir(dir).args(args);
    Outcome::of(&mut command).expect_code(0).stdout.trim().to_owned()
}

/// What the suite's own program says of the workspace as JSON.
fn version(host: &Host) -> Value {
    let mut command = host.suite(&["--json", "version"]);
    let outcome = Outcome::of(command.current_dir(&host.root)).expect_code(0);
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn version_tells_how_it_came_and_what_was_changed() {
    let host = hosts::listed().make();
    let not_adopted = version(&host);
    assert_eq!(not_adopted["adopted"], Value::Null, "{not_adopted}");
    assert_eq!(not_adopted["version"], env!("CARGO_PKG_VERSION"));

    host.adopt(&["--no-build"], 0);
    let adopted = version(&host);
    assert_eq!(adopted["adopted"]["version"], env!("CARGO_PKG_VERSION"));
    assert!(adopted["adopted"]["how"]["vendored"]["url"].is_string(), "{adopted}");
    assert_eq!(adopted["adopted"]["changed"], Value::Array(Vec::new()), "{adopted}");

    // The tasks are the workspace's own.
    let tasks = "xtask/tasks/src/main.rs";
    host.write(tasks, &format!("{}// Ours.\n", host.read(tasks)));
    assert_eq!(version(&host)["adopted"]["changed"], Value::Array(Vec::new()));
    let own = "xtask/suite/crates/files/src/lib.rs";
    host.write(own, &format!("{}// Ours.\n", host.read(own)));
    assert_eq!(version(&host)["adopted"]["changed"], Value::from([own].as_slice()));
    let mut command = host.suite(&["version"]);
    let text = Outcome::of(command.current_dir(&host.root)).expect_code(0).stdout;
    assert!(text.contains(own) && text.contains("vendored"), "{text}");
}

/// A host for a suite that is not copied, so that the store keeps nothing of it. What was built for one serves the other.
fn elsewhere() -> Host {
    let target_dir = Some(store::folder().with_file_name("shared-target"));
    Host { target_dir, ..hosts::listed().make() }
}

#[test]
fn built_from_the_clone() {
    let host = elsewhere();
    let before = Snapshot::of(&host.root);
    host.adopt(&["--path", "--no-build"], 0);
    let clone = checkout();
    assert!(!host.root.join("xtask/suite/crates").exists());
    assert_eq!(version(&host)["adopted"]["how"]["path"]["path"], clone.as_str());
    store::fill(&host);
    let said = host.run(&["xtask", "version"], 0).stdout;
    assert!(said.contains(clone.as_str()), "{said}");
    host.run(&["xtask", "test-fast"], 0);
    let again = host.adopt(&["--no-build"], 0);
    assert!(again.stdout.contains("nothing to change"), "{}", again.stdout);
    host.adopt(&["--undo"], 0);
    Snapshot::of(&host.root).assert_same(&before, "after undoing");
}

/// Cargo's home has the packages of the registry, so only the repository is fetched.
#[test]
fn fetched_by_cargo_from_a_repository() {
    let dir = TempDir::new("adopt-git");
    let clone = dir.path().join("clone");
    git(dir.path(), &["clone", "--quiet", "--no-hardlinks", checkout().as_str(), clone.as_str()]);
    let rev = git(&clone, &["rev-parse", "HEAD"]);
    let url = format!("file://{clone}");
    let host = elsewhere();
    let before = Snapshot::of(&host.root);
    let online = |mut command: Command| Outcome::of(command.env_remove("CARGO_NET_OFFLINE")).expect_code(0);
    online(host.adopt_command(&["--git", &url, "--rev", &rev, "--no-build"]));
    let adopted = Snapshot::of(&host.root);
    assert!(!host.root.join("xtask/suite/crates").exists());
    let how = version(&host)["adopted"]["how"]["git"].clone();
    assert_eq!([how["url"].as_str(), how["rev"].as_str()], [Some(&*url), Some(&*rev)]);
    let said = online(host.cargo(&["xtask", "version"])).stdout;
    assert!(said.contains(&*rev) || said.contains(&rev[..12]), "{said}");
    Snapshot::of(&host.root).assert_same(&adopted, "after the first build");
    // Which version to update to must be said.
    host.adopt(&["--update", "--no-build"], 2);
    host.adopt(&["--undo"], 0);
    Snapshot::of(&host.root).assert_same(&before, "after undoing");
}

/// Flags of the device for everything, and what this machine lacks is demanded.
#[test]
fn the_launcher_starts_where_the_configuration_is_for_a_device_or_demands_what_is_not_here() {
    let config = format!(
        "[build]\ntarget = \"thumbv7em-none-eabihf\"\nrustflags = [\"-C\", \"link-arg=-Tlink.x\"]\n\
         rustc-wrapper = \"no-such-wrapper\"\n[target.{}]\nlinker = \"no-such-linker\"\n\
         rustflags = [\"-C\", \"link-arg=-fuse-ld=gold\"]\n\
         [target.'cfg(unix)']\nrustflags = [\"-Clink-arg=-fuse-ld=mold\"]\n",
        hosts::host_triple()
    );
    let host = hosts::listed().make();
    host.write(".cargo/config.toml", &config);
    let before = Snapshot::of(&host.root);
    host.adopt(&["--no-build"], 0);
    let path = without_linkers(&host);
    for dir in ["", "app/src"] {
        let version = Outcome::of(host.cargo_in(dir, &["xtask", "--version"]).env("PATH", &path));
        assert!(version.expect_code(0).stdout.starts_with("xtask-suite "));
    }
    host.adopt(&["--undo"], 0);
    xtask_files::remove_dir(&host.root.join("target")).unwrap();
    Snapshot::of(&host.root).assert_same(&before, "after undoing");
}

/// A `PATH` with all programs of this machine's but linkers of other names.
fn without_linkers(host: &Host) -> String {
    let dir = host.dir.path().join("programs");
    std::fs::create_dir_all(&dir).unwrap();
    for folder in std::env::split_paths(&std::env::var("PATH").unwrap()) {
        for program in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = program.file_name().into_string().unwrap();
            let is_linker = ["ld.gold", "ld.mold", "ld.wild", "mold", "wild"].contains(&&*name);
            if !is_linker {
                let _ = std::os::unix::fs::symlink(program.path(), dir.join(name));
            }
        }
    }
    dir.into_string()
}

/// What wraps the compiler is there and fails, so that the suite cannot be built.
#[test]
fn what_does_not_start_is_taken_back() {
    let host = hosts::listed().make();
    let before = Snapshot::of(&host.root);
    let mut adopt = host.adopt_command(&[]);
    let outcome = Outcome::of(adopt.env("RUSTC_WRAPPER", "/bin/false").env("XTASK_STORE", "off"));
    assert!(outcome.code == Some(1) || outcome.code == Some(3), "{outcome:?}");
    assert!(outcome.stderr.contains("the suite does not start there"), "{}", outcome.stderr);
    xtask_files::remove_dir(&host.root.join("target")).unwrap();
    Snapshot::of(&host.root).assert_same(&before, "after a launcher that did not start");
}
