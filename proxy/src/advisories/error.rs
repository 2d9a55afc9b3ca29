//! Why advisories were not taken in, or cannot be read.

use std::io;
use std::path::{Path, PathBuf};

use sealgate_scanner::advisories::Ecosystem;

/// An import, an update or an index that failed. What was imported before stays.
#[derive(Debug, thiserror::Error)]
pub enum AdvisoryError {
    /// A file or folder.
    #[error("{path} cannot be {action}: {source}", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file that is no archive, or one that is not read.
    #[error("{path}: {problem}", path = path.display())]
    Archive {
        /// Which.
        path: PathBuf,
        /// What was expected and found.
        problem: String,
    },
    /// An index that cannot be written or read.
    #[error("the {ecosystem} index: {problem}")]
    Index {
        /// Whose.
        ecosystem: Ecosystem,
        /// What was expected and found.
        problem: String,
    },
    /// Another process imports.
    #[error("another import is under way in {folder}", folder = folder.display())]
    Locked {
        /// Where.
        folder: PathBuf,
    },
    /// Nothing to import.
    #[error("no records of a known ecosystem among {records} in {files} files")]
    Nothing {
        /// Records read.
        records: usize,
        /// Files seen.
        files: usize,
    },
    /// Records of several ecosystems, none of which all records speak of: part of a database must not pass for all of it.
    #[error("the records speak of {found} in parts; say which are complete: --ecosystem NAME")]
    Mixed {
        /// Ecosystems found.
        found: String,
    },
    /// An ecosystem that was asked for and is not there.
    #[error("no records of {ecosystem}")]
    Missing {
        /// Which.
        ecosystem: Ecosystem,
    },
    /// Too many records that cannot be read.
    #[error("{malformed} of {records} records are malformed, more than {limit} in 100: {first}")]
    Malformed {
        /// How many.
        malformed: usize,
        /// Of how many.
        records: usize,
        /// Most that are taken.
        limit: usize,
        /// The first, as an example.
        first: String,
    },
    /// A feed that lost most of its records.
    #[error("{ecosystem} has {found} records, and had {before}: expected at least half; --replace takes it nevertheless")]
    Shrunk {
        /// Whose.
        ecosystem: Ecosystem,
        /// Records now.
        found: usize,
        /// Records before.
        before: usize,
    },
    /// A feed older than the one that is there.
    #[error("the newest {ecosystem} record is of {found}, and {before} is here already; --replace takes it nevertheless")]
    Older {
        /// Whose.
        ecosystem: Ecosystem,
        /// Its newest change.
        found: String,
        /// The newest change that is here.
        before: String,
    },
    /// An export that could not be fetched.
    #[error("{url}: {problem}")]
    Fetch {
        /// Where from.
        url: String,
        /// What was expected and found.
        problem: String,
    },
}

impl AdvisoryError {
    pub(super) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, action, source }
    }

    pub(super) fn index(ecosystem: Ecosystem) -> impl Fn(redb::Error) -> Self {
        move |error| Self::Index { ecosystem, problem: error.to_string() }
    }
}
