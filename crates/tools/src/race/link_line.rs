//! What `rustc --print link-args` says, the call of the linker, and the same call with another linker.

use camino::Utf8Path;
use xtask_workspace::{Call, Environment};

use crate::catalog::LinkSettings;

/// The call of a linker, and the environment below its own variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) call: Call,
    pub(super) environment: Environment,
}

/// Reads the last line of `text`, made in `dir` by a rustc in `environment`. Fails with what is wrong with it.
///
/// It is how the standard library prints a `Command`: `env -u NAME` for each variable that is removed, `NAME="value"`, and
/// quoted words. Besides quotes and backslashes, only characters that cannot be printed are escaped.
pub(super) fn parse(text: &str, dir: &Utf8Path, mut environment: Environment) -> Result<Link, String> {
    // If rustc linked again in another way, the last one is the one that worked.
    let line = text.lines().rfind(|line| !line.trim().is_empty()).ok_or("it is empty")?;
    let words = shlex::split(line).ok_or("it has a quote that does not end")?;
    let mut words = words.into_iter().peekable();
    if words.next_if(|word| word == "env").is_some() {
        while words.next_if(|word| word == "-u").is_some() {
            environment.remove(&words.next().ok_or("it ends after -u")?);
        }
    }
    let mut variables = Vec::new();
    while let Some((name, value)) = words.peek().and_then(|word| word.split_once('=')) {
        variables.push((name.to_owned(), value.to_owned()));
        words.next();
    }
    let program = words.next().ok_or("it names no linker")?;
    let call = Call { env: variables.into_iter().collect(), ..Call::new(dir, program, words) };
    Ok(Link { call, environment })
}

/// The word before the path of the output.
const OUTPUT: &str = "-o";

impl Link {
    /// The same link into `program`, by the linker of `candidate`.
    ///
    /// `own` are the words by which the user's flags choose a linker, and `own_program` whether the program is what the
    /// user's settings of this machine say, which the candidate's would replace. The other words that choose a linker
    /// are rustc's own: they stay for a candidate that leaves the choice to rustc.
    pub(super) fn by(
        &self,
        settings: &LinkSettings,
        own: &[String],
        own_program: bool,
        program: &Utf8Path,
    ) -> Self {
        let mut edited = self.clone();
        let args = &mut edited.call.args;
        args.retain(|arg| !chooses_linker(arg) || (settings.is_default() && !own.contains(arg)));
        if let Some(output) = args.iter().position(|arg| arg == OUTPUT).and_then(|at| args.get_mut(at + 1)) {
            program.as_str().clone_into(output);
        }
        // Other codegen options, such as `-Clinker-features=-lld`, only say which linker rustc must not choose.
        args.extend(
            settings.rustflags.iter().filter_map(|flag| flag.strip_prefix("-Clink-arg=")).map(str::to_owned),
        );
        if let Some(linker) = &settings.linker {
            linker.clone_into(&mut edited.call.program);
        } else if own_program {
            "cc".clone_into(&mut edited.call.program);
        }
        edited
    }
}

/// Whether this argument makes a C compiler use another linker. `-B FOLDER` does so in GCC before 12, which has no
/// `-fuse-ld=mold`, and is how rustc itself chooses lld.
pub(super) fn chooses_linker(arg: &str) -> bool {
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

    /// As rustc 1.95 writes it, with most of its libraries left out.
    const CAPTURED: &str = concat!(
        r#"LC_ALL="C" PATH="/home/me/.rustup/toolchains/stable-x86_64-unknown-linux-gnu/lib/rustlib/x86_64-unknown-linux-gnu/bin:/usr/bin" "#,
        r#"VSLANG="1033" "cc" "-m64" "/s/1/rustcj24QcG/symbols.o" "/s/1/a-abc.a.4c2faf61c2d5dfd7-cgu.0.rcgu.o" "#,
        r#""-Wl,--as-needed" "-Wl,-Bdynamic" "-lgcc_s" "-L" "/s/1/rustcj24QcG/raw-dylibs" "-fuse-ld=lld" "#,
        r#""-Wl,-z,noexecstack" "-o" "/s/1/a-abc" "-Wl,--gc-sections" "-pie" "-nodefaultlibs""#,
        "\n",
    );

    fn parsed(text: &str) -> Result<Link, String> {
        let environment = [("HOME", "/h"), ("SDKROOT", "/x"), ("PATH", "/usr/bin")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        parse(text, "/w".into(), environment.into_iter().collect())
    }

    #[test]
    fn a_captured_line_is_the_call_that_rustc_made() {
        let Link { call, environment } = parsed(CAPTURED).unwrap();
        assert_eq!((call.program.as_str(), call.dir.as_str()), ("cc", "/w"));
        assert_eq!(call.env.keys().collect::<Vec<_>>(), ["LC_ALL", "PATH", "VSLANG"]);
        assert_eq!(
            call.args,
            [
                "-m64",
                "/s/1/rustcj24QcG/symbols.o",
                "/s/1/a-abc.a.4c2faf61c2d5dfd7-cgu.0.rcgu.o",
                "-Wl,--as-needed",
                "-Wl,-Bdynamic",
                "-lgcc_s",
                "-L",
                "/s/1/rustcj24QcG/raw-dylibs",
                "-fuse-ld=lld",
                "-Wl,-z,noexecstack",
                "-o",
                "/s/1/a-abc",
                "-Wl,--gc-sections",
                "-pie",
                "-nodefaultlibs"
            ]
        );
        assert_eq!(environment.get("SDKROOT"), Some("/x"));
        assert_eq!(call.environment(&environment).get("VSLANG"), Some("1033"));
    }

    #[test]
    fn each_candidate_gets_the_line_with_its_own_linker() {
        let printed = r#""clang" "-m64" "-B/r/gcc-ld" "-fuse-ld=lld" "a.o" "-o" "/s/a" "-pie" "-fuse-ld=mold" "-Wl,-z,x""#;
        let link = parsed(printed).unwrap();
        let own = ["-fuse-ld=mold".to_owned()];
        // linker, flags, whether clang is of this machine's settings; the call
        let table: [(Option<&str>, &[&str], bool, &str); 4] = [
            (None, &[], true, "cc -m64 -B/r/gcc-ld -fuse-ld=lld a.o -o /t/p -pie -Wl,-z,x"),
            (None, &[], false, "clang -m64 -B/r/gcc-ld -fuse-ld=lld a.o -o /t/p -pie -Wl,-z,x"),
            (
                None,
                &["-Clinker-features=-lld", "-Clink-arg=-fuse-ld=lld"],
                true,
                "cc -m64 a.o -o /t/p -pie -Wl,-z,x -fuse-ld=lld",
            ),
            (
                Some("/opt/clang"),
                &["-Clink-arg=--ld-path=/opt/wild"],
                false,
                "/opt/clang -m64 a.o -o /t/p -pie -Wl,-z,x --ld-path=/opt/wild",
            ),
        ];
        for (linker, rustflags, own_program, expected) in table {
            let rustflags = rustflags.iter().map(|&flag| flag.to_owned()).collect();
            let settings = LinkSettings { linker: linker.map(str::to_owned), rustflags };
            let edited = link.by(&settings, &own, own_program, "/t/p".into()).call;
            assert_eq!(edited.to_string().replacen("LC_ALL=C ", "", 1), expected);
        }
        for (arg, chooses) in [
            ("-fuse-ld=mold", true),
            ("--ld-path=/x", true),
            ("-B/usr/libexec/mold", true),
            ("-B/r/gcc-ld/", true),
            ("-B/usr/lib", false),
            ("-Bstatic", false),
            ("-pie", false),
        ] {
            assert_eq!(chooses_linker(arg), chooses, "{arg}");
        }
    }

    #[test]
    fn other_forms_are_read_as_the_standard_library_writes_them() {
        // The line, program and arguments.
        let table = [
            (r#""cc" "a b" "it's" "q\"q" "b\\b" "$HOME" "`x`" """#, r#"cc|a b|it's|q"q|b\b|$HOME|`x`|"#),
            (r#"env -u SDKROOT -u ABSENT LC_ALL="C" "cc" "-o" "x""#, "cc|-o|x"),
            (r#"A="1" "/opt/my cc" "x=y""#, "/opt/my cc|x=y"),
            ("\"first\"\n\n\"second\" \"x\"\n\n", "second|x"),
        ];
        for (line, expected) in table {
            let Link { call, environment } = parsed(line).unwrap();
            let words = std::iter::once(&call.program).chain(&call.args).map(String::as_str);
            assert_eq!(words.collect::<Vec<_>>().join("|"), expected, "{line}");
            assert_eq!(environment.get("SDKROOT").is_none(), line.contains("-u SDKROOT"), "{line}");
        }
        for line in ["", "\n", r#""cc"#, r#"LC_ALL="C""#, "env -u"] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }

    #[test]
    fn what_a_command_prints_is_read_back() {
        let mut command = std::process::Command::new("/opt/my cc");
        let args = ["-o", "a b", "it's \"so\"", "back\\slash", "$x", "ü", ""];
        command.args(args).env("LC_ALL", "C").env("A", "x \"y\"").env_remove("SDKROOT");
        let Link { call, environment } = parsed(&format!("{command:?}")).unwrap();
        assert_eq!((call.program.as_str(), &call.args[..]), ("/opt/my cc", &args.map(str::to_owned)[..]));
        assert_eq!(call.env.get("A").map(String::as_str), Some("x \"y\""));
        assert_eq!((environment.get("SDKROOT"), environment.get("HOME")), (None, Some("/h")));
    }
}
