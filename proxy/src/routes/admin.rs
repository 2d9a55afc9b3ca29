//! The admin listener: health, metrics, decisions.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Method, Request, Response};
use tower::Service;

use super::{Readiness, ResponseFuture, decisions, document, health};
use crate::body::Body;
use crate::gate::Gate;
use crate::metrics::{self, CONTENT_TYPE};
use crate::routes::error::Refusal;

/// The admin listener.
#[derive(Clone)]
pub struct AdminRoutes {
    gate: Arc<Gate>,
    readiness: Arc<Readiness>,
}

impl AdminRoutes {
    /// Routes about `gate`.
    #[must_use]
    pub const fn new(gate: Arc<Gate>, readiness: Arc<Readiness>) -> Self {
        Self { gate, readiness }
    }

    fn metrics(&self, head: bool) -> Response<Body> {
        let metrics = self.gate.metrics();
        metrics.store_writable.set(i64::from(self.gate.store().writable()));
        metrics.store.set(&self.gate.store().fill());
        document(CONTENT_TYPE, metrics.encode().into(), head)
    }

    /// Answers one request. Its body, if any, is not looked at.
    #[must_use]
    pub fn respond(&self, request: &Parts) -> Response<Body> {
        let head = request.method == Method::HEAD;
        let (label, answer) = match request.uri.path() {
            _ if !head && request.method != Method::GET => (metrics::Endpoint::Other, Err(Refusal::method_not_allowed())),
            "/livez" => (metrics::Endpoint::Health, Ok(health::live(head))),
            "/readyz" | "/healthz" => (metrics::Endpoint::Health, Ok(health::ready(&self.gate, &self.readiness, head))),
            "/metrics" => (metrics::Endpoint::Admin, Ok(self.metrics(head))),
            path => match path.strip_prefix("/decisions/") {
                Some(id) => (metrics::Endpoint::Admin, decisions::respond(&self.gate, id, &request.headers, head)),
                None => (metrics::Endpoint::Other, Err(Refusal::no_such_admin_path())),
            },
        };
        let response = answer.unwrap_or_else(|refusal| refusal.into_response(head));
        self.gate.metrics().request(label, response.status());
        response
    }
}

impl<B: Send + 'static> Service<Request<B>> for AdminRoutes {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let routes = self.clone();
        let (parts, _) = request.into_parts();
        Box::pin(async move { Ok(routes.respond(&parts)) })
    }
}
