//! The index is a fold over the ledger: whatever happens to it, it comes back the same.

use std::fs;
use std::path::Path;

use sealgate::store::metadata::{MetadataStore, Table};
use sealgate::store::metadata_redb::RedbMetadata;
use sealgate::store::metadata_sled::SledMetadata;
use sealgate::store::{IndexState, Outcome, Store};
use sealgate_config::IndexKind;
use sealgate_verifier::Timestamp;

use crate::sample::{ENGINES, decision, digest, evidence, image, index, open, repository, runtime, tag};

fn home(data: &Path, engine: IndexKind) -> std::path::PathBuf {
    data.join("index").join(match engine {
        IndexKind::Redb => "redb",
        IndexKind::Sled => "sled",
    })
}

/// All tables that a rebuild brings back, of a store that nobody has open.
pub fn dump(data: &Path, engine: IndexKind) -> Vec<(Table, Vec<u8>, Vec<u8>)> {
    let engine: Box<dyn MetadataStore> = match engine {
        IndexKind::Redb => Box::new(RedbMetadata::open(&home(data, engine)).unwrap()),
        IndexKind::Sled => Box::new(SledMetadata::open(&home(data, engine)).unwrap()),
    };
    let tables = Table::ALL.into_iter().filter(|table| !matches!(table, Table::TagConfirmations | Table::Clock));
    let entries =
        tables.flat_map(|table| engine.scan(table, b"", None, usize::MAX - 1).unwrap().into_iter().map(move |(k, v)| (table, k, v)));
    let all = entries.collect();
    engine.close().unwrap();
    all
}

/// Writes `count` records of every kind.
pub fn fill(store: &Store, from: i64, count: i64) {
    runtime().block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for number in from..from + count / 5 {
            let store = store.clone();
            tasks.spawn(async move {
                let repository = repository(&format!("ghcr.io/acme/app{}", number % 50));
                let now = Timestamp(number);
                let (digest_of, bytes, manifest) = if number % 10 == 0 {
                    index(&number.to_string(), &[digest(&(number + 1).to_string()), digest("shared")])
                } else {
                    image(&number.to_string(), &[digest("base"), digest(&format!("layer {number}"))])
                };
                store.store_manifest(&repository, &digest_of, bytes, &manifest, now).await.unwrap();
                store.move_tag(&repository, &tag(&format!("v{}", number % 300)), digest_of, now).await.unwrap();
                store.record_possession(&repository, &digest(&format!("layer {number}")), 5, now).await.unwrap();
                store.store_evidence(&repository, &digest_of, evidence(number)).await.unwrap();
                let record = decision(&format!("{number:026}"), &repository, digest_of, Outcome::Denied, number);
                store.record_verdict(record).await.unwrap();
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    });
}

#[test]
fn ten_thousand_records_rebuild_into_the_same_index_on_each_engine() {
    for engine in ENGINES {
        let data = tempfile::tempdir().unwrap();
        let (store, _) = open(data.path(), engine);
        fill(&store, 0, 10_000);
        let head = store.ledger_head();
        store.close().unwrap();
        assert_eq!(head.seq, 10_001);
        let before = dump(data.path(), engine);
        assert!(before.len() > 10_000, "{}", before.len());

        fs::remove_dir_all(home(data.path(), engine)).unwrap();
        let (store, report) = open(data.path(), engine);
        assert!(matches!(report.index, IndexState::Rebuilt { .. }), "{report:?}");
        assert_eq!((report.replayed, report.missing_manifests), (10_001, 0));
        assert_eq!((store.ledger_head(), store.high_water()), (head, Timestamp(1999)));
        store.close().unwrap();
        assert!(dump(data.path(), engine) == before, "{engine:?}");
    }
}

#[test]
fn the_index_in_memory_is_the_same_as_on_each_engine() {
    // The third engine: the same records, folded by a store that has no disk.
    let memory = Store::in_memory();
    fill(&memory, 0, 500);
    let repository = repository("ghcr.io/acme/app7");
    for engine in ENGINES {
        let data = tempfile::tempdir().unwrap();
        let (store, _) = open(data.path(), engine);
        fill(&store, 0, 500);
        drop(store);
        fs::remove_dir_all(home(data.path(), engine)).unwrap();
        let (store, _) = open(data.path(), engine);
        assert_eq!(store.tags(&repository, 100).unwrap(), memory.tags(&repository, 100).unwrap());
        let listing = |store: &Store| store.manifests_listing_blob(&repository, &digest("base")).unwrap();
        assert_eq!(listing(&store), listing(&memory));
        assert!(!listing(&store).is_empty());
        for (_, record) in store.tags(&repository, 100).unwrap() {
            assert_eq!(store.verdict(&repository, &record.digest).unwrap(), memory.verdict(&repository, &record.digest).unwrap());
            assert_eq!(store.evidence(&repository, &record.digest).unwrap(), memory.evidence(&repository, &record.digest).unwrap());
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() { copy(&entry.path(), &target) } else { fs::copy(entry.path(), target).map(|_| ()).unwrap() }
    }
}

#[test]
fn an_index_that_is_behind_catches_up() {
    for engine in ENGINES {
        let data = tempfile::tempdir().unwrap();
        let (store, _) = open(data.path(), engine);
        fill(&store, 0, 200);
        store.close().unwrap();
        copy(&home(data.path(), engine), &data.path().join("old"));
        let (store, _) = open(data.path(), engine);
        fill(&store, 1_000, 100);
        store.close().unwrap();
        let new = dump(data.path(), engine);
        fs::remove_dir_all(home(data.path(), engine)).unwrap();
        fs::rename(data.path().join("old"), home(data.path(), engine)).unwrap();
        let (store, report) = open(data.path(), engine);
        assert_eq!((report.index, report.replayed), (IndexState::Kept, 100), "{engine:?}");
        assert_eq!(store.high_water(), Timestamp(1_019));
        store.close().unwrap();
        assert!(dump(data.path(), engine) == new);
    }
}

#[test]
fn an_index_that_is_ahead_or_of_another_history_is_rebuilt() {
    for engine in ENGINES {
        let data = tempfile::tempdir().unwrap();
        let (store, _) = open(data.path(), engine);
        fill(&store, 0, 100);
        let ledger = data.path().join("ledger/00000000000000000000.jsonl");
        let old = fs::read(&ledger).unwrap();
        fill(&store, 1_000, 100);
        store.close().unwrap();
        // The ledger of yesterday's backup under today's index.
        fs::write(&ledger, &old).unwrap();
        let (store, report) = open(data.path(), engine);
        assert!(matches!(report.index, IndexState::Rebuilt { .. }), "{report:?}");
        assert_eq!((report.replayed, store.ledger_head().seq), (101, 101));
        assert_eq!(store.decision(&format!("{:026}", 1_000)).unwrap(), None);
        assert!(store.decision(&format!("{:026}", 19)).unwrap().is_some());
    }
}

fn damage(home: &Path, how: &dyn Fn(&mut Vec<u8>)) {
    for entry in fs::read_dir(home).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let mut bytes = fs::read(&path).unwrap();
            how(&mut bytes);
            fs::write(&path, bytes).unwrap();
        }
    }
}

#[test]
fn a_damaged_index_is_moved_away_and_rebuilt() {
    // F23
    let garbage: &dyn Fn(&mut Vec<u8>) = &|bytes| bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at * 31 % 251) as u8);
    let emptied: &dyn Fn(&mut Vec<u8>) = &|bytes| bytes.clear();
    let halved: &dyn Fn(&mut Vec<u8>) = &|bytes| bytes.truncate(bytes.len() / 2);
    for engine in ENGINES {
        let whole = tempfile::tempdir().unwrap();
        let (store, _) = open(whole.path(), engine);
        fill(&store, 0, 500);
        store.close().unwrap();
        let before = dump(whole.path(), engine);
        for (name, how) in [("garbage", garbage), ("emptied", emptied), ("halved", halved)] {
            let data = tempfile::tempdir().unwrap();
            copy(whole.path(), data.path());
            damage(&home(data.path(), engine), how);
            let (store, report) = open(data.path(), engine);
            assert!(matches!(report.index, IndexState::Rebuilt { .. }), "{engine:?} {name} {report:?}");
            store.close().unwrap();
            assert!(dump(data.path(), engine) == before, "{engine:?} {name}");
        }
    }
}

#[test]
fn a_flipped_bit_in_the_index_is_never_read_as_another_fact() {
    // F23: each answer is the right one, or an error, or comes from a rebuilt index.
    for engine in ENGINES {
        let whole = tempfile::tempdir().unwrap();
        let (store, _) = open(whole.path(), engine);
        fill(&store, 0, 50);
        let repository = repository("ghcr.io/acme/app7");
        let (name, truth) = store.tags(&repository, 1).unwrap().remove(0);
        let verdict = store.verdict(&repository, &truth.digest).unwrap();
        store.close().unwrap();
        let file = home(whole.path(), engine).join(match engine {
            IndexKind::Redb => "index.redb",
            IndexKind::Sled => "db",
        });
        let bytes = fs::read(&file).unwrap();
        let hits: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
        for step in 0..40 {
            let data = tempfile::tempdir().unwrap();
            copy(whole.path(), data.path());
            let mut flipped = bytes.clone();
            flipped[hits[step * hits.len() / 40]] ^= 2;
            fs::write(data.path().join(file.strip_prefix(whole.path()).unwrap()), &flipped).unwrap();
            let (store, _) = open(data.path(), engine);
            if let Ok(Some(found)) = store.tag(&repository, &name) {
                assert_eq!(found, truth);
            }
            if let Ok(Some(found)) = store.verdict(&repository, &truth.digest) {
                assert_eq!(Some(found), verdict);
            }
        }
    }
}

#[test]
fn a_manifest_whose_bytes_are_gone_is_left_out_and_reported() {
    // F18
    let data = tempfile::tempdir().unwrap();
    let (store, _) = open(data.path(), IndexKind::Redb);
    let repository = repository("nginx");
    let (kept, kept_bytes, kept_manifest) = image("kept", &[digest("base")]);
    let (gone, gone_bytes, gone_manifest) = image("gone", &[digest("base")]);
    let runtime = runtime();
    runtime.block_on(store.store_manifest(&repository, &kept, kept_bytes, &kept_manifest, Timestamp(1))).unwrap();
    runtime.block_on(store.store_manifest(&repository, &gone, gone_bytes.clone(), &gone_manifest, Timestamp(1))).unwrap();
    store.blobs().remove(&gone).unwrap();
    drop(store);
    fs::remove_dir_all(data.path().join("index")).unwrap();
    let (store, report) = open(data.path(), IndexKind::Redb);
    assert_eq!(report.missing_manifests, 1);
    assert_eq!(store.manifest(&repository, &gone).unwrap(), None);
    assert_eq!(store.manifests_listing_blob(&repository, &digest("base")).unwrap(), [kept]);
    // Fetched again, it is there again.
    runtime.block_on(store.store_manifest(&repository, &gone, gone_bytes, &gone_manifest, Timestamp(2))).unwrap();
    assert!(store.manifest(&repository, &gone).unwrap().is_some());
    assert_eq!(store.manifests_listing_blob(&repository, &digest("base")).unwrap().len(), 2);
}

#[test]
fn the_engine_can_be_changed() {
    let data = tempfile::tempdir().unwrap();
    let (store, _) = open(data.path(), IndexKind::Redb);
    fill(&store, 0, 100);
    drop(store);
    let (store, report) = open(data.path(), IndexKind::Sled);
    assert!(matches!(report.index, IndexState::Rebuilt { .. }));
    fill(&store, 1_000, 100);
    drop(store);
    let (store, report) = open(data.path(), IndexKind::Redb);
    assert_eq!((report.index, report.replayed), (IndexState::Kept, 100));
    assert!(store.decision(&format!("{:026}", 1_019)).unwrap().is_some());
}
