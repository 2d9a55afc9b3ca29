//! While an upstream is away, limits us or shows an expired certificate, what was admitted before is still served; what was not is not;
//! and the outage ends with the upstream's return.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use sealgate_tests::authority::Authority;
use sealgate_tests::gate::{Gate, LAB, Setup};
use sealgate_tests::hostile::{Fault, Rule, Upstream};
use sealgate_tests::image::Image;
use sealgate_tests::process::wait_until;
use sealgate_tests::pull::pull;
use sealgate_tests::signature::Signer;
use sealgate_tests::wire::{self, Reply};

/// F10: "cached served within a second", and what a busy machine adds.
const PROMPT: Duration = Duration::from_secs(4);

/// An upstream with a signed and a never pulled image, and a gate that has served the signed one. Nothing stays fresh.
struct Scene {
    upstream: Upstream,
    gate: Gate,
    image: Image,
}

impl Scene {
    fn new(lines: &[&str]) -> Self {
        let (upstream, signer) = (Upstream::start(), Signer::generate());
        let settings = format!("{{ upstream: {}, tag-ttl: 0s }}", upstream.url());
        let setup = Setup::new().registry(LAB, &settings).signed_by(&signer.public_pem());
        let gate = lines.iter().fold(setup, |setup, line| setup.line(line)).start();
        let (image, other) = (Image::small(), Image::small());
        for (tag, image) in [("1", &image), ("never-pulled", &other)] {
            upstream.push("team/app", tag, image);
            upstream.put_signature("team/app", &signer.sign(&image.manifest));
        }
        let _ = pull(gate.address(), "team/app", "1").expect_whole();
        assert!(wait_until(Duration::from_secs(5), || gate.metric("sealgate_fetches_in_flight") == 0.0));
        upstream.forget();
        Self { upstream, gate, image }
    }

    fn get(&self, tag: &str) -> Reply {
        wire::get(self.gate.address(), &Gate::target("team/app", &format!("manifests/{tag}")))
    }

    fn assert_served(&self, what: &str) {
        let started = Instant::now();
        let pulled = pull(self.gate.address(), "team/app", "1").expect_whole();
        assert!(started.elapsed() < PROMPT, "{what}: {:?}", started.elapsed());
        assert_eq!(pulled.manifest.body, self.image.manifest.bytes, "{what}");
    }
}

const NOTHING_IS_FRESH: &str = "evidence: { ttl: 0s, missing-ttl: 0s }";

// F8
#[test]
fn a_rate_limit_serves_what_is_approved_and_passes_on_for_the_rest_without_a_storm() {
    let scene = Scene::new(&[NOTHING_IS_FRESH]);
    let limit = Rule::any("/v2/").fault(Fault::Status(429)).fault(Fault::Header("retry-after", "20".to_owned()));
    scene.upstream.rule(limit);
    for _ in 0..20 {
        scene.assert_served("429");
    }
    for _ in 0..20 {
        let reply = scene.get("never-pulled");
        assert_eq!((reply.status, reply.error().0.as_str()), (429, "TOOMANYREQUESTS"));
        let seconds: u64 = reply.header("retry-after").and_then(|value| value.parse().ok()).expect("Retry-After");
        assert!((1..=20).contains(&seconds), "{seconds}");
    }
    // One that found the limit; the searches for evidence that were under way with it ask at most once for each place.
    let asked = scene.upstream.seen().len();
    assert!(asked <= 4, "{asked} requests to an upstream that asked for 20 s of silence");
}

// F10, F11
#[test]
fn an_upstream_that_fails_serves_what_is_approved_and_recovers_with_it() {
    let scene = Scene::new(&[NOTHING_IS_FRESH]);
    for status in [500, 503, 302, 418] {
        scene.upstream.behave();
        scene.upstream.rule(Rule::any("/v2/").fault(Fault::Status(status)));
        scene.assert_served(&status.to_string());
        let reply = scene.get("never-pulled");
        assert_eq!(reply.status, 502, "{status}: {}", reply.text());
    }
    scene.upstream.behave();
    let _ = pull(scene.gate.address(), "team/app", "never-pulled").expect_whole();
}

// F10: it accepts connections and says nothing.
#[test]
fn an_upstream_that_hangs_serves_what_is_approved() {
    let scene = Scene::new(&[NOTHING_IS_FRESH]);
    scene.upstream.rule(Rule::any("/v2/").fault(Fault::Delay(Duration::from_secs(60))));
    scene.assert_served("hangs");
    scene.assert_served("still hangs");
}

// F10: after a restart there is no memory, only the store.
#[test]
fn a_gate_that_was_restarted_during_an_outage_serves_what_is_approved() {
    let mut scene = Scene::new(&[NOTHING_IS_FRESH]);
    scene.upstream.rule(Rule::any("/v2/").fault(Fault::Delay(Duration::from_secs(60))));
    scene.gate.restart();
    scene.assert_served("hangs after a restart");
    scene.upstream.close();
    scene.gate.restart();
    scene.assert_served("refused after a restart");
    assert_eq!(scene.get("never-pulled").status, 502);
}

// F10, F11: the name does not resolve, the connection is refused, the certificate has expired. The data folder is the same throughout.
#[test]
fn an_upstream_that_cannot_be_reached_serves_what_is_approved_until_it_is_back() {
    let (authority, signer, image, other) = (Authority::new(), Signer::generate(), Image::small(), Image::small());
    let mut upstream = Upstream::start_tls(&authority.issue(&["localhost"]));
    let fill = |upstream: &Upstream| {
        for (tag, image) in [("1", &image), ("never-pulled", &other)] {
            upstream.push("team/app", tag, image);
            upstream.put_signature("team/app", &signer.sign(&image.manifest));
        }
    };
    fill(&upstream);
    let settings = |url: &str| format!("{{ upstream: {url}, tag-ttl: 0s, ca: ca.pem, allow-addresses: [127.0.0.0/8] }}");
    let setup = Setup::new().registry(LAB, &settings(&upstream.url())).file("ca.pem", authority.pem()).line(NOTHING_IS_FRESH);
    let mut gate = setup.signed_by(&signer.public_pem()).start();
    let config = std::fs::read_to_string(gate.folder().join("sealgate.yaml")).expect("the config");
    let _ = pull(gate.address(), "team/app", "1").expect_whole();
    assert!(wait_until(Duration::from_secs(5), || gate.metric("sealgate_fetches_in_flight") == 0.0));
    let url = upstream.url();
    upstream.close();
    let assert_served = |gate: &Gate, what: &str| {
        let started = Instant::now();
        let pulled = pull(gate.address(), "team/app", "1").expect_whole();
        assert!(started.elapsed() < PROMPT, "{what}: {:?}", started.elapsed());
        assert_eq!(pulled.manifest.body, image.manifest.bytes, "{what}");
        let reply = wire::get(gate.address(), &Gate::target("team/app", "manifests/never-pulled"));
        assert_eq!(reply.status, 502, "{what}: {}", reply.text());
    };
    assert_served(&gate, "refused");

    let expired = Upstream::start_tls(&authority.issue_expired(&["localhost"]));
    fill(&expired);
    let healthy = Upstream::start_tls(&authority.issue(&["localhost"]));
    fill(&healthy);
    for (other_url, what) in [(expired.url(), "an expired certificate"), ("https://no-such-host.invalid".to_owned(), "no such name")] {
        gate.write("sealgate.yaml", &config.replace(&url, &other_url));
        gate.restart();
        assert_served(&gate, what);
    }
    assert_eq!(expired.seen().len(), 0, "nothing is asked over a certificate that has expired");
    gate.write("sealgate.yaml", &config.replace(&url, &healthy.url()));
    gate.restart();
    let _ = pull(gate.address(), "team/app", "never-pulled").expect_whole();
}

// F11: the port refuses, then somebody listens again. Nothing remembers that it was ill.
#[test]
fn an_upstream_that_comes_back_is_used_at_once() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port();
    let gate = Setup::new().lab_without_memory(&format!("http://127.0.0.1:{port}")).allow_all().start();
    let target = Gate::target("team/app", "manifests/1");
    for _ in 0..50 {
        assert_eq!(wire::get(gate.address(), &target).status, 502);
    }
    let upstream = Upstream::start_at(port);
    upstream.push("team/app", "1", &Image::small());
    assert!(wait_until(Duration::from_secs(30), || wire::get(gate.address(), &target).status == 200), "30 s after the upstream is back");
}

// F8, F11: nobody is asked during the pause that Retry-After asks for, and it ends. That a day is not believed: gate/upstreams.rs.
#[test]
fn the_pause_after_a_rate_limit_is_kept_and_ends() {
    let scene = Scene::new(&[NOTHING_IS_FRESH]);
    let limit = Rule::any("/v2/").times(1).fault(Fault::Status(429)).fault(Fault::Header("retry-after", "2".to_owned()));
    scene.upstream.rule(limit);
    assert_eq!(scene.get("never-pulled").status, 429);
    let asked = scene.upstream.seen().len();
    assert_eq!(scene.get("never-pulled").status, 429);
    assert_eq!(scene.upstream.seen().len(), asked, "nobody is asked during the pause");
    assert!(wait_until(Duration::from_secs(10), || scene.get("never-pulled").status == 200));
}

// DESIGN 3: the last resolution serves up to tag-max-stale, then the tag is refused.
#[test]
fn a_resolution_that_nobody_confirms_ends_at_its_limit() {
    let upstream = Upstream::start();
    let settings = format!("{{ upstream: {}, tag-ttl: 0s, tag-max-stale: 2s }}", upstream.url());
    let gate = Setup::new().registry(LAB, &settings).allow_all().start();
    let image = Image::small();
    upstream.push("team/app", "1", &image);
    let target = Gate::target("team/app", "manifests/1");
    let _ = wire::get(gate.address(), &target).expect(200);
    upstream.rule(Rule::any("/v2/").fault(Fault::Status(500)));
    assert!(wait_until(Duration::from_secs(10), || wire::get(gate.address(), &target).status == 502), "a tag outlived tag-max-stale");
    let by_digest = Gate::target("team/app", &format!("manifests/{}", image.digest()));
    let _ = wire::get(gate.address(), &by_digest).expect(200);
}
