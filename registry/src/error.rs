//! What a registry's failure means.

use std::time::Duration;

use sealgate_verifier::Failure;

/// Why a registry did not give what was asked for. No variant's text holds a credential or a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// 404: it is not there.
    #[error("not found")]
    NotFound,
    /// 401 or 403, after the token flow.
    #[error("the registry refused access (HTTP {status})")]
    Denied {
        /// HTTP status.
        status: u16,
    },
    /// 429.
    #[error("the registry limits our requests (HTTP 429)")]
    RateLimited {
        /// What `Retry-After` asked for.
        retry_after: Option<Duration>,
    },
    /// 5xx, or another status that no registry should answer with.
    #[error("the registry answered HTTP {status}")]
    Unavailable {
        /// HTTP status.
        status: u16,
    },
    /// The connection could not be made: refused, DNS, TLS.
    #[error("the registry could not be reached: {detail}")]
    Unreachable {
        /// One line, without addresses of internal hosts.
        detail: String,
    },
    /// No answer, or no further byte, in time.
    #[error("the registry did not answer in time")]
    Timeout,
    /// The body ended before its announced length.
    #[error("the registry's answer ended early: {found} of {expected} bytes")]
    Truncated {
        /// Bytes announced.
        expected: u64,
        /// Bytes received.
        found: u64,
    },
    /// The answer is not what the protocol says, or its bytes do not match its digest.
    #[error("the registry's answer is wrong: {problem}")]
    Malformed {
        /// Expected and found, in one line.
        problem: String,
    },
    /// Over a limit of [`sealgate_verifier::limits`].
    #[error("the registry's answer is over the limit of {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The registry, a token realm or a redirect pointed to a place that is not allowed.
    #[error("refused to follow: {problem}")]
    Forbidden {
        /// What it pointed to and why that is refused.
        problem: String,
    },
}

impl FetchError {
    /// The failure that a gap in the evidence names.
    #[must_use]
    pub const fn failure(&self) -> Failure {
        match self {
            Self::NotFound | Self::Denied { .. } | Self::Unreachable { .. } | Self::Forbidden { .. } => Failure::Refused,
            Self::RateLimited { .. } => Failure::RateLimited,
            Self::Unavailable { .. } => Failure::Unavailable,
            Self::Timeout => Failure::Timeout,
            Self::Truncated { .. } => Failure::Truncated,
            Self::Malformed { .. } => Failure::Malformed,
            Self::TooLarge { .. } => Failure::Oversized,
        }
    }
}
