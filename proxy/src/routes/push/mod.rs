//! What clients push and delete (distribution-spec 1.1, "Push" and "Content Management").

mod deletes;
mod error;
mod manifests;
mod uploads;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{CONTENT_LENGTH, HeaderName, LOCATION};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyDataStream;
use sealgate_verifier::{Digest, Repository};

use super::query::Query;
use super::repository;
use crate::auth::{self, Access, AuthError};
use crate::body::Body;
use crate::gate::Gate;
use crate::gate::push::{Content, Pusher};
use crate::routes::error::{Methods, Refusal};
use crate::routes::path::Endpoint;

/// Docker Registry HTTP API V2, "Initiate Blob Upload": the upload's identifier.
const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
/// distribution-spec 1.1, "Pushing Manifests with Subject": the registry processed the subject.
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// A request's body, to be read piece by piece.
pub(super) fn content<B>(body: B) -> Content
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    Box::pin(BodyDataStream::new(body).map(|piece| piece.map_err(std::io::Error::other)))
}

/// Whether a request is for this module.
pub(super) fn is_meant(endpoint: &Endpoint<'_>, method: &Method) -> bool {
    match endpoint {
        Endpoint::Uploads { .. } | Endpoint::Upload { .. } => true,
        Endpoint::Manifest { .. } | Endpoint::Blob { .. } => *method != Method::GET && *method != Method::HEAD,
        Endpoint::Ping
        | Endpoint::Tags { .. }
        | Endpoint::Referrers { .. }
        | Endpoint::Token
        | Endpoint::Catalog
        | Endpoint::Decision { .. }
        | Endpoint::Unknown => false,
    }
}

/// A push as it came.
struct Push<'a> {
    gate: &'a Arc<Gate>,
    access: &'a Access,
    request: &'a Parts,
    /// The repository as the client wrote it: its answers speak of that.
    name: &'a str,
    repository: Repository,
    /// `?ns=`, to be kept in locations.
    ns: Option<String>,
}

/// Answers a push.
pub(super) async fn respond(
    gate: &Arc<Gate>,
    endpoint: Endpoint<'_>,
    request: &Parts,
    content: Content,
    access: &Access,
) -> Result<Response<Body>, Refusal> {
    let query = Query::parse(request.uri.query())?;
    let push = |name| -> Result<Push<'_>, Refusal> {
        let ns = query.ns.as_deref().map(str::to_owned);
        Ok(Push { gate, access, request, name, repository: repository(gate, name, &query)?, ns })
    };
    let method = &request.method;
    match endpoint {
        Endpoint::Uploads { name } if *method == Method::POST => uploads::begin(&push(name)?, content).await,
        Endpoint::Uploads { .. } => Err(Refusal::method_not_allowed_here(Methods::Uploads)),
        Endpoint::Upload { name, id } => match *method {
            Method::GET | Method::HEAD => uploads::state(&push(name)?, &id),
            Method::PATCH => uploads::append(&push(name)?, &id, content).await,
            Method::PUT => uploads::finish(&push(name)?, &id, content).await,
            Method::DELETE => uploads::cancel(&push(name)?, &id),
            _ => Err(Refusal::method_not_allowed_here(Methods::Upload)),
        },
        Endpoint::Manifest { name, reference } => match *method {
            Method::PUT => manifests::put(&push(name)?, &reference, content).await,
            Method::DELETE => deletes::manifest(&push(name)?, &reference).await,
            _ => Err(Refusal::method_not_allowed_here(Methods::Manifest)),
        },
        Endpoint::Blob { name, digest } if *method == Method::DELETE => deletes::blob(&push(name)?, &digest).await,
        Endpoint::Blob { .. } => Err(Refusal::method_not_allowed_here(Methods::Blob)),
        Endpoint::Ping
        | Endpoint::Tags { .. }
        | Endpoint::Referrers { .. }
        | Endpoint::Token
        | Endpoint::Catalog
        | Endpoint::Decision { .. }
        | Endpoint::Unknown => Err(Refusal::method_not_allowed()),
    }
}

impl Push<'_> {
    /// Who pushes, where they may.
    fn pusher(&self) -> Result<Pusher, AuthError> {
        self.gate.pusher(self.access, &self.repository, auth::client_address(&self.request.extensions))
    }

    /// `/v2/NAME/REST`, relative to the host that the client knows.
    fn location(&self, rest: &str) -> Result<HeaderValue, Refusal> {
        let ns = self.ns.as_deref().map(|ns| format!("?ns={ns}")).unwrap_or_default();
        HeaderValue::try_from(format!("/v2/{}/{rest}{ns}", self.name)).map_err(|_| Refusal::name_invalid())
    }

    /// 201 for a blob.
    fn created(&self, digest: &Digest) -> Result<Response<Body>, Refusal> {
        let mut response = empty(StatusCode::CREATED);
        response.headers_mut().insert(LOCATION, self.location(&format!("blobs/{digest}"))?);
        response.headers_mut().insert(super::DOCKER_CONTENT_DIGEST, text(&digest.to_string()));
        Ok(response)
    }
}

/// An answer without a body.
fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if status != StatusCode::NO_CONTENT {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(0));
    }
    response
}

fn text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
