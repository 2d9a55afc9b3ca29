//! Why a push was not taken. What a client sees of it is decided in `routes::push`.

use sealgate_verifier::{Digest, Repository, Tag};

use crate::gate::GateError;

/// Why a push was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// No upload of this client in this repository has that identifier.
    #[error("this upload is unknown: it never began, has ended or has expired, or somebody else began it; begin anew with POST")]
    UploadUnknown,
    /// Another request writes to the upload.
    #[error("another request is writing to this upload; ask for its state with GET and go on from there")]
    UploadBusy,
    /// Too many uploads are unfinished.
    #[error("{limit} uploads of yours are unfinished; finish or DELETE some, or wait until they expire")]
    TooManyUploads {
        /// How many may be.
        limit: usize,
    },
    /// A chunk that does not begin where the last one ended.
    #[error("this chunk begins at byte {found}, and the upload goes on at byte {expected}")]
    OutOfOrder {
        /// Where the upload goes on.
        expected: u64,
        /// Where the chunk begins.
        found: u64,
    },
    /// The body's length is not what the headers say.
    #[error("expected {expected} bytes, as the headers say, and received {found}")]
    Length {
        /// Bytes that were announced.
        expected: u64,
        /// Bytes that came.
        found: u64,
    },
    /// The body broke off.
    #[error("the request's body broke off; the upload keeps what arrived")]
    BrokenBody,
    /// The blob's bytes have another digest.
    #[error("expected the bytes of {expected}, received those of {found}")]
    Digest {
        /// What the client named.
        expected: Box<Digest>,
        /// Our own hash.
        found: Box<Digest>,
    },
    /// A blob over the limit.
    #[error("a blob pushed here may have at most {limit} bytes{}", if *evidence { ": only evidence (signatures, attestations, SBOMs) is taken here" } else { "" })]
    BlobTooLarge {
        /// Bytes.
        limit: u64,
        /// Whether the limit is that of evidence.
        evidence: bool,
    },
    /// A manifest that can mean more than one thing, or none.
    #[error("{problem}")]
    BadManifest {
        /// What is wrong.
        problem: String,
    },
    /// A manifest lists what the repository does not have.
    #[error("the manifest lists {digest}, which this repository does not have; push it first")]
    Missing {
        /// What is missing.
        digest: Digest,
    },
    /// A manifest gives a listed blob another size.
    #[error("the manifest says that {digest} has {expected} bytes; it has {found}")]
    ListedSize {
        /// Which blob.
        digest: Digest,
        /// The manifest's number.
        expected: u64,
        /// The number of bytes that are stored.
        found: u64,
    },
    /// What may be pushed here is evidence, and this is none.
    #[error("only evidence about images may be pushed to {repository}: {problem}")]
    NotEvidence {
        /// Where.
        repository: Repository,
        /// What is wrong, and how to mend it.
        problem: &'static str,
    },
    /// A tag that never moves.
    #[error(
        "the tag {tag} is immutable here and points to {digest}: push under another tag, or have an administrator change `immutable-tags`"
    )]
    Immutable {
        /// The tag.
        tag: Tag,
        /// Where it points.
        digest: Digest,
    },
    /// Nothing is deleted here.
    #[error("nothing is deleted from {registry}: an administrator allows it with `deletes: allowed` in sealgate.yaml")]
    DeletesRefused {
        /// The registry.
        registry: String,
    },
    /// No such manifest or tag was pushed here.
    #[error("no such manifest or tag was pushed here")]
    ManifestUnknown,
    /// No such blob was pushed here.
    #[error("this repository has no such blob")]
    BlobUnknown,
    /// The store or an upstream.
    #[error("{0:?}")]
    Gate(GateError),
}

impl From<GateError> for PushError {
    fn from(error: GateError) -> Self {
        Self::Gate(error)
    }
}

impl From<crate::store::StoreError> for PushError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Gate(GateError::store(error))
    }
}

impl From<crate::store::PushError> for PushError {
    fn from(error: crate::store::PushError) -> Self {
        match error {
            crate::store::PushError::Immutable { tag, digest } => Self::Immutable { tag, digest },
            crate::store::PushError::Store(error) => error.into(),
        }
    }
}
