//! The payload: the descriptor of what is signed (signature-specification.md, "Payload").

use serde::Deserialize;

use super::error::NotationError;
use crate::digest::Digest;
use crate::json::{self, Keys, Object};
use crate::limits;
use crate::message::quote;

const KEYS: Keys = Keys { known: &["targetArtifact", "mediaType", "digest", "size"], maps: &["annotations"], compared: usize::MAX };

/// What is being verified: the manifest's own digest, size and type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// The manifest's media type.
    pub media_type: &'a str,
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
}

#[derive(Deserialize)]
struct WirePayload {
    #[serde(rename = "targetArtifact")]
    target: Object<WireTarget>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireTarget {
    media_type: String,
    digest: String,
    size: u64,
}

/// Checks that a payload names `expected` (notation-go: all three of digest, size and media type).
pub(super) fn check(bytes: &[u8], expected: &Target<'_>) -> Result<(), NotationError> {
    if bytes.len() > limits::NOTATION_PAYLOAD_BYTES {
        return Err(NotationError::PayloadSize { found: bytes.len(), limit: limits::NOTATION_PAYLOAD_BYTES });
    }
    let WirePayload { target: Object(found) } = json::read(bytes, &KEYS).map_err(NotationError::Payload)?;
    let digest: Digest = found.digest.parse()?;
    if digest != expected.digest {
        return Err(NotationError::OtherSubject { expected: Box::new(expected.digest), found: Box::new(digest) });
    }
    if found.size != expected.size {
        return Err(NotationError::OtherSize { expected: expected.size, found: found.size });
    }
    if found.media_type != expected.media_type {
        return Err(NotationError::OtherMediaType { expected: quote(expected.media_type), found: quote(&found.media_type) });
    }
    Ok(())
}
