//! What cosign up to version 2 puts beside a signature: annotations of its layer (cosign, specs/SIGNATURE_SPEC.md and
//! pkg/oci/static/signature.go).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::VerifyError;
use super::log_entry::LogEntry;
use super::material::Material;
use super::pem;
use crate::encoding::{self, Base64};
use crate::json::{self, Keys, Object};
use crate::simple_signing;
use crate::time::Timestamp;

/// The annotation with the certificates between the signing one and the root, as PEM.
pub const CHAIN: &str = "dev.sigstore.cosign/chain";
/// The annotation with the transparency-log entry.
pub const BUNDLE: &str = "dev.sigstore.cosign/bundle";
/// The annotation with the timestamp.
pub const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";

const KEYS: Keys = Keys {
    known: &["SignedEntryTimestamp", "Payload", "body", "integratedTime", "logIndex", "logID", "SignedRFC3161Timestamp"],
    maps: &[],
    compared: usize::MAX,
};

/// The annotations of a layer that matter, as they stand there.
#[derive(Debug, Clone, Copy, Default)]
pub struct Annotations<'a> {
    /// `dev.cosignproject.cosign/signature`: base64; empty for an attestation.
    pub signature: Option<&'a str>,
    /// `dev.sigstore.cosign/certificate`: PEM.
    pub certificate: Option<&'a str>,
    /// [`CHAIN`].
    pub chain: Option<&'a str>,
    /// [`BUNDLE`].
    pub bundle: Option<&'a str>,
    /// [`TIMESTAMP`].
    pub timestamp: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireEntry {
    signed_entry_timestamp: Base64,
    payload: Object<WirePayload>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePayload {
    body: Base64,
    integrated_time: i64,
    log_index: i64,
    #[serde(rename = "logID")]
    log_id: String,
}

#[derive(Deserialize)]
struct WireTimestamp {
    #[serde(rename = "SignedRFC3161Timestamp")]
    token: Base64,
}

impl<'a> Annotations<'a> {
    /// Those of a layer's descriptor.
    #[must_use]
    pub fn of(annotations: &'a BTreeMap<String, String>) -> Self {
        let get = |name| annotations.get(name).map(String::as_str).filter(|text| !text.is_empty());
        Self {
            signature: get(simple_signing::SIGNATURE),
            certificate: get(simple_signing::CERTIFICATE),
            chain: get(CHAIN),
            bundle: get(BUNDLE),
            timestamp: get(TIMESTAMP),
        }
    }

    pub(super) fn signature(&self) -> Result<Vec<u8>, VerifyError> {
        self.signature.and_then(encoding::decode).ok_or(VerifyError::Shape { expected: "a signature in base64" })
    }

    /// Reads what vouches for the signature.
    pub(super) fn material(&self) -> Result<Material, VerifyError> {
        let mut certificates = Vec::new();
        if let Some(text) = self.certificate {
            // A bare public key here is no certificate (GHSA-fx35-mq7g-6g98).
            let found = pem::certificates(text).filter(|found| found.len() == 1);
            certificates = found.ok_or(VerifyError::Shape { expected: "one certificate in PEM" })?;
            let chain = self.chain.map_or(Some(Vec::new()), pem::certificates);
            certificates.extend(chain.ok_or(VerifyError::Shape { expected: "a chain of certificates in PEM" })?);
        }
        let entries = self.bundle.map(entry).transpose()?.into_iter().collect();
        let timestamps = match self.timestamp {
            Some(text) => vec![json::read::<WireTimestamp>(text.as_bytes(), &KEYS)?.token.0],
            None => Vec::new(),
        };
        Ok(Material { certificates, entries, timestamps })
    }
}

fn entry(text: &str) -> Result<LogEntry, VerifyError> {
    let WireEntry { signed_entry_timestamp, payload: Object(payload) } = json::read(text.as_bytes(), &KEYS)?;
    let log_id = hex(&payload.log_id).ok_or(VerifyError::Shape { expected: "a log id in hex" })?;
    Ok(LogEntry {
        log_id,
        index: payload.log_index,
        kind: None,
        integrated: Some(Timestamp(payload.integrated_time)),
        promise: Some(signed_entry_timestamp.0),
        proof: None,
        body: payload.body.0,
    })
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !lower || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}
