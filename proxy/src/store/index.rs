//! What each record of the ledger means for the index, and typed reads. The index is a fold over the ledger: nothing else changes it,
//! except confirmations of tags and notes of the time, which may be lost.

use std::sync::atomic::{AtomicBool, Ordering};

use sealgate_verifier::{Digest, Repository, Tag, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::codec;
use super::ledger::{Checkpoint, Event, Follower, Listing, Record};
use super::metadata::{Batch, MetadataError, MetadataStore, Table};
use super::records::{ManifestRecord, PushedManifest, PushedTag, TagRecord};
use super::write_behind::{BUFFER_BYTES, WriteBehind};

/// Entries that a walk over a table holds at a time.
const PAGE: usize = 4_096;

/// That a tag still points where it did. Its own table, since it is no transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Confirmation {
    pub(super) digest: Digest,
    pub(super) at: Timestamp,
}

/// The index with its types.
pub(super) struct Index {
    store: WriteBehind,
    /// The last flush failed.
    failing: AtomicBool,
    /// A read met damage: the next start rebuilds.
    damaged: AtomicBool,
}

impl Index {
    pub(super) fn new(engine: Box<dyn MetadataStore>) -> Self {
        Self { store: WriteBehind::new(engine), failing: AtomicBool::new(false), damaged: AtomicBool::new(false) }
    }

    pub(super) fn get<T: DeserializeOwned>(&self, table: Table, key: &[u8]) -> Result<Option<T>, MetadataError> {
        let value = self.note(self.store.get(table, key))?;
        value.map(|sealed| self.note(codec::unseal(table.name(), key, &sealed))).transpose()
    }

    /// The rests of up to `limit` keys that start with `prefix`, with their values.
    pub(super) fn scan<T: DeserializeOwned>(&self, table: Table, prefix: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, T)>, MetadataError> {
        self.scan_after(table, prefix, None, limit)
    }

    /// As [`Index::scan`], for keys after the key `after`.
    pub(super) fn scan_after<T: DeserializeOwned>(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, T)>, MetadataError> {
        let entries = self.note(self.store.scan(table, prefix, after, limit))?;
        let open = |(key, sealed): (Vec<u8>, Vec<u8>)| {
            let value = self.note(codec::unseal(table.name(), &key, &sealed))?;
            Ok((key.get(prefix.len()..).unwrap_or_default().to_vec(), value))
        };
        entries.into_iter().map(open).collect()
    }

    /// The tables as they are kept.
    pub(super) const fn raw(&self) -> &WriteBehind {
        &self.store
    }

    /// Every entry of a table, with its whole key, in pages.
    pub(super) fn each<T: DeserializeOwned>(
        &self,
        table: Table,
        mut visit: impl FnMut(&[u8], T) -> Result<(), MetadataError>,
    ) -> Result<(), MetadataError> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.scan_after::<T>(table, &[], after.as_deref(), PAGE)?;
            let full = page.len() == PAGE;
            for (key, value) in page {
                visit(&key, value)?;
                after = Some(key);
            }
            if !full {
                return Ok(());
            }
        }
    }

    fn note<T>(&self, result: Result<T, MetadataError>) -> Result<T, MetadataError> {
        if let Err(error @ MetadataError::Damaged { .. }) = &result
            && !self.damaged.swap(true, Ordering::Relaxed)
        {
            tracing::error!(%error, "the index is damaged; what it cannot answer is refused, and the next start rebuilds it");
        }
        result
    }

    /// Left out while the disk takes nothing and the memory for changes is used up: a confirmation may be lost.
    pub(super) fn confirm(&self, repository: &Repository, tag: &Tag, confirmation: Confirmation) -> Result<(), MetadataError> {
        if self.accept().is_err() {
            return Ok(());
        }
        let mut batch = Batch::default();
        put(&mut batch, Table::TagConfirmations, codec::tag(repository, tag), &confirmation)?;
        self.store.apply(batch, None)
    }

    /// Notes the time; as a confirmation, it may be lost.
    pub(super) fn note_time(&self, now: Timestamp) -> Result<(), MetadataError> {
        if self.accept().is_err() {
            return Ok(());
        }
        let mut batch = Batch::default();
        put(&mut batch, Table::Clock, Vec::new(), &now)?;
        self.store.apply(batch, None)
    }

    pub(super) fn noted_time(&self) -> Result<Option<Timestamp>, MetadataError> {
        self.get(Table::Clock, &[])
    }

    /// Refuses while so many changes are unwritten that no more may come.
    pub(super) fn accept(&self) -> Result<(), MetadataError> {
        match self.store.unwritten() {
            found if found > BUFFER_BYTES => Err(MetadataError::Full { found, limit: BUFFER_BYTES }),
            _ => Ok(()),
        }
    }

    pub(super) fn unwritten(&self) -> usize {
        self.store.unwritten()
    }

    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    pub(super) fn flush(&self) -> Result<(), MetadataError> {
        let result = self.note(self.store.flush());
        if let Err(error) = &result
            && !self.failing.swap(true, Ordering::Relaxed)
        {
            tracing::error!(%error, unwritten = self.unwritten(), "the index could not be written; it is tried again");
        }
        if result.is_ok() && self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("the index can be written again");
        }
        result
    }

    pub(super) fn close(&self) -> Result<(), MetadataError> {
        self.store.close()
    }

    pub(super) fn clear(&self) -> Result<(), MetadataError> {
        self.store.clear()
    }

    pub(super) fn apply(&self, batch: Batch, checkpoint: Checkpoint) -> Result<(), MetadataError> {
        self.store.apply(batch, Some(checkpoint))
    }
}

impl Follower for Index {
    fn committed(&self, records: &[Record], checkpoint: Checkpoint) {
        let mut batch = Batch::default();
        let folded = records.iter().try_for_each(|record| fold(&mut batch, record)).and_then(|()| self.apply(batch, checkpoint));
        // Only serialising can fail here, and what serialised into the ledger serialises into the index.
        if let Err(error) = folded {
            self.damaged.store(true, Ordering::Relaxed);
            tracing::error!(%error, "a record did not reach the index; the next start rebuilds it");
        }
    }
}

fn put<T: Serialize>(batch: &mut Batch, table: Table, key: Vec<u8>, value: &T) -> Result<(), MetadataError> {
    let sealed = codec::seal(table.name(), &key, value)?;
    batch.put(table, key, sealed);
    Ok(())
}

/// Adds to `batch` what `record` means.
pub(super) fn fold(batch: &mut Batch, record: &Record) -> Result<(), MetadataError> {
    match &record.event {
        Event::StoreCreated { format: _ } => Ok(()),
        Event::PolicyLoaded { revision } => put(batch, Table::Policies, Vec::new(), revision),
        Event::TagMoved { repository, tag, from: _, to } => {
            let value = TagRecord { digest: *to, moved_at: record.time, confirmed_at: record.time };
            put(batch, Table::Tags, codec::tag(repository, tag), &value)
        }
        Event::ManifestStored { repository, digest, size, media_type, lists } => {
            let value = ManifestRecord { media_type: media_type.clone(), size: *size, stored_at: record.time };
            put(batch, Table::Manifests, codec::digest(repository, digest), &value)?;
            fold_listing(batch, repository, digest, lists)
        }
        Event::EvidenceStored { repository, subject, record } => put(batch, Table::Evidence, codec::digest(repository, subject), record),
        Event::PossessionGained { repository, digest, size } => {
            put(batch, Table::Possessions, codec::digest(repository, digest), size)?;
            put(batch, Table::Deliveries, codec::of_registry(repository.registry(), digest), &())
        }
        Event::Restated { rows } => {
            for row in rows {
                let damaged = || MetadataError::Damaged { problem: format!("the ledger restates a row of no table: {}", row.table) };
                let table = Table::ALL.into_iter().find(|table| table.name() == row.table).ok_or_else(damaged)?;
                let key = codec::unhex(&row.key).ok_or_else(damaged)?;
                let sealed = codec::reseal(table.name(), &key, row.value.as_bytes());
                batch.put(table, key, sealed);
            }
            Ok(())
        }
        Event::PossessionLost { cause: _, blobs } => {
            for blob in blobs {
                blob.repositories.iter().for_each(|holder| batch.delete(Table::Possessions, codec::digest(holder, &blob.digest)));
            }
            Ok(())
        }
        Event::TokenCreated { token } => put(batch, Table::Tokens, token.id.as_bytes().to_vec(), token),
        Event::TokenRevoked { id } => {
            batch.delete(Table::Tokens, id.as_bytes().to_vec());
            Ok(())
        }
        Event::VerdictChanged { decision } => {
            put(batch, Table::Decisions, decision.id.as_bytes().to_vec(), decision)?;
            put(batch, Table::Verdicts, codec::digest(&decision.repository, &decision.digest), &decision.id)
        }
        Event::BlobUploaded { .. }
        | Event::ManifestPushed { .. }
        | Event::ManifestDeleted { .. }
        | Event::TagDeleted { .. }
        | Event::BlobDeleted { .. } => fold_push(batch, record),
    }
}

/// What clients pushed and deleted.
fn fold_push(batch: &mut Batch, record: &Record) -> Result<(), MetadataError> {
    match &record.event {
        Event::BlobUploaded { repository, digest, size, by } => {
            put(batch, Table::Possessions, codec::digest(repository, digest), size)?;
            put(batch, Table::Uploads, codec::upload(repository, digest, by.as_deref()), &())
        }
        Event::BlobDeleted { repository, digest, by: _ } => {
            batch.delete(Table::Possessions, codec::digest(repository, digest));
            Ok(())
        }
        Event::ManifestPushed { repository, digest, size, media_type, lists, subject, tag, from: _, by } => {
            let known = ManifestRecord { media_type: media_type.clone(), size: *size, stored_at: record.time };
            put(batch, Table::Manifests, codec::digest(repository, digest), &known)?;
            fold_listing(batch, repository, digest, lists)?;
            // What strangers uploaded is nobody's own once an image lists it, for good: deleting the image opens nothing.
            if let Listing::Blobs(blobs) = lists {
                blobs.iter().for_each(|blob| batch.delete(Table::Uploads, codec::upload(repository, blob, None)));
            }
            let (media_type, by) = (media_type.clone(), by.clone());
            let pushed = PushedManifest { media_type, size: *size, subject: *subject, by, pushed_at: record.time };
            put(batch, Table::PushedManifests, codec::digest(repository, digest), &pushed)?;
            if let Some(subject) = subject {
                put(batch, Table::PushedReferrers, codec::pair(repository, subject, digest), &())?;
            }
            match tag {
                Some(tag) => {
                    put(batch, Table::PushedTags, codec::tag(repository, tag), &PushedTag { digest: *digest, pushed_at: record.time })
                }
                None => Ok(()),
            }
        }
        Event::ManifestDeleted { repository, digest, lists, subject, tags, by: _ } => {
            batch.delete(Table::Manifests, codec::digest(repository, digest));
            unfold_listing(batch, repository, digest, lists);
            batch.delete(Table::PushedManifests, codec::digest(repository, digest));
            if let Some(subject) = subject {
                batch.delete(Table::PushedReferrers, codec::pair(repository, subject, digest));
            }
            tags.iter().for_each(|tag| batch.delete(Table::PushedTags, codec::tag(repository, tag)));
            Ok(())
        }
        Event::TagDeleted { repository, tag, from: _, by: _ } => {
            batch.delete(Table::PushedTags, codec::tag(repository, tag));
            Ok(())
        }
        Event::StoreCreated { .. }
        | Event::PolicyLoaded { .. }
        | Event::TagMoved { .. }
        | Event::ManifestStored { .. }
        | Event::EvidenceStored { .. }
        | Event::PossessionGained { .. }
        | Event::PossessionLost { .. }
        | Event::Restated { .. }
        | Event::TokenCreated { .. }
        | Event::TokenRevoked { .. }
        | Event::VerdictChanged { .. } => Ok(()),
    }
}

fn unfold_listing(batch: &mut Batch, repository: &Repository, digest: &Digest, lists: &Listing) {
    match lists {
        Listing::Blobs(blobs) => blobs.iter().for_each(|blob| batch.delete(Table::BlobListings, codec::pair(repository, blob, digest))),
        Listing::Manifests(children) => {
            batch.delete(Table::Indexes, codec::digest(repository, digest));
            children.iter().for_each(|child| batch.delete(Table::ChildListings, codec::pair(repository, child, digest)));
        }
    }
}

fn fold_listing(batch: &mut Batch, repository: &Repository, digest: &Digest, lists: &Listing) -> Result<(), MetadataError> {
    match lists {
        Listing::Blobs(blobs) => {
            for blob in blobs {
                put(batch, Table::BlobListings, codec::pair(repository, blob, digest), &())?;
            }
        }
        Listing::Manifests(children) => {
            put(batch, Table::Indexes, codec::digest(repository, digest), &())?;
            for child in children {
                put(batch, Table::ChildListings, codec::pair(repository, child, digest), &())?;
            }
        }
    }
    Ok(())
}
