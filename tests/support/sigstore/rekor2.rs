//! A transparency log like Rekor v2: tiles, no promise and no time (sigstore/rekor-tiles; rekor-v2-spec).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::rekor::{Entry, Tree, sha256};

/// The log's host, which is the origin of its checkpoints.
pub const HOST: &str = "log2026-1.rekor.tests.example";

/// A log whose checkpoints a witness cosigns.
#[derive(Debug)]
pub struct Rekor2 {
    key: NoteKey,
    witness: NoteKey,
    /// What is done to the checkpoint before it is signed, for the tests of broken ones.
    pub spoil: fn(&str) -> String,
    /// Whose lines stand under the checkpoint.
    pub lines: Lines,
}

/// The signature lines of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// The log's.
    Log,
    /// A witness's timestamped cosignature, then the log's.
    Cosigned,
    /// A line by another key under the log's name, then the log's.
    TwoOfLog,
    /// The witness's only.
    WitnessOnly,
    /// The log's signature under another name.
    OtherName,
    /// The log's name and key id over another signature.
    Forged,
}

/// An Ed25519 key under a name (C2SP signed-note).
#[derive(Debug)]
struct NoteKey {
    name: String,
    pair: Ed25519KeyPair,
}

impl NoteKey {
    fn generate(name: &str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        Self { name: name.to_owned(), pair: Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("PKCS #8") }
    }

    /// SHA-256 of name, newline, algorithm and key; its first four bytes are the note's key id.
    fn id(&self, algorithm: u8) -> Vec<u8> {
        sha256(&[self.name.as_bytes(), b"\n", &[algorithm], self.pair.public_key().as_ref()].concat())
    }

    /// DER SubjectPublicKeyInfo (RFC 8410, section 4).
    fn info(&self) -> Vec<u8> {
        let prefix = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
        [&prefix, self.pair.public_key().as_ref()].concat()
    }

    fn line(&self, name: &str, note: &str) -> String {
        let signature = [&self.id(1)[..4], self.pair.sign(note.as_bytes()).as_ref()].concat();
        format!("\u{2014} {name} {}\n", STANDARD.encode(signature))
    }

    /// C2SP tlog-cosignature, version 1: algorithm 4, a time before the signature.
    fn cosignature(&self, note: &str, at: u64) -> String {
        let signed = format!("cosignature/v1\ntime {at}\n{note}");
        let signature = [&self.id(4)[..4], &at.to_be_bytes(), self.pair.sign(signed.as_bytes()).as_ref()].concat();
        format!("\u{2014} {} {}\n", self.name, STANDARD.encode(signature))
    }
}

impl Rekor2 {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        Self {
            key: NoteKey::generate(HOST),
            witness: NoteKey::generate("witness.tests.example"),
            spoil: str::to_owned,
            lines: Lines::Cosigned,
        }
    }

    /// The id under which a trust root lists it.
    #[must_use]
    pub fn id(&self) -> Vec<u8> {
        self.key.id(1)
    }

    /// Its key, DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn info(&self) -> Vec<u8> {
        self.key.info()
    }

    /// The log as a trust root lists it.
    #[must_use]
    pub fn listed(&self) -> Value {
        json!({
            "baseUrl": format!("https://{HOST}"),
            "hashAlgorithm": "SHA2_256",
            "publicKey": { "rawBytes": STANDARD.encode(self.info()), "keyDetails": "PKIX_ED25519", "validFor": { "start": "2022-01-01T00:00:00Z" } },
            "logId": { "keyId": STANDARD.encode(self.id()) },
        })
    }

    /// Takes in `body`.
    #[must_use]
    pub fn enter(&self, kind: (&'static str, &'static str), body: &Value) -> Entry {
        let body = serde_json::to_vec(body).expect("JSON");
        let tree = Tree::with(&body);
        let note = (self.spoil)(&format!("{HOST}\n{}\n{}\n", Tree::SIZE, STANDARD.encode(&tree.root)));
        let own = self.key.line(HOST, &note);
        let lines = match self.lines {
            Lines::Log => own,
            Lines::Cosigned => self.witness.cosignature(&note, 1_767_225_610) + &own,
            Lines::TwoOfLog => NoteKey::generate(HOST).line(HOST, &note) + &own,
            Lines::WitnessOnly => self.witness.cosignature(&note, 1_767_225_610),
            Lines::OtherName => self.key.line("log2026-1.rekor.elsewhere.example", &note),
            Lines::Forged => self.key.line(HOST, &format!("{note}x")),
        };
        Entry::tiled(kind, body, self.id(), &tree, &format!("{note}\n{lines}"))
    }
}

impl Default for Rekor2 {
    fn default() -> Self {
        Self::new()
    }
}
