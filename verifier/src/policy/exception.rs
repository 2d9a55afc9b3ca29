//! What is let pass for a while, by whose decision and why (`exceptions`).

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::reference::Repository;
use crate::time::Timestamp;

/// Seconds for which signatures may be waived.
pub const BREAK_GLASS_SECONDS: i64 = 7 * 86_400;
/// Seconds before its end from which on an exception is warned about: a sprint.
pub const ENDS_SOON_SECONDS: i64 = 14 * 86_400;

/// One exception. It waives what it names and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// The repository, by its canonical name.
    pub repository: Repository,
    /// The image in it, or an index whose children it covers; `None`: everything in the repository.
    pub digest: Option<Digest>,
    /// What it waives.
    pub waive: Waived,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// Before this time it does not count.
    pub from: Option<Timestamp>,
    /// From this time on it does not count.
    pub expires: Timestamp,
}

/// What an exception waives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waived {
    /// These vulnerabilities, by their CVE ids, or by the advisory's own id where it has none. A finding is waived when each of its
    /// CVEs is. Never empty.
    Vulnerabilities(BTreeSet<String>),
    /// Every `signed-by` ("break-glass"), for at most [`BREAK_GLASS_SECONDS`].
    SignedBy,
}

/// Where an exception stands in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExceptionState {
    /// It does not count yet.
    NotYet,
    /// It counts.
    Active,
    /// It counts, for less than [`ENDS_SOON_SECONDS`].
    EndsSoon,
    /// It counts no more.
    Ended,
}

impl Exception {
    /// Whether it counts at `now`. Its first second counts, its end does not.
    #[must_use]
    pub fn counts_at(&self, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now) && now < self.expires
    }

    /// Where it stands at `now`.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> ExceptionState {
        if now >= self.expires {
            ExceptionState::Ended
        } else if !self.counts_at(now) {
            ExceptionState::NotYet
        } else if self.expires.since(now) < ENDS_SOON_SECONDS {
            ExceptionState::EndsSoon
        } else {
            ExceptionState::Active
        }
    }

    /// What it is about, as a policy names it.
    #[must_use]
    pub fn image(&self) -> String {
        self.digest.map_or_else(|| self.repository.to_string(), |digest| format!("{}@{digest}", self.repository))
    }

    /// What is wrong with it by itself, and how to mend that.
    pub(super) fn problem(&self) -> Option<&'static str> {
        if matches!(&self.waive, Waived::Vulnerabilities(ids) if ids.is_empty()) {
            return Some("`waive` is empty: name the CVEs, or `signed-by`");
        }
        if self.reason.trim().is_empty() || self.owner.trim().is_empty() {
            return Some("an exception without a reason or an owner: say both");
        }
        if self.from.is_some_and(|from| from >= self.expires) {
            return Some("the exception ends before it begins: correct `from` or `expires`");
        }
        match (&self.waive, self.from) {
            (Waived::SignedBy, None) => Some("`signed-by` is waived for at most 7 days: add `from`, its first day"),
            (Waived::SignedBy, Some(from)) if self.expires.since(from) > BREAK_GLASS_SECONDS => {
                Some("`signed-by` is waived for over 7 days: shorten the time from `from` to `expires`, or sign the image")
            }
            (Waived::SignedBy | Waived::Vulnerabilities(_), _) => None,
        }
    }
}

impl fmt::Display for Waived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vulnerabilities(ids) => f.write_str(&ids.iter().cloned().collect::<Vec<_>>().join(", ")),
            Self::SignedBy => f.write_str("signed-by"),
        }
    }
}
