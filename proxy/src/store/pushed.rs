//! What clients push to the gate itself: images of hosted registries, evidence beside upstream images.
//!
//! A push is durable before it is acknowledged: blob, then ledger, then index. Deletions are records too; bytes stay, since other
//! repositories may hold them.

use bytes::Bytes;
use sealgate_verifier::{Digest, Manifest, Repository, Tag, Timestamp};

use super::ledger::{Event, Listing};
use super::metadata::Table;
use super::tags::slot;
use super::{PUSH_LOCKS, PushedManifest, PushedTag, Store, StoreError, codec};

/// A manifest to be pushed. `bytes` must be what `digest` names and `manifest` what they say.
#[derive(Debug)]
pub struct ManifestPush<'a> {
    /// Repository.
    pub repository: &'a Repository,
    /// Digest.
    pub digest: Digest,
    /// The bytes.
    pub bytes: Bytes,
    /// What they say.
    pub manifest: &'a Manifest,
    /// What it is about.
    pub subject: Option<Digest>,
    /// The tag that is to point to it.
    pub tag: Option<&'a Tag>,
    /// Who pushes.
    pub by: Option<&'a str>,
}

/// Why a tag was not moved, or a deletion not done.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The tag may not move, and points elsewhere.
    #[error("the tag {tag} is immutable and points to {digest}")]
    Immutable {
        /// The tag.
        tag: Tag,
        /// Where it points.
        digest: Digest,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a deletion removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted {
    /// There was no such thing.
    Nothing,
    /// A manifest or tag; with the subject, where it was about one.
    Manifest {
        /// What the manifest was about.
        subject: Option<Digest>,
    },
}

impl Store {
    /// A pushed manifest.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn pushed_manifest(&self, repository: &Repository, digest: &Digest) -> Result<Option<PushedManifest>, StoreError> {
        Ok(self.inner.index.get(Table::PushedManifests, &codec::digest(repository, digest))?)
    }

    /// Whether anything was pushed to the repository.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn has_pushed(&self, repository: &Repository) -> Result<bool, StoreError> {
        Ok(!self.inner.index.scan::<PushedManifest>(Table::PushedManifests, &codec::prefix(repository), 1)?.is_empty())
    }

    /// Where a pushed tag points.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn pushed_tag(&self, repository: &Repository, tag: &Tag) -> Result<Option<PushedTag>, StoreError> {
        Ok(self.inner.index.get(Table::PushedTags, &codec::tag(repository, tag))?)
    }

    /// Up to `limit` pushed tags of a repository after the text `after`, in byte order.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn pushed_tags(&self, repository: &Repository, after: Option<&str>, limit: usize) -> Result<Vec<(Tag, PushedTag)>, StoreError> {
        let prefix = codec::prefix(repository);
        let after = after.map(|after| [prefix.as_slice(), after.as_bytes()].concat());
        let entries = self.inner.index.scan_after::<PushedTag>(Table::PushedTags, &prefix, after.as_deref(), limit)?;
        Ok(entries
            .into_iter()
            .map(|(rest, value)| Ok((codec::read_tag(Table::PushedTags, &rest)?, value)))
            .collect::<Result<_, super::metadata::MetadataError>>()?)
    }

    /// Up to `limit` pushed manifests about `subject`, in byte order of their digests.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn pushed_referrers(&self, repository: &Repository, subject: &Digest, limit: usize) -> Result<Vec<Digest>, StoreError> {
        self.digests(Table::PushedReferrers, &codec::digest(repository, subject), limit)
    }

    /// Whether this pusher uploaded the blob to the repository.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn uploaded_by(&self, repository: &Repository, blob: &Digest, by: Option<&str>) -> Result<bool, StoreError> {
        Ok(self.inner.index.get::<()>(Table::Uploads, &codec::upload(repository, blob, by))?.is_some())
    }

    /// Records that a client uploaded a blob that is stored. Durable when it returns.
    ///
    /// # Errors
    /// The record cannot be written.
    pub async fn record_upload(
        &self,
        repository: &Repository,
        blob: &Digest,
        size: u64,
        by: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if self.possession(repository, blob)? == Some(size) && self.uploaded_by(repository, blob, by)? {
            return Ok(());
        }
        let by = by.map(str::to_owned);
        self.record(now, Event::BlobUploaded { repository: repository.clone(), digest: *blob, size, by }).await
    }

    /// Stores a pushed manifest: its bytes, then the record with its tag. Durable when it returns. `immutable` says which tags may not
    /// move once they point somewhere.
    ///
    /// # Errors
    /// [`PushError::Immutable`], or the disk.
    pub async fn push_manifest(&self, push: ManifestPush<'_>, now: Timestamp, immutable: impl Fn(&Tag) -> bool) -> Result<(), PushError> {
        let ManifestPush { repository, digest, bytes, manifest, subject, tag, by } = push;
        let _shared = match self.inner.push_locks.get(slot(repository, PUSH_LOCKS)) {
            Some(lock) => Some(lock.read().await),
            None => None,
        };
        let _turn = match tag {
            Some(tag) => self.tag_turn(repository, tag).await,
            None => None,
        };
        let from = tag.map(|tag| self.pushed_tag(repository, tag)).transpose()?.flatten().map(|pushed| pushed.digest);
        if let (Some(tag), Some(found)) = (tag, from)
            && found != digest
            && immutable(tag)
        {
            return Err(PushError::Immutable { tag: tag.clone(), digest: found });
        }
        // A second push under another name does not forget what the manifest is about.
        let subject = match subject {
            Some(subject) => Some(subject),
            None => self.pushed_manifest(repository, &digest)?.and_then(|known| known.subject),
        };
        let size = bytes.len() as u64;
        self.store_blob(digest, bytes).await?;
        let event = Event::ManifestPushed {
            repository: repository.clone(),
            digest,
            size,
            media_type: manifest.media_type().to_owned(),
            lists: Listing::of(manifest),
            subject,
            tag: tag.cloned(),
            from: from.filter(|from| *from != digest),
            by: by.map(str::to_owned),
        };
        Ok(self.record(now, event).await?)
    }

    /// Deletes a pushed manifest and every tag that points to it. `manifest` is what the pushed bytes say, where they can still be read.
    ///
    /// # Errors
    /// [`PushError::Immutable`] where an immutable tag points to it, or the disk.
    pub async fn delete_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
        manifest: Option<&Manifest>,
        by: Option<&str>,
        now: Timestamp,
        immutable: impl Fn(&Tag) -> bool,
    ) -> Result<Deleted, PushError> {
        let _alone = match self.inner.push_locks.get(slot(repository, PUSH_LOCKS)) {
            Some(lock) => Some(lock.write().await),
            None => None,
        };
        let Some(pushed) = self.pushed_manifest(repository, digest)? else { return Ok(Deleted::Nothing) };
        let all = self.pushed_tags(repository, None, usize::MAX)?;
        let tags: Vec<Tag> = all.into_iter().filter(|(_, pushed)| pushed.digest == *digest).map(|(tag, _)| tag).collect();
        if let Some(tag) = tags.iter().find(|tag| immutable(tag)) {
            return Err(PushError::Immutable { tag: tag.clone(), digest: *digest });
        }
        let (repository, digest, subject) = (repository.clone(), *digest, pushed.subject);
        let lists = manifest.map_or(Listing::Blobs(Vec::new()), Listing::of);
        self.record(now, Event::ManifestDeleted { repository, digest, lists, subject, tags, by: by.map(str::to_owned) }).await?;
        Ok(Deleted::Manifest { subject })
    }

    /// Deletes a pushed tag; what it points to stays.
    ///
    /// # Errors
    /// [`PushError::Immutable`], or the disk.
    pub async fn delete_tag(
        &self,
        repository: &Repository,
        tag: &Tag,
        by: Option<&str>,
        now: Timestamp,
        immutable: impl Fn(&Tag) -> bool,
    ) -> Result<Deleted, PushError> {
        let _turn = self.tag_turn(repository, tag).await;
        let Some(pushed) = self.pushed_tag(repository, tag)? else { return Ok(Deleted::Nothing) };
        if immutable(tag) {
            return Err(PushError::Immutable { tag: tag.clone(), digest: pushed.digest });
        }
        let subject = self.pushed_manifest(repository, &pushed.digest)?.and_then(|manifest| manifest.subject);
        let event = Event::TagDeleted { repository: repository.clone(), tag: tag.clone(), from: pushed.digest, by: by.map(str::to_owned) };
        self.record(now, event).await?;
        Ok(Deleted::Manifest { subject })
    }

    /// Takes a blob from a repository; says whether it had it. Its bytes stay for others.
    ///
    /// # Errors
    /// The record cannot be written.
    pub async fn delete_blob(&self, repository: &Repository, blob: &Digest, by: Option<&str>, now: Timestamp) -> Result<bool, StoreError> {
        if self.possession(repository, blob)?.is_none() {
            return Ok(false);
        }
        let (repository, digest, by) = (repository.clone(), *blob, by.map(str::to_owned));
        self.record(now, Event::BlobDeleted { repository, digest, by }).await?;
        Ok(true)
    }
}
