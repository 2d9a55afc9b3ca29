//! An image of one layer, and a referrer that carries a signature (OCI image-spec 1.1).

use bytes::Bytes;
use sealgate_verifier::{Digest, media_type};
use serde_json::json;

use super::archive;

/// Media type of the layer.
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const EMPTY: &[u8] = b"{}";

/// A manifest and the blobs that it lists.
#[derive(Debug, Clone)]
pub struct Image {
    /// The manifest's bytes.
    pub manifest: Bytes,
    /// Its digest.
    pub digest: Digest,
    /// Each blob under its digest.
    pub blobs: Vec<(Digest, Bytes)>,
}

impl Image {
    /// An image with one file.
    pub fn with_file(content: &str) -> Self {
        let tar = archive::tar("hello.txt", content.as_bytes());
        let layer = Bytes::from(archive::gzip(&tar));
        let config = json!({
            "architecture": architecture(),
            "os": "linux",
            "config": { "Cmd": ["/hello.txt"] },
            "rootfs": { "type": "layers", "diff_ids": [Digest::sha256(&tar)] },
            "history": [{ "created_by": "sealgate demo" }],
        });
        let config = Bytes::from(config.to_string());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": descriptor(media_type::OCI_CONFIG, &config),
            "layers": [descriptor(LAYER, &layer)],
        });
        Self::assemble(&manifest, [config, layer])
    }

    /// A referrer of `subject` that carries `bundle`, as cosign 3 publishes it.
    pub fn referrer(subject: &Self, bundle: Vec<u8>) -> Self {
        let (empty, bundle) = (Bytes::from_static(EMPTY), Bytes::from(bundle));
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "artifactType": media_type::BUNDLE_V03,
            "config": descriptor(media_type::OCI_EMPTY, &empty),
            "layers": [descriptor(media_type::BUNDLE_V03, &bundle)],
            "subject": descriptor(media_type::OCI_MANIFEST, &subject.manifest),
        });
        Self::assemble(&manifest, [empty, bundle])
    }

    fn assemble(manifest: &serde_json::Value, blobs: [Bytes; 2]) -> Self {
        let manifest = Bytes::from(manifest.to_string());
        let blobs = blobs.into_iter().map(|blob| (Digest::sha256(&blob), blob)).collect();
        Self { digest: Digest::sha256(&manifest), manifest, blobs }
    }

    /// The descriptor of this referrer in a listing.
    pub fn listed(&self) -> serde_json::Value {
        let mut listed = descriptor(media_type::OCI_MANIFEST, &self.manifest);
        listed["artifactType"] = media_type::BUNDLE_V03.into();
        listed
    }
}

fn descriptor(media_type: &str, content: &[u8]) -> serde_json::Value {
    json!({ "mediaType": media_type, "digest": Digest::sha256(content), "size": content.len() })
}

/// This machine's, in Go's words (image-spec, config.md "architecture").
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
