//! One run of the client workflow (TUF specification, section 5).

use bytes::Bytes;
use sealgate_registry::FetchError;
use sealgate_verifier::Timestamp;
use sealgate_verifier::limits::TUF_ROTATIONS;
use sealgate_verifier::sigstore::{TrustRoot, TrustRootError};
use sealgate_verifier::tuf::{Trusted, TufError, Wanted};

use super::repository::Repository;
use super::state::{Good, State, StateError, StateFile};

/// Why a refresh failed.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// A file did not come.
    #[error("{what}: {error}")]
    Fetch {
        /// Which file.
        what: String,
        /// Why.
        error: FetchError,
    },
    /// A file is not to be believed.
    #[error(transparent)]
    Tuf(#[from] TufError),
    /// More roots than one refresh follows.
    #[error("over {TUF_ROTATIONS} new roots")]
    Rotations,
    /// The target is signed and no trust root.
    #[error(transparent)]
    TrustRoot(#[from] TrustRootError),
    /// What is trusted could not be kept.
    #[error(transparent)]
    State(#[from] StateError),
    /// The program ends.
    #[error("interrupted")]
    Interrupted,
}

impl RefreshError {
    /// Whether it is the network's or the server's doing, and nothing was refused.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Fetch { error, .. } => match error {
                FetchError::NotFound
                | FetchError::Denied { .. }
                | FetchError::RateLimited { .. }
                | FetchError::Unavailable { .. }
                | FetchError::Timeout
                | FetchError::Unreachable { .. }
                | FetchError::Truncated { .. } => true,
                FetchError::Malformed { .. } | FetchError::TooLarge { .. } | FetchError::Forbidden { .. } => false,
            },
            Self::Interrupted => true,
            Self::Tuf(_) | Self::Rotations | Self::TrustRoot(_) | Self::State(_) => false,
        }
    }
}

/// A run under way.
pub struct Refresh<'a> {
    /// Where the files are.
    pub repository: &'a Repository,
    /// Where what is trusted is kept.
    pub file: &'a StateFile,
    /// The root with which trust began.
    pub anchor: &'a Bytes,
    /// What is trusted so far.
    pub state: &'a mut State,
    /// The target that is the trust root.
    pub target: &'a str,
    /// When the update began (section 5.1): all expiry is measured by it.
    pub now: Timestamp,
}

impl Refresh<'_> {
    /// Brings the state up to date. Each document is kept before the next one is asked for.
    ///
    /// # Errors
    /// The first step that failed. What was believed before it is kept, and authorises nothing by itself.
    pub async fn run(mut self) -> Result<(), RefreshError> {
        // 5.3
        let mut rotations = 0;
        while let Some(bytes) = self.metadata(&self.state.trusted.wanted_root()).await? {
            rotations += 1;
            if rotations > TUF_ROTATIONS {
                return Err(RefreshError::Rotations);
            }
            self.take(|trusted| trusted.new_root(&bytes).map(|()| true)).await?;
        }
        let now = self.now;
        self.state.trusted.check_root(now)?;
        // 5.4
        let bytes = self.required(&self.state.trusted.wanted_timestamp()).await?;
        self.take(|trusted| trusted.new_timestamp(&bytes, now)).await?;
        // 5.5
        if let Some(wanted) = self.state.trusted.wanted_snapshot()? {
            let bytes = self.required(&wanted).await?;
            self.take(|trusted| trusted.new_snapshot(&bytes, now).map(|()| true)).await?;
        }
        // 5.6
        if let Some(wanted) = self.state.trusted.wanted_targets()? {
            let bytes = self.required(&wanted).await?;
            self.take(|trusted| trusted.new_targets(&bytes, now).map(|()| true)).await?;
        }
        self.fetch_target().await
    }

    /// 5.7
    async fn fetch_target(&mut self) -> Result<(), RefreshError> {
        let target = self.state.trusted.target(self.target, self.now)?;
        let known = self.state.good.as_ref().map(|good| &good.bytes).filter(|bytes| target.check(bytes).is_ok()).cloned();
        let bytes = match known {
            Some(bytes) => bytes,
            None => {
                let fetched = self.repository.target(&target.wanted).await;
                fetched.map_err(|error| RefreshError::Fetch { what: target.wanted.path.clone(), error })?
            }
        };
        target.check(&bytes)?;
        let root = TrustRoot::from_json(&bytes)?;
        let good = Some(Good { bytes, root, refreshed_at: self.now });
        self.keep(State { trusted: self.state.trusted.clone(), good }).await
    }

    async fn metadata(&self, wanted: &Wanted) -> Result<Option<Bytes>, RefreshError> {
        let fetched = self.repository.metadata(wanted).await;
        fetched.map_err(|error| RefreshError::Fetch { what: wanted.path.clone(), error })
    }

    async fn required(&self, wanted: &Wanted) -> Result<Bytes, RefreshError> {
        let missing = || RefreshError::Fetch { what: wanted.path.clone(), error: FetchError::NotFound };
        self.metadata(wanted).await?.ok_or_else(missing)
    }

    /// Takes a document in and, where that changed anything, keeps it.
    async fn take(&mut self, step: impl FnOnce(&mut Trusted) -> Result<bool, TufError>) -> Result<(), RefreshError> {
        let mut trusted = self.state.trusted.clone();
        if step(&mut trusted)? {
            self.keep(State { trusted, good: self.state.good.clone() }).await?;
        }
        Ok(())
    }

    /// Makes `state` durable, and only then the one that counts.
    async fn keep(&mut self, state: State) -> Result<(), RefreshError> {
        let (file, anchor) = (self.file.clone(), self.anchor.clone());
        let saved = tokio::task::spawn_blocking(move || file.save(&anchor, &state).map(|()| state)).await;
        *self.state = saved.map_err(|_| RefreshError::Interrupted)??;
        Ok(())
    }
}
