//! PUT of `/v2/NAME/manifests/REFERENCE` (distribution-spec 1.1, "Pushing Manifests").

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, LOCATION};
use http::{Response, StatusCode};
use sealgate_verifier::{ManifestReference, Tag, limits};

use super::{OCI_SUBJECT, Push, empty, text};
use crate::body::Body;
use crate::gate::push::Content;
use crate::routes::DOCKER_CONTENT_DIGEST;
use crate::routes::error::Refusal;
use crate::routes::query::decode;

/// distribution-spec after 1.1, "Pushing Manifests": a tag of the query under which the manifest was taken in.
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");
/// Tags of one push: the specification asks for ten.
const TAGS: usize = 16;
/// Longest wait for the next bytes of a manifest.
const IDLE: Duration = Duration::from_secs(30);
/// Bytes of a manifest over the limit that are read and dropped, so that the client gets to see the refusal and not a reset.
const DRAINED: usize = 4 * limits::MANIFEST_BYTES;

/// Takes a manifest in.
pub(super) async fn put(push: &Push<'_>, reference: &ManifestReference, content: Content) -> Result<Response<Body>, Refusal> {
    let pusher = push.pusher()?;
    let headers = &push.request.headers;
    let media_type = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("unprintable"));
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let bytes = read(content, announced).await?;
    let tags = match reference {
        ManifestReference::Digest(_) => tags(push.request.uri.query())?,
        ManifestReference::Tag(_) => Vec::new(),
    };
    let pushed = push.gate.push_manifest(&pusher, reference, &tags, media_type, bytes).await?;
    let mut response = empty(StatusCode::CREATED);
    response.headers_mut().insert(LOCATION, push.location(&format!("manifests/{}", pushed.digest))?);
    response.headers_mut().insert(DOCKER_CONTENT_DIGEST, text(&pushed.digest.to_string()));
    for tag in &tags {
        response.headers_mut().append(OCI_TAG, text(tag.as_str()));
    }
    if let Some(subject) = pushed.subject {
        response.headers_mut().insert(OCI_SUBJECT, text(&subject.to_string()));
    }
    Ok(response)
}

/// `tag`, which may stand several times.
fn tags(query: Option<&str>) -> Result<Vec<Tag>, Refusal> {
    let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let values = pairs.filter(|(key, _)| *key == "tag").map(|(_, value)| value);
    let tags: Vec<Tag> =
        values.map(|value| decode(value).and_then(|tag| tag.parse().ok()).ok_or_else(Refusal::tag_invalid)).collect::<Result<_, _>>()?;
    if tags.len() > TAGS {
        let message = format!("a manifest is taken in under at most {TAGS} tags at once");
        return Err(Refusal::of_push(StatusCode::URI_TOO_LONG, "TAG_INVALID", message));
    }
    Ok(tags)
}

/// All of a manifest's body. Over the limit: 413 (distribution-spec 1.1), after a bounded rest was read.
async fn read(mut content: Content, announced: Option<usize>) -> Result<Bytes, Refusal> {
    let too_large = || {
        let message = format!("a manifest may have at most {} bytes", limits::MANIFEST_BYTES);
        Refusal::of_push(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", message)
    };
    let broken = || Refusal::of_push(StatusCode::BAD_REQUEST, "SIZE_INVALID", "the request's body broke off".to_owned());
    if announced.is_some_and(|length| length > DRAINED) {
        return Err(too_large());
    }
    let mut bytes = BytesMut::with_capacity(announced.unwrap_or(0).min(64 * 1024));
    let mut length = 0_usize;
    while let Some(piece) = tokio::time::timeout(IDLE, content.next()).await.map_err(|_| broken())? {
        let piece = piece.map_err(|_| broken())?;
        length += piece.len();
        if length > DRAINED {
            break;
        }
        if length <= limits::MANIFEST_BYTES {
            bytes.extend_from_slice(&piece);
        }
    }
    if length > limits::MANIFEST_BYTES { Err(too_large()) } else { Ok(bytes.freeze()) }
}
