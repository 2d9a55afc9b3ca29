//! What the store remembers, as the gate reads it back.

use sealgate_config::Action;
use sealgate_verifier::{Digest, Gap, Location, Repository, Revision, Tag, Timestamp};
use serde::{Deserialize, Serialize};

/// Where a tag points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagRecord {
    /// What the upstream last said that the tag is.
    pub digest: Digest,
    /// When the tag was first seen to point there.
    pub moved_at: Timestamp,
    /// When the upstream last said so. Batched (DESIGN §10): a crash or a rebuilt index may set it back, never forward.
    pub confirmed_at: Timestamp,
}

/// A manifest of a repository. Its bytes are a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestRecord {
    /// Media type to serve it under.
    pub media_type: String,
    /// Bytes.
    pub size: u64,
    /// When it was stored.
    pub stored_at: Timestamp,
}

/// A manifest that was pushed to the gate itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushedManifest {
    /// Media type to serve it under.
    pub media_type: String,
    /// Bytes.
    pub size: u64,
    /// What it is about, as it says itself or as its evidence tag said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Digest>,
    /// Who pushed it last; none for an anonymous pusher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When it was pushed last.
    pub pushed_at: Timestamp,
}

/// Where a pushed tag points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushedTag {
    /// Digest.
    pub digest: Digest,
    /// When it was pushed last.
    pub pushed_at: Timestamp,
}

/// An evidence set: what was found about one digest, and what could not be seen. Manifests and layers are blobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceRecord {
    /// What was found.
    pub attachments: Vec<AttachmentRecord>,
    /// What could not be seen.
    pub gaps: Vec<Gap>,
    /// When the search ended.
    pub collected_at: Timestamp,
    /// From this time on the set counts for nothing.
    pub stale_at: Timestamp,
}

/// One manifest that carries evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentRecord {
    /// Where it was found.
    pub location: Location,
    /// Digest of the evidence manifest, a blob in the store.
    pub digest: Digest,
    /// Digests of the layers that could be fetched, blobs in the store.
    pub layers: Vec<Digest>,
}

/// How a decision ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The policy admits.
    Admitted,
    /// The policy denies, in audit mode: served with a warning.
    Audited,
    /// The policy denies.
    Denied,
}

/// A decision as it was recorded, for `explain`, the pages and the next start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// ULID, the id that a denial links to.
    pub id: String,
    /// Canonical repository.
    pub repository: Repository,
    /// What was decided on.
    pub digest: Digest,
    /// The tag that the client named, where it named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// How it ended.
    pub outcome: Outcome,
    /// The rule that decided; none when no rule matches.
    pub rule: Option<String>,
    /// The one line that the client saw or would see.
    pub line: String,
    /// Why, as JSON: reasons of a denial, or requirements that hold.
    pub reasons: serde_json::Value,
    /// Each signature that was looked at, as JSON.
    pub findings: serde_json::Value,
    /// The policy that decided.
    pub revision: Revision,
    /// When.
    pub decided_at: Timestamp,
    /// From this time on the decision counts for nothing. None: until something that it was made from changes.
    pub valid_until: Option<Timestamp>,
}

/// A token of `sealgate token create`. The secret itself is nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// 16 hex digits, which the token carries.
    pub id: String,
    /// What the admin called it.
    pub name: String,
    /// SHA-256 of the whole token.
    pub hash: Digest,
    /// Patterns of canonical repository names.
    pub repositories: Vec<String>,
    /// What it may do there.
    pub actions: Vec<Action>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From then on it counts for nothing.
    pub expires_at: Timestamp,
}
