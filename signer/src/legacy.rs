//! cosign's layout up to version 2 (cosign, specs/SIGNATURE_SPEC.md, ATTESTATION_SPEC.md): all signatures of an image are layers of one
//! manifest under the tag `sha256-<hex>.sig`, all attestations under `sha256-<hex>.att`.

use std::collections::BTreeMap;

use bytes::Bytes;
use sealgate_registry::Client;
use sealgate_verifier::{Digest, limits, media_type, simple_signing};
use serde_json::{Value, json};

use crate::publish::{PublishError, Published};
use crate::tag::{Written, update};

/// The annotation of an attestation's layer that names its predicate type.
pub const PREDICATE_TYPE: &str = "predicateType";

/// A layer of such a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Media type.
    pub media_type: &'static str,
    /// Bytes.
    pub bytes: Bytes,
    /// Annotations: the signature, and what vouches for it.
    pub annotations: BTreeMap<String, String>,
}

impl Layer {
    fn descriptor(&self) -> Value {
        json!({
            "mediaType": self.media_type,
            "digest": Digest::sha256(&self.bytes),
            "size": self.bytes.len(),
            "annotations": self.annotations,
        })
    }

    /// The tag for this kind of layer.
    fn tag(&self, subject: &Digest) -> String {
        let suffix = if self.media_type == media_type::SIMPLE_SIGNING { "sig" } else { "att" };
        format!("{}.{suffix}", subject.fallback_tag())
    }
}

/// A simple signing payload, byte for byte as cosign writes it.
pub(crate) fn payload(docker_reference: &str, digest: &Digest) -> String {
    format!(
        r#"{{"critical":{{"identity":{{"docker-reference":{}}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"{}"}},"optional":null}}"#,
        Value::from(docker_reference),
        simple_signing::TYPE,
    )
}

/// Appends `layer` to what stands under the tag for `subject` in the repository `path`.
///
/// # Errors
/// See [`PublishError`].
pub async fn append(client: &Client, path: &str, subject: &Digest, layer: &Layer) -> Result<Published, PublishError> {
    let failed = |error| PublishError::Registry { action: "push the signature", error };
    client.push_blob(path, &Digest::sha256(&layer.bytes), layer.bytes.clone()).await.map_err(failed)?;
    let tag = layer.tag(subject);
    let manifest = update(client, path, &tag, |current| appended(current, layer)).await?;
    Ok(Published { manifest, tag: Some(tag) })
}

/// The manifest with `layer` in it, or none when it has it. Layers that are there stay as they are.
fn appended(current: Option<&[u8]>, layer: &Layer) -> Result<Option<Written>, String> {
    let mut manifest = match current {
        None => json!({ "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "layers": [] }),
        Some(bytes) => serde_json::from_slice(bytes).map_err(|_| "expected JSON".to_owned())?,
    };
    let found = manifest.get("mediaType").and_then(Value::as_str).unwrap_or(media_type::OCI_MANIFEST).to_owned();
    let kind = [media_type::OCI_MANIFEST, media_type::DOCKER_MANIFEST].into_iter().find(|known| *known == found);
    let Some(media_type) = kind else { return Err(format!("expected {}, found {found:.80}", media_type::OCI_MANIFEST)) };
    let Some(layers) = manifest.get_mut("layers").and_then(Value::as_array_mut) else {
        return Err("expected a list `layers`, found none".to_owned());
    };
    let descriptor = layer.descriptor();
    let same = |other: &Value| ["digest", "annotations"].iter().all(|member| other.get(member) == descriptor.get(member));
    if layers.iter().any(same) {
        return Ok(None);
    }
    if layers.len() >= limits::SIGNATURES {
        return Err(format!("expected fewer than {} layers, found {}", limits::SIGNATURES, layers.len()));
    }
    layers.push(descriptor);
    let config = config(layers);
    let config_type = if media_type == media_type::OCI_MANIFEST { media_type::OCI_CONFIG } else { media_type::DOCKER_CONFIG };
    manifest["config"] = json!({ "mediaType": config_type, "digest": Digest::sha256(config.as_bytes()), "size": config.len() });
    Ok(Some(Written { media_type, manifest: Bytes::from(manifest.to_string()), config: Some(Bytes::from(config)) }))
}

/// cosign's placeholder for an image configuration: it lists the layers and says nothing else.
fn config(layers: &[Value]) -> String {
    let created = "0001-01-01T00:00:00Z";
    let digests: Vec<_> = layers.iter().filter_map(|layer| layer.get("digest").cloned()).collect();
    let history = vec![json!({ "created": created }); digests.len()];
    let rootfs = json!({ "type": "layers", "diff_ids": digests });
    json!({ "architecture": "", "created": created, "history": history, "os": "", "rootfs": rootfs, "config": {} }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(text: &str, signature: &str) -> Layer {
        let annotations = BTreeMap::from([(simple_signing::SIGNATURE.to_owned(), signature.to_owned())]);
        Layer { media_type: media_type::SIMPLE_SIGNING, bytes: Bytes::copy_from_slice(text.as_bytes()), annotations }
    }

    #[test]
    fn layers_of_others_stay_as_they_are() {
        let other = json!({ "mediaType": "x/y", "digest": Digest::sha256(b"other"), "size": 1, "foreign": [1, { "a": null }] });
        let current = json!({ "schemaVersion": 2, "layers": [other.clone()], "annotations": { "k": "v" } }).to_string();
        let layer = layer("payload", "c2ln");
        let written = appended(Some(current.as_bytes()), &layer).expect("a manifest").expect("changed");
        let manifest: Value = serde_json::from_slice(&written.manifest).expect("JSON");
        assert_eq!((&manifest["layers"][0], &manifest["annotations"]["k"]), (&other, &Value::from("v")));
        assert_eq!(manifest["layers"][1]["annotations"][simple_signing::SIGNATURE], "c2ln");
        let config = written.config.expect("a config");
        assert_eq!(manifest["config"]["digest"], Digest::sha256(&config).to_string());
        let config: Value = serde_json::from_slice(&config).expect("JSON");
        assert_eq!(config["rootfs"]["diff_ids"].as_array().map(Vec::len), Some(2));
        assert_eq!(appended(Some(&written.manifest), &layer), Ok(None), "once only");
        // The same payload with another signature is another signature.
        assert!(appended(Some(&written.manifest), &self::layer("payload", "b3RoZXI=")).expect("a manifest").is_some());
    }

    #[test]
    fn what_is_no_manifest_of_signatures_is_never_overwritten() {
        let full = json!({ "layers": vec![json!({}); limits::SIGNATURES] }).to_string();
        for current in ["no json", r#"{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#, "{}", "[]", &full] {
            assert!(appended(Some(current.as_bytes()), &layer("payload", "c2ln")).is_err(), "{current:.60}");
        }
    }

    #[test]
    fn the_payload_is_read_back_by_the_verifier() {
        let digest = Digest::sha256(b"image");
        let read = simple_signing::Payload::parse(payload("r.example/team/app", &digest).as_bytes()).expect("a payload");
        assert_eq!((read.digest, read.docker_reference.as_str()), (digest, "r.example/team/app"));
    }
}
