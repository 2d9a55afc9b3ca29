//! The gate as a mirror: dockerd's `registry-mirrors`, containerd's hosts.toml, and the `?ns=` that containerd adds.
//!
//! A mirror alone enforces nothing where the engine can still reach the origin; here the names exist nowhere else.

use sealgate_tests::clients::pull_with_docker;
use sealgate_tests::containerd::Containerd;
use sealgate_tests::cosign::{self, KeyPair, Layout};
use sealgate_tests::docker::Engine;
use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::image::Image;
use sealgate_tests::registry::Registry;
use sealgate_tests::wire::{self, Request};

/// A namespace that Docker Hub does not have.
const NAMESPACE: &str = "sealgate-has-no-such-team";

struct Hub {
    registry: Registry,
    gate: Gate,
    signed: Image,
    unsigned: Image,
}

/// A gate whose docker.io is a registry on loopback with one signed and one unsigned image.
fn hub() -> Hub {
    let (registry, key) = (Registry::start(), KeyPair::generate());
    let (signed, unsigned) = (Image::small(), Image::small());
    for repository in [NAMESPACE, "library"] {
        registry.push(&format!("{repository}/signed"), "1", &signed);
        registry.push(&format!("{repository}/unsigned"), "1", &unsigned);
        let reference = registry.reference(&format!("{repository}/signed@{}", signed.digest()));
        let _ = cosign::sign(&key.private(), Layout::Bundle, &reference).expect_success();
    }
    let policy = "version: 1\nsigners: { ci: { key: ci.pub } }\nrules:\n  - images: [\"docker.io/**\"]\n    \
                  require: [ { signed-by: { any: [ci] } } ]\n";
    let settings = format!("{{ default: true, upstream: {} }}", registry.url());
    let gate = Setup::new().registry("docker.io", &settings).policy(policy).file("ci.pub", &key.public_pem()).start();
    Hub { registry, gate, signed, unsigned }
}

#[test]
fn dockerd_pulls_an_admitted_image_through_its_mirror() {
    let hub = hub();
    let engine = Engine::start(&[format!("--registry-mirror=http://{}", hub.gate.address())]);
    let pull = pull_with_docker(&engine, &format!("{NAMESPACE}/signed:1"), None);
    assert_eq!(pull.expect_digest(), hub.signed.digest());
    let _ = pull_with_docker(&engine, &format!("{NAMESPACE}/unsigned:1"), None).expect_refusal();
    for layer in &hub.unsigned.layers {
        assert_eq!(hub.registry.count("GET", &layer.digest), 0);
    }
}

#[test]
fn containerd_pulls_an_admitted_image_and_shows_why_another_is_denied() {
    let hub = hub();
    let containerd = Containerd::start(&format!("http://{}", hub.gate.address()));
    let signed = format!("docker.io/{NAMESPACE}/signed:1");
    let _ = containerd.pull(&signed).expect_success();
    assert_eq!(containerd.digest(&signed).as_deref(), Some(hub.signed.digest()));

    let unsigned = format!("docker.io/{NAMESPACE}/unsigned:1");
    let text = containerd.pull(&unsigned).expect_failure().text();
    assert!(text.contains("DENIED by policy rule docker.io/**"), "{text}");
    assert_eq!(containerd.digest(&unsigned), None);
}

#[test]
fn containerd_pulls_by_digest() {
    let hub = hub();
    let containerd = Containerd::start(&format!("http://{}", hub.gate.address()));
    let _ = containerd.pull(&format!("docker.io/{NAMESPACE}/signed@{}", hub.signed.digest())).expect_success();
    let _ = containerd.pull(&format!("docker.io/{NAMESPACE}/unsigned@{}", hub.unsigned.digest())).expect_failure();
}

#[test]
fn ns_selects_a_configured_registry_and_never_adds_one() {
    let hub = hub();
    let manifest = format!("/v2/{NAMESPACE}/signed/manifests/1");
    let status = |target: &str| {
        let (get, head) = (wire::get(hub.gate.address(), target), wire::head(hub.gate.address(), target));
        assert_eq!(get.status, head.status, "GET and HEAD of {target}");
        get.status
    };
    assert_eq!(status(&format!("{manifest}?ns=docker.io")), 200);
    assert_eq!(status(&format!("/v2/{NAMESPACE}/unsigned/manifests/1?ns=docker.io")), 403);
    assert_eq!(status(&format!("/v2/docker.io/{NAMESPACE}/signed/manifests/1?ns=docker.io")), 200, "both say the same");
    assert_eq!(status(&format!("{manifest}?ns=docker.io&ns=ghcr.io")), 400, "two are none");
    for hostile in ["evil.example", "169.254.169.254", "localhost", "..", ""] {
        let status = status(&format!("{manifest}?ns={hostile}"));
        assert!(matches!(status, 400 | 404), "ns={hostile}: {status}");
    }
    let own = status(&format!("{manifest}?ns={}", hub.gate.address()));
    assert!(matches!(own, 400 | 404), "the gate's own name: {own}");
}

#[test]
fn an_ns_that_disagrees_with_the_path_is_a_bad_request() {
    let (registry, image) = (Registry::start(), Image::small());
    registry.push("team/app", "1", &image);
    let policy = "version: 1\nrules: [ { images: [\"**\"], require: [ allow ] } ]\n";
    let other = format!("{{ default: true, upstream: {} }}", registry.url());
    let gate = Setup::new().lab(&registry.url()).registry("other.example", &other).policy(policy).start();
    let target = Gate::target("team/app", "manifests/1");
    assert_eq!(wire::get(gate.address(), &format!("{target}?ns=lab.example")).status, 200);
    assert_eq!(wire::get(gate.address(), &format!("{target}?ns=other.example")).status, 400);
    assert_eq!(wire::get(gate.address(), "/v2/team/app/manifests/1?ns=other.example").status, 200);
}

#[test]
fn names_of_docker_hub_are_normalised() {
    let hub = hub();
    for name in ["signed", "library/signed", "docker.io/signed", "docker.io/library/signed"] {
        let reply = wire::get(hub.gate.address(), &format!("/v2/{name}/manifests/1")).expect(200);
        assert_eq!(reply.body, hub.signed.manifest.bytes, "{name}");
    }
    assert_eq!(hub.registry.count("GET", "/v2/signed/"), 0, "upstream is asked for library/signed only");
}

#[test]
fn an_unknown_registry_is_a_name_unknown_with_a_sentence() {
    let hub = hub();
    for target in ["/v2/evil.example/team/app/manifests/1", "/v2/evil.example:5000/team/app/manifests/1"] {
        let reply = Request::new("GET", target).send(hub.gate.address()).expect(404);
        let (code, message) = reply.error();
        assert_eq!(code, "NAME_UNKNOWN", "{target}");
        assert!(message.contains("evil.example") && message.contains(' '), "{message}");
    }
}
