//! The sign lane: what those who push and sign may read before the policy admits it (DESIGN §6).
//!
//! A type of its own, [`Lane`], beside [`Admitted`](crate::gate::Admitted): bound to an authenticated identity with a right in the
//! repository, never to what a client calls itself. Whoever may sign reads manifests and evidence there; whoever pushed something reads
//! that back. Nothing of it is a verdict or kept as one.

use std::sync::Arc;

use sealgate_registry::FetchError;
use sealgate_verifier::classify::may_be_evidence;
use sealgate_verifier::{Digest, ManifestReference, Repository, limits};

use crate::auth::{Access, Action};
use crate::gate::decided::{ManifestHeaders, ServedManifest};
use crate::gate::{Gate, GateError};
use crate::store::blob::StoredBlob;

/// Manifests that are looked at for one blob.
const CANDIDATES: usize = 32;

/// Bytes for the identity that pushed or signs them. Only this module makes one.
#[derive(Debug, Clone)]
pub struct Lane<T>(T);

impl<T> Lane<T> {
    /// The value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// Who uses the lane in one repository.
#[derive(Debug, Clone)]
pub struct Pass {
    /// As the ledger names them.
    name: String,
    /// May read what others pushed as well.
    signs: bool,
}

impl Gate {
    /// The lane that is open to `access` in `repository`. None for whoever is anonymous, whatever the configuration lets them push.
    #[must_use]
    pub fn lane(&self, access: &Access, repository: &Repository) -> Option<Pass> {
        let signs = access.entitles(Action::Sign, repository);
        let open = signs || access.entitles(Action::Push, repository);
        (open && !access.principal().is_anonymous()).then(|| Pass { name: access.principal().to_string(), signs })
    }

    /// A manifest through the lane. None where it is not this client's to read so; the gate decides then.
    ///
    /// # Errors
    /// It does not exist, or its upstream or the store failed.
    pub async fn lane_manifest(
        self: &Arc<Self>,
        pass: &Pass,
        repository: &Repository,
        reference: &ManifestReference,
    ) -> Result<Option<Lane<ServedManifest>>, GateError> {
        let digest = self.resolve(repository, reference).await?;
        if !pass.signs {
            let pushed = self.store.pushed_manifest(repository, &digest).map_err(GateError::store)?;
            if pushed.is_none_or(|pushed| pushed.by.as_deref() != Some(&pass.name)) {
                return Ok(None);
            }
        }
        let raw = self.raw_manifest(repository, &digest).await?;
        if pass.signs && may_be_evidence(&raw.manifest) {
            for blob in raw.manifest.blobs() {
                self.lane_blobs.insert((repository.clone(), blob.digest), digest, 1);
            }
        }
        let headers = ManifestHeaders::of(&raw.manifest, &digest);
        Ok(Some(Lane(ServedManifest { digest, bytes: raw.bytes.clone(), headers })))
    }

    /// A blob through the lane: what this client uploaded, or evidence that it may read to sign beside it.
    ///
    /// # Errors
    /// The store or the upstream failed.
    pub async fn lane_blob(
        self: &Arc<Self>,
        pass: &Pass,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<Lane<StoredBlob>>, GateError> {
        let possessed = self.store.possession(repository, digest).map_err(GateError::store)?.is_some();
        if possessed && self.store.uploaded_by(repository, digest, Some(&pass.name)).map_err(GateError::store)? {
            return self.stored_for_lane(digest).await;
        }
        if !pass.signs || !self.is_blob_of_evidence(repository, digest).await? {
            return Ok(None);
        }
        if !possessed {
            // It is brought in as the upstream's, and served from the store.
            match self.small_blob(repository, digest, limits::EVIDENCE_LAYER_BYTES).await {
                Ok(bytes) => self.store_small_blob(repository, bytes, self.now()).await?,
                Err(FetchError::NotFound | FetchError::Denied { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.stored_for_lane(digest).await?.filter(|blob| blob.0.size <= limits::EVIDENCE_LAYER_BYTES as u64))
    }

    /// Whether a client that may push here may know that the repository has a blob, so that it need not upload it again; with its size.
    /// Existence only: it says nothing about the bytes.
    ///
    /// # Errors
    /// The store's.
    pub fn pushed_blob_size(&self, access: &Access, repository: &Repository, digest: &Digest) -> Result<Option<u64>, GateError> {
        let pushes = access.entitles(Action::Push, repository) || self.takes_anonymous_pushes(repository);
        if !pushes || self.upstreams.hosted(repository).is_none() {
            return Ok(None);
        }
        self.possessed_size(repository, digest)
    }

    /// A blob that an anonymous client uploaded where the configuration allows that, as long as no manifest lists it: until then there
    /// is no image to decide on.
    ///
    /// # Errors
    /// The store's.
    pub async fn unlisted_blob(self: &Arc<Self>, repository: &Repository, digest: &Digest) -> Result<Option<Lane<StoredBlob>>, GateError> {
        let own = self.takes_anonymous_pushes(repository)
            && self.upstreams.hosted(repository).is_some()
            && self.store.possession(repository, digest).map_err(GateError::store)?.is_some()
            && self.store.uploaded_by(repository, digest, None).map_err(GateError::store)?;
        if !own || !self.store.manifests_listing_blob(repository, digest).map_err(GateError::store)?.is_empty() {
            return Ok(None);
        }
        self.stored_for_lane(digest).await
    }

    async fn stored_for_lane(&self, digest: &Digest) -> Result<Option<Lane<StoredBlob>>, GateError> {
        let (blobs, wanted) = (Arc::clone(self.store.blobs()), *digest);
        let stored = tokio::task::spawn_blocking(move || blobs.open(&wanted)).await.map_err(GateError::store)?;
        Ok(stored.map_err(GateError::store)?.map(Lane))
    }

    async fn is_blob_of_evidence(self: &Arc<Self>, repository: &Repository, digest: &Digest) -> Result<bool, GateError> {
        // What was read last; an upstream's manifest that nobody was let have is not in the store.
        let read = self.lane_blobs.get(&(repository.clone(), *digest));
        let listing = self.store.manifests_listing_blob(repository, digest).map_err(GateError::store)?;
        for manifest in read.into_iter().chain(listing).take(CANDIDATES) {
            let Ok(raw) = self.raw_manifest(repository, &manifest).await else { continue };
            if self.is_evidence(repository, &raw).await.unwrap_or(false) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
