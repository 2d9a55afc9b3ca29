//! `store gc` and `store usage`: what nobody refers to goes, also beside pushes, and nothing else does.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::image::{Content, Format, Image};
use sealgate_tests::push::{HOSTED, Pusher};
use sealgate_tests::scale;
use serde_json::Value;

const APP: &str = "hosted.local/team/app";

fn gate() -> Gate {
    Setup::new()
        .registry(HOSTED, "{ hosted: true, push: anonymous, deletes: allowed, default: true }")
        .policy(format!("version: 1\nrules:\n  - images: [\"{HOSTED}/**\"]\n    require: [ allow ]\n"))
        .start()
}

fn pusher(gate: &Gate) -> Pusher {
    Pusher::new(gate.address(), APP)
}

fn images(count: usize) -> Vec<Image> {
    (0..count).map(|_| Image::build(Format::Oci, "amd64", &[30_000])).collect()
}

fn file(gate: &Gate, blob: &Content) -> PathBuf {
    let hex = blob.digest.trim_start_matches("sha256:");
    gate.folder().join("data/blobs/sha256").join(&hex[..2]).join(hex)
}

fn is_stored(gate: &Gate, image: &Image) -> bool {
    image.blobs().chain([&image.manifest]).all(|blob| std::fs::read(file(gate, blob)).is_ok_and(|found| found == blob.bytes))
}

fn gc(gate: &Gate, more: &[&str]) -> Value {
    let arguments = ["--older-than", "1s", "--output", "json"].iter().chain(more);
    let done = gate.store("gc", arguments).run().expect_success();
    serde_json::from_str(&done.stdout).expect("JSON")
}

fn usage(gate: &Gate) -> Value {
    let done = gate.store("usage", ["--output", "json"]).run().expect_success();
    serde_json::from_str(&done.stdout).expect("JSON")
}

fn delete(gate: &Gate, image: &Image) {
    let _ = pusher(gate).delete(&format!("manifests/{}", image.digest())).expect(202);
}

/// Ends all leases: a restart forgets them, and what the files say of their last use grows older than a second.
fn age(gate: &mut Gate) {
    gate.restart();
    std::thread::sleep(Duration::from_millis(1_300));
}

#[test]
fn what_no_manifest_lists_goes_and_what_one_lists_stays() {
    let mut gate = gate();
    let [kept, gone] = [(); 2].map(|()| Image::build(Format::Oci, "amd64", &[30_000, 50_000]));
    pusher(&gate).image("kept", &kept);
    pusher(&gate).image("gone", &gone);
    // Listed in one repository, forgotten in another.
    let other = Pusher::new(gate.address(), &format!("{HOSTED}/team/other"));
    kept.blobs().for_each(|blob| drop(other.blob(&blob.digest, &blob.bytes).expect(201)));
    delete(&gate, &gone);
    let looked = gc(&gate, &["--dry-run"]);
    assert_eq!((&looked["blobs"], &looked["dry-run"]), (&0.into(), &true.into()), "all of it is in use: {looked}");
    age(&mut gate);
    let used = usage(&gate);
    assert_eq!((&used["unreferenced"]["count"], &used["pushed"]["count"]), (&4.into(), &4.into()), "{used}");
    assert_eq!(gc(&gate, &["--dry-run"])["blobs"], 4);
    assert!(is_stored(&gate, &gone), "a dry run removes nothing");
    let collected = gc(&gate, &[]);
    // The manifest is no blob that a repository possesses.
    assert_eq!((&collected["blobs"], &collected["unlisted"]), (&4.into(), &3.into()), "{collected}");
    assert!(is_stored(&gate, &kept));
    assert!(gone.blobs().chain([&gone.manifest]).all(|blob| !file(&gate, blob).exists()));
    assert_eq!(gc(&gate, &[])["blobs"], 0);
    assert_eq!(usage(&gate)["unreferenced"]["count"], 0);
    for blob in kept.blobs() {
        assert_eq!(pusher(&gate).get(&format!("blobs/{}", blob.digest)).expect(200).body, blob.bytes);
    }
    let lost = pusher(&gate).head(&format!("blobs/{}", gone.layers[0].digest));
    assert_eq!(lost.status, 404, "a push asks whether a layer is there, and it is not");
    pusher(&gate).image("gone", &gone);
    assert!(is_stored(&gate, &gone));
    // The same without a gate.
    delete(&gate, &gone);
    gate.kill();
    std::thread::sleep(Duration::from_millis(1_300));
    assert_eq!(usage(&gate)["unreferenced"]["count"], 4);
    assert_eq!(gc(&gate, &[])["blobs"], 4);
    assert!(is_stored(&gate, &kept));
    let table = gate.store("usage", [""; 0]).run().expect_success().stdout;
    assert!(table.contains(APP) && table.contains("can be evicted"), "{table}");
}

// The same layers are pushed again while they are being collected.
#[test]
fn a_push_beside_a_collection_loses_nothing() {
    let mut gate = gate();
    let images = images(scale(12, 60));
    for round in 0..scale(3, 30) {
        images.iter().enumerate().for_each(|(number, image)| pusher(&gate).image(&format!("t{number}"), image));
        images.iter().for_each(|image| delete(&gate, image));
        age(&mut gate);
        let (stop, address, again) = (Arc::new(AtomicBool::new(false)), gate.address(), images.clone());
        let pushing = {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let pusher = Pusher::new(address, APP);
                for (number, image) in again.iter().enumerate() {
                    push_as_docker_does(&pusher, &format!("t{number}"), image);
                }
                stop.store(true, Ordering::SeqCst);
            })
        };
        let mut collections = 0;
        while !stop.load(Ordering::SeqCst) && collections < 1_000 {
            let _ = gc(&gate, &[]);
            collections += 1;
        }
        pushing.join().expect("every push is taken");
        assert!(images.iter().all(|image| is_stored(&gate, image)), "round {round} after {collections} collections");
        for image in &images {
            let _ = pusher(&gate).get(&format!("manifests/{}", image.digest())).expect(200);
        }
    }
    let _ = gate.store("check", [""; 0]).run().expect_success();
}

/// A layer that is there already is not uploaded again.
fn push_as_docker_does(pusher: &Pusher, tag: &str, image: &Image) {
    for blob in image.blobs() {
        if pusher.head(&format!("blobs/{}", blob.digest)).status != 200 {
            let _ = pusher.blob(&blob.digest, &blob.bytes).expect(201);
        }
    }
    let _ = pusher.manifest(tag, &image.manifest).expect(201);
}

// F21
#[test]
fn a_kill_in_the_middle_of_a_collection_loses_nothing() {
    let mut gate = gate();
    let kept = images(5);
    kept.iter().enumerate().for_each(|(number, image)| pusher(&gate).image(&format!("kept{number}"), image));
    let mut met = 0;
    for round in 0..scale(5, 100) {
        let garbage = images(25);
        garbage.iter().for_each(|image| {
            pusher(&gate).image("garbage", image);
            delete(&gate, image);
        });
        age(&mut gate);
        let program = gate.store("gc", ["--older-than", "1s"]);
        let collecting = std::thread::spawn(move || program.run());
        std::thread::sleep(Duration::from_millis(30 + (round as u64 * 41) % 200));
        gate.kill();
        let _ = collecting.join().expect("an answer or none");
        let left = garbage.iter().filter(|image| file(&gate, &image.layers[0]).exists()).count();
        met += usize::from(left > 0 && left < garbage.len());
        gate.restart();
        assert!(kept.iter().all(|image| is_stored(&gate, image)), "round {round}");
        let _ = gate.store("check", [""; 0]).run().expect_success();
        std::thread::sleep(Duration::from_millis(1_300));
        let _ = gc(&gate, &[]);
        assert!(
            garbage.iter().all(|image| !file(&gate, &image.layers[0]).exists()),
            "round {round}: the next collection ends what was begun"
        );
    }
    for image in &kept {
        let _ = pusher(&gate).get(&format!("manifests/{}", image.digest())).expect(200);
    }
    println!("{met} kills met a collection half way");
}
