//! Every trust root that is kept current, and what is known of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use sealgate_config::TufRepository;
use sealgate_verifier::Timestamp;
use sealgate_verifier::policy::{CurrentRoot, CurrentRoots, built_in_as_of};
use sealgate_verifier::tuf::Trusted;
use serde::{Deserialize, Serialize};

use super::refresh::{Refresh, RefreshError};
use super::repository::Repository;
use super::state::{Good, State, StateError, StateFile};
use crate::gate::Gate;
use crate::metrics::{Metrics, TrustRootMetrics};
use crate::server::Shutdown;

/// How often it is looked whether a refresh is due.
const TICK: Duration = Duration::from_secs(60);
/// How long after a failure the next try is, unless the refreshes themselves are more frequent.
const RETRY: Duration = Duration::from_mins(15);

/// All of them.
pub struct TrustRoots {
    kept: BTreeMap<String, Arc<Kept>>,
    refresh: Option<Duration>,
    max_age: Option<Duration>,
}

/// One.
struct Kept {
    name: String,
    repository: TufRepository,
    anchor: Bytes,
    file: StateFile,
    metrics: TrustRootMetrics,
    /// Held while a refresh is under way: there is one at a time.
    state: tokio::sync::Mutex<State>,
    shown: Mutex<Shown>,
}

/// What is known of one, for everybody who does not want to wait for a refresh.
#[derive(Default)]
struct Shown {
    good: Option<Good>,
    root_version: u64,
    expires: Option<Timestamp>,
    attempted_at: Option<Timestamp>,
    failures: u64,
    problem: Option<String>,
    unreachable: bool,
    /// What was kept of it is damaged: until the next refresh nothing counts, not even what is built in.
    lost: bool,
}

/// What is known of a trust root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RootStatus {
    /// Its name.
    pub name: String,
    /// Whether a signer of the policy in force needs it.
    pub needed: bool,
    /// Where it is kept current from.
    pub url: String,
    /// Since when its age counts: the last refresh, or the date of what is built in. None: there is no root.
    pub as_of: Option<Timestamp>,
    /// When the last refresh succeeded.
    pub refreshed_at: Option<Timestamp>,
    /// When the last one was tried.
    pub attempted_at: Option<Timestamp>,
    /// Refreshes that failed since the start.
    pub failures: u64,
    /// Why the last one failed; none where it did not.
    pub problem: Option<String>,
    /// Whether that was the network's or the server's doing, so that another try may help.
    pub unreachable: bool,
    /// Version of the TUF root.
    pub tuf_root_version: u64,
    /// When the first of the TUF documents expires.
    pub expires: Option<Timestamp>,
    /// SHA-256 of the `trusted_root.json`, where it came by TUF.
    pub digest: Option<String>,
}

impl TrustRoots {
    /// Reads what was kept in the data folder; speaks to nobody.
    ///
    /// # Errors
    /// A file that cannot be read, or that a newer program wrote. (A damaged one is moved away: its root counts for nothing until it is
    /// refreshed.)
    pub fn open(config: &sealgate_config::TrustRoots, data: &Path, metrics: &Metrics) -> Result<Arc<Self>, String> {
        let mut kept = BTreeMap::new();
        for (name, repository) in &config.repositories {
            let opened = Kept::open(name, repository, data, metrics).map_err(|error| format!("trust root {name}: {error}"))?;
            kept.insert(name.clone(), Arc::new(opened));
        }
        Ok(Arc::new(Self { kept, refresh: config.refresh, max_age: config.max_age }))
    }

    /// What a policy evaluates with.
    #[must_use]
    pub fn current(&self) -> CurrentRoots {
        let mut current = CurrentRoots { max_age: self.max_age.map(seconds), ..CurrentRoots::default() };
        for (name, kept) in &self.kept {
            let shown = kept.shown();
            if let Some(good) = &shown.good {
                current.roots.insert(name.clone(), CurrentRoot { root: good.root.clone(), as_of: good.refreshed_at });
            }
            if shown.lost {
                current.lost.push(name.clone());
            }
        }
        current
    }

    /// Keeps current whatever the policy of `gate` needs, until the shutdown.
    pub fn watch(self: &Arc<Self>, gate: &Arc<Gate>, shutdown: &Shutdown) {
        let Some(refresh) = self.refresh else { return };
        for kept in self.kept.values() {
            let (roots, kept, gate, shutdown) = (Arc::clone(self), Arc::clone(kept), Arc::downgrade(gate), shutdown.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = roots.watch_one(&kept, &gate, refresh) => {}
                    () = shutdown.requested() => {}
                }
            });
        }
    }

    async fn watch_one(&self, kept: &Kept, gate: &Weak<Gate>, refresh: Duration) {
        let mut ticks = tokio::time::interval(refresh.min(TICK));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(gate) = gate.upgrade() else { return };
            if gate.needs_trust_root(&kept.name) && kept.is_due(gate.now(), refresh) {
                // The outcome is in the log and in metrics.
                let _ = self.update(&kept.name, &gate).await;
            }
        }
    }

    /// Refreshes one root now, and puts it in force. None where there is no such root.
    pub async fn update(&self, name: &str, gate: &Gate) -> Option<Result<(), RefreshError>> {
        let kept = self.kept.get(name)?;
        let outcome = kept.refresh(gate.now()).await;
        if outcome.is_ok() {
            gate.use_trust_roots(self.current());
        }
        Some(outcome)
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.kept.keys().map(String::as_str)
    }

    /// What is known of each.
    #[must_use]
    pub fn status(&self, gate: &Gate) -> Vec<RootStatus> {
        self.kept.values().map(|kept| kept.status(gate.needs_trust_root(&kept.name))).collect()
    }
}

impl Kept {
    fn open(name: &str, repository: &TufRepository, data: &Path, metrics: &Metrics) -> Result<Self, StateError> {
        let anchor = Bytes::from(repository.root.clone());
        let file = StateFile::new(data, name);
        let mut lost = false;
        let loaded = match file.load(&anchor) {
            Err(error @ StateError::Damaged { .. }) => {
                tracing::error!(root = name, %error, "nothing counts under this trust root until it is refreshed");
                file.move_away();
                lost = true;
                None
            }
            other => other?,
        };
        let state = match loaded {
            Some(state) => state,
            None => {
                let damaged = |problem: String| StateError::Damaged { path: "the TUF root of the configuration".into(), problem };
                State { trusted: Trusted::begin(&anchor).map_err(|error| damaged(error.to_string()))?, good: None }
            }
        };
        let metrics = metrics.trust_root(name);
        let mut shown = Shown { lost, ..Shown::default() };
        shown.take(&state);
        let kept =
            Self { name: name.to_owned(), repository: repository.clone(), anchor, file, metrics, state: state.into(), shown: shown.into() };
        kept.measure();
        Ok(kept)
    }

    fn shown(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn measure(&self) {
        let shown = self.shown();
        self.metrics.as_of.set(self.as_of(&shown).map_or(0, |time| time.0));
        self.metrics.refreshed.set(shown.good.as_ref().map_or(0, |good| good.refreshed_at.0));
    }

    fn as_of(&self, shown: &Shown) -> Option<Timestamp> {
        let built_in = built_in_as_of(&self.name).filter(|_| !shown.lost);
        shown.good.as_ref().map(|good| good.refreshed_at).into_iter().chain(built_in).max()
    }

    fn is_due(&self, now: Timestamp, refresh: Duration) -> bool {
        let shown = self.shown();
        let after = |time: Timestamp, duration: Duration| now >= time.plus(seconds(duration));
        match (shown.attempted_at, &shown.problem, &shown.good) {
            (Some(attempted), Some(_), _) => after(attempted, refresh.min(RETRY)),
            (_, _, Some(good)) => after(good.refreshed_at, refresh),
            (Some(_) | None, _, None) => true,
        }
    }

    async fn refresh(&self, now: Timestamp) -> Result<(), RefreshError> {
        let mut state = self.state.lock().await;
        let outcome = self.run(&mut state, now).await;
        let mut shown = self.shown();
        shown.attempted_at = Some(now);
        shown.take(&state);
        match &outcome {
            Ok(()) => {
                (shown.problem, shown.unreachable, shown.lost) = (None, false, false);
                let digest = shown.good.as_ref().map(|good| good.root.digest().to_string()).unwrap_or_default();
                tracing::info!(root = %self.name, tuf_root = shown.root_version, digest, "the trust root was refreshed");
            }
            Err(error) => {
                let problem = error.to_string();
                // Once is enough for a gate that never had a network.
                if shown.problem.as_ref() == Some(&problem) {
                    tracing::debug!(root = %self.name, problem, "the trust root was not refreshed again");
                } else {
                    tracing::warn!(root = %self.name, url = %self.repository.url, problem, "the trust root was not refreshed; the last good one stays");
                }
                (shown.problem, shown.unreachable) = (Some(problem), error.is_passing());
                shown.failures += 1;
                self.metrics.failures.inc();
            }
        }
        drop(shown);
        self.measure();
        outcome
    }

    async fn run(&self, state: &mut State, now: Timestamp) -> Result<(), RefreshError> {
        let repository = Repository::new(&self.repository);
        let repository = repository.map_err(|error| RefreshError::Fetch { what: self.repository.url.clone(), error })?;
        let (file, anchor, target) = (&self.file, &self.anchor, self.repository.target.as_str());
        Refresh { repository: &repository, file, anchor, state, target, now }.run().await
    }

    fn status(&self, needed: bool) -> RootStatus {
        let shown = self.shown();
        RootStatus {
            name: self.name.clone(),
            needed,
            url: self.repository.url.clone(),
            as_of: self.as_of(&shown),
            refreshed_at: shown.good.as_ref().map(|good| good.refreshed_at),
            attempted_at: shown.attempted_at,
            failures: shown.failures,
            problem: shown.problem.clone(),
            unreachable: shown.unreachable,
            tuf_root_version: shown.root_version,
            expires: shown.expires,
            digest: shown.good.as_ref().map(|good| good.root.digest().to_string()),
        }
    }
}

impl Shown {
    /// What the state says; what was good stays good.
    fn take(&mut self, state: &State) {
        self.good = state.good.clone();
        self.root_version = state.trusted.root_version();
        self.expires = Some(state.trusted.expires());
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
