//! What strace writes, read back: which calls were made, on which paths.
//!
//! Invariant: every line of a traced call is counted, whether it is kept or not, because strace counts so too.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use crate::faults::Call;

/// A call with what became of it in this run.
#[derive(Debug)]
pub(crate) struct Logged {
    pub(crate) call: Call,
    /// strace says that it put the error there.
    pub(crate) injected: bool,
    /// The program was killed in it.
    pub(crate) killed: bool,
}

/// The calls in `log` that change something below `below`, in their order.
pub(crate) fn calls(log: &str, below: &Utf8Path) -> Vec<Logged> {
    let mut counts = BTreeMap::<&str, usize>::new();
    let mut cwd = Utf8PathBuf::new();
    let mut pid = None;
    let mut found = Vec::new();
    let lines = log.lines().collect::<Vec<_>>();
    for (index, line) in lines.iter().enumerate() {
        let Some((name, arguments, result)) = parts(line) else { continue };
        let ordinal = counts.entry(name).or_default();
        *ordinal += 1;
        match name {
            "getpid" => pid = Some(result.to_owned()),
            "chdir" if result == "0" => {
                cwd = cwd.join(arguments.first().and_then(|path| quoted(path)).unwrap_or_default());
            }
            "fchdir" if result == "0" => {
                cwd = arguments.first().and_then(|fd| described(fd)).unwrap_or_default().into();
            }
            _ => {}
        }
        if !changes(name, &arguments) {
            continue;
        }
        let paths = paths(name, &arguments, &cwd);
        if !paths.iter().any(|path| path.starts_with(below)) {
            continue;
        }
        let relative = |path: &Utf8PathBuf| {
            let path = path.strip_prefix(below).unwrap_or(path);
            without_pid(path.as_str(), pid.as_deref()).into()
        };
        let paths = paths.iter().map(relative).collect();
        let succeeded = !result.starts_with(['-', '?']);
        let killed = result.starts_with('?') && lines.get(index + 1) == Some(&"+++ killed by SIGKILL +++");
        let call = Call { name: name.to_owned(), ordinal: *ordinal, paths, succeeded };
        found.push(Logged { call, injected: line.ends_with("(INJECTED)"), killed });
    }
    found
}

/// `name(arguments) = result`.
fn parts(line: &str) -> Option<(&str, Vec<&str>, &str)> {
    let (name, rest) = line.split_once('(')?;
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let arguments = arguments.trim_end().strip_suffix(')')?;
    plain.then(|| (name, split(arguments), result.trim()))
}

/// The arguments, split at the commas that are in no string, path or bracket.
fn split(arguments: &str) -> Vec<&str> {
    let (mut depth, mut in_string, mut escaped, mut start) = (0, false, false, 0);
    let mut found = Vec::new();
    for (index, character) in arguments.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ if in_string => {}
            '<' | '[' | '{' => depth += 1,
            '>' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(arguments[start..index].trim());
                start = index + 1;
            }
            _ => {}
        }
    }
    found.push(arguments[start..].trim());
    found
}

/// Whether such a call can change anything: an `open` may only read.
fn changes(name: &str, arguments: &[&str]) -> bool {
    match name {
        "open" | "openat" | "openat2" => {
            let writing = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"];
            arguments.iter().any(|argument| writing.iter().any(|flag| argument.contains(flag)))
        }
        "getpid" | "chdir" | "fchdir" => false,
        _ => true,
    }
}

/// The paths that a call acts on.
fn paths(name: &str, arguments: &[&str], cwd: &Utf8Path) -> Vec<Utf8PathBuf> {
    let arguments = match name {
        // What a link says is no path that is acted on, and the source of a copy is only read.
        "symlink" | "symlinkat" => arguments.get(1..).unwrap_or_default(),
        "copy_file_range" => arguments.get(2..3).unwrap_or_default(),
        // What is written is a string as well.
        "sendfile" | "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2" => {
            arguments.get(..1).unwrap_or_default()
        }
        _ => arguments,
    };
    let mut found = Vec::new();
    let mut folder = None;
    for argument in arguments {
        if let Some(path) = quoted(argument) {
            let from = folder.take().unwrap_or_else(|| cwd.to_owned());
            found.push(from.join(path));
        } else if let Some(path) = described(argument) {
            found.extend(folder.replace(Utf8PathBuf::from(path)));
        }
    }
    found.extend(folder);
    found
}

/// The text of `"…"`.
fn quoted(argument: &str) -> Option<String> {
    let text = argument.strip_prefix('"')?.trim_end_matches('.').strip_suffix('"')?;
    Some(text.replace("\\\"", "\"").replace("\\\\", "\\"))
}

/// The path of `3</path>` or `AT_FDCWD</path>`.
fn described(argument: &str) -> Option<&str> {
    let (descriptor, rest) = argument.split_once('<')?;
    let plain =
        !descriptor.is_empty() && descriptor.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let path = rest.trim_end_matches("(deleted)").strip_suffix('>')?;
    plain.then_some(path)
}

/// `text` with `PID` for each whole number that is the process id: names of temporary files have it.
fn without_pid(text: &str, pid: Option<&str>) -> String {
    let Some(pid) = pid else { return text.to_owned() };
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(|character: char| character.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|character: char| !character.is_ascii_digit()).unwrap_or(from.len());
        let (number, after) = from.split_at(end);
        parts.extend([before, if number == pid { "PID" } else { number }]);
        rest = after;
    }
    parts.push(rest);
    parts.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line with what is kept of it: `name ordinal paths`.
    #[test]
    fn lines_of_strace_are_understood() {
        let log = r#"chdir("/w") = 0
getpid()                                = 77
openat(AT_FDCWD</w>, "/etc/x", O_RDONLY|O_CLOEXEC) = 3</etc/x>
openat(AT_FDCWD</w>, "a, b", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3</w/a, b>
write(1<pipe:[12]>, ""..., 3)           = 3
write(3</w/a, b>, ""..., 3)             = 3
fsync(3</w/a, b>(deleted))              = 0
rename(".f.77-1.tmp", "/w/77x/f7")      = 0
renameat2(4</w/d>, "x", AT_FDCWD</w>, "y", RENAME_NOREPLACE) = -1 ENOENT (No such file or directory)
symlink("/w/elsewhere", "/v/link")      = 0
linkat(AT_FDCWD</w>, "p", AT_FDCWD</w>, "q", 0) = -1 ENOSPC (No space left on device) (INJECTED)
utimensat(3</w/p>, NULL, [{tv_sec=1, tv_nsec=2}, UTIME_OMIT], 0) = 0
chdir("/v")                             = 0
unlink("p")                             = 0
unlinkat(5</w/d>, "z", AT_REMOVEDIR)    = ?
+++ killed by SIGKILL +++"#;
        let found = calls(log, Utf8Path::new("/w"));
        let shown = found.iter().map(|logged| logged.call.to_string()).collect::<Vec<_>>();
        assert_eq!(
            shown,
            [
                "openat #2 a, b",
                "write #2 a, b",
                "fsync #1 a, b",
                "rename #1 .f.PID-1.tmp → PIDx/f7",
                "renameat2 #1 d/x → y",
                "linkat #1 p → q",
                "utimensat #1 p",
                "unlinkat #1 d/z",
            ]
        );
        let which = |what: fn(&Logged) -> bool| found.iter().map(what).collect::<Vec<_>>();
        assert_eq!(which(|logged| logged.injected), [false, false, false, false, false, true, false, false]);
        assert_eq!(which(|logged| logged.killed), [false, false, false, false, false, false, false, true]);
        assert_eq!(
            which(|logged| logged.call.succeeded),
            [true, true, true, true, false, false, true, false]
        );
    }
}
