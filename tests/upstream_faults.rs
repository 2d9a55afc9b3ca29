//! An upstream that dies, stalls, lies or tires in the middle of a pull: no client gets a wrong byte as a whole answer, nothing wrong is
//! kept, and the next pull heals.

use std::time::{Duration, Instant};

use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::hostile::{Fault, Rule, Tokens, Upstream};
use sealgate_tests::image::{Format, Image};
use sealgate_tests::process::wait_until;
use sealgate_tests::pull::pull;
use sealgate_tests::registry::Registry;
use sealgate_tests::wire::{self, Reply};

/// An upstream with one image whose layer has a MiB, and a gate in front of it that knows its manifest.
struct Scene {
    upstream: Upstream,
    gate: Gate,
    image: Image,
}

impl Scene {
    fn new() -> Self {
        let upstream = Upstream::start();
        let gate = Setup::new().lab(&upstream.url()).allow_all().start();
        let image = Image::build(Format::Oci, "amd64", &[1_000_000]);
        upstream.push("team/app", "1", &image);
        let _ = wire::get(gate.address(), &Gate::target("team/app", "manifests/1")).expect(200);
        Self { upstream, gate, image }
    }

    fn size(&self) -> usize {
        self.image.layers[0].bytes.len()
    }

    fn layer(&self) -> Reply {
        wire::get(self.gate.address(), &Gate::target("team/app", &format!("blobs/{}", self.image.layers[0].digest)))
    }

    fn assert_nothing_kept(&self) {
        let data = self.gate.folder().join("data");
        let idle = || self.gate.metric("sealgate_fetches_in_flight") == 0.0;
        assert!(wait_until(Duration::from_secs(5), idle), "a fetch goes on");
        let hex = self.image.layers[0].digest.trim_start_matches("sha256:");
        assert!(!data.join("blobs/sha256").join(&hex[..2]).join(hex).exists(), "a wrong blob is kept");
        assert_eq!(std::fs::read_dir(data.join("tmp")).expect("tmp").count(), 0, "an unfinished file is left");
    }

    fn assert_healed(&self) {
        self.upstream.behave();
        let reply = self.layer().expect(200);
        assert!(reply.complete && reply.body == self.image.layers[0].bytes, "the next pull heals");
    }
}

// F1, issue 2 item 5, with a real registry that is killed while it sends.
#[test]
fn an_upstream_that_is_killed_at_half_a_blob_leaves_nothing_and_the_next_pull_heals() {
    let mut upstream = Upstream::start();
    let mut registry = Registry::start();
    let image = Image::build(Format::Oci, "amd64", &[4_000_000]);
    registry.push("team/app", "1", &image);
    // The same content twice: once from an upstream that stops at half and is closed, then from the registry.
    let settings = format!("{{ default: true, upstream: {} }}", upstream.url());
    let gate = Setup::new().registry("lab.example", &settings).registry("real.example", &format!("{{ upstream: {} }}", registry.url()));
    let gate = gate.policy("version: 1\nrules:\n  - images: [\"**\"]\n    require: [ allow ]\n").start();
    upstream.push("team/app", "1", &image);
    let half = image.layers[0].bytes.len() / 2;
    upstream.rule(Rule::on("GET", &image.layers[0].digest).fault(Fault::StallAfter(half)));
    let address = gate.address();
    let pulling = std::thread::spawn(move || pull(address, "team/app", "1"));
    assert!(wait_until(Duration::from_secs(10), || gate.metric("sealgate_upstream_bytes") >= half as f64));
    upstream.close();
    let broken = pulling.join().expect("a pull");
    broken.assert_nothing_wrong();
    assert!(!broken.is_whole(), "half a blob is no pull");
    let tmp = gate.folder().join("data/tmp");
    assert!(wait_until(Duration::from_secs(5), || std::fs::read_dir(&tmp).expect("tmp").count() == 0));

    let target = |kind: &str| format!("/v2/real.example/team/app/{kind}");
    let _ = wire::get(address, &target("manifests/1")).expect(200);
    registry.kill();
    let blob = target(&format!("blobs/{}", image.layers[0].digest));
    assert_eq!(wire::get(address, &blob).status, 502);
    registry.restart();
    let healed = wire::get(address, &blob).expect(200);
    assert!(healed.complete && healed.body == image.layers[0].bytes);
}

// F1
#[test]
fn a_body_that_breaks_off_every_time_is_an_error_that_leaves_nothing() {
    let scene = Scene::new();
    scene.upstream.rule(Rule::on("GET", "/blobs/").fault(Fault::CutAfter(0)));
    let reply = scene.layer();
    assert!(!reply.complete || reply.status == 502, "{} {}", reply.status, reply.body.len());
    assert!(scene.upstream.count("GET", "/blobs/") <= 4, "no storm on an upstream that is ill");
    scene.assert_nothing_kept();
    scene.assert_healed();
}

// F1, F2
#[test]
fn a_body_that_breaks_off_once_is_resumed_with_a_range() {
    let scene = Scene::new();
    scene.upstream.rule(Rule::on("GET", "/blobs/").times(1).fault(Fault::CutAfter(600_000)));
    let reply = scene.layer().expect(200);
    assert!(reply.complete && reply.body == scene.image.layers[0].bytes);
    let gets: Vec<_> = scene.upstream.seen().into_iter().filter(|seen| seen.target.contains("/blobs/")).collect();
    let ranges: Vec<_> = gets.iter().map(|seen| seen.headers.get("range").map(|value| value.to_str().expect("ASCII").to_owned())).collect();
    assert_eq!(ranges.len(), 2, "{ranges:?}");
    let offset = ranges[1].as_deref().and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    assert!(ranges[0].is_none() && offset.is_some_and(|offset| (1..=600_000).contains(&offset)), "{ranges:?}");
}

// F2: the announced length is right, the body is shorter and ends in good order.
#[test]
fn a_body_shorter_than_announced_is_detected_and_resumed() {
    let scene = Scene::new();
    let short = scene.image.layers[0].bytes.slice(..500_000);
    scene.upstream.rule(Rule::on("GET", "/blobs/").times(1).fault(Fault::Body(short.clone())));
    assert!(scene.layer().expect(200).complete);
    assert_eq!(scene.upstream.count("GET", "/blobs/"), 2);
    // Short with a length to match: the manifest's size decides.
    let scene = Scene::new();
    let length = short.len().to_string();
    scene.upstream.rule(Rule::on("GET", "/blobs/").fault(Fault::Body(short)).fault(Fault::Header("content-length", length)));
    assert_eq!(scene.layer().status, 502);
    scene.assert_nothing_kept();
    scene.assert_healed();
}

// A4, issue 2 item 5
#[test]
fn one_flipped_byte_never_reaches_a_client_as_a_complete_body() {
    let scene = Scene::new();
    for place in [0, 500_000, scene.size() - 1] {
        scene.upstream.behave();
        scene.upstream.rule(Rule::on("GET", "/blobs/").fault(Fault::FlipByte(place)));
        let (address, target) = (scene.gate.address(), Gate::target("team/app", &format!("blobs/{}", scene.image.layers[0].digest)));
        let threads: Vec<_> = (0..5)
            .map(|_| (target.clone(), address))
            .map(|(t, a)| std::thread::spawn(move || wire::Request::new("GET", &t).try_send(a)))
            .collect();
        // A connection that ends before the head is a refusal too.
        for reply in threads.into_iter().filter_map(|thread| thread.join().expect("a client").ok()) {
            assert!(reply.status != 200 || (!reply.complete && reply.body.len() < scene.size()), "byte {place}: {}", reply.body.len());
        }
        let range = wire::Request::new("GET", &target).header("Range", "bytes=0-9").send(address);
        assert!(!matches!(range.status, 200 | 206), "a range of a blob that does not match: {}", range.status);
        scene.assert_nothing_kept();
    }
    scene.assert_healed();
}

// F3: the upstream holds the connection open and sends no more.
#[test]
fn a_body_that_stalls_for_ever_frees_its_waiters_within_thirty_seconds() {
    let scene = Scene::new();
    scene.upstream.rule(Rule::on("GET", "/blobs/").times(1).fault(Fault::StallAfter(300_000)));
    scene.upstream.rule(Rule::on("GET", "/blobs/").fault(Fault::StallAfter(0)));
    let (address, target) = (scene.gate.address(), Gate::target("team/app", &format!("blobs/{}", scene.image.layers[0].digest)));
    let started = Instant::now();
    let threads: Vec<_> = (0..5).map(|_| target.clone()).map(|target| std::thread::spawn(move || wire::get(address, &target))).collect();
    for reply in threads.into_iter().map(|thread| thread.join().expect("a client")) {
        assert!(!reply.complete);
    }
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    assert_eq!(scene.upstream.count("GET", "/blobs/"), 2, "it is resumed once");
    scene.assert_nothing_kept();
    scene.assert_healed();
}

// F3: all the fetches that one upstream may have are stalled.
#[test]
fn an_upstream_that_stalls_leaves_room_for_the_others() {
    let (stalling, healthy) = (Upstream::start(), Upstream::start());
    let settings = format!("{{ default: true, upstream: {} }}", stalling.url());
    let setup = Setup::new().registry("stalls.example", &settings).lab(&healthy.url());
    let gate = setup.policy("version: 1\nrules:\n  - images: [\"**\"]\n    require: [ allow ]\n").start();
    let (large, image) = (Image::build(Format::Oci, "amd64", &[100; 80]), Image::small());
    stalling.push("team/app", "1", &large);
    healthy.push("team/app", "1", &image);
    let address = gate.address();
    let _ = wire::get(address, "/v2/stalls.example/team/app/manifests/1").expect(200);
    stalling.rule(Rule::on("GET", "/blobs/").fault(Fault::StallAfter(0)));
    let targets: Vec<_> = large.layers.iter().map(|layer| format!("/v2/stalls.example/team/app/blobs/{}", layer.digest)).collect();
    let ask =
        |target: String| std::thread::spawn(move || wire::Request::new("GET", &target).try_send(address).is_ok_and(|reply| reply.complete));
    let clients: Vec<_> = targets.into_iter().map(ask).collect();
    assert!(wait_until(Duration::from_secs(8), || stalling.count("GET", "/blobs/") >= 32), "{}", stalling.count("GET", "/blobs/"));
    let _ = pull(address, "team/app", "1").expect_whole();
    assert!(gate.metric("sealgate_fetches_in_flight") >= 32.0, "the stalled ones had ended before the others were served");
    drop(gate);
    assert!(clients.into_iter().all(|client| !client.join().expect("a client")));
}

// F7
#[test]
fn a_tag_whose_manifest_cannot_be_had_is_unknown_to_head_and_get_alike() {
    let upstream = Upstream::start();
    let gate = Setup::new().lab(&upstream.url()).allow_all().start();
    let image = Image::small();
    upstream.push("team/app", "1", &image);
    upstream.rule(Rule::on("GET", "/manifests/").fault(Fault::Status(404)));
    let target = Gate::target("team/app", "manifests/1");
    for _ in 0..2 {
        assert_eq!(wire::head(gate.address(), &target).status, 404);
        assert_eq!(wire::get(gate.address(), &target).error().0, "MANIFEST_UNKNOWN");
    }
    upstream.behave();
    let _ = wire::get(gate.address(), &target).expect(200);
}

// F7: a blob that nobody fetched yet, and one that the upstream's GET does not know.
#[test]
fn head_and_get_of_a_blob_agree() {
    let scene = Scene::new();
    let target = Gate::target("team/app", &format!("blobs/{}", scene.image.layers[0].digest));
    let head = wire::head(scene.gate.address(), &target).expect(200);
    assert_eq!(head.header("content-length"), Some(scene.size().to_string().as_str()));
    scene.upstream.rule(Rule::any("/blobs/").fault(Fault::Status(404)));
    assert_eq!(wire::head(scene.gate.address(), &target).status, 404);
    assert_eq!(wire::get(scene.gate.address(), &target).error().0, "BLOB_UNKNOWN");
    scene.assert_healed();
    scene.upstream.rule(Rule::any("/blobs/").fault(Fault::Status(404)));
    let head = wire::head(scene.gate.address(), &target).expect(200);
    assert_eq!(head.header("content-length"), Some(scene.size().to_string().as_str()), "what is stored is there for HEAD too");
}

// F12
#[test]
fn a_token_that_ends_in_the_middle_of_a_pull_is_refreshed_once() {
    let upstream = Upstream::start();
    let gate = Setup::new().lab(&upstream.url()).allow_all().start();
    let image = Image::build(Format::Oci, "amd64", &[1_000_000]);
    upstream.push("team/app", "1", &image);
    let tokens = Tokens::anonymous();
    upstream.issue_tokens(&tokens);
    upstream.require_tokens(&tokens, &format!("{}/token", upstream.url()));
    let _ = wire::get(gate.address(), &Gate::target("team/app", "manifests/1")).expect(200);
    assert_eq!(tokens.issued(), 1);
    tokens.expire_all();
    upstream.rule(Rule::on("GET", "/blobs/").skip(1).times(1).fault(Fault::CutAfter(400_000)));
    let _ = pull(gate.address(), "team/app", "1").expect_whole();
    assert_eq!(tokens.issued(), 2, "one refresh for the whole of the pull, a resumption included");
}

// F13: the storage URL that the first answer pointed to has expired when the body must be resumed.
#[test]
fn an_expired_storage_url_is_resolved_again_before_the_blob_is_resumed() {
    let scene = Scene::new();
    let storage = Upstream::start();
    storage.push("team/app", "1", &scene.image);
    let path = format!("/v2/team/app/blobs/{}", scene.image.layers[0].digest);
    for grant in ["grant=first", "grant=second"] {
        let address = format!("{}{path}?{grant}", storage.url());
        scene.upstream.rule(Rule::on("GET", "/blobs/").times(1).fault(Fault::Redirect(307, address)));
    }
    storage.rule(Rule::on("GET", "grant=first").times(1).fault(Fault::CutAfter(500_000)));
    storage.rule(Rule::on("GET", "grant=first").fault(Fault::Status(403)));
    let reply = scene.layer().expect(200);
    assert!(reply.complete && reply.body == scene.image.layers[0].bytes);
    assert_eq!((storage.count("GET", "grant=first"), storage.count("GET", "grant=second")), (1, 1));
}

// F30
#[test]
fn a_web_page_with_status_200_is_a_502_and_not_kept() {
    let upstream = Upstream::start();
    let gate = Setup::new().lab(&upstream.url()).allow_all().start();
    let image = Image::small();
    upstream.push("team/app", "1", &image);
    let page = || {
        let page = Rule::on("GET", "").fault(Fault::Status(200)).fault(Fault::Body("<html>Please log in</html>".into()));
        page.fault(Fault::Header("content-type", "text/html; charset=utf-8".to_owned())).fault(Fault::WithoutHeader("content-length"))
    };
    upstream.rule(page());
    let reply = wire::get(gate.address(), &Gate::target("team/app", "manifests/1"));
    assert_eq!(reply.status, 502);
    assert!(!reply.text().contains("log in"), "what the page says is not passed on");
    upstream.behave();
    let _ = wire::get(gate.address(), &Gate::target("team/app", "manifests/1")).expect(200);
    upstream.rule(page());
    let blob = wire::get(gate.address(), &Gate::target("team/app", &format!("blobs/{}", image.layers[0].digest)));
    assert!(blob.status == 502 || !blob.complete, "{}", blob.status);
    upstream.behave();
    let _ = pull(gate.address(), "team/app", "1").expect_whole();
}
