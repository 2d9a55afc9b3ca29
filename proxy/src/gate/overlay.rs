//! What was pushed here, joined to what upstreams have: evidence beside upstream images, and all of a hosted registry (DESIGN §6).
//!
//! Both sources of evidence are collected by themselves and judged together, so that of two clashing tags both count. What is pushed
//! or deleted counts at the next request: each push makes a new edition of its repository, and no decision outlives its edition.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use sealgate_registry::{FetchError, FetchedManifest, Lifetimes, Referrers, Repositories, collect};
use sealgate_verifier::{Attachment, Collected, Digest, ManifestReference, Needs, Repository, Tag, Timestamp, limits};

use crate::gate::decided::Edition;
use crate::gate::material::{HeldEvidence, Wait};
use crate::gate::resolve::evidence_subject;
use crate::gate::{Gate, GateError, PolicyLoad};
use crate::store::PushedManifest;

/// Counters over which the repositories are spread; two that share one only decide once too often.
const EDITIONS: usize = 4_096;
/// Pushed referrers of one subject that are collected. One over the limit of a collection, so that it notices.
const REFERRERS: usize = limits::ATTACHMENTS + 1;
/// Pushed referrers of one subject that are looked at, in the order of their digests: some milliseconds once for each push.
const LISTED: usize = 4_096;

/// How often each repository was pushed to since the start.
pub(in crate::gate) struct Editions {
    slots: Box<[AtomicU64]>,
    /// Whether any was: a gate that nobody pushes to need not look further.
    any: AtomicBool,
}

impl Default for Editions {
    fn default() -> Self {
        Self { slots: (0..EDITIONS).map(|_| AtomicU64::new(0)).collect(), any: AtomicBool::new(false) }
    }
}

impl Editions {
    fn slot(&self, repository: &Repository) -> Option<&AtomicU64> {
        let mut hasher = DefaultHasher::new();
        repository.hash(&mut hasher);
        self.slots.get(usize::try_from(hasher.finish() % EDITIONS as u64).unwrap_or(0))
    }

    fn get(&self, repository: &Repository) -> u64 {
        self.slot(repository).map_or(0, |slot| slot.load(Ordering::Acquire))
    }
}

/// All evidence about a subject.
pub(in crate::gate) struct Gathered {
    /// What was found, here and upstream.
    pub(in crate::gate) set: Collected<Attachment>,
    /// What the upstream has of it; none for a hosted registry.
    pub(in crate::gate) upstream: Option<Arc<HeldEvidence>>,
    /// When the older of the searches ended.
    pub(in crate::gate) checked_at: Timestamp,
}

impl Gate {
    /// What decisions of `repository` count as of now: another one after each load of the policy and after each push.
    pub(in crate::gate) fn edition(&self, load: &PolicyLoad, repository: &Repository) -> Edition {
        if !self.editions.any.load(Ordering::Acquire) {
            return Edition { load: load.epoch, pushes: 0 };
        }
        // Within one load the places are the same and each only grows, so the sum stands still only while every part does.
        let others = load.policy.rule_for(repository).map(|rule| rule.signatures_from.as_slice()).unwrap_or_default();
        let pushes = std::iter::once(repository).chain(others.iter().filter(|other| *other != repository));
        Edition { load: load.epoch, pushes: pushes.map(|place| self.editions.get(place)).fold(0, u64::wrapping_add) }
    }

    /// Ends every decision on `repository`. After what was pushed is recorded, and before it is acknowledged.
    pub(in crate::gate) fn new_edition(&self, repository: &Repository) {
        if let Some(slot) = self.editions.slot(repository) {
            slot.fetch_add(1, Ordering::AcqRel);
            self.editions.any.store(true, Ordering::Release);
        }
    }

    /// Refuses what a hosted registry does not have (any more), whatever is still in memory.
    pub(in crate::gate) fn require_pushed(&self, repository: &Repository, digest: &Digest) -> Result<(), GateError> {
        let gone = self.upstreams.hosted(repository).is_some()
            && self.store.pushed_manifest(repository, digest).map_err(GateError::store)?.is_none();
        if gone { Err(GateError::ManifestUnknown) } else { Ok(()) }
    }

    /// Where a tag points that was pushed here. Of an upstream's repository only evidence tags are; those go before the upstream's own.
    pub(in crate::gate) fn resolve_pushed(&self, repository: &Repository, tag: &Tag) -> Result<Option<Digest>, GateError> {
        let hosted = self.upstreams.hosted(repository).is_some();
        if !hosted && evidence_subject(tag).is_none() {
            return Ok(None);
        }
        match self.store.pushed_tag(repository, tag).map_err(GateError::store)? {
            Some(pushed) => Ok(Some(pushed.digest)),
            None if hosted => Err(GateError::ManifestUnknown),
            None => Ok(None),
        }
    }

    /// What an evidence manifest is about that does not say so itself.
    pub(in crate::gate) fn subject_of(&self, repository: &Repository, digest: &Digest) -> Option<Digest> {
        let pushed = || self.store.pushed_manifest(repository, digest).ok().flatten()?.subject;
        self.subjects.get(&(repository.clone(), *digest)).or_else(pushed)
    }

    /// All evidence about `subject`: the upstream's of the kinds that `needs` asks for, looked for at most `max_age` seconds ago where that is possible, and what was
    /// pushed here until now.
    pub(in crate::gate) async fn evidence(
        self: &Arc<Self>,
        repository: &Repository,
        subject: &Digest,
        needs: Needs,
        max_age: i64,
        wait: Wait,
    ) -> Result<Arc<Gathered>, GateError> {
        if self.upstreams.hosted(repository).is_some() {
            let held = self.pushed_evidence(repository, subject).await;
            return Ok(Arc::new(Gathered { set: held.set.clone(), upstream: None, checked_at: held.checked_at }));
        }
        let upstream = self.upstream_evidence(repository, subject, needs, max_age, wait).await?;
        let mut set = upstream.set.clone();
        if self.store.has_pushed(repository).map_err(GateError::store)? {
            // First what was pushed here: a crowd at the upstream must not push it out of a limit.
            let pushed = self.pushed_evidence(repository, subject).await;
            let known: Vec<Digest> = pushed.set.items.iter().map(|item| item.digest).collect();
            let others = std::mem::take(&mut set.items).into_iter().filter(|item| !known.contains(&item.digest));
            set.items = pushed.set.items.iter().cloned().chain(others).collect();
            set.gaps.extend(pushed.set.gaps.iter().cloned());
        }
        Ok(Arc::new(Gathered { set, checked_at: upstream.checked_at, upstream: Some(upstream) }))
    }

    /// The evidence about `subject` that was pushed here. Asks nobody.
    async fn pushed_evidence(self: &Arc<Self>, repository: &Repository, subject: &Digest) -> Arc<HeldEvidence> {
        let key = (repository.clone(), *subject);
        let edition = self.editions.get(repository);
        let now = self.now();
        if let Some((of, held)) = self.pushed_evidence.get(&key)
            && of == edition
            && now < held.set.stale_at
        {
            return held;
        }
        let max_stale = self.config.evidence_max_stale;
        let needs = Needs { signatures: true, attestations: true, ..Needs::default() };
        let set = collect(&Pushed(self), repository, subject, needs, now, Lifetimes { max_stale }).await;
        for attachment in &set.items {
            self.subjects.insert((repository.clone(), attachment.digest), *subject, 1);
        }
        let held = Arc::new(HeldEvidence { set, checked_at: now });
        if held.set.gaps.is_empty() {
            self.pushed_evidence.insert(key, (edition, Arc::clone(&held)), held.weight());
        }
        held
    }
}

/// Reads what was pushed here, and nothing else.
struct Pushed<'a>(&'a Arc<Gate>);

fn failed(error: impl std::fmt::Display) -> FetchError {
    tracing::error!(%error, "the store failed");
    FetchError::Unavailable { status: 503 }
}

/// What is on record was there: that it is gone is a failure, and no proof that there is nothing.
fn lost(digest: &Digest) -> FetchError {
    failed(format!("the bytes of {digest}, which was pushed here, are lost"))
}

/// The first `limit` of what was pushed, one of each pusher in turn: many of one name do not keep those of another from being seen.
fn in_turn(referrers: Vec<(Digest, PushedManifest)>, limit: usize) -> Vec<(Digest, u64)> {
    let mut rounds: HashMap<Option<String>, usize> = HashMap::new();
    let mut ranked: Vec<(usize, Timestamp, Digest, u64)> = Vec::with_capacity(referrers.len());
    for (digest, PushedManifest { by, pushed_at, size, .. }) in referrers {
        let round = rounds.entry(by).or_default();
        ranked.push((*round, pushed_at, digest, size));
        *round += 1;
    }
    ranked.sort_unstable();
    ranked.into_iter().take(limit).map(|(_, _, digest, size)| (digest, size)).collect()
}

impl Repositories for Pushed<'_> {
    async fn manifest(&self, repository: &Repository, reference: &ManifestReference) -> Result<FetchedManifest, FetchError> {
        let store = self.0.store();
        let digest = match reference {
            ManifestReference::Digest(digest) => *digest,
            ManifestReference::Tag(tag) => store.pushed_tag(repository, tag).map_err(failed)?.ok_or(FetchError::NotFound)?.digest,
        };
        let record = store.pushed_manifest(repository, &digest).map_err(failed)?.ok_or(FetchError::NotFound)?;
        let bytes = store.blobs().read(&digest, limits::MANIFEST_BYTES).map_err(failed)?.ok_or_else(|| lost(&digest))?;
        Ok(FetchedManifest { bytes, digest, media_type: Some(record.media_type) })
    }

    async fn blob(&self, repository: &Repository, digest: &Digest, limit: usize) -> Result<Bytes, FetchError> {
        let store = self.0.store();
        store.possession(repository, digest).map_err(failed)?.ok_or(FetchError::NotFound)?;
        store.blobs().read(digest, limit).map_err(failed)?.ok_or_else(|| lost(digest))
    }

    async fn referrers(&self, repository: &Repository, digest: &Digest) -> Result<Referrers, FetchError> {
        let store = self.0.store();
        let mut pushed = Vec::new();
        for referrer in store.pushed_referrers(repository, digest, LISTED).map_err(failed)? {
            pushed.extend(store.pushed_manifest(repository, &referrer).map_err(failed)?.map(|record| (referrer, record)));
        }
        // Of one pusher the oldest come first.
        pushed.sort_by_key(|(_, record)| record.pushed_at);
        Ok(Referrers::Listed { manifests: in_turn(pushed, REFERRERS), truncated: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_referrers_each_pusher_s_are_seen_and_the_oldest_first() {
        let pushed = |by: &str, at: i64| {
            let (media_type, by) = (String::new(), Some(by.to_owned()));
            (
                Digest::sha256(format!("{by:?} {at}").as_bytes()),
                PushedManifest { media_type, size: 1, subject: None, by, pushed_at: Timestamp(at) },
            )
        };
        let mut all: Vec<_> = (0..500).map(|at| pushed("spammer", at)).collect();
        let (first, second) = (pushed("signer", 1_000), pushed("signer", 1_001));
        all.extend([first.clone(), second.clone()]);
        let seen: Vec<Digest> = in_turn(all.clone(), REFERRERS).into_iter().map(|(digest, _)| digest).collect();
        assert_eq!(seen.len(), REFERRERS);
        assert_eq!(seen[..4], [all[0].0, first.0, all[1].0, second.0]);
    }
}
