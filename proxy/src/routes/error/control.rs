//! Answers of the control socket. Its admin may know all of it.

use http::StatusCode;

use super::Refusal;
use crate::auth::TokenError;

impl Refusal {
    /// 404 of the control socket.
    #[must_use]
    pub fn no_such_control_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "UNSUPPORTED", "POST /explain, POST /reload, POST /tokens/..., POST /store/..., GET /status")
    }

    /// 405 of the control socket.
    #[must_use]
    pub fn control_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "POST /explain, POST /reload, GET /status")
    }

    /// 413 of the control socket.
    #[must_use]
    pub fn body_too_large(limit: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", format!("the request's body is over {limit} bytes"))
    }

    /// 400 of the control socket.
    #[must_use]
    pub fn body_invalid(message: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "UNSUPPORTED", message)
    }

    /// What is wrong with a request about tokens, on the control socket.
    #[must_use]
    pub fn token(error: &TokenError) -> Self {
        let status = match error {
            TokenError::Invalid(_) | TokenError::Ambiguous(_) => StatusCode::BAD_REQUEST,
            TokenError::Unknown(_) => StatusCode::NOT_FOUND,
            TokenError::Randomness | TokenError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, "UNSUPPORTED", error.to_string())
    }

    /// 409 of the control socket: tokens would not be accepted.
    #[must_use]
    pub fn no_tokens() -> Self {
        let message = "this gate accepts no tokens: add `auth: { tokens: true }` to sealgate.yaml and restart it";
        Self::new(StatusCode::CONFLICT, "UNSUPPORTED", message)
    }

    /// 404 of the control socket: it is not in the store.
    #[must_use]
    pub fn not_stored(message: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", message)
    }

    /// What failed in a command about the store, on the control socket: its admin may know all of it.
    #[must_use]
    pub fn housekeeping(message: String) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", message)
    }
}
