//! Sigstore bundles v0.1 to v0.3 (sigstore/protobuf-specs, `sigstore_bundle.proto`, in protobuf's JSON mapping).
//!
//! Log entries and timestamps are left unread here; unknown fields are tolerated, as the mapping asks.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::digest::Digest;
use crate::dsse::{DsseError, Envelope, WireEnvelope};
use crate::encoding::{self, Base64};
use crate::json::{self, JsonError, Keys, Object};
use crate::media_type;

const KEYS: Keys = Keys {
    known: &[
        "mediaType",
        "verificationMaterial",
        "publicKey",
        "hint",
        "certificate",
        "x509CertificateChain",
        "messageSignature",
        "messageDigest",
        "algorithm",
        "digest",
        "signature",
        "dsseEnvelope",
        "payload",
        "payloadType",
        "signatures",
        // Not DSSE's `keyid`: log entries have a `keyId` of their own.
        "sig",
    ],
    maps: &[],
    compared: usize::MAX,
};

/// Why bytes are no bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Not one JSON object with the fields of a bundle.
    #[error("Sigstore bundle: {0}")]
    Json(#[from] JsonError),
    /// An unknown version.
    #[error("Sigstore bundle of an unknown version: expected v0.1, v0.2 or v0.3")]
    Version,
    /// No verification material, or more than one kind.
    #[error("Sigstore bundle: expected exactly one of publicKey, certificate and x509CertificateChain, found {found}")]
    Material {
        /// How many.
        found: usize,
    },
    /// No content, or more than one kind.
    #[error("Sigstore bundle: expected exactly one of messageSignature and dsseEnvelope, found {found}")]
    Content {
        /// How many.
        found: usize,
    },
    /// The envelope is malformed.
    #[error("Sigstore bundle: {0}")]
    Dsse(#[from] DsseError),
    /// More than one signature in the envelope (sigstore_bundle.proto, `dsse_envelope`: exactly one).
    #[error("Sigstore bundle with {found} DSSE signatures: expected exactly one")]
    Signatures {
        /// How many.
        found: usize,
    },
}

/// How a bundle says that it was signed. Nothing in here is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Material {
    /// By a key that both sides know.
    PublicKey {
        /// SHA-256 of the key's SubjectPublicKeyInfo where the hint is one, as cosign writes it. Good for messages only: a
        /// hint never chooses the key.
        hint: Option<Digest>,
    },
    /// By a certificate ("keyless"). Not supported in this version.
    Certificate,
}

/// What was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The artifact's bytes.
    Message {
        /// The artifact's digest, where the bundle gives one.
        digest: Option<MessageDigest>,
        /// The signature.
        signature: Vec<u8>,
    },
    /// A DSSE envelope with exactly one signature.
    Dsse(Envelope),
}

/// A message digest, as `sigstore_common.proto`'s `HashOutput`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageDigest {
    algorithm: Option<HashAlgorithm>,
    digest: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HashAlgorithm {
    Sha256,
    Sha384,
    Sha512,
}

impl MessageDigest {
    /// Whether it is the digest of `message`. An unknown algorithm is never.
    #[must_use]
    pub fn matches(&self, message: &[u8]) -> bool {
        self.parts().is_some_and(|(algorithm, digest)| ring::digest::digest(algorithm, message).as_ref() == digest)
    }

    /// The algorithm and the digest; `None` where the algorithm is unknown.
    pub(crate) fn parts(&self) -> Option<(&'static ring::digest::Algorithm, &[u8])> {
        let algorithm = match self.algorithm? {
            HashAlgorithm::Sha256 => &ring::digest::SHA256,
            HashAlgorithm::Sha384 => &ring::digest::SHA384,
            HashAlgorithm::Sha512 => &ring::digest::SHA512,
        };
        Some((algorithm, &self.digest))
    }
}

/// A bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Media type, which names the version.
    pub media_type: String,
    /// How it says that it was signed.
    pub material: Material,
    /// What was signed.
    pub content: Content,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireBundle {
    media_type: String,
    verification_material: Object<WireMaterial>,
    message_signature: Option<Object<WireMessage>>,
    dsse_envelope: Option<Object<WireEnvelope>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMaterial {
    public_key: Option<Object<WireKey>>,
    certificate: Option<IgnoredAny>,
    #[serde(rename = "x509CertificateChain")]
    chain: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct WireKey {
    #[serde(default)]
    hint: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMessage {
    message_digest: Option<Object<WireDigest>>,
    signature: Base64,
}

#[derive(Deserialize)]
struct WireDigest {
    /// A name or, as protobuf's JSON mapping allows, a number.
    algorithm: Option<WireAlgorithm>,
    #[serde(default)]
    digest: Base64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WireAlgorithm {
    Name(String),
    Number(i32),
}

impl Bundle {
    /// Reads a bundle.
    ///
    /// # Errors
    /// When it is none, of an unknown version, or does not hold exactly one kind of material and of content.
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        let wire: WireBundle = json::read(bytes, &KEYS)?;
        if !media_type::is_bundle(&wire.media_type) {
            return Err(BundleError::Version);
        }
        let Object(material) = wire.verification_material;
        Ok(Self { media_type: wire.media_type, material: material.check()?, content: content(wire.message_signature, wire.dsse_envelope)? })
    }
}

impl WireMaterial {
    fn check(self) -> Result<Material, BundleError> {
        let certificates = usize::from(self.certificate.is_some()) + usize::from(self.chain.is_some());
        match (self.public_key, certificates) {
            (Some(Object(key)), 0) => {
                let hint = encoding::decode(&key.hint).and_then(|hash| <[u8; 32]>::try_from(hash).ok()).map(Digest::Sha256);
                Ok(Material::PublicKey { hint })
            }
            (None, 1) => Ok(Material::Certificate),
            (key, certificates) => Err(BundleError::Material { found: usize::from(key.is_some()) + certificates }),
        }
    }
}

fn content(message: Option<Object<WireMessage>>, envelope: Option<Object<WireEnvelope>>) -> Result<Content, BundleError> {
    match (message, envelope) {
        (Some(Object(message)), None) => {
            let digest = message.message_digest.map(|Object(digest)| digest.check());
            Ok(Content::Message { digest, signature: message.signature.0 })
        }
        (None, Some(Object(envelope))) => {
            let envelope = envelope.envelope()?;
            match envelope.signatures.len() {
                1 => Ok(Content::Dsse(envelope)),
                found => Err(BundleError::Signatures { found }),
            }
        }
        (Some(_), Some(_)) => Err(BundleError::Content { found: 2 }),
        (None, None) => Err(BundleError::Content { found: 0 }),
    }
}

impl WireDigest {
    /// `sigstore_common.proto`, `HashAlgorithm`.
    fn check(self) -> MessageDigest {
        let algorithm = match self.algorithm {
            Some(WireAlgorithm::Number(1)) => Some(HashAlgorithm::Sha256),
            Some(WireAlgorithm::Number(2)) => Some(HashAlgorithm::Sha384),
            Some(WireAlgorithm::Number(3)) => Some(HashAlgorithm::Sha512),
            Some(WireAlgorithm::Name(name)) => match &*name {
                "SHA2_256" => Some(HashAlgorithm::Sha256),
                "SHA2_384" => Some(HashAlgorithm::Sha384),
                "SHA2_512" => Some(HashAlgorithm::Sha512),
                _ => None,
            },
            Some(WireAlgorithm::Number(_)) | None => None,
        };
        MessageDigest { algorithm, digest: self.digest.0 }
    }
}

#[cfg(test)]
mod tests;
