//! Manifests and indexes (OCI image-spec 1.1; Docker image manifest version 2, schema 2).
//!
//! What is parsed here is what every client must read the same way; anything that two clients could read differently is
//! refused (CVE-2021-41190). The raw bytes stay the truth.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, DigestError};
use crate::json::JsonError;

mod footprint;
mod parse;

/// What a manifest says of a blob or of another manifest (image-spec, descriptor.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type; empty when the manifest gives none.
    #[serde(default)]
    pub media_type: String,
    /// Digest.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// Artifact type, where given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Platform, where given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Foreign locations. Never fetched (CVE-2020-15157).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
}

/// A child's platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// CPU, for example `amd64`; empty when the index gives none.
    #[serde(default)]
    pub architecture: String,
    /// Operating system, for example `linux`; empty when the index gives none.
    #[serde(default)]
    pub os: String,
    /// Variant, for example `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// An image manifest, or an artifact stored as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageManifest {
    /// Media type.
    pub media_type: String,
    /// Artifact type, where given.
    pub artifact_type: Option<String>,
    /// Configuration.
    pub config: Descriptor,
    /// Layers.
    pub layers: Vec<Descriptor>,
    /// What this manifest refers to.
    pub subject: Option<Descriptor>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

/// An index or manifest list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Media type.
    pub media_type: String,
    /// Artifact type, where given.
    pub artifact_type: Option<String>,
    /// Children.
    pub manifests: Vec<Descriptor>,
    /// What this index refers to.
    pub subject: Option<Descriptor>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

/// A parsed manifest. The raw bytes stay the truth; this is what they say.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one at a time is parsed and read; a box would buy nothing")]
pub enum Manifest {
    /// One image or artifact.
    Image(ImageManifest),
    /// A list of manifests.
    Index(Index),
}

/// Why bytes are no manifest that can be trusted to mean one thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Over [`crate::limits::MANIFEST_BYTES`].
    #[error("manifest of {found} bytes is over the limit of {limit}")]
    TooLarge {
        /// Bytes.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Not one JSON object with one meaning.
    #[error("manifest: {0}")]
    Json(#[from] JsonError),
    /// `schemaVersion` is not 2. (Schema 1 is not content-addressed as a whole.)
    #[error("manifest with schemaVersion {found}: expected 2")]
    SchemaVersion {
        /// What stands there, or `none`.
        found: String,
    },
    /// Keys of an index and of an image in one document (CVE-2021-41190), or keys of schema 1.
    #[error("ambiguous manifest: {found:?} beside {beside:?}; expected either `manifests` or `config` and `layers`")]
    Ambiguous {
        /// The key that does not belong there.
        found: &'static str,
        /// The key that says what the document is.
        beside: &'static str,
    },
    /// A key without which the document is neither an image manifest nor an index.
    #[error("manifest without {expected}")]
    Missing {
        /// The key.
        expected: &'static str,
    },
    /// The media type in the document is not the one that was announced, or does not fit the document's shape.
    #[error("manifest of media type {found:?}: expected {expected:?}")]
    MediaType {
        /// What the shape or the `Content-Type` calls for.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// A descriptor's digest is malformed.
    #[error("manifest, {place}: {problem}")]
    Digest {
        /// Which descriptor, for example `layers[2]`.
        place: String,
        /// What is wrong.
        problem: DigestError,
    },
    /// A descriptor's size is negative, no whole number or over [`crate::limits::BLOB_BYTES`].
    #[error("manifest, {place}: size {found} is not between 0 and {limit}")]
    Size {
        /// Which descriptor.
        place: String,
        /// What stands there.
        found: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// A descriptor's embedded `data` is not what its digest and size say.
    #[error("manifest, {place}: the embedded data does not match its digest and size")]
    Data {
        /// Which descriptor.
        place: String,
    },
    /// More entries than the limit.
    #[error("manifest with {found} {what}: the limit is {limit}")]
    TooMany {
        /// `layers`, `manifests` or `urls`.
        what: &'static str,
        /// How many.
        found: usize,
        /// The limit.
        limit: usize,
    },
}

impl Manifest {
    /// Parses and checks `bytes`. Refused: what is not exactly one JSON object, keys that are duplicate or that differ only
    /// in case, both `manifests` and `layers`/`config` (CVE-2021-41190), a `mediaType` that contradicts `content_type` or the
    /// shape, schema 1, embedded `data` other than its digest says, and anything over [`crate::limits`].
    ///
    /// `content_type` is the `Content-Type` header; parameters such as `; charset=utf-8` are ignored. Without a `mediaType` in
    /// the document (allowed by image-spec 1.0 for OCI types only), it decides together with the shape.
    ///
    /// # Errors
    /// Names what was expected and found.
    pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self, ManifestError> {
        parse::parse(bytes, content_type)
    }

    /// The media type to serve it under.
    #[must_use]
    pub fn media_type(&self) -> &str {
        match self {
            Self::Image(m) => &m.media_type,
            Self::Index(i) => &i.media_type,
        }
    }

    /// What the manifest refers to, where it is a referrer.
    #[must_use]
    pub const fn subject(&self) -> Option<&Descriptor> {
        match self {
            Self::Image(m) => m.subject.as_ref(),
            Self::Index(i) => i.subject.as_ref(),
        }
    }

    /// Whether it is an index (or a Docker manifest list).
    #[must_use]
    pub const fn is_index(&self) -> bool {
        matches!(self, Self::Index(_))
    }

    /// The manifests that an index lists; none for an image.
    #[must_use]
    pub fn children(&self) -> &[Descriptor] {
        match self {
            Self::Image(_) => &[],
            Self::Index(i) => &i.manifests,
        }
    }

    /// The blobs that an image names, its config first; none for an index.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let (config, layers): (Option<&Descriptor>, &[Descriptor]) = match self {
            Self::Image(m) => (Some(&m.config), &m.layers),
            Self::Index(_) => (None, &[]),
        };
        config.into_iter().chain(layers)
    }

    /// The artifact type as the distribution-spec's referrers API reports it: the manifest's own, else an image's config
    /// media type.
    #[must_use]
    pub fn artifact_type(&self) -> Option<&str> {
        match self {
            Self::Image(m) => Some(m.artifact_type.as_deref().unwrap_or(&m.config.media_type)),
            Self::Index(i) => i.artifact_type.as_deref(),
        }
    }

    /// The manifest's own annotations.
    #[must_use]
    pub const fn annotations(&self) -> &BTreeMap<String, String> {
        match self {
            Self::Image(m) => &m.annotations,
            Self::Index(i) => &i.annotations,
        }
    }
}

#[cfg(test)]
mod tests;
