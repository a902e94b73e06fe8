//! Keys of cargo's configuration that cargo does not read: it warns of some, and only in some commands.

use camino::{Utf8Path, Utf8PathBuf};
use toml_edit::{DocumentMut, Item};
use xtask_workspace::config::closest;
use xtask_workspace::config_candidates;

use super::known_keys::{Holds, OBSOLETE, TABLES, TOP};
use super::{Check, Patient, some};

const NAME: &str = "cargo config";

pub(super) fn check(patient: &Patient<'_>) -> Vec<Check> {
    let workspace = patient.workspace;
    let candidates = config_candidates(patient.root(), &workspace.environment);
    let mut files = candidates.into_iter().filter(|path| path.is_file()).collect::<Vec<_>>();
    files.dedup();
    let mut checks = judge_names(&files, &|path| patient.shown(path).to_owned());
    let mut read = 0_usize;
    for (path, document) in workspace.cargo_config.documents() {
        read += 1;
        let shown = patient.shown(path);
        checks.extend(judge_jobs(document, shown));
        checks.extend(judge_keys(&unread(document), shown));
    }
    if checks.is_empty() {
        checks.push(Check::ok(
            NAME,
            match read {
                0 => "there is no configuration file".to_owned(),
                read => format!("every key of {} is one that cargo reads", count(read)),
            },
        ));
    }
    checks
}

fn count(files: usize) -> String {
    format!("{files} file{}", if files == 1 { "" } else { "s" })
}

/// Old names: cargo takes the one without extension, and the other one of the same folder never.
fn judge_names(files: &[Utf8PathBuf], shown: &dyn Fn(&Utf8Path) -> String) -> Vec<Check> {
    let old = files.iter().filter(|path| path.extension().is_none());
    let judge = |path: &Utf8PathBuf| {
        let new = path.with_extension("toml");
        let (path, as_new) = (shown(path), shown(&new));
        if files.contains(&new) {
            let evidence = format!("{path} is read, and {as_new} beside it never is");
            return Check::warn(NAME, evidence, format!("merge {path} into {as_new}"));
        }
        let evidence = format!("{path} has the name that cargo gave up; it warns with every command");
        Check::warn(NAME, evidence, format!("git mv {path} {as_new}"))
    };
    old.map(judge).collect()
}

fn judge_jobs(document: &DocumentMut, file: &str) -> Option<Check> {
    let jobs = document.get("build")?.get("jobs")?.as_integer()?;
    (jobs == 0).then(|| {
        let evidence = format!("build.jobs = 0 in {file}: cargo refuses to build with it");
        Check::fail(NAME, evidence, format!("remove `jobs` from [build] in {file}"))
    })
}

/// A key that cargo does not read, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
struct Unread {
    key: String,
    advice: String,
}

fn judge_keys(unread: &[Unread], file: &str) -> Option<Check> {
    let first = unread.first()?;
    let keys = unread.iter().map(|unread| format!("`{}`", unread.key)).collect::<Vec<_>>();
    let evidence = format!("cargo does not read {} in {file}", some(&keys, 5));
    let more = unread.iter().map(|unread| format!("{}: {}", unread.key, unread.advice));
    let fix = if unread.len() == 1 {
        first.advice.clone()
    } else {
        unread
            .iter()
            .map(|unread| format!("`{}`: {}", unread.key, unread.advice))
            .collect::<Vec<_>>()
            .join("; ")
    };
    Some(Check::warn(NAME, evidence, fix).with_more(more))
}

/// The keys of a file that cargo does not read.
fn unread(document: &DocumentMut) -> Vec<Unread> {
    let mut found = Vec::new();
    for (name, item) in document.iter() {
        if TOP.contains(&name) {
            continue;
        }
        let Some((_, holds)) = TABLES.iter().find(|(table, _)| *table == name) else {
            let all = TABLES.iter().map(|(table, _)| *table).chain(TOP.iter().copied());
            found.push(Unread { key: name.to_owned(), advice: nearest(name, all) });
            continue;
        };
        match holds {
            Holds::Anything => {}
            Holds::Keys(known) => found.extend(among(name, name, item, known)),
            Holds::Tables(known) => {
                for (part, inner) in item.as_table_like().into_iter().flat_map(|table| table.iter()) {
                    found.extend(among(name, &format!("{name}.{part}"), inner, known));
                }
            }
        }
    }
    found
}

/// The keys of the table `path`, which is a `section` or lies in one, that are not `known`.
fn among(section: &str, path: &str, item: &Item, known: &[&'static str]) -> Vec<Unread> {
    let keys = item.as_table_like().into_iter().flat_map(|table| table.iter());
    // A table in `[target.TRIPLE]` is what a build script with `links` would have said.
    let unread =
        keys.filter(|(key, inner)| !(known.contains(key) || section == "target" && inner.is_table_like()));
    unread
        .map(|(key, _)| {
            let obsolete = OBSOLETE.iter().find(|(table, old, _)| *table == section && *old == key);
            let advice = obsolete
                .map_or_else(|| nearest(key, known.iter().copied()), |(.., advice)| (*advice).to_owned());
            Unread { key: format!("{path}.{key}"), advice }
        })
        .collect()
}

fn nearest<'a>(key: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    closest(key, known).map_or_else(|| "remove it".to_owned(), |near| format!("did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    fn document(text: &str) -> DocumentMut {
        text.parse().unwrap()
    }

    #[test]
    fn keys_that_cargo_does_not_read_are_named_with_what_was_meant() {
        // the file, the key, a part of the advice; nothing where all is well
        let table = [
            ("include = 'x'\npaths = []\n[build]\njobs = 2\nbuild-dir = 't'\n", None),
            ("[alias]\nx = 'y'\n[env]\nA = 'b'\n[profile.dev.package.'*']\nopt-level = 2\n", None),
            (
                "[target.x86_64-unknown-linux-gnu]\nlinker = 'cc'\n[target.x86_64-unknown-linux-gnu.foo]\nrustc-link-lib = ['x']\n",
                None,
            ),
            (
                "[http.ssl-version]\nmin = 'tlsv1.2'\n[net.ssh]\nknown-hosts = []\n[term.progress]\nwhen = 'never'\n",
                None,
            ),
            ("[registries.mine]\nindex = 'x'\n[source.crates-io]\nreplace-with = 'mine'\n", None),
            ("[build]\nrustc-link-arg = ['x']\n", Some(("build.rustc-link-arg", "-Clink-arg"))),
            ("[doc]\njobs = 2\n", Some(("doc.jobs", "into [build]"))),
            ("[build]\npipelining = true\n", Some(("build.pipelining", "since 1.45"))),
            (
                "[build]\nrustc-wraper = 'sccache'\n",
                Some(("build.rustc-wraper", "did you mean `rustc-wrapper`?")),
            ),
            ("build.job = 1\n", Some(("build.job", "did you mean `jobs`?"))),
            ("[biuld]\njobs = 1\n", Some(("biuld", "did you mean `build`?"))),
            ("[profile.dev]\nopt_level = 1\n", Some(("profile.dev.opt_level", "did you mean `opt-level`?"))),
            (
                "[target.'cfg(unix)']\nrustflag = ['-g']\n",
                Some(("target.cfg(unix).rustflag", "did you mean `rustflags`?")),
            ),
            ("[zzzzzz]\n", Some(("zzzzzz", "remove it"))),
        ];
        for (text, expected) in table {
            let found = unread(&document(text));
            assert_eq!(
                found.first().map(|unread| unread.key.as_str()),
                expected.map(|(key, _)| key),
                "{text}"
            );
            if let Some((_, advice)) = expected {
                assert!(found[0].advice.contains(advice), "{found:?}");
                assert_eq!(judge_keys(&found, "f").unwrap().status, Status::Warn);
            }
        }
    }

    #[test]
    fn no_jobs_at_all_is_refused_by_cargo() {
        for (text, fails) in [("[build]\njobs = 0\n", true), ("[build]\njobs = -1\n", false), ("", false)] {
            assert_eq!(
                judge_jobs(&document(text), "f").is_some_and(|check| check.status == Status::Fail),
                fails,
                "{text}"
            );
        }
    }

    #[test]
    fn old_names_of_configuration_files_are_said() {
        let files = |names: &[&str]| names.iter().map(Utf8PathBuf::from).collect::<Vec<_>>();
        // the files that are there, a part of the evidence
        let table = [
            (files(&["/w/.cargo/config.toml"]), None),
            (files(&["/w/.cargo/config"]), Some("gave up")),
            (files(&["/w/.cargo/config", "/w/.cargo/config.toml"]), Some("never is")),
            (files(&["/w/.cargo/config.toml", "/home/config"]), Some("gave up")),
        ];
        for (files, evidence) in table {
            let checks = judge_names(&files, &|path| path.to_string());
            assert_eq!(checks.len(), usize::from(evidence.is_some()), "{files:?}");
            assert!(
                checks.iter().all(|check| check.evidence.contains(evidence.unwrap_or_default())),
                "{checks:?}"
            );
        }
    }
}
