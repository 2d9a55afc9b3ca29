//! One service of a Sigstore instance, asked over HTTP.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use sealgate_registry::document::Request;
use sealgate_registry::{Documents, FetchError};
use serde_json::Value;

/// Bytes of an answer. Certificates, log entries and timestamps stay under 64 KiB.
const ANSWER_BYTES: usize = 1024 * 1024;
/// Longest wait for an answer: a Rekor v2 log answers once the entry is in its tree (rekor-tiles, CLIENTS.md: at least 20 s).
const PATIENCE: Duration = Duration::from_secs(60);
/// Characters of a service's own words that an error repeats.
const SAID: usize = 240;

/// What a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Gives out identity tokens.
    TokenIssuer,
    /// Fulcio.
    CertificateAuthority,
    /// Rekor.
    TransparencyLog,
    /// RFC 3161.
    TimestampAuthority,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TokenIssuer => "identity token service",
            Self::CertificateAuthority => "certificate authority",
            Self::TransparencyLog => "transparency log",
            Self::TimestampAuthority => "timestamp authority",
        })
    }
}

/// Why a service did not give what was asked for. No variant's text holds a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// It could not be asked.
    #[error("the {role} {url} could not be asked: {problem}")]
    Unreachable {
        /// Which service.
        role: Role,
        /// Its URL.
        url: String,
        /// What happened.
        problem: String,
        /// Whether it may pass by itself.
        passing: bool,
    },
    /// It answered with another status than success.
    #[error("the {role} {url} answered HTTP {status}{said}")]
    Refused {
        /// Which service.
        role: Role,
        /// Its URL.
        url: String,
        /// The status.
        status: u16,
        /// `: ` and its own words, where they hold no secret.
        said: String,
    },
    /// Its answer is not what its API says.
    #[error("the {role} {url} answered something else than {expected}")]
    Answer {
        /// Which service.
        role: Role,
        /// Its URL.
        url: String,
        /// What should have come.
        expected: &'static str,
    },
    /// A token would travel in plain text.
    #[error("the {role} {url} speaks plain http, which would show the identity token to everybody on the way: expected https")]
    Plaintext {
        /// Which service.
        role: Role,
        /// Its URL.
        url: String,
    },
}

impl ServiceError {
    /// Whether it may pass by itself.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { passing, .. } => *passing,
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 500..=599),
            Self::Answer { .. } | Self::Plaintext { .. } => false,
        }
    }
}

/// A service.
pub(crate) struct Service {
    role: Role,
    url: String,
    documents: Documents,
}

/// What is posted.
pub(crate) struct Post<'a> {
    pub(crate) content_type: &'static str,
    pub(crate) accept: &'static str,
    pub(crate) body: Bytes,
    /// What must not be repeated.
    pub(crate) secret: Option<&'a str>,
}

impl Service {
    /// The service at `url`; connects to nobody.
    pub(crate) fn new(role: Role, url: &str, user_agent: &str) -> Result<Self, ServiceError> {
        let failed = |error: FetchError| unreachable(role, url, &error);
        let documents = Documents::of_user(url, user_agent, PATIENCE).map_err(failed)?;
        Ok(Self { role, url: url.trim_end_matches('/').to_owned(), documents })
    }

    /// Itself, unless what it is sent can be read on the way.
    pub(crate) fn private(self) -> Result<Self, ServiceError> {
        if self.documents.is_private() { Ok(self) } else { Err(ServiceError::Plaintext { role: self.role, url: self.url }) }
    }

    /// Its answer to a POST at `path` below its URL.
    pub(crate) async fn post(&self, path: &str, post: Post<'_>) -> Result<Bytes, ServiceError> {
        let request = Request { authorization: None, accept: post.accept, body: Some((post.content_type, post.body)) };
        self.ask(&format!("{}{path}", self.url), request, post.secret).await
    }

    /// Its answer to a GET of exactly `url`.
    pub(crate) async fn get(&self, url: &str, bearer: &str) -> Result<Bytes, ServiceError> {
        let authorization = zeroize::Zeroizing::new(format!("Bearer {bearer}"));
        let request = Request { authorization: Some(&authorization), accept: "application/json", body: None };
        self.ask(url, request, Some(bearer)).await
    }

    async fn ask(&self, url: &str, request: Request<'_>, secret: Option<&str>) -> Result<Bytes, ServiceError> {
        let answer = self.documents.ask(url, request, ANSWER_BYTES).await.map_err(|error| unreachable(self.role, &self.url, &error))?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        let said = said(&answer.body, secret);
        Err(ServiceError::Refused { role: self.role, url: self.url.clone(), status: answer.status.as_u16(), said })
    }

    /// The error for an answer that its API does not know.
    pub(crate) fn unexpected(&self, expected: &'static str) -> ServiceError {
        ServiceError::Answer { role: self.role, url: self.url.clone(), expected }
    }
}

fn unreachable(role: Role, url: &str, error: &FetchError) -> ServiceError {
    let (problem, passing) = match error {
        FetchError::Unreachable { detail } => (detail.clone(), true),
        FetchError::Timeout => ("no answer in time".to_owned(), true),
        FetchError::Truncated { expected, found } => (format!("its answer ended early, {found} of {expected} bytes"), true),
        FetchError::TooLarge { limit } => (format!("its answer is over the limit of {limit} bytes"), false),
        FetchError::Malformed { problem } | FetchError::Forbidden { problem } => (problem.clone(), false),
        FetchError::NotFound | FetchError::Denied { .. } | FetchError::RateLimited { .. } | FetchError::Unavailable { .. } => {
            (error.to_string(), false)
        }
    };
    // Of a URL only what names the service: a query may hold more.
    let url = url.split(['?', '#']).next().unwrap_or_default().to_owned();
    ServiceError::Unreachable { role, url, problem, passing }
}

/// The service's own words, unless they repeat a part of `secret`: one line of printable ASCII.
fn said(body: &[u8], secret: Option<&str>) -> String {
    let text = String::from_utf8_lossy(body);
    let leaks = |secret: &str| secret.split('.').any(|part| part.len() >= 8 && text.contains(part));
    if secret.is_some_and(leaks) {
        return String::new();
    }
    let message = serde_json::from_slice::<Value>(body).ok().and_then(|value| Some(value.get("message")?.as_str()?.to_owned()));
    let line: String = message.as_deref().unwrap_or(&text).chars().map(|c| if c.is_ascii_graphic() { c } else { ' ' }).take(SAID).collect();
    let line = line.trim();
    if line.is_empty() { String::new() } else { format!(": {line}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_services_words_are_repeated_unless_they_hold_the_token() {
        let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlLWJ5dGVz";
        assert_eq!(said(br#"{"code":3,"message":"bad\naudience"}"#, Some(token)), ": bad audience");
        assert_eq!(said(b"plain \xff text", Some(token)), ": plain   text");
        assert_eq!(said(format!(r#"{{"message":"cannot parse {token}"}}"#).as_bytes(), Some(token)), "");
        assert_eq!(said(b"signature c2lnbmF0dXJlLWJ5dGVz", Some(token)), "");
        assert_eq!(said(b"", None), "");
        assert!(said(&[b'x'; 4096], None).len() <= SAID + 2);
    }
}
