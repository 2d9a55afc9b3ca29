//! The outcome of a decision. Only [`crate::evaluate()`] can construct an [`Admission`].

use serde::Serialize;

use crate::digest::Digest;
use crate::policy::{Mode, Revision, SignerName};
use crate::reference::Repository;
use crate::time::Timestamp;

mod finding;
mod reason;
mod vulnerability;

pub use finding::{Finding, FindingKind, FindingOutcome, SignatureForm};
pub use reason::Reason;
pub use vulnerability::{FindingStanding, JudgedVulnerability, UsedException};

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
    /// Vulnerabilities that the image has and the policy bears, the worst first: tracked, in their grace period, or cleared and by
    /// what. At most [`crate::limits::LISTED`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vulnerabilities: Vec<JudgedVulnerability>,
    /// How many vulnerabilities there are beyond these.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_vulnerabilities: usize,
    /// The exceptions without which it would not hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<UsedException>,
    /// What was let pass beside that, and why, one line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Satisfied {
    /// A requirement that these signers met.
    pub(crate) fn by(requirement: String, by: Vec<SignerName>) -> Self {
        Self { requirement, by, vulnerabilities: Vec::new(), more_vulnerabilities: 0, exceptions: Vec::new(), notes: Vec::new() }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(number: &usize) -> bool {
    *number == 0
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

impl Denial {
    /// Whether the image may pass once it has been scanned: nothing else stands against it, and its scan or contents have not been
    /// collected yet. The gate answers 503 with `Retry-After` (DESIGN §7), never a pass.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.reasons.iter().all(Reason::may_pass) && self.reasons.iter().any(Reason::is_pending)
    }
}
