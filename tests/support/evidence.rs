//! Signatures as the decision gets them: manifests with layers, attached to an image.

use std::collections::BTreeMap;

use bytes::Bytes;
use sealgate_verifier::{Attachment, Collected, Digest, Evidence, ImageFacts, Location, Subject, Timestamp, media_type};
use serde_json::json;

use crate::image::{Content, Image};
use crate::registry::Registry;

/// A manifest that carries one layer with annotations; a referrer of `subject` where there is one.
#[must_use]
pub fn attachment(location: Location, layer: &Content, annotations: &BTreeMap<String, String>, subject: Option<&Content>) -> Attachment {
    let mut descriptor = layer.descriptor();
    if !annotations.is_empty() {
        descriptor["annotations"] = json!(annotations);
    }
    let empty = Content::new(media_type::OCI_EMPTY, "{}");
    let mut manifest =
        json!({ "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": empty.descriptor(), "layers": [descriptor] });
    if let Some(subject) = subject {
        manifest["subject"] = subject.descriptor();
        manifest["artifactType"] = json!(layer.media_type);
    }
    if [media_type::JOSE, media_type::COSE].contains(&layer.media_type.as_str()) {
        // notation looks for its own type, and wants a list of thumbprints.
        manifest["artifactType"] = json!("application/vnd.cncf.notary.signature");
        manifest["annotations"] = json!({ "io.cncf.notary.x509chain.thumbprint#S256": "[]" });
    }
    with_manifest(location, manifest.to_string(), layer.bytes.clone())
}

/// The attachment of these bytes, under the digest that they have.
#[must_use]
pub fn with_manifest(location: Location, manifest: impl Into<Bytes>, layer: Bytes) -> Attachment {
    let manifest = manifest.into();
    Attachment { location, digest: Digest::sha256(&manifest), manifest, layers: vec![layer] }
}

/// Everything about `image`, collected at `now`.
#[must_use]
pub fn evidence(repository: &str, image: &Image, items: Vec<Attachment>, now: Timestamp) -> Evidence {
    let manifest = image.manifest.bytes.clone();
    let subject = Subject { repository: repository.parse().expect("a repository"), tag: None, digest: Digest::sha256(&manifest), manifest };
    let attachments = Collected { items, gaps: Vec::new(), collected_at: now, stale_at: now.plus(600) };
    Evidence { subject, attachments, parents: Vec::new(), image: ImageFacts::not_collected(now), children: Vec::new() }
}

/// Puts attachments of `image` where a registry without a referrers API keeps them: under the fallback tag, `.sig` or `.att`.
pub fn publish(registry: &Registry, repository: &str, image: &Image, items: &[Attachment]) {
    registry.put_blob(repository, &Content::new(media_type::OCI_EMPTY, "{}"));
    let mut listed = Vec::new();
    for item in items {
        item.layers.iter().for_each(|layer| registry.put_blob(repository, &Content::new("application/octet-stream", layer.clone())));
        let manifest = Content::new(media_type::OCI_MANIFEST, item.manifest.clone());
        let tag = |suffix: &str| format!("{}.{suffix}", image.digest().replace(':', "-"));
        let reference = match item.location {
            Location::Referrers | Location::FallbackTag => {
                let mut descriptor = manifest.descriptor();
                let document: serde_json::Value = serde_json::from_slice(&item.manifest).expect("JSON");
                descriptor["artifactType"] = document["artifactType"].clone();
                listed.push(descriptor);
                manifest.digest.clone()
            }
            Location::SignatureTag => tag("sig"),
            Location::AttestationTag => tag("att"),
        };
        registry.put_manifest(repository, &reference, &manifest);
    }
    let index_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({ "schemaVersion": 2, "mediaType": index_type, "manifests": listed });
    registry.put_manifest(repository, &image.digest().replace(':', "-"), &Content::json(index_type, &index));
}
