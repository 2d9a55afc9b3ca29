//! Manifests, what they list, and which blobs a repository may serve.

use std::sync::Arc;

use bytes::Bytes;
use sealgate_verifier::{Digest, Manifest, Repository, Timestamp};

use super::blob::BlobStore;
use super::ledger::{Event, Listing};
use super::metadata::Table;
use super::{ManifestRecord, Store, StoreError, codec};

/// Manifests that are named for one blob or child. A base layer can be in very many images of a repository; to admit the blob, one that
/// is admitted suffices.
pub const LISTED_IN: usize = 1024;

impl Store {
    /// What is known of a manifest. Its bytes are in [`Store::blobs`]; where they are not (F18), it counts as missing.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn manifest(&self, repository: &Repository, digest: &Digest) -> Result<Option<ManifestRecord>, StoreError> {
        Ok(self.inner.index.get(Table::Manifests, &codec::digest(repository, digest))?)
    }

    /// Stores a manifest: its bytes, then the record, then what it lists. `bytes` must be what `digest` names and `manifest` what they
    /// say. Durable when it returns.
    ///
    /// # Errors
    /// The disk; or `bytes` are not what `digest` names.
    pub async fn store_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
        bytes: Bytes,
        manifest: &Manifest,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let size = bytes.len() as u64;
        self.store_blob(*digest, bytes).await?;
        if self.manifest(repository, digest)?.is_some() {
            return Ok(());
        }
        let lists = Listing::of(manifest);
        let media_type = manifest.media_type().to_owned();
        self.record(now, Event::ManifestStored { repository: repository.clone(), digest: *digest, size, media_type, lists }).await
    }

    /// Stores a small blob that is in memory, for example an evidence layer. Durable when it returns; nothing is recorded.
    ///
    /// # Errors
    /// The disk; or `bytes` are not what `digest` names.
    pub async fn store_blob(&self, digest: Digest, bytes: Bytes) -> Result<(), StoreError> {
        let blobs = self.inner.blobs.clone();
        let written = tokio::task::spawn_blocking(move || write_blob(&blobs, &digest, &bytes)).await;
        written.map_err(|_| StoreError::Closing)?.map_err(StoreError::Blob)
    }

    /// Up to [`LISTED_IN`] manifests of the repository that list `blob` as configuration or layer.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn manifests_listing_blob(&self, repository: &Repository, blob: &Digest) -> Result<Vec<Digest>, StoreError> {
        self.digests(Table::BlobListings, &codec::digest(repository, blob), LISTED_IN)
    }

    /// Up to [`LISTED_IN`] indexes of the repository that list `child`.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn indexes_listing(&self, repository: &Repository, child: &Digest) -> Result<Vec<Digest>, StoreError> {
        self.digests(Table::ChildListings, &codec::digest(repository, child), LISTED_IN)
    }

    /// Up to `limit` stored indexes of the repository, in byte order of their digests.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn indexes_of(&self, repository: &Repository, limit: usize) -> Result<Vec<Digest>, StoreError> {
        self.digests(Table::Indexes, &codec::prefix(repository), limit)
    }

    pub(super) fn digests(&self, table: Table, prefix: &[u8], limit: usize) -> Result<Vec<Digest>, StoreError> {
        let entries = self.inner.index.scan::<()>(table, prefix, limit)?;
        Ok(entries.iter().map(|(rest, ())| codec::read_digest(table, rest)).collect::<Result<_, _>>()?)
    }

    /// The size of `blob`, where the repository's upstream delivered or confirmed it (DESIGN §1.4). Whoever asks relies on the answer, so
    /// that renews the blob's lease.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn possession(&self, repository: &Repository, blob: &Digest) -> Result<Option<u64>, StoreError> {
        self.touch(blob);
        Ok(self.inner.index.get(Table::Possessions, &codec::digest(repository, blob))?)
    }

    /// Whether any repository of `registry` possesses `blob`: then the registry itself has had the bytes in its hands.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn delivered_by(&self, registry: &str, blob: &Digest) -> Result<bool, StoreError> {
        Ok(self.inner.index.get::<()>(Table::Deliveries, &codec::of_registry(registry, blob))?.is_some())
    }

    /// Records that the repository's upstream delivered or confirmed `blob`. Durable when it returns.
    ///
    /// # Errors
    /// The record cannot be written.
    pub async fn record_possession(&self, repository: &Repository, blob: &Digest, size: u64, now: Timestamp) -> Result<(), StoreError> {
        if self.possession(repository, blob)? == Some(size) {
            return Ok(());
        }
        self.record(now, Event::PossessionGained { repository: repository.clone(), digest: *blob, size }).await
    }
}

fn write_blob(blobs: &Arc<dyn BlobStore>, digest: &Digest, bytes: &[u8]) -> std::io::Result<()> {
    // Hashed before it is written: bytes under a false name would otherwise stay behind under their true one.
    if !digest.matches(bytes) {
        let problem = format!("expected the bytes of {digest}, found others");
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, problem));
    }
    if blobs.open(digest)?.is_some() {
        return Ok(());
    }
    let mut writer = blobs.begin(digest.algorithm())?;
    writer.write(bytes)?;
    writer.commit().map(|_| ())
}
