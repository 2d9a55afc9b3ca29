//! What the trust root says, and when.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealgate_tests::sigstore::{Fulcio, Making, SIGNED_AT};
use sealgate_verifier::Timestamp;
use sealgate_verifier::sigstore::TrustRoot;
use serde_json::{Value, json};

use crate::scene::{MESSAGE, Scene, identity};

fn until(seconds: i64) -> Value {
    json!({ "start": "2022-01-01T00:00:00Z", "end": Timestamp(SIGNED_AT + seconds).to_string() })
}

#[test]
fn a_log_counts_to_the_last_second_of_its_time() {
    let mut scene = Scene::new();
    let bundle = scene.instance.sign(&identity(), MESSAGE, Making { stamped: None, ..scene.instance.making() }).bundle(MESSAGE);
    scene.root["tlogs"][0]["publicKey"]["validFor"] = until(5);
    assert!(scene.keyless(&bundle).is_ok());
    scene.root["tlogs"][0]["publicKey"]["validFor"] = until(4);
    assert!(scene.refused(&bundle).contains("the log's key did not count at"));
    // Rekor v2: at the time that the authority stamped.
    let mut scene = Scene::new();
    let bundle = scene.instance.sign(&identity(), MESSAGE, scene.instance.making_tiled()).bundle(MESSAGE);
    scene.root["tlogs"][1]["publicKey"]["validFor"] = until(3);
    assert!(scene.keyless(&bundle).is_ok());
    scene.root["tlogs"][1]["publicKey"]["validFor"] = until(2);
    assert!(scene.keyless(&bundle).expect_err("too late").to_string().contains("the log's key did not count at"));
}

#[test]
fn an_authority_and_a_ct_log_count_in_their_time_only() {
    let mut scene = Scene::new();
    let bundle = scene.instance.sign(&identity(), MESSAGE, scene.instance.making()).bundle(MESSAGE);
    scene.root["certificateAuthorities"][0]["validFor"] = until(5);
    assert!(scene.keyless(&bundle).is_ok(), "the log took it in at that second");
    scene.root["certificateAuthorities"][0]["validFor"] = until(4);
    // cosign asks at the time of the timestamp only.
    let found = scene.keyless(&bundle).expect_err("too late").to_string();
    assert!(found.contains("no certificate authority of the trust root counted at"), "{found}");
    let mut scene = Scene::new();
    let bundle = scene.instance.sign(&identity(), MESSAGE, scene.instance.making()).bundle(MESSAGE);
    scene.root["ctlogs"][0]["publicKey"]["validFor"] = until(-1);
    assert!(scene.keyless(&bundle).expect_err("too late").to_string().contains("at which the CT log's key did not count"));
}

#[test]
fn the_issuer_of_the_sct_is_the_one_that_signed_and_not_its_namesake() {
    // Two authorities whose intermediates bear one name, in both orders.
    let mut scene = Scene::new();
    let decoy: Vec<Value> = Fulcio::new().chain.iter().map(|der| json!({ "rawBytes": STANDARD.encode(der) })).collect();
    let decoy =
        json!({ "uri": "https://decoy.example", "certChain": { "certificates": decoy }, "validFor": { "start": "2022-01-01T00:00:00Z" } });
    let bundle = scene.instance.sign(&identity(), MESSAGE, scene.instance.making()).bundle(MESSAGE);
    let own = scene.root["certificateAuthorities"][0].clone();
    for order in [json!([decoy, own]), json!([own, decoy])] {
        scene.root["certificateAuthorities"] = order;
        assert!(scene.keyless(&bundle).is_ok());
    }
    scene.root["certificateAuthorities"] = json!([decoy]);
    assert!(scene.refused(&bundle).starts_with("certificate chain:"));
}

#[test]
fn a_root_with_half_a_validity_is_none() {
    let scene = Scene::new();
    let places = [
        "/tlogs/0/publicKey/validFor",
        "/tlogs/1/publicKey/validFor",
        "/ctlogs/0/publicKey/validFor",
        "/certificateAuthorities/0/validFor",
        "/timestampAuthorities/0/validFor",
    ];
    for place in places {
        for broken in
            [json!({}), json!({ "end": "2030-01-01T00:00:00Z" }), json!({ "start": "2030-01-01T00:00:00Z", "end": "2022-01-01T00:00:00Z" })]
        {
            let mut root = scene.root.clone();
            *root.pointer_mut(place).expect("a place") = broken.clone();
            assert!(TrustRoot::from_json(root.to_string().as_bytes()).is_err(), "{place}: {broken}");
        }
    }
}

#[test]
fn a_root_without_a_log_asks_for_none_and_needs_a_timestamp() {
    // GitHub's own instance has no transparency log.
    let mut scene = Scene::new();
    scene.root["tlogs"] = json!([]);
    let mut bundle = scene.instance.sign(&identity(), MESSAGE, scene.instance.making()).bundle(MESSAGE);
    assert!(scene.keyless(&bundle).expect_err("an entry of nobody").to_string().contains("a log that the trust root does not know"));
    bundle["verificationMaterial"]["tlogEntries"] = json!([]);
    assert!(scene.keyless(&bundle).is_ok());
    bundle["verificationMaterial"]["timestampVerificationData"] = Value::Null;
    assert!(scene.keyless(&bundle).expect_err("no time").to_string().starts_with("no verified time of signing"));
    // The same bundle under the root that lists logs.
    scene.root = scene.instance.trusted_root();
    let listed = scene;
    let bundle = listed.instance.sign(&identity(), MESSAGE, listed.instance.making()).bundle(MESSAGE);
    let mut unlogged = bundle;
    unlogged["verificationMaterial"]["tlogEntries"] = json!([]);
    assert_eq!(listed.refused(&unlogged), "no transparency-log entry: expected at least one");
}
