//! The `[affected]` table.

use super::problem::Problems;
use super::settings::Settings;
use super::types::Affected;

/// The settings of `[affected]`; the defaults without one.
pub(super) fn affected(file: Option<&Settings>, problems: &mut Problems<'_>) -> Affected {
    let Some(settings) = file else { return Affected::default() };
    if let Some(base) = settings.text("base").filter(|base| base.text.starts_with('-')) {
        let message = format!("{}: `{}` is no git revision", settings.label("base"), base.text);
        problems.add(base.offset, message, None);
    }
    for key in ["ignore", "global"] {
        for pattern in settings.list(key).unwrap_or_default() {
            if ["/", "./", "../"].iter().any(|start| pattern.text.starts_with(start)) {
                let message = format!("{}: `{}` never matches", settings.label(key), pattern.text);
                let hint = "patterns are relative to the workspace root, without a leading `/` or `./`";
                problems.add(pattern.offset, message, Some(hint.to_owned()));
            }
        }
    }
    Affected {
        base: settings.string("base"),
        ignore: settings.strings("ignore").unwrap_or_default(),
        global: settings.strings("global").unwrap_or_default(),
    }
}
