//! F21, issue 2 item 6: kill -9 during pulls, again and again. What a client was told before stays true with the upstream switched off,
//! nothing unverified is served, the gate is ready each time, and unfinished files do not gather.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use sealgate_tests::gate::{Gate, LAB, Setup};
use sealgate_tests::hostile::{Fault, Rule, Upstream};
use sealgate_tests::image::{Format, Image};
use sealgate_tests::process::wait_until;
use sealgate_tests::pull::{Pulled, pull};
use sealgate_tests::signature::Signer;
use sealgate_tests::wire::{self, ACCEPT_MANIFESTS, Request};
use sealgate_tests::{scale, sha256};

/// How many of the latest things that were told are asked for again after each kill; all of them after the last.
const LATEST: usize = 10;

struct Scene {
    upstream: Upstream,
    signer: Signer,
    gate: Gate,
    /// One more for each round, all signed.
    images: Vec<Image>,
    unsigned: Image,
}

/// What clients were told by gates that are dead now, in order.
#[derive(Default)]
struct Told {
    /// Digests of manifests and their bytes.
    manifests: Vec<(String, Vec<u8>)>,
    /// Digests and sizes of blobs that were served and, as the metric said, durable.
    blobs: Vec<(String, usize)>,
    /// Decisions that a denial named.
    decisions: Vec<String>,
    /// What the moving tag named last.
    tag: Option<String>,
}

impl Scene {
    fn new(index: &str) -> Self {
        let (upstream, signer) = (Upstream::start(), Signer::generate());
        let settings = format!("{{ upstream: {}, tag-ttl: 0s }}", upstream.url());
        let setup = Setup::new().registry(LAB, &settings).signed_by(&signer.public_pem()).line(&format!("store: {{ index: {index} }}"));
        // Slow enough that a kill meets blobs under way.
        upstream.rule(Rule::on("GET", "/blobs/").fault(Fault::Pace(4_000_000)));
        Self { gate: setup.start(), upstream, signer, images: vec![], unsigned: Image::small() }
    }

    /// One round: clients pull, the tag moves, and the gate is killed after `pause`.
    fn round(&mut self, number: usize, pause: Duration, told: &mut Told) {
        let image = Image::build(Format::Oci, "amd64", &[20_000, 400_000]);
        self.upstream.push("team/app", "moving", &image);
        self.upstream.put_signature("team/app", &self.signer.sign(&image.manifest));
        self.images.push(image);
        self.unsigned = Image::small();
        self.upstream.push("team/app", "unsigned", &self.unsigned);
        let (stop, address) = (Arc::new(AtomicBool::new(false)), self.gate.address());
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let (stop, digest) = (Arc::clone(&stop), self.images[number.saturating_sub(client)].digest().to_owned());
                std::thread::spawn(move || pull_until(&stop, address, &digest))
            })
            .collect();
        // The test's own client, whose answers count as told.
        self.ask(told);
        std::thread::sleep(pause);
        self.gate.kill();
        stop.store(true, Ordering::SeqCst);
        clients.into_iter().for_each(|client| client.join().expect("no client saw a wrong answer"));
    }

    fn ask(&self, told: &mut Told) {
        let reply = self.get("manifests/moving").expect(200);
        let digest = sha256(&reply.body);
        assert_eq!(reply.header("docker-content-digest"), Some(digest.as_str()));
        told.manifests.push((digest.clone(), reply.body));
        told.tag = Some(digest);
        let denial = self.get("manifests/unsigned").expect(403).json();
        told.decisions.push(denial["errors"][0]["detail"]["decision"].as_str().expect("a decision").to_owned());
    }

    fn get(&self, rest: &str) -> wire::Reply {
        wire::get(self.gate.address(), &Gate::target("team/app", rest))
    }

    /// Everything that was told is still so; the upstream answers nothing.
    fn assert_nothing_lost(&self, told: &Told, round: usize, latest: usize) {
        self.upstream.rule_first(Rule::any("/v2/").fault(Fault::Status(500)));
        if let Some(tag) = &told.tag {
            let reply = self.get("manifests/moving").expect(200);
            assert_eq!(sha256(&reply.body), *tag, "round {round}: the tag's move is lost");
        }
        for (digest, bytes) in told.manifests.iter().rev().take(latest) {
            assert_eq!(self.get(&format!("manifests/{digest}")).expect(200).body, *bytes, "round {round}");
        }
        for (digest, size) in told.blobs.iter().rev().take(latest) {
            let reply = self.get(&format!("blobs/{digest}")).expect(200);
            assert!(reply.complete && reply.body.len() == *size && sha256(&reply.body) == *digest, "round {round}: {digest}");
        }
        for decision in told.decisions.iter().rev().take(latest) {
            let _ = Request::new("GET", &format!("/decisions/{decision}")).send(self.gate.admin_address()).expect(200);
        }
        assert_ne!(self.get("manifests/unsigned").status, 200, "round {round}");
        assert!(matches!(self.get(&format!("blobs/{}", self.unsigned.layers[0].digest)).status, 403 | 404), "round {round}");
        self.upstream.remove_first_rule();
    }

    /// Pulls one image whole and waits until its blobs are durable: from then on they count as told.
    fn pull_durably(&self, number: usize, told: &mut Told) {
        let pulled: Pulled = pull(self.gate.address(), "team/app", self.images[number].digest()).expect_whole();
        assert!(wait_until(Duration::from_secs(20), || self.gate.metric("sealgate_fetches_in_flight") == 0.0));
        told.blobs.extend(pulled.blobs.into_iter().map(|(digest, reply)| (digest, reply.body.len())));
    }
}

/// Pulls `digest` until told to stop. Every complete answer is right, whenever the gate dies.
fn pull_until(stop: &AtomicBool, address: SocketAddr, digest: &str) {
    static COMPLETE: AtomicUsize = AtomicUsize::new(0);
    let target = |rest: &str| Gate::target("team/app", rest);
    while !stop.load(Ordering::SeqCst) {
        let request = Request::new("GET", &target(&format!("manifests/{digest}"))).header("Accept", ACCEPT_MANIFESTS);
        let Ok(manifest) = request.try_send(address) else { continue };
        if manifest.status != 200 || !manifest.complete {
            continue;
        }
        assert_eq!(sha256(&manifest.body), digest);
        let layers = manifest.json()["layers"].as_array().cloned().unwrap_or_default();
        for layer in layers.iter().filter_map(|layer| layer["digest"].as_str()) {
            let Ok(reply) = Request::new("GET", &target(&format!("blobs/{layer}"))).try_send(address) else { continue };
            if reply.status == 200 && reply.complete {
                assert_eq!(sha256(&reply.body), layer, "a complete body that is not its digest's");
                COMPLETE.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn survive(index: &str, kills: usize) {
    let (mut scene, mut told) = (Scene::new(index), Told::default());
    let (mut most_leftovers, mut met) = (0, 0);
    for round in 0..kills {
        if round % 5 == 1 {
            scene.pull_durably(round - 1, &mut told);
        }
        // From the first bytes to well after the last one.
        scene.round(round, Duration::from_millis((round as u64 * 37) % 211), &mut told);
        let leftovers = unfinished(&scene.gate);
        (most_leftovers, met) = (most_leftovers.max(leftovers), met + usize::from(leftovers > 0));
        assert!(leftovers <= 4 * 3 + 8, "round {round}: {leftovers} unfinished files");
        scene.gate.restart();
        assert_eq!(unfinished(&scene.gate), 0, "round {round}: the start leaves unfinished files");
        scene.assert_nothing_lost(&told, round, LATEST);
    }
    scene.assert_nothing_lost(&told, kills, usize::MAX);
    scene.upstream.behave();
    for image in scene.images.iter().rev().take(LATEST) {
        let _ = pull(scene.gate.address(), "team/app", image.digest()).expect_whole();
    }
    assert_eq!(scene.gate.log().matches("does not match its digest").count(), 0, "a half-written blob got its name");
    println!(
        "{index}: {kills} kills, {met} of them during a write; kept {} manifests, {} durable blobs, {} decisions; at most {most_leftovers} unfinished files",
        told.manifests.len(),
        told.blobs.len(),
        told.decisions.len()
    );
}

fn unfinished(gate: &Gate) -> usize {
    std::fs::read_dir(gate.folder().join("data/tmp")).expect("tmp").count()
}

#[test]
fn nothing_acknowledged_is_lost_however_often_the_gate_is_killed() {
    survive("redb", scale(5, 200));
}

#[test]
fn nothing_acknowledged_is_lost_with_the_other_index_either() {
    survive("sled", scale(3, 200));
}
