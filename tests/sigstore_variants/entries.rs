//! Kinds of log entries over messages and envelopes, managed keys, statements.

use sealgate_tests::sigstore::{Key, Making, Record};
use serde_json::{Value, json};

use crate::scene::{MESSAGE, Scene, entry, identity, statement, statement_of};

const V1: [Record; 3] = [Record::Dsse, Record::HashedRekord, Record::Intoto];

#[test]
fn an_envelope_in_a_rekor_v1_log_verifies_in_each_kind_of_entry() {
    let scene = Scene::new();
    for record in V1 {
        let statement = statement(&json!({ "a": 1 }));
        let (made, envelope) = scene.instance.attest(&identity(), &statement, Making { record, ..scene.instance.making() });
        let bundle = made.bundle_with(&envelope);
        let found = scene.keyless(&bundle).unwrap_or_else(|error| panic!("{record:?}: {error}"));
        assert_eq!(found.statement.as_deref(), Some(statement.as_bytes()));
        // cosign 3.1 does not know yet that a `hashedrekord` of v1 may be over an envelope (client-spec, section 4.4).
        assert_eq!(scene.cosign_keyless(&bundle), record != Record::HashedRekord, "{record:?}");
    }
}

/// The logs and the kinds of entry that each holds.
fn ways(scene: &Scene) -> Vec<(&'static str, Making<'_>)> {
    let (one, two) = (scene.instance.making(), scene.instance.making_tiled());
    vec![
        ("dsse 0.0.1", Making { record: Record::Dsse, ..one }),
        ("hashedrekord 0.0.1", Making { record: Record::HashedRekord, ..one }),
        ("intoto 0.0.2", Making { record: Record::Intoto, ..one }),
        ("dsse 0.0.2", Making { record: Record::Dsse, ..two }),
        ("hashedrekord 0.0.2", Making { record: Record::HashedRekord, ..two }),
    ]
}

/// V1, C4, CVE-2022-36056, CVE-2026-22703: two envelopes by one key, with parts of one in the other. Timestamps go with signatures,
/// so that nothing but the entry is wrong.
#[test]
fn an_entry_over_another_envelope_or_signature_is_refused() {
    let (scene, key) = (Scene::new(), Key::generate());
    for (name, making) in ways(&scene) {
        let make = |predicate: Value| {
            let (made, envelope) = scene.instance.attest_with(&key, &statement(&predicate), making);
            made.bundle_with(&envelope)
        };
        let (one, same, other) = (make(json!({ "a": 1 })), make(json!({ "a": 1 })), make(json!({ "a": 2 })));
        assert!(scene.keyed(&one, &key).is_ok(), "{name}");
        // What cosign 3.1 does not read: see above, and the kind that only the first Rekor v2 logs held.
        assert_eq!(scene.cosign_keyed(&one, &key), !["hashedrekord 0.0.1", "dsse 0.0.2"].contains(&name), "{name}");
        let stamps = "timestampVerificationData";
        let with = |donor: &Value, place: &[&str]| {
            let mut mixed = one.clone();
            mixed["verificationMaterial"][stamps] = donor["verificationMaterial"][stamps].clone();
            for pointer in place {
                *mixed.pointer_mut(pointer).expect("a place") = donor.pointer(pointer).expect("a place").clone();
            }
            mixed
        };
        let cases = [
            // The whole envelope is another one than was logged.
            ("another envelope", with(&other, &["/dsseEnvelope"])),
            // The same payload under another signature by the same key.
            ("another signature", with(&same, &["/dsseEnvelope/signatures"])),
            // A signature that is good for another payload.
            ("another payload's signature", with(&other, &["/dsseEnvelope/signatures"])),
            ("another payload", with(&one, &[]).tap(|mixed| mixed["dsseEnvelope"]["payload"] = other["dsseEnvelope"]["payload"].clone())),
            ("another type", with(&one, &[]).tap(|mixed| mixed["dsseEnvelope"]["payloadType"] = json!("text/plain"))),
        ];
        for (change, bundle) in cases {
            let found = scene.keyed(&bundle, &key).expect_err(change).to_string();
            assert!(found.contains("does not describe this signature") || found == "the signature is wrong", "{name}, {change}: {found}");
            assert!(!scene.cosign_keyed(&bundle, &key), "{name}, {change}");
        }
        // A signature that is wrong everywhere: logged, stamped, and by nobody.
        let stranger = Key::generate();
        assert!(scene.keyed(&one, &stranger).is_err(), "{name}");
    }
}

trait Tap: Sized {
    fn tap(self, change: impl FnOnce(&mut Self)) -> Self;
}

impl Tap for Value {
    fn tap(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// V5
#[test]
fn a_statement_of_another_type_is_refused() {
    let scene = Scene::new();
    for (name, making) in ways(&scene) {
        for kind in ["https://in-toto.io/Statement/v2", "", "https://in-toto.io/Statement/v1 "] {
            let (made, envelope) = scene.instance.attest(&identity(), &statement_of(kind, &json!({})), making);
            let found = scene.keyless(&made.bundle_with(&envelope)).expect_err(kind).to_string();
            assert!(found.contains("no in-toto statement"), "{name}: {found}");
        }
        let untyped = statement(&json!({})).replace(r#""_type":"https://in-toto.io/Statement/v1","#, "");
        let (made, envelope) = scene.instance.attest(&identity(), &untyped, making);
        assert!(scene.keyless(&made.bundle_with(&envelope)).is_err(), "{name}");
    }
}

#[test]
fn keys_and_certificates_do_not_stand_in_for_each_other() {
    // V3
    let (scene, key) = (Scene::new(), Key::generate());
    let keyless = scene.instance.sign(&identity(), MESSAGE, scene.instance.making()).bundle(MESSAGE);
    let keyed = scene.instance.sign_with(&key, MESSAGE, scene.instance.making()).bundle(MESSAGE);
    assert!(scene.keyless(&keyless).is_ok() && scene.keyed(&keyed, &key).is_ok());
    assert!(scene.keyed(&keyless, &key).expect_err("a certificate").to_string().contains("expected a public key, no certificate"));
    assert!(scene.refused(&keyed).contains("expected a signing certificate"));
    // The bare key where the certificate belongs.
    use base64::Engine as _;
    let info = base64::engine::general_purpose::STANDARD.encode(key.info());
    let mut bare = keyed;
    bare["verificationMaterial"]["publicKey"] = Value::Null;
    bare["verificationMaterial"]["certificate"] = json!({ "rawBytes": info });
    assert!(scene.refused(&bare).starts_with("certificate:"));
}

#[test]
fn a_message_digest_of_something_else_is_refused() {
    // V15
    let scene = Scene::new();
    let good = scene.instance.sign(&identity(), MESSAGE, scene.instance.making()).bundle(MESSAGE);
    let other = scene.instance.sign(&identity(), b"x", scene.instance.making()).bundle(b"x");
    let mut wrong = good.clone();
    wrong["messageSignature"]["messageDigest"] = other["messageSignature"]["messageDigest"].clone();
    assert!(scene.keyless(&wrong).expect_err("another digest").to_string().contains("messageDigest is not the artifact's digest"));
    let mut unknown = good;
    unknown["messageSignature"]["messageDigest"]["algorithm"] = json!("SHA3_256");
    assert!(scene.keyless(&unknown).is_err());
}

#[test]
fn a_promise_that_is_not_the_logs_is_refused() {
    // V2
    let scene = Scene::new();
    for stamped in [None, Some(sealgate_tests::sigstore::SIGNED_AT + 3)] {
        let good = scene.instance.sign(&identity(), MESSAGE, Making { stamped, ..scene.instance.making() }).bundle(MESSAGE);
        let mut other = scene.instance.sign(&identity(), MESSAGE, scene.instance.making()).bundle(MESSAGE);
        let promise = entry(&mut other)["inclusionPromise"].clone();
        for (field, value) in [("inclusionPromise", promise), ("integratedTime", json!("1767225606")), ("logIndex", json!("1004"))] {
            let mut changed = good.clone();
            entry(&mut changed)[field] = value;
            assert!(scene.keyless(&changed).expect_err(field).to_string().contains("inclusion promise"), "{field}");
        }
        // Its kind beside the body has to be the body's.
        let mut relabelled = good.clone();
        entry(&mut relabelled)["kindVersion"] = json!({ "kind": "dsse", "version": "0.0.1" });
        assert!(scene.keyless(&relabelled).expect_err("another kind").to_string().contains("its kind is not that of its body"));
    }
}
