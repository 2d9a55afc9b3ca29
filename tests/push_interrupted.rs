//! Pushes that break off, at any step and by any means: what was acknowledged is there, what was not is whole or absent, and nothing gathers.

use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use sealgate_tests::disk::files;
use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::image::{Content, Image};
use sealgate_tests::layer::fresh_bytes;
use sealgate_tests::process::wait_until;
use sealgate_tests::push::{CI, Chunk, HOSTED, PASSWORD, Pusher, with_users};
use sealgate_tests::wire::{Reply, Request};
use sealgate_tests::{scale, sha256};

const LIMIT: Duration = Duration::from_secs(20);

fn setup() -> Setup {
    Setup::new()
        .registry(HOSTED, "{ hosted: true }")
        .policy(format!("version: 1\nrules:\n  - images: [\"{HOSTED}/**\"]\n    require: [ allow ]\n"))
}

fn at(gate: &Gate, user: &str) -> Pusher {
    Pusher::new(gate.address(), &format!("{HOSTED}/team/app")).login(user, PASSWORD)
}

fn unfinished(gate: &Gate) -> usize {
    files(&gate.folder().join("data/tmp"))
}

/// Where a push is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Post,
    MiddleOfPatch,
    BetweenPatches,
    LastPatch,
    MiddleOfPut,
    Put,
    MiddleOfManifest,
    Manifest,
}

impl Step {
    const ALL: [Self; 8] = [
        Self::Post,
        Self::MiddleOfPatch,
        Self::BetweenPatches,
        Self::LastPatch,
        Self::MiddleOfPut,
        Self::Put,
        Self::MiddleOfManifest,
        Self::Manifest,
    ];
}

/// Goes on until `step`, of which a request under way is left in `open`; says where the upload was, and whether blob and manifest were
/// acknowledged.
fn push_until(step: Step, push: &Pusher, open: &mut Vec<TcpStream>, bytes: &[u8], manifest: &Content) -> (String, bool, bool) {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let location = push.begin();
    let address = push.address();
    let stopped = |blob, manifest| (location.clone(), blob, manifest);
    if step == Step::Post {
        return stopped(false, false);
    }
    if step == Step::MiddleOfPatch {
        open.push(push.absolute("PATCH", &location).send_part(address, bytes.len(), first));
        std::thread::sleep(Duration::from_millis(50));
        return stopped(false, false);
    }
    let _ = push.patch(&location, Chunk { range: &format!("0-{}", first.len() - 1), bytes: first }).expect(202);
    if step == Step::BetweenPatches {
        return stopped(false, false);
    }
    let digest = sha256(bytes);
    if step == Step::MiddleOfPut {
        let request = push.absolute("PUT", &format!("{location}?digest={digest}"));
        open.push(request.send_part(address, second.len(), &second[..second.len() / 2]));
        std::thread::sleep(Duration::from_millis(50));
        return stopped(false, false);
    }
    let range = format!("{}-{}", first.len(), bytes.len() - 1);
    let _ = push.patch(&location, Chunk { range: &range, bytes: second }).expect(202);
    if step == Step::LastPatch {
        return stopped(false, false);
    }
    let _ = push.finish(&location, &digest, b"").expect(201);
    if step == Step::Put {
        return stopped(true, false);
    }
    if step == Step::MiddleOfManifest {
        let request = push.request("PUT", "manifests/1").header("Content-Type", &manifest.media_type);
        open.push(request.send_part(address, manifest.bytes.len(), &manifest.bytes[..manifest.bytes.len() - 1]));
        std::thread::sleep(Duration::from_millis(50));
        return stopped(true, false);
    }
    let _ = push.manifest("1", manifest).expect(201);
    stopped(true, true)
}

#[test]
fn a_kill_at_each_step_leaves_what_was_acknowledged_and_nothing_by_half() {
    // F21
    for step in Step::ALL {
        let mut gate = with_users(setup()).start();
        let push = at(&gate, CI);
        let config = push.put_blob(b"{}");
        let bytes = fresh_bytes(100_000);
        let layer = Content::new("application/octet-stream", bytes.clone());
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": media_type, "layers": [layer.descriptor()],
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2 },
        });
        let manifest = Content::json(media_type, &manifest);
        let mut open = Vec::new();
        let (location, blob, tagged) = push_until(step, &push, &mut open, &bytes, &manifest);
        gate.restart();
        drop(open);
        assert_eq!(unfinished(&gate), 0, "{step:?}: the start leaves unfinished files");
        assert_eq!(push.upload("GET", &location).expect(404).error().0, "BLOB_UPLOAD_UNKNOWN", "{step:?}");
        let path = format!("blobs/{}", layer.digest);
        assert_eq!((push.get(&path).status == 200, push.get("manifests/1").status == 200), (blob, tagged), "{step:?}");
        if blob {
            assert_eq!(push.get(&path).expect(200).body, bytes, "{step:?}");
        }
        // The client begins anew.
        let _ = push.blob(&layer.digest, &bytes).expect(201);
        let _ = push.manifest("1", &manifest).expect(201);
        assert_eq!(push.get("manifests/1").expect(200).body, manifest.bytes, "{step:?}");
        assert_eq!(push.get(&path).expect(200).body, bytes, "{step:?}");
    }
}

/// What clients were told.
#[derive(Default)]
struct Told {
    /// Paths and their bytes.
    kept: Mutex<Vec<(String, Vec<u8>)>>,
    /// Manifests that may be there or not, with what they list.
    open: Mutex<Vec<(String, Image)>>,
}

impl Told {
    fn keep(&self, path: String, bytes: &[u8]) {
        self.kept.lock().expect("what was told").push((path, bytes.to_vec()));
    }
}

/// Pushes images until the gate dies.
fn push_on(push: &Pusher, stop: &AtomicBool, number: &AtomicUsize, told: &Told) {
    while !stop.load(Ordering::SeqCst) {
        let (image, tag) = (Image::small(), format!("t{}", number.fetch_add(1, Ordering::SeqCst)));
        let ask = |request: Request| -> Option<Reply> { push_try(push, &request) };
        for blob in image.blobs() {
            let Some(begun) = ask(push.request("POST", "blobs/uploads/")) else { return };
            let location = begun.expect(202).header("location").expect("a location").to_owned();
            let put = push.absolute("PUT", &format!("{location}?digest={}", blob.digest)).body(&blob.bytes);
            let Some(put) = ask(put) else { return };
            let _ = put.expect(201);
            told.keep(format!("blobs/{}", blob.digest), &blob.bytes);
        }
        told.open.lock().expect("what is open").push((tag.clone(), image.clone()));
        let request = push.request("PUT", &format!("manifests/{tag}")).header("Content-Type", &image.manifest.media_type);
        let Some(put) = ask(request.body(&image.manifest.bytes)) else { return };
        let _ = put.expect(201);
        told.keep(format!("manifests/{tag}"), &image.manifest.bytes);
        told.keep(format!("manifests/{}", image.digest()), &image.manifest.bytes);
    }
}

/// None where the gate died before it answered.
fn push_try(push: &Pusher, request: &Request) -> Option<Reply> {
    request.try_send(push.address()).ok().filter(|reply| reply.status != 0)
}

fn survive(index: &str, kills: usize) {
    let mut gate = with_users(setup().line(&format!("store: {{ index: {index} }}"))).start();
    let (push, told, number) = (at(&gate, CI), Told::default(), AtomicUsize::new(0));
    let mut checked = 0;
    for round in 0..kills {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| push_on(&push, &stop, &number, &told));
            }
            std::thread::sleep(Duration::from_millis(100 + (round as u64 * 37) % 211));
            gate.kill();
            stop.store(true, Ordering::SeqCst);
        });
        gate.restart();
        assert_eq!(unfinished(&gate), 0, "round {round}");
        let kept = std::mem::take(&mut *told.kept.lock().expect("what was told"));
        for (path, bytes) in &kept {
            assert_eq!(push.get(path).expect(200).body, *bytes, "round {round}: {path}");
        }
        checked += kept.len();
        for (tag, image) in std::mem::take(&mut *told.open.lock().expect("what is open")) {
            let manifest = push.get(&format!("manifests/{tag}"));
            assert!(matches!(manifest.status, 200 | 404), "round {round}: {tag}");
            if manifest.status == 200 {
                assert_eq!(manifest.body, image.manifest.bytes, "round {round}: {tag}");
                image.blobs().for_each(|blob| assert_eq!(push.get(&format!("blobs/{}", blob.digest)).expect(200).body, blob.bytes));
            }
        }
    }
    assert!(checked > 0, "nothing was pushed between the kills");
    assert_eq!(gate.log().matches("does not match its digest").count(), 0, "a half-written blob got its name");
    println!("{index}: {kills} kills, {checked} acknowledgements, none lost");
}

#[test]
fn nothing_acknowledged_is_lost_however_often_a_gate_is_killed_during_pushes() {
    survive("redb", scale(4, 100));
}

#[test]
fn nothing_acknowledged_is_lost_with_the_other_index_either() {
    survive("sled", scale(3, 100));
}

#[test]
fn a_client_that_leaves_keeps_its_upload_or_leaves_nothing() {
    let gate = with_users(setup()).start();
    let (ci, bytes) = (at(&gate, CI), fresh_bytes(400_000));
    // In chunks: what arrived stays, and the client goes on from there.
    let location = ci.begin();
    drop(ci.absolute("PATCH", &location).send_part(gate.address(), bytes.len(), &bytes[..300_000]));
    let arrived = || {
        let state = ci.upload("GET", &location).expect(204);
        state.header("range").and_then(|range| range.strip_prefix("0-")?.parse::<usize>().ok()).expect("0-N") + 1
    };
    assert!(wait_until(LIMIT, || arrived() == 300_000), "{} bytes arrived", arrived());
    let rest = Chunk { range: &format!("300000-{}", bytes.len() - 1), bytes: &bytes[300_000..] };
    assert!(wait_until(LIMIT, || ci.patch(&location, rest).status == 202));
    let _ = ci.finish(&location, &sha256(&bytes), b"").expect(201);
    assert_eq!(ci.get(&format!("blobs/{}", sha256(&bytes))).expect(200).body, bytes);
    // In one request: nobody can go on with it, so that it does not wait for its expiry.
    let other = fresh_bytes(400_000);
    let request = ci.request("POST", &format!("blobs/uploads/?digest={}", sha256(&other)));
    let cut = request.send_part(gate.address(), other.len(), &other[..300_000]);
    assert!(wait_until(LIMIT, || unfinished(&gate) == 1), "it has begun");
    drop(cut);
    assert!(wait_until(LIMIT, || unfinished(&gate) == 0), "it leaves a file");
    assert_eq!(ci.get(&format!("blobs/{}", sha256(&other))).status, 404);
}
