//! From PEM to the raw bits of a SubjectPublicKeyInfo.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use spki::der::asn1::{AnyRef, ObjectIdentifier, UintRef};
use spki::der::{Decode as _, Encode as _, Reader as _, SliceReader, Tag, Tagged as _};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use super::{KeyAlgorithm, KeyError};

/// id-ecPublicKey (RFC 5480, section 2.1.1).
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// secp256r1 (RFC 5480, section 2.1.1.1).
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// secp384r1 (RFC 5480, section 2.1.1.1).
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// id-Ed25519 (RFC 8410, section 3).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// rsaEncryption (RFC 3279, section 2.3.1).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// RSA moduli that ring verifies with, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// Bits of the largest public exponent that ring verifies with.
const RSA_EXPONENT_BITS: usize = 33;

/// The content of the one `PUBLIC KEY` block in `pem` (RFC 7468).
pub(super) fn unwrap_pem(pem: &str) -> Result<Vec<u8>, KeyError> {
    if pem.contains("PRIVATE KEY-----") {
        return Err(KeyError::Private);
    }
    match pem.matches("-----BEGIN ").count() {
        0 => return Err(KeyError::Pem),
        1 => {}
        found => return Err(KeyError::Several { found }),
    }
    let (_, rest) = pem.split_once("-----BEGIN PUBLIC KEY-----").ok_or(KeyError::Label)?;
    let (body, _) = rest.split_once("-----END PUBLIC KEY-----").ok_or(KeyError::Pem)?;
    let base64: Vec<u8> = body.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    STANDARD.decode(base64).map_err(|_| KeyError::Pem)
}

/// The kind of key in a DER SubjectPublicKeyInfo and its raw bits.
pub(super) fn parse(der: &[u8]) -> Result<(KeyAlgorithm, Vec<u8>), KeyError> {
    let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| KeyError::Der)?;
    // One key, one encoding, one id: what does not come out as it went in is refused.
    if info.to_der().map_err(|_| KeyError::Der)? != der {
        return Err(KeyError::Der);
    }
    let raw = info.subject_public_key.as_bytes().ok_or(KeyError::Der)?;
    let algorithm = algorithm(&info.algorithm)?;
    match algorithm {
        KeyAlgorithm::EcdsaP256 => check_point(algorithm, raw, 65)?,
        KeyAlgorithm::EcdsaP384 => check_point(algorithm, raw, 97)?,
        KeyAlgorithm::Ed25519 => check_ed25519(raw)?,
        KeyAlgorithm::Rsa => check_rsa(raw)?,
    }
    Ok((algorithm, raw.to_vec()))
}

fn algorithm(found: &AlgorithmIdentifierRef<'_>) -> Result<KeyAlgorithm, KeyError> {
    let unsupported = |oid: ObjectIdentifier| Err(KeyError::Unsupported { oid: oid.to_string() });
    let parameters: Option<AnyRef<'_>> = found.parameters;
    match found.oid {
        EC => match parameters.and_then(|p| p.decode_as::<ObjectIdentifier>().ok()) {
            Some(P256) => Ok(KeyAlgorithm::EcdsaP256),
            Some(P384) => Ok(KeyAlgorithm::EcdsaP384),
            Some(curve) => unsupported(curve),
            // RFC 5480, section 2.1.1: namedCurve only.
            None => unsupported(EC),
        },
        // RFC 8410, section 3: the parameters MUST be absent.
        ED25519 if parameters.is_none() => Ok(KeyAlgorithm::Ed25519),
        // RFC 3279, section 2.3.1: the parameters MUST be NULL.
        RSA if parameters.is_some_and(|p| p.tag() == Tag::Null) => Ok(KeyAlgorithm::Rsa),
        ED25519 | RSA => Err(KeyError::Der),
        other => unsupported(other),
    }
}

/// SEC 1, section 2.3.3: 0x04 and both coordinates. ring refuses points off the curve when it verifies.
fn check_point(algorithm: KeyAlgorithm, raw: &[u8], len: usize) -> Result<(), KeyError> {
    if raw.len() == len && raw.first() == Some(&4) { Ok(()) } else { Err(KeyError::Point { algorithm: algorithm.name() }) }
}

/// RFC 8032, section 5.1.3, with the two gaps of lenient verifiers closed: y below p, and no point of small order.
fn check_ed25519(raw: &[u8]) -> Result<(), KeyError> {
    /// The y coordinates of the points of order 8, little-endian ("Taming the many EdDSAs", table 6).
    const ORDER_8: [[u8; 32]; 2] = [
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c,
            0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3,
            0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
    ];
    let mut y: [u8; 32] = raw.try_into().map_err(|_| KeyError::Point { algorithm: KeyAlgorithm::Ed25519.name() })?;
    y[31] &= 0x7f;
    let [low, middle @ .., high] = y;
    let top = high == 0x7f && middle.iter().all(|b| *b == 0xff);
    if top && low >= 0xed {
        return Err(KeyError::Point { algorithm: KeyAlgorithm::Ed25519.name() });
    }
    let bottom = high == 0 && middle.iter().all(|b| *b == 0);
    // y = 0 (order 4), y = 1 (the neutral element), y = -1 (order 2).
    let small = (bottom && low <= 1) || (top && low == 0xec) || ORDER_8.contains(&y);
    if small { Err(KeyError::Weak) } else { Ok(()) }
}

/// RFC 8017, appendix A.1.1: SEQUENCE of modulus and public exponent.
fn check_rsa(raw: &[u8]) -> Result<(), KeyError> {
    let numbers = |reader: &mut SliceReader<'_>| {
        reader.sequence(|inner| Ok((bits(inner.decode::<UintRef<'_>>()?.as_bytes()), bits(inner.decode::<UintRef<'_>>()?.as_bytes()))))
    };
    let mut reader = SliceReader::new(raw).map_err(|_| KeyError::Der)?;
    let (modulus, exponent) = numbers(&mut reader).map_err(|_| KeyError::Der)?;
    if !reader.is_finished() {
        return Err(KeyError::Der);
    }
    if !RSA_BITS.contains(&modulus.0) {
        return Err(KeyError::RsaSize { found: modulus.0 });
    }
    // RFC 8017, section 3.1: both odd, the exponent at least 3.
    if !modulus.1 || !exponent.1 || !(2..=RSA_EXPONENT_BITS).contains(&exponent.0) {
        return Err(KeyError::Der);
    }
    Ok(())
}

/// Bits of a big-endian number, and whether it is odd.
fn bits(number: &[u8]) -> (usize, bool) {
    let trimmed = number.iter().position(|b| *b != 0).map_or(&[][..], |start| &number[start..]);
    let leading = trimmed.first().map_or(0, |b| b.leading_zeros() as usize);
    (trimmed.len() * 8 - leading, trimmed.last().is_some_and(|b| b & 1 == 1))
}
