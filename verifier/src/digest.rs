//! Content digests (OCI image-spec, descriptor.md "Digests"): `sha256` and `sha512` only, lower case only.
//!
//! A [`Digest`] can hold nothing that would be unsafe in a path or a header: it stores the raw hash, not the text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A hash algorithm registered by the OCI image specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl Algorithm {
    /// The registered name, as it stands before the colon.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of the hash in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no hash is empty")]
    pub const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn ring(self) -> &'static ring::digest::Algorithm {
        match self {
            Self::Sha256 => &ring::digest::SHA256,
            Self::Sha512 => &ring::digest::SHA512,
        }
    }
}

/// A content digest, `algorithm:hex`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Digest {
    /// `sha256:<64 lower-case hex digits>`.
    Sha256([u8; 32]),
    /// `sha512:<128 lower-case hex digits>`.
    Sha512([u8; 64]),
}

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// No `algorithm:hex` shape, or an algorithm other than sha256 and sha512.
    #[error("not a digest: expected sha256:<64 hex digits> or sha512:<128 hex digits>")]
    Algorithm,
    /// The hash has the wrong number of digits.
    #[error("not a digest: expected {expected} hex digits, found {found}")]
    Length {
        /// Digits that the algorithm has.
        expected: usize,
        /// Digits that stand there.
        found: usize,
    },
    /// A character that is no lower-case hex digit.
    #[error("not a digest: hex digits must be 0-9 and a-f, in lower case")]
    Hex,
}

impl Digest {
    /// The digest of `bytes` under `algorithm`.
    #[must_use]
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The SHA-256 digest of `bytes`.
    #[must_use]
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::of(Algorithm::Sha256, bytes)
    }

    /// Whether `bytes` hash to this digest.
    #[must_use]
    pub fn matches(&self, bytes: &[u8]) -> bool {
        Self::of(self.algorithm(), bytes) == *self
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// The raw hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(hash) => hash,
            Self::Sha512(hash) => hash,
        }
    }

    /// The hash in lower-case hex, without the algorithm.
    #[must_use]
    pub fn hex(&self) -> String {
        let mut out = String::with_capacity(self.as_bytes().len() * 2);
        push_hex(&mut out, self.as_bytes());
        out
    }

    /// The referrers tag schema's tag for this digest, `sha256-<hex>` (distribution-spec 1.1, "Referrers Tag Schema":
    /// the digest's hash is truncated to 64 characters).
    #[must_use]
    pub fn fallback_tag(&self) -> String {
        let mut hex = self.hex();
        hex.truncate(64);
        format!("{}-{hex}", self.algorithm().name())
    }
}

pub(crate) fn push_hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)] as char);
        out.push(DIGITS[usize::from(byte & 15)] as char);
    }
}

fn nibble(digit: u8) -> Result<u8, DigestError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(DigestError::Hex),
    }
}

fn unhex<const N: usize>(text: &[u8]) -> Result<[u8; N], DigestError> {
    if text.len() != N * 2 {
        return Err(DigestError::Length { expected: N * 2, found: text.len() });
    }
    let mut hash = [0; N];
    for (byte, pair) in hash.iter_mut().zip(text.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Ok(hash)
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        if let Some(hex) = text.strip_prefix("sha256:") {
            unhex(hex.as_bytes()).map(Self::Sha256)
        } else if let Some(hex) = text.strip_prefix("sha512:") {
            unhex(hex.as_bytes()).map(Self::Sha512)
        } else {
            Err(DigestError::Algorithm)
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.algorithm().name())?;
        f.write_str(":")?;
        f.write_str(&self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Hashes a stream piece by piece.
#[derive(Clone)]
pub struct Hasher {
    algorithm: Algorithm,
    context: ring::digest::Context,
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl Hasher {
    /// A hasher that has seen nothing yet.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, context: ring::digest::Context::new(algorithm.ring()) }
    }

    /// Takes in the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    /// The digest of all pieces.
    #[must_use]
    pub fn finish(self) -> Digest {
        let hash = self.context.finish();
        let bytes = hash.as_ref();
        match self.algorithm {
            Algorithm::Sha256 => Digest::Sha256(std::array::from_fn(|i| bytes[i])),
            Algorithm::Sha512 => Digest::Sha512(std::array::from_fn(|i| bytes[i])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_digests_round_trip() {
        // FIPS 180-2 test vector "abc".
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::sha256(b"abc").to_string(), text);
        assert_eq!(text.parse::<Digest>(), Ok(Digest::sha256(b"abc")));
        let long = Digest::of(Algorithm::Sha512, b"abc");
        assert_eq!(long.to_string().parse::<Digest>(), Ok(long));
        assert_eq!(long.fallback_tag().len(), "sha512-".len() + 64);
    }

    #[test]
    fn hostile_digests_are_refused() {
        // A6, V28
        let hex = "a".repeat(64);
        for bad in [
            "sha256:../../etc/passwd".to_owned(),
            format!("SHA256:{hex}"),
            format!("sha256:{}", "A".repeat(64)),
            format!("sha256:{}", "a".repeat(63)),
            format!("sha256:{hex}0"),
            format!("blake3:{hex}"),
            format!("sha256:{}é", "a".repeat(62)),
            "sha256".to_owned(),
            String::new(),
            format!("sha512:{hex}"),
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }
}
