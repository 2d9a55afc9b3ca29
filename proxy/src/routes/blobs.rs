//! `/v2/NAME/blobs/DIGEST` (distribution-spec 1.1, "Pulling blobs").

use std::sync::Arc;

use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use sealgate_verifier::{Digest, Repository};

use super::{DOCKER_CONTENT_DIGEST, REVALIDATE, none_match};
use crate::auth::Access;
use crate::body::{Body, Progress};
use crate::gate::fetch::Growing;
use crate::gate::{Admitted, BlobContent, Gate, GateError, ServedBlob};
use crate::range::{self, Selection};
use crate::routes::error::Refusal;
use crate::store::blob::{BlobReader, StoredBlob};

/// Room for our headers and the connection's.
const HEADERS: usize = 12;

/// Reference first, then possession (DESIGN §1.4); the bytes only for a GET that needs them.
pub async fn respond(
    gate: &Arc<Gate>,
    repository: &Repository,
    digest: &Digest,
    access: &Access,
    request: &Parts,
) -> Result<Response<Body>, Refusal> {
    let unknown = |error| match error {
        // The upstream's 404 was about a blob.
        GateError::ManifestUnknown => Refusal::from(GateError::BlobUnknown),
        other => Refusal::from(other),
    };
    let granted = match gate.grant(repository, digest).await {
        Ok(granted) => granted,
        Err(denied @ (GateError::Denied(_) | GateError::DeniedUnseen { .. } | GateError::BlobUnknown)) => {
            return own(gate, repository, digest, access, request).await?.ok_or_else(|| denied.into());
        }
        Err(error) => return Err(unknown(error)),
    };
    let size = granted.get().size;
    let text = digest.to_string();
    let etag = range::etag(&text);
    let mut response = Response::new(Body::empty());
    *response.headers_mut() = headers(&text, &etag);
    if none_match(&request.headers, &etag) {
        gate.confirm(repository, &granted).await.map_err(unknown)?;
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    if request.method == Method::HEAD {
        gate.confirm(repository, &granted).await.map_err(unknown)?;
        // RFC 9110 §14.2: a range means nothing to HEAD.
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(size));
        return Ok(response);
    }
    let body = match range::select(&request.headers, &etag, size) {
        Selection::Whole => whole(gate.blob(repository, &granted).await.map_err(unknown)?).await?,
        Selection::Partial(range) => {
            let reader = complete(gate, repository, &granted).await.map_err(unknown)??;
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            response.headers_mut().insert(CONTENT_RANGE, range::content_range(&range, size));
            Body::stored(reader, range)
        }
        Selection::Unsatisfiable => unsatisfiable(&mut response, size),
    };
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.remaining()));
    *response.body_mut() = body.counted(gate.metrics().served_bytes.clone());
    Ok(response)
}

/// What this client may read for having pushed it, or to sign beside it.
async fn own(
    gate: &Arc<Gate>,
    repository: &Repository,
    digest: &Digest,
    access: &Access,
    request: &Parts,
) -> Result<Option<Response<Body>>, Refusal> {
    let blob = match gate.lane(access, repository) {
        Some(pass) => gate.lane_blob(&pass, repository, digest).await?,
        None => gate.unlisted_blob(repository, digest).await?,
    };
    let text = digest.to_string();
    let etag = range::etag(&text);
    let mut response = Response::new(Body::empty());
    *response.headers_mut() = headers(&text, &etag);
    let Some(blob) = blob else {
        let known = if request.method == Method::HEAD { gate.pushed_blob_size(access, repository, digest)? } else { None };
        return Ok(known.map(|size| {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(size));
            response
        }));
    };
    let StoredBlob { size, reader } = blob.into_inner();
    if none_match(&request.headers, &etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(Some(response));
    }
    if request.method == Method::HEAD {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(size));
        return Ok(Some(response));
    }
    let body = match range::select(&request.headers, &etag, size) {
        Selection::Whole => Body::stored(reader, 0..size),
        Selection::Partial(range) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            response.headers_mut().insert(CONTENT_RANGE, range::content_range(&range, size));
            Body::stored(reader, range)
        }
        Selection::Unsatisfiable => unsatisfiable(&mut response, size),
    };
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.remaining()));
    *response.body_mut() = body.counted(gate.metrics().served_bytes.clone());
    Ok(Some(response))
}

fn unsatisfiable(response: &mut Response<Body>, size: u64) -> Body {
    *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
    response.headers_mut().insert(CONTENT_RANGE, range::unsatisfied(size));
    response.headers_mut().remove(CONTENT_TYPE);
    Body::empty()
}

fn headers(digest: &str, etag: &str) -> HeaderMap {
    let value = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(DOCKER_CONTENT_DIGEST, value(digest));
    headers.insert(ETAG, value(etag));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CACHE_CONTROL, REVALIDATE);
    headers
}

/// A fetch that fails before its first byte is a 502, and not a 200 that is cut off.
async fn whole(content: BlobContent) -> Result<Body, Refusal> {
    match content {
        BlobContent::Stored(StoredBlob { size, reader }) => Ok(Body::stored(reader, 0..size)),
        BlobContent::Growing(Growing { reader, size, mut progress }) => {
            let failed = match progress.wait_for(|progress| *progress != Progress::Visible(0)).await {
                Ok(progress) => *progress == Progress::Failed,
                Err(_) => true,
            };
            if failed { Err(Refusal::blob_broke_off()) } else { Ok(Body::growing(reader, size, progress)) }
        }
    }
}

/// Bytes of which a part may be sent: a range of an unfinished blob waits until its digest matched, since no later byte would hold back
/// an earlier one.
async fn complete(
    gate: &Arc<Gate>,
    repository: &Repository,
    granted: &Admitted<ServedBlob>,
) -> Result<Result<Arc<dyn BlobReader>, Refusal>, GateError> {
    match gate.blob(repository, granted).await? {
        BlobContent::Stored(stored) => Ok(Ok(stored.reader)),
        BlobContent::Growing(Growing { reader, mut progress, .. }) => {
            let ended = progress.wait_for(|progress| !matches!(progress, Progress::Visible(_))).await;
            let complete = ended.is_ok_and(|progress| *progress == Progress::Complete);
            Ok(if complete { Ok(reader) } else { Err(Refusal::blob_broke_off()) })
        }
    }
}
