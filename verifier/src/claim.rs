//! What somebody seems to have signed, before it is known who.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::digest::Digest;

/// A signature that speaks of the right digest, if somebody can be found who made it.
#[derive(Debug)]
pub(crate) struct Claim<'a> {
    /// What it says.
    pub(crate) says: Says,
    /// What shows who says it.
    pub(crate) proof: Proof<'a>,
}

/// What a signature says of the digest. Attesting is not approving (DESIGN "What counts").
#[derive(Debug)]
pub(crate) enum Says {
    /// That the signer approves of it.
    Approval {
        /// The repository name that the signed bytes carry, where the form has a place for one.
        docker_reference: Option<String>,
    },
    /// Something about it.
    Attestation(Attestation),
}

/// What is stated about the digest.
#[derive(Debug)]
pub(crate) struct Attestation {
    /// Type of the predicate, a URI.
    pub(crate) predicate_type: String,
    /// The predicate as it stands in the signed bytes.
    pub(crate) predicate: Option<Box<RawValue>>,
}

/// What shows who made a signature.
#[derive(Debug)]
pub(crate) enum Proof<'a> {
    /// Sigstore's and cosign's forms.
    Sigstore(Sigstore<'a>),
    /// A Notation envelope, which is read by whoever verifies it.
    Notation {
        /// The layer.
        envelope: &'a [u8],
        /// Its media type.
        media_type: &'static str,
    },
}

/// A signature over bytes, and what stands beside it.
#[derive(Debug)]
pub(crate) struct Sigstore<'a> {
    /// The bytes that are signed.
    pub(crate) message: Cow<'a, [u8]>,
    /// The signature.
    pub(crate) signature: Vec<u8>,
    /// Why the signature may be nobody's whom the policy could know; for messages only.
    pub(crate) origin: Origin,
    /// Where certificates, log entries and timestamps stand.
    pub(crate) carrier: Carrier<'a>,
}

/// What carries a signature.
#[derive(Debug)]
pub(crate) enum Carrier<'a> {
    /// A bundle.
    Bundle(&'a [u8]),
    /// A simple signing payload, with its layer's annotations.
    SimpleSigning(&'a [u8], BTreeMap<String, String>),
    /// A DSSE envelope, with its layer's annotations.
    Envelope(&'a [u8], BTreeMap<String, String>),
}

/// What an unauthenticated hint says of the signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nothing.
    Unknown,
    /// A key with this id.
    Key(Digest),
    /// A certificate stands beside the signature: in a bundle nothing else counts.
    Certificate,
}

impl Claim<'_> {
    /// Type of the predicate of an attestation; `None` for an approval.
    pub(crate) fn predicate_type(&self) -> Option<&str> {
        match &self.says {
            Says::Approval { .. } => None,
            Says::Attestation(attestation) => Some(&attestation.predicate_type),
        }
    }
}
