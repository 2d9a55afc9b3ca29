//! Why the gate does not serve something. What a client sees of it is decided in `routes::error`.

use std::sync::Arc;

use sealgate_registry::FetchError;

use crate::gate::decided::Decided;
use crate::store::room::NoRoom;

/// Why the gate does not serve something.
#[derive(Debug, Clone)]
pub enum GateError {
    /// The policy denies it.
    Denied(Arc<Decided>),
    /// A denial that needed no evidence: no rule matches, or the rule says `deny`. The line says so.
    DeniedUnseen {
        /// The one line that a client sees.
        line: Arc<str>,
    },
    /// Nothing was ever pushed to a repository that is hosted here.
    RepositoryUnknown,
    /// The manifest is not in the repository, as far as its upstream says.
    ManifestUnknown,
    /// The blob is in no admitted manifest of the repository, or its upstream does not have it.
    BlobUnknown,
    /// The upstream failed.
    Upstream(FetchError),
    /// The upstream sent a manifest that can mean more than one thing, or none.
    BadManifest {
        /// What is wrong.
        problem: Arc<str>,
    },
    /// The store cannot take what must be recorded before it is served.
    Store {
        /// For the log only.
        detail: Arc<str>,
    },
    /// There is no room for what must be stored first, and none could be made.
    NoRoom(NoRoom),
    /// A task ended without a result. Never expected; denied and logged.
    Internal,
}

impl GateError {
    /// Whether the same request may succeed at once: the upstream failed without saying no, and without being slow.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Internal => true,
            Self::Upstream(error) => match error {
                FetchError::Unavailable { .. } | FetchError::Unreachable { .. } | FetchError::Truncated { .. } => true,
                FetchError::NotFound
                | FetchError::Denied { .. }
                | FetchError::RateLimited { .. }
                | FetchError::Timeout
                | FetchError::Malformed { .. }
                | FetchError::TooLarge { .. }
                | FetchError::Forbidden { .. } => false,
            },
            Self::Denied(_)
            | Self::DeniedUnseen { .. }
            | Self::RepositoryUnknown
            | Self::ManifestUnknown
            | Self::BlobUnknown
            | Self::BadManifest { .. }
            | Self::Store { .. }
            | Self::NoRoom(_) => false,
        }
    }

    /// A store error, with its detail for the log.
    pub fn store(error: impl std::error::Error + 'static) -> Self {
        if let Some(full) = NoRoom::of(&error) {
            tracing::error!(%full, "the store is full");
            return Self::NoRoom(*full);
        }
        let detail = error.to_string();
        tracing::error!(%detail, "the store failed");
        Self::Store { detail: detail.into() }
    }
}

impl From<FetchError> for GateError {
    fn from(error: FetchError) -> Self {
        match error {
            // A registry that answers 401 or 403 for a repository hides whether it exists; so do we (DESIGN §3).
            FetchError::NotFound | FetchError::Denied { .. } => Self::ManifestUnknown,
            other => Self::Upstream(other),
        }
    }
}
