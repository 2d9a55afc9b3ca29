//! What clients ask of the instance, read and checked as its services do: who asks, and that what is to be logged was signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::fulcio::Identity;
use super::record::{Record, Signed, Signer};
use super::{Key, der, pem};

/// A P-256 key of somebody else.
pub(super) struct Foreign {
    /// The uncompressed point.
    point: Vec<u8>,
}

impl PublicKeyData for Foreign {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl Foreign {
    /// From DER SubjectPublicKeyInfo; its last 65 bytes are the point (RFC 5480, section 2.2).
    pub(super) fn new(info: &[u8]) -> Option<Self> {
        let point = info.get(info.len().checked_sub(65)?..)?.to_vec();
        VerifyingKey::from_sec1_bytes(&point).ok().map(|_| Self { point })
    }

    /// From a certificate or a SubjectPublicKeyInfo, DER.
    pub(super) fn of_holder(holder: &[u8], certificate: bool) -> Option<Self> {
        if !certificate {
            return Self::new(holder);
        }
        let (fields, _) = der::first(der::first(holder).0);
        // version [0], serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo
        let mut rest = fields;
        for _ in 0..6 {
            rest = &rest[der::first(rest).1.len()..];
        }
        Self::new(der::first(rest).1)
    }

    /// Whether `signature` (ASN.1 DER) is over a message with this SHA-256.
    pub(super) fn signed(&self, hash: &[u8], signature: &[u8]) -> bool {
        let (key, signature) = (VerifyingKey::from_sec1_bytes(&self.point), Signature::from_der(signature));
        key.ok().zip(signature.ok()).is_some_and(|(key, signature)| key.verify_prehash(hash, &signature).is_ok())
    }
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

fn base64(value: &Value) -> Option<Vec<u8>> {
    STANDARD.decode(value.as_str()?).ok()
}

/// Whether it is a certificate, and its DER.
fn unpem(text: &[u8]) -> Option<(bool, Vec<u8>)> {
    let text = std::str::from_utf8(text).ok()?;
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    Some((text.contains("BEGIN CERTIFICATE"), STANDARD.decode(body).ok()?))
}

/// Whose certificate a token with these claims gets: of GitHub's jobs the workflow, else the address, else `sub`.
pub(super) fn identity(claims: &Value) -> Option<Identity> {
    let text = |name: &str| claims[name].as_str();
    let issuer = text("iss")?.to_owned();
    if let (Some(workflow), Some(repository)) = (text("job_workflow_ref"), text("repository")) {
        return Some(Identity { issuer, ..Identity::github(workflow, repository) });
    }
    let subject = text("email").or(text("sub"))?.to_owned();
    Some(Identity { issuer, subject, claims: Vec::new() })
}

/// The key for which `POST /api/v2/signingCert` asks a certificate, if the request proves possession of it over `subject`.
pub(super) fn certified(request: &Value, subject: &str) -> Option<Foreign> {
    let asked = &request["publicKeyRequest"];
    let (_, info) = unpem(asked["publicKey"]["content"].as_str()?.as_bytes())?;
    let key = Foreign::new(&info)?;
    key.signed(&sha256(subject.as_bytes()), &base64(&asked["proofOfPossession"])?).then_some(key)
}

/// A body for a log, with its kind and version.
pub(super) type Body = ((&'static str, &'static str), Value);

/// The body that `POST /api/v1/log/entries` asks for, if its signature holds.
pub(super) fn logged_v1(request: &Value) -> Option<Body> {
    let spec = &request["spec"];
    match request["kind"].as_str()? {
        "dsse" => {
            let text = spec["proposedContent"]["envelope"].as_str()?;
            let (certificate, holder) = unpem(&base64(&spec["proposedContent"]["verifiers"][0])?)?;
            let envelope: Value = serde_json::from_str(text).ok()?;
            let (payload, signature) = (base64(&envelope["payload"])?, base64(&envelope["signatures"][0]["sig"])?);
            let kind = envelope["payloadType"].as_str()?;
            let bytes = [format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).as_bytes(), &payload].concat();
            Foreign::of_holder(&holder, certificate)?.signed(&sha256(&bytes), &signature).then_some(())?;
            let label = if certificate { "CERTIFICATE" } else { "PUBLIC KEY" };
            let hash = |bytes: &[u8]| json!({ "algorithm": "sha256", "value": super::hex(bytes) });
            let verifier = STANDARD.encode(pem(label, &holder));
            let signatures = json!([{ "signature": STANDARD.encode(&signature), "verifier": verifier }]);
            let spec = json!({ "envelopeHash": hash(text.as_bytes()), "payloadHash": hash(&payload), "signatures": signatures });
            Some((("dsse", "0.0.1"), json!({ "apiVersion": "0.0.1", "kind": "dsse", "spec": spec })))
        }
        "hashedrekord" => {
            let hash = spec["data"]["hash"]["value"].as_str()?;
            let hash: Option<Vec<u8>> = (0..hash.len()).step_by(2).map(|at| u8::from_str_radix(hash.get(at..at + 2)?, 16).ok()).collect();
            let (certificate, holder) = unpem(&base64(&spec["signature"]["publicKey"]["content"])?)?;
            let signature = base64(&spec["signature"]["content"])?;
            let body = json!({ "apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec });
            Foreign::of_holder(&holder, certificate)?.signed(&hash?, &signature).then_some((("hashedrekord", "0.0.1"), body))
        }
        _ => None,
    }
}

/// The body that `POST /api/v2/log/entries` asks for, if its signature holds.
pub(super) fn logged_v2(request: &Value) -> Option<Body> {
    let asked = &request["hashedRekordRequestV002"];
    let (verifier, signature) = (&asked["signature"]["verifier"], base64(&asked["signature"]["content"])?);
    let certificate = verifier["x509Certificate"].is_object();
    let holder = base64(&verifier[if certificate { "x509Certificate" } else { "publicKey" }]["rawBytes"])?;
    let hash = base64(&asked["digest"])?;
    let holds = verifier["keyDetails"] == "PKIX_ECDSA_P256_SHA_256" && Foreign::of_holder(&holder, certificate)?.signed(&hash, &signature);
    let data = json!({ "algorithm": "SHA2_256", "digest": asked["digest"] });
    let spec = json!({ "hashedRekordV002": { "data": data, "signature": asked["signature"] } });
    holds.then(|| (("hashedrekord", "0.0.2"), json!({ "apiVersion": "0.0.2", "kind": "hashedrekord", "spec": spec })))
}

/// A body about something else, by another key.
pub(super) fn unrelated() -> Body {
    let key = Key::generate();
    let signature = key.sign(b"something else");
    let signed = Signed { bytes: b"something else", signature: &signature, envelope: None };
    Record::HashedRekord.body(&Signer { key: &key, certificate: None }, &signed)
}
