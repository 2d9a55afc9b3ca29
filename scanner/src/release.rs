//! The distribution's release, as its os-release file names it (os-release(5)).

use serde::{Deserialize, Serialize};

/// Which distribution an image is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// `ID`: the distribution, lower case, for example `debian`, `alpine`, `rhel`.
    pub id: String,
    /// `VERSION_ID`, for example `12` or `3.19.1`; empty for rolling releases.
    #[serde(default)]
    pub version_id: String,
    /// `ID_LIKE`: related distributions, the closest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub id_like: Vec<String>,
    /// `VERSION_CODENAME`, for example `bookworm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codename: Option<String>,
    /// `PRETTY_NAME`, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pretty_name: Option<String>,
}

impl Release {
    /// `ID-VERSION_ID`, as package URLs name a release in their qualifier `distro`; `ID` alone for a rolling release.
    #[must_use]
    pub fn distro(&self) -> String {
        if self.version_id.is_empty() { self.id.clone() } else { format!("{}-{}", self.id, self.version_id) }
    }
}
