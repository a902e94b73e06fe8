//! The table of workspaces. Each has one property, or a few nasty ones together, that an edit could get wrong.

use crate::host::{Git, Lock, Plan, is_rust, package};

const VIRTUAL: &str = "[workspace]\nresolver = \"3\"\nmembers = [\"app\", \"base\"]\n";

/// Two members, listed: the plain case, and what the others vary.
fn plain(name: &'static str) -> Plan {
    Plan::new(name, VIRTUAL).app("app", "2024", "../base", "").lib("base", "2024", "")
}

/// The same with this root manifest.
fn with_manifest(name: &'static str, manifest: &str) -> Plan {
    plain(name).file("Cargo.toml", manifest)
}

/// The same with this configuration of cargo's.
fn with_config(name: &'static str, path: &'static str, config: &str) -> Plan {
    Plan { config: path, ..plain(name).file(path, config) }
}

// What is a member, and why.

/// Features, so that there are presets.
pub(crate) fn listed() -> Plan {
    let features = "\n[features]\ndefault = [\"common\"]\ncommon = []\nextra = [\"common\"]\n";
    Plan { tiers: true, ..plain("listed").lib("base", "2024", features) }
}

pub(crate) fn glob_of_a_folder() -> Plan {
    let manifest = "[workspace]\nresolver = \"2\"\nmembers = [\"crates/*\"]\nexclude = [\"crates/old\"]\ndefault-members = [\"crates/app\"]\n";
    let plan = Plan::new("glob-of-a-folder", manifest);
    let plan = plan.app("crates/app", "2021", "../base", "").lib("crates/base", "2018", "");
    let plan = plan.lib("crates/old", "2021", "").file(".gitignore", "/target\nCargo.lock\n");
    Plan { lock: Lock::Ignored, tiers: true, nested: &["crates/old"], ..plan }
}

/// Cargo takes every folder for a member then, hidden ones too, but for those it is told of.
pub(crate) fn glob_of_everything() -> Plan {
    let plan = Plan::new(
        "glob-of-everything",
        "[workspace]\nmembers = [\"*\"]\nexclude = [\"target\", \".cargo\", \".xtask-journal\"]\n",
    );
    let plan = plan
        .app("app", "2018", "../base", "")
        .lib("base", "2015", "")
        .file(".cargo/config.toml", "[alias]\nb = \"build\"\n");
    Plan { git: Git::Without, lock: Lock::Absent, ..plan }
}

pub(crate) fn members_by_path_dependency_only() -> Plan {
    let more = "\n[dependencies]\nbase = { path = \"base\" }\n\n[workspace]\n";
    let plan = Plan::new("members-by-path", &package("app", "2021", more)).app_sources("", "app", "base");
    Plan { git: Git::Dirty, tiers: true, ..plan.lib("base", "2021", "") }
}

pub(crate) fn rooted() -> Plan {
    let more = "\n[dependencies]\nbase.path = \"crates/base\"\n\n[workspace]\nresolver = \"1\"\nmembers = [\"crates/*\"]\ndefault-members = [\".\", \"crates/base\"]\n";
    let plan = Plan::new("rooted", &package("app", "2018", more)).app_sources("", "app", "base");
    plan.lib("crates/base", "2015", "")
}

pub(crate) fn single_package() -> Plan {
    let plan = Plan::new("single-package", &package("single", "2015", "")).without(".gitignore");
    let plan = plan.file("src/lib.rs", "/// ```\n/// assert!(single::yes());\n/// ```\npub fn yes() -> bool { true }\n#[test]\nfn it() { assert!(yes()) }\n");
    Plan { git: Git::Without, lock: Lock::Absent, ..plan }
}

/// The packages below it are no members, and stay on their own.
pub(crate) fn single_package_with_others_below() -> Plan {
    let more = "\n[dependencies]\nbase = { path = \"parts/base\" }\n";
    let plan = Plan::new("packages-below", &package("app", "2024", more)).app_sources("", "app", "base");
    let fuzz = "publish = false\n\n[package.metadata]\ncargo-fuzz = true\n\n[dependencies]\napp = { path = \"..\" }\n";
    let plan = plan.lib("parts/base", "2024", "").file("fuzz/Cargo.toml", &package("app-fuzz", "2024", fuzz));
    let plan = plan.file("fuzz/src/main.rs", "fn main() {\n    assert_eq!(app::two(), 2);\n}\n");
    let plan = plan.file("fuzz/.gitignore", "target\n").lib(".ci/tool", "2024", "");
    Plan { tiers: true, nested: &[".ci/tool", "fuzz", "parts/base"], ..plan }
}

pub(crate) fn called_from_a_member_in_a_folder_of_a_repository() -> Plan {
    let plan = with_manifest(
        "from-a-member",
        "[workspace]\nresolver = \"3\"\nmembers = [\n    \"app\",\n    \"base\"\n]\n",
    );
    Plan { called_with: "app/src", git: Git::Outer, dir: "services/host", ..plan }
}

pub(crate) fn inherited() -> Plan {
    let manifest = "[workspace]\nresolver = \"2\"\nmembers = [\"app\", \"base\"]\n\n[workspace.package]\nversion = \"2.1.0\"\nedition = \"2021\"\nlicense = \"MIT\"\n\n\
        [workspace.dependencies]\nbase = { path = \"base\", features = [\"extra\"] }\n\n[workspace.lints.rust]\nunused_must_use = \"deny\"\nunsafe_code = \"forbid\"\n\n[workspace.lints.clippy]\nall = \"warn\"\n\n\
        [profile.dev]\nopt-level = 1\n\n[profile.dev.package.base]\nopt-level = 0\n\n[profile.release]\nlto = \"thin\"\n\n[profile.ci]\ninherits = \"dev\"\n";
    let head = |name: &str| {
        format!(
            "[package]\nname = \"{name}\"\nversion.workspace = true\nedition.workspace = true\nlicense = {{ workspace = true }}\n\n[lints]\nworkspace = true\n"
        )
    };
    let plan = Plan::new("inherited", manifest).app_sources("app", "app", "base").lib_sources("base");
    let plan = plan.file("app/Cargo.toml", &(head("app") + "\n[dependencies]\nbase.workspace = true\n"));
    plan.file("base/Cargo.toml", &(head("base") + "\n[features]\nextra = []\nfull = [\"extra\"]\n"))
}

// How the manifest is written.

const COMMENTED: &str = "# At the head: [workspace]\n\n[workspace] # here\n# members = [\"not\", \"these\"]\nresolver = \"2\" # two\nmembers = [ # first\n    # before\n    \"app\", # the app\n    # between\n    \"base\" # the base, and no comma\n    # after\n] # behind\n# below\n\n[workspace.metadata.own] # ours\n\"members\" = [ ]\n# At the end";

pub(crate) fn comments_everywhere() -> Plan {
    let plan = with_manifest("comments", COMMENTED);
    plan.file(
        ".cargo/config.toml",
        "# Head\n[alias] # ours\nb = \"build\" # short\n# End, without a line ending",
    )
}

pub(crate) fn trailing_comma_and_tabs() -> Plan {
    with_manifest(
        "trailing-comma",
        "[workspace]\nmembers = [\n\t\"app\",\n\n\t\"base\", # last\n]\nresolver = \"2\"\n\n\n",
    )
}

pub(crate) fn dotted() -> Plan {
    with_manifest(
        "dotted",
        "workspace.members = ['app', 'base']\nworkspace.resolver = '2'\nprofile.dev.panic = 'unwind'\n",
    )
}

pub(crate) fn inline_table() -> Plan {
    let plan = with_manifest(
        "inline-table",
        "workspace = { members = [\"app\", \"base\"], resolver = \"2\" } # all of it\n",
    );
    plan.file(".cargo/config.toml", "alias = { b = \"build\" }\nprofile = { dev = { panic = \"unwind\" } }\n")
}

pub(crate) fn empty_inline_table() -> Plan {
    let package = "package = { name = \"app\", version = \"0.1.0\", edition = \"2021\" }\nworkspace = {}\ndependencies.base.path = \"base\"";
    Plan::new("empty-inline-table", package).app_sources("", "app", "base").lib("base", "2021", "")
}

pub(crate) fn windows_endings() -> Plan {
    let plan = with_manifest(
        "windows-endings",
        "[workspace]\nresolver = \"3\"\nmembers = [\n  \"app\",\n  \"base\",\n]\n",
    );
    let plan = plan.file(".cargo/config.toml", "[alias]\nb = \"build\"\n\n[term]\nquiet = false\n");
    Plan { tiers: true, ..plan.rewrite(|_, text| text.replace('\n', "\r\n")) }
}

/// Every second line of what `adopt` edits ends as on Windows.
pub(crate) fn mixed_endings() -> Plan {
    let plan = with_manifest(
        "mixed-endings",
        "[workspace]\nresolver = \"3\"\nmembers = [\n  \"app\",\n  \"base\",\n]\n",
    );
    let plan = plan
        .file(".cargo/config.toml", "[alias]\nb = \"build\"\nc = \"check\"\n")
        .file(".gitignore", "/target\n/a\n/b\n");
    plan.rewrite(|path, text| {
        if !["Cargo.toml", ".cargo/config.toml", ".gitignore"].contains(&path) {
            return text.to_owned();
        }
        let endings = ["\n", "\r\n"].into_iter().cycle();
        text.lines().zip(endings).flat_map(|(line, ending)| [line, ending]).collect()
    })
}

pub(crate) fn byte_order_mark_and_no_last_line_ending() -> Plan {
    let plan = plain("byte-order-mark").file(".cargo/config.toml", "[alias]\nb = \"build\"\n");
    plan.rewrite(|path, text| match path {
        "Cargo.toml" | ".cargo/config.toml" => format!("\u{feff}{}", text.trim_end()),
        ".gitignore" => text.trim_end().to_owned(),
        _ => text.to_owned(),
    })
}

pub(crate) fn spaces_and_letters_beyond_ascii() -> Plan {
    Plan { dir: "mein [Projekt]*/größte Höhe? é", tiers: true, ..plain("spaces") }
}

pub(crate) fn read_only_files() -> Plan {
    let plan = plain("read-only").file(".cargo/config.toml", "[alias]\nb = \"build\"\n");
    plan.read_only("Cargo.toml")
        .read_only(".cargo/config.toml")
        .read_only(".gitignore")
        .read_only("Cargo.lock")
}

// What cargo's configuration has already.

pub(crate) fn old_name_of_the_configuration() -> Plan {
    with_config("old-name", ".cargo/config", "[alias]\nb = \"build\"\n")
}

pub(crate) fn both_names_of_the_configuration() -> Plan {
    let plan = with_config("both-names", ".cargo/config", "[alias]\nb = \"build\"\n");
    plan.file(".cargo/config.toml", "[alias]\nb = \"bench\"\n")
}

pub(crate) fn linked_name_of_the_configuration() -> Plan {
    let plan = with_config("linked-name", ".cargo/config.toml", "[alias]\nb = \"build\"\n");
    plan.link(".cargo/config", "config.toml")
}

/// Aliases of the tiers' names, and an `include`.
pub(crate) fn aliases_of_the_same_names() -> Plan {
    let config = "include = [\"x.toml\"] # ours\n\n[alias]\nlint = \"check --workspace\"\ntest-fast = [\"test\", \"--lib\"]\n";
    let plan = with_config("same-aliases", ".cargo/config.toml", config);
    Plan { tiers: true, ..plan.file(".cargo/x.toml", "[net]\nretry = 3\n") }
}

pub(crate) fn target_dir_and_env() -> Plan {
    let config = "[build]\ntarget-dir = \"out\"\n[env]\nOURS = { value = \"here\", relative = true }\n";
    with_config("target-dir", ".cargo/config.toml", config).file(".gitignore", "/out\n")
}

/// `build.target` is the host's own triple: the folders are those of a cross build.
pub(crate) fn build_for_a_triple() -> Plan {
    let config = format!("[build]\ntarget = \"{}\"\n", host_triple());
    with_config("triple", ".cargo/config.toml", &config)
}

pub(crate) fn rustflags() -> Plan {
    with_config(
        "rustflags",
        ".cargo/config.toml",
        "build.rustflags = [\"--cfg\", \"ours\", \"-Dwarnings\"]\n",
    )
}

pub(crate) fn git_ignores_it_already() -> Plan {
    let ignored = "/target/\r\n/.cargo/xtask.local.toml\r\n*.orig\r\n";
    plain("ignored-already").file(".gitignore", ignored)
}

/// Formatting and lints that the suite's sources do not follow.
pub(crate) fn own_style() -> Plan {
    let plan = plain("own-style").file("rustfmt.toml", "hard_tabs = true\nmax_width = 60\n");
    let clippy = "disallowed-methods = [\"std::env::var\", \"std::env::var_os\", \"std::fs::write\", \"std::process::Command::new\"]\n";
    let plan = plan
        .file("clippy.toml", clippy)
        .rewrite(|path, text| if is_rust(path) { text.replace("    ", "\t") } else { text.to_owned() });
    Plan { linted: true, ..plan }
}

// An `xtask` of its own.

const OWN: &str =
    "fn main() {\n    println!(\"theirs: {:?}\", std::env::args().skip(1).collect::<Vec<_>>());\n}\n";

pub(crate) fn own_alias() -> Plan {
    let config = "[alias]\nxtask = \"run --quiet --package tools --\"\n";
    let plan = with_config("own-alias", ".cargo/config.toml", config);
    let plan =
        plan.file("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"app\", \"base\", \"tools\"]\n");
    let plan = plan.file("tools/Cargo.toml", &package("tools", "2024", "")).file("tools/src/main.rs", OWN);
    Plan { merge: true, ..plan }
}

pub(crate) fn own_member() -> Plan {
    let config = "[alias]\nxtask = [\"run\", \"--quiet\", \"--package\", \"xtask\", \"--\"]\n";
    let plan = with_config("own-member", ".cargo/config.toml", config);
    let plan =
        plan.file("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"app\", \"base\", \"xtask\"]\n");
    let plan = plan.file("xtask/Cargo.toml", &package("xtask", "2021", "")).file("xtask/src/main.rs", OWN);
    Plan { merge: true, tiers: true, ..plan }
}

pub(crate) fn own_folder() -> Plan {
    Plan { merge: true, ..plain("own-folder").file("xtask/notes.md", "Notes\n") }
}

/// The triple of this machine.
pub(crate) fn host_triple() -> String {
    let mut rustc = std::process::Command::new("rustc");
    let version = xtask_testkit::Outcome::of(xtask_testkit::scrub(&mut rustc).arg("-vV")).stdout;
    version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}
