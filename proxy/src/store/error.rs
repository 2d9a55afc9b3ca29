//! Why the store does not open or answer.

use std::io;
use std::path::PathBuf;

use super::ledger::LedgerError;
use super::metadata::MetadataError;

/// Why the store does not open or answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The data folder.
    #[error("{} cannot be {action}: {source}", path.display())]
    Folder {
        /// File or folder.
        path: PathBuf,
        /// `created`, `read`, …
        action: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Another process has the store open.
    #[error(
        "the data folder {} is in use by another sealgate{}. Stop that one, or give this one a folder of its own",
        folder.display(), owner.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    Locked {
        /// Data folder.
        folder: PathBuf,
        /// Its process, where that can be told.
        owner: Option<u32>,
    },
    /// The folder was written by a newer build.
    #[error(
        "the data folder {} has format {found}, and this sealgate knows up to format {supported}. Start the newer sealgate again, or give \
         this one a folder of its own", folder.display()
    )]
    NewerFormat {
        /// Data folder.
        folder: PathBuf,
        /// Its format.
        found: u32,
        /// The newest that this build knows.
        supported: u32,
    },
    /// The `format` file says something else.
    #[error("{} is no format of a sealgate store: expected `sealgate store 1`, found {found:?}", path.display())]
    UnreadableFormat {
        /// The file.
        path: PathBuf,
        /// Its beginning.
        found: String,
    },
    /// There is a store, but its ledger is gone.
    #[error(
        "the data folder {} has a store, but its ledger is missing or empty. Restore the data folder from a backup, or move it away to begin \
         with an empty store", folder.display()
    )]
    LedgerMissing {
        /// Data folder.
        folder: PathBuf,
    },
    /// A restore into the folder was begun and did not end.
    #[error(
        "the data folder {} holds an unfinished restore. Run `sealgate store restore` again, or remove what is in the folder",
        folder.display()
    )]
    Restoring {
        /// Data folder.
        folder: PathBuf,
    },
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The index.
    #[error(transparent)]
    Index(#[from] MetadataError),
    /// The blobs.
    #[error("a blob cannot be read or written: {0}")]
    Blob(#[source] io::Error),
    /// A task ended early: the process is shutting down.
    #[error("the store is closing")]
    Closing,
}

impl StoreError {
    /// Whether the same call may succeed later without anybody's help: the disk is full, the ledger mends itself, the queue is long.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Ledger(LedgerError::Unavailable { .. } | LedgerError::Overloaded | LedgerError::Io { .. })
            | Self::Index(MetadataError::Io(_) | MetadataError::Full { .. } | MetadataError::Closed)
            | Self::Blob(_) => true,
            Self::Ledger(
                LedgerError::Damaged { .. }
                | LedgerError::UnknownEvent { .. }
                | LedgerError::Head { .. }
                | LedgerError::TooLarge { .. }
                | LedgerError::Closed,
            )
            | Self::Index(MetadataError::Damaged { .. } | MetadataError::Open { .. })
            | Self::Folder { .. }
            | Self::Locked { .. }
            | Self::NewerFormat { .. }
            | Self::UnreadableFormat { .. }
            | Self::LedgerMissing { .. }
            | Self::Restoring { .. }
            | Self::Closing => false,
        }
    }
}
