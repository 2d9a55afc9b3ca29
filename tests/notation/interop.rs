//! Signatures by `notation sign`.

use std::time::Duration;

use sealgate_tests::notation::Format;
use sealgate_tests::pki::{Ca, KeyType, ca_params, name, p521_identity, signing_params, valid};
use sealgate_tests::process::wait_until;
use sealgate_verifier::Digest;
use sealgate_verifier::notation::{AlgorithmError, CertificateError, NotationError, Validation};

use crate::scene::{Policy, Scene, acme, now};

#[test]
fn what_notation_signs_verifies_with_every_key_and_format() {
    for (root_key, key) in [
        (KeyType::P256, KeyType::P256),
        (KeyType::P384, KeyType::P384),
        (KeyType::Rsa(2048), KeyType::Rsa(2048)),
        (KeyType::P384, KeyType::Rsa(3072)),
        (KeyType::Rsa(3072), KeyType::Rsa(4096)),
    ] {
        let root = Ca::root(ca_params(name("Acme", "root")), root_key);
        let middle = root.intermediate(ca_params(name("Acme", "intermediate")), KeyType::P256);
        let identity = middle.issue(&signing_params(name("Acme", "release")), key);
        for format in Format::ALL {
            let scene = Scene::new();
            let envelope = scene.sign(&identity, format, &["--user-metadata", "build=7"]);
            let verified = scene.agreed(&envelope, &Policy::strict(root.root_pem())).expect("a good signature");
            assert_eq!(verified.subject(), "C=US, ST=WA, O=Acme, CN=release");
            assert_eq!(verified.root(), Digest::sha256(identity.chain_der().last().expect("a root")));
            assert_eq!((verified.signed_at(), verified.warnings(), verified.is_authentic()), (None, &[][..], true));
            assert!(verified.valid_until().is_some_and(|end| end > now() && end < now().plus(86_401)), "the leaf ends in a day");
        }
    }
}

#[test]
fn a_self_signed_signing_certificate_is_its_own_root() {
    let scene = Scene::new();
    let (params, key) = (signing_params(name("Acme", "alone")), sealgate_tests::pki::key(KeyType::P256));
    let pem = params.self_signed(&key).expect("a certificate").pem();
    let identity = sealgate_tests::pki::Identity { key_pem: key.serialize_pem(), chain_pem: pem.clone() };
    let envelope = scene.sign(&identity, Format::Jws, &[]);
    let _ = scene.agreed(&envelope, &Policy::strict(&pem)).expect("a good signature");
}

#[test]
fn a_key_on_p_521_is_refused_as_unsupported() {
    // Known difference: notation takes it. ring has no P-521, and unsupported means denied.
    let (scene, identity) = (Scene::new(), p521_identity());
    let envelope = scene.sign(&identity, Format::Jws, &[]);
    assert!(scene.theirs(&Policy::strict(&identity.chain_pem)));
    let (ca, _) = acme();
    let error = scene.ours(&envelope, &Policy::strict(ca.root_pem()).signer(), now()).expect_err("unsupported");
    let unsupported = CertificateError::Algorithm(AlgorithmError::P521);
    assert_eq!(error, NotationError::Certificate { number: 1, problem: unsupported });
}

#[test]
fn a_signature_under_another_root_is_refused() {
    let (scene, (_, identity), (other, _)) = (Scene::new(), acme(), acme());
    let envelope = scene.sign(&identity, Format::Cose, &[]);
    let error = scene.agreed(&envelope, &Policy::strict(other.root_pem())).expect_err("another root");
    assert!(matches!(error, NotationError::UntrustedRoot { .. }) && error.is_by_somebody_else(), "{error}");
}

#[test]
fn a_signature_by_another_identity_is_refused() {
    let (scene, ca) = (Scene::new(), Ca::of("Acme"));
    let identity = ca.issue(&signing_params(name("Other", "release")), KeyType::P256);
    let envelope = scene.sign(&identity, Format::Jws, &[]);
    let mut policy = Policy::strict(ca.root_pem());
    let error = scene.agreed(&envelope, &policy).expect_err("another identity");
    assert!(matches!(error, NotationError::Identity { .. }), "{error}");
    for (identities, admitted) in [
        (vec!["*"], true),
        (vec!["x509.subject: C=US, ST=WA, O=Other, CN=release"], true),
        (vec!["x509.subject: C=US, ST=WA, O=Other, CN=Release"], false),
        (vec!["x509.subject: C=US, ST=WA, O=Other, OU=x"], false),
        (vec!["x509.subject: C=US, ST=WA, O=Acme", "x509.subject: C=US, ST=WA, O=Other"], true),
    ] {
        policy.identities = identities;
        assert_eq!(scene.agreed(&envelope, &policy).is_ok(), admitted, "{:?}", policy.identities);
    }
    // At `audit` it passes, but as nobody's.
    policy.identities = vec!["x509.subject: C=US, ST=WA, O=Acme"];
    policy.level = "audit";
    let verified = scene.agreed(&envelope, &policy).expect("audit lets it pass");
    assert!(!verified.is_authentic());
    assert_eq!(verified.warnings().len(), 1);
}

#[test]
fn an_expired_signature_is_refused() {
    for format in Format::ALL {
        let (scene, (ca, identity)) = (Scene::new(), acme());
        let envelope = scene.sign(&identity, format, &["--expiry", "10s"]);
        let mut policy = Policy::strict(ca.root_pem());
        let verified = scene.ours(&envelope, &policy.signer(), now()).expect("not yet expired");
        let end = verified.valid_until().expect("it expires");
        assert!(end <= now().plus(10));
        let _ = scene.ours(&envelope, &policy.signer(), end).expect("valid to its last second");
        assert_eq!(
            scene.ours(&envelope, &policy.signer(), end.plus(1)),
            Err(NotationError::Expired { expires: end.plus(1) }),
            "as soon as it ends"
        );
        assert!(wait_until(Duration::from_secs(30), || now() > end));
        let error = scene.agreed(&envelope, &policy).expect_err("expired");
        assert!(matches!(error, NotationError::Expired { .. }), "{error}");
        policy.level = "permissive";
        let verified = scene.agreed(&envelope, &policy).expect("permissive lets it pass");
        assert!(matches!(verified.warnings(), [warning] if warning.validation == Validation::Expiry));
    }
}

#[test]
fn a_signature_by_an_expired_certificate_is_refused() {
    // C6: of the leaf, and of an intermediate above a valid leaf.
    for short_leaf in [true, false] {
        let (scene, root) = (Scene::new(), Ca::of("Acme"));
        let (middle_end, leaf_end) = if short_leaf { (86_400, 8) } else { (8, 86_400) };
        let middle = root.intermediate(valid(ca_params(name("Acme", "middle")), -60, middle_end), KeyType::P256);
        let identity = middle.issue(&valid(signing_params(name("Acme", "release")), -60, leaf_end), KeyType::P256);
        let envelope = scene.sign(&identity, Format::Jws, &[]);
        let policy = Policy::strict(root.root_pem());
        let end = scene.ours(&envelope, &policy.signer(), now()).expect("still valid").valid_until().expect("an end");
        assert!(wait_until(Duration::from_secs(30), || now() > end));
        let error = scene.agreed(&envelope, &policy).expect_err("expired");
        let expired = |error: &NotationError| {
            let number = if short_leaf { 1 } else { 2 };
            matches!(error, NotationError::Certificate { number: n, problem: CertificateError::Validity { .. } } if *n == number)
        };
        assert!(expired(&error), "{error}");
    }
}
