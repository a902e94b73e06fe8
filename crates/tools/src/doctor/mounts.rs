//! The file system of the target dir: whether cargo's locks hold there, and what it does about times and copies.

use camino::{Utf8Path, Utf8PathBuf};

use super::{Check, Patient};

/// File systems on other machines or behind a bridge: cargo takes no lock on NFS, and every small file is a round trip.
const REMOTE: [&str; 14] = [
    "9p",
    "afs",
    "ceph",
    "cifs",
    "drvfs",
    "fuse.sshfs",
    "glusterfs",
    "lustre",
    "nfs",
    "nfs4",
    "prl_fs",
    "smb3",
    "smbfs",
    "vboxsf",
];
/// File systems that share blocks between copies; xfs does if it was made with `reflink=1`, the default since 2018.
const SHARING: [&str; 6] = ["apfs", "bcachefs", "btrfs", "ocfs2", "xfs", "zfs"];

pub(super) fn check(patient: &Patient<'_>) -> Vec<Check> {
    let dir = &patient.workspace.facts.build_dir;
    let real = dir.ancestors().find_map(|dir| dir.canonicalize_utf8().ok()).unwrap_or_else(|| dir.clone());
    vec![judge(dir, mount(&real).as_ref())]
}

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    /// Where.
    point: Utf8PathBuf,
    /// Its type, such as `ext4`.
    kind: String,
    /// Its options and those of the mount.
    options: Vec<String>,
}

#[cfg(target_os = "linux")]
fn mount(dir: &Utf8Path) -> Option<Mount> {
    mount_of(&std::fs::read_to_string("/proc/self/mountinfo").ok()?, dir)
}

#[cfg(not(target_os = "linux"))]
fn mount(_dir: &Utf8Path) -> Option<Mount> {
    None
}

/// The mount that holds `dir` in the lines of `/proc/self/mountinfo` (proc(5)):
/// `36 35 98:0 /root /point options optional… - type source options`. Of two at one point the later is on top.
#[cfg_attr(not(any(test, target_os = "linux")), expect(dead_code, reason = "only Linux has the file"))]
fn mount_of(mountinfo: &str, dir: &Utf8Path) -> Option<Mount> {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let (mut mount, mut system) = (mount.split(' ').skip(4), system.split(' '));
        let (point, kind) = (unescaped(mount.next()?), system.next()?.to_owned());
        let options =
            [mount.next(), system.nth(1)].into_iter().flatten().flat_map(|options| options.split(','));
        Some(Mount { point: point.into(), kind, options: options.map(str::to_owned).collect() })
    });
    mounts.filter(|mount| dir.starts_with(&mount.point)).max_by_key(|mount| mount.point.as_str().len())
}

/// Spaces and the like are written as `\040`.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        if let Some(byte) = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            plain.push(char::from(byte));
            plain.push_str(&part[3..]);
        } else {
            plain.push('\\');
            plain.push_str(part);
        }
    }
    plain
}

fn judge(dir: &Utf8Path, mount: Option<&Mount>) -> Check {
    const NAME: &str = "file system";
    let Some(Mount { point, kind, options }) = mount else {
        return Check::ok(NAME, "this system does not say which one holds the target dir");
    };
    let times =
        options.iter().find(|option| ["noatime", "relatime", "strictatime"].contains(&option.as_str()));
    let copies =
        if SHARING.contains(&kind.as_str()) { "copies can share blocks" } else { "no shared copies" };
    let seen =
        format!("{kind} at {point}, {}, {copies}", times.map_or("access times as it likes", |times| times));
    if REMOTE.contains(&kind.as_str()) {
        let evidence =
            format!("{dir} lies on {seen}: a remote file system is slow, and cargo may take no lock there");
        return Check::warn(
            NAME,
            evidence,
            "set CARGO_TARGET_DIR, or build.target-dir, to a folder on a local disk",
        );
    }
    if ["tmpfs", "ramfs"].contains(&kind.as_str()) {
        return Check::ok(NAME, format!("{seen}; it takes memory, and is gone after a restart"));
    }
    Check::ok(NAME, seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    const LINES: &str = "\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 21 0:25 / /dev/shm rw,nosuid - tmpfs tmpfs rw
40 21 0:50 / /net/home rw,noatime shared:9 master:2 - nfs4 server:/home rw,vers=4.2
41 21 8:2 / /my\\040disk rw,noatime - btrfs /dev/sdb rw,space_cache
42 21 8:3 / /my\\040disk/over rw - ext4 /dev/sdc rw,strictatime
";

    #[test]
    fn the_mount_that_holds_a_folder_is_the_deepest() {
        // the folder, the type; how it is, a part of the evidence
        let table = [
            ("/home/me/target", "ext4", Status::Ok, "ext4 at /, relatime, no shared copies"),
            ("/dev/shm/target", "tmpfs", Status::Ok, "gone after a restart"),
            ("/net/home/me/target", "nfs4", Status::Warn, "a remote file system"),
            ("/my disk/target", "btrfs", Status::Ok, "noatime, copies can share blocks"),
            ("/my disk/over/target", "ext4", Status::Ok, "strictatime"),
            ("/net/homeless", "ext4", Status::Ok, "ext4 at /"),
        ];
        for (dir, kind, status, evidence) in table {
            let mount = mount_of(LINES, dir.into()).unwrap();
            assert_eq!(mount.kind, kind, "{dir}");
            let check = judge(dir.into(), Some(&mount));
            assert_eq!(check.status, status, "{check:?}");
            assert!(check.evidence.contains(evidence), "{check:?}");
        }
        assert_eq!(mount_of("nonsense\n", "/".into()), None);
        assert_eq!(unescaped("a\\040b\\x"), "a b\\x");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_system_tells() {
        assert!(mount(Utf8Path::new("/")).is_some());
    }
}
