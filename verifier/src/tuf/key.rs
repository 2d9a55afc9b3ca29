//! Keys in root metadata (TUF specification, section 4.2.1, "Key types").

use ring::signature::{self, VerificationAlgorithm};
use serde::Deserialize;

use super::metadata::unhex;
use crate::key::{KeyAlgorithm, KeyId, PublicKey};

/// DER of a SubjectPublicKeyInfo before the 32 bytes of an Ed25519 key (RFC 8410, section 4).
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// DER of a SubjectPublicKeyInfo before the 65 bytes of an uncompressed point of P-256 (RFC 5480, section 2).
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
    0x07, 0x03, 0x42, 0x00,
];

/// A key as it stands in JSON.
#[derive(Debug, Deserialize)]
pub(super) struct WireKey {
    scheme: String,
    keyval: WireKeyValue,
}

#[derive(Debug, Deserialize)]
struct WireKeyValue {
    public: String,
}

/// A key, and how it signs.
#[derive(Debug, Clone)]
pub(super) struct Key {
    public: PublicKey,
    how: &'static dyn VerificationAlgorithm,
}

impl Key {
    /// None for a key that cannot be verified with: its signatures count for nothing.
    pub(super) fn read(wire: &WireKey) -> Option<Self> {
        let (algorithm, how): (_, &'static dyn VerificationAlgorithm) = match wire.scheme.as_str() {
            "ecdsa-sha2-nistp256" => (KeyAlgorithm::EcdsaP256, &signature::ECDSA_P256_SHA256_ASN1),
            "ecdsa-sha2-nistp384" => (KeyAlgorithm::EcdsaP384, &signature::ECDSA_P384_SHA384_ASN1),
            "ed25519" => (KeyAlgorithm::Ed25519, &signature::ED25519),
            "rsassa-pss-sha256" => (KeyAlgorithm::Rsa, &signature::RSA_PSS_2048_8192_SHA256),
            _ => return None,
        };
        let public = public(&wire.keyval.public, algorithm)?;
        (public.algorithm() == algorithm).then_some(Self { public, how })
    }

    /// Who it is, whatever its key id says: one key is one principal.
    pub(super) const fn id(&self) -> KeyId {
        self.public.id()
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.public.verify_by(self.how, message, signature)
    }
}

/// PEM; Ed25519 keys and, by go-tuf before 0.7, points of P-256 in hex.
fn public(text: &str, algorithm: KeyAlgorithm) -> Option<PublicKey> {
    if text.contains("-----BEGIN") {
        return PublicKey::from_pem(text).ok();
    }
    let raw = unhex(text)?;
    let der = match algorithm {
        KeyAlgorithm::Ed25519 => [&ED25519_PREFIX[..], &raw].concat(),
        KeyAlgorithm::EcdsaP256 => [&P256_PREFIX[..], &raw].concat(),
        KeyAlgorithm::EcdsaP384 | KeyAlgorithm::Rsa => return None,
    };
    PublicKey::from_der(&der).ok()
}
