//! Fetching a token from a realm (distribution "Token Authentication Specification" and "OAuth2 Token Authentication").

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use reqwest::Url;
use sealgate_verifier::limits;
use serde::Deserialize;
use tokio::time::Instant;

use crate::auth::{Credentials, refuse_plaintext, sensitive};
use crate::body::document;
use crate::error::FetchError;
use crate::failure::refusal;
use crate::origin::Origin;
use crate::transport::{Request, Retries, Transport};

/// "For compatibility with older clients, a token should never be returned with less than 60 seconds to live", and the default.
const LIFETIME_MIN: u64 = 60;
/// Longest lifetime that is believed: one day.
const LIFETIME_MAX: u64 = 86_400;
/// A token is replaced this long before its end, so that it does not end on its way.
const MARGIN: Duration = Duration::from_secs(10);

/// A header that opens a repository for a while. It has no `Debug`.
pub(crate) struct Token {
    pub(crate) header: HeaderValue,
    expires: Option<Instant>,
}

impl Token {
    /// A header without an end.
    pub(crate) const fn lasting(header: HeaderValue) -> Self {
        Self { header, expires: None }
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.expires.is_none_or(|expires| Instant::now() + MARGIN < expires)
    }
}

/// A token endpoint that may be asked.
pub(crate) struct Realm {
    url: Url,
    origin: Origin,
}

impl Realm {
    /// Judges a challenge's realm. Credentials go to the registry's own origin and the listed hosts only; a realm elsewhere that would
    /// get them is hostile (B1, CVE-2026-33540). Where there are none, any https realm on a permitted address may be asked: the request
    /// tells it nothing.
    pub(crate) fn checked(
        realm: &str,
        registry: &Origin,
        listed: &[String],
        credentials: Option<&Credentials>,
    ) -> Result<Self, FetchError> {
        let forbidden = |problem: String| FetchError::Forbidden { problem };
        let url = Url::parse(realm).map_err(|_| FetchError::Malformed { problem: "a token realm that is no absolute URL".to_owned() })?;
        let origin = Origin::of(&url).ok_or_else(|| forbidden("a token realm that is not https".to_owned()))?;
        let trusted = origin == *registry || listed.iter().any(|host| origin.is_listed_as(host));
        if !origin.https && (registry.https || !trusted) {
            return Err(forbidden(format!("a token realm without https, http://{}", origin.authority())));
        }
        if credentials.is_some() {
            if !trusted {
                return Err(forbidden(format!("the token realm {}, which is not listed for this registry", origin.authority())));
            }
            refuse_plaintext(&origin)?;
        }
        Ok(Self { url, origin })
    }
}

/// A request for one token.
pub(crate) struct TokenRequest<'a> {
    pub(crate) realm: Realm,
    pub(crate) service: Option<&'a str>,
    pub(crate) scope: &'a str,
    pub(crate) credentials: Option<&'a Credentials>,
}

/// A token endpoint's answer. It has no `Debug`.
#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// The header that a token endpoint's answer stands for, and its lifetime in seconds.
pub(crate) fn answer(body: &[u8]) -> Result<(HeaderValue, u64), FetchError> {
    // serde's own message would quote the answer.
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|_| FetchError::Malformed { problem: "a token endpoint's answer that is not the JSON object expected".to_owned() })?;
    let token = answer.token.or(answer.access_token).filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| FetchError::Malformed { problem: "a token endpoint's answer without a token".to_owned() })?;
    let lifetime = answer.expires_in.unwrap_or(LIFETIME_MIN).clamp(LIFETIME_MIN, LIFETIME_MAX);
    Ok((sensitive(&format!("Bearer {token}"))?, lifetime))
}

impl TokenRequest<'_> {
    /// Asks the realm. Follows no redirect, whatever its status.
    pub(crate) async fn send(self, transport: &Transport) -> Result<Token, FetchError> {
        let asked = Instant::now();
        let request = self.request()?;
        let response = transport.send(&request, &mut Retries::one()).await?;
        let status = response.status();
        if status.is_redirection() {
            let problem = format!("a redirect of the token realm {}", self.realm.origin.authority());
            return Err(FetchError::Forbidden { problem });
        }
        if !status.is_success() {
            return Err(match refusal(status, response.headers()) {
                // "Not found" must not pass for an answer about the repository.
                FetchError::NotFound => FetchError::Unavailable { status: 404 },
                // OAuth2 says 400 for a bad refresh token (RFC 6749 §5.2).
                FetchError::Unavailable { status: 400 } if self.credentials.is_some() => FetchError::Denied { status: 400 },
                other => other,
            });
        }
        let body = document(response, limits::TOKEN_BYTES, transport.idle_timeout).await?;
        let (header, lifetime) = answer(&body)?;
        Ok(Token { header, expires: Some(asked + Duration::from_secs(lifetime)) })
    }

    fn request(&self) -> Result<Request, FetchError> {
        let mut url = self.realm.url.clone();
        let identity = self.credentials.filter(|credentials| credentials.is_identity_token());
        if let Some(credentials) = identity {
            let mut request = Request::new(Method::POST, url);
            request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
            request.body = Some(self.refresh_form(credentials));
            return Ok(request);
        }
        let mut query = url.query_pairs_mut();
        if let Some(service) = self.service {
            query.append_pair("service", service);
        }
        query.append_pair("scope", self.scope);
        drop(query);
        let mut request = Request::new(Method::GET, url);
        if let Some(credentials) = self.credentials {
            request.headers.insert(header::AUTHORIZATION, credentials.basic()?);
        }
        Ok(request)
    }

    /// The OAuth2 refresh flow's form.
    fn refresh_form(&self, credentials: &Credentials) -> Bytes {
        // Any URL will do: only its query, which has the form's encoding, is taken.
        let mut form = self.realm.url.clone();
        form.set_query(None);
        form.query_pairs_mut()
            .append_pair("grant_type", "refresh_token")
            .append_pair("client_id", "sealgate")
            .append_pair("service", self.service.unwrap_or_default())
            .append_pair("scope", self.scope)
            .append_pair("refresh_token", &credentials.password);
        Bytes::from(form.query().unwrap_or_default().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(realm: &str, registry: &str, listed: &[&str], with_credentials: bool) -> Result<(), FetchError> {
        let registry = Origin::of(&Url::parse(registry).expect(registry)).expect(registry);
        let listed: Vec<String> = listed.iter().map(|host| (*host).to_owned()).collect();
        let credentials = Credentials { username: "u".to_owned(), password: "hunter2".to_owned() };
        Realm::checked(realm, &registry, &listed, with_credentials.then_some(&credentials)).map(|_| ())
    }

    #[test]
    fn credentials_go_to_the_registry_and_listed_realms_only() {
        // B1
        let hub = "https://registry-1.docker.io";
        assert_eq!(judge("https://auth.docker.io/token", hub, &["auth.docker.io"], true), Ok(()));
        assert_eq!(judge("https://registry-1.docker.io/token", hub, &[], true), Ok(()));
        for foreign in
            ["https://evil.example/t", "https://auth.docker.io:444/t", "https://auth.docker.io.evil.example/t", "https://x.auth.docker.io/"]
        {
            let error = judge(foreign, hub, &["auth.docker.io"], true).expect_err(foreign);
            assert!(matches!(&error, FetchError::Forbidden { .. }) && !error.to_string().contains("hunter2"), "{foreign}: {error}");
            assert_eq!(judge(foreign, hub, &["auth.docker.io"], false), Ok(()));
        }
    }

    #[test]
    fn a_realm_without_https_is_for_plaintext_registries_only() {
        assert!(judge("http://registry-1.docker.io/t", "https://registry-1.docker.io", &["registry-1.docker.io"], false).is_err());
        assert_eq!(judge("http://127.0.0.1:5000/t", "http://127.0.0.1:5000", &[], true), Ok(()));
        assert!(judge("http://127.0.0.1:5001/t", "http://127.0.0.1:5000", &[], false).is_err());
        assert_eq!(judge("http://127.0.0.1:5001/t", "http://127.0.0.1:5000", &["127.0.0.1:5001"], true), Ok(()));
        assert!(judge("http://registry.lan/t", "http://registry.lan", &[], true).is_err());
        assert_eq!(judge("http://registry.lan/t", "http://registry.lan", &[], false), Ok(()));
        for bad in ["", "/token", "file:///etc/passwd", "javascript:1"] {
            assert!(judge(bad, "https://registry.example", &[], false).is_err(), "{bad}");
        }
    }
}
