//! What the ledger records: transitions only.

use sealgate_verifier::{Digest, Manifest, Repository, Revision, Tag};
use serde::{Deserialize, Serialize};

use crate::store::records::{DecisionRecord, EvidenceRecord, TokenRecord};

/// A change of state. The names are part of the format; a new kind needs no new format version, since an older build refuses it by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Event {
    /// The store was made. Always the first record.
    StoreCreated {
        /// Format version of the data folder.
        format: u32,
    },
    /// A trust policy other than the last one came into force.
    PolicyLoaded {
        /// Hash over all of its files.
        revision: Revision,
    },
    /// A tag points elsewhere than before.
    TagMoved {
        /// Repository.
        repository: Repository,
        /// Tag.
        tag: Tag,
        /// Where it pointed; none for a tag that is new here.
        from: Option<Digest>,
        /// Where it points.
        to: Digest,
    },
    /// A manifest of a repository was stored; its bytes are a blob. The references stand here so that a rebuild needs no blob.
    ManifestStored {
        /// Repository.
        repository: Repository,
        /// Digest.
        digest: Digest,
        /// Bytes.
        size: u64,
        /// Media type to serve it under.
        media_type: String,
        /// What it lists.
        lists: Listing,
    },
    /// An evidence set was stored; its manifests and layers are blobs.
    EvidenceStored {
        /// Repository.
        repository: Repository,
        /// The digest that the evidence is about.
        subject: Digest,
        /// The set.
        record: EvidenceRecord,
    },
    /// A repository's upstream delivered or confirmed a blob.
    PossessionGained {
        /// Repository.
        repository: Repository,
        /// The blob.
        digest: Digest,
        /// Bytes.
        size: u64,
    },
    /// A client uploaded a blob, or had one mounted.
    BlobUploaded {
        /// Repository.
        repository: Repository,
        /// The blob.
        digest: Digest,
        /// Bytes.
        size: u64,
        /// Who; none for an anonymous pusher.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// A client pushed a manifest, perhaps under a tag; its bytes are a blob.
    ManifestPushed {
        /// Repository.
        repository: Repository,
        /// Digest.
        digest: Digest,
        /// Bytes.
        size: u64,
        /// Media type to serve it under.
        media_type: String,
        /// What it lists.
        lists: Listing,
        /// What it is about, as it says itself or as its evidence tag says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subject: Option<Digest>,
        /// The tag that points to it from now on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<Tag>,
        /// Where that tag pointed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Digest>,
        /// Who; none for an anonymous pusher.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// A client deleted a pushed manifest, and with it the tags that pointed to it.
    ManifestDeleted {
        /// Repository.
        repository: Repository,
        /// Digest.
        digest: Digest,
        /// What it listed.
        lists: Listing,
        /// What it was about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subject: Option<Digest>,
        /// Tags that pointed to it.
        tags: Vec<Tag>,
        /// Who.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// A client deleted a pushed tag.
    TagDeleted {
        /// Repository.
        repository: Repository,
        /// Tag.
        tag: Tag,
        /// Where it pointed.
        from: Digest,
        /// Who.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// A client deleted a blob from a repository. Its bytes stay for other repositories.
    BlobDeleted {
        /// Repository.
        repository: Repository,
        /// The blob.
        digest: Digest,
        /// Who.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// Repositories no longer possess blobs, whose bytes go unless others keep them. A pull fetches them again.
    PossessionLost {
        /// Why.
        cause: Loss,
        /// Which.
        blobs: Vec<LostBlob>,
    },
    /// State that records said which were pruned: rows of the index.
    Restated {
        /// The rows.
        rows: Vec<Restated>,
    },
    /// A decision other than the last one about its digest.
    VerdictChanged {
        /// The decision.
        decision: Box<DecisionRecord>,
    },
    /// A token for clients was made.
    TokenCreated {
        /// The token.
        token: TokenRecord,
    },
    /// A token for clients was revoked.
    TokenRevoked {
        /// Its identifier.
        id: String,
    },
}

/// One row of the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restated {
    /// Name of its table.
    pub table: String,
    /// Its key, in hex.
    pub key: String,
    /// Its value, JSON as text: byte for byte what the index held.
    pub value: String,
}

/// Why blobs went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// There was no room, and they were pulled least recently.
    Evicted,
    /// No manifest lists them.
    Unreferenced,
}

/// A blob that went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostBlob {
    /// The blob.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// Who possessed it.
    pub repositories: Vec<Repository>,
}

/// What a manifest lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Listing {
    /// An image: its configuration and layers.
    Blobs(Vec<Digest>),
    /// An index: its children.
    Manifests(Vec<Digest>),
}

impl Listing {
    /// What `manifest` lists, each digest once.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Self {
        let unique = |digests: Vec<Digest>| {
            let mut seen = std::collections::HashSet::new();
            digests.into_iter().filter(|digest| seen.insert(*digest)).collect()
        };
        match manifest {
            Manifest::Image(_) => Self::Blobs(unique(manifest.blobs().map(|entry| entry.digest).collect())),
            Manifest::Index(index) => Self::Manifests(unique(index.manifests.iter().map(|entry| entry.digest).collect())),
        }
    }
}
