//! Certificates for keys that live for minutes: Fulcio's API (sigstore/fulcio, fulcio.proto, `CreateSigningCertificate`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sealgate_verifier::Timestamp;
use sealgate_verifier::sigstore::{self, CertificateIdentity};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{IdentityToken, Instance};
use crate::key::SigningKey;
use crate::service::{Post, Role};
use crate::sign::SignError;

/// Certificates in an answer. Fulcio's chains have three.
const CHAIN: usize = sealgate_verifier::limits::CERTIFICATES;

/// A certificate that was verified against the instance's trust root.
#[derive(Debug, Clone)]
pub struct Certified {
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// The authority's certificates up to its root, DER.
    pub chain: Vec<Vec<u8>>,
    /// Whose it is.
    pub identity: CertificateIdentity,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    signed_certificate_embedded_sct: Option<Chain>,
}

#[derive(Deserialize)]
struct Chain {
    chain: Certificates,
}

#[derive(Deserialize)]
struct Certificates {
    certificates: Vec<String>,
}

/// Has the holder of `token` certified as the holder of `key` (P-256), and checks the certificate before anything is signed with it: its chain,
/// its SCT, and that it is for this key.
///
/// # Errors
/// See [`SignError`].
pub async fn certify(instance: &Instance, token: &IdentityToken, key: &SigningKey, now: Timestamp) -> Result<Certified, SignError> {
    let endpoint = instance.config.authority(now)?;
    let service = instance.service(Role::CertificateAuthority, &endpoint.url)?.private()?;
    let post =
        Post { content_type: "application/json", accept: "application/json", body: request(token, key)?, secret: Some(token.secret()) };
    let body = service.post("/api/v2/signingCert", post).await?;
    let answer: Answer = serde_json::from_slice(&body).map_err(|_| service.unexpected("a signing certificate"))?;
    let embedded = answer.signed_certificate_embedded_sct.ok_or_else(|| service.unexpected("a certificate with an embedded SCT"))?;
    let pems = embedded.chain.certificates;
    if pems.is_empty() || pems.len() > CHAIN {
        return Err(service.unexpected("a chain of certificates").into());
    }
    let ders: Option<Vec<Vec<u8>>> = pems.iter().map(|pem| certificate(pem)).collect();
    let mut ders = ders.ok_or_else(|| service.unexpected("certificates in PEM"))?;
    let identity = sigstore::verify_issued(&ders, &instance.root, now).map_err(SignError::Certificate)?;
    if identity.key.digest() != key.fingerprint() {
        return Err(SignError::CertificateKey);
    }
    let chain = ders.split_off(1);
    let der = ders.pop().ok_or_else(|| service.unexpected("a certificate"))?;
    Ok(Certified { der, chain, identity })
}

/// The request holds the token, so its buffer is not left behind where that can be helped.
fn request(token: &IdentityToken, key: &SigningKey) -> Result<Bytes, SignError> {
    let proof = key.sign(token.subject().as_bytes())?;
    let public = json!({ "algorithm": "ECDSA", "content": key.public_key_pem() });
    let rest = json!({ "publicKeyRequest": { "publicKey": public, "proofOfPossession": STANDARD.encode(proof) } }).to_string();
    // A compact JWS is printable, but it is foreign text.
    let quoted = Zeroizing::new(Value::from(token.secret()).to_string());
    let inner = rest.strip_prefix('{').unwrap_or(&rest);
    Ok(Bytes::from(format!(r#"{{"credentials":{{"oidcIdentityToken":{}}},{inner}"#, *quoted)))
}

fn certificate(pem: &str) -> Option<Vec<u8>> {
    let (label, der) = spki::der::pem::decode_vec(pem.trim().as_bytes()).ok()?;
    (label == "CERTIFICATE").then_some(der)
}
