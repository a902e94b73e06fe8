//! The keys of `[setup]` and `[tools.NAME]`.

use super::{Items, Key, Kind, MANAGERS, Section};
use crate::config::tools::{Effect, InstallTo, Need, Way};

pub(super) const KEYS: &[Key] = &[
    Key {
        section: Section::Setup,
        name: "linker",
        kind: Kind::Text,
        default: r#"`"measured"`"#,
        doc: "The linker: the one that links this workspace's largest test fastest (`measured`), the one that is used \
              without the suite (`default`), or one of the catalog by its name. It is used only if it proves to work.",
        example: r#""mold""#,
    },
    Key {
        section: Section::Setup,
        name: "install-to",
        kind: Kind::Choice(InstallTo::NAMES),
        default: r#"`"cargo-bin"`"#,
        doc: "Where what is downloaded is put: the `bin` folder in cargo's home, or a folder below this workspace's \
              target dir.",
        example: r#""workspace""#,
    },
    Key {
        section: Section::Setup,
        name: "memory-per-job",
        kind: Kind::Bytes,
        default: r#"`"2 GiB"`"#,
        doc: "The memory that each compiler running beside others is counted with. Where all of them would take more \
              than is free when the machine is set up, `jobs` is lowered.",
        example: r#""1 GiB""#,
    },
    Key {
        section: Section::Tools,
        name: "about",
        kind: Kind::Text,
        default: "none",
        doc: "What it is, in a few words.",
        example: r#""compiler of protocol buffers""#,
    },
    Key {
        section: Section::Tools,
        name: "need",
        kind: Kind::Choice(Need::NAMES),
        default: r#"`"wanted"`"#,
        doc: "Whether setup fails without it, or does without it, or does not touch it.",
        example: r#""required""#,
    },
    Key {
        section: Section::Tools,
        name: "programs",
        kind: Kind::List(Items::Distinct),
        default: "the table's name",
        doc: "The names of its program; the first that is found is taken.",
        example: r#"["protoc"]"#,
    },
    Key {
        section: Section::Tools,
        name: "version",
        kind: Kind::Requirement,
        default: "any",
        doc: "The versions that will do, written as in `Cargo.toml`; `=1.2.3` pins one. A pre-release counts as its \
              release.",
        example: r#"">=3.20""#,
    },
    Key {
        section: Section::Tools,
        name: "version-args",
        kind: Kind::List(Items::Arguments),
        default: r#"`["--version"]`"#,
        doc: "What makes the program say its version.",
        example: r#"["-V"]"#,
    },
    Key {
        section: Section::Tools,
        name: "hosts",
        kind: Kind::List(Items::Globs),
        default: "every host",
        doc: "Glob patterns of the host triples on which it is of use.",
        example: r#"["*-linux-*"]"#,
    },
    Key {
        section: Section::Tools,
        name: "install",
        kind: Kind::List(Items::OneOf(Way::NAMES)),
        default: r#"`["archive", "packages", "cargo"]`"#,
        doc: "The ways of installing it, in the order in which they are tried. One that the tool has no data for is \
              passed over.",
        example: r#"["packages"]"#,
    },
    Key {
        section: Section::Tools,
        name: "archives",
        kind: Kind::Archives,
        default: "`[]`",
        doc: "Release archives: each with the glob pattern of its `host`, its `version`, `url` (https only), `sha256`, \
              and the path of the program inside as `binary`.",
        example: r#"[{ host = "x86_64-*-linux-*", version = "29.3", url = "https://example.com/protoc.tar.gz", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", binary = "bin/protoc" }]"#,
    },
    Key {
        section: Section::Tools,
        name: "packages",
        kind: Kind::Table(MANAGERS),
        default: "`{}`",
        doc: "The package that has it, by package manager.",
        example: r#"{ apt = "protobuf-compiler", brew = "protobuf" }"#,
    },
    Key {
        section: Section::Tools,
        name: "crate-args",
        kind: Kind::List(Items::Arguments),
        default: "`[]`",
        doc: "What follows `cargo install --locked`: the crate, and further arguments.",
        example: r#"["protoc-gen-x", "--no-default-features"]"#,
    },
    Key {
        section: Section::Tools,
        name: "proof",
        kind: Kind::ChoiceOrList(Effect::NAMES, Items::Arguments),
        default: r#"`"version"`"#,
        doc: "How it is proven: by an effect, or by a command that has to succeed, in which `{path}` is the tool's.",
        example: r#"["{path}", "--print-free-field-numbers", "/dev/null"]"#,
    },
    Key {
        section: Section::Tools,
        name: "link-with",
        kind: Kind::List(Items::Distinct),
        default: "`[]`",
        doc: "For a linker: the ways to have it used. Each is a linker driver (`cc` is rustc's own choice) and its \
              arguments; one that starts with `-C` is rustc's. `{path}` is the tool's program, `{rustlib}` the \
              toolchain's folder `lib/rustlib/HOST`. The first that proves to work is taken.",
        example: r#"["cc -fuse-ld=mold", "clang --ld-path={path}"]"#,
    },
    Key {
        section: Section::Tools,
        name: "says",
        kind: Kind::Text,
        default: "the table's name",
        doc: "For a linker: the name that it leaves in what it links.",
        example: r#""mold""#,
    },
    Key {
        section: Section::Tools,
        name: "without",
        kind: Kind::Text,
        default: "none",
        doc: "What is used without it, in a few words.",
        example: r#""the generated sources in git""#,
    },
];
