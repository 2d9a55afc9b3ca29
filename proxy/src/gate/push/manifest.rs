//! Manifests that clients push.

use std::sync::Arc;

use bytes::Bytes;
use sealgate_registry::FetchError;
use sealgate_verifier::{Algorithm, Descriptor, Digest, Manifest, ManifestReference, Repository, Tag, limits};

use super::{Extent, PushError, Pusher};
use crate::gate::material::RawManifest;
use crate::gate::resolve::evidence_subject;
use crate::gate::{Gate, GateError};
use crate::store::ManifestPush;

/// What was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushedDigest {
    /// The manifest's digest, by our own hash.
    pub digest: Digest,
    /// The `subject` that it names.
    pub subject: Option<Digest>,
}

impl Gate {
    /// Takes a manifest in, under `tags` as well where `reference` is a digest. What it lists must be there. Durable when it returns, and it counts at the next request.
    ///
    /// # Errors
    /// What is wrong with the manifest, or the store's.
    pub async fn push_manifest(
        self: &Arc<Self>,
        pusher: &Pusher,
        reference: &ManifestReference,
        tags: &[Tag],
        media_type: Option<&str>,
        bytes: Bytes,
    ) -> Result<PushedDigest, PushError> {
        let manifest = Manifest::parse(&bytes, media_type).map_err(|error| PushError::BadManifest { problem: error.to_string() })?;
        let (digest, tags) = match reference {
            ManifestReference::Tag(tag) => (Digest::sha256(&bytes), std::slice::from_ref(tag)),
            ManifestReference::Digest(named) => {
                let found = Digest::of(named.algorithm(), &bytes);
                if found != *named {
                    return Err(PushError::Digest { expected: Box::new(*named), found: Box::new(found) });
                }
                (found, tags)
            }
        };
        let named = manifest.subject().map(|subject| subject.digest);
        let subject = named.or_else(|| tags.iter().find_map(evidence_subject));
        let raw = Arc::new(RawManifest { bytes, digest, manifest });
        match pusher.extent {
            Extent::Everything => self.check_listed(pusher, &raw.manifest)?,
            Extent::Evidence => self.check_evidence(pusher, &raw, tags, subject).await?,
        }
        self.store_pushed(pusher, &raw, tags).await?;
        // Evidence and indexes change what is decided on others; a tag may have named another manifest.
        if subject.is_some() || raw.manifest.is_index() || pusher.extent == Extent::Evidence {
            self.new_edition(&pusher.repository);
        }
        let tags = tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(" ");
        tracing::info!(repository = %pusher.repository, %digest, tags, by = pusher.name(), "a manifest was pushed");
        Ok(PushedDigest { digest, subject: named })
    }

    /// One record for each tag, in their order: a tag that may not move ends it, and those before it have moved.
    async fn store_pushed(&self, pusher: &Pusher, raw: &RawManifest, tags: &[Tag]) -> Result<(), PushError> {
        let name = pusher.name();
        let immutable = |tag: &Tag| self.is_immutable(&pusher.repository, tag);
        let tags: Vec<Option<&Tag>> = if tags.is_empty() { vec![None] } else { tags.iter().map(Some).collect() };
        for tag in tags {
            let push = ManifestPush {
                repository: &pusher.repository,
                digest: raw.digest,
                bytes: raw.bytes.clone(),
                manifest: &raw.manifest,
                // What only its tag says ends with the tag, and is no referrer.
                subject: raw.manifest.subject().map(|subject| subject.digest),
                tag,
                by: name.as_deref(),
            };
            self.store.push_manifest(push, self.now(), immutable).await?;
        }
        Ok(())
    }

    pub(super) fn is_immutable(&self, repository: &Repository, tag: &Tag) -> bool {
        let hosted = self.upstreams.hosted(repository);
        hosted.is_some_and(|hosted| hosted.immutable_tags.iter().any(|pattern| pattern.matches(tag)))
    }

    /// Everything that the manifest lists must have been pushed to this repository (distribution-spec 1.1, "MANIFEST_BLOB_UNKNOWN"). Not so
    /// layers with `urls` (image-spec, "Non-Distributable Layers"): such an image is taken in, and no policy admits it.
    fn check_listed(&self, pusher: &Pusher, manifest: &Manifest) -> Result<(), PushError> {
        for blob in manifest.blobs().filter(|blob| blob.urls.is_empty()) {
            let found = self.possessed_size(&pusher.repository, &blob.digest)?;
            check_size(blob, found)?;
        }
        for child in manifest.children() {
            let found = self.store.pushed_manifest(&pusher.repository, &child.digest)?.map(|record| record.size);
            check_size(child, found)?;
        }
        Ok(())
    }

    /// To an upstream's name goes nothing but evidence by its bytes, under a digest or an evidence tag (DESIGN §6).
    async fn check_evidence(
        self: &Arc<Self>,
        pusher: &Pusher,
        raw: &Arc<RawManifest>,
        tags: &[Tag],
        subject: Option<Digest>,
    ) -> Result<(), PushError> {
        let refused = |problem| PushError::NotEvidence { repository: pusher.repository.clone(), problem };
        if tags.iter().any(|tag| evidence_subject(tag).is_none()) {
            return Err(refused("a tag here must be sha256-<hex>, or that with .sig or .att behind it; push by digest, with a `subject`"));
        }
        match subject {
            None => return Err(refused("this manifest names no `subject`, and no evidence tag does for it")),
            Some(subject) if subject == raw.digest => return Err(refused("this manifest is about itself")),
            Some(_) => {}
        }
        for blob in raw.manifest.blobs() {
            let found = match self.possessed_size(&pusher.repository, &blob.digest)? {
                Some(found) => Some(found),
                None => self.adopt(pusher, blob).await?,
            };
            check_size(blob, found)?;
        }
        let evidence = match self.is_evidence(&pusher.repository, raw).await {
            Err(GateError::ManifestUnknown) => {
                let listed = raw.manifest.children().first().map_or(raw.digest, |child| child.digest);
                return Err(PushError::Missing { digest: listed });
            }
            other => other?,
        };
        if evidence {
            return Ok(());
        }
        Err(refused(
            "its layers are no signatures, attestations or SBOMs of a known type (JSON, JWS or COSE); images are pushed to a hosted registry",
        ))
    }

    /// A small blob that the upstream has: cosign adds to a signature manifest there without uploading again what it already lists.
    async fn adopt(&self, pusher: &Pusher, blob: &Descriptor) -> Result<Option<u64>, PushError> {
        let repository = &pusher.repository;
        if self.upstreams.hosted(repository).is_some() || blob.size > limits::EVIDENCE_LAYER_BYTES as u64 {
            return Ok(None);
        }
        let size = usize::try_from(blob.size).unwrap_or(usize::MAX);
        match self.small_blob(repository, &blob.digest, size).await {
            Ok(bytes) if blob.digest.algorithm() == Algorithm::Sha256 => {
                let found = bytes.len() as u64;
                self.store_small_blob(repository, bytes, self.now()).await?;
                Ok(Some(found))
            }
            Ok(_) | Err(FetchError::NotFound | FetchError::Denied { .. }) => Ok(None),
            Err(error) => Err(PushError::Gate(error.into())),
        }
    }
}

fn check_size(listed: &Descriptor, found: Option<u64>) -> Result<(), PushError> {
    match found {
        None => Err(PushError::Missing { digest: listed.digest }),
        Some(found) if found != listed.size => Err(PushError::ListedSize { digest: listed.digest, expected: listed.size, found }),
        Some(_) => Ok(()),
    }
}
