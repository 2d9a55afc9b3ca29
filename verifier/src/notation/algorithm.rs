//! Keys and signature algorithms (signature-specification.md, "Signature Algorithm Requirements"; RFC 4055, RFC 5758).

use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use super::asn1::{Asn1Error, Reader, bit_length, dotted, tag};

const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const RSA_MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8];
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
/// Of sha*WithRSAEncryption, without the last number: 11, 12 and 13 (RFC 4055, section 5).
const RSA_WITH_SHA2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];
/// Of ecdsa-with-SHA*, without the last number: 2, 3 and 4 (RFC 5758, section 3.2).
const ECDSA_WITH_SHA2: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3];
/// Of id-sha*, without the last number: 1, 2 and 3 (RFC 4055, section 2.1).
const SHA2: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: &[u8] = &[0x2b, 0x81, 4, 0, 34];
const P521: &[u8] = &[0x2b, 0x81, 4, 0, 35];

/// RSA moduli of certificate authorities, in bits; 8192 is ring's end.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Why a key or signature algorithm does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AlgorithmError {
    /// Malformed.
    #[error("algorithm: {0}")]
    Asn1(#[from] Asn1Error),
    /// A key that is not used with Notation.
    #[error("key of algorithm or curve {found}: expected RSA, or EC on P-256 or P-384")]
    Key {
        /// Dotted object identifier.
        found: String,
    },
    /// P-521, which the specification names and this verifier's cryptography lacks.
    #[error("key on P-521, which is not supported: expected RSA, or EC on P-256 or P-384")]
    P521,
    /// RSA of a size that is not used.
    #[error("RSA key of {found} bits: expected {expected}")]
    RsaSize {
        /// What is allowed.
        expected: &'static str,
        /// Bits.
        found: usize,
    },
    /// A signature algorithm that is not taken: SHA-1, MD5, or none of the known.
    #[error("signature algorithm {found}: expected RSA or ECDSA with SHA-256, SHA-384 or SHA-512")]
    Signature {
        /// Dotted object identifier.
        found: String,
    },
    /// A hash that is not taken.
    #[error("hash algorithm {found}: expected SHA-256, SHA-384 or SHA-512")]
    Hash {
        /// Dotted object identifier.
        found: String,
    },
    /// Parameters that contradict the algorithm.
    #[error("parameters of signature algorithm {found} that are not its own")]
    Parameters {
        /// Dotted object identifier.
        found: String,
    },
    /// A signature algorithm for another kind of key.
    #[error("signature algorithm {found}: expected one for a key of {expected}")]
    OtherKey {
        /// The key.
        expected: &'static str,
        /// Dotted object identifier.
        found: String,
    },
}

/// A hash of the SHA-2 family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    const fn of_number(number: u8, first: u8) -> Option<Self> {
        match number.wrapping_sub(first) {
            0 => Some(Self::Sha256),
            1 => Some(Self::Sha384),
            2 => Some(Self::Sha512),
            _ => None,
        }
    }

    /// Reads an `AlgorithmIdentifier` of a hash; its parameters are absent or NULL (RFC 4055, section 2.1).
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, AlgorithmError> {
        let (oid, parameters) = identifier(reader)?;
        let number = oid.strip_prefix(SHA2).and_then(|rest| <[u8; 1]>::try_from(rest).ok());
        match number.and_then(|[number]| Self::of_number(number, 1)) {
            Some(hash) if absent_or_null(parameters) => Ok(hash),
            Some(_) => Err(AlgorithmError::Parameters { found: dotted(oid) }),
            None => Err(AlgorithmError::Hash { found: dotted(oid) }),
        }
    }

    pub(super) fn digest(self, bytes: &[u8]) -> ring::digest::Digest {
        ring::digest::digest(
            match self {
                Self::Sha256 => &ring::digest::SHA256,
                Self::Sha384 => &ring::digest::SHA384,
                Self::Sha512 => &ring::digest::SHA512,
            },
            bytes,
        )
    }

    const fn bytes(self) -> u64 {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// The kind and size of a certificate's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    Rsa { bits: usize },
    P256,
    P384,
}

/// A certificate's public key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) kind: KeyKind,
    /// The BIT STRING's content.
    raw: &'a [u8],
}

/// An algorithm by which an envelope is signed: the one that the specification derives from the signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvelopeAlgorithm {
    /// RSASSA-PSS with SHA-256, for RSA 2048.
    Ps256,
    /// RSASSA-PSS with SHA-384, for RSA 3072.
    Ps384,
    /// RSASSA-PSS with SHA-512, for RSA 4096.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512. Read, but no key for it is accepted.
    Es512,
}

impl EnvelopeAlgorithm {
    const ALL: [Self; 6] = [Self::Ps256, Self::Ps384, Self::Ps512, Self::Es256, Self::Es384, Self::Es512];

    /// The JWS name (RFC 7518, section 3.1).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
        }
    }

    /// The COSE number (RFC 9053, section 2.1; RFC 8230, section 2).
    const fn cose(self) -> i64 {
        match self {
            Self::Ps256 => -37,
            Self::Ps384 => -38,
            Self::Ps512 => -39,
            Self::Es256 => -7,
            Self::Es384 => -35,
            Self::Es512 => -36,
        }
    }

    pub(super) fn from_jws(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    pub(super) fn from_cose(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.cose() == number)
    }
}

impl<'a> Key<'a> {
    /// Reads a SubjectPublicKeyInfo.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, AlgorithmError> {
        let mut info = reader.enter(tag::SEQUENCE)?;
        let (oid, parameters) = identifier(&mut info)?;
        let raw = info.bits()?;
        info.end()?;
        let kind = match oid {
            EC_PUBLIC_KEY => curve(parameters, raw)?,
            RSA_ENCRYPTION if absent_or_null(parameters) => rsa(raw)?,
            oid => return Err(AlgorithmError::Key { found: dotted(oid) }),
        };
        Ok(Self { kind, raw })
    }

    const fn name(&self) -> &'static str {
        match self.kind {
            KeyKind::Rsa { .. } => "RSA",
            KeyKind::P256 => "EC P-256",
            KeyKind::P384 => "EC P-384",
        }
    }

    /// signature-specification.md, "Algorithm Selection": the key alone says how it signs.
    pub(super) const fn envelope_algorithm(&self) -> Result<EnvelopeAlgorithm, AlgorithmError> {
        match self.kind {
            KeyKind::Rsa { bits: 2048 } => Ok(EnvelopeAlgorithm::Ps256),
            KeyKind::Rsa { bits: 3072 } => Ok(EnvelopeAlgorithm::Ps384),
            KeyKind::Rsa { bits: 4096 } => Ok(EnvelopeAlgorithm::Ps512),
            KeyKind::Rsa { bits } => Err(AlgorithmError::RsaSize { expected: "2048, 3072 or 4096", found: bits }),
            KeyKind::P256 => Ok(EnvelopeAlgorithm::Es256),
            KeyKind::P384 => Ok(EnvelopeAlgorithm::Es384),
        }
    }

    /// Whether `signature` over `message` is by this key, in the form that JWS and COSE share: PSS with a salt as long as the
    /// hash (RFC 7518, section 3.5), ECDSA as two numbers of fixed length (section 3.4).
    pub(super) fn signed_envelope(&self, algorithm: EnvelopeAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        let how: &'static dyn VerificationAlgorithm = match algorithm {
            EnvelopeAlgorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
            EnvelopeAlgorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
            EnvelopeAlgorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
            EnvelopeAlgorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
            EnvelopeAlgorithm::Es384 => &signature::ECDSA_P384_SHA384_FIXED,
            EnvelopeAlgorithm::Es512 => return false,
        };
        self.verify(how, message, signature)
    }

    /// Whether `signature` over `message` is by this key under the X.509 or CMS `algorithm`, an AlgorithmIdentifier. CMS may
    /// name the hash apart (RFC 3370, section 3.2: `rsaEncryption`).
    pub(super) fn signed(
        &self,
        algorithm: &[u8],
        cms_hash: Option<Hash>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool, AlgorithmError> {
        let mut reader = Reader::new(algorithm);
        let (oid, parameters) = identifier(&mut reader)?;
        reader.end()?;
        Ok(self.verify(self.algorithm(oid, parameters, cms_hash)?, message, signature))
    }

    fn verify(&self, how: &'static dyn VerificationAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(how, self.raw).verify(message, signature).is_ok()
    }

    fn algorithm(
        &self,
        oid: &[u8],
        parameters: Option<&[u8]>,
        cms_hash: Option<Hash>,
    ) -> Result<&'static dyn VerificationAlgorithm, AlgorithmError> {
        let found = || dotted(oid);
        let number = |prefix: &[u8]| oid.strip_prefix(prefix).and_then(|rest| <[u8; 1]>::try_from(rest).ok()).map(|[n]| n);
        let rsa = matches!(self.kind, KeyKind::Rsa { .. });
        let other_key = || AlgorithmError::OtherKey { expected: self.name(), found: found() };
        if let Some(hash) = number(ECDSA_WITH_SHA2).and_then(|number| Hash::of_number(number, 2)) {
            // RFC 5758, section 3.2: the parameters MUST be absent.
            return match (self.kind, hash) {
                _ if parameters.is_some() => Err(AlgorithmError::Parameters { found: found() }),
                (KeyKind::P256, Hash::Sha256) => Ok(&signature::ECDSA_P256_SHA256_ASN1),
                (KeyKind::P256, Hash::Sha384) => Ok(&signature::ECDSA_P256_SHA384_ASN1),
                (KeyKind::P384, Hash::Sha256) => Ok(&signature::ECDSA_P384_SHA256_ASN1),
                (KeyKind::P384, Hash::Sha384) => Ok(&signature::ECDSA_P384_SHA384_ASN1),
                (KeyKind::Rsa { .. } | KeyKind::P256 | KeyKind::P384, _) => Err(other_key()),
            };
        }
        let (hash, pss) = match number(RSA_WITH_SHA2).and_then(|number| Hash::of_number(number, 11)) {
            Some(hash) => (Some(hash), false),
            None if oid == RSA_ENCRYPTION => (cms_hash, false),
            None if oid == RSA_PSS => (Some(pss_hash(parameters)?), true),
            None => (None, false),
        };
        if !pss && !absent_or_null(parameters) {
            return Err(AlgorithmError::Parameters { found: found() });
        }
        match (hash, pss) {
            (None, _) => Err(AlgorithmError::Signature { found: found() }),
            (Some(_), _) if !rsa => Err(other_key()),
            (Some(Hash::Sha256), false) => Ok(&signature::RSA_PKCS1_2048_8192_SHA256),
            (Some(Hash::Sha384), false) => Ok(&signature::RSA_PKCS1_2048_8192_SHA384),
            (Some(Hash::Sha512), false) => Ok(&signature::RSA_PKCS1_2048_8192_SHA512),
            (Some(Hash::Sha256), true) => Ok(&signature::RSA_PSS_2048_8192_SHA256),
            (Some(Hash::Sha384), true) => Ok(&signature::RSA_PSS_2048_8192_SHA384),
            (Some(Hash::Sha512), true) => Ok(&signature::RSA_PSS_2048_8192_SHA512),
        }
    }
}

/// An `AlgorithmIdentifier`: its identifier and the whole of its parameters.
fn identifier<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], Option<&'a [u8]>), Asn1Error> {
    let mut algorithm = reader.enter(tag::SEQUENCE)?;
    let oid = algorithm.oid()?;
    let parameters = if algorithm.is_empty() { None } else { Some(algorithm.element()?.whole) };
    algorithm.end()?;
    Ok((oid, parameters))
}

fn absent_or_null(parameters: Option<&[u8]>) -> bool {
    parameters.is_none_or(|whole| whole == [tag::NULL, 0])
}

fn curve(parameters: Option<&[u8]>, point: &[u8]) -> Result<KeyKind, AlgorithmError> {
    let mut reader = Reader::new(parameters.unwrap_or_default());
    let curve = reader.oid()?;
    reader.end()?;
    let (kind, length) = match curve {
        P256 => (KeyKind::P256, 65),
        P384 => (KeyKind::P384, 97),
        P521 => return Err(AlgorithmError::P521),
        curve => return Err(AlgorithmError::Key { found: dotted(curve) }),
    };
    // Uncompressed (RFC 5480, section 2.2), the only form that ring takes.
    if point.len() == length && point.first() == Some(&4) { Ok(kind) } else { Err(Asn1Error::Content { expected: "EC point" }.into()) }
}

fn rsa(raw: &[u8]) -> Result<KeyKind, AlgorithmError> {
    let mut key = Reader::only(raw, tag::SEQUENCE)?;
    let (modulus, exponent) = (key.integer()?, key.integer()?);
    key.end()?;
    if modulus.first().is_none_or(|byte| *byte >= 0x80) || exponent.first().is_none_or(|byte| *byte >= 0x80) {
        return Err(Asn1Error::Content { expected: "RSA key" }.into());
    }
    let bits = bit_length(modulus);
    if RSA_BITS.contains(&bits) {
        Ok(KeyKind::Rsa { bits })
    } else {
        Err(AlgorithmError::RsaSize { expected: "2048 to 8192", found: bits })
    }
}

/// `RSASSA-PSS-params` (RFC 4055, section 3.1): one hash for all, and a salt as long as it. The defaults are SHA-1.
fn pss_hash(parameters: Option<&[u8]>) -> Result<Hash, AlgorithmError> {
    let error = || AlgorithmError::Parameters { found: dotted(RSA_PSS) };
    let mut fields = Reader::only(parameters.ok_or_else(error)?, tag::SEQUENCE)?;
    let mut inner = fields.enter(tag::context_constructed(0))?;
    let hash = Hash::read(&mut inner)?;
    inner.end()?;
    let mut inner = fields.enter(tag::context_constructed(1))?;
    let mut mask = inner.enter(tag::SEQUENCE)?;
    let mask_matches = mask.oid()? == RSA_MGF1 && Hash::read(&mut mask)? == hash && mask.is_empty() && inner.is_empty();
    let mut inner = fields.enter(tag::context_constructed(2))?;
    let salt = super::asn1::natural(inner.integer()?);
    // The trailer field is 1, its default, and so is not encoded.
    let right = mask_matches && salt == Some(hash.bytes()) && inner.is_empty() && fields.is_empty();
    if right { Ok(hash) } else { Err(error()) }
}
