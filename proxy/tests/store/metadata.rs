//! The index contract, against each engine and the buffer before it.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sealgate::store::ledger::{Checkpoint, Position};
use sealgate::store::metadata::{Batch, Entry, MetadataError, MetadataStore, Table};
use sealgate::store::metadata_memory::MemoryMetadata;
use sealgate::store::metadata_redb::RedbMetadata;
use sealgate::store::metadata_sled::SledMetadata;
use sealgate::store::write_behind::WriteBehind;
use sealgate_verifier::{Digest, Timestamp};

fn checkpoint(seq: u64) -> Checkpoint {
    let position = Position { seq, offset: seq * 100, hash: Digest::sha256(&seq.to_le_bytes()) };
    Checkpoint { position, high_water: Timestamp(i64::try_from(seq).unwrap()) }
}

fn put(pairs: &[(Table, &str, &str)]) -> Batch {
    let mut batch = Batch::default();
    for (table, key, value) in pairs {
        batch.put(*table, key.as_bytes().to_vec(), value.as_bytes().to_vec());
    }
    batch
}

fn keys(store: &dyn MetadataStore, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
    let entries = store.scan(Table::Tags, prefix.as_bytes(), after.map(str::as_bytes), limit).unwrap();
    entries.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect()
}

fn contract(store: &dyn MetadataStore) {
    assert_eq!(store.get(Table::Tags, b"a").unwrap(), None);
    assert!(store.scan(Table::Tags, b"", None, 10).unwrap().is_empty());
    assert_eq!(store.checkpoint().unwrap(), None);

    store
        .apply(put(&[(Table::Tags, "r\0b", "2"), (Table::Tags, "r\0a", "1"), (Table::Manifests, "r\0a", "m")]), Some(checkpoint(1)))
        .unwrap();
    assert_eq!(store.get(Table::Tags, b"r\0a").unwrap().unwrap(), b"1");
    assert_eq!(store.get(Table::Manifests, b"r\0a").unwrap().unwrap(), b"m");
    assert_eq!(store.get(Table::Evidence, b"r\0a").unwrap(), None);
    assert_eq!(store.checkpoint().unwrap(), Some(checkpoint(1)));
    store.flush().unwrap();

    // A repository whose name begins like another's is not in its prefix; the last change of a key counts; a batch without a
    // checkpoint keeps the old one.
    let mut batch = put(&[(Table::Tags, "r\0c", "x"), (Table::Tags, "r\0c", "3"), (Table::Tags, "ra\0z", "9"), (Table::Tags, "q\0z", "9")]);
    batch.delete(Table::Tags, b"r\0b".to_vec());
    batch.put(Table::Tags, Vec::new(), b"empty key".to_vec());
    store.apply(batch, None).unwrap();
    assert_eq!(keys(store, "r\0", None, 10), ["r\0a", "r\0c"]);
    assert_eq!(store.get(Table::Tags, b"r\0c").unwrap().unwrap(), b"3");
    assert_eq!(store.get(Table::Tags, b"").unwrap().unwrap(), b"empty key");
    assert_eq!(store.checkpoint().unwrap(), Some(checkpoint(1)));

    // Paging, with changes that are flushed and changes that are not.
    store.apply(put(&[(Table::Tags, "r\0d", "4"), (Table::Tags, "r\0e", "5")]), Some(checkpoint(2))).unwrap();
    assert_eq!(keys(store, "r\0", None, 2), ["r\0a", "r\0c"]);
    assert_eq!(keys(store, "r\0", Some("r\0c"), 10), ["r\0d", "r\0e"]);
    assert_eq!(keys(store, "r\0", Some("r\0b"), 1), ["r\0c"]);
    assert_eq!(keys(store, "r\0", Some("a"), 1), ["r\0a"]);
    assert_eq!(keys(store, "r\0", Some("z"), 9), [""; 0]);
    assert_eq!(keys(store, "r\0", None, 0), [""; 0]);
    store.flush().unwrap();
    let mut batch = Batch::default();
    for key in ["r\0a", "r\0c", "r\0d"] {
        batch.delete(Table::Tags, key.as_bytes().to_vec());
    }
    store.apply(batch, None).unwrap();
    assert_eq!(keys(store, "r\0", None, 1), ["r\0e"]);

    large(store);
    store.clear().unwrap();
    assert_eq!(store.checkpoint().unwrap(), None);
    for table in Table::ALL {
        assert!(store.scan(table, b"", None, 10).unwrap().is_empty(), "{table:?}");
    }
    store.apply(put(&[(Table::Tags, "k", "v")]), Some(checkpoint(3))).unwrap();
    store.flush().unwrap();
    assert_eq!(store.get(Table::Tags, b"k").unwrap().unwrap(), b"v");
}

fn large(store: &dyn MetadataStore) {
    let mut batch = Batch::default();
    for number in 0..5_000_u32 {
        batch.put(Table::Possessions, number.to_be_bytes().to_vec(), vec![7; 100]);
    }
    batch.put(Table::Decisions, b"big".to_vec(), vec![9; 2_000_000]);
    store.apply(batch, None).unwrap();
    assert_eq!(store.scan(Table::Possessions, b"", None, 10_000).unwrap().len(), 5_000);
    assert_eq!(store.get(Table::Decisions, b"big").unwrap().unwrap().len(), 2_000_000);
}

#[test]
fn memory_fulfils_the_contract() {
    contract(&MemoryMetadata::default());
}

#[test]
fn redb_fulfils_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    contract(&RedbMetadata::open(folder.path()).unwrap());
}

#[test]
fn sled_fulfils_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    contract(&SledMetadata::open(folder.path()).unwrap());
}

#[test]
fn the_buffer_fulfils_the_contract_over_each_engine() {
    let (redb, sled) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    contract(&WriteBehind::new(Box::new(MemoryMetadata::default())));
    contract(&WriteBehind::new(Box::new(RedbMetadata::open(redb.path()).unwrap())));
    contract(&WriteBehind::new(Box::new(SledMetadata::open(sled.path()).unwrap())));
}

fn survives(open: impl Fn(&Path) -> Box<dyn MetadataStore>) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.apply(put(&[(Table::Tags, "a", "1")]), Some(checkpoint(7))).unwrap();
    store.flush().unwrap();
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.checkpoint().unwrap(), Some(checkpoint(7)));
    assert_eq!(store.get(Table::Tags, b"a").unwrap().unwrap(), b"1");
    store.apply(put(&[(Table::Tags, "b", "2")]), Some(checkpoint(8))).unwrap();
    // Closing writes what waits, gives the files free at once, and refuses what comes later.
    store.close().unwrap();
    assert!(matches!(store.get(Table::Tags, b"a"), Err(MetadataError::Closed)));
    assert!(matches!(store.apply(Batch::default(), None), Err(MetadataError::Closed)));
    store.close().unwrap();
    assert_eq!(open(folder.path()).checkpoint().unwrap(), Some(checkpoint(8)));
}

#[test]
fn redb_survives_a_restart() {
    survives(|folder| Box::new(RedbMetadata::open(folder).unwrap()));
}

#[test]
fn sled_survives_a_restart() {
    survives(|folder| Box::new(SledMetadata::open(folder).unwrap()));
}

#[test]
fn redb_that_is_open_elsewhere_is_not_taken_for_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let _first = RedbMetadata::open(folder.path()).unwrap();
    assert!(matches!(RedbMetadata::open(folder.path()), Err(MetadataError::Open { .. })));
}

#[test]
fn garbage_in_place_of_redb_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    for garbage in [vec![0x55; 100_000], b"short".to_vec()] {
        fs::write(folder.path().join("index.redb"), &garbage).unwrap();
        assert!(matches!(RedbMetadata::open(folder.path()), Err(MetadataError::Damaged { .. })));
    }
}

/// An engine whose flushes fail to order. A failed flush takes everything since the last good one with it, as opening the files again
/// does.
#[derive(Default, Clone)]
struct Fragile(Arc<Parts>);

#[derive(Default)]
struct Parts {
    durable: MemoryMetadata,
    pending: std::sync::Mutex<Vec<(Batch, Option<Checkpoint>)>>,
    failures: AtomicUsize,
}

impl MetadataStore for Fragile {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetadataError> {
        self.0.durable.get(table, key)
    }
    fn scan(&self, table: Table, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, MetadataError> {
        self.0.durable.scan(table, prefix, after, limit)
    }
    fn apply(&self, batch: Batch, checkpoint: Option<Checkpoint>) -> Result<(), MetadataError> {
        self.0.pending.lock().unwrap().push((batch, checkpoint));
        Ok(())
    }
    fn checkpoint(&self) -> Result<Option<Checkpoint>, MetadataError> {
        self.0.durable.checkpoint()
    }
    fn flush(&self) -> Result<(), MetadataError> {
        let pending = std::mem::take(&mut *self.0.pending.lock().unwrap());
        if self.0.failures.load(Ordering::Relaxed) > 0 {
            self.0.failures.fetch_sub(1, Ordering::Relaxed);
            return Err(MetadataError::Io(std::io::ErrorKind::StorageFull.into()));
        }
        pending.into_iter().try_for_each(|(batch, checkpoint)| self.0.durable.apply(batch, checkpoint))
    }
    fn clear(&self) -> Result<(), MetadataError> {
        self.0.durable.clear()
    }
    fn close(&self) -> Result<(), MetadataError> {
        self.0.durable.close()
    }
}

#[test]
fn a_failed_flush_takes_nothing_from_what_readers_see() {
    // F19, F20
    let engine = Fragile::default();
    let buffer = WriteBehind::new(Box::new(engine.clone()));
    buffer.apply(put(&[(Table::Tags, "a", "1"), (Table::Tags, "b", "1")]), Some(checkpoint(1))).unwrap();
    buffer.flush().unwrap();
    assert_eq!(buffer.unwritten(), 0);
    engine.0.failures.store(2, Ordering::Relaxed);
    let mut batch = put(&[(Table::Tags, "a", "2"), (Table::Tags, "c", "2")]);
    batch.delete(Table::Tags, b"b".to_vec());
    buffer.apply(batch, Some(checkpoint(2))).unwrap();
    let unwritten = buffer.unwritten();
    for _ in 0..2 {
        buffer.flush().unwrap_err();
        buffer.apply(put(&[(Table::Tags, "a", "3")]), None).unwrap();
        assert_eq!(buffer.get(Table::Tags, b"a").unwrap().unwrap(), b"3");
        assert_eq!(keys(&buffer, "", None, 10), ["a", "c"]);
        assert_eq!(buffer.checkpoint().unwrap(), Some(checkpoint(2)));
        assert_eq!(buffer.unwritten(), unwritten, "the same keys again take no more room");
    }
    assert_eq!(engine.checkpoint().unwrap(), Some(checkpoint(1)));
    buffer.flush().unwrap();
    assert_eq!((buffer.unwritten(), engine.checkpoint().unwrap()), (0, Some(checkpoint(2))));
    assert_eq!(keys(&engine, "", None, 10), ["a", "c"]);
    assert_eq!(engine.get(Table::Tags, b"a").unwrap().unwrap(), b"3");
}
