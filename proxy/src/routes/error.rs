//! What a client sees when it gets nothing (DESIGN §3 "What is not policy", §7).
//!
//! One sentence, in the JSON body of distribution-spec 1.1 ("Error Codes") and in HTTP/1.1's reason phrase, since containerd and BuildKit
//! show nothing else. Codes are the specification's; where it has none, the two that docker's distribution defines beside them:
//! `UNAVAILABLE` (503) and `UNKNOWN` (502, 504). Details of upstreams and of the store go to the log only.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use hyper::ext::ReasonPhrase;
use sealgate_registry::FetchError;
use sealgate_verifier::{DigestError, limits};
use serde::Serialize;

use crate::body::Body;
use crate::gate::GateError;
use crate::gate::push::PushError;

/// Characters of a sentence, and so of a reason phrase: a denial's line with its link fits whole.
const SENTENCE: usize = limits::DENIAL_LINE;
/// Seconds to wait after a 429 whose upstream names no time.
const RATE_PAUSE: u64 = 10;
/// Seconds to wait after a 503.
const PAUSE: u64 = 5;

/// distribution-spec 1.1, "Error Codes".
#[derive(Serialize)]
struct ErrorDocument<'a> {
    errors: [ErrorEntry<'a>; 1],
}

#[derive(Serialize)]
struct ErrorEntry<'a> {
    code: &'a str,
    message: &'a str,
    detail: Option<ErrorDetail<'a>>,
}

/// Which decision denied.
#[derive(Serialize)]
struct ErrorDetail<'a> {
    decision: &'a str,
}

/// Which methods a resource has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Methods {
    /// What can only be read.
    Read,
    /// Where uploads begin.
    Uploads,
    /// An upload.
    Upload,
    /// A manifest or tag.
    Manifest,
    /// A blob.
    Blob,
}

impl Methods {
    /// As `Allow` writes them.
    const fn names(self) -> &'static str {
        match self {
            Self::Read => "GET, HEAD",
            Self::Uploads => "POST",
            Self::Upload => "GET, HEAD, PATCH, PUT, DELETE",
            Self::Manifest => "GET, HEAD, PUT, DELETE",
            Self::Blob => "GET, HEAD, DELETE",
        }
    }
}

/// An answer that is no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    decision: Option<String>,
    retry_after: Option<u64>,
    challenge: Option<String>,
    /// `Allow` of a 405.
    allow: Methods,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        let message = sentence(message.into());
        Self { status, code, message, decision: None, retry_after: None, challenge: None, allow: Methods::Read }
    }

    /// The same, to be tried again after some seconds.
    pub(super) fn later(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// 400: the repository's name breaks the grammar.
    #[must_use]
    pub fn name_invalid() -> Self {
        let message = "invalid repository name: expected lower-case letters, digits and single . _ - between them, parts separated by /";
        Self::new(StatusCode::BAD_REQUEST, "NAME_INVALID", message)
    }

    /// 400: the digest breaks the grammar.
    #[must_use]
    pub fn digest_invalid(error: &DigestError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", error.to_string())
    }

    /// 400: the tag breaks the grammar.
    #[must_use]
    pub fn tag_invalid() -> Self {
        let message = "invalid tag: expected up to 128 letters, digits, . _ - and no leading . or -";
        Self::new(StatusCode::BAD_REQUEST, "TAG_INVALID", message)
    }

    /// 400: a query parameter is none.
    #[must_use]
    pub fn query_invalid(message: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "UNSUPPORTED", message)
    }

    /// 400: `?ns=` and the path name different registries.
    #[must_use]
    pub fn contradiction(ns: &str, path: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "NAME_INVALID", format!("?ns= names the registry {ns}, and the path names {path}"))
    }

    /// 404: nobody configured that registry.
    #[must_use]
    pub fn unknown_registry(name: &str) -> Self {
        let message =
            format!("{name} is not configured as a registry of this gate; an administrator adds it under `registries:` in sealgate.yaml");
        Self::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", message)
    }

    /// 404: the path names nothing.
    #[must_use]
    pub fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "UNSUPPORTED", "there is nothing at this path; the registry API begins at /v2/")
    }

    /// 404 of the admin listener.
    #[must_use]
    pub fn no_such_admin_path() -> Self {
        let message = "there is nothing at this path; the admin listener has /livez, /readyz, /metrics and /decisions/ID";
        Self::new(StatusCode::NOT_FOUND, "UNSUPPORTED", message)
    }

    /// 404: there is no catalog (D5).
    #[must_use]
    pub fn no_catalog() -> Self {
        let message = "this gate lists no repositories: it pulls through other registries and does not know what they hold";
        Self::new(StatusCode::NOT_FOUND, "UNSUPPORTED", message)
    }

    /// 404: no such decision is on record.
    #[must_use]
    pub fn no_such_decision() -> Self {
        Self::new(StatusCode::NOT_FOUND, "UNKNOWN", "no decision with this identifier is on record")
    }

    /// 405: the resource is read-only.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "this resource is read-only: only GET and HEAD work here")
    }

    /// 405 of the token endpoint.
    #[must_use]
    pub fn token_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "the token endpoint takes GET and POST")
    }

    /// 404: no such upload of this client.
    #[must_use]
    pub fn upload_unknown() -> Self {
        PushError::UploadUnknown.into()
    }

    /// 405: the resource has other methods.
    #[must_use]
    pub fn method_not_allowed_here(allow: Methods) -> Self {
        let message = format!("this resource takes {}", allow.names());
        Self { allow, ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message) }
    }

    /// A push that was not taken.
    pub(super) fn of_push(status: StatusCode, code: &'static str, message: String) -> Self {
        Self::new(status, code, message)
    }

    /// 502: a blob that was under way broke off.
    #[must_use]
    pub fn blob_broke_off() -> Self {
        upstream(StatusCode::BAD_GATEWAY, "the upstream registry's blob broke off or does not match its digest")
    }

    /// The error code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The body: `{"errors":[{"code","message","detail"}]}`.
    fn document(&self) -> Bytes {
        let Self { code, message, decision, .. } = self;
        let errors = [ErrorEntry { code, message, detail: decision.as_deref().map(|decision| ErrorDetail { decision }) }];
        // Text alone serialises always.
        Bytes::from(serde_json::to_vec(&ErrorDocument { errors }).unwrap_or_default())
    }

    /// The answer. To a HEAD it has no body, and the headers that GET would have (RFC 9110 §9.3.2).
    #[must_use]
    pub fn into_response(self, head: bool) -> Response<Body> {
        let body = self.document();
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge.as_deref().and_then(|challenge| HeaderValue::from_str(challenge).ok()) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static(self.allow.names()));
        }
        if let Some(reason) = reason_phrase(&self.message) {
            response.extensions_mut().insert(reason);
        }
        if !head {
            *response.body_mut() = Body::full(body);
        }
        response
    }
}

/// One line of printable ASCII, so that body and reason phrase say the same (RFC 9112 §4 allows more, and clients disagree on what it
/// means): what an upstream's text had beside it shows as `?`.
fn sentence(message: Cow<'static, str>) -> Cow<'static, str> {
    let printable = |c: char| matches!(c, ' '..='~');
    if message.len() <= SENTENCE && message.chars().all(printable) {
        return message;
    }
    let shown = |c: char| if printable(c) { c } else { '?' };
    message.chars().take(SENTENCE).map(|c| if c.is_whitespace() { ' ' } else { shown(c) }).collect()
}

fn reason_phrase(sentence: &str) -> Option<ReasonPhrase> {
    ReasonPhrase::try_from(sentence.as_bytes().to_vec()).ok()
}

fn upstream(status: StatusCode, message: &'static str) -> Refusal {
    Refusal::new(status, "UNKNOWN", message)
}

impl From<GateError> for Refusal {
    fn from(error: GateError) -> Self {
        match error {
            GateError::Denied(decided) => {
                tracing::info!(decision = %decided.id, line = %decided.line, "denied");
                let decision = Some(decided.id.clone());
                Self { decision, ..Self::new(StatusCode::FORBIDDEN, "DENIED", decided.line.clone()) }
            }
            GateError::DeniedUnseen { line } => {
                tracing::info!(%line, "denied");
                Self::new(StatusCode::FORBIDDEN, "DENIED", line.to_string())
            }
            GateError::RepositoryUnknown => {
                Self::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "nothing was pushed to this repository of the gate")
            }
            GateError::ManifestUnknown => Self::new(
                StatusCode::NOT_FOUND,
                "MANIFEST_UNKNOWN",
                "the manifest is unknown: its registry does not have it, or does not show it",
            ),
            GateError::BlobUnknown => Self::new(
                StatusCode::NOT_FOUND,
                "BLOB_UNKNOWN",
                "no admitted manifest of this repository lists this blob, or its upstream lost it",
            ),
            GateError::Upstream(error) => Self::from(&error),
            GateError::BadManifest { problem } => {
                tracing::warn!(%problem, "a manifest was refused");
                let message = format!("the upstream registry's manifest is not served: {problem}");
                Self::new(StatusCode::BAD_GATEWAY, "MANIFEST_INVALID", message)
            }
            GateError::Store { detail } => {
                tracing::error!(%detail, "a request failed on the store");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "the gate cannot record its decision now; try again").later(PAUSE)
            }
            // RFC 4918 §11.5. The numbers are the admin's business; the log has them.
            GateError::NoRoom(_) => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "UNAVAILABLE",
                "the gate's store is full and nothing in it may be evicted now; what is stored is served, nothing new is taken",
            )
            .later(PAUSE),
            GateError::Internal => {
                tracing::error!("a request failed inside the gate");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "the gate cannot decide now; try again").later(PAUSE)
            }
        }
    }
}

impl From<&FetchError> for Refusal {
    fn from(error: &FetchError) -> Self {
        tracing::warn!(%error, "a request failed on its upstream");
        let bad = |message| upstream(StatusCode::BAD_GATEWAY, message);
        match error {
            FetchError::NotFound | FetchError::Denied { .. } => GateError::ManifestUnknown.into(),
            FetchError::RateLimited { retry_after } => {
                let seconds = retry_after.map_or(RATE_PAUSE, seconds);
                let message = format!("the upstream registry limits requests (HTTP 429); try again in {seconds} s");
                Self::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message).later(seconds)
            }
            FetchError::Timeout => upstream(StatusCode::GATEWAY_TIMEOUT, "the upstream registry did not answer in time"),
            FetchError::Unavailable { .. } => bad("the upstream registry failed"),
            FetchError::Unreachable { .. } => bad("the upstream registry cannot be reached"),
            FetchError::Truncated { .. } => bad("the upstream registry's answer ended early"),
            FetchError::Malformed { .. } => bad("the upstream registry's answer breaks the protocol or does not match its digest"),
            FetchError::TooLarge { .. } => bad("the upstream registry's answer is over the gate's limit"),
            FetchError::Forbidden { .. } => bad("the upstream registry pointed to a place where the gate does not go"),
        }
    }
}

/// Whole seconds, rounded up, at least one.
fn seconds(pause: Duration) -> u64 {
    pause.as_secs().saturating_add(u64::from(pause.subsec_nanos() > 0)).max(1)
}

mod authentication;
mod control;
#[cfg(test)]
mod tests;
