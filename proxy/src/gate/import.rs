//! Brings images of a layout into the store, with their evidence. Nothing of it is believed: what is served is decided as everything is.
//!
//! Into a hosted registry they are pushed. Into an upstream's repository the images go as if the upstream had delivered them, and
//! the evidence goes beside it, as if it had been pushed for it: it is evidence by its bytes or is refused.

use std::sync::Arc;

use sealgate_verifier::classify::{Class, classify, may_be_evidence};
use sealgate_verifier::{Digest, Manifest, Reference, Repository, Tag, limits};
use serde::{Deserialize, Serialize};

use crate::gate::resolve::evidence_subject;
use crate::gate::{Gate, GateError, Target};
use crate::store::ManifestPush;
use crate::store::export::{IMAGE_NAME, REF_NAME};
use crate::store::layout::{Layout, LayoutEntry};

/// Who the ledger says pushed it.
const BY: &str = "import";
/// `cosign save` says by this annotation what an entry is.
const KIND: &str = "kind";
/// Levels of indexes in indexes.
const DEPTH: usize = 4;

/// An image that was imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedImage {
    /// Where it is now.
    pub repository: Repository,
    /// Its tag there.
    pub tag: Option<Tag>,
    /// Its digest.
    pub digest: Digest,
    /// Children that did not come with it.
    pub skipped: Vec<Digest>,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Imported {
    /// The images.
    pub images: Vec<ImportedImage>,
    /// Evidence manifests.
    pub evidence: u64,
    /// What was not taken, and why.
    pub refused: Vec<String>,
}

/// Why one entry is not taken.
enum Stop {
    Refused(String),
    Gate(GateError),
}

impl From<GateError> for Stop {
    fn from(error: GateError) -> Self {
        Self::Gate(error)
    }
}

fn refused(problem: impl Into<String>) -> Stop {
    Stop::Refused(problem.into())
}

impl Gate {
    /// Records what a layout, whose blobs are in the store, holds: into the repository `to`, or where its entries say.
    ///
    /// # Errors
    /// The store's. What the layout itself does wrong is told in [`Imported::refused`].
    pub async fn import(self: &Arc<Self>, layout: &Layout, to: Option<&Repository>) -> Result<Imported, GateError> {
        let mut imported = Imported::default();
        // Images first: cosign's entries of signatures do not say what they are about.
        let (images, evidence): (Vec<_>, Vec<_>) = layout.entries.iter().partition(|entry| !self.may_be_about_another(entry));
        let mut subject = None;
        for entry in images {
            match self.import_image(layout, entry, to).await {
                Ok(image) => {
                    subject.get_or_insert(image.digest);
                    imported.images.push(image);
                }
                Err(Stop::Refused(problem)) => imported.refused.push(format!("{}: {problem}", entry.digest)),
                Err(Stop::Gate(error)) => return Err(error),
            }
        }
        for entry in evidence {
            match self.import_evidence(entry, to, subject).await {
                Ok(true) => imported.evidence += 1,
                Ok(false) => {}
                Err(Stop::Refused(problem)) => imported.refused.push(format!("{}: {problem}", entry.digest)),
                Err(Stop::Gate(error)) => return Err(error),
            }
        }
        Ok(imported)
    }

    fn may_be_about_another(&self, entry: &LayoutEntry) -> bool {
        let cosign = entry.annotations.get(KIND).is_some_and(|kind| kind.ends_with("/sigs") || kind.ends_with("/atts"));
        let tagged = tag_of(entry).is_some_and(|tag| evidence_subject(&tag).is_some());
        let about = || self.read_manifest(&entry.digest, Some(&entry.media_type)).is_ok_and(|(manifest, _)| manifest.subject().is_some());
        cosign || tagged || about()
    }

    /// Where an entry belongs, and under which tag.
    fn place(&self, entry: &LayoutEntry, to: Option<&Repository>) -> Result<(Repository, Option<Tag>), Stop> {
        let tag = tag_of(entry);
        if let Some(to) = to {
            return Ok((to.clone(), tag));
        }
        let name =
            entry.annotations.get(IMAGE_NAME).ok_or_else(|| refused("it does not say where it belongs; name a repository with --to"))?;
        let reference: Reference = name.parse().map_err(|error| refused(format!("{name:?} names no image: {error}")))?;
        match self.target(reference.repository.as_str(), None) {
            Target::Repository(repository) => Ok((repository, tag)),
            Target::UnknownRegistry(registry) => Err(refused(format!("{registry} is not configured; name a repository with --to"))),
            Target::Contradiction { .. } | Target::BadName => Err(refused(format!("{name:?} names no repository"))),
        }
    }

    fn read_manifest(&self, digest: &Digest, media_type: Option<&str>) -> Result<(Manifest, bytes::Bytes), Stop> {
        let bytes = self.store.blobs().read(digest, limits::MANIFEST_BYTES).map_err(GateError::store)?;
        let bytes = bytes.ok_or_else(|| refused(format!("{digest} did not come with it")))?;
        let media_type = media_type.filter(|media_type| !media_type.is_empty());
        let manifest = Manifest::parse(&bytes, media_type).map_err(|error| refused(format!("{digest} is no manifest: {error}")))?;
        Ok((manifest, bytes))
    }

    async fn import_image(self: &Arc<Self>, layout: &Layout, entry: &LayoutEntry, to: Option<&Repository>) -> Result<ImportedImage, Stop> {
        let (repository, tag) = self.place(entry, to)?;
        // Children before what lists them.
        let mut order = Vec::new();
        let mut skipped = Vec::new();
        self.closure(layout, &entry.digest, &entry.media_type, 0, (&mut order, &mut skipped))?;
        for (digest, manifest, bytes) in order {
            let tag = tag.as_ref().filter(|_| digest == entry.digest);
            self.import_manifest(&repository, (digest, &manifest, bytes), tag).await?;
        }
        self.new_edition(&repository);
        tracing::info!(%repository, digest = %entry.digest, tag = tag.as_ref().map(Tag::as_str), "imported");
        Ok(ImportedImage { repository, tag, digest: entry.digest, skipped })
    }

    #[allow(clippy::type_complexity)]
    fn closure(
        &self,
        layout: &Layout,
        digest: &Digest,
        media_type: &str,
        depth: usize,
        (order, skipped): (&mut Vec<(Digest, Manifest, bytes::Bytes)>, &mut Vec<Digest>),
    ) -> Result<(), Stop> {
        let (manifest, bytes) = self.read_manifest(digest, Some(media_type))?;
        if depth >= DEPTH {
            return Err(refused(format!("indexes are in indexes more than {DEPTH} deep")));
        }
        for blob in manifest.blobs() {
            match layout.blobs.get(&blob.digest) {
                Some(size) if *size == blob.size => {}
                Some(size) => return Err(refused(format!("expected {} bytes of {}, found {size}", blob.size, blob.digest))),
                None => return Err(refused(format!("{} did not come with it", blob.digest))),
            }
        }
        for child in manifest.children() {
            if layout.blobs.contains_key(&child.digest) {
                self.closure(layout, &child.digest, &child.media_type, depth + 1, (&mut *order, &mut *skipped))?;
            } else {
                skipped.push(child.digest);
            }
        }
        order.push((*digest, manifest, bytes));
        Ok(())
    }

    async fn import_manifest(
        &self,
        repository: &Repository,
        (digest, manifest, bytes): (Digest, &Manifest, bytes::Bytes),
        tag: Option<&Tag>,
    ) -> Result<(), Stop> {
        let (store, now) = (&self.store, self.now());
        if self.upstreams.hosted(repository).is_some() {
            for blob in manifest.blobs() {
                store.record_upload(repository, &blob.digest, blob.size, Some(BY), now).await.map_err(GateError::store)?;
            }
            let subject = manifest.subject().map(|subject| subject.digest);
            return self.import_push(ManifestPush { repository, digest, bytes, manifest, subject, tag, by: Some(BY) }).await;
        }
        for blob in manifest.blobs() {
            store.record_possession(repository, &blob.digest, blob.size, now).await.map_err(GateError::store)?;
        }
        store.store_manifest(repository, &digest, bytes, manifest, now).await.map_err(GateError::store)?;
        if let Some(tag) = tag {
            store.move_tag(repository, tag, digest, now).await.map_err(GateError::store)?;
            self.tags.remove(&(repository.clone(), tag.clone()));
        }
        Ok(())
    }

    async fn import_push(&self, push: ManifestPush<'_>) -> Result<(), Stop> {
        let hosted = self.upstreams.hosted(push.repository);
        let immutable = |tag: &Tag| hosted.is_some_and(|hosted| hosted.immutable_tags.iter().any(|pattern| pattern.matches(tag)));
        match self.store.push_manifest(push, self.now(), immutable).await {
            Ok(()) => Ok(()),
            Err(error @ crate::store::PushError::Immutable { .. }) => Err(refused(error.to_string())),
            Err(crate::store::PushError::Store(error)) => Err(GateError::store(error).into()),
        }
    }

    /// Whether it was taken: an index under a fallback tag says nothing that its members do not say themselves.
    async fn import_evidence(&self, entry: &LayoutEntry, to: Option<&Repository>, image: Option<Digest>) -> Result<bool, Stop> {
        let (repository, tag) = self.place(entry, to)?;
        let (manifest, bytes) = self.read_manifest(&entry.digest, Some(&entry.media_type))?;
        if manifest.is_index() {
            return Ok(false);
        }
        let ending = |ending: &str| image.and_then(|image| format!("{}.{ending}", image.fallback_tag()).parse::<Tag>().ok());
        let tag = match entry.annotations.get(KIND).map(String::as_str) {
            Some(kind) if kind.ends_with("/sigs") => ending("sig"),
            Some(kind) if kind.ends_with("/atts") => ending("att"),
            Some(_) | None => tag.filter(|tag| evidence_subject(tag).is_some()),
        };
        let named = manifest.subject().map(|subject| subject.digest);
        if named.is_none() && tag.is_none() {
            return Err(refused("it does not say what it is about"));
        }
        let mut blobs = Vec::new();
        for blob in manifest.blobs() {
            let found = self
                .store
                .blobs()
                .read(&blob.digest, limits::EVIDENCE_LAYER_BYTES)
                .map_err(|_| refused("it is no evidence: it is too large"))?;
            blobs.push(found.ok_or_else(|| refused(format!("{} did not come with it", blob.digest)))?);
        }
        let evidence = may_be_evidence(&manifest) && classify(&manifest, &blobs) == Class::Evidence;
        if !evidence && self.upstreams.hosted(&repository).is_none() {
            return Err(refused("it is no evidence by its bytes, and only that goes beside an upstream's images"));
        }
        for blob in manifest.blobs() {
            let recorded = self.store.record_upload(&repository, &blob.digest, blob.size, Some(BY), self.now()).await;
            recorded.map_err(GateError::store)?;
        }
        let (digest, manifest) = (entry.digest, &manifest);
        self.import_push(ManifestPush {
            repository: &repository,
            digest,
            bytes,
            manifest,
            subject: named,
            tag: tag.as_ref(),
            by: Some(BY),
        })
        .await?;
        self.new_edition(&repository);
        Ok(true)
    }
}

/// `org.opencontainers.image.ref.name` is a tag for most tools and a whole name for some; containerd's annotation is a whole name.
fn tag_of(entry: &LayoutEntry) -> Option<Tag> {
    let short = entry.annotations.get(REF_NAME);
    let tag = short.and_then(|name| name.parse::<Tag>().ok());
    let whole = || short.into_iter().chain(entry.annotations.get(IMAGE_NAME)).find_map(|name| name.parse::<Reference>().ok()?.tag);
    tag.or_else(whole)
}
