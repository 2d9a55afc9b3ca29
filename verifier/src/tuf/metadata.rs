//! One signed document: what it says, and who signed it.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::canonical;
use super::error::TufError;
use super::role::{Role, RoleKeys, Root};
use crate::json::{self, Keys};
use crate::limits;
use crate::time::Timestamp;

const KEYS: Keys = Keys {
    known: &[
        "signed",
        "signatures",
        "keyid",
        "sig",
        "_type",
        "spec_version",
        "version",
        "expires",
        "consistent_snapshot",
        "keys",
        "roles",
        "keyids",
        "threshold",
        "scheme",
        "keyval",
        "public",
        "meta",
        "targets",
        "length",
        "hashes",
    ],
    maps: &["keys", "meta", "targets", "custom"],
    compared: usize::MAX,
};

/// The major version of the specification that is implemented (TUF specification, section 4.3: `spec_version`).
const MAJOR: &str = "1";

#[derive(Deserialize)]
struct Wire {
    signed: Value,
    signatures: Vec<WireSignature>,
}

#[derive(Deserialize)]
struct WireSignature {
    keyid: String,
    sig: String,
}

/// What every role says.
#[derive(Deserialize)]
struct Common {
    #[serde(rename = "_type")]
    kind: String,
    spec_version: String,
    version: u64,
    expires: String,
}

/// A document, read and not yet believed.
#[derive(Debug, Clone)]
pub(super) struct Signed<T> {
    pub(super) role: T,
    pub(super) version: u64,
    pub(super) expires: Timestamp,
    /// The document as it was received.
    pub(super) bytes: Bytes,
    /// What the signatures cover.
    message: Vec<u8>,
    /// Key id and signature.
    signatures: Vec<(String, Vec<u8>)>,
}

impl<T: Role> Signed<T> {
    /// Reads a document of at most [`Role::LIMIT`] bytes.
    pub(super) fn read(bytes: &Bytes) -> Result<Self, TufError> {
        let malformed = |problem: String| TufError::Malformed { role: T::NAME, problem };
        if bytes.len() > T::LIMIT {
            return Err(TufError::Oversized { what: format!("{} metadata", T::NAME), found: bytes.len() as u64, limit: T::LIMIT });
        }
        let Wire { signed, signatures } = json::read(bytes, &KEYS).map_err(|error| TufError::Json { role: T::NAME, error })?;
        let common = Common::deserialize(&signed).map_err(|error| malformed(crate::message::problem(&error)))?;
        if common.kind != T::NAME.name() {
            return Err(malformed("of another type".to_owned()));
        }
        if common.spec_version.split('.').next() != Some(MAJOR) {
            return Err(malformed(format!("of another specification, expected version {MAJOR}")));
        }
        if common.version == 0 {
            return Err(malformed("version 0: versions are greater than 0".to_owned()));
        }
        if signatures.len() > limits::TUF_SIGNATURES {
            return Err(malformed(format!("over {} signatures", limits::TUF_SIGNATURES)));
        }
        let expires = Timestamp::from_rfc_3339(&common.expires).ok_or_else(|| malformed("`expires` is no time".to_owned()))?;
        let message = canonical::bytes(&signed).ok_or_else(|| malformed("a number that is no integer".to_owned()))?;
        let role = T::read(&signed)?;
        let mut found = Vec::with_capacity(signatures.len());
        // An empty signature stands for one that is still awaited (tuf-on-ci).
        for WireSignature { keyid, sig } in signatures.into_iter().filter(|signature| !signature.sig.is_empty()) {
            if found.iter().any(|(known, _)| *known == keyid) {
                return Err(TufError::RepeatedSignature { role: T::NAME });
            }
            found.push((keyid, unhex(&sig).unwrap_or_default()));
        }
        Ok(Self { role, version: common.version, expires, bytes: bytes.clone(), message, signatures: found })
    }

    /// Whether a threshold of the keys that `root` has for this role signed it (section 5.3.4 and its likes). Keys are told apart by
    /// themselves: one under two key ids counts once.
    pub(super) fn check_signed_by(&self, root: &Root) -> Result<(), TufError> {
        let RoleKeys { key_ids, threshold } = root.role(T::NAME);
        let signed = self.signatures.iter().filter(|(id, _)| key_ids.contains(id)).filter_map(|(id, signature)| {
            let key = root.keys.get(id)?;
            key.verifies(&self.message, signature).then(|| key.id())
        });
        let found = signed.collect::<BTreeSet<_>>().len() as u64;
        if found >= *threshold { Ok(()) } else { Err(TufError::Threshold { role: T::NAME, needed: *threshold, found }) }
    }

    /// A time of expiry must be later than that at which the update began (sections 5.3.10, 5.4.4, 5.5.6, 5.6.5).
    pub(super) fn check_fresh(&self, now: Timestamp) -> Result<(), TufError> {
        if self.expires > now { Ok(()) } else { Err(TufError::Expired { role: T::NAME, expires: self.expires }) }
    }
}

/// The bytes that `text` writes in hex.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}
