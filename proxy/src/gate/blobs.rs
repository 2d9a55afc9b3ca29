//! A blob needs reference and possession (DESIGN §1.4): an admitted manifest of that repository lists it, and that repository's
//! upstream delivered or confirmed it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use sealgate_registry::FetchError;
use sealgate_verifier::{Digest, Manifest, Repository};

use crate::body::Progress;
use crate::gate::fetch::{self, Growing};
use crate::gate::{Admitted, Gate, GateError, Key, ServedBlob};
use crate::metrics::UpstreamKind;
use crate::store::Outcome as RecordedOutcome;
use crate::store::blob::StoredBlob;

/// Manifests that are looked at for one blob. Base layers are shared by many images; any one of them suffices.
const CANDIDATES: usize = 32;
/// Indexes of a repository whose unseen children are walked for a blob that no known manifest lists.
const WALKED_INDEXES: usize = 16;
/// Seconds after which a walk asks again for a child that it could not have.
const WALK_PAUSE: i64 = 30;

/// Where a blob's bytes are.
#[derive(Clone)]
pub enum BlobContent {
    /// Complete and durable.
    Stored(StoredBlob),
    /// On its way in.
    Growing(Growing),
}

impl Gate {
    /// The reference: whether an admitted manifest of `repository` lists `blob`.
    ///
    /// # Errors
    /// [`GateError::BlobUnknown`], or the denial of the manifest that lists it.
    pub async fn grant(self: &Arc<Self>, repository: &Repository, blob: &Digest) -> Result<Admitted<ServedBlob>, GateError> {
        let key = (repository.clone(), *blob);
        if let Some(manifest) = self.grants.get(&key)
            && let Ok(decided) = self.decide(repository, &manifest).await
            && let Some(granted) = decided.admitted_blob(blob)
        {
            return Ok(granted);
        }
        let mut denial = None;
        let listing = self.store.manifests_listing_blob(repository, blob).map_err(GateError::store)?;
        for manifest in self.likeliest(repository, listing, CANDIDATES)? {
            let decided = match self.decide(repository, &manifest).await {
                Ok(decided) => decided,
                Err(error @ (GateError::DeniedUnseen { .. } | GateError::Store { .. })) => return Err(error),
                Err(_) => continue,
            };
            if let Some(granted) = decided.admitted_blob(blob) {
                self.grants.insert(key, manifest, 1);
                return Ok(granted);
            }
            denial = Some(decided);
        }
        if let Some(granted) = self.walk_unseen_children(repository, blob).await? {
            return Ok(granted);
        }
        Err(denial.map_or(GateError::BlobUnknown, GateError::Denied))
    }

    /// The `limit` manifests that are asked for a blob or child that all of them list: those that were admitted last time first. So who
    /// may push cannot crowd an admitted image out with many that claim its layers.
    pub(in crate::gate) fn likeliest(
        &self,
        repository: &Repository,
        mut manifests: Vec<Digest>,
        limit: usize,
    ) -> Result<Vec<Digest>, GateError> {
        if manifests.len() > limit {
            let mut ranked = Vec::with_capacity(manifests.len());
            for manifest in manifests {
                let rank = match self.store.verdict(repository, &manifest).map_err(GateError::store)?.map(|last| last.outcome) {
                    Some(RecordedOutcome::Admitted | RecordedOutcome::Audited) => 0,
                    None => 1,
                    Some(RecordedOutcome::Denied) => 2,
                };
                ranked.push((rank, manifest));
            }
            ranked.sort_by_key(|(rank, _)| *rank);
            manifests = ranked.into_iter().take(limit).map(|(_, manifest)| manifest).collect();
        }
        Ok(manifests)
    }

    /// Clients that already hold the manifests ask for blobs only: looks through children of admitted indexes that nobody asked for
    /// yet. Each child is asked for once in a while only, had or not, so that guessed digests cost nothing upstream.
    async fn walk_unseen_children(
        self: &Arc<Self>,
        repository: &Repository,
        blob: &Digest,
    ) -> Result<Option<Admitted<ServedBlob>>, GateError> {
        for index in self.store.indexes_of(repository, WALKED_INDEXES).map_err(GateError::store)? {
            let Ok(decided) = self.decide(repository, &index).await else { continue };
            let Manifest::Index(list) = &decided.manifest else { continue };
            if decided.admitted_manifest().is_none() {
                continue;
            }
            for child in &list.manifests {
                let key = (repository.clone(), child.digest);
                let walked = self.walked.get(&key).is_some_and(|until| self.now() < until);
                if walked || self.store.manifest(repository, &child.digest).map_err(GateError::store)?.is_some() {
                    continue;
                }
                self.walked.insert(key, self.now().plus(WALK_PAUSE), 1);
                let Ok(child_decided) = self.decide(repository, &child.digest).await else { continue };
                if let Some(granted) = child_decided.admitted_blob(blob) {
                    self.grants.insert((repository.clone(), *blob), child.digest, 1);
                    return Ok(Some(granted));
                }
            }
        }
        Ok(None)
    }

    /// The possession: whether the repository's upstream delivered the blob, or confirms now that it has it.
    ///
    /// # Errors
    /// [`GateError::BlobUnknown`] when it does not, or the upstream's failure.
    pub async fn confirm(self: &Arc<Self>, repository: &Repository, blob: &Admitted<ServedBlob>) -> Result<(), GateError> {
        let ServedBlob { digest, size } = *blob.get();
        if self.upstreams.hosted(repository).is_some() {
            // Nobody can bring it again but a client, which must learn that it is gone.
            return if self.possessed_size(repository, &digest)?.is_some() { Ok(()) } else { Err(GateError::BlobUnknown) };
        }
        if self.store.possession(repository, &digest).map_err(GateError::store)?.is_some() {
            return Ok(());
        }
        // On its way in: the upstream delivers it at this moment.
        if self.growing(&(repository.clone(), digest)).is_some() {
            return Ok(());
        }
        match self.head_upstream(repository, &digest).await {
            Ok(Some(found)) if found != size => {
                let problem = format!("the manifest says {size} bytes, the upstream announces {found}");
                Err(GateError::Upstream(FetchError::Malformed { problem }))
            }
            Ok(_) => Ok(()),
            Err(GateError::ManifestUnknown) => Err(GateError::BlobUnknown),
            Err(error) => Err(error),
        }
    }

    /// The size of a blob that the repository possesses and whose file is there.
    pub(in crate::gate) fn possessed_size(&self, repository: &Repository, digest: &Digest) -> Result<Option<u64>, GateError> {
        let Some(size) = self.store.possession(repository, digest).map_err(GateError::store)? else { return Ok(None) };
        let stored = self.store.blobs().size(digest).map_err(GateError::store)?;
        Ok(stored.filter(|stored| *stored == size))
    }

    /// The size that the upstream announces, if it does: one HEAD for any number of callers.
    async fn head_upstream(self: &Arc<Self>, repository: &Repository, digest: &Digest) -> Result<Option<u64>, GateError> {
        let (gate, key) = (Arc::clone(self), (repository.clone(), *digest));
        let work = key.clone();
        let ask = move || async move {
            let (repository, digest) = work;
            let upstream = gate.upstream(&repository)?;
            upstream.check_pause()?;
            Ok(upstream.note(UpstreamKind::Blob, upstream.client.head_blob(repository.path(), &digest).await)?)
        };
        self.confirm_flights.join(key, ask).await
    }

    /// The bytes: stored, or from the upstream with one GET for any number of callers.
    ///
    /// # Errors
    /// [`GateError::BlobUnknown`], or the upstream's or the store's failure.
    pub async fn blob(self: &Arc<Self>, repository: &Repository, blob: &Admitted<ServedBlob>) -> Result<BlobContent, GateError> {
        let ServedBlob { digest, size } = *blob.get();
        // Before the look whether it is there: from then on it is not removed.
        self.store.touch(&digest);
        let key = (repository.clone(), digest);
        let held = |content| match content {
            BlobContent::Stored(stored) => BlobContent::Stored(self.store.held(&digest, stored)),
            growing @ BlobContent::Growing(_) => growing,
        };
        if let Some(open) = self.open_blobs.get(&key).filter(|open| open.reader.is_whole(size)) {
            return Ok(held(BlobContent::Stored(open)));
        }
        if let Some(growing) = self.growing(&key) {
            self.metrics.singleflight_joined.inc();
            return Ok(BlobContent::Growing(growing));
        }
        let gate = Arc::clone(self);
        let work = key.clone();
        let leads = AtomicBool::new(false);
        let start = || {
            leads.store(true, Ordering::Relaxed);
            async move { gate.open_or_fetch(work, size).await }
        };
        let found = self.fetch_flights.join(key, start).await;
        if !leads.into_inner() && matches!(found, Ok(BlobContent::Growing(_))) {
            self.metrics.singleflight_joined.inc();
        }
        found.map(held).map_err(|error| match error {
            GateError::ManifestUnknown => GateError::BlobUnknown,
            other => other,
        })
    }

    /// Whether the repository possesses a stored blob. A registry that delivered it once may confirm it for another of its repositories;
    /// the word of one that never had it counts for nothing, since a digest must not open another registry's private layers (B11): it
    /// must deliver.
    async fn possesses(self: &Arc<Self>, repository: &Repository, digest: &Digest, size: u64) -> Result<bool, GateError> {
        if self.store.possession(repository, digest).map_err(GateError::store)?.is_some() {
            return Ok(true);
        }
        if !self.store.delivered_by(repository.registry(), digest).map_err(GateError::store)? {
            return Ok(false);
        }
        self.head_upstream(repository, digest).await?;
        self.store.record_possession(repository, digest, size, self.now()).await.map_err(GateError::store)?;
        Ok(true)
    }

    pub(in crate::gate) fn growing(&self, key: &Key) -> Option<Growing> {
        let fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        fetches.get(key).filter(|growing| !matches!(*growing.progress.borrow(), Progress::Failed)).cloned()
    }

    async fn open_or_fetch(self: Arc<Self>, key: Key, size: u64) -> Result<BlobContent, GateError> {
        if let Some(growing) = self.growing(&key) {
            return Ok(BlobContent::Growing(growing));
        }
        let (repository, digest) = &key;
        let blobs = Arc::clone(self.store.blobs());
        let wanted = *digest;
        let stored = tokio::task::spawn_blocking(move || blobs.open(&wanted)).await.map_err(GateError::store)?.map_err(GateError::store)?;
        if let Some(stored) = stored.filter(|stored| stored.size == size)
            && self.possesses(repository, digest, size).await?
        {
            self.open_blobs.insert(key, stored.clone(), 1);
            return Ok(BlobContent::Stored(stored));
        }
        let upstream = Arc::clone(self.upstream(repository)?);
        let of_upstream = upstream.fetch_permit().await.ok_or(GateError::Internal)?;
        let permit = Arc::clone(&self.fetch_permits).acquire_owned().await.map_err(|_| GateError::Internal)?;
        let request = fetch::Request {
            upstream,
            path: repository.path().to_owned(),
            digest: *digest,
            size,
            received: self.metrics.upstream_bytes.clone(),
        };
        let (blobs, wanted) = (Arc::clone(self.store.blobs()), size);
        // Before the upstream is asked: what has no room is refused whole, not cut off.
        let room = tokio::task::spawn_blocking(move || blobs.make_room(wanted)).await.map_err(GateError::store)?;
        room.map_err(GateError::store)?;
        let (growing, work) = fetch::start(request, Arc::clone(self.store.blobs())).await?;
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), growing.clone());
        self.metrics.fetches_in_flight.inc();
        let gate = Arc::clone(&self);
        tokio::spawn(async move {
            let _permits = (of_upstream, permit);
            if work.await.is_ok()
                && let Err(error) = gate.store.record_possession(&key.0, &key.1, size, gate.now()).await
            {
                tracing::error!(%error, "a fetched blob could not be recorded");
            }
            gate.fetches.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            gate.metrics.fetches_in_flight.dec();
        });
        Ok(BlobContent::Growing(growing))
    }
}
