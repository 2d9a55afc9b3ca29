//! Why an image is denied.

use serde::Serialize;

use super::vulnerability::JudgedVulnerability;
use crate::contents::SecretFinding;
use crate::digest::Digest;
use crate::evidence::{EvidenceSource, Failure, Gap};
use crate::policy::SignerName;
use crate::time::Timestamp;

/// One reason of a denial. Each has a case in the corpus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Reason {
    /// No rule matches the repository.
    NoRule,
    /// The rule says `deny`.
    DeniedByRule,
    /// The digest is not on the rule's list.
    DigestNotListed {
        /// How many digests are listed.
        listed: usize,
    },
    /// Every place was searched, and no signature exists.
    Unsigned {
        /// The requirement in the policy's words.
        expected: String,
        /// Types of the attestations that exist all the same. Attesting is not approving.
        attested: Vec<String>,
    },
    /// Signatures exist; too few of them are valid and by the named signers.
    SignaturesDoNotSatisfy {
        /// The requirement in the policy's words.
        expected: String,
        /// Signers that did sign.
        by: Vec<SignerName>,
        /// Valid signatures by others than the requirement names, and invalid ones, in one line.
        found: String,
    },
    /// Every place was searched, and no attestation of the type exists.
    Unattested {
        /// The requirement in the policy's words.
        expected: String,
        /// What exists in its place: attestations of other types, a signature, or nothing; in one line.
        found: String,
    },
    /// Attestations of the type exist; too few of them are valid and by the named signers.
    AttestationsDoNotSatisfy {
        /// The requirement in the policy's words.
        expected: String,
        /// Signers that did attest.
        by: Vec<SignerName>,
        /// Valid attestations by others than the requirement names, and invalid ones, in one line.
        found: String,
    },
    /// A named signer's newest attestation says something else than the requirement asks for.
    AttestationSaysOtherwise {
        /// The requirement in the policy's words.
        expected: String,
        /// By whom, the place, what stands there and what should, in one line.
        found: String,
    },
    /// A named signer's newest attestation is too old, dated in the future, or of no known time.
    AttestationOutOfTime {
        /// The requirement in the policy's words.
        expected: String,
        /// By whom and of when, in one line.
        found: String,
    },
    /// None of the alternatives of an `any-of` holds.
    NoAlternative {
        /// The requirement in the policy's words.
        expected: String,
        /// Why the first unmet requirement of each does not.
        alternatives: Vec<Reason>,
    },
    /// The image has vulnerabilities that the policy does not bear.
    Vulnerable {
        /// The requirement in the policy's words.
        expected: String,
        /// The worst first: those that deny, then those in their grace period. At most [`crate::limits::LISTED`].
        vulnerabilities: Vec<JudgedVulnerability>,
        /// How many deny, listed or not.
        denying: usize,
    },
    /// Scans that are fresh do not speak for all that the image holds: no list of packages was recognised, or nobody publishes
    /// advisories for some.
    Uncovered {
        /// The requirement in the policy's words.
        expected: String,
        /// What nobody speaks for, in one line.
        found: String,
    },
    /// The image holds secrets.
    SecretFound {
        /// The requirement in the policy's words.
        expected: String,
        /// The secrets, at most [`crate::limits::LISTED`].
        secrets: Vec<SecretFinding>,
        /// How many there are, listed or not.
        total: usize,
    },
    /// The image holds something else that the policy does not allow.
    ContentsDoNotSatisfy {
        /// The requirement in the policy's words.
        expected: String,
        /// What, in one line.
        found: String,
    },
    /// The image has not been known for long enough.
    TooYoung {
        /// The requirement in the policy's words.
        expected: String,
        /// Since when it is known, and by whose word.
        found: String,
        /// When it will be old enough.
        until: Timestamp,
    },
    /// A child of the index, for a platform that the policy names, is denied itself.
    ChildDenied {
        /// Its platform.
        platform: String,
        /// Its digest.
        digest: Digest,
        /// Why.
        reasons: Vec<Reason>,
    },
    /// The index has no image for any platform that the policy names.
    NoPlatform {
        /// The platforms that the policy names.
        expected: String,
        /// Those of the index.
        found: String,
    },
    /// What was found does not suffice, and some places could not be searched.
    EvidenceMissing {
        /// The requirement in the policy's words.
        expected: String,
        /// What could not be seen.
        gaps: Vec<Gap>,
    },
    /// The subject's bytes are no manifest, or not the digest's.
    BadManifest {
        /// What is wrong.
        problem: String,
    },
}

impl Reason {
    /// Whether it lies in what could not be seen, so that it may pass by itself.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::EvidenceMissing { .. } => true,
            Self::NoAlternative { alternatives, .. } => alternatives.iter().any(Self::may_pass),
            Self::ChildDenied { reasons, .. } => reasons.iter().all(Self::may_pass),
            Self::NoRule
            | Self::DeniedByRule
            | Self::DigestNotListed { .. }
            | Self::Unsigned { .. }
            | Self::SignaturesDoNotSatisfy { .. }
            | Self::Unattested { .. }
            | Self::AttestationsDoNotSatisfy { .. }
            | Self::AttestationSaysOtherwise { .. }
            | Self::AttestationOutOfTime { .. }
            | Self::Vulnerable { .. }
            | Self::Uncovered { .. }
            | Self::SecretFound { .. }
            | Self::ContentsDoNotSatisfy { .. }
            | Self::TooYoung { .. }
            | Self::NoPlatform { .. }
            | Self::BadManifest { .. } => false,
        }
    }

    /// Whether it lies in a scan or in contents that nobody has looked at yet.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        match self {
            Self::EvidenceMissing { gaps, .. } => gaps.iter().any(|gap| {
                gap.failure == Failure::NotCollected && matches!(gap.source, EvidenceSource::Scanner | EvidenceSource::Contents)
            }),
            Self::NoAlternative { alternatives, .. } => alternatives.iter().any(Self::is_pending),
            Self::ChildDenied { reasons, .. } => reasons.iter().any(Self::is_pending),
            Self::NoRule
            | Self::DeniedByRule
            | Self::DigestNotListed { .. }
            | Self::Unsigned { .. }
            | Self::SignaturesDoNotSatisfy { .. }
            | Self::Unattested { .. }
            | Self::AttestationsDoNotSatisfy { .. }
            | Self::AttestationSaysOtherwise { .. }
            | Self::AttestationOutOfTime { .. }
            | Self::Vulnerable { .. }
            | Self::Uncovered { .. }
            | Self::SecretFound { .. }
            | Self::ContentsDoNotSatisfy { .. }
            | Self::TooYoung { .. }
            | Self::NoPlatform { .. }
            | Self::BadManifest { .. } => false,
        }
    }
}
