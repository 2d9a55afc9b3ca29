//! Public keys: P-256, P-384, Ed25519 and RSA, as PEM `PUBLIC KEY` (SubjectPublicKeyInfo, RFC 5280 §4.1.2.7).

use std::fmt;

use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;

mod pkcs1;
mod prehashed;
mod spki;

/// SHA-256 of the DER SubjectPublicKeyInfo: the principal behind a key, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(Digest);

impl KeyId {
    /// The id that a hint claims; for messages only.
    pub(crate) const fn of(digest: Digest) -> Self {
        Self(digest)
    }

    /// The hash.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.0
    }

    /// `sha256:` and the first twelve hex digits, for messages.
    #[must_use]
    pub fn short(&self) -> String {
        let mut text = self.0.to_string();
        text.truncate("sha256:".len() + 12);
        text
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The kinds of key that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyAlgorithm {
    /// ECDSA over NIST P-256.
    EcdsaP256,
    /// ECDSA over NIST P-384.
    EcdsaP384,
    /// Ed25519 (RFC 8032), pure. The prehashed variant, Ed25519ph, is another algorithm and is not supported.
    Ed25519,
    /// RSA with 2048 to 8192 bits, PKCS#1 v1.5 padding.
    Rsa,
}

impl KeyAlgorithm {
    /// The name that people know it by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ECDSA P-256",
            Self::EcdsaP384 => "ECDSA P-384",
            Self::Ed25519 => "Ed25519",
            Self::Rsa => "RSA",
        }
    }

    fn verifiers(self) -> &'static [&'static dyn VerificationAlgorithm] {
        match self {
            Self::EcdsaP256 => &P256,
            Self::EcdsaP384 => &P384,
            Self::Ed25519 => &ED25519,
            Self::Rsa => &RSA,
        }
    }
}

// How a signature may have been made, the usual way first. For P-384, `cosign sign` hashes with SHA-384 and `cosign verify
// --key` expects SHA-256 (measured with 3.1), so tools write both.
static P256: [&dyn VerificationAlgorithm; 2] = [&signature::ECDSA_P256_SHA256_ASN1, &signature::ECDSA_P256_SHA384_ASN1];
static P384: [&dyn VerificationAlgorithm; 2] = [&signature::ECDSA_P384_SHA384_ASN1, &signature::ECDSA_P384_SHA256_ASN1];
static ED25519: [&dyn VerificationAlgorithm; 1] = [&signature::ED25519];
static RSA: [&dyn VerificationAlgorithm; 3] =
    [&signature::RSA_PKCS1_2048_8192_SHA256, &signature::RSA_PKCS1_2048_8192_SHA384, &signature::RSA_PKCS1_2048_8192_SHA512];

/// A public key, ready to verify with: nothing of its encoding is parsed again per signature.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    id: KeyId,
    algorithm: KeyAlgorithm,
    /// The BIT STRING's content: an uncompressed point, an Ed25519 key or an RSAPublicKey.
    raw: Box<[u8]>,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("id", &self.id).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Why bytes are no public key that can be used. Never repeats what was read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not PEM.
    #[error("not a PEM public key: expected one block that begins with -----BEGIN PUBLIC KEY-----")]
    Pem,
    /// A private key where a public one belongs.
    #[error("this is a private key: expected the public key (cosign.pub), and keep the private one out of the policy")]
    Private,
    /// More than one PEM block.
    #[error("{found} PEM blocks: expected one key per file")]
    Several {
        /// How many.
        found: usize,
    },
    /// PEM of another kind.
    #[error("a PEM block of another kind (a certificate?): expected PUBLIC KEY")]
    Label,
    /// The block holds no SubjectPublicKeyInfo in DER, or more than that.
    #[error("malformed public key: expected a DER SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7)")]
    Der,
    /// An algorithm, curve or parameter that cannot be verified.
    #[error("unsupported key (OID {oid}): expected ECDSA P-256 or P-384, Ed25519, or RSA")]
    Unsupported {
        /// Object identifier of the algorithm, or of the curve where that is what is not supported.
        oid: String,
    },
    /// A compressed or malformed point: one key must have one encoding.
    #[error("malformed {algorithm} key: expected an uncompressed point")]
    Point {
        /// The algorithm's name.
        algorithm: &'static str,
    },
    /// A key that anybody can sign for (a point of small order).
    #[error("weak key: anybody can make signatures that it accepts")]
    Weak,
    /// RSA outside of 2048 to 8192 bits.
    #[error("RSA key of {found} bits: expected 2048 to 8192")]
    RsaSize {
        /// Bits.
        found: usize,
    },
}

impl PublicKey {
    /// Reads one PEM `PUBLIC KEY` block. Text around the block is ignored (RFC 7468, section 2).
    ///
    /// # Errors
    /// When it is none, holds more than one block, or its algorithm is not supported.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        Self::from_der(&spki::unwrap_pem(pem)?)
    }

    /// Reads a DER SubjectPublicKeyInfo. Only the canonical encoding is taken, so that one key has one [`KeyId`].
    ///
    /// # Errors
    /// When it is none, or its algorithm is not supported.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let (algorithm, raw) = spki::parse(der)?;
        Ok(Self { id: KeyId(Digest::sha256(der)), algorithm, raw: raw.into() })
    }

    /// The key's principal.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// What kind of key it is.
    #[must_use]
    pub const fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// Whether `signature` over `message` is by this key. ECDSA signatures are ASN.1 DER; SHA-256 and SHA-384 count for both
    /// curves, SHA-256, SHA-384 and SHA-512 with PKCS#1 v1.5 for RSA.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.algorithm.verifiers().iter().any(|how| self.verify_by(*how, message, signature))
    }

    /// Whether `signature` over `message` is by this key, made in just this way.
    pub(crate) fn verify_by(&self, how: &'static dyn VerificationAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(how, &self.raw).verify(message, signature).is_ok()
    }
}

#[cfg(test)]
mod tests;
