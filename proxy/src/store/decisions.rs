//! Evidence sets, decisions and the policy that was in force.

use sealgate_verifier::{Digest, Repository, Revision, Timestamp};

use super::ledger::Event;
use super::metadata::Table;
use super::{DecisionRecord, EvidenceRecord, Store, StoreError, codec};

impl Store {
    /// The evidence set that was stored last about `subject`. Whether it still counts is the caller's to judge.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn evidence(&self, repository: &Repository, subject: &Digest) -> Result<Option<EvidenceRecord>, StoreError> {
        Ok(self.inner.index.get(Table::Evidence, &codec::digest(repository, subject))?)
    }

    /// Stores an evidence set; its manifests and layers must be in [`Store::blobs`] before. Recorded at the time of its collection.
    /// Durable when it returns.
    ///
    /// # Errors
    /// The record cannot be written.
    pub async fn store_evidence(&self, repository: &Repository, subject: &Digest, record: EvidenceRecord) -> Result<(), StoreError> {
        let now = record.collected_at;
        self.record(now, Event::EvidenceStored { repository: repository.clone(), subject: *subject, record }).await
    }

    /// The decision that was recorded last about a digest.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn verdict(&self, repository: &Repository, digest: &Digest) -> Result<Option<DecisionRecord>, StoreError> {
        match self.inner.index.get::<String>(Table::Verdicts, &codec::digest(repository, digest))? {
            Some(id) => self.decision(&id),
            None => Ok(None),
        }
    }

    /// Records a decision. For those that say something other than the last one about the digest: the ledger holds transitions.
    /// Durable when it returns.
    ///
    /// # Errors
    /// The record cannot be written: an admission that cannot be recorded is not to be served (503).
    pub async fn record_verdict(&self, decision: DecisionRecord) -> Result<(), StoreError> {
        self.record(decision.decided_at, Event::VerdictChanged { decision: Box::new(decision) }).await
    }

    /// A decision by its id.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn decision(&self, id: &str) -> Result<Option<DecisionRecord>, StoreError> {
        Ok(self.inner.index.get(Table::Decisions, id.as_bytes())?)
    }

    /// The revision of the policy that was recorded last.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn policy(&self) -> Result<Option<Revision>, StoreError> {
        Ok(self.inner.index.get(Table::Policies, &[])?)
    }

    /// Records that a policy came into force, where it is another than the last one. Durable when it returns.
    ///
    /// # Errors
    /// The record cannot be written.
    pub async fn record_policy(&self, revision: Revision, now: Timestamp) -> Result<(), StoreError> {
        if self.policy()? == Some(revision) {
            return Ok(());
        }
        self.record(now, Event::PolicyLoaded { revision }).await
    }
}
