//! A transparency log like Rekor v1.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::key::Key;

/// The name under which checkpoints are signed.
pub const HOST: &str = "rekor.tests.example";

/// A log. Each entry it takes in lands in a tree of five leaves, at the fourth place.
#[derive(Debug)]
pub struct Rekor {
    /// Its key.
    pub key: Key,
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

fn node(left: &[u8], right: &[u8]) -> Vec<u8> {
    sha256(&[&[1], left, right].concat())
}

fn leaf(body: &[u8]) -> Vec<u8> {
    sha256(&[&[0], body].concat())
}

/// An entry as the log hands it out.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The leaf.
    pub body: Vec<u8>,
    /// Kind and version.
    pub kind: (&'static str, &'static str),
    /// When it was taken in.
    pub integrated: i64,
    log_id: [u8; 32],
    promise: Vec<u8>,
    proof: Value,
}

impl Rekor {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        Self { key: Key::generate() }
    }

    /// Takes in `body` at `at`.
    #[must_use]
    pub fn enter(&self, kind: (&'static str, &'static str), body: &Value, at: i64) -> Entry {
        let body = serde_json::to_vec(body).expect("JSON");
        let log_id = self.key.id();
        let hex: String = log_id.iter().map(|byte| format!("{byte:02x}")).collect();
        let signed = format!(r#"{{"body":"{}","integratedTime":{at},"logID":"{hex}","logIndex":1003}}"#, STANDARD.encode(&body));
        let others: Vec<_> = [b"a", b"b", b"c", b"e"].map(|body| leaf(body)).into_iter().collect();
        let left = node(&others[0], &others[1]);
        let root = node(&node(&left, &node(&others[2], &leaf(&body))), &others[3]);
        let note = format!("{HOST} - 42\n5\n{}\n", STANDARD.encode(&root));
        let signature = [&log_id[..4], &self.key.sign(note.as_bytes())].concat();
        let envelope = format!("{note}\n\u{2014} {HOST} {}\n", STANDARD.encode(signature));
        let proof = json!({
            "logIndex": "3",
            "rootHash": STANDARD.encode(&root),
            "treeSize": "5",
            "hashes": [STANDARD.encode(&others[2]), STANDARD.encode(&left), STANDARD.encode(&others[3])],
            "checkpoint": { "envelope": envelope },
        });
        Entry { promise: self.key.sign(signed.as_bytes()), body, kind, integrated: at, log_id, proof }
    }
}

impl Default for Rekor {
    fn default() -> Self {
        Self::new()
    }
}

impl Entry {
    /// As a bundle holds it.
    #[must_use]
    pub fn bundled(&self) -> Value {
        json!({
            "logIndex": "1003",
            "logId": { "keyId": STANDARD.encode(self.log_id) },
            "kindVersion": { "kind": self.kind.0, "version": self.kind.1 },
            "integratedTime": self.integrated.to_string(),
            "inclusionPromise": { "signedEntryTimestamp": STANDARD.encode(&self.promise) },
            "inclusionProof": self.proof,
            "canonicalizedBody": STANDARD.encode(&self.body),
        })
    }

    /// As cosign's annotation `dev.sigstore.cosign/bundle` holds it.
    #[must_use]
    pub fn annotation(&self) -> String {
        let hex: String = self.log_id.iter().map(|byte| format!("{byte:02x}")).collect();
        let payload = json!({ "body": STANDARD.encode(&self.body), "integratedTime": self.integrated, "logIndex": 1003, "logID": hex });
        json!({ "SignedEntryTimestamp": STANDARD.encode(&self.promise), "Payload": payload }).to_string()
    }
}
