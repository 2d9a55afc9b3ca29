//! The index in memory: for tests, and for commands that need no server.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock};

use super::ledger::Checkpoint;
use super::metadata::{Batch, Entry, MetadataError, MetadataStore, Table};

/// An index in memory. Flushing it does nothing.
#[derive(Debug, Default)]
pub struct MemoryMetadata {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
    checkpoint: Option<Checkpoint>,
}

impl MetadataStore for MemoryMetadata {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetadataError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        Ok(state.entries.get(&(table, key.to_vec())).cloned())
    }

    fn scan(&self, table: Table, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, MetadataError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded((table, after.to_vec())),
            _ => Bound::Included((table, prefix.to_vec())),
        };
        let range = state.entries.range((start, Bound::Unbounded));
        let matching = range.take_while(|((found, key), _)| *found == table && key.starts_with(prefix));
        Ok(matching.take(limit).map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }

    fn apply(&self, batch: Batch, checkpoint: Option<Checkpoint>) -> Result<(), MetadataError> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for change in batch.into_changes() {
            match change.value {
                Some(value) => state.entries.insert((change.table, change.key), value),
                None => state.entries.remove(&(change.table, change.key)),
            };
        }
        state.checkpoint = checkpoint.or(state.checkpoint);
        Ok(())
    }

    fn checkpoint(&self) -> Result<Option<Checkpoint>, MetadataError> {
        Ok(self.state.read().unwrap_or_else(PoisonError::into_inner).checkpoint)
    }

    fn flush(&self) -> Result<(), MetadataError> {
        Ok(())
    }

    fn clear(&self) -> Result<(), MetadataError> {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = State::default();
        Ok(())
    }

    fn close(&self) -> Result<(), MetadataError> {
        Ok(())
    }
}
