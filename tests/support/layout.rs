//! OCI image layouts (image-spec 1.1, "OCI Image Layout Specification"): those of `cosign save` brought to a registry, and our own.

use std::path::Path;

use serde_json::{Value, json};

use crate::image::{Content, Image};
use crate::registry::Registry;

/// Pushes everything in the layout at `folder`; cosign's attestations under their tag. Answers with the image's digest.
pub fn push(registry: &Registry, repository: &str, folder: &Path) -> String {
    let index = document(&std::fs::read(folder.join("index.json")).expect("index.json"));
    let of_kind = |kind: &str| {
        let wanted = |m: &&Value| m["annotations"]["kind"] == kind;
        index["manifests"].as_array().expect("manifests").iter().find(wanted).and_then(|m| m["digest"].as_str()).map(str::to_owned)
    };
    let image = ["dev.cosignproject.cosign/imageIndex", "dev.cosignproject.cosign/image"].into_iter().find_map(of_kind);
    let image = image.expect("an image");
    push_manifest(registry, repository, folder, &image, &image);
    for (kind, ending) in [("dev.cosignproject.cosign/atts", "att"), ("dev.cosignproject.cosign/sigs", "sig")] {
        if let Some(digest) = of_kind(kind) {
            push_manifest(registry, repository, folder, &digest, &format!("{}.{ending}", image.replace(':', "-")));
        }
    }
    image
}

/// Writes an image as an OCI layout with one tag.
pub fn write(folder: &Path, tag: &str, image: &Image) {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).expect("a folder for blobs");
    for content in image.blobs().chain([&image.manifest]) {
        let hex = content.digest.strip_prefix("sha256:").expect("a sha256 digest");
        std::fs::write(blobs.join(hex), &content.bytes).expect("a blob");
    }
    let mut entry = image.manifest.descriptor();
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
    let index = json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry] });
    std::fs::write(folder.join("index.json"), index.to_string()).expect("index.json");
    std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("oci-layout");
}

fn push_manifest(registry: &Registry, repository: &str, folder: &Path, digest: &str, reference: &str) {
    let bytes = blob(folder, digest);
    let manifest = document(&bytes);
    for child in manifest["manifests"].as_array().into_iter().flatten().filter_map(|child| child["digest"].as_str()) {
        push_manifest(registry, repository, folder, child, child);
    }
    let blobs = std::iter::once(&manifest["config"]).chain(manifest["layers"].as_array().into_iter().flatten());
    for digest in blobs.filter_map(|blob| blob["digest"].as_str()) {
        registry.put_blob(repository, &Content::new("application/octet-stream", blob(folder, digest)));
    }
    let media_type = manifest["mediaType"].as_str().expect("a media type");
    registry.put_manifest(repository, reference, &Content::new(media_type, bytes));
}

fn blob(folder: &Path, digest: &str) -> Vec<u8> {
    let path = folder.join("blobs").join(digest.replace(':', "/"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn document(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}
