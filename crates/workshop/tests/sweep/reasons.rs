//! Why something is stale is said in words a person understands.

use crate::support::{FEW_TIERS, Small, number, texts};

/// What is done, and the reason that must be given afterwards.
const HISTORIES: [(&str, &str); 4] = [
    ("cargo build --features app/postgres", "only `test-full` needs it (a tier of CI)"),
    ("RUSTFLAGS='--cfg old' cargo build", "RUSTFLAGS `--cfg old` are not set any more"),
    ("CARGO_PROFILE_DEV_OPT_LEVEL=1 cargo build", "the settings of its profile have changed"),
    ("cargo build --config 'profile.old.inherits=\"dev\"' --profile old", "profile `old` has no live unit"),
];

#[test]
fn each_reason_in_layout_v1() {
    each_reason(&Small::new("reasons-1", FEW_TIERS), "nightly");
}

#[test]
fn each_reason_in_layout_v2() {
    let mut small = Small::new("reasons-2", FEW_TIERS);
    small.place.with_new_layout();
    each_reason(&small, "stable");
    assert!(small.root().join("target/debug/build/app").exists(), "it is the new layout");
}

fn each_reason(small: &Small, other: &str) {
    let members = |old: &str| format!("[workspace]\nresolver = \"2\"\nmembers = [\"app\", \"lib\"{old}]\n");
    small.write("app/tests/gone.rs", "#[test] fn gone() {}\n");
    small.write("old/Cargo.toml", "[package]\nname = \"old\"\nversion = \"0.1.0\"\nedition = \"2021\"\n");
    small.write("old/src/lib.rs", "");
    small.write("Cargo.toml", &members(", \"old\""));
    small.lock_tiny("1.0.0");
    small.build_all();
    small.write("Cargo.toml", &members(""));
    std::fs::remove_file(small.root().join("app/tests/gone.rs")).unwrap();
    small.lock_tiny("1.0.1");
    for (line, _) in HISTORIES {
        small.run(line);
    }
    // On stable, that is the other layout in the same folder.
    small.run(&format!("cargo +{other} check"));
    let host = small.run("rustc -vV | sed -n 's/^host: //p'").stdout.trim().to_owned();
    small.run(&format!("cargo build --target {host}"));
    small.build_all();

    let version = small.run(&format!("rustc +{other} --version")).stdout;
    let compiler = version.split(" (").next().unwrap().to_owned();
    let plan = small.place.sweep(&["--dry-run"], 0);
    let said = texts(&plan, "reasons", "why");
    let mut expected = HISTORIES.map(|(_, why)| why.to_owned()).to_vec();
    expected.extend([
        format!("nothing builds profile `debug` for {host}"),
        "`tiny`: version 1.0.0 left the lockfile".to_owned(),
        "`app` has no `test gone` any more".to_owned(),
        "`old` left the lockfile".to_owned(),
        "built against other versions or features of what it depends on".to_owned(),
        compiler,
    ]);
    for why in expected {
        assert!(said.contains(&why), "`{why}` is not among {said:#?}");
    }
    let swept = small.place.sweep(&["--verify"], 0);
    assert_eq!(number(&swept, "recompiled_units"), 0, "{swept:#}");
    assert!(number(&swept, "removed_units") > 10, "{swept:#}");
    assert_eq!(small.run("target/debug/app").stdout, "41\n");
}

/// Where the space is, and what tells several of the same crate apart.
#[test]
fn disk_tells_variants_apart() {
    let small = Small::new("disk", FEW_TIERS);
    small.lock_tiny("1.0.0");
    small.run("cargo build");
    small.lock_tiny("1.0.1");
    for line in [
        "cargo build",
        "cargo build --features app/postgres",
        "RUSTFLAGS='--cfg old' cargo build",
        "cargo build --release",
        "cargo +nightly build",
    ] {
        small.run(line);
    }
    let outcome = small.place.suite(&["disk", "--json"]).expect_code(0);
    let report: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let du = small.disk_usage("target");
    let total = number(&report, "total_bytes");
    // `du` counts the folders of profiles too.
    assert!(total <= du && du - total < 256 * 1024, "{total} of {du}");
    let overview = small.place.suite(&["--json"]).expect_code(0);
    let overview: serde_json::Value = serde_json::from_str(&overview.stdout).unwrap();
    assert_eq!(number(&overview, "target_bytes"), total, "one number, whoever says it");
    for list in ["kinds", "profiles"] {
        let bytes = report[list].as_array().unwrap().iter().map(|share| number(share, "bytes")).sum::<u64>();
        assert_eq!(bytes, total, "{list}");
    }
    let differ_by = |package: &str, target: &str| {
        let variants = report["variants"].as_array().unwrap().iter();
        let mut found =
            variants.filter(|variants| variants["package"] == package && variants["target"] == target);
        let differ = found.next().unwrap_or_else(|| panic!("{report:#}"))["differ_by"].as_array().unwrap();
        differ.iter().map(|difference| difference.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(differ_by("app", "bin app"), ["features", "flags", "toolchain", "profile", "dependencies"]);
    assert_eq!(differ_by("tiny", "lib"), ["flags", "toolchain", "version", "profile"]);
    let text = small.place.suite(&["disk"]).expect_code(0).stdout;
    assert!(
        text.contains("features postgres") && text.contains("rustc 1.") && text.contains("1.0.0"),
        "{text}"
    );
}
