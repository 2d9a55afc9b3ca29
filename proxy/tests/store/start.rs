//! How long a start takes with many images. Set SEALGATE_TEST_IMAGES=100000 and run in release; DESIGN §9 asks for 0.5 s.

use std::time::Instant;

use sealgate::store::{IndexState, Outcome};
use sealgate_verifier::Timestamp;

use crate::sample::{ENGINES, decision, digest, evidence, image, open, repository, runtime, tag};

#[test]
fn a_store_of_many_images_opens_quickly() {
    let Some(images) = std::env::var("SEALGATE_TEST_IMAGES").ok().and_then(|text| text.parse::<i64>().ok()) else {
        eprintln!("skipped: set SEALGATE_TEST_IMAGES");
        return;
    };
    for engine in ENGINES {
        let data = tempfile::tempdir().unwrap();
        let (store, _) = open(data.path(), engine);
        let began = Instant::now();
        runtime().block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for number in 0..images {
                while tasks.len() >= 512 {
                    tasks.join_next().await.unwrap().unwrap();
                }
                let store = store.clone();
                tasks.spawn(async move {
                    let repository = repository(&format!("ghcr.io/acme/app{}", number % 2_000));
                    let now = Timestamp(number);
                    let (digest_of, bytes, manifest) = image(&number.to_string(), &[digest("base"), digest(&format!("layer {number}"))]);
                    store.store_manifest(&repository, &digest_of, bytes, &manifest, now).await.unwrap();
                    store.move_tag(&repository, &tag(&format!("v{number}")), digest_of, now).await.unwrap();
                    store.record_possession(&repository, &digest(&format!("layer {number}")), 5, now).await.unwrap();
                    store.store_evidence(&repository, &digest_of, evidence(number)).await.unwrap();
                    store
                        .record_verdict(decision(&format!("{number:026}"), &repository, digest_of, Outcome::Admitted, number))
                        .await
                        .unwrap();
                });
            }
            while let Some(done) = tasks.join_next().await {
                done.unwrap();
            }
        });
        eprintln!("{engine:?}: {} records written in {:?}", store.ledger_head().seq, began.elapsed());
        store.close().unwrap();
        for _ in 0..3 {
            let began = Instant::now();
            let (store, report) = open(data.path(), engine);
            eprintln!("{engine:?}: clean start {:?}, {} records replayed", began.elapsed(), report.replayed);
            assert_eq!(report.index, IndexState::Kept);
            store.close().unwrap();
        }
        let (store, _) = open(data.path(), engine);
        runtime().block_on(store.record_verdict(decision("last", &repository("nginx"), digest("x"), Outcome::Denied, images))).unwrap();
        // What a power cut right now would leave: the files as they are, unclosed.
        let cut = tempfile::tempdir().unwrap();
        let copied =
            std::process::Command::new("cp").args(["-r", "ledger", "index", "format"]).arg(cut.path()).current_dir(data.path()).status();
        assert!(copied.unwrap().success());
        let began = Instant::now();
        let (crashed, report) = open(cut.path(), engine);
        eprintln!("{engine:?}: start after a crash {:?}, {} records replayed", began.elapsed(), report.replayed);
        assert_eq!(report.index, IndexState::Kept);
        drop((crashed, cut));
        let began = Instant::now();
        let verified = store.ledger().verify(None).unwrap();
        eprintln!("{engine:?}: whole chain of {} MiB verified in {:?}", verified.head.offset >> 20, began.elapsed());
        drop(store);
        std::fs::remove_dir_all(data.path().join("index")).unwrap();
        let began = Instant::now();
        let (store, report) = open(data.path(), engine);
        eprintln!("{engine:?}: rebuilt from {} records in {:?}", report.replayed, began.elapsed());
        drop(store);
    }
}
