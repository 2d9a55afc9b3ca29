//! Disk full (F19), on a small tmpfs. Needs root; without it the test says so and passes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sealgate::store::{Store, StoreOptions};
use sealgate_config::IndexKind;
use sealgate_verifier::{Algorithm, Timestamp};

use crate::sample::{ENGINES, decision, digest, image, open, repository, runtime, tag};

/// A mounted tmpfs; unmounted at the end.
struct SmallDisk {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl SmallDisk {
    fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"]).arg(&path).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self { _folder: folder, path })
    }

    fn fill(&self) -> PathBuf {
        let filler = self.path.join("filler");
        let mut file = fs::File::create(&filler).unwrap();
        for piece in [1 << 20, 4096, 1] {
            let bytes = vec![1; piece];
            while file.write_all(&bytes).is_ok() {}
        }
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

fn small_disk() -> Option<SmallDisk> {
    let disk = SmallDisk::mount("32m");
    if disk.is_none() {
        eprintln!("skipped: mounting a tmpfs needs root");
    }
    disk
}

/// Moves tags until one is refused; returns how many were acknowledged.
fn move_until_refused(store: &Store, runtime: &tokio::runtime::Runtime, from: usize) -> usize {
    for number in from..from + 20_000 {
        let (repository, tag) = (repository("nginx"), tag(&format!("t{number}")));
        if let Err(error) = runtime.block_on(store.move_tag(&repository, &tag, digest(&number.to_string()), Timestamp(1))) {
            assert!(error.is_transient(), "{error:?}");
            return number;
        }
    }
    panic!("a full disk took 20 000 records");
}

fn check(store: &Store, count: usize) {
    for number in 0..count {
        let found = store.tag(&repository("nginx"), &tag(&format!("t{number}"))).unwrap();
        assert_eq!(found.map(|record| record.digest), Some(digest(&number.to_string())), "{number} of {count}");
    }
}

fn recovers(store: &Store, runtime: &tokio::runtime::Runtime, number: usize) -> Duration {
    let began = Instant::now();
    loop {
        let to = digest(&number.to_string());
        let moved = runtime.block_on(store.move_tag(&repository("nginx"), &tag(&format!("t{number}")), to, Timestamp(2)));
        if moved.is_ok() && store.trouble().is_none() {
            return began.elapsed();
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{moved:?} {:?} {:?}", store.trouble(), store.flush());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn fills_and_recovers(engine: IndexKind, data: &Path, disk: &SmallDisk) {
    let runtime = runtime();
    let (store, _) = open(data, engine);
    let (manifest_digest, bytes, manifest) = image("before", &[digest("base")]);
    runtime.block_on(store.store_manifest(&repository("nginx"), &manifest_digest, bytes.clone(), &manifest, Timestamp(1))).unwrap();
    let mut count = 0;
    for round in 0..3 {
        let filler = disk.fill();
        count = move_until_refused(&store, &runtime, count);
        assert!(!store.writable(), "{engine:?} round {round}");
        // The index too has to be written while nothing can be.
        let _ = store.flush();
        // Reads go on, of everything that was acknowledged.
        check(&store, count);
        assert_eq!(store.blobs().read(&manifest_digest, 1_000).unwrap(), Some(bytes.clone()));
        let mut writer = store.blobs().begin(Algorithm::Sha256);
        if let Ok(writer) = &mut writer {
            assert!(writer.write(&vec![7; 4 << 20]).is_err());
        }
        drop(writer);
        assert_eq!(fs::read_dir(data.join("tmp")).unwrap().count(), 0);

        fs::remove_file(filler).unwrap();
        let took = recovers(&store, &runtime, count);
        eprintln!("{engine:?} round {round}: {count} records, writable again after {took:?}");
        count += 1;
        check(&store, count);
        store.flush().unwrap();
    }
    store.ledger().verify(None).unwrap();
    store.close().unwrap();
    let (store, report) = open(data, engine);
    assert_eq!(report.torn_bytes, 0);
    check(&store, count);
}

#[test]
fn a_full_disk_stops_writes_not_reads_and_ends_by_itself() {
    // F19
    for engine in ENGINES {
        let Some(disk) = small_disk() else { return };
        fills_and_recovers(engine, &disk.path.join("data"), &disk);
    }
}

#[test]
fn a_store_opens_on_a_full_disk_and_serves() {
    // Not with sled: it writes before it reads, and refuses with the system's error.
    for engine in [IndexKind::Redb] {
        let Some(disk) = small_disk() else { return };
        let data = disk.path.join("data");
        let runtime = runtime();
        let (store, _) = open(&data, engine);
        for number in 0..50 {
            runtime
                .block_on(store.move_tag(&repository("nginx"), &tag(&format!("t{number}")), digest(&number.to_string()), Timestamp(1)))
                .unwrap();
        }
        store.close().unwrap();
        let filler = disk.fill();
        let opened = Store::open(&StoreOptions::new(&data, engine));
        let (store, _) = opened.unwrap_or_else(|error| panic!("{engine:?}: {error:?}"));
        check(&store, 50);
        let refused =
            runtime.block_on(store.record_verdict(decision("01", &repository("nginx"), digest("1"), sealgate::store::Outcome::Denied, 1)));
        assert!(refused.is_err() && !store.writable(), "{engine:?}");
        fs::remove_file(filler).unwrap();
        recovers(&store, &runtime, 50);
        check(&store, 51);
    }
}
