//! What is left of a bundle without what proves nothing, so that two bundles can be told apart by what they prove.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cms::content_info::ContentInfo;
use cms::signed_data::SignedData;
use serde_json::Value;
use spki::der::{Decode as _, Encode as _, Reader as _, SliceReader};

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
pub fn essence(document: &Value) -> Value {
    let mut document = document.clone();
    // `messageDigest` identifies the artifact for messages and is optional (sigstore_bundle.proto, `MessageSignature`); where it is
    // read, it has to be right. `hint` and `keyid` are unauthenticated hints.
    strip(&mut document);
    for signature in document["dsseEnvelope"]["signatures"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        // A hint in the spelling of a log's id.
        signature.remove("keyId");
    }
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

/// Puts the one source of time back that the mutant left out, where the other one suffices, or where none is `needed`.
pub fn restore(mutant: &mut Value, own: &Value, needed: bool) {
    let (promise, stamps) = ("/verificationMaterial/tlogEntries/0/inclusionPromise", "/verificationMaterial/timestampVerificationData");
    let (own_promise, own_stamps) = (own.pointer(promise), own.pointer(stamps));
    if needed && (own_promise.is_none() || own_stamps.is_none()) {
        return;
    }
    let stamped = |document: &Value| document.pointer(stamps).is_some_and(|data| data["rfc3161Timestamps"].is_array());
    let promised = |document: &Value| document.pointer(promise).is_some_and(Value::is_object);
    assert!(!needed || stamped(mutant) || promised(mutant), "something says when");
    if let (false, Some(own_stamps)) = (stamped(mutant), own_stamps) {
        mutant["verificationMaterial"]["timestampVerificationData"] = own_stamps.clone();
    }
    if let (false, Some(own_promise)) = (promised(mutant), own_promise) {
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
pub fn signed_parts(token: &[u8]) -> String {
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
