//! The index: the contract. Everything in it can be had again from the ledger (DESIGN §10).
//!
//! Three engines fulfil it (redb, sled, memory) and one layer over any of them ([`super::write_behind`]). One suite of tests runs
//! against each.

use std::path::PathBuf;

use super::ledger::Checkpoint;

/// A table. The number is part of the format: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// repository, tag → [`super::records::TagRecord`] without its confirmations.
    Tags = 1,
    /// repository, tag → the last confirmation. No rebuild brings it back.
    TagConfirmations = 2,
    /// repository, digest → [`super::records::ManifestRecord`].
    Manifests = 3,
    /// repository, blob, manifest → nothing: which manifests list a blob.
    BlobListings = 4,
    /// repository, child, index → nothing: which indexes list a manifest.
    ChildListings = 5,
    /// repository, index → nothing.
    Indexes = 6,
    /// repository, blob → size: what the repository's upstream delivered or confirmed.
    Possessions = 7,
    /// repository, subject → [`super::records::EvidenceRecord`].
    Evidence = 8,
    /// repository, digest → id of the last decision.
    Verdicts = 9,
    /// id → [`super::records::DecisionRecord`].
    Decisions = 10,
    /// nothing → revision of the policy that was loaded last.
    Policies = 11,
    /// registry, blob → nothing: what any repository of the registry possesses. An index that was made before this table lacks
    /// entries; then the registry delivers once more.
    Deliveries = 12,
    /// nothing → the latest time that was noted. A rebuild does not bring it back; the ledger's own times remain.
    Clock = 13,
    /// id → [`super::records::TokenRecord`]: tokens that are not revoked.
    Tokens = 17,
    /// repository, digest → [`super::records::PushedManifest`]: what was pushed to the gate itself.
    PushedManifests = 14,
    /// repository, tag → [`super::records::PushedTag`].
    PushedTags = 15,
    /// repository, subject, manifest → nothing: pushed manifests about a subject.
    PushedReferrers = 16,
    /// repository, blob, hash of the pusher → nothing: who uploaded a blob.
    Uploads = 18,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 18] = [
        Self::Tags,
        Self::TagConfirmations,
        Self::Manifests,
        Self::BlobListings,
        Self::ChildListings,
        Self::Indexes,
        Self::Possessions,
        Self::Evidence,
        Self::Verdicts,
        Self::Decisions,
        Self::Policies,
        Self::Deliveries,
        Self::Clock,
        Self::Tokens,
        Self::PushedManifests,
        Self::PushedTags,
        Self::PushedReferrers,
        Self::Uploads,
    ];

    /// The table's name on disk.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tags => "tags",
            Self::TagConfirmations => "tag-confirmations",
            Self::Manifests => "manifests",
            Self::BlobListings => "blob-listings",
            Self::ChildListings => "child-listings",
            Self::Indexes => "indexes",
            Self::Possessions => "possessions",
            Self::Evidence => "evidence",
            Self::Verdicts => "verdicts",
            Self::Decisions => "decisions",
            Self::Policies => "policies",
            Self::Deliveries => "deliveries",
            Self::Clock => "clock",
            Self::Tokens => "tokens",
            Self::PushedManifests => "pushed-manifests",
            Self::PushedTags => "pushed-tags",
            Self::PushedReferrers => "pushed-referrers",
            Self::Uploads => "uploads",
        }
    }
}

/// A change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub table: Table,
    /// The key.
    pub key: Vec<u8>,
    /// The new value; none removes the key.
    pub value: Option<Vec<u8>>,
}

/// Changes that become visible together. The last change of a key counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    changes: Vec<Change>,
}

impl Batch {
    /// Sets a key.
    pub fn put(&mut self, table: Table, key: Vec<u8>, value: Vec<u8>) {
        self.changes.push(Change { table, key, value: Some(value) });
    }

    /// Removes a key.
    pub fn delete(&mut self, table: Table, key: Vec<u8>) {
        self.changes.push(Change { table, key, value: None });
    }

    /// The changes, in order.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changes, in order.
    #[must_use]
    pub fn into_changes(self) -> Vec<Change> {
        self.changes
    }
}

/// A key with its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Why the index did not answer.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// The disk.
    #[error("the index cannot be read or written: {0}")]
    Io(#[from] std::io::Error),
    /// What is stored contradicts itself. The index must be rebuilt.
    #[error("the index is damaged: {problem}")]
    Damaged {
        /// What contradicts what.
        problem: String,
    },
    /// The index could not be opened, and its files could not be moved away either.
    #[error("the index in {} cannot be opened: {problem}", folder.display())]
    Open {
        /// Where.
        folder: PathBuf,
        /// What the engine says.
        problem: String,
    },
    /// The engine is shut: after an error until it has opened its files again, or for good.
    #[error("the index is closed")]
    Closed,
    /// More unwritten changes than [`super::write_behind::BUFFER_BYTES`], because the disk takes none.
    #[error("the index holds {found} bytes of unwritten changes, over the limit of {limit}")]
    Full {
        /// Bytes.
        found: usize,
        /// The limit.
        limit: usize,
    },
}

impl MetadataError {
    /// Tells what the disk did from what a file's content did: engines report some damage (a short file, a wrong length) as I/O errors
    /// of their own making, and sled hands a system's error on without its number.
    pub(super) fn from_engine(error: std::io::Error) -> Self {
        use std::io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
        match error.kind() {
            InvalidData | InvalidInput | UnexpectedEof | Other if error.raw_os_error().is_none() => {
                Self::Damaged { problem: error.to_string() }
            }
            _ => Self::Io(error),
        }
    }
}

/// An index engine. Calls may block on the disk; single reads are quick enough for the hot path.
pub trait MetadataStore: Send + Sync + 'static {
    /// The value of a key.
    ///
    /// # Errors
    /// I/O errors and damage.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetadataError>;

    /// Up to `limit` entries whose keys start with `prefix` and come after the key `after`, in byte order.
    ///
    /// # Errors
    /// I/O errors and damage.
    fn scan(&self, table: Table, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, MetadataError>;

    /// Makes all changes visible, or none. With a checkpoint, that is stored in the same step: the state of the ledger that the index
    /// now shows. Durable after the next [`MetadataStore::flush`] at the latest.
    ///
    /// # Errors
    /// I/O errors. Nothing was changed then; or, after a crash, an earlier state may show again.
    fn apply(&self, batch: Batch, checkpoint: Option<Checkpoint>) -> Result<(), MetadataError>;

    /// The checkpoint that was stored last.
    ///
    /// # Errors
    /// I/O errors and damage.
    fn checkpoint(&self) -> Result<Option<Checkpoint>, MetadataError>;

    /// Makes everything applied so far durable.
    ///
    /// # Errors
    /// I/O errors.
    fn flush(&self) -> Result<(), MetadataError>;

    /// Removes everything, the checkpoint too.
    ///
    /// # Errors
    /// I/O errors.
    fn clear(&self) -> Result<(), MetadataError>;

    /// Flushes and gives the files free. Every later call answers [`MetadataError::Closed`], where there are files.
    ///
    /// # Errors
    /// I/O errors of the flush; the files are free all the same.
    fn close(&self) -> Result<(), MetadataError>;
}
