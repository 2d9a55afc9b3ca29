//! Tags and where they point.

use std::hash::{DefaultHasher, Hash, Hasher};

use sealgate_verifier::{Digest, Repository, Tag, Timestamp};

use super::index::Confirmation;
use super::ledger::Event;
use super::metadata::Table;
use super::{Store, StoreError, TAG_LOCKS, TagRecord, codec};

impl TagRecord {
    /// Takes a confirmation in, where it is about the same digest.
    fn confirmed(mut self, confirmation: Option<Confirmation>) -> Self {
        if let Some(confirmation) = confirmation
            && confirmation.digest == self.digest
        {
            self.confirmed_at = self.confirmed_at.max(confirmation.at);
        }
        self
    }
}

impl Store {
    /// Where a tag points, as far as is known here.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn tag(&self, repository: &Repository, tag: &Tag) -> Result<Option<TagRecord>, StoreError> {
        let key = codec::tag(repository, tag);
        let Some(record) = self.inner.index.get::<TagRecord>(Table::Tags, &key)? else { return Ok(None) };
        Ok(Some(record.confirmed(self.inner.index.get(Table::TagConfirmations, &key)?)))
    }

    /// Records that a tag points to `to`. Durable when it returns. A tag that pointed there already is confirmed.
    ///
    /// # Errors
    /// The record cannot be written; the tag points where it did.
    pub async fn move_tag(&self, repository: &Repository, tag: &Tag, to: Digest, now: Timestamp) -> Result<(), StoreError> {
        let _turn = self.tag_turn(repository, tag).await;
        let from = self.tag(repository, tag)?.map(|record| record.digest);
        if from == Some(to) {
            return self.confirm_tag(repository, tag, now);
        }
        self.record(now, Event::TagMoved { repository: repository.clone(), tag: tag.clone(), from, to }).await
    }

    /// The turn to move a tag.
    pub(super) async fn tag_turn(&self, repository: &Repository, tag: &Tag) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        match self.inner.tag_locks.get(slot(&(repository, tag), TAG_LOCKS)) {
            Some(lock) => Some(lock.lock().await),
            None => None,
        }
    }

    /// Notes that the upstream says the tag still points where it did. Written with the next flush of the index, so a crash may lose it;
    /// a tag that is not known is left alone.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn confirm_tag(&self, repository: &Repository, tag: &Tag, now: Timestamp) -> Result<(), StoreError> {
        match self.tag(repository, tag)? {
            Some(record) if record.confirmed_at < now => {
                Ok(self.inner.index.confirm(repository, tag, Confirmation { digest: record.digest, at: now })?)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Up to `limit` tags of a repository, in byte order.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn tags(&self, repository: &Repository, limit: usize) -> Result<Vec<(Tag, TagRecord)>, StoreError> {
        let prefix = codec::prefix(repository);
        let entries = self.inner.index.scan::<TagRecord>(Table::Tags, &prefix, limit)?;
        let with_confirmation = |(rest, record): (Vec<u8>, TagRecord)| {
            let tag = codec::read_tag(Table::Tags, &rest)?;
            let confirmation = self.inner.index.get(Table::TagConfirmations, &codec::tag(repository, &tag))?;
            Ok((tag, record.confirmed(confirmation)))
        };
        entries.into_iter().map(with_confirmation).collect()
    }
}

/// Which of `count` locks is `thing`'s.
pub(super) fn slot(thing: &impl Hash, count: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    thing.hash(&mut hasher);
    usize::try_from(hasher.finish() % count as u64).unwrap_or(0)
}
