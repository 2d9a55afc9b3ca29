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
//! access/       who pulled what; may be deleted at any time
//! ```

mod access_log;
pub mod backup;
pub mod blob;
pub mod blob_files;
pub mod blob_memory;
pub mod check;
mod codec;
mod decisions;
pub mod error;
pub mod export;
mod folder;
mod guarded;
pub mod house;
mod images;
mod index;
pub mod layout;
mod lease;
pub mod ledger;
pub mod metadata;
pub mod metadata_memory;
pub mod metadata_redb;
pub mod metadata_sled;
mod opening;
pub mod pruning;
mod pushed;
mod reach;
pub mod records;
pub mod room;
mod tags;
mod tokens;
pub mod usage;
pub mod write_behind;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use sealgate_config::IndexKind;
use sealgate_verifier::{Digest, Repository, Timestamp};

use access_log::AccessLog;
use blob::{BlobStore, StoredBlob};
pub use error::StoreError;
use folder::FolderLock;
use house::{Collected, Evicted, House, Roots};
use index::Index;
use lease::Leases;
use ledger::{Event, Ledger, Position};
pub use pushed::{Deleted, ManifestPush, PushError};
pub use records::{
    AttachmentRecord, DecisionRecord, EvidenceRecord, ManifestRecord, Outcome, PushedManifest, PushedTag, TagRecord, TokenRecord,
};

use room::{Bounds, Room, Volume};

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
    /// How much it may hold.
    pub bounds: Bounds,
}

impl StoreOptions {
    /// With the default bounds.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, index: IndexKind) -> Self {
        Self { folder: folder.into(), index, bounds: Bounds::default() }
    }
}

/// How much a store holds and may hold, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// Bytes of blobs, unfinished ones included.
    pub used: u64,
    /// Most bytes of blobs, where that is bounded.
    pub limit: Option<u64>,
    /// Bytes that are free on the volume.
    pub free: u64,
    /// Bytes of the volume that blobs leave free.
    pub reserve: u64,
    /// Writes that found no room since the start.
    pub refused: u64,
    /// What was evicted since the start.
    pub evicted: Evicted,
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
    ledger: Arc<Ledger>,
    index: Arc<Index>,
    leases: Arc<Leases>,
    house: Arc<House>,
    /// Data folder; none in memory.
    data: Option<PathBuf>,
    /// None in memory.
    access: Option<AccessLog>,
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
        let blobs: Arc<dyn BlobStore> = Arc::new(blob_memory::MemoryBlobStore::default());
        Self::assemble(blobs, ledger, index, Bounds { reserve: Some(0), ..Bounds::default() }, None)
    }

    fn assemble(blobs: Arc<dyn BlobStore>, ledger: Ledger, index: Arc<Index>, bounds: Bounds, disk: Option<opening::Disk>) -> Self {
        let leases = Arc::new(Leases::new(bounds.lease));
        let folder = disk.as_ref().map_or_else(|| PathBuf::from("/"), |disk| disk.folder.clone());
        let room = Arc::new(Room::new(folder, bounds));
        let guarded = guarded::GuardedBlobs { inner: blobs, leases: leases.clone(), room: room.clone() };
        let (blobs, ledger): (Arc<dyn BlobStore>, _) = (Arc::new(guarded), Arc::new(ledger));
        let house = Arc::new(House::new(blobs.clone(), index.clone(), ledger.clone(), leases.clone(), room.clone()));
        let maker: std::sync::Weak<House> = Arc::downgrade(&house);
        room.set_maker(maker);
        let data = disk.as_ref().map(|disk| disk.folder.clone());
        let access = disk.as_ref().map(|disk| AccessLog::new(&disk.folder));
        let (flusher, lock) = disk.map(|disk| (disk.flusher, disk.lock)).unzip();
        let tag_locks = std::array::from_fn(|_| tokio::sync::Mutex::new(()));
        let push_locks = std::array::from_fn(|_| tokio::sync::RwLock::new(()));
        let (flusher, lock) = (Mutex::new(flusher), Mutex::new(lock));
        let inner = Inner { blobs, ledger, index, leases, house, data, access, tag_locks, push_locks, flusher, lock };
        Self { inner: Arc::new(inner) }
    }

    /// The blobs.
    #[must_use]
    pub fn blobs(&self) -> &Arc<dyn BlobStore> {
        &self.inner.blobs
    }

    /// Says what the index does not know about what must stay. Once.
    pub fn set_roots(&self, roots: Arc<dyn Roots>) {
        self.inner.house.set_roots(roots);
    }

    /// Renews the lease of a blob or manifest: until it ends, nothing of it is evicted or collected.
    pub fn touch(&self, digest: &Digest) {
        self.inner.leases.touch(digest);
    }

    /// The blob with a reader that keeps it from being removed until it is dropped.
    #[must_use]
    pub fn held(&self, digest: &Digest, blob: StoredBlob) -> StoredBlob {
        self.inner.leases.held(digest, blob)
    }

    /// Notes in the access log that a manifest was pulled.
    pub fn note_pull(&self, repository: &Repository, digest: &Digest, by: Option<&str>) {
        if let Some(access) = &self.inner.access {
            access.note(repository, digest, by);
        }
    }

    /// What is to be done now and then: writes who used what, and makes room where it is short. Blocks on the disk.
    pub fn keep_house(&self, now: Timestamp) {
        let house = &self.inner.house;
        house.note_uses();
        if let Some(Err(error)) = self.inner.access.as_ref().map(|access| access.flush(now)) {
            tracing::warn!(%error, "the access log could not be written");
        }
        // An obstacle remains where nothing may be evicted; whoever writes is told.
        if house.room.obstacle(0).is_some() {
            room::MakesRoom::make_room(&**house, 0);
        }
    }

    /// Counts the blobs, for the limit and for [`Store::fill`]. Blocks on the disk.
    ///
    /// # Errors
    /// I/O errors.
    pub fn count(&self) -> Result<(), StoreError> {
        self.inner.house.count()
    }

    /// How much there is, and how much there may be.
    #[must_use]
    pub fn fill(&self) -> Fill {
        let Inner { house, .. } = &*self.inner;
        let volume = house.room.volume().unwrap_or(Volume { free: 0, size: 0 });
        Fill {
            used: house.room.used(),
            limit: house.room.bounds().max_size,
            free: volume.free,
            reserve: house.room.reserve(volume),
            refused: house.room.refused(),
            evicted: house.evicted(),
        }
    }

    /// Removes blobs that nobody refers to and that were not used for `age`, or only says what would go. Blocks on the disk.
    ///
    /// # Errors
    /// The index or the ledger fails; what was removed until then is gone.
    pub fn collect_garbage(&self, age: std::time::Duration, dry_run: bool) -> Result<Collected, StoreError> {
        self.inner.house.collect(age, dry_run)
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
