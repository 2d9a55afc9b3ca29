//! Requests to answers: the pull side of the OCI Distribution API, the admin listener, the control socket.
//!
//! [`path`] and [`query`] read what a client asks for, one module per resource answers it out of the [`Gate`], and [`error`] says what a
//! client sees when it gets nothing. Nothing here decides: bytes come as [`Admitted`](crate::gate::Admitted) values only.

pub mod admin;
mod blobs;
pub mod control;
mod decisions;
pub mod error;
mod health;
mod manifests;
pub mod path;
mod ping;
mod push;
pub mod query;
mod referrers;
mod tags;
mod token;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{HeaderMap, HeaderName};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response};
use sealgate_verifier::Repository;
use tower::Service;

use crate::auth::{Access, Action, Auth};
use crate::body::Body;
use crate::gate::push::Content;
use crate::gate::{Gate, Target};
use crate::metrics;
use crate::routes::error::Refusal;
use crate::routes::path::Endpoint;
use crate::routes::query::Query;

pub use admin::AdminRoutes;
pub use control::{ControlRoutes, ReloadPolicy};
pub use health::Readiness;

/// `Docker-Content-Digest`: the digest of the content (distribution-spec 1.1, "Pulling manifests").
const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// `Docker-Distribution-Api-Version`: what docker's clients look for on `/v2/` (Docker Registry HTTP API V2, "API Version Check").
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
/// Clients and caches ask again before they use what they hold, so that an admission that ended ends everywhere.
const REVALIDATE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// An answer on its way.
pub type ResponseFuture = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// The gate's listener.
#[derive(Clone)]
pub struct Routes {
    gate: Arc<Gate>,
    auth: Option<Arc<Auth>>,
}

impl Routes {
    /// Routes to `gate`, whose clients are authenticated by `auth`, if at all.
    #[must_use]
    pub const fn new(gate: Arc<Gate>, auth: Option<Arc<Auth>>) -> Self {
        Self { gate, auth }
    }

    /// Answers one request. The body of a push and of a request for a token is read, any other is not looked at.
    pub async fn respond<B>(&self, request: &Parts, body: B) -> Response<Body>
    where
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let head = request.method == Method::HEAD;
        let parsed = Endpoint::parse(request.uri.path());
        let label = parsed.as_ref().map_or(metrics::Endpoint::Other, label);
        let registry_api = request.uri.path().starts_with("/v2");
        let answer = match parsed {
            Ok(Endpoint::Token) => self.token(request, body).await,
            Ok(endpoint) if push::is_meant(&endpoint, &request.method) => self.push(endpoint, request, push::content(body)).await,
            Ok(_) if !head && request.method != Method::GET => Err(Refusal::method_not_allowed()),
            Ok(endpoint) => self.answer(endpoint, request).await,
            Err(refusal) => Err(refusal),
        };
        let mut response = answer.unwrap_or_else(|refusal| refusal.into_response(head));
        if registry_api {
            response.headers_mut().insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
        }
        self.gate.metrics().request(label, response.status());
        tracing::debug!(method = %request.method, path = request.uri.path(), status = response.status().as_u16(), "answered");
        response
    }

    async fn answer(&self, endpoint: Endpoint<'_>, request: &Parts) -> Result<Response<Body>, Refusal> {
        let head = request.method == Method::HEAD;
        let query = Query::parse(request.uri.query())?;
        let gate = &self.gate;
        let access = self.access(request).await?;
        let repository = |name| readable(gate, name, &query, &access);
        match endpoint {
            Endpoint::Ping => access.require_principal().map(|()| ping::respond(head)).map_err(Refusal::from),
            Endpoint::Manifest { name, reference } => manifests::respond(gate, &repository(name)?, &reference, &access, request).await,
            Endpoint::Blob { name, digest } => blobs::respond(gate, &repository(name)?, &digest, &access, request).await,
            Endpoint::Tags { name } => tags::respond(gate, &repository(name)?, name, &query, &access, head).await,
            Endpoint::Referrers { name, digest } => referrers::respond(gate, &repository(name)?, &digest, &query, &access, head).await,
            Endpoint::Uploads { .. } | Endpoint::Upload { .. } => Err(Refusal::no_such_path()),
            Endpoint::Catalog => Err(Refusal::no_catalog()),
            Endpoint::Decision { id } => decisions::respond(gate, id, &request.headers, head),
            Endpoint::Token | Endpoint::Unknown => Err(Refusal::no_such_path()),
        }
    }

    async fn push(&self, endpoint: Endpoint<'_>, request: &Parts, content: Content) -> Result<Response<Body>, Refusal> {
        let access = self.access(request).await?;
        push::respond(&self.gate, endpoint, request, content, &access).await
    }

    /// Who the request is from and what it may do.
    async fn access(&self, request: &Parts) -> Result<Access, Refusal> {
        match &self.auth {
            Some(auth) => Ok(auth.access(&request.headers, &request.extensions).await?),
            None => Ok(Access::unauthenticated()),
        }
    }

    async fn token<B>(&self, request: &Parts, body: B) -> Result<Response<Body>, Refusal>
    where
        B: http_body::Body<Data = bytes::Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match &self.auth {
            Some(auth) if matches!(request.method, Method::GET | Method::POST) => token::respond(&self.gate, auth, request, body).await,
            Some(_) => Err(Refusal::token_method()),
            None => Err(Refusal::no_such_path()),
        }
    }
}

impl<B> Service<Request<B>> for Routes
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let routes = self.clone();
        let (parts, body) = request.into_parts();
        Box::pin(async move { Ok(routes.respond(&parts, body).await) })
    }
}

fn label(endpoint: &Endpoint<'_>) -> metrics::Endpoint {
    match endpoint {
        Endpoint::Ping => metrics::Endpoint::Base,
        Endpoint::Manifest { .. } => metrics::Endpoint::Manifest,
        Endpoint::Blob { .. } => metrics::Endpoint::Blob,
        Endpoint::Uploads { .. } | Endpoint::Upload { .. } => metrics::Endpoint::Upload,
        Endpoint::Tags { .. } => metrics::Endpoint::Tags,
        Endpoint::Referrers { .. } => metrics::Endpoint::Referrers,
        Endpoint::Token => metrics::Endpoint::Token,
        Endpoint::Decision { .. } => metrics::Endpoint::Admin,
        Endpoint::Catalog | Endpoint::Unknown => metrics::Endpoint::Other,
    }
}

/// The repository that a request means (DESIGN §3).
fn repository(gate: &Gate, name: &str, query: &Query<'_>) -> Result<Repository, Refusal> {
    match gate.target(name, query.ns.as_deref()) {
        Target::Repository(repository) => Ok(repository),
        Target::UnknownRegistry(name) => Err(Refusal::unknown_registry(&name)),
        Target::Contradiction { ns, path } => Err(Refusal::contradiction(&ns, &path)),
        Target::BadName => Err(Refusal::name_invalid()),
    }
}

/// The repository that a request means, when it may be read.
fn readable(gate: &Gate, name: &str, query: &Query<'_>, access: &Access) -> Result<Repository, Refusal> {
    let repository = repository(gate, name, query)?;
    access.require(Action::Pull, &repository)?;
    Ok(repository)
}

/// Whether `If-None-Match` holds `etag` (RFC 9110 §13.1.2: weak comparison).
fn none_match(headers: &HeaderMap, etag: &str) -> bool {
    headers.get_all(http::header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|list| {
        list.split(',').map(|tag| tag.trim_matches([' ', '\t'])).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    })
}

/// An answer of a JSON document or text that is wholly in memory.
fn document(content_type: &'static str, content: bytes::Bytes, head: bool) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(http::header::CONTENT_LENGTH, HeaderValue::from(content.len()));
    if !head {
        *response.body_mut() = Body::full(content);
    }
    response
}

#[cfg(test)]
mod tests;
