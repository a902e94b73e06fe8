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

#[cfg(test)]
mod tests {
    use super::*;

    /// The headings of the chapter in the toolchain's own documentation, 1.95 and nightly 1.97; `*` is any name.
    const DOCUMENTED: &str = "\
        build.build-dir build.dep-info-basedir build.incremental build.jobs build.rustc build.rustc-workspace-wrapper \
        build.rustc-wrapper build.rustdoc build.rustdocflags build.rustflags build.target build.target-dir \
        build.warnings cache.auto-clean-frequency cargo-new.email cargo-new.name cargo-new.vcs doc.browser \
        future-incompat-report.frequency http.cainfo http.check-revoke http.debug http.low-speed-limit \
        http.multiplexing http.proxy http.proxy-cainfo http.ssl-version http.timeout http.user-agent install.root \
        net.git-fetch-with-cli net.offline net.retry net.ssh profile.*.codegen-units profile.*.debug \
        profile.*.debug-assertions profile.*.incremental profile.*.lto profile.*.opt-level profile.*.overflow-checks \
        profile.*.panic profile.*.rpath profile.*.split-debuginfo profile.*.strip profile.*.build-override \
        profile.*.package registries.*.credential-provider registries.*.index registries.*.token \
        registries.*.protocol registry.credential-provider registry.default registry.global-credential-providers \
        registry.index registry.token resolver.incompatible-rust-versions resolver.lockfile-path source.*.branch \
        source.*.directory source.*.git source.*.local-registry source.*.registry source.*.replace-with source.*.rev \
        source.*.tag target.*.ar target.*.linker target.*.runner target.*.rustdocflags target.*.rustflags term.color \
        term.hyperlinks term.progress term.quiet term.unicode term.verbose";

    #[test]
    fn every_documented_key_is_known() {
        for key in DOCUMENTED.split_whitespace() {
            let mut parts = key.split('.');
            let (table, last) = (parts.next().unwrap(), parts.next_back().unwrap());
            let (_, holds) =
                TABLES.iter().find(|(name, _)| *name == table).unwrap_or_else(|| panic!("{key}"));
            let known = match holds {
                Holds::Keys(keys) | Holds::Tables(keys) => keys.contains(&last),
                Holds::Anything => true,
            };
            assert!(known, "{key}");
        }
    }
}
