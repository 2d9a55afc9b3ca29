//! The document as it stands in JSON.

use serde::Deserialize;
use spki::der::Encode as _;
use spki::der::asn1::{AnyRef, BitStringRef, ObjectIdentifier};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use super::{CertificateAuthority, LogKey, TransparencyLog, TrustRoot};
use crate::digest::Digest;
use crate::encoding::Base64;
use crate::json::{self, JsonError, Keys, Object};
use crate::key::PublicKey;
use crate::limits;
use crate::sigstore::timestamp::Authority;
use crate::sigstore::window::{Window, parse_time};

const KEYS: Keys = Keys {
    known: &[
        "mediaType",
        "tlogs",
        "baseUrl",
        "hashAlgorithm",
        "publicKey",
        "rawBytes",
        "keyDetails",
        "validFor",
        "start",
        "end",
        "logId",
        "keyId",
        "certificateAuthorities",
        "certChain",
        "certificates",
        "ctlogs",
        "timestampAuthorities",
    ],
    maps: &[],
    compared: usize::MAX,
};

/// The versions that are read.
const MEDIA_TYPES: [&str; 3] = [
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "application/vnd.dev.sigstore.trustedroot+json;version=0.2",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
];

/// rsaEncryption (RFC 3279, section 2.3.1).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// Why bytes are no trust root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustRootError {
    /// Not one JSON object with the fields of a trusted root.
    #[error("trusted root: {0}")]
    Json(#[from] JsonError),
    /// An unknown version.
    #[error("trusted root of an unknown version: expected application/vnd.dev.sigstore.trustedroot+json;version=0.1 or 0.2")]
    Version,
    /// A validity that is no span of time.
    #[error("trusted root: {of}: validFor is no span of time (RFC 3339, UTC, the end after the start)")]
    Validity {
        /// Of which kind of member.
        of: &'static str,
    },
    /// A chain that is empty or not of certificates.
    #[error("trusted root: {of}: certChain is not a chain of certificates")]
    Chain {
        /// Of which kind of member.
        of: &'static str,
    },
    /// Log ids are SHA-256 hashes or the four bytes of a signed note's key id.
    #[error("trusted root: {of}: a logId of {found} bytes, expected 32 or 4")]
    LogId {
        /// Of which kind of log.
        of: &'static str,
        /// Bytes.
        found: usize,
    },
    /// Two logs of one id.
    #[error("trusted root: {of}: two logs with the same logId")]
    SameLog {
        /// Of which kind of log.
        of: &'static str,
    },
    /// More members than the limit.
    #[error("trusted root with {found} members of a kind, expected at most {limit}")]
    Members {
        /// How many.
        found: usize,
        /// [`limits::TRUST_ROOT_MEMBERS`].
        limit: usize,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Root {
    media_type: String,
    #[serde(default)]
    tlogs: Vec<Object<Log>>,
    #[serde(default)]
    certificate_authorities: Vec<Object<Chained>>,
    #[serde(default)]
    ctlogs: Vec<Object<Log>>,
    #[serde(default)]
    timestamp_authorities: Vec<Object<Chained>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    #[serde(default)]
    base_url: String,
    hash_algorithm: Option<String>,
    public_key: Object<Key>,
    log_id: Object<LogId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    raw_bytes: Base64,
    valid_for: Option<Object<Range>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogId {
    key_id: Base64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chained {
    cert_chain: Object<Chain>,
    valid_for: Option<Object<Range>>,
}

#[derive(Deserialize)]
struct Chain {
    #[serde(default)]
    certificates: Vec<Object<Certificate>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Certificate {
    raw_bytes: Base64,
}

/// `sigstore_common.proto`, `TimeRange`: the start is required.
#[derive(Deserialize)]
struct Range {
    start: String,
    end: Option<String>,
}

pub(super) fn read(bytes: &[u8]) -> Result<TrustRoot, TrustRootError> {
    let root: Root = json::read(bytes, &KEYS)?;
    if !MEDIA_TYPES.contains(&&*root.media_type) {
        return Err(TrustRootError::Version);
    }
    let counts = [root.tlogs.len(), root.certificate_authorities.len(), root.ctlogs.len(), root.timestamp_authorities.len()];
    if let Some(found) = counts.into_iter().find(|found| *found > limits::TRUST_ROOT_MEMBERS) {
        return Err(TrustRootError::Members { found, limit: limits::TRUST_ROOT_MEMBERS });
    }
    let (lists_ct_logs, lists_logs) = (!root.ctlogs.is_empty(), !root.tlogs.is_empty());
    let authority = |of| move |chained: Object<Chained>| chained.0.parts(of);
    let mut authorities = Vec::new();
    for parts in root.certificate_authorities.into_iter().map(authority("a certificate authority")) {
        let (chain, window) = parts?;
        let of = "a certificate authority";
        authorities.push(CertificateAuthority::new(&chain, window).ok_or(TrustRootError::Chain { of })?);
    }
    let mut timestamp_authorities = Vec::new();
    for parts in root.timestamp_authorities.into_iter().map(authority("a timestamp authority")) {
        let (chain, window) = parts?;
        let of = "a timestamp authority";
        timestamp_authorities.push(Authority::new(&chain, window).ok_or(TrustRootError::Chain { of })?);
    }
    let logs = logs(root.tlogs, "a transparency log")?;
    let ct_logs = self::logs(root.ctlogs, "a CT log")?.into_iter().map(|log| log.key).collect();
    Ok(TrustRoot { authorities, ct_logs, logs, timestamp_authorities, lists_ct_logs, lists_logs, digest: Digest::sha256(bytes) })
}

impl Chained {
    fn parts(self, of: &'static str) -> Result<(Vec<Vec<u8>>, Window), TrustRootError> {
        let window = window(self.valid_for, of)?;
        let chain = self.cert_chain.0.certificates.into_iter().map(|Object(certificate)| certificate.raw_bytes.0).collect();
        Ok((chain, window))
    }
}

fn window(range: Option<Object<Range>>, of: &'static str) -> Result<Window, TrustRootError> {
    let Some(Object(range)) = range else {
        return Ok(Window::ALWAYS);
    };
    let malformed = TrustRootError::Validity { of };
    let (Some(start), end) = (parse_time(&range.start), range.end.as_deref().map(parse_time)) else {
        return Err(malformed);
    };
    match end {
        Some(None) => Err(malformed),
        Some(end @ Some(_)) => Window::from(start, end).ok_or(malformed),
        None => Window::from(start, None).ok_or(malformed),
    }
}

fn logs(listed: Vec<Object<Log>>, of: &'static str) -> Result<Vec<TransparencyLog>, TrustRootError> {
    let mut logs: Vec<TransparencyLog> = Vec::new();
    let mut ids: Vec<Vec<u8>> = Vec::new();
    for Object(log) in listed {
        let Object(Key { raw_bytes, valid_for }) = log.public_key;
        let window = window(valid_for, of)?;
        let id = log.log_id.0.key_id.0;
        if ![4, 32].contains(&id.len()) {
            return Err(TrustRootError::LogId { of, found: id.len() });
        }
        if ids.contains(&id) {
            return Err(TrustRootError::SameLog { of });
        }
        ids.push(id.clone());
        let hashes = log.hash_algorithm.is_none_or(|name| name == "SHA2_256");
        if let (true, Some(key)) = (hashes, key(&raw_bytes.0)) {
            logs.push(TransparencyLog { key: LogKey { id, key, window }, host: host(&log.base_url) });
        }
    }
    Ok(logs)
}

/// A SubjectPublicKeyInfo or, as the first CT logs have it, a bare RSAPublicKey (`PKCS1_RSA_PKCS1V5`).
fn key(der: &[u8]) -> Option<PublicKey> {
    PublicKey::from_der(der).ok().or_else(|| {
        let algorithm = AlgorithmIdentifierRef { oid: RSA, parameters: Some(AnyRef::NULL) };
        let info = SubjectPublicKeyInfoRef { algorithm, subject_public_key: BitStringRef::from_bytes(der).ok()? };
        PublicKey::from_der(&info.to_der().ok()?).ok()
    })
}

fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned()
}
