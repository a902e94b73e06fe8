//! The arguments of a call of rustc: what they ask for, and the same call for a candidate of the race.

use camino::Utf8Path;

use super::Candidate;

/// Who a call is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It links as the user's own settings say.
    Baseline,
    /// It links as the candidate says, and as nobody else.
    Challenger,
}

/// Where a call puts what it makes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outputs<'a> {
    /// The program and all objects.
    pub(super) dir: &'a Utf8Path,
    /// State for incremental compilation, where the user's own build has such state.
    pub(super) incremental: &'a Utf8Path,
    /// How the linker is called.
    pub(super) link_line: &'a Utf8Path,
}

/// Flags that say where outputs go and how to report. Ours stand for them.
const REPLACED: [&str; 8] =
    ["--out-dir", "-o", "--emit", "--error-format", "--json", "--color", "--diagnostic-width", "--print"];

/// One word of the arguments, or the two that belong together.
#[derive(Debug, PartialEq, Eq)]
enum Argument<'a> {
    /// `-C KEY=VALUE` in any of its spellings.
    Codegen(&'a str),
    /// One of [`REPLACED`].
    Replaced,
    /// Anything else.
    Other(&'a str),
}

fn parse(args: &[String]) -> Vec<Argument<'_>> {
    let mut words = args.iter().map(String::as_str);
    let mut parsed = Vec::with_capacity(args.len());
    while let Some(word) = words.next() {
        let name = word.split_once('=').map_or(word, |(name, _)| name);
        parsed.push(if matches!(word, "-C" | "--codegen") {
            Argument::Codegen(words.next().unwrap_or_default())
        } else if let Some(option) = word.strip_prefix("--codegen=").or_else(|| word.strip_prefix("-C")) {
            Argument::Codegen(option)
        } else if REPLACED.contains(&name) {
            if name == word {
                words.next();
            }
            Argument::Replaced
        } else {
            Argument::Other(word)
        });
    }
    parsed
}

/// Name and value of a codegen option; rustc takes `_` for `-` in names.
fn codegen(option: &str) -> (String, &str) {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    (name.replace('_', "-"), value)
}

/// The value of the codegen option `name`; the last one counts.
pub(super) fn codegen_value(args: &[String], name: &str) -> Option<String> {
    let mut options = parse(args).into_iter().filter_map(|argument| match argument {
        Argument::Codegen(option) => Some(codegen(option)),
        _ => None,
    });
    options.rfind(|(found, _)| found == name).map(|(_, value)| value.to_owned())
}

/// The values of `flag`, as `FLAG VALUE` or `FLAG=VALUE`.
pub(super) fn flag_values<'a>(args: &'a [String], flag: &str) -> Vec<&'a str> {
    let mut words = args.iter();
    let mut values = Vec::new();
    while let Some(word) = words.next() {
        let next = if word == flag { words.next().map(String::as_str) } else { None };
        values.extend(next.or_else(|| word.strip_prefix(flag)?.strip_prefix('=')));
    }
    values
}

/// Whether a call links a program: a test, or a test with a harness of its own. A question, as build scripts ask them,
/// does not.
pub(super) fn links_a_program(words: &[String]) -> bool {
    let asks =
        words.iter().any(|word| matches!(word.as_str(), "-vV" | "-V" | "-") || word.starts_with("--print"));
    let links =
        flag_values(words, "--emit").iter().flat_map(|emit| emit.split(',')).any(|kind| kind == "link");
    // Without `--crate-type` it is a program: cargo gives a test with a harness of its own neither.
    let program = words.iter().any(|word| word == "--test")
        || flag_values(words, "--crate-type").iter().all(|kind| *kind == "bin");
    !asks && links && program && !flag_values(words, "--out-dir").is_empty()
}

/// The arguments of `captured` for a candidate: the same code, linked as it says, with all objects kept and the call of
/// the linker written down.
pub(super) fn rewrite(
    captured: &[String],
    candidate: &Candidate,
    role: Role,
    outputs: Outputs<'_>,
) -> Vec<String> {
    let mut args = Vec::with_capacity(captured.len() + 8);
    let mut incremental = false;
    for argument in parse(captured) {
        match argument {
            Argument::Replaced => {}
            Argument::Other(word) => args.push(word.to_owned()),
            Argument::Codegen(option) => {
                let (name, _) = codegen(option);
                if name == "incremental" {
                    incremental = true;
                } else if name != "save-temps" {
                    let kept = match role {
                        Role::Baseline => Some(option.to_owned()),
                        Role::Challenger => without_linker(option),
                    };
                    args.extend(kept.map(|option| format!("-C{option}")));
                }
            }
        }
    }
    if incremental {
        args.push(format!("-Cincremental={}", outputs.incremental));
    }
    args.extend(["--emit=link".to_owned(), format!("--out-dir={}", outputs.dir)]);
    // Without it rustc removes objects that only it makes (`symbols.o`) as soon as it has linked.
    args.extend(["-Csave-temps=yes".to_owned(), format!("--print=link-args={}", outputs.link_line)]);
    args.extend(candidate.linker.iter().map(|linker| format!("-Clinker={linker}")));
    args.extend(candidate.rustflags.iter().cloned());
    args
}

/// What of a codegen option does not choose the linker.
fn without_linker(option: &str) -> Option<String> {
    let (name, value) = codegen(option);
    let kept = |value: &str| !value.is_empty();
    match name.as_str() {
        "linker" | "linker-flavor" | "linker-features" => None,
        "link-arg" => Some(option.to_owned()).filter(|_| !chooses_linker(value)),
        "link-args" => {
            let words = value.split(' ').filter(|word| !word.is_empty() && !chooses_linker(word));
            let rest = words.collect::<Vec<_>>().join(" ");
            kept(&rest).then(|| format!("link-args={rest}"))
        }
        // `+linker` and `-linker` are parts of it; `crto` and the like are about objects.
        "link-self-contained" => {
            let parts = value.split(',').filter(|part| part.trim_start_matches(['+', '-']) != "linker");
            let rest = parts.collect::<Vec<_>>().join(",");
            kept(&rest).then(|| format!("link-self-contained={rest}"))
        }
        _ => Some(option.to_owned()),
    }
}

/// Whether a C compiler takes another linker for this argument. `-B FOLDER` is how those are told that know no
/// `-fuse-ld=mold` (GCC before 12), and how rustc itself chooses lld.
fn chooses_linker(arg: &str) -> bool {
    const FOLDERS: [&str; 4] = ["mold", "wild", "lld", "gcc-ld"];
    let folder = arg.strip_prefix("-B").map(|path| path.trim_end_matches('/'));
    let folder = folder.and_then(|path| path.rsplit('/').next());
    arg.starts_with("-fuse-ld=")
        || arg.starts_with("--ld-path=")
        || folder.is_some_and(|folder| FOLDERS.contains(&folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn rewritten(line: &str, linker: Option<&str>, rustflags: &str, role: Role) -> String {
        let candidate =
            Candidate { name: "x".into(), linker: linker.map(str::to_owned), rustflags: words(rustflags) };
        let outputs =
            Outputs { dir: "/s/1".into(), incremental: "/s/inc".into(), link_line: "/s/1/link".into() };
        rewrite(&words(line), &candidate, role, outputs).join(" ")
    }

    const ENDING: &str = "--emit=link --out-dir=/s/1 -Csave-temps=yes --print=link-args=/s/1/link";

    /// As cargo 1.95 calls rustc 1.95, with a linker of the user's own.
    const CAPTURED: &str = "--crate-name t3 --edition=2024 src/lib.rs --error-format=json \
        --json=diagnostic-rendered-ansi,artifacts,future-incompat --emit=dep-info,link -C embed-bitcode=no \
        -C debuginfo=2 --test --check-cfg cfg(docsrs,test) --check-cfg cfg(feature,values()) \
        -C metadata=1c4126e1c2e1fb6e -C extra-filename=-d367610ee988eeb2 --out-dir /t/debug/deps -C linker=clang \
        -C incremental=/t/debug/incremental -L dependency=/t/debug/deps \
        --extern serde=/t/debug/deps/libserde-1.rlib -C link-arg=-fuse-ld=mold -Clink-arg=-Wl,-z,nodelete";

    #[test]
    fn a_captured_call_goes_elsewhere_and_links_as_the_candidate_says() {
        let code = "--crate-name t3 --edition=2024 src/lib.rs -Cembed-bitcode=no -Cdebuginfo=2 --test \
            --check-cfg cfg(docsrs,test) --check-cfg cfg(feature,values()) -Cmetadata=1c4126e1c2e1fb6e \
            -Cextra-filename=-d367610ee988eeb2";
        let rest = "-L dependency=/t/debug/deps --extern serde=/t/debug/deps/libserde-1.rlib";
        assert_eq!(
            rewritten(CAPTURED, None, "", Role::Baseline),
            format!(
                "{code} -Clinker=clang {rest} -Clink-arg=-fuse-ld=mold -Clink-arg=-Wl,-z,nodelete \
                 -Cincremental=/s/inc {ENDING}"
            )
        );
        assert_eq!(
            rewritten(CAPTURED, Some("gcc"), "-Clink-arg=-fuse-ld=lld", Role::Challenger),
            format!(
                "{code} {rest} -Clink-arg=-Wl,-z,nodelete -Cincremental=/s/inc {ENDING} -Clinker=gcc \
                 -Clink-arg=-fuse-ld=lld"
            )
        );
    }

    #[test]
    fn what_chooses_a_linker_is_the_baselines_in_every_spelling() {
        // What the user's settings say, and what a challenger keeps of it.
        let table = [
            ("-C linker=clang", ""),
            ("-Clinker=clang", ""),
            ("--codegen linker=clang", ""),
            ("--codegen=linker=clang", ""),
            ("-C linker_flavor=gnu-lld-cc", ""),
            ("-Clinker-features=-lld", ""),
            ("-C link-arg=-fuse-ld=mold", ""),
            ("-Clink_arg=--ld-path=/opt/wild", ""),
            ("-Clink-arg=-B/usr/libexec/mold/", ""),
            ("-Clink-arg=-B/usr/lib/x86_64-linux-gnu", "-Clink-arg=-B/usr/lib/x86_64-linux-gnu "),
            ("-Clink-self-contained=-linker", ""),
            ("-Clink-self-contained=+crto,-linker", "-Clink-self-contained=+crto "),
            ("-Clink-self-contained=yes", "-Clink-self-contained=yes "),
            ("-Clinker-plugin-lto", "-Clinker-plugin-lto "),
            ("-C split-debuginfo=unpacked", "-Csplit-debuginfo=unpacked "),
            ("-Clink-arg=-Wl,-rpath,/opt", "-Clink-arg=-Wl,-rpath,/opt "),
            ("-C save-temps --color always -o x --print=cfg", ""),
            ("-g -O", "-g -O "),
        ];
        for (line, kept) in table {
            assert_eq!(rewritten(line, None, "", Role::Challenger), format!("{kept}{ENDING}"), "{line}");
        }
        let several = ["-C".to_owned(), "link-args=-fuse-ld=mold  -s".to_owned()];
        assert_eq!(parse(&several), [Argument::Codegen("link-args=-fuse-ld=mold  -s")]);
        assert_eq!(without_linker("link-args=-fuse-ld=mold  -s").as_deref(), Some("link-args=-s"));
        assert_eq!(without_linker("link-args=-fuse-ld=mold"), None);
    }

    #[test]
    fn only_calls_that_link_a_program_are_written_down() {
        let table = [
            (CAPTURED, true),
            ("--crate-name it --crate-type bin --emit=dep-info,link --out-dir /t", true),
            ("--crate-name it --crate-type=bin --emit link --out-dir /t", true),
            ("--crate-name it --cfg test --emit=dep-info,link --out-dir /t", true),
            ("--crate-name it --crate-type lib --emit=dep-info,metadata,link --out-dir /t", false),
            ("--crate-name it --test --emit=dep-info,metadata --out-dir /t", false),
            ("-vV", false),
            ("--crate-name ___ --print=file-names --crate-type bin --emit=link --out-dir /t", false),
            ("--crate-name probe --crate-type=lib --emit=metadata --out-dir /t src/probe.rs", false),
            ("- --crate-type bin --emit=link --out-dir /t", false),
        ];
        for (line, expected) in table {
            assert_eq!(links_a_program(&words(line)), expected, "{line}");
        }
    }
}
