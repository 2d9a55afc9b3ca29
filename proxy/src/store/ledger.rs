//! The ledger: an append-only, hash-chained list of transitions, and the store's truth (DESIGN §10).
//!
//! One record is one line of JSON, `{"seq":n,"time":t,"prev":"sha256:…","event":{…}}`; `prev` is the SHA-256 of the line before it,
//! without its newline. Lines lie in segments, files named by the offset of their first byte in the whole ledger. One thread
//! ([`writer`]) writes: it takes all waiting records as one group, writes, syncs once, shows them to the follower (the index) and only
//! then acknowledges. After an I/O error nothing is retried on that file descriptor (a failed fsync may drop pages and report success
//! the next time): the tail is opened again, checked, cut to the last acknowledged record, and writing goes on.
//!
//! What a check of the chain cannot see is a tail that was cut off at a record's end; for that a head is exported and compared
//! ([`Ledger::verify`]).

pub mod event;
mod fault;
mod line;
mod prune;
mod segment;
mod walk;
mod writer;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealgate_verifier::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

pub use event::{Event, Listing, Loss, LostBlob, Restated};
pub use prune::{Rewriter, settle};
pub use walk::Replay;

use segment::Tail;
use walk::{Step, Walker};
use writer::{Shared, Writer};

/// Bytes of one record. The largest, an evidence set of 64 attachments or a manifest of 1000 layers, stays under 1 MiB.
pub const RECORD_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a group, after which no further record joins it. Bounds what one failed write can take with it.
pub const GROUP_BYTES: usize = 4 * 1024 * 1024;
/// Records that may wait for the writer. More than connections are allowed by default (10 000).
pub const QUEUE: usize = 16 * 1024;
/// Bytes after which a segment is full: small enough to copy, large enough that 100 000 images need a handful.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// A place in the ledger: the end of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Number of the record, from 1; 0 before the first.
    pub seq: u64,
    /// Offset of the first byte after the record, in the whole ledger.
    pub offset: u64,
    /// SHA-256 of the record's line.
    pub hash: Digest,
}

impl Position {
    /// Before the first record.
    pub const START: Self = Self { seq: 0, offset: 0, hash: Digest::Sha256([0; 32]) };
}

/// A state of the ledger that the index shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The last record that the index shows.
    pub position: Position,
    /// The latest time in any record up to there.
    pub high_water: Timestamp,
}

impl Checkpoint {
    /// Before the first record.
    pub const START: Self = Self { position: Position::START, high_water: Timestamp(0) };
}

/// A record as it was read back or just written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its end.
    pub position: Position,
    /// When it was written, as the caller said.
    pub time: Timestamp,
    /// What happened.
    pub event: Event,
}

/// What opening a ledger found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// Bytes of a torn last record (or last group, after a power cut) that were cut off. It was never acknowledged.
    pub torn_bytes: u64,
    /// Whether the checkpoint lies on this ledger's chain. The index is to be rebuilt where it does not.
    pub checkpoint_holds: bool,
    /// Records that were read and checked.
    pub records_checked: u64,
}

/// Why the ledger cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The disk.
    #[error("the ledger cannot be {action}: {source}")]
    Io {
        /// `read`, `opened`, …
        action: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// The chain is broken.
    #[error(
        "the ledger is damaged in {} at byte {offset}, after record {seq}: {problem}. The gate does not start on a history that it \
         cannot prove. Restore the data folder from a backup, or move it away to begin with an empty store", segment.display()
    )]
    Damaged {
        /// File.
        segment: PathBuf,
        /// Offset of the first bad byte's record, in the file.
        offset: u64,
        /// The last record that holds.
        seq: u64,
        /// What was expected and found.
        problem: String,
    },
    /// The chain holds, but the event says nothing that this build knows.
    #[error("record {seq} of the ledger was written by another version of sealgate: {problem}")]
    UnknownEvent {
        /// Number of the record.
        seq: u64,
        /// What the parser says.
        problem: String,
    },
    /// The exported head is not on the chain: records were dropped or rewritten.
    #[error("the ledger does not contain the exported head {seq}:{expected}: {found}")]
    Head {
        /// Number of the record in the exported head.
        seq: u64,
        /// Its hash.
        expected: Digest,
        /// What is there.
        found: String,
    },
    /// A write failed. Nothing was recorded; the ledger opens its tail again by itself.
    #[error("the ledger takes no records at the moment: {reason}")]
    Unavailable {
        /// What the system said.
        reason: String,
    },
    /// Over [`RECORD_BYTES`].
    #[error("a record of {found} bytes is over the limit of {limit}")]
    TooLarge {
        /// Bytes.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// [`QUEUE`] records wait already.
    #[error("the ledger is overloaded: {QUEUE} records wait")]
    Overloaded,
    /// The ledger was closed.
    #[error("the ledger is closed")]
    Closed,
}

impl LedgerError {
    fn io(action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, source }
    }
}

/// Sees each group of records after it is durable and before it is acknowledged, in order, on one thread.
pub trait Follower: Send + Sync + 'static {
    /// Takes the records in. The checkpoint is the state after the last of them.
    fn committed(&self, records: &[Record], checkpoint: Checkpoint);
}

/// What a check of the whole chain found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The last record that holds.
    pub head: Position,
    /// The latest time in any record.
    pub high_water: Timestamp,
    /// Bytes of a torn last record. 0 while the ledger is open.
    pub torn_bytes: u64,
}

/// The open ledger.
pub struct Ledger {
    folder: Option<PathBuf>,
    shared: Arc<Shared>,
    writer: Writer,
}

impl Ledger {
    /// Opens the ledger in `folder`, or begins one. The chain is checked from `checkpoint` on where that lies on it, else from the
    /// start. A torn last record is cut off; any other damage is refused.
    ///
    /// # Errors
    /// Damage and I/O errors.
    pub fn open(folder: &Path, checkpoint: Option<Checkpoint>) -> Result<(Self, Recovery), LedgerError> {
        segment::create_folder(folder)?;
        let segments = segment::list(folder)?;
        let held = checkpoint.filter(|checkpoint| segment::holds(&segments, &checkpoint.position).unwrap_or(false));
        let from = held.unwrap_or(segments.base);
        let mut walker = Walker::new(segments, from.position, None)?;
        let mut high_water = from.high_water;
        let torn_bytes = loop {
            match walker.step()? {
                Step::Link(link) => high_water = high_water.max(link.time),
                Step::End => break 0,
                Step::Torn(bytes) => break bytes,
            }
        };
        let head = Checkpoint { position: walker.position(), high_water };
        let shared = Arc::new(Shared::new(head));
        let tail = match Tail::open(folder, head.position) {
            Ok(tail) => Some(tail),
            // What is stored is served from a full disk too; the writer opens the tail when there is room.
            Err(LedgerError::Io { source, .. }) if is_full(&source) => {
                shared.set_trouble(Some(source.to_string()));
                None
            }
            Err(error) => return Err(error),
        };
        let writer = Writer::thread(shared.clone(), folder.to_owned(), tail)?;
        let recovery = Recovery {
            torn_bytes,
            checkpoint_holds: checkpoint.is_none() || held.is_some(),
            records_checked: head.position.seq - from.position.seq,
        };
        Ok((Self { folder: Some(folder.to_owned()), shared, writer }, recovery))
    }

    /// A ledger that chains its records and forgets them.
    #[must_use]
    pub fn in_memory() -> Self {
        let shared = Arc::new(Shared::new(Checkpoint::START));
        Self { folder: None, writer: Writer::memory(shared.clone()), shared }
    }

    /// Names who sees each record before it is acknowledged. Once, before the first record.
    pub fn follow(&self, follower: Arc<dyn Follower>) {
        self.shared.follow(follower);
    }

    /// Records `event` at `time`. It is on its way when this returns, and durable when the future ends well; dropping the future does
    /// not take it back.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`], [`LedgerError::TooLarge`], [`LedgerError::Overloaded`], [`LedgerError::Closed`]. After each of
    /// them the record will not be there, unless the process ends before the tail was cut (a record that was not acknowledged may
    /// survive).
    pub fn append(&self, time: Timestamp, event: Event) -> impl Future<Output = Result<Position, LedgerError>> + Send + 'static {
        let reply = self.writer.submit(time, event);
        async move {
            match reply {
                Ok(reply) => reply.await.unwrap_or(Err(LedgerError::Closed)),
                Err(error) => Err(error),
            }
        }
    }

    /// As [`Ledger::append`], for a thread that may wait. Never on an async runtime.
    ///
    /// # Errors
    /// As [`Ledger::append`].
    pub fn append_blocking(&self, time: Timestamp, event: Event) -> Result<Position, LedgerError> {
        self.writer.submit(time, event)?.blocking_recv().unwrap_or(Err(LedgerError::Closed))
    }

    /// The last acknowledged record, with the clock's high-water mark.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        self.shared.head()
    }

    /// The last acknowledged record.
    #[must_use]
    pub fn head(&self) -> Position {
        self.shared.head().position
    }

    /// The latest time that was ever recorded: `now` must not run below it (DESIGN §5).
    #[must_use]
    pub fn high_water(&self) -> Timestamp {
        self.shared.head().high_water
    }

    /// Why records are not taken at the moment; none while they are.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.shared.trouble()
    }

    /// The records after `from` (or all), up to the head as it is now. Each is checked against the chain. A ledger in memory has none.
    ///
    /// # Errors
    /// I/O errors, and damage when `from` is not on the chain.
    pub fn replay(&self, from: Option<Position>) -> Result<Replay, LedgerError> {
        let Some(folder) = &self.folder else { return Ok(Replay::nothing()) };
        // The head first: it must lie in a segment that is listed.
        let end = self.head().offset;
        let segments = segment::list(folder)?;
        let from = from.unwrap_or(segments.base.position);
        Ok(Replay::new(Walker::new(segments, from, Some(end))?))
    }

    /// Checks the whole chain up to the present head, and that `head`, exported earlier, lies on it.
    ///
    /// # Errors
    /// Damage, [`LedgerError::Head`], I/O errors.
    pub fn verify(&self, head: Option<(u64, Digest)>) -> Result<Verified, LedgerError> {
        match &self.folder {
            Some(folder) => walk::verify(folder, Some(self.head().offset), head),
            None => Ok(Verified { head: self.head(), high_water: self.high_water(), torn_bytes: 0 }),
        }
    }

    /// Writes what waits and stops. Later records are refused.
    pub fn close(&self) {
        self.writer.close();
    }

    #[cfg(test)]
    pub(crate) fn inject(&self, fault: fault::Fault) {
        self.shared.faults.inject(fault);
    }
}

/// Checks the whole chain of a ledger that nobody has open, and that `head`, exported earlier, lies on it. Changes nothing.
///
/// # Errors
/// Damage, [`LedgerError::Head`], I/O errors.
pub fn verify(folder: &Path, head: Option<(u64, Digest)>) -> Result<Verified, LedgerError> {
    walk::verify(folder, None, head)
}

/// The files that hold the ledger up to `head`: path, name, and how many bytes of each belong to it.
///
/// # Errors
/// Damage and I/O errors.
pub fn segments(folder: &Path, head: Position) -> Result<Vec<(PathBuf, String, u64)>, LedgerError> {
    let segments = segment::list(folder)?;
    let base = folder.join(segment::BASE);
    let base = std::fs::metadata(&base).ok().map(|found| (base, segment::BASE.to_owned(), found.len()));
    let part = |segment: segment::Segment| {
        let name = segment.path.file_name()?.to_str()?.to_owned();
        let bytes = head.offset.saturating_sub(segment.base).min(segment.len);
        (bytes > 0).then_some((segment.path, name, bytes))
    };
    Ok(base.into_iter().chain(segments.files.into_iter().filter_map(part)).collect())
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests;
