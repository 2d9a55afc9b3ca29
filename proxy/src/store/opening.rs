//! Opening a store: lock, format, blobs, index, ledger, and the index brought up to the ledger.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sealgate_config::IndexKind;
use sealgate_verifier::{Digest, Timestamp};

use super::backup::RESTORING;
use super::blob::BlobStore;
use super::blob_files::FileBlobStore;
use super::folder::{self, FolderLock};
use super::index::{Index, fold};
use super::ledger::{self, Checkpoint, Event, Ledger, Position, Recovery};
use super::metadata::{Batch, MetadataError, MetadataStore};
use super::metadata_redb::RedbMetadata;
use super::metadata_sled::SledMetadata;
use super::{FORMAT, IndexState, OpenReport, Store, StoreError, StoreOptions};

/// How long a change of the index may wait for the disk. The ledger has it already.
const FLUSH_EVERY: Duration = Duration::from_secs(5);
/// Bytes of unwritten changes that bring the next flush forward.
const FLUSH_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of changes that a replay gathers for each flush: every flush of redb saves its allocator's state, so few are quick.
const REPLAY_BYTES: usize = 24 * 1024 * 1024;
/// Pause after a flush that failed.
const RETRY: Duration = Duration::from_secs(1);
/// How often the flusher looks.
const FLUSH_TICK: Duration = Duration::from_millis(500);
/// Records that go into the index at once in a replay.
const REPLAY_BATCH: usize = 2_000;

pub(super) fn open(options: &StoreOptions) -> Result<(Store, OpenReport), StoreError> {
    let data = &options.folder;
    folder::create(data)?;
    folder::warn_if_open(data);
    let lock = FolderLock::take(data)?;
    if data.join(RESTORING).exists() {
        return Err(StoreError::Restoring { folder: data.clone() });
    }
    let format = folder::format(data)?;
    let (blobs, leftovers) = FileBlobStore::open(data).map_err(StoreError::Blob)?;
    let blobs: Arc<dyn BlobStore> = Arc::new(blobs);
    let mut opened = open_index(data, options.index)?;
    let ledger_folder = data.join("ledger");
    ledger::settle(&ledger_folder)?;
    let (ledger, recovery) = Ledger::open(&ledger_folder, opened.checkpoint)?;
    match (format, ledger.head().seq) {
        (Some(_), 0) => return Err(StoreError::LedgerMissing { folder: data.clone() }),
        (Some(_), _) => {}
        (None, 0) => {
            ledger.append_blocking(Timestamp(0), Event::StoreCreated { format: FORMAT })?;
            folder::write_format(data)?;
        }
        // The store's making was interrupted after the first record, or the file was lost: the ledger says what it is.
        (None, _) => folder::write_format(data)?,
    }
    let created = format.is_none() && ledger.head().seq == 1;
    let (state, replay) = bring_up(&mut opened, &ledger, &recovery, &blobs, created)?;
    let index = Arc::new(opened.index);
    ledger.follow(index.clone());
    let report = OpenReport {
        created,
        torn_bytes: recovery.torn_bytes,
        index: state,
        replayed: replay.records,
        missing_manifests: replay.missing_manifests,
        leftovers,
    };
    let flusher = Flusher::start(index.clone(), data.join("index").join(DAMAGED)).map_err(|source| StoreError::Folder {
        path: data.clone(),
        action: "served",
        source,
    })?;
    let disk = Disk { folder: data.clone(), flusher, lock };
    Ok((Store::assemble(blobs, ledger, index, options.bounds, Some(disk)), report))
}

/// What only a store on a disk has.
pub(super) struct Disk {
    pub(super) folder: std::path::PathBuf,
    pub(super) flusher: Flusher,
    pub(super) lock: FolderLock,
}

struct OpenIndex {
    index: Index,
    checkpoint: Option<Checkpoint>,
    /// Why the index had to be begun anew.
    reason: Option<String>,
}

/// Opens the engine; one that is damaged is moved away and begun anew.
fn open_index(data: &Path, kind: IndexKind) -> Result<OpenIndex, StoreError> {
    let parent = data.join("index");
    folder::create(&parent)?;
    let name = match kind {
        IndexKind::Redb => "redb",
        IndexKind::Sled => "sled",
    };
    let home = parent.join(name);
    let marker = parent.join(DAMAGED);
    let known = marker.exists().then(|| "the last run met damage in it".to_owned());
    let existed = home.exists();
    let attempt = match &known {
        Some(reason) => Err(MetadataError::Damaged { problem: reason.clone() }),
        None => open_engine(&home, kind),
    };
    let (index, checkpoint, reason) = match attempt {
        Ok((index, Some(checkpoint))) => (index, Some(checkpoint), None),
        Ok((index, None)) => {
            index.clear()?;
            (index, None, Some(if existed { "it was not finished" } else { "it is missing" }.to_owned()))
        }
        Err(MetadataError::Damaged { problem }) => {
            folder::move_away(&home)?;
            let (index, checkpoint) = open_engine(&home, kind)?;
            (index, checkpoint, Some(problem))
        }
        Err(error) => return Err(error.into()),
    };
    if known.is_some() {
        let _ = std::fs::remove_file(&marker);
    }
    Ok(OpenIndex { index, checkpoint, reason })
}

fn open_engine(home: &Path, kind: IndexKind) -> Result<(Index, Option<Checkpoint>), MetadataError> {
    let engine: Box<dyn MetadataStore> = match kind {
        IndexKind::Redb => Box::new(RedbMetadata::open(home)?),
        IndexKind::Sled => Box::new(SledMetadata::open(home)?),
    };
    let checkpoint = engine.checkpoint()?;
    Ok((Index::new(engine), checkpoint))
}

/// The file that tells the next start that this run met damage in the index.
const DAMAGED: &str = "damaged";

#[derive(Debug, Default)]
struct Replayed {
    records: u64,
    missing_manifests: u64,
}

/// Brings the index up to the ledger's head: from its checkpoint where that is on the chain, else from the start.
fn bring_up(
    opened: &mut OpenIndex,
    ledger: &Ledger,
    recovery: &Recovery,
    blobs: &Arc<dyn BlobStore>,
    created: bool,
) -> Result<(IndexState, Replayed), StoreError> {
    if !recovery.checkpoint_holds {
        opened.index.clear()?;
        opened.checkpoint = None;
        opened.reason = Some("it shows records that the ledger does not have".to_owned());
    }
    let Some(checkpoint) = opened.checkpoint else {
        let stored =
            if created { HashSet::new() } else { blobs.list().map_err(StoreError::Blob)?.into_iter().map(|(blob, _)| blob).collect() };
        let replayed = replay(&opened.index, ledger, Checkpoint::START, Some(&stored))?;
        let state = match opened.reason.take() {
            Some(reason) if !created => IndexState::Rebuilt { reason },
            Some(_) | None => IndexState::Kept,
        };
        return Ok((state, replayed));
    };
    Ok((IndexState::Kept, replay(&opened.index, ledger, checkpoint, None)?))
}

/// Folds the records after `from` into the index. With `stored`, manifests whose bytes are not among these blobs are left out.
fn replay(index: &Index, ledger: &Ledger, from: Checkpoint, stored: Option<&HashSet<Digest>>) -> Result<Replayed, StoreError> {
    let start: Option<Position> = (from.position.seq > 0).then_some(from.position);
    let mut replayed = Replayed::default();
    let mut batch = Batch::default();
    let mut checkpoint = from;
    for record in ledger.replay(start)? {
        let record = record?;
        checkpoint = Checkpoint { position: record.position, high_water: checkpoint.high_water.max(record.time) };
        replayed.records += 1;
        match (&record.event, stored) {
            (Event::ManifestStored { digest, .. }, Some(stored)) if !stored.contains(digest) => {
                replayed.missing_manifests += 1;
            }
            // Nobody but its pusher can bring it again: it stays known, so that its loss is a failure and not an absence.
            (Event::ManifestPushed { digest, .. }, Some(stored)) if !stored.contains(digest) => {
                replayed.missing_manifests += 1;
                fold(&mut batch, &record)?;
            }
            _ => fold(&mut batch, &record)?,
        }
        if replayed.records.is_multiple_of(REPLAY_BATCH as u64) {
            index.apply(std::mem::take(&mut batch), checkpoint)?;
            if index.unwritten() > REPLAY_BYTES {
                // A full disk does not keep the gate from starting while the changes fit in memory.
                let flushed = index.flush();
                index.accept().or(flushed)?;
            }
        }
    }
    index.apply(batch, checkpoint)?;
    if replayed.records > REPLAY_BATCH as u64 {
        let _ = index.flush();
    }
    Ok(replayed)
}

/// The thread that writes the index now and then.
pub(super) struct Flusher {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Flusher {
    fn start(index: Arc<Index>, marker: std::path::PathBuf) -> std::io::Result<Self> {
        let (stop, stopped) = sync_channel::<()>(1);
        let run = move || {
            let mut waiting: Option<Instant> = None;
            let mut marked = false;
            while stopped.recv_timeout(FLUSH_TICK) == Err(RecvTimeoutError::Timeout) {
                if index.is_damaged() && !marked {
                    marked = std::fs::write(&marker, []).is_ok();
                }
                let unwritten = index.unwritten();
                if unwritten == 0 {
                    waiting = None;
                    continue;
                }
                let since = *waiting.get_or_insert_with(Instant::now);
                let due = if index.is_failing() { RETRY } else { FLUSH_EVERY };
                if unwritten >= FLUSH_BYTES && !index.is_failing() || since.elapsed() >= due {
                    waiting = None;
                    let _ = index.flush();
                }
            }
        };
        let thread = std::thread::Builder::new().name("index".to_owned()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the index's flusher panicked");
        }
    }
}
