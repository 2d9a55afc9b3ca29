//! `/v2/NAME/manifests/REFERENCE` (distribution-spec 1.1, "Pulling manifests").

use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, WARNING};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use sealgate_verifier::{ManifestReference, Repository};

use super::{API_VERSION, DOCKER_CONTENT_DIGEST, REVALIDATE, none_match};
use crate::auth::Access;
use crate::body::Body;
use crate::gate::{Gate, GateError, ServedManifest};
use crate::routes::error::Refusal;

/// Room for our headers and the connection's, so that the map never grows.
const HEADERS: usize = 12;

/// HEAD and GET are decided alike (DESIGN §7). Whoever asks with HEAD and without credentials is asked for them before a denial.
pub async fn respond(
    gate: &Arc<Gate>,
    repository: &Repository,
    reference: &ManifestReference,
    access: &Access,
    request: &Parts,
) -> Result<Response<Body>, Refusal> {
    let ServedManifest { digest, bytes, headers } = match gate.manifest(repository, reference).await {
        Ok(admitted) => admitted.into_inner(),
        Err(denied @ (GateError::Denied(_) | GateError::DeniedUnseen { .. })) => match gate.lane(access, repository) {
            Some(pass) => gate.lane_manifest(&pass, repository, reference).await?.ok_or(denied)?.into_inner(),
            None if request.method == Method::HEAD => {
                return Err(access.ask(repository).err().map_or_else(|| denied.into(), Refusal::from));
            }
            None => return Err(denied.into()),
        },
        Err(error) => return Err(error.into()),
    };
    let by = (!access.principal().is_anonymous()).then(|| access.principal().to_string());
    gate.pulled(repository, &digest, by.as_deref(), request.method != Method::HEAD);
    let mut response = Response::new(Body::empty());
    let mut map = HeaderMap::with_capacity(HEADERS);
    let unchanged = headers.etag.to_str().is_ok_and(|etag| none_match(&request.headers, etag));
    map.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    map.insert(DOCKER_CONTENT_DIGEST, headers.digest);
    map.insert(ETAG, headers.etag);
    map.insert(CACHE_CONTROL, REVALIDATE);
    if let Some(warning) = headers.warning {
        map.insert(WARNING, warning);
    }
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        map.insert(CONTENT_TYPE, headers.content_type);
        map.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        if request.method != Method::HEAD {
            *response.body_mut() = Body::full(bytes).counted(gate.metrics().served_bytes.clone());
        }
    }
    *response.headers_mut() = map;
    Ok(response)
}
