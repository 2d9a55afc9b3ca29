//! Identity tokens of CI services (OpenID Connect Core 1.0 §3.1.3.7, RFC 7519, RFC 8725).
//!
//! The signature is checked before anything that the token says is believed, by a key of the issuer that the configuration names: a token
//! cannot bring its key, name an algorithm that its key is not for, or go without one.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealgate_config::Oidc;
use sealgate_verifier::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::jwks::{Algorithm, Jwks};

/// Seconds that the issuer's clock may be off (RFC 7519 §4.1.4: "a few minutes" at most; F24).
const LEEWAY: i64 = 60;
/// Characters of a `sub`. GitHub's and GitLab's stay under 500; the claim is at most 255 (Core §2), which neither keeps to.
const SUBJECT: usize = 1_024;
/// What every JSON object begins with in base64.
const HEADER_PREFIX: &str = "eyJ";

/// RFC 7515 §4.1. What would choose a key or change the rules is read so that it can be refused.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    jwk: Option<Value>,
    jku: Option<Value>,
    x5u: Option<Value>,
    x5c: Option<Value>,
    crit: Option<Value>,
}

/// Why a token does not count. For the log: none of it quotes the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    /// It is no token.
    #[error("expected three parts of base64url and JSON")]
    Malformed,
    /// `none`, HS256, …
    #[error("expected RS256 or ES256")]
    Algorithm,
    /// `jwk`, `jku`, `x5u`, `x5c`, `crit`
    #[error("the header brings its own key, or demands an extension")]
    Header,
    /// No entry has this issuer.
    #[error("no entry of `oidc` has this issuer")]
    Issuer,
    /// The issuer has no such key.
    #[error("the issuer has no key with this `kid` and kind")]
    Key,
    /// Signed by another, or changed.
    #[error("the signature does not verify")]
    Signature,
    /// `exp`, `nbf` or `iat`
    #[error("the token has ended, has not begun, or says neither")]
    Time,
    /// The token is for somebody else, or says something else than any entry expects.
    #[error("no entry of `oidc` fits the token's audience and claims")]
    Claims,
}

/// A job that a token vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Of the entry that fits.
    pub name: String,
    /// Which entry it was, content included.
    pub entry: String,
    /// The token's `sub`.
    pub subject: String,
    /// The token's end.
    pub expires: Timestamp,
}

/// All issuers.
pub struct Workloads {
    entries: Vec<(Oidc, Arc<Jwks>)>,
}

impl Workloads {
    /// As the configuration has them; speaks to nobody.
    ///
    /// # Errors
    /// A file is none.
    pub fn new(entries: &[Oidc]) -> Result<Self, String> {
        // Entries with the same keys share them, and the pause between two fetches.
        let mut shared: BTreeMap<_, Arc<Jwks>> = BTreeMap::new();
        let mut all = Vec::new();
        for entry in entries {
            let key = (entry.issuer.clone(), entry.jwks.clone(), entry.ca.clone(), format!("{:?}", entry.allow_addresses));
            let jwks = match shared.get(&key) {
                Some(jwks) => Arc::clone(jwks),
                None => Arc::new(Jwks::new(entry)?),
            };
            shared.insert(key, Arc::clone(&jwks));
            all.push((entry.clone(), jwks));
        }
        Ok(Self { entries: all })
    }

    /// Names an entry, with what it demands: another audience or claim is another entry.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<String> {
        self.entries.iter().find(|(entry, _)| entry.name == name).map(|(entry, _)| digest(entry))
    }

    /// The job that `token` vouches for at `now`: the first entry that fits.
    ///
    /// # Errors
    /// Why it does not count.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Workload, OidcError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(OidcError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(OidcError::Malformed)?;
        let header: Header = json(header)?;
        let claims: Map<String, Value> = json(payload)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| OidcError::Malformed)?;
        let algorithm = Algorithm::named(&header.alg).ok_or(OidcError::Algorithm)?;
        if [&header.jwk, &header.jku, &header.x5u, &header.x5c, &header.crit].into_iter().any(Option::is_some) {
            return Err(OidcError::Header);
        }
        let issuer = claims.get("iss").and_then(Value::as_str).ok_or(OidcError::Issuer)?;
        let kid = header.kid.ok_or(OidcError::Key)?;
        let mut refusal = OidcError::Issuer;
        for (entry, jwks) in self.entries.iter().filter(|(entry, _)| entry.issuer == issuer) {
            match jwks.key(&kid, algorithm).await {
                None => refusal = OidcError::Key,
                Some(key) if !key.verifies(signed.as_bytes(), &signature) => refusal = OidcError::Signature,
                Some(_) => match judge(entry, &claims, now) {
                    Ok(workload) => return Ok(workload),
                    Err(error) => refusal = error,
                },
            }
        }
        Err(refusal)
    }
}

/// Whether a password or secret looks like an identity token.
#[must_use]
pub fn is_token(text: &str) -> bool {
    text.starts_with(HEADER_PREFIX) && text.bytes().filter(|byte| *byte == b'.').count() == 2
}

fn json<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, OidcError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| OidcError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| OidcError::Malformed)
}

/// What a token of the right issuer says, against what `entry` demands.
fn judge(entry: &Oidc, claims: &Map<String, Value>, now: Timestamp) -> Result<Workload, OidcError> {
    let time = |name: &str| claims.get(name).map(|value| value.as_i64().ok_or(OidcError::Time)).transpose();
    let expires = time("exp")?.ok_or(OidcError::Time)?;
    let begun = |begin: Option<i64>| begin.is_none_or(|begin| begin <= now.0.saturating_add(LEEWAY));
    if now.0 >= expires.saturating_add(LEEWAY) || !begun(time("nbf")?) || !begun(time("iat")?) {
        return Err(OidcError::Time);
    }
    let audience = match claims.get("aud") {
        Some(Value::String(one)) => *one == entry.audience,
        Some(Value::Array(all)) => all.iter().any(|one| one.as_str() == Some(&entry.audience)),
        Some(_) | None => false,
    };
    let says = |(name, values): (&String, &Vec<String>)| {
        let found = match claims.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Bool(flag)) => flag.to_string(),
            Some(_) | None => return false,
        };
        values.contains(&found)
    };
    if !audience || entry.claims.is_empty() || !entry.claims.iter().all(says) {
        return Err(OidcError::Claims);
    }
    let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
    if subject.is_empty() || subject.len() > SUBJECT || subject.chars().any(char::is_control) {
        return Err(OidcError::Claims);
    }
    let end = Timestamp(expires.saturating_add(LEEWAY));
    Ok(Workload { name: entry.name.clone(), entry: digest(entry), subject: subject.to_owned(), expires: end })
}

fn digest(entry: &Oidc) -> String {
    let Oidc { name, issuer, audience, claims, jwks: _, ca: _, allow_addresses: _ } = entry;
    // Text serialises always.
    let text = serde_json::to_vec(&(name, issuer, audience, claims)).unwrap_or_default();
    sealgate_verifier::Digest::sha256(&text).to_string()
}
