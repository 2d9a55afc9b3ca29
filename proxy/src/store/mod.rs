//! Blobs as files, the ledger as the truth, an index that can always be rebuilt (DESIGN §10).
//!
//! Read in this order: [`blob`] and [`ledger`] (what is kept), [`metadata`] (what is derived), `index` (how), [`Store`] (what the gate
//! calls). A write goes blob, ledger, index: a record never names bytes that are not durable, and the index never shows what is not
//! recorded. `data/` holds:
//!
//! ```text
//! format        "sealgate store 1"
//! lock          held while the store is open
//! blobs/        sha256/ab/<hex>
//! tmp/          blobs being written; emptied at start
//! quarantine/   bytes that no longer matched their digest
//! ledger/       <offset>.jsonl
//! index/        redb/ or sled/: may be deleted at any time while the gate is stopped
//! ```

pub mod blob;
pub mod blob_files;
pub mod blob_memory;
mod codec;
mod decisions;
pub mod error;
mod folder;
mod images;
mod index;
pub mod ledger;
pub mod metadata;
pub mod metadata_memory;
pub mod metadata_redb;
pub mod metadata_sled;
mod opening;
mod pushed;
pub mod records;
mod tags;
mod tokens;
pub mod write_behind;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use sealgate_config::IndexKind;
use sealgate_verifier::Timestamp;

use blob::BlobStore;
pub use error::StoreError;
use folder::FolderLock;
use index::Index;
use ledger::{Event, Ledger, Position};
pub use pushed::{Deleted, ManifestPush, PushError};
pub use records::{
    AttachmentRecord, DecisionRecord, EvidenceRecord, ManifestRecord, Outcome, PushedManifest, PushedTag, TagRecord, TokenRecord,
};

/// Format version of the data folder that this build writes.
pub const FORMAT: u32 = 1;
/// Locks over which the tags are spread, so that a tag's moves are recorded in the order in which they replace each other.
const TAG_LOCKS: usize = 64;
/// Locks over which the repositories are spread, so that a deletion sees every tag that points to what it deletes.
const PUSH_LOCKS: usize = 64;

/// How to open a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// Data folder. Made with mode 0700 where it does not exist.
    pub folder: PathBuf,
    /// Which engine holds the index.
    pub index: IndexKind,
}

/// What opening a store found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenReport {
    /// Whether the store is new.
    pub created: bool,
    /// Bytes of a torn last record that were cut off the ledger. It was never acknowledged.
    pub torn_bytes: u64,
    /// What became of the index.
    pub index: IndexState,
    /// Records that were read into the index.
    pub replayed: u64,
    /// Manifests in the ledger whose bytes are gone. Those of upstreams are left out of the index until they are fetched again.
    pub missing_manifests: u64,
    /// Unfinished blobs of the last run that were removed.
    pub leftovers: u64,
}

/// What became of the index at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexState {
    /// It showed the ledger's head, or lacked only its latest records.
    Kept,
    /// It was made from the ledger.
    Rebuilt {
        /// Why.
        reason: String,
    },
}

/// The store of a gate. Cheap to clone. Reads of the index are quick enough for an async task; what writes is async.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    blobs: Arc<dyn BlobStore>,
    ledger: Ledger,
    index: Arc<Index>,
    /// Held by whoever moves a tag, by hash of repository and tag.
    tag_locks: [tokio::sync::Mutex<()>; TAG_LOCKS],
    /// Held shared by whoever pushes to a repository, alone by whoever deletes from it.
    push_locks: [tokio::sync::RwLock<()>; PUSH_LOCKS],
    /// Writes the index now and then. Before `lock`, so that it stops first.
    flusher: Mutex<Option<opening::Flusher>>,
    /// Released at last.
    lock: Mutex<Option<FolderLock>>,
}

impl Store {
    /// Opens the store in a folder, or makes one. Takes the folder for this process alone, cleans up after a crash, checks the ledger's
    /// tail and brings the index up to it.
    ///
    /// # Errors
    /// Each names what to do: the folder is in use, has a newer format, its ledger is damaged or missing, or the disk fails.
    pub fn open(options: &StoreOptions) -> Result<(Self, OpenReport), StoreError> {
        opening::open(options)
    }

    /// A store that forgets: for `explain` and `verify` without a server, and for tests.
    #[must_use]
    pub fn in_memory() -> Self {
        let index = Arc::new(Index::new(Box::new(metadata_memory::MemoryMetadata::default())));
        let ledger = Ledger::in_memory();
        ledger.follow(index.clone());
        Self::assemble(Arc::new(blob_memory::MemoryBlobStore::default()), ledger, index, None, None)
    }

    fn assemble(
        blobs: Arc<dyn BlobStore>,
        ledger: Ledger,
        index: Arc<Index>,
        flusher: Option<opening::Flusher>,
        lock: Option<FolderLock>,
    ) -> Self {
        let tag_locks = std::array::from_fn(|_| tokio::sync::Mutex::new(()));
        let push_locks = std::array::from_fn(|_| tokio::sync::RwLock::new(()));
        let inner = Inner { blobs, ledger, index, tag_locks, push_locks, flusher: Mutex::new(flusher), lock: Mutex::new(lock) };
        Self { inner: Arc::new(inner) }
    }

    /// The blobs.
    #[must_use]
    pub fn blobs(&self) -> &Arc<dyn BlobStore> {
        &self.inner.blobs
    }

    /// The ledger, for `ledger verify` and backups.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.inner.ledger
    }

    /// The latest time that was ever recorded or noted: `now` must not run below it (DESIGN §5).
    #[must_use]
    pub fn high_water(&self) -> Timestamp {
        // An index that cannot be read says so when it is asked for more than the time.
        let noted = self.inner.index.noted_time().ok().flatten();
        noted.map_or(self.inner.ledger.high_water(), |noted| noted.max(self.inner.ledger.high_water()))
    }

    /// Notes that it is `now`, so that a start with an earlier clock makes nothing fresh again. Written with the next flush of the index.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn note_time(&self, now: Timestamp) -> Result<(), StoreError> {
        Ok(self.inner.index.note_time(now)?)
    }

    /// The last acknowledged record; export `seq:hash` to prove later that nothing was dropped.
    #[must_use]
    pub fn ledger_head(&self) -> Position {
        self.inner.ledger.head()
    }

    /// Whether records are taken. False while the disk is full or fails; it becomes true again by itself.
    #[must_use]
    pub fn writable(&self) -> bool {
        self.inner.ledger.trouble().is_none() && self.inner.index.accept().is_ok()
    }

    /// Why records are not taken, or what is wrong with the index, for the log and the pages; none while all is well.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let index = &self.inner.index;
        let full = || index.accept().err().map(|error| error.to_string());
        let failing = || index.is_failing().then(|| "the index cannot be written".to_owned());
        let damaged = || index.is_damaged().then(|| "the index is damaged; a restart rebuilds it".to_owned());
        self.inner.ledger.trouble().or_else(full).or_else(failing).or_else(damaged)
    }

    /// Makes the index durable. The ledger is already: this only shortens the next start. Blocks on the disk.
    ///
    /// # Errors
    /// I/O errors.
    pub fn flush(&self) -> Result<(), StoreError> {
        Ok(self.inner.index.flush()?)
    }

    /// Writes what waits, stops all threads and gives the folder free. Later writes are refused. Blocks on the disk.
    ///
    /// # Errors
    /// I/O errors of the last flush; the ledger is complete all the same.
    pub fn close(&self) -> Result<(), StoreError> {
        self.inner.close()
    }

    /// Records an event and waits until it is durable and shows in the index.
    async fn record(&self, now: Timestamp, event: Event) -> Result<(), StoreError> {
        self.inner.index.accept()?;
        self.inner.ledger.append(now, event).await?;
        Ok(())
    }
}

impl Inner {
    fn close(&self) -> Result<(), StoreError> {
        self.ledger.close();
        drop(self.flusher.lock().unwrap_or_else(PoisonError::into_inner).take());
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let flushed = if lock.is_some() { self.index.close() } else { Ok(()) };
        *lock = None;
        Ok(flushed?)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(%error, "the index could not be written at the end; the next start catches up from the ledger");
        }
    }
}
