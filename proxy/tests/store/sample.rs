//! Small things that the tests store.

use std::path::Path;

use bytes::Bytes;
use sealgate::store::{DecisionRecord, EvidenceRecord, OpenReport, Outcome, Store, StoreOptions};
use sealgate_config::IndexKind;
use sealgate_verifier::{Descriptor, Digest, ImageManifest, Index, Manifest, Repository, Revision, Tag, Timestamp};

pub const ENGINES: [IndexKind; 2] = [IndexKind::Redb, IndexKind::Sled];

pub fn open(folder: &Path, index: IndexKind) -> (Store, OpenReport) {
    Store::open(&StoreOptions::new(folder, index)).expect("the store opens")
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

pub fn repository(name: &str) -> Repository {
    name.parse().expect("a repository")
}

pub fn tag(name: &str) -> Tag {
    name.parse().expect("a tag")
}

pub fn digest(of: &str) -> Digest {
    Digest::sha256(of.as_bytes())
}

fn descriptor(digest: Digest) -> Descriptor {
    let (media_type, annotations) = (String::new(), Default::default());
    Descriptor { media_type, digest, size: 1, artifact_type: None, platform: None, annotations, urls: Vec::new() }
}

/// Bytes that stand for a manifest, and what they say: the store keeps both apart.
pub fn image(name: &str, layers: &[Digest]) -> (Digest, Bytes, Manifest) {
    let bytes = Bytes::from(format!("image {name}"));
    let manifest = Manifest::Image(ImageManifest {
        media_type: sealgate_verifier::media_type::OCI_MANIFEST.to_owned(),
        artifact_type: None,
        config: descriptor(digest(&format!("config of {name}"))),
        layers: layers.iter().copied().map(descriptor).collect(),
        subject: None,
        annotations: Default::default(),
    });
    (Digest::sha256(&bytes), bytes, manifest)
}

pub fn index(name: &str, children: &[Digest]) -> (Digest, Bytes, Manifest) {
    let bytes = Bytes::from(format!("index {name}"));
    let manifest = Manifest::Index(Index {
        media_type: sealgate_verifier::media_type::OCI_INDEX.to_owned(),
        artifact_type: None,
        manifests: children.iter().copied().map(descriptor).collect(),
        subject: None,
        annotations: Default::default(),
    });
    (Digest::sha256(&bytes), bytes, manifest)
}

pub fn evidence(at: i64) -> EvidenceRecord {
    EvidenceRecord { attachments: Vec::new(), gaps: Vec::new(), collected_at: Timestamp(at), stale_at: Timestamp(at + 60) }
}

pub fn decision(id: &str, repository: &Repository, digest: Digest, outcome: Outcome, at: i64) -> DecisionRecord {
    DecisionRecord {
        id: id.to_owned(),
        repository: repository.clone(),
        digest,
        tag: None,
        outcome,
        rule: Some("docker.io/**".to_owned()),
        line: "DENIED by policy rule docker.io/**: no signature by ci".to_owned(),
        reasons: serde_json::json!([{ "reason": "unsigned", "expected": "signed-by any of ci" }]),
        findings: serde_json::json!([]),
        revision: Revision(Digest::sha256(b"policy")),
        decided_at: Timestamp(at),
        valid_until: Some(Timestamp(at + 30)),
    }
}
