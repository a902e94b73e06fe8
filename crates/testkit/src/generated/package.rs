//! The files of one random package.

use std::collections::BTreeMap;

use super::reads::{MACRO_FILE, PRELUDE, Place, functions, reads, with_what_it_calls};
use super::{OF_PROGRAMS, USED, Wishes};
use crate::random::Random;

/// What a package may be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Reads nothing at run time, so build scripts and proc macros may use it: cargo would not run these again.
    Pure,
    /// A proc macro.
    Macro,
    /// A dynamic library, which is no part of the programs that use it.
    Dylib,
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
    /// Nothing in its sources leads out of its folder, so that a branch may leave it out.
    pub(super) secluded: bool,
}

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
    /// What only the tests of the library, and only the integration tests see.
    unit_values: Vec<String>,
    it_values: Vec<String>,
    /// What only the binary sees.
    bin_values: Vec<String>,
    /// What only the example and the bench see.
    example_values: Vec<String>,
    items: Vec<String>,
    /// A proc macro that tests may use.
    proc_macro: Option<String>,
    /// The build script leaves a file for the tests.
    built: bool,
    /// The build script names a folder of native libraries.
    linked: bool,
    example: bool,
    /// Integration tests that are there for sure.
    more_tests: usize,
    /// Sections of the manifest.
    targets: Vec<String>,
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
        self.dependencies(random, wishes, known, inherited, &mut parts);
        self.sources(random, wishes, known, &mut parts);
        let build_script = self.member
            && self.kind != Kind::Macro
            && !self.secluded
            && if wishes.rare { self.is_used(wishes) } else { random.chance(wishes.build_scripts()) };
        if build_script {
            self.build_script(random, wishes, known, &mut parts, files);
        }
        for (name, number) in [("own.txt", 11), ("live.txt", 12), ("test.txt", 13), ("build.txt", 14)] {
            files.insert(format!("{}files/{name}", self.dir), format!("{number}\n"));
        }
        files.insert(format!("{}files/watched/one.txt", self.dir), "15\n".to_owned());
        files.insert(format!("{}src/module.rs", self.dir), "pub const N: u64 = /*n*/16;\n".to_owned());
        files.insert(format!("{}README.md", self.dir), format!("About {}.\n", self.name));
        let used = self.is_used(wishes);
        let bin = self.member
            && matches!(self.kind, Kind::Plain | Kind::Pure)
            && (used || random.chance(wishes.bins()));
        parts.example = bin && (used || random.chance(wishes.examples()));
        if wishes.run_time && self.member {
            self.run_time_inputs(random, wishes, known, bin, &mut parts, files);
        }
        if parts.example {
            // Of an example that is tested, cargo builds the test and no program that other tests could start.
            let is_tested = !used && random.chance(50);
            self.other_target("examples", "example", is_tested, &mut parts, files);
        }
        if bin && random.chance(20) {
            self.other_target("benches", "bench", true, &mut parts, files);
        }
        // More than run at a time.
        parts.more_tests = if wishes.rare { 4 } else { 0 };
        self.tests(random, bin, &parts, files);
        files.insert(format!("{}Cargo.toml", self.dir), self.manifest(random, wishes, bin, &parts));
        files.insert(format!("{}src/lib.rs", self.dir), self.lib(random, wishes, &parts));
    }

    /// What its programs read while they run.
    fn run_time_inputs(
        &self,
        random: &mut Random,
        wishes: Wishes,
        known: &[&Package],
        bin: bool,
        parts: &mut Parts,
        files: &mut BTreeMap<String, String>,
    ) {
        let up = self.up();
        let others = known.iter().filter(|other| other.member).map(|other| other.dir.clone());
        let others = others.collect::<Vec<_>>();
        let (name, example) = (self.bin_name(), format!("example_{}", self.name));
        let lines = parts.normal.iter().chain(&parts.dev).filter(|line| !line.contains("optional"));
        let dependencies = lines.filter_map(|line| line.split_once(" # dep:"));
        let dependencies = dependencies.map(|(_, name)| name.to_owned()).filter(|name| name != "tiny");
        let mut dependencies = dependencies.collect::<Vec<_>>();
        let used = known.iter().find(|other| other.is_used(wishes));
        dependencies.retain(|name| used.is_none_or(|used| *name == used.name));
        let strangers = known.iter().filter(|other| {
            other.member
                && matches!(other.kind, Kind::Plain | Kind::Pure)
                && !dependencies.contains(&other.name)
        });
        let strangers = strangers.map(|other| other.name.clone()).collect::<Vec<_>>();
        let unit = Place {
            name: &self.name,
            up: &up,
            others: &others,
            strangers: &strangers,
            built: parts.built,
            linked: parts.linked,
            secluded: self.secluded,
            dependencies: &dependencies,
            example: parts.example.then_some(&example),
            bin: None,
            proc_macro: parts.proc_macro.as_deref(),
            rust: used.map(|used| &*used.dir),
        };
        parts.unit_values = reads(random, &unit);
        parts.it_values = reads(random, &Place { bin: bin.then_some(&name), ..unit });
        let dir = &self.dir;
        for (name, text) in [
            ("files/code.rs", "/*n*/17\n"),
            ("files/notes.md", "18\n"),
            ("fixtures/case/src/lib.rs", "/*n*/19\n"),
            ("fixtures/case/Cargo.toml", "[workspace]\n"),
        ] {
            files.insert(format!("{dir}{name}"), text.to_owned());
        }
    }

    /// Whether it is the one that the others depend on.
    fn is_used(&self, wishes: Wishes) -> bool {
        wishes.rare && self.name == USED
    }

    /// Another name than the package's, which may be renamed.
    pub(super) fn bin_name(&self) -> String {
        format!("app_{}", self.name)
    }

    fn dependencies(
        &self,
        random: &mut Random,
        wishes: Wishes,
        known: &[&Package],
        inherited: &[String],
        parts: &mut Parts,
    ) {
        let mut optional = false;
        for other in known {
            let inherits = inherited.contains(&other.name);
            let value = value_of(&other.name);
            let of_program = OF_PROGRAMS.iter().position(|name| *name == other.name);
            if of_program.is_some() && !self.is_used(wishes) {
                continue;
            }
            if of_program.is_some() || other.is_used(wishes) {
                let values = match of_program {
                    Some(0) => &mut parts.bin_values,
                    Some(_) => &mut parts.example_values,
                    None => &mut parts.values,
                };
                values.push(format!("{value}, // dep:{}", other.name));
                parts.normal.push(self.dependency_line(other, inherits, ""));
                continue;
            }
            let allowed = self.kind == Kind::Plain || other.kind == Kind::Pure;
            let chance = if self.secluded || !other.member { 25 } else { 45 };
            if !allowed || !random.chance(chance) {
                continue;
            }
            if wishes.run_time && other.kind == Kind::Macro {
                parts.proc_macro = Some(other.name.clone());
            }
            if wishes.run_time && self.kind == Kind::Plain && random.chance(35) {
                parts.normal.push(self.dependency_line(other, inherits, ""));
                parts.bin_values.push(format!("{value}, // dep:{}", other.name));
                parts.example_values.push(format!("{value}, // dep:{}", other.name));
            } else if random.chance(25) {
                parts.dev.push(self.dependency_line(other, inherits, ""));
                parts.test_values.push(format!("{value}, // dep:{}", other.name));
            } else if !optional && self.kind == Kind::Plain && random.chance(25) {
                optional = true;
                parts.proc_macro = parts.proc_macro.take().filter(|name| *name != other.name);
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

    fn sources(&self, random: &mut Random, wishes: Wishes, known: &[&Package], parts: &mut Parts) {
        let up = self.up();
        let values = &mut parts.values;
        values.push(format!("/*n*/{},", 20 + random.below(1000)));
        values.push("#[cfg(feature = \"extra\")] /*n*/21,".to_owned());
        if random.chance(50) {
            values.push("module::N,".to_owned());
            parts.items.push("mod module;".to_owned());
        }
        if self.secluded {
            return;
        }
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
            let here = |path: &str| {
                if wishes.absolute_paths {
                    format!("live(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/{path}\")),")
                } else {
                    format!("live(&top(\"{}{path}\")),", self.dir)
                }
            };
            maybe(35, here("files/live.txt"));
            maybe(35, here("files/maybe.txt"));
        }
        if let Some(other) = random.pick(known).filter(|other| other.member)
            && random.chance(50)
        {
            values.push(format!("number(include_str!(\"../{up}{}files/own.txt\")),", other.dir));
        }
        if random.chance(20) {
            values.push("part::N,".to_owned());
            parts.items.push(format!("#[path = \"../{up}shared/part.rs\"] mod part;"));
        }
    }

    fn build_script(
        &self,
        random: &mut Random,
        wishes: Wishes,
        known: &[&Package],
        parts: &mut Parts,
        files: &mut BTreeMap<String, String>,
    ) {
        // What it writes is compiled, or read by the tests, or both.
        parts.built = wishes.run_time && (wishes.rare || random.chance(75));
        if parts.built && self.kind == Kind::Plain && (wishes.rare || random.chance(50)) {
            // Whoever depends on it reads it too.
            parts.values.push("live(concat!(env!(\"OUT_DIR\"), \"/data.txt\")),".to_owned());
        }
        if !parts.built || !wishes.rare && random.chance(40) {
            parts.values.push("built::N,".to_owned());
            let out = "mod built { include!(concat!(env!(\"OUT_DIR\"), \"/built.rs\")); }";
            parts.items.push(out.to_owned());
        }
        let mut values = vec!["/*n*/31u64".to_owned()];
        let pure = known.iter().filter(|other| other.kind == Kind::Pure && other.member).collect::<Vec<_>>();
        let used = random.pick(&pure).filter(|_| random.chance(50));
        if let Some(other) = used {
            parts.build.push(self.dependency_line(other, false, ""));
            values.push(value_of(&other.name));
        }
        let shared = format!("{}shared/build.txt", self.up());
        let local = format!("{}local/build.txt", self.up());
        let kind = random.below(if wishes.run_time { 9 } else { 4 });
        let (read, watch) = match if wishes.rare { 9 } else { kind } {
            0 => ("files/build.txt", None),
            1 => ("files/build.txt", Some("files/build.txt")),
            2 => (shared.as_str(), Some(shared.as_str())),
            3 => ("", Some("files/watched")),
            // No input of a test: git ignores it.
            _ => (local.as_str(), Some(local.as_str())),
        };
        if read.is_empty() {
            values.push(
                "std::fs::read_dir(\"files/watched\").unwrap().map(|entry| live(&entry.unwrap().path())).sum()"
                    .to_owned(),
            );
        } else {
            values.push(format!("live(\"{read}\".as_ref())"));
        }
        let mut watches =
            watch.map(|path| format!("rerun-if-changed={path}")).into_iter().collect::<Vec<_>>();
        if wishes.run_time && random.chance(40) {
            let name = ["ORACLE_ENV", "ORACLE_ABOVE"][random.below(2)];
            values.push(format!("live_text(&std::env::var(\"{name}\").unwrap_or_default())"));
            watches.push(format!("rerun-if-env-changed={name}"));
        }
        parts.linked = wishes.run_time && (wishes.rare || random.chance(40));
        let set = format!("{}local/set.txt", self.up());
        if parts.built {
            watches.push(format!("rerun-if-changed={set}"));
        }
        if !watches.is_empty() {
            watches.push("rerun-if-changed=build.rs".to_owned());
        }
        let watches = watches.iter().map(|watch| format!("    println!(\"cargo::{watch}\");\n"));
        let set = format!("    println!(\"cargo::rustc-env=ORACLE_SET={{}}\", live(\"{set}\".as_ref()));\n");
        let set = if parts.built { set } else { String::new() };
        let search = format!(
            "    let native = std::env::current_dir().unwrap().join(\"{}local/native\");\n    \
             println!(\"cargo::rustc-link-search=native={{}}\", native.display());\n",
            self.up()
        );
        let search = if parts.linked { search } else { String::new() };
        let into_sources = wishes.run_time && random.chance(25);
        let into_sources =
            if into_sources { "    write(\"files/generated.txt\", &format!(\"{mixed}\\n\"));\n" } else { "" };
        let text = format!(
            "fn live(path: &std::path::Path) -> u64 {{\n    live_text(&std::fs::read_to_string(path).unwrap_or_default())\n}}\n\
             fn live_text(text: &str) -> u64 {{\n    text.trim().parse().unwrap_or_default()\n}}\n\
             fn write(path: &str, text: &str) {{\n    if std::fs::read_to_string(path).is_ok_and(|old| old == text) {{\n        return;\n    }}\n\
             \x20   std::fs::write(path, text).unwrap();\n}}\n\
             fn main() {{\n    let values: Vec<u64> = vec![{}];\n{}{set}{search}\
             \x20   let mixed = values.iter().fold(7u64, |mixed, value| mixed.wrapping_mul(1_000_003).wrapping_add(*value));\n\
             \x20   let out = std::env::var(\"OUT_DIR\").unwrap();\n\
             \x20   write(&format!(\"{{out}}/built.rs\"), &format!(\"pub const N: u64 = {{mixed}};\"));\n\
             \x20   write(&format!(\"{{out}}/data.txt\"), &format!(\"{{mixed}}\"));\n{into_sources}}}\n",
            values.join(", "),
            watches.collect::<String>(),
        );
        files.insert(format!("{}build.rs", self.dir), text);
    }

    fn manifest(&self, random: &mut Random, wishes: Wishes, bin: bool, parts: &Parts) -> String {
        let mut text =
            format!("[package]\nname = \"{}\"\nversion = \"1.0.0\"\nedition = \"2024\"\n", self.name);
        match random.below(10) {
            0 | 1 => text += "description = \"1\"\n",
            2..=5 if self.member && wishes.run_time => text += "description.workspace = true\n",
            _ => {}
        }
        // Under its own name even when the package is renamed.
        text = format!("{text}[lib]\nname = \"{}\"\n", self.name);
        if self.kind == Kind::Dylib {
            text += "crate-type = [\"dylib\"]\n";
        }
        text += &parts.targets.concat();
        if bin {
            text = format!("{text}[[bin]]\nname = \"{}\"\npath = \"src/main.rs\"\n", self.bin_name());
        }
        if self.kind == Kind::Macro {
            text = text.replacen("[lib]\n", "[lib]\nproc-macro = true\n", 1);
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
        let name = &self.name;
        let is_macro = self.kind == Kind::Macro;
        let prelude = if is_macro { PRELUDE.replace("pub fn", "fn") } else { PRELUDE.to_owned() };
        let mut text = format!("//! {name}.\n#![allow(dead_code)]\n{}\n{prelude}", parts.items.join("\n"));
        if is_macro {
            text += "#[proc_macro]\npub fn value(_: proc_macro::TokenStream) -> proc_macro::TokenStream {\n    \
                     format!(\"{}u64\", own_value()).parse().unwrap()\n}\nfn own_value() -> u64 {\n";
            if wishes.run_time {
                text =
                    text.replacen("#[proc_macro]", &format!("{}#[proc_macro]", MACRO_FILE.trim_start()), 1);
            }
        } else {
            text += "pub fn value() -> u64 {\n";
        }
        text = format!("{text}    mix(&[\n        {values}\n        // deps-here\n    ])\n}}\n");
        if self.member && random.chance(80) {
            let value = if is_macro { "own_value()" } else { "value()" };
            let tests = [parts.test_values.as_slice(), &parts.unit_values].concat().join("\n        ");
            text = format!(
                "{text}#[test]\nfn unit() {{\n    record(env!(\"CARGO_PKG_NAME\"), \"unit\", mix(&[\n        \
                 {value},\n        {tests}\n    ]));\n}}\n"
            );
        }
        with_what_it_calls(text)
    }

    fn tests(&self, random: &mut Random, bin: bool, parts: &Parts, files: &mut BTreeMap<String, String>) {
        if self.kind == Kind::Macro || !self.member {
            return;
        }
        let name = &self.name;
        if parts.more_tests > 0 || random.chance(60) {
            let path = format!("{}tests/it.rs", self.dir);
            let own = if random.chance(60) { format!("{name}::value(),") } else { String::new() };
            let values = [&[own][..], &parts.test_values, &parts.it_values].concat().join("\n        ");
            let text = integration_test(name, "it", &values);
            let count = parts.more_tests.max(usize::from(random.chance(40)));
            let others = ["other", "third", "fourth", "fifth"].into_iter().take(count).map(|test| {
                let id = program_id("");
                format!("#[test]\nfn {test}() {{\n    {name}::record({id}, \"{test}\", /*n*/42);\n}}\n")
            });
            files.insert(path, text + &others.collect::<String>());
        }
        if bin {
            let values = parts.bin_values.join("\n        ");
            let mut text = format!(
                "#[used]\nstatic SAYS: &str = \"oracle says: /*n*/100   end\";\nfn value() -> u64 {{\n    let values: &[u64] = &[\n        /*n*/51,\n        {values}\n    ];\n    \
                 values.iter().fold(7, |mixed: u64, value| mixed.wrapping_mul(1_000_003).wrapping_add(*value))\n}}\n\
                 fn main() {{\n    println!(\"{{}}\", value());\n}}\n"
            );
            if random.chance(40) {
                let id = program_id("bin/");
                text = format!(
                    "{text}#[test]\nfn in_bin() {{\n    {name}::record({id}, \"in_bin\", {name}::value() ^ value());\n}}\n"
                );
            }
            files.insert(format!("{}src/main.rs", self.dir), text);
        }
    }

    /// A target that is tested only where the manifest says so.
    fn other_target(
        &self,
        folder: &str,
        kind: &str,
        is_tested: bool,
        parts: &mut Parts,
        files: &mut BTreeMap<String, String>,
    ) {
        let (name, id) = (&self.name, program_id(&format!("{kind}/")));
        let values = parts.example_values.join("\n        ");
        let text = format!(
            "fn main() {{\n    let values: &[u64] = &[\n        /*n*/62,\n        {values}\n    ];\n    \
             println!(\"{{}}\", values.iter().fold(7, |mixed: u64, value| mixed.wrapping_mul(1_000_003).wrapping_add(*value)));\n}}\n#[test]\nfn in_{kind}() {{\n    {name}::record({id}, \"in_{kind}\", {name}::value() ^ /*n*/61);\n}}\n"
        );
        files.insert(format!("{}{folder}/{kind}_{name}.rs", self.dir), text);
        parts.targets.push(format!("[[{kind}]]\nname = \"{kind}_{name}\"\ntest = {is_tested}\n"));
    }

    /// A circle that is allowed: tests see a package that depends on this one.
    pub(super) fn dev_depends_on_later(&self, later: &Package, files: &mut BTreeMap<String, String>) {
        let manifest = format!("{}Cargo.toml", self.dir);
        let line = self.dependency_line(later, false, "");
        let Some(text) = files.get_mut(&manifest) else { return };
        *text = text.replace("[dev-dependencies]\n", &format!("[dev-dependencies]\n{line}\n"));
        let value = format!("{}, // dep:{}", value_of(&later.name), later.name);
        files.insert(format!("{}tests/circle.rs", self.dir), integration_test(&self.name, "circle", &value));
    }
}

/// How nextest names the program of a target, as an expression; `kind` is empty for integration tests.
pub(super) fn program_id(kind: &str) -> String {
    format!("concat!(env!(\"CARGO_PKG_NAME\"), \"::{kind}\", env!(\"CARGO_CRATE_NAME\"))")
}

/// A file of `tests/` of the library `name`.
pub(super) fn integration_test(name: &str, test: &str, values: &str) -> String {
    with_what_it_calls(format!(
        "#![allow(dead_code)]\nfn mix{}#[test]\nfn {test}() {{\n    {name}::record({}, \"{test}\", mix(&[\n        \
         /*n*/41,\n        {values}\n    ]));\n}}\n",
        functions(),
        program_id(""),
    ))
}
