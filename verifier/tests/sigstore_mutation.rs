//! Mutants of every good bundle: none verifies, unless it differs only where nothing vouches for what stands there.
#![allow(clippy::disallowed_methods, missing_docs, reason = "tests read fixtures and their environment")]

mod conformance;
#[path = "conformance/essence.rs"]
mod essence;
#[path = "conformance/mutant.rs"]
mod mutant;

use conformance::{Case, cases};
use essence::{essence, restore};
use mutant::{Random, mutate};
use serde_json::Value;

/// Mutants over all good bundles.
fn count() -> usize {
    match std::env::var("SEALGATE_TEST_SCALE").as_deref() {
        Err(_) | Ok("1") => 3_000,
        Ok("full") => 120_000,
        Ok(other) => panic!("SEALGATE_TEST_SCALE is {other:?}; it knows 1 and full"),
    }
}

fn good() -> Vec<Case> {
    cases().into_iter().filter(|case| !case.must_fail()).collect()
}

#[test]
fn no_mutant_of_a_good_bundle_verifies() {
    // V1, V2, V10, V13, V15, V22, C4
    let (cases, mut random) = (good(), Random(0x5ea1_9a7e));
    let (mut denied, mut same) = (0_usize, 0_usize);
    for case in &cases {
        let root = case.root().expect("a trust root");
        let own = essence(&serde_json::from_slice(&case.bundle).expect("JSON"));
        for _ in 0..count() / cases.len() {
            let mutant = mutate(&case.bundle, &mut random);
            let artifact = if random.below(2) == 0 { case.as_bytes() } else { case.as_digest() };
            if case.verify(&mutant, artifact, &root).is_err() {
                denied += 1;
                continue;
            }
            let document: Value = serde_json::from_slice(&mutant).expect("what verifies is JSON");
            let mut essence = essence(&document);
            restore(&mut essence, &own, true);
            assert_eq!(essence, own, "{} verifies although it differs:\n{}", case.name, String::from_utf8_lossy(&mutant));
            same += 1;
        }
    }
    println!("{denied} mutants denied, {same} differ only where nothing vouches");
    assert!(cases.is_empty() || denied > same * 4, "{denied} denied, {same} the same");
}

#[test]
fn another_artifact_is_never_what_was_signed() {
    // C3, V15
    for case in good() {
        let root = case.root().expect("a trust root");
        let other = [&*case.artifact, b"x"].concat();
        for artifact in [
            sealgate_verifier::sigstore::Artifact::Bytes(&other),
            sealgate_verifier::sigstore::Artifact::Digest(sealgate_verifier::Digest::sha256(&other)),
        ] {
            assert!(case.verify(&case.bundle, artifact, &root).is_err(), "{}", case.name);
        }
    }
}

#[test]
fn evidence_of_one_bundle_proves_nothing_for_another() {
    // V1, C4, V22: the log entries, timestamps and certificates of one good bundle in each other one.
    let cases = good();
    for (case, donor) in cases.iter().flat_map(|case| cases.iter().map(move |donor| (case, donor))).filter(|(a, b)| a.name != b.name) {
        let root = case.root().expect("a trust root");
        let (own, other): (Value, Value) =
            (serde_json::from_slice(&case.bundle).expect("JSON"), serde_json::from_slice(&donor.bundle).expect("JSON"));
        for part in ["tlogEntries", "timestampVerificationData", "certificate", "x509CertificateChain"] {
            let (own_part, part_of_other) = (&own["verificationMaterial"][part], &other["verificationMaterial"][part]);
            if own_part.is_null() || part_of_other.is_null() || own_part == part_of_other {
                continue;
            }
            let mut mixed = own.clone();
            mixed["verificationMaterial"][part] = part_of_other.clone();
            if essence(&mixed) != essence(&own) {
                let outcome = case.verify(&serde_json::to_vec(&mixed).expect("JSON"), case.as_bytes(), &root);
                assert!(outcome.is_err(), "{} with {part} of {}", case.name, donor.name);
            }
        }
    }
}
