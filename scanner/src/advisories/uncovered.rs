//! What the matcher could not judge: each is a gap, never a pass.

use serde::{Deserialize, Serialize};

use super::Ecosystem;
use crate::package::PackageType;

/// Why some packages are not judged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "uncovered", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Uncovered {
    /// A distribution's packages without a file that names the release.
    #[error("{count} {} packages, and no os-release file that names their release", kind.name())]
    UnknownRelease {
        /// Their kind.
        kind: PackageType,
        /// How many.
        count: usize,
    },
    /// No known advisories speak of the distribution.
    #[error("no known advisories cover {distribution}")]
    UnknownDistribution {
        /// As package URLs name it.
        distribution: String,
    },
    /// Packages of another kind than the distribution's own.
    #[error("{count} {} packages in an image of {ecosystem}", kind.name())]
    ForeignPackages {
        /// Their kind.
        kind: PackageType,
        /// The release's ecosystem.
        ecosystem: Ecosystem,
        /// How many.
        count: usize,
    },
    /// Advisories of the ecosystem are there, none about the release.
    #[error("the {ecosystem} advisories know no release {release}")]
    ReleaseWithoutFeed {
        /// The ecosystem.
        ecosystem: Ecosystem,
        /// The release.
        release: String,
    },
    /// The distribution does not look after the release any more, so that missing advisories mean nothing.
    #[error("{ecosystem} {release} has had no support since {since}")]
    EndOfLife {
        /// The ecosystem.
        ecosystem: Ecosystem,
        /// The release.
        release: String,
        /// The last moment of support, RFC 3339.
        since: String,
    },
    /// No advisories of the ecosystem were ever imported.
    #[error("no {ecosystem} advisories are imported, for {count} packages: run `sealgate advisories update {ecosystem}` or `import`")]
    NoAdvisories {
        /// The ecosystem.
        ecosystem: Ecosystem,
        /// How many packages need them.
        count: usize,
    },
    /// The advisories cannot be read.
    #[error("the {ecosystem} advisories cannot be read: {problem}")]
    UnreadableIndex {
        /// The ecosystem.
        ecosystem: Ecosystem,
        /// What failed.
        problem: String,
    },
    /// Advisories speak of the package, and its installed version is none that can be compared.
    #[error("{package} {version} cannot be compared with its advisories: {problem}")]
    Version {
        /// The package as its advisories name it.
        package: String,
        /// The installed version.
        version: String,
        /// What was expected and found.
        problem: String,
    },
    /// An advisory speaks of the package in a way that cannot be understood.
    #[error("{advisory} about {package} cannot be understood: {problem}")]
    Advisory {
        /// The package as its advisories name it.
        package: String,
        /// The advisory.
        advisory: String,
        /// What was expected and found.
        problem: String,
    },
}
