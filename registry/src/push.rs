//! Writing to a registry: blobs and manifests, for `sealgate sign`.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::{Response, Url};
use sealgate_verifier::{Digest, ManifestReference};
use serde::Deserialize;

use crate::auth::Access;
use crate::client::{Client, Operation, discard, successful};
use crate::error::FetchError;
use crate::origin::Origin;
use crate::transport::Request;

#[derive(Deserialize)]
struct WithSubject {
    subject: Option<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    digest: Digest,
}

impl Client {
    /// Uploads a blob unless the registry has it. An upload location on another host is refused (CVE-2026-50151).
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn push_blob(&self, path: &str, digest: &Digest, bytes: Bytes) -> Result<(), FetchError> {
        if !digest.matches(&bytes) {
            return Err(FetchError::Malformed { problem: format!("expected the bytes of {digest} to upload, found others") });
        }
        match self.stat_blob(path, digest, Access::Push).await {
            Ok(_) => return Ok(()),
            Err(FetchError::NotFound) => {}
            Err(other) => return Err(other),
        }
        let start = self.url(path, "blobs/uploads/")?;
        let mut request = Request::new(Method::POST, start.clone());
        // Without it some servers answer 411 to a POST without a body.
        request.headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        let response = self.write(path, request).await?;
        let status = response.status();
        let headers = discard(response).await;
        if status != StatusCode::ACCEPTED {
            return Err(unexpected("202 for a new upload", status));
        }
        let mut upload = Request::new(Method::PUT, upload_location(&headers, &start)?);
        upload.url.query_pairs_mut().append_pair("digest", &digest.to_string());
        upload.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        upload.body = Some(bytes);
        let response = self.write(path, upload).await?;
        let status = response.status();
        discard(response).await;
        if status == StatusCode::CREATED || status == StatusCode::NO_CONTENT { Ok(()) } else { Err(unexpected("201 for a blob", status)) }
    }

    /// Puts a manifest. Returns whether the registry processed its `subject` (`OCI-Subject`, distribution-spec 1.1); if not, the
    /// caller maintains the fallback tag.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn put_manifest(
        &self,
        path: &str,
        reference: &ManifestReference,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<bool, FetchError> {
        if let ManifestReference::Digest(digest) = reference
            && !digest.matches(&bytes)
        {
            return Err(FetchError::Malformed { problem: format!("expected the bytes of {digest} to put, found others") });
        }
        let subject = serde_json::from_slice::<WithSubject>(&bytes).ok().and_then(|manifest| manifest.subject);
        let mut request = Request::new(Method::PUT, self.url(path, &format!("manifests/{reference}"))?);
        let content_type = HeaderValue::from_str(media_type);
        request.headers.insert(
            header::CONTENT_TYPE,
            content_type.map_err(|_| FetchError::Malformed { problem: "expected a media type to put".to_owned() })?,
        );
        request.body = Some(bytes);
        let response = self.write(path, request).await?;
        let status = response.status();
        let headers = discard(response).await;
        if status != StatusCode::CREATED && status != StatusCode::OK && status != StatusCode::ACCEPTED {
            return Err(unexpected("201 for a manifest", status));
        }
        let processed = headers.get("oci-subject").and_then(|value| value.to_str().ok()?.parse::<Digest>().ok());
        Ok(subject.is_some_and(|subject| processed == Some(subject.digest)))
    }

    async fn write(&self, path: &str, request: Request) -> Result<Response, FetchError> {
        successful(self.perform(Operation { path, access: Access::Push, request }).await?).await
    }
}

fn unexpected(expected: &str, status: StatusCode) -> FetchError {
    FetchError::Malformed { problem: format!("expected HTTP {expected}, found {}", status.as_u16()) }
}

/// Where the upload goes on: relative or absolute, on the registry's own origin.
fn upload_location(headers: &HeaderMap, start: &Url) -> Result<Url, FetchError> {
    let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    let target = location.and_then(|location| start.join(location).ok());
    let mut target = target.ok_or_else(|| FetchError::Malformed { problem: "expected an upload location, found none".to_owned() })?;
    target.set_fragment(None);
    let origin = Origin::of(&target);
    if origin.is_none() || origin != Origin::of(start) {
        let elsewhere = origin.map(|origin| origin.authority()).unwrap_or_default();
        return Err(FetchError::Forbidden { problem: format!("an upload location on another server, {elsewhere}") });
    }
    Ok(target)
}
