//! What one request may do, and in whose name.

use std::sync::Arc;

use sealgate_config::{Action, Actions};
use sealgate_verifier::Repository;

use super::authenticator::Auth;
use super::error::{AuthError, Unauthenticated};
use super::principal::Principal;
use super::rights::Rights;
use super::scope::{self, Scope};

/// What one request may do, and in whose name. Denies what nothing permits.
#[derive(Clone)]
pub struct Access {
    pub(super) principal: Principal,
    pub(super) rights: Rights,
    /// What a bearer token narrows the rights to.
    pub(super) scope: Option<Scope>,
    /// None: the gate authenticates nobody.
    pub(super) auth: Option<Arc<Auth>>,
}

impl Access {
    /// Of a gate that authenticates nobody: everybody pulls, nobody does more.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self { principal: Principal::Anonymous, rights: Rights::default(), scope: None, auth: None }
    }

    /// In whose name: what an upload belongs to, and what the ledger records.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Whether the request may do `action` in `repository`.
    #[must_use]
    pub fn permits(&self, action: Action, repository: &Repository) -> bool {
        let everybody = action == Action::Pull && self.auth.as_ref().is_none_or(|auth| auth.is_open(repository.registry()));
        let in_scope = || self.scope.as_ref().is_none_or(|scope| scope::covers(scope, action, repository));
        everybody || (self.rights.permit(action, repository) && in_scope())
    }

    /// Whether its principal may do `action` in `repository`, even where a bearer token is narrowed to pulling there: clients read with
    /// such a token what they are about to sign, and so are told by their right (DESIGN §6, sign lane).
    #[must_use]
    pub fn entitles(&self, action: Action, repository: &Repository) -> bool {
        let readable = self.scope.as_ref().is_none_or(|scope| scope::covers(scope, Action::Pull, repository));
        readable && self.rights.permit(action, repository)
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
        let Some(auth) = &self.auth else {
            return Err(AuthError::NobodyIsAuthenticated { actions, repository: repository.clone() });
        };
        let challenge = |problem| auth.challenge(problem, Some((repository, actions)));
        if self.principal.is_anonymous() {
            return Err(challenge(Unauthenticated::NoCredentials));
        }
        if self.rights.within(repository).intersects(actions) {
            return Err(challenge(Unauthenticated::NarrowScope));
        }
        Err(AuthError::Forbidden { principal: self.principal.clone(), actions, repository: repository.clone() })
    }

    /// Asks whoever sent no credentials for some, though strangers may pull. A client that keeps a login and does not ask `/v2/` first (oras,
    /// notation) sends it only when it is asked; any other comes back with the token that everybody is given, and gets the denial.
    ///
    /// # Errors
    /// 401.
    pub fn ask(&self, repository: &Repository) -> Result<(), AuthError> {
        match &self.auth {
            Some(auth) if self.principal.is_anonymous() && self.scope.is_none() => {
                Err(auth.challenge(Unauthenticated::NoCredentials, Some((repository, Action::Pull.into()))))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Refuses a stranger where the gate authenticates clients: `/v2/`, by which `docker login` tells right from wrong.
    ///
    /// # Errors
    /// 401.
    pub fn require_principal(&self) -> Result<(), AuthError> {
        match &self.auth {
            // An anonymous bearer token answers the challenge of `/v2/` as well.
            Some(auth) if self.principal.is_anonymous() && self.scope.is_none() => {
                Err(auth.challenge(Unauthenticated::NoCredentials, None))
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("principal", &self.principal).field("rights", &self.rights).finish_non_exhaustive()
    }
}
