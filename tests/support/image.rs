//! Images and indexes, built in memory.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::layer::{fresh_bytes, gzip, tar};
use crate::{sha256, sha512};

/// Bytes with their type and digest: a manifest, a config or a layer.
#[derive(Debug, Clone)]
pub struct Content {
    /// Media type.
    pub media_type: String,
    /// `sha256:…` of the bytes.
    pub digest: String,
    /// The bytes.
    pub bytes: Bytes,
}

/// Which manifest format an image uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OCI image manifest 1.1.
    Oci,
    /// Docker image manifest version 2, schema 2.
    Docker,
}

/// An image for one platform.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its manifest.
    pub manifest: Content,
    /// Its config.
    pub config: Content,
    /// Its layers, lowest first.
    pub layers: Vec<Content>,
    /// `amd64`, `arm64`, …
    pub architecture: String,
}

/// An image index (or Docker manifest list) and its images.
#[derive(Debug, Clone)]
pub struct Index {
    /// The index itself.
    pub manifest: Content,
    /// Its children.
    pub images: Vec<Image>,
}

impl Content {
    /// `bytes` as `media_type`.
    #[must_use]
    pub fn new(media_type: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { media_type: media_type.to_owned(), digest: sha256(&bytes), bytes }
    }

    /// A JSON document as `media_type`.
    #[must_use]
    pub fn json(media_type: &str, document: &Value) -> Self {
        Self::new(media_type, document.to_string())
    }

    /// The same under SHA-512.
    #[must_use]
    pub fn by_sha512(self) -> Self {
        Self { digest: sha512(&self.bytes), ..self }
    }

    /// Its descriptor.
    #[must_use]
    pub fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len() })
    }

    /// The same with one byte changed, under the old digest.
    #[must_use]
    pub fn tampered(&self) -> Self {
        let mut bytes = self.bytes.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        Self { media_type: self.media_type.clone(), digest: self.digest.clone(), bytes: bytes.into() }
    }
}

impl Format {
    /// Media types of manifest, config, layer and index.
    const fn media_types(self) -> [&'static str; 4] {
        match self {
            Self::Oci => [
                "application/vnd.oci.image.manifest.v1+json",
                "application/vnd.oci.image.config.v1+json",
                "application/vnd.oci.image.layer.v1.tar+gzip",
                "application/vnd.oci.image.index.v1+json",
            ],
            Self::Docker => [
                "application/vnd.docker.distribution.manifest.v2+json",
                "application/vnd.docker.container.image.v1+json",
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "application/vnd.docker.distribution.manifest.list.v2+json",
            ],
        }
    }
}

impl Image {
    /// A small OCI image for linux/amd64 with two layers that exist nowhere else.
    #[must_use]
    pub fn small() -> Self {
        Self::build(Format::Oci, "amd64", &[2_000, 70_000])
    }

    /// An image with one layer of about each size, in bytes; each layer holds one file of fresh bytes.
    #[must_use]
    pub fn build(format: Format, architecture: &str, layer_sizes: &[usize]) -> Self {
        let [manifest_type, config_type, layer_type, _] = format.media_types();
        let mut layers = vec![];
        let mut diff_ids = vec![];
        for (number, size) in layer_sizes.iter().enumerate() {
            let archive = tar(&[(&format!("layer-{number}"), &fresh_bytes(*size))]);
            diff_ids.push(sha256(&archive));
            layers.push(Content::new(layer_type, gzip(&archive)));
        }
        let config = json!({
            "architecture": architecture, "os": "linux",
            "config": { "Cmd": ["/layer-0"], "User": "65532" },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = Content::json(config_type, &config);
        let descriptors: Vec<Value> = layers.iter().map(Content::descriptor).collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": manifest_type, "config": config.descriptor(), "layers": descriptors,
        });
        Self { manifest: Content::json(manifest_type, &manifest), config, layers, architecture: architecture.to_owned() }
    }

    /// An OCI image of these archives as uncompressed layers, with `configuration` beside what every image has.
    #[must_use]
    pub fn of_archives(configuration: &Value, archives: Vec<Vec<u8>>) -> Self {
        let [manifest_type, config_type, ..] = Format::Oci.media_types();
        let diff_ids: Vec<String> = archives.iter().map(|archive| sha256(archive)).collect();
        let mut config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        for (key, value) in configuration.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        let config = Content::json(config_type, &config);
        let layers: Vec<Content> =
            archives.into_iter().map(|archive| Content::new("application/vnd.oci.image.layer.v1.tar", archive)).collect();
        let descriptors: Vec<Value> = layers.iter().map(Content::descriptor).collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": manifest_type, "config": config.descriptor(), "layers": descriptors,
        });
        Self { manifest: Content::json(manifest_type, &manifest), config, layers, architecture: "amd64".to_owned() }
    }

    /// Its digest.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.manifest.digest
    }

    /// Config and layers.
    pub fn blobs(&self) -> impl Iterator<Item = &Content> {
        std::iter::once(&self.config).chain(&self.layers)
    }
}

impl Index {
    /// A small OCI index over linux/amd64 and linux/arm64.
    #[must_use]
    pub fn small() -> Self {
        let images = ["amd64", "arm64"].map(|architecture| Image::build(Format::Oci, architecture, &[3_000]));
        Self::of(Format::Oci, images.to_vec())
    }

    /// An index over `images`.
    #[must_use]
    pub fn of(format: Format, images: Vec<Image>) -> Self {
        let [.., index_type] = format.media_types();
        let entry = |image: &Image| {
            let mut descriptor = image.manifest.descriptor();
            descriptor["platform"] = json!({ "os": "linux", "architecture": image.architecture });
            descriptor
        };
        let manifests: Vec<Value> = images.iter().map(entry).collect();
        let index = json!({ "schemaVersion": 2, "mediaType": index_type, "manifests": manifests });
        Self { manifest: Content::json(index_type, &index), images }
    }

    /// Its digest.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.manifest.digest
    }
}
