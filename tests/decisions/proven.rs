//! What is left of an attachment without what proves nothing.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealgate_verifier::{Attachment, Digest, ImageManifest, Manifest, dsse, media_type};
use serde_json::Value;

use crate::essence::{essence, signed_parts};
use crate::mutant::{Random, flip};

/// Two attachments that prove the same are equal.
#[derive(Debug, PartialEq)]
pub enum Proven {
    /// A bundle without what nothing vouches for.
    Bundle(Value),
    /// A payload, or an envelope, with annotations.
    Annotated {
        content: Content,
        signature: Option<Vec<u8>>,
        certificate: Option<Vec<u8>>,
        entry: Option<Value>,
        timestamp: Option<String>,
    },
    /// Notation's envelope without the name of the agent.
    Notation(Vec<u8>),
    /// No signature.
    Nothing,
}

/// What a signature is over.
#[derive(Debug, PartialEq)]
pub enum Content {
    /// Bytes.
    Payload(Vec<u8>),
    /// An envelope.
    Envelope(dsse::Envelope),
}

impl Proven {
    /// Of the attachment's one layer. Without `vouched`, certificates, entries and timestamps are not read by whoever decides.
    /// `unsigned`: the bytes of a COSE envelope that nobody signs, which a flipped bit moves nowhere.
    pub fn of(attachment: &Attachment, vouched: bool, unsigned: Range<usize>) -> Self {
        let Ok(Manifest::Image(ImageManifest { layers, .. })) = Manifest::parse(&attachment.manifest, None) else {
            return Self::Nothing;
        };
        let layer = &attachment.layers[0];
        let Some(descriptor) = layers.iter().find(|descriptor| descriptor.digest == Digest::sha256(layer)) else {
            return Self::Nothing;
        };
        let content = match &*descriptor.media_type {
            media_type::JOSE => return Self::Notation(jws(layer)),
            media_type::COSE => {
                let mut envelope = layer.to_vec();
                envelope[unsigned].fill(0);
                return Self::Notation(envelope);
            }
            media_type::BUNDLE_V03 => {
                let mut document: Value = serde_json::from_slice(layer).expect("what is admitted is JSON");
                if !vouched {
                    document["verificationMaterial"] = Value::Null;
                    document["mediaType"] = Value::Null;
                }
                return Self::Bundle(essence(&document));
            }
            media_type::DSSE => Content::Envelope(dsse::Envelope::parse(layer).expect("what is admitted is an envelope")),
            _ => Content::Payload(layer.to_vec()),
        };
        let text = |name: &str| descriptor.annotations.get(name).filter(|text| !text.is_empty());
        // An envelope holds its signature itself.
        let signature = text("dev.cosignproject.cosign/signature").filter(|_| matches!(content, Content::Payload(_)));
        let signature = signature.map(|text| STANDARD.decode(text).expect("what is admitted is base64"));
        let (certificate, entry, timestamp) = if vouched {
            let certificate = text("dev.sigstore.cosign/certificate").map(|text| pem(text).expect("PEM"));
            (
                certificate,
                text("dev.sigstore.cosign/bundle").map(|text| entry(text)),
                text("dev.sigstore.cosign/rfc3161timestamp").map(|text| stamp(text)),
            )
        } else {
            (None, None, None)
        };
        Self::Annotated { content, signature, certificate, entry, timestamp }
    }
}

/// The bytes of the one PEM block.
fn pem(text: &str) -> Option<Vec<u8>> {
    let body = text.split_once("-----BEGIN CERTIFICATE-----")?.1.split_once("-----END")?.0;
    STANDARD.decode(body.split_whitespace().collect::<String>()).ok()
}

/// The text of the first PEM block with one bit of its bytes flipped.
pub fn flip_pem(text: &str, random: &mut Random) -> Option<Vec<u8>> {
    let mut der = pem(text)?;
    flip(&mut der, random);
    let (label, rest) = ("-----BEGIN CERTIFICATE-----\n", text.split_once("-----END")?.1);
    Some(format!("{label}{}\n-----END{rest}", STANDARD.encode(der)).into_bytes())
}

/// What a log promised, in the spelling of its fields.
fn entry(text: &str) -> Value {
    let document: Value = serde_json::from_str(text).expect("what is admitted is JSON");
    let bytes = |value: &Value| STANDARD.decode(value.as_str().unwrap_or_default()).ok();
    let payload = &document["Payload"];
    serde_json::json!([
        bytes(&document["SignedEntryTimestamp"]),
        bytes(&payload["body"]),
        payload["integratedTime"],
        payload["logIndex"],
        payload["logID"]
    ])
}

fn stamp(text: &str) -> String {
    let document: Value = serde_json::from_str(text).expect("what is admitted is JSON");
    document["SignedRFC3161Timestamp"]
        .as_str()
        .and_then(|text| STANDARD.decode(text).ok())
        .map_or_else(String::new, |token| signed_parts(&token))
}

/// The signed parts of a JWS envelope and the certificates (signature-envelope-jws.md: `io.cncf.notary.signingAgent` is unprotected).
fn jws(envelope: &[u8]) -> Vec<u8> {
    let mut document: Value = serde_json::from_slice(envelope).expect("what is admitted is JSON");
    if let Some(header) = document["header"].as_object_mut() {
        header.retain(|name, _| name == "x5c" || name == "io.cncf.notary.timestampSignature");
    }
    serde_json::to_vec(&document).expect("JSON")
}

/// Where a COSE envelope holds label and value of the unprotected signing agent (signature-envelope-cose.md): nowhere in another envelope.
pub fn agent(envelope: &[u8]) -> Range<usize> {
    const LABEL: &[u8] = b"io.cncf.notary.signingAgent";
    let Some(label) = envelope.windows(LABEL.len()).position(|part| part == LABEL).filter(|_| envelope[0] != b'{') else {
        return 0..0;
    };
    let value = label + LABEL.len();
    // RFC 8949, section 3: the label's head of two bytes before it, the value's head after it.
    let (head, length) = match envelope[value] & 0x1f {
        24 => (2, usize::from(envelope[value + 1])),
        short => (1, usize::from(short)),
    };
    label - 2..value + head + length
}
