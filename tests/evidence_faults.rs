//! The places where signatures may be, on registries that lack some of them or fail in others: what cannot be seen never counts as
//! "unsigned", and never as signed.

use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::hostile::{Fault, Referrers, Rule, Upstream};
use sealgate_tests::image::Image;
use sealgate_tests::signature::{Signature, Signer};
use sealgate_tests::wire::{self, Reply};

/// A signed image whose upstream has no referrers API: 404, or what `rule` says.
struct Scene {
    upstream: Upstream,
    gate: Gate,
    image: Image,
    signature: Signature,
}

impl Scene {
    fn new() -> Self {
        let (upstream, signer, image) = (Upstream::start(), Signer::generate(), Image::small());
        let gate = Setup::new().lab_without_memory(&upstream.url()).signed_by(&signer.public_pem()).start();
        upstream.push("team/app", "1", &image);
        let signature = signer.sign(&image.manifest);
        upstream.put_signature("team/app", &signature);
        upstream.set_referrers(Referrers::Missing);
        Self { upstream, gate, image, signature }
    }

    fn list_under_the_fallback_tag(&self) {
        let listing = self.signature.listing();
        self.upstream.put_manifest("team/app", &listing);
        self.upstream.put_tag("team/app", &self.image.digest().replace(':', "-"), &listing.digest);
    }

    fn get(&self) -> Reply {
        wire::get(self.gate.address(), &Gate::target("team/app", "manifests/1"))
    }
}

/// GHCR's answer to a referrers request: a redirect to a page with a truncated digest (artifacthub/hub#4785).
fn truncated(scene: &Scene) -> Rule {
    let digest = &scene.image.digest()[.."sha256:".len() + 12];
    Rule::on("GET", "/referrers/").fault(Fault::Redirect(303, format!("{}/v2/team/app/referrers/{digest}", scene.upstream.url())))
}

// F28
#[test]
fn a_signature_under_the_fallback_tag_counts_where_there_is_no_referrers_api() {
    let scene = Scene::new();
    assert_eq!(scene.get().error().0, "DENIED", "nothing is listed anywhere");
    scene.list_under_the_fallback_tag();
    assert_eq!(scene.get().expect(200).body, scene.image.manifest.bytes);
}

// F28
#[test]
fn a_redirect_of_referrers_to_a_truncated_digest_leads_to_the_fallback_tag_or_to_a_denial() {
    let scene = Scene::new();
    scene.upstream.rule(truncated(&scene));
    assert_eq!(scene.get().error().0, "DENIED");
    scene.list_under_the_fallback_tag();
    let _ = scene.get().expect(200);
    let followed = scene.upstream.seen().iter().filter(|seen| seen.target.ends_with(&scene.image.digest()[..19])).count();
    assert_eq!(followed, 0, "the redirect is not followed");
}

// F28, F25: a place that fails is a gap that the denial names; another place that shows a signature is enough.
#[test]
fn a_place_that_fails_is_named_and_does_not_pass_for_unsigned() {
    for status in [429, 500, 503] {
        let scene = Scene::new();
        scene.upstream.rule(Rule::on("GET", "/referrers/").fault(Fault::Status(status)));
        let (code, message) = scene.get().expect(403).error();
        assert_eq!(code, "DENIED");
        let seen = ["evidence that could not be seen", "referrers API", &format!("HTTP {status}")];
        assert!(seen.iter().all(|part| message.contains(part)), "{message}");
        assert!(!message.contains("no signature"), "{status}: ignorance passes for knowledge: {message}");
        scene.upstream.behave();
        scene.list_under_the_fallback_tag();
        let admitted = sealgate_tests::process::wait_until(std::time::Duration::from_secs(10), || scene.get().status == 200);
        assert!(admitted, "{status}: {}", scene.get().text());
    }
}

// F28: each kind of broken listing denies, and the next good one admits.
#[test]
fn a_broken_listing_of_referrers_denies_and_heals() {
    let scene = Scene::new();
    scene.upstream.set_referrers(Referrers::Served);
    for body in ["<html>", "{", "[]", r#"{"manifests":[{"digest":"sha256:12","size":1}]}"#] {
        scene.upstream.behave();
        let broken = Rule::on("GET", "/referrers/").fault(Fault::Body(body.into()));
        scene.upstream.rule(broken.fault(Fault::Header("content-length", body.len().to_string())));
        assert_eq!(scene.get().expect(403).error().0, "DENIED", "{body}");
    }
    scene.upstream.behave();
    let _ = scene.get().expect(200);
}
