//! What an entry says: the bodies that logs take in (sigstore/rekor, pkg/types; sigstore/rekor-tiles).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::key::Key;
use super::{hex, pem};

/// How an envelope is logged. A message always is a `hashedrekord`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// `dsse`: the hash of the payload, and the signature.
    Dsse,
    /// `hashedrekord`: the hash of the pre-authentication encoding.
    HashedRekord,
    /// `intoto` 0.0.2, without the payload; Rekor v1 only.
    Intoto,
}

/// A key, with its certificate where there is one.
pub(super) struct Signer<'a> {
    pub(super) key: &'a Key,
    pub(super) certificate: Option<Vec<u8>>,
}

/// What was signed.
pub(super) struct Signed<'a> {
    /// The message, or the pre-authentication encoding.
    pub(super) bytes: &'a [u8],
    /// The signature.
    pub(super) signature: &'a [u8],
    /// The statement and the envelope around it, for an envelope.
    pub(super) envelope: Option<(&'a str, &'a str)>,
}

fn sha256(bytes: &[u8]) -> String {
    STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, bytes))
}

impl Signer<'_> {
    fn pem(&self) -> String {
        STANDARD.encode(self.certificate.as_ref().map_or_else(|| self.key.public_pem(), |der| pem("CERTIFICATE", der)))
    }

    /// `rekor/v2/verifier.proto`
    fn verifier(&self) -> Value {
        let details = "PKIX_ECDSA_P256_SHA_256";
        match &self.certificate {
            Some(der) => json!({ "keyDetails": details, "x509Certificate": { "rawBytes": STANDARD.encode(der) } }),
            None => json!({ "keyDetails": details, "publicKey": { "rawBytes": STANDARD.encode(self.key.info()) } }),
        }
    }
}

type Kind = (&'static str, &'static str);

fn of(kind: Kind, spec: Value) -> (Kind, Value) {
    (kind, json!({ "apiVersion": kind.1, "kind": kind.0, "spec": spec }))
}

impl Record {
    /// The body for a Rekor v1 log.
    pub(super) fn body(self, signer: &Signer<'_>, signed: &Signed<'_>) -> (Kind, Value) {
        let hash = |bytes: &[u8]| json!({ "algorithm": "sha256", "value": hex(bytes) });
        let signature = STANDARD.encode(signed.signature);
        match (self, signed.envelope) {
            (_, None) | (Self::HashedRekord, Some(_)) => of(
                ("hashedrekord", "0.0.1"),
                json!({ "data": { "hash": hash(signed.bytes) }, "signature": { "content": signature, "publicKey": { "content": signer.pem() } } }),
            ),
            (Self::Dsse, Some((statement, envelope))) => of(
                ("dsse", "0.0.1"),
                json!({
                    "envelopeHash": hash(envelope.as_bytes()),
                    "payloadHash": hash(statement.as_bytes()),
                    "signatures": [{ "signature": signature, "verifier": signer.pem() }],
                }),
            ),
            (Self::Intoto, Some((statement, envelope))) => {
                let signature = json!({ "publicKey": signer.pem(), "sig": STANDARD.encode(signature) });
                let inner = json!({ "payloadType": super::IN_TOTO, "signatures": [signature] });
                let content = json!({ "envelope": inner, "hash": hash(envelope.as_bytes()), "payloadHash": hash(statement.as_bytes()) });
                of(("intoto", "0.0.2"), json!({ "content": content }))
            }
        }
    }

    /// The body for a Rekor v2 log.
    pub(super) fn tiled(self, signer: &Signer<'_>, signed: &Signed<'_>) -> (Kind, Value) {
        let signature = json!({ "content": STANDARD.encode(signed.signature), "verifier": signer.verifier() });
        match (self, signed.envelope) {
            (Self::Intoto, Some(_)) => panic!("Rekor v2 knows no intoto entries"),
            (_, None) | (Self::HashedRekord, Some(_)) => {
                let data = json!({ "algorithm": "SHA2_256", "digest": sha256(signed.bytes) });
                of(("hashedrekord", "0.0.2"), json!({ "hashedRekordV002": { "data": data, "signature": signature } }))
            }
            (Self::Dsse, Some((statement, _))) => {
                let hash = json!({ "algorithm": "SHA2_256", "digest": sha256(statement.as_bytes()) });
                of(("dsse", "0.0.2"), json!({ "dsseV002": { "payloadHash": hash, "signatures": [signature] } }))
            }
        }
    }
}
