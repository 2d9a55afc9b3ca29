//! What a rule demands.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::attestation::Attested;
use super::contents::ContentsPolicy;
use super::scan::ScanPolicy;
use super::signer::SignerName;
use crate::digest::Digest;

/// How many of the named signers must have signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quorum {
    /// At least one.
    Any,
    /// Each of them, by distinct principals.
    All,
    /// At least this many, by distinct principals. At least 1, at most the number of signers.
    Threshold(usize),
}

/// A quorum over named signers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedBy {
    /// How many.
    pub quorum: Quorum,
    /// Of whom. Never empty, no name twice.
    pub signers: Vec<SignerName>,
}

impl SignedBy {
    /// How many distinct principals are needed, at least one.
    #[must_use]
    pub fn needed(&self) -> usize {
        let needed = match self.quorum {
            Quorum::Any => 1,
            Quorum::All => self.signers.len(),
            Quorum::Threshold(threshold) => threshold,
        };
        // `Policy::new` refuses a quorum of nobody; here it would admit what nobody signed.
        needed.max(1)
    }

    /// Whether the signer is one of those named.
    #[must_use]
    pub fn names(&self, signer: &str) -> bool {
        self.signers.iter().any(|name| name == signer)
    }
}

/// One condition of a rule. All of a rule's requirements must hold. Matches over this type have no `_` arm, so the compiler lists
/// what a new one touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// Admits without evidence, and shows as such everywhere.
    Allow,
    /// Denies always.
    Deny,
    /// The digest, or the digest of an index that lists it, is one of these. Never empty.
    Digests(BTreeSet<Digest>),
    /// Signatures that approve the image.
    SignedBy(SignedBy),
    /// Attestations about the image. They never stand in for [`Requirement::SignedBy`], nor that for them.
    Attested(Attested),
    /// What is known to be wrong with the image is bearable. Of platforms' images; an index has no packages of its own.
    Scanned(Arc<ScanPolicy>),
    /// What is inside the image may be there. Likewise.
    Contents(Arc<ContentsPolicy>),
    /// The image has been known for this long: here, or to a log or timestamping authority by a verified signature. Likewise.
    Age {
        /// Seconds. Positive.
        min: i64,
    },
    /// All of one of these lists must hold. Neither it nor any of the lists is ever empty.
    AnyOf(Vec<Vec<Requirement>>),
}

impl Requirement {
    /// This requirement, and those inside of it.
    pub(crate) fn flattened(&self) -> Vec<&Self> {
        let mut found = vec![self];
        if let Self::AnyOf(branches) = self {
            found.extend(branches.iter().flatten().flat_map(Self::flattened));
        }
        found
    }

    /// The quorum over named signers, where it has one of its own.
    #[must_use]
    pub const fn quorum(&self) -> Option<&SignedBy> {
        match self {
            Self::SignedBy(signed_by) => Some(signed_by),
            Self::Attested(attested) => Some(&attested.by),
            Self::Allow | Self::Deny | Self::Digests(_) | Self::Scanned(_) | Self::Contents(_) | Self::Age { .. } | Self::AnyOf(_) => None,
        }
    }

    /// Every signer that it names itself.
    #[must_use]
    pub fn signers(&self) -> Vec<&SignerName> {
        match self {
            Self::SignedBy(signed_by) => signed_by.signers.iter().collect(),
            Self::Attested(attested) => attested.by.signers.iter().collect(),
            Self::Scanned(policy) => policy.signers().collect(),
            Self::Allow | Self::Deny | Self::Digests(_) | Self::Contents(_) | Self::Age { .. } | Self::AnyOf(_) => Vec::new(),
        }
    }

    /// Whether it is about a platform's image and not about an index.
    #[must_use]
    pub const fn is_per_platform(&self) -> bool {
        match self {
            Self::Scanned(_) | Self::Contents(_) | Self::Age { .. } => true,
            Self::Allow | Self::Deny | Self::Digests(_) | Self::SignedBy(_) | Self::Attested(_) | Self::AnyOf(_) => false,
        }
    }
}
