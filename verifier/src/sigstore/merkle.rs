//! Inclusion proofs (RFC 9162, section 2.1.3).

use ring::digest::{Context, SHA256, digest};

use crate::limits;

/// The hash of a leaf (RFC 9162, section 2.1.1).
fn leaf(body: &[u8]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[0]);
    context.update(body);
    fixed(context.finish().as_ref())
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    fixed(digest(&SHA256, &bytes).as_ref())
}

fn fixed(hash: &[u8]) -> Hash {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash);
    bytes
}

/// A SHA-256 hash.
pub(super) type Hash = [u8; 32];

/// Whether `proof` leads from the leaf `body` at `index` to the root of a tree of `size` leaves (RFC 9162, section 2.1.3.2).
pub(super) fn included(body: &[u8], index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size || proof.len() > limits::PROOF_HASHES {
        return false;
    }
    let (mut first, mut last) = (index, size - 1);
    let mut hash = leaf(body);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if first & 1 == 1 || first == last {
            hash = node(sibling, &hash);
            while first & 1 == 0 && first != 0 {
                first >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, sibling);
        }
        first >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(leaves: &[Vec<u8>]) -> Hash {
        match leaves {
            [] => fixed(digest(&SHA256, b"").as_ref()),
            [one] => leaf(one),
            many => {
                let half = many.len().next_power_of_two() / 2;
                node(&root(&many[..half]), &root(&many[half..]))
            }
        }
    }

    fn path(leaves: &[Vec<u8>], index: usize) -> Vec<Hash> {
        if leaves.len() <= 1 {
            return Vec::new();
        }
        let half = leaves.len().next_power_of_two() / 2;
        if index < half {
            let mut hashes = path(&leaves[..half], index);
            hashes.push(root(&leaves[half..]));
            hashes
        } else {
            let mut hashes = path(&leaves[half..], index - half);
            hashes.push(root(&leaves[..half]));
            hashes
        }
    }

    #[test]
    fn every_leaf_of_small_trees_is_proven_at_its_own_place_only() {
        for size in 1_usize..=17 {
            let leaves: Vec<Vec<u8>> = (0..size).map(|n| vec![n as u8]).collect();
            let root = root(&leaves);
            for index in 0..size {
                let proof = path(&leaves, index);
                let at = |index: usize, size: usize, proof: &[Hash]| {
                    included(&leaves[0..][index.min(leaves.len() - 1)], index as u64, size as u64, proof, &root)
                };
                assert!(at(index, size, &proof), "{index} of {size}");
                assert!(!included(b"x", index as u64, size as u64, &proof, &root));
                for other in (0..size).filter(|other| *other != index) {
                    assert!(!included(&leaves[index], other as u64, size as u64, &proof, &root), "{index} as {other} of {size}");
                }
                assert!(!included(&leaves[index], index as u64, size as u64, &[proof.clone(), vec![[0; 32]]].concat(), &root));
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(!included(&leaves[index], index as u64, size as u64, shorter, &root));
                }
                assert!(!included(&leaves[index], size as u64, size as u64, &proof, &root));
            }
        }
        assert!(!included(b"", 0, 0, &[], &[0; 32]));
        assert!(!included(b"", u64::MAX, u64::MAX, &[], &[0; 32]));
    }
}
