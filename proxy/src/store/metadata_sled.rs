//! The index in sled 0.34.7, where the configuration asks for it. What DESIGN §10 asks for in turn: one writer, an own fsync after
//! `flush()` (sled's is `sync_file_range`, which flushes neither the drive's cache nor the file's size), a watchdog that ends the
//! process when a write hangs (its segment accounting can deadlock), and damage is moved away and rebuilt.

use std::fs::{DirBuilder, File, Permissions};
use std::ops::Bound;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use super::codec;
use super::ledger::Checkpoint;
use super::metadata::{Batch, Entry, MetadataError, MetadataStore, Table};

/// Bytes of sled's page cache.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes that must be free before sled is written: a few of its segments of 512 KiB, and twice what a flush writes at most in the
/// ordinary case (4 MiB of changes).
const ROOM_BYTES: u64 = 10 * 1024 * 1024;
/// How long a write may take before the process ends. A spinning disk's worst flush is a few seconds.
const HANG: Duration = Duration::from_secs(30);
/// How long to wait for the lock on sled's file. The data folder's own lock says whether another process is there.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// The key of the checkpoint: no table has this number.
const CHECKPOINT: &[u8] = &[0];

/// The index in sled: one tree, so that a batch over all tables is atomic. A key begins with its table's number.
pub struct SledMetadata {
    folder: PathBuf,
    state: RwLock<State>,
    /// One writer at a time; holds when the present write began.
    writing: Arc<Mutex<Option<Instant>>>,
    turn: Mutex<()>,
}

enum State {
    Open(sled::Db),
    /// After an I/O error sled writes no more until it is opened again; it may still read what it has in memory.
    Failed(sled::Db),
    /// Opening it again failed.
    Shut,
    Closed,
}

impl SledMetadata {
    /// Opens the index in `folder`, or begins one.
    ///
    /// # Errors
    /// [`MetadataError::Damaged`] when the folder should be moved away and the index rebuilt; [`MetadataError::Io`] and
    /// [`MetadataError::Open`] when that would not help.
    pub fn open(folder: &Path) -> Result<Self, MetadataError> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let database = open(folder)?;
        let writing = Arc::default();
        watch(&writing, HANG, || {
            tracing::error!("a write to the sled index hangs for {HANG:?}; the process ends, and the next start rebuilds what is missing");
            std::process::abort();
        })?;
        Ok(Self { folder: folder.to_owned(), state: RwLock::new(State::Open(database)), writing, turn: Mutex::new(()) })
    }

    /// Runs `work` on the database as it is.
    fn read<T>(&self, work: impl FnOnce(&sled::Db) -> Result<T, sled::Error>) -> Result<T, MetadataError> {
        match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Open(database) | State::Failed(database) => run(database, work),
            State::Shut => Err(MetadataError::Io(std::io::Error::other("sled could not be opened again after an I/O error"))),
            State::Closed => Err(MetadataError::Closed),
        }
    }

    /// Runs `work`, one at a time and under the watchdog's eye, on a database that takes writes.
    fn write<T>(&self, work: impl FnOnce(&sled::Db) -> Result<T, sled::Error>) -> Result<T, MetadataError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        room(&self.folder)?;
        *self.writing.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let result = self.reopened().and_then(|()| self.read(work));
        if matches!(result, Err(MetadataError::Io(_))) {
            self.change(|state| match state {
                State::Open(database) => State::Failed(database),
                other => other,
            });
        }
        *self.writing.lock().unwrap_or_else(PoisonError::into_inner) = None;
        result
    }

    fn change(&self, to: impl FnOnce(State) -> State) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *state, State::Shut);
        *state = to(old);
    }

    /// Opens the database again after a failure.
    fn reopened(&self) -> Result<(), MetadataError> {
        match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Open(_) => return Ok(()),
            State::Closed => return Err(MetadataError::Closed),
            State::Failed(_) | State::Shut => {}
        }
        let mut outcome = Ok(());
        self.change(|old| {
            if matches!(old, State::Closed) {
                outcome = Err(MetadataError::Closed);
                return old;
            }
            // Its lock on the files must be gone first.
            drop(old);
            match open(&self.folder) {
                Ok(database) => State::Open(database),
                Err(error) => {
                    outcome = Err(error);
                    State::Shut
                }
            }
        });
        outcome
    }
}

fn run<T>(database: &sled::Db, work: impl FnOnce(&sled::Db) -> Result<T, sled::Error>) -> Result<T, MetadataError> {
    catch_unwind(AssertUnwindSafe(|| work(database))).map_err(|_| panicked())?.map_err(sort)
}

/// Refuses a write that sled might not survive: on a disk that fills up under it sled stops to write and, as reads move pages too, to
/// read (measured).
fn room(folder: &Path) -> Result<(), MetadataError> {
    let disk = rustix::fs::statvfs(folder).map_err(std::io::Error::from)?;
    if disk.f_bavail.saturating_mul(disk.f_frsize) < ROOM_BYTES {
        return Err(MetadataError::Io(std::io::Error::from(std::io::ErrorKind::StorageFull)));
    }
    Ok(())
}

/// Calls `hung` when a write takes longer than `limit`. Ends with the index.
fn watch(writing: &Arc<Mutex<Option<Instant>>>, limit: Duration, hung: impl Fn() + Send + 'static) -> std::io::Result<()> {
    let writing: Weak<Mutex<Option<Instant>>> = Arc::downgrade(writing);
    let run = move || {
        while let Some(writing) = writing.upgrade() {
            let began = *writing.lock().unwrap_or_else(PoisonError::into_inner);
            drop(writing);
            if began.is_some_and(|began| began.elapsed() > limit) {
                return hung();
            }
            std::thread::sleep(limit / 30);
        }
    };
    std::thread::Builder::new().name("sled watchdog".to_owned()).spawn(run).map(|_| ())
}

fn panicked() -> MetadataError {
    MetadataError::Damaged { problem: "sled panicked".to_owned() }
}

fn open(folder: &Path) -> Result<sled::Db, MetadataError> {
    let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    let began = Instant::now();
    let database = loop {
        match catch_unwind(AssertUnwindSafe(|| config.open())).map_err(|_| panicked())? {
            Ok(database) => break database,
            // sled's own threads may hold the file's lock for a moment after the database was dropped.
            Err(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                if began.elapsed() > LOCK_WAIT {
                    return Err(MetadataError::Open { folder: folder.to_owned(), problem: "another process has it open".to_owned() });
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(sort(error)),
        }
    };
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::set_permissions(entry.path(), Permissions::from_mode(0o600))?;
        }
    }
    Ok(database)
}

fn sort(error: sled::Error) -> MetadataError {
    match error {
        sled::Error::Io(error) => MetadataError::from_engine(error),
        other => MetadataError::Damaged { problem: other.to_string() },
    }
}

/// A key of the one tree.
fn full(table: Table, key: &[u8]) -> Vec<u8> {
    let mut full = Vec::with_capacity(key.len() + 1);
    full.push(table as u8);
    full.extend_from_slice(key);
    full
}

impl MetadataStore for SledMetadata {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetadataError> {
        self.read(|database| Ok(database.get(full(table, key))?.map(|value| value.to_vec())))
    }

    fn scan(&self, table: Table, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, MetadataError> {
        let prefix = full(table, prefix);
        let start = match after.map(|after| full(table, after)) {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix.clone()),
        };
        self.read(|database| {
            let mut entries = Vec::new();
            for entry in database.range::<Vec<u8>, _>((start, Bound::Unbounded)).take(limit) {
                let (key, value) = entry?;
                if !key.starts_with(&prefix) {
                    break;
                }
                entries.push((key.get(1..).unwrap_or_default().to_vec(), value.to_vec()));
            }
            Ok(entries)
        })
    }

    fn apply(&self, batch: Batch, checkpoint: Option<Checkpoint>) -> Result<(), MetadataError> {
        let mut changes = sled::Batch::default();
        for change in batch.changes() {
            let key = full(change.table, &change.key);
            match &change.value {
                Some(value) => changes.insert(key, value.as_slice()),
                None => changes.remove(key),
            }
        }
        if let Some(checkpoint) = checkpoint {
            changes.insert(CHECKPOINT, codec::seal("checkpoint", &[], &checkpoint)?);
        }
        self.write(|database| database.apply_batch(changes))
    }

    fn checkpoint(&self) -> Result<Option<Checkpoint>, MetadataError> {
        let sealed = self.read(|database| database.get(CHECKPOINT))?;
        sealed.map(|sealed| codec::unseal("checkpoint", &[], &sealed)).transpose()
    }

    fn flush(&self) -> Result<(), MetadataError> {
        let file = self.folder.join("db");
        self.write(|database| {
            database.flush()?;
            File::open(&file)?.sync_all()?;
            Ok(())
        })
    }

    fn clear(&self) -> Result<(), MetadataError> {
        self.write(|database| {
            database.clear()?;
            database.flush().map(|_| ())
        })
    }

    fn close(&self) -> Result<(), MetadataError> {
        let flushed = match self.flush() {
            Err(MetadataError::Closed) => Ok(()),
            other => other,
        };
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = State::Closed;
        flushed
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_write_that_hangs_is_noticed_and_a_quick_one_is_not() {
        let writing = Arc::new(Mutex::new(None));
        let (told, hung) = channel();
        watch(&writing, Duration::from_millis(300), move || told.send(()).unwrap()).unwrap();
        for _ in 0..40 {
            *writing.lock().unwrap() = Some(Instant::now());
            std::thread::sleep(Duration::from_millis(10));
            *writing.lock().unwrap() = None;
        }
        assert!(hung.try_recv().is_err());
        *writing.lock().unwrap() = Some(Instant::now());
        hung.recv_timeout(Duration::from_secs(20)).unwrap();
    }
}
