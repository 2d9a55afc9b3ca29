//! Results on stdout, diagnostics on stderr.

use std::io::{ErrorKind, IsTerminal, Write};

use clap::ValueEnum;
use serde::Serialize;

use super::exit::Failure;

/// The form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON document, or one on each line.
    Json,
}

/// Writes a result to stdout, ending it with a line feed. A reader that has gone away is no error.
///
/// # Errors
/// When stdout cannot be written.
pub fn result(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(newline.as_bytes())).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::error(format!("cannot write the result: {error}"))),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a result to stdout as one line of JSON.
///
/// # Errors
/// When stdout cannot be written.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    result(&serde_json::to_string(value).map_err(|error| Failure::error(format!("cannot write the result: {error}")))?)
}

/// Writes a diagnostic to stderr. There is nobody to tell when that fails.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Whether words on stdout are coloured: on a terminal, unless `NO_COLOR` is set and not empty (no-color.org) or `TERM` is `dumb`.
#[must_use]
pub fn coloured() -> bool {
    colours(std::io::stdout().is_terminal(), &super::environment)
}

fn colours(terminal: bool, environment: &dyn Fn(&str) -> Option<String>) -> bool {
    terminal && environment("NO_COLOR").is_none_or(|value| value.is_empty()) && environment("TERM").is_none_or(|term| term != "dumb")
}

/// Green for good and red for bad, by ECMA-48 SGR, where stdout is coloured.
#[must_use]
pub fn paint(word: &str, good: bool) -> String {
    match (coloured(), good) {
        (false, _) => word.to_owned(),
        (true, true) => format!("\x1b[32m{word}\x1b[0m"),
        (true, false) => format!("\x1b[31m{word}\x1b[0m"),
    }
}

#[cfg(test)]
mod tests {
    use super::colours;

    #[test]
    fn no_color_wins_over_a_terminal() {
        let with = |name: &'static str, value: &'static str| move |asked: &str| (asked == name).then(|| value.to_owned());
        assert!(colours(true, &|_| None));
        assert!(!colours(false, &|_| None));
        assert!(!colours(true, &with("NO_COLOR", "1")));
        assert!(colours(true, &with("NO_COLOR", "")));
        assert!(!colours(true, &with("TERM", "dumb")));
    }
}
