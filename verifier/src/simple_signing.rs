//! cosign's payload, "simple signing" (containers/image, docs/atomic-signature.md, as sigstore/cosign's SIGNATURE_SPEC.md
//! narrows it).

use serde::Deserialize;

use crate::digest::{Digest, DigestError};
use crate::json::{self, JsonError, Keys, Object};

/// The one value of `critical.type`.
pub const TYPE: &str = "cosign container image signature";
/// The annotation of a payload's descriptor that holds the signature, in base64.
pub const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// The annotation of a payload's descriptor that holds the certificate of a keyless signature.
pub const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";

const KEYS: Keys = Keys {
    known: &["critical", "identity", "docker-reference", "image", "docker-manifest-digest", "type", "optional"],
    maps: &["optional"],
    compared: usize::MAX,
};

/// Why bytes are no payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimpleSigningError {
    /// Not one JSON object with the fields of a payload.
    #[error("simple signing payload: {0}")]
    Json(#[from] JsonError),
    /// Another type.
    #[error("simple signing payload of another type: expected {TYPE:?}")]
    Type,
    /// The digest is malformed.
    #[error("simple signing payload: {0}")]
    Digest(#[from] DigestError),
}

/// What such a signature says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// `critical.image.docker-manifest-digest`: what is signed.
    pub digest: Digest,
    /// `critical.identity.docker-reference`: the name under which it was signed, as written; may be empty.
    pub docker_reference: String,
}

#[derive(Deserialize)]
struct WirePayload {
    critical: Object<WireCritical>,
}

#[derive(Deserialize)]
struct WireCritical {
    identity: Object<WireIdentity>,
    image: Object<WireImage>,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct WireIdentity {
    #[serde(rename = "docker-reference", default)]
    docker_reference: String,
}

#[derive(Deserialize)]
struct WireImage {
    #[serde(rename = "docker-manifest-digest")]
    docker_manifest_digest: String,
}

impl Payload {
    /// Reads a payload. The signature is over the bytes as they are; nothing here has checked it.
    ///
    /// # Errors
    /// When it is none, or of another type.
    pub fn parse(bytes: &[u8]) -> Result<Self, SimpleSigningError> {
        let WirePayload { critical: Object(critical) } = json::read(bytes, &KEYS)?;
        if critical.kind != TYPE {
            return Err(SimpleSigningError::Type);
        }
        Ok(Self { digest: critical.image.0.docker_manifest_digest.parse()?, docker_reference: critical.identity.0.docker_reference })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYLOAD: &str = include_str!("../tests/fixtures/p256/payload.json");

    #[test]
    fn cosigns_payload_is_read() {
        let payload = Payload::parse(PAYLOAD.as_bytes()).expect("a payload");
        assert_eq!(payload.digest, Digest::sha256(include_bytes!("../tests/fixtures/manifest.json")));
        assert_eq!(payload.docker_reference, "127.0.0.1:5977/team/p256");
        let annotated = PAYLOAD.replace("\"optional\":null", r#""optional":{"Type":"x","type":"y","creator":"c"}"#);
        assert!(Payload::parse(annotated.replace(r#","type":"y""#, "").as_bytes()).is_ok());
    }

    #[test]
    fn malformed_payloads_are_refused() {
        // V5, C5, V36
        for (from, to) in [
            ("cosign container", "atomic container"),
            ("\"type\"", "\"Type\""),
            ("sha256:", "SHA256:"),
            ("\"image\":{", "\"image\":{\"docker-manifest-digest\":\"sha256:00\","),
            ("\"image\":{", "\"image\":{\"Docker-Manifest-Digest\":\"sha256:00\","),
            ("\"critical\":{", "\"critical\":[{"),
            ("{\"critical\"", "[{\"critical\""),
        ] {
            assert!(PAYLOAD.contains(from));
            assert!(Payload::parse(PAYLOAD.replacen(from, to, 1).as_bytes()).is_err(), "{from} -> {to}");
        }
        assert!(Payload::parse(b"").is_err());
    }
}
