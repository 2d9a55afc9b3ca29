//! A transparency log like Rekor v1.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::key::Key;

/// The name under which checkpoints are signed.
pub const HOST: &str = "rekor.tests.example";

/// A log.
#[derive(Debug)]
pub struct Rekor {
    /// Its key.
    pub key: Key,
}

pub(super) fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

fn node(left: &[u8], right: &[u8]) -> Vec<u8> {
    sha256(&[&[1], left, right].concat())
}

fn leaf(body: &[u8]) -> Vec<u8> {
    sha256(&[&[0], body].concat())
}

/// A tree of five leaves (RFC 9162, section 2.1), with the entry at the fourth place.
pub(super) struct Tree {
    pub(super) root: Vec<u8>,
    pub(super) hashes: Vec<Vec<u8>>,
}

impl Tree {
    pub(super) const SIZE: u64 = 5;
    pub(super) const INDEX: u64 = 3;

    pub(super) fn with(body: &[u8]) -> Self {
        let others: Vec<_> = [b"a", b"b", b"c", b"e"].map(|body| leaf(body)).into_iter().collect();
        let left = node(&others[0], &others[1]);
        let root = node(&node(&left, &node(&others[2], &leaf(body))), &others[3]);
        Self { root, hashes: vec![others[2].clone(), left, others[3].clone()] }
    }

    fn proof(&self, envelope: &str) -> Value {
        json!({
            "logIndex": Self::INDEX.to_string(),
            "rootHash": STANDARD.encode(&self.root),
            "treeSize": Self::SIZE.to_string(),
            "hashes": self.hashes.iter().map(|hash| STANDARD.encode(hash)).collect::<Vec<_>>(),
            "checkpoint": { "envelope": envelope },
        })
    }
}

/// An entry as the log hands it out.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The leaf.
    pub body: Vec<u8>,
    /// Kind and version.
    pub kind: (&'static str, &'static str),
    index: u64,
    log_id: Vec<u8>,
    /// When it was taken in, and the log's word for it; a Rekor v2 log gives none.
    promise: Option<(i64, Vec<u8>)>,
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
        let tree = Tree::with(&body);
        let note = format!("{HOST} - 42\n{}\n{}\n", Tree::SIZE, STANDARD.encode(&tree.root));
        let signature = [&log_id[..4], &self.key.sign(note.as_bytes())].concat();
        let envelope = format!("{note}\n\u{2014} {HOST} {}\n", STANDARD.encode(signature));
        let promise = Some((at, self.key.sign(signed.as_bytes())));
        Entry { promise, body, kind, index: 1003, log_id: log_id.to_vec(), proof: tree.proof(&envelope) }
    }
}

impl Default for Rekor {
    fn default() -> Self {
        Self::new()
    }
}

impl Entry {
    pub(super) fn tiled(kind: (&'static str, &'static str), body: Vec<u8>, log_id: Vec<u8>, tree: &Tree, note: &str) -> Self {
        Self { promise: None, body, kind, index: Tree::INDEX, log_id, proof: tree.proof(note) }
    }

    /// As a bundle holds it.
    #[must_use]
    pub fn bundled(&self) -> Value {
        let mut entry = json!({
            "logIndex": self.index.to_string(),
            "logId": { "keyId": STANDARD.encode(&self.log_id) },
            "kindVersion": { "kind": self.kind.0, "version": self.kind.1 },
            "inclusionProof": self.proof,
            "canonicalizedBody": STANDARD.encode(&self.body),
        });
        if let Some((at, promise)) = &self.promise {
            entry["integratedTime"] = json!(at.to_string());
            entry["inclusionPromise"] = json!({ "signedEntryTimestamp": STANDARD.encode(promise) });
        }
        entry
    }

    /// As Rekor v1 answers with it (sigstore/rekor, openapi.yaml): hashes in hex, numbers as numbers.
    #[must_use]
    pub fn answered(&self) -> Value {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let unbase64 = |value: &Value| hex(&STANDARD.decode(value.as_str().expect("a text")).expect("base64"));
        let (at, promise) = self.promise.as_ref().expect("a Rekor v1 log promises");
        let proof = json!({
            "checkpoint": self.proof["checkpoint"]["envelope"],
            "hashes": self.proof["hashes"].as_array().expect("a list").iter().map(unbase64).collect::<Vec<_>>(),
            "logIndex": Tree::INDEX,
            "rootHash": unbase64(&self.proof["rootHash"]),
            "treeSize": Tree::SIZE,
        });
        let verification = json!({ "inclusionProof": proof, "signedEntryTimestamp": STANDARD.encode(promise) });
        let uuid = format!("{:016x}{}", 42, hex(&leaf(&self.body)));
        json!({ uuid: {
            "body": STANDARD.encode(&self.body),
            "integratedTime": at,
            "logID": hex(&self.log_id),
            "logIndex": self.index,
            "verification": verification,
        } })
    }

    /// As cosign's annotation `dev.sigstore.cosign/bundle` holds it; there is none for an entry of a Rekor v2 log.
    #[must_use]
    pub fn annotation(&self) -> Option<String> {
        let (at, promise) = self.promise.as_ref()?;
        let hex: String = self.log_id.iter().map(|byte| format!("{byte:02x}")).collect();
        let payload = json!({ "body": STANDARD.encode(&self.body), "integratedTime": at, "logIndex": self.index, "logID": hex });
        Some(json!({ "SignedEntryTimestamp": STANDARD.encode(promise), "Payload": payload }).to_string())
    }
}
