//! A digest is no key to another repository, and a name means one repository only.

use std::time::Duration;

use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::hostile::{Fault, Rule, Upstream};
use sealgate_tests::image::{Content, Format, Image, Index};
use sealgate_tests::process::wait_until;
use sealgate_tests::sha256;
use sealgate_tests::signature::Signer;
use sealgate_tests::wire::{self, Request};
use serde_json::{Value, json};

/// Everything is admitted, so that only the address decides.
const ALLOW: &str = "version: 1\nrules:\n  - images: [\"**\"]\n    require: [ allow ]\n";

fn blob(registry: &str, repository: &str, digest: &str) -> String {
    format!("/v2/{registry}/{repository}/blobs/{digest}")
}

fn two_upstreams(first: &Upstream, second: &Upstream) -> Gate {
    let entry = |upstream: &Upstream, more: &str| format!("{{ upstream: {}{more} }}", upstream.url());
    let setup = Setup::new().registry("one.example", &entry(first, ", default: true")).registry("two.example", &entry(second, ""));
    setup.policy(ALLOW).start()
}

/// The image with one more layer, whose bytes nobody gives.
fn with_layer(image: &Image, layer: &Content) -> Content {
    let mut manifest: Value = serde_json::from_slice(&image.manifest.bytes).expect("a manifest");
    manifest["layers"].as_array_mut().expect("layers").push(layer.descriptor());
    Content::json(&image.manifest.media_type, &manifest)
}

// B11, D1: one file in the store, two repositories; the second one's upstream has never had the layer and says that it has.
#[test]
fn an_upstream_that_claims_a_blob_does_not_get_it_from_the_store() {
    let (private, hostile) = (Upstream::start(), Upstream::start());
    let gate = two_upstreams(&private, &hostile);
    let secret = Image::build(Format::Oci, "amd64", &[100_000]);
    private.push("team/private", "1", &secret);
    let layer = &secret.layers[0];
    let genuine = blob("one.example", "team/private", &layer.digest);
    let _ = wire::get(gate.address(), "/v2/one.example/team/private/manifests/1").expect(200);
    assert_eq!(wire::get(gate.address(), &genuine).expect(200).body, layer.bytes);

    let bait = Image::small();
    let manifest = with_layer(&bait, layer);
    bait.blobs().for_each(|blob| hostile.put_blob("evil/app", blob));
    hostile.put_manifest("evil/app", &manifest);
    hostile.put_tag("evil/app", "1", &manifest.digest);
    let _ = wire::get(gate.address(), "/v2/two.example/evil/app/manifests/1").expect(200);
    let stolen = blob("two.example", "evil/app", &layer.digest);
    // Honest: it has no such blob.
    let _ = wire::get(gate.address(), &stolen).expect(404);
    let _ = wire::head(gate.address(), &stolen).expect(404);
    // It lies: HEAD says yes, and GET gives other bytes of the right number, whole or as a range.
    let zeros = vec![0; layer.bytes.len()];
    let lie = Content { media_type: layer.media_type.clone(), digest: layer.digest.clone(), bytes: zeros.into() };
    hostile.put_blob("evil/app", &lie);
    let reply = wire::get(gate.address(), &stolen);
    assert!(reply.status >= 400 || !reply.complete, "{} with {} bytes", reply.status, reply.body.len());
    assert!(!reply.body.windows(32).any(|window| window == &layer.bytes[500..532]), "bytes of the private layer left");
    for range in ["bytes=0-9", "bytes=-1"] {
        let part = Request::new("GET", &stolen).header("Range", range).send(gate.address());
        assert_ne!(part.status, 206, "{range}");
    }
    // Who has it still gets it, and so does a second upstream that really has it: from the store, without a second whole fetch.
    assert_eq!(wire::get(gate.address(), &genuine).expect(200).body, layer.bytes);
    hostile.put_blob("evil/app", layer);
    assert_eq!(wire::get(gate.address(), &stolen).expect(200).body, layer.bytes);
}

#[test]
fn a_registry_that_delivered_a_layer_may_confirm_it_for_another_repository() {
    let upstream = Upstream::start();
    let gate = Setup::new().lab(&upstream.url()).allow_all().start();
    let image = Image::small();
    let layer = &image.layers[0];
    for repository in ["team/one", "team/two"] {
        upstream.push(repository, "1", &image);
        let _ = wire::get(gate.address(), &Gate::target(repository, "manifests/1")).expect(200);
        let reply = wire::get(gate.address(), &Gate::target(repository, &format!("blobs/{}", layer.digest))).expect(200);
        assert_eq!(reply.body, layer.bytes);
        // A client has its last byte before the disk has the blob.
        assert!(wait_until(Duration::from_secs(5), || gate.metric("sealgate_fetches_in_flight") == 0.0));
    }
    let asked = |method: &str| upstream.count(method, &format!("/blobs/{}", layer.digest));
    assert_eq!((asked("GET"), asked("HEAD")), (1, 1));
}

// B11: one path at two registries, one tag in two repositories.
#[test]
fn equal_names_at_two_registries_share_nothing() {
    let (first, second) = (Upstream::start(), Upstream::start());
    let gate = two_upstreams(&first, &second);
    let (a, b) = (Image::small(), Image::small());
    first.push("team/app", "1", &a);
    second.push("team/app", "1", &b);
    for (target, image) in [
        ("/v2/team/app/manifests/1", &a),
        ("/v2/team/app/manifests/1?ns=two.example", &b),
        ("/v2/one.example/team/app/manifests/1", &a),
        ("/v2/two.example/team/app/manifests/1", &b),
        ("/v2/two.example/team/app/manifests/1?ns=two.example", &b),
        ("/v2/team/app/manifests/1?ns=one.example", &a),
    ] {
        // Whatever the client accepts, the answer is the same (CVE-2024-24557).
        for accept in ["*/*", "application/vnd.docker.distribution.manifest.v1+prettyjws", wire::ACCEPT_MANIFESTS] {
            let reply = Request::new("GET", target).header("Accept", accept).send(gate.address()).expect(200);
            assert_eq!(sha256(&reply.body), image.digest(), "{target}");
        }
    }
    let _ = wire::get(gate.address(), &format!("/v2/two.example/team/app/manifests/{}", a.digest())).expect(404);
    for layer in &a.layers {
        let _ = wire::get(gate.address(), &blob("two.example", "team/app", &layer.digest)).expect(404);
    }
}

#[test]
fn a_name_that_could_mean_two_registries_means_none() {
    let (first, second) = (Upstream::start(), Upstream::start());
    let gate = two_upstreams(&first, &second);
    first.push("team/app", "1", &Image::small());
    for (target, status) in [
        ("/v2/team/app/manifests/1?ns=two.example&ns=one.example", 400),
        ("/v2/team/app/manifests/1?ns=one.example&%6Es=one.example", 400),
        ("/v2/two.example/team/app/manifests/1?ns=one.example", 400),
        ("/v2/team/app/manifests/1?ns=", 400),
        ("/v2/team/app/manifests/1?ns=ONE.example", 400),
        ("/v2/team/app/manifests/1?ns=one.example%00", 400),
        ("/v2/team/app/manifests/1?ns=one.example/team", 400),
        ("/v2/team/app/manifests/1?ns=user@one.example", 400),
        ("/v2/team/app/manifests/1?ns=http://one.example", 400),
        ("/v2/team/app/manifests/1?ns=169.254.169.254", 404),
        ("/v2/team/app/manifests/1?ns=one.example:443", 404),
        ("/v2/team/app/manifests/1?ns=one.example.", 404),
        ("/v2/team/app/manifests/1?ns=evil.example", 404),
        ("/v2/one.example:443/team/app/manifests/1", 404),
        ("/v2/One.example/team/app/manifests/1", 400),
        ("/v2/evil.example/team/app/manifests/1", 404),
        ("/v2/127.0.0.1:22/team/app/manifests/1", 404),
        ("/v2/one.example/one.example/team/app/manifests/1", 404),
        ("/v2/team%2Fapp/manifests/1", 400),
        ("/v2/team/../team/app/manifests/1", 400),
        ("/v2/team/./app/manifests/1", 400),
        ("/v2//team/app/manifests/1", 400),
        ("/v2/team/app/manifests/1/", 400),
        ("/v2/team/app/manifests/%31", 400),
        ("/v2/Team/app/manifests/1", 400),
        ("/V2/team/app/manifests/1", 404),
        ("/v2/team/app/manifests/1;x=y", 400),
        ("/v2/team/app/../../../etc/passwd", 400),
    ] {
        let before = first.seen().len() + second.seen().len();
        for method in ["GET", "HEAD"] {
            let reply = Request::new(method, target).send(gate.address());
            // `one.example.` may be refused as no name, or as an unknown one.
            let status = if target.ends_with("example.") && reply.status == 400 { 400 } else { status };
            assert_eq!(reply.status, status, "{method} {target}: {}", reply.reason);
        }
        let asked = first.seen().len() + second.seen().len() - before;
        assert!(asked == 0 || target.starts_with("/v2/one.example/one.example/"), "{target} asked an upstream");
    }
}

#[test]
fn a_blob_of_an_image_whose_signer_is_gone_is_refused_to_those_who_hold_its_digest() {
    let (upstream, signer, image) = (Upstream::start(), Signer::generate(), Image::small());
    upstream.push("team/app", "1", &image);
    upstream.put_signature("team/app", &signer.sign(&image.manifest));
    let gate = Setup::new().lab(&upstream.url()).signed_by(&signer.public_pem()).start();
    let _ = wire::get(gate.address(), &Gate::target("team/app", "manifests/1")).expect(200);
    let layer = Gate::target("team/app", &format!("blobs/{}", image.layers[0].digest));
    let _ = wire::get(gate.address(), &layer).expect(200);
    gate.write("keys/ci.pub", &Signer::generate().public_pem());
    gate.reload();
    let refused = || wire::get(gate.address(), &layer).status == 403;
    assert!(wait_until(Duration::from_secs(5), refused), "{}", gate.log());
    for (name, value) in [("Range", "bytes=0-0"), ("If-None-Match", "*")] {
        let _ = Request::new("GET", &layer).header(name, value).send(gate.address()).expect(403);
    }
    let _ = wire::head(gate.address(), &layer).expect(403);
}

// A digest that nobody lists must not make the gate ask upstream again and again for what is not there.
#[test]
fn guessed_digests_do_not_multiply_requests_upstream() {
    let (upstream, signer) = (Upstream::start(), Signer::generate());
    let index = Index::small();
    upstream.push_index("team/app", "1", &index);
    upstream.put_signature("team/app", &signer.sign(&index.manifest));
    let gate = Setup::new().lab(&upstream.url()).signed_by(&signer.public_pem()).start();
    let _ = wire::get(gate.address(), &Gate::target("team/app", "manifests/1")).expect(200);
    // One child is gone, the other one fails.
    upstream.remove_manifest("team/app", index.images[0].digest());
    upstream.rule(Rule::any(index.images[1].digest()).fault(Fault::Status(500)));
    upstream.forget();
    for guess in 0..20 {
        let digest = sha256(format!("guess {guess}").as_bytes());
        for method in ["GET", "HEAD"] {
            let _ = Request::new(method, &Gate::target("team/app", &format!("blobs/{digest}"))).send(gate.address()).expect(404);
        }
    }
    for image in &index.images {
        let asked = upstream.count("GET", image.digest());
        assert!(asked <= 2, "{asked} requests for one child");
    }
    assert_eq!(upstream.count("GET", "/blobs/") + upstream.count("HEAD", "/blobs/"), 0);
}

#[test]
fn the_same_line_stands_wherever_a_denial_is_shown() {
    let (upstream, signer, image) = (Upstream::start(), Signer::generate(), Image::small());
    upstream.push("team/app", "1", &image);
    let setup = Setup::new().lab(&upstream.url()).line("public-url: https://gate.acme.example");
    let gate = setup.signed_by(&signer.public_pem()).start();
    let target = Gate::target("team/app", "manifests/1");
    let denied = wire::get(gate.address(), &target).expect(403);
    let (code, line) = denied.error();
    assert_eq!((code.as_str(), denied.reason.as_str()), ("DENIED", line.as_str()));
    assert_eq!(wire::head(gate.address(), &target).expect(403).reason, line);
    let id = denied.json()["errors"][0]["detail"]["decision"].as_str().expect("a decision").to_owned();
    assert!(line.ends_with(&format!("; see https://gate.acme.example/decisions/{id}")), "{line}");
    for address in [gate.address(), gate.admin_address()] {
        let page = Request::new("GET", &format!("/decisions/{id}")).send(address).expect(200).text();
        assert!(page.contains(&line), "{page}");
        let json = Request::new("GET", &format!("/decisions/{id}")).header("Accept", "application/json").send(address).expect(200).json();
        assert_eq!((&json["line"], &json["tag"]), (&json!(line), &Value::Null));
    }
    let explained = gate.command("explain", ["--output", "json", &gate.reference("team/app:1")]).run().expect_success();
    let explained: Value = serde_json::from_str(&explained.stdout).expect("one JSON document");
    assert_eq!((&explained["line"], &explained["decision"]["id"]), (&json!(line), &json!(id)));
    let text = gate.command("explain", [gate.reference("team/app:1")]).run().expect_success();
    assert!(text.stdout.contains(&line), "{}", text.text());
    assert!(gate.log().contains(&line), "{}", gate.log());
    // Without a record as well.
    let unseen = wire::get(gate.address(), "/v2/lab.example/team/app/manifests/1?x=y").expect(403);
    assert_eq!(unseen.error().1, line);
}
