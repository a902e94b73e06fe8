//! What `rustc --print link-args` says: the call of the linker, with the variables it is given before it.

use camino::Utf8Path;
use xtask_workspace::{Call, Environment};

/// The call of a linker, and the environment below its own variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) call: Call,
    pub(super) environment: Environment,
}

/// Reads the last line of `text`, made in `dir` by a rustc in `environment`. Fails with what is wrong with it.
///
/// It is the standard library's way to print a `Command`: `env -u NAME` for each variable that is removed,
/// `NAME="value"`, and quoted words. Beside quotes and backslashes it writes only characters that cannot be printed in
/// a way of its own, and these no path should have.
pub(super) fn parse(text: &str, dir: &Utf8Path, mut environment: Environment) -> Result<Link, String> {
    // Should rustc link again in another way, that is the one that worked.
    let line = text.lines().rfind(|line| !line.trim().is_empty()).ok_or("it is empty")?;
    let words = shlex::split(line).ok_or("it has a quote that does not end")?;
    let mut words = words.into_iter().peekable();
    if words.next_if(|word| word == "env").is_some() {
        while words.next_if(|word| word == "-u").is_some() {
            environment.remove(&words.next().ok_or("it ends behind -u")?);
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
