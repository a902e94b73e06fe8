//! `adopt --observe`: what does not build here is seen and left out, with what was seen, and nothing else is.

use camino::Utf8Path;
use xtask_testkit::{Outcome, Snapshot};

use crate::host::{Host, Plan, package};
use crate::{hosts, store};

/// Members that fail in each way there is, beside some that do not.
fn failing() -> Plan {
    let members = "[workspace]\nresolver = \"3\"\nmembers = [\"app\", \"base\", \"bench\", \"broken\", \"fine\", \"needs\", \"script\", \"tests\"]\n";
    let features = "\n[features]\nfast = []\nmore = [\"fast\"]\nssl = []\ntls = []\n";
    let exclusive = "\n#[cfg(all(feature = \"ssl\", feature = \"tls\"))]\ncompile_error!(\"one of ssl and tls\");\n#[cfg(feature = \"fast\")]\ncompile_error!(\"needs nightly\");\n";
    let plan = hosts::listed().file("Cargo.toml", members).lib("base", "2024", features);
    let base = format!("{}{exclusive}", plan.files["base/src/lib.rs"]);
    plan.file("base/src/lib.rs", &base)
        .lib("bench", "2024", "")
        .file("bench/benches/odd.rs", "#![feature(test)]\nextern crate test;\n")
        .file("broken/Cargo.toml", &package("broken", "2024", ""))
        .file("broken/src/lib.rs", "pub fn broken() -> Missing {}\n")
        .file(
            "needs/Cargo.toml",
            &package("needs", "2024", "[dependencies]\nbroken = { path = \"../broken\" }\n"),
        )
        .file("needs/src/main.rs", "fn main() {}\n")
        .lib("fine", "2024", "")
        .lib("script", "2024", "")
        .file("script/build.rs", "fn main() { panic!(\"no library\") }\n")
        .lib("tests", "2024", "")
        .file("tests/tests/it.rs", "#[test]\nfn it() { missing() }\n")
}

const NEEDS: &str = "not built, since this failed: `broken` (lib): cannot find type `Missing` in this scope";

/// What is expected in the table of a tier.
fn assert_left_out(host: &Host) {
    let document = host.read("xtask.toml");
    let toml = xtask_edit::TomlText::parse(&document).unwrap();
    let strings = |path: [&str; 3]| {
        let value = toml.value(&path)?;
        let array = value.as_array()?;
        Some(array.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect::<Vec<_>>().join(" "))
    };
    let (built, tested) = ("broken needs script", "broken needs script tests");
    let table = [
        ("test-fast", tested, None),
        ("test-common", tested, None),
        ("test-full", tested, Some("lib bins tests examples")),
        ("check-fast", tested, Some("lib bins tests examples")),
        ("build-dev", built, None),
        ("build-release", built, None),
        ("lint", tested, Some("lib bins tests examples")),
    ];
    for (tier, exclude, targets) in table {
        assert_eq!(strings(["tiers", tier, "exclude"]).as_deref(), Some(exclude), "{tier}\n{document}");
        assert_eq!(strings(["tiers", tier, "targets"]).as_deref(), targets, "{tier}\n{document}");
    }
    // Of two that exclude each other the first stays.
    assert_eq!(strings(["presets", "full", "features"]).as_deref(), Some("ssl"), "{document}");
}

#[test]
fn what_fails_is_left_out_with_the_reason_and_the_rest_is_tested() {
    let host = failing().make();
    let before = Snapshot::of(&host.root);
    host.adopt(&["--observe"], 2);
    host.adopt(&["--no-build"], 0);
    let adopted = Snapshot::of(&host.root);
    store::fill(&host);

    let failed = host.run(&["xtask", "check-fast"], 1);
    assert!(failed.stderr.contains("cargo xtask adopt --observe"), "{}", failed.stderr);
    let shown = host.adopt(&["--observe", "--dry-run"], 0).stdout;
    for text in [
        NEEDS,
        "+[presets.full]",
        "+    # `tests` (test \"it\"): cannot find function `missing` in this scope",
    ] {
        assert!(shown.contains(text), "{text} is not in: {shown}");
    }
    Snapshot::of(&host.root).assert_same(&adopted, "after a dry run");

    // The adopted copy observes its own workspace.
    let observed = host.run(&["xtask", "adopt", "--observe"], 0).stdout;
    assert!(observed.contains(NEEDS), "{observed}");
    assert_left_out(&host);
    let text = host.read("xtask.toml");
    for reason in [
        &format!("# {NEEDS}\n"),
        "# `broken` (lib): cannot find type `Missing` in this scope\n",
        "# `script`: its build script failed\n",
        "# no benches: `bench` (bench \"odd\"): `#![feature]` may not be used on the stable release channel\n",
        "# not base/fast: `base` (lib): needs nightly\n",
        "# not base/tls: `base` (lib): one of ssl and tls\n",
    ] {
        assert_eq!(text.matches(reason).count(), 1, "{reason} in:\n{text}");
    }
    let after = Snapshot::of(&host.root);
    let again = host.run(&["xtask", "adopt", "--observe"], 0).stdout;
    assert!(again.contains("nothing to leave out"), "{again}");
    Snapshot::of(&host.root).assert_same(&after, "after observing again");

    for tier in ["check-fast", "test-fast", "test-full", "build-dev"] {
        host.run(&["xtask", tier], 0);
    }
    // What breaks later is an edit.
    host.write("app/src/lib.rs", "edited\n");
    let failed = host.run(&["xtask", "check-fast"], 1);
    assert!(!failed.stderr.contains("--observe"), "{}", failed.stderr);
    host.write("app/src/lib.rs", before.text(Utf8Path::new("app/src/lib.rs")).unwrap());

    host.adopt(&["--undo"], 0);
    Snapshot::of(&host.root).assert_same(&before, "after undoing");
}

#[test]
fn what_a_user_wrote_stays() {
    let host = failing().make();
    host.adopt(&["--no-build"], 0);
    let own = "\n[presets.full]\nfeatures = [\"ssl\", \"tls\"]\n\n[tiers.test-full]\ntargets = [\"lib\", \"tests\", \"benches\"] # all\n\n\
               [tiers.lint]\nexclude = [\"broken\"] # ours\n";
    host.write("xtask.toml", &format!("{}{own}", host.read("xtask.toml")));
    host.adopt(&["--observe"], 0);
    let text = host.read("xtask.toml");
    let kept = [
        "features = [\"ssl\", \"tls\"]\n",
        "targets = [\"lib\", \"tests\", \"benches\"] # all\n",
        "] # ours\n",
    ];
    for line in kept {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
    // A list of the user's is not changed, so the members go.
    assert!(text.contains("# `base` (lib): one of ssl and tls\n"), "{text}");
    let undone = Outcome::of(&mut host.adopt_command(&["--undo"])).expect_code(1);
    assert!(undone.stderr.contains("xtask.toml stays"), "{}", undone.stderr);
    assert_eq!(host.read("xtask.toml"), text);
}

/// A workspace that builds gets nothing, and one in which cargo itself fails says why.
#[test]
fn nothing_is_written_where_nothing_was_seen() {
    let host = hosts::listed().make();
    host.adopt(&["--no-build"], 0);
    let adopted = Snapshot::of(&host.root);
    let observed = host.adopt(&["--observe"], 0);
    assert!(observed.stdout.contains("nothing to leave out"), "{}", observed.stdout);
    let mut command = host.adopt_command(&["--observe"]);
    let failed = Outcome::of(command.env("CARGO_BUILD_JOBS", "0")).expect_code(1);
    assert!(failed.stderr.contains("nothing was observed"), "{}", failed.stderr);
    Snapshot::of(&host.root).assert_same(&adopted, "after observing");
}
