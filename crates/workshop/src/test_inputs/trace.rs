//! What strace writes of a program and of all that it starts, read back: which paths they met, and whom they talked to.
//!
//! Invariant: a path is resolved against the folder that its process was in at that moment, and a process is followed from
//! its birth on. What the program made itself is no input of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use camino::{Utf8Path, Utf8PathBuf};

/// How strace is called; the file to append to comes next, then the program. File names are always written in full, other
/// strings not at all. The filter in the kernel lets all other calls run at full speed. With `-D` it is nobody's parent, so a
/// process that a test leaves behind keeps nobody waiting.
pub(super) const STRACE: [&str; 13] = [
    "strace",
    "-D",
    "-f",
    "-y",
    "-s",
    "0",
    "--seccomp-bpf",
    "-e",
    "signal=none",
    "-e",
    "trace=%file,?getdents,getdents64,fchdir,connect,bind,getsockname,sendto,sendmsg,sendmmsg,?fork,?vfork,clone,?clone3",
    "-A",
    "-o",
];

/// Where programs ask for names of users and hosts. Nearly every program does, and few depend on the answer.
const NAME_SERVICES: [&str; 4] =
    ["/run/nscd/", "/var/run/nscd/", "/var/lib/sss/pipes/", "/run/systemd/userdb/"];

/// Ports from here on are given to sockets that ask for any (Linux, `ip_local_port_range`).
const EPHEMERAL: u16 = 32768;

/// What became of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Met {
    Missing,
    Found,
    Read,
    Run,
    Listed,
}

/// A program with all processes that it started.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// The program's file.
    pub(super) program: Utf8PathBuf,
    /// Absolute, but with `..` and links as the program wrote them.
    pub(super) paths: BTreeMap<Utf8PathBuf, BTreeSet<Met>>,
    /// Whom it talked to, beyond its own processes.
    pub(super) network: BTreeSet<String>,
    /// Servers of its own that it talked to.
    pub(super) own_servers: BTreeSet<String>,
    /// Whether it passed; `None` if how it ended is not in the log, or not yet.
    pub(super) passed: Option<bool>,
    made: HashSet<Utf8PathBuf>,
    /// With whether only this call names the other end.
    peers: HashSet<(Peer, bool)>,
    /// Places that it served at, and sockets whose port is not known yet.
    bound: HashSet<String>,
}

/// An end of a connection.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Peer {
    /// Whether it is certainly on this machine.
    local: bool,
    /// A port, a path, or a name that begins with `@`.
    place: String,
    shown: String,
}

impl Trace {
    /// Reads a log, whose first line is the program's path; the program started in `cwd`.
    pub(super) fn read(log: &str, cwd: &Utf8Path) -> Self {
        let (program, log) = log.split_once('\n').unwrap_or((log, ""));
        let mut trace = Self { program: program.into(), ..Self::default() };
        let lines = log.lines().filter_map(|line| {
            let (pid, rest) = line.split_once(' ')?;
            Some((pid, rest.trim_start()))
        });
        let lines = lines.collect::<Vec<_>>();
        let births = births(&lines);
        let mut folders = vec![cwd.to_owned()];
        // Threads share a folder, so a process has the index of one.
        let root = lines.first().map(|(pid, _)| *pid);
        let mut processes = root.map(|pid| (pid, 0)).into_iter().collect::<HashMap<_, _>>();
        let mut unfinished = HashMap::new();
        for (index, (pid, rest)) in lines.iter().enumerate() {
            let at = *processes.entry(pid).or_insert(0);
            if let Some((child, shares)) = births.get(&index) {
                let folder = if *shares { at } else { folders.len() };
                if !shares {
                    folders.push(folders[at].clone());
                }
                processes.insert(child, folder);
            }
            if rest.starts_with("+++ ") {
                if root == Some(pid) && !rest.contains("superseded") {
                    trace.passed = Some(*rest == "+++ exited with 0 +++");
                }
                continue;
            }
            if let Some(start) = rest.strip_suffix("<unfinished ...>") {
                unfinished.insert(*pid, start);
                continue;
            }
            let joined =
                resumed(rest).map(|end| format!("{}{end}", unfinished.remove(pid).unwrap_or_default()));
            let Some(call) = Call::parse(joined.as_deref().unwrap_or(rest)) else { continue };
            // strace knows it better, should a folder have been renamed.
            if let Some(cwd) = call.arguments.iter().find_map(|argument| argument.strip_prefix("AT_FDCWD")) {
                folders[at] = described(cwd).unwrap_or_else(|| folders[at].clone());
            }
            trace.add(&call, &mut folders[at]);
        }
        trace.finish()
    }

    fn add(&mut self, call: &Call, cwd: &mut Utf8PathBuf) {
        let first = call.arguments.first().copied().unwrap_or_default();
        match call.name {
            "getdents" | "getdents64" => {
                if let (true, Some(path)) = (call.succeeded(), described(first)) {
                    self.meet(path, Met::Listed);
                }
            }
            "fchdir" => {
                if let (true, Some(path)) = (call.succeeded(), described(first)) {
                    *cwd = path;
                }
            }
            "bind" | "getsockname" | "connect" | "sendto" | "sendmsg" | "sendmmsg" => {
                self.talk(call, first, cwd);
            }
            _ => {
                let paths = call.paths(cwd);
                for (index, path) in paths.iter().enumerate() {
                    self.touch(call, index, path.clone());
                }
                if let ("chdir", true, Some(path)) = (call.name, call.succeeded(), paths.into_iter().next()) {
                    *cwd = path;
                }
            }
        }
    }

    /// Notes what the call did with its path of that index.
    fn touch(&mut self, call: &Call, index: usize, path: Utf8PathBuf) {
        let has = |flag: &str| call.arguments.iter().any(|argument| argument.contains(flag));
        let makes = ["mkdir", "mknod", "link", "symlink", "rename", "creat"];
        let changes = ["chmod", "chown", "utime", "unlink", "rmdir", "truncate", "setxattr", "removexattr"];
        if makes.iter().any(|name| call.name.starts_with(name)) {
            let is_source = index == 0 && ["link", "rename"].iter().any(|name| call.name.starts_with(name));
            match (call.succeeded(), is_source) {
                (true, true) => self.meet(path, Met::Read),
                (true, false) => drop(self.made.insert(path)),
                (false, _) => {}
            }
            return;
        }
        if changes.iter().any(|name| call.name.contains(name)) {
            return;
        }
        let met = match call.name {
            _ if [" ENOENT ", " ENOTDIR "].iter().any(|error| call.result.contains(error)) => Met::Missing,
            _ if !call.succeeded() => Met::Found,
            "execve" | "execveat" => Met::Run,
            "open" | "openat" | "openat2" => {
                if has("O_CREAT") && (has("O_WRONLY") || has("O_TRUNC") || has("O_EXCL")) {
                    self.made.extend([path].into_iter().chain(described(call.result)));
                    return;
                }
                if has("O_WRONLY") || has("O_DIRECTORY") || has("O_PATH") { Met::Found } else { Met::Read }
            }
            _ => Met::Found,
        };
        // Where an opened path leads to, even by a link that was made just now.
        for path in [path].into_iter().chain(described(call.result)) {
            self.meet(path, met);
        }
    }

    fn meet(&mut self, path: Utf8PathBuf, met: Met) {
        if !path.ancestors().any(|path| self.made.contains(path)) {
            self.paths.entry(path).or_default().insert(met);
        }
    }

    fn talk(&mut self, call: &Call, socket: &str, cwd: &Utf8Path) {
        // `socket:[NUMBER]>`: the same in every process that has it.
        let socket = socket.split_once('<').map_or(socket, |(_, socket)| socket);
        for peer in call.peers(cwd) {
            match call.name {
                "bind" if !peer.local => drop(self.network.insert(peer.shown)),
                "bind" if peer.place == "0" => drop(self.bound.insert(socket.to_owned())),
                "getsockname" if !self.bound.contains(socket) => {}
                "bind" | "getsockname" => drop(self.bound.insert(peer.place)),
                name => drop(self.peers.insert((peer, name != "connect"))),
            }
        }
    }

    /// Only at the end it is known what the program served itself.
    fn finish(mut self) -> Self {
        for (Peer { local, place, shown }, is_datagram) in std::mem::take(&mut self.peers) {
            // Nobody need ask for the port of a socket to answer a datagram from it.
            let is_answer = is_datagram
                && place.parse().is_ok_and(|port: u16| port >= EPHEMERAL)
                && self.bound.iter().any(|bound| bound.starts_with("socket:"));
            let own = local && (is_answer || self.bound.contains(&place));
            if !NAME_SERVICES.iter().any(|service| place.starts_with(service)) {
                if own { &mut self.own_servers } else { &mut self.network }.insert(shown);
            }
        }
        let made = &self.made;
        self.paths.retain(|path, met| {
            // It was looked for before it was made.
            if path.ancestors().any(|path| made.contains(path)) {
                met.remove(&Met::Missing);
            }
            !met.is_empty()
        });
        self
    }
}

/// The line where each child begins, by the index of the line where its parent asked for it; with whether they share a folder.
/// The child's own lines may come before the call returns.
fn births<'a>(lines: &[(&'a str, &'a str)]) -> HashMap<usize, (&'a str, bool)> {
    let (mut births, mut open) = (HashMap::new(), HashMap::new());
    for (index, (pid, rest)) in lines.iter().enumerate() {
        let call = rest.strip_prefix("<... ");
        if !["clone", "fork", "vfork"].iter().any(|name| call.unwrap_or(rest).starts_with(name)) {
            continue;
        }
        if rest.ends_with("<unfinished ...>") {
            open.insert(*pid, index);
            continue;
        }
        let start = call.and_then(|_| open.remove(pid)).unwrap_or(index);
        let child = rest.rsplit_once(" = ").map(|(_, child)| child.trim());
        if let Some(child) = child.filter(|child| child.parse::<u32>().is_ok()) {
            births.insert(start, (child, lines[start].1.contains("CLONE_FS")));
        }
    }
    births
}

/// What comes after `<... NAME resumed>`.
fn resumed(text: &str) -> Option<&str> {
    Some(text.strip_prefix("<... ")?.split_once(" resumed>")?.1)
}

/// A call that has returned.
#[derive(Debug)]
struct Call<'a> {
    name: &'a str,
    arguments: Vec<&'a str>,
    result: &'a str,
}

impl<'a> Call<'a> {
    /// Reads `name(arguments) = result`.
    fn parse(text: &'a str) -> Option<Self> {
        let (name, rest) = text.split_once('(')?;
        let mut arguments = Vec::new();
        let (mut depth, mut start) = (0, 0);
        let mut characters = rest.char_indices();
        while let Some((index, character)) = characters.next() {
            match character {
                '"' => {
                    while let Some((_, inside)) = characters.next().filter(|(_, inside)| *inside != '"') {
                        if inside == '\\' {
                            characters.next();
                        }
                    }
                }
                // A path, in which `<` and `>` are written as numbers.
                '<' => drop(characters.find(|(_, inside)| *inside == '>')),
                '[' | '{' | '(' => depth += 1,
                ')' if depth == 0 => {
                    arguments.push(rest[start..index].trim());
                    let result = rest[index + 1..].trim_start().strip_prefix("= ")?;
                    return Some(Self { name, arguments, result });
                }
                ']' | '}' | ')' => depth -= 1,
                ',' if depth == 0 => {
                    arguments.push(rest[start..index].trim());
                    start = index + 1;
                }
                _ => {}
            }
        }
        None
    }

    fn succeeded(&self) -> bool {
        !self.result.starts_with(['-', '?'])
    }

    /// The paths that the call is about, absolute.
    fn paths(&self, cwd: &Utf8Path) -> Vec<Utf8PathBuf> {
        let takes_folder = ["at", "at2", "at64", "statx"].iter().any(|end| self.name.ends_with(end));
        let mut found = Vec::new();
        for (index, argument) in self.arguments.iter().enumerate() {
            // With an empty path the descriptor itself is meant, whose path was met before.
            let Some(path) = quoted(argument).filter(|path| !path.is_empty()) else { continue };
            let folder =
                index.checked_sub(1).filter(|_| takes_folder).and_then(|before| self.arguments.get(before));
            found.push(
                folder.and_then(|folder| described(folder)).unwrap_or_else(|| cwd.to_owned()).join(path),
            );
        }
        match self.name {
            // What a link says is no path that is looked at, and what is written into a buffer is none either.
            "symlink" | "symlinkat" => drop(found.drain(..found.len().min(1))),
            "getcwd" => found.clear(),
            "rename" | "renameat" | "renameat2" | "link" | "linkat" => {}
            _ => found.truncate(1),
        }
        found
    }

    /// The addresses among the arguments.
    fn peers(&self, cwd: &Utf8Path) -> Vec<Peer> {
        let addresses = self.arguments.iter().flat_map(|argument| argument.split("{sa_family=").skip(1));
        let peer = |address: &str| {
            let between = |start: &str, end: char| Some(address.split_once(start)?.1.split_once(end)?.0);
            let internet = |start| {
                let ip = between(start, '"')?.parse::<IpAddr>().ok()?.to_canonical();
                let port = between("port=htons(", ')')?.parse().ok()?;
                let (local, shown) =
                    (ip.is_loopback() || ip.is_unspecified(), SocketAddr::new(ip, port).to_string());
                Some(Peer { local, place: port.to_string(), shown })
            };
            match address.split([',', '}']).next()? {
                "AF_INET" => internet("inet_addr(\""),
                "AF_INET6" => internet("inet_pton(AF_INET6, \""),
                "AF_UNIX" => {
                    let path =
                        between("sun_path=\"", '"').map(|path| cwd.join(unescaped(path)).into_string());
                    let place = path.or_else(|| Some(format!("@{}", between("sun_path=@\"", '"')?)))?;
                    Some(Peer { local: true, shown: format!("unix:{place}"), place })
                }
                "AF_NETLINK" | "AF_UNSPEC" | "AF_ALG" => None,
                other => Some(Peer { local: false, place: String::new(), shown: other.to_owned() }),
            }
        };
        addresses.filter_map(peer).collect()
    }
}

/// The text of `"…"`.
fn quoted(argument: &str) -> Option<String> {
    let text = argument.strip_prefix('"')?;
    Some(unescaped(text.trim_end_matches('.').strip_suffix('"')?))
}

/// The path of `3</path>`, `AT_FDCWD</path>` or `</path>`.
fn described(argument: &str) -> Option<Utf8PathBuf> {
    let path = argument.split_once('<')?.1.trim_end_matches("(deleted)").strip_suffix('>')?;
    path.starts_with('/').then(|| unescaped(path).into())
}

/// Text as strace writes it: C's escapes, with up to three octal digits for a byte. Bytes that are not UTF-8 are replaced.
fn unescaped(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut bytes = Vec::new();
    let mut rest = text.bytes().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let mut octal = None::<u32>;
        for _ in 0..3 {
            let Some(digit) = rest.next_if(|byte| (b'0'..=b'7').contains(byte)) else { break };
            octal = Some(octal.unwrap_or(0) * 8 + u32::from(digit - b'0'));
        }
        bytes.extend(match octal {
            Some(value) => u8::try_from(value).ok(),
            None => rest.next().map(|letter| match letter {
                b'n' => b'\n',
                b't' => b'\t',
                b'r' => b'\r',
                b'v' => 0x0b,
                b'f' => 0x0c,
                other => other,
            }),
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a log says, a line for each path: `path: Met`.
    fn read(log: &str) -> Trace {
        Trace::read(&format!("/w/target/debug/deps/it-1\n{log}"), Utf8Path::new("/w/app"))
    }

    fn paths(log: &str) -> Vec<String> {
        read(log).paths.iter().map(|(path, met)| format!("{path} {met:?}")).collect()
    }

    #[test]
    fn each_kind_of_call_is_understood() {
        // line, what is met
        let table = [
            (
                r#"openat(AT_FDCWD</w/app>, "../x", O_RDONLY|O_CLOEXEC) = 3</w/x>"#,
                "/w/app/../x {Read}; /w/x {Read}",
            ),
            (
                r#"openat(7</w/d>, "a, (b) = \"c\"", O_RDONLY) = 3</w/d/a, (b) = \"c\">"#,
                "/w/d/a, (b) = \"c\" {Read}",
            ),
            (
                r#"openat(AT_FDCWD</w/app>, "\303\244\74b\76\tc", O_RDONLY) = 3</w/app/\303\244\74b\76\tc>"#,
                "/w/app/ä<b>\tc {Read}",
            ),
            (
                r#"openat(AT_FDCWD</w/app>, "/w/n", O_RDONLY) = -1 ENOENT (No such file or directory)"#,
                "/w/n {Missing}",
            ),
            (
                r#"openat(AT_FDCWD</w/app>, "/w/n/x", O_RDONLY) = -1 ENOTDIR (Not a directory)"#,
                "/w/n/x {Missing}",
            ),
            (r#"openat(AT_FDCWD</w/app>, "/w/s", O_RDONLY) = -1 EACCES (Permission denied)"#, "/w/s {Found}"),
            (
                r#"openat(AT_FDCWD</w/app>, "/w/d", O_RDONLY|O_NONBLOCK|O_DIRECTORY) = 3</w/d>"#,
                "/w/d {Found}",
            ),
            (r#"openat(AT_FDCWD</w/app>, "/w/o", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3</w/o>"#, ""),
            (
                r#"openat(AT_FDCWD</w/app>, "/w/db", O_RDWR|O_CREAT|O_CLOEXEC, 0666) = 3</w/db>"#,
                "/w/db {Read}",
            ),
            (
                r#"openat2(AT_FDCWD</w/app>, "x", {flags=O_RDONLY, resolve=0}, 24) = 3</w/app/x>"#,
                "/w/app/x {Read}",
            ),
            (r#"open("/w/x", O_RDONLY) = 3</w/x>"#, "/w/x {Read}"),
            (r"getdents64(3</w/d>, 0x55d3a44a92a0 /* 5 entries */, 32768) = 120", "/w/d {Listed}"),
            (
                r#"newfstatat(AT_FDCWD</w/app>, "y", {st_mode=S_IFREG|0644, st_size=5, ...}, 0) = 0"#,
                "/w/app/y {Found}",
            ),
            (r#"newfstatat(3</w/d>, "", {st_mode=S_IFDIR|0755, ...}, AT_EMPTY_PATH) = 0"#, ""),
            (
                r#"statx(AT_FDCWD</w/app>, "y", AT_STATX_SYNC_AS_STAT, STATX_ALL, 0x7ffd) = -1 ENOENT (No such file or directory)"#,
                "/w/app/y {Missing}",
            ),
            (r#"readlink("/w/l", ""..., 1023) = 4"#, "/w/l {Found}"),
            (r#"readlink("/w", 0x7fff41026340, 1023) = -1 EINVAL (Invalid argument)"#, "/w {Found}"),
            (
                r#"execve("/w/target/debug/s", [...], 0x7fff4a931d20 /* 39 vars */) = 0"#,
                "/w/target/debug/s {Run}",
            ),
            (r#"symlink("/w/elsewhere", "/w/link") = 0"#, ""),
            (r#"rename("/w/a", "/w/b") = 0"#, "/w/a {Read}"),
            (r#"unlink("/w/a") = 0"#, ""),
            (r#"getcwd("/w/app", 1024) = 7"#, ""),
        ];
        for (line, expected) in table {
            assert_eq!(paths(&format!("9 {line}")).join("; "), expected, "{line}");
        }
    }

    #[test]
    fn relative_paths_are_those_of_the_process() {
        let log = r#"
10 execve("/w/target/debug/deps/it-1", [...], 0x7ffc /* 3 vars */) = 0
10 clone3({flags=CLONE_VM|CLONE_FS|CLONE_FILES, stack=0x1} => {parent_tid=[11]}, 88) = 11
10 clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|SIGCHLD <unfinished ...>
12 chdir("deep" <unfinished ...>
11 chdir("/w/other") = 0
12 <... chdir resumed>)              = 0
10 <... clone resumed>, child_tidptr=0x7f3a) = 12
10 access("by-thread", F_OK)         = 0
12 vfork( <unfinished ...>
13 execve("./tool", [...], 0x55 /* 3 vars */ <unfinished ...>
12 <... vfork resumed>)              = 13
13 <... execve resumed>)             = 0
13 fchdir(3</w/data>)                = 0
13 access("by-child", F_OK)          = -1 ENOENT (No such file or directory)
12 access("by-fork", F_OK)           = 0
13 +++ exited with 1 +++
12 +++ killed by SIGKILL +++
10 +++ exited with 0 +++
"#;
        let trace = read(log.trim_start());
        assert_eq!(trace.passed, Some(true));
        let mut paths = trace.paths;
        paths.remove(Utf8Path::new("/w/target/debug/deps/it-1"));
        let expected = [
            "/w/app/deep",
            "/w/app/deep/by-fork",
            "/w/app/deep/tool",
            "/w/data/by-child",
            "/w/other",
            "/w/other/by-thread",
        ];
        assert_eq!(paths.keys().map(|path| path.as_str().replace("/./", "/")).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_a_program_makes_is_no_input() {
        let log = r#"9 mkdir("/w/out", 0777) = -1 ENOENT (No such file or directory)
9 access("/w/out/x", F_OK) = -1 ENOENT (No such file or directory)
9 mkdir("/w/out", 0777) = 0
9 openat(AT_FDCWD</w/app>, "/w/out/y", O_RDONLY) = 3</w/out/y>
9 openat(AT_FDCWD</w/app>, "/w/log", O_RDONLY) = 3</w/log>
9 openat(AT_FDCWD</w/app>, "/w/log", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3</w/log>
9 openat(AT_FDCWD</w/app>, "/w/log", O_RDONLY) = 3</w/log>"#;
        assert_eq!(paths(log), ["/w/log {Read}"]);
    }

    #[test]
    fn who_is_talked_to() {
        let own = r#"bind(3<socket:[7]>, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
9 getsockname(3<socket:[7]>, {sa_family=AF_INET, sin_port=htons(57967), sin_addr=inet_addr("127.0.0.1")}, [16]) = 0
9 bind(4<socket:[8]>, {sa_family=AF_UNIX, sun_path="sock"}, 15) = 0"#;
        // line, network, servers of its own
        let table = [
            (
                r#"connect(4<socket:[1]>, {sa_family=AF_INET, sin_port=htons(57967), sin_addr=inet_addr("127.0.0.1")}, 16) = 0"#,
                "",
                "127.0.0.1:57967",
            ),
            (
                r#"connect(4<socket:[1]>, {sa_family=AF_INET, sin_port=htons(5432), sin_addr=inet_addr("127.0.0.1")}, 16) = 0"#,
                "127.0.0.1:5432",
                "",
            ),
            (
                r#"connect(6<socket:[1]>, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("192.0.2.1")}, 16) = -1 EINPROGRESS (Operation now in progress)"#,
                "192.0.2.1:80",
                "",
            ),
            (
                r#"connect(7<socket:[1]>, {sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "2001:db8::1", &sin6_addr), sin6_scope_id=0}, 28) = -1 EHOSTUNREACH (No route to host)"#,
                "[2001:db8::1]:80",
                "",
            ),
            (
                r#"sendto(5<socket:[1]>, ""..., 29, MSG_NOSIGNAL, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("127.0.0.53")}, 16) = 29"#,
                "127.0.0.53:53",
                "",
            ),
            (r#"sendto(5<socket:[1]>, ""..., 1, 0, NULL, 0) = 1"#, "", ""),
            (
                r#"sendmsg(5<socket:[1]>, {msg_name={sa_family=AF_INET, sin_port=htons(40857), sin_addr=inet_addr("127.0.0.1")}, msg_namelen=16, msg_iov=[{iov_base=""..., iov_len=1}], msg_iovlen=1, msg_controllen=0, msg_flags=0}, 0) = 1"#,
                "",
                "127.0.0.1:40857",
            ),
            (
                r#"connect(9<socket:[1]>, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = -1 ENOENT (No such file or directory)"#,
                "",
                "",
            ),
            (
                r#"connect(9<socket:[1]>, {sa_family=AF_UNIX, sun_path="/run/docker.sock"}, 110) = -1 ENOENT (No such file or directory)"#,
                "unix:/run/docker.sock",
                "",
            ),
            (r#"connect(9<socket:[1]>, {sa_family=AF_UNIX, sun_path=@"abs"}, 6) = 0"#, "unix:@abs", ""),
            (
                r#"connect(9<socket:[1]>, {sa_family=AF_UNIX, sun_path="/w/app/sock"}, 14) = 0"#,
                "",
                "unix:/w/app/sock",
            ),
            (r"bind(9<socket:[1]>, {sa_family=AF_NETLINK, nl_pid=0, nl_groups=00000000}, 12) = 0", "", ""),
            (
                r"connect(9<socket:[1]>, {sa_family=AF_VSOCK, svm_cid=VMADDR_CID_HOST, svm_port=1}, 16) = 0",
                "AF_VSOCK",
                "",
            ),
            (
                r#"bind(9<socket:[1]>, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("192.0.2.7")}, 16) = 0"#,
                "192.0.2.7:80",
                "",
            ),
            (
                r#"bind(9<socket:[1]>, {sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::", &sin6_addr), sin6_scope_id=0}, 28) = 0"#,
                "",
                "",
            ),
        ];
        for (line, network, servers) in table {
            let trace = read(&format!("9 {line}\n9 {own}\n"));
            let [foreign, own] = [&trace.network, &trace.own_servers]
                .map(|peers| peers.iter().cloned().collect::<Vec<_>>().join(" "));
            assert_eq!((foreign.as_str(), own.as_str()), (network, servers), "{line}");
        }
    }

    #[test]
    fn how_a_program_ended_is_that_of_the_program_itself() {
        let table = [
            ("9 +++ exited with 0 +++", Some(true)),
            ("9 +++ exited with 101 +++", Some(false)),
            ("9 +++ killed by SIGABRT (core dumped) +++", Some(false)),
            ("9 vfork() = 8\n8 +++ exited with 0 +++", None),
            ("9 vfork() = 8\n9 +++ superseded by execve in pid 8 +++\n9 +++ exited with 0 +++", Some(true)),
        ];
        for (log, expected) in table {
            assert_eq!(read(log).passed, expected, "{log}");
        }
    }
}
