//! Why a request may not do what it asks for.

use sealgate_config::Actions;
use sealgate_verifier::Repository;

use super::principal::Principal;

/// A request that is not served, whatever the trust policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthError {
    /// 401: the client may have more rights than it has shown.
    Unauthenticated {
        /// The `WWW-Authenticate` header (RFC 6750 §3).
        challenge: String,
        /// What is wrong.
        problem: Unauthenticated,
    },
    /// 403: no credentials of this client would change it.
    Forbidden {
        /// Who asks.
        principal: Principal,
        /// What was asked for; any of it would do.
        actions: Actions,
        /// Where.
        repository: Repository,
    },
    /// 403: the gate authenticates nobody, and this takes a name.
    NobodyIsAuthenticated {
        /// What was asked for.
        actions: Actions,
        /// Where.
        repository: Repository,
    },
    /// 429: this client was wrong too often.
    Limited {
        /// Seconds until it may try again.
        retry_after: u64,
    },
    /// 503: too many passwords wait for their check.
    Busy,
}

/// Why a client counts as a stranger. Never whether a user exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unauthenticated {
    /// It showed nothing.
    NoCredentials,
    /// It showed something that is no credential of a known kind.
    Malformed,
    /// A user name or password is wrong, or a secret is unknown, expired or revoked.
    Wrong,
    /// A bearer token is of another gate, expired, or its principal is no more.
    StaleBearer,
    /// A bearer token is for something else.
    NarrowScope,
}

impl Unauthenticated {
    /// One sentence for the client.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::NoCredentials => "authentication required: log in to this gate",
            Self::Malformed => "the Authorization header is malformed: expected Basic or Bearer credentials",
            Self::Wrong => "the user name, password or token is wrong, expired or revoked",
            Self::StaleBearer => "the bearer token is expired or revoked: fetch another",
            Self::NarrowScope => "the bearer token is for something else: fetch one with the scope of the challenge",
        }
    }

    /// RFC 6750 §3.1, where a bearer token was shown.
    pub(super) const fn code(self) -> Option<&'static str> {
        match self {
            Self::StaleBearer => Some("invalid_token"),
            Self::NarrowScope => Some("insufficient_scope"),
            Self::NoCredentials | Self::Malformed | Self::Wrong => None,
        }
    }
}
