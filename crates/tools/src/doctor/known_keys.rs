//! The keys that cargo reads, from The Cargo Book's chapter "Configuration" (release 1.95) and the changelog up to 1.100.

/// What a table of cargo's configuration holds.
pub(super) enum Holds {
    /// These keys.
    Keys(&'static [&'static str]),
    /// A table for each of names that are free, with these keys; tables in it are not looked into.
    Tables(&'static [&'static str]),
    /// Whatever the user likes.
    Anything,
}

const PROFILE: &[&str] = &[
    "build-override",
    "codegen-backend",
    "codegen-units",
    "debug",
    "debug-assertions",
    "hint-mostly-unused",
    "incremental",
    "inherits",
    "lto",
    "opt-level",
    "overflow-checks",
    "package",
    "panic",
    "rpath",
    "rustflags",
    "split-debuginfo",
    "strip",
    "trim-paths",
];

/// Every table at the top level, and what it holds.
pub(super) const TABLES: &[(&str, Holds)] = &[
    ("alias", Holds::Anything),
    (
        "build",
        Holds::Keys(&[
            "analysis",
            "artifact-dir",
            "build-dir",
            "dep-info-basedir",
            "incremental",
            "jobs",
            "rustc",
            "rustc-workspace-wrapper",
            "rustc-wrapper",
            "rustdoc",
            "rustdocflags",
            "rustflags",
            "sbom",
            "target",
            "target-dir",
            "warnings",
        ]),
    ),
    ("cache", Holds::Keys(&["auto-clean-frequency", "global-clean"])),
    ("cargo-new", Holds::Keys(&["email", "name", "vcs"])),
    ("credential-alias", Holds::Anything),
    ("doc", Holds::Keys(&["browser", "extern-map"])),
    ("env", Holds::Anything),
    ("future-incompat-report", Holds::Keys(&["frequency"])),
    ("host", Holds::Anything),
    (
        "http",
        Holds::Keys(&[
            "cainfo",
            "check-revoke",
            "debug",
            "low-speed-limit",
            "multiplexing",
            "proxy",
            "proxy-cainfo",
            "ssl-version",
            "timeout",
            "user-agent",
        ]),
    ),
    ("install", Holds::Keys(&["root"])),
    ("net", Holds::Keys(&["git-fetch-with-cli", "offline", "retry", "ssh"])),
    ("patch", Holds::Anything),
    ("profile", Holds::Tables(PROFILE)),
    (
        "registries",
        Holds::Tables(&[
            "credential-provider",
            "index",
            "protocol",
            "secret-key",
            "secret-key-subject",
            "token",
        ]),
    ),
    (
        "registry",
        Holds::Keys(&[
            "credential-provider",
            "default",
            "global-credential-providers",
            "index",
            "secret-key",
            "secret-key-subject",
            "token",
        ]),
    ),
    ("resolver", Holds::Keys(&["feature-unification", "incompatible-rust-versions", "lockfile-path"])),
    (
        "source",
        Holds::Tables(&[
            "branch",
            "directory",
            "git",
            "local-registry",
            "registry",
            "replace-with",
            "rev",
            "tag",
        ]),
    ),
    ("target", Holds::Tables(&["ar", "linker", "runner", "rustdocflags", "rustflags"])),
    ("term", Holds::Keys(&["color", "hyperlinks", "progress", "quiet", "unicode", "verbose"])),
    ("unstable", Holds::Anything),
];

/// Keys at the top level that are no tables.
pub(super) const TOP: &[&str] = &["include", "paths", "target-applies-to-host"];

/// Keys that cargo once had, or that people take from elsewhere, and what is to be done instead.
pub(super) const OBSOLETE: &[(&str, &str, &str)] = &[
    ("build", "pipelining", "remove it: since 1.45 every build is pipelined"),
    ("build", "rustc-link-arg", "write it as a flag: rustflags = [\"-Clink-arg=…\"]"),
    ("build", "linker", "write it into [target.TRIPLE]"),
    ("build", "runner", "write it into [target.TRIPLE]"),
    ("build", "out-dir", "call it `artifact-dir`"),
    ("doc", "jobs", "write it into [build]"),
];
