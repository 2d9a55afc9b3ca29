//! What is wrong with an image's packages: the one type that the built-in matcher and outside scanners' reports end in.

use std::cmp::Reverse;

use sealgate_verifier::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Feed, Rating, Uncovered};
use crate::package::Location;

/// One vulnerability of one package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The CVE where there is one, else the advisory's own identifier.
    pub id: String,
    /// The advisories that say so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advisories: Vec<String>,
    /// Other identifiers of the same vulnerability.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The package as its advisories name it: a distribution's source package.
    pub package: String,
    /// The installed version of it.
    pub installed: String,
    /// Package URLs of what is installed of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purls: Vec<String>,
    /// Versions that fix it; empty where none is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixed: Vec<String>,
    /// How severe, and who says so.
    #[serde(flatten)]
    pub rating: Rating,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// When it was published.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_time")]
    pub published: Option<Timestamp>,
    /// When a fix was first seen; none where there is none or nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_time")]
    pub fix_available: Option<Timestamp>,
    /// Where it is installed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<Location>,
}

impl Finding {
    /// Whether `id` names this vulnerability.
    #[must_use]
    pub fn is(&self, id: &str) -> bool {
        self.id == id || self.aliases.iter().any(|alias| alias == id)
    }
}

/// Puts findings into their one order: worst first, then by identifier, package and version.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by(|left, right| {
        let names = |finding: &Finding| (finding.id.clone(), finding.package.clone(), finding.installed.clone(), finding.purls.clone());
        let bad = |finding: &Finding| (finding.rating.severity, Reverse(finding.rating.score));
        bad(left).cmp(&bad(right)).then_with(|| names(left).cmp(&names(right)))
    });
}

/// What the matcher says of an image's packages.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MatchReport {
    /// Worst first.
    pub findings: Vec<Finding>,
    /// What could not be judged.
    pub uncovered: Vec<Uncovered>,
    /// The advisories that were compared with, with their age.
    pub feeds: Vec<Feed>,
}

/// A time as RFC 3339, for people and programs.
pub mod time {
    use sealgate_verifier::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes it.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(time)
    }

    /// Reads it.
    ///
    /// # Errors
    /// No RFC 3339 time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::from_rfc_3339(&text).ok_or_else(|| D::Error::custom("expected an RFC 3339 time"))
    }
}

/// A time that may be missing, as RFC 3339.
pub mod optional_time {
    use sealgate_verifier::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes it.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.collect_str(time),
            None => serializer.serialize_none(),
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// No RFC 3339 time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| Timestamp::from_rfc_3339(&text).ok_or_else(|| D::Error::custom("expected an RFC 3339 time"))).transpose()
    }
}
