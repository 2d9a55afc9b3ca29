//! Entries of a Rekor v2 log.

use sealgate_tests::sigstore::rekor2::{HOST, Lines};
use sealgate_tests::sigstore::{Key, Making, Record, Rekor2, SIGNED_AT};
use sealgate_verifier::Timestamp;
use serde_json::{Value, json};

use crate::scene::{MESSAGE, Scene, entry, identity, statement};

#[test]
fn a_message_in_a_rekor_v2_log_verifies_whoever_cosigned_the_checkpoint() {
    let mut scene = Scene::new();
    for lines in [Lines::Log, Lines::Cosigned, Lines::TwoOfLog] {
        scene.instance.rekor2.lines = lines;
        let bundle = scene.instance.sign(&identity(), MESSAGE, scene.instance.making_tiled()).bundle(MESSAGE);
        let found = scene.agreed(&bundle).expect("it verifies").identity;
        assert_eq!((found.subject, found.signed_at), (identity().subject, Timestamp(SIGNED_AT + 3)), "{lines:?}");
    }
}

#[test]
fn an_envelope_in_a_rekor_v2_log_verifies_in_both_kinds_of_entry() {
    let scene = Scene::new();
    for record in [Record::HashedRekord, Record::Dsse] {
        let statement = statement(&json!({ "a": 1 }));
        let making = Making { record, ..scene.instance.making_tiled() };
        let (made, envelope) = scene.instance.attest(&identity(), &statement, making);
        let bundle = made.bundle_with(&envelope);
        let found = scene.keyless(&bundle).expect("it verifies");
        assert_eq!(found.statement.as_deref(), Some(statement.as_bytes()), "{record:?}");
        // The later logs, and the clients for them, know `hashedrekord` only.
        if record == Record::HashedRekord {
            assert!(scene.cosign_keyless(&bundle));
        }
    }
}

#[test]
fn a_certificate_needs_a_timestamp_beside_a_rekor_v2_entry_and_a_key_does_not() {
    let (scene, key) = (Scene::new(), Key::generate());
    let unstamped = Making { stamped: None, ..scene.instance.making_tiled() };
    let bundle = scene.instance.sign(&identity(), MESSAGE, unstamped).bundle(MESSAGE);
    assert!(scene.refused(&bundle).starts_with("no verified time of signing"));
    // An integrated time that nobody vouches for is none.
    let mut dated = bundle;
    entry(&mut dated)["integratedTime"] = json!((SIGNED_AT + 3).to_string());
    assert!(scene.refused(&dated).starts_with("no verified time of signing"));
    let bundle = scene.instance.sign_with(&key, MESSAGE, unstamped).bundle(MESSAGE);
    assert_eq!(scene.keyed(&bundle, &key).expect("it verifies").signed_at, None);
    assert!(scene.keyed(&bundle, &Key::generate()).is_err());
}

type Spoil = fn(&str) -> String;

fn without(note: &str, line: usize) -> String {
    let lines = note.lines().enumerate().filter(|(at, _)| *at != line);
    lines.map(|(_, text)| format!("{text}\n")).collect()
}

/// V2, V22: what stands under or in the checkpoint is not the log's.
#[test]
fn a_checkpoint_that_is_not_the_logs_is_refused() {
    let mut scene = Scene::new();
    let cases = [
        (Lines::WitnessOnly, "no signature by the log"),
        (Lines::OtherName, "no signature by the log"),
        (Lines::Forged, "the log's signature is wrong"),
    ];
    for (lines, why) in cases {
        scene.instance.rekor2.lines = lines;
        let bundle = scene.instance.sign(&identity(), MESSAGE, scene.instance.making_tiled()).bundle(MESSAGE);
        let found = scene.refused(&bundle);
        assert!(found.ends_with(why), "{lines:?}: {found}");
    }
    scene.instance.rekor2.lines = Lines::Cosigned;
    let broken: [(&str, Spoil, &str); 7] = [
        ("no origin", |note| note.split_once('\n').expect("lines").1.to_owned(), "no root hash"),
        ("an empty origin", |note| format!("\n{}", note.split_once('\n').expect("lines").1), "no origin"),
        ("no size", |note| without(note, 1), "no root hash"),
        ("a size with zeros before it", |note| note.replace("\n5\n", "\n05\n"), "tree size"),
        ("another size", |note| note.replace("\n5\n", "\n4\n"), "does not lead to the checkpoint's root"),
        ("no root", |note| without(note, 2), "no root hash"),
        (
            "another root",
            |note| note.replacen(&note.lines().nth(2).expect("a root")[..4], "AAAA", 1),
            "does not lead to the checkpoint's root",
        ),
    ];
    for (name, spoil, why) in broken {
        scene.instance.rekor2.spoil = spoil;
        let bundle = scene.instance.sign(&identity(), MESSAGE, scene.instance.making_tiled()).bundle(MESSAGE);
        let found = scene.keyless(&bundle).expect_err(name).to_string();
        assert!(found.contains(why), "{name}: {found}");
        // Go's parser takes zeros before a number.
        assert_eq!(scene.cosign_keyless(&bundle), name == "a size with zeros before it", "{name}");
    }
}

/// V1, V22, C4
#[test]
fn an_entry_of_another_log_another_place_or_another_signature_is_refused() {
    let scene = Scene::new();
    let other = Rekor2::new();
    let strange = Making { tiled: Some(&other), ..scene.instance.making_tiled() };
    let bundle = scene.instance.sign(&identity(), MESSAGE, strange).bundle(MESSAGE);
    assert!(scene.refused(&bundle).contains("a log that the trust root does not know"));
    let good = scene.instance.sign(&identity(), MESSAGE, scene.instance.making_tiled()).bundle(MESSAGE);
    let unrelated = scene.instance.sign(&identity(), MESSAGE, scene.instance.making_tiled()).bundle(MESSAGE);
    let mut swapped = good.clone();
    *entry(&mut swapped) = entry(&mut unrelated.clone()).clone();
    assert!(scene.refused(&swapped).contains("does not describe this signature"));
    // The index that counts is the entry's own; the proof's copy is nobody's word.
    let mut moved = good.clone();
    entry(&mut moved)["logIndex"] = json!("2");
    assert!(scene.refused(&moved).contains("does not lead to the checkpoint's root"));
    let mut huge = good.clone();
    entry(&mut huge)["logIndex"] = json!("9223372036854775807");
    assert!(scene.refused(&huge).contains("does not lead to the checkpoint's root"));
    for (field, value) in [("inclusionProof", Value::Null), ("logId", json!({ "keyId": "AAAA" })), ("canonicalizedBody", json!("e30="))] {
        let mut lacking = good.clone();
        entry(&mut lacking)[field] = value;
        let _ = scene.refused(&lacking);
    }
    // An entry of v2 under the v1 log's id, whose promise nobody needs then.
    let mut relabelled = good;
    entry(&mut relabelled)["logId"] =
        entry(&mut scene.instance.sign(&identity(), MESSAGE, scene.instance.making()).bundle(MESSAGE))["logId"].clone();
    let _ = scene.refused(&relabelled);
}

#[test]
fn entries_in_both_logs_all_have_to_hold() {
    let (scene, key) = (Scene::new(), Key::generate());
    // One signature, two entries: ECDSA signs anew each time, so the second entry is about another signature.
    let (one, two) = (
        scene.instance.sign_with(&key, MESSAGE, scene.instance.making()).bundle(MESSAGE),
        scene.instance.sign_with(&key, MESSAGE, scene.instance.making_tiled()).bundle(MESSAGE),
    );
    let mut both = one.clone();
    both["verificationMaterial"]["tlogEntries"].as_array_mut().expect("entries").push(entry(&mut two.clone()).clone());
    assert!(scene.keyed(&one, &key).is_ok() && scene.keyed(&two, &key).is_ok());
    assert!(scene.keyed(&both, &key).expect_err("the second").to_string().contains("another signature"));
    // V10: one entry twice vouches once.
    let mut twice = one.clone();
    twice["verificationMaterial"]["tlogEntries"].as_array_mut().expect("entries").push(entry(&mut one.clone()).clone());
    assert!(scene.keyed(&twice, &key).expect_err("twice").to_string().contains("different log entries"));
    assert_eq!(HOST.split('.').next(), Some("log2026-1"));
}
