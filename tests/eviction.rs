//! F17: the store has a limit. What was pulled least recently goes, and comes back when it is asked for; what was pushed here, is pinned,
//! is evidence or is being read stays.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sealgate_tests::gate::{Gate, LAB, Setup};
use sealgate_tests::hostile::{Fault, Rule, Upstream};
use sealgate_tests::image::{Content, Format, Image};
use sealgate_tests::process::wait_until;
use sealgate_tests::pull::pull;
use sealgate_tests::push::{HOSTED, Pusher};
use sealgate_tests::signature::Signer;
use sealgate_tests::{scale, sha256, wire};

/// Bytes of blobs that the gate may keep.
const LIMIT: u64 = 16 << 20;
/// Bytes of an image's one layer.
const LAYER: usize = 1_500_000;

struct Scene {
    upstream: Upstream,
    signer: Signer,
    gate: Gate,
    pinned: Image,
    signed: Image,
    hosted: Image,
}

fn image() -> Image {
    Image::build(Format::Oci, "amd64", &[LAYER])
}

impl Scene {
    /// A gate whose store takes ten images, with one that is pinned, one that is signed and one that was pushed.
    fn new(lease: &str, index: &str) -> Self {
        Self::start(&format!("store: {{ index: {index}, max-size: {LIMIT}B, reserve: 0B, lease: {lease} }}"), None)
    }

    fn start(store: &str, below: Option<&Path>) -> Self {
        let (upstream, signer) = (Upstream::start(), Signer::generate());
        let [pinned, signed, hosted] = [(); 3].map(|()| image());
        let policy = format!(
            "version: 1\nsigners:\n  ci: {{ key: keys/ci.pub }}\nrules:\n\
             \x20 - images: [\"{LAB}/**\", \"{HOSTED}/**\"]\n    require: [ allow ]\n\
             \x20 - images: [\"{LAB}/signed/**\"]\n    require: [ {{ signed-by: {{ any: [ci] }} }} ]\n\
             \x20 - images: [\"{LAB}/pinned/**\"]\n    require: [ {{ digests: [\"{}\"] }} ]\n",
            pinned.digest()
        );
        let setup = Setup::new()
            .registry(LAB, &format!("{{ upstream: {}, tag-ttl: 0s, default: true }}", upstream.url()))
            .registry(HOSTED, "{ hosted: true, push: anonymous }")
            .line(store)
            .file("keys/ci.pub", &signer.public_pem())
            .policy(policy);
        let gate = match below {
            Some(folder) => setup.below(folder).start(),
            None => setup.start(),
        };
        upstream.push("pinned/app", "1", &pinned);
        upstream.push("signed/app", "1", &signed);
        upstream.put_signature("signed/app", &signer.sign(&signed.manifest));
        let scene = Self { upstream, signer, gate, pinned, signed, hosted };
        scene.pusher().image("1", &scene.hosted);
        let _ = pull(scene.gate.address(), "pinned/app", "1").expect_whole();
        let _ = pull(scene.gate.address(), "signed/app", "1").expect_whole();
        scene
    }

    fn pusher(&self) -> Pusher {
        Pusher::new(self.gate.address(), &format!("{HOSTED}/team/app"))
    }

    /// Pulls fresh images until so many blobs were evicted; each at most so often. Gives the images.
    fn pull_until_evicted(&self, blobs: usize, from: usize) -> Vec<(String, Image)> {
        let goal = self.evicted() + blobs as f64;
        let mut pulled = vec![];
        for number in from..from + 60 {
            let (tag, image) = (format!("t{number}"), image());
            self.upstream.push("team/app", &tag, &image);
            // While everything is younger than the lease there is no room: the client is told so, and tries again.
            let taken = wait_until(Duration::from_secs(30), || pull(self.gate.address(), "team/app", &tag).is_whole());
            assert!(taken, "image {number}: {}", pull(self.gate.address(), "team/app", &tag).manifest.text());
            pulled.push((tag, image));
            if self.evicted() >= goal {
                return pulled;
            }
        }
        panic!("60 images of {LAYER} bytes evict nothing from a store of {LIMIT}:\n{}", self.gate.log());
    }

    fn evicted(&self) -> f64 {
        self.gate.metric("sealgate_store_evicted_blobs_total")
    }

    fn file(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        self.gate.folder().join("data/blobs/sha256").join(&hex[..2]).join(hex)
    }

    fn stored_bytes(&self) -> u64 {
        let folders = std::fs::read_dir(self.gate.folder().join("data/blobs/sha256")).expect("blobs");
        let files = folders.flat_map(|folder| std::fs::read_dir(folder.expect("a folder").path()).expect("a folder"));
        files.filter_map(|file| file.ok()?.metadata().ok()).map(|found| found.len()).sum()
    }

    /// Everything that must stay is there, and is served while the upstream is away.
    fn assert_kept(&self) {
        for blob in self.pinned.blobs().chain(self.hosted.blobs()).chain([&self.pinned.manifest, &self.hosted.manifest]) {
            assert_eq!(std::fs::read(self.file(&blob.digest)).ok().as_deref(), Some(&blob.bytes[..]), "{}", blob.media_type);
        }
        let signature = self.signer_evidence();
        assert!(signature.iter().all(|digest| self.file(digest).is_file()), "evidence was evicted");
        self.upstream.rule_first(Rule::any("/v2/").fault(Fault::Status(500)));
        let _ = pull(self.gate.address(), "pinned/app", "1").expect_whole();
        for blob in self.hosted.blobs() {
            let reply = self.pusher().get(&format!("blobs/{}", blob.digest)).expect(200);
            assert!(reply.complete && reply.body == blob.bytes[..]);
        }
        self.upstream.remove_first_rule();
    }

    /// What the evidence record of the signed image names: the manifest and layer of its signature.
    fn signer_evidence(&self) -> Vec<String> {
        let ledger = self.ledger();
        let stored = ledger.iter().find(|event| event["type"] == "evidence-stored" && event["subject"] == self.signed.digest());
        let stored = stored.unwrap_or_else(|| panic!("no evidence of {}, signed by {:?}", self.signed.digest(), self.signer));
        let attachment = &stored["record"]["attachments"][0];
        [&attachment["digest"], &attachment["layers"][0]].map(|digest| digest.as_str().expect("a digest").to_owned()).to_vec()
    }

    fn ledger(&self) -> Vec<serde_json::Value> {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(self.gate.folder().join("data/ledger")).expect("a ledger").map(|file| file.expect("a file").path()).collect();
        files.sort();
        let text: String = files.iter().map(|file| std::fs::read_to_string(file).expect("text")).collect();
        text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a record")["event"].clone()).collect()
    }

    fn settle(&self) {
        assert!(wait_until(Duration::from_secs(10), || self.gate.metric("sealgate_fetches_in_flight") == 0.0));
    }
}

/// A client that asks for a blob and reads nothing yet.
fn begin_download(scene: &Scene, target: &str) -> TcpStream {
    let mut stream = TcpStream::connect(scene.gate.address()).expect("a connection");
    // A small window, so that most of the body waits in the gate.
    rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 16 * 1024).expect("a small buffer");
    let head = format!("GET {target} HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("sent");
    stream
}

/// The body's digest, read to its end.
fn finish_download(mut stream: TcpStream) -> String {
    let mut answer = vec![];
    stream.read_to_end(&mut answer).expect("an answer");
    let head = answer.windows(4).position(|part| part == b"\r\n\r\n").expect("a head");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..head]));
    sha256(&answer[head + 4..])
}

fn evict(index: &str, rounds: usize) {
    let scene = Scene::new("1s", index);
    scene.settle();
    let mut number = 0;
    let mut oldest: Option<(String, Image)> = None;
    for round in 0..rounds {
        let target = Gate::target("signed/app", &format!("blobs/{}", scene.signed.layers[0].digest));
        let slow = begin_download(&scene, &target);
        let pulled = scene.pull_until_evicted(6, number);
        number += pulled.len();
        scene.settle();
        assert_eq!(finish_download(slow), scene.signed.layers[0].digest, "round {round}: a stream under way completes");
        scene.assert_kept();
        assert!(scene.stored_bytes() <= LIMIT, "round {round}: {} bytes", scene.stored_bytes());
        oldest = pulled.into_iter().next().or(oldest);
        let log = scene.gate.log();
        assert!(!log.contains("does not match its digest") && !log.contains("panicked"), "{log}");
    }
    let (tag, image) = oldest.expect("an image");
    comes_back(&scene, &tag, &image, number);
    // What went is on record, with the repository that lost it.
    let lost: Vec<serde_json::Value> = scene.ledger().into_iter().filter(|event| event["type"] == "possession-lost").collect();
    let blobs: usize = lost.iter().map(|event| event["blobs"].as_array().expect("a list").len()).sum();
    assert!(blobs >= 3, "{lost:?}");
    let repositories = |blob: &serde_json::Value| blob["repositories"].as_array().cloned().unwrap_or_default();
    let lost: Vec<serde_json::Value> = lost.iter().flat_map(|event| event["blobs"].as_array().cloned().unwrap_or_default()).collect();
    assert!(
        lost.iter()
            .flat_map(repositories)
            .all(|repository| repository == format!("{LAB}/team/app") || repository == format!("{LAB}/signed/app"))
    );
}

/// An image whose layer was evicted is fetched again, once, and served whole.
fn comes_back(scene: &Scene, tag: &str, image: &Image, number: usize) {
    let layer = &image.layers[0].digest;
    for more in 0..20 {
        if !scene.file(layer).exists() {
            break;
        }
        let _ = scene.pull_until_evicted(1, number + 100 * more);
    }
    assert!(!scene.file(layer).exists(), "the oldest of all stays");
    scene.settle();
    scene.upstream.forget();
    assert!(wait_until(Duration::from_secs(30), || pull(scene.gate.address(), "team/app", tag).is_whole()));
    assert_eq!(scene.upstream.count("GET", layer), 1);
    scene.settle();
    let _ = pull(scene.gate.address(), "team/app", tag).expect_whole();
    assert_eq!(scene.upstream.count("GET", layer), 1, "it is kept again");
}

// F17
#[test]
fn eviction_loses_nothing_that_is_pushed_pinned_evidence_or_being_served() {
    evict("redb", scale(2, 40));
}

#[test]
fn eviction_loses_nothing_with_the_other_index_either() {
    evict("sled", scale(1, 40));
}

// F17: a killed gate that evicts has lost nothing that must stay, and nothing comes back from the dead.
#[test]
fn a_kill_in_the_middle_of_an_eviction_loses_nothing_that_must_stay() {
    let mut scene = Scene::new("1s", "redb");
    scene.settle();
    let mut number = 0;
    for round in 0..scale(4, 100) {
        // At different times of a pull, so of evictions too, since the store is full from the second round on.
        let (address, from) = (scene.gate.address(), number);
        let images: Vec<(String, Image)> = (from..from + 12).map(|number| (format!("t{number}"), image())).collect();
        images.iter().for_each(|(tag, image)| scene.upstream.push("team/app", tag, image));
        let tags: Vec<String> = images.iter().map(|(tag, _)| tag.clone()).collect();
        let puller = std::thread::spawn(move || {
            for tag in tags {
                let target = Gate::target("team/app", &format!("manifests/{tag}"));
                let Ok(manifest) = wire::Request::new("GET", &target).header("Accept", wire::ACCEPT_MANIFESTS).try_send(address) else {
                    return;
                };
                if manifest.status != 200 || !manifest.complete {
                    continue;
                }
                let layer = manifest.json()["layers"][0]["digest"].as_str().expect("a layer").to_owned();
                let Ok(blob) = wire::Request::new("GET", &Gate::target("team/app", &format!("blobs/{layer}"))).try_send(address) else {
                    return;
                };
                assert!(!blob.complete || blob.status != 200 || sha256(&blob.body) == layer);
            }
        });
        number += 12;
        std::thread::sleep(Duration::from_millis(1_100 + (round as u64 * 61) % 400));
        scene.gate.kill();
        puller.join().expect("no wrong answer");
        scene.gate.restart();
        scene.assert_kept();
    }
    let _ = scene.pull_until_evicted(1, number);
    assert!(!scene.gate.log().contains("does not match its digest"));
    let _ = scene.gate.store("check", [""; 0]).run().expect_success();
}

// F19: where nothing may be evicted, writes fail cleanly and say why; reads go on.
#[test]
fn a_store_that_is_full_of_what_must_stay_refuses_writes_and_serves_the_rest() {
    let scene = Scene::new("1h", "redb");
    scene.settle();
    let mut refused = None;
    for number in 0..20 {
        let (tag, image) = (format!("t{number}"), image());
        scene.upstream.push("team/app", &tag, &image);
        let pulled = pull(scene.gate.address(), "team/app", &tag);
        pulled.assert_nothing_wrong();
        if let Some((_, reply)) = pulled.blobs.iter().find(|(_, reply)| reply.status != 200) {
            refused = Some((reply.status, reply.reason.clone(), reply.error()));
            break;
        }
    }
    let (status, reason, (code, message)) = refused.expect("20 images do not fit");
    assert_eq!((status, code.as_str()), (507, "UNAVAILABLE"), "{message}");
    assert!(message.contains("the gate's store is full") && reason == message, "{reason}: {message}");
    assert!(scene.gate.metric("sealgate_store_refused_writes_total") >= 1.0);
    assert_eq!(scene.evicted(), 0.0);
    // A push is refused in the same words.
    let more = Content::new("application/octet-stream", vec![7; 4 << 20]);
    let push = scene.pusher().blob(&more.digest, &more.bytes);
    assert_eq!(push.status, 507, "{}", push.text());
    assert!(push.text().contains("the gate's store is full"), "{}", push.text());
    scene.assert_kept();
    assert!(scene.stored_bytes() <= LIMIT);
    assert_eq!(std::fs::read_dir(scene.gate.folder().join("data/tmp")).expect("tmp").count(), 0, "nothing is left of what was refused");
}

// F17: what a tag's last resolution names is served while the upstream cannot confirm it, so it stays.
#[test]
fn what_serves_while_its_upstream_is_away_is_not_evicted() {
    let scene = Scene::new("1s", "redb");
    let last = image();
    scene.upstream.push("stable/app", "1", &last);
    let _ = pull(scene.gate.address(), "stable/app", "1").expect_whole();
    scene.settle();
    scene.upstream.rule(Rule::any("/v2/stable/").fault(Fault::Status(500)));
    let _ = pull(scene.gate.address(), "stable/app", "1").expect_whole();
    let mut number = 0;
    for _ in 0..3 {
        number += scene.pull_until_evicted(8, number).len();
    }
    assert!(last.blobs().all(|blob| scene.file(&blob.digest).is_file()));
    let _ = pull(scene.gate.address(), "stable/app", "1").expect_whole();
}

/// A small volume; unmounted at the end.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount(size: &str) -> Self {
        let folder = tempfile::tempdir().expect("a mount point");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"]).arg(folder.path()).status();
        assert!(mounted.expect("mount").success(), "mounting a tmpfs needs root");
        Self(folder)
    }

    /// Leaves no byte.
    fn fill(&self) -> PathBuf {
        let filler = self.0.path().join("filler");
        let mut file = std::fs::File::create(&filler).expect("a filler");
        for piece in [1 << 20, 4_096, 1] {
            let bytes = vec![1; piece];
            while file.write_all(&bytes).is_ok() {}
        }
        filler
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

// F19: the volume fills up to the last byte, with others' files, under a gate that evicts: not even the ledger can be written then.
#[test]
fn a_volume_that_others_fill_is_survived_by_eviction() {
    let disk = Disk::mount("56m");
    let scene = Scene::start("store: { reserve: 8MiB, lease: 1s }", Some(disk.0.path()));
    scene.settle();
    let mut number = scene.pull_until_evicted(1, 0).len();
    for round in 0..scale(2, 20) {
        let filler = disk.fill();
        let (tag, image) = (format!("full{round}"), image());
        scene.upstream.push("team/app", &tag, &image);
        let taken = wait_until(Duration::from_secs(60), || pull(scene.gate.address(), "team/app", &tag).is_whole());
        assert!(taken, "round {round}: {}\n{}", pull(scene.gate.address(), "team/app", &tag).manifest.text(), scene.gate.log());
        scene.assert_kept();
        std::fs::remove_file(filler).expect("removed");
        assert!(wait_until(Duration::from_secs(20), || scene.gate.metric("sealgate_store_writable") == 1.0), "it recovers by itself");
        number += scene.pull_until_evicted(1, 1_000 * (round + 1)).len();
    }
    assert!(number > 0);
    scene.settle();
    let _ = scene.gate.store("check", [""; 0]).run().expect_success();
}
