//! What clients push: images to a registry that is hosted here, evidence beside the images of any registry (DESIGN §6).
//!
//! [`uploads`] holds what has begun, [`session`] is one of them, `intake` takes bytes into it, [`blob`] finishes and mounts blobs, [`manifest`] takes manifests in, [`delete`] takes
//! things out. What is acknowledged is durable (DESIGN §10): blob, then ledger, then index. Nothing pushed is served for being
//! pushed: whoever pulls gets what the policy admits.

mod account;
pub mod blob;
pub mod delete;
mod error;
mod intake;
pub mod manifest;
pub mod session;
pub mod uploads;

use std::net::IpAddr;

use sealgate_config::{PushAccess, Registry};
use sealgate_verifier::Repository;

use crate::auth::{Access, Action, AuthError, Principal};
use crate::gate::Gate;

pub use error::PushError;
pub use manifest::PushedDigest;
pub use session::{Content, UploadId};
pub use uploads::Uploads;

use account::Account;

/// What may be pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Images and everything else.
    Everything,
    /// Evidence only, by its bytes: to an upstream's name, or by somebody who may sign and not push.
    Evidence,
}

/// Somebody who may push to a repository. Only [`Gate::pusher`] makes one.
#[derive(Debug, Clone)]
pub struct Pusher {
    repository: Repository,
    principal: Principal,
    /// Whom its unfinished uploads count for.
    account: Account,
    extent: Extent,
}

impl Pusher {
    /// Where.
    #[must_use]
    pub const fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The name that the ledger records; none for an anonymous pusher.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.principal.recorded()
    }
}

impl Gate {
    /// Who may push to `repository` from `address`, and what.
    ///
    /// # Errors
    /// Nobody is to learn more than that they may not.
    pub fn pusher(&self, access: &Access, repository: &Repository, address: IpAddr) -> Result<Pusher, AuthError> {
        let hosted = self.upstreams.hosted(repository).is_some();
        let images = access.permits(Action::Push, repository) || self.takes_anonymous_pushes(repository);
        if !images {
            let actions: crate::auth::Actions =
                if hosted { [Action::Push, Action::Sign].into() } else { [Action::Sign, Action::Push].into() };
            access.require(actions, repository)?;
        }
        let extent = if hosted && images { Extent::Everything } else { Extent::Evidence };
        let principal = access.principal().clone();
        Ok(Pusher { repository: repository.clone(), account: Account::of(&principal, address), principal, extent })
    }

    /// Whether the configuration lets everybody push there.
    pub(in crate::gate) fn takes_anonymous_pushes(&self, repository: &Repository) -> bool {
        self.registry(repository).is_some_and(|registry| registry.push == PushAccess::Anonymous)
    }

    pub(in crate::gate) fn registry(&self, repository: &Repository) -> Option<&Registry> {
        self.config.registries.get(repository.registry())
    }
}
