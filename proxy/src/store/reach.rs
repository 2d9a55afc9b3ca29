//! What is reachable from what: which blobs must stay, and which nobody refers to.

use std::collections::{HashMap, HashSet};

use sealgate_verifier::{Digest, Repository};

use super::index::Index;
use super::metadata::{MetadataError, Table};
use super::{EvidenceRecord, codec};

/// Levels of indexes in indexes that are followed. Clients follow two.
const DEPTH: usize = 4;

/// Blobs that must not be evicted, whoever has not pulled them for how long.
#[derive(Debug, Default)]
pub(super) struct Spared {
    pub(super) blobs: HashSet<Digest>,
}

impl Spared {
    /// What was pushed here, evidence, and all that the manifests among `roots` list.
    pub(super) fn find(index: &Index, roots: HashSet<Digest>) -> Result<Self, MetadataError> {
        let mut keep = roots;
        index.each::<super::PushedManifest>(Table::PushedManifests, |key, _| {
            keep.extend(codec::read_key(Table::PushedManifests, key)?.1);
            Ok(())
        })?;
        for _ in 0..DEPTH {
            let before = keep.len();
            index.each::<()>(Table::ChildListings, |key, ()| {
                if let [child, parent] = codec::read_key(Table::ChildListings, key)?.1.as_slice()
                    && keep.contains(parent)
                {
                    keep.insert(*child);
                }
                Ok(())
            })?;
            if keep.len() == before {
                break;
            }
        }
        let mut listed = HashSet::new();
        index.each::<()>(Table::BlobListings, |key, ()| {
            if let [blob, manifest] = codec::read_key(Table::BlobListings, key)?.1.as_slice()
                && keep.contains(manifest)
            {
                listed.insert(*blob);
            }
            Ok(())
        })?;
        keep.extend(listed);
        index.each::<EvidenceRecord>(Table::Evidence, |_, record| {
            keep.extend(record.attachments.iter().flat_map(|found| found.layers.iter().chain([&found.digest])));
            Ok(())
        })?;
        // Uploads whose manifest is still to come; of a blob that was deleted there only the upload is left on record.
        index.each::<()>(Table::Uploads, |key, ()| {
            let (repository, digests) = codec::read_key(Table::Uploads, key)?;
            if let Some(blob) = digests.first()
                && index.get::<u64>(Table::Possessions, &codec::digest(&repository, blob))?.is_some()
            {
                keep.insert(*blob);
            }
            Ok(())
        })?;
        Ok(Self { blobs: keep })
    }
}

/// Who possesses each of `blobs`.
pub(super) fn holders(index: &Index, blobs: &HashSet<Digest>) -> Result<HashMap<Digest, Vec<Repository>>, MetadataError> {
    let mut holders: HashMap<Digest, Vec<Repository>> = HashMap::new();
    index.each::<u64>(Table::Possessions, |key, _| {
        let (repository, digests) = codec::read_key(Table::Possessions, key)?;
        if let Some(blob) = digests.first().filter(|blob| blobs.contains(*blob)) {
            holders.entry(*blob).or_default().push(repository);
        }
        Ok(())
    })?;
    Ok(holders)
}

/// What refers to stored blobs.
#[derive(Debug, Default)]
pub(super) struct References {
    /// Manifests, evidence and blobs that some repository has a use for.
    pub(super) referenced: HashSet<Digest>,
    /// Blobs that a repository possesses and no manifest there lists.
    pub(super) unlisted: HashMap<Digest, Vec<Repository>>,
}

impl References {
    pub(super) fn find(index: &Index) -> Result<Self, MetadataError> {
        let mut found = Self::default();
        index.each::<super::ManifestRecord>(Table::Manifests, |key, _| {
            found.referenced.extend(codec::read_key(Table::Manifests, key)?.1);
            Ok(())
        })?;
        index.each::<super::PushedManifest>(Table::PushedManifests, |key, _| {
            found.referenced.extend(codec::read_key(Table::PushedManifests, key)?.1);
            Ok(())
        })?;
        let mut evidence: HashSet<Digest> = HashSet::new();
        index.each::<EvidenceRecord>(Table::Evidence, |_, record| {
            evidence.extend(record.attachments.iter().flat_map(|item| item.layers.iter().chain([&item.digest])));
            Ok(())
        })?;
        index.each::<u64>(Table::Possessions, |key, _| {
            let (repository, digests) = codec::read_key(Table::Possessions, key)?;
            let Some(blob) = digests.first() else { return Ok(()) };
            let listed = !index.scan::<()>(Table::BlobListings, &codec::digest(&repository, blob), 1)?.is_empty();
            if listed || evidence.contains(blob) {
                found.referenced.insert(*blob);
            } else {
                found.unlisted.entry(*blob).or_default().push(repository);
            }
            Ok(())
        })?;
        found.referenced.extend(evidence);
        Ok(found)
    }
}
