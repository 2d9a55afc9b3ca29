//! The verification material of a bundle (sigstore/protobuf-specs, `sigstore_bundle.proto` and `sigstore_rekor.proto`, in
//! protobuf's JSON mapping). Nothing in here is believed.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::VerifyError;
use super::log_entry::{InclusionProof, LogEntry};
use crate::encoding::Base64;
use crate::json::{self, Keys, Object};
use crate::limits;
use crate::time::Timestamp;

const KEYS: Keys = Keys {
    known: &[
        "mediaType",
        "verificationMaterial",
        "publicKey",
        "certificate",
        "x509CertificateChain",
        "certificates",
        "rawBytes",
        "tlogEntries",
        "logIndex",
        "logId",
        "kindVersion",
        "kind",
        "version",
        "integratedTime",
        "inclusionPromise",
        "signedEntryTimestamp",
        "inclusionProof",
        "rootHash",
        "treeSize",
        "hashes",
        "checkpoint",
        "envelope",
        "canonicalizedBody",
        "timestampVerificationData",
        "rfc3161Timestamps",
        "signedTimestamp",
        // Not log entries' `keyId`: DSSE signatures have a `keyid` of their own.
    ],
    maps: &[],
    compared: usize::MAX,
};

/// What vouches for a signature.
#[derive(Debug, Default)]
pub(super) struct Material {
    /// The signing certificate and those that came with it; empty for a key.
    pub(super) certificates: Vec<Vec<u8>>,
    pub(super) entries: Vec<LogEntry>,
    pub(super) timestamps: Vec<Vec<u8>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireBundle {
    media_type: String,
    verification_material: Object<WireMaterial>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMaterial {
    public_key: Option<IgnoredAny>,
    certificate: Option<Object<WireCertificate>>,
    #[serde(rename = "x509CertificateChain")]
    chain: Option<Object<WireChain>>,
    tlog_entries: Option<Vec<Object<WireEntry>>>,
    timestamp_verification_data: Option<Object<WireTimestamps>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCertificate {
    raw_bytes: Base64,
}

#[derive(Deserialize)]
struct WireChain {
    #[serde(default)]
    certificates: Vec<Object<WireCertificate>>,
}

#[derive(Deserialize)]
struct WireTimestamps {
    #[serde(rename = "rfc3161Timestamps")]
    timestamps: Option<Vec<Object<WireTimestamp>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireTimestamp {
    signed_timestamp: Base64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEntry {
    log_index: Option<Int64>,
    log_id: Object<WireLogId>,
    kind_version: Option<Object<WireKind>>,
    integrated_time: Option<Int64>,
    inclusion_promise: Option<Object<WirePromise>>,
    inclusion_proof: Option<Object<WireProof>>,
    canonicalized_body: Base64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireLogId {
    key_id: Base64,
}

#[derive(Deserialize)]
struct WireKind {
    kind: String,
    version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePromise {
    signed_entry_timestamp: Base64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireProof {
    log_index: Option<Int64>,
    #[serde(default)]
    root_hash: Base64,
    tree_size: Option<Int64>,
    #[serde(default)]
    hashes: Vec<Base64>,
    checkpoint: Option<Object<WireCheckpoint>>,
}

#[derive(Deserialize)]
struct WireCheckpoint {
    #[serde(default)]
    envelope: String,
}

/// protobuf's JSON mapping of int64: a string or a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Int64 {
    Text(String),
    Number(i64),
}

impl Int64 {
    fn value(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok().filter(|number: &i64| number.to_string() == *text),
        }
    }
}

/// A number that defaults to 0, as every field of protobuf does.
fn number(field: Option<&Int64>) -> Result<i64, VerifyError> {
    let expected = "whole numbers of 64 bits";
    field.map_or(Some(0), Int64::value).ok_or(VerifyError::Shape { expected })
}

fn index(field: Option<&Int64>) -> Result<u64, VerifyError> {
    u64::try_from(number(field)?).map_err(|_| VerifyError::Shape { expected: "indexes and sizes that are not negative" })
}

impl Material {
    /// Reads the material of a bundle and checks what its version asks for.
    pub(super) fn parse(bundle: &[u8]) -> Result<Self, VerifyError> {
        let WireBundle { media_type, verification_material: Object(wire) } = json::read(bundle, &KEYS)?;
        let oldest = media_type.ends_with("version=0.1");
        let older = oldest || media_type.ends_with("version=0.2");
        let certificates = match (wire.certificate, wire.chain, wire.public_key) {
            (None, None, Some(_)) => Vec::new(),
            // sigstore_bundle.proto, `VerificationMaterial.content`: in v0.1 and v0.2 a chain, since v0.3 one certificate. A
            // bundle cannot be relabelled to shed its inclusion proof (sigstore-go#145).
            (Some(Object(certificate)), None, None) if !older => vec![certificate.raw_bytes.0],
            (None, Some(Object(chain)), None) if older => chain.certificates.into_iter().map(|Object(one)| one.raw_bytes.0).collect(),
            (None, Some(_), None) => return Err(VerifyError::Shape { expected: "one certificate, no chain, since v0.3" }),
            (Some(_), None, None) => return Err(VerifyError::Shape { expected: "a chain in v0.1 and v0.2" }),
            _ => return Err(VerifyError::Shape { expected: "exactly one of publicKey, certificate and x509CertificateChain" }),
        };
        let entries: Vec<_> =
            wire.tlog_entries.unwrap_or_default().into_iter().map(|Object(entry)| entry.entry()).collect::<Result<_, _>>()?;
        let timestamps = wire.timestamp_verification_data.and_then(|Object(data)| data.timestamps).unwrap_or_default();
        let timestamps = timestamps.into_iter().map(|Object(timestamp)| timestamp.signed_timestamp.0).collect();
        let material = Self { certificates, entries, timestamps };
        material.check(oldest)?;
        Ok(material)
    }

    fn check(&self, oldest: bool) -> Result<(), VerifyError> {
        if self.certificates.len() > limits::CERTIFICATES {
            return Err(VerifyError::Shape { expected: "at most 16 certificates" });
        }
        if self.entries.len() > limits::LOG_ENTRIES || self.timestamps.len() > limits::LOG_ENTRIES {
            return Err(VerifyError::Shape { expected: "at most 32 log entries and timestamps" });
        }
        for (at, entry) in self.entries.iter().enumerate() {
            // sigstore_bundle.proto, `Bundle.media_type`: v0.1 asks for the promise, v0.2 and later for the proof.
            match (oldest, &entry.promise, &entry.proof) {
                (true, None, _) => return Err(VerifyError::Shape { expected: "an inclusion promise in v0.1" }),
                (false, _, Some(InclusionProof { checkpoint: Some(_), .. })) | (true, Some(_), _) => {}
                (false, _, _) => return Err(VerifyError::Shape { expected: "an inclusion proof with a checkpoint since v0.2" }),
            }
            // One log vouches once (CVE-2026-49834).
            if self.entries[..at].iter().any(|other| other.log_id == entry.log_id && other.index == entry.index) {
                return Err(VerifyError::Shape { expected: "different log entries" });
            }
        }
        Ok(())
    }
}

impl WireEntry {
    fn entry(self) -> Result<LogEntry, VerifyError> {
        let proof = self.inclusion_proof.map(|Object(proof)| proof.proof()).transpose()?;
        Ok(LogEntry {
            log_id: self.log_id.0.key_id.0,
            index: number(self.log_index.as_ref())?,
            kind: self.kind_version.map(|Object(kind)| (kind.kind, kind.version)),
            integrated: match number(self.integrated_time.as_ref())? {
                0 => None,
                time => Some(Timestamp(time)),
            },
            promise: self.inclusion_promise.map(|Object(promise)| promise.signed_entry_timestamp.0),
            proof,
            body: self.canonicalized_body.0,
        })
    }
}

impl WireProof {
    fn proof(self) -> Result<InclusionProof, VerifyError> {
        if self.hashes.len() > limits::PROOF_HASHES {
            return Err(VerifyError::Inclusion { problem: "too many hashes" });
        }
        let hash = |Base64(bytes)| <[u8; 32]>::try_from(bytes).map_err(|_| VerifyError::Inclusion { problem: "a hash that is no SHA-256" });
        Ok(InclusionProof {
            index: index(self.log_index.as_ref())?,
            size: index(self.tree_size.as_ref())?,
            root: self.root_hash.0,
            hashes: self.hashes.into_iter().map(hash).collect::<Result<_, _>>()?,
            checkpoint: self.checkpoint.map(|Object(checkpoint)| checkpoint.envelope).filter(|text| !text.is_empty()),
        })
    }
}
