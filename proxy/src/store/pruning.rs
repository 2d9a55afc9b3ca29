//! Prunes the ledger of a store that no gate runs on.

use std::collections::HashSet;

use sealgate_verifier::Timestamp;
use serde::Serialize;

use super::ledger::{Checkpoint, Restated, Rewriter};
use super::metadata::{Batch, MetadataError, MetadataStore, Table};
use super::{DecisionRecord, Store, StoreError, codec};

/// Rows that are read at a time.
const PAGE: usize = 4_096;

/// What a pruning did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Pruned {
    /// Records before it, those that earlier prunings dropped included.
    pub records: u64,
    /// Bytes before.
    pub bytes_before: u64,
    /// Bytes after.
    pub bytes_after: u64,
    /// Decisions that were forgotten: neither the last about their digest, nor young.
    pub forgotten: u64,
    /// The new head.
    pub head: Checkpoint,
}

impl Store {
    /// Replaces the ledger by one that goes on from its head and begins with the state that it made. Decisions before `since` are forgotten,
    /// unless they are the last about their digest. The store is closed afterwards. Blocks on the disk.
    ///
    /// # Errors
    /// The disk; the ledger is as it was then.
    pub fn prune(self, since: Timestamp) -> Result<Pruned, StoreError> {
        let Some(data) = self.inner.data.clone() else { return Err(StoreError::Closing) };
        let inner = &self.inner;
        inner.ledger.close();
        let before = inner.ledger.checkpoint();
        let bytes_before = self.usage_of("ledger");
        let mut last = HashSet::new();
        inner.index.each::<String>(Table::Verdicts, |_, id| {
            last.insert(id);
            Ok(())
        })?;
        let mut rewriter = Rewriter::begin(&data.join("ledger"), before)?;
        let mut forgotten = Batch::default();
        for table in Table::ALL.into_iter().filter(|table| !matches!(table, Table::TagConfirmations | Table::Clock)) {
            let mut after: Option<Vec<u8>> = None;
            loop {
                let page = inner.index.raw().scan(table, &[], after.as_deref(), PAGE)?;
                let full = page.len() == PAGE;
                for (key, sealed) in page {
                    after = Some(key.clone());
                    let body = codec::body(table.name(), &key, &sealed)?;
                    if table == Table::Decisions && is_forgotten(body, &last, since)? {
                        forgotten.delete(table, key);
                        continue;
                    }
                    let value = String::from_utf8_lossy(body).into_owned();
                    rewriter.row(Restated { table: table.name().to_owned(), key: codec::hex(&key), value })?;
                }
                if !full {
                    break;
                }
            }
        }
        let count = forgotten.changes().len() as u64;
        let head = rewriter.finish()?;
        // The index shows the same: only where it stands in the ledger is another. A crash before that makes the next start rebuild it.
        inner.index.apply(forgotten, head)?;
        inner.index.flush()?;
        let bytes_after = self.usage_of("ledger");
        self.close()?;
        Ok(Pruned { records: before.position.seq, bytes_before, bytes_after, forgotten: count, head })
    }
}

fn is_forgotten(body: &[u8], last: &HashSet<String>, since: Timestamp) -> Result<bool, MetadataError> {
    let record: DecisionRecord = serde_json::from_slice(body).map_err(|error| MetadataError::Damaged { problem: error.to_string() })?;
    Ok(record.decided_at < since && !last.contains(&record.id))
}
