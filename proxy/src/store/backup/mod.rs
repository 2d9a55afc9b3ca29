//! Backups: a copy of the blobs and of the ledger up to a record that was acknowledged, complete and proven before it counts as one.
//!
//! Blobs are named by their digests and the ledger only grows, so that a copy is consistent while the gate serves: the head is taken
//! first, and every blob that a record up to it names was durable before that record. What is evicted meanwhile counts as missing in
//! the copy and is fetched again. The index is left out: a restored store makes its own.
//!
//! ```text
//! backup.json   what this is: head of the ledger, hash of the list. Written last; without it there is no backup
//! blobs.list    digest and size of each blob, a line each
//! ledger/       <offset>.jsonl
//! blobs/        as in the store
//! ```

mod restore;
pub(in crate::store) mod sink;
pub(in crate::store) mod source;
mod write;

use std::io;
use std::path::PathBuf;

use sealgate_verifier::Digest;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::ledger::{LedgerError, Position};

pub use restore::{RESTORING, restore};
pub use write::{BackupOptions, back_up};

/// What the first field of `backup.json` says.
const KIND: &str = "sealgate backup 1";
/// The file that makes it a backup.
const MANIFEST: &str = "backup.json";
/// The list of blobs.
const LIST: &str = "blobs.list";
/// Bytes of `backup.json`: it has a dozen fields.
const MANIFEST_BYTES: u64 = 64 * 1024;
/// Bytes of the list: 150 for each of ten million blobs.
const LIST_BYTES: u64 = 1_500_000_000;
/// Bytes that are copied and hashed at a time.
const PIECE: usize = 256 * 1024;

/// `backup.json`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Manifest {
    /// [`KIND`].
    pub kind: String,
    /// Format of the data folder that it is of.
    pub format: u32,
    /// The last record of the ledger.
    pub head: Position,
    /// Blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// SHA-256 of the list of blobs.
    pub list: Digest,
}

/// What a backup holds, and how it came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct BackedUp {
    /// `backup.json`
    #[serde(flatten)]
    pub manifest: Manifest,
    /// Blobs whose bytes were copied.
    pub copied: u64,
    /// Blobs that are links to the files of an earlier backup or of the store.
    pub linked: u64,
    /// Blobs that do not match their digests, and so were left out.
    pub damaged: Vec<Digest>,
}

/// Why there is no backup, or why one is not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file or folder.
    #[error("{} cannot be {action}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// `read`, `written`, …
        action: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The folder has something in it.
    #[error("{} is not empty: {found:?} is there. Name a folder that does not exist yet", path.display())]
    NotEmpty {
        /// Which.
        path: PathBuf,
        /// Something in it.
        found: String,
    },
    /// It is no backup, or was not finished.
    #[error("{} is no finished backup or layout: {problem}", path.display())]
    NoBackup {
        /// Which.
        path: PathBuf,
        /// What is missing.
        problem: String,
    },
    /// It is of a newer version.
    #[error("the backup is of a newer sealgate (format {found}); this one knows up to format {supported}")]
    Newer {
        /// Its format.
        found: u32,
        /// The newest that this build knows.
        supported: u32,
    },
    /// It is not what was backed up.
    #[error("damaged: {problem}")]
    Damaged {
        /// What was expected and found.
        problem: String,
    },
    /// Its ledger.
    #[error("damaged: {0}")]
    Ledger(#[source] LedgerError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BackupError {
    pub(in crate::store) fn file(path: impl Into<PathBuf>, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, action, source }
    }

    pub(in crate::store) fn damaged(problem: impl Into<String>) -> Self {
        Self::Damaged { problem: problem.into() }
    }
}

/// Hears of bytes done, of how many.
pub type OnProgress<'a> = &'a dyn Fn(u64, u64);
