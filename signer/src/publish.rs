//! Publishes a bundle beside its image: an OCI 1.1 referrer, and the referrers tag schema where the registry has no referrers API
//! (distribution-spec 1.1, "Pushing Manifests with Subject" and "Unavailable Referrers API").

use bytes::Bytes;
use sealgate_registry::{Client, FetchError};
use sealgate_verifier::{Digest, ManifestReference, ReferenceError, Timestamp, limits, media_type};
use serde_json::{Value, json};

use crate::tag::{Written, update};

/// The manifest that was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Media type.
    pub media_type: String,
    /// Digest.
    pub digest: Digest,
    /// Bytes of the manifest.
    pub size: u64,
}

/// A Sigstore bundle to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Type of the predicate inside.
    pub predicate_type: String,
}

/// Where the signature is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Digest of the manifest that carries it.
    pub manifest: Digest,
    /// The tag that leads to it: the fallback tag, where the registry does not list referrers itself, or `.sig` or `.att`.
    pub tag: Option<String>,
}

/// Why a signature was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The registry did not take or give something.
    #[error("cannot {action}: {error}")]
    Registry {
        /// What was being done.
        action: &'static str,
        /// Its answer.
        error: FetchError,
    },
    /// The tag holds something that must not be overwritten.
    #[error("the tag {tag} holds no signatures ({problem}): move that tag away and sign again")]
    Occupied {
        /// The tag.
        tag: String,
        /// Expected and found.
        problem: String,
    },
    /// Other signers kept changing the tag.
    #[error("the tag {tag} kept changing while the signature was being listed in it, {attempts} times: sign again")]
    Contended {
        /// The tag.
        tag: String,
        /// How often it was tried.
        attempts: usize,
    },
    /// A name that the registry client cannot ask for.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

/// The manifest of a referrer that carries one bundle, as cosign 3 writes it.
struct Referrer {
    bytes: Bytes,
    digest: Digest,
    annotations: Value,
}

impl Referrer {
    fn new(subject: &Subject, bundle: &Bundle, now: Timestamp) -> Self {
        let Bundle { bytes: bundle, predicate_type } = bundle;
        let annotations = json!({
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": predicate_type,
            "org.opencontainers.image.created": now.to_string(),
        });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "artifactType": media_type::BUNDLE_V03,
            "config": { "mediaType": media_type::OCI_EMPTY, "digest": Digest::sha256(EMPTY), "size": EMPTY.len() },
            "layers": [{ "mediaType": media_type::BUNDLE_V03, "digest": Digest::sha256(bundle), "size": bundle.len() }],
            "subject": { "mediaType": subject.media_type, "digest": subject.digest, "size": subject.size },
            "annotations": annotations.clone(),
        });
        let bytes = Bytes::from(manifest.to_string());
        Self { digest: Digest::sha256(&bytes), bytes, annotations }
    }

    /// The descriptor for a listing: artifact type and annotations are the manifest's own (distribution-spec, "Listing Referrers").
    fn descriptor(&self) -> Value {
        json!({
            "mediaType": media_type::OCI_MANIFEST,
            "digest": self.digest,
            "size": self.bytes.len(),
            "artifactType": media_type::BUNDLE_V03,
            "annotations": self.annotations,
        })
    }
}

/// The empty JSON object (image-spec 1.1, "Guidance for an Empty Descriptor").
const EMPTY: &[u8] = b"{}";

/// Pushes `bundle` as a referrer of `subject` into the repository `path`.
///
/// # Errors
/// See [`PublishError`].
pub async fn publish(client: &Client, path: &str, subject: &Subject, bundle: Bundle, now: Timestamp) -> Result<Published, PublishError> {
    let referrer = Referrer::new(subject, &bundle, now);
    let bundle = Bytes::from(bundle.bytes);
    let failed = |action| move |error| PublishError::Registry { action, error };
    client
        .push_blob(path, &Digest::sha256(EMPTY), Bytes::from_static(EMPTY))
        .await
        .map_err(failed("push the signature's empty configuration"))?;
    client.push_blob(path, &Digest::sha256(&bundle), bundle).await.map_err(failed("push the signature"))?;
    let listed = client
        .put_manifest(path, &ManifestReference::Digest(referrer.digest), media_type::OCI_MANIFEST, referrer.bytes.clone())
        .await
        .map_err(failed("push the signature's manifest"))?;
    let tag = if listed {
        None
    } else {
        let tag = subject.digest.fallback_tag();
        update(client, path, &tag, |current| with_referrer(current, &referrer)).await?;
        Some(tag)
    };
    Ok(Published { manifest: referrer.digest, tag })
}

/// The fallback index with `referrer` in it, or none when it lists it already. Entries and members that are there stay as they are.
fn with_referrer(current: Option<&[u8]>, referrer: &Referrer) -> Result<Option<Written>, String> {
    let mut index = match current {
        None => json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [] }),
        Some(bytes) => serde_json::from_slice(bytes).map_err(|_| "expected JSON".to_owned())?,
    };
    let found = index.get("mediaType").and_then(Value::as_str).unwrap_or(media_type::OCI_INDEX).to_owned();
    if found != media_type::OCI_INDEX {
        return Err(format!("expected {}, found {:.80}", media_type::OCI_INDEX, found));
    }
    let Some(manifests) = index.get_mut("manifests").and_then(Value::as_array_mut) else {
        return Err("expected a list `manifests`, found none".to_owned());
    };
    let digest = referrer.digest.to_string();
    if manifests.iter().any(|entry| entry.get("digest").and_then(Value::as_str) == Some(digest.as_str())) {
        return Ok(None);
    }
    if manifests.len() >= limits::INDEX_CHILDREN {
        return Err(format!("expected fewer than {} entries, found {}", limits::INDEX_CHILDREN, manifests.len()));
    }
    manifests.push(referrer.descriptor());
    Ok(Some(Written { media_type: media_type::OCI_INDEX, manifest: Bytes::from(index.to_string()), config: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn referrer() -> Referrer {
        let subject = Subject { media_type: media_type::OCI_MANIFEST.to_owned(), digest: Digest::sha256(b"image"), size: 5 };
        let bundle = Bundle { bytes: b"bundle".to_vec(), predicate_type: media_type::COSIGN_SIGN_PREDICATE.to_owned() };
        Referrer::new(&subject, &bundle, Timestamp(1_795_478_399))
    }

    #[test]
    fn the_referrer_names_its_subject_and_its_only_layer() {
        let referrer = referrer();
        let manifest: Value = serde_json::from_slice(&referrer.bytes).expect("JSON");
        assert_eq!(manifest["artifactType"], media_type::BUNDLE_V03);
        assert_eq!(manifest["layers"][0]["mediaType"], media_type::BUNDLE_V03);
        assert_eq!(manifest["layers"][0]["digest"], Digest::sha256(b"bundle").to_string());
        assert_eq!(manifest["config"]["digest"], "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
        assert_eq!(manifest["subject"]["digest"], Digest::sha256(b"image").to_string());
        assert_eq!(manifest["annotations"]["org.opencontainers.image.created"], "2026-11-23T23:59:59Z");
    }

    #[test]
    fn entries_of_others_stay_as_they_are() {
        let other =
            json!({ "mediaType": "x/y", "digest": Digest::sha256(b"other"), "size": 1, "artifactType": "z", "foreign": [1, {"a": null}] });
        let current = json!({ "schemaVersion": 2, "manifests": [other.clone()], "annotations": { "k": "v" } }).to_string();
        let referrer = referrer();
        let written = with_referrer(Some(current.as_bytes()), &referrer).expect("an index").expect("changed");
        let index: Value = serde_json::from_slice(&written.manifest).expect("JSON");
        assert_eq!(index["manifests"][0], other);
        assert_eq!(index["manifests"][1]["artifactType"], media_type::BUNDLE_V03);
        assert_eq!(index["annotations"]["k"], "v");
        assert_eq!(with_referrer(Some(&written.manifest), &referrer), Ok(None), "listed once only");
    }

    #[test]
    fn what_is_no_index_is_never_overwritten() {
        let referrer = referrer();
        let full = json!({ "manifests": vec![json!({}); limits::INDEX_CHILDREN] }).to_string();
        for current in [
            "no json",
            r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[]}"#,
            "{}",
            r#"{"manifests":{}}"#,
            "[]",
            &full,
        ] {
            assert!(with_referrer(Some(current.as_bytes()), &referrer).is_err(), "{current:.60}");
        }
    }
}
