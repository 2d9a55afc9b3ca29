//! A Sigstore instance of the tests' own: a certificate authority with a CT log, a transparency log and a timestamp authority.
//! cosign is the oracle that it is faithful (tests/private_sigstore.rs).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub mod der;
pub mod fulcio;
pub mod key;
pub mod record;
pub mod rekor;
pub mod rekor2;
pub mod requests;
pub mod server;
pub mod tsa;

pub use fulcio::{Fulcio, Identity};
pub use key::Key;
pub use record::Record;
pub use rekor::Rekor;
pub use rekor2::Rekor2;
pub use server::{Server, Trouble};
pub use tsa::Tsa;

use record::{Signed, Signer};

/// Payload type of an in-toto statement.
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// A time at which tests sign: 2026-01-01.
pub const SIGNED_AT: i64 = 1_767_225_600;

/// An instance.
#[derive(Debug, Default)]
pub struct Sigstore {
    /// The certificate authority.
    pub fulcio: Fulcio,
    /// The transparency log.
    pub rekor: Rekor,
    /// The other transparency log.
    pub rekor2: Rekor2,
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
    /// Which Rekor v2 log takes the entry in, in the place of `rekor`.
    pub tiled: Option<&'a Rekor2>,
    /// How an envelope is logged.
    pub record: Record,
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
        let (issued, logged, stamped) = (SIGNED_AT, SIGNED_AT + 5, Some(SIGNED_AT + 3));
        Making { issued, logged, stamped, ct_log, rekor: &self.rekor, tiled: None, record: Record::Dsse, tsa: &self.tsa }
    }

    /// The honest way, by the Rekor v2 log.
    #[must_use]
    pub fn making_tiled(&self) -> Making<'_> {
        Making { tiled: Some(&self.rekor2), record: Record::HashedRekord, ..self.making() }
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
            "tlogs": [log(&format!("https://{}", rekor::HOST), &self.rekor.key), self.rekor2.listed()],
            "certificateAuthorities": [{ "subject": { "organization": "tests", "commonName": "fulcio" }, "uri": "https://fulcio.tests.example", "certChain": chain(&self.fulcio.chain), "validFor": valid }],
            "ctlogs": [log("https://ct.tests.example", &self.fulcio.ct_log)],
            "timestampAuthorities": [{ "subject": { "organization": "tests", "commonName": "tsa" }, "uri": "https://tsa.tests.example", "certChain": chain(&self.tsa.chain), "validFor": valid }],
        })
    }

    /// Signs `message` keylessly; the entry is a `hashedrekord`.
    #[must_use]
    pub fn sign(&self, identity: &Identity, message: &[u8], making: Making<'_>) -> Made {
        let key = Key::generate();
        let certificate = Some(self.fulcio.issue(identity, &key.pair, making.issued, making.ct_log));
        Self::made(Signer { key: &key, certificate }, message, None, making)
    }

    /// Signs `message` with `key`; the entry is a `hashedrekord`.
    #[must_use]
    pub fn sign_with(&self, key: &Key, message: &[u8], making: Making<'_>) -> Made {
        Self::made(Signer { key, certificate: None }, message, None, making)
    }

    /// Signs an in-toto statement keylessly. Also the envelope's text.
    #[must_use]
    pub fn attest(&self, identity: &Identity, statement: &str, making: Making<'_>) -> (Made, String) {
        let key = Key::generate();
        let certificate = Some(self.fulcio.issue(identity, &key.pair, making.issued, making.ct_log));
        Self::stated(Signer { key: &key, certificate }, statement, making)
    }

    /// Signs an in-toto statement with `key`. Also the envelope's text.
    #[must_use]
    pub fn attest_with(&self, key: &Key, statement: &str, making: Making<'_>) -> (Made, String) {
        Self::stated(Signer { key, certificate: None }, statement, making)
    }

    fn stated(signer: Signer<'_>, statement: &str, making: Making<'_>) -> (Made, String) {
        let bytes = format!("DSSEv1 {} {IN_TOTO} {} {statement}", IN_TOTO.len(), statement.len());
        let made = Self::made(signer, bytes.as_bytes(), Some(statement), making);
        let envelope = made.envelope(statement);
        (made, envelope)
    }

    fn made(signer: Signer<'_>, bytes: &[u8], statement: Option<&str>, making: Making<'_>) -> Made {
        let signature = signer.key.sign(bytes);
        let envelope = statement.map(|statement| envelope(&signature, statement));
        let envelope = statement.zip(envelope.as_deref());
        let signed = Signed { bytes, signature: &signature, envelope };
        let entry = match making.tiled {
            Some(log) => {
                let (kind, body) = making.record.tiled(&signer, &signed);
                log.enter(kind, &body)
            }
            None => {
                let (kind, body) = making.record.body(&signer, &signed);
                making.rekor.enter(kind, &body, making.logged)
            }
        };
        let timestamp = making.stamped.map(|at| making.tsa.stamp(&signature, at));
        Made { signature, certificate: signer.certificate, entry, timestamp }
    }
}

fn envelope(signature: &[u8], statement: &str) -> String {
    let signatures = json!([{ "keyid": "", "sig": STANDARD.encode(signature) }]);
    json!({ "payloadType": IN_TOTO, "payload": STANDARD.encode(statement), "signatures": signatures }).to_string()
}

impl Made {
    fn envelope(&self, statement: &str) -> String {
        envelope(&self.signature, statement)
    }

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
        let mut annotations = BTreeMap::from([("dev.cosignproject.cosign/signature".to_owned(), STANDARD.encode(&self.signature))]);
        annotations.extend(self.entry.annotation().map(|entry| ("dev.sigstore.cosign/bundle".to_owned(), entry)));
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
