//! What an upstream has: blobs, manifests, tags and referrers by repository.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::image::Content;

/// Whether an upstream has the referrers API (OCI Distribution 1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Referrers {
    /// It answers with what refers to the subject.
    #[default]
    Served,
    /// It answers 404, as registries before 1.1 do.
    Missing,
}

#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// By repository and digest.
    blobs: HashMap<(String, String), Content>,
    manifests: HashMap<(String, String), Content>,
    /// By repository and tag: the digests that it stands for in turn, and how often it was asked.
    tags: HashMap<(String, String), (Vec<String>, usize)>,
    pub(super) referrers: Referrers,
}

impl Shelf {
    pub(super) fn put_blob(&mut self, repository: &str, blob: Content) {
        self.blobs.insert((repository.to_owned(), blob.digest.clone()), blob);
    }

    pub(super) fn put_manifest(&mut self, repository: &str, manifest: Content) {
        self.manifests.insert((repository.to_owned(), manifest.digest.clone()), manifest);
    }

    pub(super) fn put_tag(&mut self, repository: &str, tag: &str, digests: Vec<String>) {
        self.tags.insert((repository.to_owned(), tag.to_owned()), (digests, 0));
    }

    pub(super) fn remove_manifest(&mut self, repository: &str, digest: &str) {
        self.manifests.remove(&(repository.to_owned(), digest.to_owned()));
    }

    pub(super) fn blob(&self, repository: &str, digest: &str) -> Option<&Content> {
        self.blobs.get(&(repository.to_owned(), digest.to_owned()))
    }

    pub(super) fn manifest(&mut self, repository: &str, reference: &str) -> Option<&Content> {
        let digest = match self.tags.get_mut(&(repository.to_owned(), reference.to_owned())) {
            Some((digests, asked)) => {
                let digest = digests.get(*asked % digests.len())?.clone();
                *asked += 1;
                digest
            }
            None => reference.to_owned(),
        };
        self.manifests.get(&(repository.to_owned(), digest))
    }

    pub(super) fn tags_of(&self, repository: &str) -> Vec<String> {
        let mut tags: Vec<String> = self.tags.keys().filter(|(name, _)| name == repository).map(|(_, tag)| tag.clone()).collect();
        tags.sort();
        tags
    }

    /// The index of what names `digest` as its subject.
    pub(super) fn referrers_of(&self, repository: &str, digest: &str) -> Value {
        let mut found: Vec<Value> = self
            .manifests
            .iter()
            .filter(|((name, _), _)| name == repository)
            .filter_map(|(_, manifest)| referrer(manifest, digest))
            .collect();
        found.sort_by_key(ToString::to_string);
        json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": found })
    }
}

/// The descriptor of a manifest whose subject is `digest` (OCI Distribution 1.1, "Listing Referrers").
fn referrer(manifest: &Content, digest: &str) -> Option<Value> {
    let document: Value = serde_json::from_slice(&manifest.bytes).ok()?;
    if document["subject"]["digest"].as_str()? != digest {
        return None;
    }
    let mut descriptor = manifest.descriptor();
    let kind = document["artifactType"].as_str().or(document["config"]["mediaType"].as_str())?;
    descriptor["artifactType"] = json!(kind);
    if document["annotations"].is_object() {
        descriptor["annotations"] = document["annotations"].clone();
    }
    Some(descriptor)
}
