//! The outcome of a decision. Only [`crate::evaluate()`] can construct an [`Admission`].

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::evidence::{Gap, Location};
use crate::policy::{Mode, Revision, SignerName};
use crate::principal::Principal;
use crate::reference::Repository;
use crate::time::Timestamp;

/// Admit or deny. There is no third.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The policy admits the subject.
    Admit(Admission),
    /// The policy does not.
    Deny(Denial),
}

impl Verdict {
    /// Each signature that was looked at, and how far it got. Bounded by [`crate::limits::SIGNATURES`].
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Admit(admission) => &admission.findings,
            Self::Deny(denial) => &denial.findings,
        }
    }

    /// From this time on the verdict counts for nothing and must be made anew.
    #[must_use]
    pub const fn valid_until(&self) -> Option<Timestamp> {
        match self {
            Self::Admit(admission) => admission.valid_until,
            Self::Deny(denial) => denial.valid_until,
        }
    }
}

/// Proof that the policy admitted a digest in a repository. Its fields are private: no other code can make one.
///
/// Not by its fields:
/// ```compile_fail,E0451
/// # use sealgate_verifier::{Admission, Digest, Repository, Revision};
/// # let digest = Digest::sha256(b"");
/// # let repository: Repository = "nginx".parse().unwrap();
/// let forged = Admission {
///     rule: String::new(),
///     repository,
///     digest,
///     via: None,
///     satisfied: vec![],
///     findings: vec![],
///     revision: Revision(digest),
///     valid_until: None,
/// };
/// ```
/// Not from a default, and not from stored bytes:
/// ```compile_fail,E0277
/// fn default<T: Default>() -> T { T::default() }
/// let forged: sealgate_verifier::Admission = default();
/// ```
/// ```compile_fail,E0277
/// let forged: sealgate_verifier::Admission = serde_json::from_str("{}").unwrap();
/// ```
/// And one that was made cannot be changed to speak of another digest:
/// ```compile_fail,E0616
/// fn retarget(admission: &mut sealgate_verifier::Admission, digest: sealgate_verifier::Digest) {
///     admission.digest = digest;
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    pub(crate) rule: String,
    pub(crate) repository: Repository,
    pub(crate) digest: Digest,
    pub(crate) via: Option<Digest>,
    pub(crate) satisfied: Vec<Satisfied>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) revision: Revision,
    pub(crate) valid_until: Option<Timestamp>,
}

impl Admission {
    /// Name of the rule: its pattern.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }
    /// The repository in which the digest was admitted. An admission counts in no other.
    #[must_use]
    pub const fn repository(&self) -> &Repository {
        &self.repository
    }
    /// What was admitted.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }
    /// The index whose evidence admitted the subject, where it was not its own.
    #[must_use]
    pub const fn via(&self) -> Option<Digest> {
        self.via
    }
    /// Each requirement, and by whom it was met.
    #[must_use]
    pub fn satisfied(&self) -> &[Satisfied] {
        &self.satisfied
    }
    /// The policy that decided.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }
}

/// A requirement that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Satisfied {
    /// The requirement in the policy's words: `allow`, `digests`, `signed-by any of ci, release`.
    pub requirement: String,
    /// The signers that met it, by name.
    pub by: Vec<SignerName>,
}

/// Why the policy does not admit a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The repository that was asked for.
    pub repository: Repository,
    /// What was denied.
    pub digest: Digest,
    /// Name of the rule, or none when no rule matches.
    pub rule: Option<String>,
    /// Whether the denial is enforced.
    pub mode: Mode,
    /// Every reason, the first being the most telling. Never empty.
    pub reasons: Vec<Reason>,
    /// Each signature that was looked at.
    pub findings: Vec<Finding>,
    /// From this time on the denial must be made anew.
    pub valid_until: Option<Timestamp>,
}

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
            Self::NoRule
            | Self::DeniedByRule
            | Self::DigestNotListed { .. }
            | Self::Unsigned { .. }
            | Self::SignaturesDoNotSatisfy { .. }
            | Self::Unattested { .. }
            | Self::AttestationsDoNotSatisfy { .. }
            | Self::AttestationSaysOtherwise { .. }
            | Self::AttestationOutOfTime { .. }
            | Self::BadManifest { .. } => false,
        }
    }
}

/// One signature that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Where it was found.
    pub location: Location,
    /// Digest of the manifest that carries it.
    pub attachment: Digest,
    /// Digest of the layer that holds it; none where the manifest itself is at fault.
    pub layer: Option<Digest>,
    /// The digest that was being vouched for: the subject's, or that of an index above it.
    pub subject: Digest,
    /// How it is stored.
    pub form: SignatureForm,
    /// What it says.
    pub kind: FindingKind,
    /// How far it got.
    pub outcome: FindingOutcome,
}

/// What a signature says of its subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FindingKind {
    /// That its signer approves.
    Signature,
    /// Something about it.
    Attestation {
        /// Type of the predicate, a URI.
        predicate_type: String,
    },
    /// It could not be read that far.
    Unread,
}

/// How a signature is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureForm {
    /// cosign's simple signing payload with annotations.
    SimpleSigning,
    /// A DSSE envelope with cosign's annotations.
    Dsse,
    /// A DSSE envelope in a Sigstore bundle.
    BundleDsse,
    /// A message signature in a Sigstore bundle.
    BundleMessage,
    /// Notation's JWS envelope.
    NotationJws,
    /// Notation's COSE envelope.
    NotationCose,
    /// Something else that claims to be evidence.
    Other,
}

/// How far a signature got.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum FindingOutcome {
    /// Valid, by signers that the policy knows and that count in this repository (not only those that the rule names).
    Verified {
        /// The signers' names, at least one.
        signers: Vec<SignerName>,
        /// Who that is.
        by: Principal,
        /// When it was made, by the word of a log or a timestamping authority.
        at: Option<Timestamp>,
        /// What failed and is not enforced at a Notation signer's level.
        warnings: Vec<String>,
    },
    /// The first step that failed.
    Failed {
        /// What was expected and found, in one line.
        why: String,
        /// Whose it is, where that is certain; the policy need not know them.
        by: Option<Principal>,
    },
}
