//! `Config::load` on real files.

use camino::{Utf8Path, Utf8PathBuf};
use std::io::Write as _;
use xtask_workspace::Facts;
use xtask_workspace::config::{Config, FILE_NAME};

/// A fresh workspace root, with a file of these bytes if there are any.
fn root(name: &str, bytes: Option<&[u8]>) -> Utf8PathBuf {
    let root = Utf8Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&root).expect("the folder can be made");
    if let Some(bytes) = bytes {
        let file = std::fs::File::create(root.join(FILE_NAME));
        file.and_then(|mut file| file.write_all(bytes)).expect("the file can be written");
    }
    root
}

fn load(root: &Utf8Path) -> Result<Config, String> {
    Config::load(root, &Facts::default(), &["setup"])
        .map_err(|errors| errors.to_string().replace(root.as_str(), "ROOT").replace('\\', "/"))
}

#[test]
fn no_file_means_the_defaults() {
    let config = load(&root("none", None)).unwrap();
    assert_eq!(config, Config::defaults(&Facts::default()));
}

#[test]
fn a_file_is_read_with_its_byte_order_mark_and_line_ends() {
    let root = root("bom", Some(b"\xef\xbb\xbf[tiers.quick]\r\ncommand = \"check\"\r\n"));
    let config = load(&root).unwrap();
    assert_eq!(config.path, Some(root.join(FILE_NAME)));
    assert_eq!(config.tiers.last().unwrap().name, "quick");
}

#[test]
fn problems_name_the_file() {
    let root = root("wrong", Some(b"[tiers.setup]\ncommand = 'check'\npakages = 1\n"));
    let expected = "ROOT/xtask.toml:1:8: [tiers.setup] takes the name of `cargo xtask setup`\n  \
                    choose another name\n\
                    ROOT/xtask.toml:3:1: unknown key `pakages` in [tiers.setup]\n  did you mean `packages`?";
    assert_eq!(load(&root).unwrap_err(), expected);
}

#[test]
fn a_file_that_is_not_utf8_is_an_error() {
    let root = root("latin1", Some(b"\xef\xbb\xbf# caf\xe9\n"));
    let error = load(&root).unwrap_err();
    assert!(error.starts_with("ROOT/xtask.toml: failed to read: ") && error.contains("UTF-8"), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let root = root("directory", None);
    std::fs::create_dir_all(root.join(FILE_NAME)).unwrap();
    assert!(load(&root).unwrap_err().starts_with("ROOT/xtask.toml: failed to read: "));
}

#[cfg(unix)]
#[test]
fn a_symlink_that_leads_nowhere_is_an_error() {
    let root = root("dangling", None);
    let _ = std::fs::remove_file(root.join(FILE_NAME));
    std::os::unix::fs::symlink("nowhere", root.join(FILE_NAME)).unwrap();
    assert!(load(&root).unwrap_err().starts_with("ROOT/xtask.toml: failed to read: "));
}
