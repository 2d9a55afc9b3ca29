//! Pushes to a gate whose disk is full or fails (F19, F20): nothing is acknowledged that is not kept, what is there is served meanwhile,
//! and it ends without anybody's help.

use std::path::Path;
use std::time::Duration;

use sealgate_tests::disk::{Disk, files};
use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::image::{Format, Image};
use sealgate_tests::process::wait_until;
use sealgate_tests::push::{HOSTED, Pusher};
use sealgate_tests::strace::Strace;
use sealgate_tests::wire::Reply;

const LIMIT: Duration = Duration::from_secs(30);

fn gate(data: &Path, index: &str) -> Gate {
    Setup::new()
        .registry(HOSTED, "{ hosted: true, push: anonymous }")
        .policy(format!("version: 1\nrules:\n  - images: [\"{HOSTED}/**\"]\n    require: [ allow ]\n"))
        .line(&format!("store: {{ index: {index} }}"))
        .env("SEALGATE_DATA", data.to_str().expect("a path"))
        .start()
}

/// Paths that were acknowledged, with their bytes.
type Kept = Vec<(String, Vec<u8>)>;

/// A step that is done, or that the gate could not do for its disk's sake.
fn done(reply: Reply, expected: u16) -> Option<Reply> {
    if reply.status == expected {
        return Some(reply);
    }
    // 507: the store found no room; 503: the disk said so, or failed.
    assert!(matches!(reply.status, 503 | 507) && reply.error().0 == "UNAVAILABLE", "{} {}", reply.status, reply.text());
    assert!(reply.header("retry-after").is_some());
    None
}

/// Pushes an image as far as that goes; says whether it went to the end.
fn push(client: &Pusher, tag: &str, image: &Image, kept: &mut Kept) -> bool {
    let mut whole = true;
    for blob in image.blobs() {
        let pushed = done(client.send(client.request("POST", "blobs/uploads/")), 202).and_then(|begun| {
            let location = begun.header("location").expect("a location").to_owned();
            let patch = client.absolute("PATCH", &location).body(&blob.bytes);
            done(client.send(patch), 202)?;
            done(client.finish(&location, &blob.digest, b""), 201)
        });
        match pushed {
            Some(_) => kept.push((format!("blobs/{}", blob.digest), blob.bytes.to_vec())),
            None => whole = false,
        }
    }
    if !whole {
        // Part of it is missing, so that the manifest must not be taken.
        let refused = client.manifest(tag, &image.manifest);
        assert!(matches!(refused.status, 400 | 503 | 507), "{} {}", refused.status, refused.text());
        return false;
    }
    if done(client.manifest(tag, &image.manifest), 201).is_none() {
        return false;
    }
    for reference in [tag, image.digest()] {
        kept.push((format!("manifests/{reference}"), image.manifest.bytes.to_vec()));
    }
    true
}

fn assert_kept(client: &Pusher, kept: &Kept) {
    for (path, bytes) in kept {
        assert_eq!(client.get(path).expect(200).body, *bytes, "{path}");
    }
}

/// By itself the gate takes pushes again.
fn assert_recovers(client: &Pusher, tag: &str, kept: &mut Kept) {
    assert!(wait_until(LIMIT, || push(client, tag, &Image::small(), kept)), "pushes are still refused");
}

fn client(gate: &Gate) -> Pusher {
    Pusher::new(gate.address(), &format!("{HOSTED}/team/app"))
}

fn fills_and_recovers(index: &str) {
    let disk = Disk::memory(64);
    let data = disk.path().join("data");
    let mut gate = gate(&data, index);
    let (client, mut kept, mut refused) = (client(&gate), Kept::new(), 0);
    assert!(push(&client, "before", &Image::small(), &mut kept));
    // Room for nothing, for a part of a layer, for the layers and not the manifest, and so on.
    for (round, kib) in [0, 4, 8, 16, 64, 128, 192, 256, 300, 512].into_iter().enumerate() {
        let filler = disk.fill(kib << 10);
        let image = Image::build(Format::Oci, "amd64", &[2_000, 70_000, 120_000]);
        refused += usize::from(!push(&client, &format!("full-{round}"), &image, &mut kept));
        assert_kept(&client, &kept);
        drop(filler);
        assert_recovers(&client, &format!("after-{round}"), &mut kept);
    }
    assert!(refused >= 3, "the disk was full in {refused} rounds");
    assert_eq!(files(&data.join("tmp")), 0, "what was refused leaves nothing behind");
    assert_kept(&client, &kept);
    gate.restart();
    assert_kept(&client, &kept);
    assert!(!gate.log().contains("panicked"), "{}", gate.log());
}

#[test]
fn a_full_disk_refuses_pushes_and_serves_what_is_there_until_there_is_room() {
    fills_and_recovers("redb");
}

#[test]
fn the_same_with_the_other_index() {
    fills_and_recovers("sled");
}

#[test]
fn a_sync_rename_or_write_that_fails_is_never_acknowledged() {
    // F20: each kind of call that a push makes answers EIO.
    let folder = tempfile::tempdir().expect("a folder for data");
    let data = folder.path().join("data");
    let mut gate = gate(&data, "redb");
    let (client, mut kept) = (client(&gate), Kept::new());
    assert!(push(&client, "before", &Image::small(), &mut kept));
    let ledger = data.join("ledger/00000000000000000000.jsonl");
    let ledger = ledger.to_str().expect("a path");
    for (round, what) in ["fsync", "fsync of a folder", "rename", "fdatasync", "write of the ledger"].into_iter().enumerate() {
        let image = Image::build(Format::Oci, "amd64", &[2_000, 70_000]);
        let hex = image.layers[0].digest.strip_prefix("sha256:").expect("a sha256 digest");
        let of_layer = data.join("blobs/sha256").join(&hex[..2]);
        let of_layer = of_layer.to_str().expect("a path");
        let faults: &[&str] = match what {
            "fsync" => &["-e", "inject=fsync:error=EIO"],
            "fsync of a folder" => &["-e", "inject=fsync:error=EIO", "-P", of_layer],
            "rename" => &["-e", "inject=rename,renameat,renameat2:error=EIO"],
            "fdatasync" => &["-e", "inject=fdatasync:error=EIO"],
            _ => &["-e", "inject=write,pwrite64:error=EIO", "-P", ledger],
        };
        let strace = Strace::attach(gate.process().pid(), faults);
        assert!(!push(&client, &format!("failing-{round}"), &image, &mut kept), "{what}: a push was acknowledged");
        assert!(strace.injected() > 0, "{what}: no call failed");
        assert_kept(&client, &kept);
        drop(strace);
        assert_recovers(&client, &format!("after-{round}"), &mut kept);
        // The same bytes again: what was left of them is not taken for stored.
        assert!(push(&client, &format!("again-{round}"), &image, &mut kept), "{what}");
        assert_kept(&client, &kept);
    }
    assert_eq!(files(&data.join("tmp")), 0);
    gate.restart();
    assert_kept(&client, &kept);
    assert_eq!(gate.log().matches("does not match its digest").count(), 0);
    assert!(!gate.log().contains("panicked"), "{}", gate.log());
}
