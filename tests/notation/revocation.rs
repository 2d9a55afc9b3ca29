//! Revocation lists that an admin gives. notation would fetch its own, so it is no judge here.

use rcgen::CrlDistributionPoint;
use sealgate_tests::notation::{Envelope, Format};
use sealgate_tests::pki::{Ca, Identity, KeyType, ca_params, name, signing_params};
use sealgate_verifier::notation::{
    Level, NotationError, NotationSigner, RevocationCheck, RevocationGap, RevocationListError, StoreError, TrustStore, Validation,
};

use crate::scene::{Policy, Scene, now};

const SERIAL: u64 = 4_711;

/// A signer whose certificate says where its revocation list is.
fn revocable(ca: &Ca) -> Identity {
    let mut params = signing_params(name("Acme", "release"));
    params.serial_number = Some(SERIAL.into());
    params.crl_distribution_points = vec![CrlDistributionPoint { uris: vec!["http://127.0.0.1:1/list.crl".to_owned()] }];
    ca.issue(&params, KeyType::P256)
}

fn with_lists(policy: &Policy<'_>, lists: &[&str]) -> NotationSigner {
    let signer = policy.signer();
    let mut store = signer.store().clone();
    for list in lists {
        store.add_revocation_lists(list.as_bytes()).expect("a list");
    }
    NotationSigner::new(store, signer.identities().to_vec()).expect("a signer")
}

fn signed(scene: &Scene, ca: &Ca) -> Envelope {
    scene.sign(&revocable(ca), Format::Cose, &[])
}

#[test]
fn a_certificate_that_can_be_revoked_needs_a_list() {
    let (scene, ca) = (Scene::new(), Ca::of("Acme"));
    let (envelope, mut policy) = (signed(&scene, &ca), Policy::strict(ca.root_pem()));
    // Both judges: nobody answers where the certificate says that its list is.
    let missing = NotationError::RevocationUnknown { number: 1, problem: RevocationGap::Missing };
    assert_eq!(scene.agreed(&envelope, &policy), Err(missing.clone()));
    assert!(scene.ours(&envelope, &policy.signer().with_revocation(RevocationCheck::Skip), now()).is_ok());
    policy.level = "permissive";
    let verified = scene.agreed(&envelope, &policy).expect("permissive");
    assert!(matches!(verified.warnings(), [warning] if warning.validation == Validation::Revocation && warning.problem == missing));
}

#[test]
fn a_list_decides_while_it_is_valid() {
    let (scene, ca) = (Scene::new(), Ca::of("Acme"));
    let (envelope, policy) = (signed(&scene, &ca), Policy::strict(ca.root_pem()));
    let ours = |lists: &[&str]| scene.ours(&envelope, &with_lists(&policy, lists), now());
    let gap = |result: Result<_, NotationError>| match result {
        Err(NotationError::RevocationUnknown { number: 1, problem }) => problem,
        other => panic!("{other:?}"),
    };
    let clean = ca.revocation_list(&[1, SERIAL + 1], -60, 600);
    let end = ours(&[&clean]).expect("not revoked").valid_until().expect("an end");
    assert!(end <= now().plus(600));
    assert_eq!(ours(&[&ca.revocation_list(&[1, SERIAL], -60, 600)]), Err(NotationError::Revoked { number: 1 }));
    let stale = ca.revocation_list(&[1], -120, -60);
    assert!(matches!(gap(ours(&[&stale])), RevocationGap::Stale { .. }));
    assert!(matches!(gap(ours(&[&ca.revocation_list(&[1], 60, 120)])), RevocationGap::NotYetValid { .. }));
    // A list that has ended still revokes; a fresh one beside a stale one serves.
    assert_eq!(ours(&[&ca.revocation_list(&[SERIAL], -120, -60)]), Err(NotationError::Revoked { number: 1 }));
    assert!(ours(&[&stale, &clean]).is_ok());
    assert!(ours(&[&clean, &stale]).is_ok());
    assert_eq!(ours(&[&clean, &ca.revocation_list(&[SERIAL], -120, -60)]), Err(NotationError::Revoked { number: 1 }));
    // Revocation is a warning where the level says so.
    let revoked = with_lists(&policy, &[&ca.revocation_list(&[SERIAL], -60, 600)]).with_level(Level::Permissive);
    assert_eq!(scene.ours(&envelope, &revoked, now()).expect("permissive").warnings().len(), 1);
}

#[test]
fn a_list_by_another_authority_decides_nothing() {
    // V21: the same name, another key; and a key that may not sign lists.
    let (scene, ca, impostor) = (Scene::new(), Ca::of("Acme"), Ca::of("Acme"));
    let (envelope, policy) = (signed(&scene, &ca), Policy::strict(ca.root_pem()));
    for list in [impostor.revocation_list(&[1], -60, 600), impostor.revocation_list(&[SERIAL], -60, 600)] {
        let result = scene.ours(&envelope, &with_lists(&policy, &[&list]), now());
        let unsigned = NotationError::RevocationUnknown { number: 1, problem: RevocationGap::Signature };
        assert_eq!(result, Err(unsigned));
    }
    let other = Ca::of("Other").revocation_list(&[SERIAL], -60, 600);
    let missing = NotationError::RevocationUnknown { number: 1, problem: RevocationGap::Missing };
    assert_eq!(scene.ours(&envelope, &with_lists(&policy, &[&other]), now()), Err(missing));
}

#[test]
fn a_revoked_intermediate_is_refused() {
    let (scene, root) = (Scene::new(), Ca::of("Acme"));
    let mut params = ca_params(name("Acme", "middle"));
    params.serial_number = Some(SERIAL.into());
    let middle = root.intermediate(params, KeyType::P256);
    let envelope = scene.sign(&middle.issue(&signing_params(name("Acme", "release")), KeyType::P256), Format::Jws, &[]);
    let policy = Policy::strict(root.root_pem());
    let _ = scene.agreed(&envelope, &policy).expect("no certificate names a list");
    let list = root.revocation_list(&[SERIAL], -60, 600);
    assert_eq!(scene.ours(&envelope, &with_lists(&policy, &[&list]), now()), Err(NotationError::Revoked { number: 2 }));
}

#[test]
fn lists_that_say_less_than_all_are_not_taken() {
    // RUSTSEC-2026-0049, -0104: partial lists that were matched to the wrong certificates.
    let ca = Ca::of("Acme");
    let partial = ca.partial_revocation_list(-60, 600);
    let error = TrustStore::new().add_revocation_lists(partial.as_bytes()).expect_err("a partial list");
    assert_eq!(error, StoreError::RevocationList { number: 1, problem: RevocationListError::Unsupported });
    let twice = ca.revocation_list(&[7, 7], -60, 600);
    let error = TrustStore::new().add_revocation_lists(twice.as_bytes()).expect_err("a serial twice");
    assert_eq!(error, StoreError::RevocationList { number: 1, problem: RevocationListError::Duplicate });
    for bad in [ca.root_pem(), "", "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n"] {
        assert!(TrustStore::new().add_revocation_lists(bad.as_bytes()).is_err(), "{bad}");
    }
}
