//! Brings in what decisions are made on: manifests and evidence. Nothing in here is decided, and nothing leaves from here.

use std::sync::Arc;

use bytes::Bytes;
use sealgate_registry::{FetchError, FetchedManifest, Lifetimes, Referrers, Repositories, collect};
use sealgate_verifier::{Attachment, Collected, Digest, Manifest, ManifestReference, Needs, Repository, Tag, Timestamp, limits};

use crate::gate::{Gate, GateError};
use crate::metrics::UpstreamKind;
use crate::store::{AttachmentRecord, EvidenceRecord};

/// A manifest that hashes to its digest and can mean one thing only.
#[derive(Debug)]
pub struct RawManifest {
    /// The bytes, as the upstream sent them.
    pub bytes: Bytes,
    /// Their digest.
    pub digest: Digest,
    /// What they say.
    pub manifest: Manifest,
}

/// How long a search for evidence is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gate) enum Wait {
    /// While the upstream is slow, earlier evidence that still counts will do (F10).
    Soon,
    /// Until it ends.
    ForIt,
}

/// Evidence, and when it was last looked for.
#[derive(Debug)]
pub struct HeldEvidence {
    /// What was found.
    pub set: Collected<Attachment>,
    /// When a search last ended, successful or not.
    pub checked_at: Timestamp,
}

impl HeldEvidence {
    pub(in crate::gate) fn weight(&self) -> usize {
        let attachment = |a: &Attachment| a.manifest.len() + a.layers.iter().map(Bytes::len).sum::<usize>() + 512;
        512 + self.set.items.iter().map(attachment).sum::<usize>()
    }
}

impl Gate {
    /// The manifest `digest`, from memory, the store or the upstream: one GET for any number of callers.
    pub(in crate::gate) async fn raw_manifest(
        self: &Arc<Self>,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Arc<RawManifest>, GateError> {
        self.require_pushed(repository, digest)?;
        let key = (repository.clone(), *digest);
        if let Some(raw) = self.manifests.get(&key) {
            return Ok(raw);
        }
        let gate = Arc::clone(self);
        let work = key.clone();
        self.manifest_flights
            .join(key, move || async move {
                let (repository, digest) = work;
                let stored = gate.store.manifest(&repository, &digest).map_err(GateError::store)?;
                if let Some(record) = stored
                    && let Some(bytes) = gate.store.blobs().read(&digest, limits::MANIFEST_BYTES).map_err(GateError::store)?
                {
                    return gate.keep_raw(&repository, bytes, digest, Some(&record.media_type));
                }
                let fetched = gate.fetch_manifest(UpstreamKind::Manifest, &repository, &ManifestReference::Digest(digest)).await?;
                gate.keep_raw(&repository, fetched.bytes, fetched.digest, fetched.media_type.as_deref())
            })
            .await
    }

    /// A manifest from the upstream.
    pub(in crate::gate) async fn fetch_manifest(
        &self,
        kind: UpstreamKind,
        repository: &Repository,
        reference: &ManifestReference,
    ) -> Result<FetchedManifest, FetchError> {
        let upstream = self.upstreams.of(repository).ok_or(FetchError::NotFound)?;
        upstream.document(kind, upstream.client.get_manifest(repository.path(), reference)).await
    }

    pub(in crate::gate) fn keep_raw(
        &self,
        repository: &Repository,
        bytes: Bytes,
        digest: Digest,
        media_type: Option<&str>,
    ) -> Result<Arc<RawManifest>, GateError> {
        let manifest = Manifest::parse(&bytes, media_type).map_err(|error| {
            tracing::warn!(%repository, %digest, %error, "the upstream sent a manifest that is refused");
            GateError::BadManifest { problem: error.to_string().into() }
        })?;
        let raw = Arc::new(RawManifest { bytes, digest, manifest });
        self.manifests.insert((repository.clone(), digest), Arc::clone(&raw), raw.bytes.len() + raw.manifest.footprint() + 512);
        Ok(raw)
    }

    /// The evidence that the upstream has about `subject`, of the kinds that `needs` asks for, looked for at most `max_age` seconds ago
    /// where that is possible.
    pub(in crate::gate) async fn upstream_evidence(
        self: &Arc<Self>,
        repository: &Repository,
        subject: &Digest,
        needs: Needs,
        max_age: i64,
        wait: Wait,
    ) -> Result<Arc<HeldEvidence>, GateError> {
        let held = self.evidence_once(repository, subject, needs, max_age, wait).await?;
        // A search under way may have been for the other kind.
        if held.set.covers(needs) { Ok(held) } else { self.evidence_once(repository, subject, needs, max_age, wait).await }
    }

    async fn evidence_once(
        self: &Arc<Self>,
        repository: &Repository,
        subject: &Digest,
        needs: Needs,
        max_age: i64,
        wait: Wait,
    ) -> Result<Arc<HeldEvidence>, GateError> {
        let key = (repository.clone(), *subject);
        let held = match self.evidence.get(&key) {
            Some(held) => Some(held),
            None => self.stored_evidence(repository, subject)?,
        };
        if let Some(held) = &held
            && held.set.covers(needs)
            && (0..max_age).contains(&self.now().since(held.checked_at))
        {
            return Ok(Arc::clone(held));
        }
        let counts = held.clone().filter(|held| wait == Wait::Soon && held.set.covers(needs) && self.now() < held.set.stale_at);
        // What an earlier search was for stays known.
        let needs = held.as_ref().map_or(needs, |held| needs.or(held.set.sought()));
        let gate = Arc::clone(self);
        let work = key.clone();
        let flight = self.evidence_flights.join(key, move || async move {
            let (repository, subject) = work;
            let max_stale = gate.config.evidence_max_stale;
            let _turn = gate.upstream(&repository)?.search().await;
            let started = gate.now();
            let found = collect(&GateRepositories(&gate), &repository, &subject, needs, started, Lifetimes { max_stale }).await;
            let set = match held {
                Some(held) if found.unseen().next().is_some() && started < held.set.stale_at => join(&held.set, found),
                _ => found,
            };
            for attachment in &set.items {
                gate.subjects.insert((repository.clone(), attachment.digest), subject, 1);
            }
            let held = Arc::new(HeldEvidence { set, checked_at: gate.now() });
            gate.evidence.insert((repository, subject), Arc::clone(&held), held.weight());
            Ok(held)
        });
        match counts {
            Some(held) => self.upstream(repository)?.answer_soon(flight).await.unwrap_or(Ok(held)),
            None => flight.await,
        }
    }

    /// Evidence that an earlier admission stored. Each manifest and layer is hashed again as it is read.
    fn stored_evidence(&self, repository: &Repository, subject: &Digest) -> Result<Option<Arc<HeldEvidence>>, GateError> {
        let Some(record) = self.store.evidence(repository, subject).map_err(GateError::store)? else { return Ok(None) };
        let blobs = self.store.blobs();
        let mut items = Vec::with_capacity(record.attachments.len());
        for attachment in &record.attachments {
            let Some(manifest) = blobs.read(&attachment.digest, limits::MANIFEST_BYTES).map_err(GateError::store)? else { return Ok(None) };
            let mut layers = Vec::with_capacity(attachment.layers.len());
            for layer in &attachment.layers {
                let Some(layer) = blobs.read(layer, limits::EVIDENCE_LAYER_BYTES).map_err(GateError::store)? else { return Ok(None) };
                layers.push(layer);
            }
            self.subjects.insert((repository.clone(), attachment.digest), *subject, 1);
            items.push(Attachment { location: attachment.location, digest: attachment.digest, manifest, layers });
        }
        let set = Collected { items, gaps: record.gaps, collected_at: record.collected_at, stale_at: record.stale_at };
        let held = Arc::new(HeldEvidence { set, checked_at: record.collected_at });
        self.evidence.insert((repository.clone(), *subject), Arc::clone(&held), held.weight());
        Ok(Some(held))
    }

    /// Makes an evidence set durable: blobs first, then the record.
    pub(in crate::gate) async fn store_evidence(
        &self,
        repository: &Repository,
        subject: &Digest,
        set: &Collected<Attachment>,
        now: Timestamp,
    ) -> Result<(), GateError> {
        let stored = self.store.evidence(repository, subject).map_err(GateError::store)?;
        let same = |record: &EvidenceRecord| record.collected_at == set.collected_at && record.gaps == set.gaps;
        if stored.is_some_and(|record| same(&record) && record.attachments.len() == set.items.len()) {
            return Ok(());
        }
        let mut attachments = Vec::with_capacity(set.items.len());
        for item in &set.items {
            let Ok(manifest) = Manifest::parse(&item.manifest, None) else { continue };
            for layer in &item.layers {
                self.store_small_blob(repository, layer.clone(), now).await?;
            }
            self.store.store_manifest(repository, &item.digest, item.manifest.clone(), &manifest, now).await.map_err(GateError::store)?;
            let layers = item.layers.iter().map(|layer| Digest::sha256(layer)).collect();
            attachments.push(AttachmentRecord { location: item.location, digest: item.digest, layers });
        }
        let record = EvidenceRecord { attachments, gaps: set.gaps.clone(), collected_at: set.collected_at, stale_at: set.stale_at };
        self.store.store_evidence(repository, subject, record).await.map_err(GateError::store)
    }

    /// Keeps a small blob that `repository`'s upstream delivered.
    pub(in crate::gate) async fn store_small_blob(&self, repository: &Repository, bytes: Bytes, now: Timestamp) -> Result<(), GateError> {
        let blobs = Arc::clone(self.store.blobs());
        let size = bytes.len() as u64;
        let write = move || -> std::io::Result<Digest> {
            let mut writer = blobs.begin(sealgate_verifier::Algorithm::Sha256)?;
            writer.write(&bytes)?;
            writer.commit()
        };
        let digest = tokio::task::spawn_blocking(write).await.map_err(GateError::store)?.map_err(GateError::store)?;
        if self.store.possession(repository, &digest).map_err(GateError::store)?.is_none() {
            self.store.record_possession(repository, &digest, size, now).await.map_err(GateError::store)?;
        }
        Ok(())
    }

    /// A small blob of `repository`, from the store where the repository possesses it, else from the upstream.
    pub(in crate::gate) async fn small_blob(&self, repository: &Repository, digest: &Digest, limit: usize) -> Result<Bytes, FetchError> {
        let possessed = self.store.possession(repository, digest).ok().flatten().is_some();
        if possessed && let Ok(Some(bytes)) = self.store.blobs().read(digest, limit) {
            return Ok(bytes);
        }
        let upstream = self.upstreams.of(repository).ok_or(FetchError::NotFound)?;
        upstream.document(UpstreamKind::Evidence, upstream.client.get_small_blob(repository.path(), digest, limit)).await
    }
}

/// A search with gaps does not undo an earlier one that still counts: what either found counts until the earlier one is stale.
fn join(earlier: &Collected<Attachment>, later: Collected<Attachment>) -> Collected<Attachment> {
    let mut items = later.items;
    for item in &earlier.items {
        if !items.iter().any(|other| other.digest == item.digest) {
            items.push(item.clone());
        }
    }
    Collected { items, gaps: later.gaps, collected_at: earlier.collected_at, stale_at: earlier.stale_at }
}

/// The gate's way of reading evidence: digests from memory and store first, tags always from the upstream.
struct GateRepositories<'a>(&'a Arc<Gate>);

impl GateRepositories<'_> {
    /// What a tag still holds, if that is known: HEAD costs none of the GETs that Docker Hub counts (F9).
    async fn unchanged(&self, repository: &Repository, tag: &Tag) -> Option<Digest> {
        let known = self.0.evidence_tags.get(&(repository.clone(), tag.clone()))?;
        let upstream = self.0.upstreams.of(repository)?;
        upstream.check_pause().ok()?;
        let head = upstream.client.head_manifest(repository.path(), &ManifestReference::Tag(tag.clone())).await;
        upstream.note(UpstreamKind::Evidence, head).ok()?.digest.filter(|digest| *digest == known)
    }

    async fn tag(&self, repository: &Repository, tag: &Tag) -> Result<FetchedManifest, FetchError> {
        let reference = ManifestReference::Tag(tag.clone());
        let fetched = self.0.fetch_manifest(UpstreamKind::Evidence, repository, &reference).await?;
        // What is no manifest is a gap, which the search itself notes.
        if self.0.keep_raw(repository, fetched.bytes.clone(), fetched.digest, fetched.media_type.as_deref()).is_ok() {
            self.0.evidence_tags.insert((repository.clone(), tag.clone()), fetched.digest, 1);
        }
        Ok(fetched)
    }
}

impl Repositories for GateRepositories<'_> {
    async fn manifest(&self, repository: &Repository, reference: &ManifestReference) -> Result<FetchedManifest, FetchError> {
        let digest = match reference {
            ManifestReference::Digest(digest) => *digest,
            ManifestReference::Tag(tag) => match self.unchanged(repository, tag).await {
                Some(digest) => digest,
                None => return self.tag(repository, tag).await,
            },
        };
        match self.0.raw_manifest(repository, &digest).await {
            Ok(raw) => {
                Ok(FetchedManifest { bytes: raw.bytes.clone(), digest: raw.digest, media_type: Some(raw.manifest.media_type().to_owned()) })
            }
            Err(GateError::Upstream(error)) => Err(error),
            Err(GateError::ManifestUnknown) => Err(FetchError::NotFound),
            Err(other) => Err(FetchError::Malformed { problem: format!("{other:?}") }),
        }
    }

    async fn blob(&self, repository: &Repository, digest: &Digest, limit: usize) -> Result<Bytes, FetchError> {
        self.0.small_blob(repository, digest, limit).await
    }

    async fn referrers(&self, repository: &Repository, digest: &Digest) -> Result<Referrers, FetchError> {
        let upstream = self.0.upstreams.of(repository).ok_or(FetchError::NotFound)?;
        upstream.document(UpstreamKind::Evidence, upstream.client.referrers(repository.path(), digest)).await
    }
}
