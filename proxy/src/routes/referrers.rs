//! `/v2/NAME/referrers/DIGEST` (distribution-spec 1.1, "Listing Referrers").

use std::sync::Arc;

use http::header::{CACHE_CONTROL, HeaderName};
use http::{HeaderValue, Response};
use sealgate_verifier::{Digest, Repository};

use super::REVALIDATE;
use super::query::Query;
use crate::auth::Access;
use crate::body::Body;
use crate::gate::Gate;
use crate::routes::error::Refusal;

/// "the response MUST include the header OCI-Filters-Applied" where a filter was applied.
const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// An index, possibly empty.
pub async fn respond(
    gate: &Arc<Gate>,
    repository: &Repository,
    subject: &Digest,
    query: &Query<'_>,
    access: &Access,
    head: bool,
) -> Result<Response<Body>, Refusal> {
    let artifact_type = query.artifact_type.as_deref();
    let index = match gate.lane(access, repository) {
        Some(pass) => gate.lane_referrers(&pass, repository, subject, artifact_type).await?,
        None => gate.referrers(repository, subject, artifact_type).await?.into_inner(),
    };
    let mut response = super::document("application/vnd.oci.image.index.v1+json", index, head);
    response.headers_mut().insert(CACHE_CONTROL, REVALIDATE);
    if query.artifact_type.is_some() {
        response.headers_mut().insert(FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
    }
    Ok(response)
}
