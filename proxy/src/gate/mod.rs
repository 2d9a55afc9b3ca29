//! The gate: resolve, collect, decide, and let out only what was decided.
//!
//! [`decided`] holds the one type through which bytes leave; [`judge`] makes decisions; [`resolve`] turns tags into digests;
//! [`material`] brings manifests and evidence in; [`blobs`] and [`fetch`] serve blobs. [`push`] takes in what clients push, [`overlay`]
//! joins it to what upstreams have, [`lane`] lets those who push and sign read it back.

mod allowance;
pub mod blobs;
pub mod cache;
pub mod clock;
pub mod decided;
pub mod error;
pub mod explain;
pub mod explanation;
pub mod fetch;
pub mod flight;
pub mod import;
pub mod judge;
mod keep;
pub mod lane;
pub mod listing;
pub mod material;
pub mod overlay;
pub mod prefetch;
pub mod push;
pub mod record;
pub mod resolve;
pub mod upstreams;

pub use blobs::BlobContent;
pub use decided::{Admitted, Decided, Outcome, ServedBlob, ServedManifest};
pub use error::GateError;
pub use upstreams::Target;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use sealgate_config::ServerConfig;
use sealgate_verifier::policy::CurrentRoots;
use sealgate_verifier::{Digest, Policy, Repository, Revision, Tag, Timestamp};
use tokio::sync::Semaphore;

use crate::gate::allowance::Allowance;
use crate::gate::cache::Cache;
use crate::gate::clock::Clock;
use crate::gate::fetch::Growing;
use crate::gate::flight::Flights;
use crate::gate::material::{HeldEvidence, RawManifest};
use crate::gate::overlay::Editions;
use crate::gate::push::Uploads;
use crate::gate::resolve::Resolution;
use crate::gate::upstreams::{Upstream, Upstreams};
use crate::metrics::Metrics;
use crate::store::blob::StoredBlob;
use crate::store::{DecisionRecord, Store};

/// Bytes of decided manifests in memory, parsed ones included. With manifests of about 1 KiB these are over 10,000 decisions.
const DECISION_BYTES: usize = 32 * 1024 * 1024;
/// Bytes of undecided manifests in memory, parsed ones included: what was fetched and is being decided on.
const RAW_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of evidence in memory.
const EVIDENCE_BYTES: usize = 32 * 1024 * 1024;
/// Tags whose resolution is in memory.
const TAGS: usize = 50_000;
/// Blobs whose grant, subject or decision is in memory.
const GRANTS: usize = 100_000;
/// Open files of stored blobs. The usual limit of a process is 1,024 files.
const OPEN_BLOBS: usize = 256;
/// Blob fetches at once, over all upstreams; further ones wait. Each holds one blocking thread and a few MiB.
const FETCHES: usize = 64;

/// What names a thing in one repository.
pub(in crate::gate) type Key = (Repository, Digest);

/// One load of the policy, with the trust roots that are in force.
pub(in crate::gate) struct PolicyLoad {
    pub(in crate::gate) policy: Policy,
    /// Counts the loads of this process, and the changes of trust roots: part of each decision's key.
    pub(in crate::gate) epoch: u64,
}

/// What a gate is made of.
pub struct GateParts {
    /// The server's configuration.
    pub config: ServerConfig,
    /// The trust policy.
    pub policy: Policy,
    /// The store.
    pub store: Store,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
}

/// The gate. Shared by all connections.
pub struct Gate {
    config: ServerConfig,
    upstreams: Upstreams,
    store: Store,
    metrics: Arc<Metrics>,
    clock: Clock,
    policy: ArcSwap<PolicyLoad>,
    /// What each load of the policy takes over.
    trust_roots: ArcSwap<CurrentRoots>,
    decisions: Cache<Key, Arc<Decided>>,
    /// The last decisions that were not recorded, by identifier, so that a denial's link can be followed.
    unrecorded: Cache<String, DecisionRecord>,
    /// Denials and first sights of tags that may be recorded.
    allowance: Allowance,
    decision_flights: Arc<Flights<(Key, decided::Edition, judge::As), Arc<Decided>>>,
    tags: Cache<(Repository, Tag), Resolution>,
    tag_flights: Arc<Flights<(Repository, Tag), Digest>>,
    manifests: Cache<Key, Arc<RawManifest>>,
    manifest_flights: Arc<Flights<Key, Arc<RawManifest>>>,
    evidence: Cache<Key, Arc<HeldEvidence>>,
    evidence_flights: Arc<Flights<Key, Arc<HeldEvidence>>>,
    /// Evidence manifest -> the subject whose evidence tag or listing named it.
    subjects: Cache<Key, Digest>,
    /// Evidence tag -> what it held when it was last fetched.
    evidence_tags: Cache<(Repository, Tag), Digest>,
    /// Blob -> a manifest that listed it when it was last granted.
    grants: Cache<Key, Digest>,
    /// Children that a walk asked for -> when it may ask again.
    walked: Cache<Key, Timestamp>,
    /// Blobs that their repository possesses and that are open.
    open_blobs: Cache<Key, StoredBlob>,
    /// Blobs under way. An entry is removed after the blob is durable.
    fetches: Mutex<HashMap<Key, Growing>>,
    fetch_flights: Arc<Flights<Key, BlobContent>>,
    /// HEADs of blobs that are under way.
    confirm_flights: Arc<Flights<Key, Option<u64>>>,
    fetch_permits: Arc<Semaphore>,
    /// Evidence that was pushed here, by subject, as of an edition of its repository.
    pushed_evidence: Cache<Key, (u64, Arc<HeldEvidence>)>,
    editions: Editions,
    uploads: Arc<Uploads>,
    /// Tags whose last resolution serves because their upstream cannot confirm it.
    unconfirmed: Cache<(Repository, Tag), Digest>,
    /// Blob -> the manifest, evidence by what it says, that somebody who may sign read last.
    lane_blobs: Cache<Key, Digest>,
    /// Pusher and blob -> the repository to which they uploaded it last, for mounts that name none.
    uploaded_to: Cache<(Option<String>, Digest), Repository>,
}

impl Gate {
    /// Prepares a gate; speaks to nobody.
    ///
    /// # Errors
    /// What is wrong with an upstream's configuration.
    pub fn new(parts: GateParts) -> Result<Arc<Self>, String> {
        let GateParts { config, policy, store, metrics } = parts;
        let gate = Arc::new(Self {
            upstreams: Upstreams::new(&config, &metrics)?,
            clock: Clock::new(store.high_water()),
            policy: ArcSwap::from_pointee(PolicyLoad { policy, epoch: 0 }),
            trust_roots: ArcSwap::default(),
            decisions: Cache::new(DECISION_BYTES),
            unrecorded: Cache::new(1_000),
            allowance: Allowance::new(),
            decision_flights: Arc::default(),
            tags: Cache::new(TAGS),
            tag_flights: Arc::default(),
            manifests: Cache::new(RAW_BYTES),
            manifest_flights: Arc::default(),
            evidence: Cache::new(EVIDENCE_BYTES),
            evidence_flights: Arc::default(),
            subjects: Cache::new(GRANTS),
            evidence_tags: Cache::new(TAGS),
            grants: Cache::new(GRANTS),
            walked: Cache::new(GRANTS),
            open_blobs: Cache::new(OPEN_BLOBS),
            fetches: Mutex::default(),
            fetch_flights: Arc::default(),
            confirm_flights: Arc::default(),
            fetch_permits: Arc::new(Semaphore::new(FETCHES)),
            pushed_evidence: Cache::new(EVIDENCE_BYTES),
            editions: Editions::default(),
            uploads: Arc::new(Uploads::new(config.upload_idle)),
            lane_blobs: Cache::new(GRANTS),
            uploaded_to: Cache::new(GRANTS),
            unconfirmed: Cache::new(TAGS),
            config,
            store,
            metrics,
        });
        gate.store.set_roots(Arc::new(keep::Stays::of(&gate)));
        Ok(gate)
    }

    /// Where a request for `name` with this `?ns=` points.
    #[must_use]
    pub fn target(&self, name: &str, ns: Option<&str>) -> Target {
        self.upstreams.target(name, ns)
    }

    /// Replaces the policy for every request that begins after this call.
    ///
    /// # Errors
    /// When the load cannot be recorded; the new policy is in force all the same, since an old one must not live on.
    pub async fn reload_policy(&self, policy: Policy) -> Result<(), GateError> {
        let revision = policy.revision();
        self.policy.rcu(|old| PolicyLoad { policy: self.with_trust_roots(&policy), epoch: old.epoch + 1 });
        self.store.record_policy(revision, self.now()).await.map_err(GateError::store)
    }

    /// Replaces the trust roots that are kept current, for every request that begins after this call. What was decided under others is
    /// decided anew.
    pub fn use_trust_roots(&self, roots: CurrentRoots) {
        let versions = |roots: &CurrentRoots| roots.roots.iter().map(|(name, kept)| (name.clone(), kept.root.digest())).collect::<Vec<_>>();
        let old = self.trust_roots.swap(Arc::new(roots));
        let new = self.trust_roots.load();
        // The age of a root is part of what was decided only where it is limited.
        let changed = versions(&old) != versions(&new) || old.lost != new.lost || new.max_age.is_some();
        self.policy.rcu(|old| PolicyLoad { policy: self.with_trust_roots(&old.policy), epoch: old.epoch + u64::from(changed) });
    }

    /// Read inside of every exchange of the policy: of two at once, the later one sees the newer roots.
    fn with_trust_roots(&self, policy: &Policy) -> Policy {
        policy.clone().with_current_roots(self.trust_roots.load_full())
    }

    /// Whether a signer of the policy in force needs the trust root called `name` to be kept current.
    #[must_use]
    pub fn needs_trust_root(&self, name: &str) -> bool {
        self.policy.load().policy.roots_to_keep_current().contains(&name)
    }

    /// Puts the policy that is in force on record, where it is not the one that was before.
    ///
    /// # Errors
    /// When it cannot be recorded.
    pub async fn record_policy(&self) -> Result<(), GateError> {
        self.store.record_policy(self.policy_revision(), self.now()).await.map_err(GateError::store)
    }

    /// Notes the time in the store, for the next start.
    pub fn note_time(&self) {
        if let Err(error) = self.store.note_time(self.now()) {
            tracing::warn!(%error, "the time could not be noted");
        }
    }

    /// The policy in force.
    #[must_use]
    pub fn policy_revision(&self) -> Revision {
        self.policy.load().policy.revision()
    }

    /// A decision by its identifier.
    #[must_use]
    pub fn decision(&self, id: &str) -> Option<DecisionRecord> {
        self.unrecorded.get(&id.to_owned()).or_else(|| self.store.decision(id).ok().flatten())
    }

    /// The store.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &ServerConfig {
        &self.config
    }

    /// The gate's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn upstream(&self, repository: &Repository) -> Result<&Arc<Upstream>, GateError> {
        self.upstreams.of(repository).ok_or(GateError::ManifestUnknown)
    }
}
