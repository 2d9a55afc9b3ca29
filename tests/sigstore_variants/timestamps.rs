//! Timestamps beside log entries: each that is there has to hold.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealgate_tests::sigstore::{Making, SIGNED_AT, Tsa};
use sealgate_verifier::Timestamp;
use serde_json::{Value, json};

use crate::scene::{MESSAGE, Scene, identity};

const LATE: i64 = SIGNED_AT + 3_600;

fn stamps(bundle: &mut Value) -> &mut Vec<Value> {
    bundle
        .pointer_mut("/verificationMaterial/timestampVerificationData/rfc3161Timestamps")
        .and_then(Value::as_array_mut)
        .expect("timestamps")
}

/// A good bundle in the Rekor v2 log, with a second timestamp by `tsa` at `at`.
fn twice(scene: &Scene, tsa: &Tsa, at: i64) -> Value {
    let mut bundle = scene.instance.sign(&identity(), MESSAGE, scene.instance.making_tiled()).bundle(MESSAGE);
    let signature = STANDARD.decode(bundle["messageSignature"]["signature"].as_str().expect("text")).expect("base64");
    let token = tsa.stamp(&signature, at);
    stamps(&mut bundle).push(json!({ "signedTimestamp": STANDARD.encode(token) }));
    bundle
}

#[test]
fn of_several_timestamps_the_earliest_is_the_time_of_signing() {
    let scene = Scene::new();
    let bundle = twice(&scene, &scene.instance.tsa, SIGNED_AT + 1);
    assert_eq!(scene.agreed(&bundle).expect("it verifies").identity.signed_at, Timestamp(SIGNED_AT + 1));
}

#[test]
fn one_timestamp_outside_of_the_certificates_validity_spoils_the_others() {
    // V4, C6: a certificate that vouches only at one of two times vouches for nothing.
    let scene = Scene::new();
    for at in [LATE, SIGNED_AT - 3_600] {
        let found = scene.keyless(&twice(&scene, &scene.instance.tsa, at)).expect_err("out of time").to_string();
        assert!(found.starts_with("certificate chain:"), "{found}");
    }
    let late = Making { stamped: Some(LATE), ..scene.instance.making_tiled() };
    assert!(scene.refused(&scene.instance.sign(&identity(), MESSAGE, late).bundle(MESSAGE)).starts_with("certificate chain:"));
}

#[test]
fn a_timestamp_by_a_stranger_or_of_another_signature_is_refused() {
    let (scene, stranger) = (Scene::new(), Tsa::new());
    let strange = Making { tsa: &stranger, ..scene.instance.making_tiled() };
    // The stranger's certificate has the name and the number of the authority's own; the hash of the certificate that it signed gives it away.
    let namesake = "timestamp: its signed attribute signing-certificate does not match";
    assert_eq!(scene.refused(&scene.instance.sign(&identity(), MESSAGE, strange).bundle(MESSAGE)), namesake);
    assert_eq!(scene.keyless(&twice(&scene, &stranger, SIGNED_AT + 3)).expect_err("a stranger's").to_string(), namesake);
    let mut good = scene.instance.sign(&identity(), MESSAGE, scene.instance.making_tiled()).bundle(MESSAGE);
    let mut other = scene.instance.sign(&identity(), MESSAGE, scene.instance.making_tiled()).bundle(MESSAGE);
    *stamps(&mut good) = stamps(&mut other).clone();
    assert_eq!(scene.refused(&good), "timestamp of other bytes than the signature");
}

#[test]
fn the_authority_that_stamped_has_to_count_at_that_time_and_no_other_lends_its_own() {
    let (mut scene, other) = (Scene::new(), Tsa::new());
    let bundle = scene.instance.sign(&identity(), MESSAGE, scene.instance.making_tiled()).bundle(MESSAGE);
    let end = |seconds: i64| json!({ "start": "2022-01-01T00:00:00Z", "end": Timestamp(SIGNED_AT + seconds).to_string() });
    // Both ends belong to the window (`TimeRange`).
    scene.root["timestampAuthorities"][0]["validFor"] = end(3);
    assert!(scene.keyless(&bundle).is_ok());
    scene.root["timestampAuthorities"][0]["validFor"] = json!({ "start": Timestamp(SIGNED_AT + 3).to_string() });
    assert!(scene.keyless(&bundle).is_ok());
    scene.root["timestampAuthorities"][0]["validFor"] = end(2);
    assert!(scene.refused(&bundle).contains("at which its authority did not count"));
    // Another authority, valid at that time, before and after the one that stamped.
    let certificates: Vec<Value> = other.chain.iter().map(|der| json!({ "rawBytes": STANDARD.encode(der) })).collect();
    let lender = json!({ "uri": "https://other.example", "certChain": { "certificates": certificates }, "validFor": { "start": "2022-01-01T00:00:00Z" } });
    for at in [0, 1] {
        let mut authorities = scene.root["timestampAuthorities"].as_array().expect("a list").clone();
        authorities.insert(at, lender.clone());
        scene.root["timestampAuthorities"] = json!(authorities);
        assert!(scene.keyless(&bundle).is_err());
        scene.root["timestampAuthorities"].as_array_mut().expect("a list").remove(at);
    }
    // One without certificates is no authority, and such a root is none.
    scene.root["timestampAuthorities"].as_array_mut().expect("a list").push(json!({ "certChain": { "certificates": [] } }));
    assert!(sealgate_verifier::sigstore::TrustRoot::from_json(scene.root.to_string().as_bytes()).is_err());
}
