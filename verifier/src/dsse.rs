//! DSSE envelopes (secure-systems-lab/dsse, protocol and envelope, v1.0).

use serde::Deserialize;

use crate::encoding::Base64;
use crate::json::{self, JsonError, Keys, Object};

const KEYS: Keys = Keys { known: &["payload", "payloadType", "signatures", "sig", "keyid"], maps: &[], compared: usize::MAX };

/// Why bytes are no envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DsseError {
    /// Not one JSON object with the fields of an envelope.
    #[error("DSSE envelope: {0}")]
    Json(#[from] JsonError),
    /// An envelope without signature.
    #[error("DSSE envelope without a signature: expected at least one")]
    NoSignature,
}

/// A payload with its type and the signatures over both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// What the payload is, for example [`crate::media_type::IN_TOTO`].
    pub payload_type: String,
    /// What is signed.
    pub payload: Vec<u8>,
    /// The signatures, at least one. Key ids are unauthenticated hints and are not kept.
    pub signatures: Vec<Vec<u8>>,
}

impl Envelope {
    /// Reads an envelope from JSON.
    ///
    /// # Errors
    /// When it is none, or holds no signature.
    pub fn parse(bytes: &[u8]) -> Result<Self, DsseError> {
        json::read::<WireEnvelope>(bytes, &KEYS)?.envelope()
    }

    /// The bytes that are signed: the pre-authentication encoding of type and payload.
    #[must_use]
    pub fn pre_authentication_encoding(&self) -> Vec<u8> {
        let Self { payload_type, payload, .. } = self;
        let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
        bytes.extend_from_slice(payload);
        bytes
    }
}

/// The envelope as it stands in JSON; a bundle embeds it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireEnvelope {
    payload: Base64,
    payload_type: String,
    #[serde(default)]
    signatures: Vec<Object<WireSignature>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct WireSignature {
    sig: Base64,
}

impl WireEnvelope {
    pub(crate) fn envelope(self) -> Result<Envelope, DsseError> {
        if self.signatures.is_empty() {
            return Err(DsseError::NoSignature);
        }
        let signatures = self.signatures.into_iter().map(|Object(signature)| signature.sig.0).collect();
        Ok(Envelope { payload_type: self.payload_type, payload: self.payload.0, signatures })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_the_protocols_own_example() {
        // dsse/protocol.md, "Test Vectors"
        let text = r#"{"payload":"aGVsbG8gd29ybGQ=","payloadType":"http://example.com/HelloWorld","signatures":[{"sig":"AA=="}]}"#;
        let envelope = Envelope::parse(text.as_bytes()).expect("an envelope");
        assert_eq!(envelope.pre_authentication_encoding(), b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn malformed_envelopes_are_refused() {
        // V36
        for bad in [
            r#"{"payload":"","payloadType":"t","signatures":[]}"#,
            r#"{"payload":"","payloadType":"t"}"#,
            r#"{"payload":"!","payloadType":"t","signatures":[{"sig":""}]}"#,
            r#"{"payload":"","payload":"","payloadType":"t","signatures":[{"sig":""}]}"#,
            r#"{"payload":"","Payload":"","payloadType":"t","signatures":[{"sig":""}]}"#,
            r#"{"payload":"","payloadType":"t","signatures":[["AA=="]]}"#,
            r#"["","t",[]]"#,
            "",
        ] {
            assert!(Envelope::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
