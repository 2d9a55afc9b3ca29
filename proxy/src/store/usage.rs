//! How much is stored, by kind and by repository.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use sealgate_verifier::{Digest, Repository};
use serde::{Deserialize, Serialize};

use super::index::Index;
use super::metadata::{MetadataError, Table};
use super::{EvidenceRecord, ManifestRecord, PushedManifest, Store, StoreError, codec};

/// Files and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Amount {
    /// Files.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

/// What one repository has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryUsage {
    /// Its canonical name.
    pub repository: Repository,
    /// Manifests of it that are stored.
    pub manifests: u64,
    /// Blobs that it possesses and that are stored.
    pub blobs: u64,
    /// Their bytes together.
    pub bytes: u64,
    /// Bytes that no other repository has.
    pub alone: u64,
}

/// How much is stored. Each file counts once, as the first kind that fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Usage {
    /// Signatures and attestations with their manifests.
    pub evidence: Amount,
    /// What was pushed to the gate.
    pub pushed: Amount,
    /// Manifests of upstreams.
    pub manifests: Amount,
    /// Layers and configurations of upstreams.
    pub blobs: Amount,
    /// What nobody refers to: `store gc` removes it once it is old enough.
    pub unreferenced: Amount,
    /// Blobs that are being written.
    pub unfinished: Amount,
    /// What no longer matched its digest.
    pub quarantine: Amount,
    /// The ledger, the index and the access log.
    pub records: Amount,
    /// All of it.
    pub total: Amount,
    /// Bytes that eviction may take when room is short, as of now: upstreams' blobs and manifests, and what nobody refers to.
    pub evictable: u64,
    /// Most bytes of blobs; none without a limit.
    pub max_size: Option<u64>,
    /// Bytes that are free on the volume.
    pub free: u64,
    /// Bytes of the volume that blobs leave free.
    pub reserve: u64,
    /// By repository, the largest first.
    pub repositories: Vec<RepositoryUsage>,
}

#[derive(Default)]
struct Holdings {
    by_repository: HashMap<Repository, (HashSet<Digest>, HashSet<Digest>)>,
    evidence: HashSet<Digest>,
    pushed: HashSet<Digest>,
    manifests: HashSet<Digest>,
}

impl Holdings {
    fn read(index: &Index) -> Result<Self, MetadataError> {
        let mut found = Self::default();
        index.each::<EvidenceRecord>(Table::Evidence, |_, record| {
            found.evidence.extend(record.attachments.iter().flat_map(|item| item.layers.iter().chain([&item.digest])));
            Ok(())
        })?;
        index.each::<ManifestRecord>(Table::Manifests, |key, _| {
            let (repository, digests) = codec::read_key(Table::Manifests, key)?;
            found.manifests.extend(&digests);
            found.by_repository.entry(repository).or_default().0.extend(digests);
            Ok(())
        })?;
        index.each::<PushedManifest>(Table::PushedManifests, |key, _| {
            found.pushed.extend(codec::read_key(Table::PushedManifests, key)?.1);
            Ok(())
        })?;
        index.each::<u64>(Table::Possessions, |key, _| {
            let (repository, digests) = codec::read_key(Table::Possessions, key)?;
            found.by_repository.entry(repository).or_default().1.extend(digests);
            Ok(())
        })?;
        index.each::<()>(Table::Uploads, |key, ()| {
            found.pushed.extend(codec::read_key(Table::Uploads, key)?.1.first());
            Ok(())
        })?;
        index.each::<()>(Table::BlobListings, |key, ()| {
            if let [blob, manifest] = codec::read_key(Table::BlobListings, key)?.1.as_slice()
                && found.pushed.contains(manifest)
            {
                found.pushed.insert(*blob);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Repositories, the largest first.
    fn repositories(&self, sizes: &HashMap<Digest, u64>) -> Vec<RepositoryUsage> {
        let mut owners: HashMap<Digest, usize> = HashMap::new();
        for (manifests, blobs) in self.by_repository.values() {
            manifests.union(blobs).for_each(|digest| *owners.entry(*digest).or_default() += 1);
        }
        let usage = |(repository, (manifests, blobs)): (&Repository, &(HashSet<Digest>, HashSet<Digest>))| {
            let stored = |digests: &HashSet<Digest>| digests.iter().filter(|digest| sizes.contains_key(*digest)).count() as u64;
            let bytes = |wanted: &dyn Fn(&Digest) -> bool| -> u64 {
                manifests.union(blobs).filter(|digest| wanted(digest)).filter_map(|digest| sizes.get(digest)).sum()
            };
            RepositoryUsage {
                repository: repository.clone(),
                manifests: stored(manifests),
                blobs: stored(blobs),
                bytes: bytes(&|_| true),
                alone: bytes(&|digest| owners.get(digest) == Some(&1)),
            }
        };
        let mut found: Vec<RepositoryUsage> =
            self.by_repository.iter().map(usage).filter(|usage| usage.manifests + usage.blobs > 0).collect();
        found.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.repository.cmp(&b.repository)));
        found
    }
}

impl Store {
    /// How much is stored, by kind and by repository. Blocks on the disk.
    ///
    /// # Errors
    /// The disk, or the index cannot be read.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        let inventory = self.blobs().inventory().map_err(StoreError::Blob)?;
        let sizes: HashMap<Digest, u64> = inventory.iter().map(|kept| (kept.digest, kept.size)).collect();
        let holdings = Holdings::read(&self.inner.index)?;
        let unreferenced = self.inner.house.unreferenced(&inventory)?;
        let fill = self.fill();
        let mut usage = Usage {
            evidence: Amount::default(),
            pushed: Amount::default(),
            manifests: Amount::default(),
            blobs: Amount::default(),
            unreferenced: Amount::default(),
            unfinished: self.files("tmp"),
            quarantine: self.files("quarantine"),
            records: Amount::default(),
            total: Amount::default(),
            evictable: self.inner.house.evictable()?,
            max_size: fill.limit,
            free: fill.free,
            reserve: fill.reserve,
            repositories: holdings.repositories(&sizes),
        };
        for folder in ["ledger", "index", "access"] {
            let found = self.files(folder);
            usage.records.count += found.count;
            usage.records.bytes += found.bytes;
        }
        for (digest, size) in &sizes {
            let kind = match digest {
                digest if unreferenced.contains(digest) => &mut usage.unreferenced,
                digest if holdings.evidence.contains(digest) => &mut usage.evidence,
                digest if holdings.pushed.contains(digest) => &mut usage.pushed,
                digest if holdings.manifests.contains(digest) => &mut usage.manifests,
                _ => &mut usage.blobs,
            };
            kind.add(*size);
        }
        for part in [
            usage.evidence,
            usage.pushed,
            usage.manifests,
            usage.blobs,
            usage.unreferenced,
            usage.unfinished,
            usage.quarantine,
            usage.records,
        ] {
            usage.total.count += part.count;
            usage.total.bytes += part.bytes;
        }
        Ok(usage)
    }

    pub(super) fn usage_of(&self, folder: &str) -> u64 {
        self.files(folder).bytes
    }

    fn files(&self, folder: &str) -> Amount {
        let mut found = Amount::default();
        if let Some(data) = &self.inner.data {
            add_files(&data.join(folder), &mut found);
        }
        found
    }
}

/// Files come and go meanwhile: what cannot be seen does not count.
fn add_files(folder: &Path, found: &mut Amount) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => add_files(&entry.path(), found),
            Ok(metadata) => found.add(metadata.len()),
            Err(_) => {}
        }
    }
}
