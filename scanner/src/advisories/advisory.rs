//! What is kept of an advisory: one [`Entry`] for each package that it speaks of, complete in itself.

use sealgate_verifier::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Ecosystem, Range, Rating};

/// What an advisory says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Advisory {
    /// Identifier, for example `GHSA-…`, `DSA-…` or `CVE-…`.
    pub id: String,
    /// Other identifiers of the same vulnerability.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Vulnerabilities that it is about, where it is a distribution's advisory about several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstream: Vec<String>,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// When it was published; none where the database does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Timestamp>,
    /// When it last changed; none where the database does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<Timestamp>,
}

/// What an advisory says of one package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Affected {
    /// Ecosystem.
    pub ecosystem: Ecosystem,
    /// Release of a distribution, as [`super::support::release_of_suffix`] writes it; none for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Name, as [`Ecosystem::key`] writes it. A distribution's is the source package's.
    pub name: String,
    /// Ranges of affected versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<Range>,
    /// Single affected versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    /// How severe it is for this package.
    pub rating: Rating,
    /// When a fixed version was first seen; none without one, or where the time is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix_available: Option<Timestamp>,
    /// Why versions cannot be compared with it. Such an entry is a gap for its package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// An advisory's word on one package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The advisory.
    pub advisory: Advisory,
    /// The package.
    pub affected: Affected,
}

impl Affected {
    /// Whether any range names a fixed version.
    #[must_use]
    pub fn has_fix(&self) -> bool {
        self.ranges.iter().any(Range::has_fix)
    }
}
