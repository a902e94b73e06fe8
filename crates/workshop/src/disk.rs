//! `cargo xtask disk`: where the space is.

use anyhow::Result;
use clap::ArgMatches;
use xtask_sweep::{Share, Variant, Variants, disk};
use xtask_units::cores;

use xtask_suite::program::{Context, bytes, count};
use xtask_suite::{Exit, Shell};

/// How many copies of one crate are listed.
const VARIANTS: usize = 5;

pub(super) fn run(context: &Context, arguments: &ArgMatches) -> Result<Exit> {
    let shell = context.shell;
    let report = disk(&context.workspace, cores())?;
    let top = arguments.get_one::<usize>("top").copied().unwrap_or_default();
    show_shares(shell, "by kind", &report.kinds, usize::MAX);
    show_shares(shell, "by profile", &report.profiles, usize::MAX);
    show_shares(shell, "by package", &report.packages, top);
    if !report.variants.is_empty() && top > 0 {
        shell.result("several copies of a crate:");
    }
    for variants in report.variants.iter().take(top) {
        show_variants(shell, variants);
    }
    for not_read in report.unrecognised.iter().chain(&report.unreadable) {
        shell.warning(&format!("not counted: {}: {}", not_read.path.display(), not_read.why));
    }
    let (total, files) = (bytes(report.total_bytes), count(report.files, "file"));
    shell.result(&format!("disk: {total} in {files} and {}", count(report.units, "unit")));
    if shell.json() {
        shell.document(&report)?;
    }
    Ok(Exit::Done)
}

fn show_shares(shell: &Shell, title: &str, shares: &[Share], most: usize) {
    if shares.is_empty() || most == 0 {
        return;
    }
    shell.result(&format!("{title}:"));
    for part in shares.iter().take(most) {
        shell.result(&share(part.bytes, &part.name, part.units));
    }
    if shares.len() > most {
        let rest = shares.iter().skip(most).map(|share| share.bytes).sum();
        shell.result(&format!("{:>12}  {} more", bytes(rest), shares.len() - most));
    }
}

/// A line of a list: bytes, what they are, and of how many units where there are any.
pub(super) fn share(size: u64, what: &str, units: usize) -> String {
    let units = if units > 0 { format!(" ({})", count(units, "unit")) } else { String::new() };
    format!("{:>12}  {what}{units}", bytes(size))
}

fn show_variants(shell: &Shell, variants: &Variants) {
    let Variants { package, target, bytes: total, differ_by, variants } = variants;
    let (total, copies) = (bytes(*total), variants.len());
    shell.result(&format!("{total:>12}  {package} {target}, {copies} copies by {}", differ_by.join(", ")));
    for variant in variants.iter().take(VARIANTS) {
        let parts = differ_by.iter().map(|difference| described(variant, difference)).collect::<Vec<_>>();
        shell.result(&format!("{:>14}  {}", bytes(variant.bytes), parts.join("; ")));
    }
    if copies > VARIANTS {
        shell.result(&format!("{:>14}  {} more", "", copies - VARIANTS));
    }
}

/// A copy by one of the things that differ.
fn described(variant: &Variant, difference: &str) -> String {
    let list = |items: &[String]| if items.is_empty() { "none".to_owned() } else { items.join(" ") };
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| format!("another {difference}"));
    match difference {
        "features" => format!("features {}", list(&variant.features)),
        "flags" => format!("flags {}", list(&variant.rustflags)),
        "toolchain" => known(&variant.toolchain),
        "version" => known(&variant.version),
        "profile" => {
            format!("profile {} (settings {:04x})", variant.profile, variant.profile_settings & 0xffff)
        }
        _ => format!("unit {}", variant.id),
    }
}
