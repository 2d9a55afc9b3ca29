//! What lies in the store is damaged, or asked for in parts.

use std::path::PathBuf;
use std::time::Duration;

use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::hostile::{Fault, Latch, Rule, Upstream};
use sealgate_tests::image::{Content, Format, Image};
use sealgate_tests::process::wait_until;
use sealgate_tests::pull::pull;
use sealgate_tests::wire::{Reply, Request};

/// A gate that has served an image.
struct Scene {
    upstream: Upstream,
    gate: Gate,
    image: Image,
}

impl Scene {
    fn new() -> Self {
        let upstream = Upstream::start();
        let gate = Setup::new().lab(&upstream.url()).allow_all().start();
        let image = Image::build(Format::Oci, "amd64", &[300_000]);
        upstream.push("team/app", "1", &image);
        let scene = Self { upstream, gate, image };
        scene.pull_and_settle();
        scene
    }

    /// Pulls, and waits until everything is durable.
    fn pull_and_settle(&self) {
        let _ = pull(self.gate.address(), "team/app", "1").expect_whole();
        assert!(wait_until(Duration::from_secs(5), || self.gate.metric("sealgate_fetches_in_flight") == 0.0));
        self.upstream.forget();
    }

    fn file(&self, content: &Content) -> PathBuf {
        let hex = content.digest.trim_start_matches("sha256:");
        self.gate.folder().join("data/blobs/sha256").join(&hex[..2]).join(hex)
    }

    fn layer(&self) -> &Content {
        &self.image.layers[0]
    }

    fn range(&self, range: &str) -> Reply {
        let target = Gate::target("team/app", &format!("blobs/{}", self.layer().digest));
        Request::new("GET", &target).header("Range", range).send(self.gate.address())
    }
}

type Damage = fn(&std::path::Path);

const DAMAGES: [(&str, Damage); 4] = [
    ("missing", |file| std::fs::remove_file(file).expect("the file")),
    ("empty", |file| std::fs::write(file, b"").expect("the file")),
    ("cut short", |file| {
        let content = std::fs::read(file).expect("the file");
        std::fs::write(file, &content[..content.len() / 2]).expect("the file");
    }),
    ("flipped", |file| {
        let mut content = std::fs::read(file).expect("the file");
        let middle = content.len() / 2;
        content[middle] ^= 1;
        std::fs::write(file, content).expect("the file");
    }),
];

// F18, A5: whatever the records say, bytes that are not what they were are missing, and are fetched again.
#[test]
fn a_stored_thing_that_is_damaged_while_the_gate_is_down_is_fetched_again() {
    let mut scene = Scene::new();
    for (name, damage) in DAMAGES {
        for content in [scene.image.manifest.clone(), scene.image.config.clone(), scene.layer().clone()] {
            scene.gate.kill();
            damage(&scene.file(&content));
            scene.gate.restart();
            scene.pull_and_settle();
            assert_eq!(std::fs::read(scene.file(&content)).expect("it is back"), content.bytes, "{name}: {}", content.media_type);
        }
    }
}

// F18: with the upstream away the damage is an error, and never an answer.
#[test]
fn a_damaged_thing_is_never_served_when_it_cannot_be_fetched_again() {
    for (name, damage) in DAMAGES {
        let mut scene = Scene::new();
        scene.gate.kill();
        damage(&scene.file(scene.layer()));
        scene.upstream.close();
        scene.gate.restart();
        let pulled = pull(scene.gate.address(), "team/app", "1");
        pulled.assert_nothing_wrong();
        let (_, layer) = pulled.blobs.iter().find(|(digest, _)| *digest == scene.layer().digest).expect("an answer");
        assert_eq!(layer.status, 502, "{name}: {}", layer.text());
    }
}

// F18: somebody empties or removes the file of a running gate, which has it open.
#[test]
fn a_blob_whose_file_shrinks_under_a_running_gate_heals() {
    for (name, damage) in &DAMAGES[1..3] {
        let scene = Scene::new();
        scene.pull_and_settle();
        damage(&scene.file(scene.layer()));
        let pulled = pull(scene.gate.address(), "team/app", "1").expect_whole();
        assert_eq!(pulled.manifest.body, scene.image.manifest.bytes, "{name}");
        assert!(
            wait_until(Duration::from_secs(5), || std::fs::read(scene.file(scene.layer())).is_ok_and(|found| found == scene.layer().bytes))
        );
    }
}

// F27
#[test]
fn parts_of_a_blob_are_served_as_rfc_9110_says() {
    let scene = Scene::new();
    let (bytes, size) = (&scene.layer().bytes, scene.layer().bytes.len());
    for (range, start, end) in [
        ("bytes=0-0".to_owned(), 0, 1),
        ("bytes=10-19".to_owned(), 10, 20),
        ("bytes=-7".to_owned(), size - 7, size),
        (format!("bytes=-{}", size * 2), 0, size),
        (format!("bytes=100-{}", size * 2), 100, size),
        (format!("bytes={}-", size - 1), size - 1, size),
    ] {
        let reply = scene.range(&range).expect(206);
        assert!(reply.complete && reply.body == bytes[start..end], "{range}");
        assert_eq!(reply.header("content-range"), Some(format!("bytes {start}-{}/{size}", end - 1).as_str()), "{range}");
    }
    for range in [format!("bytes={size}-"), format!("bytes={}-{}", size * 2, size * 3), "bytes=-0".to_owned(), "bytes=5-4".to_owned()] {
        let reply = scene.range(&range).expect(416);
        assert_eq!(reply.header("content-range"), Some(format!("bytes */{size}").as_str()), "{range}");
    }
    for nonsense in ["bytes=a-b", "items=0-1"] {
        let reply = scene.range(nonsense).expect(200);
        assert!(reply.complete && reply.body == bytes[..], "{nonsense} is ignored");
    }
}

// F27, DESIGN 1.4: a part of a blob that is still arriving waits until the whole is known to be right.
#[test]
fn a_part_of_a_blob_that_is_still_arriving_waits_for_its_digest() {
    let scene = Scene::new();
    let image = Image::build(Format::Oci, "amd64", &[300_000]);
    scene.upstream.push("team/app", "2", &image);
    let latch = Latch::closed();
    scene.upstream.rule(Rule::on("GET", &image.layers[0].digest).fault(Fault::HoldAfter(200_000, latch.clone())));
    let address = scene.gate.address();
    let pulling = std::thread::spawn(move || pull(address, "team/app", "2"));
    assert!(wait_until(Duration::from_secs(5), || scene.upstream.count("GET", &image.layers[0].digest) == 1));
    let target = Gate::target("team/app", &format!("blobs/{}", image.layers[0].digest));
    let asking = std::thread::spawn(move || Request::new("GET", &target).header("Range", "bytes=0-9").send(address));
    std::thread::sleep(Duration::from_millis(300));
    assert!(!asking.is_finished(), "ten bytes left before the digest was known");
    latch.open();
    let part = asking.join().expect("a reply").expect(206);
    assert_eq!(part.body, image.layers[0].bytes[..10]);
    let _ = pulling.join().expect("a pull").expect_whole();
}
