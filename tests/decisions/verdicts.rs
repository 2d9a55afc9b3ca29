//! Cases of single attacks over several kinds of signer.

use std::collections::BTreeMap;

use sealgate_tests::evidence::with_manifest;
use sealgate_tests::world::{Kind, NOW, World, identity};
use sealgate_verifier::policy::TrustRootSource;
use sealgate_verifier::sigstore::TrustRoot;
use sealgate_verifier::{
    Attachment, Claim, Digest, Evidence, IdentityMatcher, KeylessIdentity, Policy, PolicyParts, Quorum, Requirement, Revision, Rule,
    SignedBy, Signer, SignerIdentity, TextMatcher, Verdict, evaluate,
};
use serde_json::{Value, json};

fn admits(evidence: &Evidence, policy: &Policy) -> bool {
    matches!(evaluate(evidence, policy, NOW), Verdict::Admit(_))
}

fn root(world: &World) -> TrustRootSource {
    let root = TrustRoot::from_json(world.instance.trusted_root().to_string().as_bytes()).expect("a trust root");
    TrustRootSource::File(Box::new(root))
}

/// Two instances are known; the one signer is of `instance`.
fn of_instance(own: &World, other: &World, instance: &str) -> Policy {
    let claims = BTreeMap::from([(Claim::SourceRepository, TextMatcher::parse("https://github.com/acme/app"))]);
    let subject = IdentityMatcher::Exact(identity(0).subject);
    let keyless = KeylessIdentity { issuer: IdentityMatcher::Exact(identity(0).issuer), subject, claims, trust_root: instance.to_owned() };
    let by = SignedBy { quorum: Quorum::Any, signers: vec!["app".to_owned()] };
    Policy::new(PolicyParts {
        signers: BTreeMap::from([("app".to_owned(), Signer { identity: SignerIdentity::Keyless(keyless), images: Vec::new() })]),
        trust_roots: BTreeMap::from([("own".to_owned(), root(own)), ("other".to_owned(), root(other))]),
        rules: vec![Rule::of("docker.io/library/*".parse().expect("a pattern"), vec![Requirement::SignedBy(by)])],
        ..PolicyParts::empty(Revision(Digest::sha256(b"tests")))
    })
    .expect("a policy")
}

// V32: the policy chooses the trust root, whatever the image, the manifest of the signature or the bundle says.
#[test]
fn no_image_and_no_signature_chooses_its_trust_root() {
    let own = World::new();
    let other = own.elsewhere();
    let (of_own, of_other) = (of_instance(&own, &other, "own"), of_instance(&own, &other, "other"));
    let claim = |attachment: &Attachment| {
        let mut manifest: Value = serde_json::from_slice(&attachment.manifest).expect("JSON");
        let hints = json!({ "dev.sigstore.trusted-root": "other", "sealgate.trust-root": "other", "com.docker.image.hardened": "true" });
        if let Some(own) = manifest["layers"][0]["annotations"].as_object_mut() {
            own.extend(hints.as_object().expect("hints").clone());
        }
        manifest["annotations"] = hints;
        with_manifest(attachment.location, manifest.to_string(), attachment.layers[0].clone())
    };
    let signed = other.signed(Kind::Keyless).into_iter().filter(|signed| signed.by == 0);
    for signed in signed {
        for attachment in [claim(&signed.attachment), signed.attachment] {
            let evidence = own.evidence(vec![attachment]);
            assert!(!admits(&evidence, &of_own) && admits(&evidence, &of_other), "{}", signed.form);
        }
    }
}

// V30, C3: a genuine signature in every form, beside another image.
#[test]
fn a_signature_of_another_image_admits_nothing_in_any_form() {
    let world = World::new();
    let other = World::new();
    for kind in Kind::ALL {
        for signed in world.signed(kind) {
            let moved = other.evidence(vec![signed.attachment.clone()]);
            assert!(
                admits(&world.evidence(vec![signed.attachment]), &world.policy(kind, Quorum::Any, [true; 3])),
                "{kind:?} {}",
                signed.form
            );
            assert!(!admits(&moved, &world.policy(kind, Quorum::Any, [true; 3])), "{kind:?} {}", signed.form);
        }
    }
}

// C2, V6: neither stands in for the other, in any form.
#[test]
fn what_approves_attests_nothing_and_what_attests_approves_nothing() {
    let world = World::new();
    for kind in [Kind::Keyed, Kind::Keyless] {
        for signed in world.signed(kind).into_iter().filter(|signed| (signed.by == 0) == (kind == Kind::Keyed)) {
            assert!(
                !admits(&world.evidence(vec![signed.attachment]), &world.policy(Kind::Attested, Quorum::Any, [true; 3])),
                "{}",
                signed.form
            );
        }
    }
    for attested in world.signed(Kind::Attested) {
        for kind in [Kind::Keyed, Kind::Logged, Kind::Keyless, Kind::Notation] {
            let evidence = world.evidence(vec![attested.attachment.clone()]);
            assert!(!admits(&evidence, &world.policy(kind, Quorum::Any, [true; 3])), "{kind:?} {}", attested.form);
        }
    }
}

// V10, C7: the same signature in many manifests and places, and one signer in every form, is one.
#[test]
fn one_signer_in_every_form_is_one() {
    let world = World::new();
    for kind in Kind::ALL {
        let by_one: Vec<Attachment> =
            world.signed(kind).into_iter().filter(|signed| signed.by == 0).map(|signed| signed.attachment).collect();
        assert!(by_one.len() > 1);
        let evidence = world.evidence(by_one);
        assert!(admits(&evidence, &world.policy(kind, Quorum::Threshold(1), [true; 3])), "{kind:?}");
        assert!(!admits(&evidence, &world.policy(kind, Quorum::Threshold(2), [true; 3])), "{kind:?}");
    }
}

// C9: equal verdicts, whatever the order, a thousand times over.
#[test]
fn a_thousand_orders_give_one_verdict() {
    let world = World::new();
    for kind in Kind::ALL {
        let policy = world.policy(kind, Quorum::All, [true; 3]);
        let mut items: Vec<Attachment> = world.signed(kind).into_iter().map(|signed| signed.attachment).take(5).collect();
        let first = evaluate(&world.evidence(items.clone()), &policy, NOW);
        for turn in 0..sealgate_tests::scale(20, 1_000) {
            let length = items.len();
            items.swap(turn % length, (turn * 7 + 3) % length);
            items.rotate_left(1 + turn % 3);
            assert_eq!(evaluate(&world.evidence(items.clone()), &policy, NOW), first, "{kind:?}, turn {turn}");
        }
    }
}
