//! Checks a store: every blob against its digest, the ledger's chain, the index against the ledger. Changes nothing.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io;
use std::path::Path;

use sealgate_verifier::Digest;
use serde::{Deserialize, Serialize};

use super::blob_files;
use super::index::{Index, fold};
use super::ledger::{Checkpoint, Event, Position};
use super::metadata::{Batch, MetadataStore, Table};
use super::metadata_memory::MemoryMetadata;
use super::{Store, StoreError};

/// Differences that are named; of more only the number is told.
const NAMED: usize = 20;
/// How often what differs is compared again with what was recorded meanwhile: the gate works on.
const ROUNDS: usize = 3;
/// Records that are folded at a time.
const BATCH: u64 = 2_000;
/// Entries that are compared at a time.
const PAGE: usize = 4_096;

/// What a check of the blobs found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BlobsChecked {
    /// Blobs that match.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that do not.
    pub damaged: Vec<Digest>,
}

/// What a comparison of the index with the ledger found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IndexChecked {
    /// Entries that were compared.
    pub entries: u64,
    /// Entries that are not what the ledger says.
    pub differences: u64,
    /// The first of them.
    pub named: Vec<String>,
}

/// Hashes every blob below `data`. `progress` hears of each piece of work: files and bytes done, of how many.
///
/// # Errors
/// The disk.
pub fn check_blobs(data: &Path, progress: &dyn Fn(u64, u64)) -> io::Result<BlobsChecked> {
    let inventory = blob_files::inventory(&data.join("blobs"))?;
    let all: u64 = inventory.iter().map(|kept| kept.size).sum();
    let mut checked = BlobsChecked::default();
    let mut done = 0;
    for kept in inventory {
        let path = blob_files::path(&data.join("blobs"), &kept.digest);
        match File::open(&path).and_then(|file| blob_files::hash(kept.digest.algorithm(), &file)) {
            Ok(found) if found == kept.digest => {
                checked.blobs += 1;
                checked.bytes += kept.size;
            }
            // Evicted meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(_) | Err(_) => checked.damaged.push(kept.digest),
        }
        done += kept.size;
        progress(done, all);
    }
    Ok(checked)
}

type Entries = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// What the ledger says the index should show. Twice: with every record, and without manifests whose bytes are gone, since a rebuilt
/// index leaves those out.
struct Expected {
    indexes: [MemoryMetadata; 2],
    stored: HashSet<Digest>,
    position: Option<Position>,
}

impl Expected {
    fn new(store: &Store) -> Result<Self, StoreError> {
        let stored = store.blobs().list().map_err(StoreError::Blob)?.into_iter().map(|(blob, _)| blob).collect();
        let mut expected = Self { indexes: Default::default(), stored, position: None };
        expected.catch_up(store)?;
        Ok(expected)
    }

    fn catch_up(&mut self, store: &Store) -> Result<(), StoreError> {
        let mut batches = [Batch::default(), Batch::default()];
        let mut records = 0;
        for record in store.ledger().replay(self.position)? {
            let record = record?;
            self.position = Some(record.position);
            let [all, stored] = &mut batches;
            fold(all, &record)?;
            let gone = matches!(&record.event, Event::ManifestStored { digest, .. } | Event::ManifestPushed { digest, .. } if !self.stored.contains(digest));
            if !gone {
                fold(stored, &record)?;
            }
            records += 1;
            if records % BATCH == 0 {
                self.apply(&mut batches)?;
            }
        }
        self.apply(&mut batches)
    }

    fn apply(&self, batches: &mut [Batch; 2]) -> Result<(), StoreError> {
        for (index, batch) in self.indexes.iter().zip(batches) {
            index.apply(std::mem::take(batch), Some(Checkpoint::START))?;
        }
        Ok(())
    }

    /// Whether `found` is what the ledger says of a key.
    fn agrees(&self, table: Table, key: &[u8], found: Option<&[u8]>) -> Result<bool, StoreError> {
        // An index that was made before this table lacks entries, which costs a question upstream (see there).
        if table == Table::Deliveries && found.is_none() {
            return Ok(true);
        }
        for index in &self.indexes {
            if index.get(table, key)?.as_deref() == found {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Tables that no record makes.
const fn is_derived(table: Table) -> bool {
    !matches!(table, Table::TagConfirmations | Table::Clock)
}

fn entries(
    index: &dyn MetadataStore,
    table: Table,
    mut visit: impl FnMut(Vec<u8>, Vec<u8>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = index.scan(table, &[], after.as_deref(), PAGE)?;
        let full = page.len() == PAGE;
        for (key, value) in page {
            after = Some(key.clone());
            visit(key, value)?;
        }
        if !full {
            return Ok(());
        }
    }
}

impl Store {
    /// Compares the index with what the ledger says. The gate may work on meanwhile. Blocks on the disk.
    ///
    /// # Errors
    /// The ledger is damaged, or something cannot be read.
    pub fn check_index(&self) -> Result<IndexChecked, StoreError> {
        let index: &Index = &self.inner.index;
        let mut expected = Expected::new(self)?;
        let mut checked = IndexChecked::default();
        let mut differing: Entries = BTreeMap::new();
        for table in Table::ALL.into_iter().filter(|table| is_derived(*table)) {
            entries(index.raw(), table, |key, found| {
                checked.entries += 1;
                if !expected.agrees(table, &key, Some(&found))? {
                    differing.insert((table, key), found);
                }
                Ok(())
            })?;
            // What the ledger says with every record, and the index does not show.
            entries(&expected.indexes[0], table, |key, _| {
                if index.raw().get(table, &key)?.is_none() && !expected.agrees(table, &key, None)? {
                    differing.insert((table, key), Vec::new());
                }
                Ok(())
            })?;
        }
        // The index may be ahead of what was read: what was recorded meanwhile explains the rest.
        for _ in 0..ROUNDS {
            if differing.is_empty() {
                break;
            }
            expected.catch_up(self)?;
            let mut still = BTreeMap::new();
            for ((table, key), _) in std::mem::take(&mut differing) {
                let found = index.raw().get(table, &key)?;
                if !expected.agrees(table, &key, found.as_deref())? {
                    still.insert((table, key), found.unwrap_or_default());
                }
            }
            differing = still;
        }
        checked.differences = differing.len() as u64;
        checked.named = differing.keys().take(NAMED).map(|(table, key)| name(*table, key)).collect();
        Ok(checked)
    }
}

/// A key for people: its printable part.
fn name(table: Table, key: &[u8]) -> String {
    let text: String = key.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).filter(|c| matches!(c, ' '..='~')).collect();
    let rest: String = key.iter().skip_while(|byte| **byte != 0).skip(2).take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{}: {text} {rest}", table.name())
}
