//! ECDSA keys over P-256.

use rcgen::{KeyPair, PublicKeyData};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};

/// A key pair.
#[derive(Debug)]
pub struct Key {
    /// As rcgen knows it.
    pub pair: KeyPair,
    signing: EcdsaKeyPair,
}

impl Key {
    /// A new one.
    #[must_use]
    pub fn generate() -> Self {
        let pair = KeyPair::generate().expect("a key");
        let pkcs8 = pair.serialize_der();
        let signing = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8, &SystemRandom::new()).expect("PKCS #8");
        Self { pair, signing }
    }

    /// A signature over SHA-256 of `message`, as ASN.1 DER.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.signing.sign(&SystemRandom::new(), message).expect("a signature").as_ref().to_vec()
    }

    /// DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn info(&self) -> Vec<u8> {
        self.pair.subject_public_key_info()
    }

    /// SHA-256 of [`Self::info`]: the id of a log with this key.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        ring::digest::digest(&ring::digest::SHA256, &self.info()).as_ref().try_into().expect("32 bytes")
    }

    /// PEM.
    #[must_use]
    pub fn public_pem(&self) -> String {
        self.pair.public_key_pem()
    }
}
