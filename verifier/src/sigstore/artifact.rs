//! What is signed, and signatures over it.

use ring::digest::{self, Algorithm};

use super::VerifyError;
use crate::bundle::{Bundle, Content};
use crate::digest::Digest;
use crate::dsse::Envelope;
use crate::key::{KeyAlgorithm, PublicKey};
use crate::media_type;
use crate::statement::Statement;

/// What a signature should be over: bytes, or the digest of bytes that are not at hand.
#[derive(Debug, Clone, Copy)]
pub enum Artifact<'a> {
    /// The bytes themselves, for example a manifest.
    Bytes(&'a [u8]),
    /// Their digest.
    Digest(Digest),
}

impl Artifact<'_> {
    /// The digest by `algorithm`; `None` where only another one is known.
    fn digest(&self, algorithm: &'static Algorithm) -> Option<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Some(digest::digest(algorithm, bytes).as_ref().to_vec()),
            Self::Digest(Digest::Sha256(hash)) => (algorithm == &digest::SHA256).then(|| hash.to_vec()),
            Self::Digest(Digest::Sha512(hash)) => (algorithm == &digest::SHA512).then(|| hash.to_vec()),
        }
    }
}

/// A signature, and what it is over.
pub(super) enum Signed<'a> {
    /// The artifact's bytes. `None` where a payload is at hand anyhow.
    Message { artifact: Artifact<'a>, signature: &'a [u8] },
    /// An envelope, and its bytes where they are those that were logged.
    Dsse { envelope: &'a Envelope, signature: &'a [u8], raw: Option<&'a [u8]> },
}

impl<'a> Signed<'a> {
    /// The content of a bundle, whose own message digest, where it gives one, has to be the artifact's (sigstore-python#1651).
    pub(super) fn of(bundle: &'a Bundle, artifact: Artifact<'a>) -> Result<Self, VerifyError> {
        match &bundle.content {
            Content::Message { digest: None, signature } => Ok(Self::Message { artifact, signature }),
            Content::Message { digest: Some(found), signature } => {
                let unknown = VerifyError::Artifact { problem: "messageDigest of an unknown algorithm" };
                let (algorithm, found) = found.parts().ok_or(unknown)?;
                let problem = "messageDigest is by another algorithm than the digest at hand";
                let expected = artifact.digest(algorithm).ok_or(VerifyError::Artifact { problem })?;
                if found == expected {
                    Ok(Self::Message { artifact, signature })
                } else {
                    Err(VerifyError::Artifact { problem: "messageDigest is not the artifact's digest" })
                }
            }
            Content::Dsse(envelope) => Self::dsse(envelope, None),
        }
    }

    /// An envelope with exactly one signature: a second one would be nobody's business to verify (client-spec, section 4.4).
    pub(super) fn dsse(envelope: &'a Envelope, raw: Option<&'a [u8]>) -> Result<Self, VerifyError> {
        match &*envelope.signatures {
            [signature] => Ok(Self::Dsse { envelope, signature, raw }),
            _ => Err(VerifyError::Shape { expected: "exactly one DSSE signature" }),
        }
    }

    pub(super) fn signature(&self) -> &'a [u8] {
        match self {
            Self::Message { signature, .. } | Self::Dsse { signature, .. } => signature,
        }
    }

    /// The envelope's own bytes, where they are at hand.
    pub(super) fn raw(&self) -> Option<&'a [u8]> {
        match self {
            Self::Dsse { raw, .. } => *raw,
            Self::Message { .. } => None,
        }
    }

    /// Digest of what is signed, as a `hashedrekord` entry has it: of the message, or of the pre-authentication encoding.
    pub(super) fn digest(&self, algorithm: &'static Algorithm) -> Option<Vec<u8>> {
        match self {
            Self::Message { artifact, .. } => artifact.digest(algorithm),
            Self::Dsse { envelope, .. } => Some(digest::digest(algorithm, &envelope.pre_authentication_encoding()).as_ref().to_vec()),
        }
    }

    /// Checks that the signature is by `key`.
    pub(super) fn verify(&self, key: &PublicKey) -> Result<(), VerifyError> {
        let right = match self {
            Self::Message { artifact: Artifact::Bytes(bytes), signature } => key.verify(bytes, signature),
            Self::Message { artifact: Artifact::Digest(digest), signature } => {
                if key.algorithm() == KeyAlgorithm::Ed25519 {
                    return Err(VerifyError::NeedsBytes { algorithm: key.algorithm().name() });
                }
                key.verify_prehashed(digest.as_bytes(), signature)
            }
            Self::Dsse { envelope, signature, .. } => key.verify(&envelope.pre_authentication_encoding(), signature),
        };
        if right { Ok(()) } else { Err(VerifyError::Signature) }
    }

    /// The signed statement, which has to name `artifact`; `None` for a message.
    pub(super) fn statement(&self, artifact: Artifact<'_>) -> Result<Option<Vec<u8>>, VerifyError> {
        let Self::Dsse { envelope, .. } = self else {
            return Ok(None);
        };
        if envelope.payload_type != media_type::IN_TOTO {
            return Err(VerifyError::Artifact { problem: "a payload that is no in-toto statement" });
        }
        let problem = "a payload that is no in-toto statement";
        let statement = Statement::parse(&envelope.payload).map_err(|_| VerifyError::Artifact { problem })?;
        let named = match artifact {
            Artifact::Bytes(bytes) => {
                statement.names(&Digest::sha256(bytes)) || statement.names(&Digest::of(crate::Algorithm::Sha512, bytes))
            }
            Artifact::Digest(digest) => statement.names(&digest),
        };
        if named {
            Ok(Some(envelope.payload.clone()))
        } else {
            Err(VerifyError::Artifact { problem: "a statement that does not name the artifact" })
        }
    }
}
