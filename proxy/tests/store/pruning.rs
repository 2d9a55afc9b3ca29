//! Pruning keeps the state and drops the past, whatever a crash leaves of it.

use std::path::Path;

use sealgate::store::backup::{BackupOptions, back_up, restore};
use sealgate::store::{IndexState, Outcome, Store, ledger};
use sealgate_config::IndexKind;
use sealgate_verifier::Timestamp;

use crate::rebuild::{dump, fill};
use crate::sample::{ENGINES, decision, digest, open, repository, runtime, tag};

/// A store with a past: tags that moved on, decisions that others followed.
fn with_a_past(data: &Path, engine: IndexKind) -> Store {
    let (store, _) = open(data, engine);
    fill(&store, 1, 500);
    runtime().block_on(async {
        for number in 0..200 {
            let (repository, now) = (repository("docker.io/library/nginx"), Timestamp(1_000 + number));
            store.move_tag(&repository, &tag("latest"), digest(&format!("move {number}")), now).await.unwrap();
            let record = decision(&format!("past{number:022}"), &repository, digest("one"), Outcome::Denied, 1_000 + number);
            store.record_verdict(record).await.unwrap();
        }
    });
    store
}

#[test]
fn the_state_stays_and_the_past_goes() {
    for engine in ENGINES {
        let data = tempfile::tempdir().unwrap();
        let store = with_a_past(data.path(), engine);
        let old_head = store.ledger_head();
        store.close().unwrap();
        drop(store);
        let before = dump(data.path(), engine);
        let pruned = open(data.path(), engine).0.prune(Timestamp(1_100)).unwrap();
        assert!(pruned.bytes_after < pruned.bytes_before, "{pruned:?}");
        // Of two hundred decisions about one image a hundred are young; the other images' are all the last.
        assert_eq!((pruned.forgotten, pruned.records), (100, old_head.seq));
        let after = dump(data.path(), engine);
        assert_eq!(before.len() - after.len(), 100);
        assert!(after.iter().all(|row| before.contains(row)));
        // The index was kept; without it the same comes from the new ledger.
        let (store, report) = open(data.path(), engine);
        assert_eq!((report.index, report.replayed), (IndexState::Kept, 0));
        let checked = store.check_index().unwrap();
        assert_eq!((checked.differences, checked.entries > 1_000), (0, true), "{checked:?}");
        store.close().unwrap();
        drop(store);
        std::fs::remove_dir_all(data.path().join("index")).unwrap();
        drop(open(data.path(), engine));
        assert_eq!(dump(data.path(), engine), after);
    }
}

#[test]
fn a_head_of_before_is_proven_once_and_the_chain_goes_on() {
    let data = tempfile::tempdir().unwrap();
    let store = with_a_past(data.path(), IndexKind::Redb);
    let old = store.ledger_head();
    let earlier = (old.seq - 1, old.hash);
    let pruned = store.prune(Timestamp(0)).unwrap();
    let folder = data.path().join("ledger");
    let proven = ledger::verify(&folder, Some((old.seq, old.hash))).unwrap();
    assert_eq!(proven.head, pruned.head.position);
    let refused = ledger::verify(&folder, Some(earlier)).unwrap_err().to_string();
    assert!(refused.contains("was pruned up to record"), "{refused}");
    let (store, _) = open(data.path(), IndexKind::Redb);
    assert_eq!(store.ledger_head(), pruned.head.position);
    assert_eq!(store.high_water(), Timestamp(1_199), "the clock does not go back");
    let runtime = runtime();
    runtime.block_on(store.move_tag(&repository("nginx"), &tag("new"), digest("new"), Timestamp(2_000))).unwrap();
    assert_eq!(store.ledger_head().seq, pruned.head.position.seq + 1);
    let again = store.prune(Timestamp(0)).unwrap();
    assert!(ledger::verify(&folder, Some((again.records, ledger::verify(&folder, None).unwrap().head.hash))).is_err());
    let (store, report) = open(data.path(), IndexKind::Redb);
    assert_eq!(report.index, IndexState::Kept);
    assert_eq!(store.tag(&repository("nginx"), &tag("new")).unwrap().unwrap().digest, digest("new"));
}

#[test]
fn whatever_a_crash_leaves_of_a_pruning_is_ended_or_undone() {
    let data = tempfile::tempdir().unwrap();
    with_a_past(data.path(), IndexKind::Redb).close().unwrap();
    let copy = |from: &str, to: &str| {
        let (from, to) = (data.path().join(from), data.path().join(to));
        assert!(std::process::Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
    };
    copy("ledger", "past");
    let pruned = open(data.path(), IndexKind::Redb).0.prune(Timestamp(0)).unwrap();
    copy("ledger", "present");
    let clear = || {
        for name in ["ledger", "ledger.new", "ledger.old", "index"] {
            let _ = std::fs::remove_dir_all(data.path().join(name));
        }
    };
    let expect = |seq: u64| {
        let (store, _) = open(data.path(), IndexKind::Redb);
        assert_eq!(store.ledger_head().seq, seq);
        assert_eq!(store.tag(&repository("docker.io/library/nginx"), &tag("latest")).unwrap().unwrap().digest, digest("move 199"));
        drop(store);
        assert!(!data.path().join("ledger.new").exists() && !data.path().join("ledger.old").exists());
    };
    // While the new one was written: it does not count.
    clear();
    copy("past", "ledger");
    copy("present", "ledger.new");
    let half = data.path().join("ledger.new");
    let file =
        std::fs::read_dir(&half).unwrap().map(|file| file.unwrap().path()).find(|path| path.extension().is_some_and(|e| e == "jsonl"));
    std::fs::write(file.unwrap(), "{\"seq\":").unwrap();
    expect(pruned.records);
    // Between the two renames.
    clear();
    copy("past", "ledger.old");
    copy("present", "ledger.new");
    expect(pruned.head.position.seq);
    // Before the old one was removed.
    clear();
    copy("past", "ledger.old");
    copy("present", "ledger");
    expect(pruned.head.position.seq);
    // An index that still shows the old ledger is made anew where that is not on the chain.
    assert_eq!(open(data.path(), IndexKind::Redb).1.index, IndexState::Kept);
}

#[test]
fn a_pruned_store_is_backed_up_and_restored() {
    let (data, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let pruned = with_a_past(data.path(), IndexKind::Redb).prune(Timestamp(0)).unwrap();
    for target in ["folder", "archive.tar"] {
        let (target, home) = (other.path().join(target), other.path().join(format!("{target}.data")));
        back_up(data.path(), pruned.head.position, &target, &BackupOptions::default(), &|_, _| {}).unwrap();
        restore(&target, &home, &|_, _| {}).unwrap();
        let (store, report) = open(&home, IndexKind::Redb);
        assert!(matches!(report.index, IndexState::Rebuilt { .. }));
        assert_eq!(store.ledger_head(), pruned.head.position);
        assert_eq!(store.tag(&repository("docker.io/library/nginx"), &tag("latest")).unwrap().unwrap().digest, digest("move 199"));
    }
}
