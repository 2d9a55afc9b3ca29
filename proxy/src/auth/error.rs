//! Why a request may not do what it asks for.

use sealgate_config::Actions;
use sealgate_verifier::Repository;

use super::principal::Principal;

/// A request that is not served, whatever the trust policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthError {
    /// 401: the client may have more rights than it has shown; the value is the `WWW-Authenticate` header.
    Unauthenticated {
        /// RFC 6750 §3.
        challenge: String,
        /// What is wrong, in one sentence.
        problem: &'static str,
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
}
