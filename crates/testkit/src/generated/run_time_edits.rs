//! Random edits of what programs depend on while they run, and of how they are run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::edit::{Attempt, crate_name};
use super::package::{Kind, Package};
use super::{Generated, OF_PROGRAMS, USED};
use crate::random::Random;

/// Each as often as it stands here.
pub(super) const ATTEMPTS: [Attempt; 68] = [
    Generated::change_read,
    Generated::change_read,
    Generated::change_read,
    Generated::change_read,
    Generated::change_read,
    Generated::change_read,
    Generated::change_read,
    Generated::change_read,
    Generated::change_read,
    Generated::change_read,
    Generated::change_read,
    Generated::change_read,
    Generated::change_read,
    Generated::change_read,
    Generated::change_read,
    Generated::change_read,
    Generated::undo,
    Generated::undo,
    Generated::undo,
    Generated::undo,
    Generated::change_local,
    Generated::change_local,
    Generated::change_local,
    Generated::change_local,
    Generated::change_local,
    Generated::change_what_a_stranger_looks_at,
    Generated::change_what_a_stranger_looks_at,
    Generated::change_environment,
    Generated::change_environment,
    Generated::change_test_group,
    Generated::change_runner,
    Generated::change_runner,
    Generated::change_what_a_binary_is_made_of,
    Generated::change_what_a_binary_is_made_of,
    Generated::change_what_a_binary_is_made_of,
    Generated::change_library_that_is_given,
    Generated::change_library_that_is_given,
    Generated::change_local,
    Generated::change_local,
    Generated::change_any_variable,
    Generated::change_any_variable,
    Generated::change_any_variable,
    Generated::change_given_program,
    Generated::change_given_program,
    Generated::change_given_program,
    Generated::toggle_runner_program,
    Generated::toggle_runner_program,
    Generated::retarget_link,
    Generated::retarget_link,
    Generated::toggle_executable,
    Generated::rename_watched,
    Generated::rename_watched,
    Generated::rename_watched,
    Generated::rename_watched,
    Generated::edit_tier,
    Generated::edit_tier,
    Generated::edit_tier,
    Generated::edit_tier,
    Generated::switch_runner,
    Generated::switch_runner,
    Generated::make_flaky,
    Generated::make_flaky,
    Generated::make_leaky,
    Generated::make_leaky,
    Generated::add_member,
    Generated::remove_member,
    Generated::move_package,
    Generated::rename_package,
];

/// A library that git ignores, as far as tests know.
const NATIVE: &str = "local/native/libplain.so";

/// Variables that tests read, and that something here sets.
const VARIABLES: [&str; 14] = [
    "ORACLE_ENV",
    "TMUX",
    "ORACLE_RUN",
    "ORACLE_ABOVE",
    "ORACLE_TIER",
    "ORACLE_RUNNER",
    "ORACLE_WORD",
    "ORACLE_NEXTEST",
    "NEXTEST_PROFILE",
    "NEXTEST_TEST_GROUP",
    "NEXTEST_TEST_THREADS",
    "ORACLE_ARGUMENT",
    "CARGO_PKG_VERSION",
    "CARGO_PKG_DESCRIPTION",
];

/// The suite's configuration for a workspace whose tests read all that.
///
/// `trust` of a hundred trust the base.
pub fn verdicts_toml(random: &mut Random, runner: &str, trust: usize) -> String {
    let trusts = random.chance(trust);
    // Where the base is not trusted, these files matter to nobody but through what is made of them.
    let ignored = if trusts || random.chance(30) {
        "\"**/*.md\""
    } else {
        "\"**/*.md\", \"xtask.toml\", \".config/**\", \".cargo/**\""
    };
    let audit = if random.chance(85) { "0%" } else { "30%" };
    format!(
        "[tiers.test-fast]\nrunner = \"{runner}\"\nbudget = \"1h\"\n# profile = \"other\"\n# preset = \"minimal\"\n\
         # args = []\n# retries = 1\n# nextest-profile = \"other\"\nenv = {{ ORACLE_TIER = \"1\" }}\n\
         [affected]\nignore = [{ignored}]\ntrust-base = {trusts}\n\
         [verdicts]\ninputs = [\"local/l*.txt\"]\nignore-env = [\"ORACLE_LOG\", \"ORACLE_SLEEP_MS\"]\n\
         watch-env = [\"TMUX\"]\naudit = \"{audit}\"\n"
    )
}

impl Generated {
    /// The environment of every command, besides the usual.
    pub fn environment(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.environment_file()).unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.split_once('='));
        lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The folder of what is no part of the workspace, in no repository.
    pub fn scratch(&self) -> Utf8PathBuf {
        self.dir().join("scratch")
    }

    fn environment_file(&self) -> Utf8PathBuf {
        self.scratch().join("env")
    }

    fn nextest(&self) -> Utf8PathBuf {
        self.scratch().join("bin/cargo-nextest")
    }

    /// A runner program for `[target]`, and a nextest whose version can change.
    pub(super) fn make_tools(&self) {
        self.write("../tools/run.sh", &run_sh(1));
        self.make_executable("../tools/run.sh");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let real =
            std::env::split_paths(&path).map(|dir| dir.join("cargo-nextest")).find(|path| path.is_file());
        if let Some(real) = real {
            let real = real.display();
            // So long after the first test began. It holds no pipe open: a call that starts no test ends before.
            let stop = "(seconds=$(cat \"$0.stop\"); \
                        until [ -s \"$ORACLE_LOG\" ]; do sleep 0.02; kill -0 $$ || exit; done; sleep $seconds; kill -INT $$) >/dev/null 2>&1";
            let script = format!(
                "#!/bin/sh\nORACLE_NEXTEST=1\nexport ORACLE_NEXTEST\ncase \"$*\" in\n\
                 *'nextest run'*) [ -e \"$0.stop\" ] && {{ {stop} & exec {real} \"$@\"; }} ;;\nesac\ncase \"$*\" in\n\
                 *--version*|*-V*) {real} \"$@\" | sed \"s/\\(cargo-nextest [0-9.]*\\|release: [0-9.]*\\)/\\1$ORACLE_NEXTEST/\" ;;\n\
                 *) exec {real} \"$@\" ;;\nesac\n"
            );
            self.write(self.nextest().as_str(), &script);
            self.make_executable(self.nextest().as_str());
        }
        self.write(self.environment_file().as_str(), "ORACLE_ENV=1\n");
    }

    /// Gives something a value that it never had.
    pub(super) fn change_what_is_rare(&self, random: &mut Random) -> Option<String> {
        let number = random.below(1_000_000);
        let [of_binary, of_example] = OF_PROGRAMS.map(|name| format!("../outside/{name}/src/lib.rs"));
        let path = match random.below(6) {
            0 => return self.change_number_in(&of_binary, random),
            // Twice: fewer tests start the example than the binary.
            1 | 2 => return self.change_number_in(&of_example, random),
            3 => {
                let code = self.files(|path| path.ends_with(format!("{USED}/files/code.rs")));
                return self.change_number_in(code.first()?, random);
            }
            4 => "local/build.txt",
            _ => NATIVE,
        };
        self.write(path, &format!("{number}\n"));
        Some(format!("{path}, which git ignores, becomes {number}"))
    }

    fn make_executable(&self, path: &str) {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(0o755)).expect("a mode to set");
    }

    /// Changes something that a source file mentions: a file, a folder, a variable, an argument.
    fn change_read(&self, random: &mut Random) -> Option<String> {
        self.change_mentioned(random, |_| true)
    }

    pub(super) fn change_read_file(&self, random: &mut Random) -> Option<String> {
        self.change_mentioned(random, |literal| literal.contains('/'))
    }

    fn change_mentioned(&self, random: &mut Random, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let sources = self.files(|path| path.extension() == Some("rs"));
        // Each of what is mentioned as often as the others, in however many sources it is.
        let mut mentions = std::collections::BTreeMap::<String, Vec<&String>>::new();
        for source in &sources {
            let text = self.read(source)?;
            let literals = text.split('"').skip(1).step_by(2);
            for literal in literals.filter(|literal| literal.contains('/') || VARIABLES.contains(literal)) {
                mentions.entry(literal.to_owned()).or_default().push(source);
            }
        }
        let literals = mentions.keys().filter(|literal| wanted(literal)).collect::<Vec<_>>();
        let literal = random.pick(&literals)?.as_str();
        let source = *random.pick(&mentions[literal])?;
        let what = if VARIABLES.contains(&literal) {
            self.change_variable(literal, Utf8Path::new(source), random)?
        } else {
            let path = self.mentioned(literal, Utf8Path::new(source)).into_iter().next()?;
            self.change_file(&path, random)?
        };
        Some(format!("{what}, which {source} mentions"))
    }

    fn change_environment(&self, random: &mut Random) -> Option<String> {
        let name = random.pick(&["ORACLE_ENV", "TMUX"])?;
        self.change_variable(name, "Cargo.toml".into(), random)
    }

    fn change_test_group(&self, random: &mut Random) -> Option<String> {
        self.change_variable("NEXTEST_TEST_GROUP", "Cargo.toml".into(), random)
    }

    fn change_runner(&self, random: &mut Random) -> Option<String> {
        let name = random.pick(&["ORACLE_RUNNER", "ORACLE_WORD"])?;
        self.change_variable(name, "Cargo.toml".into(), random)
    }

    /// Changes a package that a binary or example uses, and its own library does not.
    fn change_what_a_binary_is_made_of(&self, random: &mut Random) -> Option<String> {
        let programs =
            self.files(|path| path.ends_with("src/main.rs") || path.as_str().contains("/examples/"));
        let program = random.pick(&programs)?;
        let text = self.read(program)?;
        let names = text.lines().filter_map(|line| Some(line.split_once("// dep:")?.1)).collect::<Vec<_>>();
        let name = random.pick(&names)?;
        let dirs = self.package_dirs();
        let of_name = |dir: &&String| {
            self.read(&format!("{dir}Cargo.toml")).and_then(|text| crate_name(&text)).as_deref() == Some(name)
        };
        let lib = format!("{}src/lib.rs", dirs.iter().find(of_name)?);
        Some(format!("{}, which {program} uses", self.change_number_in(&lib, random)?))
    }

    /// Changes what is in the file of a dynamic library or proc macro, and in no program that uses it.
    fn change_library_that_is_given(&self, random: &mut Random) -> Option<String> {
        let libraries =
            self.files(|path| ["x0", "d0"].iter().any(|name| path.ends_with(format!("{name}/src/lib.rs"))));
        let path = random.pick(&libraries)?;
        let is_dynamic = !self.read(path)?.contains("oracle says: /*n*/");
        if is_dynamic { self.change_number_in(path, random) } else { self.change_what_it_says(path, random) }
    }

    fn change_what_it_says(&self, path: &str, random: &mut Random) -> Option<String> {
        let text = self.read(path)?;
        let (before, after) = text.split_once("oracle says: /*n*/")?;
        let number = 100 + random.below(900);
        self.write(path, &format!("{before}oracle says: /*n*/{number}{}", &after[3..]));
        Some(format!("what the file of {path} says becomes {number}"))
    }

    /// Changes what is in a program that a test of a package looks at which does not depend on it.
    fn change_what_a_stranger_looks_at(&self, random: &mut Random) -> Option<String> {
        let sources = self.files(|path| path.extension() == Some("rs"));
        let texts = sources.iter().filter_map(|source| self.read(source)).collect::<String>();
        let lines = texts.lines().filter(|line| line.contains("looks at a stranger"));
        let programs = lines.filter_map(|line| line.split('"').nth(1)).collect::<Vec<_>>();
        let program = format!("name = \"{}\"", random.pick(&programs)?);
        let manifests = self.files(|path| path.file_name() == Some("Cargo.toml"));
        let is_its = |path: &&String| self.read(path).is_some_and(|text| text.contains(&program));
        let main = Utf8Path::new(manifests.iter().find(is_its)?).with_file_name("src/main.rs");
        self.change_what_it_says(main.as_str(), random)
    }

    fn change_any_variable(&self, random: &mut Random) -> Option<String> {
        let name = random.pick(&VARIABLES)?;
        self.change_variable(name, "Cargo.toml".into(), random)
    }

    fn change_variable(&self, name: &str, source: &Utf8Path, random: &mut Random) -> Option<String> {
        let value = random.below(100);
        let line = format!("{name} = \"{value}\"");
        match name {
            "ORACLE_ENV" | "TMUX" => {
                let other = ["TERM=dumb\n", "SHLVL=3\n", ""][random.below(3)];
                let own = if random.chance(15) { String::new() } else { format!("{name}={value}\n") };
                let old = self.read(self.environment_file().as_str())?;
                let kept = if name == "TMUX" { "ORACLE_ENV=" } else { "TMUX=" };
                let kept = old.split_inclusive('\n').find(|line| line.starts_with(kept)).unwrap_or_default();
                let environment = format!("{kept}{own}{other}");
                self.write(self.environment_file().as_str(), &environment);
                Some(format!("the environment is {environment:?}"))
            }
            "ORACLE_WORD" => {
                let config = "../.cargo/config.toml";
                let is_set = self.read(config)?.contains("\nrunner");
                let runner = format!("runner = \"tools/run.sh {value}\"");
                is_set.then(|| self.set_line(config, "runner", &runner))?
            }
            "ORACLE_RUN" => self.set_line(".cargo/config.toml", name, &line),
            "ORACLE_ABOVE" => self.set_line("../.cargo/config.toml", name, &line),
            "ORACLE_TIER" => {
                self.set_line("xtask.toml", "env", &format!("env = {{ ORACLE_TIER = \"{value}\" }}"))
            }
            "ORACLE_RUNNER" => {
                self.write("../tools/run.sh", &run_sh(value));
                Some(format!("the runner program sets {value}"))
            }
            "ORACLE_NEXTEST" => {
                let value = random.below(9);
                self.set_line(self.nextest().as_str(), name, &format!("{name}={value}"))
            }
            "NEXTEST_PROFILE" => self.toggle("xtask.toml", "nextest-profile = \"other\""),
            "NEXTEST_TEST_GROUP" => {
                let group = ["one", "two", "@global"][random.below(3)];
                self.set_line(".config/nextest.toml", "test-group ", &format!("test-group = \"{group}\""))
            }
            "ORACLE_ARGUMENT" | "NEXTEST_TEST_THREADS" => self.change_arguments(random),
            _ => {
                let dir = self.package_of(source)?;
                let manifest = self.read(dir.join("Cargo.toml").as_str())?;
                if name == "CARGO_PKG_DESCRIPTION" && manifest.contains("description.workspace") {
                    return self.change_workspace_description(value);
                }
                let (key, line) = if name == "CARGO_PKG_VERSION" {
                    ("version = \"1", format!("version = \"1.0.{value}\""))
                } else {
                    ("description", format!("description = \"{value}\""))
                };
                self.set_line(dir.join("Cargo.toml").as_str(), key, &line)
            }
        }
    }

    /// What members inherit.
    fn change_workspace_description(&self, value: usize) -> Option<String> {
        let text = self.read("Cargo.toml")?;
        let (before, after) = text.split_once("[workspace.package]\n")?;
        let (_, rest) = after.split_once('\n')?;
        self.write("Cargo.toml", &format!("{before}[workspace.package]\ndescription = \"{value}\"\n{rest}"));
        Some(format!("the description that members inherit becomes {value}"))
    }

    fn package_of(&self, source: &Utf8Path) -> Option<Utf8PathBuf> {
        let mut folders = source.ancestors().skip(1);
        let is_package = |dir: &&Utf8Path| {
            self.read(dir.join("Cargo.toml").as_str()).is_some_and(|text| text.contains("[package]"))
        };
        folders.find(is_package).map(Utf8Path::to_owned)
    }

    /// A file or folder with a number in it changes in one of the ways in which files change.
    fn change_file(&self, path: &str, random: &mut Random) -> Option<String> {
        if self.path(path).is_dir() {
            return self.change_folder(path, random);
        }
        // What a link leads to is another's file, changed in its own place.
        let real = self.path(path).canonicalize_utf8().ok()?;
        if real.starts_with("/proc") || !real.starts_with(self.dir()) {
            return None;
        }
        let is_link = self.path(path).is_symlink();
        match random.below(20) {
            0 | 1 if !is_link && Utf8Path::new(path).starts_with("local") => {
                fs::remove_file(self.path(path)).expect("a file to remove");
                Some(format!("{path} is removed"))
            }
            2..=4 => self.change_quietly(path, random),
            5 => {
                let text = self.read(path)?;
                self.write(path, &text);
                Some(format!("{path} is touched"))
            }
            _ => self.change_number_in(path, random),
        }
    }

    /// The same size, and the time is put back.
    fn change_quietly(&self, path: &str, random: &mut Random) -> Option<String> {
        let text = self.read(path)?;
        let is_source = Utf8Path::new(path).extension() == Some("rs");
        let at = if is_source { text.find("/*n*/")? + 5 } else { 0 };
        if !text[at..].starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let digit = 1 + random.below(9);
        let new = format!("{}{digit}{}", &text[..at], &text[at + 1..]);
        let time = self.path(path).metadata().and_then(|metadata| metadata.modified()).expect("a time");
        self.write(path, &new);
        let file = fs::File::options().append(true).open(self.path(path)).expect("a file");
        file.set_modified(time).expect("a time to set");
        Some(format!("{path} becomes {digit}.., with its old size and time"))
    }

    fn change_folder(&self, path: &str, random: &mut Random) -> Option<String> {
        if self.path(path).is_symlink() {
            return self.change_file(&format!("{path}/code.rs"), random);
        }
        if !path.ends_with("watched") {
            return None;
        }
        Some(self.make_or_remove(&format!("{path}/two.txt"), &format!("{}\n", 500 + random.below(100))))
    }

    fn rename_watched(&self, random: &mut Random) -> Option<String> {
        let sources = self.files(|path| path.extension() == Some("rs"));
        let watches =
            |source: &&String| self.read(source).is_some_and(|text| text.contains("\"files/watched\""));
        let watching =
            sources.iter().filter(watches).filter_map(|source| self.package_of(source.as_str().into()));
        let watching = watching.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>();
        let folder = self.root().join(random.pick(&watching)?).join("files/watched");
        let files = self.files(|path| path.parent() == Some(&folder));
        let from = random.pick(&files)?;
        let to = Utf8Path::new(from).with_file_name(format!("renamed{}.txt", random.below(3)));
        fs::rename(self.path(from), self.path(to.as_str())).expect("a file to rename");
        Some(format!("{from} is renamed to {to}"))
    }

    fn change_local(&self, random: &mut Random) -> Option<String> {
        // What a build script reads changes most often: it shows in the fewest programs.
        let build = "local/build.txt";
        let all = ["local/l0.txt", build, build, build, build, "local/set.txt", NATIVE, NATIVE];
        let path = *random.pick(&all)?;
        let number = random.below(1000);
        self.write(path, &format!("{number}\n"));
        Some(format!("{path}, which git ignores, becomes {number}"))
    }

    /// Changes what another program has in it: a binary, a proc macro's message, a dynamic library.
    fn change_given_program(&self, random: &mut Random) -> Option<String> {
        let wanted = |path: &Utf8Path| {
            path.ends_with("src/main.rs")
                || ["x0", "d0", "p0", "p1"].iter().any(|name| path.ends_with(format!("{name}/src/lib.rs")))
        };
        let path = random.pick(&self.files(wanted))?.clone();
        self.change_number_in(&path, random)
    }

    fn toggle_runner_program(&self, random: &mut Random) -> Option<String> {
        let config = "../.cargo/config.toml";
        let line = self.read(config)?.lines().find(|line| line.contains("tools/run.sh"))?.to_owned();
        let toggled = self.toggle(config, line.trim_start_matches("# "))?;
        let set = self.change_variable("ORACLE_RUNNER", "Cargo.toml".into(), random)?;
        Some(format!("{toggled}; {set}"))
    }

    fn retarget_link(&self, random: &mut Random) -> Option<String> {
        let mut links = Vec::new();
        for dir in self.package_dirs() {
            for (name, targets) in [
                ("link.rs", ["code0.rs", "code1.rs"]),
                ("link.md", ["notes0.md", "notes1.md"]),
                ("linked", ["folder0", "folder1"]),
            ] {
                let path = format!("{dir}files/{name}");
                if self.path(&path).is_symlink() {
                    links.push((path, targets));
                }
            }
        }
        let (path, targets) = random.pick(&links)?;
        let old = self.path(path).read_link_utf8().expect("a link");
        let name = if old.ends_with(targets[0]) { targets[1] } else { targets[0] };
        fs::remove_file(self.path(path)).expect("a link to remove");
        self.link(path, old.with_file_name(name).as_str());
        Some(format!("{path} links to {name}"))
    }

    fn toggle_executable(&self, random: &mut Random) -> Option<String> {
        let path = format!("{}files/test.txt", random.pick(&self.package_dirs())?);
        let mode = self.path(&path).metadata().ok()?.permissions().mode() ^ 0o100;
        fs::set_permissions(self.path(&path), fs::Permissions::from_mode(mode)).expect("a mode to set");
        Some(format!("{path} gets mode {:o}", mode & 0o777))
    }

    fn edit_tier(&self, random: &mut Random) -> Option<String> {
        match random.below(10) {
            0 => self.toggle("xtask.toml", "profile = \"other\""),
            1 => self.toggle("xtask.toml", "preset = \"minimal\""),
            2..=4 => self.change_arguments(random),
            5 => {
                let inputs = ["[\"local/l*.txt\"]", "[\"local/*\"]", "[\"local/**\", \"root.txt\"]"];
                let inputs = inputs[random.below(3)];
                self.set_line("xtask.toml", "inputs = [\"local", &format!("inputs = {inputs}"))
            }
            6 | 7 => self.change_variable("ORACLE_TIER", "Cargo.toml".into(), random),
            8 => self.change_variable("NEXTEST_PROFILE", "Cargo.toml".into(), random),
            _ => self.change_variable("NEXTEST_TEST_GROUP", "Cargo.toml".into(), random),
        }
    }

    fn change_arguments(&self, random: &mut Random) -> Option<String> {
        let value = random.below(100);
        let threads = 1 + random.below(4);
        let args = match random.below(8) {
            0 => "# args = []".to_owned(),
            1..=4 if self.runs_by_cargo()? => format!("args = [\"--\", \"--test-threads={threads}\"]"),
            1..=4 if self.read("xtask.toml")?.contains("runner = \"nextest\"") => {
                format!("args = [\"--test-threads={threads}\"]")
            }
            5 => "args = [\"--no-fail-fast\"]".to_owned(),
            _ => format!("args = [\"--config=env.ORACLE_ARGUMENT='{value}'\"]"),
        };
        self.set_line("xtask.toml", "args", &args)
    }

    fn runs_by_cargo(&self) -> Option<bool> {
        Some(self.read("xtask.toml")?.contains("runner = \"cargo\""))
    }

    /// From cargo to nextest or back, without what only the other understands.
    fn switch_runner(&self, _random: &mut Random) -> Option<String> {
        let to = if self.runs_by_cargo()? { "nextest" } else { "cargo" };
        if !self.nextest().exists() {
            return None;
        }
        self.set_line("xtask.toml", "args", "# args = []");
        for key in ["retries = 1", "nextest-profile = \"other\""] {
            self.set_line("xtask.toml", &key[..7], &format!("# {key}"));
        }
        self.set_line("xtask.toml", "runner", &format!("runner = \"{to}\""))
    }

    /// The tests of a package leave a process behind.
    fn make_leaky(&self, random: &mut Random) -> Option<String> {
        let dirs = self.package_dirs();
        let dir = random.pick(&dirs).filter(|dir| !is_foreign(dir))?;
        Some(self.make_or_remove(&format!("{dir}files/leak.txt"), "1\n"))
    }

    /// The tests of a package fail at the first try.
    fn make_flaky(&self, random: &mut Random) -> Option<String> {
        let dir = random.pick(&self.package_dirs()).filter(|dir| !is_foreign(dir))?.clone();
        if self.runs_by_cargo()? {
            return None;
        }
        let retries = self.set_line("xtask.toml", "retries", "retries = 1").unwrap_or_default();
        Some(format!("{}; {retries}", self.make_or_remove(&format!("{dir}files/flaky.txt"), "1\n")))
    }

    /// Writes an earlier content again, if only numbers differ.
    fn undo(&self, random: &mut Random) -> Option<String> {
        let past = self.past.borrow().clone();
        let (path, old) = random.pick(&past[past.len().saturating_sub(15)..])?;
        let shape = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
        let now = self.read(path)?;
        if now == *old || shape(&now) != shape(old) {
            return None;
        }
        self.write(path, old);
        Some(format!("{path} is as it was"))
    }

    /// A package that depends on nothing, sometimes in another's folder.
    fn add_member(&self, random: &mut Random) -> Option<String> {
        let taken = self.package_dirs();
        let name = (20..24).map(|number| format!("m{number}"));
        let name =
            name.into_iter().find(|name| !taken.iter().any(|dir| dir.contains(&format!("{name}/"))))?;
        let outer = random.pick(&taken).filter(|dir| dir.starts_with("crates/") && dir.len() < 20);
        let dir = match outer {
            Some(outer) if random.chance(40) => format!("{outer}nested/{name}/"),
            _ => format!("crates/{name}/"),
        };
        let secluded = self.wishes.secluded;
        let package = Package { name, dir: dir.clone(), kind: Kind::Plain, member: true, secluded };
        let mut files = std::collections::BTreeMap::new();
        package.files(random, self.wishes, &[], &[], &mut files);
        for (path, text) in files {
            self.write(&path, &text);
        }
        self.make_links(&dir);
        let root = self.read("Cargo.toml")?;
        if !root.contains("\"crates/*\"") || dir.contains("nested") {
            let line = format!("\"{}\",\n    # members-here", dir.trim_end_matches('/'));
            self.replace("Cargo.toml", "# members-here", &line);
        }
        Some(format!("{dir} is a new member"))
    }

    /// Removes a member that [`Self::add_member`] made and nobody depends on.
    fn remove_member(&self, random: &mut Random) -> Option<String> {
        let dirs = self.package_dirs();
        let added = dirs.iter().filter(|dir| dir.contains("/m2")).collect::<Vec<_>>();
        let dir = *random.pick(&added)?;
        let name = crate_name(&self.read(&format!("{dir}Cargo.toml"))?)?;
        let manifests = self.files(|path| path.file_name() == Some("Cargo.toml"));
        let used = manifests
            .iter()
            .any(|path| self.read(path).is_some_and(|text| text.contains(&format!("# dep:{name}\n"))));
        if used || dirs.iter().any(|other| other != dir && other.starts_with(dir.as_str())) {
            return None;
        }
        #[expect(clippy::disallowed_methods, reason = "testkit imports nothing of ours")]
        fs::remove_dir_all(self.path(dir)).expect("a folder to remove");
        self.replace("Cargo.toml", &format!("    \"{}\",\n", dir.trim_end_matches('/')), "");
        self.replace("xtask.toml", &declaration(&name), "");
        Some(format!("{dir} is removed"))
    }

    /// A package's folder gets another name, and everything that mentions it too.
    fn move_package(&self, random: &mut Random) -> Option<String> {
        let dirs = self.package_dirs();
        let movable = dirs.iter().filter(|dir| {
            dir.starts_with("crates/")
                && dirs.iter().filter(|other| other.starts_with(dir.as_str())).count() == 1
        });
        let movable = movable.collect::<Vec<_>>();
        let from = random.pick(&movable)?.trim_end_matches('/').to_owned();
        let to = if from.ends_with("_moved") {
            from.trim_end_matches("_moved").to_owned()
        } else {
            format!("{from}_moved")
        };
        fs::rename(self.path(&from), self.path(&to)).expect("a folder to rename");
        let mentions = self.files(|path| matches!(path.extension(), Some("rs" | "toml")));
        for path in mentions {
            let Some(text) = self.read(&path) else { continue };
            let new = text
                .replace(&format!("{from}/"), &format!("{to}/"))
                .replace(&format!("{from}\""), &format!("{to}\""));
            if new != text {
                self.write(&path, &new);
            }
        }
        Some(format!("{from} moves to {to}"))
    }

    /// A package gets another name; its library keeps its own.
    fn rename_package(&self, random: &mut Random) -> Option<String> {
        let dirs = self.package_dirs();
        let dir = random.pick(&dirs)?;
        let manifest = self.read(&format!("{dir}Cargo.toml"))?;
        let name = crate_name(&manifest)?;
        if !name.starts_with(['m', 'x', 'd']) || manifest.contains("name = \"renamed_") {
            return None;
        }
        self.replace(
            &format!("{dir}Cargo.toml"),
            &format!("[package]\nname = \"{name}\""),
            &format!("[package]\nname = \"renamed_{name}\""),
        )?;
        self.replace(
            "xtask.toml",
            &format!("[test-inputs.{name}]"),
            &format!("[test-inputs.renamed_{name}]"),
        );
        for path in self.files(|path| path.file_name() == Some("Cargo.toml")) {
            let Some(text) = self.read(&path) else { continue };
            let lines = text.lines().map(|line| {
                if line.starts_with(&format!("{name} = {{ path")) {
                    line.replacen("{ path", &format!("{{ package = \"renamed_{name}\", path"), 1)
                } else {
                    line.to_owned()
                }
            });
            let new = lines.collect::<Vec<_>>().join("\n") + "\n";
            if new != text {
                self.write(&path, &new);
            }
        }
        Some(format!("package {name} is renamed"))
    }

    /// Replaces the line that begins with `start`, or with `# ` and `start`.
    fn set_line(&self, path: &str, start: &str, new: &str) -> Option<String> {
        let text = self.read(path)?;
        let mut found = false;
        let lines = text.lines().map(|line| {
            let hit = !found && line.trim_start_matches("# ").starts_with(start);
            found |= hit;
            if hit { new } else { line }
        });
        let changed = lines.collect::<Vec<_>>().join("\n") + "\n";
        if changed == text {
            return None;
        }
        // Written in place, so that a program stays executable.
        self.write(path, &changed);
        Some(format!("{path}: {new}"))
    }

    /// Turns a line into a comment, or back.
    fn toggle(&self, path: &str, line: &str) -> Option<String> {
        if path == "xtask.toml" && line.starts_with("nextest") && self.runs_by_cargo()? {
            return None;
        }
        let text = self.read(path)?;
        let off = format!("\n# {line}\n");
        let on = format!("\n{line}\n");
        let new = if text.contains(&off) { text.replace(&off, &on) } else { text.replace(&on, &off) };
        if new == text {
            return None;
        }
        self.write(path, &new);
        Some(format!("{path}: {line} {}", if text.contains(&off) { "is set" } else { "is not" }))
    }
}

/// What `xtask.toml` says of the run-time files of a member, if it does.
pub(super) fn declaration(name: &str) -> String {
    // All that tests read outside of their package's folder.
    format!("[test-inputs.{name}]\nfiles = [\"shared/**\", \"root.txt\", \"**/files/*.txt\"]\n")
}

/// Whether a package is no member.
fn is_foreign(dir: &str) -> bool {
    ["external", "patches", ".."].iter().any(|folder| dir.starts_with(folder))
}

/// A runner program, which takes a word before the test program. What it starts ends when it is done, also when nextest is
/// told to end.
fn run_sh(value: usize) -> String {
    format!("#!/bin/sh\ntrap '' INT\nexport ORACLE_RUNNER={value} ORACLE_WORD=\"$1\"\nshift\nexec \"$@\"\n")
}
