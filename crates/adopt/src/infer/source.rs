//! What the root file of a target says about where it builds: the attributes at its top, and `compile_error!`
//! behind a `cfg` at its top level.
//!
//! Invariant: nothing in a comment or in a string counts.

use super::condition::{Condition, split};
use super::evidence::Place;

/// Something in a root file that keeps the target from being built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Obstacle {
    /// What.
    pub(crate) what: What,
    /// When it is in force.
    pub(crate) when: Condition,
    /// Where.
    pub(crate) place: Place,
    /// The code, on one line.
    pub(crate) code: String,
}

/// Kinds of obstacles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// `#![feature(…)]`, which a stable toolchain refuses.
    Nightly,
    /// `compile_error!`
    CompileError,
    /// `#![no_std]` and `#![no_main]`: made for a machine without an operating system.
    BareMetal,
}

/// All obstacles in the text of a root file.
pub(crate) fn obstacles(file: &str, text: &str) -> Vec<Obstacle> {
    let (code, masked) = without_comments(text);
    let mut found = Vec::new();
    let (mut no_std, mut no_main) = (None, None);
    for Attribute { start, end } in crate_attributes(&masked) {
        let inner = &code[start..end];
        let place = place(file, &code, start);
        for (attribute, when) in conditional(inner) {
            let name = attribute.split('(').next().unwrap_or_default().trim();
            match name {
                "feature" => found.push(Obstacle {
                    what: What::Nightly,
                    when,
                    place: place.clone(),
                    code: format!("#![{}]", one_line(inner)),
                }),
                "no_std" => no_std = Some(when),
                "no_main" => no_main = Some((when, place.clone())),
                _ => {}
            }
        }
    }
    if let (Some(no_std), Some((no_main, place))) = (no_std, no_main)
        && !masked.contains("fn main(")
    {
        let when = no_std.and(no_main);
        found.push(Obstacle { what: What::BareMetal, when, place, code: "#![no_main]".to_owned() });
    }
    found.extend(compile_errors(file, &code, &masked));
    found
}

struct Attribute {
    start: usize,
    end: usize,
}

/// The insides of `#![…]` before the first item.
fn crate_attributes(masked: &str) -> Vec<Attribute> {
    let mut found = Vec::new();
    let mut at = 0;
    if masked.starts_with("#!") && !masked[2..].trim_start().starts_with('[') {
        at = masked.find('\n').unwrap_or(masked.len());
    }
    loop {
        at += masked[at..].len() - masked[at..].trim_start().len();
        let Some(rest) = masked[at..].strip_prefix("#!") else { return found };
        let open = at + 2 + (rest.len() - rest.trim_start().len());
        let Some(close) = closing(masked, open) else { return found };
        found.push(Attribute { start: open + 1, end: close });
        at = close + 1;
    }
}

/// The attributes in `cfg_attr(CONDITION, A, B)`, however deep, or the attribute itself.
fn conditional(attribute: &str) -> Vec<(String, Condition)> {
    let attribute = attribute.trim();
    let inner = attribute
        .strip_prefix("cfg_attr")
        .and_then(|rest| rest.trim().strip_prefix('('))
        .and_then(|rest| rest.strip_suffix(')'));
    let Some(inner) = inner else { return vec![(attribute.to_owned(), Condition::Always)] };
    let mut parts = split(inner).into_iter();
    let Some(when) = parts.next().and_then(Condition::parse) else { return Vec::new() };
    let attributes = parts.flat_map(conditional);
    attributes.map(|(attribute, inner)| (attribute, when.clone().and(inner))).collect()
}

/// Those in a file that is not a root file: `compile_error!` under features that are on. With the module such a
/// file may itself be left out, but not when all features are on.
pub(crate) fn obstacles_in_module(file: &str, text: &str) -> Vec<Obstacle> {
    if !text.contains("compile_error!") {
        return Vec::new();
    }
    let (code, masked) = without_comments(text);
    let mut found = compile_errors(file, &code, &masked);
    found.retain(|obstacle| {
        obstacle.when.features(false).is_empty() && !obstacle.when.features(true).is_empty()
    });
    found
}

/// `#[cfg(…)] compile_error!` where the attribute begins a line.
fn compile_errors(file: &str, code: &str, masked: &str) -> Vec<Obstacle> {
    let mut found = Vec::new();
    for (start, _) in masked.match_indices("#[cfg(") {
        let begins_line = start == 0 || masked.as_bytes()[start - 1] == b'\n';
        let Some(close) = closing(masked, start + 1).filter(|_| begins_line) else { continue };
        let item = masked[close + 1..].trim_start();
        let item =
            ["::", "core::", "std::"].iter().fold(item, |item, path| item.strip_prefix(path).unwrap_or(item));
        let predicate =
            code[start..close].trim().strip_prefix("#[cfg(").and_then(|rest| rest.strip_suffix(')'));
        let when = predicate.and_then(Condition::parse);
        if let Some(when) = when.filter(|_| item.starts_with("compile_error!")) {
            let code_line = format!("{} compile_error!", one_line(&code[start..=close]));
            found.push(Obstacle {
                what: What::CompileError,
                when,
                place: place(file, code, start),
                code: code_line,
            });
        }
    }
    found
}

/// The bracket that closes the one at `open`.
fn closing(masked: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, byte) in masked.bytes().enumerate().skip(open) {
        match byte {
            b'[' | b'(' => depth += 1,
            b']' | b')' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(index);
                }
            }
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

fn place(file: &str, text: &str, offset: usize) -> Place {
    Place { file: file.to_owned(), line: text[..offset].matches('\n').count() + 1 }
}

fn one_line(code: &str) -> String {
    code.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text with comments blanked, and with what is in strings blanked too; both as long as the text.
fn without_comments(text: &str) -> (String, String) {
    let (mut code, mut masked) = (String::with_capacity(text.len()), String::with_capacity(text.len()));
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, kind) = token(rest, first, code.chars().next_back());
        let (token, after) = rest.split_at(length);
        match kind {
            Kind::Code => {
                code.push_str(token);
                masked.push_str(token);
            }
            Kind::Comment => {
                blank(token, &mut code);
                blank(token, &mut masked);
            }
            Kind::Literal => {
                code.push_str(token);
                blank(token, &mut masked);
            }
        }
        rest = after;
    }
    (code, masked)
}

enum Kind {
    Code,
    Comment,
    Literal,
}

/// The length in bytes of what `rest` begins with, and what it is.
fn token(rest: &str, first: char, before: Option<char>) -> (usize, Kind) {
    let until = |from: usize, end: &str| {
        rest.get(from..).and_then(|tail| tail.find(end)).map_or(rest.len(), |found| from + found + end.len())
    };
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    match first {
        '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), Kind::Comment),
        '/' if rest.starts_with("/*") => (block_comment(rest), Kind::Comment),
        '"' => (quoted(rest), Kind::Literal),
        'r' if !in_word => {
            let hashes = rest[1..].len() - rest[1..].trim_start_matches('#').len();
            if rest[1 + hashes..].starts_with('"') {
                return (until(2 + hashes, &format!("\"{}", "#".repeat(hashes))), Kind::Literal);
            }
            (1, Kind::Code)
        }
        '\'' => {
            let mut chars = rest.char_indices().skip(1);
            match (chars.next(), chars.next()) {
                (Some((_, '\\')), _) => (until(3.min(rest.len()), "'"), Kind::Literal),
                (Some(_), Some((end, '\''))) => (end + 1, Kind::Literal),
                _ => (1, Kind::Code),
            }
        }
        other => (other.len_utf8(), Kind::Code),
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(tail) = rest.get(at..).filter(|tail| !tail.is_empty()) {
        let step = if tail.starts_with("/*") {
            depth += 1;
            2
        } else if tail.starts_with("*/") {
            depth -= 1;
            2
        } else {
            tail.chars().next().map_or(1, char::len_utf8)
        };
        at += step;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (index, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    rest.len()
}

fn blank(token: &str, into: &mut String) {
    into.extend(token.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        obstacles("src/lib.rs", text)
            .iter()
            .map(|Obstacle { what, when, place, .. }| format!("{} {what:?} {when:?}", place.line))
            .collect()
    }

    #[test]
    fn attributes_at_the_top_are_found_and_no_others() {
        let table: [(&str, &[&str]); 12] = [
            ("//! Doc.\n#![feature(test)]\nextern crate test;", &["2 Nightly Always"]),
            ("#![cfg_attr(docsrs, feature(doc_cfg))]", &["1 Nightly Flag(\"docsrs\")"]),
            (
                "/* #![feature(a)] */\n#![allow(x)]\n#![cfg_attr(\n  feature = \"n\",\n  feature(a, b),\n)]",
                &["3 Nightly Value(\"feature\", \"n\")"],
            ),
            (
                "#![cfg_attr(test, cfg_attr(unix, feature(a)))]",
                &["1 Nightly All([Flag(\"test\"), Flag(\"unix\")])"],
            ),
            ("// #![feature(test)]\nfn main() {}", &[]),
            ("#![doc = \"#![feature(x)]\"]\nfn a() { #![feature(x)] }", &[]),
            ("const A: &str = r#\"\n#![feature(x)]\n#[cfg(a)]\ncompile_error!()\n\"#;", &[]),
            ("#!/usr/bin/env run\n#![feature(a)]", &["2 Nightly Always"]),
            ("#![no_std]\n#![no_main]\nfn start() {}", &["2 BareMetal Always"]),
            ("#![no_std]\n#![no_main]\nextern \"C\" fn main() {}", &[]),
            (
                "#![cfg_attr(not(test), no_std, no_main)]",
                &["1 BareMetal All([Not(Flag(\"test\")), Not(Flag(\"test\"))])"],
            ),
            ("#![no_std]", &[]),
        ];
        for (text, expected) in table {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn compile_error_counts_behind_a_cfg_at_the_top_level() {
        let table: [(&str, &[&str]); 5] = [
            (
                "const C: char = '\"';\n#[cfg(all(feature = \"a\", feature = \"b\"))]\ncompile_error!(\"one\");",
                &["2 CompileError All([Value(\"feature\", \"a\"), Value(\"feature\", \"b\")])"],
            ),
            (
                "#[cfg(not(feature = \"std\"))]\n::core::compile_error!(\"x\");",
                &["1 CompileError Not(Value(\"feature\", \"std\"))"],
            ),
            ("macro_rules! m { () => {\n    #[cfg(a)]\n    compile_error!()\n} }", &[]),
            ("#[cfg(a)]\nmod x;\ncompile_error!()", &[]),
            ("// #[cfg(a)]\n// compile_error!()\nfn f<'a>(x: &'a str) {}", &[]),
        ];
        for (text, expected) in table {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}
