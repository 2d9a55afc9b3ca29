//! What the ledger records: transitions only.

use sealgate_verifier::{Digest, Repository, Revision, Tag};
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

/// What a manifest lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Listing {
    /// An image: its configuration and layers.
    Blobs(Vec<Digest>),
    /// An index: its children.
    Manifests(Vec<Digest>),
}
