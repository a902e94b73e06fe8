//! One program out of an archive, by the system's `tar` or `unzip`.
//!
//! Invariant: the only thing written is the program that the caller opened. The archive is listed, and the one wanted
//! member is sent through a pipe and counted.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use camino::Utf8Path;
use xtask_files::Replacement;
use xtask_workspace::{Call, Environment, EnvironmentLacks, Progress, on_path};

use super::archive::Fetch;
use super::listing::{check_wanted, member};
use crate::process::{Streamed, last_lines, streamed};

/// More than this is no list of a release archive.
const LONGEST_LIST: u64 = 8 << 20;
/// Bytes of a bare program that are copied at a time.
const CHUNK: usize = 256 << 10;

/// Variables by which a user gives these programs further options.
const OPTIONS: [&str; 10] = [
    "TAR_OPTIONS",
    "TAR_READER_OPTIONS",
    "TAPE",
    "GZIP",
    "XZ_OPT",
    "XZ_DEFAULTS",
    "UNZIP",
    "UNZIPOPT",
    "ZIPINFO",
    "ZIPINFOOPT",
];

/// What a file is, by the end of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// A tar, packed by the program whose name, which is tar's option too, this is; and Debian's package of that.
    Tar {
        by: &'static str,
        package: &'static str,
    },
    Zip,
    /// The program itself.
    Bare,
}

/// Writes the program in `archive`, which was checked, to `program`.
pub(super) fn unpack(
    fetch: &Fetch<'_>,
    archive: &Utf8Path,
    program: &mut Replacement,
    environment: &Environment,
    progress: &dyn Progress,
) -> Result<()> {
    let mut environment = environment.clone();
    for name in OPTIONS {
        environment.remove(name);
    }
    let mut bytes = 0;
    let most = fetch.limits.unpacked_bytes;
    let mut take = |piece: &[u8]| {
        bytes += piece.len() as u64;
        if bytes > most {
            bail!("the program in {} is larger than {most} bytes, which no tool is", fetch.archive.url);
        }
        program.append(piece)
    };
    let unpacker = match format(&fetch.archive.url)? {
        Format::Bare => None,
        Format::Tar { by, package } => Some(Unpacker::tar(by, package, &environment)?),
        Format::Zip => Some(Unpacker::zip(&environment)?),
    };
    match unpacker {
        None => copy(archive, &mut take)?,
        Some(unpacker) => {
            let wanted = fetch.archive.binary.as_deref().unwrap_or(fetch.program);
            check_wanted(wanted)?;
            let run =
                Run { unpacker, archive, limit: fetch.limits.unpack, environment: &environment, progress };
            let (names, long) = (run.list(Listed::Names)?, run.list(Listed::Kinds)?);
            let (names, long) = (names.lines().collect::<Vec<_>>(), long.lines().collect::<Vec<_>>());
            let long = run.unpacker.without_frame(&names, &long);
            let found = member(wanted, &names, long);
            let found = found.with_context(|| format!("{} cannot be unpacked", fetch.archive.url))?;
            run.bytes(run.unpacker.print(found), &mut take)?;
        }
    }
    if bytes == 0 {
        bail!("the program in {} is empty; correct `url` or `binary`", fetch.archive.url);
    }
    Ok(())
}

/// What the end of the URL's path says. An archive that cannot be unpacked is no bare program.
fn format(url: &str) -> Result<Format> {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let formats = [
        (&["tar.gz", "tgz"][..], Format::Tar { by: "gzip", package: "gzip" }),
        (&["tar.xz", "txz"], Format::Tar { by: "xz", package: "xz-utils" }),
        (&["tar.zst", "tzst"], Format::Tar { by: "zstd", package: "zstd" }),
        (&["zip"], Format::Zip),
    ];
    let ends_in = |endings: &[&str]| {
        endings.iter().any(|ending| name.strip_suffix(ending).is_some_and(|rest| rest.ends_with('.')))
    };
    if let Some((_, format)) = formats.iter().find(|(endings, _)| ends_in(endings)) {
        return Ok(*format);
    }
    let others = [
        "tar", "bz2", "tbz", "tbz2", "gz", "xz", "zst", "lz", "lzma", "br", "7z", "rar", "deb", "rpm", "dmg",
        "pkg", "msi",
    ];
    if ends_in(&others) {
        bail!(
            "{url} is neither a .tar.gz, .tar.xz, .tar.zst or .zip, nor a bare program; choose one that is"
        );
    }
    Ok(Format::Bare)
}

fn copy(from: &Utf8Path, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut file = File::open(from).with_context(|| format!("failed to open {from}"))?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk).with_context(|| format!("failed to read {from}"))? {
            0 => return Ok(()),
            count => take(&chunk[..count])?,
        }
    }
}

/// Which list of an archive is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    Names,
    /// Each line begins with the member's kind.
    Kinds,
}

/// The program that unpacks.
#[derive(Debug, Clone, Copy)]
enum Unpacker {
    Tar {
        program: &'static str,
        /// What packed it; `None` where tar finds out by itself.
        by: Option<&'static str>,
        /// Something that tar starts, and Debian's package of it, when it is not on `PATH`.
        missing: Option<(&'static str, &'static str)>,
    },
    Unzip,
}

impl Unpacker {
    fn tar(by: &'static str, package: &'static str, environment: &Environment) -> Result<Self> {
        if on_path("tar", environment).is_none() {
            return Err(lacks("tar"));
        }
        let missing = on_path(by, environment).is_none().then_some((by, package));
        Ok(Self::Tar { program: "tar", by: Some(by), missing })
    }

    fn zip(environment: &Environment) -> Result<Self> {
        // The `tar` of Windows and macOS is bsdtar, which reads zip too.
        let bsd_tar = if cfg!(any(windows, target_os = "macos")) { "tar" } else { "bsdtar" };
        if on_path("unzip", environment).is_some() {
            Ok(Self::Unzip)
        } else if on_path(bsd_tar, environment).is_some() {
            Ok(Self::Tar { program: bsd_tar, by: None, missing: None })
        } else {
            Err(lacks("unzip"))
        }
    }

    fn list(self, what: Listed) -> (&'static str, Vec<String>) {
        match (self, what) {
            (Self::Tar { program, by, .. }, what) => {
                let verbose = (what == Listed::Kinds).then_some("--verbose");
                let args = ["--list"].into_iter().chain(verbose).map(str::to_owned);
                (program, args.chain(by.map(|by| format!("--{by}"))).chain(["--file".to_owned()]).collect())
            }
            (Self::Unzip, Listed::Names) => ("unzip", vec!["-Z1".to_owned()]),
            (Self::Unzip, Listed::Kinds) => ("unzip", vec!["-Zs".to_owned()]),
        }
    }

    /// What sends one member to standard output: the program, what stands before the archive, and what behind.
    fn print(self, member: &str) -> (&'static str, Vec<String>, Vec<String>) {
        match self {
            Self::Tar { program, by, .. } => {
                let args = ["--extract", "--to-stdout"].map(str::to_owned).into_iter();
                let args = args.chain(by.map(|by| format!("--{by}"))).chain(["--file".to_owned()]);
                (program, args.collect(), vec!["--".to_owned(), member.to_owned()])
            }
            Self::Unzip => ("unzip", vec!["-p".to_owned()], vec![member.to_owned()]),
        }
    }

    /// The long list without the two lines that unzip writes above it and the one below.
    fn without_frame<'a>(self, names: &[&str], long: &'a [&'a str]) -> &'a [&'a str] {
        match self {
            Self::Unzip if long.len() == names.len() + 3 => &long[2..long.len() - 1],
            _ => long,
        }
    }
}

fn lacks(program: &str) -> anyhow::Error {
    let what = format!(
        "{program} is not on PATH, and the archive is unpacked by it; install it with the package manager of this \
         system, then run it again: what was downloaded is kept"
    );
    EnvironmentLacks(what).into()
}

/// An unpacker at work on one archive.
struct Run<'a> {
    unpacker: Unpacker,
    archive: &'a Utf8Path,
    limit: Duration,
    environment: &'a Environment,
    progress: &'a dyn Progress,
}

impl Run<'_> {
    fn list(&self, what: Listed) -> Result<String> {
        let mut listed = Vec::new();
        let (program, before) = self.unpacker.list(what);
        self.bytes((program, before, Vec::new()), &mut |piece| {
            listed.extend_from_slice(piece);
            if listed.len() as u64 > LONGEST_LIST {
                bail!(
                    "{} lists more than {LONGEST_LIST} bytes of names, which no release does",
                    self.archive
                );
            }
            Ok(())
        })?;
        Ok(String::from_utf8_lossy(&listed).into_owned())
    }

    /// Runs it in the folder of the archive: GNU tar takes a `:` in a name for another machine's.
    fn bytes(
        &self,
        (program, before, behind): (&str, Vec<String>, Vec<String>),
        take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let folder = self.archive.parent().context("an archive lies in a folder")?;
        let name = self.archive.file_name().context("an archive has a name")?;
        let args = before.into_iter().chain([name.to_owned()]).chain(behind);
        let call = Call::new(folder, program, args);
        self.progress.detail(&call.to_string());
        let Streamed { code, stderr } = streamed(&call, self.environment, self.limit, take)?;
        if code == Some(0) {
            return Ok(());
        }
        let said = last_lines(&stderr, "");
        match self.unpacker {
            Unpacker::Tar { missing: Some((packer, package)), .. } => Err(EnvironmentLacks(format!(
                "`{call}` failed: {said}; {packer} is not on PATH: install it with the package manager of this system \
                 (Debian's package is {package}), then run it again: what was downloaded is kept"
            ))
            .into()),
            _ => bail!("`{call}` failed in {folder}: {said}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_told_by_the_end_of_the_name() {
        let table = [
            ("https://x/tool-1.0.tar.gz", Some("gzip")),
            ("https://x/tool.TGZ", Some("gzip")),
            ("https://x/tool.tar.xz?download=1#top", Some("xz")),
            ("https://x/tool.tar.zst", Some("zstd")),
            ("https://x/tool.zip", Some("zip")),
            ("https://x/y.zip/tool", Some("bare")),
            ("https://x/tool-x86_64-linux", Some("bare")),
            ("https://x/tool-1.0", Some("bare")),
            ("https://x/tool.exe", Some("bare")),
            ("https://x/toolzip", Some("bare")),
            ("https://x/tool.tar.bz2", None),
            ("https://x/tool.gz", None),
            ("https://x/tool.deb", None),
        ];
        for (url, expected) in table {
            let found = format(url).ok().map(|format| match format {
                Format::Tar { by, .. } => by,
                Format::Zip => "zip",
                Format::Bare => "bare",
            });
            assert_eq!(found, expected, "{url}");
        }
    }
}
