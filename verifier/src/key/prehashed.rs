//! Signatures over a message of which only the digest is at hand. ring hashes by itself, so ECDSA goes through RustCrypto here, and RSA's
//! public operation through its big integers.

use super::{KeyAlgorithm, PublicKey, pkcs1};

impl PublicKey {
    /// Whether `signature` is by this key over a message whose SHA-256, SHA-384 or SHA-512 is `digest`. Never for Ed25519, which
    /// signs the message itself: deny what cannot be verified.
    #[must_use]
    pub fn verify_prehashed(&self, digest: &[u8], signature: &[u8]) -> bool {
        if ![32, 48, 64].contains(&digest.len()) {
            return false;
        }
        match self.algorithm {
            KeyAlgorithm::EcdsaP256 => p256(&self.raw, digest, signature).is_some(),
            KeyAlgorithm::EcdsaP384 => p384(&self.raw, digest, signature).is_some(),
            KeyAlgorithm::Rsa => pkcs1::verify(&self.raw, digest, signature).is_some(),
            KeyAlgorithm::Ed25519 => false,
        }
    }
}

fn p256(point: &[u8], digest: &[u8], signature: &[u8]) -> Option<()> {
    use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
    key.verify_prehash(digest, &p256::ecdsa::Signature::from_der(signature).ok()?).ok()
}

fn p384(point: &[u8], digest: &[u8], signature: &[u8]) -> Option<()> {
    use p384::ecdsa::signature::hazmat::PrehashVerifier as _;
    let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
    key.verify_prehash(digest, &p384::ecdsa::Signature::from_der(signature).ok()?).ok()
}
