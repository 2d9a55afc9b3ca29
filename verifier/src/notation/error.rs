//! Why a signature does not verify.

use super::algorithm::{AlgorithmError, EnvelopeAlgorithm};
use super::certificate::CertificateError;
use super::cose::CoseError;
use super::level::Validation;
use super::name::NameError;
use super::signer::StoreKind;
use super::timestamp::TimestampError;
use crate::digest::{Digest, DigestError};
use crate::json::JsonError;
use crate::time::Timestamp;

/// Why an envelope does not verify, or what a level that does not enforce everything has let pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotationError {
    /// Another envelope type.
    #[error("Notation envelope of type {found:?}: expected application/jose+json or application/cose")]
    MediaType {
        /// The type, shortened.
        found: String,
    },
    /// A JWS envelope that is not the flattened JSON serialization, or its protected header is malformed.
    #[error("Notation JWS envelope: {0}")]
    Jws(JsonError),
    /// A field of a JWS envelope that is not base64 of its kind.
    #[error("Notation JWS envelope: {field} is not base64 without alterations")]
    Base64 {
        /// The field.
        field: &'static str,
    },
    /// A COSE envelope that is not a tagged COSE_Sign1 in plain CBOR.
    #[error("Notation COSE envelope: {0}")]
    Cose(#[from] CoseError),
    /// More headers than the limit.
    #[error("Notation envelope with {found} headers: expected at most {limit}")]
    Headers {
        /// How many.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A header of the wrong type or with an unknown value.
    #[error("Notation header {header}: expected {expected}")]
    Header {
        /// Its name.
        header: &'static str,
        /// What should stand there.
        expected: &'static str,
    },
    /// A header that must be there and is not.
    #[error("Notation envelope without the header {header}")]
    MissingHeader {
        /// Its name.
        header: &'static str,
    },
    /// A header that this signing scheme does not allow.
    #[error("Notation header {header}, which signing scheme {scheme} does not allow")]
    HeaderOfOtherScheme {
        /// Its name.
        header: &'static str,
        /// The scheme.
        scheme: &'static str,
    },
    /// A header that must be critical and is not.
    #[error("Notation header {header}: expected it in crit")]
    NotCritical {
        /// Its name.
        header: &'static str,
    },
    /// A critical header that is not understood, is missing, or stands in `crit` twice.
    #[error("critical Notation header {header:?}: expected only known headers, each present and named once")]
    Critical {
        /// Its name, shortened.
        header: String,
    },
    /// The signature asks for a verification plugin.
    #[error("Notation signature that needs the verification plugin {plugin:?}: plugins are not run")]
    Plugin {
        /// Its name, shortened.
        plugin: String,
    },
    /// Another payload type.
    #[error("Notation payload of type {found:?}: expected application/vnd.cncf.notary.payload.v1+json")]
    ContentType {
        /// The type, shortened.
        found: String,
    },
    /// The expiry is not after the signing time.
    #[error("Notation signature that expires at {expires}: expected a time after its signing at {signed_at}")]
    ExpiryBeforeSigning {
        /// Signing time, as the signer says.
        signed_at: Timestamp,
        /// Expiry.
        expires: Timestamp,
    },
    /// No certificates, or too many.
    #[error("Notation envelope with {found} certificates: expected 1 to {limit}")]
    ChainLength {
        /// How many.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A certificate that does not fit its place.
    #[error("certificate {number} of the Notation chain (the signing certificate is 1): {problem}")]
    Certificate {
        /// Its place, from 1.
        number: usize,
        /// What is wrong with it.
        problem: CertificateError,
    },
    /// The signing key is of a kind or size that is not used.
    #[error("Notation signing key: {0}")]
    Key(#[from] AlgorithmError),
    /// The algorithm that the envelope names is not the signing key's.
    #[error("Notation envelope signed with {}: expected {}, the algorithm of the signing key", found.name(), expected.name())]
    Algorithm {
        /// What the key signs with.
        expected: EnvelopeAlgorithm,
        /// What the envelope says.
        found: EnvelopeAlgorithm,
    },
    /// The signature is not by the signing certificate's key over these bytes.
    #[error("Notation signature that is not by its certificate over this envelope")]
    Signature,
    /// The payload is malformed.
    #[error("Notation payload: {0}")]
    Payload(JsonError),
    /// The payload is over its limit.
    #[error("Notation payload of {found} bytes: expected at most {limit}")]
    PayloadSize {
        /// Bytes.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The payload's digest is malformed.
    #[error("Notation payload: {0}")]
    PayloadDigest(#[from] DigestError),
    /// It signs another digest.
    #[error("Notation signature for {found}: expected {expected}")]
    OtherSubject {
        /// What is being verified.
        expected: Box<Digest>,
        /// What is signed.
        found: Box<Digest>,
    },
    /// It signs the digest with another size.
    #[error("Notation signature for {found} bytes: expected {expected}, the size of the subject")]
    OtherSize {
        /// The subject's size in bytes.
        expected: u64,
        /// What is signed.
        found: u64,
    },
    /// It signs the digest as another media type.
    #[error("Notation signature for media type {found:?}: expected {expected:?}")]
    OtherMediaType {
        /// The subject's type.
        expected: String,
        /// What is signed, shortened.
        found: String,
    },
    /// The chain's root is in no trust store of the kind that the signing scheme asks for.
    #[error("Notation signature under the root {root}: expected a root of the trust store {}", store.name())]
    UntrustedRoot {
        /// SHA-256 of the root certificate.
        root: Digest,
        /// The kind of store that was searched.
        store: StoreKind,
    },
    /// The signing certificate's subject is none of the trusted identities.
    #[error("Notation signature by {found:?}: expected one of the signer's identities")]
    Identity {
        /// The subject, shortened.
        found: String,
    },
    /// The signing certificate's subject cannot be compared.
    #[error("Notation signing certificate: {0}")]
    Subject(#[from] NameError),
    /// The signature has expired.
    #[error("Notation signature that expired at {expires}")]
    Expired {
        /// When.
        expires: Timestamp,
    },
    /// The signer has TSA certificates and the signature no timestamp.
    #[error("Notation signature without a timestamp, which this signer's tsa trust store asks for")]
    NoTimestamp,
    /// The timestamp does not verify.
    #[error("Notation timestamp: {0}")]
    Timestamp(#[from] TimestampError),
    /// A certificate is revoked.
    #[error("certificate {number} of the Notation chain (the signing certificate is 1) is revoked")]
    Revoked {
        /// Its place, from 1.
        number: usize,
    },
    /// A certificate's issuer has a revocation list that cannot be relied on, or none was given.
    #[error("certificate {number} of the Notation chain (the signing certificate is 1): {problem}")]
    RevocationUnknown {
        /// Its place, from 1.
        number: usize,
        /// Why.
        problem: RevocationGap,
    },
}

/// Why it is not known whether a certificate is revoked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevocationGap {
    /// No list of its issuer was given.
    #[error("no revocation list of its issuer was given, though it names a place for one")]
    Missing,
    /// Every list of its issuer is signed by another key, or by one that may not sign lists.
    #[error("no revocation list that its issuer signed was given")]
    Signature,
    /// The newest list of its issuer is not valid yet.
    #[error("its issuer's revocation list begins at {this_update}")]
    NotYetValid {
        /// When it begins.
        this_update: Timestamp,
    },
    /// The newest list of its issuer has ended.
    #[error("its issuer's revocation list ended at {next_update}: give a newer one")]
    Stale {
        /// When it ended.
        next_update: Timestamp,
    },
}

impl NotationError {
    pub(super) const fn chain(index: usize, problem: CertificateError) -> Self {
        Self::Certificate { number: index + 1, problem }
    }

    /// Whether the signature is whole and for this subject, but not (any longer) by somebody that the signer stands for.
    #[must_use]
    pub const fn is_by_somebody_else(&self) -> bool {
        matches!(self, Self::UntrustedRoot { .. } | Self::Identity { .. } | Self::Subject(_))
    }
}

/// What a level has let pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The step that failed.
    pub validation: Validation,
    /// How.
    pub problem: NotationError,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} not enforced: {}", self.validation.name(), self.problem)
    }
}
