//! in-toto statements (in-toto/attestation, spec v1) in DSSE envelopes (secure-systems-lab/dsse, v1.0): what a signature or an
//! attestation says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealgate_verifier::{Digest, media_type};
use serde_json::{Value, json};

use crate::predicate::Predicate;

/// A statement about one manifest, ready to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    payload: String,
    predicate_type: String,
}

impl Statement {
    /// That the signer approves `digest`: byte for byte what `cosign sign` 3 signs. Written out by hand, since the digest is the only
    /// part that varies, and its text needs no escaping.
    #[must_use]
    pub fn signature(digest: &Digest) -> Self {
        let payload = format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"{}":"{}"}},"annotations":{{}}}}],"predicateType":"{}","predicate":{{}}}}"#,
            digest.algorithm().name(),
            digest.hex(),
            media_type::COSIGN_SIGN_PREDICATE,
        );
        Self { payload, predicate_type: media_type::COSIGN_SIGN_PREDICATE.to_owned() }
    }

    /// What `predicate` says about `digest` in the repository `name`. The predicate's bytes stay as they are.
    #[must_use]
    pub fn attestation(name: &str, digest: &Digest, predicate: &Predicate) -> Self {
        let payload = format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"name":{},"digest":{{"{}":"{}"}}}}],"predicateType":{},"predicate":{}}}"#,
            Value::from(name),
            digest.algorithm().name(),
            digest.hex(),
            Value::from(predicate.predicate_type()),
            predicate.text(),
        );
        Self { payload, predicate_type: predicate.predicate_type().to_owned() }
    }

    /// Type of the predicate, a URI.
    #[must_use]
    pub fn predicate_type(&self) -> &str {
        &self.predicate_type
    }

    /// What is signed: PAE of type and payload (DSSE protocol.md).
    pub(crate) fn pre_authentication_encoding(&self) -> Vec<u8> {
        pre_authentication_encoding(media_type::IN_TOTO, self.payload.as_bytes())
    }

    /// The envelope with one signature.
    pub(crate) fn envelope(&self, signature: &[u8]) -> Value {
        json!({
            "payload": STANDARD.encode(&self.payload),
            "payloadType": media_type::IN_TOTO,
            "signatures": [{ "sig": STANDARD.encode(signature) }],
        })
    }
}

/// PAE (DSSE v1 protocol.md): `DSSEv1 LEN(type) type LEN(body) body`.
fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut encoded = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    encoded.extend_from_slice(payload);
    encoded
}

#[cfg(test)]
mod tests {
    use sealgate_verifier::AttestationType;
    use sealgate_verifier::statement;

    use super::*;

    /// What cosign 3.1 signed for this digest: `jq -r .dsseEnvelope.payload | base64 -d` of its bundle.
    const BY_COSIGN: &str = r#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"af2d884e7f2819bb455951de3496dff83c3c00c9870df93884bcc4f294d12963"},"annotations":{}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}"#;

    #[test]
    fn the_statement_is_byte_for_byte_what_cosign_signs() {
        let digest = "sha256:af2d884e7f2819bb455951de3496dff83c3c00c9870df93884bcc4f294d12963".parse().expect("a digest");
        assert_eq!(Statement::signature(&digest).payload, BY_COSIGN);
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
    fn an_attestation_keeps_its_predicate_byte_for_byte() {
        let digest = Digest::sha256(b"image");
        let kind = AttestationType::parse("openvex").expect("a type");
        let text = "{ \"b\": 1.50,\n \"a\": \"\\u0061\" }";
        let predicate = Predicate::read(&kind, text.as_bytes(), sealgate_verifier::Timestamp(0)).expect("a predicate");
        let made = Statement::attestation("r.example/a\"b", &digest, &predicate);
        let read = statement::Statement::parse(made.payload.as_bytes()).expect("a statement");
        assert!(read.names(&digest));
        assert_eq!((read.predicate_type.as_str(), read.predicate.expect("a predicate").get()), ("https://openvex.dev/ns", text));
    }
}
