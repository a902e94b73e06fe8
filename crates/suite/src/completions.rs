//! Completions of `cargo xtask` for shells.
//!
//! Shells complete `cargo` with its own script, which does not know the alias. So ours wraps it: it answers after
//! `cargo xtask`, and passes on the rest.

use std::fmt::Write as _;

use clap::Command;

/// The script for `bash`, `zsh` or `fish`.
pub(crate) fn script(shell: &str, command: &Command) -> String {
    match shell {
        "zsh" => zsh(command),
        "fish" => fish(command),
        _ => bash(command),
    }
}

/// What may follow each command: `""`, `preset`, `preset show`.
fn table(root: &Command) -> Vec<(String, String)> {
    let mut rows = vec![(String::new(), words(root, root))];
    for sub in root.get_subcommands() {
        rows.push((sub.get_name().to_owned(), words(root, sub)));
        for inner in sub.get_subcommands() {
            rows.push((format!("{} {}", sub.get_name(), inner.get_name()), words(root, inner)));
        }
    }
    rows
}

/// Subcommands, values and flags.
fn words(root: &Command, command: &Command) -> String {
    let mut words = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect::<Vec<_>>();
    for arg in command.get_positionals() {
        words.extend(arg.get_possible_values().iter().map(|value| value.get_name().to_owned()));
    }
    let globals = root.get_arguments().filter(|arg| arg.is_global_set());
    for arg in globals.chain(command.get_arguments()) {
        words.extend(arg.get_long().map(|long| format!("--{long}")));
        words.extend(arg.get_short().map(|short| format!("-{short}")));
    }
    words.push("--help".to_owned());
    words.join(" ")
}

fn bash(root: &Command) -> String {
    let mut cases = String::new();
    for (path, words) in table(root) {
        let _ = writeln!(cases, "    \"{path}\") words=\"{words}\" ;;");
    }
    format!(
        r#"# bash completions of `cargo xtask`. In ~/.bashrc: source <(cargo xtask completions bash)
_cargo_xtask() {{
  if [[ "${{COMP_WORDS[1]}}" != xtask ]]; then
    # cargo's own completions are loaded on demand.
    if ! declare -F _cargo >/dev/null; then
      if declare -F _completion_loader >/dev/null; then _completion_loader cargo; fi
      declare -F _cargo >/dev/null || source "$(rustc --print sysroot)/etc/bash_completion.d/cargo"
      complete -o bashdefault -o default -F _cargo_xtask cargo
    fi 2>/dev/null
    if declare -F _cargo >/dev/null; then _cargo "$@"; fi
    return
  fi
  local current="${{COMP_WORDS[COMP_CWORD]}}" path="" word words=""
  for word in "${{COMP_WORDS[@]:2:COMP_CWORD-2}}"; do
    [[ "$word" == -* ]] || path="${{path:+$path }}$word"
  done
  case "$path" in
{cases}  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o bashdefault -o default -F _cargo_xtask cargo
"#
    )
}

fn zsh(root: &Command) -> String {
    let mut cases = String::new();
    for (path, words) in table(root) {
        let _ = writeln!(cases, "    \"{path}\") candidates=({words}) ;;");
    }
    format!(
        r#"# zsh completions of `cargo xtask`. In ~/.zshrc, after compinit: source <(cargo xtask completions zsh)
_cargo_xtask() {{
  if [[ "${{words[2]}}" != xtask ]]; then
    (( $+functions[_cargo] )) && _cargo "$@"
    return
  fi
  local path="" word
  local -a candidates
  for word in "${{(@)words[3,CURRENT-1]}}"; do
    [[ "$word" == -* ]] || path="${{path:+$path }}$word"
  done
  case "$path" in
{cases}  esac
  compadd -- $candidates
}}
(( $+functions[compdef] )) && compdef _cargo_xtask cargo
"#
    )
}

fn fish(root: &Command) -> String {
    let mut lines = String::from(
        r#"# fish completions of `cargo xtask`. Once: cargo xtask completions fish > ~/.config/fish/conf.d/cargo-xtask.fish
function __xtask_path
  set -l words (commandline -opc)
  test (count $words) -ge 2; and test $words[2] = xtask; or return 1
  set -l path
  for word in $words[2..-1]
    string match -q -- '-*' $word; or set -a path $word
  end
  # Without the first, `xtask` itself.
  set -e path[1]
  echo "$path"
end
"#,
    );
    for (path, words) in table(root) {
        let condition = format!("set -l p (__xtask_path); and test \"$p\" = \"{path}\"");
        let _ = writeln!(lines, "complete -c cargo -f -n '{condition}' -a '{words}'");
    }
    lines
}
