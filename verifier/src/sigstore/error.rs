//! Why something does not verify: the first step that failed, in the order in which the steps are taken.

use super::path::PathError;
use super::timestamp::TimestampError;
use crate::bundle::BundleError;
use crate::dsse::DsseError;
use crate::json::JsonError;
use crate::time::Timestamp;

/// The first step that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The bundle is none.
    #[error("{0}")]
    Bundle(#[from] BundleError),
    /// The envelope is none.
    #[error("{0}")]
    Dsse(#[from] DsseError),
    /// The verification material, or an annotation in its place, cannot be read.
    #[error("verification material: {0}")]
    Material(#[from] JsonError),
    /// The verification material is not what its version or its place asks for.
    #[error("verification material: expected {expected}")]
    Shape {
        /// What should stand there.
        expected: &'static str,
    },
    /// The signing certificate cannot be read or says too little.
    #[error("certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// A timestamp by a timestamp authority.
    #[error("{0}")]
    Timestamp(#[from] TimestampError),
    /// The log's promise (SET) is not the log's.
    #[error("log entry: the inclusion promise (SET) is not by the log")]
    Promise,
    /// Nothing that could be verified says when the signature was made.
    #[error("no verified time of signing: expected a timestamp, or a log entry with an inclusion promise")]
    NoTime,
    /// No certificate authority counted at the time of signing.
    #[error("certificate chain: no certificate authority of the trust root counted at {at}")]
    NoAuthority {
        /// The time of signing.
        at: Timestamp,
    },
    /// The certificate is not by an authority of the trust root, or not at a time of signing.
    #[error("certificate chain: {0}")]
    Chain(#[from] PathError),
    /// The signed certificate timestamp.
    #[error("signed certificate timestamp (SCT): {problem}")]
    Sct {
        /// What is wrong.
        problem: &'static str,
    },
    /// No log entry where one is required.
    #[error("no transparency-log entry: expected at least one")]
    NoEntry,
    /// An entry of a log that the trust root does not list.
    #[error("log entry: of a log that the trust root does not know")]
    UnknownLog,
    /// The log's key did not count at the time of signing.
    #[error("log entry: the log's key did not count at {at}")]
    LogWindow {
        /// The time of signing.
        at: Timestamp,
    },
    /// The proof does not lead from the entry to the root of the tree.
    #[error("log entry: inclusion proof: {problem}")]
    Inclusion {
        /// What is wrong.
        problem: &'static str,
    },
    /// The checkpoint is malformed, or not the log's.
    #[error("log entry: checkpoint: {problem}")]
    Checkpoint {
        /// What is wrong.
        problem: &'static str,
    },
    /// The entry is about something else, or of a kind that is not known.
    #[error("log entry: it does not describe this signature: {problem}")]
    Body {
        /// What differs.
        problem: &'static str,
    },
    /// The signature is not by the key.
    #[error("the signature is wrong")]
    Signature,
    /// The signature is over something else.
    #[error("signed is something else: {problem}")]
    Artifact {
        /// What differs.
        problem: &'static str,
    },
    /// It cannot be verified from the digest alone.
    #[error("{algorithm} signatures over an artifact cannot be verified from a digest of it")]
    NeedsBytes {
        /// The key's algorithm.
        algorithm: &'static str,
    },
}

/// What is wrong with a signing certificate itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not an X.509 certificate in DER (or PEM, where that is expected).
    #[error("not a certificate")]
    Malformed,
    /// A key of a kind that cannot be verified.
    #[error("{0}")]
    Key(#[from] crate::key::KeyError),
    /// Fulcio writes exactly one name (fulcio, docs/certificate-specification.md).
    #[error("{found} subject alternative names, expected exactly one e-mail address, URI or user name")]
    Subject {
        /// How many names of these kinds there are.
        found: usize,
    },
    /// No OIDC issuer.
    #[error("no OIDC issuer (extension 1.3.6.1.4.1.57264.1.8)")]
    NoIssuer,
    /// An extension of Fulcio's that is not a string.
    #[error("malformed extension 1.3.6.1.4.1.57264.1.{arc}")]
    Extension {
        /// The last number of its object identifier.
        arc: u32,
    },
}
