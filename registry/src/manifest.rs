//! Manifests from a registry.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use sealgate_verifier::{Digest, ManifestReference, limits, media_type};

use crate::body::{content_length, document};
use crate::client::{Client, successful};
use crate::error::FetchError;

/// What a HEAD of a manifest says. Nothing in here is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestHead {
    /// `Docker-Content-Digest`, where the registry sends a valid one.
    pub digest: Option<Digest>,
    /// `Content-Type` without parameters, in lower case.
    pub media_type: Option<String>,
    /// `Content-Length`.
    pub size: Option<u64>,
}

/// A manifest as the registry sent it. `digest` is our own hash of the bytes; when a digest was asked for they are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedManifest {
    /// The bytes.
    pub bytes: Bytes,
    /// Our own hash of the bytes.
    pub digest: Digest,
    /// `Content-Type` without parameters, in lower case.
    pub media_type: Option<String>,
}

impl Client {
    /// HEAD of a manifest.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn head_manifest(&self, path: &str, reference: &ManifestReference) -> Result<ManifestHead, FetchError> {
        let mut operation = self.pull(Method::HEAD, path, &format!("manifests/{reference}"))?;
        operation.request.headers.insert(header::ACCEPT, accepted());
        let response = successful(self.perform(operation).await?).await?;
        let headers = response.headers();
        let digest = headers.get("docker-content-digest").and_then(|value| value.to_str().ok()?.parse::<Digest>().ok());
        if let (ManifestReference::Digest(asked), Some(found)) = (reference, digest)
            && asked.algorithm() == found.algorithm()
            && *asked != found
        {
            return Err(FetchError::Malformed { problem: format!("expected the manifest {asked}, found a header that says {found}") });
        }
        Ok(ManifestHead { digest, media_type: manifest_type(headers)?, size: content_length(headers) })
    }

    /// GET of a manifest, at most [`sealgate_verifier::limits::MANIFEST_BYTES`].
    ///
    /// # Errors
    /// See [`FetchError`]; bytes that do not hash to the digest asked for are `Malformed`, and so is a `Content-Type` that no manifest
    /// has, such as `text/html`. Whether the bytes are a manifest is for the caller to judge.
    pub async fn get_manifest(&self, path: &str, reference: &ManifestReference) -> Result<FetchedManifest, FetchError> {
        let mut operation = self.pull(Method::GET, path, &format!("manifests/{reference}"))?;
        operation.request.headers.insert(header::ACCEPT, accepted());
        let response = successful(self.perform(operation).await?).await?;
        let media_type = manifest_type(response.headers())?;
        let bytes = document(response, limits::MANIFEST_BYTES, self.idle_timeout()).await?;
        let digest = match reference {
            ManifestReference::Tag(_) => Digest::sha256(&bytes),
            ManifestReference::Digest(asked) => Digest::of(asked.algorithm(), &bytes),
        };
        match reference {
            ManifestReference::Digest(asked) if *asked != digest => {
                Err(FetchError::Malformed { problem: format!("expected the manifest {asked}, found bytes that hash to {digest}") })
            }
            ManifestReference::Digest(_) | ManifestReference::Tag(_) => Ok(FetchedManifest { bytes, digest, media_type }),
        }
    }
}

fn accepted() -> HeaderValue {
    HeaderValue::from_str(&media_type::MANIFESTS.join(", ")).unwrap_or(HeaderValue::from_static("*/*"))
}

/// `Content-Type`, without parameters and in lower case.
pub(crate) fn essence(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?;
    let text = String::from_utf8_lossy(value.as_bytes());
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    (!essence.is_empty()).then_some(essence)
}

/// The media type of something that may be a manifest. A portal or an error page that answers 200 is none (F30, NEXUS-31354).
fn manifest_type(headers: &HeaderMap) -> Result<Option<String>, FetchError> {
    let essence = essence(headers);
    if essence.as_deref().is_none_or(is_json) {
        return Ok(essence);
    }
    let found: String = essence.unwrap_or_default().chars().filter(|c| c.is_ascii_graphic()).take(80).collect();
    Err(FetchError::Malformed { problem: format!("expected a manifest, found Content-Type {found}") })
}

/// Whether a media type is JSON's: RFC 8259, RFC 6839, and schema 1's `+prettyjws`, which the parser names when it refuses it.
pub(crate) fn is_json(essence: &str) -> bool {
    essence == "application/json"
        || (essence.starts_with("application/") && (essence.ends_with("+json") || essence.ends_with("+prettyjws")))
}
