//! Keeps house: evicts what was pulled least recently when room is short, and collects what nobody refers to.
//!
//! One at a time. What goes is held alone ([`super::lease`]) from before its record until its file is gone, so that nobody relies on it
//! meanwhile. Its loss is recorded first, and the file goes then: a crash in between leaves a file that nobody refers to, which the next
//! collection finds. Where the disk is too full for the record, an evicted file goes all the same: a record without bytes counts as
//! missing (F18).

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use sealgate_verifier::{Digest, Repository, Timestamp};
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::blob::{BlobStore, Kept};
use super::index::Index;
use super::lease::{Leases, Losing};
use super::ledger::{Event, Ledger, Loss, LostBlob};
use super::reach::{References, Spared, holders};
use super::room::{MakesRoom, Room, Shortage};

/// Blobs that one record lets go of.
const BATCH: usize = 64;
/// Repositories that one record names; a base layer can be in thousands. About 60 bytes each: far under a record's limit.
const HOLDERS: usize = 10_000;
/// Rounds in which candidates that turned out to be in use are replaced by the next ones.
const ROUNDS: usize = 4;
/// Pause after a look that found nothing to evict: a full store must not be looked through for every request.
const FRUITLESS: Duration = Duration::from_secs(5);

/// What the gate knows that the index does not.
pub trait Roots: Send + Sync {
    /// Manifests that must stay with all that they list: pinned by the policy, or serving while their upstream cannot confirm them.
    fn roots(&self) -> Vec<Digest>;

    /// These are gone: nothing of them may be held open or believed.
    fn gone(&self, blobs: &[Digest]);
}

/// What keeping house did since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evicted {
    /// Blobs, manifests among them.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a collection found, and removed unless it only looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Collected {
    /// Blobs that nobody refers to.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of those, blobs that a repository possessed and no manifest there listed.
    pub unlisted: u64,
    /// Blobs that nobody refers to and that stay for now, since they are young or in use.
    pub spared: u64,
    /// Whether nothing was removed.
    pub dry_run: bool,
}

/// Keeps one store's house.
pub(super) struct House {
    pub(super) blobs: Arc<dyn BlobStore>,
    pub(super) index: Arc<Index>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) leases: Arc<Leases>,
    pub(super) room: Arc<Room>,
    /// Held by whoever removes; with the time of the last fruitless look.
    turn: Mutex<Option<Instant>>,
    roots: OnceLock<Arc<dyn Roots>>,
    evicted: [AtomicU64; 2],
}

impl House {
    pub(super) fn new(blobs: Arc<dyn BlobStore>, index: Arc<Index>, ledger: Arc<Ledger>, leases: Arc<Leases>, room: Arc<Room>) -> Self {
        let (turn, roots, evicted) = (Mutex::default(), OnceLock::new(), Default::default());
        Self { blobs, index, ledger, leases, room, turn, roots, evicted }
    }

    pub(super) fn set_roots(&self, roots: Arc<dyn Roots>) {
        let _ = self.roots.set(roots);
    }

    pub(super) fn evicted(&self) -> Evicted {
        let [blobs, bytes] = &self.evicted;
        Evicted { blobs: blobs.load(Ordering::Relaxed), bytes: bytes.load(Ordering::Relaxed) }
    }

    /// Writes to the disk what was used since the last call.
    pub(super) fn note_uses(&self) {
        for digest in self.leases.take_fresh() {
            if let Err(error) = self.blobs.note_use(&digest) {
                tracing::debug!(%digest, %error, "a use could not be noted");
            }
        }
    }

    /// Blobs that may be evicted, least recently used first.
    fn candidates(&self) -> Result<Vec<Kept>, StoreError> {
        let inventory = self.blobs.inventory().map_err(StoreError::Blob)?;
        self.room.counted(inventory.iter().map(|kept| kept.size).sum());
        let (lease, now) = (self.leases.length(), SystemTime::now());
        // What the clock says was used in the future was used just now.
        let young = |kept: &Kept| now.duration_since(kept.used).map_or(true, |age| age < lease);
        let mut roots = self.leases.in_use();
        roots.extend(inventory.iter().filter(|kept| young(kept)).map(|kept| kept.digest));
        roots.extend(self.roots.get().into_iter().flat_map(|roots| roots.roots()));
        let spared = Spared::find(&self.index, roots)?;
        let mut candidates: Vec<Kept> = inventory.into_iter().filter(|kept| !spared.blobs.contains(&kept.digest)).collect();
        candidates.sort_by_key(|kept| kept.used);
        Ok(candidates)
    }

    /// Evicts until there is room for `bytes` more; says how many bytes went.
    fn evict(&self, bytes: u64) -> Result<u64, StoreError> {
        self.note_uses();
        let mut candidates = self.candidates()?.into_iter();
        let mut freed = 0;
        for _ in 0..ROUNDS {
            let Shortage(short) = self.room.shortage(bytes);
            let mut chosen = Vec::new();
            let mut sum = 0;
            while sum < short
                && let Some(kept) = candidates.next()
            {
                sum += kept.size;
                chosen.push(kept);
            }
            if chosen.is_empty() {
                break;
            }
            let wanted = chosen.iter().map(|kept| kept.digest).collect();
            let holders = holders(&self.index, &wanted)?;
            let lost = self.lose(&chosen, &holders, Loss::Evicted)?;
            let [blobs, bytes] = &self.evicted;
            blobs.fetch_add(lost.blobs, Ordering::Relaxed);
            bytes.fetch_add(lost.bytes, Ordering::Relaxed);
            freed += lost.bytes;
        }
        Ok(freed)
    }

    /// Lets go of blobs: nobody may use them meanwhile, their loss is recorded, their files go.
    fn lose(&self, blobs: &[Kept], holders: &HashMap<Digest, Vec<Repository>>, cause: Loss) -> Result<Evicted, StoreError> {
        let mut lost = Evicted::default();
        for batch in batches(blobs, holders) {
            let held: Vec<(&Kept, Losing<'_>)> = batch.iter().filter_map(|kept| Some((kept, self.leases.lose(&kept.digest)?))).collect();
            let of = |kept: &Kept| LostBlob {
                digest: kept.digest,
                size: kept.size,
                repositories: holders.get(&kept.digest).cloned().unwrap_or_default(),
            };
            let records: Vec<LostBlob> = held.iter().map(|(kept, _)| of(kept)).filter(|lost| !lost.repositories.is_empty()).collect();
            if !records.is_empty() {
                match (self.ledger.append_blocking(now(), Event::PossessionLost { cause, blobs: records }), cause) {
                    (Ok(_), _) => {}
                    (Err(error), Loss::Evicted) => tracing::warn!(%error, "an eviction could not be recorded; what went counts as missing"),
                    (Err(error), Loss::Unreferenced) => return Err(error.into()),
                }
            }
            let mut gone = Vec::with_capacity(held.len());
            for (kept, _) in &held {
                self.blobs.remove(&kept.digest).map_err(StoreError::Blob)?;
                lost.blobs += 1;
                lost.bytes += kept.size;
                gone.push(kept.digest);
            }
            if let Some(roots) = self.roots.get() {
                roots.gone(&gone);
            }
        }
        Ok(lost)
    }

    /// Removes blobs that nobody refers to and that were not used for `age`.
    ///
    /// # Errors
    /// The index or the ledger fails; what was removed until then is gone.
    pub(super) fn collect(&self, age: Duration, dry_run: bool) -> Result<Collected, StoreError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.note_uses();
        let inventory = self.blobs.inventory().map_err(StoreError::Blob)?;
        self.room.counted(inventory.iter().map(|kept| kept.size).sum());
        let References { referenced, unlisted } = References::find(&self.index)?;
        let (now, in_use) = (SystemTime::now(), self.leases.in_use());
        let old = |kept: &Kept| now.duration_since(kept.used).is_ok_and(|since| since >= age) && !in_use.contains(&kept.digest);
        let mut found = Collected { dry_run, ..Collected::default() };
        let mut chosen: Vec<Kept> = Vec::new();
        for kept in inventory.into_iter().filter(|kept| !referenced.contains(&kept.digest)) {
            if old(&kept) { chosen.push(kept) } else { found.spared += 1 }
        }
        if dry_run {
            found.blobs = chosen.len() as u64;
            found.bytes = chosen.iter().map(|kept| kept.size).sum();
        } else {
            let lost = self.lose(&chosen, &unlisted, Loss::Unreferenced)?;
            (found.blobs, found.bytes) = (lost.blobs, lost.bytes);
        }
        found.unlisted = chosen.iter().filter(|kept| unlisted.contains_key(&kept.digest)).count() as u64;
        Ok(found)
    }

    /// What of the inventory nobody refers to, or what only its possession keeps.
    pub(super) fn unreferenced(&self, inventory: &[Kept]) -> Result<HashSet<Digest>, StoreError> {
        let References { referenced, .. } = References::find(&self.index)?;
        Ok(inventory.iter().map(|kept| kept.digest).filter(|digest| !referenced.contains(digest)).collect())
    }

    /// Bytes that eviction may take, as of now.
    pub(super) fn evictable(&self) -> Result<u64, StoreError> {
        Ok(self.candidates()?.iter().map(|kept| kept.size).sum())
    }

    /// Counts what is there.
    pub(super) fn count(&self) -> Result<(), StoreError> {
        let inventory = self.blobs.inventory().map_err(StoreError::Blob)?;
        self.room.counted(inventory.iter().map(|kept| kept.size).sum());
        Ok(())
    }
}

impl MakesRoom for House {
    fn make_room(&self, bytes: u64) {
        let mut fruitless = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever had the turn before made room for others too.
        if self.room.obstacle(bytes).is_none() || fruitless.is_some_and(|at| at.elapsed() < FRUITLESS) {
            return;
        }
        let freed = match self.evict(bytes) {
            Ok(freed) => freed,
            Err(error) => {
                tracing::error!(%error, "nothing can be evicted");
                0
            }
        };
        *fruitless = (freed == 0).then(Instant::now);
        if freed > 0 {
            tracing::info!(bytes = freed, "evicted what was pulled least recently");
        }
    }
}

/// As many blobs together as one record takes.
fn batches<'b>(blobs: &'b [Kept], holders: &HashMap<Digest, Vec<Repository>>) -> Vec<&'b [Kept]> {
    let mut batches = Vec::new();
    let (mut start, mut named) = (0, 0);
    for (at, kept) in blobs.iter().enumerate() {
        let more = holders.get(&kept.digest).map_or(0, Vec::len);
        if at > start && (at - start >= BATCH || named + more > HOLDERS) {
            batches.extend(blobs.get(start..at));
            (start, named) = (at, 0);
        }
        named += more;
    }
    batches.extend(blobs.get(start..).filter(|rest| !rest.is_empty()));
    batches
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
