//! Mutants of every good bundle: none verifies, unless it differs only where nothing vouches for what stands there.
#![allow(clippy::disallowed_methods, missing_docs, reason = "tests read fixtures and their environment")]

mod conformance;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cms::content_info::ContentInfo;
use cms::signed_data::SignedData;
use conformance::{Case, cases};
use serde_json::Value;
use spki::der::{Decode as _, Encode as _, Reader as _, SliceReader};

/// Mutants over all good bundles.
fn count() -> usize {
    match std::env::var("SEALGATE_TEST_SCALE").as_deref() {
        Err(_) | Ok("1") => 3_000,
        Ok("full") => 120_000,
        Ok(other) => panic!("SEALGATE_TEST_SCALE is {other:?}; it knows 1 and full"),
    }
}

/// xorshift64*: the same mutants in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

/// Every place of a value in the document, as JSON pointers.
fn leaves(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, inner)| leaves(inner, format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found))
        }
        Value::Array(list) => list.iter().enumerate().for_each(|(index, inner)| leaves(inner, format!("{at}/{index}"), found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => found.push(at),
    }
}

fn flip(bytes: &mut [u8], random: &mut Random) {
    let (at, bit) = (random.below(bytes.len()), random.below(8));
    bytes[at] ^= 1 << bit;
}

/// One bit of the document, or one bit of what a value encodes.
fn mutate(bundle: &[u8], random: &mut Random) -> Vec<u8> {
    let mut document: Value = serde_json::from_slice(bundle).expect("JSON");
    let mut places = Vec::new();
    leaves(&document, String::new(), &mut places);
    let place = document.pointer_mut(&places[random.below(places.len())]).expect("a value");
    match (random.below(3), place) {
        (0, Value::String(text)) if STANDARD.decode(&*text).is_ok_and(|bytes| !bytes.is_empty()) => {
            let mut bytes = STANDARD.decode(&*text).expect("base64");
            flip(&mut bytes, random);
            *text = STANDARD.encode(bytes);
        }
        (1, Value::String(text)) if text.parse::<i64>().is_ok() => {
            *text = (text.parse::<i64>().expect("a number") ^ (1 << random.below(40))).to_string()
        }
        _ => {
            let mut bytes = bundle.to_vec();
            flip(&mut bytes, random);
            return bytes;
        }
    }
    serde_json::to_vec(&document).expect("JSON")
}

/// The known fields of a bundle. Others are ignored, as protobuf's JSON mapping asks: to rename one is to leave it out.
const KNOWN: [&str; 32] = [
    "mediaType",
    "verificationMaterial",
    "publicKey",
    "certificate",
    "x509CertificateChain",
    "certificates",
    "rawBytes",
    "tlogEntries",
    "logIndex",
    "logId",
    "keyId",
    "kindVersion",
    "kind",
    "version",
    "integratedTime",
    "inclusionPromise",
    "signedEntryTimestamp",
    "inclusionProof",
    "hashes",
    "checkpoint",
    "envelope",
    "canonicalizedBody",
    "timestampVerificationData",
    "rfc3161Timestamps",
    "signedTimestamp",
    "messageSignature",
    "signature",
    "dsseEnvelope",
    "payload",
    "payloadType",
    "signatures",
    "sig",
];

/// What is left of a bundle without what proves nothing. Two bundles with the same rest are the same bundle.
fn essence(document: &Value) -> Value {
    let mut document = document.clone();
    // `messageDigest` identifies the artifact for messages and is optional (sigstore_bundle.proto, `MessageSignature`); where it is
    // read, it has to be right. `hint` and `keyid` are unauthenticated hints.
    strip(&mut document);
    let material = &mut document["verificationMaterial"];
    // Intermediates that come along are untrusted; the trust root's own lead to its anchor.
    if let Some(chain) = material.pointer_mut("/x509CertificateChain/certificates").and_then(Value::as_array_mut) {
        chain.truncate(1);
    }
    for entry in material["tlogEntries"].as_array_mut().into_iter().flatten() {
        // The body says the kind; a kind beside it has to agree and may be left out.
        if let Value::Object(entry) = &mut *entry {
            entry.remove("kindVersion");
        }
        let body = STANDARD.decode(entry["canonicalizedBody"].as_str().unwrap_or_default()).unwrap_or_default();
        let tiled = String::from_utf8_lossy(&body).contains(r#""apiVersion":"0.0.2","kind":"hashedrekord""#);
        let id = entry["logId"]["keyId"].as_str().and_then(|id| STANDARD.decode(id).ok()).unwrap_or_default();
        if let Some(proof) = entry["inclusionProof"].as_object_mut() {
            // Rekor v2: copies of what the entry and the signed checkpoint say.
            if tiled {
                proof.remove("logIndex");
            }
            // Signatures of witnesses and of keys that are not the log's.
            if let Some(note) = proof["checkpoint"]["envelope"].as_str().map(|note| log_lines(note, &id)) {
                proof["checkpoint"]["envelope"] = Value::String(note);
            }
        }
    }
    for timestamp in material["timestampVerificationData"]["rfc3161Timestamps"].as_array_mut().into_iter().flatten() {
        if let Some(token) = timestamp["signedTimestamp"].as_str().and_then(|text| STANDARD.decode(text).ok()) {
            timestamp["signedTimestamp"] = Value::String(signed_parts(&token));
        }
    }
    document
}

/// Puts the one source of time back that the mutant left out, where the other one suffices.
fn restore(mutant: &mut Value, own: &Value) {
    let (promise, stamps) = ("/verificationMaterial/tlogEntries/0/inclusionPromise", "/verificationMaterial/timestampVerificationData");
    let (Some(own_promise), Some(own_stamps)) = (own.pointer(promise), own.pointer(stamps)) else {
        return;
    };
    let stamped = |document: &Value| document.pointer(stamps).is_some_and(|data| data["rfc3161Timestamps"].is_array());
    let promised = |document: &Value| document.pointer(promise).is_some_and(Value::is_object);
    assert!(stamped(mutant) || promised(mutant), "something says when");
    if !stamped(mutant) {
        mutant["verificationMaterial"]["timestampVerificationData"] = own_stamps.clone();
    }
    if !promised(mutant) {
        let entry = &mut mutant["verificationMaterial"]["tlogEntries"][0];
        entry["inclusionPromise"] = own_promise.clone();
        // Without the promise nothing vouches for the time and the place in the log, and nobody reads them.
        for field in ["integratedTime", "logIndex"] {
            entry[field] = own["verificationMaterial"]["tlogEntries"][0][field].clone();
        }
    }
}

/// The note with those signature lines only that carry the id of the log's key, without their line end.
fn log_lines(note: &str, id: &[u8]) -> String {
    let Some((text, lines)) = note.split_once("\n\n") else {
        return note.to_owned();
    };
    let of_log = |line: &&str| {
        line.rsplit(' ')
            .next()
            .and_then(|base64| STANDARD.decode(base64).ok())
            .is_some_and(|bytes| bytes.len() > 4 && bytes[..4] == id[..4])
    };
    // The body that is signed, and the log's lines.
    format!("{text}\n\n{}", lines.lines().filter(of_log).collect::<Vec<_>>().join("\n"))
}

/// What the authority's signature in a token covers, and the signature: not the status, the certificates that came along, nor the
/// names of algorithms beside the signature.
fn signed_parts(token: &[u8]) -> String {
    let content = ContentInfo::from_der(token).ok().or_else(|| {
        let outer = spki::der::asn1::AnyRef::from_der(token).ok()?;
        let mut reader = SliceReader::new(outer.value()).ok()?;
        let _status: spki::der::asn1::AnyRef<'_> = reader.decode().ok()?;
        reader.decode().ok()
    });
    let Some(data) = content.and_then(|content| content.content.decode_as::<SignedData>().ok()) else {
        return STANDARD.encode(token);
    };
    let signers = data.signer_infos.0.as_slice().iter().map(|signer| {
        let attributes = signer.signed_attrs.as_ref().map(|set| set.to_der().expect("DER"));
        format!("{:?} {:?} {:?} {:?}", signer.sid, signer.digest_alg.oid, attributes, signer.signature)
    });
    format!("{:?} {:?}", data.encap_content_info, signers.collect::<Vec<_>>())
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, inner| KNOWN.contains(&&**key) && !inner.is_null());
            map.values_mut().for_each(strip);
            // base64 has several spellings of the same bytes.
            for (key, inner) in map {
                if let (true, Some(text)) = (key != "keyId" && key != "payloadType", inner.as_str()) {
                    let bytes = STANDARD
                        .decode(text.trim_end_matches('=').to_owned() + &"=".repeat((4 - text.trim_end_matches('=').len() % 4) % 4));
                    if let (Ok(bytes), true) = (bytes, text.len() > 16) {
                        *inner = Value::String(STANDARD.encode(bytes));
                    }
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(strip),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
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
            restore(&mut essence, &own);
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
