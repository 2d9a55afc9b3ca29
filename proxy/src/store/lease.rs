//! What is in use, and so is not removed: what was pulled, uploaded or relied upon within the lease, and what is being read.
//!
//! Whoever relies on a stored blob touches it first; whoever removes one holds it alone meanwhile ([`Leases::lose`]), and a touch waits
//! for that. So a blob that was seen to be there after a touch stays for at least the lease, in which what relies on it is recorded.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sealgate_verifier::Digest;

use super::blob::{BlobReader, StoredBlob};

/// Locks over which digests are spread: readers on all cores touch on every request.
const SHARDS: usize = 32;

/// All leases of a store.
pub(super) struct Leases {
    shards: [Shard; SHARDS],
    length: Duration,
}

#[derive(Default)]
struct Shard {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    uses: HashMap<Digest, Use>,
    /// Being removed.
    losing: HashSet<Digest>,
}

struct Use {
    at: Instant,
    /// Not on the disk yet.
    fresh: bool,
    /// Bodies that are being sent from it.
    readers: usize,
}

/// The right to remove a blob: nobody used it within the lease, and whoever wants to waits.
pub(super) struct Losing<'a> {
    shard: &'a Shard,
    digest: Digest,
}

impl Leases {
    pub(super) fn new(length: Duration) -> Self {
        Self { shards: std::array::from_fn(|_| Shard::default()), length }
    }

    pub(super) const fn length(&self) -> Duration {
        self.length
    }

    fn shard(&self, digest: &Digest) -> &Shard {
        let mut hasher = DefaultHasher::new();
        digest.hash(&mut hasher);
        let slot = usize::try_from(hasher.finish() % SHARDS as u64).unwrap_or(0);
        self.shards.get(slot).unwrap_or(&self.shards[0])
    }

    /// Renews the blob's lease. Waits while it is being removed, which takes as long as a record and an unlink.
    pub(super) fn touch(&self, digest: &Digest) {
        self.shard(digest).touch(digest, 0);
    }

    /// A reader that keeps the blob until it is dropped.
    pub(super) fn held(self: &Arc<Self>, digest: &Digest, blob: StoredBlob) -> StoredBlob {
        self.shard(digest).touch(digest, 1);
        let reader = HeldReader { inner: blob.reader, leases: Arc::clone(self), digest: *digest };
        StoredBlob { size: blob.size, reader: Arc::new(reader) }
    }

    /// The right to remove the blob; none while somebody uses it.
    pub(super) fn lose(&self, digest: &Digest) -> Option<Losing<'_>> {
        let shard = self.shard(digest);
        let mut state = shard.state();
        let in_use = state.uses.get(digest).is_some_and(|used| used.readers > 0 || used.at.elapsed() < self.length);
        if in_use || !state.losing.insert(*digest) {
            return None;
        }
        state.uses.remove(digest);
        drop(state);
        Some(Losing { shard, digest: *digest })
    }

    /// What was used within the lease or is being read.
    pub(super) fn in_use(&self) -> HashSet<Digest> {
        let mut found = HashSet::new();
        for shard in &self.shards {
            let state = shard.state();
            found.extend(
                state.uses.iter().filter(|(_, used)| used.readers > 0 || used.at.elapsed() < self.length).map(|(digest, _)| *digest),
            );
        }
        found
    }

    /// What was used since the last call, to be noted on the disk. Forgets what the lease ended of.
    pub(super) fn take_fresh(&self) -> Vec<Digest> {
        let mut fresh = Vec::new();
        for shard in &self.shards {
            let mut state = shard.state();
            state.uses.retain(|digest, used| {
                if std::mem::take(&mut used.fresh) {
                    fresh.push(*digest);
                }
                used.readers > 0 || used.at.elapsed() < self.length
            });
        }
        fresh
    }
}

impl Shard {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self, digest: &Digest, readers: usize) {
        let mut state = self.state();
        while state.losing.contains(digest) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let used = state.uses.entry(*digest).or_insert_with(|| Use { at: Instant::now(), fresh: true, readers: 0 });
        used.at = Instant::now();
        used.fresh = true;
        used.readers += readers;
    }

    fn release(&self, digest: &Digest) {
        if let Some(used) = self.state().uses.get_mut(digest) {
            used.at = Instant::now();
            used.readers = used.readers.saturating_sub(1);
        }
    }
}

impl Drop for Losing<'_> {
    fn drop(&mut self) {
        self.shard.state().losing.remove(&self.digest);
        self.shard.changed.notify_all();
    }
}

/// A reader under whose eyes nothing is removed.
struct HeldReader {
    inner: Arc<dyn BlobReader>,
    leases: Arc<Leases>,
    digest: Digest,
}

impl BlobReader for HeldReader {
    fn read_now(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.inner.read_now(buffer, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn is_whole(&self, size: u64) -> bool {
        self.inner.is_whole(size)
    }
}

impl Drop for HeldReader {
    fn drop(&mut self) {
        self.leases.shard(&self.digest).release(&self.digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl BlobReader for Nothing {
        fn read_now(&self, _: &mut [u8], _: u64) -> io::Result<Option<usize>> {
            Ok(Some(0))
        }
        fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
            Ok(0)
        }
    }

    #[test]
    fn what_is_used_or_read_is_not_lost() {
        // F17
        let blob = Digest::sha256(b"blob");
        let long = Leases::new(Duration::from_hours(1));
        assert!(long.lose(&blob).is_some(), "nobody used it");
        long.touch(&blob);
        assert!(long.lose(&blob).is_none() && long.in_use().contains(&blob));
        let none = Arc::new(Leases::new(Duration::ZERO));
        none.touch(&blob);
        assert!(none.lose(&blob).is_some(), "the lease is over");
        let held = none.held(&blob, StoredBlob { size: 0, reader: Arc::new(Nothing) });
        assert!(none.lose(&blob).is_none(), "it is being read");
        assert_eq!((none.take_fresh(), none.take_fresh()), (vec![blob], vec![]));
        drop(held);
        assert!(none.lose(&blob).is_some());
    }

    #[test]
    fn whoever_touches_waits_for_a_removal() {
        let blob = Digest::sha256(b"blob");
        let leases = Arc::new(Leases::new(Duration::from_hours(1)));
        let losing = leases.lose(&blob).expect("unused");
        assert!(leases.lose(&blob).is_none(), "one at a time");
        let (sender, touched) = std::sync::mpsc::channel();
        let other = Arc::clone(&leases);
        let toucher = std::thread::spawn(move || {
            other.touch(&blob);
            sender.send(()).expect("the test waits");
        });
        assert!(touched.recv_timeout(Duration::from_millis(50)).is_err());
        drop(losing);
        touched.recv().expect("it goes on");
        toucher.join().expect("no panic");
        assert!(leases.lose(&blob).is_none());
    }
}
