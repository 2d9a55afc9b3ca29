//! F22: the power goes right after an acknowledgement. On a file system without a journal, of whose device a copy is taken at that moment:
//! what was synced is on it, what was not is lost, names in folders among them.

use std::path::Path;

use sealgate_tests::disk::Disk;
use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::image::{Content, Image};
use sealgate_tests::layer::fresh_bytes;
use sealgate_tests::process::Signal;
use sealgate_tests::push::{HOSTED, Pusher};
use sealgate_tests::sha512;
use sealgate_tests::strace::Strace;

/// Paths that were acknowledged, with their bytes; none for what was deleted.
type Kept = Vec<(String, Option<Vec<u8>>)>;

fn gate(data: &Path) -> Gate {
    Setup::new()
        .registry(HOSTED, "{ hosted: true, push: anonymous, deletes: allowed }")
        .policy(format!("version: 1\nrules:\n  - images: [\"{HOSTED}/**\"]\n    require: [ allow ]\n"))
        .env("SEALGATE_DATA", data.to_str().expect("a path"))
        .start()
}

fn client(gate: &Gate) -> Pusher {
    Pusher::new(gate.address(), &format!("{HOSTED}/team/app"))
}

/// What the disk would hold after a power cut now. The gate stands still meanwhile.
fn cut(gate: &mut Gate, disk: &Disk) -> Disk {
    gate.process().signal(Signal::STOP);
    let cut = disk.cut();
    gate.process().signal(Signal::CONT);
    cut
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_at_that_moment() {
    let disk = Disk::block(64);
    let mut gate = gate(&disk.path().join("data"));
    let (push, image, gone) = (client(&gate), Image::small(), Image::small());
    let mut cuts: Vec<(&str, Disk, Kept)> = Vec::new();
    let mut kept = Kept::new();
    let bytes = fresh_bytes(200_000);
    let _ = push.blob(&sha512(&bytes), &bytes).expect(201);
    kept.push((format!("blobs/{}", sha512(&bytes)), Some(bytes)));
    cuts.push(("a blob", cut(&mut gate, &disk), kept.clone()));
    for blob in image.blobs().chain(gone.blobs()) {
        let _ = push.blob(&blob.digest, &blob.bytes).expect(201);
        kept.push((format!("blobs/{}", blob.digest), Some(blob.bytes.to_vec())));
    }
    let _ = push.manifest("gone", &gone.manifest).expect(201);
    let _ = push.manifest("1", &image.manifest).expect(201);
    kept.push(("manifests/1".to_owned(), Some(image.manifest.bytes.to_vec())));
    cuts.push(("a manifest", cut(&mut gate, &disk), kept.clone()));
    let referrer = push.referrer("application/x", &image.manifest, &Content::new("application/octet-stream", "y"));
    kept.push((format!("manifests/{}", referrer.digest), Some(referrer.bytes.to_vec())));
    let _ = push.delete(&format!("manifests/{}", gone.digest())).expect(202);
    kept.retain(|(path, _)| !gone.blobs().any(|blob| path.ends_with(&blob.digest)));
    kept.push(("manifests/gone".to_owned(), None));
    cuts.push(("a deletion", cut(&mut gate, &disk), kept.clone()));
    gate.kill();
    for (what, disk, kept) in cuts {
        let gate = self::gate(&disk.path().join("data"));
        let push = client(&gate);
        for (path, bytes) in kept {
            match bytes {
                Some(bytes) => assert_eq!(push.get(&path).expect(200).body, bytes, "after {what}: {path}"),
                None => assert_eq!(push.get(&path).status, 404, "after {what}: {path}"),
            }
        }
        push.image("next", &Image::small());
        assert!(!gate.log().contains("does not match its digest"), "after {what}");
    }
}

#[test]
fn the_test_can_tell_a_gate_that_leaves_a_sync_out() {
    // All of them, and that of the folder in which a manifest got its name. The calls answer that all is well and do nothing.
    for all in [true, false] {
        let disk = Disk::block(64);
        let data = disk.path().join("data");
        let mut gate = gate(&data);
        let (push, image) = (client(&gate), Image::small());
        push.image("before", &Image::small());
        image.blobs().for_each(|blob| drop(push.put_blob(&blob.bytes)));
        let hex = image.digest().strip_prefix("sha256:").expect("a sha256 digest");
        let folder = data.join("blobs/sha256").join(&hex[..2]);
        let folder = folder.to_str().expect("a path");
        let calls = if all { &["-e", "inject=fsync,fdatasync:retval=0"][..] } else { &["-e", "inject=fsync:retval=0", "-P", folder] };
        let strace = Strace::attach(gate.process().pid(), calls);
        let _ = push.manifest("1", &image.manifest).expect(201);
        assert!(strace.injected() > 0);
        let cut = cut(&mut gate, &disk);
        drop(strace);
        gate.kill();
        let gate = self::gate(&cut.path().join("data"));
        assert_eq!(client(&gate).get("manifests/1").status, 404, "without a sync it is lost");
        assert_eq!(client(&gate).get("manifests/before").status, 200);
    }
}
