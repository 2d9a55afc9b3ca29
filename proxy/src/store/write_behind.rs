//! Holds changes in memory until the next flush, over any engine.
//!
//! Why: the ledger is the truth and is synced for each group; the index need not be. With the unwritten changes here and not in the
//! engine, an engine that fails in the middle (disk full) can be opened again at its last durable state while readers still see
//! everything that was acknowledged.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::ledger::Checkpoint;
use super::metadata::{Batch, Entry, MetadataError, MetadataStore, Table};

/// Bytes of unwritten changes, beyond which no record is taken any more: a minute of heavy recording while the disk is full.
pub const BUFFER_BYTES: usize = 64 * 1024 * 1024;

#[derive(Debug, Default, Clone)]
struct Layer {
    tables: BTreeMap<Table, BTreeMap<Vec<u8>, Option<Vec<u8>>>>,
    bytes: usize,
    checkpoint: Option<Checkpoint>,
}

impl Layer {
    fn get(&self, table: Table, key: &[u8]) -> Option<&Option<Vec<u8>>> {
        self.tables.get(&table)?.get(key)
    }

    fn put(&mut self, table: Table, key: Vec<u8>, value: Option<Vec<u8>>) {
        let size = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
        self.bytes += key.len() + size(&value);
        let key_size = key.len();
        if let Some(replaced) = self.tables.entry(table).or_default().insert(key, value) {
            self.bytes -= key_size + size(&replaced);
        }
    }

    fn range<'a>(
        &'a self,
        table: Table,
        prefix: &'a [u8],
        after: Option<&[u8]>,
    ) -> impl Iterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let entries = self.tables.get(&table).map(|entries| entries.range::<[u8], _>((start, Bound::Unbounded)));
        entries.into_iter().flatten().take_while(move |(key, _)| key.starts_with(prefix))
    }

    fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.checkpoint.is_none()
    }

    /// Lays this older layer under `newer`.
    fn under(mut self, newer: Self) -> Self {
        for (table, entries) in newer.tables {
            for (key, value) in entries {
                self.put(table, key, value);
            }
        }
        self.checkpoint = newer.checkpoint.or(self.checkpoint);
        self
    }

    fn batch(&self) -> Batch {
        let mut batch = Batch::default();
        for (table, entries) in &self.tables {
            for (key, value) in entries {
                match value {
                    Some(value) => batch.put(*table, key.clone(), value.clone()),
                    None => batch.delete(*table, key.clone()),
                }
            }
        }
        batch
    }
}

#[derive(Debug, Default)]
struct Layers {
    /// Takes changes.
    active: Layer,
    /// Is being written to the engine.
    frozen: Option<Arc<Layer>>,
}

/// An engine with its unwritten changes before it.
pub struct WriteBehind {
    engine: Box<dyn MetadataStore>,
    layers: RwLock<Layers>,
    /// One flush at a time.
    flushing: Mutex<()>,
}

impl WriteBehind {
    /// Puts a buffer before `engine`.
    #[must_use]
    pub fn new(engine: Box<dyn MetadataStore>) -> Self {
        Self { engine, layers: RwLock::default(), flushing: Mutex::new(()) }
    }

    /// Bytes of changes that the engine does not have yet.
    #[must_use]
    pub fn unwritten(&self) -> usize {
        let layers = self.layers.read().unwrap_or_else(PoisonError::into_inner);
        layers.active.bytes + layers.frozen.as_ref().map_or(0, |frozen| frozen.bytes)
    }

    fn freeze(&self) -> Option<Arc<Layer>> {
        let mut layers = self.layers.write().unwrap_or_else(PoisonError::into_inner);
        if layers.active.is_empty() {
            return None;
        }
        let frozen = Arc::new(std::mem::take(&mut layers.active));
        layers.frozen = Some(frozen.clone());
        Some(frozen)
    }

    fn thaw(&self) {
        let mut layers = self.layers.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(frozen) = layers.frozen.take() {
            let newer = std::mem::take(&mut layers.active);
            layers.active = Arc::unwrap_or_clone(frozen).under(newer);
        }
    }
}

impl MetadataStore for WriteBehind {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetadataError> {
        {
            let layers = self.layers.read().unwrap_or_else(PoisonError::into_inner);
            let frozen = || layers.frozen.as_ref().and_then(|frozen| frozen.get(table, key));
            if let Some(value) = layers.active.get(table, key).or_else(frozen) {
                return Ok(value.clone());
            }
        }
        self.engine.get(table, key)
    }

    fn scan(&self, table: Table, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, MetadataError> {
        let mut changed: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
        {
            let layers = self.layers.read().unwrap_or_else(PoisonError::into_inner);
            for layer in layers.frozen.as_deref().into_iter().chain([&layers.active]) {
                changed.extend(layer.range(table, prefix, after).map(|(key, value)| (key.clone(), value.clone())));
            }
        }
        // As many more as may turn out to be removed: enough that the first `limit` of the merged entries are the right ones.
        let removed = changed.values().filter(|value| value.is_none()).count();
        let stored = self.engine.scan(table, prefix, after, limit.saturating_add(removed))?;
        let mut merged: BTreeMap<Vec<u8>, Option<Vec<u8>>> = stored.into_iter().map(|(key, value)| (key, Some(value))).collect();
        merged.extend(changed);
        Ok(merged.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))).take(limit).collect())
    }

    fn apply(&self, batch: Batch, checkpoint: Option<Checkpoint>) -> Result<(), MetadataError> {
        let mut layers = self.layers.write().unwrap_or_else(PoisonError::into_inner);
        for change in batch.into_changes() {
            layers.active.put(change.table, change.key, change.value);
        }
        layers.active.checkpoint = checkpoint.or(layers.active.checkpoint);
        Ok(())
    }

    fn checkpoint(&self) -> Result<Option<Checkpoint>, MetadataError> {
        {
            let layers = self.layers.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(checkpoint) = layers.active.checkpoint.or(layers.frozen.as_ref().and_then(|frozen| frozen.checkpoint)) {
                return Ok(Some(checkpoint));
            }
        }
        self.engine.checkpoint()
    }

    fn flush(&self) -> Result<(), MetadataError> {
        let _one = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(frozen) = self.freeze() else { return Ok(()) };
        let written = self.engine.apply(frozen.batch(), frozen.checkpoint).and_then(|()| self.engine.flush());
        drop(frozen);
        if written.is_ok() {
            self.layers.write().unwrap_or_else(PoisonError::into_inner).frozen = None;
        } else {
            self.thaw();
        }
        written
    }

    fn clear(&self) -> Result<(), MetadataError> {
        let _one = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        *self.layers.write().unwrap_or_else(PoisonError::into_inner) = Layers::default();
        self.engine.clear()
    }

    fn close(&self) -> Result<(), MetadataError> {
        let flushed = self.flush();
        let closed = self.engine.close();
        flushed.and(closed)
    }
}
