//! Files that stay open, so that a hot blob costs no open(2).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sealgate_verifier::Digest;

use crate::store::blob::StoredBlob;

/// A bounded cache in two generations: when the young one holds half of the limit it becomes the old one, and what the old one held is
/// closed. What is used again moves to the young one, so the hot stay.
pub(super) struct OpenFiles {
    half: usize,
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Digest, StoredBlob>,
    old: HashMap<Digest, StoredBlob>,
}

impl OpenFiles {
    pub(super) fn new(limit: usize) -> Self {
        Self { half: (limit / 2).max(1), generations: Mutex::default() }
    }

    pub(super) fn get(&self, digest: &Digest) -> Option<StoredBlob> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(blob) = generations.young.get(digest) {
            return Some(blob.clone());
        }
        let blob = generations.old.remove(digest)?;
        self.put(&mut generations, *digest, blob.clone());
        Some(blob)
    }

    pub(super) fn insert(&self, digest: Digest, blob: StoredBlob) {
        self.put(&mut self.generations.lock().unwrap_or_else(PoisonError::into_inner), digest, blob);
    }

    fn put(&self, generations: &mut Generations, digest: Digest, blob: StoredBlob) {
        if generations.young.len() >= self.half {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.old.remove(&digest);
        generations.young.insert(digest, blob);
    }

    pub(super) fn remove(&self, digest: &Digest) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.young.remove(digest);
        generations.old.remove(digest);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::blob::BlobReader;

    struct Empty;

    impl BlobReader for Empty {
        fn read_now(&self, _: &mut [u8], _: u64) -> std::io::Result<Option<usize>> {
            Ok(Some(0))
        }
        fn read_at(&self, _: &mut [u8], _: u64) -> std::io::Result<usize> {
            Ok(0)
        }
    }

    #[test]
    fn a_hot_file_stays_open_and_the_cache_stays_bounded() {
        let cache = OpenFiles::new(8);
        let blob = StoredBlob { size: 0, reader: Arc::new(Empty) };
        let hot = Digest::sha256(b"hot");
        cache.insert(hot, blob.clone());
        for number in 0..1_000_u32 {
            cache.insert(Digest::sha256(&number.to_le_bytes()), blob.clone());
            assert!(cache.get(&hot).is_some(), "after {number}");
            let generations = cache.generations.lock().unwrap();
            assert!(generations.young.len() + generations.old.len() <= 8);
        }
        assert!(cache.get(&Digest::sha256(&0_u32.to_le_bytes())).is_none());
        cache.remove(&hot);
        assert!(cache.get(&hot).is_none());
    }
}
