//! `/v2/NAME/blobs/uploads/` (distribution-spec 1.1, "Pushing blobs").

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, LOCATION, RANGE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use sealgate_verifier::{Algorithm, Digest};

use super::{Push, UPLOAD_UUID, empty, text};
use crate::body::Body;
use crate::gate::Target;
use crate::gate::push::session::Chunk;
use crate::gate::push::{Content, PushError, UploadId};
use crate::routes::error::Refusal;
use crate::routes::query::PushQuery;

/// POST: a mount, a whole blob, or an upload that begins.
pub(super) async fn begin(push: &Push<'_>, content: Content) -> Result<Response<Body>, Refusal> {
    let pusher = push.pusher()?;
    let query = PushQuery::parse(push.request.uri.query())?;
    if let Some(digest) = query.mount {
        let mounted = match query.from.as_deref().map(|from| push.gate.target(from, push.ns.as_deref())) {
            Some(Target::Repository(from)) => push.gate.mount(push.access, &pusher, &from, &digest).await?,
            Some(Target::UnknownRegistry(_) | Target::Contradiction { .. } | Target::BadName) => false,
            None => push.gate.mount_own(push.access, &pusher, &digest).await?,
        };
        if mounted {
            return push.created(&digest);
        }
    }
    let algorithm = query.digest.map(|digest| digest.algorithm()).or(query.algorithm).unwrap_or(Algorithm::Sha256);
    let Some(digest) = query.digest else {
        let id = push.gate.begin_upload(&pusher, algorithm).await?;
        return accepted(push, &id, 0);
    };
    push.gate.push_blob(&pusher, chunk(&push.request.headers)?, content, digest).await?;
    push.created(&digest)
}

/// GET: how far it is.
pub(super) fn state(push: &Push<'_>, id: &UploadId) -> Result<Response<Body>, Refusal> {
    let pusher = push.pusher()?;
    let received = push.gate.upload_received(&pusher, id)?;
    let mut response = accepted(push, id, received)?;
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().remove(CONTENT_LENGTH);
    Ok(response)
}

/// PATCH: the next bytes.
pub(super) async fn append(push: &Push<'_>, id: &UploadId, content: Content) -> Result<Response<Body>, Refusal> {
    let pusher = push.pusher()?;
    match push.gate.append_upload(&pusher, id, chunk(&push.request.headers)?, content).await {
        Ok(received) => accepted(push, id, received),
        Err(error) => out_of_order(push, id, error),
    }
}

/// PUT: the last bytes, if any, and the digest of all.
pub(super) async fn finish(push: &Push<'_>, id: &UploadId, content: Content) -> Result<Response<Body>, Refusal> {
    let pusher = push.pusher()?;
    let digest: Option<Digest> = PushQuery::parse(push.request.uri.query())?.digest;
    let digest = digest.ok_or_else(|| Refusal::query_invalid("an upload ends with ?digest=, the digest of all of its bytes".to_owned()))?;
    match push.gate.finish_upload(&pusher, id, chunk(&push.request.headers)?, content, digest).await {
        Ok(()) => push.created(&digest),
        Err(error) => out_of_order(push, id, error),
    }
}

/// DELETE: it is given up.
pub(super) fn cancel(push: &Push<'_>, id: &UploadId) -> Result<Response<Body>, Refusal> {
    let pusher = push.pusher()?;
    push.gate.cancel_upload(&pusher, id)?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// 202 with where the upload goes on. `Range` is the last byte that is there, with no bytes as docker's registry writes it.
fn accepted(push: &Push<'_>, id: &UploadId, received: u64) -> Result<Response<Body>, Refusal> {
    let mut response = empty(StatusCode::ACCEPTED);
    progress(push, id, received, response.headers_mut())?;
    Ok(response)
}

fn progress(push: &Push<'_>, id: &UploadId, received: u64, headers: &mut HeaderMap) -> Result<(), Refusal> {
    headers.insert(LOCATION, push.location(&format!("blobs/uploads/{id}"))?);
    headers.insert(RANGE, text(&format!("0-{}", received.saturating_sub(1))));
    headers.insert(UPLOAD_UUID, text(&id.to_string()));
    Ok(())
}

/// 416 says where the upload goes on ("the chunk was out of order").
fn out_of_order(push: &Push<'_>, id: &UploadId, error: PushError) -> Result<Response<Body>, Refusal> {
    let expected = match &error {
        PushError::OutOfOrder { expected, .. } => *expected,
        _ => return Err(error.into()),
    };
    let mut response = Refusal::from(error).into_response(false);
    progress(push, id, expected, response.headers_mut())?;
    Ok(response)
}

/// `Content-Range: START-END`, and `Content-Length`.
fn chunk(headers: &HeaderMap) -> Result<Chunk, Refusal> {
    let length = headers.get(CONTENT_LENGTH).and_then(number);
    let Some(range) = headers.get(CONTENT_RANGE) else { return Ok(Chunk { start: None, length }) };
    let malformed = || Refusal::of_push(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", "expected Content-Range: FIRST-LAST".to_owned());
    let text = range.to_str().map_err(|_| malformed())?;
    let text = text.strip_prefix("bytes ").unwrap_or(text);
    let (first, last) = text.split_once('-').ok_or_else(malformed)?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let (first, last) = (digits(first).ok_or_else(malformed)?, digits(last).ok_or_else(malformed)?);
    let named = last.checked_sub(first).and_then(|length| length.checked_add(1)).ok_or_else(malformed)?;
    match length {
        Some(found) if found != named => Err(PushError::Length { expected: named, found }.into()),
        _ => Ok(Chunk { start: Some(first), length: Some(named) }),
    }
}

fn number(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.parse().ok()
}
