//! DELETE of manifests, tags and blobs (distribution-spec 1.1, "Content Management").

use http::{Response, StatusCode};
use sealgate_verifier::{Digest, ManifestReference};

use super::{Push, empty};
use crate::body::Body;
use crate::routes::error::Refusal;

/// A tag, or a manifest by digest.
pub(super) async fn manifest(push: &Push<'_>, reference: &ManifestReference) -> Result<Response<Body>, Refusal> {
    let deleter = push.gate.deleter(push.access, &push.repository)?;
    push.gate.delete_manifest(&deleter, reference).await?;
    Ok(empty(StatusCode::ACCEPTED))
}

/// A blob.
pub(super) async fn blob(push: &Push<'_>, digest: &Digest) -> Result<Response<Body>, Refusal> {
    let deleter = push.gate.deleter(push.access, &push.repository)?;
    push.gate.delete_blob(&deleter, digest).await?;
    Ok(empty(StatusCode::ACCEPTED))
}
