//! A signature over an image's digest, as `cosign sign` 3 writes it: an in-toto Statement v1 in a DSSE envelope in a Sigstore
//! bundle v0.3, without a transparency log entry.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealgate_verifier::{Digest, media_type};
use serde_json::json;

use crate::key::SigningKey;

/// Why nothing was signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The system has no random bytes.
    #[error("the system gave no random bytes")]
    Random,
}

/// Signs `digest` and returns the bundle's bytes.
///
/// # Errors
/// [`SignError::Random`].
pub fn sign_image(key: &SigningKey, digest: &Digest) -> Result<Vec<u8>, SignError> {
    let payload = statement(digest);
    let signature = key.sign(&pre_authentication_encoding(media_type::IN_TOTO, payload.as_bytes()))?;
    // protobuf-specs sigstore_bundle.proto, in the JSON form that cosign writes.
    let bundle = json!({
        "mediaType": media_type::BUNDLE_V03,
        "verificationMaterial": { "publicKey": { "hint": key.hint() } },
        "dsseEnvelope": {
            "payload": STANDARD.encode(&payload),
            "payloadType": media_type::IN_TOTO,
            "signatures": [{ "sig": STANDARD.encode(signature) }],
        },
    });
    Ok(bundle.to_string().into_bytes())
}

/// in-toto Statement v1 with cosign's predicate. Written out by hand: the digest is the only part that varies, and its text needs
/// no escaping.
fn statement(digest: &Digest) -> String {
    format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"{}":"{}"}},"annotations":{{}}}}],"predicateType":"{}","predicate":{{}}}}"#,
        digest.algorithm().name(),
        digest.hex(),
        media_type::COSIGN_SIGN_PREDICATE,
    )
}

/// PAE (DSSE v1 protocol.md): `DSSEv1 LEN(type) type LEN(body) body`.
fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut encoded = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    encoded.extend_from_slice(payload);
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What cosign 3.1 signed for this digest: `jq -r .dsseEnvelope.payload | base64 -d` of its bundle.
    const BY_COSIGN: &str = r#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"af2d884e7f2819bb455951de3496dff83c3c00c9870df93884bcc4f294d12963"},"annotations":{}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}"#;

    #[test]
    fn the_statement_is_byte_for_byte_what_cosign_signs() {
        let digest = "sha256:af2d884e7f2819bb455951de3496dff83c3c00c9870df93884bcc4f294d12963".parse().expect("a digest");
        assert_eq!(statement(&digest), BY_COSIGN);
    }

    #[test]
    fn the_encoding_is_that_of_the_dsse_specification() {
        // DSSE protocol.md, "Test Vectors".
        assert_eq!(
            pre_authentication_encoding("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn the_bundle_has_cosigns_members_and_no_secret() {
        let (key, der) = SigningKey::generate().expect("a key");
        let bundle = sign_image(&key, &Digest::sha256(b"image")).expect("signs");
        let value: serde_json::Value = serde_json::from_slice(&bundle).expect("JSON");
        assert_eq!(value["mediaType"], media_type::BUNDLE_V03);
        assert_eq!(value["verificationMaterial"], json!({ "publicKey": { "hint": key.hint() } }));
        assert_eq!(value["dsseEnvelope"]["signatures"].as_array().map(Vec::len), Some(1));
        assert_eq!(value.as_object().map(serde_json::Map::len), Some(3));
        let secret = STANDARD.encode(&*der);
        assert!(!String::from_utf8_lossy(&bundle).contains(&secret[..40]));
    }
}
