//! How many distinct principals stand behind a set of signers.
//!
//! Two signers may overlap in a principal, and one principal may sign many times: neither may count twice (TUF's
//! CVE-2020-15093, sigstore-go's CVE-2026-49834). So the count is a maximum matching of signers to principals.

use std::collections::{BTreeMap, BTreeSet};

/// The largest set of pairs in which no signer and no principal stands twice (Kuhn's augmenting paths). The same input gives
/// the same pairs, in the signers' order.
pub(crate) fn maximum_matching<S: Ord + Copy, P: Ord + Copy>(principals: &BTreeMap<S, BTreeSet<P>>) -> Vec<(S, P)> {
    let mut signer_of: BTreeMap<P, S> = BTreeMap::new();
    for signer in principals.keys() {
        augment(*signer, principals, &mut signer_of, &mut BTreeSet::new());
    }
    let mut pairs: Vec<(S, P)> = signer_of.into_iter().map(|(principal, signer)| (signer, principal)).collect();
    pairs.sort_unstable();
    pairs
}

/// Finds a principal for `signer`, moving other signers to their other principals where that makes room. The depth is at most
/// the number of signers, which is the policy's own.
fn augment<S: Ord + Copy, P: Ord + Copy>(
    signer: S,
    principals: &BTreeMap<S, BTreeSet<P>>,
    signer_of: &mut BTreeMap<P, S>,
    visited: &mut BTreeSet<P>,
) -> bool {
    for principal in principals.get(&signer).into_iter().flatten() {
        if !visited.insert(*principal) {
            continue;
        }
        let free = match signer_of.get(principal).copied() {
            None => true,
            Some(holder) => augment(holder, principals, signer_of, visited),
        };
        if free {
            signer_of.insert(*principal, signer);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(edges: &[(u8, &[u8])]) -> usize {
        let principals = edges.iter().map(|(signer, keys)| (*signer, keys.iter().copied().collect())).collect();
        let pairs = maximum_matching(&principals);
        let signers: BTreeSet<u8> = pairs.iter().map(|(signer, _)| *signer).collect();
        let keys: BTreeSet<u8> = pairs.iter().map(|(_, key)| *key).collect();
        assert!(signers.len() == pairs.len() && keys.len() == pairs.len(), "nobody stands twice");
        pairs.len()
    }

    #[test]
    fn nobody_counts_twice() {
        // C7, V10
        for (edges, expected) in [
            (&[(1, &[][..])][..], 0),
            (&[(1, &[1, 2, 3])], 1),
            (&[(1, &[1]), (2, &[1])], 1),
            (&[(1, &[1]), (2, &[1]), (3, &[1, 2])], 2),
            // A greedy choice of 1 for the first would leave the second with nothing.
            (&[(1, &[1, 2]), (2, &[1])], 2),
            (&[(1, &[1, 2]), (2, &[1, 3]), (3, &[1]), (4, &[3])], 3),
            (&[(1, &[1, 2]), (2, &[2, 3]), (3, &[3, 4]), (4, &[1])], 4),
        ] {
            assert_eq!(matched(edges), expected, "{edges:?}");
        }
    }
}
