//! The plans that are kept: a file for each command and each state of what a plan depends on. Every edit of a manifest
//! makes new ones (138 kB at 198 units), so those that nobody used lately go.

use std::fs;
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use xtask_files::remove_file;
use xtask_workspace::Workspace;

use crate::shadow_dir::KEEP;

/// So many are kept, those that were used last: some ten commands in some states.
const MOST: usize = 64;
/// When a plan was used is noted no more often than this.
const NOTED: Duration = Duration::from_secs(60 * 60);

/// The folder that they lie in.
pub(crate) fn dir(workspace: &Workspace) -> Utf8PathBuf {
    workspace.state_dir().join("shadow")
}

/// Notes that the plan at `path` was used: its file has that time.
pub(crate) fn used(path: &Utf8Path) {
    let now = SystemTime::now();
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    if modified.is_ok_and(|noted| now.duration_since(noted).is_ok_and(|age| age > NOTED)) {
        // Where it cannot be noted, the plan is made again some day.
        let _ = fs::File::options().append(true).open(path).and_then(|file| file.set_modified(now));
    }
}

/// Removes the plans in `dir` that are too old or too many. Whoever reads one meanwhile plans again.
pub(crate) fn forget(dir: &Utf8Path, now: SystemTime) {
    let entries = dir.read_dir_utf8().into_iter().flatten().flatten();
    let plans = entries.filter(|entry| entry.path().extension() == Some("json"));
    let mut plans = plans
        .filter_map(|plan| Some((plan.metadata().ok()?.modified().ok()?, plan.into_path())))
        .collect::<Vec<_>>();
    plans.sort_unstable_by(|a, b| b.cmp(a));
    for (index, (used, path)) in plans.iter().enumerate() {
        if index >= MOST || now.duration_since(*used).is_ok_and(|age| age > KEEP) {
            // Another of us may have removed it.
            let _ = remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask_testkit::TempDir;

    #[test]
    fn the_plans_that_were_used_last_are_kept() {
        let dir = TempDir::new("kept-plans");
        let now = SystemTime::now();
        let hours = |hours: u64| now - Duration::from_secs(hours * 60 * 60);
        for age in 0..100 {
            dir.write(&format!("{age:02}.json"), "{}");
            let file =
                fs::File::options().append(true).open(dir.path().join(format!("{age:02}.json"))).unwrap();
            // The oldest of those that are few enough is too old all the same.
            file.set_modified(hours(if age < 60 { age } else { 15 * 24 + age })).unwrap();
        }
        dir.write("other", "");
        let left = || {
            let entries = dir.path().read_dir_utf8().unwrap();
            let mut names = entries.map(|entry| entry.unwrap().file_name().to_owned()).collect::<Vec<_>>();
            names.sort();
            names
        };
        used(&dir.path().join("99.json"));
        forget(dir.path(), now);
        let left_now = left();
        assert_eq!(left_now.len(), 60 + 1 + 1, "{left_now:?}");
        assert!(left_now.contains(&"99.json".to_owned()) && left_now.contains(&"59.json".to_owned()));
        for number in 0..100 {
            dir.write(&format!("new-{number}.json"), "{}");
        }
        forget(dir.path(), now);
        assert_eq!(left().len(), MOST + 1);
        assert!(!left().contains(&"59.json".to_owned()));
    }
}
