//! A Sigstore instance of the tests' own: a certificate authority with a CT log, a transparency log and a timestamp authority.
//! cosign is the oracle that it is faithful (tests/private_sigstore.rs).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub mod der;
pub mod fulcio;
pub mod key;
pub mod rekor;
pub mod tsa;

pub use fulcio::{Fulcio, Identity};
pub use key::Key;
pub use rekor::Rekor;
pub use tsa::Tsa;

/// A time at which tests sign: 2026-01-01.
pub const SIGNED_AT: i64 = 1_767_225_600;

/// An instance.
#[derive(Debug, Default)]
pub struct Sigstore {
    /// The certificate authority.
    pub fulcio: Fulcio,
    /// The transparency log.
    pub rekor: Rekor,
    /// The timestamp authority.
    pub tsa: Tsa,
}

/// How a signature is made; each field is what an attacker or an accident may change.
#[derive(Debug, Clone, Copy)]
pub struct Making<'a> {
    /// When the certificate is issued.
    pub issued: i64,
    /// When the log takes the entry in.
    pub logged: i64,
    /// When the timestamp authority stamps, where it does.
    pub stamped: Option<i64>,
    /// Which CT log sees the certificate; `None` for none.
    pub ct_log: Option<&'a Key>,
    /// Which instance logs.
    pub rekor: &'a Rekor,
    /// Which instance stamps.
    pub tsa: &'a Tsa,
}

/// What was made for some message.
#[derive(Debug)]
pub struct Made {
    signature: Vec<u8>,
    certificate: Option<Vec<u8>>,
    entry: rekor::Entry,
    timestamp: Option<Vec<u8>>,
}

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let lines: Vec<_> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("base64")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn hex(bytes: &[u8]) -> String {
    crate::sha256(bytes).trim_start_matches("sha256:").to_owned()
}

impl Sigstore {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The honest way.
    #[must_use]
    pub fn making(&self) -> Making<'_> {
        let ct_log = Some(&self.fulcio.ct_log);
        Making { issued: SIGNED_AT, logged: SIGNED_AT + 5, stamped: Some(SIGNED_AT + 3), ct_log, rekor: &self.rekor, tsa: &self.tsa }
    }

    /// Its `trusted_root.json`.
    #[must_use]
    pub fn trusted_root(&self) -> Value {
        let valid = json!({ "start": "2022-01-01T00:00:00Z" });
        let chain = |chain: &[Vec<u8>]| json!({ "certificates": chain.iter().map(|der| json!({ "rawBytes": STANDARD.encode(der) })).collect::<Vec<_>>() });
        let log = |url: &str, key: &Key| {
            json!({
                "baseUrl": url,
                "hashAlgorithm": "SHA2_256",
                "publicKey": { "rawBytes": STANDARD.encode(key.info()), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": valid },
                "logId": { "keyId": STANDARD.encode(key.id()) },
            })
        };
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(&format!("https://{}", rekor::HOST), &self.rekor.key)],
            "certificateAuthorities": [{ "subject": { "organization": "tests", "commonName": "fulcio" }, "uri": "https://fulcio.tests.example", "certChain": chain(&self.fulcio.chain), "validFor": valid }],
            "ctlogs": [log("https://ct.tests.example", &self.fulcio.ct_log)],
            "timestampAuthorities": [{ "subject": { "organization": "tests", "commonName": "tsa" }, "uri": "https://tsa.tests.example", "certChain": chain(&self.tsa.chain), "validFor": valid }],
        })
    }

    /// Signs `message` keylessly; the entry is a `hashedrekord`.
    #[must_use]
    pub fn sign(&self, identity: &Identity, message: &[u8], making: Making<'_>) -> Made {
        let key = Key::generate();
        let certificate = self.fulcio.issue(identity, &key.pair, making.issued, making.ct_log);
        let verifier = pem("CERTIFICATE", &certificate);
        Self::hashedrekord(&key, Some(certificate), &verifier, message, making)
    }

    /// Signs `message` with `key`; the entry is a `hashedrekord`.
    #[must_use]
    pub fn sign_with(&self, key: &Key, message: &[u8], making: Making<'_>) -> Made {
        Self::hashedrekord(key, None, &key.public_pem(), message, making)
    }

    fn hashedrekord(key: &Key, certificate: Option<Vec<u8>>, verifier: &str, message: &[u8], making: Making<'_>) -> Made {
        let signature = key.sign(message);
        let body = json!({
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": { "hash": { "algorithm": "sha256", "value": hex(message) } },
                "signature": { "content": STANDARD.encode(&signature), "publicKey": { "content": STANDARD.encode(verifier) } },
            },
        });
        let entry = making.rekor.enter(("hashedrekord", "0.0.1"), &body, making.logged);
        let timestamp = making.stamped.map(|at| making.tsa.stamp(&signature, at));
        Made { signature, certificate, entry, timestamp }
    }

    /// Signs an in-toto statement keylessly; the entry is a `dsse`. Also the envelope's text.
    #[must_use]
    pub fn attest(&self, identity: &Identity, statement: &str, making: Making<'_>) -> (Made, String) {
        let key = Key::generate();
        let certificate = self.fulcio.issue(identity, &key.pair, making.issued, making.ct_log);
        let kind = "application/vnd.in-toto+json";
        let signature = key.sign(format!("DSSEv1 {} {kind} {} {statement}", kind.len(), statement.len()).as_bytes());
        let base64 = STANDARD.encode(&signature);
        let envelope =
            json!({ "payloadType": kind, "payload": STANDARD.encode(statement), "signatures": [{ "keyid": "", "sig": base64 }] })
                .to_string();
        let hash = |bytes: &[u8]| json!({ "algorithm": "sha256", "value": hex(bytes) });
        let body = json!({
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "envelopeHash": hash(envelope.as_bytes()),
                "payloadHash": hash(statement.as_bytes()),
                "signatures": [{ "signature": base64, "verifier": STANDARD.encode(pem("CERTIFICATE", &certificate)) }],
            },
        });
        let entry = making.rekor.enter(("dsse", "0.0.1"), &body, making.logged);
        let timestamp = making.stamped.map(|at| making.tsa.stamp(&signature, at));
        (Made { signature, certificate: Some(certificate), entry, timestamp }, envelope)
    }
}

impl Made {
    fn material(&self) -> Value {
        let mut material = json!({ "tlogEntries": [self.entry.bundled()] });
        match &self.certificate {
            Some(der) => material["certificate"] = json!({ "rawBytes": STANDARD.encode(der) }),
            None => material["publicKey"] = json!({ "hint": "" }),
        }
        if let Some(token) = &self.timestamp {
            material["timestampVerificationData"] = json!({ "rfc3161Timestamps": [{ "signedTimestamp": STANDARD.encode(token) }] });
        }
        material
    }

    /// A bundle v0.3 with a signature over `message`.
    #[must_use]
    pub fn bundle(&self, message: &[u8]) -> Value {
        let digest = ring::digest::digest(&ring::digest::SHA256, message);
        let digest = json!({ "algorithm": "SHA2_256", "digest": STANDARD.encode(digest.as_ref()) });
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": self.material(),
            "messageSignature": { "messageDigest": digest, "signature": STANDARD.encode(&self.signature) },
        })
    }

    /// A bundle v0.3 with the envelope.
    #[must_use]
    pub fn bundle_with(&self, envelope: &str) -> Value {
        let envelope: Value = serde_json::from_str(envelope).expect("an envelope");
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": self.material(),
            "dsseEnvelope": envelope,
        })
    }

    /// The annotations that cosign up to version 2 puts on the layer; `chain`: the authority's, in DER.
    #[must_use]
    pub fn annotations(&self, chain: &[Vec<u8>]) -> BTreeMap<String, String> {
        let mut annotations = BTreeMap::from([
            ("dev.cosignproject.cosign/signature".to_owned(), STANDARD.encode(&self.signature)),
            ("dev.sigstore.cosign/bundle".to_owned(), self.entry.annotation()),
        ]);
        if let Some(der) = &self.certificate {
            annotations.insert("dev.sigstore.cosign/certificate".to_owned(), pem("CERTIFICATE", der));
            annotations.insert("dev.sigstore.cosign/chain".to_owned(), chain.iter().map(|der| pem("CERTIFICATE", der)).collect());
        }
        if let Some(token) = &self.timestamp {
            let text = json!({ "SignedRFC3161Timestamp": STANDARD.encode(token) }).to_string();
            annotations.insert("dev.sigstore.cosign/rfc3161timestamp".to_owned(), text);
        }
        annotations
    }
}
