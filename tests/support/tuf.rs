//! A repository of The Update Framework of the tests' own, written from the specification and not with the code under test.

use std::collections::BTreeMap;
use std::sync::Arc;

use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::hostile::{Fault, Rule, Upstream};
use crate::sigstore::Key;

/// A time of expiry that no test reaches.
pub const FAR: &str = "2099-01-01T00:00:00Z";
/// A time of expiry that is over.
pub const OVER: &str = "2026-01-01T00:00:00Z";
/// The target that is a trust root.
pub const TARGET: &str = "trusted_root.json";

/// A key pair.
#[derive(Debug)]
pub enum Signer {
    /// ECDSA over P-256: no signature is like another.
    P256(Box<Key>),
    /// Ed25519: one document, one signature.
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    /// A P-256 key.
    #[must_use]
    pub fn p256() -> Self {
        Self::P256(Box::new(Key::generate()))
    }

    /// An Ed25519 key.
    #[must_use]
    pub fn ed25519() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        Self::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("PKCS #8"))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::P256(key) => key.sign(message),
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }
}

/// One role, as the next publication will have it.
#[derive(Debug, Clone)]
pub struct Role {
    /// Those whose signatures count.
    pub keys: Vec<Arc<Signer>>,
    /// How many it takes.
    pub threshold: u64,
    /// Those who do sign.
    pub signers: Vec<Arc<Signer>>,
    /// Of its metadata.
    pub version: u64,
    /// Of its metadata.
    pub expires: &'static str,
}

/// An author of repositories. Every field is what a test may change before it publishes.
#[derive(Debug, Clone)]
pub struct Author {
    /// The root role.
    pub root: Role,
    /// The timestamp role.
    pub timestamp: Role,
    /// The snapshot role.
    pub snapshot: Role,
    /// The targets role.
    pub targets: Role,
    /// Whether names carry versions and hashes.
    pub consistent: bool,
    /// The targets.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Further entries of the snapshot.
    pub delegated: BTreeMap<String, u64>,
    /// Every root so far, by version.
    pub roots: BTreeMap<u64, Vec<u8>>,
}

/// The files of a repository, by path.
pub type Files = BTreeMap<String, Vec<u8>>;

impl Role {
    fn new(keys: usize, threshold: u64, key: fn() -> Signer) -> Self {
        let keys: Vec<_> = (0..keys).map(|_| Arc::new(key())).collect();
        Self { signers: keys.clone(), keys, threshold, version: 1, expires: FAR }
    }

    /// What root metadata says of it.
    fn authority(&self) -> Value {
        json!({ "keyids": self.keys.iter().map(|key| key_id(key)).collect::<Vec<_>>(), "threshold": self.threshold })
    }

    /// Its metadata, signed.
    fn sign(&self, kind: &str, mut signed: Value) -> Vec<u8> {
        signed["_type"] = kind.into();
        signed["spec_version"] = "1.0.33".into();
        signed["version"] = self.version.into();
        signed["expires"] = self.expires.into();
        let signers: Vec<(String, &Signer)> = self.signers.iter().map(|key| (key_id(key), &**key)).collect();
        sign(&signed, &signers)
    }
}

/// Metadata with these signatures.
#[must_use]
pub fn sign(signed: &Value, signers: &[(String, &Signer)]) -> Vec<u8> {
    let message = canonical(signed);
    let signatures = signers.iter().map(|(id, key)| json!({ "keyid": id, "sig": hex(&key.sign(message.as_bytes())) }));
    json!({ "signed": signed, "signatures": signatures.collect::<Vec<_>>() }).to_string().into_bytes()
}

/// The key's name in metadata.
#[must_use]
pub fn key_id(key: &Signer) -> String {
    sha256(key_value(key).to_string().as_bytes())
}

/// The key in metadata.
#[must_use]
pub fn key_value(key: &Signer) -> Value {
    match key {
        Signer::P256(key) => json!({ "keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": { "public": key.public_pem() } }),
        Signer::Ed25519(key) => {
            json!({ "keytype": "ed25519", "scheme": "ed25519", "keyval": { "public": hex(key.public_key().as_ref()) } })
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    crate::sha256(bytes).trim_start_matches("sha256:").to_owned()
}

/// Canonical JSON: serde_json sorts keys and writes no space; only its escapes are others.
fn canonical(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| format!("{}:{}", canonical(&Value::String(key.clone())), canonical(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// What metadata says of another metadata file.
fn pin(bytes: &[u8], version: u64) -> Value {
    json!({ "version": version, "length": bytes.len(), "hashes": { "sha256": sha256(bytes) } })
}

impl Author {
    /// One with three root keys, two of which it takes, and one key for each other role.
    #[must_use]
    pub fn new(target: &[u8]) -> Self {
        let files = BTreeMap::from([(TARGET.to_owned(), target.to_vec())]);
        let one = || Role::new(1, 1, Signer::ed25519);
        let mut author = Self {
            root: Role::new(3, 2, Signer::p256),
            timestamp: one(),
            snapshot: one(),
            targets: one(),
            consistent: true,
            files,
            delegated: BTreeMap::new(),
            roots: BTreeMap::new(),
        };
        author.issue_root();
        author
    }

    /// The root as it is now, signed by whoever signs for it now.
    #[must_use]
    pub fn root_metadata(&self) -> Vec<u8> {
        let all = [&self.root, &self.timestamp, &self.snapshot, &self.targets];
        let keys: BTreeMap<String, Value> = all.iter().flat_map(|role| &role.keys).map(|key| (key_id(key), key_value(key))).collect();
        let [root, timestamp, snapshot, targets] = all.map(Role::authority);
        let roles = json!({ "root": root, "timestamp": timestamp, "snapshot": snapshot, "targets": targets });
        self.root.sign("root", json!({ "consistent_snapshot": self.consistent, "keys": keys, "roles": roles }))
    }

    /// Puts the root as it is now into the chain.
    pub fn issue_root(&mut self) {
        self.roots.insert(self.root.version, self.root_metadata());
    }

    /// The next root, signed by the old keys and by the new ones. `change` may say something new of any role.
    pub fn rotate(&mut self, change: impl FnOnce(&mut Self)) {
        let old = self.root.signers.clone();
        self.root.version += 1;
        change(self);
        let own = self.root.signers.clone();
        let fresh = |key: &&Arc<Signer>| !old.iter().any(|known| key_id(known) == key_id(key));
        self.root.signers = old.iter().chain(own.iter().filter(fresh)).cloned().collect();
        self.issue_root();
        self.root.signers = own;
    }

    /// New keys for the root role.
    pub fn new_root_keys(&mut self) {
        let Role { keys, signers, .. } = Role::new(3, 2, Signer::p256);
        (self.root.keys, self.root.signers) = (keys, signers);
    }

    /// A new key for a role.
    pub fn new_key(role: &mut Role) {
        let Role { keys, signers, .. } = Role::new(1, 1, Signer::ed25519);
        (role.keys, role.signers) = (keys, signers);
    }

    /// Another target, and the versions that follow from it.
    pub fn replace(&mut self, target: &[u8]) {
        self.files.insert(TARGET.to_owned(), target.to_vec());
        self.advance();
    }

    /// The next version of each role but the root.
    pub fn advance(&mut self) {
        for role in [&mut self.timestamp, &mut self.snapshot, &mut self.targets] {
            role.version += 1;
        }
    }

    /// The targets metadata.
    #[must_use]
    pub fn targets_metadata(&self) -> Vec<u8> {
        let listed: BTreeMap<&String, Value> = self
            .files
            .iter()
            .map(|(name, bytes)| (name, json!({ "length": bytes.len(), "hashes": { "sha256": sha256(bytes) } })))
            .collect();
        self.targets.sign("targets", json!({ "targets": listed }))
    }

    /// The snapshot metadata over these targets metadata.
    #[must_use]
    pub fn snapshot_metadata(&self, targets: &[u8]) -> Vec<u8> {
        let mut meta: BTreeMap<String, Value> =
            self.delegated.iter().map(|(name, version)| (name.clone(), json!({ "version": version }))).collect();
        meta.insert("targets.json".to_owned(), pin(targets, self.targets.version));
        self.snapshot.sign("snapshot", json!({ "meta": meta }))
    }

    /// The timestamp metadata over this snapshot.
    #[must_use]
    pub fn timestamp_metadata(&self, snapshot: &[u8]) -> Vec<u8> {
        self.timestamp.sign("timestamp", json!({ "meta": { "snapshot.json": pin(snapshot, self.snapshot.version) } }))
    }

    /// Every file of the repository.
    #[must_use]
    pub fn files(&self) -> Files {
        let targets = self.targets_metadata();
        let snapshot = self.snapshot_metadata(&targets);
        let mut files: Files = self.roots.iter().map(|(version, root)| (format!("{version}.root.json"), root.clone())).collect();
        files.insert("timestamp.json".to_owned(), self.timestamp_metadata(&snapshot));
        files.insert(self.path("snapshot", self.snapshot.version), snapshot);
        files.insert(self.path("targets", self.targets.version), targets);
        for (name, bytes) in &self.files {
            let prefix = if self.consistent { format!("{}.", sha256(bytes)) } else { String::new() };
            files.insert(format!("targets/{prefix}{name}"), bytes.clone());
        }
        files
    }

    /// Where a role's metadata is.
    #[must_use]
    pub fn path(&self, role: &str, version: u64) -> String {
        if self.consistent { format!("{version}.{role}.json") } else { format!("{role}.json") }
    }
}

/// A repository on loopback.
#[derive(Debug)]
pub struct Repository {
    /// Its server, for faults and counts.
    pub server: Upstream,
}

impl Repository {
    /// One with these files.
    #[must_use]
    pub fn start(files: &Files) -> Self {
        let repository = Self { server: Upstream::start() };
        repository.publish(files);
        repository
    }

    /// Has these files from now on, and no others.
    pub fn publish(&self, files: &Files) {
        self.server.behave();
        for (path, bytes) in files {
            let rule = Rule::on("GET", &format!("/{path}")).fault(Fault::Status(200));
            let rule = rule.fault(Fault::Header("content-length", bytes.len().to_string()));
            self.server.rule(rule.fault(Fault::Body(bytes.clone().into())));
        }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }
}
