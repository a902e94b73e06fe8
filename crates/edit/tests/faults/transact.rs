//! One transaction over a folder, in a process of its own: that can be killed, and its calls be counted.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use xtask_edit::{Edit, Node, Transaction};

/// Begins a transaction in `root`, and then does `what`.
pub(crate) fn transact(root: &Utf8Path, what: &str) -> Result<()> {
    let (transaction, recovered) = Transaction::begin(root)?;
    if let Some(recovered) = recovered {
        writeln!(
            std::io::stdout(),
            "restored {:?}, conflicts {:?}",
            recovered.restored,
            recovered.conflicts
        )?;
    }
    match what {
        "commit" => transaction.commit(&edits(root)?, || Ok(())),
        "fail" => transaction.commit(&edits(root)?, || bail!("the check fails")),
        "recover" => Ok(()),
        other => bail!("{other}?"),
    }
}

/// Every kind of edit once.
fn edits(root: &Utf8Path) -> Result<Vec<Edit>> {
    let folder = |files: &[(&str, &str)]| {
        let files = files.iter().map(|(name, text)| (Utf8PathBuf::from(name), text.as_bytes().to_vec()));
        Some(Node::Folder(files.collect::<BTreeMap<_, _>>()))
    };
    let afters = [
        ("edited.toml", Some(Node::file("new = true\n"))),
        ("made/for/it.txt", Some(Node::file("made\n"))),
        ("made/for/too.txt", Some(Node::file("made\n"))),
        ("read-only.toml", Some(Node::file("new = \"read-only\"\n"))),
        ("gone.txt", None),
        ("gone-folder", None),
        ("new-folder", folder(&[("Cargo.toml", "[package]\n"), ("src/deep/main.rs", "fn main() {}\n")])),
        ("swapped-folder", folder(&[("kept", "kept\n"), ("fresh", "fresh\n")])),
        ("file-then-folder", folder(&[("inside", "inside\n")])),
    ];
    let edit = |(path, after): (&str, Option<Node>)| {
        let before = Node::read(&root.join(path))?;
        Ok(Edit { path: path.into(), before, after })
    };
    afters.into_iter().map(edit).collect()
}
