//! A private key that signs: ECDSA P-256 and P-384, Ed25519, RSA from 2048 bits on.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use sealgate_verifier::Digest;
use spki::der::asn1::{AnyRef, BitStringRef};
use spki::der::{Encode, Tag};
use spki::{AlgorithmIdentifier, ObjectIdentifier, SubjectPublicKeyInfo};
use zeroize::Zeroizing;

use crate::cosign_key::{self, CosignKeyError};
use crate::sign::SignError;

/// RFC 5480 §2.1.1, id-ecPublicKey.
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// RFC 5480 §2.1.1.1, secp256r1.
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// RFC 5480 §2.1.1.1, secp384r1.
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// RFC 8410 §3, id-Ed25519.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// RFC 8017 appendix A.1, rsaEncryption.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// Why no password could be had. The text says how to give one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PasswordError(pub String);

/// Why a text is no key that can sign. No variant carries a byte of the key or the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyLoadError {
    /// Not PEM.
    #[error("the key is not PEM: expected a block -----BEGIN {label}----- or -----BEGIN PRIVATE KEY-----", label = cosign_key::LABEL)]
    NotPem,
    /// PEM of another kind.
    #[error("the key is a PEM block {found:?}: {mend}")]
    Label {
        /// The label, cut to 60 characters.
        found: String,
        /// How to get what is expected.
        mend: &'static str,
    },
    /// The encrypted envelope could not be opened.
    #[error(transparent)]
    Encrypted(#[from] CosignKeyError),
    /// The key is encrypted and no password could be had.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// No PKCS#8 of a supported algorithm.
    #[error("the key's algorithm is not supported: expected PKCS#8 of ECDSA P-256 or P-384, Ed25519, or RSA with 2048 to 4096 bits")]
    Algorithm,
}

/// What a key signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA over P-256 with SHA-256.
    P256,
    /// ECDSA over P-384 with SHA-384.
    P384,
    /// Ed25519, pure.
    Ed25519,
    /// RSA PKCS#1 v1.5 with SHA-256.
    Rsa,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P256 => "ECDSA P-256",
            Self::P384 => "ECDSA P-384",
            Self::Ed25519 => "Ed25519",
            Self::Rsa => "RSA",
        })
    }
}

/// A private key. `Debug` shows its public fingerprint only.
pub struct SigningKey {
    pair: Pair,
    /// DER SubjectPublicKeyInfo.
    spki: Vec<u8>,
}

enum Pair {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
}

/// The first PEM block (RFC 7468) of a text.
pub(crate) struct PemBlock {
    pub(crate) label: String,
    pub(crate) der: Zeroizing<Vec<u8>>,
}

impl PemBlock {
    pub(crate) fn first(text: &str) -> Result<Self, KeyLoadError> {
        let (label, der) = spki::der::pem::decode_vec(text.trim().as_bytes()).map_err(|_| KeyLoadError::NotPem)?;
        Ok(Self { label: label.to_owned(), der: Zeroizing::new(der) })
    }
}

/// PEM text of `bytes` under `label`, lines of 64 characters, as OpenSSL and cosign write it.
pub(crate) fn pem(label: &str, bytes: &[u8]) -> String {
    let body = Zeroizing::new(STANDARD.encode(bytes));
    // All the room at once, so that no reallocation leaves a copy behind.
    let mut text = String::with_capacity(body.len() + body.len() / 64 + 2 * label.len() + 64);
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

impl SigningKey {
    /// Reads PEM: cosign's encrypted keys, or plain PKCS#8 (`PRIVATE KEY`). `password` is asked only when the key is encrypted.
    ///
    /// # Errors
    /// See [`KeyLoadError`].
    pub fn from_pem(text: &str, password: impl FnOnce() -> Result<Zeroizing<String>, PasswordError>) -> Result<Self, KeyLoadError> {
        let block = PemBlock::first(text).map_err(|error| legacy_label(text).unwrap_or(error))?;
        match block.label.as_str() {
            cosign_key::LABEL | cosign_key::LEGACY_LABEL => {
                let password = password()?;
                Self::from_pkcs8(&cosign_key::decrypt(&block.der, password.as_bytes())?)
            }
            "PRIVATE KEY" => Self::from_pkcs8(&block.der),
            other => Err(wrong_label(other)),
        }
    }

    /// Reads PKCS#8 DER (RFC 5958).
    ///
    /// # Errors
    /// [`KeyLoadError::Algorithm`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyLoadError> {
        let random = SystemRandom::new();
        let pair = if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der, &random) {
            Pair::P256(pair)
        } else if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, der, &random) {
            Pair::P384(pair)
        // OpenSSL and Go write version 1, which has no public key to check the private one against.
        } else if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            Pair::Ed25519(pair)
        } else {
            Pair::Rsa(Box::new(RsaKeyPair::from_pkcs8(der).map_err(|_| KeyLoadError::Algorithm)?))
        };
        let spki = pair.spki().map_err(|_| KeyLoadError::Algorithm)?;
        Ok(Self { pair, spki })
    }

    /// A fresh P-256 key, and its PKCS#8 DER for [`cosign_key::encrypt`].
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn generate() -> Result<(Self, Zeroizing<Vec<u8>>), KeyLoadError> {
        let der =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new()).map_err(|_| CosignKeyError::Random)?;
        let der = Zeroizing::new(der.as_ref().to_vec());
        Ok((Self::from_pkcs8(&der)?, der))
    }

    /// Signs `message`: ECDSA as ASN.1 DER over SHA-256 (P-256) or SHA-384 (P-384), Ed25519 (RFC 8032, pure), RSA PKCS#1 v1.5 with SHA-256.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::P256(pair) | Pair::P384(pair) => {
                pair.sign(&random, message).map(|signature| signature.as_ref().to_vec()).map_err(|_| SignError::Random)
            }
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(|_| SignError::Random)?;
                Ok(signature)
            }
        }
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match &self.pair {
            Pair::P256(_) => Algorithm::P256,
            Pair::P384(_) => Algorithm::P384,
            Pair::Ed25519(_) => Algorithm::Ed25519,
            Pair::Rsa(_) => Algorithm::Rsa,
        }
    }

    /// The public key as PEM `PUBLIC KEY`.
    #[must_use]
    pub fn public_key_pem(&self) -> String {
        pem("PUBLIC KEY", &self.spki)
    }

    /// The public key as DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Bits of an RSA key's modulus; 0 of other keys.
    #[must_use]
    pub fn modulus_bits(&self) -> usize {
        match &self.pair {
            Pair::Rsa(pair) => pair.public().modulus_len() * 8,
            Pair::P256(_) | Pair::P384(_) | Pair::Ed25519(_) => 0,
        }
    }

    /// SHA-256 of the DER SubjectPublicKeyInfo: what a policy calls the key's id.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        Digest::sha256(&self.spki)
    }

    /// What a Sigstore bundle's `publicKey.hint` says: the fingerprint in base64 (cosign 3 writes and nobody trusts it).
    #[must_use]
    pub fn hint(&self) -> String {
        STANDARD.encode(self.fingerprint().as_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.algorithm(), self.fingerprint())
    }
}

impl Pair {
    fn spki(&self) -> Result<Vec<u8>, spki::der::Error> {
        let null = AnyRef::new(Tag::Null, &[]);
        let (oid, parameters, public) = match self {
            Self::P256(pair) => (EC_PUBLIC_KEY, Some(AnyRef::from(&P256)), pair.public_key().as_ref()),
            Self::P384(pair) => (EC_PUBLIC_KEY, Some(AnyRef::from(&P384)), pair.public_key().as_ref()),
            Self::Ed25519(pair) => (ED25519, None, pair.public_key().as_ref()),
            Self::Rsa(pair) => (RSA, Some(null?), pair.public_key().as_ref()),
        };
        let subject_public_key = BitStringRef::from_bytes(public)?;
        SubjectPublicKeyInfo { algorithm: AlgorithmIdentifier { oid, parameters }, subject_public_key }.to_der()
    }
}

/// PKCS#1 and SEC 1 blocks of OpenSSL 1 may carry headers that RFC 7468 forbids; they still deserve their own answer.
fn legacy_label(text: &str) -> Option<KeyLoadError> {
    ["EC PRIVATE KEY", "RSA PRIVATE KEY", "DSA PRIVATE KEY"]
        .into_iter()
        .find(|label| text.contains(&format!("-----BEGIN {label}-----")))
        .map(wrong_label)
}

fn wrong_label(found: &str) -> KeyLoadError {
    let mend = match found {
        "EC PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PARAMETERS" => {
            "convert it with `openssl pkcs8 -topk8 -nocrypt -in OLD.pem -out NEW.pem`"
        }
        "ENCRYPTED PRIVATE KEY" => {
            "convert it with `cosign import-key-pair --key OLD.pem`, or decrypt it with `openssl pkcs8 -in OLD.pem -out NEW.pem`"
        }
        "OPENSSH PRIVATE KEY" => "convert a copy with `ssh-keygen -p -m PKCS8 -f COPY`",
        "PUBLIC KEY" | "CERTIFICATE" => "expected the private key",
        _ => "expected ENCRYPTED SIGSTORE PRIVATE KEY or PRIVATE KEY",
    };
    KeyLoadError::Label { found: found.chars().take(60).collect(), mend }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never() -> Result<Zeroizing<String>, PasswordError> {
        Err(PasswordError("asked for a password".to_owned()))
    }

    /// A plain Ed25519 key as `openssl genpkey -algorithm ed25519` writes it: RFC 8410 §10.3, the first example.
    const RFC_8410: &str =
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";

    #[test]
    fn a_plain_key_needs_no_password_and_yields_the_public_key_of_the_rfc() {
        let key = SigningKey::from_pem(RFC_8410, never).expect("a key");
        assert_eq!(key.algorithm(), Algorithm::Ed25519);
        // RFC 8410 §10.1.
        let expected =
            "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        assert_eq!(key.public_key_pem(), expected);
    }

    #[test]
    fn a_generated_key_round_trips_and_its_debug_shows_no_secret() {
        let (key, der) = SigningKey::generate().expect("a key");
        let again = SigningKey::from_pem(&pem("PRIVATE KEY", &der), never).expect("the same key");
        assert_eq!(key.fingerprint(), again.fingerprint());
        let public = spki::der::pem::decode_vec(key.public_key_pem().as_bytes()).expect("PEM").1;
        let signature = key.sign(b"message").expect("signs");
        // The last 65 bytes of a P-256 SubjectPublicKeyInfo are the uncompressed point.
        let point = &public[public.len() - 65..];
        let verifier = ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_ASN1, point);
        assert!(verifier.verify(b"message", &signature).is_ok());
        assert!(verifier.verify(b"massage", &signature).is_err());
        assert_eq!(format!("{key:?}"), format!("SigningKey(ECDSA P-256 {})", key.fingerprint()));
    }

    #[test]
    fn an_encrypted_key_asks_for_its_password_and_tells_when_it_is_wrong() {
        let (key, der) = SigningKey::generate().expect("a key");
        let text = cosign_key::encrypt(&der, b"right-horse", &SystemRandom::new()).expect("encrypts");
        let loaded = SigningKey::from_pem(&text, || Ok(Zeroizing::new("right-horse".to_owned()))).expect("opens");
        assert_eq!(loaded.fingerprint(), key.fingerprint());
        let wrong = SigningKey::from_pem(&text, || Ok(Zeroizing::new("wrong-horse".to_owned()))).expect_err("wrong password");
        assert_eq!(wrong, KeyLoadError::Encrypted(CosignKeyError::Decrypt));
        assert!(!format!("{wrong} {wrong:?}").contains("horse"));
        assert!(matches!(SigningKey::from_pem(&text, never), Err(KeyLoadError::Password(_))));
        let legacy = text.replace("SIGSTORE", "COSIGN");
        assert!(SigningKey::from_pem(&legacy, || Ok(Zeroizing::new("right-horse".to_owned()))).is_ok());
    }

    #[test]
    fn other_pem_blocks_say_how_to_convert_them() {
        for (label, expected) in [
            ("EC PRIVATE KEY", "openssl pkcs8"),
            ("RSA PRIVATE KEY", "openssl pkcs8"),
            ("ENCRYPTED PRIVATE KEY", "cosign import-key-pair"),
            ("OPENSSH PRIVATE KEY", "ssh-keygen"),
            ("PUBLIC KEY", "expected the private key"),
            ("SOMETHING", "expected ENCRYPTED SIGSTORE"),
        ] {
            let error = SigningKey::from_pem(&pem(label, b"bytes"), never).expect_err(label).to_string();
            assert!(error.contains(expected), "{label}: {error}");
        }
        let headers = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        assert!(matches!(SigningKey::from_pem(headers, never), Err(KeyLoadError::Label { .. })));
        assert_eq!(SigningKey::from_pem("no key", never).err(), Some(KeyLoadError::NotPem));
        assert_eq!(SigningKey::from_pem(&pem("PRIVATE KEY", b"junk"), never).err(), Some(KeyLoadError::Algorithm));
    }
}
