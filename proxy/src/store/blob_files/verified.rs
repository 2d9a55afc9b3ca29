//! Which blobs were hashed in this run, and who changes which blob's file.

use std::collections::{HashMap, HashSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use sealgate_verifier::Digest;

/// Blobs whose bytes were hashed in this run: some 50 to 80 bytes for each blob that was opened. And a lock for each digest, held by whoever
/// checks, names, quarantines or removes its file: else one caller could quarantine what another has just stored.
#[derive(Default)]
pub(super) struct Verified {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// With the number of bytes that were hashed.
    done: HashMap<Digest, u64>,
    locked: HashSet<Digest>,
}

/// The lock of one digest.
pub(super) struct Turn<'a> {
    verified: &'a Verified,
    digest: Digest,
}

impl Verified {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the digest's lock.
    pub(super) fn lock(&self, digest: &Digest) -> Turn<'_> {
        let mut state = self.state();
        while !state.locked.insert(*digest) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Turn { verified: self, digest: *digest }
    }

    /// Whether the blob was hashed and had `size` bytes then. A file of another size is not what was hashed.
    pub(super) fn contains(&self, digest: &Digest, size: u64) -> bool {
        self.state().done.get(digest) == Some(&size)
    }

    pub(super) fn insert(&self, digest: Digest, size: u64) {
        self.state().done.insert(digest, size);
    }

    pub(super) fn remove(&self, digest: &Digest) {
        self.state().done.remove(digest);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.verified.state().locked.remove(&self.digest);
        self.verified.changed.notify_all();
    }
}
