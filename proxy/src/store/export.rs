//! Images with their evidence as an OCI image layout (image-spec 1.1, "OCI Image Layout Specification").
//!
//! [`Store::plan_export`] says what belongs to an image, from the index; [`write_layout`] copies it, from the files. No policy is asked:
//! whoever imports it decides again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sealgate_verifier::{Digest, Location, Manifest, Reference, Repository, Tag, limits, media_type};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::backup::sink::{Sink, Taken};
use super::backup::{BackupError, OnProgress};
use super::{Store, StoreError, blob_files};

/// Referrers of one subject that an export takes along.
const REFERRERS: usize = 1_024;
/// The content of an empty descriptor (image-spec 1.1, "Guidance for an Empty Descriptor").
const EMPTY: &[u8] = b"{}";
/// Levels of indexes in indexes.
const DEPTH: usize = 4;
/// image-spec 1.1, "Pre-Defined Annotation Keys": the tag.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The whole name, as containerd writes it.
pub const IMAGE_NAME: &str = "io.containerd.image.name";

/// One manifest of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ExportedManifest {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Bytes.
    pub size: u64,
    /// Configuration and layers, with their sizes.
    pub blobs: Vec<(Digest, u64)>,
    /// The tag under which the layout names it.
    pub tag: Option<Tag>,
    /// Whether the layout's index names it: the image, and all evidence.
    pub named: bool,
    /// What it is evidence about; none for images.
    pub subject: Option<Digest>,
    /// Its artifact type, as referrers' listings give it.
    pub artifact_type: Option<String>,
}

/// What an export holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// The repository.
    pub repository: Repository,
    /// The image's digest.
    pub digest: Digest,
    /// Manifests: evidence and children before what names them.
    pub manifests: Vec<ExportedManifest>,
    /// Children and evidence that are left out, since they are not all in the store.
    pub skipped: Vec<Digest>,
}

/// Why an image cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It is not in the store.
    #[error("{reference} is not in the store: `sealgate prefetch {reference}` fetches it")]
    Unknown {
        /// What was asked for.
        reference: String,
    },
    /// Not all of it is.
    #[error("{reference} is not all in the store ({missing} is missing): `sealgate prefetch {reference}` fetches it")]
    Incomplete {
        /// What was asked for.
        reference: String,
        /// What is not there.
        missing: Digest,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

struct Plan<'s> {
    store: &'s Store,
    repository: &'s Repository,
    manifests: Vec<ExportedManifest>,
    skipped: Vec<Digest>,
}

/// A part that is not there.
struct Missing(Digest);

enum Stop {
    Missing(Missing),
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Plan<'_> {
    fn read(&self, digest: &Digest) -> Result<(Manifest, u64), Stop> {
        let record = self.store.manifest(self.repository, digest)?.ok_or(Stop::Missing(Missing(*digest)))?;
        let bytes = self.store.blobs().read(digest, limits::MANIFEST_BYTES).map_err(StoreError::Blob)?;
        let bytes = bytes.ok_or(Stop::Missing(Missing(*digest)))?;
        let manifest = Manifest::parse(&bytes, Some(&record.media_type)).map_err(|_| Stop::Missing(Missing(*digest)))?;
        Ok((manifest, bytes.len() as u64))
    }

    fn blobs(&self, manifest: &Manifest) -> Result<Vec<(Digest, u64)>, Stop> {
        let mut blobs = Vec::new();
        for blob in manifest.blobs() {
            // Of evidence that was only read the empty config was never fetched; everybody has it.
            if blob.digest.matches(EMPTY) {
                blobs.push((blob.digest, blob.size));
                continue;
            }
            let possessed = self.store.possession(self.repository, &blob.digest)?.is_some();
            let stored = self.store.blobs().size(&blob.digest).map_err(StoreError::Blob)?;
            if !possessed || stored != Some(blob.size) {
                return Err(Stop::Missing(Missing(blob.digest)));
            }
            blobs.push((blob.digest, blob.size));
        }
        Ok(blobs)
    }

    /// Adds an image or index with what it lists and what is known about it. Of an index one complete child suffices.
    fn image(&mut self, digest: &Digest, tag: Option<&Tag>, depth: usize) -> Result<(), Stop> {
        let (manifest, size) = self.read(digest)?;
        let blobs = self.blobs(&manifest)?;
        let mut first_missing = None;
        let mut complete = 0;
        for child in manifest.children() {
            let known = self.manifests.len();
            match self.image(&child.digest, None, depth + 1) {
                _ if depth >= DEPTH => return Err(Stop::Missing(Missing(child.digest))),
                Ok(()) => complete += 1,
                Err(Stop::Missing(missing)) => {
                    self.manifests.truncate(known);
                    self.skipped.push(child.digest);
                    first_missing.get_or_insert(missing);
                }
                Err(stop) => return Err(stop),
            }
        }
        if let (0, Some(missing)) = (complete, first_missing) {
            return Err(Stop::Missing(missing));
        }
        self.evidence(digest)?;
        let media_type = manifest.media_type().to_owned();
        let artifact_type = manifest.artifact_type().map(str::to_owned);
        let (tag, named) = (tag.cloned(), depth == 0);
        self.manifests.push(ExportedManifest { digest: *digest, media_type, size, blobs, tag, named, subject: None, artifact_type });
        Ok(())
    }

    /// What is known about `subject` and all there: from upstream as it was last collected, and what was pushed here.
    fn evidence(&mut self, subject: &Digest) -> Result<(), Stop> {
        let stem = subject.fallback_tag();
        let mut found: BTreeMap<Digest, Option<Tag>> = BTreeMap::new();
        if let Some(record) = self.store.evidence(self.repository, subject)? {
            for item in record.attachments {
                let tag = match item.location {
                    Location::Referrers | Location::FallbackTag => None,
                    Location::SignatureTag => format!("{stem}.sig").parse().ok(),
                    Location::AttestationTag => format!("{stem}.att").parse().ok(),
                };
                found.insert(item.digest, tag);
            }
        }
        for digest in self.store.pushed_referrers(self.repository, subject, REFERRERS)? {
            found.entry(digest).or_default();
        }
        for ending in [".sig", ".att", ".sbom"] {
            let Ok(tag) = format!("{stem}{ending}").parse::<Tag>() else { continue };
            if let Some(pushed) = self.store.pushed_tag(self.repository, &tag)? {
                found.insert(pushed.digest, Some(tag));
            }
        }
        for (digest, tag) in found {
            let known = self.manifests.iter().any(|manifest| manifest.digest == digest);
            let part = self.read(&digest).and_then(|(manifest, size)| Ok((self.blobs(&manifest)?, manifest, size)));
            match part {
                Ok((blobs, manifest, size)) if !known => self.manifests.push(ExportedManifest {
                    digest,
                    media_type: manifest.media_type().to_owned(),
                    size,
                    blobs,
                    tag,
                    named: true,
                    subject: Some(*subject),
                    artifact_type: manifest.artifact_type().map(str::to_owned),
                }),
                Ok(_) => {}
                // What was only read and never pulled, or what the disk lost: the rest goes all the same.
                Err(Stop::Missing(_)) => self.skipped.push(digest),
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }
}

impl Store {
    /// What belongs to an image: its closure as far as it is stored, and its evidence.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn plan_export(&self, reference: &Reference) -> Result<Export, ExportError> {
        let Reference { repository, tag, digest } = reference;
        let text = || reference.to_string();
        let latest: Option<Tag> = "latest".parse().ok();
        let tag = tag.as_ref().or(latest.as_ref().filter(|_| digest.is_none()));
        let digest = match (digest, tag) {
            (Some(digest), _) => Some(*digest),
            (None, Some(tag)) => match self.pushed_tag(repository, tag)? {
                Some(pushed) => Some(pushed.digest),
                None => self.tag(repository, tag)?.map(|known| known.digest),
            },
            (None, None) => None,
        };
        let digest = digest.ok_or_else(|| ExportError::Unknown { reference: text() })?;
        let mut plan = Plan { store: self, repository, manifests: Vec::new(), skipped: Vec::new() };
        match plan.image(&digest, tag, 0) {
            Ok(()) => Ok(Export { repository: repository.clone(), digest, manifests: plan.manifests, skipped: plan.skipped }),
            Err(Stop::Missing(Missing(missing))) if missing == digest => Err(ExportError::Unknown { reference: text() }),
            Err(Stop::Missing(Missing(missing))) => Err(ExportError::Incomplete { reference: text(), missing }),
            Err(Stop::Store(error)) => Err(error.into()),
        }
    }
}

/// Writes exports as one layout: a folder that does not exist yet, a tar archive, or `-` for one on stdout. Each blob is hashed.
///
/// # Errors
/// [`BackupError`]; a blob that was evicted or does not match is one.
pub fn write_layout(data: &Path, exports: &[Export], target: &Path, progress: OnProgress<'_>) -> Result<u64, BackupError> {
    let mut sink = Sink::open(target)?;
    let version = br#"{"imageLayoutVersion":"1.0.0"}"#;
    sink.file(Path::new("oci-layout"), version.as_slice(), version.len() as u64)?;
    let all: BTreeSet<(Digest, u64)> =
        exports.iter().flat_map(|export| &export.manifests).flat_map(|of| of.blobs.iter().copied().chain([(of.digest, of.size)])).collect();
    let (sum, mut done) = (all.iter().map(|(_, size)| size).sum(), 0);
    for (digest, size) in &all {
        if digest.matches(EMPTY) {
            sink.file(&layout_path(digest), EMPTY, *size)?;
            continue;
        }
        let from = blob_files::path(&data.join("blobs"), digest);
        match sink.blob((&from, &layout_path(digest)), digest, *size, &[])? {
            Some(Taken::Copied | Taken::Linked | Taken::Known) => {}
            Some(Taken::Damaged) => return Err(BackupError::damaged(format!("the bytes of {digest} are others"))),
            None => return Err(BackupError::damaged(format!("{digest} was evicted meanwhile; fetch it again"))),
        }
        done += size;
        progress(done, sum);
    }
    let mut entries: Vec<Value> = Vec::new();
    for export in exports {
        for manifest in export.manifests.iter().filter(|manifest| manifest.named) {
            let entry = entry(&export.repository, manifest);
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
        for (subject, listing) in fallbacks(export) {
            let bytes = listing.to_string().into_bytes();
            let digest = Digest::sha256(&bytes);
            sink.file(&layout_path(&digest), bytes.as_slice(), bytes.len() as u64)?;
            let annotations =
                json!({ REF_NAME: subject.fallback_tag(), IMAGE_NAME: format!("{}:{}", export.repository, subject.fallback_tag()) });
            entries.push(json!({ "mediaType": media_type::OCI_INDEX, "digest": digest, "size": bytes.len(), "annotations": annotations }));
        }
    }
    let index = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": entries });
    let index = serde_json::to_vec_pretty(&index).map_err(|error| BackupError::damaged(error.to_string()))?;
    sink.finish("index.json", &index)?;
    Ok(sum)
}

fn layout_path(digest: &Digest) -> PathBuf {
    Path::new("blobs").join(digest.algorithm().name()).join(digest.hex())
}

fn entry(repository: &Repository, manifest: &ExportedManifest) -> Value {
    let name = match &manifest.tag {
        Some(tag) => format!("{repository}:{tag}"),
        None => format!("{repository}@{}", manifest.digest),
    };
    let mut annotations = json!({ IMAGE_NAME: name });
    if let Some(tag) = &manifest.tag {
        annotations[REF_NAME] = json!(tag.as_str());
    }
    let mut entry =
        json!({ "mediaType": manifest.media_type, "digest": manifest.digest, "size": manifest.size, "annotations": annotations });
    if let Some(artifact_type) = &manifest.artifact_type {
        entry["artifactType"] = json!(artifact_type);
    }
    entry
}

/// For each subject the listing that registries without a referrers API keep under its fallback tag (distribution-spec 1.1, "Referrers
/// Tag Schema").
fn fallbacks(export: &Export) -> Vec<(Digest, Value)> {
    let mut listings: BTreeMap<Digest, Vec<Value>> = BTreeMap::new();
    for manifest in export.manifests.iter().filter(|manifest| manifest.tag.is_none()) {
        let Some(subject) = manifest.subject else { continue };
        let mut entry = json!({ "mediaType": manifest.media_type, "digest": manifest.digest, "size": manifest.size });
        if let Some(artifact_type) = &manifest.artifact_type {
            entry["artifactType"] = json!(artifact_type);
        }
        listings.entry(subject).or_default().push(entry);
    }
    let index = |members: Vec<Value>| json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": members });
    listings.into_iter().map(|(subject, members)| (subject, index(members))).collect()
}
