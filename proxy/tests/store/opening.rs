//! Who may open which folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use sealgate::store::{IndexState, Store, StoreError, StoreOptions};
use sealgate_config::IndexKind;
use sealgate_verifier::Timestamp;

use crate::sample::{digest, open, repository, runtime, tag};

fn options(folder: &std::path::Path) -> StoreOptions {
    StoreOptions::new(folder, IndexKind::Redb)
}

#[test]
fn a_new_store_is_made_private_and_opens_again() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("deep/data");
    let (store, report) = open(&data, IndexKind::Redb);
    assert!(report.created && report.index == IndexState::Kept, "{report:?}");
    store.close().unwrap();
    assert_eq!(fs::read_to_string(data.join("format")).unwrap(), "sealgate store 1\n");
    let mut folders = vec![data.clone()];
    while let Some(folder) = folders.pop() {
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700, "{}", folder.display());
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
            }
        }
    }
    let (_store, report) = open(&data, IndexKind::Redb);
    assert!(!report.created && report.index == IndexState::Kept && report.replayed == 0, "{report:?}");
}

#[test]
fn a_folder_that_is_in_use_is_refused_until_it_is_closed() {
    let data = tempfile::tempdir().unwrap();
    let (store, _) = open(data.path(), IndexKind::Redb);
    let error = Store::open(&options(data.path())).err().unwrap();
    assert!(matches!(&error, StoreError::Locked { owner: Some(pid), .. } if *pid == std::process::id()), "{error:?}");
    let clone = store.clone();
    store.close().unwrap();
    let (_second, _) = open(data.path(), IndexKind::Redb);
    // The first one's handles answer no more.
    assert!(clone.tag(&repository("nginx"), &tag("latest")).is_err());
    let refused = runtime().block_on(clone.move_tag(&repository("nginx"), &tag("latest"), digest("x"), Timestamp(1)));
    assert!(refused.is_err());
}

#[test]
fn a_newer_format_and_a_foreign_file_are_refused() {
    let data = tempfile::tempdir().unwrap();
    drop(open(data.path(), IndexKind::Redb));
    fs::write(data.path().join("format"), "sealgate store 2\n").unwrap();
    assert!(matches!(Store::open(&options(data.path())), Err(StoreError::NewerFormat { found: 2, supported: 1, .. })));
    for foreign in ["", "hello", "sealgate store 0", "sealgate store -1", "sealgate store 99999999999999"] {
        fs::write(data.path().join("format"), foreign).unwrap();
        assert!(matches!(Store::open(&options(data.path())), Err(StoreError::UnreadableFormat { .. })), "{foreign}");
    }
    fs::write(data.path().join("format"), "sealgate store 1\n").unwrap();
    open(data.path(), IndexKind::Redb);
}

#[test]
fn a_store_whose_ledger_is_gone_is_refused_and_not_begun_anew() {
    // F23
    let data = tempfile::tempdir().unwrap();
    drop(open(data.path(), IndexKind::Redb));
    fs::remove_dir_all(data.path().join("ledger")).unwrap();
    for _ in 0..2 {
        assert!(matches!(Store::open(&options(data.path())), Err(StoreError::LedgerMissing { .. })));
    }
}

#[test]
fn a_making_that_was_interrupted_is_completed() {
    let data = tempfile::tempdir().unwrap();
    drop(open(data.path(), IndexKind::Redb));
    fs::remove_file(data.path().join("format")).unwrap();
    let (store, report) = open(data.path(), IndexKind::Redb);
    assert!(report.created);
    assert_eq!(store.ledger_head().seq, 1);
    assert!(data.path().join("format").exists());
}
