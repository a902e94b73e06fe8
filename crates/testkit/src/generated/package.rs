//! The files of one random package.

use std::collections::BTreeMap;

use super::Wishes;
use crate::random::Random;

/// What a package may be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Reads nothing at run time, so build scripts and proc macros may use it: cargo would not run these again.
    Pure,
    /// A proc macro.
    Macro,
    /// Anything.
    Plain,
}

#[derive(Debug, Clone)]
pub(super) struct Package {
    pub(super) name: String,
    /// Relative to the workspace root, with a `/` at its end; empty for the root itself.
    pub(super) dir: String,
    pub(super) kind: Kind,
    pub(super) member: bool,
}

/// Writes the number of a test down; the test fails for some numbers, so that edits turn verdicts.
const RECORD: &str = r#"
#[doc(hidden)]
pub fn record(test: &str, value: u64) {
    use std::io::Write;
    if let Some(path) = std::env::var_os("ORACLE_LOG") {
        let line = format!("{} {test} {value}\n", env!("CARGO_PKG_NAME"));
        let mut log = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        log.write_all(line.as_bytes()).unwrap();
    }
    if let Ok(ms) = std::env::var("ORACLE_SLEEP_MS") {
        std::thread::sleep(std::time::Duration::from_millis(ms.parse().unwrap()));
    }
    assert!(value % 31 != 0, "{test}: {value}");
}
fn mix(values: &[u64]) -> u64 {
    values.iter().fold(7, |mixed: u64, value| mixed.wrapping_mul(1_000_003).wrapping_add(*value))
}
fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or_default()
}
fn live(path: &str) -> u64 {
    number(&std::fs::read_to_string(path).unwrap_or_default())
}
"#;

/// The value of another package, as an expression.
pub(super) fn value_of(name: &str) -> String {
    if name.starts_with('x') { format!("{name}::value!()") } else { format!("{name}::value()") }
}

/// The parts of a package while it is thought up.
#[derive(Default)]
struct Parts {
    normal: Vec<String>,
    dev: Vec<String>,
    build: Vec<String>,
    features: Vec<String>,
    /// What `value()` is made of, a line each.
    values: Vec<String>,
    /// What only the tests see.
    test_values: Vec<String>,
    items: Vec<String>,
}

impl Package {
    /// From this package's folder to the workspace root.
    pub(super) fn up(&self) -> String {
        if self.dir.starts_with("../") {
            return "../../workspace/".to_owned();
        }
        "../".repeat(self.dir.matches('/').count())
    }

    /// The lines of `manifest` and source that make this package depend on `other`.
    pub(super) fn dependency_line(&self, other: &Package, inherited: bool, more: &str) -> String {
        let name = &other.name;
        let features = if other.kind == Kind::Macro { "" } else { ", features = []" };
        if name == "patched" {
            return format!("patched = {{ version = \"1\"{features}{more} }} # dep:patched");
        }
        if inherited {
            return format!("{name} = {{ workspace = true{features}{more} }} # dep:{name}");
        }
        let path = format!("{}{}", self.up(), other.dir);
        let path = if path.is_empty() { "." } else { path.trim_end_matches('/') };
        format!("{name} = {{ path = \"{path}\"{features}{more} }} # dep:{name}")
    }

    /// Adds this package's files, which depend only on packages in `known`.
    pub(super) fn files(
        &self,
        random: &mut Random,
        wishes: Wishes,
        known: &[&Package],
        inherited: &[String],
        files: &mut BTreeMap<String, String>,
    ) {
        let mut parts = Parts::default();
        self.dependencies(random, known, inherited, &mut parts);
        self.sources(random, known, &mut parts);
        let build_script = self.member && self.kind != Kind::Macro && random.chance(35);
        if build_script {
            self.build_script(random, known, &mut parts, files);
        }
        for (name, number) in [("own.txt", 11), ("live.txt", 12), ("test.txt", 13), ("build.txt", 14)] {
            files.insert(format!("{}files/{name}", self.dir), format!("{number}\n"));
        }
        files.insert(format!("{}files/watched/one.txt", self.dir), "15\n".to_owned());
        files.insert(format!("{}src/module.rs", self.dir), "pub const N: u64 = /*n*/16;\n".to_owned());
        files.insert(format!("{}README.md", self.dir), format!("About {}.\n", self.name));
        self.tests(random, wishes, &parts, files);
        files.insert(format!("{}Cargo.toml", self.dir), self.manifest(random, &parts));
        files.insert(format!("{}src/lib.rs", self.dir), self.lib(random, wishes, &parts));
    }

    fn dependencies(&self, random: &mut Random, known: &[&Package], inherited: &[String], parts: &mut Parts) {
        let mut optional = false;
        for other in known {
            let allowed = self.kind == Kind::Plain || other.kind == Kind::Pure;
            if !allowed || !random.chance(if other.member { 45 } else { 25 }) {
                continue;
            }
            let inherits = inherited.contains(&other.name);
            let value = value_of(&other.name);
            if random.chance(25) {
                parts.dev.push(self.dependency_line(other, inherits, ""));
                parts.test_values.push(format!("{value}, // dep:{}", other.name));
            } else if !optional && self.kind == Kind::Plain && random.chance(25) {
                optional = true;
                parts.normal.push(self.dependency_line(other, inherits, ", optional = true"));
                parts.features.push(format!("opt = [\"dep:{}\"]", other.name));
                parts.values.push(format!("#[cfg(feature = \"opt\")] {value},"));
            } else {
                parts.normal.push(self.dependency_line(other, inherits, ""));
                parts.values.push(format!("{value}, // dep:{}", other.name));
            }
        }
        if random.chance(30) {
            parts.normal.push("tiny = \"1\" # dep:tiny".to_owned());
            parts.values.push("tiny::value(), // dep:tiny".to_owned());
        }
    }

    fn sources(&self, random: &mut Random, known: &[&Package], parts: &mut Parts) {
        let up = self.up();
        let values = &mut parts.values;
        values.push(format!("/*n*/{},", 20 + random.below(1000)));
        values.push("#[cfg(feature = \"extra\")] /*n*/21,".to_owned());
        let own = "include!(\"../files/own.txt\"),";
        let mut maybe = |percent: usize, line: String| {
            if random.chance(percent) {
                values.push(line);
            }
        };
        maybe(30, own.to_owned());
        maybe(20, format!("number(include_str!(\"../{up}shared/s0.txt\")),"));
        maybe(
            20,
            format!("number(include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/{up}shared/s1.txt\"))),"),
        );
        maybe(15, format!("include!(\"../{up}shared/s2.in\"),"));
        maybe(20, "number(option_env!(\"ORACLE_BUILD\").unwrap_or_default()),".to_owned());
        maybe(20, "u64::from(cfg!(oracle_flag)),".to_owned());
        maybe(20, "u64::from(cfg!(debug_assertions)),".to_owned());
        if self.member {
            maybe(30, "number(include_str!(\"../files/link.txt\")),".to_owned());
        }
        if self.kind == Kind::Plain {
            let here = "concat!(env!(\"CARGO_MANIFEST_DIR\"), ";
            maybe(35, format!("live({here}\"/files/live.txt\")),"));
            maybe(35, format!("live({here}\"/files/maybe.txt\")),"));
        }
        if let Some(other) = random.pick(known).filter(|other| other.member)
            && random.chance(50)
        {
            values.push(format!("number(include_str!(\"../{up}{}files/own.txt\")),", other.dir));
        }
        if random.chance(50) {
            values.push("module::N,".to_owned());
            parts.items.push("mod module;".to_owned());
        }
        if random.chance(20) {
            values.push("part::N,".to_owned());
            parts.items.push(format!("#[path = \"../{up}shared/part.rs\"] mod part;"));
        }
        let tests = &mut parts.test_values;
        let mut maybe = |percent: usize, line: String| {
            if random.chance(percent) {
                tests.push(line);
            }
        };
        maybe(30, "live(\"files/test.txt\"),".to_owned());
        maybe(15, format!("live(\"{up}shared/live0.txt\"),"));
        maybe(15, format!("live(\"{up}shared/live1.txt\"),"));
        maybe(15, "number(&std::env::var(\"ORACLE_RUN\").unwrap_or_default()),".to_owned());
    }

    fn build_script(
        &self,
        random: &mut Random,
        known: &[&Package],
        parts: &mut Parts,
        files: &mut BTreeMap<String, String>,
    ) {
        parts.values.push("built::N,".to_owned());
        let out = "mod built { include!(concat!(env!(\"OUT_DIR\"), \"/built.rs\")); }";
        parts.items.push(out.to_owned());
        let mut values = vec!["/*n*/31u64".to_owned()];
        let pure = known.iter().filter(|other| other.kind == Kind::Pure && other.member).collect::<Vec<_>>();
        let used = random.pick(&pure).filter(|_| random.chance(50));
        if let Some(other) = used {
            parts.build.push(self.dependency_line(other, false, ""));
            values.push(value_of(&other.name));
        }
        let shared = format!("{}shared/build.txt", self.up());
        let (read, watch) = match random.below(4) {
            0 => ("files/build.txt", None),
            1 => ("files/build.txt", Some("files/build.txt")),
            2 => (shared.as_str(), Some(shared.as_str())),
            _ => ("", Some("files/watched")),
        };
        if read.is_empty() {
            values.push(
                "std::fs::read_dir(\"files/watched\").unwrap().map(|entry| live(&entry.unwrap().path())).sum()"
                    .to_owned(),
            );
        } else {
            values.push(format!("live(\"{read}\".as_ref())"));
        }
        let watch = watch.map(|path| {
            format!(
                "    println!(\"cargo::rerun-if-changed={path}\");\n    println!(\"cargo::rerun-if-changed=build.rs\");\n"
            )
        });
        let text = format!(
            "fn live(path: &std::path::Path) -> u64 {{\n    std::fs::read_to_string(path).unwrap_or_default().trim().parse().unwrap_or_default()\n}}\n\
             fn main() {{\n    let values: Vec<u64> = vec![{}];\n{}\
             \x20   let mixed = values.iter().fold(7u64, |mixed, value| mixed.wrapping_mul(1_000_003).wrapping_add(*value));\n\
             \x20   let out = std::env::var(\"OUT_DIR\").unwrap() + \"/built.rs\";\n\
             \x20   std::fs::write(out, format!(\"pub const N: u64 = {{mixed}};\")).unwrap();\n}}\n",
            values.join(", "),
            watch.unwrap_or_default(),
        );
        files.insert(format!("{}build.rs", self.dir), text);
    }

    fn manifest(&self, random: &mut Random, parts: &Parts) -> String {
        let mut text =
            format!("[package]\nname = \"{}\"\nversion = \"1.0.0\"\nedition = \"2024\"\n", self.name);
        if self.kind == Kind::Macro {
            text += "[lib]\nproc-macro = true\n";
        } else {
            let default = if random.chance(20) { "\"extra\"" } else { "" };
            let features = parts.features.join("\n");
            text = format!("{text}[features]\ndefault = [{default}]\nextra = []\n{features}\n");
        }
        let section = |title: &str, lines: &[String]| format!("[{title}]\n{}\n", lines.join("\n"));
        text.push_str(&section("build-dependencies", &parts.build));
        text.push_str(&section("dev-dependencies", &parts.dev));
        text.push_str(&section("dependencies", &parts.normal));
        text.push_str("# deps-here\n");
        if self.member {
            text += "[lints]\nworkspace = true\n";
        }
        text
    }

    fn lib(&self, random: &mut Random, wishes: Wishes, parts: &Parts) -> String {
        let values = parts.values.join("\n        ");
        let tests = parts.test_values.join("\n        ");
        let name = &self.name;
        let record =
            if self.kind == Kind::Macro { RECORD.replace("pub fn", "fn") } else { RECORD.to_owned() };
        let mut text = format!("//! {name}.\n#![allow(dead_code)]\n{}\n{record}", parts.items.join("\n"));
        if self.kind == Kind::Macro {
            text += "#[proc_macro]\npub fn value(_: proc_macro::TokenStream) -> proc_macro::TokenStream {\n    \
                     format!(\"{}u64\", own_value()).parse().unwrap()\n}\nfn own_value() -> u64 {\n";
        } else {
            if wishes.doctests && self.member && random.chance(40) {
                let call = format!("{name}::record(\"doc\", {name}::value());");
                text = format!("{text}/// ```\n/// {call}\n/// ```\n");
            }
            text += "pub fn value() -> u64 {\n";
        }
        text = format!("{text}    mix(&[\n        {values}\n        // deps-here\n    ])\n}}\n");
        if self.member && random.chance(80) {
            let value = if self.kind == Kind::Macro { "own_value()" } else { "value()" };
            let call = format!("record(\"unit\", mix(&[\n        {value},\n        {tests}\n    ]));");
            text = format!("{text}#[test]\nfn unit() {{\n    {call}\n}}\n");
        }
        text
    }

    fn tests(
        &self,
        random: &mut Random,
        wishes: Wishes,
        parts: &Parts,
        files: &mut BTreeMap<String, String>,
    ) {
        if self.kind == Kind::Macro || !self.member {
            return;
        }
        let name = &self.name;
        if random.chance(50) {
            let path = format!("{}tests/it.rs", self.dir);
            files.insert(path, self.integration_test("it", &parts.test_values.join("\n        ")));
        }
        if random.chance(if wishes.most_members > 4 { 20 } else { 10 }) {
            let text = format!(
                "fn main() {{}}\n#[test]\nfn in_bin() {{\n    {name}::record(\"bin\", {name}::value() + /*n*/1);\n}}\n"
            );
            files.insert(format!("{}src/main.rs", self.dir), text);
        }
    }

    fn integration_test(&self, test: &str, values: &str) -> String {
        let name = &self.name;
        let functions = RECORD.split_once("fn mix").map(|(_, rest)| rest).unwrap_or_default();
        format!(
            "#![allow(dead_code)]\nfn mix{functions}#[test]\nfn {test}() {{\n    {name}::record(\"{test}\", mix(&[\n        \
             {name}::value(),\n        /*n*/41,\n        {values}\n    ]));\n}}\n"
        )
    }

    /// A circle that is allowed: tests see a package that depends on this one.
    pub(super) fn dev_depends_on_later(&self, later: &Package, files: &mut BTreeMap<String, String>) {
        let manifest = format!("{}Cargo.toml", self.dir);
        let line = self.dependency_line(later, false, "");
        let Some(text) = files.get_mut(&manifest) else { return };
        *text = text.replace("[dev-dependencies]\n", &format!("[dev-dependencies]\n{line}\n"));
        let value = format!("{}, // dep:{}", value_of(&later.name), later.name);
        files.insert(format!("{}tests/circle.rs", self.dir), self.integration_test("circle", &value));
    }
}
