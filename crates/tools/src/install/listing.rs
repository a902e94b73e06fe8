//! Which members of an archive are what is wanted, read from what `tar` or `unzip` list.
//!
//! Invariant: a member is named only when it is the one of that name, and a regular file.
//!
//! GNU tar and bsdtar list the names alike, one a line, and both begin each line of the long list with the kind as `ls`
//! does; everything else in the long list differs, so nothing else of it is read. `unzip -Z` does the same.

use anyhow::{Result, bail};

/// The name of the wanted member exactly as the archive has it, from the list of `names` and the `long` list, a line for
/// each member in both.
pub(super) fn member<'a>(wanted: &str, names: &'a [&str], long: &[&str]) -> Result<&'a str> {
    if names.len() != long.len() {
        bail!("it lists {} names and {} members; no name in it can be trusted", names.len(), long.len());
    }
    let below = format!("{wanted}/");
    // What is called by the same argument: the name itself, and all below a folder of that name.
    let is_meant = |name: &str| plain(name) == wanted || plain(name).starts_with(&below);
    let meant = names.iter().zip(long).filter(|(name, _)| is_meant(name)).collect::<Vec<_>>();
    match meant[..] {
        [] => bail!("it has no `{wanted}`{}; correct `binary`", similar(wanted, names)),
        [(name, long)] => {
            if !long.contains(name) {
                bail!("`{wanted}` is listed in two ways: `{name}` and `{long}`");
            }
            if !long.starts_with('-') || plain(name) != wanted {
                bail!("`{wanted}` in it is {}, not a regular file; correct `binary`", kind(long));
            }
            Ok(name)
        }
        _ => bail!("it has {} members named `{wanted}`, of which only one can be meant", meant.len()),
    }
}

/// Refuses what could mean another member than the one that it names: it is an argument of programs, some of which
/// read it as a pattern.
pub(super) fn check_wanted(wanted: &str) -> Result<()> {
    let is_pattern = |c: char| c.is_control() || "*?[]{}\\".contains(c);
    let parts = wanted.split('/');
    let is_relative = parts.clone().all(|part| !matches!(part, "" | "." | ".."));
    if !is_relative || wanted.starts_with('-') || wanted.contains(is_pattern) {
        bail!(
            "`{}` is no path inside of an archive; `binary` is names with `/` between them, such as \
             `tool-1.0/bin/tool`",
            wanted.escape_debug()
        );
    }
    Ok(())
}

/// Many archives are packed from `.`, so that every name begins with `./`.
fn plain(name: &str) -> &str {
    let mut name = name;
    while let Some(rest) = name.strip_prefix("./") {
        name = rest.trim_start_matches('/');
    }
    name
}

fn kind(long: &str) -> &'static str {
    match long.chars().next() {
        Some('d') => "a folder",
        Some('l') => "a symbolic link",
        Some('h') => "a hard link",
        _ => "something else",
    }
}

/// Where else a file of that name lies, for the message: at most three.
fn similar(wanted: &str, names: &[&str]) -> String {
    let file_name = wanted.rsplit('/').next().unwrap_or(wanted);
    let same = names.iter().filter(|name| name.rsplit('/').next() == Some(file_name));
    let same = same.take(3).map(|name| format!("`{}`", name.escape_debug())).collect::<Vec<_>>();
    if same.is_empty() { String::new() } else { format!(", but {}", same.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "-rwxr-xr-x root/root 5 2026-01-01 00:00 ";
    const LINK: &str = "lrwxrwxrwx root/root 0 2026-01-01 00:00 ";
    const HARD: &str = "hrwxr-xr-x root/root 0 2026-01-01 00:00 ";
    const FOLDER: &str = "drwxr-xr-x root/root 0 2026-01-01 00:00 ";

    #[test]
    fn only_the_one_regular_file_of_that_name_is_found() {
        // (members, what is found or said)
        type Members = &'static [(&'static str, &'static str)];
        let table: [(Members, Result<&str, &str>); 13] = [
            (&[(FILE, "bin/tool")], Ok("bin/tool")),
            (&[(FOLDER, "./"), (FOLDER, "./bin/"), (FILE, "./bin/tool")], Ok("./bin/tool")),
            (&[(FILE, "bin/tool2"), (FILE, "bin/tool"), (FILE, "x/bin/tool")], Ok("bin/tool")),
            (&[(FILE, "../bin/tool")], Err("it has no `bin/tool`, but `../bin/tool`; correct")),
            (&[(FILE, "/bin/tool")], Err("it has no `bin/tool`, but `/bin/tool`; correct")),
            (&[(FILE, "bin/../bin/tool")], Err("it has no `bin/tool`, but")),
            (&[(FILE, "README")], Err("it has no `bin/tool`; correct")),
            (&[], Err("it has no `bin/tool`; correct")),
            (&[(LINK, "bin/tool")], Err("`bin/tool` in it is a symbolic link")),
            (&[(HARD, "bin/tool")], Err("`bin/tool` in it is a hard link")),
            (&[(FILE, "bin/tool"), (FILE, "bin/tool")], Err("it has 2 members named")),
            (&[(FILE, "bin/tool"), (LINK, "./bin/tool")], Err("it has 2 members named")),
            (&[(FILE, "bin/tool/inside")], Err("`bin/tool` in it is something else")),
        ];
        for (members, expected) in table {
            let names = members.iter().map(|(_, name)| *name).collect::<Vec<_>>();
            let long = members.iter().map(|(kind, name)| format!("{kind}{name}")).collect::<Vec<_>>();
            let long = long.iter().map(String::as_str).collect::<Vec<_>>();
            match (member("bin/tool", &names, &long), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(error), Err(expected)) => {
                    assert!(error.to_string().starts_with(expected), "{error}\n{expected}");
                }
                (found, expected) => panic!("{members:?}: {found:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn lists_that_do_not_fit_each_other_are_refused() {
        for (names, long) in [(&["tool"][..], &[][..]), (&["tool"], &["-rwx other"])] {
            assert!(member("tool", names, long).is_err(), "{names:?} {long:?}");
        }
    }

    #[test]
    fn what_could_mean_something_else_is_not_wanted() {
        for wanted in ["tool", "bin/tool", "a b/tool-1.0+x_y", "ü"] {
            check_wanted(wanted).unwrap();
        }
        let refused =
            ["", "/tool", "../tool", "a/../tool", "./tool", "a//b", "a/", "-x", "*", "a?", "[a]", "a\\b"];
        for wanted in refused {
            let error = check_wanted(wanted).unwrap_err();
            assert!(error.to_string().contains("`binary` is names"), "{wanted}: {error}");
        }
    }
}
