//! SIGKILL at any moment (F21), and a folder that another process has.
//!
//! The child is this test binary itself, started with an environment variable; it says on stdout what was acknowledged.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use sealgate::store::{Store, StoreError, StoreOptions};
use sealgate_config::IndexKind;
use sealgate_verifier::Timestamp;

use crate::sample::{ENGINES, digest, image, open, repository, runtime, tag};

const CHILD: &str = "SEALGATE_TEST_STORE_CHILD";

/// Kills per engine; SEALGATE_TEST_KILLS sets another number.
fn kills() -> u64 {
    std::env::var("SEALGATE_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(10)
}

fn child(folder: &Path, engine: IndexKind, round: u64) -> (Child, BufReader<ChildStdout>) {
    let engine = match engine {
        IndexKind::Redb => "redb",
        IndexKind::Sled => "sled",
    };
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::the_child_writes_until_it_is_killed", "--nocapture"])
        .env(CHILD, format!("{engine}:{round}:{}", folder.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    (child, stdout)
}

/// No test by itself: the body of the process that is killed.
#[test]
fn the_child_writes_until_it_is_killed() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let mut parts = task.splitn(3, ':');
    let engine = if parts.next() == Some("sled") { IndexKind::Sled } else { IndexKind::Redb };
    let round: u64 = parts.next().unwrap().parse().unwrap();
    let folder = PathBuf::from(parts.next().unwrap());
    let (store, _) = open(&folder, engine);
    say("ready");
    let runtime = runtime();
    for worker in 0..4_u64 {
        let store = store.clone();
        runtime.spawn(async move {
            for number in (worker..).step_by(4) {
                write(&store, round, number).await;
                say(&format!("acknowledged {number}"));
            }
        });
    }
    let flushing = store.clone();
    runtime.block_on(async move {
        loop {
            // More often than the store would, so that kills fall into flushes too.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let flushing = flushing.clone();
            tokio::task::spawn_blocking(move || flushing.flush().unwrap()).await.unwrap();
        }
    });
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

async fn write(store: &Store, round: u64, number: u64) {
    let repository = repository("ghcr.io/acme/app");
    let now = Timestamp(i64::try_from(round * 1_000_000 + number).unwrap());
    let (digest_of, bytes, manifest) = image(&format!("{round} {number}"), &[digest("base")]);
    store.store_manifest(&repository, &digest_of, bytes, &manifest, now).await.unwrap();
    store.record_possession(&repository, &digest_of, number, now).await.unwrap();
    store.move_tag(&repository, &tag(&format!("v{round}.{number}")), digest_of, now).await.unwrap();
}

/// Kills a child after `pause` and returns what it had acknowledged.
fn killed(folder: &Path, engine: IndexKind, round: u64, pause: Duration) -> Vec<u64> {
    let (mut child, mut out) = child(folder, engine, round);
    let mut line = String::new();
    while line.trim() != "ready" {
        line.clear();
        assert_ne!(out.read_line(&mut line).unwrap(), 0, "the child ended early");
    }
    let reading = std::thread::spawn(move || {
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        rest
    });
    std::thread::sleep(pause);
    // Child::kill is SIGKILL (std::process, Unix).
    child.kill().unwrap();
    child.wait().unwrap();
    let rest = reading.join().unwrap();
    rest.lines().filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok()).collect()
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    // F21
    for engine in ENGINES {
        let data = tempfile::tempdir().unwrap();
        let mut acknowledged = 0;
        for round in 0..kills() {
            // Pauses that no two rounds share, 5 to 250 ms.
            let pause = Duration::from_millis(5 + (round * 97 + 31) % 246);
            let numbers = killed(data.path(), engine, round, pause);
            let (store, report) = open(data.path(), engine);
            for number in &numbers {
                let repository = repository("ghcr.io/acme/app");
                let (digest_of, bytes, _) = image(&format!("{round} {number}"), &[]);
                let found = store.tag(&repository, &tag(&format!("v{round}.{number}"))).unwrap();
                assert_eq!(found.map(|record| record.digest), Some(digest_of), "{engine:?} round {round} {number} {report:?}");
                assert_eq!(store.possession(&repository, &digest_of).unwrap(), Some(*number));
                assert!(store.manifest(&repository, &digest_of).unwrap().is_some());
                assert_eq!(store.blobs().read(&digest_of, 1_000).unwrap(), Some(bytes));
            }
            store.ledger().verify(Some((store.ledger_head().seq, store.ledger_head().hash))).unwrap();
            assert_eq!(std::fs::read_dir(data.path().join("tmp")).unwrap().count(), 0);
            assert_eq!(std::fs::read_dir(data.path().join("quarantine")).unwrap().count(), 0);
            acknowledged += numbers.len();
            store.close().unwrap();
        }
        eprintln!("{engine:?}: {} kills, {acknowledged} acknowledged, 0 lost", kills());
        assert!(acknowledged > 0);
    }
}

#[test]
fn a_folder_that_another_process_has_is_refused_with_its_number() {
    let data = tempfile::tempdir().unwrap();
    let (mut child, mut out) = child(data.path(), IndexKind::Redb, 0);
    let mut line = String::new();
    while line.trim() != "ready" {
        line.clear();
        assert_ne!(out.read_line(&mut line).unwrap(), 0);
    }
    let refused = Store::open(&StoreOptions::new(data.path(), IndexKind::Redb)).err().unwrap();
    assert!(matches!(refused, StoreError::Locked { owner: Some(pid), .. } if pid == child.id()), "{refused:?}");
    assert!(refused.to_string().contains("in use by another sealgate"), "{refused}");
    child.kill().unwrap();
    child.wait().unwrap();
    open(data.path(), IndexKind::Redb);
}
