//! What became of each signature that was looked at.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::evidence::Location;
use crate::policy::SignerName;
use crate::principal::Principal;
use crate::time::Timestamp;

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
