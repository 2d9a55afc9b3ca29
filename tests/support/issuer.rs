//! An issuer of identity tokens such as GitHub Actions and GitLab CI have, with an RSA and a P-256 key (OpenID Connect Core 1.0).

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, KeyPair, RsaKeyPair};
use serde_json::{Value, json};

use crate::hostile::{Fault, Rule, Upstream};

/// The identifier of the RSA key.
pub const RSA: &str = "rsa-1";
/// The identifier of the P-256 key.
pub const EC: &str = "ec-1";

/// A running issuer. Dropping it ends it.
#[derive(Debug)]
pub struct Issuer {
    server: Upstream,
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
}

impl Issuer {
    /// Starts one on loopback.
    #[must_use]
    pub fn start() -> Self {
        let random = SystemRandom::new();
        let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a P-256 key");
        let ec = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).expect("a P-256 key");
        // ring makes no RSA keys. This one is for these tests alone.
        let rsa = RsaKeyPair::from_pkcs8(include_bytes!("issuer/rsa.der")).expect("an RSA key");
        let issuer = Self { server: Upstream::start(), rsa, ec };
        let discovery = json!({ "issuer": issuer.url(), "jwks_uri": format!("{}/keys", issuer.url()) });
        issuer.serve("/.well-known/openid-configuration", &discovery);
        issuer.serve("/keys", &issuer.jwks());
        issuer
    }

    fn serve(&self, path: &str, document: &Value) {
        let body = document.to_string();
        let rule = Rule::on("GET", path).fault(Fault::Status(200)).fault(Fault::Header("content-length", body.len().to_string()));
        self.server.rule(rule.fault(Fault::Body(body.into())));
    }

    /// The `iss` of its tokens.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// How often its keys were fetched.
    #[must_use]
    pub fn fetches(&self) -> usize {
        self.server.count("GET", "/keys")
    }

    /// Its public keys (RFC 7517).
    #[must_use]
    pub fn jwks(&self) -> Value {
        let public: signature::RsaPublicKeyComponents<Vec<u8>> = self.rsa.public().into();
        let point = self.ec.public_key().as_ref();
        json!({ "keys": [
            { "kty": "RSA", "kid": RSA, "use": "sig", "alg": "RS256", "n": encode(&public.n), "e": encode(&public.e) },
            { "kty": "EC", "kid": EC, "use": "sig", "alg": "ES256", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..]) },
        ] })
    }

    /// What a token says whose signature is by one of its keys; none for any other.
    #[must_use]
    pub fn verified(&self, token: &str) -> Option<Value> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        let header: Value = serde_json::from_slice(&decode(header)?).ok()?;
        let signature = decode(signature)?;
        let public = match header["kid"].as_str()? {
            RSA => signature::UnparsedPublicKey::new(
                &signature::RSA_PKCS1_2048_8192_SHA256 as &dyn signature::VerificationAlgorithm,
                self.rsa.public().as_ref(),
            ),
            EC => signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, self.ec.public_key().as_ref()),
            _ => return None,
        };
        public.verify(message.as_bytes(), &signature).ok()?;
        serde_json::from_slice(&decode(payload)?).ok()
    }

    /// A token that says `claims`, signed with the RSA key.
    #[must_use]
    pub fn rs256(&self, claims: &Value) -> String {
        self.rs256_with(&json!({ "alg": "RS256", "typ": "JWT", "kid": RSA }), claims)
    }

    /// A token with this header, signed with the RSA key whatever the header says.
    #[must_use]
    pub fn rs256_with(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let mut signed = vec![0; self.rsa.public().modulus_len()];
        let padding = &signature::RSA_PKCS1_SHA256;
        self.rsa.sign(padding, &SystemRandom::new(), message.as_bytes(), &mut signed).expect("a signature");
        format!("{message}.{}", encode(&signed))
    }

    /// A token that says `claims`, signed with the P-256 key.
    #[must_use]
    pub fn es256(&self, claims: &Value) -> String {
        self.es256_with(&json!({ "alg": "ES256", "kid": EC }), claims)
    }

    /// A token with this header, signed with the P-256 key whatever the header says.
    #[must_use]
    pub fn es256_with(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let signed = self.ec.sign(&SystemRandom::new(), message.as_bytes()).expect("a signature");
        format!("{message}.{}", encode(signed.as_ref()))
    }
}

/// Header and payload of a token, without its signature.
#[must_use]
pub fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()))
}

/// base64url without padding (RFC 7515 §2).
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Unix seconds.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs()
}
