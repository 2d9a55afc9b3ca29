//! Credentials that an image carries: in any layer's files, those that a later layer deletes included, and in its
//! configuration, which everybody who may pull it can read.
//!
//! A finding never holds the secret: an excerpt shows its fixed beginning, the name it was assigned to, and its length.
//! Detectors and their measured precision and recall: `scanner/SECRETS.md`.

use serde::{Deserialize, Serialize};

mod assignment;
mod encoding;
mod private_key;
mod search;
mod structured;
mod token;

pub(crate) use assignment::{is_configuration, is_password_file};
pub(crate) use search::Search;

/// Findings in one file. One is enough to refuse it; a list of test keys has hundreds.
const FILE_FINDINGS: usize = 100;

/// A credential.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Secret {
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
    /// What it is, for example `private-key`, `github-token`; see [`kinds`].
    pub kind: String,
    /// Its fixed beginning or the name it was assigned to, and how many characters were left out.
    pub excerpt: String,
}

/// Where a credential is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase", tag = "place")]
pub enum Place {
    /// In a file.
    File {
        /// The layer.
        layer: usize,
        /// Path.
        path: String,
        /// Line, counted from 1.
        line: u64,
        /// Whether the image no longer shows the file: its layer still has it.
        deleted: bool,
    },
    /// In a variable of the configured environment.
    Environment {
        /// Its name.
        name: String,
    },
    /// In the build history, or the configured command.
    History {
        /// The step, counted from 0.
        step: usize,
    },
    /// In a label.
    Label {
        /// Its key.
        name: String,
    },
    /// In the configured entrypoint, command or health check.
    Command,
}

/// A credential in a text: what it is, where, and what may be shown of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit {
    pub kind: &'static str,
    /// Offsets of the whole credential.
    pub start: usize,
    pub end: usize,
    pub excerpt: String,
}

impl Hit {
    /// A credential of which `shown`, which is no secret, is told.
    fn new(kind: &'static str, start: usize, end: usize, shown: &str) -> Self {
        let shown: String = shown.chars().filter(|character| !character.is_control()).take(sealgate_verifier::limits::QUOTED).collect();
        let hidden = (end - start).saturating_sub(shown.len());
        Self { kind, start, end, excerpt: format!("{shown}…[{hidden}]") }
    }
}

/// The credentials in a text of the image's configuration, in order and apart.
pub(crate) fn in_text(text: &str) -> Vec<Hit> {
    let mut search = Search::new(true, false);
    search.feed(text.as_bytes());
    let mut hits: Vec<Hit> = search.finish().into_iter().map(|(_, hit)| hit).collect();
    hits.sort_by_key(|hit| (hit.start, usize::MAX - hit.end));
    let mut end = 0;
    hits.retain(|hit| {
        let apart = hit.start >= end;
        end = end.max(hit.end);
        apart
    });
    hits
}

/// `text` with every credential in it replaced by its excerpt.
pub(crate) fn redacted(text: &str, hits: &[Hit]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    for hit in hits {
        shown.push_str(text.get(at..hit.start).unwrap_or_default());
        shown.push_str(&hit.excerpt);
        at = hit.end;
    }
    shown.push_str(text.get(at..).unwrap_or_default());
    shown
}

/// Every kind of credential that is looked for, with what makes it one.
#[must_use]
pub fn kinds() -> Vec<(&'static str, &'static str)> {
    let mut kinds = vec![
        ("private-key", "PEM or OpenSSH or PGP private key with a body in base64; PuTTY keys"),
        ("aws-secret-key", "40 characters of base64 assigned to a name of AWS's secret access key"),
        ("azure-storage-key", "`AccountKey=` and 64 bytes in base64"),
        ("docker-auth", "`auth` under `auths`: base64 of user and password"),
        ("jwt", "three parts of base64url, the first two JSON objects, the first with `alg`"),
        ("slack-webhook", "hooks.slack.com/services/ with workspace, hook and key"),
        ("url-password", "a URL with a user's password that is no placeholder; configuration files and the image's configuration"),
        ("assigned-secret", "a value of enough entropy assigned to a name of a password, token or key; the same places"),
        ("password-hash", "a crypt(5) hash in shadow or htpasswd files"),
    ];
    kinds.extend(token::TOKENS.iter().map(|token| (token.kind, token.what)));
    kinds.sort_unstable();
    kinds.dedup_by_key(|(kind, _)| *kind);
    kinds
}

#[cfg(test)]
mod tests;
