//! Answers that the server gives by itself, in the shape of the distribution specification's errors.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode, Version};

use crate::body::Body;

/// Seconds after which a client may try again that was refused for load.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("2");

/// `{"errors":[{"code","message"}]}` (distribution-spec, Error Codes) with a status. 503 says when to try again.
#[must_use]
pub fn refusal(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let text = serde_json::json!({ "errors": [{ "code": code, "message": message }] }).to_string();
    let mut response = Response::new(Body::full(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS);
    }
    response
}

/// What is wrong with a request before any service sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadRequest {
    /// RFC 9112 §3.2: no `Host`, several, or a malformed one.
    Host,
    /// RFC 9112 §3.2.2: the target names another host than `Host`.
    Authority,
    /// A target that is no path.
    Target,
    /// RFC 9110 §8.6: no length is declared.
    Length,
    /// The declared length is beyond the limit.
    Size,
}

impl BadRequest {
    /// The answer. The connection ends with it: where the next request begins is not trusted any more.
    pub(super) fn response(self, version: Version) -> Response<Body> {
        let (status, code, message) = match self {
            Self::Host => (StatusCode::BAD_REQUEST, "UNSUPPORTED", "the request needs exactly one valid Host header"),
            Self::Authority => (StatusCode::BAD_REQUEST, "UNSUPPORTED", "the request target and the Host header name different hosts"),
            Self::Target => (StatusCode::BAD_REQUEST, "UNSUPPORTED", "the request target is not a path"),
            Self::Length => (StatusCode::LENGTH_REQUIRED, "SIZE_INVALID", "a request body needs a Content-Length here"),
            Self::Size => (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", "the request body is too large"),
        };
        let mut response = refusal(status, code, message);
        // RFC 9113 §8.2.2: HTTP/2 knows no Connection header.
        if version < Version::HTTP_2 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
