//! What one request may do, and in whose name.

use sealgate_config::{Action, Actions};
use sealgate_verifier::Repository;

use super::error::AuthError;
use super::principal::Principal;
use super::rights::Rights;

/// What one request may do, and in whose name. Denies what nothing permits.
#[derive(Debug, Clone)]
pub struct Access {
    principal: Principal,
    rights: Rights,
}

impl Access {
    /// Of a gate that authenticates nobody: everybody pulls, nobody does more.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self { principal: Principal::Anonymous, rights: Rights::default() }
    }

    /// In whose name: what an upload belongs to, and what the ledger records.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Whether the request may do `action` in `repository`.
    #[must_use]
    pub fn permits(&self, action: Action, repository: &Repository) -> bool {
        action == Action::Pull || self.rights.permit(action, repository)
    }

    /// Refuses unless the request may do one of `actions` in `repository`. To be asked before anything else is looked up there, so that
    /// a stranger does not learn what exists.
    ///
    /// # Errors
    /// 401 where other credentials could help, else 403.
    pub fn require(&self, actions: impl Into<Actions>, repository: &Repository) -> Result<(), AuthError> {
        let actions = actions.into();
        if actions.iter().any(|action| self.permits(action, repository)) {
            return Ok(());
        }
        Err(AuthError::NobodyIsAuthenticated { actions, repository: repository.clone() })
    }
}
