//! What the demo prints: a table, and the commands to try it by hand.

use std::fmt::Write;

use super::Row;
use super::cast::{REGISTRY, TAG};
use super::pull::Outcome;
use super::setting::{self, Setting};

/// Columns of a line of text.
const WIDTH: usize = 100;

/// What happened, for each image.
pub fn text(setting: &Setting, rows: &[Row]) -> String {
    let mut text = String::new();
    let mut line = |line: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{line}");
    };
    line("Sealgate demo");
    line(&format!("  upstream registry  http://{}   as it could be anywhere, with good and bad images", setting.upstream()));
    line(&format!("  the gate           http://{}   in front of it, with this trust policy:", setting.gate()));
    line("");
    for policy in setting::policy().lines() {
        line(&format!("    {policy}"));
    }
    line("");
    let image = rows.iter().map(|row| row.image.len()).max().unwrap_or(0);
    let about = rows.iter().map(|row| row.about.len()).max().unwrap_or(0);
    line(&format!("  {:image$}  {:about$}  {:8}  ANSWER", "IMAGE", "WHAT IT IS", "STATUS"));
    for row in rows {
        line(&format!("  {:image$}  {:about$}  {:8}  {}", row.image, row.about, status(&row.outcome), verdict(row)));
        for reason in wrap(reason(&row.outcome), WIDTH - 6) {
            line(&format!("      {reason}"));
        }
    }
    line("");
    let refused = rows.iter().filter(|row| !matches!(row.outcome, Outcome::Pulled { .. })).count();
    line(&format!("  {} images: {} pulled, {refused} refused", rows.len(), rows.len() - refused));
    text
}

fn verdict(row: &Row) -> &'static str {
    match (&row.outcome, row.as_expected()) {
        (Outcome::Pulled { .. }, true) => "admitted",
        (Outcome::Refused { .. }, true) => "denied",
        (Outcome::Cut { .. }, true) => "cut",
        (_, true) => "done",
        (_, false) => "NOT AS EXPECTED",
    }
}

fn status(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Pulled { .. } => "200".to_owned(),
        Outcome::Refused { status, .. } => status.as_u16().to_string(),
        Outcome::Cut { .. } => "200, cut".to_owned(),
        Outcome::Failed { .. } => "-".to_owned(),
    }
}

fn reason(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Pulled { blobs, bytes } => format!("every byte arrived and matches its digest: 1 manifest, {blobs} blobs, {bytes} bytes"),
        Outcome::Refused { reason, .. } | Outcome::Cut { reason } | Outcome::Failed { reason } => reason.clone(),
    }
}

/// Lines of at most `width` characters, broken at spaces where there are any.
fn wrap(text: String, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Commands for another terminal.
pub fn by_hand(setting: &Setting) -> String {
    let (gate, admin, folder) = (setting.gate(), setting.admin(), setting.folder().display());
    format!(
        "  Try it by hand, from another terminal:

    docker pull {gate}/demo/signed:{TAG}
    docker pull {gate}/demo/unsigned:{TAG}
    crane pull --insecure {gate}/demo/signed:{TAG} signed.tar
    curl -i http://{gate}/v2/demo/unsigned/manifests/{TAG}
    curl http://{admin}/metrics
    sealgate explain --config {folder}/sealgate.yaml {REGISTRY}/demo/unsigned:{TAG}
    cosign verify --key {folder}/ci.pub --insecure-ignore-tlog=true --allow-http-registry {gate}/demo/signed:{TAG}

  Edit {folder}/trust-policy.yaml and reload it:

    curl -X POST --unix-socket {folder}/data/control.sock http://localhost/reload

  Ctrl-C ends the demo and removes {folder}."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_reasons_are_wrapped_and_no_word_is_lost() {
        assert_eq!(wrap("aa bb cccccc d".to_owned(), 5), ["aa bb", "cccccc", "d"]);
        assert_eq!(wrap(String::new(), 5), Vec::<String>::new());
    }
}
