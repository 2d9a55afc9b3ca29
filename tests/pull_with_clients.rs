//! docker, podman, skopeo, crane and oras pull through the gate: what a trusted key signed arrives, everything else is refused
//! with its reason on the terminal.

use sealgate_tests::clients::Client;
use sealgate_tests::cosign::{self, KeyPair, Layout};
use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::image::{Content, Format, Image};
use sealgate_tests::registry::Registry;
use sealgate_tests::wire;
use serde_json::Value;

/// The rule that every denial here must name.
const RULE: &str = "DENIED by policy rule lab.example/**";

struct Lab {
    registry: Registry,
    key: KeyPair,
    gate: Gate,
}

impl Lab {
    fn start() -> Self {
        let (registry, key) = (Registry::start(), KeyPair::generate());
        let gate = Setup::new().lab(&registry.url()).signed_by(&key.public_pem()).start();
        Self { registry, key, gate }
    }

    /// Pushes `image` as `repository:1` and signs it with `key`.
    fn push_signed(&self, repository: &str, image: &Image, key: &KeyPair, layout: Layout) {
        self.registry.push(repository, "1", image);
        let reference = self.registry.reference(&format!("{repository}@{}", image.digest()));
        let _ = cosign::sign(&key.private(), layout, &reference).expect_success();
    }

    /// No client gets `repository:1`, by tag or by digest, each shows `reason`, and no layer leaves the upstream.
    fn assert_refused(&self, repository: &str, image: &Image, reason: &str) {
        for client in Client::ALL {
            for name in [format!("{repository}:1"), format!("{repository}@{}", image.digest())] {
                let text = client.pull(&self.gate.reference(&name)).expect_refusal();
                assert!(text.contains(RULE) && text.contains(reason), "{client:?} does not show the reason {reason:?} for {name}:\n{text}");
            }
        }
        for layer in &image.layers {
            assert_eq!(self.registry.count("GET", &format!("{repository}/blobs/{}", layer.digest)), 0, "a layer of a refused image left");
        }
    }
}

#[test]
fn what_a_trusted_key_signed_is_pulled_by_every_client() {
    let lab = Lab::start();
    for (layout, format) in [(Layout::Bundle, Format::Oci), (Layout::Legacy, Format::Docker)] {
        let image = Image::build(format, "amd64", &[3_000, 500_000]);
        let repository = format!("team/{layout:?}").to_lowercase();
        lab.push_signed(&repository, &image, &lab.key, layout);
        for client in Client::ALL {
            let by_tag = client.pull(&lab.gate.reference(&format!("{repository}:1"))).expect_digest();
            assert_eq!(by_tag, image.digest(), "{client:?}, {layout:?}");
            let by_digest = client.pull(&lab.gate.reference(&format!("{repository}@{}", image.digest()))).expect_digest();
            assert_eq!(by_digest, image.digest(), "{client:?}, {layout:?}, by digest");
        }
        for blob in image.blobs() {
            let fetched = lab.registry.count("GET", &format!("{repository}/blobs/{}", blob.digest));
            assert_eq!(fetched, 1, "ten pulls fetch each blob once from upstream");
        }
    }
}

// C8
#[test]
fn what_nobody_signed_is_refused_to_every_client() {
    let lab = Lab::start();
    let image = Image::small();
    lab.registry.push("team/unsigned", "1", &image);
    lab.assert_refused("team/unsigned", &image, "no signature");
}

#[test]
fn what_another_key_signed_is_refused_to_every_client() {
    let lab = Lab::start();
    let other = KeyPair::generate();
    for layout in [Layout::Bundle, Layout::Legacy] {
        let image = Image::small();
        let repository = format!("team/other-{layout:?}").to_lowercase();
        lab.push_signed(&repository, &image, &other, layout);
        lab.assert_refused(&repository, &image, "sign with a key that the rule names");
    }
}

// C3: a genuine signature, moved beside an image that it does not name.
#[test]
fn a_signature_that_was_moved_to_another_image_admits_nothing() {
    let lab = Lab::start();
    let (signed, tampered) = (Image::small(), Image::small());
    let tag = |image: &Image| image.digest().replace(':', "-");
    for (layout, suffix) in [(Layout::Bundle, ""), (Layout::Legacy, ".sig")] {
        let repository = format!("team/moved-{layout:?}").to_lowercase();
        lab.push_signed(&repository, &signed, &lab.key, layout);
        lab.registry.push(&repository, "1", &tampered);
        let signature = manifest(&lab.registry, &repository, &format!("{}{suffix}", tag(&signed)));
        let moved = match layout {
            Layout::Bundle => repoint(&lab.registry, &repository, &signature, &tampered),
            Layout::Legacy => signature,
        };
        lab.registry.put_manifest(&repository, &format!("{}{suffix}", tag(&tampered)), &moved);
        lab.assert_refused(&repository, &tampered, "mend:");
    }
}

/// The manifest under a tag of the registry.
fn manifest(registry: &Registry, repository: &str, tag: &str) -> Content {
    let reply = wire::get(registry.address(), &format!("/v2/{repository}/manifests/{tag}")).expect(200);
    let media_type = reply.header("content-type").expect("a type").to_owned();
    Content::new(&media_type, reply.body)
}

/// The fallback index `referrers` with its bundle's subject replaced by `image`.
fn repoint(registry: &Registry, repository: &str, referrers: &Content, image: &Image) -> Content {
    let mut index: Value = serde_json::from_slice(&referrers.bytes).expect("an index");
    let digest = index["manifests"][0]["digest"].as_str().expect("a bundle").to_owned();
    let bundle = manifest(registry, repository, &digest);
    let mut document: Value = serde_json::from_slice(&bundle.bytes).expect("a manifest");
    document["subject"] = image.manifest.descriptor();
    let bundle = Content::json(&bundle.media_type, &document);
    registry.put_manifest(repository, &bundle.digest, &bundle);
    index["manifests"][0]["digest"] = bundle.digest.clone().into();
    index["manifests"][0]["size"] = bundle.bytes.len().into();
    Content::json(&referrers.media_type, &index)
}

// A4
#[test]
fn a_layer_that_upstream_tampered_with_reaches_no_client() {
    let lab = Lab::start();
    let image = Image::small();
    lab.push_signed("team/tampered", &image, &lab.key, Layout::Bundle);
    let layer = &image.layers[1];
    lab.registry.corrupt(&layer.digest, &layer.tampered().bytes);
    for client in Client::ALL {
        let _ = client.pull(&lab.gate.reference("team/tampered:1")).expect_refusal();
        let reply = wire::get(lab.gate.address(), &Gate::target("team/tampered", &format!("blobs/{}", layer.digest)));
        assert!(reply.status >= 500 || !reply.complete, "a whole wrong layer arrived after {client:?}");
    }
    lab.registry.corrupt(&layer.digest, &layer.bytes);
    assert_eq!(Client::Docker.pull(&lab.gate.reference("team/tampered:1")).expect_digest(), image.digest());
}

#[test]
fn a_denial_is_one_line_in_body_and_reason_phrase_of_get_and_head() {
    let lab = Lab::start();
    let image = Image::small();
    lab.registry.push("team/unsigned", "1", &image);
    for name in ["1", image.digest()] {
        let target = Gate::target("team/unsigned", &format!("manifests/{name}"));
        let get = wire::get(lab.gate.address(), &target).expect(403);
        let (code, message) = get.error();
        assert_eq!(code, "DENIED");
        assert!(message.starts_with(RULE) && message.is_ascii() && !message.contains('\n'), "{message}");
        for part in ["expected", "found", "mend", image.digest()] {
            assert!(message.contains(part), "{part} is missing in: {message}");
        }
        assert_eq!(get.reason, message);
        let head = wire::head(lab.gate.address(), &target).expect(403);
        assert_eq!(head.reason, message);
        assert_eq!(head.body, b"");
    }
}

// C15
#[test]
fn the_blobs_of_a_refused_image_cannot_be_had() {
    let lab = Lab::start();
    let image = Image::small();
    lab.registry.push("team/unsigned", "1", &image);
    for blob in image.blobs() {
        let target = Gate::target("team/unsigned", &format!("blobs/{}", blob.digest));
        let before = wire::get(lab.gate.address(), &target);
        let _ = wire::get(lab.gate.address(), &Gate::target("team/unsigned", "manifests/1")).expect(403);
        for reply in [before, wire::get(lab.gate.address(), &target), wire::head(lab.gate.address(), &target)] {
            assert!(reply.status == 403 || reply.status == 404, "{} for {}", reply.status, blob.media_type);
        }
        assert_eq!(lab.registry.count("GET", &blob.digest), 0);
    }
}

#[test]
fn cosign_verifies_through_the_gate() {
    let lab = Lab::start();
    let other = KeyPair::generate();
    for layout in [Layout::Bundle, Layout::Legacy] {
        let image = Image::small();
        let repository = format!("team/{layout:?}").to_lowercase();
        lab.push_signed(&repository, &image, &lab.key, layout);
        let reference = lab.gate.reference(&format!("{repository}@{}", image.digest()));
        let _ = cosign::verify(&lab.key.public(), layout, &reference).expect_success();
        let _ = cosign::verify(&other.public(), layout, &reference).expect_failure();
    }
}

#[test]
fn the_evidence_of_a_refused_image_is_refused_too() {
    let lab = Lab::start();
    let (image, other) = (Image::small(), KeyPair::generate());
    lab.push_signed("team/other", &image, &other, Layout::Legacy);
    let tag = image.digest().replace(':', "-");
    let signature = wire::get(lab.gate.address(), &Gate::target("team/other", &format!("manifests/{tag}.sig")));
    assert!(matches!(signature.status, 403 | 404), "{}", signature.status);
    let referrers = wire::get(lab.gate.address(), &Gate::target("team/other", &format!("referrers/{}", image.digest())));
    assert!(matches!(referrers.status, 403 | 404), "{}", referrers.status);
}

#[test]
fn explain_says_what_the_gate_answers() {
    let lab = Lab::start();
    let (signed, unsigned) = (Image::small(), Image::small());
    lab.push_signed("team/signed", &signed, &lab.key, Layout::Bundle);
    lab.registry.push("team/unsigned", "1", &unsigned);

    let admitted = lab.gate.command("explain", [lab.gate.reference("team/signed:1")]).run().expect_success();
    for part in ["ADMITTED by policy rule lab.example/**", signed.digest(), "ci"] {
        assert!(admitted.stdout.contains(part), "{part} is missing in\n{}", admitted.text());
    }
    let denied = lab.gate.command("explain", [lab.gate.reference("team/unsigned:1")]).run();
    for part in [RULE, unsigned.digest(), "no signature"] {
        assert!(denied.stdout.contains(part), "{part} is missing in\n{}", denied.text());
    }
    let json = lab.gate.command("explain", ["--output", "json", &lab.gate.reference("team/unsigned:1")]).run();
    let explained: Value = serde_json::from_str(&json.stdout).expect("one JSON document");
    assert_eq!(explained["digest"], unsigned.digest());
    assert!(explained["line"].as_str().is_some_and(|line| line.starts_with(RULE)), "{explained}");
}

#[test]
fn an_image_that_is_signed_after_its_refusal_is_admitted() {
    let (registry, key) = (Registry::start(), KeyPair::generate());
    let gate = Setup::new().lab_without_memory(&registry.url()).signed_by(&key.public_pem()).start();
    let image = Image::small();
    registry.push("team/app", "1", &image);
    let _ = Client::Docker.pull(&gate.reference("team/app:1")).expect_refusal();
    let signed = cosign::sign(&key.private(), Layout::Bundle, &registry.reference(&format!("team/app@{}", image.digest())));
    let _ = signed.expect_success();
    assert_eq!(Client::Docker.pull(&gate.reference("team/app:1")).expect_digest(), image.digest());
}

#[test]
fn a_key_that_a_reload_removed_counts_no_more() {
    let lab = Lab::start();
    let image = Image::small();
    lab.push_signed("team/app", &image, &lab.key, Layout::Bundle);
    assert_eq!(Client::Crane.pull(&lab.gate.reference("team/app:1")).expect_digest(), image.digest());
    lab.gate.write("keys/ci.pub", &KeyPair::generate().public_pem());
    lab.gate.reload();
    let target = Gate::target("team/app", "manifests/1");
    let refused = || wire::get(lab.gate.address(), &target).status == 403;
    assert!(sealgate_tests::process::wait_until(std::time::Duration::from_secs(5), refused), "{}", lab.gate.log());
    let _ = Client::Crane.pull(&lab.gate.reference("team/app:1")).expect_refusal();
}
