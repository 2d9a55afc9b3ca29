//! Why metadata is not taken in.

use std::fmt;

use crate::json::JsonError;
use crate::time::Timestamp;

/// The top-level roles (TUF specification, section 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoleName {
    /// Says whose keys count for each role.
    Root,
    /// Says which snapshot is the newest.
    Timestamp,
    /// Says which versions of the targets metadata belong together.
    Snapshot,
    /// Says which files there are.
    Targets,
}

impl RoleName {
    /// The specification's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Timestamp => "timestamp",
            Self::Snapshot => "snapshot",
            Self::Targets => "targets",
        }
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The first step of the workflow that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TufError {
    /// Not one JSON value with one meaning.
    #[error("{role} metadata: {error}")]
    Json {
        /// Of which role.
        role: RoleName,
        /// What is wrong.
        error: JsonError,
    },
    /// JSON that is no metadata of the role.
    #[error("{role} metadata: {problem}")]
    Malformed {
        /// Of which role.
        role: RoleName,
        /// What is wrong.
        problem: String,
    },
    /// Over a limit of [`crate::limits`].
    #[error("{what}: {found} bytes, over the limit of {limit}")]
    Oversized {
        /// Which file.
        what: String,
        /// Bytes.
        found: u64,
        /// Bytes.
        limit: usize,
    },
    /// Too few distinct keys signed.
    #[error("{role} metadata: signed by {found} of the keys that count, expected {needed}")]
    Threshold {
        /// Of which role.
        role: RoleName,
        /// The role's threshold.
        needed: u64,
        /// Distinct keys whose signature holds.
        found: u64,
    },
    /// One key id signed twice.
    #[error("{role} metadata: two signatures of one key id")]
    RepeatedSignature {
        /// Of which role.
        role: RoleName,
    },
    /// Roots follow each other without a gap.
    #[error("root metadata of version {found}, expected {expected}")]
    RootVersion {
        /// The trusted version plus one.
        expected: u64,
        /// What the new root says.
        found: u64,
    },
    /// A rollback: something older than what was trusted before.
    #[error("{what} of version {found}, older than version {trusted}, which was trusted before")]
    Rollback {
        /// Which file.
        what: String,
        /// The trusted version.
        trusted: u64,
        /// The version offered.
        found: u64,
    },
    /// A snapshot that forgets a file which was listed before.
    #[error("snapshot metadata no longer lists {file}")]
    Removed {
        /// The file.
        file: String,
    },
    /// Mix and match: not the version that the metadata above it names.
    #[error("{role} metadata of version {found}, expected {expected}")]
    Version {
        /// Of which role.
        role: RoleName,
        /// The version that is named.
        expected: u64,
        /// What the document says.
        found: u64,
    },
    /// Not the bytes that the metadata above it names.
    #[error("{what}: its {property} is not the one that is signed for")]
    Bytes {
        /// Which file.
        what: String,
        /// `length`, `sha256` or `sha512`.
        property: &'static str,
    },
    /// A freeze: metadata whose time is over.
    #[error("{role} metadata expired at {expires}")]
    Expired {
        /// Of which role.
        role: RoleName,
        /// When.
        expires: Timestamp,
    },
    /// Nothing lists the target, or nothing was taken in yet that could.
    #[error("no trusted metadata lists {what}")]
    NotListed {
        /// Which file.
        what: String,
    },
}
