//! Envelopes as no honest tool makes them, signed for real with a P-256 key.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use sealgate_tests::image::Image;
use sealgate_tests::pki::Identity;
use sealgate_verifier::Timestamp;
use serde_json::{Value, json};

use crate::scene::now;
use crate::token::Token;

/// The parts of an envelope, good until changed.
#[derive(Clone)]
pub struct Forge {
    pub protected: Value,
    pub payload: Value,
    /// In DER, leaf first.
    pub chain: Vec<Vec<u8>>,
    pub key: Vec<u8>,
    /// Makes the timestamp of a signature.
    pub timestamp: Option<Token>,
}

impl Forge {
    /// A good signature of `image` by `identity` under scheme `notary.x509`, made a minute ago.
    pub fn new(identity: &Identity, image: &Image) -> Self {
        let protected = json!({
            "alg": "ES256", "cty": "application/vnd.cncf.notary.payload.v1+json",
            "crit": ["io.cncf.notary.signingScheme"],
            "io.cncf.notary.signingScheme": "notary.x509",
            "io.cncf.notary.signingTime": now().plus(-60).to_string(),
        });
        let payload = json!({ "targetArtifact": image.manifest.descriptor() });
        Self { protected, payload, chain: identity.chain_der(), key: identity.key_der(), timestamp: None }
    }

    /// The same under scheme `notary.x509.signingAuthority`.
    pub fn by_authority(mut self, at: Timestamp) -> Self {
        let fields = self.protected.as_object_mut().expect("an object");
        fields.remove("io.cncf.notary.signingTime");
        fields.insert("io.cncf.notary.signingScheme".to_owned(), json!("notary.x509.signingAuthority"));
        fields.insert("io.cncf.notary.authenticSigningTime".to_owned(), json!(at.to_string()));
        fields.insert("crit".to_owned(), json!(["io.cncf.notary.signingScheme", "io.cncf.notary.authenticSigningTime"]));
        self
    }

    /// The same with a protected header set, or removed where `value` is null.
    pub fn with(mut self, header: &str, value: Value) -> Self {
        let fields = self.protected.as_object_mut().expect("an object");
        if value.is_null() {
            fields.remove(header);
        } else {
            fields.insert(header.to_owned(), value);
        }
        self
    }

    /// The same with a field of the payload's descriptor set.
    pub fn with_target(mut self, field: &str, value: Value) -> Self {
        self.payload["targetArtifact"][field] = value;
        self
    }

    /// The same with another chain.
    pub fn with_chain(mut self, chain: Vec<Vec<u8>>) -> Self {
        self.chain = chain;
        self
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.key, &random).expect("a P-256 key");
        key.sign(&random, message).expect("a signature").as_ref().to_vec()
    }

    pub fn jws(&self) -> Vec<u8> {
        self.jws_of(&self.protected.to_string(), &self.payload.to_string())
    }

    /// With protected headers and payload as these texts.
    pub fn jws_of(&self, protected: &str, payload: &str) -> Vec<u8> {
        let (protected, payload) = (URL_SAFE_NO_PAD.encode(protected), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.sign(format!("{protected}.{payload}").as_bytes());
        let chain: Vec<String> = self.chain.iter().map(|der| STANDARD.encode(der)).collect();
        let mut header = json!({ "x5c": chain, "io.cncf.notary.signingAgent": "tests/1" });
        if let Some(token) = self.timestamp.clone() {
            // Of this signature, unless it is to be of something else.
            let message = if token.message.is_empty() { signature.clone() } else { token.message.clone() };
            header["io.cncf.notary.timestampSignature"] = json!(STANDARD.encode(Token { message, ..token }.der()));
        }
        let signature = URL_SAFE_NO_PAD.encode(signature);
        json!({ "payload": payload, "protected": protected, "header": header, "signature": signature }).to_string().into_bytes()
    }

    /// In COSE, with these protected headers, in CBOR.
    pub fn cose_of(&self, protected: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let pairs: Vec<u8> = protected.iter().flat_map(|(label, value)| [label.clone(), value.clone()].concat()).collect();
        let protected = cbor::bytes(&[cbor::head(5, protected.len()), pairs].concat());
        let payload = cbor::bytes(self.payload.to_string().as_bytes());
        let signed = [cbor::head(4, 4), cbor::text("Signature1"), protected.clone(), cbor::bytes(&[]), payload.clone()].concat();
        let chain: Vec<u8> = self.chain.iter().flat_map(|der| cbor::bytes(der)).collect();
        let unprotected = [cbor::head(5, 1), cbor::integer(33), cbor::head(4, self.chain.len()), chain].concat();
        let signature = cbor::bytes(&self.sign(&signed));
        [cbor::head(6, 18), cbor::head(4, 4), protected, unprotected, payload, signature].concat()
    }

    /// The protected headers of a good envelope in COSE.
    pub fn cose_headers() -> Vec<(Vec<u8>, Vec<u8>)> {
        let scheme = "io.cncf.notary.signingScheme";
        vec![
            (cbor::integer(1), cbor::integer(-7)),
            (cbor::integer(2), [cbor::head(4, 1), cbor::text(scheme)].concat()),
            (cbor::integer(3), cbor::text("application/vnd.cncf.notary.payload.v1+json")),
            (cbor::text(scheme), cbor::text("notary.x509")),
            (cbor::text("io.cncf.notary.signingTime"), cbor::time(now().plus(-60))),
        ]
    }
}

/// CBOR as the tests need it (RFC 8949, section 3).
pub mod cbor {
    use sealgate_verifier::Timestamp;

    pub fn head(major: u8, argument: usize) -> Vec<u8> {
        let argument = argument as u64;
        let wide = argument.to_be_bytes();
        let major = major << 5;
        match argument {
            0..=23 => vec![major | wide[7]],
            24..=0xff => vec![major | 24, wide[7]],
            0x100..=0xffff => [&[major | 25], &wide[6..]].concat(),
            _ => [&[major | 26], &wide[4..]].concat(),
        }
    }

    pub fn bytes(value: &[u8]) -> Vec<u8> {
        [&head(2, value.len()), value].concat()
    }

    pub fn text(value: &str) -> Vec<u8> {
        [&head(3, value.len()), value.as_bytes()].concat()
    }

    pub fn integer(value: i64) -> Vec<u8> {
        let argument = if value < 0 { -1 - value } else { value };
        head(u8::from(value < 0), usize::try_from(argument).expect("small"))
    }

    pub fn time(value: Timestamp) -> Vec<u8> {
        [head(6, 1), integer(value.0)].concat()
    }
}
