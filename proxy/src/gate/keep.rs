//! What the gate knows about what must stay in the store, and what it must forget about what went.

use std::sync::{Arc, Weak};

use sealgate_verifier::{Digest, Repository};

use crate::gate::Gate;
use crate::store::house::Roots;

/// What must stay, as a gate knows it. Weak: the gate owns the store that asks.
pub(super) struct Stays(Weak<Gate>);

impl Stays {
    pub(super) fn of(gate: &Arc<Gate>) -> Self {
        Self(Arc::downgrade(gate))
    }
}

impl Roots for Stays {
    fn roots(&self) -> Vec<Digest> {
        let Some(gate) = self.0.upgrade() else { return Vec::new() };
        let pinned = gate.policy.load().policy.pinned().collect::<Vec<_>>();
        pinned.into_iter().chain(gate.unconfirmed.values()).collect()
    }

    fn gone(&self, blobs: &[Digest]) {
        if let Some(gate) = self.0.upgrade() {
            gate.open_blobs.remove_where(|(_, blob)| blobs.contains(blob));
        }
    }
}

impl Gate {
    /// Notes that a client was served a manifest: its lease, and for a GET who pulled it.
    pub fn pulled(&self, repository: &Repository, digest: &Digest, by: Option<&str>, whole: bool) {
        self.store.touch(digest);
        if whole {
            self.store.note_pull(repository, digest, by);
        }
    }

    /// Notes who used what, and makes room in the store where it is short.
    pub async fn keep_house(&self) {
        let (store, now) = (self.store.clone(), self.now());
        if let Err(error) = tokio::task::spawn_blocking(move || store.keep_house(now)).await {
            tracing::error!(%error, "keeping house failed");
        }
    }
}
