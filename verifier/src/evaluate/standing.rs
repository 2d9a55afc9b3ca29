//! Who of a quorum has signed.

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::SignedBy;
use crate::principal::Principal;
use crate::quorum::maximum_matching;
use crate::time::Timestamp;

/// Which signers have somebody behind them, and for how long that holds.
#[derive(Default)]
pub(super) struct Standing<'s> {
    principals: BTreeMap<&'s str, BTreeSet<&'s Principal>>,
    /// The latest end of what each principal did.
    ends: BTreeMap<&'s Principal, Option<Timestamp>>,
}

impl<'s> Standing<'s> {
    pub(super) fn add(&mut self, signer: &'s str, principal: &'s Principal, until: Option<Timestamp>) {
        self.principals.entry(signer).or_default().insert(principal);
        let end = self.ends.entry(principal).or_insert(until);
        // None is no end at all.
        *end = end.zip(until).map(|(one, other)| one.max(other));
    }

    /// The signers that make up the quorum, and until when they do.
    pub(super) fn reaches(&self, quorum: &SignedBy, stale_at: Timestamp) -> Option<(Vec<String>, Option<Timestamp>)> {
        let pairs = maximum_matching(&self.principals);
        if pairs.len() < quorum.needed() {
            return None;
        }
        let ends = pairs.iter().filter_map(|(_, principal)| self.ends.get(principal).copied().flatten());
        let valid_until = ends.chain([stale_at]).min();
        Some((pairs.into_iter().map(|(signer, _)| signer.to_owned()).collect(), valid_until))
    }
}
