//! Entries in transparency logs: Rekor v1 (sigstore/rekor, openapi.yaml) and Rekor v2 (sigstore/rekor-tiles, CLIENTS.md).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ring::digest::{SHA256, SHA384};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::key::{Algorithm, SigningKey};
use crate::service::{Post, Service};
use crate::sign::SignError;

/// What was signed, as a log wants to see it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Logged<'a> {
    /// A DSSE envelope: its JSON text, and what is signed of it.
    Envelope { text: &'a str, encoded: &'a [u8] },
    /// A message.
    Message(&'a [u8]),
}

/// Who signed, as a log wants to see it.
#[derive(Debug)]
pub(crate) struct Verifier {
    algorithm: Algorithm,
    /// A certificate, or else a SubjectPublicKeyInfo; DER.
    der: Vec<u8>,
    certificate: bool,
    /// Details of an RSA key depend on its length.
    modulus_bits: usize,
}

impl Verifier {
    /// The holder of `key`, by its certificate where there is one.
    pub(crate) fn new(key: &SigningKey, certificate: Option<&[u8]>) -> Self {
        let der = certificate.map_or_else(|| key.spki().to_vec(), <[u8]>::to_vec);
        Self { algorithm: key.algorithm(), der, certificate: certificate.is_some(), modulus_bits: key.modulus_bits() }
    }

    pub(crate) const fn is_certificate(&self) -> bool {
        self.certificate
    }

    fn pem(&self) -> String {
        crate::key::pem(if self.certificate { "CERTIFICATE" } else { "PUBLIC KEY" }, &self.der)
    }

    /// The hash that goes with the algorithm: its names in Rekor v1, and the value. None for Ed25519, which signs no hash.
    fn hash(&self, message: &[u8]) -> Result<(&'static str, Vec<u8>), SignError> {
        let (name, algorithm) = match self.algorithm {
            Algorithm::P256 | Algorithm::Rsa => ("sha256", &SHA256),
            Algorithm::P384 => ("sha384", &SHA384),
            Algorithm::Ed25519 => return Err(SignError::NotLogged),
        };
        Ok((name, ring::digest::digest(algorithm, message).as_ref().to_vec()))
    }

    /// `PublicKeyDetails` (protobuf-specs, sigstore_common.proto).
    fn details(&self) -> Result<&'static str, SignError> {
        match (self.algorithm, self.modulus_bits) {
            (Algorithm::P256, _) => Ok("PKIX_ECDSA_P256_SHA_256"),
            (Algorithm::P384, _) => Ok("PKIX_ECDSA_P384_SHA_384"),
            (Algorithm::Rsa, 2048) => Ok("PKIX_RSA_PKCS1V15_2048_SHA256"),
            (Algorithm::Rsa, 3072) => Ok("PKIX_RSA_PKCS1V15_3072_SHA256"),
            (Algorithm::Rsa, 4096) => Ok("PKIX_RSA_PKCS1V15_4096_SHA256"),
            (Algorithm::Rsa | Algorithm::Ed25519, _) => Err(SignError::NotLogged),
        }
    }
}

/// An entry as Rekor v1 answers, under its UUID.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry1 {
    body: String,
    integrated_time: i64,
    #[serde(rename = "logID")]
    log_id: String,
    log_index: i64,
    verification: Verification1,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verification1 {
    inclusion_proof: Proof1,
    signed_entry_timestamp: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Proof1 {
    checkpoint: String,
    hashes: Vec<String>,
    log_index: i64,
    root_hash: String,
    tree_size: i64,
}

fn json_post(body: &Value) -> Post<'static> {
    Post { content_type: "application/json", accept: "application/json", body: Bytes::from(body.to_string()), secret: None }
}

/// Enters a signature in a Rekor v1 log. Answers with the entry as bundles hold it.
pub(crate) async fn enter_v1(service: &Service, logged: Logged<'_>, signature: &[u8], verifier: &Verifier) -> Result<Value, SignError> {
    let pem = STANDARD.encode(verifier.pem());
    let (kind, spec) = match logged {
        Logged::Envelope { text, .. } => ("dsse", json!({ "proposedContent": { "envelope": text, "verifiers": [pem] } })),
        Logged::Message(message) => {
            let (algorithm, hash) = verifier.hash(message)?;
            let hash = json!({ "algorithm": algorithm, "value": hex(&hash) });
            let signature = json!({ "content": STANDARD.encode(signature), "publicKey": { "content": pem } });
            ("hashedrekord", json!({ "data": { "hash": hash }, "signature": signature }))
        }
    };
    let body = service.post("/api/v1/log/entries", json_post(&json!({ "apiVersion": "0.0.1", "kind": kind, "spec": spec }))).await?;
    let wrong = || service.unexpected("one log entry with its inclusion proof");
    let entries: std::collections::BTreeMap<String, Entry1> = serde_json::from_slice(&body).map_err(|_| wrong())?;
    let entry = entries.into_values().next().ok_or_else(wrong)?;
    Ok(bundled(&entry, kind).ok_or_else(wrong)?)
}

/// `TransparencyLogEntry` (protobuf-specs, sigstore_rekor.proto) of a Rekor v1 entry.
fn bundled(entry: &Entry1, kind: &str) -> Option<Value> {
    let proof = &entry.verification.inclusion_proof;
    let base64 = |hex: &str| Some(STANDARD.encode(unhex(hex)?));
    let hashes: Option<Vec<String>> = proof.hashes.iter().map(|hash| base64(hash)).collect();
    Some(json!({
        "logIndex": entry.log_index.to_string(),
        "logId": { "keyId": base64(&entry.log_id)? },
        "kindVersion": { "kind": kind, "version": "0.0.1" },
        "integratedTime": entry.integrated_time.to_string(),
        "inclusionPromise": { "signedEntryTimestamp": entry.verification.signed_entry_timestamp },
        "inclusionProof": {
            "logIndex": proof.log_index.to_string(),
            "rootHash": base64(&proof.root_hash)?,
            "treeSize": proof.tree_size.to_string(),
            "hashes": hashes?,
            "checkpoint": { "envelope": proof.checkpoint },
        },
        "canonicalizedBody": entry.body,
    }))
}

/// Enters a signature in a Rekor v2 log, which knows `hashedrekord` 0.0.2 only: of an envelope, the hash of what is signed.
pub(crate) async fn enter_v2(service: &Service, logged: Logged<'_>, signature: &[u8], verifier: &Verifier) -> Result<Value, SignError> {
    let message = match logged {
        Logged::Envelope { encoded, .. } => encoded,
        Logged::Message(message) => message,
    };
    let (_, hash) = verifier.hash(message)?;
    let holder = if verifier.certificate { "x509Certificate" } else { "publicKey" };
    let by = json!({ holder: { "rawBytes": STANDARD.encode(&verifier.der) }, "keyDetails": verifier.details()? });
    let request = json!({ "digest": STANDARD.encode(hash), "signature": { "content": STANDARD.encode(signature), "verifier": by } });
    let body = service.post("/api/v2/log/entries", json_post(&json!({ "hashedRekordRequestV002": request }))).await?;
    let entry: Value = serde_json::from_slice(&body).map_err(|_| service.unexpected("a log entry"))?;
    if entry.get("canonicalizedBody").is_some_and(Value::is_string) { Ok(entry) } else { Err(service.unexpected("a log entry").into()) }
}

/// The annotation `dev.sigstore.cosign/bundle` of cosign's older layout for an entry that [`enter_v1`] answered with.
pub(crate) fn annotation(entry: &Value) -> Option<String> {
    let number = |name: &str| entry.get(name)?.as_str()?.parse::<i64>().ok();
    let log_id = STANDARD.decode(entry.pointer("/logId/keyId")?.as_str()?).ok()?;
    let payload = json!({
        "body": entry.get("canonicalizedBody")?,
        "integratedTime": number("integratedTime")?,
        "logIndex": number("logIndex")?,
        "logID": hex(&log_id),
    });
    Some(json!({ "SignedEntryTimestamp": entry.pointer("/inclusionPromise/signedEntryTimestamp")?, "Payload": payload }).to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_rekor_v1_becomes_one_of_a_bundle_and_an_annotation() {
        let text = r#"{"body":"e30=","integratedTime":7,"logID":"00ff","logIndex":1003,"verification":{"inclusionProof":{"checkpoint":"c","hashes":["0a0b"],"logIndex":3,"rootHash":"0c","treeSize":5},"signedEntryTimestamp":"c2V0"}}"#;
        let entry: Entry1 = serde_json::from_str(text).expect("an entry");
        let made = bundled(&entry, "dsse").expect("hex");
        assert_eq!(made["logId"]["keyId"], "AP8=");
        assert_eq!(made["inclusionProof"]["hashes"][0], "Cgs=");
        assert_eq!(made["kindVersion"], json!({ "kind": "dsse", "version": "0.0.1" }));
        let annotation: Value = serde_json::from_str(&annotation(&made).expect("an annotation")).expect("JSON");
        let payload = json!({ "body": "e30=", "integratedTime": 7, "logIndex": 1003, "logID": "00ff" });
        assert_eq!(annotation, json!({ "SignedEntryTimestamp": "c2V0", "Payload": payload }));
        let odd = text.replace("\"0c\"", "\"0\"");
        assert!(bundled(&serde_json::from_str(&odd).expect("an entry"), "dsse").is_none());
    }
}
