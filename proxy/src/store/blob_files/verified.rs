//! Which blobs were hashed in this run, and who changes which blob's file.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use sealgate_verifier::Digest;

/// Blobs whose bytes were hashed in this run: 36 to 68 bytes for each blob that was opened. And a lock for each digest, held by whoever
/// checks, names, quarantines or removes its file: else one caller could quarantine what another has just stored.
#[derive(Default)]
pub(super) struct Verified {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    done: HashSet<Digest>,
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

    pub(super) fn contains(&self, digest: &Digest) -> bool {
        self.state().done.contains(digest)
    }

    pub(super) fn insert(&self, digest: Digest) {
        self.state().done.insert(digest);
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
