//! What a client that may not is told.

use http::StatusCode;

use super::{PAUSE, Refusal};
use crate::auth::{Action, Actions, AuthError};

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Unauthenticated { challenge, problem } => {
                Self { challenge: Some(challenge), ..Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", problem.message()) }
            }
            AuthError::Limited { retry_after } => {
                let message = format!("too many wrong passwords or tokens from this address; try again in {retry_after} s");
                Self::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message).later(retry_after)
            }
            AuthError::Busy => {
                let message = "too many passwords wait for their check; try again";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message).later(PAUSE)
            }
            AuthError::Forbidden { principal, actions, repository } => {
                Self::new(StatusCode::FORBIDDEN, "DENIED", format!("{principal} has no right to {} in {repository}", any_of(actions)))
            }
            AuthError::NobodyIsAuthenticated { actions, repository } => {
                let message = format!(
                    "nobody may {} in {repository}: this gate authenticates no clients; an administrator adds `auth:` to sealgate.yaml",
                    any_of(actions)
                );
                Self::new(StatusCode::FORBIDDEN, "DENIED", message)
            }
        }
    }
}

/// `push or sign`
fn any_of(actions: Actions) -> String {
    actions.iter().map(Action::name).collect::<Vec<_>>().join(" or ")
}
