//! What was gathered about one digest: raw bytes and honest gaps. Nothing in here has been checked yet.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::contents::Contents;
use crate::digest::Digest;
use crate::policy::Needs;
use crate::reference::{Repository, Tag};
use crate::scan::ScanReport;
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// Everything that one decision reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// What is decided on.
    pub subject: Subject,
    /// Signatures and attestations attached to the subject itself.
    pub attachments: Collected<Attachment>,
    /// Indexes of the same repository that are said to list the subject, each with its own attachments. The decision
    /// checks that they do (DESIGN: a child by digest needs a currently admitted parent, or its own signature).
    pub parents: Vec<ParentEvidence>,
    /// What is known of the subject's insides, where it is a platform's image. Of an index nothing is.
    pub image: ImageFacts,
    /// Where the subject is an index: the verdicts on its children, made before under the same policy. An [`crate::Admission`]
    /// cannot be made up, so neither can a child that passes.
    pub children: Vec<Verdict>,
}

/// What the gate itself found out about one platform manifest. Nobody has signed it: whoever fills it in vouches for it, and says
/// with gaps what is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFacts {
    /// What is wrong with its packages, by each source that was asked.
    pub scans: Collected<ScanReport>,
    /// What else is inside.
    pub contents: Collected<Contents>,
    /// When this gate first saw the digest in this repository of this upstream.
    pub first_seen: Result<Timestamp, Gap>,
}

impl ImageFacts {
    /// The state before anything was looked at: gaps of their own kind.
    #[must_use]
    pub fn not_collected(now: Timestamp) -> Self {
        Self {
            scans: Collected::not_collected(EvidenceSource::Scanner, now),
            contents: Collected::not_collected(EvidenceSource::Contents, now),
            first_seen: Err(Gap {
                source: EvidenceSource::TagResolution,
                place: "first seen here".to_owned(),
                failure: Failure::NotCollected,
                detail: String::new(),
            }),
        }
    }
}

/// The manifest that is decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Canonical repository under which the client asked.
    pub repository: Repository,
    /// The tag that was resolved to the digest, where the client named one.
    pub tag: Option<Tag>,
    /// The digest.
    pub digest: Digest,
    /// The manifest's bytes, as the upstream sent them.
    pub manifest: Bytes,
}

/// An index that may vouch for a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParentEvidence {
    /// Digest of the index.
    pub digest: Digest,
    /// The index's bytes.
    pub manifest: Bytes,
    /// What is attached to the index.
    pub attachments: Collected<Attachment>,
}

/// The result of looking in every place for one kind of evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collected<T> {
    /// What was found.
    pub items: Vec<T>,
    /// What could not be seen. A gap never counts as "there is nothing".
    pub gaps: Vec<Gap>,
    /// When the search ended.
    pub collected_at: Timestamp,
    /// From this time on the search counts for nothing (`max-stale` after it).
    pub stale_at: Timestamp,
}

impl<T> Collected<T> {
    /// The state before any search: a gap of its own kind.
    #[must_use]
    pub fn not_collected(source: EvidenceSource, now: Timestamp) -> Self {
        let gap = Gap { source, place: String::new(), failure: Failure::NotCollected, detail: String::new() };
        Self { items: Vec::new(), gaps: vec![gap], collected_at: now, stale_at: now.plus(1) }
    }

    /// The gaps in what was looked for: those of its own kind, [`Failure::NotCollected`], are left out.
    pub fn unseen(&self) -> impl Iterator<Item = &Gap> {
        self.gaps.iter().filter(|gap| gap.failure != Failure::NotCollected)
    }

    /// Which kinds were looked for, seen or not.
    #[must_use]
    pub fn sought(&self) -> Needs {
        let sought = |source| !self.gaps.iter().any(|gap| gap.failure == Failure::NotCollected && gap.source == source);
        let (signatures, attestations) = (sought(EvidenceSource::Signatures), sought(EvidenceSource::Attestations));
        Needs { signatures, attestations, ..Needs::default() }
    }

    /// Whether everything was looked for that `needs` asks for.
    #[must_use]
    pub fn covers(&self, needs: Needs) -> bool {
        let sought = self.sought();
        (sought.signatures || !needs.signatures) && (sought.attestations || !needs.attestations)
    }
}

impl Collected<Attachment> {
    /// Both together, for as long as both count.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.items.extend(other.items);
        self.gaps.extend(other.gaps);
        Self { collected_at: self.collected_at.max(other.collected_at), stale_at: self.stale_at.min(other.stale_at), ..self }
    }
}

/// One manifest that carries evidence, with the layers that could be fetched. Raw and unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Where it was found.
    pub location: Location,
    /// Digest under which it was found.
    pub digest: Digest,
    /// The evidence manifest's bytes.
    pub manifest: Bytes,
    /// Layer bytes, in any order; the decision matches them to the manifest's descriptors by digest.
    pub layers: Vec<Bytes>,
}

/// A place in which evidence is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Location {
    /// The referrers API (distribution-spec 1.1).
    Referrers,
    /// The referrers tag schema, `sha256-<hex>`.
    FallbackTag,
    /// cosign's `sha256-<hex>.sig`.
    SignatureTag,
    /// cosign's `sha256-<hex>.att`.
    AttestationTag,
}

impl Location {
    /// The field's word for the place.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Referrers => "referrers API",
            Self::FallbackTag => "fallback tag",
            Self::SignatureTag => ".sig tag",
            Self::AttestationTag => ".att tag",
        }
    }
}

/// A kind of evidence (the rows of the fail-closed grid in CASES.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceSource {
    /// Signatures.
    Signatures,
    /// Attestations.
    Attestations,
    /// Scan results.
    Scanner,
    /// Transparency log and timestamp material.
    Transparency,
    /// What is inside the image.
    Contents,
    /// The resolution of a tag.
    TagResolution,
    /// A trust root: whom an instance of Sigstore consists of.
    TrustRoot,
}

impl EvidenceSource {
    /// The field's word for the kind.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signatures => "signatures",
            Self::Attestations => "attestations",
            Self::Scanner => "scan results",
            Self::Transparency => "log and timestamp material",
            Self::Contents => "image contents",
            Self::TagResolution => "tag resolution",
            Self::TrustRoot => "trust root",
        }
    }
}

/// Evidence that could not be had, which is never the same as evidence that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    /// Which kind of evidence is missing.
    pub source: EvidenceSource,
    /// Where it was looked for, for example `referrers API`.
    pub place: String,
    /// What went wrong.
    pub failure: Failure,
    /// One line of detail. It may be shown to clients: no credentials, no internal addresses.
    pub detail: String,
}

/// What went wrong in looking (the columns of the fail-closed grid in CASES.md, and two of our own).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The connection was refused, or access was (401, 403).
    Refused,
    /// No answer in time.
    Timeout,
    /// 429.
    RateLimited,
    /// 5xx.
    Unavailable,
    /// The answer ended early.
    Truncated,
    /// The answer could not be parsed or did not match its digest.
    Malformed,
    /// What is stored is older than the policy allows.
    Stale,
    /// Over a limit of [`crate::limits`].
    Oversized,
    /// Nobody has looked yet.
    NotCollected,
}

impl Failure {
    /// One word for messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Timeout => "timed out",
            Self::RateLimited => "rate limited",
            Self::Unavailable => "unavailable",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::Stale => "stale",
            Self::Oversized => "over a limit",
            Self::NotCollected => "not collected yet",
        }
    }
}
