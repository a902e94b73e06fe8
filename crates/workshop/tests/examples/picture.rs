//! The picture at the top of the README: the run that the README shows, drawn as a terminal.
//!
//! Its text is that of the example, which was run and compared just before; so the picture shows what the program prints.

use std::fmt::Write as _;

const LINE_HEIGHT: usize = 20;
const LETTER_WIDTH: f64 = 8.43;
const MARGIN: usize = 16;
/// Longer lines are broken: GitHub shows a picture that is 830 px wide without shrinking it.
const COLUMNS: usize = 94;

/// A terminal with the lines of `example`, where `$ ` begins a command.
pub(crate) fn svg(example: &str) -> String {
    let lines = example.lines().flat_map(broken).collect::<Vec<_>>();
    let height = 2 * MARGIN + lines.len() * LINE_HEIGHT;
    let width = 2.0f64.mul_add(MARGIN as f64, COLUMNS as f64 * LETTER_WIDTH).ceil();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" aria-label=\"A run of cargo xtask in a terminal\">\n\
         <style>text {{ font: 14px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; fill: #d0d7de; white-space: pre }}\n\
         .command {{ fill: #ffffff; font-weight: bold }} .note {{ fill: #8b949e }} .ok {{ fill: #7ee787 }}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#0d1117\"/>\n"
    );
    for (row, line) in lines.iter().enumerate() {
        let y = MARGIN + (row + 1) * LINE_HEIGHT - 6;
        let class = match line.split(' ').next() {
            Some("$") => "command",
            Some("note:") => "note",
            _ if line.contains(" ok: ") || line.contains(" forecast: ") => "ok",
            _ => "line",
        };
        let text = line.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(svg, "<text class=\"{class}\" x=\"{MARGIN}\" y=\"{y}\">{text}</text>");
    }
    svg + "</svg>\n"
}

/// A line in pieces that fit, broken at spaces; a terminal would break it anywhere.
fn broken(line: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for word in line.split_inclusive(' ') {
        let last = pieces.last().map_or(0, |piece| piece.chars().count());
        if last + word.trim_end().chars().count() > COLUMNS {
            pieces.push("    ".to_owned());
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push_str(word);
        }
    }
    pieces
}

#[test]
fn every_word_of_the_example_is_in_the_picture() {
    let long = "word ".repeat(40);
    let picture = svg(&format!("$ cargo a && b\nnote: x <y>\n{long}\n"));
    assert!(
        picture.contains(">$ cargo a &amp;&amp; b</text>") && picture.contains("class=\"note\""),
        "{picture}"
    );
    assert!(picture.contains("note: x &lt;y>") && picture.matches("word").count() == 40, "{picture}");
    let texts = picture.lines().filter(|line| line.starts_with("<text"));
    let longest =
        texts.filter_map(|line| Some(line.split_once('>')?.1.strip_suffix("</text>")?.trim_end().len()));
    assert!(longest.max() <= Some(COLUMNS + "    ".len()), "{picture}");
}
