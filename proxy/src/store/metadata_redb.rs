//! The index in redb, the default: fast, quick to open, and its commits are power-safe (research: DESIGN §10).

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::{Database, DatabaseError, Durability, ReadableDatabase, TableDefinition, TableError};

use super::codec;
use super::ledger::Checkpoint;
use super::metadata::{Batch, Entry, MetadataError, MetadataStore, Table};

/// Bytes of redb's own cache. Its default of 1 GiB would be most of a small machine; hot answers are cached by the gate.
const CACHE_BYTES: usize = 16 * 1024 * 1024;
/// Holds the checkpoint under an empty key.
const CHECKPOINT: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("checkpoint");

fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

/// The index in redb.
pub struct RedbMetadata {
    file: PathBuf,
    state: RwLock<State>,
}

enum State {
    Open(Box<Database>),
    /// After an I/O error redb refuses everything until its file is opened again.
    Failed,
    Closed,
}

impl RedbMetadata {
    /// Opens the index in `folder`, or begins one.
    ///
    /// # Errors
    /// [`MetadataError::Damaged`] when the folder should be moved away and the index rebuilt; [`MetadataError::Io`] and
    /// [`MetadataError::Open`] when that would not help.
    pub fn open(folder: &Path) -> Result<Self, MetadataError> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let file = folder.join("index.redb");
        let database = open(&file)?;
        Ok(Self { file, state: RwLock::new(State::Open(Box::new(database))) })
    }

    /// Runs `work` on the database; opens that again where an earlier call failed.
    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, MetadataError> {
        loop {
            {
                let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
                match &*state {
                    State::Open(database) => {
                        let result =
                            catch_unwind(AssertUnwindSafe(|| work(database))).map_err(|_| panicked()).and_then(|r| r.map_err(sort));
                        drop(state);
                        if matches!(result, Err(MetadataError::Io(_))) {
                            self.fail();
                        }
                        return result;
                    }
                    State::Closed => return Err(MetadataError::Closed),
                    State::Failed => {}
                }
            }
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            if matches!(*state, State::Failed) {
                *state = State::Open(Box::new(open(&self.file)?));
            }
        }
    }

    fn fail(&self) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Open(_)) {
            *state = State::Failed;
        }
    }
}

fn panicked() -> MetadataError {
    MetadataError::Damaged { problem: "redb panicked".to_owned() }
}

fn open(file: &Path) -> Result<Database, MetadataError> {
    // redb would create the file with the process's umask.
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(file)?;
    let opened = catch_unwind(|| Database::builder().set_cache_size(CACHE_BYTES).create(file)).map_err(|_| panicked())?;
    opened.map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => {
            MetadataError::Open { folder: file.to_owned(), problem: "another process has it open".to_owned() }
        }
        other => sort(other.into()),
    })
}

fn sort(error: redb::Error) -> MetadataError {
    match error {
        redb::Error::Io(error) => MetadataError::from_engine(error),
        redb::Error::PreviousIo => MetadataError::Io(io::Error::other("redb refuses after an earlier I/O error")),
        other => MetadataError::Damaged { problem: other.to_string() },
    }
}

/// Nothing was ever written to a table that does not exist.
fn existing<T>(opened: Result<T, TableError>) -> Result<Option<T>, redb::Error> {
    match opened {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl MetadataStore for RedbMetadata {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetadataError> {
        self.with(|database| {
            let transaction = database.begin_read()?;
            let Some(table) = existing(transaction.open_table(definition(table)))? else { return Ok(None) };
            Ok(table.get(key)?.map(|value| value.value().to_vec()))
        })
    }

    fn scan(&self, table: Table, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, MetadataError> {
        self.with(|database| {
            let transaction = database.begin_read()?;
            let Some(table) = existing(transaction.open_table(definition(table)))? else { return Ok(Vec::new()) };
            let start = match after {
                Some(after) if after >= prefix => Bound::Excluded(after),
                _ => Bound::Included(prefix),
            };
            let mut entries = Vec::new();
            for entry in table.range::<&[u8]>((start, Bound::Unbounded))?.take(limit) {
                let (key, value) = entry?;
                if !key.value().starts_with(prefix) {
                    break;
                }
                entries.push((key.value().to_vec(), value.value().to_vec()));
            }
            Ok(entries)
        })
    }

    fn apply(&self, batch: Batch, checkpoint: Option<Checkpoint>) -> Result<(), MetadataError> {
        let checkpoint = checkpoint.map(|checkpoint| codec::seal("checkpoint", &[], &checkpoint)).transpose()?;
        self.with(|database| {
            let mut transaction = database.begin_write()?;
            transaction.set_durability(Durability::None).map_err(|error| redb::Error::Corrupted(error.to_string()))?;
            for kind in Table::ALL {
                let mut changes = batch.changes().iter().filter(|change| change.table == kind).peekable();
                if changes.peek().is_none() {
                    continue;
                }
                let mut table = transaction.open_table(definition(kind))?;
                for change in changes {
                    match &change.value {
                        Some(value) => table.insert(change.key.as_slice(), value.as_slice())?,
                        None => table.remove(change.key.as_slice())?,
                    };
                }
            }
            if let Some(checkpoint) = &checkpoint {
                let empty: &[u8] = &[];
                transaction.open_table(CHECKPOINT)?.insert(empty, checkpoint.as_slice())?;
            }
            Ok(transaction.commit()?)
        })
    }

    fn checkpoint(&self) -> Result<Option<Checkpoint>, MetadataError> {
        let sealed = self.with(|database| {
            let transaction = database.begin_read()?;
            let Some(table) = existing(transaction.open_table(CHECKPOINT))? else { return Ok(None) };
            let empty: &[u8] = &[];
            Ok(table.get(empty)?.map(|value| value.value().to_vec()))
        })?;
        sealed.map(|sealed| codec::unseal("checkpoint", &[], &sealed)).transpose()
    }

    fn flush(&self) -> Result<(), MetadataError> {
        self.with(|database| {
            let mut transaction = database.begin_write()?;
            // Opening after a crash takes milliseconds then, not a walk over all pages.
            transaction.set_quick_repair(true);
            Ok(transaction.commit()?)
        })
    }

    fn clear(&self) -> Result<(), MetadataError> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            for table in Table::ALL {
                transaction.delete_table(definition(table))?;
            }
            transaction.delete_table(CHECKPOINT)?;
            Ok(transaction.commit()?)
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
