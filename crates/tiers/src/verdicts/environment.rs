//! The variables that count: all that a test may see, but for those that differ between terminals and sessions.

use std::collections::BTreeMap;

use xtask_workspace::config::Verdicts;
use xtask_workspace::{CargoCommand, Digest, Workspace, digest};

/// Variables that say where a command was typed, not what it does; `*` at the end stands for the rest of a name.
const VOLATILE: [&str; 72] = [
    // The shell.
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
    "PS1",
    "HISTFILE",
    "HISTSIZE",
    "STARSHIP_*",
    "ATUIN_*",
    "MCFLY_SESSION_ID",
    "_P9K_*",
    "P9K_*",
    "__MISE_*",
    "DIRENV_*",
    "FNM_MULTISHELL_PATH",
    // The terminal.
    "WINDOWID",
    "TERM_SESSION_ID",
    "TERM_PROGRAM",
    "TERM_PROGRAM_VERSION",
    "TMUX",
    "TMUX_PANE",
    "STY",
    "ZELLIJ*",
    "KITTY_*",
    "ITERM_*",
    "ALACRITTY_*",
    "WEZTERM_*",
    "GHOSTTY_*",
    "KONSOLE_*",
    "VTE_VERSION",
    "WT_SESSION",
    "GNOME_TERMINAL_*",
    "VSCODE_*",
    "WARP_*",
    "LC_TERMINAL",
    "LC_TERMINAL_VERSION",
    "NVIM",
    "NVIM_LISTEN_ADDRESS",
    "INSIDE_EMACS",
    // The session.
    "SSH_*",
    "XDG_SESSION_*",
    "XDG_SEAT",
    "XDG_VTNR",
    "DBUS_SESSION_BUS_ADDRESS",
    "XAUTHORITY",
    "GPG_TTY",
    "GPG_AGENT_INFO",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "MANAGERPID",
    "DESKTOP_STARTUP_ID",
    "XDG_ACTIVATION_TOKEN",
    "SESSION_MANAGER",
    "SYSTEMD_EXEC_PID",
    "MEMORY_PRESSURE_WATCH",
    "MEMORY_PRESSURE_WRITE",
    "SWAYSOCK",
    "I3SOCK",
    "HYPRLAND_*",
    "NIRI_SOCKET",
    // The clock, in the hooks of `git commit`.
    "GIT_AUTHOR_DATE",
    // make, and how cargo, nextest and we show things.
    "MAKEFLAGS",
    "MFLAGS",
    "MAKELEVEL",
    "MAKE_TERMOUT",
    "MAKE_TERMERR",
    "CARGO_MAKEFLAGS",
    "CARGO_TERM_*",
    "NEXTEST_STATUS_LEVEL",
    "NEXTEST_FINAL_STATUS_LEVEL",
    "NEXTEST_SHOW_PROGRESS",
    "HYPERFINE_*",
];

/// The variables that count for the tests of `command`, and a digest of each value: the user's, the tier's, and those of
/// `[env]` in cargo's configuration.
pub(super) fn variables(
    workspace: &Workspace,
    command: &CargoCommand,
    verdicts: &Verdicts,
) -> BTreeMap<String, Digest> {
    let environment = command.environment(&workspace.environment);
    let counts = |name: &str| {
        let listed = |list: &[String]| list.iter().any(|pattern| matches(pattern, name));
        let ignored = VOLATILE.iter().any(|pattern| matches(pattern, name)) || listed(&verdicts.ignore_env);
        !ignored || listed(&verdicts.watch_env)
    };
    // In a hook of `git commit FILE`: `next-index-1234.lock`, where the number is a process.
    let steady = |name: &str, value: &[u8]| match name {
        "GIT_INDEX_FILE" => {
            digest(value.iter().copied().filter(|byte| !byte.is_ascii_digit()).collect::<Vec<_>>())
        }
        _ => digest(value),
    };
    let mut variables = environment
        .iter_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.as_encoded_bytes()))
        .filter(|(name, _)| counts(name))
        .map(|(name, value)| (name.clone(), steady(&name, value)))
        .collect::<BTreeMap<_, _>>();
    // Marked, because `[env]` does not replace a variable that is set, unless it is forced.
    for config in [&workspace.cargo_config, &command.config()] {
        let set = config.env().into_iter().map(|(name, value)| (format!("[env] {name}"), digest(value)));
        variables.extend(set);
    }
    variables
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use xtask_workspace::{Environment, Facts};

    use super::*;

    #[test]
    fn the_index_of_a_hook_has_another_name_each_time() {
        let of = |index: &str| {
            let workspace = Workspace {
                facts: Facts::default(),
                environment: [("GIT_INDEX_FILE", index)].into_iter().collect::<Environment>(),
                cargo_config: xtask_workspace::CargoConfig::default(),
                plan_key: digest(""),
            };
            variables(&workspace, &CargoCommand::new("/", ["test"]), &Verdicts::default())
        };
        assert_eq!(of(".git/next-index-12.lock"), of(".git/next-index-7.lock"));
        assert_ne!(of(".git/next-index-12.lock"), of(".git/index"));
    }

    #[test]
    fn what_differs_between_terminals_does_not_count_unless_it_is_watched() {
        let all = [
            ("PWD", "/a"),
            ("SSH_TTY", "/dev/pts/1"),
            ("GIT_AUTHOR_DATE", "@1796072987 +0000"),
            ("STARSHIP_SESSION_KEY", "1"),
            ("TERM", "xterm"),
            ("DATABASE_URL", "x"),
            ("BUILD_7", "7"),
            ("CARGO_TERM_COLOR", "always"),
        ];
        let environment = all.into_iter().collect::<Environment>();
        let workspace = Workspace {
            facts: Facts::default(),
            environment,
            cargo_config: xtask_workspace::CargoConfig::default(),
            plan_key: digest(""),
        };
        let mut command = CargoCommand::new("/", ["test"]);
        command.env.insert("OF_TIER".to_owned(), "1".to_owned());
        let mut verdicts = Verdicts::default();
        let names = |verdicts: &Verdicts| {
            variables(&workspace, &command, verdicts).into_keys().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(&verdicts), "BUILD_7 DATABASE_URL OF_TIER TERM");
        verdicts.ignore_env = vec!["BUILD_*".to_owned(), "TERM".to_owned()];
        verdicts.watch_env = vec!["TERM".to_owned(), "SSH_TTY".to_owned()];
        assert_eq!(names(&verdicts), "DATABASE_URL OF_TIER SSH_TTY TERM");
    }
}
